"""What all figures share: colours, labels, sizes, and how a figure is saved."""

import contextlib
import hashlib
import io
import re
import sys
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
GREY = "#8C8C8C"
INK = "#444444"

MODEL_COLOURS = {
    "dream_rnn": "#0072B2", "dream_cnn": "#E69F00", "dream_attn": "#009E73",
    "dream_rnn_keras": "#0072B2", "dream_cnn_keras": "#E69F00",  # the same networks in Keras
    "mprann": "#CC79A7", "deepstarr": "#D55E00", "chrombpnet": "#56B4E9", "vaishnav": "#222222",
    "bpnet": "#F0E442", "bpnet_bias": "#B8B8B8", "kmer_ridge": GREY,
    "originals.autosome": "#BF8400", "originals.bhi": "#6699CC", "originals.unlockdna": "#117733",
}  # fmt: skip
_OTHERS = ("#332288", "#88CCEE", "#44AA99", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499")
"""Paul Tol's muted colours, for models that are not built in."""

SIMULATED = "SIMULATED DATA"

# DejaVu Sans comes with matplotlib, and text is drawn as outlines: every machine shows the same figure.
STYLE: dict[Any, Any] = {  # the keys are matplotlib's
    "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 10, "axes.spines.top": False,
    "axes.spines.right": False, "svg.fonttype": "path", "svg.hashsalt": "benchmarks",
    "text.parse_math": False,  # a name with dollar signs is a name
}  # fmt: skip


def seaborn() -> ModuleType:
    """Return seaborn, imported when a figure first needs it.

    It imports pyplot, which looks for a window system unless it is told that none is needed.
    """
    if "matplotlib.pyplot" not in sys.modules:
        mpl.use("agg")
    import seaborn

    return seaborn


def cells(
    ax: Axes,
    values: np.ndarray,
    *,
    texts: np.ndarray | None = None,
    rows: Sequence[str],
    columns: Sequence[str],
    low: float = 0.0,
    high: float = 1.0,
    colours: str = "viridis",
    text_size: float = 6.5,
) -> None:
    """Draw a heat map with a name beside every row and below every column.

    Parameters
    ----------
    values
        (n_rows, n_columns) numbers that choose the colour, from `low` to `high`; NaN leaves a cell empty.
    texts
        What to write into every cell, of the same shape.
    """
    table = pd.DataFrame(values)
    seaborn().heatmap(
        table, mask=table.isna(), annot=texts, fmt="", annot_kws={"size": text_size}, cmap=colours, vmin=low,
        vmax=high, cbar=False, ax=ax, xticklabels=False, yticklabels=False,
    )  # fmt: skip
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=45, ha="right", rotation_mode="anchor", size=8)
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows, size=8, rotation=0)
    ax.tick_params(length=0)


def colour_bar(fig: Figure, ax: Axes, label: str) -> None:
    """Draw the scale of a heat map of `cells` beside it."""
    bar = fig.colorbar(ax.collections[0], ax=ax, shrink=0.7, pad=0.02, label=label)
    bar.outline.set_visible(False)


def footnote(fig: Figure, text: str) -> None:
    """Write a sentence or two below a figure, in lines as long as the figure is wide."""
    fig.supxlabel(textwrap.fill(text, int(fig.get_figwidth() * 16)), x=0.01, ha="left", fontsize=7.5, color=INK)


def short_names(keys: Sequence[str], labels: Mapping[str, str], n_letters: int = 30) -> list[str]:
    """Return what to call teams, models or subsets on an axis."""
    return [textwrap.shorten(str(labels.get(key, key)).replace("_", " "), n_letters) for key in keys]


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Silence matplotlib about letters that the font lacks and names too long for the layout; they are drawn anyway."""
    with warnings.catch_warnings():
        for message in ("Glyph .* missing from", "constrained_layout not applied", "Tight layout not applied"):
            warnings.filterwarnings("ignore", message)
        yield


@mpl.rc_context(STYLE)
def save(fig: Figure, path: Path | str) -> list[Path]:
    """Write `path` + ".png" (200 dpi) and `path` + ".svg", and return both paths.

    The endings are appended, also to a name that has a dot. The folder must exist.
    """
    png, svg = Path(f"{path}.png"), Path(f"{path}.svg")
    with without_warnings():
        fig.savefig(png, dpi=200, bbox_inches="tight", pad_inches=0.08)
    svg.write_text('<?xml version="1.0" encoding="utf-8"?>\n' + to_svg(fig), encoding="utf-8")
    return [png, svg]


def saved_svg(svg: Path) -> str:
    """Return the figure of a file that `save` wrote as an <svg> element: drawing it again would take as long."""
    return svg.read_text(encoding="utf-8").partition("\n")[2]


@mpl.rc_context(STYLE)
def to_svg(fig: Figure) -> str:
    """Return a figure as an <svg> element to embed in HTML: reproducible, and safe beside other figures.

    matplotlib gives the elements of all figures the same ids (axes_1, glyphs) and adds a style rule for the whole page;
    here ids and rule are made specific to this figure by a hash of its content.
    """
    buffer = io.StringIO()
    no_metadata = dict.fromkeys(["Date", "Creator", "Format", "Type"])
    with without_warnings():
        fig.savefig(buffer, format="svg", dpi=150, bbox_inches="tight", pad_inches=0.08, metadata=no_metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    name = "f" + hashlib.sha256(svg.encode()).hexdigest()[:10]
    svg = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    return svg.replace("*{stroke", f"#{name} *{{stroke").replace("<svg ", f'<svg id="{name}" ', 1)


def models_in_order(frame: pd.DataFrame, order: Sequence[str]) -> list[str]:
    """Return the models of a table in a given order; models that `order` lacks come last, by name."""
    present = set(frame["model"])
    return [model for model in order if model in present] + sorted(present - set(order))


def model_colour(model: str) -> str:
    """Return the colour that a model has in every figure: a fixed one, or one chosen by the hash of its name."""
    index = int(hashlib.sha256(model.encode()).hexdigest(), 16) % len(_OTHERS)
    return MODEL_COLOURS.get(model, _OTHERS[index])


def rows_where(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Return the rows whose columns have the given values."""
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


def head(fig: Figure, title: str, simulated: bool) -> None:
    """Write the title of a figure, and a red badge beside it where the data are simulated."""
    fig.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    if simulated:
        box = {"boxstyle": "round,pad=0.35", "facecolor": "#B3261E", "edgecolor": "none"}
        y = 1 - 0.16 / fig.get_figheight()  # 0.16 inch below the edge, beside the title
        fig.text(0.99, y, SIMULATED, ha="right", va="center", weight="bold", color="white", bbox=box)


@mpl.rc_context(STYLE)
def text_only(text: str) -> Figure:
    """Return a figure that says in a sentence why there is nothing to draw."""
    fig = Figure((5.4, 0.8))
    fig.text(0.02, 0.5, text, va="center")
    return fig
