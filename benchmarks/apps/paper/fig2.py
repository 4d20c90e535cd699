"""Fig. 2b-e, Extended Data 6 and 7, Supplementary Fig. 1: all combinations of the winners' parts.

Source: Rafi et al. 2024, Fig. 2.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from benchmarks import registry
from benchmarks.api.metrics import label_of
from benchmarks.api.prix_fixe import PARTS, TEAM_TITLES
from benchmarks.apps.paper.figure_data import FigureData, MissingData, RenderedPanel
from benchmarks.engine.evaluation.combination_grid import Grid
from benchmarks.engine.figures import challenge, prixfixe_grid
from benchmarks.engine.figures.prixfixe_grid import BEST, ORIGINAL, SUBMISSION

_DREAM = ("dream_cnn", "dream_rnn", "dream_attn")
_NOT_YET = "no combination of the grid is scored yet", "the same `prixfixe grid` command again"


def every_combination(data: FigureData) -> RenderedPanel:
    """Draw the score of every combination as a cell (2b)."""
    grid = _grid(data)
    return _cells(grid, grid.table, grid.table["metric"].iloc[0])


def other_score(data: FigureData) -> RenderedPanel:
    """Draw the Spearman score, or rho, of every combination as a cell (Extended Data 6)."""
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
    text = f"{label_of(metric)} of the combinations by data processor and trainer; white: a team's own."
    return RenderedPanel(figure, _scored(grid.table), text, grid.simulated)


def sizes(data: FigureData) -> RenderedPanel:
    """Draw the parameters of the three submissions and of the DREAM networks, paired by core (2d)."""
    built = data.n_params.get("yeast", {})
    if not built:
        raise MissingData("the DREAM networks cannot be built here: torch is not installed")
    rows = [
        {"core": key, "kind": SUBMISSION, "name": str(row["team"]), "n_params": int(row["n_parameters"])}
        for key, row in _published().items()
    ]
    for name in _DREAM:
        module = registry.get_model(name)
        core = module.COMBINATION.core
        rows.append({"core": core, "kind": BEST, "name": module.NAME, "n_params": built[name]})
    table = pd.DataFrame(rows)
    figure = prixfixe_grid.pairs_by_core(
        table, value="n_params", what="parameters", teams=TEAM_TITLES, simulated=False, title="Number of parameters"
    )
    text = (
        "Parameters of the three submissions to the challenge (as published) and of the DREAM networks with the same "
        "core (counted in the networks that this software builds)."
    )
    return RenderedPanel(figure, table, text, False)


def scores(data: FigureData) -> RenderedPanel:
    """Draw the score of the three submissions and of the best combinations with their cores (2e)."""
    grid = _grid(data)
    metric = grid.table["metric"].iloc[0]
    submitted, whose, uses = _submissions(data, grid)
    values = submitted[submitted["metric"] == metric]
    values = values[values["subset"] == ("challenge" if metric == "pearson_score" else "all")]
    best = _originals(grid, BEST)
    table = pd.concat([values, best])[["core", "kind", "name", "value"]].reset_index(drop=True)
    what = label_of(metric)
    figure = prixfixe_grid.pairs_by_core(
        table, value="value", what=what, teams=TEAM_TITLES, simulated=grid.simulated, title=what
    )
    return RenderedPanel(figure, table, f"{what}: {whose}", grid.simulated, uses)


def by_core_and_subset(data: FigureData) -> RenderedPanel:
    """Draw the three submissions and their best counterparts on every subset of the test set (Extended Data 7)."""
    grid = _grid(data)
    submitted, whose, uses = _submissions(data, grid)
    best = _originals(grid, BEST)
    combinations = values_of_combinations(grid)
    names = best.set_index("model")
    counterparts = combinations[combinations["model"].isin(names.index)]
    counterparts = counterparts.assign(
        core=counterparts["model"].map(names["core"]), name=counterparts["model"].map(names["name"]), kind=BEST
    )
    table = pd.concat([submitted, counterparts])[["core", "kind", "name", "subset", "metric", "value"]]
    table = table[table["metric"].isin(list(challenge.SUBSET_METRICS)) & (table["subset"] != "challenge")]
    table.loc[table["metric"] == "pearson_r", "value"] **= 2
    table["metric"] = table["metric"].replace("pearson_r", "pearson_r2")
    shown = table[(table["metric"] == "pearson_r2") & (table["subset"] != "all")]
    if shown.empty:
        raise MissingData("the grid's run holds no score by subset of the test set")
    figure = prixfixe_grid.pairs_by_subset(
        shown, what=label_of("pearson_r2"), teams=TEAM_TITLES, simulated=grid.simulated
    )
    text = f"{label_of('pearson_r2')} by subset of the test set: {whose} In the CSV: Spearman rho too."
    return RenderedPanel(figure, table.reset_index(drop=True), text, grid.simulated, uses)


def modules(data: FigureData) -> RenderedPanel:
    """Draw the score of each module of a kind against the others, all else equal (Supplementary Fig. 1)."""
    grid = _grid(data)
    pairs = prixfixe_grid.module_pairs(grid.table, TEAM_TITLES)
    if pairs.empty:
        raise MissingData("no two scored combinations of the grid differ in one module alone")
    what = label_of(grid.table["metric"].iloc[0])
    figure = prixfixe_grid.modules(pairs, what=what, teams=TEAM_TITLES, simulated=grid.simulated)
    text = f"{what} of two combinations that differ in one module alone, for every kind of module."
    return RenderedPanel(figure, pairs, text, grid.simulated)


def original_sizes(data: FigureData) -> RenderedPanel:
    """Draw the parameters of the winners as retrained in the grid, and of the best with their cores (our own)."""
    grid = _grid(data)
    table = pd.concat([_originals(grid, kind) for kind in (ORIGINAL, BEST)], ignore_index=True)
    figure = prixfixe_grid.pairs_by_core(
        table, value="n_params", what="parameters", teams=TEAM_TITLES, simulated=grid.simulated,
        title="Parameters in the grid",
    )  # fmt: skip
    text = "Parameters of each team's own combination, as trained in this grid, and of the best one with its core."
    return RenderedPanel(figure, table.drop(columns="model"), text, grid.simulated)


def by_subset(data: FigureData, metric: str) -> RenderedPanel:
    """Draw every combination on every subset of the test set (our own)."""
    grid = _grid(data)
    ranked = _scored(grid.table).sort_values("value", ascending=False)
    values = values_of(grid.scores, metric)
    codes = dict(zip(_models(ranked), ranked["code"], strict=True))
    values = values[values["model"].isin(codes) & (values["subset"] != "challenge")]
    values = values.assign(submission=values["model"].map(codes), metric=metric)
    if values.empty:
        raise MissingData(f"the grid's run holds no {metric} by subset of the test set")
    figure = challenge.heat_map(
        values, ranked["code"].tolist(), labels={}, simulated=grid.simulated, title="Combinations by subset"
    )
    what = challenge.SUBSET_METRICS[metric]
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


def values_of_combinations(grid: Grid) -> pd.DataFrame:
    """Return the mean score of every model, subset and metric of a grid: model, subset, metric, value."""
    metrics = dict.fromkeys(grid.scores["metric"])
    return pd.concat([values_of(grid.scores, metric).assign(metric=metric) for metric in metrics])


def _originals(grid: Grid, kind: str) -> pd.DataFrame:
    """Return each team's own combination, or the best with its core: core, kind, code, n_params, value, model, name."""
    if grid.originals.empty:
        raise MissingData(*_NOT_YET)
    models = grid.table.set_index("code").pipe(_models)
    titles = {registry.get_model(name).COMBINATION.code: registry.get_model(name).NAME for name in _DREAM}
    rows = grid.originals[grid.originals["kind"] == kind]
    names = (
        rows["core"].map(TEAM_TITLES)
        if kind == ORIGINAL
        else [titles.get(code, f"combination {code}") for code in rows["code"]]
    )
    return rows.assign(model=rows["code"].map(models), name=names)


