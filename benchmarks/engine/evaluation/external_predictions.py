"""Predictions made outside this benchmark: a table keyed by id joins a study as a model of its own."""

import dataclasses
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import registry, system
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.sequences import SequenceError, decode, row_hashes
from benchmarks.api.task import ComparedWithoutFolds, Task, encode_for, spec_of, supports
from benchmarks.engine.planning.plan import Job, Plan
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io import columns, tables
from benchmarks.io.account import Account
from benchmarks.io.columns import Role

FRAMEWORK = "outside"


def add(
    plan: Plan,
    store: Store,
    file: Path,
    name: str,
    *,
    n_averaged: int = 1,
    given: Mapping[str, str] | None = None,
    account: Account | None = None,
) -> Plan:
    """Store the predictions of a table for every test fold of a plan, and return the plan with the new model in it.

    Parameters
    ----------
    file
        A table with a header: `seq_id` (or, where the data has no ids, `seq`), one column per output of the task, or
        `prediction` where it has one, and `dataset` where the plan has several. Ids may repeat if their values agree.
    name
        What tables and plots call the model.
    n_averaged
        Models whose predictions the table averages; a test against ensembles of other sizes is not made.
    given
        What the user says of the columns: one of `roles` -> name of the column.
    account
        Filled with what was read.

    Raises
    ------
    BadInput
        For anything wrong with table or name, and for test rows without a prediction.
    """
    task = registry.get_task(plan.task)
    if n_averaged > 1 and supports(task, ComparedWithoutFolds):
        raise BadInput(
            f"--members {n_averaged}: task {plan.task!r} compares single models; averages have no place in it."
        )
    key = _key(name)
    first = plan.sources[0]
    spec = spec_of(task, store.get_dataset(first.name, first.digest))
    if spec.head == "profile_counts":
        raise BadInput(
            f"{file}: task {plan.task!r} is scored on profiles of {spec.profile_len:,} numbers per window, which a "
            "table cannot hold; add the model with --plugin."
        )
    table, outputs = _read(file, spec.outputs, given or {}, account or Account(file.name))
    config_hash = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    if len(plan.sources) > 1 and "dataset" not in table:
        names = ", ".join(source.name for source in plan.sources)
        raise BadInput(f"{file}: this run has several datasets ({names}); a column 'dataset' must say which.")
    if "dataset" in table:
        known = [source.name for source in plan.sources]
        for line, dataset in table["dataset"].items():
            if dataset not in known:
                raise BadInput(f"{file}, line {line}, column 'dataset': {did_you_mean('dataset', dataset, known)}")
    checked = []  # everything is read and checked before anything is written
    for source in plan.sources:
        dataset = store.get_dataset(source.name, source.digest)
        own_rows = table[table["dataset"] == source.name] if "dataset" in table else table
        for test_fold, rows in _test_rows(plan, source.name, store).items():
            job = Job(
                task=plan.task,
                dataset=source.name,
                digest=source.digest,
                model=key,
                framework=FRAMEWORK,
                recipe={"file": file.name, "n_averaged": n_averaged},
                config_hash=config_hash,
                test_fold=test_fold,
                val_fold=test_fold,
                seed=plan.seed,
                n_train=0,
            )
            checked.append((job, rows, _matched(file, own_rows, outputs, dataset, rows, task), dataset.origin))
    if not checked:
        raise BadInput("No training of this run is finished yet, so it is not known which rows are test rows.")
    for job, rows, predictions, origin in checked:
        if not (training := store.training(job)).is_done:
            training.put(_record(job, plan, len(rows), origin), [], rows, predictions, None)
    return _with_model(plan, key, name, [job for job, *_ in checked], file)


def _key(name: str) -> str:
    key = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")
    if not key:
        raise BadInput(f"--name expects letters or digits, got {name!r}.")
    if key in registry.models():
        raise BadInput(f"--name {name}: a model of this benchmark has that name; choose another.")
    return key


DATASET = Role("dataset", ("dataset",), "datasets")


def roles(outputs: Sequence[str]) -> tuple[Role, ...]:
    """Return what the columns of a table of predictions can hold: keys, dataset, and a prediction per output."""
    sequence = dataclasses.replace(columns.SEQUENCE, required=False)
    if len(outputs) == 1:
        predictions = [Role("prediction", ("prediction", *outputs), "predictions", required=True)]
    else:
        predictions = [Role(output, (output,), f"predictions of {output}", required=True) for output in outputs]
    return (columns.ID, sequence, DATASET, *predictions)


