"""A DREAM network as a diagram: frames for its first, core and final block, and boxes with the sizes of its layers."""

from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes

from benchmarks.apps.paper.fig_ed9_blocks import (
    ATTENTION,
    FEED_FORWARD,
    GROUPED,
    LSTM,
    SEPARABLE,
    SQUEEZE,
    STEM,
    VANILLA,
)
from benchmarks.apps.paper.figure_data import Layer
from benchmarks.apps.paper.network_parts import Parts, n_params, weighted
from benchmarks.engine.figures import diagram, style

WIDTH = 56.0
"""Of a network, in mm."""
_BOX, _GAP, _HEAD, _PAD = 4.5, 2.2, 7.4, 1.8
_SHARES = 0.12, 0.24  # of grey, in a frame and in one inside it
_INSET = 5.0
"""From the edge of a frame to its boxes; lines around boxes run there."""


def height_of(parts: Parts) -> float:
    """Return the height of a network below its title."""
    core = _core_height(parts)
    table = _table_height(parts) if parts.core_kind == "CNN" else 0.0
    return 3.0 + _BOX + _chain_height(1) + core + _final_height(parts) + 4 * _LINK + 1.5 + table


_LINK = 4.2
"""Between two frames: an arrow with the shape beside it."""
_RADIUS = 1.4
_SKIP = _RADIUS * 2 + _GAP
"""Height of a joint and the arrow to it."""
_TALL = 5.8
"""Height of a box with two lines."""


def _core_height(parts: Parts) -> float:
    return {"CNN": _cnn_core_height, "RNN": _rnn_core_height, "Attn": _attn_core_height}[parts.core_kind](parts)


def _chain_height(n_boxes: int) -> float:
    return _HEAD + n_boxes * _BOX + (n_boxes - 1) * _GAP + _PAD


def draw(ax: Axes, x: float, y: float, parts: Parts, teams: dict[str, str]) -> None:
    """Draw a network from the sequence to what it predicts; `teams` names who made its blocks."""
    positions = _positions(parts)
    n_in = int(parts.first[0].numbers["n_in"])
    diagram.box(ax, x + 8, y, WIDTH - 16, _BOX, f"sequence, {n_in} channels × {positions:,} bp")
    y = _link(ax, x, y + _BOX)
    y = _frame(ax, x, y, _chain_height(1), "first layers block", teams["first"], n_params(parts.first))
    first = weighted(parts.first)
    text, colour = (_stem(first), STEM) if len(first) == 2 else (_convolution(first[0]), VANILLA)
    _boxes(ax, x, y, [(text, colour)])
    width = int(sum(layer.numbers["n_out"] for layer in first))
    reach = _HEAD + (_INTO_STAGE if parts.core_kind == "CNN" else 0.0)
    y = _link(ax, x, y + _BOX, f"{width:,} × {positions:,}", inside=_PAD, reach=reach)
    draw_core = {"CNN": _cnn_core, "RNN": _rnn_core, "Attn": _attn_core}[parts.core_kind]
    end = y + _core_height(parts)
    last = draw_core(ax, x, y, parts, teams["core"])
    width = int(parts.final[0].numbers["n_in"])
    y = _link(ax, x, last, f"{width:,} × {positions:,}", inside=end - last)
    y = _final(ax, x, y, parts, teams["final"])
    if parts.core_kind == "CNN":
        _table(ax, x, y + 2.0, parts)


def _positions(parts: Parts) -> int:
    """Return how long the sequence is, in bases: the same before and after every block."""
    convolution = parts.first[0]
    return next(n for n in convolution.shape if n != convolution.numbers["n_out"])


def _frame(ax: Axes, x: float, y: float, height: float, title: str, team: str, parameters: int) -> float:
    """Draw the area of a block with its names; return where its boxes begin."""
    diagram.frame(ax, x, y, WIDTH, height, share=_SHARES[0])
    diagram.words(ax, x + 1.8, y + 2.4, title, weight="bold")
    diagram.words(ax, x + 1.8, y + 5.2, f"by {team}", size=5, color=style.INK)
    diagram.words(ax, x + WIDTH - 1.8, y + 2.4, f"{parameters:,}", size=5, ha="right", color=style.INK)
    diagram.words(ax, x + WIDTH - 1.8, y + 5.2, "parameters", size=5, ha="right", color=style.INK)
    return y + _HEAD


