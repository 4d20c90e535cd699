"""Long work on one output file: its state waits beside the file, and the same command goes on from there."""

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.api.model import Checkpoints
from benchmarks.engine.reporting.console import open_console
from benchmarks.engine.store.checkpoints import EpochCheckpoints
from benchmarks.errors import BadInput
from benchmarks.io.json_files import read_json, write_json


class Resumable:
    """The folder `<out>.partial`, and the settings it belongs to; use as a context manager around the work.

    Parameters
    ----------
    out
        The file that the work ends with.
    settings
        What its result depends on, as JSON.

    Raises
    ------
    BadInput
        On entering, if the folder keeps work with other settings: nothing of it is lost unasked.
    """

    def __init__(self, out: Path, settings: dict[str, Any]):
        self.out, self.folder = out, out.with_name(f"{out.name}.partial")
        self.seconds = 0.0
        self._settings = json.loads(json.dumps(settings))
        self._console = open_console(stderr=True)

    def __enter__(self) -> "Resumable":
        file = self.folder / "settings.json"
        if file.is_file():
            theirs = read_json(file)
            differing = [key for key in {**self._settings, **theirs} if theirs.get(key) != self._settings.get(key)]
            if differing:
                key = differing[0]
                raise BadInput(
                    f"{self.folder} keeps unfinished work with another {key} ({theirs.get(key)}, not "
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
        """Return where one part of the work keeps its steps."""
        return EpochCheckpoints(self.folder / name)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def remove(self) -> None:
        """Drop the state, when `out` is written."""
        shutil.rmtree(self.folder, ignore_errors=True)


def save_state(checkpoints: Checkpoints, step: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Keep the state after a step."""

    def write(folder: Path) -> None:
        np.savez(folder / "arrays.npz", **arrays)
        (folder / "state.json").write_text(json.dumps({"step": step, **about}))

    checkpoints.save(step, write)


def latest_state(checkpoints: Checkpoints | None) -> tuple[int, dict[str, np.ndarray], dict[str, Any]] | None:
    """Return step, arrays and the rest of the last undamaged state; None where there is none."""
    for folder in checkpoints.whole() if checkpoints is not None else ():
        about = json.loads((folder / "state.json").read_text())
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            return about.pop("step"), dict(arrays), about
    return None
