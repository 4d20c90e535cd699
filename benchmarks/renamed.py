"""Old names of modules that users' model and task files import: they still work, with a warning that says the new one.

Imported by the registry before it loads anybody's file.
"""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MODULES = {
    "benchmarks.api.archives": ("benchmarks.io.archives",),
    "benchmarks.api.ceilings": ("benchmarks.api.noise_ceiling",),
    "benchmarks.api.checksums": ("benchmarks.io.checksums",),
    "benchmarks.api.constructs": ("benchmarks.api.construct",),
    "benchmarks.api.errors": ("benchmarks.errors",),
    "benchmarks.api.folders": ("benchmarks.io.atomic",),
    "benchmarks.api.keras_backend": ("benchmarks.training.keras_backend",),
    "benchmarks.api.keras_profiles": ("benchmarks.training.keras_profiles",),
    "benchmarks.api.mutants": ("benchmarks.engine.inference.mutagenesis",),
    "benchmarks.api.origins": ("benchmarks.api.simulated_marker",),
    "benchmarks.api.promoters": ("benchmarks.api.yeast_plasmid",),
    "benchmarks.api.protocols": ("benchmarks.api.model", "benchmarks.api.task"),
    "benchmarks.api.stored": ("benchmarks.io.validated",),
    "benchmarks.api.tables": ("benchmarks.io.tables",),
    "benchmarks.api.torch_backend": ("benchmarks.training.torch_backend",),
    "benchmarks.api.training": ("benchmarks.training.loop",),
}
"""Old module -> the modules that hold its names now."""

NAMES = {
    ("benchmarks.api.data", name): "benchmarks.api.recipe"
    for name in ("PRECISIONS", "Preset", "Recipe", "TorchRecipe", "recipe_with")
}
"""(module, name) of what moved out of a module that is still there -> its module now."""


class _Finder(MetaPathFinder, Loader):
    """Answers imports of old names, which nothing else finds."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        return ModuleSpec(fullname, self) if fullname in MODULES else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        homes = MODULES[module.__name__]
        _warn(module.__name__, " and ".join(homes))
        for home in homes:
            content = vars(importlib.import_module(home))
            vars(module).update({name: value for name, value in content.items() if not name.startswith("__")})


def install() -> None:
    """Let old module names be imported, in this process; calling it again changes nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


def moved(module: str, name: str) -> Any:
    """Return what moved out of a module, for that module's `__getattr__`.

    Raises
    ------
    AttributeError
        If the module never had the name.
    """
    if (home := NAMES.get((module, name))) is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    _warn(f"{module}.{name}", f"{home}.{name}", stacklevel=4)  # past the module's `__getattr__`
    return getattr(importlib.import_module(home), name)


def _warn(old: str, new: str, *, stacklevel: int = 3) -> None:
    """Warn at the line of the user's file that imports the old name."""
    warnings.warn(f"{old} is {new} now; change the import.", FutureWarning, stacklevel=stacklevel)
