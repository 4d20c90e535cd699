"""Seconds per training batch and predictions per second of every model, on any device, as the paper measured them.

Source: Rafi et al. 2024, Extended Data Fig. 10 and Methods: 5,000 training batches (64 windows of ATAC, 32 sequences
elsewhere); predictions without gradients, 100 batches each of 32, 64, … sequences until memory ends; 50 repeats. The
paper's device is a V100 with 16 GB. What is measured here says its own device, and nothing of the paper's.
"""

import contextlib
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

from benchmarks import registry, system
from benchmarks.api.data import Dataset
from benchmarks.api.model import ModelModule, TimedModel, prerequisites_of
from benchmarks.api.recipe import recipe_with
from benchmarks.api.task import Task
from benchmarks.engine.planning.plan import Source, make_plan
from benchmarks.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How long to measure: training batches and prediction batches of a repeat, repeats, steps to warm up."""

    train_batches: int
    predict_batches: int
    repeats: int
    warm_up: int = 5


PROTOCOLS = {"paper": Protocol(5000, 100, 50), "short": Protocol(100, 100, 10), "quick": Protocol(5, 2, 3)}
TRAIN_BATCH, TRAIN_BATCH_OF = 32, {"atac": 64}
FIRST_PREDICT_BATCH, LAST_ON_CPU = 32, 1024
"""Smallest batch of predictions, and the largest on a CPU, whose memory does not end where a GPU's does."""

