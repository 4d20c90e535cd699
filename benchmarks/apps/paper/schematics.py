"""Fig. 1a and 2a: the course of the challenge, and how Prix Fixe takes solutions apart and puts them together anew.

Source: Rafi et al. 2024, Fig. 1a and 2a and Methods.
"""

import textwrap
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle, Wedge

from benchmarks import registry
from benchmarks.api.prix_fixe import PARTS, TEAM_TITLES
from benchmarks.apps.paper.figure_data import FigureData, RenderedPanel
from benchmarks.engine.figures import diagram, style
from benchmarks.engine.figures.prixfixe_grid import PART_TITLES

CHALLENGE = {
    "training_sequences": 6_739_258,
    "random_bp": 80,
    "weeks": 12,
    "board_open_from_week": 6,
    "submissions_per_week": 20,
    "leaderboard_percent_of_test_data": 13,
    "final_percent_of_test_data": 87,
    "test_sequences": 71_103,
}
"""The numbers of the challenge that Fig. 1a shows."""
SUBSETS = (
    "high", "low", "native", "random", "challenging", "SNVs", "motif perturbation", "motif tiling",
)  # fmt: skip
"""The eight types of test sequences."""
MODELS = ("dream_cnn", "dream_rnn", "dream_attn")
MODULES = {
    "autosome": ("soft classes,\none-cycle", "convolution", "bottleneck\nconvolutions", "18 classes"),
    "bhi": ("loss of both\nstrands", "convolutions\nside by side", "LSTM and\nconvolutions", "dense layers"),
    "unlockdna": ("masked bases\nas a target", "patches of\nbases", "attention", "expression\nand bases"),
}
"""Team -> what each of its parts is, in the order of `PARTS`."""

_BLUE, _ORANGE, _GREEN, _PINK, _SKY, _RED = style.PALETTE
_BASES = dict(zip("ACGT", (_GREEN, _BLUE, _ORANGE, _RED), strict=True))
_ARROWS = {
    "high": (_RED, [(4.25, 1.6)]),
    "low": (_BLUE, [(4.25, -1.6)]),
    "challenging": (_PINK, [(2.6, 1.6), (5.9, -1.6)]),
}
"""Type of test sequences -> colour of its promoter; where arrows cross it, and from how far below (-: above) it."""
_HEIGHT = 70.0
_TOP, _BOTTOM = 8.5, 68.0


@mpl.rc_context(style.STYLE)
def challenge(data: FigureData) -> RenderedPanel:
    """Draw the course of the challenge: training data, leaderboard phase, final phase (1a)."""
    fig, ax = diagram.canvas(diagram.WIDTH_MM, _HEIGHT, "The challenge")
    _training(ax, 1.0, 49.0)
    diagram.arrow(ax, (51.0, 39.0), (56.0, 39.0), width=1.4)
    _leaderboard(ax, 57.0, 52.0)
    diagram.arrow(ax, (110.0, 39.0), (115.0, 39.0), width=1.4)
    _final(ax, 116.0, 59.0)
    facts = pd.DataFrame(
        [{"fact": name, "value": value} for name, value in CHALLENGE.items()]
        + [{"fact": "test_type", "value": name} for name in SUBSETS]
    )
    text = (
        "The course of the challenge. Teams are given random promoters with their expression; in the leaderboard phase "
        f"predictions are scored on {CHALLENGE['leaderboard_percent_of_test_data']} % of the test data, at the end on "
        "the rest. The sequences shown are made up."
    )
    return RenderedPanel(fig, facts, text, False)


def _part(ax: Axes, x: float, width: float, title: str, below: str, colour: str) -> None:
    diagram.frame(ax, x, _TOP, width, _BOTTOM - _TOP, colour=colour, share=0.12)
    diagram.words(ax, x + 3, _TOP + 4, title, size=7.5, weight="bold")
    diagram.words(ax, x + 3, _TOP + 8, below, color=style.INK)


def _training(ax: Axes, x: float, width: float) -> None:
    _part(ax, x, width, "Training data", f"{CHALLENGE['training_sequences']:,} random promoters", _SKY)
    left, right, row, y = x + 3, x + width - 3, 4.2, _TOP + 12.0
    ax.add_patch(Rectangle((left, y), right - left, 6 * row, fc="white", ec=style.GREY, lw=0.6))
    diagram.words(ax, left + 1.5, y + row / 2, "promoter", weight="bold")
    diagram.words(ax, right - 1.5, y + row / 2, "expression", ha="right", weight="bold")
    ax.plot((left, right), (y + row, y + row), color=style.GREY, lw=0.6)
    rng = np.random.default_rng(1)
    for i, expression in enumerate((11.3, 4.0, 13.7, 9.2), start=1):
        _sequence(ax, left + 1.5, y + (i + 0.5) * row, 27.0, rng.choice(list("ACGT"), 15))
        diagram.words(ax, right - 1.5, y + (i + 0.5) * row, f"{expression}", ha="right")
    for at in (left + 1.5 + 13.5, right - 4.0):
        diagram.words(ax, at, y + 5.45 * row, "⋮", ha="center", size=7)
    given = y + 6 * row
    diagram.words(ax, left, given + 3, f"{CHALLENGE['random_bp']} random bp in a fixed context", color=style.INK)
    middle = x + width / 2
    diagram.arrow(ax, (middle, given + 5.5), (middle, given + 10), width=1.0)
    diagram.words(ax, middle + 2, given + 7.7, "given to")
    for i, colour in enumerate((_BLUE, _ORANGE, _GREEN, _PINK, _RED)):
        _person(ax, middle + 6.0 * (i - 2), given + 12.5, colour)
    diagram.words(ax, middle, given + 18, "teams", ha="center")


