"""How right labels of a simulated experiment are: against the true expression, and inside their intervals."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api.metrics import pearson_r, spearman_rho
from benchmarks.apps.quantify.estimators import INTERVAL, Estimator
from benchmarks.apps.quantify.sample_sheet import Columns
from benchmarks.errors import BadInput
from benchmarks.io import tables


def read_truth(path: Path) -> pd.DataFrame:
    """Read the truth of a simulation: sequence, true_expression, and mean reads, `expected_unsorted`, `expected_0` ….

    Raises
    ------
    BadInput
        If it is no such table.
    """
    return tables.read_ours(
        path,
        ["sequence", "true_expression", "expected_unsorted", "expected_0"],
        recovery_hint="simulate again",
        sep="\t",
    )


def columns(bins: list[dict]) -> Columns:
    """Return the bins of labels from their report of quality."""
    table = pd.DataFrame(bins)
    numbers = (table[name].to_numpy(np.float64) for name in ("cells", "start_q", "end_q"))
    return Columns(table["number"].to_numpy(), table["replicate"].to_numpy(), *numbers)


def noise_free(truth: pd.DataFrame, estimator: Estimator, columns: Columns) -> np.ndarray:
    """Return what an estimator makes of the mean reads: its answer in an experiment of the same design without noise.

    It is the true value on the estimator's own scale; (n,) float64.
    """
    expected = truth[[name for name in truth if name.removeprefix("expected_").isdecimal()]].to_numpy(np.float64)
    if columns.numbers.max() >= expected.shape[1]:
        raise BadInput(f"The truth has bins 0 to {expected.shape[1] - 1}, the labels a bin {columns.numbers.max()}.")
    return estimator(expected[:, columns.numbers], columns).value


def check(labels: pd.DataFrame, truth: pd.DataFrame, without_noise: np.ndarray) -> dict[str, float]:
    """Compare labels (sequence, expression, se, n_cells) with the truth, promoter by promoter.

    `coverage` is the share of 95 % intervals that hold the true value on the estimator's own scale.

    Raises
    ------
    BadInput
        If the labels are of other promoters.
    """
    truth = truth.assign(noise_free=without_noise)
    joined = labels.merge(truth, on="sequence", suffixes=("", "_true"))
    if joined.empty:
        raise BadInput("No promoter of --labels is in --truth; name both of the same simulated experiment.")
    measured = joined[np.isfinite(joined["expression"]) & np.isfinite(joined["noise_free"])]
    y, true, free = (measured[name].to_numpy() for name in ("expression", "true_expression", "noise_free"))
    with_error = measured[np.isfinite(measured["se"])]
    off = np.abs(with_error["expression"] - with_error["noise_free"]) / with_error["se"]
    found = {
        "n_promoters": len(truth), "n_labels": len(labels), "n_found": len(measured),
        "n_unknown": len(labels) - len(joined),
        "pearson_r": pearson_r(true, y), "spearman_rho": spearman_rho(true, y),
        "pearson_r_noise_free": pearson_r(free, y), "pearson_r_of_noise_free_and_true": pearson_r(true, free),
        "n_intervals": len(with_error), "coverage": float((off < INTERVAL).mean()) if len(off) else float("nan"),
    }  # fmt: skip
    if "se_curvature" in with_error and len(with_error):
        own = np.abs(with_error["expression"] - with_error["noise_free"]) / with_error["se_curvature"]
        found["coverage_of_curvature"] = float((own < INTERVAL).mean())
    return found
