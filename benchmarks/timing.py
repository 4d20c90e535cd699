"""How fast things are: speeds to plan with, and benchmarks of the engine. Everything is a ratio within one run."""

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import registry
from benchmarks.api import sequences
from benchmarks.api.data import recipe_with
from benchmarks.api.errors import BadInput
from benchmarks.plan import Job, Source, make_plan

TYPICAL_CPU_SEQ_PER_S: dict[str, dict[float, float]] = {
    "dream_cnn": {0.1: 310, 1.0: 25},
    "dream_rnn": {0.1: 540, 1.0: 25},
    "dream_attn": {0.1: 170, 1.0: 15},
    "mprann": {0.2: 1600, 1.0: 220},
    "kmer_ridge": {1.0: 60_000},
}
"""Training sequences per second on one core of a 2026 server, by width scale: good for an order of magnitude."""


def expected_speed(job: Job, finished: list[dict[str, Any]], device: str) -> float | None:
    """Return training sequences per second of a job: measured on this kind of device, else typical; None if unknown.

    `finished` holds records of stored jobs. The speed of the same recipe counts before that of the same width.
    """
    same = [r for r in finished if r["model"] == job.model and r["device"] == device]
    for key in (lambda r: r["run"] == job.run, lambda r: _width(r["recipe"]) == _width(job.recipe)):
        if rates := [r["train_seq_per_s"] for r in same if key(r)]:
            return statistics.median(rates)
    return typical_cpu_speed(job.model, _width(job.recipe)) if device == "cpu" else None


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


def encode_by_dictionary(sequence: str) -> np.ndarray:
    """Encode one sequence base by base with a dictionary, then to (4, seq_len) float32, as the published loader does.

    Kept as the yardstick of `bench encoding`; source: `prixfixe/autosome/dataset.py` of the challenge repository, which
    does this for every row each time a batch asks for it.
    """
    code_of = {"A": 0, "G": 1, "C": 2, "T": 3, "N": 4}
    codes = [code_of[base] for base in sequence.upper()]
    channels = np.zeros((4, len(codes)), dtype=np.float32)
    for position, code in enumerate(codes):
        if code < 4:
            channels[code, position] = 1.0
    return channels


def bench_encoding(n_rows: int = 20_000, seq_len: int = 230, repeats: int = 5) -> dict[str, float]:
    """Compare the engine's encoder with the per-row dictionary encoder, interleaved; medians over repeats.

    `codes` is text to uint8, done once; `one_hot` is codes to (B, seq_len, 4) float32, done per batch. The dictionary
    encoder does both for each row, so the honest comparison is with their sum; both ratios are given.
    """
    rng = np.random.default_rng(0)
    text = sequences.decode(rng.integers(0, 4, (n_rows, seq_len)))
    few = text[: max(1, n_rows // 20)]
    codes = sequences.encode(text, seq_len)
    batches = [codes[i : i + 1024] for i in range(0, n_rows, 1024)]
    rates: dict[str, list[float]] = {"dictionary": [], "codes": [], "one_hot": []}
    for _ in range(repeats):
        rates["dictionary"].append(len(few) / _seconds(lambda: [encode_by_dictionary(s) for s in few]))
        rates["codes"].append(n_rows / _seconds(lambda: sequences.encode(text, seq_len)))
        rates["one_hot"].append(n_rows / _seconds(lambda: [sequences.one_hot(batch) for batch in batches]))
    both = [1 / (1 / c + 1 / o) for c, o in zip(rates["codes"], rates["one_hot"], strict=True)]
    ratio = statistics.median(b / d for b, d in zip(both, rates["dictionary"], strict=True))
    return {
        **{f"{name}_rows_per_s": statistics.median(values) for name, values in rates.items()},
        "ratio_codes": statistics.median(c / d for c, d in zip(rates["codes"], rates["dictionary"], strict=True)),
        "ratio_codes_and_one_hot": ratio,
    }


def _seconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def bench_step(task_name: str, model: str, *, preset: str = "paper", n_steps: int = 20) -> dict[str, Any]:
    """Measure what part of a torch training step is neither forward, backward nor optimiser; medians over steps.

    Forward, backward and optimiser are timed inside the real `train_batch`, the step around it, after three steps to
    warm up. Meant for the CPU: on a GPU the parts return before their work is done.

    Raises
    ------
    BadInput
        For a model that is not a torch model.
    """
    if registry.model_entry(model).framework != "torch":
        raise BadInput(
            f"bench step takes torch models apart; {model} is a {registry.model_entry(model).framework} model."
        )
    task = registry.get_task(task_name)
    data = task.simulate(seed=0)
    plan = make_plan(task, preset, [Source("simulated", len(data), data)], seed=0, models=[model])
    module = registry.get_model(model)
    recipe = recipe_with(module.RECIPE, plan.recipes[model], source=f"preset {preset}")
    backend = registry.get_backend("torch")
    where = backend.configure("cpu")
    fitted = module.build(task.SPEC, recipe, {})
    fitted.prepare(data, n_steps + 3)
    inside = _Stopwatch()
    forward = inside.around(fitted.loss_of)

    def forward_then_timed_backward(batch: Any) -> Any:
        loss = forward(batch)
        loss.backward = inside.around(loss.backward)
        return loss

    fitted.loss_of = forward_then_timed_backward
    fitted.optimiser.step = inside.around(fitted.optimiser.step)
    rng, steps, shares = np.random.default_rng(0), [], []
    for step in range(n_steps + 3):
        rows = rng.permutation(len(data))[: recipe.batch_size]
        inside.seconds = 0.0
        total = _seconds(lambda rows=rows: fitted.train_batch(rows))
        if step >= 3:
            steps.append(total)
            shares.append(1 - inside.seconds / total)
    return {
        "model": model,
        "preset": preset,
        "device": where["device_name"],
        "framework": where["framework"],
        "batch_size": recipe.batch_size,
        "step_ms": 1000 * statistics.median(steps),
        "share_outside": statistics.median(shares),
    }


class _Stopwatch:
    """Adds up the seconds spent in the functions it is put around."""

    def __init__(self):
        self.seconds = 0.0

    def around(self, action: Callable) -> Callable:
        def timed(*args: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            try:
                return action(*args, **keywords)
            finally:
                self.seconds += time.perf_counter() - start

        return timed
