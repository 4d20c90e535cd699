"""Draw the results of a challenge: ranks over samples, heat maps, gaps, progress. DataFrames in, Figure out.

Source: Rafi et al. 2024, Fig. 1b-g and Extended Data Fig. 1, 2 and 4.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks.api.metrics import label_of
from benchmarks.engine.figures.style import (
    GREY,
    PALETTE,
    STYLE,
    cells,
    colour_bar,
    footnote,
    head,
    seaborn,
    short_names,
)

METRICS = {name: label_of(name) for name in ("pearson_score", "spearman_score")}
SUBSET_METRICS = {"pearson_r": label_of("pearson_r2"), "spearman_rho": label_of("spearman_rho")}
"""What is drawn per subset of the test set; Pearson r is squared, as in the score."""
_RANKS = METRICS | {"both": "sum of both ranks"}


@mpl.rc_context(STYLE)
def ranks(counts: pd.DataFrame, order: Sequence[str], *, labels: Mapping[str, str], simulated: bool) -> Figure:
    """Draw how often every team took every rank, a column per team and a panel per score (Fig. 1b,c).

    Parameters
    ----------
    counts
        Columns submission, metric (`pearson_score`, `spearman_score`), rank, draws. Ranks count from the best of all
        that were ranked, whichever are drawn.
    order
        Submissions from left to right.
    """
    panels = _present(METRICS, counts)
    names = short_names(order, labels)
    chosen = counts[counts["submission"].isin(order)]
    n_ranks = max(len(order), int(np.ceil(chosen["rank"].max())))
    fig = Figure((1.6 + len(panels) * (1.0 + 0.32 * max(4, len(order))), 3.0 + 0.14 * n_ranks), layout="constrained")
    axes = fig.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    by_metric = {metric: rank_shares(chosen[chosen["metric"] == metric], order, n_ranks) for metric in panels}
    highest = max(shares.max() for shares in by_metric.values())
    for ax, (metric, what) in zip(axes, panels.items(), strict=True):
        of_metric, shares = chosen[chosen["metric"] == metric], by_metric[metric]
        ranked = np.arange(1, n_ranks + 1)
        step = 1 if n_ranks <= 12 else 5
        cells(ax, shares.T, rows=[str(r) if r % step == 0 or r == 1 else "" for r in ranked], columns=names,
              colours="Blues", high=highest)  # fmt: skip
        means = [np.average(part["rank"], weights=part["draws"]) for part in _by_submission(of_metric, order)]
        ax.plot(np.arange(len(order)) + 0.5, np.array(means) - 0.5, "o", ms=4, mfc=PALETTE[1], mec="black", mew=0.5)
        ax.set_title(what, loc="left")
    axes[0].set_ylabel("rank")
    colour_bar(fig, axes[-1], "share of samples")
    footnote(fig, "Colour: share of the samples in which a team took a rank; orange: its mean rank.")
    head(fig, "Ranks in samples of the test set", simulated)
    return fig


def rank_shares(counts: pd.DataFrame, order: Sequence[str], n_ranks: int) -> np.ndarray:
    """Return the share of the samples in which each submission took each rank, (n_submissions, n_ranks).

    A shared rank (2.5) counts half for either of its neighbours.
    """
    shares = np.zeros((len(order), n_ranks))
    for row in counts.itertuples():
        for rank in (int(np.floor(row.rank)), int(np.ceil(row.rank))):
            shares[list(order).index(row.submission), rank - 1] += row.draws / 2
    totals = shares.sum(axis=1, keepdims=True)
    return np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)


@mpl.rc_context(STYLE)
def rank_frequencies(
    counts: pd.DataFrame, order: Sequence[str], *, labels: Mapping[str, str], simulated: bool
) -> Figure:
    """Draw in how many samples every team took every rank: frequency over rank, a panel per score (Extended Data 2).

    Parameters
    ----------
    counts
        As of `ranks`, with the metric `both`, whose rank is the mean of the two ranks: drawn is their sum.
    order
        Submissions, best first.
    """
    sns = seaborn()
    panels = _present(_RANKS, counts)
    names = dict(zip(order, short_names(order, labels), strict=True))
    chosen = counts[counts["submission"].isin(order)].assign(team=lambda rows: rows["submission"].map(names))
    colours = dict(zip(names.values(), _team_colours(len(order)), strict=True))
    fig = Figure((2.2 + 3.3 * len(panels), 3.4), layout="constrained")
    axes = fig.subplots(1, len(panels), squeeze=False)[0]
    for ax, (metric, what) in zip(axes, panels.items(), strict=True):
        table = chosen[chosen["metric"] == metric]
        table = table.assign(rank=table["rank"] * (2 if metric == "both" else 1))
        # A rank that a team never took has frequency 0, so that its line returns to the axis.
        wide = table.pivot_table(index="rank", columns="team", values="draws", aggfunc="sum", fill_value=0)
        long = wide.melt(ignore_index=False, value_name="draws").reset_index()
        sns.lineplot(
            long, x="rank", y="draws", hue="team", hue_order=list(names.values()), palette=colours, marker="o",
            markersize=3.5, lw=1, ax=ax, legend=ax is axes[-1],
        )  # fmt: skip
        ax.set(title="", xlabel="sum of both ranks" if metric == "both" else f"rank by {what}", ylabel="")
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes[0].set_ylabel("frequency (samples)")
    _legend_beside(fig, axes[-1])
    head(fig, "Frequency of ranks in samples of the test set", simulated)
    return fig


@mpl.rc_context(STYLE)
def score_distributions(
    quantiles: pd.DataFrame, order: Sequence[str], *, labels: Mapping[str, str], simulated: bool
) -> Figure:
    """Draw the scores of every submission over samples: median, quartiles, 95 %.

    `quantiles` has columns submission, metric, q2.5, q25, q50, q75, q97.5. `order` is from top to bottom.
    """
    n = len(order)
    panels = _present(METRICS, quantiles)
    fig = Figure((1.6 + 3.4 * len(panels), 1.4 + 0.24 * max(3, n)), layout="constrained")
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (metric, what) in zip(axes, panels.items(), strict=True):
        rows = quantiles[quantiles["metric"] == metric].set_index("submission").reindex(order)
        boxes = [
            {"whislo": row["q2.5"], "q1": row["q25"], "med": row["q50"], "q3": row["q75"], "whishi": row["q97.5"]}
            for _, row in rows.iterrows()
        ]
        ax.bxp(boxes, positions=range(n), orientation="horizontal", showfliers=False, widths=0.55, manage_ticks=False)
        ax.set_xlabel(f"{what} in samples")
        ax.grid(axis="x", color="#DDDDDD", lw=0.6)
        ax.set_axisbelow(True)
    axes[0].set_yticks(range(n), short_names(order, labels), size=8)
    axes[0].set_ylim(n - 0.4, -0.6)
    for ax in axes:
        ax.tick_params(axis="y", length=0)
    footnote(fig, "Box: quartiles and median; whiskers: 95 % of the samples.")
    head(fig, "Scores in samples of the test set", simulated)
    return fig


@mpl.rc_context(STYLE)
def heat_map(
    scores: pd.DataFrame,
    order: Sequence[str],
    *,
    labels: Mapping[str, str],
    simulated: bool,
    title: str = "Scores by subset of the test set",
) -> Figure:
    """Draw the score of every submission on every subset of the test set, a panel per metric (Fig. 1d,e).

    Parameters
    ----------
    scores
        Columns submission, subset, metric (`pearson_r`, `spearman_rho`), value. Pearson r is squared, as in the score.
    order
        Submissions from top to bottom. A column is coloured from its worst to its best value among them.
    """
    chosen = scores[scores["metric"].isin(SUBSET_METRICS) & scores["submission"].isin(order)]
    subsets = list(dict.fromkeys(chosen["subset"]))
    panels = _present(SUBSET_METRICS, chosen)
    fig = Figure((2.6 + len(panels) * 0.52 * len(subsets), 2.0 + 0.25 * max(3, len(order))), layout="constrained")
    axes = fig.subplots(1, len(panels), squeeze=False)[0]
    for ax, (metric, what) in zip(axes, panels.items(), strict=True):
        values = subset_values(chosen, metric).reindex(index=order, columns=subsets).to_numpy(float)
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            shade = np.where(high > low, (values - low) / (high - low), 1.0)
        shade = np.where(np.isnan(values), np.nan, shade)
        texts = np.vectorize(lambda value: f"{value:.2f}".replace("0.", "."))(values)
        rows = short_names(order, labels) if ax is axes[0] else [""] * len(order)
        cells(ax, shade, texts=texts, rows=rows, columns=short_names(subsets, {}))
        ax.set_title(what, loc="left")
    footnote(fig, "Colour: from the worst (dark) to the best (bright) of each column.")
    head(fig, title, simulated)
    return fig


def subset_values(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return what is drawn of a metric, (submissions, subsets): the mean over rows, Pearson r squared after it."""
    wide = scores[scores["metric"] == metric].pivot_table(index="submission", columns="subset", values="value")
    return wide**2 if metric == "pearson_r" else wide


