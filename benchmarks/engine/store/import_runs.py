"""Bringing home what another machine computed: verified, whole, and never over what is already here."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.engine.planning.plan import Job, Plan
from benchmarks.engine.store.records import JobRecord
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training import Training
from benchmarks.errors import BadInput
from benchmarks.io import archives, checksums, validated
from benchmarks.io.json_files import read_json
from benchmarks.io.system_files import contents


@dataclass(frozen=True)
class Item:
    """What came of one dataset, training or plan of the other store. `detail` says what is wrong with a refused one."""

    kind: Literal["dataset", "training", "plan"]
    name: str
    status: Literal["imported", "already here", "kept ours", "refused"]
    detail: str = ""


@contextlib.contextmanager
def opened(path: Path, scratch: Path) -> Iterator[Store]:
    """Open the results folder at `path`, or the one packed in a tar file there (unpacked under `scratch`).

    Raises
    ------
    BadInput
        If there is none, or the archive is damaged or holds names that lead out of it.
    """
    if path.is_dir():
        yield _store_in(path, path)
        return
    if not path.is_file():
        raise BadInput(f"No results folder, and no tar file of one, at {path}.")
    with tempfile.TemporaryDirectory(prefix=".import-", dir=scratch) as folder:
        archives.unpack(path, Path(folder))
        yield _store_in(Path(folder), path)


def _store_in(folder: Path, named: Path) -> Store:
    for root in (folder, folder / "results", *contents(folder)):
        if (store := Store(root)).has_runs():
            return store
    raise BadInput(f"{named} holds no results of this benchmark: a folder with runs and datasets is expected.")


def merge(other: Store, ours: Store) -> Iterator[Item]:
    """Copy every dataset, finished training and plan of `other` that is verified and not here yet.

    A dataset is verified by its content hash, a training by its SHA-256 sums and by what it says of itself. A training
    that both have, with other predictions, stays as it is here.
    """
    for name, digest in other.datasets():
        yield _merge_dataset(other, ours, name, digest)
    for training in other.finished_trainings():
        yield _merge_training(other, ours, training)
    for folder in other.report_folders():
        yield _merge_plan(ours, folder)


def _merge_dataset(other: Store, ours: Store, name: str, digest: str) -> Item:
    label = f"{name}-{digest}"
    if not validated.is_name(name):
        return Item("dataset", label, "refused", "its name is not one that a run gives")
    if ours.has_dataset(name, digest):
        return Item("dataset", label, "already here")
    try:
        dataset = other.get_dataset(name, digest)
        content_hash = dataset.content_hash()[:12]
    except (BadInput, ValueError, TypeError, KeyError, OSError) as error:
        return Item("dataset", label, "refused", f"it cannot be read ({error})")
    if (dataset.name, content_hash) != (name, digest):
        return Item("dataset", label, "refused", f"its content has the hash {content_hash}")
    ours.put_dataset(dataset)
    return Item("dataset", label, "imported")


def _merge_training(other: Store, ours: Store, training: Training) -> Item:
    label = str(training.folder.relative_to(other.root))
    if problem := checksums.problem(training.folder):
        return Item("training", label, "refused", problem)
    try:
        record = training.record()
        job = validated.parse_as(Job.field_names(record), Job)
        rows, predictions = training.predictions()
        problem = _job_problem(job, record, rows, predictions, ours)
    except (BadInput, ValueError, TypeError, KeyError, OSError) as error:
        return Item("training", label, "refused", f"it cannot be read ({error})")
    if problem is None and other.training(job).folder != training.folder:
        problem = f"it says that it is {job.id}"
    if problem:
        return Item("training", label, "refused", problem)
    target = ours.training(job)
    if target.is_done:
        our_rows, our_predictions = target.predictions()
        same = np.array_equal(rows, our_rows) and all(
            name in our_predictions and np.array_equal(values, our_predictions[name])
            for name, values in predictions.items()
        )
        return Item("training", label, "already here" if same else "kept ours", "" if same else "predictions differ")
    target.adopt(training)
    return Item("training", label, "imported")


def _job_problem(job: Job, record: JobRecord, rows: np.ndarray, predictions: dict, ours: Store) -> str | None:
    if not ours.has_dataset(job.dataset, job.digest):
        return f"its dataset {job.dataset}-{job.digest} is neither here nor there"
    n_rows = len(ours.get_dataset(job.dataset, job.digest))
    if rows.dtype.kind not in "iu" or rows.ndim != 1 or len(rows) == 0 or not (0 <= rows.min() <= rows.max() < n_rows):
        return "its row numbers are not those of its dataset"
    if not predictions or any(len(v) != len(rows) or not np.isfinite(v).all() for v in predictions.values()):
        return "its predictions are not one finite number per row"
    if record.get("status") != "done":
        return "it is not finished"
    return None


def _merge_plan(ours: Store, folder: Path) -> Item:
    name = folder.name
    if not validated.is_name(name):
        return Item("plan", name, "refused", "its name is not one that a run gives")
    try:
        plan = Plan.from_dict(read_json(folder / "plan.json")["plan"])
        expected = f"{plan.task}_{plan.preset}_{plan.id}"
    except (BadInput, ValueError, TypeError, KeyError) as error:
        return Item("plan", name, "refused", f"it cannot be read ({error})")
    if expected != name:
        return Item("plan", name, "refused", f"its content is that of {expected}")
    return Item("plan", name, "imported" if ours.adopt_plan(folder) else "already here")