SPEED_COLUMNS = [
    "task", "model", "protocol", "device", "device_name", "framework", "backend", "precision", "threads", "width_scale",
    "n_params", "flops_per_sequence", "batch_size", "train_batches", "repeats", "s_per_batch", "s_per_batch_low",
    "s_per_batch_high", "train_seq_per_s", "train_memory_mb", "predict_batch", "predict_seq_per_s", "share_of_peak",
    "peak_flops_per_s", "peak_bytes_per_s", "ended_by",
]  # fmt: skip
THROUGHPUT_COLUMNS = [
    "task", "model", "protocol", "device", "device_name", "precision", "batch_size", "predict_batches", "repeats",
    "seq_per_s", "seq_per_s_low", "seq_per_s_high", "memory_mb",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
    """One model of one task to measure; picklable, for a worker."""

    task: str
    model: str
    framework: str
    recipe: Mapping[str, Any]
    protocol: str
    device: str
    threads: int
    memory_limit_gib: float | None


def cases(
    task_name: str,
    models: list[str] | None,
    *,
    preset: str,
    changes: list[str],
    protocol: str,
    device: str,
    memory_limit_gib: float | None,
) -> list[Case]:
    """List what to measure of a task: its models, or the named ones, with the recipes of a preset.

    Raises
    ------
    BadInput
        For an unknown task, model, preset or setting, or a model that does not train in batches.
    """
    if any(change.partition("=")[0].strip().endswith(".batch_size") for change in changes):
        raise BadInput(
            "Training is measured in batches of 32 (64 for atac), as the paper did; "
            "leave out recipe.batch_size or model.batch_size."
        )
    task = registry.get_task(task_name)
    wanted = models or [*task.MODELS, *(name for name in (task.BASELINE,) if name not in task.MODELS)]
    data = task.simulate(seed=0)
    plan = make_plan(task, preset, [Source("simulated", len(data), data)], seed=0, models=wanted, changes=changes)
    if models and (refused := next((name for name in models if name in plan.skipped), None)):
        raise BadInput(f"{refused} cannot be measured on {task_name}: it {plan.skipped[refused]}.")
    found = []
    for name in (name for name in wanted if name in plan.recipes):
        framework = registry.model_entry(name).framework
        if framework == "numpy":
            raise BadInput(f"{name} does not train in batches on a device; measure networks.")
        recipe = plan.recipes[name] | {"batch_size": TRAIN_BATCH_OF.get(task_name, TRAIN_BATCH)}
        threads = system.n_cores()
        found.append(Case(task_name, name, framework, recipe, protocol, device, threads, memory_limit_gib))
    return found


def measure(case: Case, progress: Callable[[dict], None]) -> dict[str, Any]:
    """Measure one model; runs in a worker of its framework.

    Returns
    -------
    `speed`, one row of SPEED_COLUMNS, and `throughput`, a row of THROUGHPUT_COLUMNS per batch size. Rates are medians
    over repeats; low and high are their quartiles.
    """
    protocol = PROTOCOLS[case.protocol]
    with ready(case) as model:
        where, tools, backend, fitted, data = model.where, model.tools, model.backend, model.fitted, model.data
        about = {"task": case.task, "model": case.model, "protocol": case.protocol, "precision": fitted.precision}
        about |= {name: where[name] for name in ("device", "device_name")}
        peaks = tools.peak_rates(fitted.precision)
        flops = tools.flops_per_sequence(fitted, data)
        system.reset_peak_memory()
        backend.reset_peak_memory()
        total = protocol.warm_up + protocol.repeats * protocol.train_batches
        step = model.steps(total)
        step(protocol.warm_up)
        times = []
        for repeat in range(protocol.repeats):
            times.append(step(protocol.train_batches) / protocol.train_batches)
            progress({"part": "training", "done": repeat + 1, "of": protocol.repeats})
        train_memory = backend.peak_memory_mb() or system.peak_memory_mb()
        throughput, ended_by = _doubling(model, protocol, about, progress)
    best = max(throughput, key=lambda row: row["seq_per_s"])
    low, median, high = _quartiles(times)
    size = case.recipe["batch_size"]
    speed = about | {
        "framework": where["framework"], "backend": where["backend"], "threads": case.threads,
        "width_scale": case.recipe["width_scale"], "n_params": fitted.n_params, "flops_per_sequence": flops,
        "batch_size": size, "train_batches": protocol.train_batches, "repeats": protocol.repeats,
        "s_per_batch": median, "s_per_batch_low": low, "s_per_batch_high": high, "train_seq_per_s": size / median,
        "train_memory_mb": train_memory, "predict_batch": best["batch_size"], "predict_seq_per_s": best["seq_per_s"],
        "share_of_peak": flops * best["seq_per_s"] / peaks["flops_per_s"], "peak_flops_per_s": peaks["flops_per_s"],
        "peak_bytes_per_s": peaks["bytes_per_s"], "ended_by": ended_by,
    }  # fmt: skip
    return {"speed": speed, "throughput": throughput}


@contextlib.contextmanager
def ready(case: Case) -> Iterator["Ready"]:
    """Build what is to be measured in this process; what it is built on is forgotten afterwards."""
    with contextlib.ExitStack() as stack:
        yield Ready(case, stack)


class Ready:
    """A model built in this process, with simulated rows of its task."""

    def __init__(self, case: Case, stack: contextlib.ExitStack):
        task, module = registry.get_task(case.task), registry.get_model(case.model)
        self.case = case
        self.backend = registry.get_backend(case.framework)
        self.tools = speed_tools(case.framework)
        self.where = self.backend.configure(case.device, case.threads)
        if case.memory_limit_gib:
            self.tools.limit_memory(case.memory_limit_gib)
        self.data: Dataset = task.simulate(seed=0)
        recipe = recipe_with(module.RECIPE, case.recipe, source=f"{case.task}, {case.model}")
        self.fitted = cast(TimedModel, module.build(task.SPEC, recipe, _untrained(task, module, stack)))

    def steps(self, n_steps: int) -> Callable[[int], float]:
        """Prepare a training of so many steps; returns what takes the next n of them and gives their seconds."""
        self.fitted.prepare(self.data, n_steps)
        rng = np.random.default_rng(0)
        n_rows, size = self.fitted.rows_per_epoch(self.data), self.case.recipe["batch_size"]

        def take(n: int) -> float:
            batches = [rng.choice(n_rows, size, replace=n_rows < size) for _ in range(n)]
            self.tools.synchronise()
            start = time.perf_counter()
            self.fitted.train_batches(batches)
            self.tools.synchronise()
            return time.perf_counter() - start

        return take

    def predict(self, size: int) -> Callable[[], float]:
        """Lay out one batch of predictions; returns what makes it and gives its seconds."""
        rows = self.data.take(np.resize(np.arange(len(self.data)), size)).without_targets()

        def once() -> float:
            start = time.perf_counter()
            self.fitted.predict(rows)
            return time.perf_counter() - start

        return once


def _untrained(task: Task, module: ModelModule, stack: contextlib.ExitStack) -> dict[str, Path]:
    """Save the models that a model is built on, as they are before a training: speed does not depend on weights."""
    prerequisite_dirs = {}
    for name in prerequisites_of(module):
        needed = registry.get_model(name)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        built = needed.build(task.SPEC, needed.RECIPE, {})
        built.outputs = task.SPEC.outputs
        built.save(folder)
        prerequisite_dirs[name] = folder
    return prerequisite_dirs


def _doubling(
    model: Ready, protocol: Protocol, about: dict[str, Any], progress: Callable[[dict], None]
) -> tuple[list[dict[str, Any]], str]:
    """Predict with ever larger batches until memory ends; returns rows of THROUGHPUT_COLUMNS and what ended it."""
    backend, usual = model.backend, model.backend.PREDICT_BATCH
    on_cpu = model.where["device"] == "cpu"
    rows: list[dict[str, Any]] = []
    size, ended_by = FIRST_PREDICT_BATCH, "memory"
    try:
        while True:
            backend.PREDICT_BATCH = size
            backend.reset_peak_memory()
            try:
                once = model.predict(size)
                once()
                times = []
                for repeat in range(protocol.repeats):
                    times.append(sum(once() for _ in range(protocol.predict_batches)) / protocol.predict_batches)
                    progress({"part": f"batch {size}", "done": repeat + 1, "of": protocol.repeats})
            except model.tools.OUT_OF_MEMORY:
                if not rows:
                    raise
                break
            high, median, low = (size / seconds for seconds in _quartiles(times))
            counts = {"predict_batches": protocol.predict_batches, "repeats": protocol.repeats}
            rates = {"seq_per_s": median, "seq_per_s_low": low, "seq_per_s_high": high}
            memory = backend.peak_memory_mb() or system.peak_memory_mb()
            rows.append(about | {"batch_size": size} | counts | rates | {"memory_mb": memory})
            if on_cpu and size >= LAST_ON_CPU:
                ended_by = "largest batch on a CPU"
                break
            limit = model.case.memory_limit_gib
            if on_cpu and limit and memory and 2 * memory > 1024 * limit:
                ended_by = "memory limit"
                break
            size *= 2
    finally:
        backend.PREDICT_BATCH = usual
    return rows, ended_by


def _quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, statistics.median(values), high


def speed_tools(framework: str) -> ModuleType:
    """Import what measures a framework, which is installed: the module `torch_tools` or `keras_tools`."""
    if framework == "torch":
        from benchmarks.apps.speed import torch_tools

        return torch_tools
    from benchmarks.apps.speed import keras_tools

    return keras_tools
