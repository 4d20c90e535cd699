"""Draw a grid of Prix Fixe combinations: heat map, scores by module, submissions beside their counterparts.

Source: Rafi et al. 2024, Fig. 2b-e, Extended Data Fig. 6 and 7, Supplementary Fig. 1. DataFrames in, Figure out.
The table of a grid has a column per part of a network (processor, first, core, final).
"""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import EngFormatter

from benchmarks.api.prix_fixe import PARTS
from benchmarks.engine.figures.style import INK, PALETTE, STYLE, cells, colour_bar, footnote, head, seaborn

_GREYS = {"incompatible": "#D9D9D9", "declined": "#D9D9D9", "not converged": "#8C8C8C", "failed": "#8C8C8C"}
_NEVER = "#FFFFFF"  # still to come
PART_TITLES = {
    "processor": "data processor and trainer",
    "first": "first layers block",
    "core": "core layers block",
    "final": "final layers block",
}
_ROWS, _COLUMNS = ("core", "first"), ("processor", "final")
"""Major and minor part, from top to bottom and from left to right."""
SUBMISSION, ORIGINAL, BEST = "challenge submission", "original", "best with this core"
"""Kinds of networks that stand side by side for every core; an original is a team's own combination, retrained."""
_KIND_LOOKS = {
    SUBMISSION: ("#FFFFFF", SUBMISSION),
    ORIGINAL: ("#FFFFFF", "a team's own combination, retrained in the grid"),
    BEST: (PALETTE[0], BEST),
}
"""Kind -> colour of its bars, and its name in a legend."""


@mpl.rc_context(STYLE)
def every_combination(table: pd.DataFrame, *, what: str, teams: Mapping[str, str], simulated: bool) -> Figure:
    """Draw the score of every combination as a cell, grey where there is none (Fig. 2b, Extended Data Fig. 6).

    Major columns (top): data processor and trainer; minor columns (bottom): final layers block; major rows (left):
    core layers block; minor rows (right): first layers block.

    Parameters
    ----------
    table
        One row per combination: the four parts, status, value.
    what
        Name of the score.
    teams
        Key -> name, in the order of the axes.
    """
    order = list(teams)
    n = len(order) ** 2
    values, status = _matrix(table, order)
    fig = Figure((2.9 + 0.58 * n, 1.9 + 0.42 * n), layout="constrained")
    ax = fig.subplots()
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    texts = np.vectorize(lambda value: f"{value:.3f}")(values)
    cells(ax, values, texts=texts, rows=[""] * n, columns=[""] * n, low=low, high=high, text_size=7)
    for (y, x), kind in np.ndenumerate(status):
        if np.isnan(values[y, x]):
            ax.add_patch(Rectangle((x, y), 1, 1, color=_GREYS.get(kind, _NEVER), lw=0))
    _team_axes(ax, [teams[team] for team in order])
    colour_bar(fig, ax, what)
    present = [kind for kind in (*_GREYS, "waiting") if (status == kind).any()]
    handles = [Patch(fc=_GREYS.get(kind, _NEVER), ec=INK, lw=0.5, label=kind) for kind in present]
    if handles:
        fig.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=7.5)
    head(fig, "Prix Fixe: every combination", simulated)
    return fig


