"""Ranking submissions by the bootstrap of the paper, and comparing two of them.

Source: Rafi et al. 2024, Methods: 10,000 samples of a tenth of the test data, ranks averaged over the samples. There is
no code for it in the challenge repository. Not stated there, chosen here: every part of the score is sampled on its
own, without replacement, a pair being one item; equal scores share the mean of their ranks; a score that is not
defined in a draw ranks last; the order is that of the mean of both metrics' mean ranks.

Every draw is scored exactly as the whole test set is. It is fast because values are replaced once by their dense ranks
over the whole part: the order of a sample's dense ranks is the order of its values, ties included, so that ranking a
sample is one sort of small integers that carry their own place, for all submissions at once.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from benchmarks.errors import BadInput
from benchmarks.yeast.challenge_score import WEIGHTS, Part, members, values_of
from benchmarks.yeast.test_set import TestSet

METRICS = ("pearson_score", "spearman_score")
QUANTILES = (2.5, 25, 50, 75, 97.5)


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

    def rank_counts(self) -> pd.DataFrame:
        """Count how often every submission took every rank: rows of submission, metric, rank, draws.

        Metric `both` is the mean of the two ranks of a draw.
        """
        ranks = np.concatenate([self.ranks, self.ranks.mean(axis=2, keepdims=True)], axis=2)
        rows = [
            {"submission": name, "metric": metric, "rank": float(value), "draws": int(n)}
            for i, name in enumerate(self.names)
            for j, metric in enumerate((*METRICS, "both"))
            for value, n in zip(*np.unique(ranks[:, i, j], return_counts=True), strict=True)
        ]
        return pd.DataFrame(rows)

    def score_quantiles(self) -> pd.DataFrame:
        """Return the spread of every submission's scores over draws: rows of submission, metric, q2.5 … q97.5."""
        rows = []
        for i, name in enumerate(self.names):
            for j, metric in enumerate(METRICS):
                found = np.percentile(self.scores[:, i, j], QUANTILES)
                spread = {f"q{q:g}": value for q, value in zip(QUANTILES, found, strict=True)}
                rows.append({"submission": name, "metric": metric} | spread)
        return pd.DataFrame(rows)

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
        Of the items of each part that a draw has; at least two items, where there are two.
    partial
        Leave out of the score what the test set does not have, instead of refusing.
    """
    parts = prepared(test, predictions, part, partial=partial)

    def some(rng: np.random.Generator, n: int) -> np.ndarray:
        return rng.choice(n, min(n, max(2, round(share * n))), replace=False, shuffle=False)

    scores = _resampled(parts, some, n_draws=n_draws, seed=seed, n_threads=n_threads, on_draw=on_draw)
    return Draws(tuple(predictions), scores, tuple(parts))


def _resampled(
    parts: Mapping[str, Samples],
    sample: Callable[[np.random.Generator, int], np.ndarray],
    *,
    n_draws: int,
    seed: int,
    n_threads: int,
    on_draw: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Score every submission on samples of every part: (n_draws, n_submissions, 2).

    `sample` picks items of a part of n. Every draw has a generator of its own, so that neither the order nor the number
    of threads matters.
    """

    def draw_one(draw: int) -> np.ndarray:
        rng = np.random.default_rng([seed, draw])
        return _scores([one.correlations(sample(rng, one.n)) for one in parts.values()], list(parts))

    scores = []
    with ThreadPoolExecutor(n_threads) as pool:  # numpy computes outside the interpreter's lock
        for done, found in enumerate(pool.map(draw_one, range(n_draws)), start=1):
            scores.append(found)
            on_draw(done)
    return np.stack(scores)


def _scores(found: list[tuple[np.ndarray, np.ndarray]], names: list[str]) -> np.ndarray:
    """Weight the correlations of all parts: (n_submissions, 2)."""
    weights = np.array([WEIGHTS[name] for name in names])
    r, rho = (np.stack(values) for values in zip(*found, strict=True))
    return np.stack([weights @ r**2, weights @ rho], axis=1) / weights.sum()


