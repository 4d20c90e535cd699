"""Fig. 1b-g and Extended Data 1, 2: ranks, scores by part of the test set, gaps between the best and the worst.

Source: Rafi et al. 2024, Fig. 1. Submissions of a challenge where its tables are given, else the models of a yeast run.
"""

from collections.abc import Sequence

import pandas as pd

from benchmarks.apps.paper.figure_data import Drawn, Found, Missing
from benchmarks.engine.figures import challenge
from benchmarks.engine.figures.challenge import METRICS, SUBSET_METRICS

_RANK = "python -m benchmarks challenge rank --data … --submissions … --out FOLDER, then --challenge FOLDER"


def ranks(found: Found, metric: str) -> Drawn:
    """Draw the ranks in samples of the test set (1b: Pearson score, 1c: Spearman score)."""
    order, labels, simulated, who = _who(found)
    if "rank_distributions" in found.challenge:
        counts = found.challenge["rank_distributions"]
    else:
        counts = _by_submission(_one_dataset(found.run("yeast").comparisons["rank_distributions"]))
    counts = counts[counts["metric"] == metric]
    if counts.empty:
        raise Missing(f"the ranking holds no ranks by {metric}")
    n_draws = int(counts.groupby("submission")["draws"].sum().max())
    figure = challenge.ranks(counts, order, labels=labels, simulated=simulated)
    text = f"Ranks of {len(order)} {who} by {METRICS[metric]} in n = {n_draws:,} samples of a tenth of the test set; "
    return Drawn(figure, counts, text + "colour: share of the samples, point: mean rank.", simulated)


def parts(found: Found, metric: str) -> Drawn:
    """Draw the scores on every part of the test set (1d: Pearson r², 1e: Spearman rho)."""
    order, labels, simulated, who = _who(found)
    table = _part_scores(found)
    table = table[(table["metric"] == metric) & (table["subset"] != "challenge")]
    if table.empty:
        raise Missing(f"no {metric} by part of the test set is stored")
    figure = challenge.heat_map(table, order, labels=labels, simulated=simulated)
    shown = table.groupby(["submission", "subset"], sort=False)["value"].mean().reset_index()
    if metric == "pearson_r":
        shown["value"] **= 2
    numbers = shown.assign(metric=metric.replace("pearson_r", "pearson_r2"))
    text = f"{SUBSET_METRICS[metric]} of {len(order)} {who} on every part of the test set (private part); "
    return Drawn(figure, numbers, text + "colour from the worst to the best of each column.", simulated)


def gaps(found: Found, metric: str) -> Drawn:
    """Draw how far the worst is from the best on every part (1f: Pearson r², 1g: Spearman rho)."""
    order, _, simulated, who = _who(found)
    table = found.challenge["disparities"] if "disparities" in found.challenge else found.run("yeast").disparities
    table = table[table["metric"] == metric] if len(table) else table
    if len(order) < 2 or table.empty:
        raise Missing("a gap needs two submissions or models with scores")
    figure = challenge.disparities(table, simulated=simulated)
    what = SUBSET_METRICS[metric]
    text = f"Distance of the worst from the best of {len(order)} {who}, in percent of the best, by {what}."
    return Drawn(figure, table, text, simulated)


def progression(found: Found) -> Drawn:
    """Draw the best score of every team over time (Extended Data 1)."""
    table = found.challenge.get("leaderboard")
    if table is None or table["date"].isna().all():
        raise Missing(
            "dated submissions (team_2022-07-31.json) are needed: python -m benchmarks challenge leaderboard "
            "--data … --submissions … --out FOLDER, then --challenge FOLDER"
        )
    simulated = _is_simulated(table)
    dated = table.dropna(subset="date")
    figure = challenge.progression(table, simulated=simulated)
    text = f"Progress of {dated['team'].nunique()} teams on the leaderboard over {len(dated)} dated submissions."
    return Drawn(figure, dated, text, simulated)


def distributions(found: Found) -> Drawn:
    """Draw the scores of every submission in samples of the test set (Extended Data 2)."""
    if "score_distributions" not in found.challenge:
        raise Missing(f"scores of every sample are kept of a challenge alone: {_RANK}")
    order, labels, simulated, who = _who(found)
    table = found.challenge["score_distributions"]
    figure = challenge.score_distributions(table, order, labels=labels, simulated=simulated)
    text = f"Scores of {len(order)} {who} in samples of a tenth of the test set; box: quartiles, whiskers: 95 %."
    return Drawn(figure, table, text, simulated)


def optimised(found: Found) -> Drawn:
    """Draw the models of a yeast run on every part of the test set (Extended Data 7, as we take it)."""
    run = found.run("yeast")
    return parts_of_run(run)


def parts_of_run(run) -> Drawn:
    """Draw both metrics of a run's models on every part of the test set, side by side."""
    scores = _by_submission(_at_private(run.scores))
    scores = scores[(scores["subset"] != "challenge") & scores["metric"].isin(list(SUBSET_METRICS))]
    order = [model for model in run.order if model in set(scores["submission"])]
    if not order:
        raise Missing("the yeast run has no scores yet")
    figure = challenge.heat_map(scores, order, labels=run.labels, simulated=run.simulated)
    spread = scores.groupby(["submission", "subset", "metric"], sort=False)["value"]
    numbers = spread.agg(mean="mean", sd="std", n_trainings="size").reset_index()
    n = numbers["n_trainings"]
    trainings = f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"
    text = (
        f"Our models and the reference on every part of the test set (private part), mean over {trainings} trainings. "
        "In the CSV: mean and sd of r (not squared) and rho."
    )
    return Drawn(figure, numbers, text, run.simulated)


def _who(found: Found) -> tuple[Sequence[str], dict, bool, str]:
    """Return order, labels, origin and the word for what is ranked."""
    if "ranking" in found.challenge:
        table = found.challenge["ranking"]
        return table["submission"].tolist(), {}, _is_simulated(table), "submissions"
    if "yeast" not in found.runs:
        raise Missing(f"neither a yeast run nor a ranking of submissions is at hand: {_RANK}")
    run = found.run("yeast")
    if "ranking" not in run.comparisons or run.comparisons["ranking"].empty:
        raise Missing("the yeast run has no ranking: fewer than two of its models are scored")
    order = _one_dataset(run.comparisons["ranking"])["model"].tolist()
    return order, dict(run.labels), run.simulated, "models of a yeast run (no submissions are at hand)"


def _part_scores(found: Found) -> pd.DataFrame:
    if "ranking" in found.challenge:
        return found.challenge["scores"]
    return _by_submission(_at_private(found.run("yeast").scores))


def _at_private(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[(scores["level"] == "private") & (scores["role"] == "member")]


def _by_submission(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={"model": "submission"})


def _one_dataset(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["dataset"] == table["dataset"].iloc[0]]


def _is_simulated(table: pd.DataFrame) -> bool:
    return "simulated" in set(table["origin"])
