"""Ranking submissions by the bootstrap of the paper, and comparing two of them.

Source: Rafi et al. 2024, Methods: 10,000 samples of a tenth of the test data, ranks averaged over the samples. There is
no code for it in the challenge repository. Not stated there, chosen here: every part of the score is sampled on its
own, without replacement, a pair being one item; equal scores share the mean of their ranks; a score that is not
defined in a draw ranks last; the order is that of the mean of both metrics' mean ranks.

Every draw is scored exactly as the whole test set is. It is fast because values are replaced once by their dense ranks
over the whole part: the order of a sample's dense ranks is the order of its values, ties included, so that ranking a
sample is one sort of small integers that carry their own place, for all submissions at once.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from benchmarks.api.errors import BadInput
from benchmarks.yeast.scoring import WEIGHTS, Part, members, values_of
from benchmarks.yeast.test_set import TestSet

METRICS = ("pearson_score", "spearman_score")


class Samples:
    """One part of the score for several submissions, ready to be scored on any sample of its items."""

    def __init__(self, y_true: np.ndarray, y_pred: np.ndarray):
        """`y_true` is (n,), `y_pred` (n_submissions, n)."""
        self.values = np.concatenate([y_true[None], y_pred]).astype(np.float64)
        self.n = len(y_true)
        self.dense = np.stack([np.unique(row, return_inverse=True)[1] for row in self.values]).astype(np.uint64)
        if self.dense.max() < 2**16:  # half the bytes to gather and to sort, where a rank and a place fit into 32 bits
            self.dense = self.dense.astype(np.uint32)

    def correlations(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return Pearson r and Spearman rho of every submission on the given items; (n_submissions,) each.

        NaN where a correlation is not defined.
        """
        return _against_first(self.values.take(items, axis=1)), _against_first(self._ranks(items))

    def _ranks(self, items: np.ndarray) -> np.ndarray:
        """Rank the items in every row, ties by average rank; (1 + n_submissions, k) float64."""
        k = len(items)
        bits = max(1, int(k - 1).bit_length())
        dense = self.dense if bits <= 16 else self.dense.astype(np.uint64)
        kind = dense.dtype.type
        places = np.arange(k, dtype=kind)
        ordered = dense.take(items, axis=1) << kind(bits) | places
        ordered.sort(axis=1)
        dense, order = ordered >> kind(bits), ordered & kind((1 << bits) - 1)
        ranks = np.empty(order.shape)
        np.put_along_axis(ranks, order, np.broadcast_to(places + 1.0, order.shape), axis=1)
        for row in np.flatnonzero((dense[:, 1:] == dense[:, :-1]).any(axis=1)):
            starts = np.flatnonzero(np.r_[True, dense[row, 1:] != dense[row, :-1]])
            ends = np.r_[starts[1:], k]
            ranks[row, order[row]] = np.repeat((starts + ends + 1) / 2, ends - starts)
        return ranks


