"""Where the trainings of a stored run stand, and when the rest will be done. Reads names and times, not predictions."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import registry
from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.store import locks
from benchmarks.engine.store.checkpoints import RunningProgress
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store

STATES = ("done", "running", "failed", "waiting")
COLUMNS = [
    "task", "dataset", "model", "test_fold", "val_fold", "state", "epoch", "epochs", "epoch_share", "train_loss",
    "val_pearson_r", "best_epoch", "best_val_pearson_r", "seconds_left", "host", "reason", "job",
]  # fmt: skip
_SAMPLE = 20


def states(plan: Plan, store: Store) -> pd.DataFrame:
    """Tell where every training of a plan stands; columns COLUMNS.

    `running`: a process that lives owns its lock. `failed` has a `reason`, and is trained again by the next command.
    `waiting` may have an `epoch`: the checkpoint that it goes on from. `running` has what the training noted last:
    finished epochs, the share of the next one, losses and validation scores, and the seconds until its last epoch at
    its own pace (a training that stops early needs fewer).
    """
    rows = []
    for job in plan.jobs:
        training = store.training(job)
        row: dict[str, Any] = {"task": plan.task, "dataset": job.dataset, "model": job.model}
        row |= {"test_fold": job.test_fold, "val_fold": job.val_fold}
        row |= {"state": "done", "epochs": job.recipe.get("epochs"), "job": job.id}
        if not training.is_done:
            host, failure = locks.lock_owner(training.lock_file), training.failure()
            row["state"] = "running" if host else "failed" if failure else "waiting"
            row |= {"host": host, "epoch": training.checkpoints.last_epoch()}
            if failure and not host:
                row["reason"] = failure["reason"]
            if host:
                row |= _running(training.checkpoints.running(), row["epoch"], row["epochs"])
        rows.append(row)
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def _running(progress: RunningProgress, kept: int | None, n_epochs: int | None) -> dict[str, Any]:
    """Return what is known of a training that is under way: the columns of COLUMNS that say how far it has come."""
    history, here = progress.history, progress.position
    row: dict[str, Any] = {"epoch": max(len(history), kept or 0) if history or kept is not None else None}
    if here and here["epoch"] == len(history) + 1:
        row |= {"epoch_share": here["batch"] / here["n_batches"], "train_loss": here["train_loss"]}
    if history:
        row.setdefault("train_loss", history[-1].get("train_loss"))
        row["val_pearson_r"] = history[-1].get("val_pearson_r")
        scored = [(r, -epoch["epoch"]) for epoch in history if (r := epoch.get("val_pearson_r")) is not None]
        if scored:
            best, epoch = max(scored)  # the first of equal ones
            row |= {"best_epoch": -epoch, "best_val_pearson_r": best}
    if n_epochs:
        row["seconds_left"] = progress.seconds_left(n_epochs)
    return row


def seconds_left(plan: Plan, store: Store, table: pd.DataFrame) -> float | None:
    """Estimate the seconds until all are done; None where nothing is known of a model yet.

    A training that runs is estimated at its own pace. One that waits is by trainings of the same model that are done,
    else by those that run. As many as are running now share what is left; one, if none is.
    """
    done, running = table[table["state"] == "done"], table[table["state"] == "running"]
    trainings = {job.id: store.training(job) for job in plan.jobs}
    total = 0.0
    for (dataset, model), left in table[table["state"] != "done"].groupby(["dataset", "model"]):
        like = done[(done["dataset"] == dataset) & (done["model"] == model)]["job"].iloc[-_SAMPLE:]
        took = [trainings[job].record().get("duration_s") for job in like]
        known = [seconds for seconds in took if seconds is not None]
        known = known or _whole_seconds(running[(running["dataset"] == dataset) & (running["model"] == model)])
        at_own_pace = left["seconds_left"].astype(float)
        waiting = left[at_own_pace.isna()]
        if len(waiting) and not known:
            return None
        total += float(at_own_pace.sum())
        if len(waiting):
            begun = (waiting["epoch"].astype(float) / waiting["epochs"].astype(float)).fillna(0.0).clip(0, 1)
            total += statistics.median(known) * float((1 - begun).sum())
    return total / max(1, len(running))


def _whole_seconds(running: pd.DataFrame) -> list[float]:
    """Return how long whole trainings take at the pace of those that run."""
    known = running.dropna(subset=["seconds_left", "epochs"])
    left = 1 - (known["epoch"].astype(float).fillna(0) + known["epoch_share"].astype(float).fillna(0)) / known["epochs"]
    return [float(seconds) / share for seconds, share in zip(known["seconds_left"], left, strict=True) if share > 0]


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
