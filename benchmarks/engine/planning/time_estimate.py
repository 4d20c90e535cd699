"""How fast trainings are expected to be: what a plan is estimated with."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import system
from benchmarks.engine.planning.plan import Job, Plan

TYPICAL_CPU_SEQ_PER_S: dict[str, dict[float, float]] = {
    "dream_cnn": {0.1: 310, 1.0: 25},
    "dream_rnn": {0.1: 540, 1.0: 25},
    "dream_attn": {0.1: 170, 1.0: 15},
    "mprann": {0.2: 1600, 1.0: 220},
    "deepstarr": {0.4: 950, 1.0: 350},
    "kmer_ridge": {1.0: 60_000},
}
"""Training sequences per second on one core of a 2026 server, by width scale: good for an order of magnitude."""


class Throughput:
    """Expected training rows per second of a job on one worker; None where nothing is known.

    A row that an epoch shows twice (both strands) takes twice the time of a sequence.

    Measured speeds of stored jobs on the same kind of device come first, those of the same run before those of the same
    width; on a CPU a table of typical speeds serves where nothing was measured.
    """

    def __init__(self, finished: Sequence[Mapping[str, Any]], device: str):
        self.device = "cuda" if device != "cpu" and system.n_gpus() else "cpu"
        self.finished = [
            record
            for record in finished
            if record.get("device") == self.device
            and all(record.get(key) for key in ("train_seq_per_s", "n_train", "sequences_per_epoch"))
        ]

    def __call__(self, job: Job) -> float | None:
        width = _width(job.recipe)
        same_model = [record for record in self.finished if record["model"] == job.model]
        same_run = [record for record in same_model if record["run"] == job.config_hash]
        same_width = [record for record in same_model if _width(record["recipe"]) == width]
        if measured := same_run or same_width:
            return statistics.median(
                record["train_seq_per_s"] * record["n_train"] / record["sequences_per_epoch"] for record in measured
            )
        return typical_cpu_speed(job.model, width) if self.device == "cpu" else None


def typical_cpu_speed(model: str, width_scale: float) -> float | None:
    """Interpolate the table of typical speeds, straight on logarithmic axes."""
    known = TYPICAL_CPU_SEQ_PER_S.get(model)
    if not known:
        return None
    widths = sorted(known)
    logs = np.interp(math.log(width_scale), [math.log(w) for w in widths], [math.log(known[w]) for w in widths])
    return math.exp(logs)


def _width(recipe: dict[str, Any]) -> float:
    return recipe.get("width_scale", 1.0)


def estimate_seconds(plan: Plan, speed: Callable[[Job], float | None], n_workers: int) -> tuple[float, int]:
    """Estimate the wall time of a plan's jobs, and count the jobs whose speed is unknown.

    `speed` gives training sequences per second of one worker, or None.
    """
    seconds, unknown = 0.0, 0
    for job in plan.jobs:
        rate = speed(job)
        if rate:
            seconds += job.n_train * job.recipe.get("epochs", 1) / rate
        else:
            unknown += 1
    return seconds / max(1, n_workers), unknown
