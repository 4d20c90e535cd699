"""Extended Data 9: the architectures, drawn from the networks themselves, so that they cannot drift from the code.

Source: Rafi et al. 2024, Extended Data Fig. 9. A to C are the DREAM networks, D to F their blocks, drawn once with the
numbers of their first occurrence.
"""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.apps.paper.figure_data import FigureData, Layer, MissingData, RenderedPanel
from benchmarks.engine.figures import diagrams, style
from benchmarks.engine.figures.diagrams import Box

_WORDS = {"Conv1d": "Conv", "Conv1D": "Conv", "BatchNorm1d": "BatchNorm", "BatchNormalization": "BatchNorm",
          "MultiheadAttention": "Attention", "silu": "SiLU", "PairedConv": "Conv, 2 per group",
          "GlobalAveragePooling1D": "mean over positions", "Concatenate": "concatenate",
          "Multiply": "multiply"}  # fmt: skip
_LIGHT = {"BatchNorm", "SiLU", "ReLU", "Sigmoid", "Dropout", "GELU", "ELU", "Identity", "Softmax", "Flatten", "Add"}
"""Layers that stand behind the one before them, on its line."""
_FIRST, _CORE, _FINAL, _DATA = style.PALETTE[1], style.PALETTE[0], style.PALETTE[2], style.INK
_COLUMN, _MARGIN = 2.75, 0.15  # inches


def figure(data: FigureData) -> RenderedPanel:
    """Draw the three DREAM networks as chains of blocks, and below them the blocks."""
    networks = {name: layers for name, layers in data.architectures.items() if "(Keras)" not in name}
    if not networks:
        raise MissingData(
            data.notes.get("architectures", "no network could be built: torch is not installed"),
            "pip install torch",
        )
    text = (
        "The DREAM networks at their published sizes for the yeast task (A to C) and their blocks (D to F), read off "
        "the modules in one pass: kernel width, channels in → out; a shape is channels × bases. Numbers of D to F are "
        "those of the first such block."
    )
    return RenderedPanel(_draw(networks), _numbers(networks), text, False)


def keras_twins(data: FigureData) -> RenderedPanel:
    """Draw the Keras networks of the accessibility task layer by layer (our own)."""
    networks = {name: layers for name, layers in data.architectures.items() if "(Keras)" in name}
    if not networks:
        raise MissingData(data.notes.get("architectures", "keras is not installed"), "pip install keras")
    text = (
        "The Keras twins of DREAM-CNN and DREAM-RNN, as the accessibility task trains them, without the bias model: "
        "layers in order, with channels in → out and, after the colon, the shape that leaves them (bases × channels)."
    )
    return RenderedPanel(_draw_lists(networks), _numbers(networks), text, False)


def _numbers(networks: dict[str, Sequence[Layer]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"model": model, "at": i, "block": x.block, "layer": x.kind, "numbers": x.detail,
             "shape": " × ".join(map(str, x.shape)), "n_params": x.n_params}
            for model, layers in networks.items()
            for i, x in enumerate(layers)
        ]
    )  # fmt: skip


def stages(layers: Sequence[Layer]) -> list[Box]:
    """Turn a network into boxes in the order of the forward pass: first block, stages of the core, final block.

    An inverted residual block and the convolution that follows it are one stage; equal stages in a row become one box
    with a count.
    """
    boxes: list[tuple[Box, int]] = []
    for title, colour, group in _groups(layers):
        box = Box(title, tuple(_lines(group)), colour)
        if boxes and boxes[-1][0] == box:
            boxes[-1] = (box, boxes[-1][1] + 1)
        else:
            boxes.append((box, 1))
    return [Box(f"{box.title} × {n}" if n > 1 else box.title, box.lines, box.colour) for box, n in boxes]


