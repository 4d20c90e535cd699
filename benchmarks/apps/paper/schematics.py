"""Fig. 1a and 2a: how the challenge went, and how the winning solutions are taken apart and put together anew.

Source: Rafi et al. 2024, Fig. 1a and 2a and their legends. Nothing here is measured by this software.
"""

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.api.prix_fixe import PARTS, TEAM_TITLES
from benchmarks.apps.paper.figure_data import FigureData, RenderedPanel
from benchmarks.engine.figures import diagrams, style
from benchmarks.engine.figures.diagrams import Box
from benchmarks.engine.figures.prixfixe_grid import PART_TITLES

N_WEEKS, OPEN_FROM_WEEK, PER_WEEK = 12, 6, 20
PUBLIC_PERCENT, FINAL_PERCENT = 13, 87
TYPES = ("high", "low", "native", "random", "challenging", "SNVs", "motif perturbation", "motif tiling")
_TRAINING, _BOARD, _FINAL = style.PALETTE[0], style.PALETTE[1], style.PALETTE[2]
_PROMOTERS = (("CTTACGGA … GCAATTCG", "11.2"), ("GGATAACC … TTGCCAAT", "7.0"), ("ACCATGTA … CGGTTAGC", "13.6"))
"""Sequences and values that stand for the training table; they are not of the data."""


def challenge(data: FigureData) -> RenderedPanel:
    """Draw the phases of the challenge: training data, leaderboard, final test (1a)."""
    numbers = pd.DataFrame(
        [
            {"phase": "leaderboard", "fact": "weeks", "value": N_WEEKS},
            {"phase": "leaderboard", "fact": "board open from week", "value": OPEN_FROM_WEEK},
            {"phase": "leaderboard", "fact": "submissions a week at most", "value": PER_WEEK},
            {"phase": "leaderboard", "fact": "percent of the test data", "value": PUBLIC_PERCENT},
            {"phase": "final", "fact": "percent of the test data", "value": FINAL_PERCENT},
            {"phase": "final", "fact": "types of test sequences", "value": len(TYPES)},
        ]
    )
    text = (
        "The challenge: teams got random promoters with their expression, could send predictions to a public "
        "leaderboard, and were ranked on the rest of a test set of eight types of sequences. Sequences and values of "
        "the table are made up."
    )
    return RenderedPanel(_draw_challenge(), numbers, text, False)


