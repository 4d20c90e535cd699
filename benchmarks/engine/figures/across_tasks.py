"""Draw models over all tasks: scores with their intervals, and ranks. DataFrames in, Figure out."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.api.metrics import label_of
from benchmarks.engine.figures.style import INK, STYLE, head, model_colour

CELL = ["dataset", "output", "subset", "metric"]
_ROW_IN = 0.24  # height of a line, inch


@mpl.rc_context(STYLE)
def scores(table: pd.DataFrame) -> Figure:
    """Draw the mean score of every model with its 95 % interval, a panel per task, a block per headline.

    Parameters
    ----------
    table
        Rows of one origin: task, dataset, output, subset, metric, model, label, mean, ci_low, ci_high, ceiling, origin.
    """
    tasks = list(dict.fromkeys(table["task"]))
    blocks = {task: _blocks(table[table["task"] == task]) for task in tasks}
    lines = {task: sum(len(part) + 1.4 for _, part in blocks[task]) for task in tasks}
    columns = min(2, len(tasks))
    pairs = [tasks[i : i + columns] for i in range(0, len(tasks), columns)]
    heights = [max(lines[task] for task in pair) for pair in pairs]
    fig = Figure((5.6 * columns, 1.2 + _ROW_IN * sum(heights) + 0.75 * len(pairs)), layout="constrained")
    axes = fig.subplots(len(pairs), columns, squeeze=False, height_ratios=heights)
    for ax in list(axes.flat)[len(tasks) :]:
        ax.remove()
    for ax, task in zip(axes.flat, tasks, strict=False):
        ticks: list[tuple[float, str]] = []
        y = 0.0
        for title, part in blocks[task]:
            ax.text(0, y, title, transform=ax.get_yaxis_transform(), fontsize=8, fontweight="bold", va="center")
            for row in part.to_dict("records"):
                y += 1
                colour = model_colour(row["model"])
                if np.isfinite(row["ci_low"]):
                    ax.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, lw=2, solid_capstyle="butt")
                ax.plot(row["mean"], y, "o", ms=5, mfc=colour, mec="black", mew=0.5, zorder=3)
                if np.isfinite(row["ceiling"]):
                    ax.plot([row["ceiling"]] * 2, [y - 0.5, y + 0.5], color=INK, lw=1, ls=(0, (2, 1)))
                ticks.append((y, row["label"] + (" (prerequisite)" if row["kind"] == "prerequisite" else "")))
            y += 1.4
        ax.set_ylim(y - 0.8, -0.7)
        ax.margins(x=0.08)
        ax.set_yticks([at for at, _ in ticks], [name for _, name in ticks], fontsize=8)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", color="#E5E5E5", lw=0.7)
        ax.set_axisbelow(True)
        ax.set_title(task, loc="left")
        ax.set_xlabel("score (the name of each block says which)")
    key = [
        Line2D(
            [], [], marker="o", ls="-", lw=2, color=INK, label="mean and 95 % t interval over test folds or trainings"
        ),
        Line2D([], [], color=INK, lw=1, ls=(0, (2, 1)), label="noise ceiling"),
    ]
    fig.legend(handles=key, loc="outside lower left", ncols=2, frameon=False, fontsize=7.5)
    head(fig, "Scores over all tasks", set(table["origin"]) == {"simulated"})
    return fig


@mpl.rc_context(STYLE)
def ranks(table: pd.DataFrame, overall: pd.DataFrame) -> Figure:
    """Draw the rank of every model in every headline as a heat map, best model first; empty where it did not run.

    Parameters
    ----------
    table, overall
        Rows of one origin, as in `scores` with rank and n_ranked; and model, label, mean_rank, n_tasks.
    """
    table = table[table["rank"].notna()]
    cells = list(dict.fromkeys(zip(table["task"], *(table[name] for name in CELL), strict=True)))
    models = list(overall["model"])
    values = np.full((len(models), len(cells) + 1), np.nan)
    share = values.copy()
    for row in table.to_dict("records"):
        at = models.index(row["model"]), cells.index((row["task"], *(row[name] for name in CELL)))
        values[at] = row["rank"]
        share[at] = (row["rank"] - 1) / max(1, row["n_ranked"] - 1)
    values[:, -1] = overall["mean_rank"]
    fig = Figure((2.6 + 0.85 * (len(cells) + 1), 1.9 + 0.36 * len(models)), layout="constrained")
    ax = fig.subplots()
    # Coloured by the place among those that ran: third of three is as pale as seventh of seven.
    ax.imshow(share, cmap="viridis_r", vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if share[y, x] > 0.55 else "black"
            weight = "bold" if x == len(cells) else "normal"
            ax.text(x, y, f"{value:.3g}", ha="center", va="center", size=8, color=colour, weight=weight)
    names = [
        "\n".join(dict.fromkeys((task, dataset, *_what(output, metric)))) for task, dataset, output, _, metric in cells
    ]
    ax.set_xticks(range(len(cells) + 1), [*names, "mean of\ntasks"], fontsize=7)
    tasks = overall["n_tasks"].tolist()
    ax.set_yticks(
        range(len(models)),
        [f"{label} ({n} task{'s' * (n > 1)})" for label, n in zip(overall["label"], tasks, strict=True)],
        fontsize=8,
    )
    for tick, model in zip(ax.get_yticklabels(), models, strict=True):
        tick.set_color(INK)
        ax.plot(-0.5, models.index(model), "s", ms=6, color=model_colour(model), clip_on=False, zorder=4)
    ax.axvline(len(cells) - 0.5, color="white", lw=4)
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    head(fig, "Ranks over all tasks (1: best)", set(table["origin"]) == {"simulated"})
    return fig


def _what(output: str, metric: str) -> tuple[str, str]:
    return output, label_of(metric)


def _blocks(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Split a task's rows by headline, best model first, each with its title."""
    blocks = []
    for (dataset, output, subset, metric), part in table.groupby(CELL, sort=False):
        title = " · ".join(
            dict.fromkeys((dataset, output, subset if subset != "all" else output, *_what(output, metric)))
        )
        blocks.append((title, part.sort_values("mean", ascending=False, kind="stable")))
    return blocks