def compare(
    test: TestSet,
    members: Mapping[str, np.ndarray],
    baseline: str,
    *,
    part: Part = "private",
    n_draws: int = 1_000,
    seed: int = 0,
    n_threads: int = 1,
) -> dict[str, pd.DataFrame]:
    """Compare models that were trained several times: whose mean score is higher, and could the test items explain it?

    Parameters
    ----------
    members
        Model -> (n_members, n) predictions of every test sequence, a row per training.

    Returns
    -------
    `ranking`
        The rank bootstrap (samples of a tenth) of the models, by the mean score over members.
    `differences`
        Per model and metric, the mean score minus the baseline's, its 95 % percentile interval and two-sided P value
        (twice the smaller share of draws on one side of zero, at least 1 / n_draws) over test sets drawn anew with
        replacement, full size, a pair being one item; and the standard deviations over members, which the draws do not
        cover. No rows where the baseline is missing.

    `rank_distributions`
        How often every model took every rank.

    Parts of the score that are not at hand are left out of it and named in `left_out`.
    """
    flat = {f"{model} {i}": y for model, several in members.items() for i, y in enumerate(several)}
    owner = np.repeat(np.arange(len(members)), [len(several) for several in members.values()])
    sampled = bootstrap(test, flat, part=part, n_draws=n_draws, seed=seed, partial=True, n_threads=n_threads)
    left_out = ", ".join(name for name in WEIGHTS if name not in sampled.parts)
    of_models = Draws(tuple(members), _by_owner(sampled.scores, owner), sampled.parts)
    ranking, counts = (
        table.rename(columns={"submission": "model"}) for table in (of_models.table(), of_models.rank_counts())
    )
    ranking = ranking.assign(part=part, n_draws=n_draws, left_out=left_out)
    differences = pd.DataFrame(columns=DIFFERENCE_COLUMNS)
    if baseline in members and len(members) > 1:
        parts = prepared(test, flat, part, partial=True)
        whole = _scores([one.correlations(np.arange(one.n)) for one in parts.values()], list(parts))
        draws = _resampled(parts, lambda rng, n: rng.integers(0, n, n), n_draws=n_draws, seed=seed, n_threads=n_threads)
        rows = _differences(tuple(members), baseline, whole, _by_owner(draws, owner), owner)
        differences = pd.DataFrame(rows).assign(part=part, left_out=left_out).reindex(columns=DIFFERENCE_COLUMNS)
    return {"ranking": ranking, "differences": differences, "rank_distributions": counts}


DIFFERENCE_COLUMNS = [
    "model", "baseline", "metric", "n_members", "mean_model", "mean_baseline", "difference", "ci_low", "ci_high",
    "p_value", "sd_model", "sd_baseline", "part", "left_out",
]  # fmt: skip


def _by_owner(scores: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Average scores (..., n_members, 2) over the members of each model."""
    return np.stack([scores[..., owner == i, :].mean(axis=-2) for i in range(owner.max() + 1)], axis=-2)


def _differences(
    models: tuple[str, ...], baseline: str, whole: np.ndarray, draws: np.ndarray, owner: np.ndarray
) -> Iterator[dict]:
    base = models.index(baseline)
    mean = _by_owner(whole, owner)
    for i, model in enumerate(models):
        for j, metric in enumerate(METRICS) if model != baseline else ():
            drawn = draws[:, i, j] - draws[:, base, j]
            low, high = np.percentile(drawn, [2.5, 97.5])
            side = min((drawn <= 0).mean(), (drawn >= 0).mean())
            sd_model, sd_baseline = (_sd(whole[owner == k, j]) for k in (i, base))
            yield {
                "model": model,
                "baseline": baseline,
                "metric": metric,
                "n_members": int((owner == i).sum()),
                "mean_model": mean[i, j],
                "mean_baseline": mean[base, j],
                "difference": mean[i, j] - mean[base, j],
                "ci_low": low,
                "ci_high": high,
                "p_value": min(1.0, max(2 * side, 1 / len(drawn))),
                "sd_model": sd_model,
                "sd_baseline": sd_baseline,
            }


def _sd(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


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
