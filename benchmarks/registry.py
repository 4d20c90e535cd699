"""Name -> module of every task and model. The only dynamic import in the project.

Models come from a scan of `dream_models` and `baselines`, from installed packages that announce them (entry points) and
from single files (plug-ins); tasks from a scan of `benchmarks` and from entry points. Files are parsed and not imported
to find out what they are, so that listing imports no framework: a model file defines `NAME` and `build`, and names its
`FRAMEWORK` or imports (anywhere) the backend it is built on; a task is a folder of `benchmarks` with a `task.py` that
defines `NAME`. A file that defines `NAME` and `VARIANTS` (name -> object with the members of a model file) is a family:
its models are called `<file>.<variant>`, and it is imported when one of them is used.
"""

import ast
import dataclasses
import hashlib
import importlib
import importlib.metadata
import importlib.util
import re
import sys
import traceback
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from benchmarks import renamed
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io.validated import one_line

if TYPE_CHECKING:  # listing needs neither numpy nor pandas
    from benchmarks.api.backend import Backend
    from benchmarks.api.model import ModelModule
    from benchmarks.api.task import Task

MODEL_PACKAGES = ("dream_models", "baselines")
MODEL_GROUP, TASK_GROUP = "dream_bench.models", "dream_bench.tasks"
"""Entry-point groups: name of the model or task -> its module."""
_FRAMEWORK_OF_IMPORT = {
    "benchmarks.training.torch_backend": "torch",
    "torch": "torch",
    "benchmarks.training.keras_backend": "keras",
    "benchmarks.training.keras_profiles": "keras",
    "keras": "keras",
    "tensorflow": "keras",
}


@dataclass(frozen=True)
class Entry:
    """A model or task as a scan sees it, without importing it.

    Parameters
    ----------
    framework
        torch, keras or numpy.
    code
        SHA-256 of the file, for models that are not built in: their code has no commit that could be recorded.
    is_plugin
        A single file that is not part of an installed package.
    """

    key: str
    module: str
    path: Path
    title: str
    summary: str
    framework: str = "numpy"
    code: str | None = None
    is_plugin: bool = False


renamed.install()

_plugins: dict[str, Entry] = {}


def models() -> dict[str, Entry]:
    """Find every model: key -> entry."""
    return _installed_models() | _plugins


@cache
def _installed_models() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for package in MODEL_PACKAGES:
        for path in sorted(_folder(package).glob("[!.]*.py")):
            tree = _parsed(path)
            if _is_model(tree):
                entries[path.stem] = _entry(path.stem, f"{package}.{path.stem}", path, tree)
    for point in importlib.metadata.entry_points(group=MODEL_GROUP):
        path = _file_of(point)
        if point.name in entries:
            raise BadInput(
                f"Package {_package_of(point)} announces a model {point.name!r}, a name that is taken by "
                f"{entries[point.name].path}; uninstall it or have it renamed."
            )
        entries[point.name] = _entry(point.name, point.value, path, _parsed(path), code=_digest(path))
    return entries


@cache
def families() -> dict[str, Entry]:
    """Find every built-in file that offers variants: key -> entry."""
    entries = {}
    for package in MODEL_PACKAGES:
        for path in sorted(_folder(package).glob("[!.]*.py")):
            tree = _parsed(path)
            if _constant(tree, "NAME") and any("VARIANTS" in _names_set_by(node) for node in tree.body):
                entries[path.stem] = _entry(path.stem, f"{package}.{path.stem}", path, tree)
    return entries


@cache
def tasks() -> dict[str, Entry]:
    """Find every task: key -> entry."""
    entries = {}
    for path in sorted(_folder("benchmarks").glob("*/task.py")):
        tree = _parsed(path)
        if title := _constant(tree, "NAME"):  # `api/task.py` describes tasks and is not one
            entries[title] = Entry(title, f"benchmarks.{path.parent.name}.task", path, title, _summary(tree))
    for point in importlib.metadata.entry_points(group=TASK_GROUP):
        path = _file_of(point)
        entries.setdefault(point.name, Entry(point.name, point.value, path, point.name, _summary(_parsed(path))))
    return entries