def _link(ax: Axes, x: float, y: float, shape: str = "", *, inside: float = 0.0, reach: float = _HEAD) -> float:
    """Draw the way out of a frame, from y, and into the first box of the next; return where the next frame begins.

    The shape of what passes stands between the frames. The first ends `inside` below y, the arrow `reach` within the
    next.
    """
    middle, top = x + WIDTH / 2, y + inside
    diagram.arrow(ax, (middle, y), (middle, top + _LINK + reach))
    if shape:
        diagram.words(ax, middle + 1.5, top + _LINK / 2, shape, size=5, color=style.INK)
    return top + _LINK


def _boxes(ax: Axes, x: float, y: float, boxes: Sequence[tuple[str, str]]) -> float:
    """Draw boxes below each other (text, colour), with arrows between; return where the last one ends."""
    for i, (text, colour) in enumerate(boxes):
        if i:
            diagram.arrow(ax, (x + WIDTH / 2, y - _GAP), (x + WIDTH / 2, y))
        diagram.box(ax, x + _INSET, y, WIDTH - 2 * _INSET, _BOX, text, colour=colour, size=5)
        y += _BOX + _GAP
    return y - _GAP


def _convolution(layer: Layer) -> str:
    numbers = layer.numbers
    return f"vanilla convolution, kernel {numbers['kernel']}, {numbers['n_in']:,} → {numbers['n_out']:,}"


def _stem(layers: Sequence[Layer]) -> str:
    kernels = " and ".join(f"{layer.numbers['kernel']}" for layer in layers)
    return f"stem, kernels {kernels}, {layers[0].numbers['n_in']:,} → {len(layers)} × {layers[0].numbers['n_out']:,}"


# CNN: stages of bottlenecks -----------------------------------------------------------------------------------------

_STAGE_ROW = 3.2
_INTO_STAGE = 3.4
"""From the top of a repeated part to its first box."""


def _cnn_core_height(parts: Parts) -> float:
    return _HEAD + _INTO_STAGE + 6 * _BOX + 5 * _GAP + 2 * _PAD


def _cnn_core(ax: Axes, x: float, y: float, parts: Parts, team: str) -> float:
    """Draw a stage with its repeats; return where its last box ends."""
    height = _cnn_core_height(parts)
    inside = _frame(ax, x, y, height, "core layers block", team, parts.core_params)
    middle, left = x + WIDTH / 2, x + 3.2
    _repeated(ax, x, inside, y + height - _PAD, f"stage, × {len(parts.stages)}")
    first, grouped, _, _, narrow, resize = (layer.numbers for layer in weighted(parts.stages[0]))
    per_group = round(grouped["n_in"] / grouped["groups"])
    begin = inside + _INTO_STAGE
    end = _boxes(
        ax, x, begin,
        [
            (f"vanilla convolution, kernel {first['kernel']}, in → wide", VANILLA),
            (f"grouped convolution, kernel {grouped['kernel']}, {per_group} per group", GROUPED),
            ("squeeze-excite, wide → squeezed → wide", SQUEEZE),
            (f"vanilla convolution, kernel {narrow['kernel']}, wide → in", VANILLA),
        ],
    )  # fmt: skip
    diagram.arrow(ax, (middle, end), (middle, end + _GAP))
    diagram.box(ax, middle - 8.0, end + _GAP, 16.0, _BOX, "concatenate", size=5)
    at = end + _GAP + _BOX / 2
    diagram.arrow(ax, (middle, begin - 1.6), (left, begin - 1.6), (left, at), (middle - 8.0, at))
    end = at + _BOX / 2
    diagram.arrow(ax, (middle, end), (middle, end + _GAP))
    return _boxes(ax, x, end + _GAP, [(f"vanilla convolution, kernel {resize['kernel']}, 2 × in → out", VANILLA)])


