"""Draw training time and prediction throughput of models. DataFrames in, Figure out.

Source: Rafi et al. 2024, Extended Data Fig. 10 (training time per batch, throughput per model). Every figure names the
device that it was measured on.
"""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from benchmarks.engine.figures.style import INK, STYLE, head, model_colour

_BARS = (
    ("s_per_batch", "seconds per training batch"),
    ("predict_seq_per_s", "sequences predicted per second"),
    ("share_of_peak", "share of the device's matrix product"),
)


@mpl.rc_context(STYLE)
def bars(speeds: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Draw seconds per batch, predictions per second and share of peak, a row of panels per task.

    `speeds` has the columns of `benchmarks.apps.speed.measure.SPEED_COLUMNS`; `labels` the display name of each model.
    Lines on the bars of the first panel span the quartiles over repeats.
    """
    tasks = list(dict.fromkeys(speeds["task"]))
    counts = [int((speeds["task"] == task).sum()) for task in tasks]
    fig = Figure((11.5, 1.3 + sum(0.34 * n + 0.95 for n in counts)), layout="constrained")
    axes = fig.subplots(len(tasks), len(_BARS), squeeze=False, height_ratios=[n + 2 for n in counts])
    for row, task in zip(axes, tasks, strict=True):
        of_task = speeds[speeds["task"] == task]
        for ax, (column, title) in zip(row, _BARS, strict=True):
            _bars(ax, of_task, column, [labels.get(name, name) for name in of_task["model"]])
            ax.set_title(title if ax is not row[0] else f"{task}: {title}", loc="left", fontsize=9)
            if ax is not row[0]:
                ax.tick_params(labelleft=False)
    _where(fig, speeds, "Training time and throughput")
    return fig


def _bars(ax: Axes, rows: pd.DataFrame, column: str, names: list[str]) -> None:
    at = np.arange(len(rows))
    values = rows[column].to_numpy(float)
    ax.barh(at, values, color=[model_colour(name) for name in rows["model"]], edgecolor="black", lw=0.5, height=0.65)
    if f"{column}_low" in rows:
        ax.hlines(at, rows[f"{column}_low"], rows[f"{column}_high"], color=INK, lw=1.5)
    for y, value in enumerate(values):
        text = f" {value:.0%}" if column == "share_of_peak" else f" {value:,.3g}" if value < 1000 else f" {value:,.0f}"
        ax.text(value, y, text, va="center", ha="left", fontsize=7.5, color=INK)
    ax.set_yticks(at, names)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.25 * np.nanmax(rows.get(f"{column}_high", values)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:.0%}" if column == "share_of_peak" else "{x:,g}"))


@mpl.rc_context(STYLE)
def throughput(rows: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Draw predictions per second against the batch size, a panel per task, both axes logarithmic.

    `rows` has the columns of `benchmarks.apps.speed.measure.THROUGHPUT_COLUMNS`.
    """
    tasks = list(dict.fromkeys(rows["task"]))
    fig = Figure((1.2 + 4.6 * len(tasks), 4.2), layout="constrained")
    for ax, task in zip(fig.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        for model, line in rows[rows["task"] == task].groupby("model", sort=False):
            colour = model_colour(model)
            ax.plot(line["batch_size"], line["seq_per_s"], "o-", ms=4, color=colour, label=labels.get(model, model))
            ax.fill_between(line["batch_size"], line["seq_per_s_low"], line["seq_per_s_high"], color=colour, alpha=0.2)
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_title(task, loc="left")
        ax.set_xlabel("sequences per batch")
        ax.set_ylabel("sequences predicted per second")
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.yaxis.set_minor_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.tick_params(axis="y", which="minor", labelsize=7)
        ax.legend(frameon=False, fontsize=8)
    _where(fig, rows, "Predictions per second by batch size")
    return fig


def _where(fig: Figure, rows: pd.DataFrame, title: str) -> None:
    """Head a figure, and say where and how its numbers were measured."""
    devices = ", ".join(dict.fromkeys("CPU" if name == "cpu" else name for name in rows["device_name"]))
    precisions, protocols = (", ".join(dict.fromkeys(rows[name])) for name in ("precision", "protocol"))
    head(fig, f"{title} ({devices}; {precisions}; protocol {protocols})", False)
