"""Noise ceilings: the Pearson r with a noisy measurement that a perfect model can attain, from replicates.

Source: classical test theory (Spearman 1910, Brown 1910). A perfect prediction of the true value correlates with a
measurement of reliability R by sqrt(R); the reliability of the mean of k replicates follows from their mean pairwise
correlation r as k·r / (1 + (k − 1)·r).
"""

import re
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api.metrics import pearson_r
from benchmarks.io import tables

_REPLICATE = re.compile(r"rep(?:licate)?[ _.-]?\d+", re.IGNORECASE)


def replicate_columns(columns: Iterable[str], prefix: str = "") -> list[str]:
    """List the columns that hold replicates: `rep1`, `rep_2`, `replicate 3` … after `prefix`.

    >>> replicate_columns(["seq", "mean", "rep1", "Replicate 2"])
    ['rep1', 'Replicate 2']
    """
    return [name for name in columns if str(name).startswith(prefix) and _REPLICATE.fullmatch(str(name)[len(prefix) :])]


def from_replicates(values: np.ndarray) -> tuple[float, str] | None:
    """Return the noise ceiling of the mean over replicates, as Pearson r, and its basis in words.

    >>> value, _ = from_replicates(np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))
    >>> value
    1.0

    Parameters
    ----------
    values
        (n, k) measurements, NaN where one is missing. Only rows with all k count.

    Returns
    -------
    None with fewer than two replicates or three whole rows, or where replicates do not agree at all (mean r ≤ 0).
    """
    whole = values[np.isfinite(values).all(axis=1)]
    n, k = whole.shape
    if k < 2 or n < 3:
        return None
    r = float(np.mean([pearson_r(whole[:, i], whole[:, j]) for i, j in combinations(range(k), 2)]))
    if not r > 0:
        return None
    reliability = k * r / (1 + (k - 1) * r)
    basis = f"mean r of {r:.3f} between {k} replicates ({n:,} sequences), for their mean by Spearman-Brown"
    return float(np.sqrt(reliability)), basis


def of_table(path: Path, table: pd.DataFrame, output: str, prefix: str = "") -> list[dict]:
    """Return the row-level noise ceiling of an output whose replicates are columns of a table read as text.

    A list of one row of `Dataset.ceilings`; empty where the table has no replicates, or they do not agree.

    Raises
    ------
    BadInput
        If a replicate is neither a number nor empty.
    """
    columns = replicate_columns(table.columns, prefix)
    if not columns:
        return []
    return rows_of(output, np.stack([tables.numbers(path, table, name, may_miss=True) for name in columns], axis=1))


def rows_of(output: str, values: np.ndarray) -> list[dict]:
    """Return the row-level noise ceiling of an output from its replicates, (n, k), as `Dataset.ceilings` has it.

    Empty where `from_replicates` gives none.
    """
    ceiling = from_replicates(values)
    if ceiling is None:
        return []
    value, basis = ceiling
    return [{"output": output, "level": "row", "metric": "pearson_r", "value": value, "basis": basis}]
