"""Draw a grid of Prix Fixe combinations: heat map, scores by one part, and pairs of bars. DataFrames in, Figure out.

Source: Rafi et al. 2024, Fig. 2b-e. The table has a column per part of a network (processor, first, core, final).
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.engine.figures.style import INK, PALETTE, STYLE, head

_GREYS = {"incompatible": "#D9D9D9", "declined": "#D9D9D9", "not converged": "#8C8C8C", "failed": "#8C8C8C"}
_NEVER = "#FFFFFF"  # still to come


@mpl.rc_context(STYLE)
def heat_map(
    table: pd.DataFrame,
    *,
    rows: tuple[str, str],
    columns: tuple[str, str],
    order: Sequence[str],
    labels: Mapping[str, str],
    title: str,
    what: str,
    simulated: bool,
) -> Figure:
    """Draw the value of every combination as a cell; grey where there is no value (Fig. 2b).

    Parameters
    ----------
    table
        One row per combination: the four columns that `rows` and `columns` name, status, value.
    rows, columns
        Major and minor part, from top to bottom and from left to right.
    order, labels
        The teams of every part, in order, and what to call them.
    """
    n = len(order) ** 2
    values, status = _matrix(table, rows, columns, order)
    fig = Figure((1.9 + 0.62 * n, 1.9 + 0.42 * n), layout="constrained")
    ax = fig.subplots()
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    image = ax.imshow(values, cmap="viridis", vmin=low, vmax=high, aspect="auto")
    for (y, x), kind in np.ndenumerate(status):
        if np.isfinite(values[y, x]):
            dark = high > low and (values[y, x] - low) / (high - low) < 0.6
            ax.text(x, y, f"{values[y, x]:.3f}", ha="center", va="center", size=7, color="white" if dark else "black")
        else:
            ax.add_patch(mpl.patches.Rectangle((x - 0.5, y - 0.5), 1, 1, color=_GREYS.get(kind, _NEVER), lw=0))
    _team_axes(ax, [labels[team] for team in order])
    ax.set_xlabel(f"{columns[1]} (below), {columns[0]} (above)")
    ax.set_ylabel(f"{rows[1]} (left), {rows[0]} (right)")
    fig.colorbar(image, ax=ax, shrink=0.7, pad=0.1, label=what)
    present = [kind for kind in (*_GREYS, "waiting") if (status == kind).any()]
    handles = [Patch(fc=_GREYS.get(kind, _NEVER), ec=INK, lw=0.5, label=kind) for kind in present]
    if handles:
        fig.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=7.5)
    head(fig, title, simulated)
    return fig


def _matrix(
    table: pd.DataFrame, rows: tuple[str, str], columns: tuple[str, str], order: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Lay out value and status of every combination, (n_teams ** 2, n_teams ** 2) each."""
    n = len(order) ** 2
    place = {pair: i for i, pair in enumerate((major, minor) for major in order for minor in order)}
    values, status = np.full((n, n), np.nan), np.full((n, n), "waiting", dtype=object)
    for row in table.to_dict("records"):
        cell = place[row[rows[0]], row[rows[1]]], place[row[columns[0]], row[columns[1]]]
        status[cell] = row["status"]
        values[cell] = row["value"] if row["status"] == "scored" else np.nan
    return values, status


def _team_axes(ax: Axes, names: list[str]) -> None:
    """Write the teams of the minor parts at the ticks and those of the major parts outside, with lines between."""
    k, n = len(names), len(names) ** 2
    ax.set_xticks(range(n), names * k, rotation=60, ha="right", rotation_mode="anchor", size=7.5)
    ax.set_yticks(range(n), names * k, size=7.5)
    ax.tick_params(length=0)
    for edge in range(1, k):
        ax.axhline(edge * k - 0.5, color="white", lw=3)
        ax.axvline(edge * k - 0.5, color="white", lw=3)
    for i, name in enumerate(names):
        middle = i * k + (k - 1) / 2
        ax.text(middle, -0.7, name, ha="center", va="bottom", weight="bold", size=9)
        ax.text(n - 0.4, middle, name, ha="left", va="center", weight="bold", size=9, rotation=270)
    for side in ax.spines.values():
        side.set_visible(False)


