"""Draw the results of a challenge: ranks over samples, heat maps, gaps, progress. DataFrames in, Figure out.

Source: Rafi et al. 2024, Fig. 1b-g and Extended Data Fig. 1 and 2. Rows are submissions, best at the top.
"""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from benchmarks.api.metrics import label_of
from benchmarks.engine.figures.style import GREY, INK, PALETTE, STYLE, head

METRICS = {name: label_of(name) for name in ("pearson_score", "spearman_score")}
SUBSET_METRICS = {"pearson_r": label_of("pearson_r2"), "spearman_rho": label_of("spearman_rho")}
"""What is drawn per subset of the test set; Pearson r is squared, as in the score."""
_NAME_CHARS = 30


@mpl.rc_context(STYLE)
def ranks(counts: pd.DataFrame, order: Sequence[str], *, labels: Mapping[str, str], simulated: bool) -> Figure:
    """Draw how often every submission took every rank, a panel per metric (Fig. 1b,c; Extended Data Fig. 2).

    Parameters
    ----------
    counts
        Columns submission, metric (`pearson_score`, `spearman_score`, `both`: the mean of the two ranks), rank, draws.
    order
        Submissions from top to bottom.
    """
    panels = [name for name in (*METRICS, "both") if name in set(counts["metric"])]
    n = len(order)
    fig = Figure((2.4 + len(panels) * max(1.9, 0.17 * n + 0.8), 1.5 + 0.24 * max(3, n)), layout="constrained")
    axes = fig.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, metric in zip(axes, panels, strict=True):
        chosen = counts[counts["metric"] == metric]
        shares = np.zeros((n, n))
        for row in chosen.itertuples():
            if row.submission in order:  # shared ranks (2.5) count half for either of their neighbours
                low, high = int(np.floor(row.rank)), int(np.ceil(row.rank))
                for rank in (low, high):
                    shares[list(order).index(row.submission), rank - 1] += row.draws / 2
        totals = shares.sum(axis=1, keepdims=True)
        shares = np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)
        image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        means = [np.average(part["rank"], weights=part["draws"]) for part in _by_submission(chosen, order)]
        ax.plot(np.array(means) - 1, range(n), "o", ms=4, mfc=PALETTE[1], mec="black", mew=0.5)
        ax.set_title(METRICS.get(metric, "mean of both ranks"), loc="left")
        step = 1 if n <= 12 else 5
        ax.set_xticks(np.arange(0, n, step), np.arange(1, n + 1, step))
        ax.set_xlabel("rank")
    axes[0].set_yticks(range(n), _names(order, labels), size=8)
    for ax in axes:
        ax.tick_params(length=0)
    fig.colorbar(image, ax=list(axes), shrink=0.8, pad=0.02, label="share of samples")
    fig.supxlabel("Orange: mean rank.", x=0.01, ha="left", fontsize=7.5, color=INK)
    head(fig, "Ranks in samples of the test set", simulated)
    return fig


def _present(metrics: Mapping[str, str], table: pd.DataFrame) -> dict[str, str]:
    return {metric: what for metric, what in metrics.items() if metric in set(table["metric"])}


def _by_submission(table: pd.DataFrame, order: Sequence[str]) -> list[pd.DataFrame]:
    return [table[table["submission"] == name] for name in order]


def _names(order: Sequence[str], labels: Mapping[str, str]) -> list[str]:
    return [textwrap.shorten(str(labels.get(name, name)).replace("_", " "), _NAME_CHARS) for name in order]


@mpl.rc_context(STYLE)
def score_distributions(
    quantiles: pd.DataFrame, order: Sequence[str], *, labels: Mapping[str, str], simulated: bool
) -> Figure:
    """Draw the scores of every submission over samples: median, quartiles, 95 % (Extended Data Fig. 2).

    `quantiles` has columns submission, metric, q2.5, q25, q50, q75, q97.5.
    """
    n = len(order)
    panels = _present(METRICS, quantiles)
    fig = Figure((1.6 + 3.4 * len(panels), 1.4 + 0.24 * max(3, n)), layout="constrained")
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (metric, what) in zip(axes, panels.items(), strict=True):
        chosen = quantiles[quantiles["metric"] == metric].set_index("submission").reindex(order)
        stats = [
            {"whislo": row["q2.5"], "q1": row["q25"], "med": row["q50"], "q3": row["q75"], "whishi": row["q97.5"]}
            for _, row in chosen.iterrows()
        ]
        ax.bxp(
            stats, positions=range(n), orientation="horizontal", showfliers=False, widths=0.6, patch_artist=True,
            boxprops={"facecolor": PALETTE[4] + "88", "edgecolor": INK}, medianprops={"color": "black"},
            whiskerprops={"color": INK}, capprops={"color": INK}, manage_ticks=False,
        )  # fmt: skip
        ax.set_xlabel(f"{what} in samples")
        ax.grid(axis="x", color="#DDDDDD", lw=0.6)
        ax.set_axisbelow(True)
    axes[0].set_yticks(range(n), _names(order, labels), size=8)
    axes[0].set_ylim(n - 0.4, -0.6)
    for ax in axes:
        ax.tick_params(axis="y", length=0)
    fig.supxlabel(
        "Box: quartiles and median; whiskers: 95 % of the samples.", x=0.01, ha="left", fontsize=7.5, color=INK
    )
    head(fig, "Scores in samples of the test set", simulated)
    return fig


