"""The evidence that the paper's claims are checked against, and how the checks of one claim are combined.

A check that fails refutes its claim; a check that cannot be made leaves the claim open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.engine.evaluation.combination_grid import Grid

HOLDS, FAILS, OPEN = "holds", "does not hold", "not testable"
ALPHA = 0.05


@dataclass(frozen=True)
class Challenge:
    """What `challenge rank --out` writes: ranking (submission, place), scores (submission, subset, metric, value).

    `n_params` has the parameters of submissions, of those that are known.
    """

    origin: str
    ranking: pd.DataFrame
    scores: pd.DataFrame
    n_params: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Agreement:
    """What `ism --out` writes of several models.

    Parameters
    ----------
    origins
        Model -> what it was trained on, "measured" or "simulated".
    table
        Columns output, model, other, seq_id, pearson_r.
    """

    origins: Mapping[str, str]
    table: pd.DataFrame


@dataclass(frozen=True)
class Evidence:
    """The tables that claims are checked against.

    Parameters
    ----------
    across
        The table over tasks (`table.combine`).
    tests
        Paired tests over folds on the headline scores: task, dataset, output, origin, model, baseline,
        mean_difference, better, n_folds, p_value, p_corrected.
    grid, challenge
        None where no grid of combinations, or no ranking of submissions, was given.
    n_params
        Model -> parameters of its full-size network on yeast, for those of `paper_claims.ORIGINALS` that were counted.
    agreement
        None where no `ism` of several models was given.
    speed
        Raw repeats of `bench speed` (`speed_repeats.COLUMNS`); None where none were given.
    """

    across: pd.DataFrame
    tests: pd.DataFrame
    grid: Grid | None = None
    challenge: Challenge | None = None
    n_params: Mapping[str, int] = field(default_factory=dict)
    agreement: Agreement | None = None
    speed: pd.DataFrame | None = None


class Check(NamedTuple):
    """One statement of a claim. `passed` None: it cannot be checked, and `text` is the reason."""

    passed: bool | None
    text: str
    p_value: float = np.nan
    p_corrected: float = np.nan


def combine_checks(checks: Sequence[Check]) -> dict[str, str]:
    """Combine the checks of one claim: verdict (HOLDS, FAILS or OPEN), reason and numbers, as text."""
    contradicting = [check.text for check in checks if check.passed is False]
    not_made = list(dict.fromkeys(check.text for check in checks if check.passed is None))
    made = [check for check in checks if check.passed is not None]
    numbers = "; ".join(check.text for check in made)
    if contradicting:
        reason = f"{len(contradicting)} of {len(made)} checks contradict it: {'; '.join(contradicting)}."
        return {"verdict": FAILS, "reason": reason + _significance(made), "numbers": numbers}
    if not_made:
        agree = f" The {len(made)} checks that could be made agree." if made else ""
        return {"verdict": OPEN, "reason": f"{'; '.join(not_made)}.{agree}", "numbers": numbers}
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
