"""Who may import whom, read off the source: the arrows of the map, and no others."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("benchmarks", "baselines", "dream_models")
FILES = sorted(p for package in OURS for p in (ROOT / package).rglob("*.py"))
TASKS = {p.parent.name for p in (ROOT / "benchmarks").glob("*/task.py")}
PACKAGES = TASKS | {p.parent.name for p in (ROOT / "benchmarks").glob("*/commands.py")}
COMMANDS_MAY = tuple(
    f"benchmarks.{name}"
    for name in (
        "across_figures", "across_page", "backends", "challenge_figures", "claims", "commandline",
        "comparison", "design_figures", "executors", "fetch", "figures", "grid_figures", "host", "ism_figures",
        "leak_report", "loops", "matrix", "outputs", "packing", "plan", "prediction", "progress", "quantify_figures",
        "registry", "resumable", "runner", "screen", "session", "sources", "speed", "speed_figures", "state", "stats",
        "store", "studies", "trained", "yardsticks",
    )
)  # fmt: skip
DRAWING = (
    *(f"benchmarks.{name}figures" for name in ("", "challenge_", "grid_", "ism_", "profile_")),
    "benchmarks.engine.reporting.run_page",
)
UPPER = {p.stem for p in (ROOT / "benchmarks").glob("*.py")} - {"__init__", "__main__"}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name.partition(".")[0] in OURS}


def starts(name: str, *prefixes: str) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def test_the_scan_sees_the_project():
    assert {"human_mpra"} <= TASKS
    assert {"cli", "runner", "store", "stats"} <= UPPER
    assert "benchmarks.api.data" in ours(ROOT / "benchmarks/engine/execution/schedule.py")


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_down(path):
    name, seen = module_of(path), ours(path)
    if starts(name, "benchmarks.api"):
        allowed = ("benchmarks.api",)
    elif name.split(".")[0] == "benchmarks" and len(name.split(".")) > 2:
        allowed = ("benchmarks.api", f"benchmarks.{name.split('.')[1]}")
        assert name.split(".")[1] in PACKAGES
        if name.startswith("benchmarks.apps.paper."):  # lays out what the drawing modules draw; they know no task
            allowed += DRAWING
        # What a package adds to the command line may use what `cli` uses.
        if name.endswith("commands") or name == "benchmarks.apps.paper.load_figure_data":
            allowed += COMMANDS_MAY
    elif starts(name, "baselines", "dream_models"):
        allowed = ("benchmarks.api", name.split(".")[0])
        if name.endswith(".commands"):
            allowed += COMMANDS_MAY
    elif name in (
        "benchmarks.engine.figures.prixfixe_grid",
        "benchmarks.engine.figures.challenge",
        "benchmarks.engine.figures.design",
        "benchmarks.engine.figures.ism",
        "benchmarks.engine.figures.profiles",
        "benchmarks.engine.figures.quantify",
        "benchmarks.engine.figures.speed",
    ):
        allowed = ("benchmarks.engine.figures.scores",)
    elif name.removeprefix("benchmarks.") in ("stats", "figures", "report", "claims", "stopping"):
        allowed = ()
    elif name == "benchmarks.engine.execution.workers":
        allowed = ("benchmarks.shutdown",)
    elif name == "benchmarks.engine.store.checkpoints":
        allowed = ("benchmarks.api", "benchmarks.shutdown")
    elif name == "benchmarks.engine.store.records":
        allowed = ("benchmarks.api",)
    elif name == "benchmarks.engine.store.store":
        allowed = ("benchmarks.api", "benchmarks.engine.store.checkpoints", "benchmarks.engine.store.records")
    elif name == "benchmarks.__main__":
        allowed = ("benchmarks.cli.main",)
    else:
        allowed = ("benchmarks.api", *(f"benchmarks.{upper}" for upper in UPPER - {"cli"}), "benchmarks.__version__")
        allowed += ("benchmarks",) if seen & {"benchmarks"} else ()
        allowed += (
            ("benchmarks.engine.datasets",) if name == "benchmarks.engine.planning.data_sources" else ()
        )  # data that a run lacks are fetched
    wrong = {s for s in seen if s != "benchmarks" and not starts(s, *(a for a in allowed if a != "benchmarks"))}
    assert not wrong, f"{name} must not import {sorted(wrong)}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_frameworks_are_imported_in_their_files_alone(path):
    name = module_of(path)
    torch_homes = ("benchmarks.training.torch_backend", "benchmarks.training.keras_backend", "dream_models.prixfixe")
    torch_homes += ("baselines.vaishnav_net", "benchmarks.apps.speed.torch_tools", "benchmarks.apps.speed.keras_tools")
    found = {s.partition(".")[0] for s in imports(path)} & {"torch", "keras", "tensorflow"}
    if name == "dream_models.published":  # a type annotation only, under TYPE_CHECKING
        assert "torch" not in {s.partition(".")[0] for s in imports(path, top_level_only=True)}
    elif not starts(name, *torch_homes):
        assert not found, f"{name} imports {found}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_the_registry_imports_dynamically(path):
    allowed = {
        "benchmarks.registry",
        "benchmarks.engine.execution.workers",
        "baselines",
    }  # executors: a function by its name
    used = "importlib" in {s.partition(".")[0] for s in imports(path)} and "import_module" in path.read_text()
    assert not used or module_of(path) in allowed


def test_only_the_store_names_the_results_folder_tree():
    for path in FILES:
        text = path.read_text()
        if module_of(path) not in ("benchmarks.engine.store.store",):
            for folder in ('"runs"', '"reports"', "predictions.npz"):
                assert folder not in text, f"{path} builds results paths itself"
