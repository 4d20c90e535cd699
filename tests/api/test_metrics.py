"""Scores against scipy and arithmetic by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.api import metrics

CORRELATIONS = [metrics.pearson_r, metrics.spearman_rho]


def related(seed, n=200):
    rng = np.random.default_rng(seed)
    y_true = rng.normal(size=n)
    return y_true, 0.5 * y_true + rng.normal(size=n)


def test_pearson_by_hand():
    # Deviations -1, 0, 1 and -2, -1, 3: products sum to 5, squares to 2 and 14.
    assert metrics.pearson_r([1, 2, 3], [4, 5, 9]) == pytest.approx(5 / math.sqrt(28))


def test_spearman_averages_the_ranks_of_ties():
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: products of deviations sum to 4.5, squares to 4.5 and 5.
    assert metrics.spearman_rho([1, 5, 5, 9], [10, 20, 30, 40]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_mse_by_hand():
    assert metrics.mse([1.0, 2.0, 3.0], [1.0, 4.0, 0.0]) == pytest.approx(13 / 3)


@pytest.mark.parametrize("seed", range(5))
def test_correlations_agree_with_scipy(seed):
    y_true, y_pred = related(seed)
    assert metrics.pearson_r(y_true, y_pred) == pytest.approx(stats.pearsonr(y_true, y_pred).statistic, abs=1e-12)
    assert metrics.spearman_rho(y_true, y_pred) == pytest.approx(stats.spearmanr(y_true, y_pred).statistic, abs=1e-12)


def test_spearman_with_many_ties_agrees_with_scipy():
    y_true, y_pred = (np.round(2 * values) for values in related(7))
    assert metrics.spearman_rho(y_true, y_pred) == pytest.approx(stats.spearmanr(y_true, y_pred).statistic, abs=1e-12)


@pytest.mark.parametrize("metric", CORRELATIONS)
def test_correlations_ignore_scale_and_offset_but_not_sign(metric):
    y_true, y_pred = related(1)
    assert metric(y_true, 3 * y_pred + 7) == pytest.approx(metric(y_true, y_pred))
    assert metric(y_true, -y_pred) == pytest.approx(-metric(y_true, y_pred))


@pytest.mark.parametrize("metric", CORRELATIONS)
def test_correlations_stay_within_one(metric):
    rng = np.random.default_rng(0)
    for _ in range(200):  # rounding carries some of them past one where nothing holds them
        values = rng.normal(size=7)
        assert 1 - 1e-12 < metric(values, 0.3 * values) <= 1
        assert -1 <= metric(values, -0.3 * values) < -1 + 1e-12


def test_single_precision_input_is_scored_in_double_precision():
    # Around 4096 single precision steps are 0.0005: sums of squares in single precision would lose the signal.
    y_true, y_pred = (np.float32(4096 + 0.01 * values) for values in related(3, n=5000))
    expected = stats.pearsonr(y_true.astype(np.float64), y_pred.astype(np.float64)).statistic
    assert metrics.pearson_r(y_true, y_pred) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("metric", CORRELATIONS)
@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [
        ([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]),
        ([5.0, 5.0], [1.0, 2.0]),
        ([1.0], [2.0]),
        ([], []),
        ([1.0, np.nan, 3.0], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [1.0, np.nan, 2.0]),
    ],
    ids=["constant prediction", "constant target", "one row", "no rows", "NaN target", "NaN prediction"],
)
def test_an_undefined_correlation_is_nan(metric, y_true, y_pred):
    assert math.isnan(metric(y_true, y_pred))


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("metric", CORRELATIONS)
def test_an_infinite_prediction_has_no_correlation(metric):
    assert math.isnan(metric([1.0, 2.0, 3.0], [1.0, 2.0, np.inf]))


def test_mse_of_nothing_is_nan():
    assert math.isnan(metrics.mse([], []))


@pytest.mark.parametrize("metric", metrics.REGRESSION_METRICS.values(), ids=metrics.REGRESSION_METRICS.keys())
@pytest.mark.parametrize(("left", "right"), [((3,), (4,)), ((3,), (3, 1)), ((2, 2), (2, 2)), ((3,), (1,))])
def test_shapes_that_would_broadcast_or_flatten_are_refused(metric, left, right):
    with pytest.raises(ValueError, match="one-dimensional"):
        metric(np.zeros(left), np.zeros(right))


def test_the_published_metrics_are_offered_by_name():
    scores = {name: metric([1.0, 2.0, 3.0], [4.0, 5.0, 9.0]) for name, metric in metrics.REGRESSION_METRICS.items()}
    # Differences 3, 3, 6: squares sum to 54.
    assert scores == pytest.approx({"pearson_r": 5 / math.sqrt(28), "spearman_rho": 1.0, "mse": 18.0})


def test_every_metric_has_a_label_and_a_direction():
    values = np.array([1.0, 2.0, 4.0])
    by_kind = ({"y_true": values, "y_pred": values}, {"jsd": values / 8, "norm_jsd": values / 8})
    for of_kind in by_kind:
        items = metrics.Items("activity", "all", "row", np.arange(3), of_kind)
        assert set(items.scores()) <= set(metrics.METRICS)
    assert metrics.label_of("one_minus_median_jsd") == "1 − median JS distance"
    assert metrics.label_of("log_counts") == "log counts"
    assert [name for name in metrics.METRICS if metrics.better(name) == "lower"] == ["mse", "rmse", "mae", "median_jsd"]
