"""What claims are judged by, and how their checks make a verdict: one that fails refutes, one not made leaves open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

HOLDS, FAILS, OPEN = "holds", "does not hold", "not testable"
ALPHA = 0.05


@dataclass(frozen=True)
class Grid:
    """A run of all combinations: `table` is its grid.csv (see `results/README.md`).

    `departures` says in what it is not the published protocol, "" where it is.
    """

    task: str
    origin: str
    departures: str
    table: pd.DataFrame


@dataclass(frozen=True)
class Challenge:
    """What `challenge rank --out` writes: ranking (submission, place), scores (submission, subset, metric, value)."""

    origin: str
    ranking: pd.DataFrame
    scores: pd.DataFrame


@dataclass(frozen=True)
class Evidence:
    """What claims are judged by.

    Parameters
    ----------
    across
        The table over tasks (`across.table`).
    tests
        Paired tests over folds on the headlines: task, dataset, output, origin, model, baseline, mean_difference,
        better, n_folds, p_value, p_corrected.
    n_params
        Parameters of the full-size networks of PAIRS on yeast, where they were counted.
    """

    across: pd.DataFrame
    tests: pd.DataFrame
    grid: Grid | None = None
    challenge: Challenge | None = None
    n_params: Mapping[str, int] = field(default_factory=dict)


class Check(NamedTuple):
    """One thing that a claim says. `ok` None: it cannot be checked, and `words` is why."""

    ok: bool | None
    words: str
    p_value: float = np.nan
    p_corrected: float = np.nan


def verdict(checks: Sequence[Check]) -> dict[str, str]:
    """Return verdict, reason and numbers, in words."""
    wrong = [check.words for check in checks if check.ok is False]
    missing = list(dict.fromkeys(check.words for check in checks if check.ok is None))
    made = [check for check in checks if check.ok is not None]
    numbers = "; ".join(check.words for check in made)
    if wrong:
        reason = f"{len(wrong)} of {len(made)} checks contradict it: {'; '.join(wrong)}."
        return {"verdict": FAILS, "reason": reason + _significance(made), "numbers": numbers}
    if missing:
        agree = f" The {len(made)} checks that could be made agree." if made else ""
        return {"verdict": OPEN, "reason": f"{'; '.join(missing)}.{agree}", "numbers": numbers}
    reason = "Its one check agrees." if len(made) == 1 else f"All {len(made)} checks agree."
    return {"verdict": HOLDS, "reason": reason + _significance(made), "numbers": numbers}


def _significance(checks: Sequence[Check]) -> str:
    tested = [check for check in checks if np.isfinite(check.p_value)]
    if not tested:
        return ""
    paired = sum(check.p_value < ALPHA for check in tested)
    corrected = sum(check.p_corrected < ALPHA for check in tested)
    return (
        f" Of {len(tested)} differences, {paired} have P < {ALPHA:g} by the paired t-test over folds, {corrected} by "
        "the corrected one."
    )