def _read(
    file: Path, outputs: tuple[str, ...], given: Mapping[str, str], account: Account
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Read a table of predictions, its columns called id, sequence and dataset; and its values by output."""
    table = tables.read_headed(file, account=account)
    found = columns.resolve(file, table, roles(outputs), given, account)
    if not found.keys() & {"id", "sequence"}:
        raise BadInput(
            f"{file}: no column of ids or sequences is known by its name; its columns are "
            f"{', '.join(list(table)[:12])}. Say which one it is: --columns id=COLUMN, or sequence=COLUMN."
        )
    named = {outputs[0]: found["prediction"]} if len(outputs) == 1 else {name: found[name] for name in outputs}
    values = {name: tables.numbers(file, table, column).astype(np.float32) for name, column in named.items()}
    key_roles = [role for role in ("id", "sequence", "dataset") if role in found]
    keys = {role: tables.required_text(file, table, found[role]) for role in key_roles}
    account.numbers["rows"] = len(table)
    return pd.DataFrame(keys, index=table.index).assign(**values), values


def _matched(
    file: Path, table: pd.DataFrame, outputs: dict[str, np.ndarray], dataset: Dataset, rows: np.ndarray, task: Task
) -> dict[str, np.ndarray]:
    """Pick the predictions of the given rows of a dataset, by id or, where either has none, by sequence.

    Sequences are compared as the task reads them: with or without their constant flanks, in either case.
    """
    if "id" in table and "seq_id" in dataset.meta:
        column, wanted, keys = "id", dataset.meta["seq_id"].astype(str).to_numpy()[rows], table["id"]
        if "sequence" in table:
            _check_sequences(file, table, dataset, rows, task)
    elif "sequence" not in table:
        raise BadInput(
            f"{file}: {dataset.name} has no ids, so a column of sequences must key the predictions "
            "(--columns sequence=COLUMN)."
        )
    else:
        column, wanted, keys = (
            "sequence",
            row_hashes(np.asarray(dataset.codes[rows])),
            _encoded_keys(file, table, task, spec_of(task, dataset)),
        )
    named = table.assign(key=keys)[["key", *outputs]].drop_duplicates()
    again = named[named.duplicated("key")]
    if len(again):
        line = again.index[0]
        raise BadInput(
            f"{file}, line {line}: {column} {_short(table[column][line])!r} appears twice with different predictions."
        )
    chosen = named.set_index("key").reindex(wanted)
    absent = chosen[next(iter(outputs))].isna().to_numpy()
    if absent.any():
        row = rows[np.flatnonzero(absent)[0]]
        first = dataset.meta["seq_id"].iloc[row] if column == "id" else decode(np.asarray(dataset.codes[[row]]))[0]
        raise BadInput(
            f"{file}: {absent.sum():,} of {len(rows):,} test rows of {dataset.name} have no prediction, first "
            f"{column} {_short(str(first))!r}. Every test row needs one."
        )
    return {name: chosen[name].to_numpy(dtype=np.float32) for name in outputs}


def _check_sequences(file: Path, table: pd.DataFrame, dataset: Dataset, rows: np.ndarray, task: Task) -> None:
    """Refuse a table whose ids have other sequences than the data: the predictions would be of something else."""
    ids = dataset.meta["seq_id"].astype(str).to_numpy()[rows]
    expected = pd.Series(row_hashes(np.asarray(dataset.codes[rows])), index=ids)
    expected = expected[~expected.index.duplicated()]
    named = table[table["id"].isin(expected.index)]
    given = _encoded_keys(file, named, task, spec_of(task, dataset))
    wrong = given != expected[named["id"]].to_numpy()
    if wrong.any():
        line, name = named.index[wrong][0], named["id"][wrong].iloc[0]
        raise BadInput(
            f"{file}, line {line}: the sequence of {name!r} is not that of the data ({wrong.sum():,} such rows); "
            "correct the table, or leave the column out."
        )


def _encoded_keys(file: Path, table: pd.DataFrame, task: Task, spec: TaskSpec) -> np.ndarray:
    try:
        return row_hashes(encode_for(task, spec, table["sequence"].tolist()))
    except SequenceError as error:
        raise BadInput(f"{file}, line {table.index[error.row]}: {error.reason}.") from None


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}…"


def _test_rows(plan: Plan, dataset: str, store: Store) -> dict[int, np.ndarray]:
    """Find the rows of every test fold of a plan that a finished training was tested on."""
    rows_of = {}
    for job in plan.jobs:
        if job.dataset == dataset and job.test_fold not in rows_of and (training := store.training(job)).is_done:
            rows_of[job.test_fold] = training.predictions()[0]
    return rows_of


def _record(job: Job, plan: Plan, n_test: int, origin: str) -> dict:
    return job.to_dict() | {
        "status": "done",
        "task_version": plan.task_version,
        "origin": origin,
        "n_test": n_test,
        "device": None,
        "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": system.versions(),
        "commit": system.commit(),
        "hardware": system.hardware(),
    }


def _with_model(plan: Plan, key: str, name: str, jobs: list[Job], file: Path) -> Plan:
    others = tuple(job for job in plan.jobs if job.model != key)
    note = f"{name}: predictions read from {file.name}; nothing is known here of how, and on what, it was trained."
    return dataclasses.replace(
        plan,
        models=(*(model for model in plan.models if model != key), key),
        jobs=(*others, *jobs),
        recipes={**plan.recipes, key: {"file": file.name}},
        titles={**plan.titles, key: name},
        notes=(*(old for old in plan.notes if not old.startswith(f"{name}: ")), note),
    )
