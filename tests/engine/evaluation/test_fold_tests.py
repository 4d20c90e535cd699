"""Paired t-tests and summaries, against scipy called directly and arithmetic by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from benchmarks.engine.evaluation import fold_tests
from tests.helpers import null_experiments

BASE = [0.60, 0.62, 0.58, 0.61, 0.63]
NEW = [0.66, 0.67, 0.65, 0.65, 0.70]


COMMON = {
    "task": "human_mpra", "task_version": 1, "dataset": "K562", "output": "activity", "subset": "all",
    "level": "row", "metric": "pearson_r", "n": 100, "origin": "simulated",
}  # fmt: skip


def ensembles(model, values, *, first_fold=0, **other):
    """Return score rows of one model, one ensemble of nine per test fold."""
    of_model = COMMON | {
        "model": model,
        "run": f"run-{model}",
        "role": "ensemble",
        "n_members": 9,
        "val_fold": pd.NA,
    }
    return [of_model | {"test_fold": fold, "value": value} | other for fold, value in enumerate(values, first_fold)]


def members(model, folds):
    """Return score rows of single members, from a list of values per test fold."""
    of_model = COMMON | {"model": model, "run": f"run-{model}", "role": "member", "n_members": 1}
    return [
        of_model | {"test_fold": test_fold, "val_fold": val_fold, "value": value}
        for test_fold, values in enumerate(folds)
        for val_fold, value in enumerate(values)
    ]


def table(*parts):
    return pd.DataFrame([row for part in parts for row in part]).astype({"val_fold": "Int64"})


def only(frame):
    assert len(frame) == 1
    return frame.iloc[0]


def test_compare_agrees_with_scipy_and_with_the_formula():
    row = only(fold_tests.compare(table(ensembles("cnn", NEW), ensembles("old", BASE)), "old"))
    expected = scipy_stats.ttest_rel(NEW, BASE)
    assert row["t"] == pytest.approx(expected.statistic)
    assert row["p_value"] == pytest.approx(expected.pvalue)
    # By hand: differences 6, 5, 7, 4, 7 hundredths: mean 5.8, sum of squares about it 6.8, sd sqrt(6.8 / 4).
    sd = np.sqrt(6.8 / 4) / 100
    half = 2.7764451 * sd / np.sqrt(5)  # t quantile 0.975 at 4 degrees of freedom, from a printed table
    assert row["mean_difference"] == pytest.approx(0.058)
    assert row["cohens_dz"] == pytest.approx(0.058 / sd)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.058 - half, 0.058 + half))
    assert (row["mean_model"], row["mean_baseline"]) == pytest.approx((0.666, 0.608))
    assert row[["n_folds", "df", "n_members", "better", "note"]].tolist() == [5, 4, 9, "higher", ""]
    assert list(row.index) == fold_tests.TEST_COLUMNS


def test_errors_are_better_when_lower_and_the_sign_stays():
    """The sign stays that of model minus baseline."""
    scores = table(ensembles("cnn", BASE, metric="mse"), ensembles("old", NEW, metric="mse"))
    row = only(fold_tests.compare(scores, "old"))
    assert row["better"] == "lower"
    assert row["mean_difference"] == pytest.approx(-0.058)


def test_datasets_levels_metrics_and_origins_are_tested_apart():
    changes = {"dataset": "WTC11", "level": "strand_averaged", "metric": "mse", "origin": "measured"}
    parts = []
    for change in [{}, *({name: value} for name, value in changes.items())]:
        parts += [ensembles("cnn", NEW, **change), ensembles("old", BASE, **change)]
    tests = fold_tests.compare(table(*parts), "old")
    assert len(tests) == 5
    assert (tests["n_folds"] == 5).all()


def test_folds_that_only_one_model_has_are_named():
    scores = table(ensembles("cnn", NEW), ensembles("old", BASE, first_fold=2))
    row = only(fold_tests.compare(scores, "old"))
    assert row["n_folds"] == 3
    expected = "folds 0, 1 left out: no score of the baseline; folds 5, 6 left out: no score of the model"
    assert row["note"] == expected
    assert row["mean_baseline"] == pytest.approx(0.60)  # folds 2, 3, 4 of the baseline: 0.60, 0.62, 0.58


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"n_members": 8}, "fold 4 left out: members differ (8 and 9)"),
        ({"n": 99}, "fold 4 left out: rows scored differ (99 and 100)"),
        ({"value": np.nan}, "fold 4 left out: the score of the model is not a number"),
    ],
)
def test_folds_that_do_not_match_are_named(change, note):
    last = ensembles("cnn", NEW[4:], first_fold=4, **change)
    row = only(fold_tests.compare(table(ensembles("cnn", NEW[:4]), last, ensembles("old", BASE)), "old"))
    assert row["note"] == note
    assert row["p_value"] == pytest.approx(scipy_stats.ttest_rel(NEW[:4], BASE[:4]).pvalue)


def test_ensembles_of_several_sizes_are_paired_by_fold_and_noted():
    scores = table(ensembles("cnn", NEW), ensembles("old", BASE))
    scores.loc[scores["test_fold"] >= 3, "n_members"] = 7
    row = only(fold_tests.compare(scores, "old"))
    assert (row["n_folds"], row["n_members"]) == (5, 7)
    assert row["note"] == "7 to 9 members, depending on the fold"


def test_one_fold_gives_no_test():
    row = only(fold_tests.compare(table(ensembles("cnn", [0.7]), ensembles("old", [0.6])), "old"))
    assert row["mean_difference"] == pytest.approx(0.1)
    assert row[["t", "df", "p_value", "ci_low", "ci_high", "cohens_dz"]].isna().all()
    assert row["note"] == "no test: it needs 2 folds, 1 is usable"


def test_a_missing_baseline_gives_a_row_that_says_so():
    scores = table(ensembles("cnn", NEW), ensembles("old", BASE), ensembles("cnn", NEW, dataset="WTC11"))
    row = only(fold_tests.compare(scores, "old").query("dataset == 'WTC11'"))
    assert row["n_folds"] == 0
    assert row[["mean_difference", "n_members", "p_value"]].isna().all()
    assert row["note"].startswith("folds 0, 1, 2, 3, 4 left out: no score of the baseline")


@pytest.mark.parametrize("shift", [0.0, 0.1])
@pytest.mark.filterwarnings("error")
def test_equal_differences_give_nan_and_a_note(shift):
    scores = table(ensembles("cnn", [v + shift for v in BASE]), ensembles("old", BASE))
    row = only(fold_tests.compare(scores, "old"))
    assert row[["t", "p_value", "ci_low", "ci_high", "cohens_dz"]].isna().all()
    assert row["mean_difference"] == pytest.approx(shift)
    assert row["note"] == "no test: the difference is the same in every fold"


def test_members_are_averaged_within_a_fold_before_the_test():
    a = members("a", [[0.5, 0.7], [0.6, 0.6], [0.9, 0.7]])
    b = members("b", [[0.4, 0.6], [0.6, 0.5], [0.5, 0.5]])
    row = only(fold_tests.compare(table(a, b), "b", role="member"))
    assert row["p_value"] == pytest.approx(scipy_stats.ttest_rel([0.6, 0.6, 0.8], [0.5, 0.55, 0.5]).pvalue)
    assert row["n_members"] == 2

    summary = only(fold_tests.summarise(table(a)))
    assert (summary["role"], summary["n_folds"], summary["n_members_min"]) == ("member", 3, 2)
    # Fold means 0.6, 0.6, 0.8: mean 2/3, squares about it (1 + 1 + 4) / 225, over 2.
    assert summary["mean"] == pytest.approx(2 / 3)
    assert summary["sd"] == pytest.approx(np.sqrt(6 / 225 / 2))
    assert (summary["min"], summary["max"]) == pytest.approx((0.6, 0.8))


def test_summarise_keeps_roles_apart_and_one_fold_has_no_sd():
    summary = fold_tests.summarise(table(ensembles("cnn", [0.7]), members("cnn", [[0.5]]))).set_index("role")
    assert summary["mean"].to_dict() == {"ensemble": 0.7, "member": 0.5}
    assert summary["sd"].isna().all()
    assert summary.loc["ensemble", "n_members_max"] == 9


def test_results_keep_their_columns_when_there_is_nothing_to_say():
    assert list(fold_tests.compare(table(ensembles("old", BASE)), "old").columns) == fold_tests.TEST_COLUMNS
    assert list(fold_tests.summarise(table(ensembles("old", BASE)).iloc[:0]).columns) == fold_tests.SUMMARY_COLUMNS


def test_bad_input_gets_one_clear_sentence():
    cnn, old = ensembles("cnn", NEW), ensembles("old", BASE)
    with pytest.raises(ValueError, match=r"Baseline 'mprann' has no ensemble scores.*: cnn, old\."):
        fold_tests.compare(table(cnn, old), "mprann")
    with pytest.raises(ValueError, match=r"'cnn' has 2 runs on human_mpra K562 \(run-cnn, other\)"):
        fold_tests.compare(table(cnn, ensembles("cnn", NEW, run="other"), old), "old")
    with pytest.raises(ValueError, match="5 ensemble scores appear twice, first 'cnn' on K562 test fold 0"):
        fold_tests.summarise(table(cnn, cnn))
    with pytest.raises(ValueError, match="lacks metric, n;"):
        fold_tests.compare(table(cnn, old).drop(columns=["metric", "n"]), "old")


def test_a_table_that_went_through_csv_gives_the_same_tests(tmp_path):
    scores = table(ensembles("cnn", NEW), ensembles("old", BASE))
    scores.to_csv(tmp_path / "scores.csv", index=False)
    again = fold_tests.compare(pd.read_csv(tmp_path / "scores.csv"), "old")
    pd.testing.assert_frame_equal(again, fold_tests.compare(scores, "old"), check_dtype=False)


def sizes_of(n_folds, n_test, n_train):
    return pd.DataFrame(
        [{"dataset": "K562", "test_fold": i, "n_test": n_test, "n_train": n_train} for i in range(n_folds)]
    )


def test_the_corrected_test_agrees_with_the_formula():
    scores = table(ensembles("cnn", NEW), ensembles("old", BASE))
    row = only(fold_tests.compare(scores, "old", sizes=sizes_of(5, 100, 400)))
    # By hand: mean 5.8 hundredths, variance 6.8 / 4, times (1/5 + 100/400).
    error = np.sqrt((1 / 5 + 1 / 4) * 6.8 / 4) / 100
    assert row["test_train_ratio"] == 0.25
    assert row["t_corrected"] == pytest.approx(0.058 / error)
    assert row["ci_high_corrected"] == pytest.approx(0.058 + 2.7764451 * error)
    assert row["p_corrected"] == pytest.approx(2 * scipy_stats.t(4).sf(0.058 / error))
    assert row["p_corrected"] > row["p_value"]


def test_the_ratio_is_averaged_over_the_folds_that_count():
    sizes = sizes_of(5, 100, 400)
    sizes.loc[4, "n_test"] = 10_000
    scores = table(ensembles("cnn", NEW[:4]), ensembles("old", BASE))
    assert only(fold_tests.compare(scores, "old", sizes=sizes))["test_train_ratio"] == 0.25


def test_without_sizes_there_is_no_corrected_test():
    row = only(fold_tests.compare(table(ensembles("cnn", NEW), ensembles("old", BASE)), "old"))
    assert np.isnan(row["p_corrected"])
    assert np.isnan(row["p_corrected_holm"])


def test_holm_corrects_over_all_models_of_a_cell():
    rng = np.random.default_rng(1)
    others = [ensembles(f"m{i}", np.array(BASE) + 0.02 * i + rng.normal(0, 0.01, 5)) for i in range(4)]
    tests = fold_tests.compare(table(*others, ensembles("old", BASE)), "old", sizes=sizes_of(5, 100, 400))
    assert (tests["family_size"] == 4).all()
    for raw, corrected in (("p_value", "p_holm"), ("p_corrected", "p_corrected_holm")):
        order = np.argsort(tests[raw].to_numpy())
        running = 0.0
        for place, i in enumerate(order):  # the step-down rule, written out
            running = max(running, min(1.0, (4 - place) * tests[raw].iloc[i]))
            assert tests[corrected].iloc[i] == pytest.approx(running)


def test_models_without_a_test_are_not_in_the_family():
    same = ensembles("same", np.array(BASE) + 0.01)  # one difference in every fold: no test
    tests = fold_tests.compare(table(ensembles("cnn", NEW), same, ensembles("old", BASE)), "old").set_index("model")
    assert (tests["family_size"] == 1).all()
    assert tests.loc["cnn", "p_holm"] == tests.loc["cnn", "p_value"]
    assert np.isnan(tests.loc["same", "p_holm"])


@pytest.mark.parametrize(
    ("kind", "experiment"),
    [
        ("five disjoint folds, models that overfit", {"n_features": 20, "n_folds": 5, "n_test": 12, "disjoint": True}),
        ("ten random splits", {"n_features": 3, "n_folds": 10, "n_test": 12, "disjoint": False}),
    ],
)
def test_the_corrected_test_rejects_3_to_7_percent_of_null_cases(kind, experiment):
    """Of 2,000 experiments without a difference."""
    found = null_experiments.differences(2000, n_rows=60, seed=0, **experiment)
    ratio = experiment["n_test"] / (60 - experiment["n_test"])
    corrected = np.mean([fold_tests.corrected_t_test(row, ratio)["p_corrected"] < 0.05 for row in found])
    papers = np.mean(scipy_stats.ttest_1samp(found, 0, axis=1).pvalue < 0.05)
    print(f"{kind}: of 2,000 null experiments the corrected test rejects {corrected:.2%}, the paper's {papers:.2%}")
    assert 0.03 <= corrected <= 0.07
    assert papers > 0.10  # what the correction is for
