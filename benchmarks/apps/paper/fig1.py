"""Fig. 1b-g and Extended Data 1, 2: ranks, scores by subset of the test set, gaps between the best and the worst.

Source: Rafi et al. 2024, Fig. 1. Submissions of a challenge where its tables are given, else the models of a yeast run.
"""

from collections.abc import Sequence

import pandas as pd

from benchmarks.apps.paper.figure_data import FigureData, MissingData, RenderedPanel, Run
from benchmarks.engine.figures import challenge
from benchmarks.engine.figures.challenge import METRICS, SUBSET_METRICS

_RANK = "python -m benchmarks challenge rank --data … --submissions … --out FOLDER, then --challenge FOLDER"


def ranks(data: FigureData, metric: str) -> RenderedPanel:
    """Draw the ranks in samples of the test set (1b: Pearson score, 1c: Spearman score)."""
    order, labels, simulated, kind = _ranked(data)
    if "rank_distributions" in data.challenge:
        counts = data.challenge["rank_distributions"]
    else:
        counts = _by_submission(_one_dataset(data.run("yeast").comparisons["rank_distributions"]))
    counts = counts[counts["metric"] == metric]
    if counts.empty:
        raise MissingData(f"the ranking holds no ranks by {metric}")
    n_draws = int(counts.groupby("submission")["draws"].sum().max())
    figure = challenge.ranks(counts, order, labels=labels, simulated=simulated)
    text = f"Ranks of {len(order)} {kind} by {METRICS[metric]} in n = {n_draws:,} samples of a tenth of the test set; "
    return RenderedPanel(figure, counts, text + "colour: share of the samples, point: mean rank.", simulated)


def subsets(data: FigureData, metric: str) -> RenderedPanel:
    """Draw the scores on every subset of the test set (1d: Pearson r², 1e: Spearman rho)."""
    order, labels, simulated, kind = _ranked(data)
    table = _subset_scores(data)
    table = table[(table["metric"] == metric) & (table["subset"] != "challenge")]
    if table.empty:
        raise MissingData(f"no {metric} by subset of the test set is stored")
    figure = challenge.heat_map(table, order, labels=labels, simulated=simulated)
    shown = table.groupby(["submission", "subset"], sort=False)["value"].mean().reset_index()
    if metric == "pearson_r":
        shown["value"] **= 2
    numbers = shown.assign(metric=metric.replace("pearson_r", "pearson_r2"))
    text = f"{SUBSET_METRICS[metric]} of {len(order)} {kind} on every subset of the test set (private part); "
    return RenderedPanel(figure, numbers, text + "colour from the worst to the best of each column.", simulated)


def gaps(data: FigureData, metric: str) -> RenderedPanel:
    """Draw how far the worst is from the best on every subset (1f: Pearson r², 1g: Spearman rho)."""
    order, _, simulated, kind = _ranked(data)
    table = data.challenge["disparities"] if "disparities" in data.challenge else data.run("yeast").disparities
    table = table[table["metric"] == metric] if len(table) else table
    if len(order) < 2 or table.empty:
        raise MissingData("a gap needs two submissions or models with scores")
    figure = challenge.disparities(table, simulated=simulated)
    what = SUBSET_METRICS[metric]
    text = f"Distance of the worst from the best of {len(order)} {kind}, in percent of the best, by {what}."
    return RenderedPanel(figure, table, text, simulated)


def progression(data: FigureData) -> RenderedPanel:
    """Draw the best score of every team over time (Extended Data 1)."""
    table = data.challenge.get("leaderboard")
    if table is None or table["date"].isna().all():
        raise MissingData(
            "dated submissions (team_2022-07-31.json) are needed: python -m benchmarks challenge leaderboard "
            "--data … --submissions … --out FOLDER, then --challenge FOLDER"
        )
    simulated = _is_simulated(table)
    dated = table.dropna(subset="date")
    figure = challenge.progression(table, simulated=simulated)
    text = f"Progress of {dated['team'].nunique()} teams on the leaderboard over {len(dated)} dated submissions."
    return RenderedPanel(figure, dated, text, simulated)


def distributions(data: FigureData) -> RenderedPanel:
    """Draw the scores of every submission in samples of the test set (Extended Data 2)."""
    if "score_distributions" not in data.challenge:
        raise MissingData(f"scores of every sample are kept only for a challenge: {_RANK}")
    order, labels, simulated, kind = _ranked(data)
    table = data.challenge["score_distributions"]
    figure = challenge.score_distributions(table, order, labels=labels, simulated=simulated)
    text = f"Scores of {len(order)} {kind} in samples of a tenth of the test set; box: quartiles, whiskers: 95 %."
    return RenderedPanel(figure, table, text, simulated)


def optimised(data: FigureData) -> RenderedPanel:
    """Draw the models of a yeast run on every subset of the test set (Extended Data 7, as we take it)."""
    run = data.run("yeast")
    return subsets_of_run(run)


def subsets_of_run(run: Run) -> RenderedPanel:
    """Draw both metrics of a run's models on every subset of the test set, side by side."""
    scores = _by_submission(_at_private(run.scores))
    scores = scores[(scores["subset"] != "challenge") & scores["metric"].isin(list(SUBSET_METRICS))]
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


def _ranked(data: FigureData) -> tuple[Sequence[str], dict[str, str], bool, str]:
    """Return what is ranked: its order, labels, whether it is simulated, and what a caption calls it."""
    if "ranking" in data.challenge:
        table = data.challenge["ranking"]
        return table["submission"].tolist(), {}, _is_simulated(table), "submissions"
    if "yeast" not in data.runs:
        raise MissingData(f"neither a yeast run nor a ranking of submissions is available: {_RANK}")
    run = data.run("yeast")
    if "ranking" not in run.comparisons or run.comparisons["ranking"].empty:
        raise MissingData("the yeast run has no ranking: fewer than two of its models are scored")
    order = _one_dataset(run.comparisons["ranking"])["model"].tolist()
    return order, dict(run.labels), run.simulated, "models of a yeast run (no submissions are available)"


def _subset_scores(data: FigureData) -> pd.DataFrame:
    if "ranking" in data.challenge:
        return data.challenge["scores"]
    return _by_submission(_at_private(data.run("yeast").scores))


def _at_private(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[(scores["level"] == "private") & (scores["role"] == "member")]


def _by_submission(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={"model": "submission"})


def _one_dataset(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["dataset"] == table["dataset"].iloc[0]]


def _is_simulated(table: pd.DataFrame) -> bool:
    return "simulated" in set(table["origin"])
