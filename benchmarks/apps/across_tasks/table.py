"""The table over tasks, a row per model and headline score: interval, rank, share of the noise ceiling, cost, speed.

Tables in, tables out; knows nothing of folders. Measured and simulated data are never ranked together.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

CELL = ["origin", "task", "task_version", "dataset", "output", "subset", "level", "metric"]
COLUMNS = [
    *CELL, "preset", "model", "label", "kind", "role", "better", "mean", "ci_low", "ci_high", "interval_over",
    "n_folds", "n_members", "rank", "n_ranked", "ceiling", "share_of_ceiling", "n_params", "width_scale", "n_train",
    "n_trainings", "n_failed", "train_seconds", "device", "train_seq_per_s", "predict_seq_per_s", "departures",
]  # fmt: skip
OVERALL_COLUMNS = ["origin", "model", "label", "kind", "mean_rank", "n_tasks", "tasks"]
LOWER_BOUNDS = ("kmer_ridge",)
"""Lower-bound baselines: what is reached without a network."""
_WHOLE = ["n_params", "n_ranked", "n_trainings", "n_failed", "n_train"]


@dataclass(frozen=True)
class RunTables:
    """What the table over tasks needs of one stored run.

    Parameters
    ----------
    summary
        Mean and sd of the headline scores per cell and model, in one role (`fold_tests.summarise`).
    jobs
        One row per training (`training_table.job_table`).
    ceilings
        Noise ceilings: columns dataset, output, level, metric, value.
    prerequisites
        Models that were fitted only because others need them.
    width_scale
        Model -> width of its network as a share of the published one.
    external
        Models with external predictions: nothing is known of their training.
    protocol_deviations
        (dataset, model) -> in what its trainings are not the published protocol; "" where they follow it.
    """

    preset: str
    summary: pd.DataFrame
    jobs: pd.DataFrame
    ceilings: pd.DataFrame
    labels: Mapping[str, str]
    prerequisites: Collection[str]
    width_scale: Mapping[str, float]
    external: Collection[str] = ()
    protocol_deviations: Mapping[tuple[str, str], str] = field(default_factory=dict)


def interval(mean: float, sd: float, n: int) -> tuple[float, float]:
    """Return the 95 % t interval of a mean over n values with standard deviation sd (ddof 1); NaN for one value."""
    if n < 2 or not np.isfinite(sd):
        return np.nan, np.nan
    half = scipy_stats.t.ppf(0.975, n - 1) * sd / np.sqrt(n)
    return mean - half, mean + half


def rows_of(run: RunTables) -> pd.DataFrame:
    """Lay out one run: a row per headline cell and model, without ranks.

    The interval is over test folds, or, with one test set, over the members of a model that are scored one by one.

    Returns
    -------
    Columns COLUMNS, `rank` and `n_ranked` missing.
    """
    costs = {(dataset, model): _cost(rows) for (dataset, model), rows in run.jobs.groupby(["dataset", "model"])}
    ceilings = {
        (row["dataset"], row["output"], row["level"], row["metric"]): row["value"]
        for row in run.ceilings.to_dict("records")
    }
    rows = []
    for row in run.summary.to_dict("records"):
        over_folds = row["n_folds"] > 1
        n = row["n_folds"] if over_folds else row["n_members_max"] if row["role"] == "member" else 1
        low, high = interval(row["mean"], row["sd"], n)
        ceiling = ceilings.get((row["dataset"], row["output"], row["level"], row["metric"]), np.nan)
        model = row["model"]
        cost = costs.get((row["dataset"], model), {})
        if model in run.external:
            cost = {"n_trainings": cost.get("n_trainings", 0)}
        rows.append(
            {name: row[name] for name in (*CELL, "role", "better", "mean", "n_folds")}
            | {"preset": run.preset, "model": model, "label": run.labels.get(model, model)}
            | {"kind": _kind(model, run), "ci_low": low, "ci_high": high}
            | {"interval_over": "" if np.isnan(low) else "test folds" if over_folds else "trainings"}
            | {"n_members": row["n_members_min"], "ceiling": ceiling}
            | {"share_of_ceiling": row["mean"] / ceiling if row["better"] == "higher" else np.nan}
            | {"width_scale": run.width_scale.get(model, np.nan)}
            | {"departures": run.protocol_deviations.get((row["dataset"], model), "")}
            | cost
        )
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def combine(runs: Sequence[RunTables]) -> pd.DataFrame:
    """Put several runs into one table and rank the models of every cell, 1 the best, ties by their average.

    Prerequisites and scores that are not a number have no rank; `n_ranked` counts those that have one.
    """
    laid_out = [rows for run in runs if len(rows := rows_of(run))]
    if not laid_out:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat(laid_out, ignore_index=True)
    counts = table["mean"].where(table["kind"] != "prerequisite")
    oriented = counts.where(table["better"] == "higher", -counts)
    by_cell = oriented.groupby([table[name] for name in CELL], sort=False, dropna=False)
    table["rank"] = by_cell.rank(method="average", ascending=False)
    table["n_ranked"] = by_cell.transform("count")
    return table.astype(dict.fromkeys(_WHOLE, "Int64"))


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """Average ranks within every task, then over the tasks that a model ran on; measured and simulated data apart.

    A task with three cell types counts as much as one with a single dataset. Mean ranks over different tasks rest on
    different rivals: `n_tasks` and `tasks` say which.

    Returns
    -------
    Columns OVERALL_COLUMNS, best first within an origin.
    """
    ranked = table[table["rank"].notna()]
    rows = []
    for (origin, model), of_model in ranked.groupby(["origin", "model"], sort=False):
        within = of_model.groupby("task", sort=False)["rank"].mean()
        names = {"origin": origin, "model": model, "label": of_model["label"].iloc[0], "kind": of_model["kind"].iloc[0]}
        rows.append(names | {"mean_rank": within.mean(), "n_tasks": len(within), "tasks": ", ".join(within.index)})
    return pd.DataFrame(rows, columns=OVERALL_COLUMNS).sort_values(["origin", "mean_rank"], kind="stable")


def _kind(model: str, run: RunTables) -> str:
    if model in run.prerequisites:
        return "prerequisite"
    return "floor" if model in LOWER_BOUNDS else "made elsewhere" if model in run.external else "model"


def _cost(jobs: pd.DataFrame) -> dict[str, Any]:
    """Add up what the finished trainings of one model on one dataset took."""
    done = jobs[jobs["status"] == "done"]
    failed = int((jobs["status"] == "failed").sum())
    if done.empty:
        return {"n_trainings": 0, "n_failed": failed}
    sizes = done["n_params"].dropna()
    return {
        "n_params": int(sizes.iloc[0]) if len(sizes) else pd.NA,
        "n_train": round(done["n_train"].median()),
        "n_trainings": len(done),
        "n_failed": failed,
        "train_seconds": done["duration_s"].sum(min_count=1),
        "device": ", ".join(dict.fromkeys(done["device"].dropna().astype(str))),
        "train_seq_per_s": done["train_seq_per_s"].median(),
        "predict_seq_per_s": done["predict_seq_per_s"].median(),
    }
