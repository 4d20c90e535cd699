"""Concurrent trainings on one device: their throughput together, how many pay off, and pilot measurements of a plan.

Small networks at batch 32 leave a GPU waiting for the next launch most of the time; trainings in processes of their own
fill those gaps, and each computes what it would alone.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import system
from benchmarks.engine.execution import machine, workers
from benchmarks.engine.execution.events import Event
from benchmarks.engine.execution.step_timer import Case, UntrainedModel
from benchmarks.engine.planning.plan import Job, Plan
from benchmarks.errors import BadInput
from benchmarks.training import loop

MIN_GAIN = 1.1
"""Twice as many concurrent trainings pay off if their throughput together grows by this factor."""
MAX_CONCURRENT = 16
_WARM_UP_STEPS, _PATIENCE_S = 3, 600


@dataclasses.dataclass(frozen=True)
class _ConcurrentTraining:
    """One of `n` trainings that start together, when each has left its file in `folder`."""

    case: Case
    seconds: float
    n: int
    index: int
    folder: str


def train_for(training: _ConcurrentTraining, progress: Callable[[dict], None]) -> dict[str, Any]:
    """Train for some seconds beside others; runs in a worker. Returns throughput and sizes of this training."""
    model = UntrainedModel(training.case)
    take_steps = model.prepare_training(10_000)
    take_steps(_WARM_UP_STEPS)
    folder = Path(training.folder)
    (folder / str(training.index)).touch()
    began_waiting = time.perf_counter()
    while sum(1 for _ in folder.iterdir()) < training.n:
        if time.perf_counter() - began_waiting > _PATIENCE_S:
            raise TimeoutError("the other trainings did not get ready")
        time.sleep(0.02)
    total_s, n_steps, chunk = 0.0, 0, 2
    while total_s < training.seconds:
        chunk_s = take_steps(chunk)
        total_s += chunk_s
        n_steps += chunk
        chunk = max(1, min(loop.FIRST_CHUNK, int(chunk / max(chunk_s, 1e-9))))  # for about a second
    size = training.case.recipe["batch_size"]
    return {
        "train_seq_per_s": n_steps * size / total_s,
        "n_train": len(model.data),
        "sequences_per_epoch": model.fitted.rows_per_epoch(model.data),
        "memory_mb": model.backend.peak_memory_mb() or system.peak_memory_mb(),
        "device": model.where["device"],
        "device_name": model.where["device_name"],
        "precision": model.fitted.precision,
    }


def train_concurrently(case: Case, n: int, *, seconds: float) -> list[dict[str, Any]]:
    """Train `n` models of one kind at the same time, each in a process of its own; return the results of `train_for`.

    Raises
    ------
    BadInput
        If one of them fails, as when memory ends, with its reason.
    """
    results: list[dict[str, Any]] = []
    failed: list[str] = []

    def on_event(_: str, event: Event, payload: Any) -> None:
        if event == Event.DONE:
            results.append(payload)
        elif event == Event.FAILED:
            failed.append(payload["reason"])

    threads = max(1, system.n_cores() // n)
    case = dataclasses.replace(case, threads=threads)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as logs:
        calls = [
            workers.Call(str(i), f"{case.framework}-{i}", _ConcurrentTraining(case, seconds, n, i, folder))
            for i in range(n)
        ]
        workers.run_workers(
            "benchmarks.engine.execution.packing:train_for",
            calls,
            on_event,
            n_workers=n,
            environments=machine.Machine(case.device, n, threads).environments(),
            log_folder=Path(logs),
        )
    if failed:
        raise BadInput(f"{n} concurrent trainings of {case.model}: {failed[0]}")
    return results


def best_concurrency(case: Case, *, seconds: float = 5.0) -> int:
    """Find how many concurrent trainings pay off on one device, by doubling their number while throughput grows."""

    def throughput(n: int) -> float:
        return sum(result["train_seq_per_s"] for result in train_concurrently(case, n, seconds=seconds))

    best, best_rate = 1, throughput(1)
    while 2 * best <= MAX_CONCURRENT:
        try:
            rate = throughput(2 * best)
        except BadInput:  # memory has ended
            break
        if rate < MIN_GAIN * best_rate:
            break
        best, best_rate = 2 * best, rate
    return best


def case_of(job: Job, device: str) -> Case:
    """Take the model of a training with its recipe, to be measured on one device."""
    return Case(job.task, job.model, job.framework, job.recipe, device, system.n_cores())


def networks(plan: Plan) -> list[Job]:
    """List one training of every network of a plan."""
    return list({job.model: job for job in reversed(plan.jobs) if job.framework != "numpy"}.values())[::-1]


def pilot_measurements(plan: Plan, device: str, n: int, *, seconds: float = 3.0) -> list[dict[str, Any]]:
    """Train every network of a plan for some seconds, `n` at a time as the plan will; records for `Throughput`."""
    return [
        result | {"model": job.model, "run": job.config_hash, "recipe": job.recipe}
        for job in networks(plan)
        for result in train_concurrently(case_of(job, device), n, seconds=seconds)
    ]
