"""Draw read merging and labels of a sort-seq experiment, replicate agreement and attainable correlation.

Tables in, Figures out.
"""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter

from benchmarks.engine.figures.style import GREY, INK, PALETTE, STYLE, head

BLUE, ORANGE, GREEN = PALETTE[:3]
_POINTS = 4_000  # points in a scatter plot; more would overlap


@mpl.rc_context(STYLE)
def quality(samples: pd.DataFrame, overlaps: Mapping[int, int], labels: pd.DataFrame, *, simulated: bool) -> Figure:
    """Draw four panels: read pairs merged per bin, overlap of mates, reads per sequence, labels.

    Parameters
    ----------
    samples
        Columns bin, replicate, n_pairs, n_merged; a row per pair of files.
    overlaps
        Overlap of the two mates in bases -> merged pairs.
    labels
        Columns expression, n_reads, and is_singleton where promoters may be singletons.
    """
    fig = Figure((11, 6.6), layout="constrained")
    merged, overlap, depth, values = fig.subplots(2, 2).ravel()
    per_bin = samples.groupby(["replicate", "bin"], sort=False)[["n_pairs", "n_merged"]].sum()
    at = np.arange(len(per_bin))
    merged.bar(at, per_bin["n_pairs"], color=GREY, label="not merged")
    merged.bar(at, per_bin["n_merged"], color=BLUE, label="merged")
    several = len(set(samples["replicate"])) > 1
    merged.set_xticks(at, [f"{r}/{b}" if several else b for r, b in per_bin.index], rotation=90, fontsize=7)
    _named(merged, "Read pairs per bin", "replicate / bin" if several else "bin", "read pairs")
    merged.legend(frameon=False, fontsize=8)
    overlap.bar(list(overlaps), list(overlaps.values()), color=BLUE)
    overlap.set_xlim(min(overlaps, default=25) - 3, max(overlaps, default=55) + 3)
    overlap.xaxis.set_major_locator(MaxNLocator(integer=True))
    _named(overlap, "Overlap of mates", "bases", "merged pairs")
    reads = labels["n_reads"].to_numpy()
    reads = reads[reads > 0]
    if len(reads):
        depth.hist(reads, bins=np.geomspace(1, max(2, reads.max()) * 1.01, 40), color=BLUE)
        depth.set_xscale("log")
    _named(depth, f"Reads of a sequence, median {np.median(reads) if len(reads) else 0:,.0f}", "reads", "sequences")
    finite = labels[np.isfinite(labels["expression"])]
    if len(finite):
        edges = np.histogram_bin_edges(finite["expression"], bins=60)
        values.hist(finite["expression"], bins=edges, color=BLUE, label="all")
        if "is_singleton" in finite:
            chosen = finite.loc[finite["is_singleton"] == 1, "expression"]
            values.hist(chosen, bins=edges, color=ORANGE, label="seen in one bin")
            values.legend(frameon=False, fontsize=8)
    _named(values, f"Expression of {len(finite):,} sequences", "expression", "sequences")
    for ax in (merged, overlap, depth, values):
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    head(fig, "From reads to labels", simulated)
    return fig


def _named(ax: Axes, title: str, x: str, y: str) -> None:
    ax.set_title(title, loc="left")
    ax.set_xlabel(x)
    ax.set_ylabel(y)


@mpl.rc_context(STYLE)
def agreement(per_replicate: Mapping[str, np.ndarray], table: pd.DataFrame, *, simulated: bool) -> Figure:
    """Draw the labels of every pair of replicates against each other.

    `per_replicate` is replicate -> (n,) labels, NaN where there is none; `table` has a row per pair, with columns
    replicate, other, pearson_r, n.
    """
    fig = Figure((1 + 3.8 * len(table), 4.2), layout="constrained")
    for ax, row in zip(fig.subplots(1, len(table), squeeze=False)[0], table.itertuples(), strict=True):
        _scatter(ax, per_replicate[row.replicate], per_replicate[row.other])
        _named(ax, f"r = {row.pearson_r:.3f}, n = {row.n:,}", f"replicate {row.replicate}", f"replicate {row.other}")
    head(fig, "Expression in replicates", simulated)
    return fig


def _scatter(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    both = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    chosen = np.random.default_rng(0).permutation(both)[:_POINTS]
    ax.plot(x[chosen], y[chosen], ".", ms=2, alpha=0.4, color=BLUE)
    if len(chosen):
        ends = [min(x[both].min(), y[both].min()), max(x[both].max(), y[both].max())]
        ax.plot(ends, ends, color=INK, lw=0.8, ls="--")


@mpl.rc_context(STYLE)
def plan(table: pd.DataFrame) -> Figure:
    """Draw the attainable correlation against cells per promoter, a line per reads per cell, a panel per estimator."""
    estimators = list(dict.fromkeys(table["estimator"]))
    fig = Figure((1.2 + 4.4 * len(estimators), 4.2), layout="constrained")
    table = table.assign(per_cell=(table["reads"] / table["cells"]).round(6))
    for ax, name in zip(fig.subplots(1, len(estimators), squeeze=False, sharey=True)[0], estimators, strict=True):
        rows = table[table["estimator"] == name]
        ax.set_xscale("log")
        ax.set_xticks(sorted(set(rows["cells"])))
        ax.xaxis.set_minor_locator(NullLocator())
        for (per_cell, line), colour in zip(rows.groupby("per_cell"), PALETTE * 10, strict=False):
            line = line.sort_values("cells")
            ax.plot(line["cells"], line["ceiling"], "o-", ms=4, color=colour, label=f"{per_cell:g} read(s) per cell")
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        _named(ax, name, "sorted cells per promoter", "attainable r" if name == estimators[0] else "")
        ax.legend(frameon=False, fontsize=8)
    head(fig, "What an experiment would allow", True)
    return fig


@mpl.rc_context(STYLE)
def against_truth(true: np.ndarray, value: np.ndarray, title: str) -> Figure:
    """Draw labels of a simulated experiment against the true expression, on their two scales."""
    fig = Figure((4.6, 4.2), layout="constrained")
    ax = fig.subplots()
    both = np.flatnonzero(np.isfinite(true) & np.isfinite(value))
    chosen = np.random.default_rng(0).permutation(both)[:_POINTS]
    ax.plot(true[chosen], value[chosen], ".", ms=2, alpha=0.4, color=GREEN)
    _named(ax, title, "true expression", "label")
    head(fig, "Labels against the truth", True)
    return fig
