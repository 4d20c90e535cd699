"""One training, from its job to its stored predictions; runs inside a worker."""

import errno
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import registry, shutdown, system
from benchmarks.api.data import Dataset
from benchmarks.api.recipe import recipe_with
from benchmarks.engine.execution.schedule import _prerequisite_folders
from benchmarks.engine.planning.folds import find_split
from benchmarks.engine.planning.plan import Job, seed_of_attempt
from benchmarks.engine.store.checkpoints import EpochCheckpoints
from benchmarks.engine.store.locks import TrainingLocks
from benchmarks.engine.store.store import Store, folder_of
from benchmarks.training.loop import Interrupted, TrainingDiverged

ATTEMPTS = 3
"""Seeds that a training is tried with before it counts as failed because its loss stops being finite."""


_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def run_job(argument: tuple[Job, str, str, int, bool], progress: Callable[[dict], None]) -> dict[str, Any]:
    """Train one job and store it; runs inside a worker, which holds the claim on the job meanwhile.

    Returns its record. The `status` of a record that tells why it was not trained here is `elsewhere` (done by another
    process before), `held` (another process is at it), `interrupted` (asked to stop; the state is kept) or
    `unwritable` (the disk is full or read-only).
    """
    job, root, *_ = argument
    store = Store(Path(root))
    folder = folder_of(store, job)
    if why := shutdown.shutdown_reason():
        return {"status": "interrupted", "reason": f"Not begun: {why}."}
    with TrainingLocks() as claims:
        try:
            mine = not store.is_done(folder) and claims.take(store.lock_file(folder))
            if store.is_done(folder):  # looked at again: it may have been finished just before it was claimed
                return {"status": "elsewhere"}
            return _train(argument, progress) if mine else {"status": "held"}
        except Interrupted as interrupted:
            return {"status": "interrupted", "reason": str(interrupted)}
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            return {"status": "unwritable", "reason": f"{root} cannot be written ({error.strerror})"}


def _train(argument: tuple[Job, str, str, int, bool], progress: Callable[[dict], None]) -> dict[str, Any]:
    job, root, device, threads, save_models = argument
    if job.plugin:
        registry.add_plugin(Path(job.plugin), code=job.code)
    store, task, model = Store(Path(root)), registry.get_task(job.task), registry.get_model(job.model)
    backend = registry.get_backend(job.framework)
    where = _configure(job.framework, device, threads)
    dataset = _dataset(root, job.dataset, job.digest)
    split = find_split(task, dataset, job.test_fold, job.val_fold)
    test = dataset.take(split.test)
    system.reset_peak_memory()
    if backend:
        backend.reset_peak_memory()
    folder = folder_of(store, job)
    checkpoints = store.checkpoints(folder)
    checkpoints.begin(threads)
    started = time.perf_counter()
    recipe = recipe_with(model.RECIPE, job.recipe, source=f"job {job.id}")
    train, val = dataset.take(split.train), dataset.take(split.val)

    def attempt(seed: int) -> tuple[Any, list[dict]]:
        if backend:
            backend.seed_everything(seed)
        fitted = model.build(task.SPEC, recipe, _prerequisite_folders(store, job))
        return fitted, fitted.fit(train, val, seed=seed, on_epoch=progress, checkpoints=checkpoints)

    fitted, history = _until_it_converges(attempt, job, checkpoints)
    fitted_at = time.perf_counter()
    predictions = _checked(fitted.predict(test.without_targets()), task.SPEC.outputs, len(test))
    finished = time.perf_counter()
    train_seconds = sum(row["train_seconds"] for row in history)
    resumed = checkpoints.resumed()
    before = sum(row["seconds"] for row in history[: resumed[-1]]) if resumed else 0.0
    record = (
        job.to_dict()
        | where
        | {
            "status": "done",
            "task_version": task.VERSION,
            "origin": dataset.origin,
            "n_params": fitted.n_params,
            "precision": fitted.precision,
            "epochs_run": len(history),
            "best_epoch": next(row["epoch"] for row in history if row["is_best"]),
            "n_val": len(split.val),
            "n_test": len(test),
            "duration_s": finished - started + before,
            "resumed_after_epochs": resumed,
            "diverged": checkpoints.diverged(),
            "train_seq_per_s": sum(row.get("sequences", len(split.train)) for row in history) / train_seconds,
            "sequences_per_epoch": history[0].get("sequences", len(split.train)),
            "predict_seq_per_s": len(test) / (finished - fitted_at),
            "peak_memory_mb": system.peak_memory_mb(),
            "peak_device_memory_mb": backend.peak_memory_mb() if backend else None,
            "threads": threads,
            "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "versions": system.versions(),
            "commit": system.commit(),
            "hardware": system.hardware(),
        }
    )
    save = fitted.save if save_models else None
    store.put_job(folder, record, history, split.test, predictions, save)
    return record


def _until_it_converges(
    attempt: Callable[[int], tuple[Any, list[dict]]], job: Job, checkpoints: EpochCheckpoints
) -> tuple[Any, list[dict]]:
    """Train with the job's seed; after a divergence with seeds derived from it, ATTEMPTS times in all."""
    while True:
        before = len(checkpoints.diverged())
        seed = seed_of_attempt(job, before)
        try:
            return attempt(seed)
        except TrainingDiverged as error:
            if before + 1 >= ATTEMPTS:
                checkpoints.remove()  # the next command tries all of them again, maybe with another recipe
                raise TrainingDiverged(f"Diverged with each of {ATTEMPTS} seeds. The last time: {error}") from None
            checkpoints.begin_again(seed, str(error))


@cache
def _configure(framework: str, device: str, threads: int) -> dict[str, str]:
    backend = registry.get_backend(framework)
    if backend is None:
        return {"device": "cpu", "device_name": "cpu", "framework": "numpy", "backend": "numpy"}
    return backend.configure(device, threads)


@cache
def _dataset(root: str, name: str, digest: str) -> Dataset:
    return Store(Path(root)).get_dataset(name, digest)


def _checked(predictions: Mapping[str, np.ndarray], outputs: tuple[str, ...], n: int) -> dict[str, np.ndarray]:
    for output in outputs:
        if output not in predictions or predictions[output].shape[:1] != (n,):
            shapes = {name: values.shape for name, values in predictions.items()}
            raise ValueError(f"predict() must give {n} values for each of {', '.join(outputs)}; it gave {shapes}.")
        if not np.isfinite(predictions[output]).all():
            raise ValueError(f"The trained model predicts values that are not finite for output {output!r}.")
    return {output: predictions[output] for output in outputs}
