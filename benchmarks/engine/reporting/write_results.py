"""Write the results of one plan from its stored jobs: scores.csv, tests.csv, plots and report.html."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks import registry, system
from benchmarks.api.data import Dataset
from benchmarks.api.task import ChecksRun, Task, spec_of, supports
from benchmarks.engine.evaluation import external_predictions, fold_tests, leakage
from benchmarks.engine.evaluation.compare import COLUMNS, FOLD_RULES, OWN_RULES, compare_models, headlines_of
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.planning.recipe_overrides import shown_recipe
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training_table import history_table, job_table
from benchmarks.io.atomic import write_text

if TYPE_CHECKING:
    from benchmarks.engine.reporting.plots import Plot


@dataclass(frozen=True)
class Results:
    """The scores of an experiment, how its models compare, and its train-test overlap.

    `comparisons` has `tests` over folds and `mixed_model` over trainings, or the tables of a task's own rules.
    `problems` are sentences on trainings whose stored predictions cannot be scored.
    """

    scores: pd.DataFrame
    comparisons: Mapping[str, pd.DataFrame]
    leakage: leakage.Leakage
    problems: tuple[str, ...] = ()

    @property
    def tests(self) -> pd.DataFrame:
        """The tests over folds; no rows for a task with its own rules."""
        return self.comparisons.get("tests", pd.DataFrame(columns=COLUMNS))


def write_scores(experiment: Experiment, store: Store) -> Results:
    """Score the stored predictions of an experiment; write scores.csv, and its comparisons.

    Those are tests.csv and mixed_model.csv, or what the task's own rules give.

    leaks.csv and leak_free.csv, the train-test overlap, are written too where the search is quick.
    """
    task = registry.get_task(experiment.plan.task)
    problems: list[str] = []
    scores = score(experiment.plan, store, task, problems=problems)
    comparisons = compare_models(experiment.plan, store, task, scores)
    write_text(experiment.folder / "scores.csv", scores.to_csv(index=False))
    for name, table in comparisons.items():
        write_text(experiment.folder / f"{name}.csv", table.to_csv(index=False))
    overlap = leakage.search_if_quick(experiment.plan, store, task, scores, experiment.folder)
    leakage.write(overlap, experiment.folder)
    return Results(scores, comparisons, overlap, tuple(problems))


def ceiling_table(datasets: Mapping[str, Dataset]) -> pd.DataFrame:
    """List the noise ceilings of datasets: columns dataset, output, level, metric, value, basis."""
    return pd.DataFrame(
        [{"dataset": name, **row} for name, dataset in datasets.items() for row in dataset.ceilings],
        columns=["dataset", "output", "level", "metric", "value", "basis"],
    )


def write_report(experiment: Experiment, store: Store, results: Results) -> Path | None:
    """Draw the plots and write report.html; return its path, or None where the plotting packages are missing.

    A machine that only trains may lack them: `python -m benchmarks report` makes the page elsewhere.
    """
    if not (system.can_draw() and system.has_packages("jinja2")):
        return None
    from benchmarks.engine.figures import style
    from benchmarks.engine.reporting import run_page

    plan = experiment.plan
    task = registry.get_task(plan.task)
    jobs = job_table(plan, store)
    datasets = {source.name: store.get_dataset(source.name, source.digest) for source in plan.sources}
    origin = "simulated" if any(dataset.origin == "simulated" for dataset in datasets.values()) else "measured"
    trained = jobs[jobs["framework"] != external_predictions.FRAMEWORK]
    finished = trained[trained["status"] == "done"]
    plots = {} if finished.empty else _plots(plan, store, results, datasets, finished, origin)
    figures = []
    for name, plot in plots.items():
        _, svg = style.save(plot.figure, experiment.folder / name)
        figures.append((plot.caption, style.saved_svg(svg)))
    page = run_page.RunPage(
        title=f"{plan.task}, preset {plan.preset}",
        origin=origin,
        overview=_overview(plan, task, datasets, jobs),
        scores=results.scores,
        summary=fold_tests.summarise(results.scores),
        tests=results.tests,
        comparisons=results.comparisons,
        assumptions=FOLD_RULES if "tests" in results.comparisons else OWN_RULES,
        leakage=results.leakage,
        checks=task.checks(results.scores) if supports(task, ChecksRun) else pd.DataFrame(),
        featured=headlines_of(task),
        jobs=trained[trained["status"] != "waiting"],
        ceilings=ceiling_table(datasets),
        parameters=_parameters(plan, finished),
        notes=[*_notes(plan, datasets, trained), *results.problems],
        failures=jobs[jobs["status"] == "failed"],
        figures=figures,
        reproduce=_reproduce(experiment, store),
    )
    write_text(experiment.folder / "report.html", run_page.render(page))
    return experiment.folder / "report.html"


def _plots(
    plan: Plan,
    store: Store,
    results: Results,
    datasets: Mapping[str, Dataset],
    finished: pd.DataFrame,
    origin: str,
) -> "dict[str, Plot]":
    """Draw all plots of a run with finished trainings: name of the file -> plot."""
    from benchmarks.engine.reporting import plots

    task = registry.get_task(plan.task)
    drawn: dict[str, Plot] = {}
    if "tests" in results.comparisons:
        drawn |= plots.fold_plots(plan, results.scores, results.tests, ceiling_table(datasets), headlines_of(task))
    if any(spec_of(task, dataset).head == "profile_counts" for dataset in datasets.values()):
        drawn |= plots.profile_plots(plan, store, task, datasets)
    if "ranking" in results.comparisons:
        drawn |= plots.challenge_plots(plan, results.scores, results.comparisons)
    return drawn | plots.training_plots(plan, history_table(plan, store), finished, origin)


def _notes(plan: Plan, datasets: Mapping[str, Dataset], trained: pd.DataFrame) -> list[str]:
    """Collect what readers must know of data, trainings and models that were left out, in sentences."""
    return [
        *(f"{name}: {note}" for name, dataset in datasets.items() for note in dataset.notes),
        *_repeated(trained),
        *(f"{name} was left out: it {reason}." for name, reason in plan.skipped.items()),
        *plan.notes,
    ]


def _repeated(jobs: pd.DataFrame) -> list[str]:
    """Say for which models trainings diverged and were repeated with other seeds."""
    repeated = jobs[jobs["diverged"].fillna(0) > 0].groupby("model", sort=False).size()
    return [
        f"{n} training{'s' * (n != 1)} of {model} diverged and had to be repeated with another seed; "
        "job.json has the seeds."
        for model, n in repeated.items()
    ]


def _overview(plan: Plan, task: Task, datasets: Mapping[str, Dataset], jobs: pd.DataFrame) -> list[tuple[str, str]]:
    states = jobs["status"].value_counts()
    finished = ", ".join(f"{n} {state}" for state, n in states.items())
    absent = "" if plan.baseline in plan.models else " (did not run)"
    return [
        ("Task", f"{plan.task} (version {plan.task_version}): {registry.tasks()[plan.task].summary}"),
        ("Preset", f"{plan.preset}: {task.PRESETS[plan.preset].description}"),
        *(("Data", f"{name}: {len(data):,} sequences, {data.origin}") for name, data in datasets.items()),
        ("Models", ", ".join(map(plan.title, plan.models))),
        ("Baseline", plan.title(plan.baseline) + absent),
        ("Trainings", f"{plan.matrix()}: {finished}"),
    ]


def _parameters(plan: Plan, finished: pd.DataFrame) -> pd.DataFrame:
    rows, task = [], registry.get_task(plan.task)
    for name in plan.models:
        recipe = shown_recipe(task, name, plan.recipes[name])
        of_model = finished[finished["model"] == name] if len(finished) else finished
        rows.append(
            {
                "model": name,
                "label": plan.title(name),
                "n_params": int(of_model["n_params"].iloc[0]) if len(of_model) else None,
                "framework": next(job.framework for job in plan.jobs if job.model == name),
                "recipe": ", ".join(f"{key} {value}" for key, value in recipe.items()),
            }
        )
    return pd.DataFrame(rows).astype({"n_params": "Int64"})


def _reproduce(experiment: Experiment, store: Store) -> dict[str, Any]:
    """Say how to reproduce the run; where trainings differ in commit, version or machine, every value is listed."""
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


def _merged(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Join the distinct values of every key."""
    keys = dict.fromkeys(key for record in records for key in record)
    return {key: ", ".join(dict.fromkeys(str(record[key]) for record in records if key in record)) for key in keys}
