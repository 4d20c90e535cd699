"""The results folder: where datasets, trainings and reports lie. With its package, the only code that touches it.

datasets/<name>-<hash>/                             integer-encoded sequences, targets and meta; see `dataset_files`
runs/<task>/<dataset>/<model>-<config hash>/<split>/ one training; see `training`
reports/<task>_<preset>_<plan>/                     plan.json, scores.csv, tests.csv, figures, report.html

A folder appears whole or not at all.
"""

import contextlib
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from benchmarks.api.data import Dataset
from benchmarks.engine.planning.plan import Job
from benchmarks.engine.store import dataset_files
from benchmarks.engine.store.records import JobRecord
from benchmarks.engine.store.training import Training
from benchmarks.errors import BadInput
from benchmarks.io.atomic import write_text


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
        dataset_files.write(self._dataset_folder(dataset.name, digest), dataset)
        return digest

    def get_dataset(self, name: str, digest: str | None) -> Dataset:
        """Open a kept dataset; its sequences and profiles are memory-mapped.

        Raises
        ------
        BadInput
            If it is missing, or is not what a dataset is made of.
        """
        folder = self._dataset_folder(name, digest)
        if digest is None or not folder.is_dir():
            raise BadInput(
                f"The dataset {name}-{digest} is missing under {self.root}; run the plan again to restore it."
            )
        return dataset_files.read(folder, digest)

    def has_dataset(self, name: str, digest: str | None) -> bool:
        """Tell whether a dataset is kept."""
        return (self._dataset_folder(name, digest) / "dataset.json").is_file()

    def datasets(self) -> list[tuple[str, str]]:
        """List name and digest of every kept dataset."""
        files = sorted((self.root / "datasets").glob("*-*/dataset.json"))
        return [(name, digest) for name, _, digest in (file.parent.name.rpartition("-") for file in files)]

    def _dataset_folder(self, name: str, digest: str | None) -> Path:
        return self.root / "datasets" / f"{name}-{digest}"

    # trainings

    def training(self, job: Job) -> Training:
        """Return the place of a job's training."""
        return self._training(job, job.model, job.config_hash)

    def prerequisites(self, job: Job) -> dict[str, Training]:
        """Return the trainings whose models a job needs, on the same split, by the models' names."""
        return {model: self._training(job, model, config_hash) for model, config_hash in job.prerequisites.items()}

    def _training(self, job: Job, model: str, config_hash: str) -> Training:
        return Training(self.root / "runs" / job.task / job.dataset / f"{model}-{config_hash}" / job.split_name)

    def finished_trainings(self, task: str = "*") -> list[Training]:
        """List every finished training, of a task or of all, whatever plan it belonged to."""
        return [Training(file.parent) for file in sorted((self.root / "runs").glob(f"{task}/*/*/test-*/job.json"))]

    def finished_jobs(self, task: str) -> Iterator[JobRecord]:
        """Give the record of every finished training of a task; damaged ones are left out."""
        for training in self.finished_trainings(task):
            with contextlib.suppress(BadInput):
                yield training.record()

    def has_runs(self) -> bool:
        """Tell whether this is a results folder that trainings were stored in."""
        return (self.root / "runs").is_dir()

    def log_folder(self, task: str) -> Path:
        """Return where worker processes write what they print."""
        return self.root / "runs" / task / "logs"

    def leftovers(
        self,
        is_locked: Callable[[Path], bool],
        planned: Collection[Path],
        datasets: Collection[tuple[str | None, str | None]],
    ) -> Iterator[tuple[Path, str]]:
        """Find what nothing needs any more: paths, and why.

        Parameters
        ----------
        is_locked
            Tells whether a living process owns a lock file.
        planned
            Folders of the trainings of all stored plans.
        datasets
            Name and digest of what stored plans and finished trainings use.
        """
        for path in sorted((self.root / "runs").glob("*/*/*/*")):
            training = Training(path.with_name(re.sub(r"\.(partial|claim)$", "", path.name)))
            if path.name.startswith("."):
                if time.time() - path.stat().st_mtime > 3600:
                    yield path, "half-written, by a process that was killed"
            elif path.name.endswith(".claim"):
                if not is_locked(path):
                    yield path, "lock of a process that is gone"
            elif path.name.endswith(".partial") and not is_locked(training.lock_file):
                if training.is_done:
                    yield path, "checkpoints of a training that is done"
                elif training.folder not in planned:
                    yield path, "checkpoints of a training that no stored plan has"
        for name, digest in self.datasets():
            if (name, digest) not in datasets:
                yield self._dataset_folder(name, digest), "dataset that no training and no stored plan uses"

    # reports

    def report_folder(self, name: str) -> Path:
        """Make the folder of a report and return it."""
        folder = self.root / "reports" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def report_folders(self, task: str | None = None) -> list[Path]:
        """List report folders, oldest plan first, of one task or all."""
        plans = (self.root / "reports").glob(f"{task or '*'}_*/plan.json")
        return [file.parent for file in sorted(plans, key=lambda file: file.stat().st_mtime)]

    def adopt_plan(self, source: Path) -> bool:
        """Copy the plan of a report folder of another store; False if it is here already."""
        folder = self.report_folder(source.name)
        if (folder / "plan.json").exists():
            return False
        write_text(folder / "plan.json", (source / "plan.json").read_text(encoding="utf-8"))
        return True
