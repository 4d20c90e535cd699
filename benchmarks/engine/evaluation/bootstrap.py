"""Paired bootstrap over test items: could the sampling of test items explain how two trained models differ?

Source: percentile bootstrap, Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 13 and 15; not in
the paper. Resampling units, which hold what must stay together (both orientations of an element), are drawn with
replacement, and all models are scored on the same resamples (draws). A resample is a vector of counts per unit, so that
no data is copied: Pearson r and MSE are weighted sums, Spearman rho uses exact mid-ranks from cumulative counts, and
medians are read from cumulative counts.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from benchmarks.api.metrics import Items

COLUMNS = ["ci_low_bootstrap", "ci_high_bootstrap", "p_bootstrap", "n_draws"]
_CHUNK = 500_000  # counts at a time, which fit in the cache: three times as fast as chunks of four million


def unit_counts(n_units: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Resample `n_units` units with replacement; return each unit's count per resample, (n_draws, n_units) float64."""
    draws = np.empty((n_draws, n_units))
    for row in draws:
        row[:] = np.bincount(rng.integers(0, n_units, n_units), minlength=n_units)
    return draws


def weighted_pearson(y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Pearson r of (n,) values under each row of (n_draws, n) weights; NaN where one side does not vary."""
    x, y = y_true - y_true.mean(), y_pred - y_pred.mean()
    sums = weights @ np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    return _pearson_of_sums(*sums.T)


def _pearson_of_sums(
    n: np.ndarray, x: np.ndarray, y: np.ndarray, xx: np.ndarray, yy: np.ndarray, xy: np.ndarray
) -> np.ndarray:
    """Return Pearson r from the sums of weights, values, squares and products, (n_draws,) each."""
    var_x, var_y, cov = xx - x * x / n, yy - y * y / n, xy - x * y / n
    varies = (var_x > 1e-12 * xx) & (var_y > 1e-12 * yy)
    root = np.sqrt(np.where(varies, var_x * var_y, 1.0))
    return np.where(varies, np.clip(cov / root, -1.0, 1.0), np.nan)


def weighted_spearman(y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Spearman rho, ties by average rank, under each row of (n_draws, n) counts."""
    a, b = _mid_ranks(y_true, weights), _mid_ranks(y_pred, weights)
    n = weights.sum(axis=1, keepdims=True)
    a -= (n + 1) / 2  # the mean rank of every resample; centring keeps the sums small
    b -= (n + 1) / 2
    count_and_means = n[:, 0], np.zeros(len(n)), np.zeros(len(n))
    return _pearson_of_sums(*count_and_means, *((weights * u * v).sum(axis=1) for u, v in ((a, a), (b, b), (a, b))))


def _mid_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rank the items of every resample, each repeated by its count, ties by average rank; (n_draws, n)."""
    distinct, level = np.unique(values, return_inverse=True)
    order = np.argsort(level, kind="stable")
    starts = np.searchsorted(level[order], np.arange(len(distinct)))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    return (np.cumsum(counts, axis=1) - counts + (counts + 1) / 2)[:, level]


def weighted_mse(y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean squared error under each row of (n_draws, n) weights."""
    return weights @ (y_true - y_pred) ** 2 / weights.sum(axis=1)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the median of (n,) values, without NaN, under each row of (n_draws, n) counts; NaN where none is left."""
    finite = np.isfinite(values)
    order = np.argsort(values[finite], kind="stable")
    ordered, cumulative = values[finite][order], np.cumsum(weights[:, finite][:, order], axis=1)
    medians = np.full(len(weights), np.nan)
    for i, counts in enumerate(cumulative):
        if len(counts) and (n := counts[-1]) > 0:
            medians[i] = ordered[np.searchsorted(counts, [(n - 1) // 2, n // 2], side="right")].mean()
    return medians


def _one_minus_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return 1 - weighted_median(values, weights)


_METRICS: dict[str, tuple[Callable[..., np.ndarray], tuple[str, ...]]] = {
    "pearson_r": (weighted_pearson, ("y_true", "y_pred")),
    "spearman_rho": (weighted_spearman, ("y_true", "y_pred")),
    "mse": (weighted_mse, ("y_true", "y_pred")),
    "median_jsd": (weighted_median, ("jsd",)),
    "one_minus_median_jsd": (_one_minus_median, ("jsd",)),
    "median_norm_jsd": (weighted_median, ("norm_jsd",)),
}


def resampled(items: Items, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Score items under each row of (n_draws, n_units) counts; metric -> (n_draws,).

    `items.unit` gives the column of `counts` that an item belongs to.
    """
    step = max(1, _CHUNK // max(1, len(items.unit)))
    chunks = [counts[start : start + step][:, items.unit] for start in range(0, len(counts), step)]
    scores = {}
    for metric, (function, needed) in _METRICS.items():
        if all(name in items.values for name in needed):
            columns = [np.asarray(items.values[name], np.float64) for name in needed]
            scores[metric] = np.concatenate([function(*columns, chunk) for chunk in chunks])
    return scores


def differences(
    folds: Mapping[int, Mapping[str, Sequence[Items]]], baseline: str, *, n_draws: int, seed: int = 0
) -> pd.DataFrame:
    """Bootstrap the difference of every model's mean score over test folds to the baseline's, model minus baseline.

    Parameters
    ----------
    folds
        Test fold -> model -> its items; within a fold, all models have the same items in the same order.
    baseline
        Model that the others are compared with. Only folds in which both have predictions are used.
    n_draws, seed
        Number of resamples; seed of the random generator, combined with fold, output, subset and level.

    Returns
    -------
    One row per output, subset, level, metric and other model, with COLUMNS: the 95 % percentile interval of the
    difference, and a two-sided P value, (1 + 2 · n of the rarer sign) / (1 + n_draws), at most 1. Resamples in which a
    score is undefined are left out; where more than half are, interval and P value are NaN.
    """
    scores = _resampled_folds(folds, n_draws, seed)
    rows = []
    for (output, subset, level, metric), by_model in scores.items():
        of_baseline = by_model.get(baseline, {})
        for model, of_model in by_model.items():
            shared = [fold for fold in of_model if fold in of_baseline]
            if model == baseline or not shared:
                continue
            difference = np.mean([of_model[fold] - of_baseline[fold] for fold in shared], axis=0)
            cell = {"output": output, "subset": subset, "level": level, "metric": metric, "model": model}
            rows.append(cell | dict(zip(COLUMNS, _interval(difference), strict=True)))
    return pd.DataFrame(rows, columns=["output", "subset", "level", "metric", "model", *COLUMNS])


def _resampled_folds(
    folds: Mapping[int, Mapping[str, Sequence[Items]]], n_draws: int, seed: int
) -> dict[tuple[str, str, str, str], dict[str, dict[int, np.ndarray]]]:
    """Score every resample: (output, subset, level, metric) -> model -> test fold -> (n_draws,)."""
    scores: dict[tuple[str, str, str, str], dict[str, dict[int, np.ndarray]]] = {}
    for fold, by_model in folds.items():
        counts: dict[str, np.ndarray] = {}  # the same resamples for all models
        for model, items_of_model in by_model.items():
            for items in items_of_model:
                key = (items.output, items.subset, items.level)
                if len(items.unit) == 0:
                    continue
                name = "/".join(key)
                if name not in counts:
                    rng = np.random.default_rng([seed, fold, *name.encode()])
                    counts[name] = unit_counts(int(items.unit.max()) + 1, n_draws, rng)
                for metric, values in resampled(items, counts[name]).items():
                    scores.setdefault((*key, metric), {}).setdefault(model, {})[fold] = values
    return scores


def _interval(difference: np.ndarray) -> tuple[float, float, float, int]:
    """Return the values of COLUMNS for differences under resampling, (n_draws,)."""
    defined = difference[np.isfinite(difference)]
    if 2 * len(defined) < len(difference):
        return np.nan, np.nan, np.nan, len(difference)
    low, high = np.percentile(defined, [2.5, 97.5])
    rarer = min((defined <= 0).sum(), (defined >= 0).sum())
    return low, high, min(1.0, (1 + 2 * rarer) / (1 + len(defined))), len(difference)
