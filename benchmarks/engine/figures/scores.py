"""Draw scores per test fold, learning curves and speed: DataFrames in, Figure out.

Source: the score plot follows Rafi et al. 2024, Fig. 3b (a box over one point per test fold, P values above).
The palette is that of Okabe and Ito 2008, safe for colour-blind readers; a model has one colour in all figures.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import blended_transform_factory

from benchmarks.api.metrics import label_of
from benchmarks.engine.figures.boxes import BoxLayout, draw_boxes, draw_brackets
from benchmarks.engine.figures.style import (
    INK,
    PALETTE,
    SIMULATED,
    STYLE,
    footnote,
    head,
    model_colour,
    models_in_order,
    rows_where,
    seaborn,
    text_only,
)

_PANEL = ["dataset", "output", "subset", "origin"]
_BRACKET_PT = 19  # height of one bracket with its P value, in points
_LABEL_CHARS = 12  # longer names are wrapped


@mpl.rc_context(STYLE)
def fold_scores(
    scores: pd.DataFrame,
    tests: pd.DataFrame,
    *,
    metric: str = "pearson_r",
    level: str = "row",
    labels: Mapping[str, str],
    order: Sequence[str],
    ceilings: pd.DataFrame | None = None,
    title: str = "Ensembles on held-out test folds",
) -> Figure:
    """Draw the ensemble score of every model on every test fold, a panel per dataset, output and subset.

    Source: Rafi et al. 2024, Fig. 3b. Differences: whiskers extend to the outermost folds, so every point lies within
    them, and a dashed line marks the noise ceiling.

    Parameters
    ----------
    scores
        Long score table; only role "ensemble" is drawn.
    tests
        Paired tests with columns dataset, output, origin, subset, level, metric, model, baseline, p_value.
        Each P value that is not NaN is drawn as a bracket; an empty table draws none.
    labels, order
        Display name of each model; models from left to right. Models that `order` lacks come last.
    ceilings
        Columns dataset, output, level, metric, value, basis. They hold for the subset "all", or for the only subset.

    Raises
    ------
    ValueError
        If no ensemble score has this metric and level.
    """
    chosen, tests = _of_metric(scores, tests, metric, level)
    baselines = sorted(set(tests["baseline"]))
    panels = [(dict(zip(_PANEL, key, strict=True)), part) for key, part in chosen.groupby(_PANEL, sort=False)]
    ticks = [_tick_labels(part, labels, order, baselines) for _, part in panels]
    varying = [column for column in _PANEL if len(set(chosen[column])) > 1]
    known = _known_ceilings(ceilings, metric, level)
    n_brackets = max(len(rows_where(tests, **key)) for key, _ in panels)
    fig, axes = _panel_grid(ticks, n_brackets, has_ceilings=bool(known))
    bases = []
    for ax, (key, part), names in zip(axes, panels, ticks, strict=True):
        models = models_in_order(part, order)
        layout = BoxLayout(models, {model: model_colour(model) for model in models})
        draw_boxes(ax, part, layout)
        ax.set_xticks(range(len(names)), names, fontsize=8)
        ax.set_title(_panel_title(key, varying), loc="left")
        ax.set_ylabel(f"{label_of(metric)}, {label_of(level)}")
        ceiling = known.get((key["dataset"], key["output"]))
        if ceiling and (key["subset"] == "all" or "subset" not in varying):
            _noise_ceiling(ax, ceiling["value"])
            bases.append(str(ceiling["basis"]))
        draw_brackets(ax, part, rows_where(tests, **key), layout)
    head(fig, title, set(chosen["origin"]) == {"simulated"})
    text = _explain_folds(chosen, [labels.get(name, name) for name in baselines], bases)
    footnote(fig, text + " Scales differ between panels." * (len(panels) > 1))
    return fig


@mpl.rc_context(STYLE)
def grouped_fold_scores(
    scores: pd.DataFrame,
    tests: pd.DataFrame,
    *,
    group: str,
    groups: Mapping[str, str],
    metric: str,
    level: str,
    labels: Mapping[str, str],
    order: Sequence[str],
    title: str,
) -> Figure:
    """Draw the ensemble score of every test fold on one axis: models side by side within each group (Fig. 3a,b).

    Parameters
    ----------
    scores, tests, metric, level, labels, order
        As of `fold_scores`.
    group, groups
        Column of the groups (`output`, `dataset`), and the name of each group, from left to right.
    title
        Title of the figure.

    Raises
    ------
    ValueError
        If no ensemble score has this metric and level.
    """
    chosen, tests = _of_metric(scores, tests, metric, level)
    present = [name for name in groups if name in set(chosen[group])]
    models = models_in_order(chosen, order)
    layout = BoxLayout(models, {model: model_colour(model) for model in models}, present, group)
    n_brackets = int(tests.groupby(group).size().max()) if len(tests) else 0
    height = 3.0 + n_brackets * _BRACKET_PT / 72
    fig = Figure((max(5.0, 1.0 + len(present) * (0.4 + 0.5 * len(models))), height), layout="constrained")
    ax = fig.subplots()
    draw_boxes(ax, chosen, layout)
    ax.set_xticks(range(len(present)), [groups[name] for name in present])
    ax.set_ylabel(label_of(metric))
    draw_brackets(ax, chosen, tests, layout)
    keys = [Patch(fc=colour, ec=INK, lw=0.5, label=labels.get(name, name)) for name, colour in layout.colours.items()]
    fig.legend(handles=keys, loc="outside right center", frameon=False, fontsize=8)
    head(fig, title, set(chosen["origin"]) == {"simulated"})
    footnote(fig, _explain_folds(chosen, [labels.get(name, name) for name in sorted(set(tests["baseline"]))], []))
    return fig


def _of_metric(scores: pd.DataFrame, tests: pd.DataFrame, metric: str, level: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the ensembles' scores of a metric and level, and the tests that have a P value."""
    chosen = rows_where(scores, role="ensemble", metric=metric, level=level)
    if chosen.empty:
        raise ValueError(f"There are no ensemble scores with metric {metric!r} and level {level!r} to draw.")
    tests = tests.reindex(columns=[*_PANEL, "metric", "level", "model", "baseline", "p_value"])
    return chosen, rows_where(tests, metric=metric, level=level).dropna(subset="p_value")


