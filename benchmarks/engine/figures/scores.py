"""Draw scores per test fold, learning curves and speed: DataFrame in, Figure out.

Source: the score plot follows Rafi et al. 2024, Fig. 3b (a box over one point per test fold, P values above).
Colours are those of Okabe and Ito 2008, told apart by colour-blind readers; a model has one colour in all figures.
Figures are built without pyplot: no window system, no global state.
"""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import blended_transform_factory

from benchmarks.api.metrics import label_of
from benchmarks.engine.figures.style import (
    INK,
    PALETTE,
    SIMULATED,
    STYLE,
    _models,
    _nothing,
    _where,
    _without_warnings,
    head,
    model_colour,
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
) -> Figure:
    """Draw the ensemble score of every model on every test fold, a panel per dataset, output and subset.

    Source: Rafi et al. 2024, Fig. 3b. Departs from it: whiskers reach the outermost folds, so every point
    lies within them, and a dashed line marks the attainable ceiling.

    Parameters
    ----------
    scores
        Long score table; only role "ensemble" is drawn.
    tests
        Paired tests with columns dataset, output, origin, subset, level, metric, model, baseline, p_value.
        Each P value that is not NaN becomes a bracket; an empty table draws none.
    labels, order
        Display name of each model; models from left to right. Models that `order` lacks come last.
    ceilings
        Columns dataset, output, level, metric, value, basis. They hold for the subset "all", or the only one.

    Raises
    ------
    ValueError
        If no ensemble score has this metric and level.
    """
    chosen = _where(scores, role="ensemble", metric=metric, level=level)
    if chosen.empty:
        raise ValueError(f"There are no ensemble scores with metric {metric!r} and level {level!r} to draw.")
    tests = tests.reindex(columns=[*_PANEL, "metric", "level", "model", "baseline", "p_value"])
    tests = _where(tests, metric=metric, level=level).dropna(subset="p_value")
    baselines = sorted(set(tests["baseline"]))
    panels = [(dict(zip(_PANEL, key, strict=True)), part) for key, part in chosen.groupby(_PANEL, sort=False)]
    ticks = [_tick_labels(part, labels, order, baselines) for _, part in panels]

    varying = [column for column in _PANEL if len(set(chosen[column])) > 1]
    known = {}
    if ceilings is not None and len(ceilings):
        ceilings = _where(ceilings, metric=metric, level=level)
        known = {(row["dataset"], row["output"]): row for row in ceilings.to_dict("records")}

    # Widths follow the longest line of a name and heights the number of brackets, so nothing has to shrink.
    lines = {line for names in ticks for name in names for line in name.split("\n")}
    longest = max(TextPath((0, 0), line, size=8).get_extents().width for line in lines) / 72
    width = 0.75 + 0.5 * bool(known) + (max(map(len, ticks)) + 0.2) * max(0.7, longest + 0.12)
    n_rows = -(-len(panels) // max(1, min(3, int(15 / width))))
    n_columns = -(-len(panels) // n_rows)
    height = 3.2 + max(len(_where(tests, **key)) for key, _ in panels) * _BRACKET_PT / 72
    fig = Figure((max(5.4, n_columns * width), 0.9 + n_rows * height), layout="constrained")
    axes = list(fig.subplots(n_rows, n_columns, squeeze=False).flat)
    for ax in axes[len(panels) :]:
        ax.remove()
    bases = []
    for ax, (key, part), names in zip(axes, panels, ticks, strict=False):
        _boxes(ax, part, order)
        ax.set_xticks(range(len(names)), names, fontsize=8)
        title = [SIMULATED] if "origin" in varying and key["origin"] == "simulated" else []
        title += [str(key[column]) for column in _PANEL[:3] if column == "dataset" or column in varying]
        ax.set_title(" · ".join(title), loc="left")
        ax.set_ylabel(f"{label_of(metric)}, {label_of(level)}")
        ceiling = known.get((key["dataset"], key["output"]))
        if ceiling and (key["subset"] == "all" or "subset" not in varying):
            _ceiling(ax, ceiling["value"])
            bases.append(str(ceiling["basis"]))
    head(fig, "Ensembles on held-out test folds", set(chosen["origin"]) == {"simulated"})
    text = _explain_folds(chosen, [labels.get(name, name) for name in baselines], bases)
    text = textwrap.fill(text, int(fig.get_figwidth() * 16))
    fig.supxlabel(text, x=0.01, ha="left", fontsize=7.5, color=INK)
    with _without_warnings():
        fig.draw_without_rendering()  # brackets are placed in points: the axes must know their height
    for ax, (key, part) in zip(axes, panels, strict=False):
        _brackets(ax, _where(tests, **key), _models(part, order))
    return fig


@mpl.rc_context(STYLE)
def learning_curves(
    history: pd.DataFrame, labels: Mapping[str, str], order: Sequence[str], *, origin: str | None = None
) -> Figure:
    """Draw validation Pearson r and the losses over epochs: a column per model, a thin line per training.

    Source: none. The bold line is the median over trainings, as long as at least half of them still run.

    Parameters
    ----------
    history
        Columns dataset, model, test_fold, val_fold, epoch, train_loss, val_loss, val_pearson_r and,
        optionally, is_best (bool, the epoch whose weights were kept). Models without rows do not appear.
    origin
        "simulated" marks the figure as such.
    """
    if history.empty:
        return _nothing("No model of this run trains in epochs.")
    models = _models(history, order)
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
            ours = _where(history, model=model, dataset=dataset)
            colour = by_dataset[dataset] if len(datasets) > 1 else model_colour(model)
            _curves(top, ours, "val_pearson_r", colour, "-", many)
            _curves(bottom, ours, "train_loss", colour, (0, (3, 1.5)), many)
            _curves(bottom, ours, "val_loss", colour, "-", many)
            best = _where(ours, is_best=True) if "is_best" in ours else ours.iloc[:0]
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

    Source: none.

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
        return _nothing("No training was timed.")
    bars = list(known.groupby(["model", "device"], dropna=False, sort=False))
    models = _models(known, order)
    bars.sort(key=lambda bar: models.index(bar[0][0]))
    devices = list(dict.fromkeys(str(device) for (_, device), _ in bars))
    names = [textwrap.fill(str(labels.get(model, model)), 24) for (model, _), _ in bars]
    if len(devices) > 1:
        names = [f"{name}\non {bar[0][1]}" for name, bar in zip(names, bars, strict=True)]
    fig = Figure((10, 1.4 + 0.5 * len(bars)), layout="constrained")
    for ax, (column, what) in zip(fig.subplots(1, 2, sharey=True), columns.items(), strict=True):
        for y, ((model, _), part) in enumerate(bars):
            values = part[column].dropna().to_numpy(float)
            beside = {"textcoords": "offset points", "va": "center", "fontsize": 8}
            if len(values) == 0:
                ax.annotate("not measured", (0, y), (6, 0), xycoords=ax.get_yaxis_transform(), **beside)
                continue
            middle, colour = np.median(values), model_colour(model)
            ax.barh(y, middle, height=0.6, color=colour, alpha=0.45)
            edge = 0.4 if len(values) < 30 else 0.0
            ax.plot(values, y + _spread(len(values)), "o", ms=3.5, mfc=colour, mec="black", mew=edge)
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
        ax.tick_params(left=False)
    ax.set_ylim(len(bars) - 0.4, -0.6)
    head(fig, "Speed (bar: median, point: one training)", origin == "simulated")
    return fig


def _spread(n: int) -> np.ndarray:
    """Return sideways offsets of n points, so that equal values stay apart; fold by fold, not at random."""
    return np.linspace(-0.16, 0.16, n) if n > 1 else np.zeros(n)


def _tick_labels(
    part: pd.DataFrame, labels: Mapping[str, str], order: Sequence[str], baselines: Sequence[str]
) -> list[str]:
    names = []
    for model in _models(part, order):
        lines = textwrap.wrap(str(labels.get(model, model)), _LABEL_CHARS) or [model]
        lines += ["(baseline)"] if model in baselines else []
        names.append("\n".join([*lines, f"n = {_where(part, model=model)['value'].notna().sum()}"]))
    return names


def _boxes(ax: Axes, part: pd.DataFrame, order: Sequence[str]) -> None:
    models = _models(part, order)
    for x, model in enumerate(models):
        values = _where(part, model=model).sort_values("test_fold")["value"].dropna().to_numpy(float)
        colour, enough = model_colour(model), len(values) > 2  # quartiles of two folds say nothing
        line = {"color": colour, "lw": 1.0 if enough else 0.0}
        ax.boxplot(
            values, positions=[x], widths=0.55, whis=(0, 100), showfliers=False, showbox=enough,
            manage_ticks=False, patch_artist=True, boxprops={"facecolor": colour + "55", "edgecolor": colour},
            whiskerprops=line, capprops=line, medianprops={"color": "black", "lw": 1.4},
        )  # fmt: skip
        ax.plot(x + _spread(len(values)), values, "o", ms=4, mfc=colour, mec="black", mew=0.5, zorder=3)
    ax.set_xlim(-0.6, len(models) - 0.4)


def _ceiling(ax: Axes, value: float) -> None:
    """Draw the attainable score as a dashed line, named beside the axes where no data can meet the name."""
    ax.axhline(value, color=INK, lw=1, ls=(0, (4, 2)), zorder=1)
    beside = blended_transform_factory(ax.transAxes, ax.transData)
    ax.text(1.01, value, f"ceiling\n{value:.3f}", transform=beside, va="center", fontsize=7.5, color=INK)


def _brackets(ax: Axes, tests: pd.DataFrame, models: list[str]) -> None:
    """Stack one bracket per P value above the data, short ones lowest; end the y axis where the data end."""
    low, high = ax.dataLim.intervaly
    if not np.isfinite(high - low):  # no score is a number
        return
    pad = 0.06 * (high - low) or 0.02
    low, high = low - pad, high + pad
    tests = tests[tests["baseline"].isin(models) & tests["model"].isin(models)]
    height = ax.get_window_extent().height / ax.get_figure().dpi * 72
    share = min(0.7, len(tests) * _BRACKET_PT / height)  # of the axes, given to brackets
    ax.set_ylim(low, low + (high - low) / (1 - share))
    ax.spines["left"].set_bounds(low, high)
    ax.set_yticks([tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high])
    columns = (tests["baseline"], tests["model"], tests["p_value"])
    ends = [(models.index(a), models.index(b), p_value) for a, b, p_value in zip(*columns, strict=True)]
    across = blended_transform_factory(ax.transData, ax.transAxes)
    for i, (a, b, p_value) in enumerate(sorted(ends, key=lambda end: (abs(end[0] - end[1]), end[1]))):
        step = share / len(ends)
        y = 1 - share + (i + 0.3) * step
        foot = y - 0.12 * step
        ax.plot([a, a, b, b], [foot, y, y, foot], color="black", lw=0.8, transform=across)
        text = f"P = {p_value:#.2g}"
        ax.text((a + b) / 2, y, text, transform=across, ha="center", va="bottom", fontsize=7.5)


def _explain_folds(chosen: pd.DataFrame, baselines: list[str], bases: list[str]) -> str:
    few, lots = int(chosen["n_members"].min()), int(chosen["n_members"].max())
    members = f"{few}" if few == lots else f"{few} to {lots}"
    text = f"Point: one test fold, predictions averaged over {members} member{'s' * (lots > 1)}; n: folds. "
    text += "Box: quartiles and median (from 3 folds on); whiskers: all folds."
    if baselines:
        text += f" P: paired two-sided t-test over folds against {' and '.join(baselines)}, not corrected."
    if bases:
        text += f" Dashed: attainable ceiling ({'; '.join(dict.fromkeys(bases))})."
    if len(chosen.drop_duplicates(_PANEL)) > 1:
        text += " Scales differ between panels."
    return text


def _curves(ax: Axes, rows: pd.DataFrame, column: str, colour: str, style: object, many: bool) -> None:
    """Draw a thin line per training and their median; `many` lines become a bitmap, to keep the SVG small."""
    rows = rows[rows[column].notna()].sort_values("epoch")
    trainings = rows.groupby(["test_fold", "val_fold"], dropna=False, sort=False)
    line = {"ls": style, "color": colour}
    alpha = min(0.4, 8 / max(1, trainings.ngroups))
    for _, one in trainings:
        marker = "." if len(one) == 1 else ""
        ax.plot(one["epoch"], one[column], lw=0.7, alpha=alpha, marker=marker, rasterized=many, **line)
    by_epoch = rows.groupby("epoch")[column]
    middle = by_epoch.median()[by_epoch.size() >= trainings.ngroups / 2]
    ax.plot(middle.index, middle, lw=2, zorder=3, **line)


def _curve_legend(best: bool) -> list[Line2D]:
    lines = {
        "one training": {"lw": 0.7},
        "median, while half of the trainings run": {"lw": 2},
        "validation loss": {"lw": 1.5},
        "training loss": {"lw": 1.5, "ls": (0, (3, 1.5))},
    }
    if best:
        lines["epoch kept"] = {"marker": "o", "mfc": "white", "ls": "", "ms": 4}
    return [Line2D([], [], color=INK, label=label, **look) for label, look in lines.items()]
