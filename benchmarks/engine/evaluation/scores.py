"""From stored predictions to scores: averages over members, and the long score table."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks import registry
from benchmarks.api.data import Dataset
from benchmarks.api.task import ComparedWithoutFolds, LeavesOutElements, Task, spec_of, supports
from benchmarks.engine.planning.plan import Job, Plan
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput

SCORE_COLUMNS = [
    "task",
    "task_version",
    "dataset",
    "model",
    "run",
    "test_fold",
    "held_out",
    "val_fold",
    "role",
    "n_members",
    "output",
    "subset",
    "level",
    "metric",
    "value",
    "n",
    "origin",
]
"""Columns of the long score table; `results/README.md` explains each."""


@dataclass(frozen=True)
class Predicted:
    """What the finished trainings of one model predict for one test fold."""

    dataset: Dataset
    model: str
    test_fold: int
    jobs: tuple[Job, ...]
    rows: np.ndarray
    members: tuple[Mapping[str, np.ndarray], ...]

    @property
    def n_members(self) -> int:
        """Trainings behind the predictions; external ones may be averages already."""
        return sum(job.recipe.get("n_averaged", 1) for job in self.jobs)

    @property
    def test(self) -> Dataset:
        return self.dataset.take(self.rows)

    def mean(self) -> dict[str, np.ndarray]:
        """Average the predictions of the members, output by output."""
        return {
            name: np.asarray(np.mean([member[name] for member in self.members], axis=0, dtype=np.float64))
            for name in self.members[0]
        }


def predicted(plan: Plan, store: Store, models: Collection[str] | None = None) -> Iterator[Predicted]:
    """Give the stored predictions of a plan, or of some of its models, one test fold of one model at a time."""
    task = registry.get_task(plan.task)
    for source in plan.sources:
        dataset = store.get_dataset(source.name, source.digest)
        outputs = spec_of(task, dataset).outputs
        jobs_here = [job for job in plan.jobs if (job.dataset, job.digest) == (source.name, source.digest)]
        wanted = [job for job in jobs_here if models is None or job.model in models]
        done = [job for job in wanted if store.training(job).is_done]
        for model, test_fold in dict.fromkeys((job.model, job.test_fold) for job in done):
            jobs = tuple(job for job in done if (job.model, job.test_fold) == (model, test_fold))
            stored = [store.training(job).predictions() for job in jobs]
            rows = stored[0][0]
            for job, (others, values) in zip(jobs, stored, strict=True):
                fits = np.array_equal(rows, others) and rows.max(initial=0) < len(dataset)
                if not fits or not set(outputs) <= values.keys():
                    raise BadInput(
                        f"{store.training(job).folder} has predictions of other rows or outputs than its dataset and "
                        "the other trainings of its fold have; remove it and run the plan again."
                    )
            yield Predicted(dataset, model, test_fold, jobs, rows, tuple(values for _, values in stored))


def score(
    plan: Plan, store: Store, task: Task, *, without: Mapping[tuple[str, int], np.ndarray] | None = None
) -> pd.DataFrame:
    """Score the finished jobs of a plan: every member, and the average over the members of each test fold.

    A task that is compared without folds has no averages.

    Parameters
    ----------
    without
        (dataset, test fold) -> row numbers of the dataset to leave out; only these test folds are scored, and those of
        which fewer than two rows are left are not.

    Returns
    -------
    The long table described in `results/README.md`; empty if nothing is finished.
    """
    parts = []
    for fold in predicted(plan, store):
        head = {
            "task": plan.task,
            "task_version": plan.task_version,
            "dataset": fold.dataset.name,
            "model": fold.model,
            "run": fold.jobs[0].config_hash,
            "test_fold": fold.test_fold,
            "origin": fold.dataset.origin,
        }
        test, rows, single = fold.test, None, fold.n_members == len(fold.jobs)
        if without is not None:
            if (place := (fold.dataset.name, fold.test_fold)) not in without:
                continue
            leave_out = task.without if supports(task, LeavesOutElements) else Dataset.without_elements
            test, rows = leave_out(test, np.isin(fold.rows, without[place]))
            if len(test) < 2:
                continue
        for job, predictions in zip(fold.jobs, fold.members, strict=True) if single else ():
            scored = task.score(test, _of_rows(predictions, rows))
            parts.append(scored.assign(**head, val_fold=job.val_fold, role="member", n_members=1))
        if supports(task, ComparedWithoutFolds) and single:
            continue
        scored = task.score(test, _of_rows(fold.mean(), rows))
        parts.append(scored.assign(**head, val_fold=pd.NA, role="ensemble", n_members=fold.n_members))
    if not parts:
        return pd.DataFrame(columns=SCORE_COLUMNS)
    table = pd.concat(parts, ignore_index=True).reindex(columns=SCORE_COLUMNS)  # not every task names what is held out
    return table.astype({"val_fold": "Int64"})


def _of_rows(predictions: Mapping[str, np.ndarray], rows: np.ndarray | None) -> Mapping[str, np.ndarray]:
    return predictions if rows is None else {name: values[rows] for name, values in predictions.items()}
