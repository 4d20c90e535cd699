"""Tables 1 and 2: the subsets of the challenge's test set, and what the best submissions did.

Source: Rafi et al. 2024, and the teams' own descriptions. What the paper's Table 1 lists is not known here; we take the
subsets of the test set with their weights.
"""

from pathlib import Path

import pandas as pd

from benchmarks.apps.paper.figure_data import FigureData, MissingData, RenderedPanel


def subsets(data: FigureData) -> RenderedPanel:
    """Return the subsets of the test set: items of the private part and of the whole, and weight (Table 1)."""
    run = data.run("yeast")
    scores = run.scores[run.scores["subset"].isin(list(run.weights)) & (run.scores["metric"] == "pearson_r")]
    if scores.empty:
        raise MissingData("the yeast run has no scores yet")
    wide = scores.pivot_table(index="subset", columns="level", values="n", aggfunc="max", sort=False)
    wide = wide.rename(columns={"private": "n_private", "whole": "n_whole"}).astype(int).reset_index()
    total = sum(run.weights.values())
    table = wide.assign(weight=wide["subset"].map(run.weights), share_of_score=wide["subset"].map(run.weights) / total)
    text = "Subsets of the challenge's test set: items scored (pairs count once) and weight in either challenge score."
    return RenderedPanel(None, table, text, run.simulated)


def submissions(data: FigureData) -> RenderedPanel:
    """Return what the best submissions did, by rank (Table 2): facts of the paper, none measured here."""
    table = pd.read_csv(Path(__file__).with_name("submissions.csv"), dtype=str, keep_default_na=False)
    text = (
        "The submissions that led the challenge. Facts of the preprint's Table 2 and of the teams' own reports; M: "
        "million parameters. Ranks 12 to 28 are left out: their order is not known for certain."
    )
    return RenderedPanel(None, table, text, False)
