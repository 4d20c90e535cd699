"""Fig. 2b-e and Extended Data 4-6: all combinations of the winners' parts.

Source: Rafi et al. 2024, Fig. 2. Which of its measures Extended Data 4 to 6 show is not known here; we take the
Spearman score, and both correlations by subset of the test set.
"""

import pandas as pd

from benchmarks.api.metrics import label_of
from benchmarks.api.prix_fixe import PARTS, TEAM_TITLES
from benchmarks.apps.paper.figure_data import FigureData, MissingData, RenderedPanel
from benchmarks.engine.evaluation.combination_grid import Grid
from benchmarks.engine.figures import challenge, prixfixe_grid

_ORIGINALS = "Each team's own combination (white) and the best one with its core (filled)"


def every_combination(data: FigureData) -> RenderedPanel:
    """Draw the score of every combination as a cell (2b)."""
    grid = _grid(data)
    return _cells(grid, grid.table, grid.table["metric"].iloc[0])


def other_score(data: FigureData) -> RenderedPanel:
    """Draw the Spearman score, or rho, of every combination as a cell (Extended Data 4, as we take it)."""
    grid = _grid(data)
    metric = "spearman_score" if "spearman_score" in set(grid.scores["metric"]) else "spearman_rho"
    values = values_of(grid.scores, metric)
    values = values[values["subset"] == ("challenge" if metric == "spearman_score" else "all")]
    by_model = values.set_index("model")["value"]
    table = grid.table.assign(value=_models(grid.table).map(by_model), metric=metric)
    return _cells(grid, table, metric)


def by_processor(data: FigureData) -> RenderedPanel:
    """Draw the combinations over their data processor and trainer (2c)."""
    grid = _grid(data)
    metric = grid.table["metric"].iloc[0]
    figure = prixfixe_grid.by_processor(grid.table, what=label_of(metric), teams=TEAM_TITLES, simulated=grid.simulated)
    text = f"{label_of(metric)} of the combinations by data processor and trainer; white: a team's own, line: median."
    return RenderedPanel(figure, _scored(grid.table), text, grid.simulated)


def sizes(data: FigureData) -> RenderedPanel:
    """Draw the parameters of each original and of the best combination with its core (2d)."""
    grid = _grid_with_originals(data)
    figure = prixfixe_grid.sizes(grid.originals, teams=TEAM_TITLES, simulated=grid.simulated)
    return RenderedPanel(figure, grid.originals, f"{_ORIGINALS}: parameters.", grid.simulated)


def scores(data: FigureData) -> RenderedPanel:
    """Draw the score of each original and of the best combination with its core (2e)."""
    grid = _grid_with_originals(data)
    what = label_of(grid.table["metric"].iloc[0])
    figure = prixfixe_grid.scores(grid.originals, what=what, teams=TEAM_TITLES, simulated=grid.simulated)
    return RenderedPanel(figure, grid.originals, f"{_ORIGINALS}: {what}.", grid.simulated)


def by_subset(data: FigureData, metric: str) -> RenderedPanel:
    """Draw every combination on every subset of the test set (Extended Data 5: r², 6: rho, as we take them)."""
    grid = _grid(data)
    ranked = _scored(grid.table).sort_values("value", ascending=False)
    values = values_of(grid.scores, metric)
    codes = dict(zip(_models(ranked), ranked["code"], strict=True))
    values = values[values["model"].isin(codes) & (values["subset"] != "challenge")]
    values = values.assign(submission=values["model"].map(codes), metric=metric)
    if values.empty:
        raise MissingData(f"the grid's run holds no {metric} by subset of the test set")
    figure = challenge.heat_map(values, ranked["code"].tolist(), labels={}, simulated=grid.simulated)
    what = "Pearson r²" if metric == "pearson_r" else "Spearman rho"
    text = (
        f"{what} of {len(ranked)} combinations by subset of the test set, best first; a code names the teams of "
        "processor with trainer, first, core and final block (0 Autosome.org, 1 BHI, 2 UnlockDNA). In the CSV: not "
        "squared."
    )
    return RenderedPanel(figure, values, text, grid.simulated)


def values_of(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the mean score of every model and subset: ensembles where there are some, at row level or private part.

    The mean is over test folds, of the mean over members; columns model, subset, value, n_folds.
    """
    role = "ensemble" if "ensemble" in set(scores["role"]) else "member"
    chosen = scores[(scores["metric"] == metric) & (scores["role"] == role)]
    for level in ("row", "private"):
        if level in set(chosen["level"]):
            chosen = chosen[chosen["level"] == level]
    by_fold = chosen.groupby(["model", "subset", "test_fold"], sort=False)["value"].mean()
    return by_fold.groupby(["model", "subset"], sort=False).agg(value="mean", n_folds="size").reset_index()


def _grid(data: FigureData) -> Grid:
    if data.grid is None:
        raise MissingData("no grid of combinations is stored: python -m benchmarks prixfixe grid --task yeast")
    if not (data.grid.table["status"] == "scored").any():
        raise MissingData("no combination of the grid is scored yet: run the same `prixfixe grid` command again")
    return data.grid


def _models(table: pd.DataFrame) -> pd.Series:
    return "prix_fixe." + table[list(PARTS)].agg("-".join, axis=1)


def _scored(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["status"] == "scored"]


def _cells(grid: Grid, table: pd.DataFrame, metric: str) -> RenderedPanel:
    figure = prixfixe_grid.every_combination(table, what=label_of(metric), teams=TEAM_TITLES, simulated=grid.simulated)
    n = table["status"].value_counts()
    text = f"{label_of(metric)} of {n['scored']} of the {len(table)} combinations of processor with trainer, first, "
    text += "core and final block; grey: " + ", ".join(f"{k} {name}" for name, k in n.items() if name != "scored") + "."
    return RenderedPanel(figure, table, text, grid.simulated)


def _grid_with_originals(data: FigureData) -> Grid:
    grid = _grid(data)
    if grid.originals.empty:
        raise MissingData("no combination of the grid is scored yet: run the same `prixfixe grid` command again")
    return grid
