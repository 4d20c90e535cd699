"""Train a small fixed matrix of models on simulated data and score it: what the regression test repeats."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from benchmarks import registry
from benchmarks.api.task import Task
from benchmarks.apps.regression.reference import Entry
from benchmarks.engine.evaluation import compare, fold_tests
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.execution import machine, schedule
from benchmarks.engine.execution.events import OnEvent
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import Plan, make_plan
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training_table import job_table
from benchmarks.errors import BadInput

DATA_SEED = 0


@dataclass
class MatrixScores:
    """Scores of a matrix (long table); parameters, speed and data digests by `task/model` or `task/dataset`."""

    scores: pd.DataFrame
    n_params: dict[str, int] = field(default_factory=dict)
    train_seq_per_s: dict[str, float] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def plans(entries: Iterable[Entry], *, seed: int, changes: Sequence[str] = (), shuffle: bool = False) -> list[Plan]:
    """Plan every entry of a matrix: preset quick, on data simulated with one seed, trained with another.

    Parameters
    ----------
    seed
        Of weights and shuffling; the data do not depend on it.
    changes, shuffle
        As `run --set` and `run --shuffle-labels`, on top; a change of a model goes to the tasks that train it.

    Raises
    ------
    BadInput
        For an unknown task, model or setting.
    """
    entries = list(entries)
    known = {model for entry in entries for model in entry.models} | {"recipe"}
    for change in changes:
        if change.partition("=")[0].rpartition(".")[0] not in known:
            raise BadInput(f"--set {change}: recipe.key=value expected, or one of {', '.join(sorted(known))} in front.")
    planned = []
    for entry in entries:
        task = registry.get_task(entry.task)
        sources = data_sources.find(task, "quick", None, seed=DATA_SEED, shuffle=shuffle)
        own_changes = [c for c in changes if c.partition("=")[0].rpartition(".")[0] in {"recipe", *entry.models}]
        planned.append(
            make_plan(
                task,
                "quick",
                sources,
                seed=seed,
                models=entry.models,
                test_folds=entry.test_folds,
                n_members=entry.n_members,
                changes=[*entry.changes, *own_changes],
            )
        )
    return planned


def measure(planned: Iterable[Plan], store: Store, on_event: OnEvent, *, device: str = "cpu") -> MatrixScores:
    """Train what a store lacks of several plans, and average their headline scores over test folds."""
    result, tables = MatrixScores(pd.DataFrame()), []
    for plan in planned:
        for source in plan.sources:
            store.put_dataset(source.dataset)
            result.digests[f"{plan.task}/{source.name}"] = source.digest
        schedule.execute(
            plan, store, machine.Machine.choose(device, None, plan.jobs), save_models=False, on_event=on_event
        )
        task = registry.get_task(plan.task)
        jobs = job_table(plan, store)
        for row in jobs[jobs["status"] == "failed"].itertuples():
            result.failures.append(f"{plan.task}, {row.model}: {row.reason}")
        for model, rows in jobs[jobs["status"] == "done"].groupby("model", sort=False):
            result.n_params[f"{plan.task}/{model}"] = int(rows["n_params"].iloc[0])
            result.train_seq_per_s[f"{plan.task}/{model}"] = float(rows["train_seq_per_s"].median())
        tables.append(_headline_means(score(plan, store, task), task))
    result.scores = pd.concat(tables, ignore_index=True)
    return result


def _headline_means(scores: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Average the headline scores of a task over test folds."""
    role = "ensemble" if (scores["role"] == "ensemble").any() else "member"
    chosen = fold_tests.featured(scores[scores["role"] == role], compare.headlines_of(task))
    keys = ["task", "task_version", "model", "output", "subset", "level", "metric"]
    return chosen.groupby(keys, sort=False)["value"].agg(lambda values: values.to_numpy(float).mean()).reset_index()


def precision_differences(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Compare scores in bfloat16 with those in float32 from the same seeds.

    Parameters
    ----------
    tables
        Scores as in `MatrixScores`, with columns precision, seed, train_seq_per_s.

    Returns
    -------
    A row per score: mean and sd (ddof 1) over seeds in float32, mean and sd of the difference bfloat16 - float32, and
    the median ratio of training speeds.
    """
    keys = ["task", "model", "output", "subset", "level", "metric"]
    wide = pd.concat(tables).pivot_table(
        index=[*keys, "seed"], columns="precision", values=["value", "train_seq_per_s"]
    )
    rows = []
    for key, part in wide.groupby(level=keys, sort=False):
        value, speed = part["value"], part["train_seq_per_s"]
        difference = value["bfloat16"] - value["float32"]
        numbers = {
            "n_seeds": len(part), "mean_float32": value["float32"].mean(), "sd_float32": value["float32"].std(),
            "mean_difference": difference.mean(), "sd_difference": difference.std(),
            "ratio_speed": (speed["bfloat16"] / speed["float32"]).median(),
        }  # fmt: skip
        rows.append(dict(zip(keys, key, strict=True)) | numbers)
    return pd.DataFrame(rows)
