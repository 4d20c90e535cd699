"""Fig. 1a, 2a and Extended Data 9: what the schematics say, where it stands, and that it can be read."""

import dataclasses
import operator
from itertools import pairwise

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from benchmarks import registry
from benchmarks.apps.paper import panels
from benchmarks.apps.paper.figure_data import FigureData, Layer
from benchmarks.apps.paper.load_figure_data import architectures
from benchmarks.apps.paper.network_parts import read_parts
from benchmarks.training import torch_layers
from dream_models.prixfixe.autosome import AutosomeCore, SqueezeExcite
from dream_models.prixfixe.unlockdna import ConformerBlock
from tests.helpers.figure_layout import faults

PANELS = {panel.key: panel for panel in panels.PANELS}
DOUBLE_COLUMN_MM = 180


def draw(key, data=None):
    outcome = panels.draw(PANELS[key], data or FigureData())
    assert outcome.rendered is not None, outcome.reason
    return outcome.rendered


@pytest.fixture(scope="module")
def challenge():
    return draw("1a")


@pytest.fixture(scope="module")
def prix_fixe():
    return draw("2a")


@pytest.fixture(scope="module")
def networks():
    pytest.importorskip("keras")
    layers, missing = architectures()
    assert not missing
    return FigureData(architectures=layers)


@pytest.fixture(scope="module")
def ed9(networks):
    return draw("ED9", networks)


def words(rendered):
    """Return the words of a schematic, from the left to the right and from the top down."""
    (ax,) = rendered.figure.axes
    return [text.get_text() for text in sorted(ax.texts, key=lambda text: text.get_position())]


def boxes(rendered):
    (ax,) = rendered.figure.axes
    drawn = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    return [patch for patch in drawn if patch.get_edgecolor()[3] > 0]


def arrows(rendered):
    (ax,) = rendered.figure.axes
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def rectangles(rendered, **size):
    """Return the rectangles whose height is the given one, from the left to the right."""
    (ax,) = rendered.figure.axes
    found = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_height() == size["height"]]
    return sorted(found, key=lambda patch: patch.get_x())


def test_layout_faults_are_found():
    """The judge of all other figures: an overlap, words out of their box and of the figure, a line, small print."""
    fig = Figure((4, 2))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 4), ylim=(0, 2))
    ax.axis("off")
    ax.text(0.1, 0.1, "fine", size=8)
    whole = ax.add_patch(
        Rectangle((0, 0), 4, 2, fill=False, lw=0)
    )  # 101.6 mm, and 2 x 0.08 inches around it when saved
    assert faults(fig, max_width_mm=106) == []
    assert faults(fig, max_width_mm=105) == ["the figure is 105.7 mm wide"]
    whole.remove()
    ax.text(1.0, 1.0, "left", size=8)
    ax.text(1.05, 1.0, "right", size=8)
    ax.add_patch(Rectangle((2, 1), 0.2, 0.4))
    ax.text(2.1, 1.2, "wide words", size=8)
    ax.text(3.9, 1.8, "outside", size=8)
    ax.plot((2, 4), (0.53, 0.53))
    ax.text(3.0, 0.5, "crossed", size=8)
    ax.text(2.0, 0.1, "small", size=4)
    assert sorted(faults(fig, max_width_mm=180)) == [
        "'crossed' is crossed by a line", "'left' overlaps 'right'", "'outside' leaves the figure",
        "'small' is set in 4.0 points", "'wide words' leaves its box",
    ]  # fmt: skip


@pytest.mark.parametrize("key", ["1a", "2a"])
def test_schematics_can_be_read(key):
    assert faults(draw(key).figure, max_width_mm=DOUBLE_COLUMN_MM) == []


def test_the_challenge_has_the_numbers_of_the_paper(challenge):
    """Rafi et al. 2024: training data, 12 weeks, 13 and 87 % of the test data, eight types of sequences."""
    said = words(challenge)
    for sentence in (
        "6,739,258 random promoters", "80 random bp in a fixed context", "12 weeks", "board open from week 6",
        "at most 20 submissions\na week", "13 % of the test data", "87 % of the test data",
        "8 types of test sequences, 71,103 in all",
    ):  # fmt: skip
        assert said.count(sentence) == 1, sentence
    types = ["high", "low", "native", "random", "challenging", "SNVs", "motif perturbation", "motif tiling"]
    assert [word for word in said if word in types] == types
    titles = ["Training data", "Leaderboard phase", "Final phase"]
    assert [word for word in said if word in titles] == titles
    numbers = challenge.numbers.set_index("fact")["value"]
    assert list(numbers["test_type"]) == types
    assert numbers["leaderboard_percent_of_test_data"] + numbers["final_percent_of_test_data"] == 100
    assert not challenge.simulated


