"""Read what the report over all tasks is made of: stored runs, challenge tables, sizes of networks."""

import dataclasses
from pathlib import Path

import pandas as pd

from benchmarks import registry
from benchmarks.api.data import Dataset
from benchmarks.api.task import ComparedWithoutFolds, Task, supports
from benchmarks.apps.across_tasks.checks import Agreement, Challenge
from benchmarks.apps.across_tasks.paper_claims import ORIGINALS
from benchmarks.apps.across_tasks.table import RunTables
from benchmarks.engine.evaluation import compare, fold_tests
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.planning.protocol_deviations import protocol_deviations
from benchmarks.engine.reporting import write_results
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training_table import job_table
from benchmarks.io import tables


@dataclasses.dataclass(frozen=True)
class ScoredRun:
    """A stored run with its scores.

    Parameters
    ----------
    tables
        What the table over tasks is made of.
    tests
        Paired tests over folds on the headline scores; see `Evidence.tests`.
    summary, scores
        Mean and sd over test folds, and the long table of all scores.
    metadata
        What the page says of the run: task, preset, data, trainings, folder, command.
    """

    experiment: Experiment
    tables: RunTables
    tests: pd.DataFrame
    summary: pd.DataFrame
    scores: pd.DataFrame
    metadata: dict[str, str]


def read_run(experiment: Experiment, store: Store) -> ScoredRun | None:
    """Score a stored run; None if none of its trainings is finished."""
    plan, task = experiment.plan, registry.get_task(experiment.plan.task)
    scores = score(plan, store, task)
    if scores.empty:
        return None
    jobs, summary, headlines = job_table(plan, store), fold_tests.summarise(scores), compare.headlines_of(task)
    role = "member" if supports(task, ComparedWithoutFolds) else "ensemble"
    datasets = {source.name: store.get_dataset(source.name, source.digest) for source in plan.sources}
    run_tables = RunTables(
        preset=plan.preset,
        summary=fold_tests.featured(summary[summary["role"] == role], headlines),
        jobs=jobs,
        ceilings=write_results.ceiling_table(datasets),
        labels={name: plan.title(name) for name in plan.models},
        prerequisites={name for job in plan.jobs for name in job.prerequisites},
        width_scale={name: recipe.get("width_scale", 1.0) for name, recipe in plan.recipes.items()},
        external=set(jobs.loc[jobs["framework"] == "outside", "model"]),
        protocol_deviations=_deviations(task, plan, jobs, datasets),
    )
    metadata = {
        "task": f"{plan.task} (version {plan.task_version})",
        "preset": plan.preset,
        "data": "; ".join(f"{name}: {len(data):,} sequences, {data.origin}" for name, data in datasets.items()),
        "trainings": f"{(jobs['status'] == 'done').sum():,} of {len(jobs):,} done",
        "folder": experiment.folder.name,
        "command": experiment.command,
    }
    tests = _tests(task, plan, store, fold_tests.featured(scores, headlines))
    return ScoredRun(experiment, run_tables, tests, summary, scores, metadata)


def _tests(task: Task, plan: Plan, store: Store, scores: pd.DataFrame) -> pd.DataFrame:
    """Test the headline scores over folds, against the baseline of the task and against DREAM-RNN."""
    tests = pd.DataFrame(columns=fold_tests.TEST_COLUMNS)
    if supports(task, ComparedWithoutFolds):
        return tests
    sizes = compare.sizes(plan, store, task)
    scored = set(scores.loc[scores["role"] == "ensemble", "model"])
    rivals = {plan.baseline, "dream_rnn", "dream_rnn_keras"} & scored
    by_rival = [fold_tests.compare(scores, rival, sizes=sizes) for rival in sorted(rivals)]
    return pd.concat(by_rival, ignore_index=True) if by_rival else tests


def _deviations(task: Task, plan: Plan, jobs: pd.DataFrame, datasets: dict[str, Dataset]) -> dict[tuple[str, str], str]:
    """Say by (dataset, model) in what the finished trainings are not the published protocol."""
    done = jobs[jobs["status"] == "done"]
    deviations = {}
    for source in plan.sources:
        with_dataset = dataclasses.replace(source, dataset=datasets[source.name])
        for model, rows in done[done["dataset"] == source.name].groupby("model"):
            splits = set(zip(rows["test_fold"], rows["val_fold"], strict=True))
            deviations[source.name, model] = "; ".join(protocol_deviations(task, plan, model, with_dataset, splits))
    return deviations


def read_challenge(folder: Path) -> Challenge:
    """Read the tables that `challenge rank --out` wrote.

    Raises
    ------
    BadInput
        If a table is missing, damaged, or lacks a column.
    """
    columns = {"ranking": ("submission", "place"), "scores": ("submission", "subset", "metric", "value")}
    recovery_hint = f"fill the folder by `challenge rank --out {folder}`"
    by_name = {
        name: tables.read_ours(folder / f"{name}.csv", (*needed, "origin"), recovery_hint=recovery_hint)
        for name, needed in columns.items()
    }
    measured = all(set(table["origin"]) == {"measured"} for table in by_name.values())
    return Challenge("measured" if measured else "simulated", **by_name, n_params=_sizes_of_submissions(folder))


def _sizes_of_submissions(folder: Path) -> dict[str, int]:
    """Read parameters.csv, which a user may put beside a ranking: submissions do not say their sizes."""
    file = folder / "parameters.csv"
    if not file.exists():
        return {}
    table = tables.read_headed(file, ("submission", "n_params"))
    return dict(zip(table["submission"], tables.numbers(file, table, "n_params", whole=True).tolist(), strict=True))


def read_agreement(folder: Path) -> Agreement:
    """Read how far the models of an `ism` agree, and what they were trained on.

    Raises
    ------
    BadInput
        If a table is missing, damaged, or lacks a column.
    """
    hint = f"fill the folder by `ism --run … --run … --out {folder}`"
    table = tables.read_ours(
        folder / "agreement.csv", ("output", "model", "other", "seq_id", "pearson_r"), recovery_hint=hint
    )
    positions = tables.read_ours(folder / "ism.csv", ("model", "trained_on"), recovery_hint=hint)
    origins = positions.drop_duplicates("model").set_index("model")["trained_on"].to_dict()
    return Agreement(origins, table)


def parameter_counts() -> dict[str, int]:
    """Count the parameters of the full-size networks that claim 6 compares, built for the yeast task."""
    spec = registry.get_task("yeast").SPEC
    models = {name: registry.get_model(name) for name in (*ORIGINALS, *ORIGINALS.values())}
    return {name: int(model.build(spec, model.RECIPE, {}).n_params) for name, model in models.items()}
