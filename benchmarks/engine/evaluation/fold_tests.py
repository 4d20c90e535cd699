"""Compare models over test folds: paired t-tests against a baseline, and a summary per model.

Source: Rafi et al. 2024, Fig. 3 (one score per test fold; paired two-sided t-test across the folds). The folds of a
cross-validation share training rows, which makes that test anti-conservative. The corrected resampled t-test of Nadeau
and Bengio 2003 (Machine Learning 52:239) is therefore reported beside it, and the P values of both are adjusted for
multiple testing by Holm's method, over all models that are compared with the baseline in one cell of the table.

A score table is long, one row per score: task, task_version, dataset, model, run, test_fold, val_fold, role
("member", "ensemble"), n_members, output, subset, level, metric, value, n, origin ("measured", "simulated").
"""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from benchmarks.api import metrics

# What identifies a score. Measured and simulated data, levels and subsets are never pooled in a mean or a test.
CELL = ["task", "task_version", "dataset", "origin", "output", "subset", "level", "metric"]

TEST_COLUMNS = [
    *CELL, "model", "baseline", "n_folds", "n_members", "mean_model", "mean_baseline", "mean_difference",
    "ci_low", "ci_high", "t", "df", "p_value", "p_holm", "cohens_dz", "test_train_ratio", "ci_low_corrected",
    "ci_high_corrected", "t_corrected", "p_corrected", "p_corrected_holm", "family_size", "better", "note",
]  # fmt: skip
# Assumptions of each test, in the order in which they are shown.
ASSUMPTIONS = {
    "paired t-test (the paper's)": "differences between folds are independent and normally distributed; folds share "
    "training data, so they are not independent and P values are too small",
    "corrected resampled t-test": "differences are normally distributed, and folds correlate by the size of the test "
    "set relative to the training set (test_train_ratio: rows of the test fold over the rows that were trained on; of "
    "an ensemble, those of all its members together, of single members, those of one)",
    "paired bootstrap": "test items are a random sample, and resampling units (both orientations of an element, a "
    "window) are independent; the trained models are fixed, so variance between trainings is not covered",
    "Holm": "none beyond those of the tests; controls the family-wise error rate over all models against the baseline, "
    "per task, dataset, output, subset, level and metric",
}
SUMMARY_COLUMNS = [
    *CELL, "model", "role", "n_folds", "n_members_min", "n_members_max", "mean", "sd", "min", "max", "better",
]  # fmt: skip

Headline = tuple[str, str, str]
"""Output, subset and metric of what a task shows first."""

_CHALLENGE = ("pearson_score", "spearman_score")
_PAPER_LEVELS = ("row", "private", "region")
_NEEDED = [*CELL, "model", "run", "test_fold", "val_fold", "role", "n_members", "value", "n"]
_NO_TEST = dict.fromkeys(
    ["ci_low", "ci_high", "t", "df", "p_value", "cohens_dz", "test_train_ratio", "ci_low_corrected",
     "ci_high_corrected", "t_corrected", "p_corrected"], np.nan
)  # fmt: skip


def headlined(table: pd.DataFrame, headlines: Collection[Headline]) -> pd.DataFrame:
    """Return the rows of a table of scores, means or tests that are headlines; all rows if there are no headlines."""
    if not headlines:
        return table
    cells = zip(table["output"], table["subset"], table["metric"], strict=True)
    return table.loc[np.array([cell in set(headlines) for cell in cells], dtype=bool)]  # of no rows too


def featured(table: pd.DataFrame, headlines: Collection[Headline]) -> pd.DataFrame:
    """Return the rows of a table of scores or means that represent a task, at the level that the paper reports.

    Those are its headlines; without any, both scores of the challenge where there are some, else Pearson r of the
    subset "all".
    """
    if headlines:
        table = headlined(table, headlines)
    elif table["metric"].isin(_CHALLENGE).any():
        table = table[table["metric"].isin(_CHALLENGE)]
    else:
        table = table[(table["subset"] == "all") & (table["metric"] == "pearson_r")]
    level = next((name for name in _PAPER_LEVELS if name in set(table["level"])), None)
    return table[table["level"] == level]