def _groups(layers: Sequence[Layer]) -> list[tuple[str, str, list[Layer]]]:
    """Split a network into its blocks: title, colour, layers; what a stage says is what D to F leave open."""
    groups: list[tuple[str, str, list[Layer]]] = []
    embedding = [layer for layer in layers if layer.kind == "Embedding"]
    by_block: dict[str, list[Layer]] = {}
    for layer in layers:
        by_block.setdefault(layer.block, []).append(layer)
    first = [layer for layer in layers if layer.block.startswith("first.")]
    groups.append(("first layers block: stem (E)", _FIRST, first))
    if embedding:
        groups.append(("position embedding, added", _CORE, embedding))
    for block, found in by_block.items():
        kinds = [layer.kind for layer in found]
        if ".inv_res_blc" in block:
            resize = by_block[block.replace("inv_res_blc", "resize_blc")]
            convolutions = [layer for layer in found if layer.kind == "Conv1d"]
            groups.append(("inverted residual (D), convolution", _CORE, [convolutions[0], *resize]))
        elif block.startswith("core.blocks."):
            groups.append(("macaron block (F)", _CORE, [x for x in found if x.kind in ("MultiheadAttention",)]))
        elif block.startswith("core.") and "LSTM" in kinds:
            groups.append(("recurrent", _CORE, found))
        elif block == "core.conv_list.0":
            both = [layer for layer in layers if layer.block.startswith("core.conv_list.")]
            groups.append(("parallel convolutions, concatenated", _CORE, both))
    groups.append(("final layers block", _FINAL, [layer for layer in layers if layer.block.startswith("final.")]))
    return groups


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


def blocks(networks: dict[str, Sequence[Layer]]) -> dict[str, tuple[str, list[list[Box]]]]:
    """Return parts D to F: letter -> title, and columns of boxes, with the numbers of each block's first occurrence."""
    parts: dict[str, tuple[str, list[list[Box]]]] = {}
    found = {
        layer.block: [x for x in layers if x.block == layer.block] for layers in networks.values() for layer in layers
    }
    residual = next((group for block, group in found.items() if ".inv_res_blc" in block), None)
    if residual:
        parts["D"] = ("Inverted residual block", [_residual(residual)])
    stems = [[x for x in layers if x.block.startswith("first.")] for layers in networks.values()]
    distinct = list({tuple(_lines(stem)): stem for stem in stems}.values())
    columns = [_stem(stem) for stem in distinct]
    if columns:
        parts["E"] = ("Stems", columns)
    macaron = next((group for block, group in found.items() if block.startswith("core.blocks.")), None)
    if macaron:
        parts["F"] = ("Macaron block", _macaron(macaron))
    return parts


def _residual(group: Sequence[Layer]) -> list[Box]:
    lines = _lines(group)
    titles = ("vanilla convolution", "grouped convolution", "squeeze and excite", "vanilla convolution")
    texts = ((lines[0],), (lines[1],), ("mean over positions", lines[2], lines[3], "multiply"), (lines[4],))
    boxes = [Box(title, text, _CORE) for title, text in zip(titles, texts, strict=True)]
    return [Box("input", (), _DATA), *boxes, Box("concatenated with the input", (), _DATA)]


def _stem(group: Sequence[Layer]) -> list[Box]:
    title = "parallel convolutions" if sum(x.kind == "Conv1d" for x in group) > 1 else "convolution"
    end = Box("concatenated", (), _DATA) if title.startswith("parallel") else Box("output", (), _DATA)
    return [Box("one-hot bases", (), _DATA), Box(title, tuple(" + ".join(_lines(group)).split(" + ")), _FIRST), end]


def _macaron(group: Sequence[Layer]) -> list[list[Box]]:
    """Split a macaron block at its layer norms: feed-forward, separable convolution, attention (the last repeats)."""
    parts: list[list[Layer]] = []
    for layer in group:
        if layer.kind == "LayerNorm":
            parts.append([])
        parts[-1].append(layer)
    names = ("feed-forward, half", "separable convolution", "multi-head attention")
    columns = [[Box(name, tuple(_lines(part)), _CORE)] for name, part in zip(names, parts[:3], strict=True)]
    if [x.detail for x in parts[3]] != [x.detail for x in parts[0]]:
        raise ValueError("The macaron block no longer ends with the feed-forward part that it begins with.")
    return [*columns, [Box(names[0], ("as the first",), _CORE)]]


