"""Resume long work on one output file: its state is kept beside the file, and the same command goes on from there."""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.api.model import Checkpoints
from benchmarks.engine.reporting.console import open_console
from benchmarks.engine.store.checkpoints import EpochCheckpoints
from benchmarks.errors import BadInput
from benchmarks.io import checksums
from benchmarks.io.json_files import read_json, write_json


class Resumable:
    """The folder `<out>.partial`, and the settings it belongs to; use as a context manager around the work.

    Parameters
    ----------
    out
        The file that the work ends with.
    settings
        What its result depends on, as JSON.
    models
        Files or folders of the models that it depends on, by their content.

    Raises
    ------
    BadInput
        On entering, if the folder keeps work with other settings: nothing of it is lost unasked.
    """

    def __init__(self, out: Path, settings: dict[str, Any], models: Sequence[Path] = ()):
        self.out, self.folder = out, out.with_name(f"{out.name}.partial")
        self.seconds = 0.0
        self._settings = json.loads(json.dumps(settings | {"models": [_model_digest(path) for path in models]}))
        self._console = open_console(stderr=True)

    def __enter__(self) -> "Resumable":
        file = self.folder / "settings.json"
        if file.is_file():
            stored = read_json(file)
            differing = [key for key in {**self._settings, **stored} if stored.get(key) != self._settings.get(key)]
            if differing:
                key = differing[0]
                raise BadInput(
                    f"{self.folder} keeps unfinished work with another {key} ({stored.get(key)}, not "
                    f"{self._settings.get(key)}); finish that, remove the folder, or name another --out."
                )
            self.say(f"Going on with what is in {self.folder}.")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(file, self._settings)
        self._started = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.monotonic() - self._started

    def checkpoints(self, name: str) -> EpochCheckpoints:
        """Return the checkpoints of one part of the work."""
        return EpochCheckpoints(self.folder / name)

    def say(self, text: str) -> None:
        """Print a line on stderr."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def remove(self) -> None:
        """Delete the state, once `out` is written."""
        shutil.rmtree(self.folder, ignore_errors=True)


class State(NamedTuple):
    """The state of work after a step: arrays, and the rest as JSON."""

    step: int
    arrays: dict[str, np.ndarray]
    values: dict[str, Any]


def save_state(
    checkpoints: Checkpoints, step: int, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]
) -> None:
    """Store the state after a step."""

    def write(folder: Path) -> None:
        np.savez(folder / "arrays.npz", **arrays)
        (folder / "state.json").write_text(json.dumps({"step": step, **values}))

    checkpoints.save(step, write)


def latest_state(checkpoints: Checkpoints | None) -> State | None:
    """Return the last undamaged state; None where there is none."""
    for folder in checkpoints.whole() if checkpoints is not None else ():
        values = json.loads((folder / "state.json").read_text())
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            return State(values.pop("step"), dict(arrays), values)
    return None


def _model_digest(path: Path) -> str:
    """Return a digest of the contents of a model's file or folder."""
    if path.is_file():
        return checksums.digest(path)
    files = sorted(path.rglob(checksums.NAME)) or sorted(file for file in path.rglob("*") if file.is_file())
    return hashlib.sha256("".join(checksums.digest(file) for file in files).encode()).hexdigest()