def compare(
    scores: pd.DataFrame, baseline: str, *, role: str = "ensemble", sizes: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Test every model against the baseline with paired two-sided t-tests over test folds.

    Source: Rafi et al. 2024, Fig. 3; Nadeau and Bengio 2003 for the corrected test, which estimates the variance of
    the mean over k folds as (1/k + n_test/n_train) times that of the differences. Differences are model minus
    baseline; Cohen's d_z is their mean / sd.

    Parameters
    ----------
    scores
        Long score table. With `role="member"` the value of a fold is the mean over its members.
    baseline
        Name of the model the others are compared with.
    sizes
        Columns dataset, test_fold, n_test, n_train: rows of each test fold, and rows that were trained on for it.
        Without them there is no corrected test.

    Returns
    -------
    One row per CELL and other model, columns TEST_COLUMNS. A fold is used if both models have a finite score there,
    from the same number of members on the same number of rows; `note` names the folds left out. Means and
    `test_train_ratio` are over the folds used, `n_members` is the smallest among them. `family_size` counts the tests
    of a CELL that Holm's method adjusts for. With fewer than two folds, or with differences that are all equal,
    statistics are NaN and `note` gives the reason.

    Raises
    ------
    ValueError
        If a column is missing, the baseline has no scores, a score appears twice or a model has two runs.
    """
    folds = _fold_values(scores, role)
    known = list(dict.fromkeys(folds["model"]))
    if baseline not in known:
        raise ValueError(
            f"Baseline {baseline!r} has no {role} scores, so nothing can be compared with it. "
            f"Models that have them: {', '.join(known) or 'none'}."
        )
    rows = []
    for cell, part in folds.groupby(CELL, sort=False, dropna=False):
        by_model = {model: rows.set_index("test_fold") for model, rows in part.groupby("model", sort=False)}
        base = by_model.pop(baseline, part.iloc[:0].set_index("test_fold"))
        identity = dict(zip(CELL, cell, strict=True))
        better = metrics.better(identity["metric"])
        ratios = _ratios(sizes, identity["dataset"])
        family = [
            identity | {"model": model, "baseline": baseline, "better": better} | _paired(of_model, base, ratios)
            for model, of_model in by_model.items()
        ]
        adjusted = {name: holm([row[name] for row in family]) for name in ("p_value", "p_corrected")}
        for i, row in enumerate(family):
            row |= {"p_holm": adjusted["p_value"][i], "p_corrected_holm": adjusted["p_corrected"][i]}
            row["family_size"] = int(np.isfinite([member["p_value"] for member in family]).sum())
        rows += family
    return pd.DataFrame(rows, columns=TEST_COLUMNS).astype({"n_members": "Int64"})


def holm(p_values: Collection[float]) -> np.ndarray:
    """Adjust P values for multiple testing by Holm's method; NaN stays NaN and does not count as a test."""
    from statsmodels.stats.multitest import multipletests

    p_values = np.asarray(p_values, float)
    tested = np.isfinite(p_values)
    adjusted = np.full(len(p_values), np.nan)
    if tested.any():
        adjusted[tested] = multipletests(p_values[tested], method="holm")[1]
    return adjusted


def corrected_t_test(differences: np.ndarray, test_train_ratio: float) -> dict[str, float]:
    """Test the mean of k differences, one per fold, by the two-sided corrected resampled t-test, k - 1 df.

    Source: Nadeau and Bengio 2003, section 3: the variance of the mean is (1/k + n_test/n_train) times that of the
    differences (ddof 1).
    """
    k = len(differences)
    mean, error = differences.mean(), np.sqrt((1 / k + test_train_ratio) * differences.var(ddof=1))
    half = scipy_stats.t.ppf(0.975, k - 1) * error
    return {
        "test_train_ratio": test_train_ratio,
        "ci_low_corrected": mean - half,
        "ci_high_corrected": mean + half,
        "t_corrected": mean / error,
        "p_corrected": 2 * scipy_stats.t.sf(abs(mean / error), k - 1),
    }


def _ratios(sizes: pd.DataFrame | None, dataset: str) -> dict[int, float]:
    """Return n_test / n_train of every test fold of a dataset, where known."""
    if sizes is None:
        return {}
    of_dataset = sizes[sizes["dataset"] == dataset]
    return dict(zip(of_dataset["test_fold"], of_dataset["n_test"] / of_dataset["n_train"], strict=True))


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Average each model's scores over test folds, separately for members and ensembles.

    The sd (ddof 1) is between test folds, as in published tables. For role "member" the value of a fold is first the
    mean over its members, so `sd` is between folds in both roles; only with a single test fold it is between members.

    Returns
    -------
    One row per CELL, model and role, columns SUMMARY_COLUMNS. `n_members_min`, `n_members_max`: members averaged per
    fold (role "ensemble") or scored per fold ("member"). `sd` is NaN for a single score; a NaN score makes its mean
    NaN.

    Raises
    ------
    ValueError
        If a column is missing, a score appears twice or a model has two runs.
    """
    folds = pd.concat([_fold_values(scores, role) for role in ("ensemble", "member")], ignore_index=True)
    members = scores[scores["role"] == "member"]
    spread = members.groupby([*CELL, "model", "role"], sort=False, dropna=False)["value"].std().to_dict()
    rows = []
    for key, part in folds.groupby([*CELL, "model", "role"], sort=False, dropna=False):
        identity = dict(zip([*CELL, "model", "role"], key, strict=True))
        values = part["value"].to_numpy(float)
        numbers = {
            "n_folds": len(values),
            "n_members_min": int(part["n_members"].min()),
            "n_members_max": int(part["n_members"].max()),
            "mean": values.mean(),
            "sd": values.std(ddof=1) if len(values) > 1 else spread.get(key, np.nan),
            "min": values.min(),
            "max": values.max(),
            "better": metrics.better(identity["metric"]),
        }
        rows.append(identity | numbers)
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def _fold_values(scores: pd.DataFrame, role: str) -> pd.DataFrame:
    """Reduce one role to one value per CELL, model and test fold; check that it is one run, scored once."""
    if missing := [name for name in _NEEDED if name not in scores.columns]:
        raise ValueError(f"The score table lacks {', '.join(missing)}; it has {', '.join(scores.columns)}.")
    for (task, dataset, model), runs in scores.groupby(["task", "dataset", "model"], sort=False)["run"]:
        names = [str(run) for run in runs.unique()]
        if len(names) > 1:
            raise ValueError(
                f"Model {model!r} has {len(names)} runs on {task} {dataset} ({', '.join(names)}); "
                "keep the scores of one run per model and dataset."
            )
    chosen = scores[scores["role"] == role]
    score_key = [*CELL, "model", "test_fold"] + (["val_fold"] if role == "member" else [])
    if (repeated := chosen.duplicated(score_key)).any():
        first = chosen.loc[repeated, score_key].iloc[0]
        raise ValueError(
            f"{int(repeated.sum())} {role} scores appear twice, first {first['model']!r} on {first['dataset']} "
            f"test fold {first['test_fold']}, {first['metric']}; keep each once."
        )
    keys = [*CELL, "model", "role", "test_fold"]
    by_fold = chosen.groupby(keys, sort=False, dropna=False)
    # A NaN member makes its fold NaN: a mean over the members that happen to be finite would hide it.
    folds = by_fold["value"].agg(lambda values: values.to_numpy(float).mean()).reset_index()
    members = by_fold.size() if role == "member" else by_fold["n_members"].first()
    return folds.assign(n_members=members.to_numpy(int), n=by_fold["n"].first().to_numpy(int))


def _paired(model: pd.DataFrame, base: pd.DataFrame, ratios: Mapping[int, float]) -> dict[str, object]:
    """Return the statistics of a model against the baseline; both frames are indexed by test fold."""
    pair = model.add_suffix("_model").join(base.add_suffix("_base"), how="outer").sort_index()
    left_out: dict[str, list[int]] = {}
    used = []
    for fold, row in pair.iterrows():
        if reason := _why_left_out(row):
            left_out.setdefault(reason, []).append(fold)
        else:
            used.append(fold)
    notes = [f"{_folds_phrase(folds)} left out: {reason}" for reason, folds in left_out.items()]

    pair = pair.loc[used]
    x, y = pair["value_model"].to_numpy(float), pair["value_base"].to_numpy(float)
    members = pair["n_members_model"].astype(int)
    result = _NO_TEST | {
        "n_folds": len(used),
        "n_members": members.min() if used else pd.NA,
        "mean_model": x.mean() if used else np.nan,
        "mean_baseline": y.mean() if used else np.nan,
        "mean_difference": (x - y).mean() if used else np.nan,
    }
    if len(set(members)) > 1:
        notes.append(f"{members.min()} to {members.max()} members, depending on the fold")
    if len(used) < 2:
        notes.append(f"no test: it needs 2 folds, {len(used)} {'is' if len(used) == 1 else 'are'} usable")
    elif np.ptp(x - y) <= 1e-12 * np.abs([x, y]).max():  # equal but for rounding: scipy would say t = inf
        notes.append("no test: the difference is the same in every fold")
    else:
        test = scipy_stats.ttest_rel(x, y)
        interval = test.confidence_interval(0.95)
        result |= {"ci_low": interval.low, "ci_high": interval.high, "t": test.statistic, "df": test.df}
        result |= {"p_value": test.pvalue, "cohens_dz": (x - y).mean() / (x - y).std(ddof=1)}
        if all(fold in ratios for fold in used):
            result |= corrected_t_test(x - y, float(np.mean([ratios[fold] for fold in used])))
    return result | {"note": "; ".join(notes)}


def _why_left_out(row: pd.Series) -> str:
    """Say why a fold cannot be paired, or return "" where it can."""
    for side, who in (("model", "the model"), ("base", "the baseline")):
        if pd.isna(row[f"n_members_{side}"]):
            return f"no score of {who}"
        if not np.isfinite(row[f"value_{side}"]):
            return f"the score of {who} is not a number"
    for count, what in (("n_members", "members"), ("n", "rows scored")):
        if row[f"{count}_model"] != row[f"{count}_base"]:
            return f"{what} differ ({row[f'{count}_model']:.0f} and {row[f'{count}_base']:.0f})"
    return ""


def _folds_phrase(folds: list[int]) -> str:
    return ("fold " if len(folds) == 1 else "folds ") + ", ".join(str(fold) for fold in folds)
