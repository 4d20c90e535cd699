"""What came of all combinations: one table, from scores and histories, and what the plots of Fig. 2b-e show of it.

Source: Rafi et al. 2024, Fig. 2. Tables in, tables out; knows nothing of folders.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmarks.api.prix_fixe import PARTS
from benchmarks.errors import BadInput, did_you_mean
from dream_models.prixfixe.combinations import TEAMS, Combination, combinations

FAMILY = "prix_fixe"
CONVERGED_SHARE = 0.5
RULE = (
    "A combination has converged if none of its trainings failed and their best validation Pearson r is, on average, "
    f"at least {CONVERGED_SHARE:g} of the median over all combinations."
)
"""The paper greys four of 45 that did not converge, and states no rule."""
STATUSES = ("scored", "not converged", "failed", "waiting", "declined", "incompatible")


def model_name(combination: Combination) -> str:
    return f"{FAMILY}.{combination}"


def default_metric(scores: pd.DataFrame) -> str:
    """Choose the challenge's Pearson score where a task has it (the paper's choice), else Pearson r."""
    return "pearson_score" if "pearson_score" in set(scores["metric"]) else "pearson_r"


def summarise(
    scores: pd.DataFrame, jobs: pd.DataFrame, history: pd.DataFrame, declined: Mapping[str, str], metric: str
) -> pd.DataFrame:
    """Say of each of the 81 combinations what came of it.

    Parameters
    ----------
    scores, jobs, history
        Tables of a run; see `results/README.md`. Only models of the family are looked at.
    declined
        Model -> why it cannot learn the task.
    metric
        Which score: mean over test folds, and over outputs, of the ensembles at row level (of single models on the
        private part, where a task has no ensembles), of the subset `challenge` where the metric is one of it, else of
        `all`.

    Returns
    -------
    81 rows of code, processor, first, core, final, is_original, status (one of STATUSES), reason, n_params,
    best_val_pearson_r, value, metric, n_folds. `value` is there for whatever was scored, converged or not.

    Raises
    ------
    BadInput
        If the run has scores, but none by that metric.
    """
    if len(scores) and metric not in set(scores["metric"]):
        raise BadInput(did_you_mean("metric of this run", metric, sorted(set(scores["metric"]))))
    role = "ensemble" if "ensemble" in set(scores["role"]) else "member"
    chosen = scores[(scores["metric"] == metric) & (scores["role"] == role)]
    for column, first in (("subset", "challenge"), ("subset", "all"), ("level", "row"), ("level", "private")):
        if first in set(chosen[column]):
            chosen = chosen[chosen[column] == first]
    best = history[history["is_best"]] if len(history) else pd.DataFrame(columns=["model", "val_pearson_r"])
    validation = best.groupby("model")["val_pearson_r"].mean()
    trained = validation[validation.index.isin([model_name(c) for c in combinations()])]
    enough = CONVERGED_SHARE * trained.median() if len(trained) and trained.median() > 0 else -np.inf
    rows = []
    for combination in combinations():
        model = model_name(combination)
        mine, values = jobs[jobs["model"] == model], chosen[chosen["model"] == model]
        r = float(validation.get(model, np.nan))
        status, reason = _status(combination, mine, r, enough, declined.get(model))
        rows.append(
            {"code": combination.code}
            | dict(zip(PARTS, combination.parts, strict=True))
            | {
                "is_original": combination.is_original,
                "status": status,
                "reason": reason,
                "n_params": int(mine["n_params"].max()) if mine["n_params"].notna().any() else pd.NA,
                "best_val_pearson_r": r,
                "value": float(values.groupby("test_fold")["value"].mean().mean()) if len(values) else np.nan,
                "metric": metric,
                "n_folds": values["test_fold"].nunique(),
            }
        )
    return pd.DataFrame(rows).astype({"n_params": "Int64"})


def _status(
    combination: Combination, jobs: pd.DataFrame, r: float, enough: float, declined: str | None
) -> tuple[str, str]:
    if refusal := combination.refusal():
        return "incompatible", refusal
    if declined:
        return "declined", declined
    failed = jobs[jobs["status"] == "failed"]
    if len(failed):
        return "failed", str(failed["reason"].iloc[0])
    if not len(jobs) or (jobs["status"] != "done").any():
        return "waiting", "not all of its trainings are done"
    if r < enough:
        return "not converged", f"best validation Pearson r {r:.3f}, less than {enough:.3f}"
    return "scored", ""


def originals_and_best(table: pd.DataFrame) -> pd.DataFrame:
    """Set each team's own combination beside the best one with its core (Fig. 2d,e).

    Returns
    -------
    Rows of core, kind (`original`, `best with this core`), code, n_params, value; those without a score are left out.
    """
    scored = table[table["status"] == "scored"]
    rows = []
    for core in TEAMS:
        mine = scored[scored["core"] == core]
        picked = [("original", mine[mine["is_original"]])]
        if len(mine):
            picked.append(("best with this core", mine.loc[[mine["value"].idxmax()]]))
        rows += [
            {"core": core, "kind": kind} | row[["code", "n_params", "value"]].iloc[0].to_dict()
            for kind, row in picked
            if len(row)
        ]
    return pd.DataFrame(rows, columns=["core", "kind", "code", "n_params", "value"])