def add_plugin(path: Path, *, code: str | None = None) -> Entry:
    """Make the model in a file known by the file's stem, and return its entry.

    Parameters
    ----------
    code
        SHA-256 that the file must have; None: any.

    Raises
    ------
    BadInput
        If there is no such file, it is not a model, its name is taken, or it has changed.
    """
    path = path.resolve()
    if not path.is_file():
        raise BadInput(f"No plug-in file at {path}.")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", path.stem) or path.suffix != ".py":
        raise BadInput(
            f"{path}: a plug-in is a file like my_model.py; its name is the model's (letters, digits, _, -)."
        )
    known = models().get(path.stem)
    if known and known.path != path:
        raise BadInput(f"{path}: the model name {path.stem!r} is taken by {known.path}; rename the file.")
    tree = _parsed(path)
    if not _is_model(tree):
        missing = 'NAME = "…"' if not _constant(tree, "NAME") else "build(spec, recipe, prerequisite_dirs)"
        raise BadInput(f"{path} is not a model: it lacks {missing} at its top level.")
    digest = _digest(path)
    if code and digest != code:
        raise BadInput(f"{path} was changed since the run was planned; run the command again.")
    module = f"dream_bench_plugin_{digest[:16]}"
    entry = _entry(path.stem, module, path, tree, code=digest, is_plugin=True)
    _plugins[path.stem] = entry
    return entry


def get_model(key: str) -> "ModelModule":
    """Import a model's module.

    Raises
    ------
    BadInput
        If there is no such model, with the nearest name; if its framework is not installed.
    """
    entry = model_entry(key)
    if key not in models():
        return _variant(key)
    try:
        module = _load_file(entry) if entry.is_plugin else importlib.import_module(entry.module)
    except ModuleNotFoundError as error:
        raise BadInput(f"Model {key!r} needs the package {error.name!r}, which is not installed.") from error
    return cast("ModelModule", module)


def _load_file(entry: Entry) -> ModuleType:
    if entry.module in sys.modules:
        return sys.modules[entry.module]
    spec = importlib.util.spec_from_file_location(entry.module, entry.path)
    assert spec is not None, f"{entry.path} has the ending .py"
    assert spec.loader is not None, f"{entry.path} has the ending .py"
    module = importlib.util.module_from_spec(spec)
    sys.modules[entry.module] = module  # dataclasses look their module up by name while it is executed
    try:
        spec.loader.exec_module(module)
        _check_model(module)
    except ModuleNotFoundError:
        del sys.modules[entry.module]
        raise
    except (Exception, SystemExit) as error:  # a plug-in is anybody's code
        del sys.modules[entry.module]
        at = _last_line(error, entry.path)
        raise BadInput(
            f"{entry.path}{at}: it cannot be imported: {type(error).__name__}: {one_line(error)}."
        ) from error
    except BaseException:
        del sys.modules[entry.module]
        raise
    return module


def _check_model(module: ModuleType) -> None:
    """Check the members that every model file has.

    Raises
    ------
    AttributeError, TypeError
        If one is missing; if it is of another type.
    """
    if not isinstance(module.NAME, str):
        raise TypeError(f"NAME is a {type(module.NAME).__name__}, a text is expected")
    if not dataclasses.is_dataclass(module.RECIPE) or isinstance(module.RECIPE, type):
        raise TypeError(f"RECIPE is a {type(module.RECIPE).__name__}, a dataclass with its values is expected")
    for name in ("unsupported", "build"):
        if not callable(getattr(module, name)):
            raise TypeError(f"{name} is not a function")