def _leaderboard(ax: Axes, x: float, width: float) -> None:
    n, first = CHALLENGE["weeks"], CHALLENGE["board_open_from_week"]
    _part(ax, x, width, "Leaderboard phase", f"{n} weeks", _ORANGE)
    step, y = (width - 6) / n, _TOP + 21.0
    for week in range(1, n + 1):
        is_open = week >= first
        left = x + 3 + (week - 1) * step
        face = diagram.tint(_ORANGE, 0.75) if is_open else "white"
        ax.add_patch(Rectangle((left, y), step, 5.0, fc=face, ec=style.INK, lw=0.6))
        diagram.words(ax, left + step / 2, y + 2.5, f"{week}", ha="center")
    opened = x + 3 + (first - 1) * step
    diagram.words(ax, opened, _TOP + 14.5, f"board open from week {first}")
    diagram.arrow(ax, (opened + 0.4, _TOP + 16.5), (opened + 0.4, y))
    diagram.words(ax, x + 3, y + 7.5, "week", color=style.INK)
    y += 17
    for i in range(3):
        ax.add_patch(Rectangle((x + 4 + 0.8 * i, y - 2.2 - 0.8 * i), 4, 5, fc="white", ec=style.INK, lw=0.6))
    for i in range(3):
        ax.plot((x + 6.4, x + 8.8), (y - 2.6 + 1.3 * i,) * 2, color=style.GREY, lw=0.6)
    text = f"at most {CHALLENGE['submissions_per_week']} submissions\na week"
    diagram.words(ax, x + 13, y, text)
    _share(ax, x, width, 0, CHALLENGE["leaderboard_percent_of_test_data"], _ORANGE)


def _final(ax: Axes, x: float, width: float) -> None:
    below = f"{len(SUBSETS)} types of test sequences, {CHALLENGE['test_sequences']:,} in all"
    _part(ax, x, width, "Final phase", below, _GREEN)
    for i, name in enumerate(SUBSETS):
        column, row = divmod(i, 4)
        _test_type(ax, x + 3 + column * 25.0, _TOP + 14.5 + 8.0 * row, name)
    first = CHALLENGE["leaderboard_percent_of_test_data"]
    _share(ax, x, width, first, first + CHALLENGE["final_percent_of_test_data"], _GREEN)


def _share(ax: Axes, x: float, width: float, start: float, end: float, colour: str) -> None:
    """Draw a bar of all test data in which the share of a phase is filled."""
    left, length, y, height = x + 3, width - 6, _BOTTOM - 8.0, 4.5
    diagram.words(ax, left, y - 2.5, f"{end - start} % of the test data", weight="bold")
    ax.add_patch(Rectangle((left, y), length, height, fc="white", ec="none"))
    ax.add_patch(
        Rectangle((left + start / 100 * length, y), (end - start) / 100 * length, height, fc=colour, ec="none")
    )
    ax.add_patch(Rectangle((left, y), length, height, fc="none", ec=style.INK, lw=0.6))


def _sequence(ax: Axes, x: float, y: float, width: float, bases: list[str] | np.ndarray) -> None:
    """Write bases in their colours, evenly over a width."""
    step = width / len(bases)
    for i, base in enumerate(bases):
        diagram.words(ax, x + (i + 0.5) * step, y, str(base), ha="center", color=_BASES[str(base)], weight="bold")


def _person(ax: Axes, x: float, y: float, colour: str) -> None:
    ax.add_patch(Circle((x, y), 0.9, fc=colour, ec="none"))
    ax.add_patch(Wedge((x, y + 3.0), 1.7, 180, 360, fc=colour, ec="none"))