@mpl.rc_context(STYLE)
def by_part(
    table: pd.DataFrame,
    *,
    part: str,
    order: Sequence[str],
    labels: Mapping[str, str],
    title: str,
    what: str,
    marked: str,
    simulated: bool,
) -> Figure:
    """Draw the value of every combination over one of its parts; white: where the column `marked` is true (2c)."""
    scored = table[table["status"] == "scored"]
    fig = Figure((5.4, 3.6), layout="constrained")
    ax = fig.subplots()
    for x, team in enumerate(order):
        of_team = scored[scored[part] == team].sort_values("value")
        offsets = 0.28 * ((np.arange(len(of_team)) * 0.618) % 1 - 0.5) * 2
        for is_marked, face in ((False, "black"), (True, "white")):
            points = (of_team[marked] == is_marked).to_numpy()
            values = of_team["value"].to_numpy()[points]
            ax.plot(x + offsets[points], values, "o", ms=5, mfc=face, mec="black", zorder=3)
        if len(of_team):
            span: dict[str, Any] = {
                "color": PALETTE[x % len(PALETTE)],
                "lw": 14,
                "alpha": 0.35,
                "solid_capstyle": "butt",
            }
            ax.plot([x - 0.36, x + 0.36], [of_team["value"].median()] * 2, **(span | {"lw": 3, "alpha": 1}))
            ax.axvspan(x - 0.4, x + 0.4, color=PALETTE[x % len(PALETTE)], alpha=0.12, lw=0)
    ax.set_xticks(range(len(order)), [f"{labels[t]}\nn = {(scored[part] == t).sum()}" for t in order])
    ax.set_xlim(-0.5, len(order) - 0.5)
    ax.set_ylabel(what)
    ax.set_xlabel(f"{part}; white: a team's own combination; line: median", fontsize=8)
    head(fig, title, simulated)
    return fig


@mpl.rc_context(STYLE)
def pairs(
    table: pd.DataFrame,
    *,
    value: str,
    order: Sequence[str],
    labels: Mapping[str, str],
    title: str,
    what: str,
    simulated: bool,
) -> Figure:
    """Draw one bar per row, grouped by `core`: an original and the best combination with its core (Fig. 2d,e).

    `table` has columns core, kind, code and `value`, the one to draw.
    """
    fig = Figure((5.8, 0.9 + 0.42 * max(1, len(table))), layout="constrained")
    ax: Axes = fig.subplots()
    names, y = [], 0.0
    for i, core in enumerate(order):
        for row in table[table["core"] == core].to_dict("records"):
            number = float(row[value])
            is_original = row["kind"] == "original"
            look: dict[str, Any] = {
                "facecolor": "white" if is_original else PALETTE[i % len(PALETTE)],
                "edgecolor": PALETTE[i],
            }
            ax.barh(y, number, height=0.7, lw=1.5, **look)
            text = f"{number:,.0f}" if value == "n_params" else f"{number:.3f}"
            ax.annotate(text, (number, y), (4, 0), textcoords="offset points", va="center", size=7.5)
            names.append((y, textwrap.fill(f"{labels[core]}: {row['kind']} ({row['code']})", 34)))
            y += 1
        y += 0.4
    ax.set_yticks([at for at, _ in names], [name for _, name in names], size=8)
    ax.invert_yaxis()
    ax.margins(x=0.18)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(what)
    head(fig, title, simulated)
    return fig


# The four plots of Fig. 2b-e. `teams`: key -> name, in the order of the axes.


def every_combination(table: pd.DataFrame, *, what: str, teams: Mapping[str, str], simulated: bool) -> Figure:
    """Draw the score of every combination as a cell (Fig. 2b)."""
    return heat_map(
        table, rows=("core", "final"), columns=("processor", "first"), title="Prix Fixe: every combination",
        what=what, order=list(teams), labels=teams, simulated=simulated,
    )  # fmt: skip


def by_processor(table: pd.DataFrame, *, what: str, teams: Mapping[str, str], simulated: bool) -> Figure:
    """Draw the combinations over their data processor and trainer (Fig. 2c)."""
    return by_part(
        table, part="processor", marked="is_original", title="By processor and trainer", what=what,
        order=list(teams), labels=teams, simulated=simulated,
    )  # fmt: skip


def sizes(originals: pd.DataFrame, *, teams: Mapping[str, str], simulated: bool) -> Figure:
    """Draw the parameters of each original and of the best combination with its core (Fig. 2d)."""
    return pairs(
        originals, value="n_params", title="Size of originals and best", what="parameters", order=list(teams),
        labels=teams, simulated=simulated,
    )  # fmt: skip


def scores(originals: pd.DataFrame, *, what: str, teams: Mapping[str, str], simulated: bool) -> Figure:
    """Draw the score of each original and of the best combination with its core (Fig. 2e)."""
    return pairs(
        originals, value="value", title="Score of originals and best", what=what, order=list(teams), labels=teams,
        simulated=simulated,
    )  # fmt: skip
