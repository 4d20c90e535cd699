"""Carrying out a plan: train what is missing, average, score. Scores come only from stored predictions."""

import errno
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import registry, shutdown
from benchmarks.api.data import Dataset, recipe_with
from benchmarks.engine.execution import machine as host
from benchmarks.engine.execution import workers
from benchmarks.engine.planning.plan import Job, Plan, find_split, seed_of_attempt
from benchmarks.engine.store.checkpoints import EpochCheckpoints
from benchmarks.engine.store.locks import Claims
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput
from benchmarks.training.loop import Interrupted, TrainingDiverged

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

OnEvent = Callable[[Job, str, Any], None]

ATTEMPTS = 3
"""Seeds that a training is tried with before it counts as failed because its loss stops being finite."""
LOST_LIMIT = 3
"""Processes killed under a training in one command, without a new checkpoint, after which it counts as failed."""
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def execute(
    plan: Plan,
    store: Store,
    machine: host.Machine,
    *,
    save_models: bool = True,
    on_event: OnEvent = lambda job, kind, payload: None,
) -> dict[str, int]:
    """Train every job that is not stored yet; return counts of `done`, `failed` and `skipped` (stored before).

    A job that fails is written down with its reason and the others go on, but for those that need its model: they fail
    too, for that reason. A job whose process was killed goes on in another one, until LOST_LIMIT processes in a row got
    no further than the first of them. Jobs whose prerequisites are not done wait for them; these are in the plan. Those
    that another command works on are left to it and waited for; what it does not finish is taken over. `elsewhere` is
    the event of one that it finished.

    Raises
    ------
    stopping.Stopped
        If the process was asked to stop before all was done; what was begun has kept its state.
    """
    jobs = {job.id: job for job in plan.jobs}
    missing = []
    for job in plan.jobs:
        if store.is_done(folder_of(store, job)):
            store.tidy(folder_of(store, job))
        else:
            missing.append(job.id)
    counts = {"done": 0, "failed": 0, "skipped": len(jobs) - len(missing)}
    needed = {folder for job in plan.jobs for folder in _prerequisite_folders(store, job).values()}
    failed: set[Path] = set()
    n_lost: Counter[str] = Counter()
    lost_at: dict[str, str] = {}

    def handle(call_id: str, kind: str, payload: Any) -> None:
        job = jobs[call_id]
        if kind == "done" and payload["status"] == "held":
            held.append(call_id)
        elif kind == "done" and payload["status"] == "unwritable":
            shutdown.ask(payload["reason"])
        elif kind == "done" and payload["status"] == "interrupted":
            again.append(call_id)
            on_event(job, "interrupted", payload)
        elif kind == "done" and payload["status"] == "elsewhere":
            counts["skipped"] += 1
            on_event(job, "elsewhere", None)
        elif kind == "failed":
            if payload.get("lost"):
                reached = store.checkpoints(folder_of(store, job)).latest()
                n_lost[call_id] = 1 if reached > lost_at.get(call_id, reached) else n_lost[call_id] + 1
                lost_at[call_id] = max(reached, lost_at.get(call_id, reached))
            retried = payload.get("lost") and n_lost[call_id] < LOST_LIMIT and not shutdown.reason()
            if retried:
                again.append(call_id)
                on_event(job, "lost", payload)
                return
            tries = {"times_lost": n_lost[call_id]} if n_lost[call_id] else {}
            try:
                store.put_failure(folder_of(store, job), about(job) | {"status": "failed"} | tries | payload)
            except OSError as error:
                shutdown.ask(f"{store.root} cannot be written ({error.strerror})")
                return
            failed.add(folder_of(store, job))
            counts["failed"] += 1
            on_event(job, "failed", payload)
        else:
            counts["done"] += kind == "done"
            on_event(job, kind, payload)

    pause = 1.0
    open_executor = machine.executor("benchmarks.engine.execution.schedule:run_job", store.log_folder(plan.task))
    with shutdown.on_signals(), open_executor as carry_out:
        while missing:
            held: list[str] = []
            again: list[str] = []
            missing = _without_blocked(missing, jobs, store, failed, handle)
            ready = [job_id for job_id in missing if _is_ready(store, jobs[job_id])]
            blocked = [job_id for job_id in missing if job_id not in set(ready)]
            calls = [
                _call(jobs[job_id], store, machine, save_models or folder_of(store, jobs[job_id]) in needed)
                for job_id in ready
            ]
            carry_out(calls, handle)
            if why := shutdown.reason():
                raise shutdown.Stopped(why)
            missing = again + held + blocked
            if held and not again:
                if pause == 1.0:
                    on_event(jobs[held[0]], "waiting", len(held))
                time.sleep(pause)
                pause = min(2 * pause, 15.0)
    return counts


