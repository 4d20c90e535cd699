"""Settles every model's recipe: its own, then the task's, then the preset's, then the user's."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from benchmarks.api.model import ModelModule
from benchmarks.api.recipe import Preset, recipe_with
from benchmarks.api.task import ScalesRecipes, Task, supports
from benchmarks.errors import BadInput, did_you_mean


def settle_recipes(
    task: Task,
    preset: Preset,
    modules: Mapping[str, ModelModule],
    changes: Sequence[str],
    n_rows: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Settle every model's recipe: its own, then the task's, then the preset's, then the user's.

    Parameters
    ----------
    n_rows
        Rows of the smallest data set, for tasks whose recipes depend on it; None: as for a large one.
    """
    of_task = task.recipes_for(n_rows) if n_rows is not None and supports(task, ScalesRecipes) else task.RECIPES
    recipes = {}
    user = [_parse_change(change, modules) for change in changes]
    order = ("recipe", *map(family_of, modules), *modules)
    user.sort(key=lambda parsed: order.index(parsed[1]))  # what is said of one model overrides what is said of all
    for name, module in modules.items():
        recipe, family = module.RECIPE, family_of(name)
        keys = {field.name for field in dataclasses.fields(recipe)}
        recipe = recipe_with(recipe, _changes_for(name, of_task, [family], keys), source=f"task {task.NAME}")
        recipe = recipe_with(recipe, _changes_for(name, preset.recipes, ["*", family], keys), source="preset")
        for change, target, key, value in user:
            is_shared = target in ("recipe", family) and (key in keys or not _anyone_has(key, modules))
            if target == name or is_shared:
                recipe = recipe_with(recipe, {key: value}, source=f"--set {change}")
        recipes[name] = dataclasses.asdict(recipe)
    return recipes


def _changes_for(
    name: str, changes: Mapping[str, Mapping[str, Any]], shared_targets: Sequence[str], keys: Collection[str]
) -> dict[str, Any]:
    """Collect what is changed for a model: of what several share, the keys that its recipe has; all that is its own."""
    collected: dict[str, Any] = {}
    for target in shared_targets:
        collected |= {key: value for key, value in changes.get(target, {}).items() if key in keys}
    return collected | dict(changes.get(name, {}))


def family_of(model: str) -> str:
    """Return the file that a variant comes from (`prix_fixe.…`), or the model itself."""
    return model.partition(".")[0]


def _parse_change(change: str, modules: Mapping[str, ModelModule]) -> tuple[str, str, str, str]:
    left, equals, value = change.partition("=")
    target, dot, key = left.rpartition(".")
    if not (equals and dot and key):
        raise BadInput(f"--set expects recipe.key=value or model.key=value, got {change!r}.")
    known = ["recipe", *dict.fromkeys(map(family_of, modules)), *(name for name in modules if "." in name)]
    if target not in known:
        raise BadInput(f"--set {change}: {did_you_mean('model of this run', target, known)}")
    return change, target, key, value


def _anyone_has(key: str, modules: Mapping[str, ModelModule]) -> bool:
    return any(key == f.name for m in modules.values() for f in dataclasses.fields(m.RECIPE))
