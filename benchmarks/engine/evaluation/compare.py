"""How the models of a stored run compare: t-tests over folds, a bootstrap over test items, or a task's own rules."""

import dataclasses
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import registry, system
from benchmarks.api.task import ComparedWithoutFolds, ScoredByItems, Task, supports
from benchmarks.engine.evaluation import bootstrap, external_predictions, fold_tests
from benchmarks.engine.evaluation.scores import Predicted, predicted, score
from benchmarks.engine.planning.folds import fold_rows
from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io.atomic import write_text

COLUMNS = [*fold_tests.TEST_COLUMNS[:-2], *bootstrap.COLUMNS, *fold_tests.TEST_COLUMNS[-2:]]
N_DRAWS = 1_000
OWN_RULES = {
    "rank bootstrap": "test items are a random sample; ranks in samples of a tenth say how stable an order is, not how "
    "large a difference",
    "paired bootstrap over test items": "test items are independent, a pair being one; the trained models stay as they "
    "are: chance in training is shown beside it, as the sd over trainings",
    "Holm": "none beyond those of the tests; keeps the chance of any false positive among all models against the "
    "baseline, per dataset and metric",
}


@dataclass(frozen=True)
class Comparison:
    """The comparisons of one stored run. `tables` holds `tests`, or what the task's own rules give."""

    plan: Plan
    folder: Path
    tables: Mapping[str, pd.DataFrame]

    @property
    def main(self) -> str:
        """Name of the table that has one row per model and metric."""
        return "tests" if "tests" in self.tables else "differences"


def of_studies(
    experiments: Sequence[Experiment],
    store: Store,
    *,
    baseline: str | None = None,
    models: Collection[str] | None = None,
    **how,
) -> tuple[list[Comparison], list[str]]:
    """Compare the models of several stored runs, each with its baseline, as `of_study` does.

    Returns
    -------
    The comparisons that can be made, and what cannot be compared, in words. One run alone is compared or refused.

    Raises
    ------
    BadInput
        If a model is in none of the runs, or nothing can be compared.
    """
    if len(experiments) == 1:
        return [of_study(experiments[0], store, baseline=baseline, models=models, **how)], []
    everywhere = list(dict.fromkeys(name for experiment in experiments for name in experiment.plan.models))
    for name in models or ():
        if name not in everywhere:
            raise BadInput(did_you_mean("model of these runs", name, everywhere))
    found, left_out = [], []
    for experiment in experiments:
        mine = models and [name for name in models if name in experiment.plan.models]
        left_out += [f"{name} is not in {experiment.folder}." for name in models or () if name not in mine]
        if mine == []:
            continue
        try:
            found.append(of_study(experiment, store, baseline=baseline, models=mine, **how))
        except BadInput as reason:
            left_out.append(str(reason))
    if not found:
        raise BadInput(f"Nothing can be compared. {' '.join(left_out)}")
    return found, left_out