def _submissions(data: FigureData, grid: Grid) -> tuple[pd.DataFrame, str, tuple[str, ...]]:
    """Return the scores of the three submissions, else of the winners as retrained in the grid; which; the sources.

    Columns core, kind, name, subset, metric, value. The submissions' are taken where a ranking of the same kind of
    data (measured, simulated) holds them.
    """
    ranked = data.challenge.get("scores", pd.DataFrame()) if "ranking" in data.challenge else pd.DataFrame()
    if len(ranked):
        cores = {name: _core_of(name) for name in ranked["submission"].astype(str).unique()}
        found = {name: core for name, core in cores.items() if core}
        same_kind = ("simulated" in set(ranked["origin"])) == grid.simulated
        if set(found.values()) == set(TEAM_TITLES) and same_kind:
            rows = ranked[ranked["submission"].isin(list(found))]
            rows = rows.assign(core=rows["submission"].map(found), name=rows["submission"], kind=SUBMISSION)
            columns = ["core", "kind", "name", "subset", "metric", "value"]
            text = "submissions to the challenge (white), best combination with the same core (blue)."
            return rows[columns], text, ("grid", "challenge")
    own = _originals(grid, ORIGINAL).set_index("model")
    rows = values_of_combinations(grid)
    rows = rows[rows["model"].isin(own.index)]
    rows = rows.assign(core=rows["model"].map(own["core"]), name=rows["model"].map(own["name"]), kind=ORIGINAL)
    text = (
        "the teams' own combinations as retrained in this grid (white: no ranking with the three submissions is "
        "named by --challenge), best combination with the same core (blue)."
    )
    return rows[["core", "kind", "name", "subset", "metric", "value"]], text, ("grid",)


def _core_of(submission: str) -> str:
    """Return the team that a submission's name is that of, or "": Unlock_DNA, unlock-dna and UnlockDNA are one."""
    letters = re.sub("[^a-z0-9]", "", submission.lower())
    return next((key for key in TEAM_TITLES if letters.startswith(key)), "")


def _published() -> Mapping[str, pd.Series]:
    """Return the facts of the three winning submissions by the key of the team."""
    facts = pd.read_csv(Path(__file__).with_name("submissions.csv"), dtype=str)
    keyed = {_core_of(team): row for team, (_, row) in zip(facts["team"], facts.iterrows(), strict=True)}
    return {key: keyed[key] for key in TEAM_TITLES}


def _grid(data: FigureData) -> Grid:
    if data.grid is None:
        raise MissingData("no grid of combinations is stored", "python -m benchmarks prixfixe grid --task yeast")
    if not (data.grid.table["status"] == "scored").any():
        raise MissingData(*_NOT_YET)
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
