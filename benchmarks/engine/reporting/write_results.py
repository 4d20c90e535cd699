"""From stored jobs to what people look at: scores.csv, tests.csv, plots and report.html of one plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import registry, system
from benchmarks.api.metrics import label_of
from benchmarks.api.task import ChecksRun, HasHeadlines, Task, spec_of, supports
from benchmarks.engine.evaluation import external_predictions, fold_tests, leakage
from benchmarks.engine.evaluation.compare import COLUMNS, OWN_RULES, compare_models
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training_table import history_table, job_table
from benchmarks.io.atomic import write_text

_MAIN_METRIC = "pearson_r"


@dataclass(frozen=True)
class Results:
    """Scores of a study and how its models compare: `tests` over folds, or the tables of a task's own rules."""

    scores: pd.DataFrame
    comparisons: Mapping[str, pd.DataFrame]
    leaks: leakage.Leaks

    @property
    def tests(self) -> pd.DataFrame:
        return self.comparisons.get("tests", pd.DataFrame(columns=COLUMNS))


def write_scores(experiment: Experiment, store: Store) -> Results:
    """Score the stored predictions of a study; write scores.csv, and tests.csv or the task's own comparisons.

    Beside them go leaks.csv and leak_free.csv, where the search for leaks is quick.
    """
    task = registry.get_task(experiment.plan.task)
    scores = score(experiment.plan, store, task)
    comparisons = compare_models(experiment.plan, store, task, scores)
    write_text(experiment.folder / "scores.csv", scores.to_csv(index=False))
    for name, table in comparisons.items():
        write_text(experiment.folder / f"{name}.csv", table.to_csv(index=False))
    leaks = leakage.beside_scores(experiment.plan, store, task, scores, experiment.folder)
    leakage.write(leaks, experiment.folder)
    return Results(scores, comparisons, leaks)


def headlines_of(task: Task) -> Sequence[fold_tests.Headline]:
    """Return what a task shows first: its HEADLINES, or nothing in particular."""
    return task.HEADLINES if supports(task, HasHeadlines) else ()


def ceiling_table(datasets: Mapping[str, Any]) -> pd.DataFrame:
    """List what is attainable in every dataset: dataset, output, level, metric, value, basis."""
    return pd.DataFrame(
        [{"dataset": name, **row} for name, d in datasets.items() for row in d.ceilings],
        columns=["dataset", "output", "level", "metric", "value", "basis"],
    )


def write_report(experiment: Experiment, store: Store, results: Results) -> Path | None:
    """Draw the plots and write report.html; return its path, or None where the plotting packages are missing.

    A machine that only trains may lack them: `python -m benchmarks report` makes the page elsewhere.
    """
    if not system.has_packages("matplotlib", "jinja2"):
        return None
    from benchmarks.engine.figures import scores as figures
    from benchmarks.engine.figures import style
    from benchmarks.engine.reporting import run_page

    plan, scores, tests = experiment.plan, results.scores, results.tests
    task = registry.get_task(plan.task)
    jobs, history = job_table(plan, store), history_table(plan, store)
    datasets = {source.name: store.get_dataset(source.name, source.digest) for source in plan.sources}
    origin = "simulated" if any(d.origin == "simulated" for d in datasets.values()) else "measured"
    ceilings = ceiling_table(datasets)
    labels = {name: plan.title(name) for name in plan.models}
    looks = {"labels": labels, "order": list(plan.models)}
    trained = jobs[jobs["framework"] != external_predictions.FRAMEWORK]
    finished = trained[trained["status"] == "done"]
    drawn = {}
    if not finished.empty:
        if "tests" in results.comparisons:
            drawn |= _fold_plots(task, scores, tests, ceilings, looks)
        if any(spec_of(task, dataset).head == "profile_counts" for dataset in datasets.values()):
            drawn |= _profile_plots(plan, store, task, datasets, looks)
        if "ranking" in results.comparisons:
            drawn |= _challenge_plots(results, labels)
        drawn["learning_curves"] = (
            "Validation Pearson r and losses over epochs",
            figures.learning_curves(history, origin=origin, **looks),
        )
        timed = finished.assign(device=finished["device"] + ", " + finished["backend"])
        drawn["speed"] = ("Training and prediction speed", figures.speed(timed, origin=origin, **looks))
    for name, (_, figure) in drawn.items():
        style.save(figure, experiment.folder / name)
    page = run_page.render(
        title=f"{plan.task}, preset {plan.preset}",
        origin=origin,
        overview=_overview(plan, task, datasets, jobs),
        scores=scores,
        summary=fold_tests.summarise(scores),
        tests=tests,
        comparisons=results.comparisons,
        assumptions=fold_tests.ASSUMPTIONS if "tests" in results.comparisons else OWN_RULES,
        leaks=results.leaks.table,
        leak_free=results.leaks.scores,
        leaks_skipped=results.leaks.skipped,
        checks=task.checks(scores) if supports(task, ChecksRun) else pd.DataFrame(),
        featured=headlines_of(task),
        jobs=trained[trained["status"] != "waiting"],
        ceilings=ceilings,
        parameters=_parameters(plan, labels, finished),
        notes=[f"{name}: {note}" for name, d in datasets.items() for note in d.notes]
        + _repeated(trained)
        + [f"{name} was left out: it {reason}." for name, reason in plan.skipped.items()]
        + list(plan.notes),
        failures=jobs[jobs["status"] == "failed"],
        figures=[(caption, style.to_svg(figure)) for caption, figure in drawn.values()],
        reproduce=_reproduce(experiment, store),
    )
    write_text(experiment.folder / "report.html", page)
    return experiment.folder / "report.html"


