"""From counts to expression with standard errors, by either estimator, and how well replicates agree."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.api.metrics import pearson_r, spearman_rho
from benchmarks.apps.quantify import dispersion as uncertainty
from benchmarks.apps.quantify import maude, weighted_average
from benchmarks.apps.quantify.sample_sheet import Columns
from benchmarks.errors import BadInput, did_you_mean

INTERVAL = 1.959963984540054
"""Standard errors on each side of a 95 % interval."""


@dataclass(frozen=True)
class Estimates:
    """Expression of every sequence with its standard error, (n,) float64, and the effective number of cells behind it.

    `curvature`: MAUDE's own error, of the curvature of its likelihood; NaN for averages.
    """

    value: np.ndarray
    se: np.ndarray
    n_cells: np.ndarray
    curvature: np.ndarray
    dispersion: uncertainty.Dispersion


Estimator = Callable[[np.ndarray, Columns], Estimates]


def weighted(weights: str) -> Estimator:
    """Return the weighted average of bins as an estimator.

    Raises
    ------
    BadInput
        If there is no such weight.
    """
    if weights not in weighted_average.WEIGHTS:
        raise BadInput(f"--weights: {did_you_mean('weight', weights, list(weighted_average.WEIGHTS))}")
    return partial(_weighted, weights)


def check_quantiles(weights: str | None, columns: Columns) -> None:
    """Refuse weights that need the quantiles of bins where these are not known."""
    if weights == "gates" and np.isnan(columns.start_q).any():
        raise BadInput("--weights gates needs start_q and end_q of every bin in the sample sheet.")


def _weighted(weights: str, counts: np.ndarray, columns: Columns) -> Estimates:
    check_quantiles(weights, columns)
    totals = counts.sum(axis=0)
    per_read = np.empty(len(totals))
    for replicate in np.unique(columns.replicate):
        own = columns.replicate == replicate
        bins = columns.take(own)
        per_read[own] = weighted_average.weight_per_read(weights, totals[own], bins.cells, bins.start_q, bins.end_q)
    dispersion = uncertainty.dispersion(counts, columns.numbers, columns.replicate, columns.cells)
    average = weighted_average.weighted_average(counts, columns.numbers, per_read)
    se, n_cells = weighted_average.standard_errors(counts, columns.numbers, per_read, average, dispersion.values)
    return Estimates(average, se, n_cells, np.full(len(se), np.nan), dispersion)


def by_maude(pseudocount: float = maude.PSEUDOCOUNT, unsorted: np.ndarray | None = None) -> Estimator:
    """Return MAUDE as an estimator; bins of several replicates are observations of one mean."""
    return partial(_maude, pseudocount, unsorted)


def _maude(pseudocount: float, unsorted: np.ndarray | None, counts: np.ndarray, columns: Columns) -> Estimates:
    bins = maude.BinModel(columns.start_q, columns.end_q)
    observed = maude.observe(counts, unsorted, pseudocount)
    mu = maude.maximise(observed, bins)
    mu[counts.sum(axis=1) == 0] = np.nan  # pseudocounts alone are not a measurement
    dispersion = uncertainty.dispersion(counts, columns.numbers, columns.replicate, columns.cells)
    errors = maude.standard_errors(counts, observed, bins, mu, dispersion.values)
    return Estimates(mu, errors.se, errors.n_cells, errors.curvature, dispersion)


def agreement(estimator: Estimator, counts: np.ndarray, columns: Columns) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Estimate expression per replicate; return the correlations of all pairs, and the estimates by replicate."""
    names = list(dict.fromkeys(columns.replicate))
    if len(names) < 2:
        return pd.DataFrame(columns=["replicate", "other", "n", "pearson_r", "spearman_rho"]), {}
    per_replicate = {}
    for name in names:
        own = columns.replicate == name
        per_replicate[name] = estimator(counts[:, own], columns.take(own)).value
    rows = []
    for name, other in itertools.combinations(names, 2):
        both = np.isfinite(per_replicate[name]) & np.isfinite(per_replicate[other])
        a, b = per_replicate[name][both], per_replicate[other][both]
        row = {"replicate": name, "other": other, "n": int(both.sum())}
        rows.append(row | {"pearson_r": pearson_r(a, b), "spearman_rho": spearman_rho(a, b)})
    return pd.DataFrame(rows), per_replicate
