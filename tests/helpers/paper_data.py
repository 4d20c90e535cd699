"""Small tables behind the paper's panels, made by rule so that a test can calculate every mark by hand."""

import pandas as pd

from benchmarks.apps.paper.figure_data import FigureData, Run
from benchmarks.engine.evaluation.combination_grid import Grid
from dream_models.prixfixe import grid as prixfixe
from dream_models.prixfixe.combinations import combinations

SUBSETS = ("all", "high", "native", "SNVs")
TEAMS = ("Autosome.org", "BHI", "Unlock_DNA", *(f"team{i:02d}" for i in range(4, 13)))
REFERENCE = "vaishnav"
N_SAMPLES = 100


def score_of(place: int, at: int) -> float:
    """Return Pearson r of the submission at a place (from 1) on a subset: a simple rule."""
    return 0.95 - 0.02 * place - 0.05 * at


def challenge_tables(origin: str = "simulated") -> dict[str, pd.DataFrame]:
    """Make the tables of `challenge rank` and `leaderboard`: 12 teams and the reference, which comes sixth."""
    names = [*TEAMS[:5], REFERENCE, *TEAMS[5:]]
    ranking = pd.DataFrame({"submission": names, "place": range(1, len(names) + 1), "origin": origin})
    scores = [
        {"submission": name, "subset": subset, "metric": metric, "value": score_of(place, at) - less, "origin": origin}
        for place, name in enumerate(names, start=1)
        for at, subset in enumerate(SUBSETS)
        for metric, less in (("pearson_r", 0.0), ("spearman_rho", 0.1))
    ]
    scores += [
        {"submission": name, "subset": "challenge", "metric": metric, "value": 0.8 - 0.01 * place, "origin": origin}
        for place, name in enumerate(names, start=1)
        for metric in ("pearson_score", "spearman_score")
    ]
    counts = [
        {"submission": name, "metric": metric, "rank": rank, "draws": draws, "origin": origin}
        for place, name in enumerate(names, start=1)
        for metric in ("pearson_score", "spearman_score", "both")
        for rank, draws in ((float(place), N_SAMPLES - 25), (float(min(place + 1, len(names))), 25))
    ]
    board = [
        {"team": team, "date": f"2022-07-{1 + 7 * week:02d}", "origin": origin}
        | {"pearson_score": 0.5 + 0.05 * week + 0.01 * i, "spearman_score": 0.6 + 0.05 * week + 0.01 * i}
        for i, team in enumerate(TEAMS[:4])
        for week in range(3)
    ]
    return {
        "ranking": ranking, "scores": pd.DataFrame(scores), "rank_distributions": pd.DataFrame(counts),
        "leaderboard": pd.DataFrame(board),
    }  # fmt: skip


def grid_value(code: str) -> float:
    """Return the score of a combination in `grid_data`: the digits of its code say which."""
    processor, first, core, final = (int(digit) for digit in code.split("_"))
    return 0.5 + 0.1 * (2 - processor) + 0.01 * first + 0.03 * core + 0.002 * final


def grid_data() -> Grid:
    """Make a grid whose combinations are all scored, with Spearman half of Pearson and subsets beside the whole."""
    fitting = [c for c in combinations() if not c.refusal()]
    rows = []
    for c in fitting:
        about = {"model": prixfixe.model_name(c), "test_fold": 0, "val_fold": 0, "role": "member", "level": "private"}
        value = grid_value(c.code)
        rows += [about | {"subset": "challenge", "metric": "pearson_score", "value": value}]
        rows += [about | {"subset": "challenge", "metric": "spearman_score", "value": value / 2}]
        rows += [
            about | {"subset": subset, "metric": metric, "value": (value - 0.05 * at) / share}
            for at, subset in enumerate(SUBSETS)
            for metric, share in (("pearson_r", 1), ("spearman_rho", 2))
        ]
    scores = pd.DataFrame(rows)
    models = scores["model"].drop_duplicates()
    jobs = pd.DataFrame({"model": models, "status": "done", "reason": "", "n_params": range(1000, 1000 + len(models))})
    history = pd.DataFrame({"model": models, "val_pearson_r": 0.8, "is_best": True})
    table = prixfixe.summarise(scores, jobs, history, {}, "pearson_score")
    return Grid("yeast", "simulated", "", table, prixfixe.originals_and_best(table), scores, "grid_folder")


def fold_value(model: str, group: str, fold: int) -> float:
    """Return the score of a model on a test fold of `run_data`."""
    return 0.5 + 0.05 * len(model) / 10 + 0.02 * len(group) / 10 + 0.003 * fold


def run_data(
    task: str, *, models: list[str], datasets: list[str], outputs: list[str], n_folds: int, **about: str
) -> Run:
    """Make the tables of a run with an ensemble per fold and a test of every model but the last against the last."""
    about = {"subset": "all", "level": "row", "metric": "pearson_r", "origin": "simulated"} | about
    scores = pd.DataFrame(
        [
            {"dataset": d, "output": o, "model": m, "test_fold": f, "role": "ensemble", "n_members": 9, **about}
            | {"value": fold_value(m, d + o, f)}
            for d in datasets
            for o in outputs
            for m in models
            for f in range(n_folds)
        ]
    )
    tests = scores.drop(columns=["test_fold", "value"]).drop_duplicates()
    tests = tests[tests["model"] != models[-1]].assign(baseline=models[-1], p_value=0.0125)
    return Run(
        task, "quick", f"{task}_folder", scores, {"tests": tests}, pd.DataFrame(), pd.DataFrame(),
        {m: m.upper() for m in models}, models, {}, frozenset({"simulated"}),
    )  # fmt: skip


def figure_data(**more: object) -> FigureData:
    """Put everything together, as `load_figure_data` would."""
    found = {
        "challenge": challenge_tables(), "grid": grid_data(), "reference": REFERENCE, "top": 10,
        "n_params": {"yeast": {"dream_cnn": 11, "dream_rnn": 22, "dream_attn": 33}, "atac": {"dream_cnn_keras": 44}},
        "sources": {"challenge": "challenge folder", "grid": "grid folder"},
    }  # fmt: skip
    return FigureData(**(found | more))
