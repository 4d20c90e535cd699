"""Extended Data 9: the architectures, drawn from the networks themselves, so that they cannot drift from the code.

Source: Rafi et al. 2024, Extended Data Fig. 9. A box is a block of a network, a line in it a layer with its numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from benchmarks.apps.paper.figure_data import FigureData, Layer, MissingData, RenderedPanel
from benchmarks.engine.figures import style

_WORDS = {"Conv1d": "Conv", "Conv1D": "Conv", "BatchNorm1d": "BatchNorm", "BatchNormalization": "BatchNorm",
          "MultiheadAttention": "Attention", "LayerNorm": "LayerNorm", "silu": "SiLU",
          "PairedConv": "Conv, 2 per group",
          "GlobalAveragePooling1D": "mean over positions", "Concatenate": "concatenate",
          "Multiply": "multiply"}  # fmt: skip
_LIGHT = {"BatchNorm", "SiLU", "ReLU", "Sigmoid", "Dropout", "GELU", "ELU", "Identity", "Softmax", "Flatten", "Add"}
"""Layers that stand behind the one before them, on its line."""
_LINE, _PAD, _GAP = 0.155, 0.11, 0.16  # inches
_WIDTH = 3.15


@dataclass(frozen=True)
class Box:
    """Consecutive layers of one block, and how often the same box follows itself."""

    part: str
    title: str
    lines: tuple[str, ...]
    shape: tuple[int, ...]
    n_params: int
    times: int = 1


def figure(data: FigureData) -> RenderedPanel:
    """Draw all networks side by side."""
    if not data.architectures:
        raise MissingData(data.notes.get("architectures", "no network could be built: torch is not installed"))
    numbers = pd.DataFrame(
        [
            {"model": model, "at": i, "block": x.block, "layer": x.kind, "numbers": x.detail,
             "shape": " × ".join(map(str, x.shape)), "n_params": x.n_params}
            for model, layers in data.architectures.items()
            for i, x in enumerate(layers)
        ]
    )  # fmt: skip
    text = (
        "Networks at their published sizes, read off the modules in one pass: kernel, channels in → out, shape that "
        "leaves a block (channels × bases; inside recurrent and attention blocks the other way round), trained "
        "parameters. "
        "The torch networks are those of the yeast task, the Keras twins those of ATAC without the bias model."
    )
    return RenderedPanel(
        _draw({model: boxes(layers) for model, layers in data.architectures.items()}), numbers, text, False
    )


def boxes(layers: Sequence[Layer]) -> list[Box]:
    """Collect layers into boxes, by block; equal boxes in a row become one with a count."""
    groups: list[list[Layer]] = []
    for layer in layers:
        if groups and groups[-1][0].block == layer.block:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    merged: list[Box] = []
    for group in groups:
        part, _, title = group[0].block.partition(".")
        shape = next((layer.shape for layer in reversed(group) if layer.shape), ())
        box = Box(part, title, tuple(_lines(group)), shape, sum(layer.n_params for layer in group))
        last = merged[-1] if merged else None
        if last and (last.part, last.lines, last.shape, last.n_params // last.times) == (
            box.part, box.lines, box.shape, box.n_params
        ):  # fmt: skip
            title = _span(last.title, box.title)
            merged[-1] = Box(box.part, title, box.lines, box.shape, last.n_params + box.n_params, last.times + 1)
        else:
            merged.append(box)
    return merged


def _span(first: str, last: str) -> str:
    return f"{first.partition(' to ')[0]} to {last.rpartition('.')[2]}"


def _lines(group: Sequence[Layer]) -> list[str]:
    lines: list[str] = []
    for layer in group:
        word = _WORDS.get(layer.kind, layer.kind)
        if word in _LIGHT and lines:
            if not lines[-1].endswith(f"+ {word}"):
                lines[-1] += f" + {word}"
        else:
            lines.append(f"{word} {layer.detail}".strip())
    return lines


@mpl.rc_context(style.STYLE)
def _draw(networks: dict[str, list[Box]]) -> Figure:
    def height(box: Box) -> float:
        return _LINE * (len(box.lines) + 1) + 2 * _PAD

    tallest = max(sum(height(box) + _GAP for box in column) for column in networks.values())
    top = 0.95
    total = tallest + top + 0.1
    fig = Figure((_WIDTH * len(networks) + 0.1, total))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, _WIDTH * len(networks) + 0.1), ylim=(total, 0))
    ax.axis("off")
    tints = {}
    for column, (name, drawn) in enumerate(networks.items()):
        x, y = 0.1 + column * _WIDTH, top
        n_params = sum(box.n_params for box in drawn)
        ax.text(x, top - 0.3, name, size=10, weight="bold", va="bottom")
        ax.text(x, top - 0.12, f"{n_params:,} parameters", size=7.5, va="bottom", color=style.INK)
        for i, box in enumerate(drawn):
            tint = tints.setdefault(box.part, style.PALETTE[len(tints) % len(style.PALETTE)])
            size = height(box)
            ax.add_patch(
                FancyBboxPatch(
                    (x, y),
                    _WIDTH - 0.25,
                    size,
                    boxstyle="round,pad=0,rounding_size=0.06",
                    fc=tint + "1F",
                    ec=tint,
                    lw=1,
                )
            )
            times = f"  × {box.times}" if box.times > 1 else ""
            ax.text(
                x + 0.08, y + _PAD + _LINE / 2, f"{box.title or box.part}{times}", size=7, weight="bold", va="center"
            )
            shape = " × ".join(map(str, box.shape))
            ax.text(x + _WIDTH - 0.33, y + _PAD + _LINE / 2, shape, size=6.5, va="center", ha="right", color=style.INK)
            for j, line in enumerate(box.lines, start=1):
                ax.text(x + 0.08, y + _PAD + _LINE * (j + 0.5), line, size=6.5, va="center")
            y += size
            if i < len(drawn) - 1:
                middle = x + (_WIDTH - 0.25) / 2
                ax.annotate(
                    "",
                    (middle, y + _GAP),
                    (middle, y),
                    arrowprops={"arrowstyle": "-|>", "lw": 0.8, "color": style.INK},
                )
            y += _GAP
    style.head(fig, "Architectures", False)
    return fig
