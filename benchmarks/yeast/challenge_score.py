"""The challenge's scores: correlations over nine parts of the test set, weighted.

Source: `prixfixe/evaluation.py` of the challenge repository. The part "all" has weight 1 and counts among the parts,
although the paper speaks of eight subsets. Pearson correlations enter squared, Spearman correlations as they are.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from benchmarks.api.metrics import pearson_r, spearman_rho
from benchmarks.yeast.test_set import TestSet

Part = Literal["public", "private", "all"]

WEIGHTS = {
    "all": 1.0,
    "high": 0.3,
    "low": 0.3,
    "native": 0.3,
    "random": 0.3,
    "challenging": 0.5,
    "SNVs": 1.25,
    "motif_perturbation": 0.3,
    "motif_tiling": 0.4,
}
"""Part of the test set -> weight; their sum, 4.65, is the divisor of both scores."""


def members(test: TestSet, part: Part) -> dict[str, np.ndarray]:
    """Return what each term of the score is computed on: subset -> (k,) positions, or (k, 2) pairs of positions.

    The private part of single sequences is what no public list names, be it alone or in a pair; of pairs, every pair
    that was not itself public. A subset of which nothing is at hand, or only the public pairs where others are asked
    for, is left out.
    """
    chosen = {"public": test.is_public, "private": ~test.is_public, "all": np.ones(len(test), dtype=bool)}[part]
    subsets = {"all": np.flatnonzero(chosen)}
    for name, positions in test.singles.items():
        subsets[name] = positions[chosen[positions]]
    for name, pairs in test.pairs.items():
        is_public = test.public_pairs[name]
        if part == "public":
            subsets[name] = pairs[is_public]
        elif not is_public.all():
            subsets[name] = pairs[~is_public] if part == "private" else pairs
    return {name: subsets[name] for name in WEIGHTS if name in subsets and len(subsets[name])}


def values_of(y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return what is correlated: values at positions, or differences alt - ref of pairs."""
    return y[rows] if rows.ndim == 1 else y[rows[:, 0]] - y[rows[:, 1]]


def score(test: TestSet, y_pred: np.ndarray, part: Part = "private") -> pd.DataFrame:
    """Score predictions of every test sequence, (n,) in test order, in any affine scale.

    Returns
    -------
    Rows of subset, metric (`pearson_r`, `spearman_rho`), value, n; and of subset `challenge` with `pearson_score` and
    `spearman_score`, which are NaN where a subset of the test set is not at hand or a correlation is not defined.
    """
    rows = []
    for name, where in members(test, part).items():
        y_true, predicted = values_of(test.y_true, where), values_of(np.asarray(y_pred, dtype=np.float64), where)
        for metric, function in (("pearson_r", pearson_r), ("spearman_rho", spearman_rho)):
            rows.append({"subset": name, "metric": metric, "value": function(y_true, predicted), "n": len(where)})
    table = pd.DataFrame(rows, columns=["subset", "metric", "value", "n"])
    n_all = int(table["n"].max()) if len(table) else 0
    for metric, total in challenge_scores(table).items():
        table.loc[len(table)] = ["challenge", metric, total, n_all]
    return table


def challenge_scores(table: pd.DataFrame) -> dict[str, float]:
    """Weight the correlations of a score table: Pearson score and Spearman score."""
    value = table.set_index(["subset", "metric"])["value"]
    r = np.array([value.get((name, "pearson_r"), np.nan) for name in WEIGHTS])
    rho = np.array([value.get((name, "spearman_rho"), np.nan) for name in WEIGHTS])
    weights = np.array(list(WEIGHTS.values()))
    return {
        "pearson_score": float(weights @ r**2 / weights.sum()),
        "spearman_score": float(weights @ rho / weights.sum()),
    }


def score_all(test: TestSet, predictions: Mapping[str, np.ndarray], part: Part) -> pd.DataFrame:
    """Score several submissions, by name; rows as `score`, with a column submission."""
    tables = [score(test, y_pred, part).assign(submission=name) for name, y_pred in predictions.items()]
    return pd.concat(tables, ignore_index=True)


def missing_subsets(table: pd.DataFrame) -> list[str]:
    """List the subsets that a score table lacks, without which the challenge scores are not defined."""
    return [name for name in WEIGHTS if name not in set(table["subset"])]


def leaderboard(table: pd.DataFrame) -> pd.DataFrame:
    """List submissions by Pearson score, best first: submission, pearson_score, spearman_score, team and date.

    `date` is what the name ends in, as in team_2022-07-31, and missing where it does not.
    """
    totals = table[table["subset"] == "challenge"]
    wide = totals.pivot_table(index="submission", columns="metric", values="value", sort=False, dropna=False)
    wide = wide.reset_index().sort_values("pearson_score", ascending=False, kind="stable", na_position="last")
    names = wide["submission"].str.extract(r"^(?P<team>.*?)[_-]?(?P<date>\d{4}-\d{2}-\d{2})?$")
    return wide.assign(team=names["team"], date=names["date"]).reset_index(drop=True)
