"""Draw diagrams: boxes with text, and arrows between them, on axes whose unit is an inch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from benchmarks.engine.figures.style import INK

LINE_IN, PAD_IN = 0.135, 0.07
"""Height of a line of text and the room above and below it in a box, inches."""
_TITLE_PT, _TEXT_PT = 7.0, 6.3


@dataclass(frozen=True)
class Box:
    """A box: a bold title, lines of text below it, and the colour of its edge."""

    title: str
    lines: Sequence[str] = ()
    colour: str = INK

    @property
    def height(self) -> float:
        """Height of the box in inches."""
        return LINE_IN * (len(self.lines) + bool(self.title)) + 2 * PAD_IN


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of some inches, and axes that cover it: x to the right, y downwards, in inches."""
    fig = Figure((width, height))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    return fig, ax


def draw_box(ax: Axes, box: Box, x: float, y: float, width: float, *, height: float | None = None) -> float:
    """Draw a box with its upper left corner at (x, y); return the y of its lower edge."""
    height = height or box.height
    look: dict[str, Any] = {
        "boxstyle": "round,pad=0,rounding_size=0.05",
        "fc": box.colour + "1A",
        "ec": box.colour,
        "lw": 0.9,
    }
    ax.add_patch(FancyBboxPatch((x, y), width, height, **look))
    at = y + (height - box.height) / 2 + PAD_IN + LINE_IN / 2
    if box.title:
        ax.text(x + width / 2, at, box.title, size=_TITLE_PT, weight="bold", ha="center", va="center")
        at += LINE_IN
    for line in box.lines:
        ax.text(x + width / 2, at, line, size=_TEXT_PT, ha="center", va="center")
        at += LINE_IN
    return y + height


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = INK) -> None:
    """Draw an arrow from one point to another."""
    look = {"arrowstyle": "-|>", "lw": 0.8, "color": colour, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7}
    ax.annotate("", end, start, arrowprops=look)


def chain(ax: Axes, boxes: Sequence[Box], x: float, y: float, width: float, gap: float = 0.13) -> float:
    """Draw boxes below each other with arrows between them; return the y of the last one's lower edge."""
    for i, box in enumerate(boxes):
        if i:
            arrow(ax, (x + width / 2, y), (x + width / 2, y + gap))
            y += gap
        y = draw_box(ax, box, x, y, width)
    return y


def letter(ax: Axes, text: str, x: float, y: float, title: str) -> None:
    """Write the letter of a part of a figure with its title; (x, y) is the left end of the line."""
    ax.text(x, y, f"{text}  {title}", size=8.5, weight="bold", va="center")
