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


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def drawn_cells(ax):
    """Return the numbers that colour the cells of a heat map, by row."""
    return np.ma.filled(ax.collections[0].get_array(), np.nan)


def test_ranks_are_shares_of_samples_and_ties_count_half():
    """A column per team, rank downwards; shared ranks count half on either side."""
    figure = challenge.ranks(counts(), **LOOK)
    shares = drawn_cells(figure.axes[0])
    np.testing.assert_allclose(shares, np.transpose([[0.75, 0.125, 0.125], [0, 0.875, 0.125], [0, 0, 1]]))
    (means,) = figure.axes[0].lines
    np.testing.assert_allclose(means.get_ydata() + 0.5, [(30 + 25) / 40, (60 + 25) / 40, 3])
    names = ticks(figure.axes[0].xaxis)
    assert names[:2] == ["Team One", "second"]
    assert len(names[2]) <= 30
    assert ticks(figure.axes[0].yaxis) == ["1", "2", "3"]
    assert figure.axes[0].get_ylabel() == "rank"


def test_the_top_keep_their_ranks_among_all():
    """Two of three are drawn, and ranks still count from all three."""
    figure = challenge.ranks(counts(), order=TEAMS[1:], labels={}, simulated=False)
    np.testing.assert_allclose(drawn_cells(figure.axes[0]), np.transpose([[0, 0.875, 0.125], [0, 0, 1]]))


def test_frequencies_are_samples_over_ranks_and_their_sum():
    """Extended Data 2: x is the rank, y the number of samples; the third panel has the sum of both ranks."""
    figure = challenge.rank_frequencies(counts(), **LOOK)
    assert [ax.get_xlabel() for ax in figure.axes] == [
        "rank by Pearson score", "rank by Spearman score", "sum of both ranks"
    ]  # fmt: skip
    assert figure.axes[0].get_ylabel() == "frequency (samples)"
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata())]
    assert [dict(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in lines] == [
        {1: 30, 2: 0, 2.5: 10, 3: 0}, {1: 0, 2: 30, 2.5: 10, 3: 0}, {1: 0, 2: 0, 2.5: 0, 3: 40}
    ]  # fmt: skip
    sums = [line for line in figure.axes[2].lines if len(line.get_xdata())]
    assert list(sums[0].get_xdata()) == [2, 4, 5, 6]
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == ["Team One", "second"]


def test_heat_maps_show_squared_pearson_coloured_by_column():
    """Every column is coloured from its worst to its best value."""
    figure = challenge.heat_map(part_scores(), **LOOK)
    squares = np.array([[0.81, 0.36, 0.64], [0.64, 0.49, 0.49], [0.25, 0.04, 0.36]])
    expected = (squares - squares.min(axis=0)) / (squares.max(axis=0) - squares.min(axis=0))
    np.testing.assert_allclose(drawn_cells(figure.axes[0]), expected)
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown == [".81", ".36", ".64", ".64", ".49", ".49", ".25", ".04", ".36"]
    assert [text.get_text() for text in figure.axes[1].texts][-2:] == ["-.20", ".60"]
    assert ticks(figure.axes[0].xaxis) == ["all", "high", "SNVs"]
    assert ticks(figure.axes[0].yaxis)[:2] == ["Team One", "second"]


def test_a_part_that_is_not_at_hand_has_no_column():
    figure = challenge.heat_map(part_scores(n_missing=1), **LOOK)
    assert ticks(figure.axes[0].xaxis) == ["all", "high"]


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


def dated():
    return pd.DataFrame(
        {
            "team": ["a", "a", "a", "b", "c"],
            "date": ["2022-07-01", "2022-07-16", "2022-07-09", "2022-07-08", None],
            "pearson_score": [0.5, 0.6, 0.4, 0.7, 0.9],
            "spearman_score": [0.6, 0.7, 0.5, 0.8, 0.9],
        }
    )


def test_weeks_count_from_the_first_submission():
    """Week 1 is 1 to 7 July; a team keeps its best, and what has no date is left out."""
    table = challenge.weekly(dated())
    board = {team: dict(zip(rows["week"], rows["pearson_score"], strict=True)) for team, rows in table.groupby("team")}
    assert board == {"a": {1: 0.5, 2: 0.5, 3: 0.6}, "b": {2: 0.7, 3: 0.7}}


def test_progress_is_drawn_by_week():
    """Extended Data 1: x is the week, a line per team, Pearson score left and Spearman score right."""
    figure = challenge.progression(challenge.weekly(dated()), simulated=False)
    assert [ax.get_xlabel() for ax in figure.axes] == ["week", "week"]
    assert [ax.get_ylabel() for ax in figure.axes] == ["Pearson score", "Spearman score"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["b", "a"]
    lines = [list(line.get_ydata()) for line in figure.axes[1].lines if len(line.get_xdata())]
    assert lines == [[0.8, 0.8], [0.6, 0.6, 0.7]]


@pytest.mark.parametrize("n", [1, 28])
def test_any_number_of_submissions_is_drawn_and_labelled(n, tmp_path):
    """Simulated data is labelled."""
    teams = [f"team_{i:02d}" for i in range(n)]
    ranked = pd.DataFrame([{"submission": t, "metric": m, "rank": i + 1.0, "draws": 5}
                           for m in METRICS for i, t in enumerate(teams)])  # fmt: skip
    figure = challenge.ranks(ranked, order=teams, labels={}, simulated=True)
    assert style.SIMULATED in texts(figure)
    assert drawn_cells(figure.axes[0]).shape == (n, n)
    assert all(path.stat().st_size > 1000 for path in style.save(figure, tmp_path / "ranks"))


def test_measured_data_carries_no_badge():
    assert style.SIMULATED not in texts(challenge.ranks(counts(), **LOOK))