def test_the_board_is_open_in_seven_of_twelve_weeks(challenge):
    weeks = [text for text in words(challenge) if text.isdecimal()]
    assert weeks == [str(week) for week in range(1, 13)]
    cells = rectangles(challenge, height=5.0)
    cells = [cell for cell in cells if cell.get_width() != 4]  # not the sheets of paper
    is_open = [to_hex(cell.get_facecolor()) != "#ffffff" for cell in cells]
    assert is_open == [False] * 5 + [True] * 7


def test_the_bars_share_the_test_data(challenge):
    """Filled: the first 13 % in the leaderboard phase, the other 87 % in the final phase."""
    bars = rectangles(challenge, height=4.5)
    outlines = [bar for bar in bars if bar.get_edgecolor()[3] > 0]
    filled = [bar for bar in bars if bar.get_facecolor()[3] > 0 and to_hex(bar.get_facecolor()) != "#ffffff"]
    shares = [((fill.get_x() - bar.get_x()) / bar.get_width(), fill.get_width() / bar.get_width())
              for bar, fill in zip(outlines, filled, strict=True)]  # fmt: skip
    assert shares == [pytest.approx((0, 0.13)), pytest.approx((0.13, 0.87))]


def test_arrows_lead_from_phase_to_phase(challenge):
    """Between the three parts, from the data to the teams, to week 6; up or down on high, low and challenging."""
    assert len(arrows(challenge)) == 2 + 1 + 1 + 4


def test_parts_of_three_teams_make_the_dream_models(prix_fixe):
    """Combinations by the codes of the published folders: 0_1_0_0, 0_1_1_0, 0_0_2_0."""
    teams = ("Autosome.org", "BHI", "UnlockDNA")
    codes = {"DREAM-CNN": (0, 1, 0, 0), "DREAM-RNN": (0, 1, 1, 0), "DREAM-Attn": (0, 0, 2, 0)}
    (ax,) = prix_fixe.figure.axes
    columns = {}
    for text in sorted(ax.texts, key=lambda text: text.get_position()[1]):
        columns.setdefault(round(text.get_position()[0], 3), []).append(text.get_text())
    for name, code in codes.items():
        assert [name, *(teams[team] for team in code)] in columns.values()
    rows = [word.replace("\n", " ") for word in columns[2.0]]
    assert rows == ["data processor and trainer", "first layers block", "core layers block", "final layers block"]
    numbers = prix_fixe.numbers.set_index("model").to_numpy()
    assert numbers.tolist() == [[teams[team].partition(".")[0].lower() for team in code] for code in codes.values()]


def test_every_module_is_drawn_in_its_teams_colour(prix_fixe):
    """Whole solutions, then each of their modules apart, then the DREAM models: 12 boxes each."""
    drawn = sorted(boxes(prix_fixe), key=lambda box: (round(box.get_x(), 3), box.get_y()))
    assert len(drawn) == 36
    colours = [to_hex(box.get_edgecolor()) for box in drawn]
    autosome, bhi, unlockdna = colours[0], colours[4], colours[8]
    assert len({autosome, bhi, unlockdna}) == 3
    teams = [autosome] * 4 + [bhi] * 4 + [unlockdna] * 4
    cnn, rnn = [autosome, bhi, autosome, autosome], [autosome, bhi, bhi, autosome]
    assert colours == teams * 2 + cnn + rnn + [autosome, autosome, unlockdna, autosome]
    assert "3 × 3 × 3 × 3\n= 81 combinations" in words(prix_fixe)
    assert len(arrows(prix_fixe)) == 2


def column(rendered, start, end, *, below=0.0, above=1000.0):
    """Return the words whose middle is between two places, by line from the top, lines from the left."""
    (ax,) = rendered.figure.axes
    renderer = FigureCanvasAgg(rendered.figure).get_renderer()
    places = []
    for text in ax.texts:
        extent = text.get_window_extent(renderer).transformed(ax.transData.inverted())
        x, y = (extent.x0 + extent.x1) / 2, text.get_position()[1]
        if start < x < end and below < y < above:
            places.append((y, x, text.get_text()))
    lines = []
    for y, x, text in sorted(places):
        if not lines or y > lines[-1][0][0] + 0.3:
            lines.append([])
        lines[-1].append((y, x, text))
    return [text for line in lines for _, _, text in sorted(line, key=lambda place: place[1])]