@mpl.rc_context(STYLE)
def heat_map(scores: pd.DataFrame, order: Sequence[str], *, labels: Mapping[str, str], simulated: bool) -> Figure:
    """Draw the score of every submission on every subset of the test set, coloured from worst to best (Fig. 1d,e).

    Parameters
    ----------
    scores
        Columns submission, subset, metric (`pearson_r`, `spearman_rho`), value. Pearson r is squared, as in the score.
    """
    chosen = scores[scores["metric"].isin(SUBSET_METRICS)]
    subsets = list(dict.fromkeys(chosen["subset"]))
    n = len(order)
    panels = _present(SUBSET_METRICS, chosen)
    fig = Figure((2.6 + len(panels) * 0.52 * len(subsets), 2.0 + 0.25 * max(3, n)), layout="constrained")
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (metric, what) in zip(axes, panels.items(), strict=True):
        wide = chosen[chosen["metric"] == metric].pivot_table(index="submission", columns="subset", values="value")
        values = wide.reindex(index=order, columns=subsets).to_numpy(float)
        values = values**2 if metric == "pearson_r" else values
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            shade = np.where(high > low, (values - low) / (high - low), 1.0)
        ax.imshow(np.where(np.isnan(values), np.nan, shade), cmap="viridis", vmin=0, vmax=1, aspect="auto")
        for (y, x), value in np.ndenumerate(values):
            if np.isfinite(value):
                colour = "white" if shade[y, x] < 0.6 else "black"
                ax.text(x, y, f"{value:.2f}".replace("0.", "."), ha="center", va="center", size=6.5, color=colour)
        names = [name.replace("_", " ") for name in subsets]
        ax.set_xticks(range(len(subsets)), names, rotation=45, ha="right", rotation_mode="anchor", size=8)
        ax.set_title(what, loc="left")
        ax.tick_params(length=0)
        for side in ax.spines.values():
            side.set_visible(False)
    axes[0].set_yticks(range(n), _names(order, labels), size=8)
    text = "Colour: from the worst (dark) to the best (bright) of each column."
    fig.supxlabel(text, x=0.01, ha="left", fontsize=7.5, color=INK)
    head(fig, "Scores by subset of the test set", simulated)
    return fig


@mpl.rc_context(STYLE)
def disparities(table: pd.DataFrame, *, simulated: bool) -> Figure:
    """Draw how far the worst submission is from the best on every subset, in percent of the best (Fig. 1f,g).

    `table` has columns metric, subset, percent.
    """
    subsets = list(dict.fromkeys(table["subset"]))
    panels = _present(SUBSET_METRICS, table)
    fig = Figure((1.8 + 3.1 * len(panels), 1.3 + 0.28 * len(subsets)), layout="constrained")
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (metric, what) in zip(axes, panels.items(), strict=True):
        values = table[table["metric"] == metric].set_index("subset")["percent"].reindex(subsets).to_numpy(float)
        ax.barh(range(len(subsets)), values, color=PALETTE[0], height=0.65)
        for y, value in enumerate(values):
            if np.isfinite(value):
                ax.annotate(
                    f"{value:.1f}", (max(value, 0), y), (3, 0), textcoords="offset points", va="center", size=7.5
                )
        ax.margins(x=0.15)
        ax.set_xlabel(f"{what}: (best - worst) / best, %")
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(subsets)), [name.replace("_", " ") for name in subsets])
    axes[0].set_ylim(len(subsets) - 0.4, -0.6)
    head(fig, "Gap between submissions", simulated)
    return fig


@mpl.rc_context(STYLE)
def progression(table: pd.DataFrame, *, simulated: bool) -> Figure:
    """Draw scores over time, every team's best so far as a line (Extended Data Fig. 1).

    `table` has columns team, date, pearson_score, spearman_score; rows without a date are left out.
    """
    dated = table.dropna(subset="date").assign(date=lambda frame: pd.to_datetime(frame["date"])).sort_values("date")
    best = dated.groupby("team")["pearson_score"].max().sort_values(ascending=False)
    fig = Figure((8.4, 3.6), layout="constrained")
    axes = fig.subplots(1, len(METRICS))
    for ax, (metric, what) in zip(axes, METRICS.items(), strict=True):
        for i, team in enumerate(best.index):
            of_team = dated[dated["team"] == team]
            look = {"color": PALETTE[i], "label": team} if i < len(PALETTE) else {"color": GREY, "lw": 0.8}
            zorder = 2 - (i >= len(PALETTE))
            ax.plot(of_team["date"], of_team[metric].cummax(), drawstyle="steps-post", zorder=zorder, **look)
            ax.plot(of_team["date"], of_team[metric], "o", ms=3, color=look["color"], zorder=3)
        overall = dated.groupby("date")[metric].max().cummax()
        ax.plot(overall.index, overall, drawstyle="steps-post", color="black", lw=1, ls=":", zorder=4, label="best")
        _date_axis(ax)
        ax.set_ylabel(what)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    head(fig, "Progress of the leaderboard", simulated)
    return fig


def _date_axis(ax: Axes) -> None:
    locator = AutoDateLocator(minticks=3, maxticks=6)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
