"""Fig. 2b-e, Extended Data 6 and 7, Supplementary Fig. 1: axes, and three marks of each calculated by hand."""

import numpy as np
import pytest

from benchmarks.apps.paper import panels
from tests.helpers.paper_data import SUBSETS, challenge_tables, figure_data, grid_value, score_of

PANELS = {panel.key: panel for panel in panels.PANELS}
CORES = ["Autosome.org core", "BHI core", "UnlockDNA core"]


def draw(key, source="grid folder", data=None):
    outcome = panels.draw(PANELS[key], data or figure_data())
    assert outcome.rendered is not None, outcome.reason
    assert outcome.source == source
    return outcome.rendered


def ticks(axis):
    return [label.get_text().replace("\n", " ") for label in axis.get_ticklabels()]


def best_with_core(core):
    """Return the code and score of the best combination that fits, by trying all."""
    codes = figure_data().grid.table.query("status == 'scored'")["code"]
    return max((grid_value(code), code) for code in codes if int(code.split("_")[2]) == core)


@pytest.mark.parametrize(("key", "share"), [("2b", 1), ("ED6", 2)])
def test_cells_stand_where_the_legend_says(key, share):
    """Columns: processor (major) and final (minor); rows: core (major) and first (minor)."""
    ax = draw(key).figure.axes[0]
    values = np.ma.filled(ax.collections[0].get_array(), np.nan)
    assert values.shape == (9, 9)
    assert np.isfinite(values).sum() == 45
    for code in ("0_1_0_0", "0_0_0_0", "1_1_1_1"):
        processor, first, core, final = (int(digit) for digit in code.split("_"))
        assert values[3 * core + first, 3 * processor + final] == pytest.approx(grid_value(code) / share)
    assert "final layers block (below), data processor and trainer (above)" in ax.get_xlabel()
    assert (ax.get_ylabel(), ax.child_axes[1].get_ylabel()) == ("core layers block", "first layers block")


def test_points_stand_over_their_processor():
    ax = draw("2c").figure.axes[0]
    assert [name.split(" n = ")[0] for name in ticks(ax.xaxis)] == ["Autosome.org", "BHI", "UnlockDNA"]
    white = sorted(
        float(y)
        for dots in ax.collections
        for (_, y), face in zip(dots.get_offsets(), dots.get_facecolors(), strict=True)
        if tuple(face) == (1, 1, 1, 1)
    )
    assert white == pytest.approx(sorted(grid_value(code) for code in ("0_0_0_0", "1_1_1_1", "2_2_2_2")))
    assert sum(len(dots.get_offsets()) for dots in ax.collections) == 45


def test_sizes_are_of_the_submissions_and_the_dream_networks():
    ax = draw("2d", "the paper and the code").figure.axes[0]
    assert ticks(ax.yaxis) == CORES
    submissions, dream = ([bar.get_width() for bar in bars] for bars in ax.containers)
    assert submissions == [1_852_846, 6_875_137, 47_425_543]
    assert dream == [11, 22, 33]


def test_scores_are_of_the_submissions_and_the_best_by_core():
    ax = draw("2e", "grid folder; challenge folder").figure.axes[0]
    submissions, best = ([bar.get_width() for bar in bars] for bars in ax.containers)
    assert submissions == pytest.approx([0.79, 0.78, 0.77])
    assert best == pytest.approx([best_with_core(core)[0] for core in range(3)])
    assert any("DREAM-CNN" in text.get_text() for text in ax.texts) == (best_with_core(0)[1] == "0_1_0_0")


def test_measured_submissions_never_join_a_simulated_grid():
    """Then the teams' own combinations of the grid are drawn, and the caption says so."""
    rendered = draw("2e", data=figure_data(challenge=challenge_tables("measured")))
    white = [bar.get_width() for bar in rendered.figure.axes[0].containers[0]]
    assert white == pytest.approx([grid_value(code) for code in ("0_0_0_0", "1_1_1_1", "2_2_2_2")])
    assert "retrained" in rendered.caption


def test_subsets_have_a_panel_each():
    """Extended Data 7: x is the score, y the core, a panel per subset."""
    figure = draw("ED7", "grid folder; challenge folder").figure
    assert [ax.get_title(loc="left") for ax in figure.axes] == list(SUBSETS[1:])
    submissions, best = ([bar.get_width() for bar in bars] for bars in figure.axes[1].containers)
    assert submissions == pytest.approx([score_of(place, 2) ** 2 for place in (1, 2, 3)])
    assert best == pytest.approx([(best_with_core(core)[0] - 0.1) ** 2 for core in range(3)])
    assert ticks(figure.axes[0].yaxis) == CORES


def test_modules_differ_by_a_constant_where_scores_add_up():
    """Supplementary Fig. 1: in this grid every module adds a constant, whatever else there is."""
    rendered = draw("S1")
    pairs = rendered.numbers
    for part, step in (("processor", -0.1), ("first", 0.01), ("core", 0.03), ("final", 0.002)):
        found = pairs[(pairs["part"] == part) & (pairs["one"] == "autosome") & (pairs["other"] == "bhi")]
        assert len(found) > 0
        np.testing.assert_allclose(found["value_other"] - found["value_one"], step, atol=1e-12)
    assert len(rendered.figure.axes) == 12
    assert [ax.get_xlabel() for ax in rendered.figure.axes[:3]] == ["Autosome.org", "Autosome.org", "BHI"]
