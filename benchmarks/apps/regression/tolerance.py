"""Test measured scores against a reference, with tolerances from the spread between seeds.

Source: none; the prediction interval of one more draw from a normal sample. A score of seed s is one such draw, so an
unchanged project stays within mean ± t · sd · sqrt(1 + 1/n), t being the quantile of n − 1 degrees of freedom that
leaves ALPHA of false alarms to all scores together (Bonferroni).
"""

import numpy as np
import pandas as pd
from scipy import stats

KEY = ["task", "task_version", "model", "output", "subset", "level", "metric"]
ALPHA = 0.005
"""Chance that an unchanged project fails, over the whole table."""

MIN_TOLERANCE = 0.002
"""Smallest tolerance: another processor or numpy rounds differently, and a ridge has no seeds to spread over."""


def reference_of(scores: pd.DataFrame) -> pd.DataFrame:
    """Turn scores of several seeds into a reference.

    Parameters
    ----------
    scores
        Columns KEY, seed, value; every score once for every seed.

    Returns
    -------
    Columns KEY, mean, sd (ddof 1), n_seeds, tolerance, judged. A score whose tolerance reaches down to 0, where a model
    that has learnt nothing scores, could hardly fail: it is shown and not tested (`judged` is false).

    Raises
    ------
    ValueError
        With fewer than three seeds, or where a score is missing or not a number for some.
    """
    by_score = scores.groupby(KEY, sort=False)["value"]
    table = by_score.agg(mean="mean", sd="std", n_seeds="size").reset_index()
    n_seeds = scores["seed"].nunique()
    if n_seeds < 3:
        raise ValueError(f"a spread needs at least 3 seeds, there are {n_seeds}")
    if scores["value"].isna().any() or (table["n_seeds"] != n_seeds).any():
        raise ValueError("a score is missing, or not a number, for some seeds")
    quantile = stats.t.ppf(1 - ALPHA / (2 * len(table)), n_seeds - 1)
    table["tolerance"] = np.maximum(MIN_TOLERANCE, quantile * table["sd"] * np.sqrt(1 + 1 / n_seeds))
    table["judged"] = table["tolerance"] < table["mean"].abs()
    return table


def within_tolerance(measured: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Test every score of a reference by its tolerance.

    Parameters
    ----------
    measured
        Columns KEY, value.
    reference
        As `reference_of` returns it.

    Returns
    -------
    Columns KEY, reference, tolerance, measured, difference, verdict, in the order of the reference. `verdict` is
    "passes"; "fails" for a score out of tolerance, in either direction, missing or not a number; "not judged" where the
    tolerance is too wide to mean anything; "new" for scores that the reference lacks.
    """
    both = reference.merge(measured[[*KEY, "value"]], on=KEY, how="outer", indicator=True)
    order = {tuple(row): i for i, row in enumerate(reference[KEY].itertuples(index=False, name=None))}
    both["order"] = [order.get(key, len(order)) for key in both[KEY].itertuples(index=False, name=None)]
    both = both.sort_values("order", kind="stable", ignore_index=True)
    difference = both["value"] - both["mean"]
    inside = difference.abs() <= both["tolerance"]  # NaN is not inside
    outcomes = np.select(
        [both["_merge"] == "right_only", both["value"].isna(), both["judged"].ne(True), inside],
        ["new", "fails", "not judged", "passes"],
        "fails",
    )
    table = both[[*KEY, "mean", "tolerance", "value"]].rename(columns={"mean": "reference", "value": "measured"})
    return table.assign(difference=difference, verdict=outcomes)


def parameters_moved(measured: dict[str, int], reference: dict[str, int]) -> list[str]:
    """List the models whose number of parameters differs from the reference, a sentence each."""
    return [
        f"{name} has {measured[name]:,} parameters; {reference[name]:,} are expected"
        for name in reference
        if name in measured and measured[name] != reference[name]
    ]
