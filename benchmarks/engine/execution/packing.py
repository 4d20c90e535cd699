"""Several trainings on one device at the same time: how much they do together, how many pay, and what a plan will take.

Small networks at batch 32 leave a GPU waiting for the next launch most of the time; trainings in processes of their own
fill those gaps, and every one computes what it would alone.
"""

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import system
from benchmarks.engine.execution import machine, workers
from benchmarks.engine.execution.step_timer import Case, UntrainedModel
from benchmarks.engine.planning.plan import Job, Plan
from benchmarks.errors import BadInput
from benchmarks.training import loop

WORTH_IT = 1.1
"""Twice as many trainings at a time are kept if together they do this much more."""
MOST = 16
_WARM_UP_STEPS, _PATIENCE_S = 3, 600


@dataclasses.dataclass(frozen=True)
class _Turn:
    """One of `n` trainings that start together, when each has left its file in `folder`."""

    case: Case
    seconds: float
    n: int
    index: int
    folder: str


def train_for(turn: _Turn, progress: Callable[[dict], None]) -> dict[str, Any]:
    """Train for some seconds, together with others; runs in a worker. Returns rates and sizes of its training."""
    model = UntrainedModel(turn.case)
    take = model.prepare_training(10_000)
    take(_WARM_UP_STEPS)
    folder = Path(turn.folder)
    (folder / str(turn.index)).touch()
    waited = time.perf_counter()
    while sum(1 for _ in folder.iterdir()) < turn.n:
        if time.perf_counter() - waited > _PATIENCE_S:
            raise TimeoutError("the other trainings did not get ready")
        time.sleep(0.02)
    spent, n_steps, some = 0.0, 0, 2
    while spent < turn.seconds:
        took = take(some)
        spent += took
        n_steps += some
        some = max(1, min(loop.FIRST_CHUNK, int(some / max(took, 1e-9))))  # for about a second
    size = turn.case.recipe["batch_size"]
    return {
        "train_seq_per_s": n_steps * size / spent,
        "n_train": len(model.data),
        "sequences_per_epoch": model.fitted.rows_per_epoch(model.data),
        "memory_mb": model.backend.peak_memory_mb() or system.peak_memory_mb(),
        "device": model.where["device"],
        "device_name": model.where["device_name"],
        "precision": model.fitted.precision,
    }


def together(case: Case, n: int, *, seconds: float) -> list[dict[str, Any]]:
    """Train `n` models of one kind at the same time, each in a process of its own; what each of them did.

    Raises
    ------
    BadInput
        If one of them fails, as when memory ends, with its reason.
    """
    found: list[dict[str, Any]] = []
    failed: list[str] = []

    def on_event(_: str, kind: str, payload: Any) -> None:
        if kind == "done":
            found.append(payload)
        elif kind == "failed":
            failed.append(payload["reason"])

    threads = max(1, system.n_cores() // n)
    case = dataclasses.replace(case, threads=threads)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as logs:
        calls = [workers.Call(str(i), f"{case.framework}-{i}", _Turn(case, seconds, n, i, folder)) for i in range(n)]
        workers.run_workers(
            "benchmarks.engine.execution.packing:train_for",
            calls,
            on_event,
            n_workers=n,
            environments=machine.Machine(case.device, n, threads).environments(),
            log_folder=Path(logs),
        )
    if failed:
        raise BadInput(f"{n} trainings of {case.model} at a time: {failed[0]}")
    return found


def choose(case: Case, *, seconds: float = 5.0) -> int:
    """Find how many trainings at a time pay on one device: twice as many as long as that is worth it."""
    best, best_rate = 1, sum(one["train_seq_per_s"] for one in together(case, 1, seconds=seconds))
    while 2 * best <= MOST:
        try:
            rate = sum(one["train_seq_per_s"] for one in together(case, 2 * best, seconds=seconds))
        except BadInput:  # memory has ended
            break
        if rate < WORTH_IT * best_rate:
            break
        best, best_rate = 2 * best, rate
    return best


def case_of(job: Job, device: str) -> Case:
    """Take the model of a training with its recipe, to be measured on one device."""
    return Case(job.task, job.model, job.framework, job.recipe, device, system.n_cores())


def networks(planned: Plan) -> list[Job]:
    """List one training of every network of a plan."""
    return list({job.model: job for job in reversed(planned.jobs) if job.framework != "numpy"}.values())[::-1]


def probe(planned: Plan, device: str, n: int, *, seconds: float = 3.0) -> list[dict[str, Any]]:
    """Train every network of a plan for some seconds, `n` at a time as the plan will; records for `timing.Speeds`."""
    return [
        one | {"model": job.model, "run": job.config_hash, "recipe": job.recipe}
        for job in networks(planned)
        for one in together(case_of(job, device), n, seconds=seconds)
    ]
