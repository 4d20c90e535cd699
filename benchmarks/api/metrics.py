"""Scores of predictions against measurements. Arguments run `y_true, y_pred`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import rel_entr
from scipy.stats import rankdata

from benchmarks.api.data import Dataset


@dataclass(frozen=True)
class Metric:
    """What readers see of a metric: its name in tables and on axes, and whether high or low values are good."""

    label: str
    better: Literal["higher", "lower"] = "higher"


METRICS = {
    "pearson_r": Metric("Pearson r"),
    "pearson_r2": Metric("Pearson r²"),
    "spearman_rho": Metric("Spearman rho"),
    "mse": Metric("MSE", "lower"),
    "rmse": Metric("RMSE", "lower"),
    "mae": Metric("MAE", "lower"),
    "pearson_score": Metric("Pearson score"),
    "spearman_score": Metric("Spearman score"),
    "median_jsd": Metric("median JS distance", "lower"),
    "one_minus_median_jsd": Metric("1 − median JS distance"),
    "median_norm_jsd": Metric("median normalised JS distance"),
}
"""Every metric by its name in score tables. One that is missing here is written as it is called; high is good."""

_LEVELS = {"row": "row level", "region": "region level"}


def label_of(name: str) -> str:
    """Return how tables, pages and figures write the name of a metric, level, output or column.

    >>> label_of("pearson_r"), label_of("strand_averaged")
    ('Pearson r', 'strand averaged')
    """
    return METRICS[name].label if name in METRICS else _LEVELS.get(name, str(name).replace("_", " "))


def better(metric: str) -> Literal["higher", "lower"]:
    """Say whether higher or lower values of a metric are better."""
    return METRICS[metric].better if metric in METRICS else "higher"


def _checked(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y_true, y_pred = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    if y_true.shape != y_pred.shape or y_true.ndim != 1:
        raise ValueError(f"two one-dimensional arrays of one length expected, got {y_true.shape} and {y_pred.shape}")
    return y_true, y_pred


def pearson_r(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Pearson correlation in double precision; NaN where it is undefined (constant or non-finite input, n < 2).

    >>> pearson_r(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    1.0

    Raises
    ------
    ValueError
        If the arrays are not (n,) of one length; so do `spearman_rho` and `mse`.
    """
    y_true, y_pred = _checked(y_true, y_pred)
    if len(y_true) < 2 or not (np.isfinite(y_true).all() and np.isfinite(y_pred).all()):
        return float("nan")
    if np.ptp(y_true) == 0 or np.ptp(y_pred) == 0:
        return float("nan")
    a, b = y_true - y_true.mean(), y_pred - y_pred.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(np.clip(a @ b / scale, -1.0, 1.0)) if scale > 0 else float("nan")


