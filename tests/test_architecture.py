"""Who may import whom, read off the source: one table of layers, without exceptions."""

import ast
import re
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

PACKAGES = ("benchmarks", "baselines", "dream_models")
FILES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))
TASKS = {p.parent.name for p in (ROOT / "benchmarks").glob("*/task.py")} - {"api"}

BOTTOM = ("errors", "shutdown", "system", "renamed")
BELOW_ENGINE = (*BOTTOM, "io", "api", "training", "registry")
LAYERS = {
    "errors": (),
    "shutdown": (),
    "system": ("errors",),
    "renamed": (),
    "io": ("errors",),
    "api": ("io", "errors", "renamed"),
    "training": ("api", "io", *BOTTOM),
    "task": ("api", "io", "errors"),
    "models": ("api", "training", "io", "errors"),
    "registry": ("io", "errors", "api", "renamed"),
    "engine.datasets": BELOW_ENGINE,
    "engine.planning": (*BELOW_ENGINE, "engine.datasets"),
    "engine.store": (*BELOW_ENGINE, "engine.planning"),
    "engine.execution": (*BELOW_ENGINE, "engine.planning", "engine.store"),
    "engine.evaluation": (*BELOW_ENGINE, "engine.planning", "engine.store"),
    "engine.inference": (*BELOW_ENGINE, "engine.planning", "engine.store"),
    "engine.figures": ("api",),
    "engine.reporting": (*BELOW_ENGINE, "engine"),
    "engine.pipeline": (*BELOW_ENGINE, "engine"),
    "apps": (*BELOW_ENGINE, "engine"),
    "cli": (*BELOW_ENGINE, "engine", "apps", "task", "models"),
}
"""Layer -> the layers it may import, beside itself; a name covers what is below it (`engine`: all of the engine).

Every task and every app is a layer of its own, so that none imports another. `benchmarks` itself holds the version.
"""
FRAMEWORK_HOMES = ("training", "models", "apps.speed")


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path) for path in FILES}


def imported(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Return what a file imports: our modules by their full names, of other packages the modules."""
    tree = ast.parse(path.read_text())
    names = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else node.module for name in full}
    return names


def layer_of(module: str) -> str:
    """Return the layer of a module, with its folder where the layer has several: `task.atac`, `apps.ism`."""
    package, *rest = module.split(".")
    if package != "benchmarks":
        return "models"
    if not rest or rest[0] == "__main__":
        return "cli"
    if rest[0] in TASKS:
        return f"task.{rest[0]}"
    return ".".join(rest[:2]) if rest[0] in ("engine", "apps") else rest[0]


def covers(allowed: str, layer: str) -> bool:
    return layer == allowed or layer.startswith(f"{allowed}.")


def may_import(mine: str, theirs: str) -> bool:
    rule = LAYERS[mine] if mine in LAYERS else LAYERS[mine.partition(".")[0]]
    return theirs == mine or any(covers(allowed, theirs) for allowed in rule)


def test_the_table_covers_the_project():
    assert {"atac", "drosophila", "human_mpra", "yeast"} <= TASKS
    layers = {layer_of(module) for module in MODULES} - {"engine", "apps"}  # the packages themselves import nothing
    assert all(layer in LAYERS or layer.partition(".")[0] in LAYERS for layer in layers), layers
    assert "benchmarks.io.account" in imported(ROOT / "benchmarks/human_mpra/prepare.py")
    assert not may_import("task.atac", "task.yeast")
    assert not may_import("engine.store", "engine.execution")
    assert may_import("apps.ism", "engine.figures")


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_down(path):
    mine = layer_of(module_of(path))
    for module in imported(path):
        if module.partition(".")[0] in PACKAGES and module != "benchmarks":
            theirs = layer_of(module)
            assert may_import(mine, theirs), f"{module_of(path)} ({mine}) must not import {module} ({theirs})"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_frameworks_stay_at_home(path):
    frameworks = {name.partition(".")[0] for name in imported(path)} & {"torch", "keras", "tensorflow"}
    home = any(covers(layer, layer_of(module_of(path))) for layer in FRAMEWORK_HOMES)
    assert home or not frameworks, f"{module_of(path)} imports {frameworks}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_names_become_modules_in_few_places(path):
    """Modules are found by name in the registry, the command line, a worker (its function) and the lazy packages."""
    allowed = {
        "benchmarks.registry",
        "benchmarks.renamed",
        "benchmarks.cli.main",
        "benchmarks.engine.execution.workers",
    }
    used = "import_module" in path.read_text()
    assert not used or module_of(path) in allowed | {"baselines"}


def test_only_the_store_knows_the_tree_of_results():
    for path in FILES:
        if not module_of(path).startswith("benchmarks.engine.store."):
            found = re.search(r'"runs"|"reports"|predictions\.npz', path.read_text())
            assert not found, f"{path} builds paths of the results folder itself: {found}"
