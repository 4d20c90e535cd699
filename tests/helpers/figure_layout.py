"""What is wrong with the layout of a figure, by the renderer: overlaps, words that leave their box, small print."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox

MM_PER_INCH = 25.4
SAVED_MARGIN_INCH = 2 * 0.08


def faults(fig: Figure, *, max_width_mm: float, min_size: float = 5.0) -> list[str]:
    """Return what a reader would stumble over, a sentence each; an empty list for a clean figure.

    Words must not overlap each other, leave the figure or the box that they touch, be crossed by a line or an arrow,
    or be smaller than `min_size` points; the saved figure must not be wider than `max_width_mm`.
    """
    renderer = FigureCanvasAgg(fig).get_renderer()
    texts = [text for text in fig.findobj(Text) if text.get_text().strip() and text.get_visible()]
    extents = {text: text.get_window_extent(renderer) for text in texts}
    boxes = [p.get_window_extent(renderer) for p in fig.findobj(lambda a: isinstance(a, FancyBboxPatch | Rectangle))
             if p not in (fig.patch, *(ax.patch for ax in fig.axes))]  # fmt: skip
    lines = [
        _course(line) for line in fig.findobj(lambda a: isinstance(a, Line2D | FancyArrowPatch)) if _is_drawn(line)
    ]
    wrong = [f"{a.get_text()!r} overlaps {b.get_text()!r}" for a, b in combinations(texts, 2)
             if _overlap(extents[a], extents[b])]  # fmt: skip
    for text, extent in extents.items():
        name = repr(text.get_text())
        if not _inside(extent, fig.bbox):
            wrong.append(f"{name} leaves the figure")
        if any(_overlap(extent, box) and not _inside(extent, box) and not _inside(box, extent) for box in boxes):
            wrong.append(f"{name} leaves its box")
        if any(_crosses(line, extent) for line in lines):
            wrong.append(f"{name} is crossed by a line")
        if text.get_fontsize() < min_size:
            wrong.append(f"{name} is set in {text.get_fontsize()} points")
    width = (fig.get_tightbbox(renderer).width + SAVED_MARGIN_INCH) * MM_PER_INCH
    if width > max_width_mm:
        wrong.append(f"the figure is {width:.1f} mm wide")
    return wrong


def _is_drawn(line: Line2D | FancyArrowPatch) -> bool:
    return isinstance(line, FancyArrowPatch) or (line.axes is not None and not line.axes.axison)


def _course(line: Line2D | FancyArrowPatch) -> Path | Bbox:
    """Return where a line runs, in pixels; a straight arrow takes up its extent."""
    path = line.get_path()
    if isinstance(line, FancyArrowPatch):
        return path.get_extents(line.get_transform())
    return path.transformed(line.get_transform())


def _crosses(course: Path | Bbox, extent: Bbox) -> bool:
    if isinstance(course, Bbox):
        return _overlap(course, extent)
    return course.intersects_bbox(_shrunk(extent), filled=False)


def _shrunk(box: Bbox, by: float = 0.5) -> Bbox:
    return Bbox.from_extents(box.x0 + by, box.y0 + by, box.x1 - by, box.y1 - by)


def _overlap(one: Bbox, other: Bbox, tolerance: float = 0.5) -> bool:
    x = min(one.x1, other.x1) - max(one.x0, other.x0)
    y = min(one.y1, other.y1) - max(one.y0, other.y0)
    return x > tolerance and y > tolerance


def _inside(inner: Bbox, outer: Bbox, tolerance: float = 0.5) -> bool:
    return (
        inner.x0 >= outer.x0 - tolerance
        and inner.x1 <= outer.x1 + tolerance
        and inner.y0 >= outer.y0 - tolerance
        and inner.y1 <= outer.y1 + tolerance
    )
