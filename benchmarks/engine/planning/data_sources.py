"""Which data a run uses: the user's, the published, or simulated."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.api.data import Dataset
from benchmarks.api.task import OffersDatasets, TakesColumns, Task, supports
from benchmarks.engine.datasets import catalogue, download
from benchmarks.engine.planning.plan import Source, get_preset
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io.columns import check_roles
from benchmarks.io.tables import tables_in

DATA = Path("data")
"""Folder of published data, one subfolder per task; git ignores it."""


def find(
    task: Task,
    preset: str,
    path: Path | None,
    *,
    seed: int,
    split: str | None = None,
    refold: bool = False,
    shuffle: bool = False,
    may_miss: bool = False,
    columns: Mapping[str, str] | None = None,
) -> list[Source]:
    """Load the datasets of a run.

    Parameters
    ----------
    path
        A table, or a folder of them, one dataset each (or the task's published files), or the name of a published one;
        None: what the preset says.
    split
        What is held out: one of the task's SPLITS; None: the first.
    shuffle
        Permute the targets, as a negative control.
    may_miss
        Where published data is missing, plan with its approximate size instead of failing.
    columns
        What the user says of the columns of tables: one of the task's `COLUMNS` -> name of the column.

    Raises
    ------
    BadInput
        For anything wrong with the data, and where it is missing, saying how to get it.
    """
    if split is not None and split not in task.SPLITS:
        raise BadInput(f"--split: {did_you_mean('split of this task', split, list(task.SPLITS))}")
    split = split or task.SPLITS[0]
    named = {"columns": _known(task, columns, path)} if columns else {}
    if path is None and get_preset(task, preset).data == "simulated":
        datasets = [task.simulate(split=split, seed=seed)]
        ignored: list[str] = []
    else:
        try:
            files, ignored = _files(task, path)
        except BadInput as missing:
            if path is None and may_miss:
                return [Source(name, task.APPROX_ROWS[name], missing=str(missing)) for name in task.DATASETS]
            raise
        datasets = [task.load(file, split=split, refold=refold, seed=seed, **named) for file in files]
    names = [dataset.name for dataset in datasets]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"{path} holds two tables named {twice[0]!r} (folders and endings aside); rename one of them.")
    if ignored:
        note = f"Not read, as most of their rows have no sequence: {', '.join(ignored)}."
        datasets = [dataclasses.replace(dataset, notes=(*dataset.notes, note)) for dataset in datasets]
    return [_source(d.with_shuffled_targets(seed) if shuffle else d) for d in datasets]


def fetch_missing(
    task: Task, preset: str, *, agreed: Callable[[str], bool], on_progress: Callable[[str, int, int | None], Any]
) -> None:
    """Fetch the published data that a preset reads and that is not there, if `agreed` says so to a question.

    Raises
    ------
    BadInput
        If a file cannot be had; see `download.fetch`.
    """
    if get_preset(task, preset).data != "published":
        return
    folder = DATA / task.NAME
    with contextlib.suppress(BadInput):
        task.published(folder)
        return
    files = catalogue.chosen(catalogue.read(), task.NAME, [])
    if all(file.wanted == "read" for file in files) and agreed(
        f"{folder} has no data. Fetch {', '.join(file.name for file in files)}?"
    ):
        for file in files:
            download.fetch(file, folder, on_progress=on_progress)


def _files(task: Task, path: Path | None) -> tuple[list[Path], list[str]]:
    """List what the datasets are read from, and the names of files beside them that are no tables of sequences."""
    if path is None:
        return list(task.published(DATA / task.NAME).values()), []
    if not path.exists() and (named := _published_named(task, str(path))):
        return [named], []
    if not path.is_dir():
        return [path], []
    with contextlib.suppress(BadInput):
        return list(task.published(path).values()), []
    files, ignored = tables_in(path)
    if not files:
        raise BadInput(f"The folder {path} has no table (.tsv, .csv, .txt, plain or .gz, or .parquet).")
    return files, ignored


def _published_named(task: Task, name: str) -> Path | None:
    """Find a published dataset by its name.

    Raises
    ------
    BadInput
        If the task offers it, and it was not fetched.
    """
    with contextlib.suppress(BadInput):
        found = task.published(DATA / task.NAME)
        if name in found:
            return found[name]
    if supports(task, OffersDatasets) and name in task.offered():
        raise BadInput(
            f"{name} is a public data set that is not in {DATA / task.NAME}; get it: python -m benchmarks fetch --task "
            f"{task.NAME} --name {name}."
        )
    return None


def _known(task: Task, columns: Mapping[str, str], path: Path | None) -> Mapping[str, str]:
    if path is None:
        raise BadInput("--columns says what the columns of --data are; give both.")
    if not supports(task, TakesColumns):
        raise BadInput(f"--columns: task {task.NAME} reads no tables whose columns could be named.")
    check_roles(columns, task.COLUMNS)
    return columns


def _source(dataset: Dataset) -> Source:
    return Source(dataset.name, len(dataset), dataset, dataset.content_hash()[:12])
