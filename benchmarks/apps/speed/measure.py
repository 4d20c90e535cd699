"""Seconds per training batch and predictions per second of every model, on any device, as the paper measured them.

Source: Rafi et al. 2024, Extended Data Fig. 10 and Methods: 5,000 training batches (64 windows of ATAC, 32 sequences
elsewhere); predictions without gradients, 100 batches each of 32, 64, … sequences until memory ends; 50 repeats. The
paper's device is a V100 with 16 GB. What is measured here says its own device, and nothing of the paper's.
"""

import dataclasses
import statistics
from collections.abc import Callable
from types import ModuleType
from typing import Any

from benchmarks import registry, system
from benchmarks.engine.evaluation import speed_repeats
from benchmarks.engine.execution.step_timer import Case, UntrainedModel
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
    "s_per_batch_high", "train_seq_per_s", "train_memory_mb", "predict_batch", "predict_seq_per_s", "fastest_batch",
    "fastest_seq_per_s", "share_of_peak", "peak_flops_per_s", "peak_bytes_per_s", "ended_by",
]  # fmt: skip
THROUGHPUT_COLUMNS = [
    "task", "model", "protocol", "device", "device_name", "precision", "batch_size", "predict_batches", "repeats",
    "seq_per_s", "seq_per_s_low", "seq_per_s_high", "memory_mb",
]  # fmt: skip


def cases(
    task_name: str,
    models: list[str] | None,
    *,
    preset: str,
    changes: list[str],
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
    data = task.simulate(split=task.SPLITS[0], seed=0)
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
        found.append(Case(task_name, name, framework, recipe, device, threads, memory_limit_gib))
    return found


def measure(argument: tuple[Case, str], progress: Callable[[dict], None]) -> dict[str, Any]:
    """Measure one model by a protocol (a key of PROTOCOLS); runs in a worker of its framework.

    Returns
    -------
    `speed`, one row of SPEED_COLUMNS, `throughput`, a row of THROUGHPUT_COLUMNS per batch size, and `repeats`, rows of
    `speed_repeats.COLUMNS`. Rates are medians over repeats; low and high are their quartiles. Predictions are counted
    at the largest batch that fits, as the paper did, and beside it at the fastest. The share of peak is that of the
    fastest predictions; NaN where they outran every matrix product of the run, because then the device was not at its
    best when those were timed.
    """
    case, protocol_name = argument
    protocol = PROTOCOLS[protocol_name]
    model, tools = UntrainedModel(case), speed_tools(case.framework)
    where, backend, fitted, data = model.where, model.backend, model.fitted, model.data
    about = {"task": case.task, "model": case.model, "protocol": protocol_name, "precision": fitted.precision}
    about |= {name: where[name] for name in ("device", "device_name")}
    before = tools.peak_rates(where["device"], fitted.precision)
    flops = tools.flops_per_sequence(fitted, data)
    system.reset_peak_memory()
    backend.reset_peak_memory()
    take_steps = model.prepare_training(protocol.warm_up + protocol.repeats * protocol.train_batches)
    take_steps(protocol.warm_up)
    times = []
    for repeat in range(protocol.repeats):
        times.append(take_steps(protocol.train_batches) / protocol.train_batches)
        progress({"part": "training", "done": repeat + 1, "of": protocol.repeats})
    train_memory = backend.peak_memory_mb() or system.peak_memory_mb()
    throughput, seconds_of_batch, ended_by = _doubling(model, protocol, about, progress)
    # The device's own best is what it did in either trial: a machine shared with others is not always at its best.
    after = tools.peak_rates(where["device"], fitted.precision)
    peaks = {name: max(before[name], after[name]) for name in before}
    largest, fastest = throughput[-1], max(throughput, key=lambda row: row["seq_per_s"])
    share = flops * fastest["seq_per_s"] / peaks["flops_per_s"]
    low, median, high = _quartiles(times)
    size = case.recipe["batch_size"]
    speed = about | {
        "framework": where["framework"], "backend": where["backend"], "threads": case.threads,
        "width_scale": case.recipe["width_scale"], "n_params": fitted.n_params, "flops_per_sequence": flops,
        "batch_size": size, "train_batches": protocol.train_batches, "repeats": protocol.repeats,
        "s_per_batch": median, "s_per_batch_low": low, "s_per_batch_high": high, "train_seq_per_s": size / median,
        "train_memory_mb": train_memory, "predict_batch": largest["batch_size"],
        "predict_seq_per_s": largest["seq_per_s"], "fastest_batch": fastest["batch_size"],
        "fastest_seq_per_s": fastest["seq_per_s"], "share_of_peak": share if share <= 1 else float("nan"),
        "peak_flops_per_s": peaks["flops_per_s"], "peak_bytes_per_s": peaks["bytes_per_s"], "ended_by": ended_by,
    }  # fmt: skip
    common = {name: speed[name] for name in speed_repeats.COMMON}
    rows = [speed_repeats.row(common, speed_repeats.TRAINING, size, i, seconds) for i, seconds in enumerate(times)]
    for line in throughput:
        batch = line["batch_size"]
        chosen = {"is_published": line is largest, "is_fastest": line is fastest}
        rows += [
            speed_repeats.row(common, speed_repeats.PREDICTION, batch, i, batch / seconds, **chosen)
            for i, seconds in enumerate(seconds_of_batch[batch])
        ]
    rows.append(speed_repeats.row(common, speed_repeats.PARAMETERS, 0, 0, fitted.n_params))
    return {"speed": speed, "throughput": throughput, "repeats": rows}


def _doubling(
    model: UntrainedModel, protocol: Protocol, about: dict[str, Any], progress: Callable[[dict], None]
) -> tuple[list[dict[str, Any]], dict[int, list[float]], str]:
    """Predict with ever larger batches until memory ends.

    Returns rows of THROUGHPUT_COLUMNS, the seconds per batch of every repeat by batch size, and what ended it.
    """
    backend, on_cpu, limit = model.backend, model.where["device"] == "cpu", model.case.memory_limit_gib
    rows: list[dict[str, Any]] = []
    seconds_of_batch: dict[int, list[float]] = {}
    size = FIRST_PREDICT_BATCH
    while True:
        backend.reset_peak_memory()
        try:
            predict_once = model.prepare_prediction(size)
            predict_once()
            times = []
            for repeat in range(protocol.repeats):
                seconds = sum(predict_once() for _ in range(protocol.predict_batches))
                times.append(seconds / protocol.predict_batches)
                progress({"part": f"batch {size}", "done": repeat + 1, "of": protocol.repeats})
        except backend.OUT_OF_MEMORY:
            if not rows:
                raise
            return rows, seconds_of_batch, "memory"
        seconds_of_batch[size] = times
        high, median, low = (size / seconds for seconds in _quartiles(times))
        counts = {"predict_batches": protocol.predict_batches, "repeats": protocol.repeats}
        rates = {"seq_per_s": median, "seq_per_s_low": low, "seq_per_s_high": high}
        memory = backend.peak_memory_mb() or system.peak_memory_mb()
        rows.append(about | {"batch_size": size} | counts | rates | {"memory_mb": memory})
        if on_cpu and size >= LAST_ON_CPU:
            return rows, seconds_of_batch, "largest batch on a CPU"
        if on_cpu and limit and memory and 2 * memory > 1024 * limit:
            return rows, seconds_of_batch, "memory limit"
        size *= 2


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
