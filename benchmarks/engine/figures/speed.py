"""Draw training time and prediction throughput of models. DataFrames in, Figure out.

Source: Rafi et al. 2024, Extended Data Fig. 10 (training time per batch, throughput and parameters per model), Fig. 3e.
Every figure of times names the device that they were measured on.
"""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter, StrMethodFormatter

from benchmarks.engine.figures.style import INK, STYLE, footnote, head, model_colour, seaborn

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
    colours = {name: model_colour(name) for name in rows["model"]}
    seaborn().barplot(
        rows, x=column, y="model", hue="model", palette=colours, saturation=1, edgecolor="black", linewidth=0.5,
        width=0.65, errorbar=None, legend=False, ax=ax,
    )  # fmt: skip
    ax.set(xlabel="", ylabel="")
    if f"{column}_low" in rows:
        ax.hlines(at, rows[f"{column}_low"], rows[f"{column}_high"], color=INK, lw=1.5)
    for y, value in enumerate(values):
        text = f" {value:.0%}" if column == "share_of_peak" else f" {value:,.3g}" if value < 1000 else f" {value:,.0f}"
        ax.text(value, y, text, va="center", ha="left", fontsize=7.5, color=INK)
    ax.set_yticks(at, names)
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


@mpl.rc_context(STYLE)
def sizes(table: pd.DataFrame) -> Figure:
    """Draw the number of parameters of some networks as bars (Fig. 3e).

    `table` has the columns model, label and n_params, a network a row, from top to bottom.
    """
    fig = Figure((5.4, 1.1 + 0.42 * len(table)), layout="constrained")
    ax = fig.subplots()
    _parameters(ax, table)
    head(fig, "Number of parameters", False)
    return fig


def _parameters(ax: Axes, table: pd.DataFrame) -> None:
    colours = {row.label: model_colour(row.model) for row in table.itertuples()}
    seaborn().barplot(
        table, x="n_params", y="label", hue="label", palette=colours, saturation=1, edgecolor="black", linewidth=0.5,
        width=0.65, errorbar=None, legend=False, ax=ax,
    )  # fmt: skip
    for y, number in enumerate(table["n_params"]):
        ax.annotate(f"{number:,}", (number, y), (4, 0), textcoords="offset points", va="center", size=7.5)
    ax.set(xlabel="parameters", ylabel="", xlim=(0, 1.3 * table["n_params"].max()))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.tick_params(axis="y", length=0)


@mpl.rc_context(STYLE)
def of_trainings(table: pd.DataFrame, labels: Mapping[str, str], *, simulated: bool) -> Figure:
    """Draw seconds per training batch and predictions per second of stored trainings: bar = median, point = training.

    `table` has the columns task, model, batch_size, device, s_per_batch and predict_seq_per_s.
    """
    sns = seaborn()
    names = [
        f"{labels.get(model, model)} · {task}, batch {batch:,.0f}"
        for task, model, batch in zip(table["task"], table["model"], table["batch_size"], strict=True)
    ]
    table = table.assign(name=names)
    order = list(dict.fromkeys(names))
    colours = {name: model_colour(model) for name, model in zip(names, table["model"], strict=True)}
    fig = Figure((10, 1.5 + 0.34 * len(order)), layout="constrained")
    wanted = {"s_per_batch": "seconds per training batch", "predict_seq_per_s": "sequences predicted per second"}
    for ax, (column, what) in zip(fig.subplots(1, 2, sharey=True), wanted.items(), strict=True):
        timed = table.dropna(subset=column)
        places = {"x": column, "y": "name", "order": order, "hue": "name", "palette": colours, "legend": False}
        ax.set_xscale("log")
        sns.barplot(timed, **places, estimator="median", errorbar=None, saturation=1, alpha=0.45, width=0.65, ax=ax)
        sns.stripplot(timed, **places, jitter=False, size=3, edgecolor="black", linewidth=0.3, ax=ax)
        for name, values in timed.groupby("name")[column]:
            at = (values.max(), order.index(name))
            text = f"{values.median():#.3g}".rstrip(".")
            ax.annotate(text, at, (6, 0), textcoords="offset points", va="center", size=7.5)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set(xlim=(timed[column].min() / 2, timed[column].max() * 4), xlabel=f"{what} (log scale)", ylabel="")
        ax.tick_params(axis="y", length=0, labelsize=8)
    ax.set_ylim(len(order) - 0.4, -0.6)
    devices = "; ".join(dict.fromkeys(table["device"]))
    footnote(fig, f"Bar: median, point: one training. Measured here on {devices}, not on the paper's V100.")
    head(fig, "Speed of the trainings", simulated)
    return fig


