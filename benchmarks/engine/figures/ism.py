"""Draw in-silico mutagenesis as sequence logos: one track per model, letters as high as the effect of mutating them.

Source: Rafi et al. 2024, Extended Data Fig. 8 (wild type beside mutant, the mutated base grey, sites boxed). Drawn with
logomaker (Tareen and Kinney 2020).
"""

from collections.abc import Collection, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from benchmarks.engine.figures.style import GREY, INK, STYLE, head

LETTER_COLOURS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00", "N": GREY}
_INCHES_PER_BASE = 0.085
_CODE_LETTERS = "AGCTN"


def track(
    ax: Axes,
    codes: np.ndarray,
    scores: np.ndarray,
    *,
    first: int = 1,
    grey: Collection[int] = (),
    sites: Sequence[tuple[int, int, str]] = (),
) -> None:
    """Draw one sequence as letters of the given heights.

    Parameters
    ----------
    codes
        (L,) uint8, integer-encoded sequence.
    scores
        (L,) signed heights; NaN draws nothing. With minus the position score, activating bases point upwards.
    first
        Position of the first letter, counted from 1; ticks, `grey` and `sites` use the same numbers.
    grey
        Positions of bases to draw grey on a grey background, such as mutated ones.
    sites
        First position, last position and label of stretches to box.
    """
    import logomaker  # it imports pyplot, which is slow

    at = np.arange(first, first + len(codes))
    heights = np.zeros((len(codes), 4))
    known = (codes < 4) & np.isfinite(scores)
    heights[known, codes[known]] = scores[known]
    table = pd.DataFrame(heights, index=at, columns=list(_CODE_LETTERS[:4]))
    logo = logomaker.Logo(table, ax=ax, color_scheme=LETTER_COLOURS, font_name="DejaVu Sans", baseline_width=0.4)
    for mutated in grey:
        ax.axvspan(mutated - 0.5, mutated + 0.5, color="#DDDDDD", lw=0, zorder=-2)
        if known[mutated - first]:
            logo.style_single_glyph(mutated, _CODE_LETTERS[codes[mutated - first]], color=GREY)
    low, high = min(0.0, np.nanmin(scores, initial=0.0)), max(0.0, np.nanmax(scores, initial=0.0))
    room = 0.06 * ((high - low) or 1.0)
    ax.set_ylim(low - room, high + room)
    for start, stop, label in sites:
        box = (start - 0.5, low - room / 2), stop - start + 1, high - low + room
        ax.add_patch(Rectangle(*box, fill=False, edgecolor=INK, lw=0.8, clip_on=False))
        ax.annotate(label, ((start + stop) / 2, high + room), ha="center", va="bottom", fontsize=7, color=INK)
    ax.set_xlim(first - 0.6, at[-1] + 0.6)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.spines[["top", "right"]].set_visible(False)


def motif_logo(ax: Axes, probabilities: np.ndarray) -> None:
    """Draw a motif as letters as high as their share of the information, 2 bits at most, without axes.

    `probabilities` is (width, 4) in the order A, G, C, T; rows add up to 1.
    """
    import logomaker

    known = np.where(probabilities > 0, probabilities, 1.0)  # 0 log 0 is 0
    bits = 2 + (probabilities * np.log2(known)).sum(axis=1, keepdims=True)
    table = pd.DataFrame(probabilities * bits, columns=list(_CODE_LETTERS[:4]))
    logomaker.Logo(table, ax=ax, color_scheme=LETTER_COLOURS, font_name="DejaVu Sans", show_spines=False)
    ax.set_ylim(0, 2)
    ax.set_axis_off()


@mpl.rc_context(STYLE)
def tracks(
    codes: np.ndarray,
    scores: dict[str, np.ndarray],
    *,
    title: str,
    first: int = 1,
    sites: Sequence[tuple[int, int, str]] = (),
    simulated: bool = False,
) -> Figure:
    """Draw one sequence (L,) once per model, below each other; `scores` is label -> (L,) heights."""
    fig = Figure((max(6.0, 1.2 + _INCHES_PER_BASE * len(codes)), 0.9 + 1.15 * len(scores)), layout="constrained")
    axes = fig.subplots(len(scores), 1, squeeze=False, sharex=True)[:, 0]
    for ax, (label, heights) in zip(axes, scores.items(), strict=True):
        track(ax, codes, heights, first=first, sites=sites)
        ax.set_title(label, loc="left", fontsize=8)
        ax.set_ylabel("− mean change", fontsize=7)
        ax.tick_params(labelsize=7)
    axes[-1].set_xlabel("position in the sequence as given")
    head(fig, title, simulated)
    return fig
