"""What is stored of one training: a folder that is whole or absent, and what waits beside it until it is done.

test-03_val-07/               job.json, history.jsonl, predictions.npz, model files, SHA256SUMS
test-03_val-07.partial/       checkpoints
test-03_val-07.claim          the lock of the process that trains it; see `locks`
test-03_val-07.failed.json    why its last attempt failed
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine.store.checkpoints import EpochCheckpoints
from benchmarks.engine.store.records import EpochRow, FailureRecord, JobRecord
from benchmarks.errors import BadInput
from benchmarks.io import checksums, validated
from benchmarks.io.atomic import whole_folder
from benchmarks.io.json_files import read_json, to_json, write_json
from benchmarks.io.system_files import contents

LARGEST = np.finfo(np.float32).max
"""Largest measured or predicted value that is stored; also what tables may hold."""


class Training:
    """The place of one training in a store; made by `Store.training`. Nothing is read before a method is called.

    Methods raise OSError where the system refuses, BadInput where a stored file is damaged.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    @property
    def is_done(self) -> bool:
        """Whether the training has ended and its predictions are stored."""
        file = self.folder / "job.json"
        return file.is_file() and file.stat().st_size > 0

    @property
    def lock_file(self) -> Path:
        """The file that says which process works on the training; see `locks.TrainingLocks`."""
        return self.folder.with_name(f"{self.folder.name}.claim")

    @property
    def checkpoints(self) -> EpochCheckpoints:
        """Where the training keeps its state until it is done."""
        return EpochCheckpoints(self.folder.with_name(f"{self.folder.name}.partial"))

    @property
    def _failure_file(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.failed.json")

    def record(self) -> JobRecord:
        """Read job.json: the job as it was planned, how it went, and where."""
        return read_json(self.folder / "job.json", JobRecord)

    def history(self) -> list[EpochRow]:
        """Read history.jsonl: one row per epoch."""
        return validated.read_json_lines(self.folder / "history.jsonl", EpochRow, recovery_hint=validated.TRAIN_AGAIN)

    def failure(self) -> FailureRecord | None:
        """Read why the last attempt failed; None where it did not."""
        return read_json(self._failure_file, FailureRecord) if self._failure_file.exists() else None

    def predictions(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Read the predictions of the test rows.

        Returns
        -------
        Row numbers of the dataset (n,) int, and output name -> (n,) or (n, profile_len) float32.

        Raises
        ------
        BadInput
            If they are not what was stored.
        """
        if problem := checksums.problem_of(self.folder, "predictions.npz"):
            raise BadInput(
                f"{self.folder} cannot be trusted: {problem}. Remove it and give the command that made it again: only "
                "this training is repeated."
            )
        file = self.folder / "predictions.npz"
        arrays = validated.read_arrays(file, recovery_hint=validated.TRAIN_AGAIN)
        rows = arrays.pop("rows", np.zeros(0))
        outputs = {name.removeprefix("output_"): values for name, values in arrays.items()}
        are_rows = rows.ndim == 1 and rows.dtype.kind in "iu" and (len(rows) == 0 or rows.min() >= 0)
        if not are_rows or not all(_are_predictions(values, rows) for values in outputs.values()):
            raise BadInput(f"{file} does not hold rows and their predictions; {validated.TRAIN_AGAIN}.")
        return rows, outputs

    def put(
        self,
        record: Mapping[str, Any],
        history: list[dict[str, Any]],
        rows: np.ndarray,
        predictions: Mapping[str, np.ndarray],
        save_model: Callable[[Path], None] | None,
    ) -> None:
        """Store the finished training; its checkpoints and an earlier failure go, a damaged folder is replaced.

        Parameters
        ----------
        record, history
            What becomes job.json and history.jsonl.
        rows, predictions
            Test rows of the dataset (n,), and output name -> (n, ...) predictions of them.
        save_model
            Writes the trained model into the folder it is given; None keeps no model.
        """
        if self.folder.exists() and not self.is_done:
            shutil.rmtree(self.folder)
        with whole_folder(self.folder, sole_writer=True) as new:
            write_json(new / "job.json", record)
            (new / "history.jsonl").write_text("".join(to_json(row) + "\n" for row in history))
            outputs = {f"output_{name}": values for name, values in predictions.items()}
            np.savez_compressed(new / "predictions.npz", rows=rows, **outputs)  # type: ignore[arg-type]
            if save_model:
                save_model(new)
            checksums.write(new)
        self._forget_attempts()

    def put_failure(self, record: Mapping[str, Any]) -> None:
        """Write down why the training failed, beside where its folder would be."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._failure_file, record)

    def adopt(self, source: "Training") -> None:
        """Copy a finished training of another store, whole or not at all."""
        with whole_folder(self.folder) as new:
            for file in contents(source.folder):
                shutil.copyfile(file, new / file.name)
        self._forget_attempts()

    def tidy(self) -> None:
        """Remove what a process left beside a finished training that was killed right after it had stored it."""
        self._forget_attempts()
        self.lock_file.unlink(missing_ok=True)

    def _forget_attempts(self) -> None:
        self._failure_file.unlink(missing_ok=True)
        self.checkpoints.remove()


def _are_predictions(values: np.ndarray, rows: np.ndarray) -> bool:
    return values.dtype.kind == "f" and values.shape[:1] == rows.shape and bool((np.abs(values) <= LARGEST).all())