@mpl.rc_context(style.STYLE)
def _draw_challenge() -> Figure:
    fig, ax = diagrams.canvas(9.6, 3.05)
    lefts, wide, top = (0.15, 3.4, 6.65), 2.75, 0.75
    for letter, left, title in zip("123", lefts, ("Training", "Leaderboard phase", "Final phase"), strict=True):
        diagrams.letter(ax, letter, left, 0.55, title)
    _training_table(ax, lefts[0], top, wide)
    board = [
        Box("predictions for the test sequences", ("of which expression is withheld",), style.INK),
        Box(
            "public leaderboard",
            (f"{PUBLIC_PERCENT} % of the test data", f"at most {PER_WEEK} submissions a week"),
            _BOARD,
        ),
    ]
    bottom = diagrams.chain(ax, board, lefts[1], top, wide)
    _weeks(ax, lefts[1], bottom + 0.25, wide)
    final = Box(
        "private test data",
        (f"{FINAL_PERCENT} % of the test data", "one final submission a team", "ranked by two scores"),
        _FINAL,
    )
    bottom = diagrams.draw_box(ax, final, lefts[2], top, wide)
    for i, name in enumerate(TYPES):
        x, y = lefts[2] + (i % 2) * (wide / 2), bottom + 0.13 + (i // 2) * 0.3
        diagrams.draw_box(ax, Box("", (name,), _FINAL), x + 0.04 * (i % 2), y, wide / 2 - 0.04, height=0.25)
    for left in lefts[1:]:
        diagrams.arrow(ax, (left - 0.42, top + 0.4), (left - 0.06, top + 0.4))
    style.head(fig, "The Random Promoter DREAM Challenge", False)
    return fig


def _training_table(ax: Axes, left: float, top: float, wide: float) -> None:
    lines = [f"{sequence}     {value:>5}" for sequence, value in _PROMOTERS]
    table = Box("random promoter (80 bp)   expression", (*lines, "…"), _TRAINING)
    model = Box("a team's model", ("trained on these sequences alone",), _TRAINING)
    diagrams.chain(ax, [table, model], left, top, wide, gap=0.2)


def _weeks(ax: Axes, left: float, top: float, wide: float) -> None:
    """Draw the weeks as cells; those in which the board is open are filled."""
    step = wide / N_WEEKS
    for week in range(1, N_WEEKS + 1):
        is_open = week >= OPEN_FROM_WEEK
        cell = mpl.patches.Rectangle(
            (left + (week - 1) * step, top), step, 0.22, fc=_BOARD + "55" if is_open else "white", ec=style.INK, lw=0.6
        )
        ax.add_patch(cell)
        ax.text(left + (week - 0.5) * step, top + 0.11, str(week), size=6.3, ha="center", va="center")
    text = f"weeks; the leaderboard is open from week {OPEN_FROM_WEEK}"
    ax.text(left + wide / 2, top + 0.36, text, size=6.3, ha="center", va="center")


def recombination(data: FigureData) -> RenderedPanel:
    """Draw how three solutions are taken apart into four modules and put together anew (2a)."""
    n = len(TEAM_TITLES) ** len(PARTS)
    numbers = pd.DataFrame(
        [{"team": team, "module": PART_TITLES[part]} for team in TEAM_TITLES.values() for part in PARTS]
    )
    text = (
        "Each team's solution is taken apart into data processor with trainer, first, core and final layers block; any "
        f"choice of one module of each kind is a new solution ({n} choices, of which those that fit are trained)."
    )
    return RenderedPanel(_draw_recombination(n), numbers, text, False)


@mpl.rc_context(style.STYLE)
def _draw_recombination(n: int) -> Figure:
    teams = list(TEAM_TITLES.values())
    colours = dict(zip(teams, style.PALETTE, strict=False))
    wide, gap, left, top = 1.75, 0.16, 1.25, 0.85
    height = 0.42
    fig, ax = diagrams.canvas(left + len(PARTS) * (wide + gap) + 0.1, top + 4 * (height + 0.16) + 0.95)
    for j, part in enumerate(PARTS):
        x = left + j * (wide + gap)
        ax.text(x + wide / 2, top - 0.12, PART_TITLES[part], size=7.5, weight="bold", ha="center", va="center")
    for i, team in enumerate(teams):
        y = top + i * (height + 0.12)
        ax.text(left - 0.12, y + height / 2, team, size=8, weight="bold", ha="right", va="center", color=colours[team])
        for j in range(len(PARTS)):
            x = left + j * (wide + gap)
            diagrams.draw_box(ax, Box("", (f"{team}",), colours[team]), x, y, wide, height=height)
            if j:
                ax.plot([x - gap, x], [y + height / 2] * 2, color=colours[team], lw=1)
    y = top + len(teams) * (height + 0.12) + 0.5
    for j in range(len(PARTS)):
        middle = left + j * (wide + gap) + wide / 2
        diagrams.arrow(ax, (middle, y - 0.5), (middle, y - 0.06))
    chosen = (teams[0], teams[1], teams[2], teams[0])
    ax.text(left - 0.12, y + height / 2, "a new one", size=8, weight="bold", ha="right", va="center")
    for j, team in enumerate(chosen):
        x = left + j * (wide + gap)
        diagrams.draw_box(ax, Box("", (team,), colours[team]), x, y, wide, height=height)
        if j:
            diagrams.arrow(ax, (x - gap, y + height / 2), (x, y + height / 2))
    text = f"one module of each kind: {len(teams)} × {len(teams)} × {len(teams)} × {len(teams)} = {n} choices"
    ax.text(left, y + height + 0.22, text, size=7.5, va="center")
    style.head(fig, "Prix Fixe: solutions taken apart and put together anew", False)
    return fig
