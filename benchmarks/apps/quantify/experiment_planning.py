"""Plan a sorting experiment: the correlation that is attainable with some cells and reads, by simulating it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from benchmarks.api.metrics import pearson_r
from benchmarks.apps.quantify import simulate
from benchmarks.apps.quantify.estimators import Estimates, Estimator
from benchmarks.apps.quantify.sample_sheet import Columns
from benchmarks.apps.quantify.simulate import Design
from benchmarks.errors import BadInput


def columns_of(lib: simulate.Library, sorts: Sequence[simulate.Sorted]) -> Columns:
    """Describe the bins of simulated sorts, as their sample sheet does."""
    n_bins = len(lib.start_q)
    return Columns(
        np.tile(np.arange(n_bins), len(sorts)),
        np.repeat([str(i) for i in range(1, len(sorts) + 1)], n_bins),
        np.concatenate([sort.cells_per_bin for sort in sorts]).astype(np.float64),
        np.tile(lib.start_q, len(sorts)),
        np.tile(lib.end_q, len(sorts)),
    )


def plan(
    expression: np.ndarray,
    designs: Sequence[Design],
    estimators: dict[str, Estimator],
    *,
    seed: int,
    on_done: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Simulate every design once and measure the labels it gives.

    Returns a row per design and estimator: cells and reads per promoter, promoters with a label, `ceiling` (r of labels
    with what they are without noise: what a perfect model of this experiment would score), `pearson_r_true` (r with
    the true expression), the median standard error, and how many cells the median promoter has.
    """
    rows = []
    for i, design in enumerate(designs):
        rng = np.random.default_rng([seed, i])
        lib = simulate.library(rng, expression, design)
        sort = simulate.sort(rng, lib, design)
        seen = sort.reads.sum(axis=0) > 0  # rare bins of a small experiment may be empty
        if seen.sum() < 2:
            raise BadInput(
                f"With {design.cells:g} cells and {design.reads:g} reads per promoter, fewer than two bins have a "
                "read; plan for more cells, reads or promoters."
            )
        columns = columns_of(lib, [sort]).take(seen)
        expected = simulate.expected_reads(lib, design)[:, seen]
        for name, estimator in estimators.items():
            estimates: Estimates = estimator(sort.reads[:, seen], columns)
            free = estimator(expected, columns).value
            has = np.isfinite(estimates.value) & np.isfinite(free)
            rows.append(
                {
                    "estimator": name, "cells": design.cells, "reads": design.reads, "n_promoters": len(has),
                    "n_labels": int(has.sum()), "ceiling": pearson_r(free[has], estimates.value[has]),
                    "pearson_r_true": pearson_r(np.asarray(expression)[has], estimates.value[has]),
                    "median_se": float(np.nanmedian(estimates.se)),
                    "median_cells": float(np.median(sort.cells.sum(axis=1))), "origin": "simulated",
                }
            )  # fmt: skip
        if on_done:
            on_done(i + 1)
    return pd.DataFrame(rows)


def grid(base: Design, cells: Sequence[float], reads_per_cell: Sequence[float]) -> list[Design]:
    """List designs of all given numbers of cells per promoter and reads per cell."""
    return [replace(base, cells=c, reads=c * r) for c in cells for r in reads_per_cell]