_QUANTITIES = {
    "seconds_per_training_batch": "seconds per training batch",
    "predictions_per_second": "predictions per second",
    "parameters": "parameters",
}


@mpl.rc_context(STYLE)
def repeats(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Draw boxes of the raw repeats of training time and throughput, and parameters (Extended Data Fig. 10).

    A row of three panels per task: seconds per training batch, predictions per second, number of parameters.

    Parameters
    ----------
    table
        Columns task, model, quantity, value, one row per repeat; throughput at one batch size per model. The columns
        device_name, precision, backend and protocol say where and how it was measured.
    labels
        Display name of each model.
    """
    sns = seaborn()
    tasks = list(dict.fromkeys(table["task"]))
    models = {task: list(dict.fromkeys(table.loc[table["task"] == task, "model"])) for task in tasks}
    heights = [len(models[task]) + 2 for task in tasks]
    fig = Figure((11.0, 1.1 + 0.34 * sum(heights)), layout="constrained")
    axes = fig.subplots(len(tasks), 3, squeeze=False, height_ratios=heights)
    letters = iter("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    for row, task in zip(axes, tasks, strict=True):
        colours = {name: model_colour(name) for name in models[task]}
        places = {"y": "model", "order": models[task], "hue": "model", "palette": colours, "legend": False}
        for ax, (quantity, title) in zip(row, _QUANTITIES.items(), strict=True):
            rows = table[(table["task"] == task) & (table["quantity"] == quantity)]
            if quantity == "parameters":
                sns.barplot(rows, x="value", **places, saturation=1, edgecolor="black", linewidth=0.5, ax=ax)
                for y, model in enumerate(models[task]):
                    for number in rows.loc[rows["model"] == model, "value"]:
                        at = {"xy": (number, y), "xytext": (4, 0), "textcoords": "offset points"}
                        ax.annotate(f"{number:,.0f}", **at, va="center", size=7.5)
                ax.set_xlim(0, 1.35 * rows["value"].max())
            else:
                look = {"boxprops": {"alpha": 0.6}, "medianprops": {"color": "black"}, "linewidth": 0.8}
                sns.boxplot(rows, x="value", **places, saturation=1, whis=(0, 100), width=0.6, ax=ax, **look)
                ax.set_xlim(0, 1.08 * rows["value"].max())
            if quantity != "seconds_per_training_batch":
                ax.xaxis.set_major_formatter(EngFormatter(sep=""))
            ax.set(xlabel=title, ylabel="")
            ax.set_title(f"{next(letters)}  {task}", loc="left")
            names = [labels.get(name, name) for name in models[task]]
            ax.set_yticks(range(len(names)), names if ax is row[0] else [""] * len(names))
            ax.tick_params(axis="y", length=0)
    _where(fig, table[table["quantity"] != "parameters"], "Training time, throughput and parameters")
    return fig


def _where(fig: Figure, rows: pd.DataFrame, title: str) -> None:
    """Head a figure, and say where and how its numbers were measured."""
    devices, precisions, protocols = measured_on(rows)
    head(fig, f"{title} ({devices}; {precisions}; protocol {protocols})", False)


def measured_on(rows: pd.DataFrame) -> tuple[str, str, str]:
    """Return the devices, precisions and protocols of some measurements, each as one text."""
    devices = ", ".join(dict.fromkeys("CPU" if name == "cpu" else str(name) for name in rows["device_name"]))
    precisions, protocols = (", ".join(dict.fromkeys(rows[name].astype(str))) for name in ("precision", "protocol"))
    return devices, precisions, protocols
