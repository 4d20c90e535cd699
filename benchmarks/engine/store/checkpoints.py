"""Checkpoints of one training: each whole or absent, with checksums; the last two are kept."""

import contextlib
import json
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec

from benchmarks import shutdown
from benchmarks.engine.store.records import EpochRow
from benchmarks.errors import BadInput
from benchmarks.io import checksums, validated
from benchmarks.io.atomic import whole_folder, write_text
from benchmarks.io.json_files import to_json
from benchmarks.io.validated import Count

KEPT = 2
"""Checkpoints kept: if the last is damaged, the one before serves."""
WORTH = 20
"""A checkpoint is written once this many times its own writing time has passed, so that it costs 5 % at most."""
RARE_S = 300.0
"""Seconds between two checkpoints within an epoch; those after an epoch need not wait."""
SHOWN_S = 10.0
"""Seconds between two notes of where a training stands."""
_RESUMED, _THREADS, _DIVERGED = "resumed.json", "threads.json", "diverged.json"
_HISTORY, _POSITION = "history.jsonl", "position.json"


class _Diverged(TypedDict):
    """An attempt at a training that diverged."""

    seed: int
    reason: str


class Position(TypedDict):
    """Where the epoch stands that a training is in: see `Checkpoints.reached`."""

    epoch: Count
    batch: Count
    n_batches: Count
    train_loss: float | None
    seconds: float


@dataclass(frozen=True)
class RunningProgress:
    """How far a training has come that is not done: its finished epochs, and where the next one stands.

    Parameters
    ----------
    history
        A row per finished epoch, as in history.jsonl; the last few seconds may be missing.
    position
        The epoch that is being trained; None where it has not been noted yet.
    """

    history: list[EpochRow]
    position: Position | None

    def seconds_left(self, n_epochs: int) -> float | None:
        """Expect the seconds until the last of `n_epochs`, from the pace of the training itself; None without any."""
        here = self.position
        if self.history:
            each = statistics.median([row.get("seconds") or 0.0 for row in self.history])
        elif here and here["batch"]:
            each = here["seconds"] * here["n_batches"] / here["batch"]
        else:
            return None
        begun = here["batch"] / here["n_batches"] if here and here["epoch"] == len(self.history) + 1 else 0.0
        return each * max(0.0, n_epochs - len(self.history) - begun)


