"""Tables of a plan's trainings and of their epochs."""

import pandas as pd

from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.store.store import Store

JOB_COLUMNS = [
    "dataset",
    "model",
    "test_fold",
    "val_fold",
    "status",
    "reason",
    "n_train",
    "duration_s",
    "diverged",
    "epochs_run",
    "best_epoch",
    "train_seq_per_s",
    "predict_seq_per_s",
    "peak_memory_mb",
    "peak_device_memory_mb",
    "n_params",
    "device",
    "framework",
    "backend",
    "precision",
]


def job_table(plan: Plan, store: Store) -> pd.DataFrame:
    """Return one row per job of a plan: done, failed (with `reason`) or waiting; what was not measured is NaN."""
    rows = []
    for job in plan.jobs:
        training = store.training(job)
        if training.is_done:
            record = training.record()
            rows.append(record | {"diverged": len(record.get("diverged", []))})
        else:
            failure = training.failure()
            reason = failure["reason"] if failure else None
            rows.append(job.to_dict() | {"status": "failed" if failure else "waiting", "reason": reason})
    return pd.DataFrame(rows).reindex(columns=JOB_COLUMNS)


def history_table(plan: Plan, store: Store) -> pd.DataFrame:
    """Return one row per epoch of every finished job of a plan."""
    rows = []
    for job in plan.jobs:
        training = store.training(job)
        if training.is_done:
            head = {"dataset": job.dataset, "model": job.model, "test_fold": job.test_fold, "val_fold": job.val_fold}
            rows += [head | row for row in training.history()]
    return pd.DataFrame(rows)