def of_study(
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
    return Comparison(
        plan, experiment.folder, tables_of(plan, store, task, scores, models=models, role=role, n_draws=n_draws)
    )


def tables_of(
    plan: Plan,
    store: Store,
    task: Task,
    scores: pd.DataFrame,
    *,
    models: Collection[str] | None = None,
    role: str = "ensemble",
    n_draws: int = N_DRAWS,
) -> dict[str, pd.DataFrame]:
    """Compare the models of a plan with its baseline: the tables of the task's own rules, or `tests` over its folds."""
    return by_own_rules(plan, store, task, models=models) or {
        "tests": against_baseline(plan, store, task, scores, models=models, role=role, n_draws=n_draws)
    }


def assumptions(compared: Sequence[Comparison]) -> dict[str, str]:
    """Say what each of the tests that were made takes for granted."""
    kinds = {one.main for one in compared if len(one.tables[one.main])}
    return (fold_tests.ASSUMPTIONS if "tests" in kinds else {}) | (OWN_RULES if "differences" in kinds else {})


def write(compared: Sequence[Comparison], out: Path) -> None:
    """Write the comparisons of several runs as one CSV file, whole or not at all."""
    tables = []
    for one in compared:
        table = one.tables[one.main]
        tables.append(table if "task" in table else table.assign(task=one.plan.task))
    if not out.parent.is_dir():
        raise BadInput(f"The folder of --out, {out.parent}, does not exist.")
    write_text(out, pd.concat(tables, ignore_index=True).to_csv(index=False))


def sizes(plan: Plan, store: Store, task: Task, role: str = "ensemble") -> pd.DataFrame:
    """Count the rows of every test fold, and the rows that what is scored on it learnt from.

    The members of an ensemble leave out one validation fold each; together they have seen all rows that any of them
    has. For role "member" it is what one of them has seen, on average.

    Returns
    -------
    Columns dataset, test_fold, n_test, n_train.
    """
    rows = []
    for source in plan.sources:
        dataset = store.get_dataset(source.name, source.digest)
        # What predictions made elsewhere learnt from is not known.
        ours = [
            job for job in plan.jobs if job.dataset == source.name and job.framework != external_predictions.FRAMEWORK
        ]
        for fold in fold_rows(task, dataset, {(job.test_fold, job.val_fold) for job in ours}):
            about = {"dataset": source.name, "test_fold": fold.test_fold}
            n_train = int(fold.train.sum())
            if role == "member":
                n_train = statistics.mean(job.n_train for job in ours if job.test_fold == fold.test_fold)
            rows.append(about | {"n_test": int(fold.test.sum()), "n_train": n_train})
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
        The family to compare; all of them by default.
    role
        "ensemble": averaged predictions. "member": the mean score over the members of a fold; no bootstrap, which is of
        predictions.

    Returns
    -------
    Columns COLUMNS; no rows where the baseline, or every other model, has no scores of this role.
    """
    baseline = plan.baseline
    if models is not None:
        scores = scores[scores["model"].isin({*models, baseline})]
    if baseline not in set(scores.loc[scores["role"] == role, "model"]):
        return pd.DataFrame(columns=COLUMNS)
    tests = fold_tests.compare(scores, baseline, role=role, sizes=sizes(plan, store, task, role))
    table = tests.reindex(columns=COLUMNS)
    if role != "ensemble" or not supports(task, ScoredByItems) or not n_draws:
        return table
    folds: dict[str, dict[int, dict[str, list]]] = {}
    of_baseline = scores[(scores["model"] == baseline) & (scores["role"] == role)]
    places = zip(of_baseline["dataset"], of_baseline["test_fold"], strict=True)
    n_members = dict(zip(places, of_baseline["n_members"], strict=True))
    for one in predicted(plan, store, set(scores["model"])):
        # As in the t-tests, a fold counts only where as many members were averaged on both sides.
        if n_members.get((one.dataset.name, one.test_fold)) == one.n_members:
            of_fold = folds.setdefault(one.dataset.name, {}).setdefault(one.test_fold, {})
            of_fold[one.model] = task.items(one.test, one.mean())
    drawn = [
        bootstrap.differences(of_dataset, baseline, n_draws=n_draws, seed=plan.seed).assign(dataset=name)
        for name, of_dataset in folds.items()
    ]
    keys = ["dataset", "output", "subset", "level", "metric", "model"]
    table = table.drop(columns=bootstrap.COLUMNS).merge(pd.concat(drawn, ignore_index=True), on=keys, how="left")
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
    """Compare the finished models by the rules of a task that has no folds, per dataset; empty where it has some.

    Returns
    -------
    What the task's `compare` gives, table by table, with `dataset` and `origin` in front. `differences` also has
    `p_holm`, corrected over all models against the baseline, per dataset, part and metric.
    """
    if not supports(task, ComparedWithoutFolds):
        return {}
    found: dict[str, list[pd.DataFrame]] = {}
    datasets: dict[str, list[Predicted]] = {}
    wanted = None if models is None else {*models, plan.baseline}
    for one in predicted(plan, store, wanted):
        datasets.setdefault(one.dataset.name, []).append(one)
    for name, several in datasets.items():
        members = {one.model: one.members for one in several}
        tables = task.compare(several[0].test, members, plan.baseline, n_threads=system.n_cores())
        for kind, table in tables.items():
            table.insert(0, "dataset", name)
            table.insert(1, "origin", several[0].dataset.origin)
            found.setdefault(kind, []).append(table)
    tables = {kind: pd.concat(several, ignore_index=True) for kind, several in found.items()}
    if "differences" in tables:
        rows = tables["differences"]
        families = rows.groupby(["dataset", "part", "metric"], sort=False)["p_value"]
        rows.insert(rows.columns.get_loc("p_value") + 1, "p_holm", families.transform(fold_tests.holm))
    return tables
