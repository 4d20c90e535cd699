"""The engine against the loop of the published notebooks: the same network, rows, loss and optimiser, two ways.

The notebook loops are `notebook_training`, `notebook_predictions` and `notebook_batches` of `torch_tools` and
`keras_tools`. Everything is a ratio in one run: trials are interleaved, and a ratio is the median of those of trials.
"""

import dataclasses
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.apps.speed.measure import speed_tools
from benchmarks.apps.speed.timers import consume, seconds_of
from benchmarks.engine.execution.step_timer import Case, UntrainedModel
from benchmarks.errors import BadInput

PREDICT_BATCH = 256
"""Batch of the notebook loop's predictions; the engine takes its own, on which predictions do not depend."""
TRIAL_S = 2.0
"""About how long the notebook loop runs in a trial of training or of predicting."""
_MOST_STEPS, _MOST_ROWS = 10_000, 20_000


def compare(case: Case, *, repeats: int = 5) -> list[dict[str, Any]]:
    """Compare the two ways in training, in predicting and, where rows are encoded anew, in making batches.

    Returns
    -------
    A row per part (`training step`, `prediction`, `prediction, one at a time`, `data path`): `batch_size` of the
    notebook loop; sequences per second of the notebook loop (`plain`) and of the engine in `float32` and `bfloat16`;
    `ratio_float32` and `ratio_bfloat16`; device, framework, backend and threads; and on a CPU `at_most`, how many times
    as fast the notebook loop would be if all its products ran at the rate of this machine's own matrix product in
    float32 (a GPU computes some of them in TF32, and is not bound by it). One at a time is how the notebooks of the
    DREAM models predict. Only torch models compute in bfloat16 and, in the published notebooks, encode the rows of
    every batch.

    Raises
    ------
    BadInput
        For a model of profiles, and for one whose network sees more of a sequence than the notebook loop shows it.
    """
    notebook, tools = UntrainedModel(case), speed_tools(case.framework)
    data, size = notebook.data, case.recipe["batch_size"]
    if not tools.has_notebook_loop(notebook.fitted):
        raise BadInput(
            f"bench loop takes models of single values whose network sees one-hot rows and is asked once for a "
            f"prediction; {case.model} on {case.task} is not one. For windows of atac: bench encoding --task atac."
        )
    of_torch = case.framework == "torch"
    recipes = {"float32": case.recipe}
    if of_torch:
        recipes = {name: case.recipe | {"precision": name} for name in ("float32", "bfloat16")}
    engines = {name: UntrainedModel(dataclasses.replace(case, recipe=recipe)) for name, recipe in recipes.items()}
    about = {name: notebook.where[name] for name in ("device", "device_name", "framework", "backend")}
    about |= {"threads": case.threads}
    peak = tools.peak_rates("cpu", "float32")["flops_per_s"] if notebook.where["device"] == "cpu" else None
    rows: list[dict[str, Any]] = []

    def rate(n: int, action: Callable[[], Any]) -> Callable[[], float]:
        """Make a function that does something with n sequences and gives how many a second that were."""
        return lambda: n / seconds_of(lambda: (action(), notebook.backend.synchronise()))

    def turns(
        part: str, batch_size: int, notebook_rate: Callable, rates: Mapping[str, Callable], flops: float | None = None
    ) -> None:
        timed = {"plain": notebook_rate} | rates
        trials = [{name: measure() for name, measure in timed.items()} for _ in range(repeats + 1)]
        row = {"model": case.model, "part": part, "batch_size": batch_size} | _medians(trials[1:])
        rows.append(row | ({"at_most": peak / (flops * row["plain"])} if peak and flops else {}) | about)

    slow_steps = tools.notebook_training(notebook.fitted, data, size, _MOST_STEPS)
    fast_steps = {name: one.prepare_training(_MOST_STEPS) for name, one in engines.items()}
    slow_steps(1)
    n = _enough(partial(slow_steps, 2), 2, most=_MOST_STEPS // (repeats + 3))
    turns(
        "training step",
        size,
        rate(n * size, partial(slow_steps, n)),
        {name: rate(n * size, partial(take, n)) for name, take in fast_steps.items()},
        tools.training_flops_per_sequence(notebook.fitted, data),
    )
    flops = tools.flops_per_sequence(notebook.fitted, data)
    ways = [("prediction", PREDICT_BATCH, PREDICT_BATCH), ("prediction, one at a time", 1, 8)]
    for part, batch_size, few in ways if of_torch else ways[:1]:
        predict = partial(tools.notebook_predictions, notebook.fitted, batch_size=batch_size)
        n = _enough(
            partial(predict, tools.NotebookRows(notebook.fitted, _resized(notebook, few))), few, most=_MOST_ROWS
        )
        some = _resized(notebook, n)
        turns(
            part,
            batch_size,
            rate(n, partial(predict, tools.NotebookRows(notebook.fitted, some))),
            {name: rate(n, partial(one.fitted.predict, some)) for name, one in engines.items()},
            flops,
        )
    if of_torch:
        notebook_rows, fast = tools.NotebookRows(notebook.fitted, data), engines["float32"].fitted
        drawn = np.random.default_rng(0).integers(0, fast.rows_per_epoch(data), _MOST_ROWS)
        batches = np.array_split(drawn, _MOST_ROWS // size)
        turns(
            "data path",
            size,
            rate(len(data), lambda: consume(tools.notebook_batches(notebook_rows, size))),
            {"float32": rate(_MOST_ROWS, lambda: consume(fast.batches(batches)))},
        )
    return rows


def _resized(model: UntrainedModel, n: int) -> Any:
    return model.data.take(np.resize(np.arange(len(model.data)), n)).without_targets()


def _enough(action: Callable[[], Any], n: int, *, most: int) -> int:
    """Say how many of what `action` does `n` of, once warm, fill a trial, `most` at the most."""
    action()
    return min(max(1, round(TRIAL_S / seconds_of(action))) * n, most)


def _medians(trials: list[dict[str, float]]) -> dict[str, float]:
    rates = {name: statistics.median(trial[name] for trial in trials) for name in trials[0]}
    ratios = {
        f"ratio_{name}": statistics.median(trial[name] / trial["plain"] for trial in trials)
        for name in rates
        if name != "plain"
    }
    return rates | ratios
