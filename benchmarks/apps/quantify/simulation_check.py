"""Compare the labels of a simulated experiment with the true expression, and count how often intervals hold it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.api.metrics import pearson_r, spearman_rho
from benchmarks.apps.quantify import estimators, label_files
from benchmarks.apps.quantify.estimators import INTERVAL, Estimator
from benchmarks.apps.quantify.sample_sheet import Columns
from benchmarks.errors import BadInput
from benchmarks.io import tables
from benchmarks.io.json_files import read_json


def read_truth(path: Path) -> pd.DataFrame:
    """Read the truth of a simulation: sequence, true_expression, and mean reads, `expected_unsorted`, `expected_0` ….

    Raises
    ------
    BadInput
        If it is not such a table.
    """
    return tables.read_ours(
        path,
        ["sequence", "true_expression", "expected_unsorted", "expected_0"],
        recovery_hint="simulate again",
        sep="\t",
    )


def columns(bins: list[dict[str, Any]]) -> Columns:
    """Return the bins of labels from their quality report."""
    table = pd.DataFrame(bins)
    numbers = (table[name].to_numpy(np.float64) for name in ("cells", "start_q", "end_q"))
    return Columns(table["number"].to_numpy(), table["replicate"].to_numpy(), *numbers)


def noise_free(truth: pd.DataFrame, estimator: Estimator, columns: Columns) -> np.ndarray:
    """Apply an estimator to the mean reads: its estimates in an experiment of the same design without noise.

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
    result = {
        "n_promoters": len(truth), "n_labels": len(labels), "n_found": len(measured),
        "n_unknown": len(labels) - len(joined),
        "pearson_r": pearson_r(true, y), "spearman_rho": spearman_rho(true, y),
        "pearson_r_noise_free": pearson_r(free, y), "pearson_r_of_noise_free_and_true": pearson_r(true, free),
        "n_intervals": len(with_error), "coverage": float((off < INTERVAL).mean()) if len(off) else float("nan"),
    }  # fmt: skip
    if "se_curvature" in with_error and len(with_error):
        by_curvature = np.abs(with_error["expression"] - with_error["noise_free"]) / with_error["se_curvature"]
        result["coverage_of_curvature"] = float((by_curvature < INTERVAL).mean())
    return result


def check_files(truth_file: Path, labels_file: Path) -> tuple[dict[str, float], pd.DataFrame]:
    """Check a file of labels against a file of the truth; return the result, and labels and truth side by side.

    The estimator, its settings and the bins are read from the quality report beside the labels.

    Raises
    ------
    BadInput
        If a file is missing or damaged, or the two are of different experiments.
    """
    columns_needed = ["sequence", "expression", "se"]
    labels = tables.read_ours(labels_file, columns_needed, recovery_hint="quantify again", sep="\t")
    is_designed = labels_file.name == label_files.DESIGNED
    report = labels_file.parent / f"quality_{'designed' if is_designed else 'reads'}.json"
    if not report.is_file():
        raise BadInput(f"{labels_file}: {report.name}, which `quantify` wrote beside it, is needed and missing.")
    facts, truth = read_json(report), read_truth(truth_file)
    if is_designed:
        unsorted = truth["expected_unsorted"].to_numpy() if facts["abundance"] == "unsorted library" else None
        estimator = estimators.by_maude(facts["pseudocount"], unsorted)
    else:
        estimator = estimators.weighted(facts["settings"]["weights"])
    result = check(labels, truth, noise_free(truth, estimator, columns(facts["bins"])))
    return result, labels.merge(truth, on="sequence")
