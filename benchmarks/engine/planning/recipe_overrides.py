"""Settles every model's recipe: its own, then the task's, then the preset's, then the user's."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from benchmarks import registry
from benchmarks.api.data import TaskSpec
from benchmarks.api.model import ModelModule, read_fields
from benchmarks.api.recipe import Preset, recipe_with, stored_values
from benchmarks.api.task import ScalesRecipes, Task, supports
from benchmarks.errors import BadInput, did_you_mean

MOST_NAMED = 5
"""Models that a sentence lists by name."""


@dataclass(frozen=True)
class Change:
    """A `--set` of the user: of all models (`recipe`), of a family of variants, or of one model."""

    text: str
    target: str
    key: str
    value: str

    def concerns(self, model: str) -> bool:
        return self.target in ("recipe", family_of(model), model)


def settle_recipes(
    task: Task,
    preset: Preset,
    modules: Mapping[str, ModelModule],
    changes: Sequence[str],
    n_rows: int | None = None,
    specs: Sequence[TaskSpec] = (),
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Settle every model's recipe: its own, then the task's, then the preset's, then the user's.

    Parameters
    ----------
    n_rows
        Rows of the smallest data set, for tasks whose recipes depend on it; None: as for a large one.
    specs
        What networks must know of the data sets; empty: what the task says.

    Returns
    -------
    The recipes, and a note on every change of several models that some of them do not read.

    Raises
    ------
    BadInput
        For a change that no model reads, or a value that a recipe refuses.
    """
    of_task = task.recipes_for(n_rows) if n_rows is not None and supports(task, ScalesRecipes) else task.RECIPES
    recipes: dict[str, Any] = {}
    user = [_parse_change(change, modules) for change in changes]
    order = ("recipe", *map(family_of, modules), *modules)
    user.sort(key=lambda change: order.index(change.target))  # what is said of one overrides what is said of all
    read: dict[str, list[str]] = {}
    for name, module in modules.items():
        recipe, family = module.RECIPE, family_of(name)
        keys = {field.name for field in dataclasses.fields(recipe)}
        recipe = recipe_with(recipe, _changes_for(name, of_task, [family], keys), source=f"task {task.NAME}")
        recipe = recipe_with(recipe, _changes_for(name, preset.recipes, ["*", family], keys), source="preset")
        own = [change for change in user if change.concerns(name)]
        recipes[name], read[name] = _with_changes(module, recipe, own, specs or (task.SPEC,))
    _refuse_to_choose_by_trained_rows(recipes, user)
    notes = [note for change in user if (note := _untouched(change, modules, read))]
    return {name: stored_values(recipe) for name, recipe in recipes.items()}, notes


def _refuse_to_choose_by_trained_rows(recipes: Mapping[str, Any], changes: Sequence[Change]) -> None:
    """Refuse to train on all rows a model that would choose its epoch by rows that it was trained on.

    Raises
    ------
    BadInput
        If there is one, naming those that can keep their last epoch.
    """
    for_all = any((change.target, change.key, change.value) == ("recipe", "train_on", "all") for change in changes)
    asked = [name for name, recipe in recipes.items() if for_all or getattr(recipe, "train_on", "train") == "all"]
    able = [name for name in asked if getattr(recipes[name], "select", None) == "last"]
    if choosing := [name for name in asked if name not in able]:
        raise BadInput(
            f"Training on all rows (--train-on all) leaves none to choose an epoch by, and {', '.join(choosing)} "
            f"{'chooses' if len(choosing) == 1 else 'choose'} one; only the last can be kept (select=last). Name "
            f"models that can: --models {','.join(able) or 'dream_cnn,dream_rnn'}, with --train-on all."
        )


def _with_changes(
    module: ModelModule, recipe: Any, changes: Sequence[Change], specs: Sequence[TaskSpec]
) -> tuple[Any, list[str]]:
    """Apply what is read of the changes; return the recipe, and the fields that are read of it.

    What is read may depend on other changes: the parameters of an option are read once it is on.
    """
    changed = recipe
    for _ in range(len(changes) + 1):
        read = list(dict.fromkeys(field for spec in specs for field in read_fields(module, spec, changed)))
        before, changed = changed, recipe
        for change in changes:
            if change.key in read:
                changed = recipe_with(changed, {change.key: change.value}, source=f"--set {change.text}")
        if changed == before:
            break
    return changed, read


def _untouched(change: Change, modules: Mapping[str, ModelModule], read: Mapping[str, list[str]]) -> str | None:
    """Say which of the models that a change is for do not read it; None where all do.

    Raises
    ------
    BadInput
        If that is so of all of them.
    """
    concerned = [name for name in modules if change.concerns(name)]
    untouched = [name for name in concerned if change.key not in read[name]]
    if not untouched:
        return None
    named = (
        untouched if len(untouched) <= MOST_NAMED else [*untouched[:MOST_NAMED], f"{len(untouched) - MOST_NAMED} more"]
    )
    does_not = f"{', '.join(named)} {'does' if len(untouched) == 1 else 'do'} not read {change.key!r}"
    if len(untouched) < len(concerned):
        return f"--set {change.text}: {does_not}, and {'stays' if len(untouched) == 1 else 'stay'} as before."
    known = sorted({field for name in untouched for field in read[name]})
    if not any(change.key == field.name for name in untouched for field in dataclasses.fields(modules[name].RECIPE)):
        raise BadInput(f"--set {change.text}: {did_you_mean('recipe key', change.key, known)}")
    nearest = sorted(known, key=lambda field: -SequenceMatcher(None, change.key, field).ratio())
    raise BadInput(
        f"--set {change.text}: {does_not} here, so it would change nothing; "
        f"{'it reads' if len(untouched) == 1 else 'they read'} {', '.join(nearest)}."
    )


def _changes_for(
    name: str, changes: Mapping[str, Mapping[str, Any]], shared_targets: Sequence[str], keys: Collection[str]
) -> dict[str, Any]:
    """Collect what is changed for a model: of what several share, the keys that its recipe has; all that is its own."""
    collected: dict[str, Any] = {}
    for target in shared_targets:
        collected |= {key: value for key, value in changes.get(target, {}).items() if key in keys}
    return collected | dict(changes.get(name, {}))


def shown_recipe(task: Task, model: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a stored recipe what its model does not read; of a model that is not known here, nothing."""
    if model not in registry.models() and family_of(model) not in registry.families():
        return dict(recipe)
    module = registry.get_model(model)
    unread = {field.name for field in dataclasses.fields(module.RECIPE)} - set(read_fields(module, task.SPEC))
    return {key: value for key, value in recipe.items() if key not in unread}


def family_of(model: str) -> str:
    """Return the file that a variant comes from (`prix_fixe.…`), or the model itself."""
    return model.partition(".")[0]


def _parse_change(change: str, modules: Mapping[str, ModelModule]) -> Change:
    left, equals, value = change.partition("=")
    target, dot, key = left.rpartition(".")
    if not (equals and dot and key):
        raise BadInput(f"--set expects recipe.key=value or model.key=value, got {change!r}.")
    known = ["recipe", *dict.fromkeys(map(family_of, modules)), *(name for name in modules if "." in name)]
    if target not in known:
        raise BadInput(f"--set {change}: {did_you_mean('model of this run', target, known)}")
    return Change(change, target, key, value)