def _fold_plots(
    task: Task, scores: pd.DataFrame, tests: pd.DataFrame, ceilings: pd.DataFrame, looks: dict[str, Any]
) -> dict[str, tuple[str, Any]]:
    """Draw the scores of every test fold: what the task names as its headlines, else Pearson r at every level."""
    from benchmarks.engine.figures import scores as figures

    drawn = {}
    headlines = headlines_of(task)
    chosen = fold_tests.headlined(scores, headlines)
    for metric in [metric for _, _, metric in headlines] or [_MAIN_METRIC]:
        for level in chosen.loc[chosen["metric"] == metric, "level"].unique():
            what = label_of(metric)
            drawn[f"{metric}_{level}"] = (
                f"{what} of every test fold, {label_of(level)}",
                figures.fold_scores(chosen, tests, metric=metric, level=level, ceilings=ceilings, **looks),
            )
    return drawn


def _profile_plots(
    plan: Plan, store: Store, task: Task, datasets: Mapping[str, Any], looks: dict[str, Any]
) -> dict[str, tuple[str, Any]]:
    """Draw observed and predicted profiles of a few test peaks of every dataset's first finished test fold."""
    from benchmarks.engine.figures import profiles

    drawn = {}
    for shown in first_folds(plan, store, datasets):
        name, fold = shown.dataset, shown.test_fold
        profile_len = spec_of(task, datasets[name]).profile_len
        drawn[f"counts_{name}"] = (
            f"Observed and predicted cuts per peak of test fold {fold}, {name}",
            profiles.counts(shown.test, shown.predictions, profile_len, **looks),
        )
        drawn[f"profiles_{name}"] = (
            f"Observed and predicted profiles of four peaks of test fold {fold}, {name}",
            profiles.examples(shown.test, shown.predictions, profile_len, **looks),
        )
    return drawn


@dataclass(frozen=True)
class FirstFold:
    """The rows of a dataset's first finished test fold, and what a training of each model predicts there."""

    dataset: str
    test_fold: int
    test: Any
    predictions: Mapping[str, Mapping[str, Any]]


def first_folds(plan: Plan, store: Store, datasets: Mapping[str, Any]) -> list[FirstFold]:
    """Open the predictions that examples are taken from; a dataset without a finished training is left out."""
    found = []
    for name, dataset in datasets.items():
        mine = [job for job in plan.jobs if job.dataset == name and store.training(job).is_done]
        if not mine:
            continue
        fold = min(job.test_fold for job in mine)
        stored = {job.model: store.training(job).predictions() for job in mine if job.test_fold == fold}
        rows = next(iter(stored.values()))[0]
        predictions = {model: predicted for model, (_, predicted) in stored.items()}
        found.append(FirstFold(name, fold, dataset.take(rows), predictions))
    return found