def _repeated(ax: Axes, x: float, y: float, end: float, text: str) -> None:
    """Draw the area of what is repeated, and how often."""
    diagram.frame(ax, x + 1.5, y, WIDTH - 3.0, end - y, share=_SHARES[1])
    diagram.words(ax, x + WIDTH - 3.0, y + 1.7, text, ha="right", weight="bold")


def stage_rows(parts: Parts) -> list[list[str]]:
    """Return the sizes of the stages, equal ones in a row together: number, in, wide, squeezed, out, parameters."""
    sizes = []
    for stage in parts.stages:
        wide, _, squeeze, _, _, out = weighted(stage)
        ends = (wide.numbers["n_in"], wide.numbers["n_out"], squeeze.numbers["n_out"], out.numbers["n_out"])
        sizes.append([f"{n:,}" for n in (*ends, n_params(stage))])
    rows, at = [], 1
    for size, equal in groupby(sizes):
        last = at + len(list(equal)) - 1
        rows.append([f"{at}" if last == at else f"{at}–{last}", *size])
        at = last + 1
    return rows


def _table_height(parts: Parts) -> float:
    return 2.0 + (1 + len(stage_rows(parts))) * _STAGE_ROW + 1.0


def _table(ax: Axes, x: float, y: float, parts: Parts) -> None:
    """Write the sizes of the stages as a table."""
    edges = [x + at for at in (1.8, 13.5, 22.0, 34.0, 41.0, WIDTH - 1.8)]
    header = ("stage", "in", "wide", "squeezed", "out", "parameters")
    for i, row in enumerate((header, *stage_rows(parts))):
        for edge, text in zip(edges, row, strict=True):
            weight = "normal" if i else "bold"
            ha = "left" if edge == edges[0] else "right"
            diagram.words(ax, edge, y + (i + 0.5) * _STAGE_ROW, text, size=5, ha=ha, weight=weight)
    ax.plot((x, x + WIDTH), (y + _STAGE_ROW,) * 2, color=style.GREY, lw=0.6)


# RNN ----------------------------------------------------------------------------------------------------------------


def _rnn_core_height(parts: Parts) -> float:
    return _chain_height(3)


def _rnn_core(ax: Axes, x: float, y: float, parts: Parts, team: str) -> float:
    inside = _frame(ax, x, y, _rnn_core_height(parts), "core layers block", team, parts.core_params)
    lstm, *stem = weighted(parts.stages[0])
    sizes = lstm.numbers
    boxes = [
        (f"bidirectional LSTM, {sizes['n_in']:,} → {sizes['directions']} × {sizes['n_out']:,}", LSTM),
        (_stem(stem), STEM),
        (f"dropout {parts.dropout[-1]:g}", style.GREY),
    ]
    return _boxes(ax, x, inside, boxes)


# Attention ----------------------------------------------------------------------------------------------------------


_AROUND_JOINT = _GAP + 0.8


def _attn_core_height(parts: Parts) -> float:
    positions = _RADIUS * 2 + 0.6
    return _HEAD + positions + _INTO_STAGE + 6 * _BOX + _GAP + 4 * (_SKIP + _AROUND_JOINT) + _PAD - 1.0


def _attn_core(ax: Axes, x: float, y: float, parts: Parts, team: str) -> float:
    """Draw the positions that are added and a macaron block with its repeats; return where its last joint ends."""
    middle, height = x + WIDTH / 2, _attn_core_height(parts)
    inside = _frame(ax, x, y, height, "core layers block", team, parts.core_params)
    (sizes,) = (layer.numbers for layer in parts.positions)
    at = inside + _RADIUS
    diagram.joint(ax, middle, at, "+", _RADIUS)
    diagram.box(ax, middle + 4.5, at - 1.7, 21.7, 3.4, f"positions, {sizes['n_out']:,} × {sizes['n_in']:,}", size=5)
    diagram.arrow(ax, (middle + 4.5, at), (middle + _RADIUS, at))
    top = at + _RADIUS + 0.6
    _repeated(ax, x, top, y + height - _PAD, f"× {len(parts.stages)}")
    into, back, depthwise, pointwise, attention, *_ = (layer.numbers for layer in weighted(parts.stages[0]))
    feed = (f"½ × feed-forward, {into['n_in']:,} → {into['n_out']:,} → {back['n_out']:,}", FEED_FORWARD)
    widths = f"{pointwise['n_in']:,} → {pointwise['n_out']:,}"
    separable = (f"separable convolution, kernel {depthwise['kernel']}, {widths}", SEPARABLE)
    heads = (f"multi-head attention, {attention['heads']} heads, {attention['n_out']:,}", ATTENTION)
    norm = ("layer norm", style.GREY)
    y = top + _INTO_STAGE
    begin = at + _RADIUS
    for boxes in ([feed], [norm, separable], [norm, heads], [feed]):
        diagram.arrow(ax, (middle, begin), (middle, y))
        begin = _residual(ax, x, y, boxes)
        y = begin + _AROUND_JOINT
    return begin