@mpl.rc_context(STYLE)
def disparities(table: pd.DataFrame, *, simulated: bool) -> Figure:
    """Draw how far the worst submission is from the best on every subset, in percent of the best (Fig. 1f,g).

    `table` has columns metric, subset, percent.
    """
    sns = seaborn()
    subsets = list(dict.fromkeys(table["subset"]))
    panels = _present(SUBSET_METRICS, table)
    fig = Figure((1.8 + 3.1 * len(panels), 1.3 + 0.28 * len(subsets)), layout="constrained")
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (metric, what) in zip(axes, panels.items(), strict=True):
        of_metric = table[table["metric"] == metric]
        sns.barplot(
            of_metric, x="percent", y="subset", order=subsets, color=PALETTE[0], saturation=1, width=0.65, ax=ax
        )
        values = of_metric.set_index("subset")["percent"].reindex(subsets).to_numpy(float)
        for y, value in enumerate(values):
            if np.isfinite(value):
                at = (max(value, 0), y)
                ax.annotate(f"{value:.1f}", at, (3, 0), textcoords="offset points", va="center", size=7.5)
        ax.margins(x=0.15)
        ax.set(xlabel=f"{what}: (best - worst) / best, %", ylabel="")
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(subsets)), short_names(subsets, {}))
    head(fig, "Gap between submissions", simulated)
    return fig


