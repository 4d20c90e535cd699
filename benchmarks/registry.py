"""Name -> module, by folder scan. The only dynamic import in the project.

Files are read as text to find out what they are, so that listing imports no framework: a model file defines `NAME` and
`build`, and imports (anywhere) the backend it is built on; a task is a folder of `benchmarks` with a `task.py`.
"""

import ast
import importlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from benchmarks.api.errors import BadInput, did_you_mean

MODEL_PACKAGES = ("dream_models", "baselines")
_FRAMEWORK_OF_IMPORT = {
    "benchmarks.api.torch_backend": "torch",
    "torch": "torch",
    "benchmarks.api.keras_backend": "keras",
    "keras": "keras",
    "tensorflow": "keras",
}


@dataclass(frozen=True)
class Entry:
    """What a scan knows of a model or task without importing it. `framework` is torch, keras or numpy."""

    key: str
    module: str
    path: Path
    title: str
    summary: str
    framework: str = "numpy"


@cache
def models() -> dict[str, Entry]:
    """Find every model file: key -> entry."""
    found = {}
    for package in MODEL_PACKAGES:
        for path in sorted(_folder(package).glob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            title = _constant(tree, "NAME")
            if title and any(isinstance(node, ast.FunctionDef) and node.name == "build" for node in tree.body):
                module = f"{package}.{path.stem}"
                found[path.stem] = Entry(path.stem, module, path, title, _summary(tree), _framework(tree))
    return found


@cache
def tasks() -> dict[str, Entry]:
    """Find every task folder: key -> entry."""
    found = {}
    for path in sorted(_folder("benchmarks").glob("*/task.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        title = _constant(tree, "NAME") or path.parent.name
        found[title] = Entry(title, f"benchmarks.{path.parent.name}.task", path, title, _summary(tree))
    return found


def get_model(key: str) -> ModuleType:
    """Import a model's module.

    Raises
    ------
    BadInput
        If there is no such model, with the nearest name; if its framework is not installed.
    """
    entry = model_entry(key)
    try:
        return importlib.import_module(entry.module)
    except ModuleNotFoundError as error:
        raise BadInput(f"Model {key!r} needs the package {error.name!r}, which is not installed.") from error


def model_entry(key: str) -> Entry:
    """Return what is known of a model, or raise BadInput with the nearest name."""
    if key not in models():
        raise BadInput(did_you_mean("model", key, list(models())))
    return models()[key]


def get_task(key: str) -> ModuleType:
    """Import a task's module, or raise BadInput with the nearest name."""
    if key not in tasks():
        raise BadInput(did_you_mean("task", key, list(tasks())))
    return importlib.import_module(tasks()[key].module)


def get_backend(framework: str) -> ModuleType | None:
    """Import the backend of a framework; None for models that need none.

    Raises
    ------
    BadInput
        If the framework is not installed, saying how to install it.
    """
    if framework == "numpy":
        return None
    try:
        return importlib.import_module(f"benchmarks.api.{framework}_backend")
    except ModuleNotFoundError as error:
        what = "'.[tensorflow]'" if framework == "keras" else "."
        raise BadInput(f"{framework} models need {error.name!r}: `pip install -e {what}`.") from error


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    return Path(spec.submodule_search_locations[0])


def _constant(tree: ast.Module, name: str) -> str | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return ast.literal_eval(node.value)
    return None


def _summary(tree: ast.Module) -> str:
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def _framework(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if framework := _FRAMEWORK_OF_IMPORT.get(name) or _FRAMEWORK_OF_IMPORT.get(name.partition(".")[0]):
                return framework
    return "numpy"
