"""Where the trainings of a stored run stand, and when the rest will be done. Reads names and times, not predictions."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks import registry
from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.store import locks
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store

STATES = ("done", "running", "failed", "waiting")
COLUMNS = ["task", "dataset", "model", "test_fold", "val_fold", "state", "epoch", "epochs", "host", "reason", "job"]
_SAMPLE = 20


def states(plan: Plan, store: Store) -> pd.DataFrame:
    """Tell where every training of a plan stands; columns COLUMNS.

    `running`: a process that lives owns its lock. `failed` has a `reason`, and is trained again by the next command.
    `waiting` may have an `epoch`: the checkpoint that it goes on from.
    """
    rows = []
    for job in plan.jobs:
        training = store.training(job)
        row = {"task": plan.task, "dataset": job.dataset, "model": job.model, "test_fold": job.test_fold}
        row |= {"val_fold": job.val_fold, "state": "done", "epochs": job.recipe.get("epochs"), "job": job.id}
        if not training.is_done:
            host, failure = locks.lock_owner(training.lock_file), training.failure()
            row["state"] = "running" if host else "failed" if failure else "waiting"
            row |= {"host": host, "epoch": training.checkpoints.last_epoch()}
            if failure and not host:
                row["reason"] = failure["reason"]
        rows.append(row)
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def seconds_left(plan: Plan, store: Store, table: pd.DataFrame) -> float | None:
    """Estimate the seconds until all are done, by trainings of the same model that are; None where a model has none.

    As many as are running now share what is left; one, if none is.
    """
    done = table[table["state"] == "done"]
    trainings = {job.id: store.training(job) for job in plan.jobs}
    total = 0.0
    for (dataset, model), left in table[table["state"] != "done"].groupby(["dataset", "model"]):
        like = done[(done["dataset"] == dataset) & (done["model"] == model)]["job"].iloc[-_SAMPLE:]
        if like.empty:
            return None
        took = [trainings[job].record().get("duration_s") for job in like]
        if not (known := [seconds for seconds in took if seconds is not None]):
            return None
        each = statistics.median(known)
        begun = (left["epoch"].astype(float) / left["epochs"].astype(float)).fillna(0.0).clip(0, 1)
        total += each * float((1 - begun).sum())
    return total / max(1, int((table["state"] == "running").sum()))


def leftovers(store: Store, experiments: Sequence[Experiment]) -> list[tuple[Path, str, int]]:
    """Find what nothing in a store needs any more: path, why, and bytes."""
    planned = {store.training(job).folder for experiment in experiments for job in experiment.plan.jobs}
    datasets: set[tuple[str | None, str | None]] = {
        (source.name, source.digest) for experiment in experiments for source in experiment.plan.sources
    }
    for task in registry.tasks():
        datasets |= {(record.get("dataset"), record.get("digest")) for record in store.finished_jobs(task)}
    leftovers = store.leftovers(lambda file: locks.lock_owner(file) is not None, planned, datasets)
    return [(path, why, _size(path)) for path, why in leftovers]


def reasons(table: pd.DataFrame) -> dict[str, list[str]]:
    """Collect the trainings that failed by their reason, the most frequent first."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for row in table[table["state"] == "failed"].itertuples():
        by_reason[row.reason].append(row.job)
    return dict(sorted(by_reason.items(), key=lambda item: -len(item[1])))


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())
