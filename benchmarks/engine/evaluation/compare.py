"""Compare the models of a stored run: t-tests over folds, a bootstrap over test items, or a task's own rules."""

import dataclasses
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import registry, system
from benchmarks.api.metrics import Items
from benchmarks.api.task import ComparedWithoutFolds, HasHeadlines, ScoredByItems, Task, supports
from benchmarks.engine.evaluation import bootstrap, external_predictions, fold_tests, mixed_model
from benchmarks.engine.evaluation.scores import Predicted, predicted, score
from benchmarks.engine.planning.folds import fold_rows
from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io.atomic import write_text

COLUMNS = [*fold_tests.TEST_COLUMNS[:-2], *bootstrap.COLUMNS, *fold_tests.TEST_COLUMNS[-2:]]
N_DRAWS = 1_000
FOLD_RULES = fold_tests.ASSUMPTIONS | mixed_model.ASSUMPTIONS
OWN_RULES = {
    "rank bootstrap": "test items are a random sample; ranks in subsamples of a tenth show how stable an order is, not "
    "how large a difference",
    "paired bootstrap over test items": "test items are independent, a pair counting as one; the trained models are "
    "fixed: variance between trainings is shown beside it, as the sd over trainings",
    "Holm": "none beyond those of the tests; controls the family-wise error rate over all models against the baseline, "
    "per dataset and metric",
}


@dataclass(frozen=True)
class Comparison:
    """The comparisons of one stored run. `tables`: `tests` and `mixed_model`, or what the task's own rules give."""

    plan: Plan
    folder: Path
    tables: Mapping[str, pd.DataFrame]

    @property
    def main_name(self) -> str:
        """Name of the table with one row per model and metric."""
        return "tests" if "tests" in self.tables else "differences"

    @property
    def main(self) -> pd.DataFrame:
        """The table with one row per model and metric."""
        return self.tables[self.main_name]


def compare_experiments(
    experiments: Sequence[Experiment],
    store: Store,
    *,
    baseline: str | None = None,
    models: Collection[str] | None = None,
    role: str = "ensemble",
    n_draws: int = N_DRAWS,
) -> tuple[list[Comparison], list[str]]:
    """Compare the models of several stored runs, each with its baseline, as `compare_experiment` does.

    Returns
    -------
    The comparisons that are possible, and a sentence for each that is not. A single run is compared or refused.

    Raises
    ------
    BadInput
        If a model is in none of the runs, or nothing can be compared.
    """
    if len(experiments) == 1:
        run = experiments[0]
        return [compare_experiment(run, store, baseline=baseline, models=models, role=role, n_draws=n_draws)], []
    known = list(dict.fromkeys(name for run in experiments for name in run.plan.models))
    for name in models or ():
        if name not in known:
            raise BadInput(did_you_mean("model of these runs", name, known))
    comparisons, left_out = [], []
    for run in experiments:
        of_run = [name for name in models or () if name in run.plan.models]
        left_out += [f"{name} is not in {run.folder}." for name in models or () if name not in of_run]
        if models and not of_run:
            continue
        try:
            comparisons.append(
                compare_experiment(run, store, baseline=baseline, models=of_run or models, role=role, n_draws=n_draws)
            )
        except BadInput as reason:
            left_out.append(str(reason))
    if not comparisons:
        raise BadInput(f"Nothing can be compared. {' '.join(left_out)}")
    return comparisons, left_out


def compare_experiment(
    experiment: Experiment,
    store: Store,
    *,
    baseline: str | None = None,
    models: Collection[str] | None = None,
    role: str = "ensemble",
    n_draws: int = N_DRAWS,
) -> Comparison:
    """Compare the models of a stored run with a baseline, by default the task's.

    Raises
    ------
    BadInput
        If the baseline or one of the models has no scores in this run.
    """
    task = registry.get_task(experiment.plan.task)
    scores = score(experiment.plan, store, task)
    baseline, known = baseline or experiment.plan.baseline, sorted(set(scores["model"]))
    for kind, name in (("baseline with scores", baseline), *(("model with scores", name) for name in models or ())):
        if name not in known and name in experiment.plan.models:
            raise BadInput(
                f"In {experiment.folder}: none of the trainings of {name} is finished, so it has no scores yet."
            )
        if name not in known:
            raise BadInput(f"In {experiment.folder}: {did_you_mean(kind, name, known)}")
    plan = dataclasses.replace(experiment.plan, baseline=baseline)
    tables = compare_models(plan, store, task, scores, models=models, role=role, n_draws=n_draws)
    return Comparison(plan, experiment.folder, tables)


