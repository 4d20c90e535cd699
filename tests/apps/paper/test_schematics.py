"""Fig. 1a, 2a and Extended Data 9: what the diagrams say, and that no text meets another or leaves its box."""

from itertools import combinations

import pytest
from matplotlib.patches import FancyBboxPatch

from benchmarks import registry
from benchmarks.apps.paper import fig_ed9_architectures, panels
from benchmarks.apps.paper.figure_data import FigureData
from benchmarks.apps.paper.load_figure_data import architectures

PANELS = {panel.key: panel for panel in panels.PANELS}


@pytest.fixture(scope="module")
def networks():
    return FigureData(architectures=architectures()[0])


def drawn(key, data):
    outcome = panels.draw(PANELS[key], data)
    assert outcome.rendered is not None, outcome.reason
    assert outcome.origin == ""
    return outcome.rendered.figure


def texts(figure):
    return [text for ax in figure.axes for text in ax.texts if text.get_text()]


def words(figure):
    return [text.get_text() for text in texts(figure)]


@pytest.mark.parametrize("key", ["1a", "2a", "ED9"])
def test_no_text_meets_another_or_leaves_its_box(key, networks):
    figure = drawn(key, networks)
    figure.draw_without_rendering()
    extents = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    for (one, a), (other, b) in combinations(extents, 2):
        assert not a.padded(-1).overlaps(b.padded(-1)), (one, other)
    boxes = [p.get_window_extent() for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]
    assert len(boxes) > 8
    for text, extent in extents:
        middle = (extent.x0 + extent.x1) / 2, (extent.y0 + extent.y1) / 2
        inside = [box for box in boxes if box.contains(*middle)]
        for box in inside:
            assert extent.x0 >= box.x0 - 1, text
            assert extent.x1 <= box.x1 + 1, text
        assert extent.x1 <= figure.bbox.x1, text


def test_the_challenge_has_its_three_phases_and_numbers():
    """Numbers of the paper: 12 weeks, board from week 6, 20 submissions a week, 13 and 87 % of the test data."""
    said = words(drawn("1a", FigureData()))
    assert [word for word in said if word[:1] in "123" and "  " in word] == [
        "1  Training", "2  Leaderboard phase", "3  Final phase"
    ]  # fmt: skip
    for fact in ("13 % of the test data", "87 % of the test data", "at most 20 submissions a week"):
        assert fact in said
    assert "weeks; the leaderboard is open from week 6" in said
    assert [word for word in said if word.isdecimal()] == [str(week) for week in range(1, 13)]
    eight = {"high", "low", "native", "random", "challenging", "SNVs", "motif perturbation", "motif tiling"}
    assert eight <= set(said)


def test_solutions_are_taken_apart_into_four_modules():
    said = words(drawn("2a", FigureData()))
    assert said[:4] == [
        "data processor and trainer", "first layers block", "core layers block", "final layers block"
    ]  # fmt: skip
    assert [said.count(team) for team in ("Autosome.org", "BHI", "UnlockDNA")] == [5 + 2, 5 + 1, 5 + 1]
    assert said[-1] == "one module of each kind: 3 × 3 × 3 × 3 = 81 choices"


def test_networks_are_drawn_with_their_own_numbers(networks):
    """Kernels, channels and counts are those that the paper and its repository give."""
    said = words(drawn("ED9", networks))
    titles = [word for word in said if "parameters" in word]
    assert titles == [
        "A  DREAM-CNN, 1,933,970 parameters", "B  DREAM-RNN, 4,130,578 parameters",
        "C  DREAM-Attn, 4,539,410 parameters",
    ]  # fmt: skip
    assert [word for word in said if word[:3] in ("D  ", "E  ", "F  ")] == [
        "D  Inverted residual block", "E  Stems", "F  Macaron block"
    ]  # fmt: skip
    for line in (
        "Conv 9, 6 → 160", "Conv 15, 6 → 160", "LSTM 320 → 320 × 2 directions", "macaron block (F) × 4",
        "Attention 4 heads, 256 wide", "Conv 7, 640 → 128 + BatchNorm + SiLU", "squeeze and excite",
        "grouped convolution", "vanilla convolution", "feed-forward, half", "separable convolution",
        "multi-head attention", "Conv 15, 256 → 256, 256 groups",
    ):  # fmt: skip
        assert line in said, line


def test_the_stages_of_the_cnn_are_six(networks):
    """Channels of the six stages of the published core: 128, 128, 64, 64, 64, 64, where equal ones are counted."""
    boxes = fig_ed9_architectures.stages(networks.architectures["DREAM-CNN"])
    core = [box for box in boxes if box.title.startswith("inverted residual")]
    ends = [box.lines[1].split(" → ")[1].split()[0] for box in core]
    times = [int(box.title.partition("× ")[2] or 1) for box in core]
    assert (ends, times) == (["128", "128", "64", "64"], [1, 1, 1, 3])


def test_numbers_add_up_to_the_parameters_of_the_networks(networks):
    numbers = panels.draw(PANELS["ED9"], networks).rendered.numbers
    counted = numbers.groupby("model")["n_params"].sum().to_dict()
    spec = registry.get_task("yeast").SPEC
    for name in ("dream_cnn", "dream_rnn", "dream_attn"):
        module = registry.get_model(name)
        assert counted[module.NAME] == module.build(spec, module.RECIPE, {}).n_params