def _prerequisite_folders(store: Store, job: Job) -> dict[str, Path]:
    """Find where the models lie that a job needs: model -> folder of its training on the same split."""
    return {
        model: store.job_folder(job.task, job.dataset, model, run, job.split_name)
        for model, run in job.prerequisites.items()
    }


def _is_ready(store: Store, job: Job) -> bool:
    return all(map(store.is_done, _prerequisite_folders(store, job).values()))


def _without_blocked(
    missing: list[str], jobs: Mapping[str, Job], store: Store, failed: set[Path], handle: Callable
) -> list[str]:
    """Fail the jobs whose prerequisite failed in this call, and return the others."""
    kept = []
    for job_id in missing:
        needed = _prerequisite_folders(store, jobs[job_id])
        lost = next((model for model, folder in needed.items() if folder in failed), None)
        if lost is None:
            kept.append(job_id)
            continue
        failure = store.get_failure(needed[lost])
        if failure is None:  # another command has trained it meanwhile
            failed.discard(needed[lost])
            kept.append(job_id)
            continue
        reason = failure["reason"]
        failed.add(folder_of(store, jobs[job_id]))
        handle(job_id, "failed", {"reason": f"Not trained: it needs {lost}, which failed on this split: {reason}"})
    return kept


def _call(job: Job, store: Store, machine: host.Machine, save_models: bool) -> workers.Call:
    """Put a job into a worker's hands. One that was interrupted goes on with as many threads as it began with.

    The number of threads decides the order of sums, so another number would end in other predictions.
    """
    threads = store.checkpoints(folder_of(store, job)).threads() or machine.threads
    argument = (job, str(store.root.resolve()), machine.device, threads, save_models)
    return workers.Call(job.id, f"{job.framework}-{threads}", argument)


def folder_of(store: Store, job: Job) -> Path:
    return store.job_folder(job.task, job.dataset, job.model, job.run, job.split_name)


def about(job: Job) -> dict[str, Any]:
    """Return a job as plain values."""
    return dict(vars(job))


def run_job(argument: tuple[Job, str, str, int, bool], progress: Callable[[dict], None]) -> dict[str, Any]:
    """Train one job and store it; runs inside a worker, which holds the claim on the job meanwhile.

    Returns its record. The `status` of a record that tells why it was not trained here is `elsewhere` (done by another
    process before), `held` (another process is at it), `interrupted` (asked to stop; the state is kept) or
    `unwritable` (the disk is full or read-only).
    """
    job, root, *_ = argument
    store = Store(Path(root))
    folder = folder_of(store, job)
    if why := shutdown.reason():
        return {"status": "interrupted", "reason": f"Not begun: {why}."}
    with Claims() as claims:
        try:
            mine = not store.is_done(folder) and claims.take(store.claim_file(folder))
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
    host.reset_peak_memory()
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
        about(job)
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
            "peak_memory_mb": host.peak_memory_mb(),
            "peak_device_memory_mb": backend.peak_memory_mb() if backend else None,
            "threads": threads,
            "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "versions": host.versions(),
            "commit": host.commit(),
            "hardware": host.hardware(),
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
        """Trainings behind the predictions; those made elsewhere may be averages already."""
        return sum(job.recipe.get("n_averaged", 1) for job in self.jobs)

    @property
    def test(self) -> Dataset:
        return self.dataset.take(self.rows)

    def mean(self) -> dict[str, np.ndarray]:
        """Average the predictions of the members, output by output."""
        return {
            name: np.mean([member[name] for member in self.members], axis=0, dtype=np.float64)
            for name in self.members[0]
        }


