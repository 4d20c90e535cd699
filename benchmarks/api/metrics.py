"""Scores of predictions against measurements. Arguments run `y_true, y_pred`; both are one-dimensional."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from benchmarks.api.data import Dataset


def _checked(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y_true, y_pred = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    if y_true.shape != y_pred.shape or y_true.ndim != 1:
        raise ValueError(f"two one-dimensional arrays of one length expected, got {y_true.shape} and {y_pred.shape}")
    return y_true, y_pred


def pearson_r(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Pearson correlation in double precision; NaN where it is undefined (constant or non-finite input, n < 2)."""
    y_true, y_pred = _checked(y_true, y_pred)
    if len(y_true) < 2 or not (np.isfinite(y_true).all() and np.isfinite(y_pred).all()):
        return float("nan")
    if np.ptp(y_true) == 0 or np.ptp(y_pred) == 0:
        return float("nan")
    a, b = y_true - y_true.mean(), y_pred - y_pred.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(np.clip(a @ b / scale, -1.0, 1.0)) if scale > 0 else float("nan")


def spearman_rho(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Spearman correlation, ties by average rank; NaN where it is undefined."""
    y_true, y_pred = _checked(y_true, y_pred)
    if not (np.isfinite(y_true).all() and np.isfinite(y_pred).all()):
        return float("nan")
    return pearson_r(rankdata(y_true), rankdata(y_pred))


def mse(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Mean squared error, in squared units of the target."""
    y_true, y_pred = _checked(y_true, y_pred)
    return float(np.mean((y_true - y_pred) ** 2)) if len(y_true) else float("nan")


REGRESSION_METRICS = {"pearson_r": pearson_r, "spearman_rho": spearman_rho, "mse": mse}


def scores_by_orientation(
    test: Dataset, predictions: Mapping[str, np.ndarray], *, element: str, orientation: str
) -> pd.DataFrame:
    """Score every output by row, and averaged over the two orientations of an element.

    The strand-averaged level holds the elements measured in both orientations: prediction and measurement are each
    averaged within an orientation, then over the two. Row-level and strand-averaged values differ by several points and
    must not be mixed.

    Parameters
    ----------
    element, orientation
        Columns of `test.meta`: which element a row belongs to, and which of its two sides it is.

    Returns
    -------
    Rows of output, subset, level, metric, value, n.
    """
    rows = []
    for output, measured in test.targets.items():
        table = test.meta[[element, orientation]].copy()
        table["y_true"], table["y_pred"] = measured.astype(np.float64), predictions[output].astype(np.float64)
        by_element = table.groupby([element, orientation]).mean().groupby(element)
        both = by_element.mean()[by_element.size() == 2]
        for level, part in {"row": table, "strand_averaged": both}.items():
            y_true, y_pred = part["y_true"].to_numpy(), part["y_pred"].to_numpy()
            about = {"output": output, "subset": "all", "level": level}
            rows += [
                about | {"metric": name, "value": metric(y_true, y_pred), "n": len(part)}
                for name, metric in REGRESSION_METRICS.items()
            ]
    return pd.DataFrame(rows)