def _matrix(table: pd.DataFrame, order: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Lay out value and status of every combination, (n_teams ** 2, n_teams ** 2) each."""
    n = len(order) ** 2
    place = {pair: i for i, pair in enumerate((major, minor) for major in order for minor in order)}
    values, status = np.full((n, n), np.nan), np.full((n, n), "waiting", dtype=object)
    for row in table.to_dict("records"):
        cell = place[row[_ROWS[0]], row[_ROWS[1]]], place[row[_COLUMNS[0]], row[_COLUMNS[1]]]
        status[cell] = row["status"]
        values[cell] = row["value"] if row["status"] == "scored" else np.nan
    return values, status


def _team_axes(ax: Axes, names: list[str]) -> None:
    """Write the teams of the major parts at the top and left, those of the minor parts at the bottom and right."""
    k, n = len(names), len(names) ** 2
    middles = np.arange(k) * k + k / 2
    ax.set_xticks(np.arange(n) + 0.5, names * k, rotation=60, ha="right", rotation_mode="anchor", size=7.5)
    ax.set_xlabel(f"{PART_TITLES[_COLUMNS[1]]} (below), {PART_TITLES[_COLUMNS[0]]} (above)")
    ax.set_yticks(middles, names, rotation=90, va="center", weight="bold", size=9)
    ax.set_ylabel(PART_TITLES[_ROWS[0]])
    top, right = ax.secondary_xaxis("top"), ax.secondary_yaxis("right")
    top.set_xticks(middles, names, weight="bold", size=9)
    right.set_yticks(np.arange(n) + 0.5, names * k)
    right.set_ylabel(PART_TITLES[_ROWS[1]])
    for side in (top, right):
        side.tick_params(length=0)
        for spine in side.spines.values():
            spine.set_visible(False)
    right.tick_params(labelsize=7.5)
    for edge in range(1, k):
        ax.axhline(edge * k, color="white", lw=3)
        ax.axvline(edge * k, color="white", lw=3)


@mpl.rc_context(STYLE)
def by_processor(table: pd.DataFrame, *, what: str, teams: Mapping[str, str], simulated: bool) -> Figure:
    """Draw the score of every combination over its data processor and trainer; white: a team's own (Fig. 2c).

    `table` has the columns of a grid, of which status, processor, is_original and value are used.
    """
    sns = seaborn()
    scored = table[table["status"] == "scored"]
    fig = Figure((5.4, 3.6), layout="constrained")
    ax = fig.subplots()
    for x in range(len(teams)):
        ax.axvspan(x - 0.4, x + 0.4, color=PALETTE[x % len(PALETTE)], alpha=0.25, lw=0)
    sns.swarmplot(  # swarms and not jitter: the same picture every time
        scored, x="processor", y="value", order=list(teams), hue="is_original", hue_order=[False, True],
        palette={False: "black", True: "white"}, edgecolor="black", linewidth=0.8, size=5, ax=ax, legend=False,
    )  # fmt: skip
    ax.set_xticks(range(len(teams)), [f"{teams[t]}\nn = {(scored['processor'] == t).sum()}" for t in teams])
    ax.set_xlim(-0.5, len(teams) - 0.5)
    ax.set(xlabel=PART_TITLES["processor"], ylabel=what)
    footnote(fig, "A point per combination with the module; white: the team's own combination.")
    head(fig, "Combinations by data processor and trainer", simulated)
    return fig


@mpl.rc_context(STYLE)
def pairs_by_core(
    table: pd.DataFrame, *, value: str, what: str, teams: Mapping[str, str], simulated: bool, title: str
) -> Figure:
    """Draw a challenge submission and the best network with its core as a pair of bars, for every core (Fig. 2d,e).

    Parameters
    ----------
    table
        Columns core, kind (SUBMISSION, ORIGINAL or BEST), name (of the network) and `value`: the column to draw.
    """
    order = [team for team in teams if team in set(table["core"])]
    fig = Figure((6.4, 1.5 + 0.75 * max(1, len(order))), layout="constrained")
    ax = fig.subplots()
    _bars_by_core(ax, table, value, order)
    drawn = table.set_index(["core", "kind"])
    for bars, kind in zip(ax.containers, _kinds(table), strict=True):
        for bar in bars:
            core = order[round(bar.get_y() + bar.get_height() / 2)]
            row = drawn.loc[(core, kind)]
            number = f"{row[value]:,.0f}" if value == "n_params" else f"{row[value]:.3f}"
            at = (bar.get_width(), bar.get_y() + bar.get_height() / 2)
            ax.annotate(f"{number}  {row['name']}", at, (4, 0), textcoords="offset points", va="center", size=7.5)
    ax.set_yticks(range(len(order)), [textwrap.fill(f"{teams[core]} core", 16) for core in order])
    ax.set_xlim(0, 1.6 * table[value].max())
    ax.set(xlabel=what, ylabel="")
    if value == "n_params":
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    _kind_legend(fig, table)
    head(fig, title, simulated)
    return fig


def _bars_by_core(ax: Axes, table: pd.DataFrame, value: str, order: Sequence[str]) -> None:
    colours = {kind: _KIND_LOOKS[kind][0] for kind in _kinds(table)}
    seaborn().barplot(
        table, x=value, y="core", order=order, hue="kind", hue_order=list(colours), palette=colours, saturation=1,
        edgecolor=INK, linewidth=0.8, errorbar=None, ax=ax, legend=False,
    )  # fmt: skip
    ax.tick_params(axis="y", length=0)


def _kinds(table: pd.DataFrame) -> list[str]:
    return [kind for kind in _KIND_LOOKS if kind in set(table["kind"])]


def _kind_legend(fig: Figure, table: pd.DataFrame) -> None:
    looks = [_KIND_LOOKS[kind] for kind in _kinds(table)]
    keys = [Patch(fc=colour, ec=INK, lw=0.8, label=label) for colour, label in looks]
    fig.legend(handles=keys, loc="outside lower left", frameon=False, fontsize=7.5, ncols=2)


@mpl.rc_context(STYLE)
def pairs_by_subset(table: pd.DataFrame, *, what: str, teams: Mapping[str, str], simulated: bool) -> Figure:
    """Draw submissions beside their counterparts by core, a panel per subset of the test set (Extended Data Fig. 7).

    `table` has the columns core, kind (SUBMISSION, ORIGINAL or BEST), subset and value.
    """
    subsets = list(dict.fromkeys(table["subset"]))
    order = [team for team in teams if team in set(table["core"])]
    n_columns = min(4, len(subsets))
    n_rows = -(-len(subsets) // n_columns)
    fig = Figure((1.2 + 2.1 * n_columns, 1.1 + 1.7 * n_rows), layout="constrained")
    axes = fig.subplots(n_rows, n_columns, squeeze=False, sharey=True)
    for ax in list(axes.flat)[len(subsets) :]:
        ax.remove()
    for ax, subset in zip(axes.flat, subsets, strict=False):
        _bars_by_core(ax, table[table["subset"] == subset], "value", order)
        ax.set_title(subset.replace("_", " "), loc="left")
        ax.set(xlabel=what, ylabel="")
    axes[0, 0].set_yticks(range(len(order)), [f"{teams[core]} core" for core in order], size=8)
    _kind_legend(fig, table)
    head(fig, "Submissions and the best networks with their cores", simulated)
    return fig


def module_pairs(table: pd.DataFrame, teams: Mapping[str, str]) -> pd.DataFrame:
    """Pair combinations that differ in one module alone (Supplementary Fig. 1).

    Returns
    -------
    Rows of part, one, other (teams, in the order of `teams`), rest (the other three parts), value_one, value_other;
    only of combinations that are both scored.
    """
    scored = table[table["status"] == "scored"]
    rows = []
    for part in PARTS:
        rest = [name for name in PARTS if name != part]
        wide = scored.pivot_table(index=rest, columns=part, values="value")
        for one, other in combinations([team for team in teams if team in wide], 2):
            both = wide[[one, other]].dropna()
            rows += [
                {"part": part, "one": one, "other": other, "rest": "-".join(key), "value_one": a, "value_other": b}
                for key, (a, b) in zip(both.index, both.to_numpy(), strict=True)
            ]
    return pd.DataFrame(rows, columns=["part", "one", "other", "rest", "value_one", "value_other"])


@mpl.rc_context(STYLE)
def modules(pairs: pd.DataFrame, *, what: str, teams: Mapping[str, str], simulated: bool) -> Figure:
    """Draw each module of a kind against the others, all else equal: a row per kind (Supplementary Fig. 1).

    `pairs` has the columns of `module_pairs`; a point is a pair of combinations, on the diagonal both score the same.
    """
    sns = seaborn()
    parts = [part for part in PARTS if part in set(pairs["part"])]
    columns = list(combinations(teams, 2))
    low, high = pairs[["value_one", "value_other"]].min().min(), pairs[["value_one", "value_other"]].max().max()
    edge = 0.05 * (high - low) or 0.01
    fig = Figure((1.0 + 2.3 * len(columns), 0.9 + 2.3 * len(parts)), layout="constrained")
    axes = fig.subplots(len(parts), len(columns), squeeze=False, sharex=True, sharey=True)
    for row, part in zip(axes, parts, strict=True):
        for ax, (one, other) in zip(row, columns, strict=True):
            chosen = pairs[(pairs["part"] == part) & (pairs["one"] == one) & (pairs["other"] == other)]
            ax.axline((low, low), slope=1, color="#BBBBBB", lw=0.8, zorder=0)
            colour = PALETTE[parts.index(part)]
            sns.scatterplot(chosen, x="value_one", y="value_other", color=colour, edgecolor="black", s=22, ax=ax)
            better = int((chosen["value_other"] > chosen["value_one"]).sum())
            ax.set_title(f"{better} of {len(chosen)} above the line", loc="left", fontsize=8)
            ax.set(
                xlabel=teams[one], ylabel=teams[other], xlim=(low - edge, high + edge), ylim=(low - edge, high + edge)
            )
            ax.set_box_aspect(1)
            ax.tick_params(labelbottom=True, labelleft=True, labelsize=7)
        row[0].annotate(
            textwrap.fill(PART_TITLES[part], 18), (-0.42, 0.5), xycoords="axes fraction", rotation=90, ha="right",
            va="center", weight="bold", size=8.5, multialignment="center",
        )  # fmt: skip
    footnote(fig, f"{what}. A point: two combinations that differ in this module alone; grey: equal scores.")
    head(fig, "Modules against each other, all else equal", simulated)
    return fig
