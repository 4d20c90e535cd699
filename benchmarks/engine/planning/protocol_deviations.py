"""In what the trainings of a model are not the published protocol."""

import dataclasses
import json
from collections.abc import Collection

from benchmarks import registry
from benchmarks.api.task import ComparedWithoutFolds, Task, supports
from benchmarks.engine.planning.plan import Plan, Source, chosen_splits
from benchmarks.engine.planning.recipe_overrides import settle_recipes


def protocol_deviations(
    task: Task, planned: Plan, model: str, source: Source, splits: Collection[tuple[int, int]]
) -> list[str]:
    """Say in what the trainings of a model are not the published protocol; nothing where they are.

    Parameters
    ----------
    source
        What they were trained on, with its dataset.
    splits
        (test, validation) folds that were trained.
    """
    if model not in registry.models() and "." not in model:
        return ["external predictions"]
    if planned.preset != "paper":
        return [f"preset {planned.preset}"]
    module = registry.get_model(model)
    published = settle_recipes(task, task.PRESETS["paper"], {model: module}, ())[0][model]
    published = json.loads(json.dumps(dataclasses.asdict(module.RECIPE) | published))
    deviations = [
        f"{key} {value!r} instead of {published[key]!r}"
        for key, value in json.loads(json.dumps(dict(planned.recipes[model]))).items()
        if key in published and published[key] != value
    ]
    wanted = set(task.protocol())
    if supports(task, ComparedWithoutFolds):  # splits for validation alone, as many as the preset takes of the data's
        wanted = {pair for pair, _ in chosen_splits(task, task.PRESETS["paper"], source, None, None)}
    if missing := wanted - set(splits):
        deviations.append(f"{len(missing)} of {len(wanted)} trainings are missing")
    if source.name not in task.DATASETS:
        deviations.append(f"table {source.name}")
    if source.dataset is not None:
        deviations += [note for note in source.dataset.notes if note.startswith("--split")]
    return deviations
