"""Extended Data 9D-F: the blocks of the DREAM networks, each drawn once, and the colours that they have in A-C."""

from matplotlib.axes import Axes

from benchmarks.apps.paper.network_parts import Parts, weighted
from benchmarks.engine.figures import diagram, style

GROUPED, STEM, SEPARABLE, SQUEEZE, VANILLA, FEED_FORWARD = style.PALETTE
ATTENTION, LSTM = "#332288", "#999933"
HEIGHT = 62.0
_BOX, _GAP = 5.6, 2.3


def draw(ax: Axes, y: float, cnn: Parts, rnn: Parts, attn: Parts) -> None:
    """Draw the blocks of the three networks in a row that begins at y."""
    for x, letter, title in (
        (1.0, "D", "Blocks of DREAM-CNN's core"),
        (68.0, "E", "Stem"),
        (106.0, "F", "Blocks of DREAM-Attn's core"),
    ):
        diagram.words(ax, x, y, letter, size=8, weight="bold")
        diagram.words(ax, x + 4.0, y, title, size=7, weight="bold")
    y += 4.0
    _convolutions(ax, y, cnn, attn)
    _stem(ax, y, rnn)
    _attention(ax, y, attn)


def _block(ax: Axes, x: float, y: float, width: float, title: str, texts: list[str], colour: str) -> float:
    """Draw a block as a chain of boxes with its name above it; return where the chain ends."""
    diagram.words(ax, x + width / 2, y + 2.5, title, size=5, ha="center", weight="bold")
    top = y + 6.5
    diagram.arrow(ax, (x + width / 2, top - 2.0), (x + width / 2, top))
    end = diagram.chain(ax, x, top, width, _BOX, texts, gap=_GAP, colour=colour)
    diagram.arrow(ax, (x + width / 2, end), (x + width / 2, end + 2.2))
    return end


def _convolutions(ax: Axes, y: float, cnn: Parts, attn: Parts) -> None:
    stage = weighted(cnn.stages[0])
    kernels = sorted({int(layer.numbers["kernel"]) for layer in (stage[0], stage[4], stage[5], attn.first[0])})
    grouped = stage[1].numbers
    after = ["batch norm", "SiLU"]
    vanilla = f"convolution,\nkernel {' or '.join(map(str, kernels))}"
    _block(ax, 1.0, y, 20.0, "vanilla convolution", [vanilla, *after], VANILLA)
    per_group = round(grouped["n_in"] / grouped["groups"])
    groups = f"convolution of {per_group}\nchannels, kernel {grouped['kernel']}"
    _block(ax, 23.0, y, 20.0, "grouped convolution", [groups, *after], GROUPED)
    gate = ["mean over\npositions", "linear,\nwide → squeezed", "SiLU", "linear,\nsqueezed → wide", "sigmoid"]
    end = _block(ax, 46.5, y, 18.0, "squeeze-excite", gate, SQUEEZE)
    middle, left, at = 55.5, 45.0, end + 3.6
    diagram.arrow(ax, (middle, y + 5.0), (left, y + 5.0), (left, at), (middle - 1.4, at))
    diagram.joint(ax, middle, at, "×")
    diagram.arrow(ax, (middle, at + 1.4), (middle, at + 3.4))


def _stem(ax: Axes, y: float, rnn: Parts) -> None:
    left, width, gap = 68.0, 16.0, 2.0
    layers = weighted(rnn.first)
    middle = left + width + gap / 2
    diagram.words(ax, middle, y + 2.5, "stem", size=5, ha="center", weight="bold")
    top = y + 6.5
    for i, layer in enumerate(layers):
        x = left + i * (width + gap)
        branch = x + width / 2
        diagram.arrow(ax, (middle, top - 2.0), (branch, top - 2.0), (branch, top))
        texts = [f"convolution,\nkernel {layer.numbers['kernel']}", "ReLU", f"dropout {rnn.dropout[0]:g}"]
        end = diagram.chain(ax, x, top, width, _BOX, texts, gap=_GAP, colour=STEM)
        diagram.arrow(ax, (branch, end), (branch, end + _GAP))
    ax.plot((middle, middle), (top - 3.0, top - 2.0), color=style.INK, lw=0.7)
    each = layers[0].numbers["n_out"]
    y = end + _GAP
    text = f"concatenate, {len(layers)} × {each} = {len(layers) * each:g}"
    diagram.box(ax, left, y, 2 * width + gap, _BOX, text, colour=STEM)
    diagram.arrow(ax, (middle, y + _BOX), (middle, y + _BOX + 2.2))


def _attention(ax: Axes, y: float, attn: Parts) -> None:
    into, back, depthwise, pointwise, attention, *_ = (layer.numbers for layer in weighted(attn.stages[0]))
    rate = f"dropout {attn.dropout[0]:g}"
    linear = "linear,\n{n_in:,} → {n_out:,}"
    feed = ["layer norm", linear.format(**into), f"SwiGLU,\n{into['n_out']:,} → {back['n_in']:,}", rate,
            linear.format(**back), rate]  # fmt: skip
    _block(ax, 106.0, y, 19.0, "feed-forward", feed, FEED_FORWARD)
    separable = [
        f"depthwise convolution,\nkernel {depthwise['kernel']}",
        f"pointwise convolution,\n{pointwise['n_in']} → {pointwise['n_out']}", "ReLU", rate,
    ]  # fmt: skip
    _block(ax, 127.0, y, 24.0, "separable convolution", separable, SEPARABLE)
    heads, width = attention["heads"], attention["n_out"]
    attend = [f"query, key, value,\n{width} → 3 × {width}", f"attention,\n{heads} heads of {width / heads:g}",
              f"linear,\n{width} → {width}"]  # fmt: skip
    _block(ax, 153.0, y, 21.5, "multi-head attention", attend, ATTENTION)