def _residual(ax: Axes, x: float, y: float, boxes: Sequence[tuple[str, str]]) -> float:
    """Draw boxes and the streams that are added to what leaves them; return where the joint ends.

    What enters is added (left), unless the boxes are norm and attention: there, what leaves the norm. Norm and
    convolution add both.
    """
    middle, left, right = x + WIDTH / 2, x + 3.2, x + WIDTH - 3.2
    end = _boxes(ax, x, y, boxes)
    at = end + _GAP + _RADIUS
    normed = y + _BOX + 0.8
    streams = [] if boxes[-1][1] == ATTENTION else [(left, y - _GAP + 0.7)]
    streams += [(right, normed)] if len(boxes) > 1 else []
    for side, branch in streams:
        edge = middle + (_RADIUS if side > middle else -_RADIUS)
        diagram.arrow(ax, (middle, branch), (side, branch), (side, at), (edge, at))
    diagram.arrow(ax, (middle, end), (middle, at - _RADIUS))
    diagram.joint(ax, middle, at, "+", _RADIUS)
    return at + _RADIUS


# Final blocks -------------------------------------------------------------------------------------------------------


_SPLIT = 2.0
"""Height of the way from one stream to two."""


def _final_height(parts: Parts) -> float:
    return _HEAD + _SPLIT + 2 * _TALL + _GAP + _PAD if parts.profile_len else _chain_height(3)


def _final(ax: Axes, x: float, y: float, parts: Parts, team: str) -> float:
    """Draw the final block and what it gives; return where that ends."""
    convolution, middle, end = parts.final[0].numbers, x + WIDTH / 2, y + _final_height(parts)
    team = "ChromBPNet" if parts.profile_len else team
    inside = _frame(ax, x, y, end - y, "final layers block", team, n_params(parts.final))
    kernel = f"convolution, kernel {convolution['kernel']},"
    widths = f"{convolution['n_in']:,} → {convolution['n_out']:,}"
    if not parts.profile_len:
        texts = (f"{kernel} {widths}", f"mean over {_positions(parts):,} positions",
                 f"softmax over {convolution['n_out']} bins")  # fmt: skip
        last = _boxes(ax, x, inside, [(text, style.GREY) for text in texts])
        diagram.arrow(ax, (middle, last), (middle, end + _LINK - 0.8))
        diagram.words(ax, middle + 1.5, end + _LINK / 2, "expected bin", size=5, color=style.INK)
        return end + _LINK
    dense = parts.final[1].numbers
    width = (WIDTH - 7.0) / 2
    for left, texts, out in (
        (x + 1.8, (f"{kernel}\n{widths}", f"crop to {parts.profile_len:,}"), "profile"),
        (
            x + WIDTH - 1.8 - width,
            ("mean over\npositions", f"linear, {dense['n_in']:,} → {dense['n_out']:,}"),
            "log counts",
        ),
    ):
        branch = left + width / 2
        diagram.arrow(ax, (middle, inside), (branch, inside), (branch, inside + _SPLIT))
        last = diagram.chain(ax, left, inside + _SPLIT, width, _TALL, texts, gap=_GAP, colour=style.GREY, size=5)
        diagram.arrow(ax, (branch, last), (branch, end + _LINK - 0.8))
        diagram.words(ax, branch + 1.5, end + _LINK / 2, out, size=5, color=style.INK)
    return end + _LINK
