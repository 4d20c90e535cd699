"""The bootstrap by counts, against drawing rows one by one and calling scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from benchmarks.api.metrics import Items
from benchmarks.engine.evaluation import bootstrap

RNG = np.random.default_rng(5)


def regression(y_true, y_pred, unit=None, level="row"):
    unit = np.arange(len(y_true)) if unit is None else unit
    return Items("expression", "all", level, unit, {"y_true": np.asarray(y_true), "y_pred": np.asarray(y_pred)})


def drawn_rows(unit, counts):
    """Repeat every row as often as its unit was drawn."""
    return np.repeat(np.arange(len(unit)), counts[unit].astype(int))


@pytest.mark.parametrize("ties", [False, True])
def test_every_metric_agrees_with_scipy_on_the_rows_of_a_draw(ties):
    unit = np.repeat(np.arange(20), 2)
    y_true, y_pred = RNG.normal(size=(2, 40))
    if ties:
        y_true, y_pred = np.round(y_true), np.round(2 * y_pred) / 2
    counts = bootstrap.unit_counts(20, 50, np.random.default_rng(1))
    found = bootstrap.resampled(regression(y_true, y_pred, unit), counts)
    for i, line in enumerate(counts):
        rows = drawn_rows(unit, line)
        a, b = y_true[rows], y_pred[rows]
        assert found["pearson_r"][i] == pytest.approx(scipy_stats.pearsonr(a, b)[0])
        assert found["spearman_rho"][i] == pytest.approx(scipy_stats.spearmanr(a, b)[0])
        assert found["mse"][i] == pytest.approx(np.mean((a - b) ** 2))


def test_medians_leave_out_profiles_without_counts():
    distance = RNG.random(31)
    distance[[3, 9]] = np.nan
    unit = np.arange(31)
    items = Items("profile", "peaks", "region", unit, {"jsd": distance, "norm_jsd": 1 - distance})
    counts = bootstrap.unit_counts(31, 40, np.random.default_rng(2))
    found = bootstrap.resampled(items, counts)
    expected = [np.nanmedian(distance[drawn_rows(unit, line)]) for line in counts]
    np.testing.assert_allclose(found["median_jsd"], expected)
    np.testing.assert_allclose(found["one_minus_median_jsd"], 1 - np.array(expected))
    np.testing.assert_allclose(found["median_norm_jsd"], 1 - np.array(expected))


def test_a_draw_is_a_sample_with_replacement():
    counts = bootstrap.unit_counts(50, 4000, np.random.default_rng(3))
    assert (counts.sum(axis=1) == 50).all()
    assert counts.var() == pytest.approx(1 - 1 / 50, abs=0.02)  # binomial(50, 1/50)


def test_the_interval_agrees_with_scipys_paired_bootstrap():
    y = RNG.normal(size=300)
    better, worse = y + RNG.normal(size=300), y + 1.3 * RNG.normal(size=300)

    def difference(y_true, a, b):
        return np.corrcoef(y_true, a)[0, 1] - np.corrcoef(y_true, b)[0, 1]

    expected = scipy_stats.bootstrap(
        (y, better, worse), difference, paired=True, vectorized=False, n_resamples=3000, method="percentile", rng=1
    ).confidence_interval
    folds = {0: {"new": [regression(y, better)], "old": [regression(y, worse)]}}
    table = bootstrap.differences(folds, "old", n_draws=3000)
    row = table[table["metric"] == "pearson_r"].iloc[0]
    assert row["ci_low_bootstrap"] == pytest.approx(expected.low, abs=0.01)
    assert row["ci_high_bootstrap"] == pytest.approx(expected.high, abs=0.01)


def test_a_pair_of_orientations_is_one_unit_of_resampling():
    """Which widens the interval."""
    y, noise = RNG.normal(size=200), RNG.normal(size=200)
    twice = np.repeat(np.arange(200), 2)
    other = RNG.normal(size=200)

    def width(unit):
        folds = {
            0: {
                "new": [regression(y[twice], (y + noise)[twice], unit)],
                "old": [regression(y[twice], (y + other)[twice], unit)],
            }
        }
        row = bootstrap.differences(folds, "old", n_draws=2000).iloc[0]
        return row["ci_high_bootstrap"] - row["ci_low_bootstrap"]

    # Two copies of everything carry no more information: rows taken for units promise sqrt(2) too much.
    assert width(twice) / width(np.arange(400)) == pytest.approx(np.sqrt(2), rel=0.1)


def test_only_shared_folds_count_and_equal_models_do_not_differ():
    y = RNG.normal(size=30)
    same = [regression(y, y + 1)]
    folds = {0: {"a": same, "base": same}, 1: {"a": [regression(y, -y)]}}
    table = bootstrap.differences(folds, "base", n_draws=99)
    assert set(table["model"]) == {"a"}
    row = table[table["metric"] == "pearson_r"].iloc[0]
    assert (row["ci_low_bootstrap"], row["ci_high_bootstrap"], row["p_bootstrap"]) == (0, 0, 1)


def test_the_smallest_p_value_is_that_of_no_opposite_draw():
    y = RNG.normal(size=200)
    folds = {0: {"good": [regression(y, y)], "bad": [regression(y, RNG.normal(size=200))]}}
    table = bootstrap.differences(folds, "bad", n_draws=199)
    assert (table["p_bootstrap"] == 1 / 200).all()


def test_what_is_not_defined_is_left_open():
    constant = np.ones(10)
    folds = {0: {"a": [regression(constant, RNG.normal(size=10))], "b": [regression(constant, RNG.normal(size=10))]}}
    table = bootstrap.differences(folds, "b", n_draws=50).set_index("metric")
    assert pd.isna(table.loc["pearson_r", "p_bootstrap"])
    assert pd.notna(table.loc["mse", "p_bootstrap"])


@pytest.mark.filterwarnings("error")
def test_tiny_cells_raise_no_warning():
    tiny = {0: {"a": [regression([1.0, 2.0], [2.0, 1.0])], "b": [regression([1.0, 2.0], [1.0, 1.5])]}}
    assert len(bootstrap.differences(tiny, "b", n_draws=20)) == 3
    none = {0: {"a": [regression([], [])], "b": [regression([], [])]}}
    assert bootstrap.differences(none, "b", n_draws=20).empty
