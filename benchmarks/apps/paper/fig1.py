"""Fig. 1b-g and Extended Data 1, 2, 4: ranks, scores by subset of the test set, gaps between the best and the worst.

Source: Rafi et al. 2024, Fig. 1. Submissions of a challenge where its tables are given, else the models of a yeast run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks import registry
from benchmarks.apps.paper.figure_data import FigureData, MissingData, RenderedPanel, Run
from benchmarks.engine.figures import challenge
from benchmarks.engine.figures.challenge import METRICS, SUBSET_METRICS

_RANK = "python -m benchmarks challenge rank --data … --submissions … --out FOLDER, then figures --challenge FOLDER"
_BOARD = _RANK.replace("challenge rank", "challenge leaderboard")

_WHOLE = ("challenge", "all")
"""What a table of scores holds beside the subsets: the weighted score, and the whole test set."""


@dataclass(frozen=True)
class Ranked:
    """What is ranked, best first, and what a caption calls it.

    Parameters
    ----------
    order
        Submissions or models, without the reference model.
    reference
        The reference model, or "".
    uses
        Whether these are of the `challenge` or of the run of `yeast`.
    """

    order: Sequence[str]
    reference: str
    labels: dict[str, str]
    simulated: bool
    kind: str
    uses: tuple[str, ...]

    def shown(self, top: int) -> list[str]:
        """Return the best `top`, and the reference model last."""
        return [*self.order[:top], *([self.reference] if self.reference else [])]

    def describe(self, n: int) -> str:
        """Say which entries are drawn: the best n, beside the reference model where there is one."""
        n = min(n, len(self.order))
        which = f"the best {n} of {len(self.order)} {self.kind}" if n < len(self.order) else f"{n} {self.kind}"
        return which + (" and the reference model" if self.reference else " (no reference model is named)")


def ranks(data: FigureData, metric: str) -> RenderedPanel:
    """Draw the ranks of the best in samples of the test set (1b: Pearson score, 1c: Spearman score)."""
    ranked = _ranked(data)
    top = ranked.order[: data.top]
    counts = _rank_counts(data)
    counts = counts[(counts["metric"] == metric) & counts["submission"].isin(top)]
    if counts.empty:
        raise MissingData(f"the ranking holds no ranks by {metric}")
    figure = challenge.ranks(counts, top, labels=ranked.labels, simulated=ranked.simulated)
    text = (
        f"Ranks of the best {len(top)} {ranked.kind} by {METRICS[metric]} in n = {_n_draws(counts):,} samples of a "
        "tenth of the test set; colour: share of the samples, point: mean rank."
    )
    return RenderedPanel(figure, counts, text, ranked.simulated, ranked.uses)


def rank_frequencies(data: FigureData) -> RenderedPanel:
    """Draw in how many samples each of the best took each rank, by either score and by the sum (Extended Data 2)."""
    ranked = _ranked(data)
    top = ranked.order[: data.top]
    counts = _rank_counts(data)
    counts = counts[counts["submission"].isin(top)]
    if counts.empty:
        raise MissingData("the ranking holds no ranks")
    figure = challenge.rank_frequencies(counts, top, labels=ranked.labels, simulated=ranked.simulated)
    summed = counts["rank"].where(counts["metric"] != "both", counts["rank"] * 2)
    text = (
        f"In how many of {_n_draws(counts):,} samples of a tenth of the test set each of the best {len(top)} "
        f"{ranked.kind} took each rank: by Pearson score, by Spearman score, and the sum of both ranks."
    )
    return RenderedPanel(figure, counts.assign(rank=summed), text, ranked.simulated, ranked.uses)


def subsets(data: FigureData, metric: str) -> RenderedPanel:
    """Draw the scores of the best and the reference on every subset (1d: Pearson r², 1e: Spearman rho)."""
    ranked = _ranked(data)
    shown = ranked.shown(data.top)
    table = _of_subsets(data, metric, shown)
    figure = challenge.heat_map(table, shown, labels=ranked.labels, simulated=ranked.simulated)
    text = f"{SUBSET_METRICS[metric]} of {ranked.describe(data.top)} on every subset of the test set (private part); "
    text += "colour from the worst to the best of each column."
    return RenderedPanel(figure, _drawn_values(table, metric), text, ranked.simulated, ranked.uses)


def everyone(data: FigureData) -> RenderedPanel:
    """Draw all submissions on every subset of the test set, by both metrics (Extended Data 4)."""
    if "ranking" not in data.challenge:
        raise MissingData("all submissions of a challenge are drawn, and no ranking is available", _RANK)
    ranked = _ranked(data)
    everybody = ranked.shown(len(ranked.order))
    table = pd.concat([_of_subsets(data, metric, everybody) for metric in SUBSET_METRICS])
    figure = challenge.heat_map(
        table, everybody, labels=ranked.labels, simulated=ranked.simulated, title="All submissions"
    )
    numbers = pd.concat([_drawn_values(table, metric) for metric in SUBSET_METRICS], ignore_index=True)
    text = f"Pearson r² (A) and Spearman rho (B) of {ranked.describe(len(everybody))} on every subset of the test set."
    return RenderedPanel(figure, numbers, text + _better_than_reference(data, ranked), ranked.simulated)


def _drawn_values(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the numbers in the cells of a heat map: submission, subset, value, metric."""
    wide = challenge.subset_values(table, metric)
    long = wide.melt(ignore_index=False, value_name="value").reset_index()
    return long.assign(metric=metric.replace("pearson_r", "pearson_r2"))


def _better_than_reference(data: FigureData, ranked: Ranked) -> str:
    if not ranked.reference:
        return ""
    names = data.challenge["ranking"]["submission"].tolist()
    return f" {names.index(ranked.reference)} of them rank above the reference model."


