"""Carrying out a plan: train what is missing, average, score. Scores come only from stored predictions."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import shutdown
from benchmarks.engine.execution import machine as host
from benchmarks.engine.execution import workers
from benchmarks.engine.planning.plan import Job, Plan
from benchmarks.engine.store.store import Store, folder_of

OnEvent = Callable[[Job, str, Any], None]

LOST_LIMIT = 3
"""Processes killed under a training in one command, without a new checkpoint, after which it counts as failed."""


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
            shutdown.request_shutdown(payload["reason"])
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
            retried = payload.get("lost") and n_lost[call_id] < LOST_LIMIT and not shutdown.shutdown_reason()
            if retried:
                again.append(call_id)
                on_event(job, "lost", payload)
                return
            tries = {"times_lost": n_lost[call_id]} if n_lost[call_id] else {}
            try:
                store.put_failure(folder_of(store, job), job.to_dict() | {"status": "failed"} | tries | payload)
            except OSError as error:
                shutdown.request_shutdown(f"{store.root} cannot be written ({error.strerror})")
                return
            failed.add(folder_of(store, job))
            counts["failed"] += 1
            on_event(job, "failed", payload)
        else:
            counts["done"] += kind == "done"
            on_event(job, kind, payload)

    pause = 1.0
    open_executor = machine.executor("benchmarks.engine.execution.train_job:run_job", store.log_folder(plan.task))
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
            if why := shutdown.shutdown_reason():
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
