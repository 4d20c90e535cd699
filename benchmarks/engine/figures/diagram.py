"""Boxes, arrows and words of schematics, placed in millimetres from the top left corner of a figure."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.text import Text

from benchmarks.engine.figures.style import GREY, INK, head

WIDTH_MM = 175.5
"""Width of a figure over two columns of a journal (180 mm), without the margin that saving it adds."""
TEXT = 5.5
_MM_PER_INCH = 25.4
_MM_PER_POINT = _MM_PER_INCH / 72
_CAPITAL = 0.73  # height of a capital letter of DejaVu Sans, in font sizes

Point = tuple[float, float]


def canvas(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """Return a figure of a size in mm with a title, and an axes over all of it in mm, y downward."""
    fig = Figure((width / _MM_PER_INCH, height / _MM_PER_INCH))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    head(fig, title, simulated=False)
    return fig, ax


def tint(colour: str, share: float = 0.2) -> tuple[float, float, float]:
    """Mix a colour with white: the share of it that stays."""
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(colour))
    return red, green, blue


def frame(ax: Axes, x: float, y: float, width: float, height: float, *, colour: str = GREY, share: float = 0.1) -> None:
    """Draw a tinted area behind what belongs together."""
    area = _rounded(x, y, width, height, fc=tint(colour, share), ec="none", radius=1.5)
    area.set_zorder(0.5)
    ax.add_patch(area)


def box(
    ax: Axes, x: float, y: float, width: float, height: float, text: str = "", *, colour: str = GREY, **look: Any
) -> None:
    """Draw a box with words in its middle, white if it is grey; `look` is that of the words."""
    face = tint(colour, 0.0 if colour == GREY else 0.2)
    ax.add_patch(_rounded(x, y, width, height, fc=face, ec=colour, radius=0.7))
    if text:
        words(ax, x + width / 2, y + height / 2, text, ha="center", **look)


def words(ax: Axes, x: float, y: float, text: str, *, size: float = TEXT, **look: Any) -> Text:
    """Write words around y: the capitals of a single line, or the whole of several, have their middle there."""
    if "\n" not in text:
        y, look = y + _CAPITAL / 2 * size * _MM_PER_POINT, {"va": "baseline"} | look
    keywords: dict[str, Any] = {"size": size, "va": "center", "color": "black", "linespacing": 1.25} | look
    return ax.text(x, y, text, **keywords)


def arrow(ax: Axes, *points: Point, colour: str = INK, width: float = 0.7) -> None:
    """Draw an arrow through some points; the head is at the last."""
    if len(points) > 2:
        ax.plot(
            *zip(*points[:-1], strict=True), color=colour, lw=width, solid_capstyle="round", solid_joinstyle="round"
        )
    ax.add_patch(
        FancyArrowPatch(
            points[-2], points[-1], arrowstyle="-|>,head_length=1.8,head_width=1", mutation_scale=1, lw=width,
            color=colour, shrinkA=0, shrinkB=0, joinstyle="miter",
        )
    )  # fmt: skip


def joint(ax: Axes, x: float, y: float, symbol: str, radius: float = 1.4) -> None:
    """Draw a circle in which streams meet: "+" adds them, "×" multiplies them."""
    ax.add_patch(Circle((x, y), radius, fc="white", ec=INK, lw=0.7))
    arm = 0.62 * radius
    arms = [((-arm, 0), (arm, 0)), ((0, -arm), (0, arm))]
    if symbol == "×":
        arms = [((-arm / 1.4, -arm / 1.4), (arm / 1.4, arm / 1.4)), ((-arm / 1.4, arm / 1.4), (arm / 1.4, -arm / 1.4))]
    for (left, up), (right, down) in arms:
        ax.plot((x + left, x + right), (y + up, y + down), color=INK, lw=0.7)


def chain(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    texts: Sequence[str],
    *,
    gap: float,
    colour: str,
    **look: Any,
) -> float:
    """Draw boxes below each other with arrows between them; return where the last one ends."""
    for i, text in enumerate(texts):
        if i:
            arrow(ax, (x + width / 2, y - gap), (x + width / 2, y))
        box(ax, x, y, width, height, text, colour=colour, **look)
        y += height + gap
    return y - gap


def _rounded(x: float, y: float, width: float, height: float, *, fc: Any, ec: Any, radius: float) -> FancyBboxPatch:
    radius = min(radius, width / 2, height / 2)
    style = f"round,pad=0,rounding_size={radius}"
    return FancyBboxPatch((x, y), width, height, boxstyle=style, fc=fc, ec=ec, lw=0.6)