class EpochCheckpoints:
    """Checkpoints in a folder of their own; see `benchmarks.api.model.Checkpoints`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._next = 0.0
        self._last = self._shown = time.monotonic()
        self._rows: list[dict[str, Any]] = []
        self._on_progress: Callable[[dict[str, Any]], None] | None = None

    def begin(self, threads: int, on_progress: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Make the folder, note the CPU threads of the training, and who is told of its epochs and where they stand."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._note(_THREADS, threads)
        self._on_progress = on_progress

    def threads(self) -> int | None:
        """Return the CPU threads that the interrupted training began with; None where there is none."""
        return self._noted(_THREADS, Annotated[int, msgspec.Meta(ge=1, le=10_000)])

    def due(self, within_epoch: bool = False) -> bool:
        now = time.monotonic()
        return now >= self._next and not (within_epoch and now < self._last + RARE_S)

    def stop_asked(self) -> str | None:
        return shutdown.shutdown_reason()

    def save(self, epoch: int, write: Callable[[Path], None], *, batch: int = 0) -> None:
        """Keep a checkpoint. A full disk costs the checkpoint, not the training; a line on stderr says so."""
        started = time.monotonic()
        try:
            self._save(_name(epoch, batch), write)
        except OSError as error:
            print(f"The checkpoint after epoch {epoch} could not be kept: {error}", file=sys.stderr, flush=True)
        self._last = time.monotonic()
        self._next = self._last + WORTH * (self._last - started)

    def _save(self, name: str, write: Callable[[Path], None]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".epoch-*"):  # of a process that was killed while it wrote
            shutil.rmtree(left, ignore_errors=True)
        with whole_folder(self.folder / name, replace=True) as new:
            write(new)
            checksums.write(new)
        for old in self._all()[KEPT:]:
            shutil.rmtree(old, ignore_errors=True)

    def whole(self) -> Iterator[Path]:
        for folder in self._all():
            if checksums.problem(folder) is None:
                yield folder

    def last_epoch(self) -> int | None:
        """Return the epoch of the latest checkpoint; None where there is none."""
        folders = self._all()
        return int(folders[0].name.split("-")[1]) if folders else None

    def latest(self) -> str:
        """Return the name of the latest checkpoint, empty where there is none; names sort as trainings go."""
        folders = self._all()
        return folders[0].name if folders else ""

    def starts_after(self, epoch: int, batch: int = 0) -> None:
        """Note where the training goes on; later checkpoints, which are damaged or do not fit, are dropped."""
        for folder in self._all():
            if folder.name > _name(epoch, batch):
                shutil.rmtree(folder, ignore_errors=True)
        self._rows = [dict(row) for row in self.running().history if row["epoch"] <= epoch]
        if epoch or batch:
            self._note(_RESUMED, [*self.resumed(), epoch])

    def reached(self, epoch: int, batch: int, n_batches: int, train_loss: float, seconds: float) -> None:
        """Keep and pass on where an epoch stands, at most every `SHOWN_S`."""
        if not self._is_time_to_show():
            return
        position = {"epoch": epoch, "batch": batch, "n_batches": n_batches, "train_loss": train_loss}
        self._show(_POSITION, to_json(position | {"seconds": seconds}))
        if self._on_progress:
            self._on_progress(position)

    def epoch_over(self, row: dict[str, Any]) -> None:
        """Take note of a finished epoch and pass it on; the history is written at most every `SHOWN_S`."""
        self._rows.append(row)
        if self._is_time_to_show():
            self._show(_HISTORY, "".join(to_json(row) + "\n" for row in self._rows))
        if self._on_progress:
            self._on_progress(row)

    def running(self) -> RunningProgress:
        """Read how far the training has come, from what it wrote last."""
        history: list[EpochRow] = []
        with contextlib.suppress(OSError, BadInput):  # not written yet, or while it was being replaced
            history = validated.read_json_lines(self.folder / _HISTORY, EpochRow, recovery_hint="it is written again")
        return RunningProgress(history, self._noted(_POSITION, Position))

    def _is_time_to_show(self) -> bool:
        return time.monotonic() >= self._shown + SHOWN_S

    def _show(self, name: str, text: str) -> None:
        self._shown = time.monotonic()
        with contextlib.suppress(OSError):  # a full disk costs the note, not the training
            write_text(self.folder / name, text)

    def resumed(self) -> list[int]:
        """List the epochs after which, or in the one after which, the training was taken up again."""
        return self._noted(_RESUMED, list[int]) or []

    def diverged(self) -> list[dict[str, Any]]:
        """List the attempts at this training that diverged: `seed` and `reason` of each."""
        return self._noted(_DIVERGED, list[_Diverged]) or []

    def begin_again(self, seed: int, reason: str) -> None:
        """Note that the attempt with a seed diverged, and drop its checkpoints."""
        self._note(_DIVERGED, [*self.diverged(), {"seed": seed, "reason": reason}])
        self._note(_RESUMED, [])
        self._rows = []
        for name in (_HISTORY, _POSITION):
            (self.folder / name).unlink(missing_ok=True)
        for folder in self._all():
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _note(self, name: str, value: Any) -> None:
        write_text(self.folder / name, json.dumps(value))

    def _noted(self, name: str, kind: Any) -> Any:
        with contextlib.suppress(OSError, BadInput):  # a damaged note counts as missing
            return validated.read_json(self.folder / name, kind, recovery_hint="it is written again")
        return None

    def _all(self) -> list[Path]:
        """List the checkpoints, latest first."""
        folders = self.folder.glob("epoch-*")
        return sorted((path for path in folders if re.fullmatch(r"epoch-\d{5}(-\d{9})?", path.name)), reverse=True)


def _name(epoch: int, batch: int) -> str:
    """Name a checkpoint so that names sort as trainings go."""
    return f"epoch-{epoch:05d}" + (f"-{batch:09d}" if batch else "")
