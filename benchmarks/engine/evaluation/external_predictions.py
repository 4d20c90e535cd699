"""Predictions made outside this benchmark: a table keyed by id joins a study as a model of its own."""

import dataclasses
import hashlib
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import registry, system
from benchmarks.api.data import Dataset
from benchmarks.api.sequences import decode
from benchmarks.api.task import ComparedWithoutFolds, spec_of, supports
from benchmarks.engine.planning.plan import Job, Plan
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io import tables

FRAMEWORK = "outside"


def add(plan: Plan, store: Store, file: Path, name: str, *, n_averaged: int = 1) -> Plan:
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
    table, outputs = _read(file, spec_of(task, store.get_dataset(first.name, first.digest)).outputs)
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
            checked.append((job, rows, _matched(file, own_rows, outputs, dataset, rows), dataset.origin))
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


def _read(file: Path, outputs: tuple[str, ...]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Read a table of predictions; return it, indexed by line, and its values by output."""
    table = tables.read_headed(file)
    header = list(table)
    column_of = {name: name for name in outputs}
    if len(outputs) == 1 and "prediction" in table and outputs[0] not in table:
        column_of = {outputs[0]: "prediction"}
    missing = [name for name in column_of.values() if name not in table]
    if missing or not set(header) & {*tables.ID_COLUMNS, *tables.SEQUENCE_COLUMNS}:
        wanted = " and ".join(["seq_id (or seq)", *(outputs if len(outputs) > 1 else ["prediction"])])
        raise BadInput(f"{file}: its columns are {', '.join(header[:12])}; expected {wanted}.")
    values = {name: tables.numbers(file, table, of).astype(np.float32) for name, of in column_of.items()}
    if "dataset" in table:
        table["dataset"] = tables.required_text(file, table, "dataset")
    return table.assign(**values), {name: values[name] for name in outputs}


def _matched(
    file: Path, table: pd.DataFrame, outputs: dict[str, np.ndarray], dataset: Dataset, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Pick the predictions of the given rows of a dataset, by id or, where either has none, by sequence."""
    their_id = next((name for name in tables.ID_COLUMNS if name in table), None)
    our_id = next((name for name in tables.ID_COLUMNS if name in dataset.meta), None)
    if their_id and our_id:
        column, wanted = their_id, dataset.meta[our_id].astype(str).to_numpy()[rows]
    else:
        sequence_column = next((name for name in tables.SEQUENCE_COLUMNS if name in table), None)
        if sequence_column is None:
            raise BadInput(f"{file}: {dataset.name} has no ids, so a column 'seq' must key the predictions.")
        column, wanted = sequence_column, np.array(decode(np.asarray(dataset.codes[rows])))
    keys = tables.required_text(file, table, column)
    keys = keys.str.upper() if column in tables.SEQUENCE_COLUMNS else keys
    named = table.assign(key=keys)[["key", *outputs]].drop_duplicates()
    again = named[named.duplicated("key")]
    if len(again):
        line, value = again.index[0], _short(again["key"].iloc[0])
        raise BadInput(f"{file}, line {line}: {column} {value!r} appears twice with different predictions.")
    chosen = named.set_index("key").reindex(wanted)
    absent = chosen[next(iter(outputs))].isna().to_numpy()
    if absent.any():
        first = _short(str(wanted[np.flatnonzero(absent)[0]]))
        raise BadInput(
            f"{file}: {absent.sum():,} of {len(rows):,} test rows of {dataset.name} have no prediction, first "
            f"{column} {first!r}. Every test row needs one."
        )
    return {name: chosen[name].to_numpy(dtype=np.float32) for name in outputs}


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
