"""The only code that reads or writes `results/`. A folder appears there whole or not at all.

datasets/<name>-<hash>/                             codes, targets and meta that jobs were trained and scored on
runs/<task>/<dataset>/<model>-<run>/test-03_val-07/ job.json, history.jsonl, predictions.npz, model files, SHA256SUMS
  beside it, until the job is done: test-03_val-07.partial/ (epoch checkpoints), .claim (who trains it), .failed.json
reports/<task>_<preset>_<plan>/                     plan.json, scores.csv, tests.csv, figures, report.html
"""

import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.api.data import Dataset
from benchmarks.api.sequences import N_CODE
from benchmarks.engine.planning.plan import Job
from benchmarks.engine.store.checkpoints import EpochCheckpoints
from benchmarks.engine.store.records import DatasetRecord, EpochRow, FailureRecord, JobRecord
from benchmarks.errors import BadInput
from benchmarks.io import checksums, validated
from benchmarks.io.atomic import write_text
from benchmarks.io.json_files import read_json, to_json, write_json


class Store:
    """A results folder. Its methods raise OSError where the system refuses, BadInput where a stored file is damaged."""

    def __init__(self, root: Path):
        self.root = Path(root)

    def check_writable(self) -> None:
        """Find out before any training whether results can be kept."""
        try:
            for folder in (self.root, *(self.root / name for name in ("datasets", "runs", "reports"))):
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=folder):
                    pass
        except OSError as error:
            raise BadInput(
                f"The results folder {self.root} cannot be written ({error.strerror}); name another with --results."
            ) from None

    # datasets

    def put_dataset(self, dataset: Dataset) -> str:
        """Keep a dataset once and return the first 12 digits of its content hash."""
        digest = dataset.content_hash()[:12]
        folder = self._dataset_folder(dataset.name, digest)
        if folder.exists():
            write_json(folder / "dataset.json", _about(dataset))  # notes are not hashed: keep the latest
        else:
            with self._whole_folder(folder) as new:
                np.save(new / "codes.npy", dataset.codes)
                numbers = {name: values for name, values in dataset.targets.items() if values.ndim == 1}
                np.savez(new / "targets.npz", **numbers)
                for name in dataset.targets.keys() - numbers:  # profiles are too large to be read whole
                    np.save(new / f"target-{name}.npy", dataset.targets[name])
                meta = {name: _plain(values) for name, values in dataset.meta.items()}
                np.savez(new / "meta.npz", **meta)
                for name, table in dataset.tables.items():
                    np.savez(new / f"table-{name}.npz", **{column: _plain(table[column]) for column in table})
                write_json(new / "dataset.json", _about(dataset))
        return digest

    def get_dataset(self, name: str, digest: str) -> Dataset:
        """Open a kept dataset; its codes and profiles are memory-mapped.

        Raises
        ------
        BadInput
            If it is missing, or is not what a dataset is made of.
        """
        folder = self._dataset_folder(name, digest)
        if not folder.is_dir():
            raise BadInput(
                f"The dataset {name}-{digest} is missing under {self.root}; run the plan again to restore it."
            )
        recovery_hint = f"delete {folder} and run the plan again to restore it"
        about = validated.read_json(folder / "dataset.json", DatasetRecord, recovery_hint=recovery_hint)
        numbers = validated.read_arrays(folder / "targets.npz", recovery_hint=recovery_hint)
        targets = {
            name: numbers[name]
            if name in numbers
            else validated.map_array(folder / f"target-{name}.npy", recovery_hint=recovery_hint)
            for name in about["outputs"]
        }
        codes = validated.map_array(folder / "codes.npy", recovery_hint=recovery_hint)
        try:
            if wrong := next((name for name, values in targets.items() if values.dtype.kind not in "fiu"), None):
                raise ValueError(f"target {wrong!r} is of type {targets[wrong].dtype}")
            dataset = Dataset(
                about["name"],
                codes,
                targets,
                _frame(folder / "meta.npz", about["columns"], recovery_hint),
                about["origin"],
                ceilings=tuple(about["ceilings"]),
                notes=tuple(about["notes"]),
                tables={
                    name: _frame(folder / f"table-{name}.npz", columns, recovery_hint)
                    for name, columns in about.get("tables", {}).items()
                },
            )
            if all(values.ndim == 1 for values in targets.values()):  # profiles are too large to be read whole
                _check_numbers(codes, targets)
                if (found := dataset.content_hash()[:12]) != digest:
                    raise ValueError(f"its content has the hash {found}")
            return dataset
        except BadInput:
            raise
        except (ValueError, TypeError, KeyError) as error:
            raise BadInput(f"{folder} is damaged ({validated.one_line(error)}); {recovery_hint}.") from None

    def has_dataset(self, name: str, digest: str) -> bool:
        return (self._dataset_folder(name, digest) / "dataset.json").is_file()

    def datasets(self) -> list[tuple[str, str]]:
        """List name and digest of every kept dataset."""
        found = sorted((self.root / "datasets").glob("*-*/dataset.json"))
        return [tuple(file.parent.name.rsplit("-", 1)) for file in found]

    def _dataset_folder(self, name: str, digest: str) -> Path:
        return self.root / "datasets" / f"{name}-{digest}"

    # jobs

    def job_folder(self, task: str, dataset: str, model: str, run: str, split: str) -> Path:
        return self.root / "runs" / task / dataset / f"{model}-{run}" / split

    def log_folder(self, task: str) -> Path:
        return self.root / "runs" / task / "logs"

    def put_job(
        self,
        folder: Path,
        record: dict[str, Any],
        history: list[dict],
        rows: np.ndarray,
        predictions: dict[str, np.ndarray],
        save_model: Callable[[Path], None] | None,
    ) -> None:
        """Write a finished job; its checkpoints and an earlier failure go, a damaged folder of it is replaced."""
        if folder.exists() and not self.is_done(folder):
            shutil.rmtree(folder)
        with self._whole_folder(folder, claimed=True) as new:
            write_json(new / "job.json", record)
            (new / "history.jsonl").write_text("".join(to_json(row) + "\n" for row in history))
            np.savez_compressed(
                new / "predictions.npz", rows=rows, **{f"output_{k}": v for k, v in predictions.items()}
            )
            if save_model:
                save_model(new)
            checksums.write(new)
        self._forget_attempts(folder)

    def put_failure(self, folder: Path, record: dict[str, Any]) -> None:
        """Write down why a job failed, beside where its folder would be."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_json(_failure_file(folder), record)

    def get_failure(self, folder: Path) -> dict[str, Any] | None:
        file = _failure_file(folder)
        return read_json(file, FailureRecord) if file.exists() else None

    def checkpoints(self, folder: Path) -> EpochCheckpoints:
        """Return where a job that is not done keeps its training's state."""
        return EpochCheckpoints(folder.with_name(f"{folder.name}.partial"))

    def lock_file(self, folder: Path) -> Path:
        """Return the file that says which process works on a job."""
        return folder.with_name(f"{folder.name}.claim")

    def is_done(self, folder: Path) -> bool:
        file = folder / "job.json"
        return file.is_file() and file.stat().st_size > 0

    def get_job(self, folder: Path) -> dict[str, Any]:
        return read_json(folder / "job.json", JobRecord)

    def get_history(self, folder: Path) -> list[dict]:
        return validated.read_json_lines(folder / "history.jsonl", EpochRow, recovery_hint=validated.TRAIN_AGAIN)

    def get_predictions(self, folder: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return dataset row numbers and output name -> predictions.

        Raises
        ------
        BadInput
            If they are not what was stored.
        """
        if problem := checksums.problem_of(folder, "predictions.npz"):
            raise BadInput(
                f"{folder} cannot be trusted: {problem}. Remove it and give the command that made it again: only this "
                "training is repeated."
            )
        arrays = validated.read_arrays(folder / "predictions.npz", recovery_hint=validated.TRAIN_AGAIN)
        rows = arrays.pop("rows", np.zeros(0))
        named = {name.removeprefix("output_"): values for name, values in arrays.items()}
        whole = rows.ndim == 1 and rows.dtype.kind in "iu" and (len(rows) == 0 or rows.min() >= 0)
        if not whole or any(
            v.dtype.kind != "f" or v.shape[:1] != rows.shape or not (np.abs(v) <= _LARGEST).all()
            for v in named.values()
        ):
            raise BadInput(
                f"{folder / 'predictions.npz'} does not hold rows and their predictions; {validated.TRAIN_AGAIN}."
            )
        return rows, named

    def finished_jobs(self, task: str) -> Iterator[dict[str, Any]]:
        """Give the record of every finished job of a task, whatever plan it belonged to."""
        for file in sorted((self.root / "runs" / task).glob("*/*/test-*/job.json")):
            with contextlib.suppress(BadInput):
                yield read_json(file, JobRecord)

    def leftovers(
        self, is_held: Callable[[Path], bool], planned: Collection[Path], datasets: Collection[tuple[str, str]]
    ) -> Iterator[tuple[Path, str]]:
        """Find what nothing needs any more: paths, and why.

        Parameters
        ----------
        is_held
            Tells whether a process that lives holds a claim file.
        planned
            Folders of the trainings of all stored plans.
        datasets
            Name and digest of what stored plans and finished trainings rest on.
        """
        for path in sorted((self.root / "runs").glob("*/*/*/*")):
            whole = path.with_name(re.sub(r"\.(partial|claim)$", "", path.name))
            if path.name.startswith("."):
                if time.time() - path.stat().st_mtime > 3600:
                    yield path, "half-written, by a process that was killed"
            elif path.name.endswith(".claim"):
                if not is_held(path):
                    yield path, "claim of a process that is gone"
            elif path.name.endswith(".partial") and not is_held(self.lock_file(whole)):
                if self.is_done(whole):
                    yield path, "checkpoints of a training that is done"
                elif whole not in planned:
                    yield path, "checkpoints of a training that no stored plan has"
        for name, digest in self.datasets():
            if (name, digest) not in datasets:
                yield self._dataset_folder(name, digest), "dataset that no training and no stored plan rests on"

    def has_runs(self) -> bool:
        return (self.root / "runs").is_dir()

    def job_folders(self) -> list[Path]:
        """List the folders of all finished jobs."""
        return [file.parent for file in sorted((self.root / "runs").glob("*/*/*/test-*/job.json"))]

    def adopt_job(self, source: Path, folder: Path) -> None:
        """Copy the folder of a finished job from another store, whole or not at all."""
        with self._whole_folder(folder) as new:
            for file in source.iterdir():
                shutil.copyfile(file, new / file.name)
        self._forget_attempts(folder)

    def tidy(self, folder: Path) -> None:
        """Remove what a process left beside a finished job that was killed right after it had stored it."""
        self._forget_attempts(folder)
        self.lock_file(folder).unlink(missing_ok=True)

    def _forget_attempts(self, folder: Path) -> None:
        _failure_file(folder).unlink(missing_ok=True)
        self.checkpoints(folder).remove()

    def adopt_plan(self, source: Path) -> bool:
        """Copy the plan of a report folder of another store; False if it is here already."""
        folder = self.report_folder(source.name)
        if (folder / "plan.json").exists():
            return False
        write_text(folder / "plan.json", (source / "plan.json").read_text(encoding="utf-8"))
        return True

    # reports

    def report_folder(self, name: str) -> Path:
        folder = self.root / "reports" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def report_folders(self, task: str | None = None) -> list[Path]:
        """List report folders, oldest plan first, of one task or all."""
        found = (self.root / "reports").glob(f"{task or '*'}_*/plan.json")
        return [file.parent for file in sorted(found, key=lambda file: file.stat().st_mtime)]

    @contextlib.contextmanager
    def _whole_folder(self, folder: Path, *, claimed: bool = False) -> Iterator[Path]:
        """Fill a folder under another name and rename it: it is there whole, or not at all.

        What a process left behind that was killed while it wrote is swept away: at once where the caller holds the
        claim, else after an hour.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f".{folder.name}-*"):
            with contextlib.suppress(FileNotFoundError):
                if claimed or time.time() - left.stat().st_mtime > 3600:
                    shutil.rmtree(left, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            new.chmod(0o755)
            yield new
            if folder.exists():
                return  # another process finished the same work first; equal by construction
            try:
                new.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _about(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "origin": dataset.origin,
        "n_rows": len(dataset),
        "columns": list(dataset.meta.columns),
        "outputs": list(dataset.targets),
        "ceilings": [dict(row) for row in dataset.ceilings],
        "notes": list(dataset.notes),
        "tables": {name: list(table.columns) for name, table in dataset.tables.items()},
    }


_LARGEST = np.finfo(np.float32).max
"""Of what is measured and predicted; also what tables may hold."""


def _check_numbers(codes: np.ndarray, targets: dict[str, np.ndarray]) -> None:
    if codes.dtype == np.uint8 and codes.size and codes.max() > N_CODE:
        raise ValueError("its codes are not those of bases")
    for name, values in targets.items():
        if not (np.abs(values) <= _LARGEST).all():
            raise ValueError(f"target {name!r} has values that are not finite")


def _frame(file: Path, columns: list[str], recovery_hint: str) -> pd.DataFrame:
    arrays = validated.read_arrays(file, recovery_hint=recovery_hint)
    if wrong := next(
        (name for name in columns if arrays[name].ndim != 1 or arrays[name].dtype.kind not in "biufU"), None
    ):
        raise ValueError(f"column {wrong!r} of {file.name} holds neither numbers nor text")
    return pd.DataFrame({column: arrays[column] for column in columns})


def _failure_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.failed.json")


def _plain(values: pd.Series) -> np.ndarray:
    """Return a column as an array that saves without pickling: text as fixed-width unicode."""
    array = values.to_numpy()
    return array.astype(str) if array.dtype.kind not in "biuf" else array


def folder_of(store: Store, job: Job) -> Path:
    return store.job_folder(job.task, job.dataset, job.model, job.config_hash, job.split_name)


def _is_done(store: Store, job: Job) -> bool:
    return store.is_done(folder_of(store, job))
