"""One training, from its job to its stored predictions; runs inside a worker."""

import dataclasses
import errno
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import registry, shutdown, system
from benchmarks.api.backend import Backend
from benchmarks.api.data import Dataset, Split
from benchmarks.api.model import History, Model, OnEpoch
from benchmarks.api.recipe import recipe_with
from benchmarks.api.task import SpecFromData, spec_of, supports
from benchmarks.engine.execution.events import Outcome
from benchmarks.engine.planning.folds import find_split
from benchmarks.engine.planning.plan import Job, seed_of_attempt
from benchmarks.engine.store.checkpoints import EpochCheckpoints
from benchmarks.engine.store.locks import TrainingLocks
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training import Training
from benchmarks.training.loop import Interrupted, TrainingDiverged

ATTEMPTS = 3
"""Seeds that a training is tried with before it counts as failed because its loss stops being finite."""
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True)
class TrainingCall:
    """What a worker needs to know of a training; plain values, so that it travels to other processes and nodes.

    Parameters
    ----------
    root
        Results folder, absolute.
    device, threads
        `auto`, `cpu` or `cuda`; CPU threads of the training.
    save_model
        Whether the trained weights are kept beside the predictions.
    """

    job: Job
    root: str
    device: str
    threads: int
    save_model: bool


def run_job(call: TrainingCall, on_epoch: OnEpoch) -> dict[str, Any]:
    """Train one job and store it; runs inside a worker, which holds the lock on the job meanwhile.

    `on_epoch` is given every row of the history and, within long epochs, where they stand; see `Checkpoints.reached`.

    Returns
    -------
    The record of the training, or `status` and `reason` of one that was not trained here; see `Outcome`.
    """
    if reason := shutdown.shutdown_reason():
        return {"status": Outcome.INTERRUPTED, "reason": f"Not begun: {reason}."}
    training = Store(Path(call.root)).training(call.job)
    with TrainingLocks() as locks:
        try:
            is_locked = not training.is_done and locks.take(training.lock_file)
            if training.is_done:  # looked at again: it may have been finished just before it was locked
                return {"status": Outcome.ELSEWHERE}
            return _train(call, training, on_epoch) if is_locked else {"status": Outcome.LOCKED}
        except Interrupted as interrupted:
            return {"status": Outcome.INTERRUPTED, "reason": str(interrupted)}
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            return {"status": Outcome.UNWRITABLE, "reason": f"{call.root} cannot be written ({error.strerror})"}


def _train(call: TrainingCall, training: Training, on_epoch: OnEpoch) -> dict[str, Any]:
    job = call.job
    if job.plugin:
        registry.add_plugin(Path(job.plugin), code=job.code)
    store, task, module = Store(Path(call.root)), registry.get_task(job.task), registry.get_model(job.model)
    backend = registry.get_backend(job.framework)
    where = _configure(job.framework, call.device, call.threads)
    dataset = _dataset(call.root, job.dataset, job.digest)
    spec = spec_of(task, dataset)
    split = find_split(task, dataset, job.test_fold, job.val_fold)
    test = dataset.take(split.test)
    system.reset_peak_memory()
    if backend:
        backend.reset_peak_memory()
    checkpoints = training.checkpoints
    checkpoints.begin(call.threads, on_epoch)
    started = time.perf_counter()
    recipe = recipe_with(module.RECIPE, job.recipe, source=f"job {job.id}")
    prerequisite_dirs = {model: needed.folder for model, needed in store.prerequisites(job).items()}
    train, val = dataset.take(rows_to_train(split, job.recipe)), dataset.take(split.val)

    def attempt(seed: int) -> tuple[Model, History]:
        if backend:
            backend.seed_everything(seed)
        model = module.build(spec, recipe, prerequisite_dirs)
        if backend:
            backend.place(model, where["device"])
        return model, model.fit(train, val, seed=seed, on_epoch=checkpoints.epoch_over, checkpoints=checkpoints)

    model, history = _until_it_converges(attempt, job, checkpoints)
    trained = time.perf_counter()
    predictions = _checked(model.predict(test.without_targets()), spec.outputs, len(test))
    finished = time.perf_counter()
    resumed = checkpoints.resumed()
    earlier_s = sum(row["seconds"] for row in history[: resumed[-1]]) if resumed else 0.0
    record = (
        job.to_dict()
        | where
        | _speed_of(history, len(train))
        | _facts_of_process(backend)
        | {
            "status": str(Outcome.DONE),
            "task_version": task.VERSION,
            "origin": dataset.origin,
            "n_params": model.n_params,
            "precision": model.precision,
            "epochs_run": len(history),
            "best_epoch": next(row["epoch"] for row in history if row["is_best"]),
            "n_val": len(val),
            "n_test": len(test),
            "duration_s": finished - started + earlier_s,
            "resumed_after_epochs": resumed,
            "diverged": checkpoints.diverged(),
            "predict_seq_per_s": len(test) / (finished - trained),
            "threads": call.threads,
        }
    )
    if supports(task, SpecFromData):  # so that the stored model can be opened where its data is not
        record["spec"] = dataclasses.asdict(spec)
    training.put(record, history, split.test, predictions, model.save if call.save_model else None)
    return record


def rows_to_train(split: Split, recipe: Mapping[str, Any]) -> np.ndarray:
    """Return the rows that a recipe trains on, (n,) int: those of the split, or with those that would validate it."""
    return np.concatenate([split.train, split.val]) if recipe.get("train_on") == "all" else split.train


def _speed_of(history: History, n_train: int) -> dict[str, float]:
    """Training rows per second and rows of an epoch; an epoch that does not say how many it showed showed all."""
    sequences = [row.get("sequences", n_train) for row in history]
    train_seconds = sum(row["train_seconds"] for row in history)
    return {"train_seq_per_s": sum(sequences) / train_seconds, "sequences_per_epoch": sequences[0]}


def _facts_of_process(backend: Backend | None) -> dict[str, Any]:
    """What a record says of the process that trained: memory, time, versions, commit and hardware."""
    return {
        "peak_memory_mb": system.peak_memory_mb(),
        "peak_device_memory_mb": backend.peak_memory_mb() if backend else None,
        "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": system.versions(),
        "commit": system.commit(),
        "hardware": system.hardware(),
    }


def _until_it_converges(
    attempt: Callable[[int], tuple[Model, History]], job: Job, checkpoints: EpochCheckpoints
) -> tuple[Model, History]:
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