def compare_models(
    plan: Plan,
    store: Store,
    task: Task,
    scores: pd.DataFrame,
    *,
    models: Collection[str] | None = None,
    role: str = "ensemble",
    n_draws: int = N_DRAWS,
) -> dict[str, pd.DataFrame]:
    """Compare the models of a plan with its baseline.

    Returns
    -------
    The tables of the task's own rules; or `tests` over its folds and, of its headlines,
    `mixed_model` over its trainings.
    """
    if own := by_own_rules(plan, store, task, models=models):
        return own
    tests = against_baseline(plan, store, task, scores, models=models, role=role, n_draws=n_draws)
    wanted = set(scores["model"]) if models is None else {*models, plan.baseline}
    shown = fold_tests.featured(scores[scores["model"].isin(wanted)], headlines_of(task))
    return {"tests": tests, "mixed_model": mixed_model.compare(shown, plan.baseline)}


def headlines_of(task: Task) -> Sequence[fold_tests.Headline]:
    """Return what a task shows first: its HEADLINES, or nothing in particular."""
    return task.HEADLINES if supports(task, HasHeadlines) else ()


def assumptions(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Return the assumptions of every test that was made: test -> text."""
    kinds = {comparison.main_name for comparison in comparisons if len(comparison.main)}
    return (FOLD_RULES if "tests" in kinds else {}) | (OWN_RULES if "differences" in kinds else {})


def write(comparisons: Sequence[Comparison], out: Path) -> None:
    """Write the comparisons of several runs as one CSV file.

    Raises
    ------
    BadInput
        If the folder of `out` does not exist.
    """
    tables = []
    for comparison in comparisons:
        table = comparison.main
        tables.append(table if "task" in table else table.assign(task=comparison.plan.task))
    if not out.parent.is_dir():
        raise BadInput(f"The folder of --out, {out.parent}, does not exist.")
    write_text(out, pd.concat(tables, ignore_index=True).to_csv(index=False))


def sizes(plan: Plan, store: Store, task: Task, role: str = "ensemble") -> pd.DataFrame:
    """Count the rows of every test fold, and the rows that the models scored on it were trained on.

    The members of an ensemble leave out one validation fold each; counted are all rows that any of them was trained on.
    For role "member" it is the mean over members. External predictions do not count: what they were trained on is
    unknown.

    Returns
    -------
    Columns dataset, test_fold, n_test, n_train.
    """
    rows = []
    for source in plan.sources:
        dataset = store.get_dataset(source.name, source.digest)
        trainings = [
            job for job in plan.jobs if job.dataset == source.name and job.framework != external_predictions.FRAMEWORK
        ]
        for fold in fold_rows(task, dataset, {(job.test_fold, job.val_fold) for job in trainings}):
            n_train: float = int(fold.train.sum())
            if role == "member":
                n_train = statistics.mean(job.n_train for job in trainings if job.test_fold == fold.test_fold)
            rows.append(
                {
                    "dataset": source.name,
                    "test_fold": fold.test_fold,
                    "n_test": int(fold.test.sum()),
                    "n_train": n_train,
                }
            )
    return pd.DataFrame(rows, columns=["dataset", "test_fold", "n_test", "n_train"])


def against_baseline(
    plan: Plan,
    store: Store,
    task: Task,
    scores: pd.DataFrame,
    *,
    models: Collection[str] | None = None,
    role: str = "ensemble",
    n_draws: int = N_DRAWS,
) -> pd.DataFrame:
    """Compare the models of a task with folds with the plan's baseline, by every test that its predictions allow.

    Parameters
    ----------
    models
        Models to compare, which are the family of Holm's method; all of them by default.
    role
        "ensemble": averaged predictions. "member": the mean score over the members of a fold, without a bootstrap.
    n_draws
        Resamples of the bootstrap; 0: no bootstrap.

    Returns
    -------
    Columns COLUMNS; no rows where the baseline, or every other model, has no scores of this role.
    """
    baseline = plan.baseline
    if models is not None:
        scores = scores[scores["model"].isin({*models, baseline})]
    of_baseline = scores[(scores["model"] == baseline) & (scores["role"] == role)]
    if of_baseline.empty:
        return pd.DataFrame(columns=COLUMNS)
    tests = fold_tests.compare(scores, baseline, role=role, sizes=sizes(plan, store, task, role))
    table = tests.reindex(columns=COLUMNS)
    if role != "ensemble" or not supports(task, ScoredByItems) or not n_draws:
        return table
    folds: dict[str, dict[int, dict[str, list[Items]]]] = {}  # dataset -> test fold -> model -> items
    places = zip(of_baseline["dataset"], of_baseline["test_fold"], strict=True)
    n_members = dict(zip(places, of_baseline["n_members"], strict=True))
    for ensemble in predicted(plan, store, set(scores["model"])):
        # As in the t-tests, a fold counts only if both models average the same number of members.
        if n_members.get((ensemble.dataset.name, ensemble.test_fold)) == ensemble.n_members:
            of_fold = folds.setdefault(ensemble.dataset.name, {}).setdefault(ensemble.test_fold, {})
            of_fold[ensemble.model] = task.items(ensemble.test, ensemble.mean())
    resampled = [
        bootstrap.differences(of_dataset, baseline, n_draws=n_draws, seed=plan.seed).assign(dataset=name)
        for name, of_dataset in folds.items()
    ]
    if not resampled:
        return table
    return _with_bootstrap(table, pd.concat(resampled, ignore_index=True))


def _with_bootstrap(table: pd.DataFrame, differences: pd.DataFrame) -> pd.DataFrame:
    """Join the columns of the bootstrap to the table of t-tests, with a note where there are none."""
    keys = ["dataset", "output", "subset", "level", "metric", "model"]
    table = table.drop(columns=bootstrap.COLUMNS).merge(differences, on=keys, how="left")
    nothing_shared = table["n_draws"].isna()
    reasons = np.select(
        [nothing_shared, table["p_bootstrap"].isna()],
        [
            "no bootstrap: no fold has predictions of both by as many members",
            "no bootstrap: more than half of the draws have no such score",
        ],
        "",
    )
    notes = zip(table["note"], reasons, strict=True)
    table["note"] = ["; ".join(part for part in parts if part) for parts in notes]
    return table.reindex(columns=COLUMNS)


def by_own_rules(
    plan: Plan, store: Store, task: Task, *, models: Collection[str] | None = None
) -> dict[str, pd.DataFrame]:
    """Compare the finished models by the rules of a task without folds, per dataset; empty for a task with folds.

    Returns
    -------
    The tables of the task's `compare`, with `dataset` and `origin` in front. `differences` also has `p_holm`, adjusted
    over all models against the baseline, per dataset, subset and metric.
    """
    if not supports(task, ComparedWithoutFolds):
        return {}
    of_datasets: dict[str, list[Predicted]] = {}
    wanted = None if models is None else {*models, plan.baseline}
    for predictions in predicted(plan, store, wanted):
        of_datasets.setdefault(predictions.dataset.name, []).append(predictions)
    parts: dict[str, list[pd.DataFrame]] = {}
    for dataset, of_models in of_datasets.items():
        members = {predictions.model: predictions.members for predictions in of_models}
        compared = task.compare(of_models[0].test, members, plan.baseline, n_threads=system.n_cores())
        for name, table in compared.items():
            table.insert(0, "dataset", dataset)
            table.insert(1, "origin", of_models[0].dataset.origin)
            parts.setdefault(name, []).append(table)
    tables = {name: pd.concat(of_name, ignore_index=True) for name, of_name in parts.items()}
    if "differences" in tables:
        rows = tables["differences"]
        families = rows.groupby(["dataset", "part", "metric"], sort=False)["p_value"]
        rows.insert(rows.columns.get_loc("p_value") + 1, "p_holm", families.transform(fold_tests.holm))
    return tables
