"""Fig. 3a-e and Extended Data 10: the models on other species, profiles of reads, and speed.

Source: Rafi et al. 2024, Fig. 3 and Extended Data Fig. 10.
"""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from benchmarks.api.metrics import label_of
from benchmarks.apps.paper.figure_data import FigureData, MissingData, RenderedPanel, Run
from benchmarks.engine.figures import profiles as profile_figures
from benchmarks.engine.figures import scores, style

_TEST = ["mean_difference", "p_value", "p_corrected", "p_holm"]
_KEY = ["dataset", "output", "subset", "level", "metric", "model"]


def folds(
    data: FigureData, task: str, *, output: str | None = None, subset: str | None = None, metric: str, level: str
) -> RenderedPanel:
    """Draw the ensembles' score on every test fold, with the P values of the paper's test (3a, b, c, d)."""
    run = data.run(task)
    tests = run.comparisons.get("tests", pd.DataFrame(columns=[*_KEY, *_TEST]))
    chosen = run.scores[run.scores["role"] == "ensemble"]
    for column, wanted in (("metric", metric), ("level", level), ("output", output), ("subset", subset)):
        chosen = chosen if wanted is None else chosen[chosen[column] == wanted]
    if chosen.empty:
        raise MissingData(f"the run of {task} holds no ensemble score of this kind ({metric}, {level} level)")
    metric_tests = tests[tests["metric"] == metric]
    metric_tests = metric_tests if output is None else metric_tests[metric_tests["output"] == output]
    metric_tests = metric_tests if subset is None else metric_tests[metric_tests["subset"] == subset]
    figure = scores.fold_scores(
        chosen, metric_tests, metric=metric, level=level, labels=run.labels, order=run.order, ceilings=run.ceilings
    )
    numbers = chosen.merge(metric_tests[[*_KEY, *(c for c in _TEST if c in metric_tests)]], on=_KEY, how="left")
    n = chosen.groupby(["dataset", "output", "model"])["test_fold"].nunique().max()
    text = (
        f"{label_of(metric)} of each of {n} test folds (point: predictions averaged over the "
        "models of a fold), quartiles and median; P: paired two-sided t-test over folds against the baseline, "
        "not corrected, optimistic because folds share training data."
    )
    return RenderedPanel(figure, numbers, text, run.simulated)


def profiles(data: FigureData) -> RenderedPanel:
    """Draw observed and predicted profiles of four peaks (3e)."""
    run = data.run("atac")
    if not run.examples:
        raise MissingData("the run of atac has no finished training")
    shown = run.examples[0]
    figure = profile_figures.examples(
        shown.test, shown.predictions, run.profile_len, labels=run.labels, order=run.order
    )
    numbers = profile_figures.example_numbers(shown.test, shown.predictions, run.profile_len)
    text = (
        f"Observed Tn5 insertions per base, and the profiles that models expect, of four peaks of test fold "
        f"{shown.test_fold} of {shown.dataset}: at even steps from the most insertions to the median, none "
        "hand-picked. In the CSV: not smoothed."
    )
    return RenderedPanel(figure, numbers, text, shown.test.origin == "simulated")


def speed(data: FigureData) -> RenderedPanel:
    """Draw seconds per training batch, and sequences per second in prediction (Extended Data 10)."""
    if not data.runs:
        raise MissingData("no run is available")
    table = pd.concat([speeds(run) for run in data.runs.values()], ignore_index=True)
    if table.empty:
        raise MissingData("no training of these runs was timed")
    simulated = any(run.simulated for run in data.runs.values())
    labels = {model: label for run in data.runs.values() for model, label in run.labels.items()}
    devices = list(dict.fromkeys(table["device"]))
    text = (
        f"Seconds per training batch and sequences predicted per second, measured during these runs on "
        f"{'; '.join(devices)}. Bar: median, point: one training. The paper's figures are of a V100 with 16 GB: these "
        "are ours, and not comparable with them; networks of the preset quick are narrowed."
    )
    return RenderedPanel(_speed_bars(table, labels, simulated), table, text, simulated)


def speeds(run: Run) -> pd.DataFrame:
    """Return the timing of every finished training: task, preset, model, batch_size, s_per_batch, predict_seq_per_s.

    `s_per_batch` is batch size / training sequences per second.
    """
    done = run.jobs[(run.jobs["status"] == "done") & run.jobs["train_seq_per_s"].notna()]
    batch = done["model"].map(run.batch_sizes).astype(float)
    device = done["device"].astype(str) + ", " + done["backend"].astype(str)
    timing = done[["dataset", "model", "test_fold", "val_fold", "train_seq_per_s", "predict_seq_per_s"]]
    table = timing.assign(
        task=run.task, preset=run.preset, device=device, batch_size=batch, s_per_batch=batch / done["train_seq_per_s"]
    )
    return table.dropna(subset="s_per_batch").reset_index(drop=True)


@mpl.rc_context(style.STYLE)
def _speed_bars(table: pd.DataFrame, labels: dict[str, str], simulated: bool) -> Figure:
    bars = list(table.groupby(["task", "model", "batch_size"], sort=False))
    fig = Figure((10, 1.5 + 0.34 * len(bars)), layout="constrained")
    wanted = {"s_per_batch": "seconds per training batch", "predict_seq_per_s": "sequences predicted per second"}
    for ax, (column, what) in zip(fig.subplots(1, 2, sharey=True), wanted.items(), strict=True):
        for y, ((_, model, _), part) in enumerate(bars):
            values = part[column].dropna().to_numpy(float)
            if not len(values):
                continue
            colour = style.model_colour(model)
            ax.barh(y, np.median(values), height=0.65, color=colour, alpha=0.45)
            ax.plot(values, np.full(len(values), y), "o", ms=3, mfc=colour, mec="black", mew=0.3)
            ax.annotate(
                f"{np.median(values):#.3g}".rstrip("."), (values.max(), y), (6, 0), textcoords="offset points",
                va="center", size=7.5,
            )  # fmt: skip
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        low, high = table[column].min(), table[column].max()
        ax.set_xlim(low / 2, high * 4)
        ax.set_xlabel(f"{what} (log scale)")
        ax.tick_params(axis="y", length=0)
        names = [f"{labels.get(model, model)} · {task}, batch {batch:,.0f}" for (task, model, batch), _ in bars]
        ax.set_yticks(range(len(bars)), names, size=8)
    ax.set_ylim(len(bars) - 0.4, -0.6)
    devices = "; ".join(dict.fromkeys(table["device"]))
    fig.supxlabel(
        f"Bar: median, point: one training. Measured here on {devices}, not on the paper's V100.",
        x=0.01, ha="left", fontsize=7.5, color=style.INK,
    )  # fmt: skip
    style.head(fig, "Speed", simulated)
    return fig
