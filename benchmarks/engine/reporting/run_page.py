"""The report of one run as a single HTML page that opens offline: tables in, text out.

The page's text and style are in templates/report.html.j2; here is what it says about the numbers. Texts are escaped;
only the figures, which are SVG, are inserted as they are.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from benchmarks.api.metrics import label_of
from benchmarks.engine.evaluation import fold_tests
from benchmarks.engine.evaluation.leakage import Leakage
from benchmarks.engine.reporting.html import template
from benchmarks.engine.reporting.text import mean_sd
from benchmarks.io.json_files import records

MAX_SCORE_ROWS = 200  # shown in the page; the score file holds all

# The columns each table must have; a table without rows may come without columns.
_NEEDED = {
    "scores": "dataset model run test_fold val_fold role n_members output subset level metric value n origin",
    "summary": "dataset output subset level metric model role n_folds n_members_min n_members_max mean sd better",
    "tests": "dataset output subset level metric model baseline n_folds n_members mean_model mean_baseline"
    " mean_difference ci_low ci_high t df p_value p_holm cohens_dz ci_low_corrected ci_high_corrected"
    " p_corrected p_corrected_holm ci_low_bootstrap ci_high_bootstrap p_bootstrap better note",
    "jobs": "dataset model status duration_s epochs_run train_seq_per_s predict_seq_per_s peak_memory_mb"
    " device backend precision",
    "leaks": "dataset kind n_test n_leaking share test_fold rule examples",
    "leak_free": "dataset output subset level metric model role value value_leak_free difference n n_leak_free",
    "ceilings": "dataset output level metric value basis",
    "parameters": "model label n_params framework recipe",
    "failures": "dataset model test_fold val_fold reason",
}
_CELL = ["dataset", "output", "subset", "level", "metric"]
_MEDIANS = ["duration_s", "epochs_run", "train_seq_per_s", "predict_seq_per_s", "peak_memory_mb"]

Row = dict[str, Any]
"""A row of a table as plain Python values; None for missing ones."""
Ceilings = Mapping[tuple[str, str, str, str], tuple[float, str]]
"""(dataset, output, level, metric) -> noise ceiling, and how it was estimated."""


@dataclass(frozen=True)
class RunPage:
    """What the report of one run shows.

    Parameters
    ----------
    origin
        "measured" or "simulated"; simulated data are marked in large letters and in the title of the page.
    overview
        Pairs (name, value): what ran, on what data.
    scores, summary, tests
        The long score table; its mean and sd per model and role; the paired tests against the baseline.
    comparisons
        `mixed_model` of a task with folds; `ranking` and `differences` of one without, instead of tests; or empty.
    assumptions
        Test -> its assumptions as text.
    leakage
        Train-test overlap by dataset, fold and kind, and the scores with and without the overlapping sequences.
    checks
        The task's own checks of the run: columns dataset, test_fold, check, value, verdict; or empty.
    featured
        Output, subset and metric of each headline; if empty, Pearson r of every output in the main subset.
    jobs
        One row per training, status "done" or "failed", NaN where something was not measured.
    ceilings
        Noise ceilings of the main subset ("all", or the first): dataset, output, level, metric, value, basis.
    parameters
        One row per model, in the order to show them, with its display name and its recipe as text.
    notes, failures
        Sentences about the data; the jobs that failed, with the reason.
    figures
        Pairs (caption, SVG element).
    reproduce
        command, commit, seed, preset, and the mappings data, versions, hardware; optionally scores_csv, the path of
        the score table (default: beside the page). Missing entries are left out of the page.
    """

    title: str
    origin: str
    overview: Collection[tuple[str, str]]
    scores: pd.DataFrame
    summary: pd.DataFrame
    tests: pd.DataFrame
    comparisons: Mapping[str, pd.DataFrame]
    assumptions: Mapping[str, str]
    leakage: Leakage
    checks: pd.DataFrame
    featured: Collection[tuple[str, str, str]]
    jobs: pd.DataFrame
    ceilings: pd.DataFrame
    parameters: pd.DataFrame
    notes: Collection[str]
    failures: pd.DataFrame
    figures: Collection[tuple[str, str]]
    reproduce: Mapping[str, object]


def render(page: RunPage) -> str:
    """Render the report of one run as a self-contained HTML page.

    Raises
    ------
    ValueError
        If `origin` is invalid or contradicts the scores, or a table lacks a column.
    """
    if page.origin not in ("measured", "simulated"):
        raise ValueError(f"origin is {page.origin!r}; expected 'measured' or 'simulated'.")
    scores, parameters = _checked("scores", page.scores), _checked("parameters", page.parameters)
    if page.origin == "measured" and (scores["origin"] == "simulated").any():
        raise ValueError("The scores hold simulated data, so the report cannot be of origin 'measured'.")
    labels = dict(zip(parameters["model"], parameters["label"], strict=True))
    summary = _in_order(_checked("summary", page.summary), labels)
    tests = _checked("tests", page.tests)
    cell = tests.groupby(_CELL, sort=False).ngroup()  # cells keep their order; within a cell, models are ordered
    tests = _in_order(tests.assign(cell=cell), labels).sort_values("cell", kind="stable")
    jobs = _in_order(_checked("jobs", page.jobs), labels)
    ceilings = {
        (row["dataset"], row["output"], row["level"], row["metric"]): (row["value"], row["basis"])
        for row in _checked("ceilings", page.ceilings).to_dict("records")
    }
    ranking, differences, mixed = (
        _compared(page.comparisons, name, labels) for name in ("ranking", "differences", "mixed_model")
    )
    return template("report.html.j2").render(
        title=page.title,
        simulated=page.origin == "simulated",
        overview=page.overview,
        headlines=_headlines(summary, tests, ceilings, differences, page.featured),
        uneven=_is_uneven(summary),
        score_tables=_score_tables(summary, ceilings),
        levels=set(summary["level"]),
        tests={level: records(part) for level, part in tests.groupby("level", sort=False)},
        ranking=records(ranking),
        differences=records(differences),
        mixed=records(mixed),
        assumptions=page.assumptions,
        overlaps=_overlaps(_checked("leaks", page.leakage.table)),
        changed_scores=records(_changed_scores(_checked("leak_free", page.leakage.scores), labels)),
        leakage_skipped=page.leakage.skipped,
        checks=records(page.checks),
        varying=_varying(tests, "dataset", "output", "subset"),
        baselines=list(dict.fromkeys(tests["against"])),
        figures=[(caption, Markup(svg)) for caption, svg in page.figures],
        timing=_timing(jobs),
        parameters=records(parameters),
        failures=records(_in_order(_checked("failures", page.failures), labels)),
        n_jobs=len(jobs),
        notes=page.notes,
        reproduce=page.reproduce,
        score_columns=_NEEDED["scores"].split(),
        score_rows=records(scores.sort_values("role", kind="stable").head(MAX_SCORE_ROWS)),
        n_scores=len(scores),
    )


def _overlaps(table: pd.DataFrame) -> list[Row]:
    """Return a row per dataset and kind of overlap: counts over all test folds, the worst fold, and an example."""
    rows = []
    for (dataset, kind), part in table.groupby(["dataset", "kind"], sort=False):
        worst = part.loc[part["share"].idxmax()]
        counts = {"n_test": int(part["n_test"].sum()), "n_leaking": int(part["n_leaking"].sum())}
        identity = {"dataset": dataset, "kind": kind, "rule": worst["rule"], "n_folds": len(part)}
        worst_fold = {"worst": float(worst["share"]), "worst_fold": int(worst["test_fold"])}
        rows.append(identity | counts | worst_fold | {"example": worst["examples"]})
    return rows


def _changed_scores(table: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """Average the scores with and without overlapping sequences over the folds and trainings with overlap."""
    changed = table[table["n_leak_free"] != table["n"]]
    if changed.empty:
        return pd.DataFrame()
    cell = [*_CELL, "model", "role"]
    mean = changed.groupby(cell, sort=False)[["value", "value_leak_free", "difference"]].mean().reset_index()
    return _in_order(mean.sort_values("role", kind="stable"), labels)


def _checked(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns are those it needs, with fold numbers as integers.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    needed = _NEEDED[name].split()
    if frame.empty:
        return pd.DataFrame(columns=needed)
    if missing := [column for column in needed if column not in frame.columns]:
        raise ValueError(f"The table {name!r} lacks {', '.join(missing)}; it has {', '.join(frame.columns)}.")
    folds = [column for column in ("test_fold", "val_fold") if column in needed]
    return frame.astype(dict.fromkeys(folds, "Int64"))  # a table with missing values may have them as 2.0


def _in_order(frame: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """Sort a table by the order of the models, and add display names: `label`, `against` for a baseline."""
    order = [*labels, *sorted(set(frame["model"]) - set(labels))]
    frame = frame.assign(label=[labels.get(model, model) for model in frame["model"]])
    if "baseline" in frame:
        frame = frame.assign(against=[labels.get(model, model) for model in frame["baseline"]])
    return frame.sort_values("model", key=lambda models: models.map(order.index), kind="stable")


def _compared(comparisons: Mapping[str, pd.DataFrame], name: str, labels: Mapping[str, str]) -> pd.DataFrame:
    """Return a table of comparisons with display names, or one without rows."""
    if name not in comparisons:
        return pd.DataFrame()
    table = comparisons[name]
    named = {"label": table["model"].map(lambda model: labels.get(model, model))}
    if "baseline" in table:
        named["against"] = table["baseline"].map(lambda model: labels.get(model, model))
    return table.assign(**named)


def _varying(frame: pd.DataFrame, *columns: str) -> list[str]:
    """Return the columns with more than one value: only these are shown in a table."""
    return [column for column in columns if len(set(frame[column])) > 1]


def _main(values: pd.Series, preferred: str) -> str:
    """Return the value that headlines are about: the preferred one, or else the first."""
    return preferred if preferred in set(values) else values.iloc[0]


def _panel(dataset: str, output: str, summary: pd.DataFrame) -> str:
    return f"{dataset} · {output}" if _varying(summary, "output") else str(dataset)


def _members(row: pd.Series) -> str:
    low, high = row["n_members_min"], row["n_members_max"]
    count = f"{low}" if low == high else f"{low} to {high}"
    return f"ensemble of {count}" if row["role"] == "ensemble" else f"single members, {count} per fold"


def _is_uneven(summary: pd.DataFrame) -> bool:
    """Tell whether models have different numbers of folds or members, so that their means do not compare."""
    cells = summary.groupby([*_CELL, "role"])
    counts = cells[["n_folds", "n_members_min", "n_members_max"]]
    return bool((counts.max() != counts.min()).any(axis=None))


def _main_role(summary: pd.DataFrame) -> str:
    return "ensemble" if "ensemble" in set(summary["role"]) else "member"


def _headlines(
    summary: pd.DataFrame,
    tests: pd.DataFrame,
    ceilings: Ceilings,
    differences: pd.DataFrame,
    featured: Collection[tuple[str, str, str]],
) -> list[Row]:
    """Return for each dataset and output the best model, its comparison with the baseline, and the noise ceiling."""
    chosen = summary[(summary["role"] == _main_role(summary)) & summary["mean"].notna()]
    is_challenge = "pearson_score" in set(chosen["metric"])
    preferences = {"subset": "challenge" if is_challenge else "all", "level": "row"}
    preferences |= {"metric": "pearson_score" if is_challenge else "pearson_r"}
    if featured:
        chosen, tests = (fold_tests.headlined(table, featured) for table in (chosen, tests))
        preferences = {"level": "row"}
    for column, preferred in preferences.items():
        if len(chosen):
            value = _main(chosen[column], preferred)
            chosen, tests = chosen[chosen[column] == value], tests[tests[column] == value]
    headlines = []
    for (dataset, output), part in chosen.groupby(["dataset", "output"], sort=False):
        best = part.sort_values("mean", ascending=part["better"].iloc[0] == "lower", kind="stable").iloc[0]
        here = records(tests[(tests["dataset"] == dataset) & (tests["output"] == output)])
        ceiling, basis = ceilings.get((dataset, output, best["level"], best["metric"]), (None, None))
        headlines.append(
            {
                "panel": _panel(dataset, output, summary),
                "label": best["label"],
                "value": mean_sd(best["mean"], best["sd"]),
                "what": f"{label_of(best['metric'])}, {label_of(best['level'])}",
                "members": _members(best),
                "n_folds": int(best["n_folds"]),
                "difference": _difference(differences, dataset, best),
                "baseline": here[0]["against"] if here else None,
                "is_baseline": any(row["baseline"] == best["model"] for row in here),
                "test": next((row for row in here if row["model"] == best["model"]), None),
                "ceiling": ceiling,
                "basis": basis,
                "share": _share(best["mean"], ceiling, best["better"]),
            }
        )
    return headlines


def _difference(differences: pd.DataFrame, dataset: str, best: pd.Series) -> Row | None:
    """Return the comparison of a headline with the baseline, for a task with its own rules of comparison."""
    here = [row for row in records(differences) if row["dataset"] == dataset and row["metric"] == best["metric"]]
    return next((row for row in here if row["model"] == best["model"]), None)


def _share(mean: float, ceiling: float | None, better: str) -> str | None:
    """Return a score as percentage of the noise ceiling; None for metrics of which lower is better."""
    return f"{mean / ceiling:.1%}" if ceiling and better == "higher" and pd.notna(mean) else None


def _score_tables(summary: pd.DataFrame, ceilings: Ceilings) -> list[Row]:
    """Lay out mean ± sd: a table per level, dataset and output; a row per model, role and subset."""
    tables: list[Row] = []
    main_role = _main_role(summary)
    for (level, dataset, output), part in summary.groupby(["level", "dataset", "output"], sort=False):
        subsets = sorted(dict.fromkeys(part["subset"]), key=lambda name: name != "challenge")  # the total comes first
        part = part.sort_values("subset", key=lambda names: names.map(subsets.index), kind="stable")
        metrics = list(dict.fromkeys(part["metric"]))
        of_metric = {
            name: ceilings[dataset, output, level, name]
            for name in metrics
            if (dataset, output, level, name) in ceilings
        }
        main = _main(part["subset"], "all")
        rows: list[Row] = []
        for (subset, _, role), group in part.groupby(["subset", "model", "role"], sort=False):
            cells = {}
            for row in group.to_dict("records"):
                rivals = part[(part["metric"] == row["metric"]) & (part["subset"] == subset)]
                rivals = rivals.loc[rivals["role"] == main_role, "mean"]
                best = rivals.min() if row["better"] == "lower" else rivals.max()
                ceiling = of_metric[row["metric"]][0] if subset == main and row["metric"] in of_metric else None
                cells[row["metric"]] = {
                    "text": mean_sd(row["mean"], row["sd"]),
                    "share": _share(row["mean"], ceiling, row["better"]),
                    "best": role == main_role and row["mean"] == best,
                }
            head = {"label": group["label"].iloc[0], "subset": subset, "members": _members(group.iloc[0])}
            rows.append(head | {"n_folds": int(group["n_folds"].max()), "role": role, "cells": cells})
        tables.append(
            {
                "title": f"{_panel(dataset, output, summary)}, {label_of(level)}",
                "metrics": part.drop_duplicates("metric").set_index("metric")["better"].to_dict(),
                "ceilings": of_metric,
                "has_subsets": bool(_varying(part, "subset")),
                "rows": rows,
            }
        )
    return tables


def _timing(jobs: pd.DataFrame) -> list[Row]:
    """Return a row per dataset and model: medians over its finished trainings, and their number."""
    rows = []
    for (dataset, _), part in jobs.groupby(["dataset", "model"], sort=False):
        done = part[part["status"] == "done"]
        medians = {name: pd.to_numeric(done[name]).median() for name in _MEDIANS}
        rows.append(
            {name: None if pd.isna(value) else value for name, value in medians.items()}
            | {name: ", ".join(map(str, done[name].dropna().unique())) for name in ("device", "backend", "precision")}
            | {"dataset": dataset, "label": part["label"].iloc[0], "n_done": len(done)}
            | {"n_failed": len(part) - len(done), "total_s": float(pd.to_numeric(part["duration_s"]).sum())}
        )
    return rows
