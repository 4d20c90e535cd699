"""Write the epochs of trainings as they come for TensorBoard, a run per training. Needs tensorboardX (an extra)."""

from pathlib import Path
from typing import Any

from benchmarks import system
from benchmarks.engine.execution.events import Event
from benchmarks.engine.planning.plan import Job
from benchmarks.errors import BadInput


class TensorBoardLog:
    """Follows the trainings of a run beside the console's reporter; use as a context manager.

    Only epochs that this command trains are written: those of an earlier command, or of a training resumed after them,
    are in its own log.
    """

    def __init__(self, folder: Path):
        if not system.has_packages("tensorboardX"):
            raise BadInput("--tensorboard needs tensorboardX: pip install -e '.[tensorboard]'.")
        if folder.exists() and not folder.is_dir():
            raise BadInput(f"--tensorboard: {folder} is a file; name a folder.")
        self.folder = folder
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> "TensorBoardLog":
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self._writers.values():
            writer.close()

    def on_event(self, job: Job, event: Event, payload: Any) -> None:
        """Write every number of a finished epoch under its name in the history."""
        if event != Event.PROGRESS or "n_batches" in payload:
            return
        if job.id not in self._writers:
            from tensorboardX import SummaryWriter

            self._writers[job.id] = SummaryWriter(str(self.folder / job.id))
        for name, value in payload.items():
            if name != "epoch" and isinstance(value, int | float) and not isinstance(value, bool):
                self._writers[job.id].add_scalar(name, value, payload["epoch"])
        self._writers[job.id].flush()