@mpl.rc_context(style.STYLE)
def _draw(networks: dict[str, Sequence[Layer]]) -> Figure:
    chains = {
        name: [Box("one-hot bases and marks", (_input(layers),), _DATA), *stages(layers), Box("18 bins", (), _DATA)]
        for name, layers in networks.items()
    }
    lower = blocks(networks)
    gap = 0.13
    upper_height = max(sum(box.height + gap for box in boxes) for boxes in chains.values())
    columns = {key: (title, _side_by_side(key, cols)) for key, (title, cols) in lower.items()}
    lower_height = max(
        max(sum(box.height + gap for box in column) for column in cols)
        if key != "F"
        else sum(box.height + 0.3 for column in cols for box in column)
        for key, (_, cols) in lower.items()
    )
    width = _MARGIN + 3 * (_COLUMN + _MARGIN)
    fig, ax = diagrams.canvas(width, 1.25 + upper_height + lower_height + 0.45)
    for i, (name, boxes) in enumerate(chains.items()):
        x = _MARGIN + i * (_COLUMN + _MARGIN)
        n_params = sum(layer.n_params for layer in networks[name])
        diagrams.letter(ax, "ABC"[i], x, 0.55, f"{name}, {n_params:,} parameters")
        diagrams.chain(ax, boxes, x + 0.1, 0.75, _COLUMN - 0.2, gap)
    top = 1.0 + upper_height
    for i, (key, (title, cols)) in enumerate(columns.items()):
        x = _MARGIN + i * (_COLUMN + _MARGIN)
        diagrams.letter(ax, key, x, top, title)
        for left, wide, column in cols:
            y = top + 0.2
            if key == "F":
                for box in column:
                    y = _added(ax, box, x + left, y, wide)
            else:
                diagrams.chain(ax, column, x + left, y, wide, gap)
    style.head(fig, "Architectures", False)
    return fig


def _input(layers: Sequence[Layer]) -> str:
    convolution = next(layer for layer in layers if layer.kind == "Conv1d")
    channels = convolution.detail.split(",")[1].split("→")[0].strip()
    return f"{channels} × {convolution.shape[-1]}"


def _side_by_side(key: str, columns: Sequence[list[Box]]) -> list[tuple[float, float, list[Box]]]:
    """Return left edge, width and boxes of the columns of a part, relative to the part; F is one column."""
    if key == "F":
        return [(0.1, _COLUMN - 0.45, [box for column in columns for box in column])]
    wide = (_COLUMN - 0.2 - 0.1 * (len(columns) - 1)) / len(columns)
    return [(0.1 + i * (wide + 0.1), wide, column) for i, column in enumerate(columns)]


def _added(ax: Axes, box: Box, x: float, y: float, width: float) -> float:
    """Draw a box with a line around it that ends in a plus: its output is added to its input; return the next y."""
    bottom = diagrams.draw_box(ax, box, x, y, width)
    right, middle = x + width + 0.14, x + width / 2
    ax.plot([middle, right, right], [y - 0.06, y - 0.06, bottom + 0.12], color=style.INK, lw=0.8)
    diagrams.arrow(ax, (right, bottom + 0.12), (middle + 0.06, bottom + 0.12))
    ax.text(middle, bottom + 0.12, "+", ha="center", va="center", size=9, weight="bold")
    return bottom + 0.3


@mpl.rc_context(style.STYLE)
def _draw_lists(networks: dict[str, Sequence[Layer]]) -> Figure:
    columns = {name: _listed(layers) for name, layers in networks.items()}
    height = max(len(lines) for lines in columns.values()) * diagrams.LINE_IN
    fig, ax = diagrams.canvas(_MARGIN + len(columns) * 3.4, height + 1.1)
    for i, (name, lines) in enumerate(columns.items()):
        x = _MARGIN + i * 3.4
        diagrams.letter(ax, "AB"[i], x, 0.55, f"{name}, {sum(layer.n_params for layer in networks[name]):,} parameters")
        for j, line in enumerate(lines):
            ax.text(x, 0.8 + j * diagrams.LINE_IN, line, size=6.3, va="center")
    style.head(fig, "Keras networks", False)
    return fig


def _listed(layers: Sequence[Layer]) -> list[str]:
    """Return a line per layer with weights, with the light layers that follow it and the shape that leaves them."""
    groups: list[list[Layer]] = []
    for layer in layers:
        if _WORDS.get(layer.kind, layer.kind) in _LIGHT and groups:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return [f"{_lines(group)[0]}: {' × '.join(map(str, group[-1].shape))}" for group in groups]
