"""How fast things are: speeds to plan with, and benchmarks of the engine. Everything is a ratio within one run."""

import functools
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from scipy.stats import norm

from benchmarks import executors, registry
from benchmarks.api import promoters, sequences
from benchmarks.api.data import recipe_with
from benchmarks.api.errors import BadInput
from benchmarks.plan import Job, Source, make_plan

TYPICAL_CPU_SEQ_PER_S: dict[str, dict[float, float]] = {
    "dream_cnn": {0.1: 310, 1.0: 25},
    "dream_rnn": {0.1: 540, 1.0: 25},
    "dream_attn": {0.1: 170, 1.0: 15},
    "mprann": {0.2: 1600, 1.0: 220},
    "deepstarr": {0.4: 950, 1.0: 350},
    "kmer_ridge": {1.0: 60_000},
}
"""Training sequences per second on one core of a 2026 server, by width scale: good for an order of magnitude."""


class Speeds:
    """Expected training rows per second of a job on one worker; None where nothing is known.

    A row that an epoch shows twice (both strands) takes twice the time of a sequence.

    Measured speeds of stored jobs on the same kind of device come first, those of the same run before those of the same
    width; on a CPU a table of typical speeds serves where nothing was measured.
    """

    def __init__(self, finished: list[dict[str, Any]], device: str):
        self.device = "cuda" if device != "cpu" and executors.n_gpus() else "cpu"
        self.finished = [record for record in finished if record["device"] == self.device]

    def __call__(self, job: Job) -> float | None:
        width = _width(job.recipe)
        same_model = [record for record in self.finished if record["model"] == job.model]
        same_run = [record for record in same_model if record["run"] == job.run]
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


_CODE_OF = {"A": 0, "G": 1, "C": 2, "T": 3, "N": 4}


def encode_by_dictionary(sequence: str, is_reverse: float = 0.0) -> np.ndarray:
    """Encode one sequence base by base with a dictionary, then to one-hot with a strand channel: (5, seq_len) float32.

    Kept as the yardstick of `bench encoding`. Source: `prixfixe/autosome/dataset.py` of the challenge repository, which
    does this for every row each time a batch asks for it (there with torch's one-hot in place of numpy's rows).
    """
    codes = np.array([_CODE_OF[base] for base in sequence.upper()])
    one_hot = np.eye(5, dtype=np.float32)[codes][:, :4].T
    return np.concatenate([one_hot, np.full((1, len(codes)), is_reverse, dtype=np.float32)])


def prepare_promoter_by_row(row: str, expression: float) -> tuple[np.ndarray, np.ndarray]:
    """Make input (6, 150) and bin probabilities (18,) of one promoter of the challenge, as `prixfixe/autosome` does.

    Kept as the yardstick of `bench encoding --task yeast`: a dictionary look-up per base, a frozen normal per row.
    """
    one_hot = encode_by_dictionary((promoters.PLASMID_LEFT + row[len(promoters.LEFT_ADAPTER) :])[-promoters.SEQ_LEN :])
    singleton = np.full((1, one_hot.shape[1]), float(expression).is_integer(), dtype=np.float32)
    below = norm(loc=expression + 0.5, scale=0.5).cdf(np.array([-np.inf, *range(1, 18), np.inf]))
    return np.concatenate([one_hot, singleton]), (below[1:] - below[:-1]).astype(np.float32)


def bench_promoters(n_rows: int = 100_000, repeats: int = 7) -> dict[str, float]:
    """Compare preparing the yeast training table (text to codes and 18 bin probabilities) with doing it row by row.

    Medians of interleaved trials, one thread; `ratio_preparing` is that of rows per second within a trial.
    """
    backend = registry.get_backend("torch")
    backend.configure("cpu", threads=1)
    rng = np.random.default_rng(0)
    regions = sequences.decode(rng.integers(0, 4, (n_rows, 80)))
    rows = [promoters.LEFT_ADAPTER + region + promoters.RIGHT_ADAPTER for region in regions]
    expression = np.where(rng.random(n_rows) < 0.58, rng.integers(0, 18, n_rows), rng.uniform(0, 17, n_rows))
    few = list(zip(rows[: n_rows // 100], expression.tolist(), strict=False))

    def prepare() -> None:
        promoters.construct(rows)
        backend.bin_probs(backend.torch.from_numpy(expression))

    def prepare_by_row() -> None:
        _consume(itertools.starmap(prepare_promoter_by_row, few))

    trials = [(len(few) / _seconds(prepare_by_row), n_rows / _seconds(prepare)) for _ in range(repeats)]
    return {
        "by_row_rows_per_s": statistics.median(slow for slow, _ in trials),
        "preparing_rows_per_s": statistics.median(fast for _, fast in trials),
        "ratio_preparing": statistics.median(fast / slow for slow, fast in trials),
    }


def bench_encoding(n_rows: int = 20_000, seq_len: int = 230, repeats: int = 7) -> dict[str, float]:
    """Compare the engine's way from text to network input with the per-row dictionary encoder; medians, interleaved.

    The engine does it in two steps: text to uint8 codes once per dataset, and codes to (B, 5, seq_len) float32 on the
    device for every batch. `ratio_encoding` sets the first against the dictionary encoder; `ratio_encoding_and_input`
    sets both together against it, as if the engine, too, encoded anew every epoch.
    """
    backend = registry.get_backend("torch")
    backend.configure("cpu", threads=1)
    rng = np.random.default_rng(0)
    text = sequences.decode(rng.integers(0, 4, (n_rows, seq_len)))
    few = text[: max(1, n_rows // 20)]
    to_input = backend.OneHot(("is_reverse",))
    codes = backend.torch.from_numpy(np.array(sequences.encode(text, seq_len)))
    side = backend.torch.zeros(n_rows, 1)
    batches = list(zip(codes.split(1024), side.split(1024), strict=True))
    rates: dict[str, list[float]] = {"dictionary": [], "encoding": [], "input": []}
    for _ in range(repeats):
        rates["dictionary"].append(len(few) / _seconds(lambda: _consume(map(encode_by_dictionary, few))))
        rates["encoding"].append(n_rows / _seconds(lambda: sequences.encode(text, seq_len)))
        rates["input"].append(n_rows / _seconds(lambda: _consume(itertools.starmap(to_input, batches))))
    trials = list(zip(*rates.values(), strict=True))
    return {
        **{f"{name}_rows_per_s": statistics.median(values) for name, values in rates.items()},
        "ratio_encoding": statistics.median(e / d for d, e, _ in trials),
        "ratio_encoding_and_input": statistics.median(1 / (d / e + d / i) for d, e, i in trials),
    }


def _consume(results: Iterable) -> None:
    """Let results go as they come, as training does; keeping them would time the memory."""
    for _ in results:
        pass


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
    for owner, action in ((fitted.optimiser, "step"), (fitted.optimiser, "zero_grad"), (fitted.lr_schedule, "step")):
        setattr(owner, action, inside.around(getattr(owner, action)))
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
        "backend": where["backend"],
        "batch_size": recipe.batch_size,
        "step_ms": 1000 * statistics.median(steps),
        "share_outside": statistics.median(shares),
    }


class _Stopwatch:
    """Adds up the seconds spent in the functions it is put around."""

    def __init__(self):
        self.seconds = 0.0

    def around(self, action: Callable) -> Callable:
        @functools.wraps(action)
        def timed(*args: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            try:
                return action(*args, **keywords)
            finally:
                self.seconds += time.perf_counter() - start

        return timed
