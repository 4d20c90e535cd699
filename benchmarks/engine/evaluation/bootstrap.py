"""Paired bootstrap over test items: could the choice of items explain how two trained models differ?

Source: none; the percentile bootstrap of Efron and Tibshirani 1993, chapters 13 and 15. Units are drawn with
replacement, a unit being what must stay together (both orientations of an element), and all models are scored on the
same draws. A draw is a vector of counts, so no draw copies a row: Pearson r and MSE are sums weighted by counts,
Spearman rho takes exact mid-ranks from cumulated counts, medians are read off cumulated counts.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from benchmarks.api.metrics import Items

COLUMNS = ["ci_low_bootstrap", "ci_high_bootstrap", "p_bootstrap", "n_draws"]
_CHUNK = 500_000  # counts at a time: few enough to stay in the cache, three times as fast as eight times as many


def unit_counts(n_units: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Say how often each draw of `n_units` units with replacement holds every unit; (n_draws, n_units) float64."""
    draws = np.empty((n_draws, n_units))
    for row in draws:
        row[:] = np.bincount(rng.integers(0, n_units, n_units), minlength=n_units)
    return draws


def weighted_pearson(y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Pearson r of (n,) values under each row of (n_draws, n) weights; NaN where one side does not vary."""
    x, y = y_true - y_true.mean(), y_pred - y_pred.mean()
    sums = weights @ np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    return _pearson_of_sums(*sums.T)


def _pearson_of_sums(n, x, y, xx, yy, xy) -> np.ndarray:
    var_x, var_y, cov = xx - x * x / n, yy - y * y / n, xy - x * y / n
    varies = (var_x > 1e-12 * xx) & (var_y > 1e-12 * yy)
    root = np.sqrt(np.where(varies, var_x * var_y, 1.0))
    return np.where(varies, np.clip(cov / root, -1.0, 1.0), np.nan)


def weighted_spearman(y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Spearman rho, ties by average rank, under each row of (n_draws, n) counts."""
    a, b = _mid_ranks(y_true, weights), _mid_ranks(y_pred, weights)
    n = weights.sum(axis=1, keepdims=True)
    a -= (n + 1) / 2  # the mean rank of any draw, which keeps the sums small
    b -= (n + 1) / 2
    ones = n[:, 0], np.zeros(len(n)), np.zeros(len(n))
    return _pearson_of_sums(*ones, *((weights * u * v).sum(axis=1) for u, v in ((a, a), (b, b), (a, b))))


def _mid_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rank the items of every draw as if each stood there as often as counted; (n_draws, n)."""
    distinct, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(distinct)))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    return (np.cumsum(counts, axis=1) - counts + (counts + 1) / 2)[:, place]


def weighted_mse(y_true: np.ndarray, y_pred: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean squared error under each row of (n_draws, n) weights."""
    return weights @ (y_true - y_pred) ** 2 / weights.sum(axis=1)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the median of (n,) values, those that are NaN aside, under each row of (n_draws, n) counts."""
    finite = np.isfinite(values)
    order = np.argsort(values[finite], kind="stable")
    ordered, cumulated = values[finite][order], np.cumsum(weights[:, finite][:, order], axis=1)
    result = np.full(len(weights), np.nan)
    for i, line in enumerate(cumulated):
        if len(line) and (n := line[-1]) > 0:
            result[i] = ordered[np.searchsorted(line, [(n - 1) // 2, n // 2], side="right")].mean()
    return result


def _one_minus_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return 1 - weighted_median(values, weights)


_METRICS: dict[str, tuple[Callable, tuple[str, ...]]] = {
    "pearson_r": (weighted_pearson, ("y_true", "y_pred")),
    "spearman_rho": (weighted_spearman, ("y_true", "y_pred")),
    "mse": (weighted_mse, ("y_true", "y_pred")),
    "median_jsd": (weighted_median, ("jsd",)),
    "one_minus_median_jsd": (_one_minus_median, ("jsd",)),
    "median_norm_jsd": (weighted_median, ("norm_jsd",)),
}


def resampled(items: Items, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Score items, metric by metric, under each row of (n_draws, n_units) counts; (n_draws,) each.

    `items.unit` numbers the columns of `counts`.
    """
    step = max(1, _CHUNK // max(1, len(items.unit)))
    parts = [counts[start : start + step][:, items.unit] for start in range(0, len(counts), step)]
    found = {}
    for metric, (function, needed) in _METRICS.items():
        if all(name in items.values for name in needed):
            columns = [np.asarray(items.values[name], np.float64) for name in needed]
            found[metric] = np.concatenate([function(*columns, part) for part in parts])
    return found


def differences(
    folds: Mapping[int, Mapping[str, Sequence[Items]]], baseline: str, *, n_draws: int, seed: int = 0
) -> pd.DataFrame:
    """Bootstrap every model's mean score over test folds minus the baseline's.

    Parameters
    ----------
    folds
        Test fold -> model -> its items; within a fold, items stand in one order for all models.
    baseline
        Model that the others are compared with. Only folds where both have predictions count.

    Returns
    -------
    One row per output, subset, level, metric and other model, with COLUMNS: the 95 % percentile interval of the
    difference, and a two-sided P value, (1 + 2 · the rarer side of zero) / (1 + n_draws), at most 1. Draws in which a
    score is not defined count for neither; where fewer than half are defined, all is NaN.
    """
    drawn: dict[tuple, dict[str, dict[int, np.ndarray]]] = {}
    for fold, by_model in folds.items():
        counts: dict[str, np.ndarray] = {}
        for model, several in by_model.items():
            for items in several:
                key = (items.output, items.subset, items.level)
                if len(items.unit) == 0:
                    continue
                name = "/".join(key)
                if name not in counts:
                    rng = np.random.default_rng([seed, fold, *name.encode()])
                    counts[name] = unit_counts(int(items.unit.max()) + 1, n_draws, rng)
                for metric, values in resampled(items, counts[name]).items():
                    drawn.setdefault((*key, metric), {}).setdefault(model, {})[fold] = values
    rows = []
    for (output, subset, level, metric), by_model in drawn.items():
        base = by_model.get(baseline, {})
        for model, mine in by_model.items():
            shared = [fold for fold in mine if fold in base]
            if model == baseline or not shared:
                continue
            difference = np.mean([mine[fold] - base[fold] for fold in shared], axis=0)
            about = {"output": output, "subset": subset, "level": level, "metric": metric, "model": model}
            rows.append(about | dict(zip(COLUMNS, _interval(difference), strict=True)))
    return pd.DataFrame(rows, columns=["output", "subset", "level", "metric", "model", *COLUMNS])


def _interval(difference: np.ndarray) -> tuple[float, float, float, int]:
    defined = difference[np.isfinite(difference)]
    if 2 * len(defined) < len(difference):
        return np.nan, np.nan, np.nan, len(difference)
    low, high = np.percentile(defined, [2.5, 97.5])
    rarer = min((defined <= 0).sum(), (defined >= 0).sum())
    return low, high, min(1.0, (1 + 2 * rarer) / (1 + len(defined))), len(difference)