def torch_network(key, **changes):
    module = registry.get_model(key)
    recipe = dataclasses.replace(module.RECIPE, **changes)
    return module.network(registry.get_task("yeast").SPEC, recipe)


def layers_of(net):
    return [Layer(**row) for row in torch_layers.layer_table(net, net.first.dummy)]


@pytest.mark.parametrize("key", ["ED9", "X8"])
def test_diagrams_can_be_read(key, networks):
    assert faults(draw(key, networks).figure, max_width_mm=DOUBLE_COLUMN_MM) == []


@pytest.mark.parametrize(
    ("letter", "key", "total", "left"),
    [("A", "dream_cnn", 1_933_970, 0), ("B", "dream_rnn", 4_130_578, 59), ("C", "dream_attn", 4_539_410, 118)],
)
def test_parameters_are_those_of_the_network(ed9, letter, key, total, left):
    """Of the whole (printed by the published notebooks) and of every block, counted from the torch modules."""
    net = torch_network(key)
    counts = [sum(p.numel() for p in block.parameters()) for block in (net.first, net.core, net.final)]
    assert sum(counts) == total
    said = column(ed9, left, left + 58, above=155)
    assert set(said[:3]) == {letter, registry.get_model(key).NAME, f"{total:,} parameters"}
    blocks = [said.index(f"{name} layers block") for name in ("first", "core", "final")]
    assert [said[i + 1] for i in blocks] == [f"{n:,}" for n in counts]


def flow(rendered, left):
    """Return what stands in the boxes of a network and beside its arrows, from the sequence to the output."""
    said = column(rendered, left, left + 58, above=155)
    begin = next(i for i, text in enumerate(said) if text.startswith("sequence"))
    end = said.index("expected bin") + 1
    return [t for t in said[begin:end] if not t.startswith("by ") and t not in ("parameters",) and not is_number(t)]


def is_number(text):
    return text.replace(",", "").isdecimal()


HEAD = "final layers block", "convolution, kernel 1, {} → 18", "mean over 150 positions", "softmax over 18 bins"


def head(width):
    return [text.format(width) for text in HEAD] + ["expected bin"]


def test_dream_cnn_is_a_stem_and_six_stages(ed9):
    """The challenge repository: BHI's first block, Autosome's core."""
    assert flow(ed9, 0) == [
        "sequence, 6 channels × 150 bp", "first layers block", "stem, kernels 9 and 15, 6 → 2 × 160", "320 × 150",
        "core layers block", "stage, × 6", "vanilla convolution, kernel 1, in → wide",
        "grouped convolution, kernel 7, 2 per group", "squeeze-excite, wide → squeezed → wide",
        "vanilla convolution, kernel 1, wide → in", "concatenate", "vanilla convolution, kernel 7, 2 × in → out",
        "64 × 150", *head(64),
    ]  # fmt: skip


def test_the_table_has_the_sizes_of_every_stage(ed9):
    """The squeeze is a quarter of what comes in, the inside four times what goes out; parameters by hand."""
    said = column(ed9, 0, 58, above=155)
    table = said[said.index("stage") :]
    chain = [320, 128, 128, 64, 64, 64, 64]
    rows = []
    for p, s in pairwise(chain):
        e, q = 4 * s, p // 4
        norms = 2 * (2 * e + p + s)
        convolutions = p * e + 7 * 2 * e + e * p + 7 * 2 * p * s
        linear = e * q + q + q * e + e
        rows.append([f"{n:,}" for n in (p, e, q, s, norms + convolutions + linear)])
    assert rows[3] == rows[4] == rows[5]
    expected = [["1", *rows[0]], ["2", *rows[1]], ["3", *rows[2]], ["4–6", *rows[3]]]
    header = ["stage", "in", "wide", "squeezed", "out", "parameters"]
    assert [table[i : i + 6] for i in range(0, len(table), 6)] == [header, *expected]


def test_dream_rnn_is_a_stem_an_lstm_and_a_stem(ed9):
    assert flow(ed9, 59) == [
        "sequence, 6 channels × 150 bp", "first layers block", "stem, kernels 9 and 15, 6 → 2 × 160", "320 × 150",
        "core layers block", "bidirectional LSTM, 320 → 2 × 320", "stem, kernels 9 and 15, 640 → 2 × 160",
        "dropout 0.5", "320 × 150", *head(320),
    ]  # fmt: skip


