"""Plots of a challenge: what is drawn is what the tables hold. Values are read back from the drawn artists."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.engine.figures import challenge, style

TEAMS = ["first", "second", "third_with_a_very_long_name_that_nobody_would_print_in_full"]
LOOK = {"order": TEAMS, "labels": {"first": "Team One"}, "simulated": False}
METRICS = ("pearson_score", "spearman_score", "both")


def counts():
    rows = [("first", 1.0, 30), ("first", 2.5, 10), ("second", 2.0, 30), ("second", 2.5, 10), (TEAMS[2], 3.0, 40)]
    return pd.DataFrame([{"submission": s, "metric": m, "rank": r, "draws": n} for m in METRICS for s, r, n in rows])


def part_scores(n_missing=0):
    values = {"all": (0.9, 0.8, 0.5), "high": (0.6, 0.7, -0.2), "SNVs": (0.8, 0.7, 0.6)}
    return pd.DataFrame(
        [
            {"submission": team, "subset": subset, "metric": metric, "value": value}
            for subset, three in list(values.items())[: 3 - n_missing]
            for team, value in zip(TEAMS, three, strict=True)
            for metric in ("pearson_r", "spearman_rho")
        ]
        + [{"submission": "first", "subset": "challenge", "metric": "pearson_score", "value": 0.5}]
    )


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def test_ranks_are_shares_of_samples_and_ties_count_half():
    """Shared ranks count half on either side."""
    figure = challenge.ranks(counts(), **LOOK)
    shares = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shares, [[0.75, 0.125, 0.125], [0, 0.875, 0.125], [0, 0, 1]])
    (means,) = figure.axes[0].lines
    np.testing.assert_allclose(means.get_xdata() + 1, [(30 + 25) / 40, (60 + 25) / 40, 3])
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[:2] == ["Team One", "second"]
    assert len(names[2]) <= 30


def test_heat_maps_show_squared_pearson_coloured_by_column():
    """Every column is coloured from its worst to its best value."""
    figure = challenge.heat_map(part_scores(), **LOOK)
    shade = figure.axes[0].images[0].get_array()
    squares = np.array([[0.81, 0.36, 0.64], [0.64, 0.49, 0.49], [0.25, 0.04, 0.36]])
    expected = (squares - squares.min(axis=0)) / (squares.max(axis=0) - squares.min(axis=0))
    np.testing.assert_allclose(shade, expected)
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown == [".81", ".36", ".64", ".64", ".49", ".49", ".25", ".04", ".36"]
    assert [text.get_text() for text in figure.axes[1].texts][-2:] == ["-.20", ".60"]


def test_a_part_that_is_not_at_hand_has_no_column():
    figure = challenge.heat_map(part_scores(n_missing=1), **LOOK)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["all", "high"]


def test_boxes_are_the_quantiles():
    quantiles = pd.DataFrame(
        [
            {"submission": s, "metric": m, "q2.5": 0.1 * i, "q25": 0.1 * i + 0.02, "q50": 0.1 * i + 0.03}
            | {"q75": 0.1 * i + 0.04, "q97.5": 0.1 * i + 0.06}
            for i, s in enumerate(TEAMS, start=1)
            for m in METRICS[:2]
        ]
    )
    figure = challenge.score_distributions(quantiles, **LOOK)
    medians = sorted({float(x) for line in figure.axes[0].lines for x in line.get_xdata()})
    for i in (1, 2, 3):
        assert any(abs(x - (0.1 * i + 0.03)) < 1e-12 for x in medians)
        assert any(abs(x - (0.1 * i + 0.06)) < 1e-12 for x in medians)


def test_gaps_are_bars():
    table = pd.DataFrame(
        {"metric": ["pearson_r"] * 2 + ["spearman_rho"] * 2, "subset": ["all", "high"] * 2, "percent": [5, 48, 3, 20]}
    )
    figure = challenge.disparities(table, simulated=False)
    assert [[bar.get_width() for bar in ax.patches] for ax in figure.axes] == [[5, 48], [3, 20]]


def test_progress_is_each_team_s_best_so_far_without_undated():
    table = pd.DataFrame(
        {
            "team": ["a", "a", "a", "b", "c"],
            "date": ["2022-07-01", "2022-07-03", "2022-07-02", "2022-07-02", None],
            "pearson_score": [0.5, 0.6, 0.4, 0.7, 0.9],
            "spearman_score": [0.6, 0.7, 0.5, 0.8, 0.9],
        }
    )
    figure = challenge.progression(table, simulated=False)
    lines = {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines}
    assert lines["a"] == [0.5, 0.5, 0.6]
    assert lines["b"] == [0.7]
    assert lines["best"] == [0.5, 0.7, 0.7]
    assert "c" not in lines


@pytest.mark.parametrize("n", [1, 28])
def test_any_number_of_submissions_is_drawn_and_labelled(n, tmp_path):
    """Simulated data is labelled."""
    teams = [f"team_{i:02d}" for i in range(n)]
    ranked = pd.DataFrame([{"submission": t, "metric": m, "rank": i + 1.0, "draws": 5}
                           for m in METRICS for i, t in enumerate(teams)])  # fmt: skip
    figure = challenge.ranks(ranked, order=teams, labels={}, simulated=True)
    assert style.SIMULATED in texts(figure)
    assert figure.axes[0].images[0].get_array().shape == (n, n)
    assert all(path.stat().st_size > 1000 for path in style.save(figure, tmp_path / "ranks"))


def test_measured_data_carries_no_badge():
    assert style.SIMULATED not in texts(challenge.ranks(counts(), **LOOK))