def _against_first(rows: np.ndarray) -> np.ndarray:
    """Correlate every row with the first; NaN where either does not vary."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    squares = np.einsum("ij,ij->i", centred, centred)
    varies = np.ptp(rows, axis=1) > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.clip(centred[1:] @ centred[0] / np.sqrt(squares[1:] * squares[0]), -1.0, 1.0)
    return np.where(varies[1:] & varies[0], r, np.nan)


@dataclass(frozen=True)
class Draws:
    """Scores of every draw, (n_draws, n_submissions, 2) in the order of METRICS, and what they were made of."""

    names: tuple[str, ...]
    scores: np.ndarray
    parts: tuple[str, ...]

    @property
    def ranks(self) -> np.ndarray:
        """Ranks of every draw, 1 the best; (n_draws, n_submissions, 2)."""
        worst = np.where(np.isnan(self.scores), -np.inf, self.scores)
        return rankdata(-worst, axis=1)

    def table(self) -> pd.DataFrame:
        """Return a row per submission, best first: mean rank and its spread by metric, and both together."""
        ranks = self.ranks
        columns = {"submission": self.names}
        for i, metric in enumerate(METRICS):
            columns[f"mean_rank_{metric}"] = ranks[:, :, i].mean(axis=0)
            columns[f"sd_rank_{metric}"] = ranks[:, :, i].std(axis=0)
            columns[f"mean_{metric}"] = self.scores[:, :, i].mean(axis=0)
        table = pd.DataFrame(columns)
        table["mean_rank"] = table[[f"mean_rank_{metric}" for metric in METRICS]].mean(axis=1)
        table = table.sort_values("mean_rank", kind="stable").reset_index(drop=True)
        table.insert(0, "place", rankdata(table["mean_rank"], method="min").astype(int))
        return table


def prepared(
    test: TestSet, predictions: Mapping[str, np.ndarray], part: Part, *, partial: bool = False
) -> dict[str, Samples]:
    """Make every part of the score ready for sampling.

    Raises
    ------
    BadInput
        If a part of the score is not at hand and `partial` was not asked for.
    """
    where = members(test, part)
    missing = [name for name in WEIGHTS if name not in where]
    if missing and not partial:
        raise BadInput(
            f"The challenge score needs {', '.join(missing)}, which this test set does not have for part {part!r}. "
            "--partial weights what is there; such scores do not compare with published ones."
        )
    y_pred = np.stack(list(predictions.values()))
    return {
        name: Samples(values_of(test.y_true, rows), np.stack([values_of(y, rows) for y in y_pred]))
        for name, rows in where.items()
    }


def bootstrap(
    test: TestSet,
    predictions: Mapping[str, np.ndarray],
    *,
    part: Part = "private",
    share: float = 0.1,
    n_draws: int = 10_000,
    seed: int = 0,
    partial: bool = False,
    n_threads: int = 1,
    on_draw: Callable[[int], None] = lambda done: None,
) -> Draws:
    """Score all submissions on many samples of the test set.

    Parameters
    ----------
    predictions
        Submission -> (n,) predictions of every test sequence, NaN where `part` does not need one.
    share
        Of the items of each part that a draw has; at least two items.
    partial
        Leave out of the score what the test set does not have, instead of refusing.
    """
    parts = prepared(test, predictions, part, partial=partial)
    weights = np.array([WEIGHTS[name] for name in parts])
    scores = np.empty((n_draws, len(predictions), len(METRICS)))

    def draw_one(draw: int) -> None:
        rng = np.random.default_rng([seed, draw])  # of its own, so that neither order nor number of threads matters
        found = [
            one.correlations(rng.choice(one.n, max(2, round(share * one.n)), replace=False, shuffle=False))
            for one in parts.values()
        ]
        scores[draw] = _weighted(found, weights)

    with ThreadPoolExecutor(n_threads) as pool:  # numpy computes outside the interpreter's lock
        for done, _ in enumerate(pool.map(draw_one, range(n_draws)), start=1):
            on_draw(done)
    return Draws(tuple(predictions), scores, tuple(parts))


def _weighted(found: list[tuple[np.ndarray, np.ndarray]], weights: np.ndarray) -> np.ndarray:
    """Weight the correlations of all parts: (n_submissions, 2)."""
    r, rho = (np.stack(values) for values in zip(*found, strict=True))
    return np.stack([weights @ r**2, weights @ rho], axis=1) / weights.sum()


def paired_bootstrap(
    test: TestSet,
    y_one: np.ndarray,
    y_other: np.ndarray,
    *,
    part: Part = "private",
    n_draws: int = 2_000,
    seed: int = 0,
    partial: bool = False,
) -> pd.DataFrame:
    """Compare two submissions on resampled test sets (with replacement, full size, a pair being one item).

    Returns
    -------
    A row per metric: difference (one minus other) on the test set, its 95 % percentile interval, the two-sided
    bootstrap P value (twice the smaller share of draws on one side of zero, at least 1 / n_draws).
    """
    parts = prepared(test, {"one": y_one, "other": y_other}, part, partial=partial)
    weights = np.array([WEIGHTS[name] for name in parts])
    whole = _weighted([one.correlations(np.arange(one.n)) for one in parts.values()], weights)
    draws = np.empty((n_draws, len(METRICS)))
    for draw in range(n_draws):
        rng = np.random.default_rng([seed, draw])
        sampled = _weighted([one.correlations(rng.integers(0, one.n, one.n)) for one in parts.values()], weights)
        draws[draw] = sampled[0] - sampled[1]
    rows = []
    for i, metric in enumerate(METRICS):
        low, high = np.percentile(draws[:, i], [2.5, 97.5])
        side = min((draws[:, i] <= 0).mean(), (draws[:, i] >= 0).mean())
        p_value = min(1.0, max(2 * side, 1 / n_draws))
        rows.append(
            {
                "metric": metric,
                "difference": whole[0, i] - whole[1, i],
                "ci_low": low,
                "ci_high": high,
                "p_value": p_value,
            }
        )
    return pd.DataFrame(rows)


def disparities(scores: pd.DataFrame) -> pd.DataFrame:
    """Say how far apart submissions are on every part: (best - worst) / best in percent (Fig. 1f, g).

    Parameters
    ----------
    scores
        Columns submission, subset, metric, value. Pearson correlations are squared first, as in the score.
    """
    table = scores[scores["subset"] != "challenge"].copy()
    squared = table["metric"] == "pearson_r"
    table.loc[squared, "value"] **= 2
    by_part = table.groupby(["metric", "subset"], sort=False)["value"]
    best, worst = by_part.max(), by_part.min()
    return (100 * (best - worst) / best).rename("percent").reset_index()