def test_dream_attn_is_four_macaron_blocks(ed9):
    feed = "½ × feed-forward, 256 → 1,024 → 256"
    assert flow(ed9, 118) == [
        "sequence, 6 channels × 150 bp", "first layers block", "vanilla convolution, kernel 7, 6 → 256", "256 × 150",
        "core layers block", "positions, 256 × 150", "× 4", feed, "layer norm",
        "separable convolution, kernel 15, 256 → 256", "layer norm", "multi-head attention, 4 heads, 256", feed,
        "256 × 150", *head(256),
    ]  # fmt: skip


def test_the_table_of_layers_has_whole_numbers(ed9):
    """The LSTM of DREAM-RNN, whose rows have no kernel, beside convolutions that have one."""
    rows = ed9.numbers.set_index(["model", "path"])
    lstm = rows.loc[("DREAM-RNN", "core.lstm"), ["n_in", "n_out", "directions", "n_params"]]
    assert [str(value) for value in lstm] == ["320", "320", "2", "1643520"]
    assert str(rows.loc[("DREAM-RNN", "core.conv_list.1.conv"), "kernel"]) == "15"


def test_streams_meet_where_the_code_adds_them(ed9):
    """Traced: a macaron block adds five times (a joint with three streams is two sums), a stage concatenates once."""
    graph = torch.fx.symbolic_trace(ConformerBlock(8, 2)).graph
    sums = sum(node.target is operator.add for node in graph.nodes)
    core = torch.fx.symbolic_trace(AutosomeCore(8, 4, 10)).graph
    assert sum(node.target is torch.cat for node in core.nodes) == 6
    products = torch.fx.symbolic_trace(SqueezeExcite(8, 2)).graph
    assert sum(node.target is operator.mul for node in products.nodes) == 1
    (ax,) = ed9.figure.axes
    joints = [patch for patch in ax.patches if isinstance(patch, Circle)]
    in_block = [joint for joint in joints if joint.center[0] > 118 and joint.center[1] < 155][1:]  # positions first
    into = [arrow for arrow in arrows(ed9) for joint in in_block if ends_at(arrow, joint)]
    assert len(into) - len(in_block) == sums == 5
    assert len(joints) == 1 + 4 + 1
    assert words(ed9).count("concatenate") == 1


def ends_at(arrow, joint):
    """Tell whether the tip of an arrow touches the circle of a joint."""
    (x, y), radius = joint.center, joint.radius
    extent = arrow.get_path().get_extents()
    tips = [(extent.x0, y), (extent.x1, y), ((extent.x0 + extent.x1) / 2, extent.y1)]
    near = any(abs(((tx - x) ** 2 + (ty - y) ** 2) ** 0.5 - radius) < 0.35 for tx, ty in tips)
    return near and extent.y0 <= y + 0.5 and abs(extent.y1 - y) < radius + 0.35 + 0.5


def test_blocks_are_drawn_once(ed9):
    """What each of the seven blocks does, from the top down, as in the challenge repository."""
    after = ["batch norm", "SiLU"]
    chains = {
        "vanilla convolution": ["convolution,\nkernel 1 or 7", *after],
        "grouped convolution": ["convolution of 2\nchannels, kernel 7", *after],
        "squeeze-excite": ["mean over\npositions", "linear,\nwide → squeezed", "SiLU", "linear,\nsqueezed → wide",
                           "sigmoid"],
        "feed-forward": ["layer norm", "linear,\n256 → 1,024", "SwiGLU,\n1,024 → 512", "dropout 0.1",
                         "linear,\n512 → 256", "dropout 0.1"],
        "separable convolution": ["depthwise convolution,\nkernel 15", "pointwise convolution,\n256 → 256", "ReLU",
                                  "dropout 0.1"],
        "multi-head attention": ["query, key, value,\n256 → 3 × 256", "attention,\n4 heads of 64",
                                 "linear,\n256 → 256"],
    }  # fmt: skip
    (ax,) = ed9.figure.axes
    for name, chain in chains.items():
        (title,) = (text for text in ax.texts if text.get_text() == name)
        x, y = title.get_position()
        below = [text for text in ax.texts if abs(text.get_position()[0] - x) < 0.1 and text.get_position()[1] > y]
        assert [text.get_text() for text in sorted(below, key=lambda text: text.get_position()[1])] == chain
    stem = column(ed9, 68, 105, below=155)
    assert stem == [
        "E", "Stem", "stem", "convolution,\nkernel 9", "convolution,\nkernel 15", "ReLU", "ReLU", "dropout 0.2",
        "dropout 0.2", "concatenate, 2 × 160 = 320",
    ]  # fmt: skip