def weekly(table: pd.DataFrame) -> pd.DataFrame:
    """Return every team's place on the board at the end of each week: its best scores so far.

    Parameters
    ----------
    table
        Columns team, date, pearson_score, spearman_score; rows without a date are left out.

    Returns
    -------
    Columns team, week, pearson_score, spearman_score. Week 1 is the seven days from the first submission on; a team
    appears from its first submission to the last week of all.
    """
    dated = table.dropna(subset="date")
    dated = dated.assign(week=(lambda days: (days - days.min()).dt.days // 7 + 1)(pd.to_datetime(dated["date"])))
    weeks = range(1, int(dated["week"].max()) + 1)
    parts = []
    for team, rows in dated.groupby("team", sort=False):
        best = rows.groupby("week")[list(METRICS)].max().reindex(weeks).ffill().cummax().dropna(how="all")
        parts.append(best.rename_axis("week").reset_index().assign(team=team))
    return pd.concat(parts, ignore_index=True)[["team", "week", *METRICS]]


@mpl.rc_context(STYLE)
def progression(table: pd.DataFrame, *, simulated: bool) -> Figure:
    """Draw the scores of the teams on the leaderboard in each week (Extended Data Fig. 1).

    `table` has columns team, week, pearson_score, spearman_score; see `weekly`.
    """
    sns = seaborn()
    teams = list(table.groupby("team")["pearson_score"].max().sort_values(ascending=False).index)
    names = dict(zip(teams, short_names(teams, {}), strict=True))
    colours = dict(zip(names.values(), _team_colours(len(teams)), strict=True))
    named = table.assign(team=table["team"].map(names))
    fig = Figure((9.0, 3.6), layout="constrained")
    axes = fig.subplots(1, len(METRICS))
    for ax, (metric, what) in zip(axes, METRICS.items(), strict=True):
        sns.lineplot(
            named, x="week", y=metric, hue="team", hue_order=list(names.values()), palette=colours, marker="o",
            markersize=4, lw=1, ax=ax, legend=ax is axes[-1],
        )  # fmt: skip
        ax.set(xlabel="week", ylabel=what)
        ax.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    _legend_beside(fig, axes[-1])
    footnote(fig, "Each team's best score so far at the end of each week; week 1 begins with the first submission.")
    head(fig, "Progress of the leaderboard", simulated)
    return fig


def _team_colours(n: int) -> list[Any]:
    """Return a colour for each of n teams, best first: the palette, then further hues, then grey."""
    further = [mpl.colors.to_hex(colour) for colour in seaborn().color_palette("husl", 12)]
    colours = [*PALETTE, *further]
    return colours[:n] + [GREY] * (n - len(colours))


def _legend_beside(fig: Figure, ax: Axes) -> None:
    """Move the legend of an axes to the right of the figure."""
    handles, names = ax.get_legend_handles_labels()
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()
    columns = 1 if len(names) <= 14 else 2
    fig.legend(handles, names, loc="outside right center", frameon=False, fontsize=7.5, ncols=columns)


def _present(metrics: Mapping[str, str], table: pd.DataFrame) -> dict[str, str]:
    return {metric: what for metric, what in metrics.items() if metric in set(table["metric"])}


def _by_submission(table: pd.DataFrame, order: Sequence[str]) -> list[pd.DataFrame]:
    return [table[table["submission"] == name] for name in order]
