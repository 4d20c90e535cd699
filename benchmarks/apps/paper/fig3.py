"""Fig. 3a-e and Extended Data 10: the models on other species, their sizes, and speed.

Source: Rafi et al. 2024, Fig. 3 and Extended Data Fig. 10.
"""

import pandas as pd
from matplotlib.figure import Figure

from benchmarks import registry
from benchmarks.api.metrics import label_of
from benchmarks.apps.paper.figure_data import FigureData, MissingData, RenderedPanel, Run
from benchmarks.engine.evaluation import speed_repeats
from benchmarks.engine.figures import profiles as profile_figures
from benchmarks.engine.figures import scores, speed

_TEST = ["mean_difference", "p_value", "p_corrected", "p_holm"]
_KEY = ["dataset", "output", "subset", "level", "metric", "model"]
_GROUPS = {
    "drosophila": ("output", {"dev": "developmental", "hk": "housekeeping"}, "Drosophila STARR-seq"),
    "human_mpra": ("dataset", {name: name for name in ("HepG2", "K562", "WTC11")}, "Human MPRA"),
}
"""Task -> what the groups on its axis are, their names from left to right, and the title."""
_TITLES = {"log_counts": "Chromatin accessibility, counts", "profile": "Chromatin accessibility, profiles"}


def groups(data: FigureData, task: str) -> RenderedPanel:
    """Draw Pearson r of every test fold on one axis, by programme (3a) or cell type (3b), with P values."""
    run = data.run(task)
    group, known, title = _GROUPS[task]
    chosen, tests = _of_folds(run, metric="pearson_r", level="row", subset="all")
    named = known | {name: name for name in chosen[group] if name not in known}
    figure = scores.grouped_fold_scores(
        chosen, tests, group=group, groups=named, metric="pearson_r", level="row", labels=run.labels,
        order=run.order, title=title,
    )  # fmt: skip
    return _folds_panel(figure, chosen, tests, run)


def folds(data: FigureData, *, output: str, metric: str) -> RenderedPanel:
    """Draw a score of the accessibility models on every test fold: of counts (3c), of profiles (3d)."""
    run = data.run("atac")
    chosen, tests = _of_folds(run, metric=metric, level="region", subset="peaks", output=output)
    figure = scores.fold_scores(
        chosen, tests, metric=metric, level="region", labels=run.labels, order=run.order, title=_TITLES[output]
    )
    return _folds_panel(figure, chosen, tests, run)


def _of_folds(run: Run, **wanted: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the ensembles' scores and the tests whose columns have the wanted values."""
    tests = run.comparisons.get("tests", pd.DataFrame(columns=[*_KEY, *_TEST]))
    chosen = run.scores[run.scores["role"] == "ensemble"]
    for column, value in wanted.items():
        chosen, tests = chosen[chosen[column] == value], tests[tests[column] == value]
    if chosen.empty:
        kind = ", ".join(wanted.values())
        raise MissingData(f"the run of {run.task} holds no ensemble score of this kind ({kind})")
    return chosen, tests


def _folds_panel(figure: Figure, chosen: pd.DataFrame, tests: pd.DataFrame, run: Run) -> RenderedPanel:
    numbers = chosen.merge(tests[[*_KEY, *(c for c in _TEST if c in tests)]], on=_KEY, how="left")
    n = chosen.groupby(["dataset", "output", "model"])["test_fold"].nunique().max()
    text = (
        f"{label_of(chosen['metric'].iloc[0])} of each of {n} test folds (point: predictions averaged over the "
        "models of a fold), quartiles and median; P: paired two-sided t-test over folds against the baseline, "
        "not corrected, optimistic because folds share training data."
    )
    return RenderedPanel(figure, numbers, text, run.simulated)


def sizes(data: FigureData) -> RenderedPanel:
    """Draw the number of parameters of the accessibility models (3e)."""
    counts = data.n_params.get("atac", {})
    if not counts:
        raise MissingData("the networks cannot be built here: keras is not installed")
    rows = [{"model": name, "label": registry.get_model(name).NAME, "n_params": n} for name, n in counts.items()]
    table = pd.DataFrame(rows)
    text = (
        "Parameters of the networks of the accessibility task at full size, counted in the networks that this software "
        "builds; ChromBPNet without the bias model, which is trained before and frozen."
    )
    return RenderedPanel(speed.sizes(table), table, text, False)


_BENCH = (
    "python -m benchmarks bench speed --task atac --task drosophila --task human_mpra --protocol paper --out speed/"
)
_PAPER_ORDER = ("atac", "drosophila", "human_mpra")


def bench(data: FigureData) -> RenderedPanel:
    """Draw the raw repeats of `bench speed`: time per batch, throughput, parameters (Extended Data 10)."""
    if data.speed.empty:
        raise MissingData("the raw repeats of `bench speed` are needed", f"{_BENCH}, then figures --speed speed/")
    table = data.speed[data.speed["is_published"].astype(bool)]
    tasks = [task for task in (*_PAPER_ORDER, *dict.fromkeys(table["task"])) if task in set(table["task"])]
    order = {task: place for place, task in enumerate(dict.fromkeys(tasks))}
    table = table.sort_values("task", key=lambda names: names.map(order), kind="stable").reset_index(drop=True)
    labels = {name: registry.model_entry(name).title for name in table["model"].unique()}
    devices, precisions, protocols = speed.measured_on(table)
    timed = table[table["quantity"] != speed_repeats.PARAMETERS]
    n = timed.groupby(["task", "model", "quantity"]).size().max()
    text = (
        f"Seconds per training batch, predictions per second at the largest batch that fits (boxes of {n} repeats; "
        f"whiskers: all) and parameters. Measured on {devices} in {precisions}, backends "
        f"{', '.join(dict.fromkeys(table['backend']))}, protocol {protocols}, "
        f"random weights.{_widths(table)} The paper's device is a "
        "V100 with 16 GB: these times are not comparable with its."
    )
    return RenderedPanel(speed.repeats(table, labels), table, text, False)


def _widths(table: pd.DataFrame) -> str:
    """Say which networks are narrower than published, "" where none is."""
    narrow = table[table["width_scale"].astype(float) < 1].drop_duplicates("model")
    if narrow.empty:
        return ""
    shares = ", ".join(f"{row['model']} {float(row['width_scale']):g}" for row in narrow.to_dict("records"))
    return f" NARROWED networks (share of the published width: {shares})."


def profiles(data: FigureData) -> RenderedPanel:
    """Draw observed and predicted profiles of four peaks (our own)."""
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


def trainings(data: FigureData) -> RenderedPanel:
    """Draw seconds per batch and predictions per second as the trainings of stored runs took (our own)."""
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
    return RenderedPanel(speed.of_trainings(table, labels, simulated=simulated), table, text, simulated)


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