def predicted(plan: Plan, store: Store, models: Collection[str] | None = None) -> Iterator[Predicted]:
    """Give the stored predictions of a plan, or of some of its models, one test fold of one model at a time."""
    outputs = registry.get_task(plan.task).SPEC.outputs
    for source in plan.sources:
        dataset = store.get_dataset(source.name, source.digest)
        mine = [job for job in plan.jobs if (job.dataset, job.digest) == (source.name, source.digest)]
        wanted = [job for job in mine if models is None or job.model in models]
        done = [job for job in wanted if _is_done(store, job)]
        for model, test_fold in dict.fromkeys((job.model, job.test_fold) for job in done):
            jobs = tuple(job for job in done if (job.model, job.test_fold) == (model, test_fold))
            stored = [store.get_predictions(folder_of(store, job)) for job in jobs]
            rows = stored[0][0]
            for job, (others, values) in zip(jobs, stored, strict=True):
                fits = np.array_equal(rows, others) and rows.max(initial=0) < len(dataset)
                if not fits or not set(outputs) <= values.keys():
                    raise BadInput(
                        f"{folder_of(store, job)} has predictions of other rows or outputs than its dataset and its "
                        "fellows have; remove it and run the plan again."
                    )
            yield Predicted(dataset, model, test_fold, jobs, rows, tuple(values for _, values in stored))


def score(
    plan: Plan, store: Store, task: Any, *, without: Mapping[tuple[str, int], np.ndarray] | None = None
) -> pd.DataFrame:
    """Score the finished jobs of a plan: every member, and the average over the members of each test fold.

    A task that compares single models (`compare`) has no averages.

    Parameters
    ----------
    without
        (dataset, test fold) -> row numbers of the dataset to leave out; only these test folds are scored, and those of
        which fewer than two rows are left are not.

    Returns the long table described in `results/README.md`; empty if nothing is finished.
    """
    parts = []
    for one in predicted(plan, store):
        head = {
            "task": plan.task,
            "task_version": plan.task_version,
            "dataset": one.dataset.name,
            "model": one.model,
            "run": one.jobs[0].run,
            "test_fold": one.test_fold,
            "origin": one.dataset.origin,
        }
        test, rows, single = one.test, None, one.n_members == len(one.jobs)
        if without is not None:
            if (place := (one.dataset.name, one.test_fold)) not in without:
                continue
            leave_out = getattr(task, "without", Dataset.without_elements)
            test, rows = leave_out(test, np.isin(one.rows, without[place]))
            if len(test) < 2:
                continue
        for job, predictions in zip(one.jobs, one.members, strict=True) if single else ():
            scored = task.score(test, _of_rows(predictions, rows))
            parts.append(scored.assign(**head, val_fold=job.val_fold, role="member", n_members=1))
        if hasattr(task, "compare") and single:
            continue
        scored = task.score(test, _of_rows(one.mean(), rows))
        parts.append(scored.assign(**head, val_fold=pd.NA, role="ensemble", n_members=one.n_members))
    if not parts:
        return pd.DataFrame(columns=SCORE_COLUMNS)
    table = pd.concat(parts, ignore_index=True).reindex(columns=SCORE_COLUMNS)  # not every task names what is held out
    return table.astype({"val_fold": "Int64"})


def _of_rows(predictions: Mapping[str, np.ndarray], rows: np.ndarray | None) -> Mapping[str, np.ndarray]:
    return predictions if rows is None else {name: values[rows] for name, values in predictions.items()}


def _is_done(store: Store, job: Job) -> bool:
    return store.is_done(folder_of(store, job))


def job_table(plan: Plan, store: Store) -> pd.DataFrame:
    """Return one row per job of a plan: done, failed (with `reason`) or waiting; what was not measured is NaN."""
    rows = []
    for job in plan.jobs:
        folder = folder_of(store, job)
        if store.is_done(folder):
            record = store.get_job(folder)
            rows.append(record | {"diverged": len(record.get("diverged", ()))})
        else:
            failure = store.get_failure(folder)
            reason = failure["reason"] if failure else None
            rows.append(about(job) | {"status": "failed" if failure else "waiting", "reason": reason})
    return pd.DataFrame(rows).reindex(columns=JOB_COLUMNS)


def history_table(plan: Plan, store: Store) -> pd.DataFrame:
    """Return one row per epoch of every finished job of a plan."""
    rows = []
    for job in plan.jobs:
        folder = folder_of(store, job)
        if store.is_done(folder):
            head = {"dataset": job.dataset, "model": job.model, "test_fold": job.test_fold, "val_fold": job.val_fold}
            rows += [head | row for row in store.get_history(folder)]
    return pd.DataFrame(rows)
