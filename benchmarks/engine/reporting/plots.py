"""The plots of one run, drawn from its tables and stored predictions. Needs matplotlib."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.api.data import Dataset
from benchmarks.api.metrics import label_of
from benchmarks.api.task import Task, spec_of
from benchmarks.engine.evaluation import fold_tests
from benchmarks.engine.figures import challenge, profiles
from benchmarks.engine.figures import scores as figures
from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.store.store import Store

_MAIN_METRIC = "pearson_r"


@dataclass(frozen=True)
class Plot:
    """A figure and its caption."""

    caption: str
    figure: Figure


def fold_plots(
    plan: Plan,
    scores: pd.DataFrame,
    tests: pd.DataFrame,
    ceilings: pd.DataFrame,
    headlines: Sequence[fold_tests.Headline],
) -> dict[str, Plot]:
    """Draw the scores of every test fold: of the headlines, or else Pearson r at every level. File name -> plot."""
    labels, order = _labels_and_order(plan)
    plots = {}
    chosen = fold_tests.headlined(scores, headlines)
    for metric in [metric for _, _, metric in headlines] or [_MAIN_METRIC]:
        for level in chosen.loc[chosen["metric"] == metric, "level"].unique():
            plots[f"{metric}_{level}"] = Plot(
                f"{label_of(metric)} of every test fold, {label_of(level)}",
                figures.fold_scores(
                    chosen, tests, metric=metric, level=level, ceilings=ceilings, labels=labels, order=order
                ),
            )
    return plots


def profile_plots(plan: Plan, store: Store, task: Task, datasets: Mapping[str, Dataset]) -> dict[str, Plot]:
    """Draw observed and predicted profiles of a few test peaks of each dataset's first finished test fold."""
    labels, order = _labels_and_order(plan)
    plots = {}
    for fold in first_folds(plan, store, datasets):
        where = f"of test fold {fold.test_fold}, {fold.dataset}"
        if (profile_len := spec_of(task, datasets[fold.dataset]).profile_len) is None:
            continue
        test, predictions = fold.test, fold.predictions
        plots[f"counts_{fold.dataset}"] = Plot(
            f"Observed and predicted Tn5 insertions per peak {where}",
            profiles.counts(test, predictions, profile_len, labels=labels, order=order),
        )
        plots[f"profiles_{fold.dataset}"] = Plot(
            f"Observed and predicted profiles of four peaks {where}",
            profiles.examples(test, predictions, profile_len, labels=labels, order=order),
        )
    return plots


def challenge_plots(plan: Plan, scores: pd.DataFrame, comparisons: Mapping[str, pd.DataFrame]) -> dict[str, Plot]:
    """Draw ranks, and scores by subset of the test set, for each dataset of a task with a challenge score."""
    labels, _ = _labels_and_order(plan)
    plots = {}
    for dataset, ranking in comparisons["ranking"].groupby("dataset", sort=False):
        simulated = set(ranking["origin"]) == {"simulated"}
        counts = comparisons["rank_distributions"]
        counts = counts[counts["dataset"] == dataset].rename(columns={"model": "submission"})
        level, order = ranking["part"].iloc[0], ranking["model"].tolist()
        of_level = scores[(scores["dataset"] == dataset) & (scores["level"] == level)]
        of_level = of_level.rename(columns={"model": "submission"})
        plots[f"ranks_{dataset}"] = Plot(
            "Ranks in samples of the test set", challenge.ranks(counts, order, labels=labels, simulated=simulated)
        )
        plots[f"heat_map_{dataset}"] = Plot(
            f"Mean scores by subset of the test set, {level}",
            challenge.heat_map(of_level, order, labels=labels, simulated=simulated),
        )
    return plots


def training_plots(plan: Plan, history: pd.DataFrame, finished: pd.DataFrame, origin: str) -> dict[str, Plot]:
    """Draw learning curves and speed from the epochs and the job table of finished trainings."""
    labels, order = _labels_and_order(plan)
    timed = finished.assign(device=finished["device"] + ", " + finished["backend"])
    return {
        "learning_curves": Plot(
            "Validation Pearson r and losses over epochs",
            figures.learning_curves(history, labels, order, origin=origin),
        ),
        "speed": Plot("Training and prediction speed", figures.speed(timed, labels, order, origin=origin)),
    }


def _labels_and_order(plan: Plan) -> tuple[dict[str, str], list[str]]:
    return {name: plan.title(name) for name in plan.models}, list(plan.models)


@dataclass(frozen=True)
class FirstFold:
    """The first finished test fold of a dataset, and what a training of each model predicts there."""

    dataset: str
    test_fold: int
    test: Dataset
    predictions: Mapping[str, Mapping[str, np.ndarray]]


def first_folds(plan: Plan, store: Store, datasets: Mapping[str, Dataset]) -> list[FirstFold]:
    """Load the predictions that examples are drawn from; datasets without a finished training are left out."""
    folds = []
    for name, dataset in datasets.items():
        done = [job for job in plan.jobs if job.dataset == name and store.training(job).is_done]
        if not done:
            continue
        test_fold = min(job.test_fold for job in done)
        stored = {job.model: store.training(job).predictions() for job in done if job.test_fold == test_fold}
        rows = next(iter(stored.values()))[0]
        predictions = {model: predicted for model, (_, predicted) in stored.items()}
        folds.append(FirstFold(name, test_fold, dataset.take(rows), predictions))
    return folds
