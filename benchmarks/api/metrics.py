"""Scores of predictions against measurements. Arguments run `y_true, y_pred`; both are one-dimensional."""

import numpy as np
from scipy.stats import rankdata


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
