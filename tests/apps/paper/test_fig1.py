"""Fig. 1b-g, Extended Data 1, 2 and 4: what is on the axes, and three marks of each calculated by hand."""

import pytest

from benchmarks.apps.paper import panels
from benchmarks.apps.paper.figure_data import FigureData
from tests.helpers.paper_data import N_SAMPLES, REFERENCE, SUBSETS, TEAMS, figure_data, score_of

PANELS = {panel.key: panel for panel in panels.PANELS}


def draw(key, data=None):
    outcome = panels.draw(PANELS[key], data or figure_data())
    assert outcome.rendered is not None, outcome.reason
    assert (outcome.source, outcome.origin) == ("challenge folder", "simulated")
    return outcome.rendered


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def cells(ax):
    return ax.collections[0].get_array()


@pytest.mark.parametrize(("key", "title"), [("1b", "Pearson score"), ("1c", "Spearman score")])
def test_ranks_have_teams_across_and_ranks_down(key, title):
    """The ten best without the reference; the sixth team is seventh, because the reference is sixth."""
    ax = draw(key).figure.axes[0]
    assert ticks(ax.xaxis) == [name.replace("_", " ") for name in TEAMS[:10]]
    assert (ax.get_ylabel(), ax.get_title(loc="left")) == ("rank", title)
    shares = cells(ax)
    assert shares[0, 0] == pytest.approx(0.75)
    assert shares[1, 0] == pytest.approx(0.25)
    assert (shares[5, 5], shares[6, 5]) == pytest.approx((0, 0.75))


@pytest.mark.parametrize(("key", "less"), [("1d", 0.0), ("1e", 0.1)])
def test_subsets_have_the_top_and_the_reference(key, less):
    """Fig. 1d squares r, 1e shows rho; rows are teams, columns subsets."""
    rendered = draw(key)
    ax = rendered.figure.axes[0]
    assert ticks(ax.xaxis) == list(SUBSETS[1:])
    assert ticks(ax.yaxis) == [*(name.replace("_", " ") for name in TEAMS[:10]), REFERENCE]
    numbers = rendered.numbers.set_index(["submission", "subset"])["value"]
    for name, place in ((TEAMS[0], 1), (TEAMS[5], 7), (REFERENCE, 6)):
        expected = score_of(place, 1) - less
        assert numbers[name, "high"] == pytest.approx(expected**2 if key == "1d" else expected)
    worst_is_dark = cells(ax)
    assert worst_is_dark[0].tolist() == [1] * 3
    assert worst_is_dark.min(axis=0).tolist() == [0] * 3


@pytest.mark.parametrize(("key", "less"), [("1f", 0.0), ("1g", 0.1)])
def test_gaps_are_of_the_entries_shown(key, less):
    """From the first to the eleventh place: the twelfth and thirteenth are not among the ten best."""
    bars = draw(key).figure.axes[0].patches
    for at in (1, 2, 3):
        best, worst = (score_of(place, at) - less for place in (1, 11))
        if key == "1f":
            best, worst = best**2, worst**2
        assert bars[at - 1].get_width() == pytest.approx(100 * (best - worst) / best)
    assert ticks(draw(key).figure.axes[0].yaxis) == list(SUBSETS[1:])


def test_the_set_of_the_gap_can_be_named():
    """With the two best, the reference is the worst, as in the paper."""
    bars = draw("1f", figure_data(top=2)).figure.axes[0].patches
    best, worst = score_of(1, 1) ** 2, score_of(6, 1) ** 2
    assert bars[0].get_width() == pytest.approx(100 * (best - worst) / best)
    caption = draw("1f", figure_data(top=2)).caption
    assert "the best 2 of 12 submissions and the reference model" in caption


def test_the_leaderboard_is_by_week():
    figure = draw("ED1").figure
    assert [ax.get_xlabel() for ax in figure.axes] == ["week", "week"]
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in lines] == [[1, 2, 3]] * 4
    best = next(line for line in lines if line.get_ydata()[-1] == max(y for other in lines for y in other.get_ydata()))
    assert list(best.get_ydata()) == pytest.approx([0.53, 0.58, 0.63])


def test_frequencies_are_drawn_for_both_scores_and_their_sum():
    rendered = draw("ED2")
    axes = rendered.figure.axes
    assert [ax.get_xlabel() for ax in axes] == ["rank by Pearson score", "rank by Spearman score", "sum of both ranks"]
    first = next(line for line in axes[0].lines if len(line.get_xdata()))
    assert dict(zip(first.get_xdata(), first.get_ydata(), strict=True))[1.0] == N_SAMPLES - 25
    summed = next(line for line in axes[2].lines if len(line.get_xdata()))
    assert list(summed.get_xdata())[:2] == [2, 4]
    both = rendered.numbers[rendered.numbers["metric"] == "both"]
    assert both["rank"].min() == 2


def test_all_submissions_are_drawn_with_both_metrics():
    rendered = draw("ED4")
    left, right = rendered.figure.axes
    assert cells(left).shape == cells(right).shape == (13, 3)
    assert ticks(left.yaxis)[-1] == REFERENCE
    numbers = rendered.numbers.set_index(["submission", "subset", "metric"])["value"]
    assert numbers[TEAMS[11], "native", "pearson_r2"] == pytest.approx(score_of(13, 2) ** 2)
    assert numbers[TEAMS[11], "native", "spearman_rho"] == pytest.approx(score_of(13, 2) - 0.1)
    assert "5 of them rank above the reference model" in rendered.caption


def test_without_data_the_command_is_told():
    outcome = panels.draw(PANELS["ED4"], FigureData())
    assert outcome.rendered is None
    assert outcome.command.startswith("python -m benchmarks challenge rank")
