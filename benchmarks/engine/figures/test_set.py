"""Draw a designed test set: changes of expression by kind of pair, reads by subset. DataFrames in, Figure out.

Source: Rafi et al. 2024, Extended Data Fig. 3 and 5.
"""

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.engine.figures.style import PALETTE, STYLE, footnote, head, seaborn, short_names


@mpl.rc_context(STYLE)
def pair_changes(table: pd.DataFrame, order: list[str], *, simulated: bool) -> Figure:
    """Draw the distribution of the change of expression between the two sequences of a pair (Extended Data Fig. 5).

    Parameters
    ----------
    table
        Columns subset (kind of pair) and absolute_change, a row per pair.
    order
        Kinds of pairs from left to right.
    """
    fig = Figure((1.6 + 1.5 * len(order), 3.6), layout="constrained")
    ax = fig.subplots()
    colours = dict(zip(order, PALETTE, strict=False))
    seaborn().violinplot(
        table, x="subset", y="absolute_change", order=order, hue="subset", hue_order=order, palette=colours,
        saturation=1, cut=0, inner="quartile", density_norm="width", linewidth=0.8, legend=False, ax=ax,
    )  # fmt: skip
    _counted(ax, table, order)
    ax.set_ylabel("absolute change of expression")
    footnote(fig, "Lines: quartiles. n: pairs.")
    head(fig, "Expression changes by kind of pair", simulated)
    return fig


@mpl.rc_context(STYLE)
def reads(table: pd.DataFrame, order: list[str], *, simulated: bool) -> Figure:
    """Draw reads per designed sequence by subset of the test set, on a log axis (Extended Data Fig. 3).

    `table` has the columns subset and n_reads, a row per sequence of a subset; sequences without a read are counted in
    the label of their subset and not drawn.
    """
    fig = Figure((1.4 + 0.95 * len(order), 3.8), layout="constrained")
    ax = fig.subplots()
    ax.set_yscale("log")
    seaborn().boxplot(
        table[table["n_reads"] > 0], x="subset", y="n_reads", order=order, color=PALETTE[4], saturation=1,
        whis=(5, 95), showfliers=False, width=0.6, medianprops={"color": "black"}, linewidth=0.8, ax=ax,
    )  # fmt: skip
    _counted(ax, table, order)
    ax.set_ylabel("reads per sequence")
    footnote(fig, "Box: quartiles and median; whiskers: 5 % to 95 % of the sequences that were read. n: sequences.")
    head(fig, "Coverage of the test set", simulated)
    return fig


def _counted(ax: Axes, table: pd.DataFrame, order: list[str]) -> None:
    counts = table["subset"].value_counts()
    names = [name.replace(" ", "\n") for name in short_names(order, {})]
    ax.set_xticks(range(len(order)), [f"{n}\nn = {counts.get(key, 0):,}" for key, n in zip(order, names, strict=True)])
    ax.tick_params(axis="x", length=0, labelsize=8)
    ax.set_xlabel("")
