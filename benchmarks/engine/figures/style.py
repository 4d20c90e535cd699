"""What all figures share: colours, labels, sizes, and how a figure is saved."""

import contextlib
import hashlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")


GREY = "#8C8C8C"


MODEL_COLOURS = {
    "dream_rnn": "#0072B2", "dream_cnn": "#E69F00", "dream_attn": "#009E73",
    "dream_rnn_keras": "#0072B2", "dream_cnn_keras": "#E69F00",  # the same networks, elsewhere
    "mprann": "#CC79A7", "deepstarr": "#D55E00", "chrombpnet": "#56B4E9", "vaishnav": "#222222",
    "bpnet": "#F0E442", "bpnet_bias": "#B8B8B8", "kmer_ridge": GREY,
    "originals.autosome": "#BF8400", "originals.bhi": "#6699CC", "originals.unlockdna": "#117733",
}  # fmt: skip


_OTHERS = ("#332288", "#88CCEE", "#44AA99", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499")
"""Tol's muted colours, for models that are not ours."""


SIMULATED = "SIMULATED DATA"


# DejaVu Sans comes with matplotlib, and text is drawn as outlines: every machine shows the same figure.
STYLE = {
    "font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 10, "axes.spines.top": False,
    "axes.spines.right": False, "svg.fonttype": "path", "svg.hashsalt": "benchmarks",
    "text.parse_math": False,  # a name with dollar signs is a name
}  # fmt: skip


INK = "#444444"


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Draw names as they are: a letter that the font lacks is a box, and a very long name takes the room there is."""
    with warnings.catch_warnings():
        for message in ("Glyph .* missing from", "constrained_layout not applied", "Tight layout not applied"):
            warnings.filterwarnings("ignore", message)
        yield


@mpl.rc_context(STYLE)
def save(fig: Figure, path: Path | str) -> list[Path]:
    """Write `path` + ".png" (200 dpi) and `path` + ".svg", and return both paths.

    Source: none. A dot in the name stays: nothing is taken for a suffix. The folder must exist.
    """
    png, svg = Path(f"{path}.png"), Path(f"{path}.svg")
    with _without_warnings():
        fig.savefig(png, dpi=200, bbox_inches="tight", pad_inches=0.08)
    svg.write_text('<?xml version="1.0" encoding="utf-8"?>\n' + to_svg(fig), encoding="utf-8")
    return [png, svg]


@mpl.rc_context(STYLE)
def to_svg(fig: Figure) -> str:
    """Return a figure as an <svg> element to embed in HTML: repeatable, and safe beside others.

    Source: none. matplotlib gives the parts of all figures the same ids (axes_1, glyphs) and adds a style
    rule
    for the whole page; here the ids and the rule are tied to this figure by a hash of its content.
    """
    buffer = io.StringIO()
    nobody = dict.fromkeys(["Date", "Creator", "Format", "Type"])
    with _without_warnings():
        fig.savefig(buffer, format="svg", dpi=150, bbox_inches="tight", pad_inches=0.08, metadata=nobody)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    name = "f" + hashlib.sha256(svg.encode()).hexdigest()[:10]
    svg = re.sub(r'(\sid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    return svg.replace("*{stroke", f"#{name} *{{stroke").replace("<svg ", f'<svg id="{name}" ', 1)


def _models(frame: pd.DataFrame, order: Sequence[str]) -> list[str]:
    """Return the models of a table, in the order asked for; the ones it does not name come last, by name."""
    present = set(frame["model"])
    return [model for model in order if model in present] + sorted(present - set(order))


def model_colour(model: str) -> str:
    """Return the colour that a model has in every figure: its own, or one by the hash of its name."""
    at = int(hashlib.sha256(model.encode()).hexdigest(), 16) % len(_OTHERS)
    return MODEL_COLOURS.get(model, _OTHERS[at])


def _where(frame: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    """Return the rows whose columns hold the values wanted."""
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    return frame


def head(fig: Figure, title: str, simulated: bool) -> None:
    fig.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    if simulated:
        box = {"boxstyle": "round,pad=0.35", "facecolor": "#B3261E", "edgecolor": "none"}
        y = 1 - 0.16 / fig.get_figheight()  # 0.16 inch below the edge, beside the title
        fig.text(0.99, y, SIMULATED, ha="right", va="center", weight="bold", color="white", bbox=box)


@mpl.rc_context(STYLE)
def _nothing(text: str) -> Figure:
    fig = Figure((5.4, 0.8))
    fig.text(0.02, 0.5, text, va="center")
    return fig