def gaps(data: FigureData, metric: str) -> RenderedPanel:
    """Draw how far the worst is from the best on every subset (1f: Pearson r², 1g: Spearman rho)."""
    ranked = _ranked(data)
    shown = ranked.shown(data.top)
    if len(shown) < 2:
        raise MissingData("a gap needs two submissions or models with scores")
    scores = _of_subsets(data, metric, shown).groupby(["submission", "subset", "metric"], sort=False)["value"]
    table = registry.get_task("yeast").disparities(scores.mean().reset_index())
    figure = challenge.disparities(table, simulated=ranked.simulated)
    text = (
        f"Distance of the worst from the best of {ranked.describe(data.top)}, in percent of the best, by "
        f"{SUBSET_METRICS[metric]}."
    )
    return RenderedPanel(figure, table, text, ranked.simulated, ranked.uses)


def progression(data: FigureData) -> RenderedPanel:
    """Draw the scores of the teams on the leaderboard in each week (Extended Data 1)."""
    table = data.challenge.get("leaderboard")
    if table is None or table["date"].isna().all():
        raise MissingData("dated submissions (team_2022-07-31.json) are needed", _BOARD)
    simulated = _is_simulated(table)
    weeks = challenge.weekly(table)
    figure = challenge.progression(weeks, simulated=simulated)
    text = (
        f"Pearson score (A) and Spearman score (B) of {weeks['team'].nunique()} teams on the leaderboard in each of "
        f"{weeks['week'].max()} weeks: a team's best so far, of {table['date'].notna().sum()} dated submissions."
    )
    return RenderedPanel(figure, weeks, text, simulated)


def distributions(data: FigureData) -> RenderedPanel:
    """Draw the scores of every submission in samples of the test set."""
    if "score_distributions" not in data.challenge:
        raise MissingData("scores of every sample are kept only for a challenge", _RANK)
    ranked = _ranked(data)
    order = ranked.shown(len(ranked.order))
    table = data.challenge["score_distributions"]
    figure = challenge.score_distributions(table, order, labels=ranked.labels, simulated=ranked.simulated)
    text = (
        f"Scores of {len(order)} {ranked.kind} in samples of a tenth of the test set; box: quartiles, whiskers: 95 %."
    )
    return RenderedPanel(figure, table, text, ranked.simulated)


def models(data: FigureData) -> RenderedPanel:
    """Draw both metrics of a yeast run's models on every subset of the test set, side by side."""
    run = data.run("yeast")
    scores = _of_private_subsets(run)
    order = [model for model in run.order if model in set(scores["submission"])]
    if not order:
        raise MissingData("the yeast run has no scores yet")
    figure = challenge.heat_map(scores, order, labels=run.labels, simulated=run.simulated)
    spread = scores.groupby(["submission", "subset", "metric"], sort=False)["value"]
    numbers = spread.agg(mean="mean", sd="std", n_trainings="size").reset_index()
    n = numbers["n_trainings"]
    trainings = f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"
    text = (
        f"Our models and the reference on every subset of the test set (private part), mean over {trainings} "
        "trainings. In the CSV: mean and sd of r (not squared) and rho."
    )
    return RenderedPanel(figure, numbers, text, run.simulated)


def _ranked(data: FigureData) -> Ranked:
    if "ranking" in data.challenge:
        table = data.challenge["ranking"]
        names, labels = table["submission"].astype(str).tolist(), {}
        simulated, kind, uses = _is_simulated(table), "submissions", ("challenge",)
    else:
        if "yeast" not in data.runs:
            raise MissingData("neither a yeast run nor a ranking of submissions is available", _RANK)
        run = data.run("yeast")
        if "ranking" not in run.comparisons or run.comparisons["ranking"].empty:
            raise MissingData("the yeast run has no ranking: fewer than two of its models are scored")
        names, labels = _one_dataset(run.comparisons["ranking"])["model"].tolist(), dict(run.labels)
        simulated, kind, uses = run.simulated, "models of a yeast run (no submissions are available)", ("yeast",)
    reference = data.reference if data.reference in names else ""
    return Ranked([name for name in names if name != reference], reference, labels, simulated, kind, uses)


def _rank_counts(data: FigureData) -> pd.DataFrame:
    if "rank_distributions" in data.challenge:
        return data.challenge["rank_distributions"]
    return _by_submission(_one_dataset(data.run("yeast").comparisons["rank_distributions"]))


def _n_draws(counts: pd.DataFrame) -> int:
    return int(counts.groupby(["submission", "metric"])["draws"].sum().max())


def _of_subsets(data: FigureData, metric: str, shown: Sequence[str]) -> pd.DataFrame:
    """Return the scores of the shown entries by a metric on the eight subsets of the test set."""
    table = data.challenge["scores"] if "ranking" in data.challenge else _of_private_subsets(data.run("yeast"))
    of_metric = (table["metric"] == metric) & table["submission"].isin(shown) & ~table["subset"].isin(_WHOLE)
    if not of_metric.any():
        raise MissingData(f"no {metric} by subset of the test set is stored")
    return table[of_metric]


def _of_private_subsets(run: Run) -> pd.DataFrame:
    scores = run.scores
    chosen = (scores["level"] == "private") & (scores["role"] == "member") & (scores["subset"] != "challenge")
    return _by_submission(scores[chosen & scores["metric"].isin(list(SUBSET_METRICS))])


def _by_submission(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={"model": "submission"})


def _one_dataset(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["dataset"] == table["dataset"].iloc[0]]


def _is_simulated(table: pd.DataFrame) -> bool:
    return "simulated" in set(table["origin"])