def _known_ceilings(ceilings: pd.DataFrame | None, metric: str, level: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rows of the noise ceilings of a metric and level by dataset and output."""
    if ceilings is None or ceilings.empty:
        return {}
    rows = rows_where(ceilings, metric=metric, level=level).to_dict("records")
    return {(row["dataset"], row["output"]): row for row in rows}


def _panel_grid(ticks: list[list[str]], n_brackets: int, *, has_ceilings: bool) -> tuple[Figure, list[Axes]]:
    """Return a figure with an axes per panel: as wide as the longest tick label needs, as high as the brackets need."""
    lines = {line for names in ticks for name in names for line in name.split("\n")}
    longest = max(TextPath((0, 0), line, size=8).get_extents().width for line in lines) / 72
    width = 0.75 + 0.5 * has_ceilings + (max(map(len, ticks)) + 0.2) * max(0.7, longest + 0.12)
    n_rows = -(-len(ticks) // max(1, min(3, int(15 / width))))
    n_columns = -(-len(ticks) // n_rows)
    height = 3.2 + n_brackets * _BRACKET_PT / 72
    fig = Figure((max(5.4, n_columns * width), 0.9 + n_rows * height), layout="constrained")
    axes = list(fig.subplots(n_rows, n_columns, squeeze=False).flat)
    for ax in axes[len(ticks) :]:
        ax.remove()
    return fig, axes[: len(ticks)]


def _panel_title(key: Mapping[str, str], varying: Sequence[str]) -> str:
    title = [SIMULATED] if "origin" in varying and key["origin"] == "simulated" else []
    title += [str(key[column]) for column in _PANEL[:3] if column == "dataset" or column in varying]
    return " · ".join(title)


@mpl.rc_context(STYLE)
def learning_curves(
    history: pd.DataFrame, labels: Mapping[str, str], order: Sequence[str], *, origin: str | None = None
) -> Figure:
    """Draw validation Pearson r and the losses over epochs: a column per model, a thin line per training.

    The bold line is the median over trainings, as long as at least half of them still run.

    Parameters
    ----------
    history
        Columns dataset, model, test_fold, val_fold, epoch, train_loss, val_loss, val_pearson_r and,
        optionally, is_best (bool, the selected epoch). Models without rows do not appear.
    origin
        "simulated" marks the figure as such.
    """
    if history.empty:
        return text_only("No model of this run trains in epochs.")
    models = models_in_order(history, order)
    datasets = list(dict.fromkeys(history["dataset"]))
    by_dataset = dict(zip(datasets, PALETTE * len(datasets), strict=False))
    many = len(history.drop_duplicates(["dataset", "model", "test_fold", "val_fold"])) > 60
    n_columns = len(models) if len(models) < 5 else 3
    n_blocks = -(-len(models) // n_columns)
    fig = Figure((max(5.4, 0.6 + 3.0 * n_columns), 1.0 + 4.4 * n_blocks), layout="constrained")
    axes = fig.subplots(2 * n_blocks, n_columns, squeeze=False)
    tops, bottoms = list(axes[0::2].flat), list(axes[1::2].flat)
    for ax in tops[len(models) :] + bottoms[len(models) :]:
        ax.remove()
    for i, (top, bottom, model) in enumerate(zip(tops, bottoms, models, strict=False)):
        for dataset in datasets:
            rows = rows_where(history, model=model, dataset=dataset)
            colour = by_dataset[dataset] if len(datasets) > 1 else model_colour(model)
            _curves(top, rows, "val_pearson_r", colour, "-", many)
            _curves(bottom, rows, "train_loss", colour, (0, (3, 1.5)), many)
            _curves(bottom, rows, "val_loss", colour, "-", many)
            best = rows_where(rows, is_best=True) if "is_best" in rows else rows.iloc[:0]
            look = {"mfc": colour, "alpha": 0.3, "ms": 3} if many else {"mfc": "white", "ms": 4}
            top.plot(best["epoch"], best["val_pearson_r"], "o", mec=colour, zorder=4, **look)
        top.set_title(textwrap.fill(str(labels.get(model, model)), 30), loc="left")
        top.sharex(bottom)
        top.tick_params(labelbottom=False)
        bottom.set_xlabel("epoch")
        bottom.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if i % n_columns == 0:
            top.set_ylabel("Pearson r, validation")
            bottom.set_ylabel("loss")
    lows, highs = zip(*(ax.get_ylim() for ax in tops[: len(models)]), strict=True)
    for ax in tops[: len(models)]:  # one scale, so that models compare; losses differ and keep their own
        ax.set_ylim(min(lows), max(highs))
    lines = [Line2D([], [], color=by_dataset[name], lw=2, label=name) for name in datasets]
    lines = lines * (len(datasets) > 1) + _curve_legend("is_best" in history)
    fig.legend(handles=lines, loc="outside lower left", ncols=3, frameon=False, fontsize=8)
    head(fig, "Learning curves", origin == "simulated")
    return fig


@mpl.rc_context(STYLE)
def speed(jobs: pd.DataFrame, labels: Mapping[str, str], order: Sequence[str], *, origin: str | None = None) -> Figure:
    """Draw sequences per second in training and prediction: bar = median, point = one training.

    Parameters
    ----------
    jobs
        Columns model, device, train_seq_per_s, predict_seq_per_s; NaN where not measured.
    origin
        "simulated" marks the figure as such.
    """
    columns = {"train_seq_per_s": "training", "predict_seq_per_s": "prediction"}
    known = jobs.reindex(columns=["model", "device", *columns]).dropna(subset=list(columns), how="all")
    if known.empty:
        return text_only("No training was timed.")
    bars = list(known.groupby(["model", "device"], dropna=False, sort=False))
    models = models_in_order(known, order)
    bars.sort(key=lambda bar: models.index(bar[0][0]))
    devices = list(dict.fromkeys(str(device) for (_, device), _ in bars))
    names = [textwrap.fill(str(labels.get(model, model)), 24) for (model, _), _ in bars]
    if len(devices) > 1:
        names = [f"{name}\non {bar[0][1]}" for name, bar in zip(names, bars, strict=True)]
    fig = Figure((10, 1.4 + 0.5 * len(bars)), layout="constrained")
    rows = pd.concat([part.assign(bar=str(at)) for at, (_, part) in enumerate(bars)])
    colours = {str(at): model_colour(model) for at, ((model, _), _) in enumerate(bars)}
    places = {"y": "bar", "order": list(colours), "hue": "bar", "palette": colours, "legend": False}
    sns = seaborn()
    for ax, (column, what) in zip(fig.subplots(1, 2, sharey=True), columns.items(), strict=True):
        timed = rows.dropna(subset=column)
        if len(timed):
            look = {"estimator": "median", "errorbar": None, "width": 0.6, "alpha": 0.45, "saturation": 1}
            sns.barplot(timed, x=column, **places, ax=ax, **look)
            points = {"size": 3.5, "edgecolor": "black", "linewidth": 0.4}
            sns.stripplot(timed, x=column, **places, ax=ax, jitter=False, **points)
        for y, (_, part) in enumerate(bars):
            values = part[column].dropna().to_numpy(float)
            beside = {"textcoords": "offset points", "va": "center", "fontsize": 8}
            if len(values) == 0:
                ax.annotate("not measured", (0, y), (6, 0), xycoords=ax.get_yaxis_transform(), **beside)
                continue
            middle = np.median(values)
            text = f"{middle:,.0f}" if middle >= 10 else f"{middle:.2g}"
            ax.annotate(text, (values.max(), y), (6, 0), **beside)
        least, most = known[column].min(), known[column].max()
        ax.set_xlim(0, 1.2 * most if most > 0 else 1)  # room for the number behind the longest bar
        ax.xaxis.set_major_locator(MaxNLocator(4))
        if 0 < 30 * least < most:
            what += " (log scale)"
            ax.set_xscale("log")
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.set_xlim(10 ** np.floor(np.log10(least / 2)), 4 * most)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}" if most >= 5 else "{x:g}"))
        where = f"on {devices[0]}" if len(devices) == 1 else "device beside the name"
        ax.set_xlabel(f"sequences per second, {what}\n{textwrap.fill(where, 60)}")
        ax.set_yticks(range(len(bars)), names)
        ax.set_ylabel("")
        ax.tick_params(left=False)
    ax.set_ylim(len(bars) - 0.4, -0.6)
    head(fig, "Speed (bar: median, point: one training)", origin == "simulated")
    return fig


def _tick_labels(
    part: pd.DataFrame, labels: Mapping[str, str], order: Sequence[str], baselines: Sequence[str]
) -> list[str]:
    names = []
    for model in models_in_order(part, order):
        lines = textwrap.wrap(str(labels.get(model, model)), _LABEL_CHARS) or [model]
        lines += ["(baseline)"] if model in baselines else []
        names.append("\n".join([*lines, f"n = {rows_where(part, model=model)['value'].notna().sum()}"]))
    return names


def _noise_ceiling(ax: Axes, value: float) -> None:
    """Draw the noise ceiling as a dashed line, labelled beside the axes, where it cannot cover data."""
    ax.axhline(value, color=INK, lw=1, ls=(0, (4, 2)), zorder=1)
    beside = blended_transform_factory(ax.transAxes, ax.transData)
    ax.text(1.01, value, f"noise\nceiling\n{value:.3f}", transform=beside, va="center", fontsize=7.5, color=INK)


def _explain_folds(chosen: pd.DataFrame, baselines: list[str], bases: list[str]) -> str:
    low, high = int(chosen["n_members"].min()), int(chosen["n_members"].max())
    members = f"{low}" if low == high else f"{low} to {high}"
    text = f"Point: one test fold, predictions averaged over {members} member{'s' * (high > 1)}; n: folds. "
    text += "Box: quartiles and median (from 3 folds on); whiskers: all folds."
    if baselines:
        names = " and ".join(baselines)
        text += f" P: paired two-sided t-test over folds against {names}, not adjusted for their number."
    if bases:
        text += f" Dashed: noise ceiling ({'; '.join(dict.fromkeys(bases))})."
    return text


def _curves(ax: Axes, rows: pd.DataFrame, column: str, colour: str, style: object, many: bool) -> None:
    """Draw a thin line per training and their median; `many` lines become a bitmap, to keep the SVG small."""
    rows = rows[rows[column].notna()].sort_values("epoch")
    trainings = rows.groupby(["test_fold", "val_fold"], dropna=False, sort=False)
    line: dict[str, Any] = {"ls": style, "color": colour}
    alpha = min(0.4, 8 / max(1, trainings.ngroups))
    for _, training in trainings:
        marker = "." if len(training) == 1 else ""
        ax.plot(training["epoch"], training[column], lw=0.7, alpha=alpha, marker=marker, rasterized=many, **line)
    by_epoch = rows.groupby("epoch")[column]
    middle = by_epoch.median()[by_epoch.size() >= trainings.ngroups / 2]
    ax.plot(middle.index, middle, lw=2, zorder=3, **line)


def _curve_legend(best: bool) -> list[Line2D]:
    lines: dict[str, dict[str, Any]] = {
        "one training": {"lw": 0.7},
        "median, while half of the trainings run": {"lw": 2},
        "validation loss": {"lw": 1.5},
        "training loss": {"lw": 1.5, "ls": (0, (3, 1.5))},
    }
    if best:
        lines["selected epoch"] = {"marker": "o", "mfc": "white", "ls": "", "ms": 4}
    return [Line2D([], [], color=INK, label=label, **look) for label, look in lines.items()]