def spearman_rho(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Spearman correlation, ties by average rank; NaN where it is undefined.

    >>> spearman_rho(np.array([1, 2, 3, 4]), np.array([1, 2, 4, 3]))
    0.8
    """
    y_true, y_pred = _checked(y_true, y_pred)
    if not (np.isfinite(y_true).all() and np.isfinite(y_pred).all()):
        return float("nan")
    return pearson_r(rankdata(y_true), rankdata(y_pred))


def mse(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Mean squared error, in squared units of the target."""
    y_true, y_pred = _checked(y_true, y_pred)
    return float(np.mean((y_true - y_pred) ** 2)) if len(y_true) else float("nan")


def observed(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out what was not measured, NaN in y_true; both (n,).

    >>> observed(np.array([1.0, np.nan]), np.array([2.0, 3.0]))
    (array([1.]), array([2.]))
    """
    known = ~np.isnan(y_true)
    return y_true[known], y_pred[known]


PROFILE_BLOCK = 4096
"""Profiles that are scored at a time, to bound memory."""


def jsd(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Jensen-Shannon distance of every observed profile to the predicted one: natural logarithm, 0 to 0.8326.

    The square root of the divergence, as scipy's `jensenshannon` gives it. Source: `kundajelab/chrombpnet`,
    `chrombpnet/training/metrics.py`.

    Parameters
    ----------
    y_true
        (n, profile_len) counts >= 0.
    y_pred
        (n, profile_len) probabilities, or anything proportional to them.

    Returns
    -------
    (n,) float64; NaN where a profile has no counts.

    Raises
    ------
    ValueError
        If the shapes differ, or are not (n, profile_len).

    >>> jsd(np.array([[4, 0], [1, 1]]), np.array([[0.0, 1.0], [0.5, 0.5]])).round(4)
    array([0.8326, 0.    ])
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    if y_true.shape != y_pred.shape or y_true.ndim != 2:
        raise ValueError(f"two arrays (n, profile_len) of one shape expected, got {y_true.shape} and {y_pred.shape}")
    distances = np.empty(len(y_true))
    for start in range(0, len(y_true), PROFILE_BLOCK):
        block = slice(start, start + PROFILE_BLOCK)
        distances[block] = _jsd(y_true[block].astype(np.float64), y_pred[block].astype(np.float64))
    return distances


def _jsd(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        observed /= observed.sum(axis=1, keepdims=True)
        predicted /= predicted.sum(axis=1, keepdims=True)
    middle = (observed + predicted) / 2
    divergence = (rel_entr(observed, middle).sum(axis=1) + rel_entr(predicted, middle).sum(axis=1)) / 2
    return np.sqrt(np.maximum(divergence, 0))


def normalised_jsd(y_true: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Put distances on a scale from 0, no better than a uniform profile, to 1, perfect; NaN without counts.

    A distance equal to that between the observed profile and a uniform one is 0, and so is any larger one.

    Parameters
    ----------
    y_true
        (n, profile_len) counts.
    distance
        (n,), from `jsd`.
    """
    uniform = np.broadcast_to(np.float64(1), y_true.shape)
    worst = jsd(y_true, uniform)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip((worst - distance) / worst, 0, 1)


REGRESSION_METRICS = {"pearson_r": pearson_r, "spearman_rho": spearman_rho, "mse": mse}


def nan_median(values: np.ndarray) -> float:
    """Median of the finite values; NaN where there is none."""
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")


@dataclass(frozen=True)
class Items:
    """The test items that one cell of a score table is computed from, and their values.

    Parameters
    ----------
    unit
        (n,) int from 0: items of one unit are resampled together, as the two orientations of an element are.
    values
        `y_true` and `y_pred`, (n,) float64, for the REGRESSION_METRICS; or `jsd` and `norm_jsd`, (n,), one distance per
        profile, NaN for those without counts, whose medians are the scores.
    """

    output: str
    subset: str
    level: str
    unit: np.ndarray
    values: Mapping[str, np.ndarray]

    def scores(self) -> dict[str, float]:
        """Return metric -> value over all items."""
        if "jsd" in self.values:
            median = nan_median(self.values["jsd"])
            return {
                "median_jsd": median,
                "one_minus_median_jsd": 1 - median,
                "median_norm_jsd": nan_median(self.values["norm_jsd"]),
            }
        return {name: metric(**self.values) for name, metric in REGRESSION_METRICS.items()}


def score_items(several: Iterable[Items]) -> pd.DataFrame:
    """Score items: rows of output, subset, level, metric, value, n."""
    return pd.DataFrame(
        [
            {"output": items.output, "subset": items.subset, "level": items.level, "metric": metric, "value": value}
            | {"n": len(items.unit)}
            for items in several
            for metric, value in items.scores().items()
        ]
    )


def items_by_orientation(
    test: Dataset, predictions: Mapping[str, np.ndarray], *, element: str, orientation: str
) -> list[Items]:
    """Give the items of every output by row, and averaged over the two orientations of an element.

    The strand-averaged level holds the elements measured in both orientations: prediction and measurement are each
    averaged within an orientation, then over the two. Row-level and strand-averaged values differ by several points and
    must not be mixed. An element is one unit at both levels. Missing values are left out.

    Parameters
    ----------
    element, orientation
        Columns of `test.meta`: which element a row belongs to, and which of its two sides it is.
    """
    items = []
    for output, measured in test.targets.items():
        table = test.meta[[element, orientation]].copy()
        table["y_true"], table["y_pred"] = measured.astype(np.float64), predictions[output].astype(np.float64)
        table = table[table["y_true"].notna()]
        by_element = table.groupby([element, orientation]).mean().groupby(element)
        both = by_element.mean()[by_element.size() == 2]
        of_row = pd.factorize(table[element])[0]
        for level, part, unit in (("row", table, of_row), ("strand_averaged", both, np.arange(len(both)))):
            values = {name: part[name].to_numpy() for name in ("y_true", "y_pred")}
            items.append(Items(output, "all", level, unit, values))
    return items
