"""Search for test sequences that occur in the training data, in stored runs or in the splits of a file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import registry
from benchmarks.api.task import Task
from benchmarks.engine.evaluation import leakage
from benchmarks.engine.evaluation.leakage import Leakage, Rule
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.planning import data_sources
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store

OnFold = Callable[[str, int], None]
"""Called with dataset and test fold before each fold is searched."""


def search_file(
    task: Task,
    file: Path,
    rule: Rule,
    on_fold: OnFold,
    *,
    split: str | None,
    seed: int,
    columns: Mapping[str, str] | None = None,
) -> list[Leakage]:
    """Search the splits that a task makes of a file; one result per dataset in it.

    `columns` is what the user says of the columns, see `data_sources.find`.

    Raises
    ------
    BadInput
        If the task cannot read the file, or has no such split.
    """
    preset = next(iter(task.PRESETS))
    sources = data_sources.find(task, preset, file, seed=seed, split=split, columns=columns)
    return [leakage.of_dataset(task, source.dataset, rule, on_fold=on_fold) for source in sources]


def search_runs(
    store: Store, tasks: Sequence[str], folders: Sequence[Path], rule: Rule, on_fold: OnFold
) -> list[Leakage]:
    """Search stored runs, and write the result into the report folder of each: leaks.csv and leak_free.csv.

    Parameters
    ----------
    tasks, folders
        As `Experiment.open_many` takes them.

    Raises
    ------
    BadInput
        If a run is missing.
    """
    results = []
    for experiment in Experiment.open_many(store, tasks, folders):
        task = registry.get_task(experiment.plan.task)
        scores = score(experiment.plan, store, task)
        result = leakage.of_plan(experiment.plan, store, task, scores, rule, on_fold=on_fold)
        leakage.write(result, experiment.folder)
        results.append(result)
    return results
