"""Carrying out a plan: which trainings are ready, who trains them, and what becomes of each."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import shutdown
from benchmarks.engine.execution.events import Event, OnEvent, Outcome
from benchmarks.engine.execution.machine import Machine
from benchmarks.engine.execution.train_job import TrainingCall
from benchmarks.engine.execution.workers import Call
from benchmarks.engine.planning.plan import Job, Plan
from benchmarks.engine.store.store import Store

LOST_LIMIT = 3
"""Processes killed under a training in one command, without a new checkpoint, after which it counts as failed."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0
"""Seconds between two looks at trainings that other commands work on: they double from the first to the longest."""


def execute(
    plan: Plan,
    store: Store,
    machine: Machine,
    *,
    save_models: bool = True,
    on_event: OnEvent = lambda job, event, payload: None,
) -> dict[str, int]:
    """Train every job that is not stored yet; return counts of `done`, `failed` and `skipped` (stored before).

    A job that fails is written down with its reason and the others go on, but for those that need its model: they fail
    too, for that reason. A job whose process was killed goes on in another one, until LOST_LIMIT processes in a row got
    no further than the first of them. Jobs whose prerequisites are not done wait for them; these are in the plan. Those
    that another command works on are left to it and waited for; what it does not finish is taken over.

    Raises
    ------
    shutdown.Stopped
        If the process was asked to stop before all was done; what was begun has kept its state.
    """
    return Scheduler(plan, store, machine, save_models=save_models, on_event=on_event).run()


class Scheduler:
    """Gives the trainings of a plan to workers, round after round, until each is done or has failed."""

    def __init__(self, plan: Plan, store: Store, machine: Machine, *, save_models: bool, on_event: OnEvent):
        self.plan, self.store, self.machine, self.on_event = plan, store, machine, on_event
        self.jobs = {job.id: job for job in plan.jobs}
        self.counts = {"done": 0, "failed": 0, "skipped": 0}
        needed_by_others = {t.folder for job in plan.jobs for t in store.prerequisites(job).values()}
        self.saves_model = {job.id: save_models or store.training(job).folder in needed_by_others for job in plan.jobs}
        self._failed: set[Path] = set()
        self._n_lost: Counter[str] = Counter()
        self._reached: dict[str, str] = {}
        self._locked: list[str] = []
        self._again: list[str] = []
        self._pause_s = _FIRST_PAUSE_S

    def run(self) -> dict[str, int]:
        """Carry out the plan; see `execute`."""
        missing = self._missing()
        self.counts["skipped"] = len(self.jobs) - len(missing)
        function = "benchmarks.engine.execution.train_job:run_job"
        with (
            shutdown.on_signals(),
            self.machine.executor(function, self.store.log_folder(self.plan.task)) as execute_calls,
        ):
            while missing:
                missing = self._round(missing, execute_calls)
        return self.counts

    def _missing(self) -> list[str]:
        """List the jobs that are not done; what was left beside those that are is removed."""
        missing = []
        for job in self.plan.jobs:
            training = self.store.training(job)
            if training.is_done:
                training.tidy()
            else:
                missing.append(job.id)
        return missing

    def _round(self, missing: list[str], execute_calls: Callable[..., None]) -> list[str]:
        """Have every training that is ready trained once; return the jobs that are still missing.

        Raises
        ------
        shutdown.Stopped
            If the process was asked to stop.
        """
        self._locked, self._again = [], []
        missing = [job_id for job_id in missing if not self._fails_with_prerequisite(job_id)]
        ready = [job_id for job_id in missing if self._is_ready(job_id)]
        blocked = [job_id for job_id in missing if job_id not in set(ready)]
        execute_calls([self._call(self.jobs[job_id]) for job_id in ready], self._on_call_event)
        if reason := shutdown.shutdown_reason():
            raise shutdown.Stopped(reason)
        if self._locked and not self._again:
            self._wait_for_others()
        return self._again + self._locked + blocked

    def _is_ready(self, job_id: str) -> bool:
        return all(training.is_done for training in self.store.prerequisites(self.jobs[job_id]).values())

    def _fails_with_prerequisite(self, job_id: str) -> bool:
        """Fail a job whose prerequisite failed in this call; tell whether it did."""
        for model, training in self.store.prerequisites(self.jobs[job_id]).items():
            if training.folder not in self._failed:
                continue
            failure = training.failure()
            if failure is None:  # another command has trained it meanwhile
                self._failed.discard(training.folder)
                continue
            reason = f"Not trained: it needs {model}, which failed on this split: {failure['reason']}"
            self._on_failed(job_id, {"reason": reason})
            return True
        return False

    def _call(self, job: Job) -> Call:
        """Describe a training to a worker. One that was interrupted goes on with as many threads as it began with.

        The number of threads decides the order of sums, so another number would end in other predictions.
        """
        threads = self.store.training(job).checkpoints.threads() or self.machine.threads
        argument = TrainingCall(
            job, str(self.store.root.resolve()), self.machine.device, threads, self.saves_model[job.id]
        )
        return Call(job.id, f"{job.framework}-{threads}", argument)

    def _wait_for_others(self) -> None:
        if self._pause_s == _FIRST_PAUSE_S:
            self.on_event(self.jobs[self._locked[0]], Event.WAITING, len(self._locked))
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _on_call_event(self, job_id: str, event: Event, payload: Any) -> None:
        if event == Event.DONE:
            self._on_outcome(job_id, payload)
        elif event == Event.FAILED:
            self._on_failed(job_id, payload)
        else:
            self.on_event(self.jobs[job_id], event, payload)

    def _on_outcome(self, job_id: str, record: dict[str, Any]) -> None:
        """Note how a call ended that did not raise; see `Outcome`."""
        job, outcome = self.jobs[job_id], Outcome(record["status"])
        if outcome == Outcome.LOCKED:
            self._locked.append(job_id)
        elif outcome == Outcome.UNWRITABLE:
            shutdown.request_shutdown(record["reason"])
        elif outcome == Outcome.INTERRUPTED:
            self._again.append(job_id)
            self.on_event(job, Event.INTERRUPTED, record)
        elif outcome == Outcome.ELSEWHERE:
            self.counts["skipped"] += 1
            self.on_event(job, Event.ELSEWHERE, None)
        else:
            self.counts["done"] += 1
            self.on_event(job, Event.DONE, record)

    def _on_failed(self, job_id: str, payload: dict[str, Any]) -> None:
        """Have a training whose process was killed go on in another; write any other failure down."""
        job, training = self.jobs[job_id], self.store.training(self.jobs[job_id])
        if payload.get("lost") and self._may_go_on(job_id, training.checkpoints.latest()):
            self._again.append(job_id)
            self.on_event(job, Event.LOST, payload)
            return
        tries = {"times_lost": self._n_lost[job_id]} if self._n_lost[job_id] else {}
        try:
            training.put_failure(job.to_dict() | {"status": "failed"} | tries | payload)
        except OSError as error:
            shutdown.request_shutdown(f"{self.store.root} cannot be written ({error.strerror})")
            return
        self._failed.add(training.folder)
        self.counts["failed"] += 1
        self.on_event(job, Event.FAILED, payload)

    def _may_go_on(self, job_id: str, checkpoint: str) -> bool:
        """Count a lost process; those before the one that reached a new checkpoint no longer count."""
        reached = self._reached.get(job_id, checkpoint)
        self._n_lost[job_id] = 1 if checkpoint > reached else self._n_lost[job_id] + 1
        self._reached[job_id] = max(checkpoint, reached)
        return self._n_lost[job_id] < LOST_LIMIT and not shutdown.shutdown_reason()