def test_a_box_has_the_colour_of_its_block(ed9):
    """A block of A to C has the colour of its diagram in D to F, so that one finds the other."""
    (ax,) = ed9.figure.axes
    colours = {}
    for text in ax.texts:
        x, y = text.get_position()
        around = [b for b in boxes(ed9) if b.get_x() < x < b.get_x() + b.get_width()
                  and b.get_y() < y < b.get_y() + b.get_height()]  # fmt: skip
        if around:
            colours.setdefault(text.get_text().split(",")[0], set()).add(to_hex(around[0].get_edgecolor()))
    pairs = {
        "vanilla convolution": "convolution", "squeeze-excite": "sigmoid", "½ × feed-forward": "SwiGLU",
        "separable convolution": "depthwise convolution", "multi-head attention": "attention",
        "grouped convolution": "convolution of 2\nchannels", "stem": "concatenate",
    }  # fmt: skip
    for above, below in pairs.items():
        assert len(colours[above]) == 1
        assert colours[above] <= colours[below], above
    assert len(set().union(*(colours[above] for above in pairs))) == 7


def test_diagrams_follow_the_networks(networks):
    """Other widths and heads than the published ones appear: nothing is typed in."""
    changed = {
        "DREAM-RNN": torch_network("dream_rnn", stem_width=64),
        "DREAM-Attn": torch_network("dream_attn", n_heads=8),
    }
    layers = dict(networks.architectures) | {name: layers_of(net) for name, net in changed.items()}
    said = words(draw("ED9", FigureData(architectures=layers)))
    for text in (
        "stem, kernels 9 and 15, 6 → 2 × 64", "bidirectional LSTM, 128 → 2 × 320", "concatenate, 2 × 64 = 128",
        "multi-head attention, 8 heads, 256", "attention,\n8 heads of 32",
    ):  # fmt: skip
        assert text in said
    n_params = sum(p.numel() for p in changed["DREAM-RNN"].parameters())
    assert f"{n_params:,} parameters" in said


def test_a_network_of_another_kind_is_refused():
    net = torch.nn.Sequential(torch.nn.Conv1d(4, 8, 3), torch.nn.ReLU(), torch.nn.Conv1d(8, 1, 3))
    layers = [Layer(**row) for row in torch_layers.layer_table(net, torch.zeros(1, 4, 20))]
    with pytest.raises(ValueError, match="not in the order of a DREAM network: CC"):
        read_parts(layers)


def test_without_torch_the_panel_says_what_to_install():
    outcome = panels.draw(PANELS["ED9"], FigureData(notes={"architectures": "torch is not installed"}))
    assert outcome.rendered is None
    assert not outcome.failed
    assert (outcome.reason, outcome.command) == ("torch is not installed", "pip install torch")


def test_keras_twins_have_the_heads_of_chrombpnet(networks):
    """2,114 bp in four channels; profile of 1,000 positions after a convolution of 75, counts from the mean."""
    twins = draw("X8", networks)
    for left, name, total, width in (
        (0, "DREAM-CNN (Keras)", 1_929_986, 64),
        (59, "DREAM-RNN (Keras)", 4_138_882, 320),
    ):
        said = column(twins, left, left + 58)
        assert {name, f"{total:,} parameters", "sequence, 4 channels × 2,114 bp", f"{width} × 2,114"} <= set(said)
        head = said[said.index("final layers block") :]
        assert head[1] == f"{width * 75 + 1 + width + 1:,}"
        boxes = [text for text in head if text not in ("by ChromBPNet", "parameters")][2:8]
        assert boxes == [
            f"convolution, kernel 75,\n{width} → 1", "mean over\npositions", "crop to 1,000", f"linear, {width} → 1",
            "profile", "log counts",
        ]  # fmt: skip
    assert twins.numbers.groupby("model")["n_params"].sum().to_dict() == {
        "DREAM-CNN (Keras)": 1_929_986, "DREAM-RNN (Keras)": 4_138_882
    }  # fmt: skip
