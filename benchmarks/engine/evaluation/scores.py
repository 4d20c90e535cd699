"""From stored predictions to scores: averages over members, and the long score table."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks import registry
from benchmarks.api.data import Dataset, TaskSpec
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


def predicted(
    plan: Plan, store: Store, models: Collection[str] | None = None, *, problems: list[str] | None = None
) -> Iterator[Predicted]:
    """Give the stored predictions of a plan, or of some of its models, one test fold of one model at a time.

    Trainings whose predictions cannot be scored, such as of other outputs than the task has, are passed over;
    `problems` gets a sentence on each.
    """
    task = registry.get_task(plan.task)
    for source in plan.sources:
        dataset = store.get_dataset(source.name, source.digest)
        spec = spec_of(task, dataset)
        jobs_here = [job for job in plan.jobs if (job.dataset, job.digest) == (source.name, source.digest)]
        wanted = [job for job in jobs_here if models is None or job.model in models]
        done = [job for job in wanted if store.training(job).is_done]
        for model, test_fold in dict.fromkeys((job.model, job.test_fold) for job in done):
            members: list[tuple[Job, np.ndarray, dict[str, np.ndarray]]] = []
            for job in (job for job in done if (job.model, job.test_fold) == (model, test_fold)):
                try:
                    rows, values = store.training(job).predictions()
                    problem = _problem(rows, values, members[0][1] if members else rows, len(dataset), spec)
                except BadInput as error:
                    problem = str(error)
                if problem is None:
                    members.append((job, rows, values))
                elif problems is not None:
                    problems.append(f"{job.id} was not scored: {problem.rstrip('.')}.")
            if members:
                jobs, rows_of, values_of = zip(*members, strict=True)
                yield Predicted(dataset, model, test_fold, jobs, rows_of[0], values_of)


def _problem(
    rows: np.ndarray, values: Mapping[str, np.ndarray], expected: np.ndarray, n_rows: int, spec: TaskSpec
) -> str | None:
    """Say why stored predictions cannot be scored; None if they can."""
    if not np.array_equal(rows, expected) or rows.max(initial=0) >= n_rows:
        return "it has predictions of other rows than its dataset and the other trainings of its fold have"
    for output in spec.outputs:
        width = (spec.profile_len,) if output == "profile_logits" else ()
        if output not in values:
            return f"it has no predictions of {output}"
        if values[output].shape != (len(rows), *width):
            return f"its predictions of {output} have the shape {values[output].shape}, not {(len(rows), *width)}"
    return None


def score(
    plan: Plan,
    store: Store,
    task: Task,
    *,
    without: Mapping[tuple[str, int], np.ndarray] | None = None,
    problems: list[str] | None = None,
) -> pd.DataFrame:
    """Score the finished jobs of a plan: every member, and the average over the members of each test fold.

    A task that is compared without folds has no averages.

    Parameters
    ----------
    without
        (dataset, test fold) -> row numbers of the dataset to leave out; only these test folds are scored, and those of
        which fewer than two rows are left are not.
    problems
        Gets a sentence on each training whose predictions cannot be scored.

    Returns
    -------
    The long table described in `results/README.md`; empty if nothing is finished.
    """
    parts = []
    for fold in predicted(plan, store, problems=problems):
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