def _challenge_plots(results: Results, labels: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    """Draw ranks and scores by part of the test set, a pair of plots per dataset."""
    from benchmarks.engine.figures import challenge

    drawn = {}
    for dataset, ranking in results.comparisons["ranking"].groupby("dataset", sort=False):
        simulated = set(ranking["origin"]) == {"simulated"}
        counts = results.comparisons["rank_distributions"]
        counts = counts[counts["dataset"] == dataset].rename(columns={"model": "submission"})
        level = ranking["part"].iloc[0]
        scores = results.scores[(results.scores["dataset"] == dataset) & (results.scores["level"] == level)]
        look = {"order": ranking["model"].tolist(), "labels": labels, "simulated": simulated}
        heat = challenge.heat_map(scores.rename(columns={"model": "submission"}), **look)
        drawn[f"ranks_{dataset}"] = ("Ranks in samples of the test set", challenge.ranks(counts, **look))
        drawn[f"heat_map_{dataset}"] = (f"Mean scores by part of the test set, {level}", heat)
    return drawn


def _repeated(jobs: pd.DataFrame) -> list[str]:
    """Say of which models trainings diverged and were repeated with other seeds."""
    repeated = jobs[jobs["diverged"].fillna(0) > 0].groupby("model", sort=False).size()
    return [
        f"{n} training{'s' * (n != 1)} of {model} diverged and had to be repeated with another seed; "
        "job.json has the seeds."
        for model, n in repeated.items()
    ]


def _overview(plan: Plan, task: Task, datasets: dict[str, Any], jobs: pd.DataFrame) -> list[tuple[str, str]]:
    states = jobs["status"].value_counts()
    finished = ", ".join(f"{n} {state}" for state, n in states.items())
    absent = "" if plan.baseline in plan.models else " (did not run)"
    return [
        ("Task", f"{plan.task} (version {plan.task_version}): {registry.tasks()[plan.task].summary}"),
        ("Preset", f"{plan.preset}: {task.PRESETS[plan.preset].description}"),
        *(("Data", f"{name}: {len(d):,} sequences, {d.origin}") for name, d in datasets.items()),
        ("Models", ", ".join(map(plan.title, plan.models))),
        ("Baseline", plan.title(plan.baseline) + absent),
        ("Trainings", f"{plan.matrix()}: {finished}"),
    ]


def _parameters(plan: Plan, labels: dict[str, str], finished: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name in plan.models:
        mine = finished[finished["model"] == name] if len(finished) else finished
        rows.append(
            {
                "model": name,
                "label": labels[name],
                "n_params": int(mine["n_params"].iloc[0]) if len(mine) else None,
                "framework": next(job.framework for job in plan.jobs if job.model == name),
                "recipe": ", ".join(f"{key} {value}" for key, value in plan.recipes[name].items()),
            }
        )
    return pd.DataFrame(rows).astype({"n_params": "Int64"})


def _reproduce(experiment: Experiment, store: Store) -> dict[str, Any]:
    """Say how to get the same again; where trainings differ in commit, version or machine, every value is named."""
    plan = experiment.plan
    done = [training.record() for job in plan.jobs if (training := store.training(job)).is_done]
    if not done:
        done = [{"commit": system.commit(), "versions": system.versions(), "hardware": system.hardware()}]
    return {
        "command": experiment.command,
        "commit": ", ".join(dict.fromkeys(str(record.get("commit")) for record in done)),
        "seed": plan.seed,
        "preset": plan.preset,
        "data": {source.name: f"content hash {source.digest}" for source in plan.sources},
        "versions": _merged([record.get("versions", {}) for record in done]),
        "hardware": _merged([record.get("hardware", {}) for record in done]),
    }


def _merged(facts: list[dict[str, Any]]) -> dict[str, str]:
    """Join the distinct values of every key."""
    keys = dict.fromkeys(key for fact in facts for key in fact)
    return {key: ", ".join(dict.fromkeys(str(fact[key]) for fact in facts if key in fact)) for key in keys}