def _last_line(error: BaseException, path: Path) -> str:
    """Name the line of a file on which an error arose; empty if it arose elsewhere."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    numbers = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {numbers[-1]}" if numbers else ""


def model_entry(key: str) -> Entry:
    """Return the entry of a model, or raise BadInput with the nearest name."""
    if key in models():
        return models()[key]
    family = families().get(key.partition(".")[0])
    if not family:
        raise BadInput(did_you_mean("model", key, [*models(), *(f"{name}.…" for name in families())]))
    variant = _variant(key)
    return replace(family, key=key, title=variant.NAME, summary=(variant.__doc__ or "").partition("\n")[0])


def get_family(key: str) -> ModuleType:
    """Import the file of a family of variants."""
    return importlib.import_module(families()[key].module)


def _variant(key: str) -> Any:
    family, _, name = key.partition(".")
    variants = get_family(family).VARIANTS
    if name not in variants:
        near = get_close_matches(name, list(variants), n=1, cutoff=0.3)
        hint = (
            f" Did you mean {family}.{near[0]}?"
            if name and near
            else f" One of them is {family}.{next(iter(variants))}."
        )
        raise BadInput(f"{key!r} is not one of the {len(variants)} models of {family}.{hint} See `info {family}`.")
    return variants[name]


def get_task(key: str) -> "Task":
    """Import a task's module, or raise BadInput with the nearest name."""
    if key not in tasks():
        raise BadInput(did_you_mean("task", key, list(tasks())))
    return cast("Task", importlib.import_module(tasks()[key].module))


def get_published() -> ModuleType:
    """Import the reader of published weights; it needs torch."""
    return importlib.import_module("dream_models.published")


def get_backend(framework: str) -> "Backend | None":
    """Import the backend of a framework; None for models that need none.

    Raises
    ------
    BadInput
        If the framework is not installed, saying how to install it.
    """
    if framework == "numpy":
        return None
    try:
        return cast("Backend", importlib.import_module(f"benchmarks.training.{framework}_backend"))
    except ModuleNotFoundError as error:
        what = "'.[tensorflow]'" if framework == "keras" else "."
        raise BadInput(f"{framework} models need {error.name!r}: `pip install -e {what}`.") from error


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not an installed package")
    return Path(spec.submodule_search_locations[0])


def _package_of(point: importlib.metadata.EntryPoint) -> str:
    return point.dist.name if point.dist else "(unknown)"


def _file_of(point: importlib.metadata.EntryPoint) -> Path:
    """Find the file of an entry point's module without importing the module itself."""
    try:
        spec = importlib.util.find_spec(point.value)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.origin:
        raise BadInput(
            f"Package {_package_of(point)} announces {point.name!r} in {point.value}, a module that cannot be found; "
            "reinstall or uninstall it."
        )
    return Path(spec.origin)


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise BadInput(f"{path}, line {error.lineno}: {error.msg}; this is not Python that can be read.") from None
    except ValueError as error:
        raise BadInput(f"{path} is not a Python file: {one_line(error)}.") from None
    except (RecursionError, MemoryError):  # raised by the parser for deep nesting
        raise BadInput(f"{path} is not a Python file that can be read: it is nested too deep.") from None


def _is_model(tree: ast.Module) -> bool:
    defines_build = any(isinstance(node, ast.FunctionDef) and node.name == "build" for node in tree.body)
    return defines_build and bool(_constant(tree, "NAME"))


def _entry(
    key: str, module: str, path: Path, tree: ast.Module, *, code: str | None = None, is_plugin: bool = False
) -> Entry:
    framework = _constant(tree, "FRAMEWORK") or _framework(tree)
    return Entry(key, module, path, _constant(tree, "NAME") or key, _summary(tree), framework, code, is_plugin)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _constant(tree: ast.Module, name: str) -> str | None:
    """Return the text that a file assigns to a name at its top level; None where it assigns none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and name in _names_set_by(node):
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            return value if isinstance(value, str) else None
    return None


def _names_set_by(node: ast.stmt) -> set[str]:
    return {t.id for t in node.targets if isinstance(t, ast.Name)} if isinstance(node, ast.Assign) else set()


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
            name, *_ = renamed.MODULES.get(name, (name,))
            if framework := _FRAMEWORK_OF_IMPORT.get(name) or _FRAMEWORK_OF_IMPORT.get(name.partition(".")[0]):
                return framework
    return "numpy"