def _test_type(ax: Axes, x: float, y: float, name: str) -> None:
    """Draw a type of test sequences as one or two promoters, with what is special about them, and its name."""
    width, height = 8.5, 1.5
    pair = name in ("SNVs", "motif perturbation", "motif tiling")
    tops = (y - 0.4 - height, y + 0.4) if pair else (y - height / 2,)
    for top in tops:
        ax.add_patch(Rectangle((x, top), width, height, fc="white", ec=style.INK, lw=0.6))
    marks = {"motif perturbation": (_BLUE, 2.4, (3.0, 3.0)), "motif tiling": (_BLUE, 2.4, (1.2, 4.6))}
    if name == "SNVs":
        for top, colour in zip(tops, (_BLUE, _RED), strict=True):
            ax.add_patch(Rectangle((x + 4, top), 0.8, height, fc=colour, ec="none"))
    elif name in marks:
        colour, length, starts = marks[name]
        for i, (top, start) in enumerate(zip(tops, starts, strict=True)):
            changed = name == "motif perturbation" and i == 1
            face = diagram.tint(_RED, 0.9) if changed else colour
            ax.add_patch(Rectangle((x + start, top), length, height, fc=face, ec="none"))
    elif name in _ARROWS:
        colour, ends = _ARROWS[name]
        ax.add_patch(Rectangle((x, y - height / 2), width, height, fc=diagram.tint(colour, 0.35), ec="none"))
        for at, start in ends:
            diagram.arrow(ax, (x + at, y + start), (x + at, y - start), width=0.9)
    elif name == "native":
        for start, colour in ((1.0, _GREEN), (3.4, _ORANGE), (5.6, _GREEN)):
            ax.add_patch(Rectangle((x + start, y - height / 2), 1.6, height, fc=colour, ec="none"))
    else:
        rng = np.random.default_rng(3)
        for i, base in enumerate(rng.choice(list("ACGT"), 10)):
            ax.add_patch(Rectangle((x + 0.85 * i, y - height / 2), 0.85, height, fc=_BASES[str(base)], ec="none"))
    diagram.words(ax, x + width + 1.8, y, name)


@mpl.rc_context(style.STYLE)
def prix_fixe(data: FigureData) -> RenderedPanel:
    """Draw how the winners' solutions are taken apart into modules and put together anew (2a)."""
    models = {module.NAME: module.COMBINATION for module in map(registry.get_model, MODELS)}
    n_teams, n_parts = len(TEAM_TITLES), len(PARTS)
    fig, ax = diagram.canvas(diagram.WIDTH_MM, 77.0, "Prix Fixe")
    top, height = 22.5, 10.5
    colours = dict(zip(TEAM_TITLES, style.PALETTE, strict=False))
    for x, title in ((23.0, "Solutions"), (83.0, "taken apart"), (123.0, "and put together anew")):
        diagram.words(ax, x, 12.5, title, size=7.5, weight="bold")
    for row, part in enumerate(PARTS):
        diagram.words(ax, 2.0, top + (row + 0.5) * height, textwrap.fill(PART_TITLES[part], 14))
    for column, (team, title) in enumerate(TEAM_TITLES.items()):
        texts = MODULES[team]
        _solution(ax, 23.0 + 17.0 * column, top, 15.0, height, title, texts, [colours[team]] * n_parts)
    for row in range(n_parts):
        y = top + row * height
        diagram.frame(ax, 83.0, y + 0.75, 29.5, height - 1.5, share=0.15)
        for column, team in enumerate(TEAM_TITLES):
            diagram.box(ax, 84.25 + 9.25 * column, y + 2.0, 8.5, height - 4.0, colour=colours[team])
    product = " × ".join([str(n_teams)] * n_parts)
    diagram.words(ax, 97.75, top + n_parts * height + 4.0, f"{product}\n= {n_teams**n_parts} combinations", ha="center")
    for column, (name, combination) in enumerate(models.items()):
        teams = [getattr(combination, part) for part in PARTS]
        texts = [TEAM_TITLES[team] for team in teams]
        _solution(ax, 123.0 + 17.5 * column, top, 16.0, height, name, texts, [colours[team] for team in teams])
    middle = top + n_parts * height / 2
    diagram.arrow(ax, (74.0, middle), (80.5, middle), width=1.4)
    diagram.arrow(ax, (114.5, middle), (121.0, middle), width=1.4)
    numbers = pd.DataFrame([{"model": name} | {part: getattr(combination, part) for part in PARTS}
                            for name, combination in models.items()])  # fmt: skip
    text = (
        "Each of the three winning solutions is taken apart into data processor with trainer, first, core and final "
        "layers block; modules of all teams (colours) are put together anew. Right: the combinations that became the "
        "DREAM models."
    )
    return RenderedPanel(fig, numbers, text, False)


def _solution(
    ax: Axes, x: float, y: float, width: float, height: float, title: str, texts: Sequence[str], colours: Sequence[str]
) -> None:
    """Draw modules on top of each other as one piece, with a title above it."""
    diagram.words(ax, x + width / 2, y - 3.0, title, ha="center", weight="bold")
    for row, (text, colour) in enumerate(zip(texts, colours, strict=True)):
        diagram.box(ax, x, y + row * height, width, height, text, colour=colour, size=5)
