"""What a run says while it works: live bars on a terminal, plain lines elsewhere."""

import statistics
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from benchmarks.engine.execution.events import Event
from benchmarks.engine.planning.plan import Job
from benchmarks.engine.reporting.text import duration

EVERY_S = 60.0
"""Seconds between two lines about one training where there is no terminal to draw bars on."""


@dataclass
class _Told:
    """What is known of a training that runs: when a line about it was last printed, its best epoch, its pace."""

    at: float
    best: float = float("-inf")
    best_epoch: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in a finished epoch."""
        r = row.get("val_pearson_r")
        if r is not None and r > self.best:
            self.best, self.best_epoch = r, row["epoch"]
        if row.get("seconds") is not None:
            self.seconds.append(row["seconds"])

    def line(self, row: Mapping[str, Any], n_epochs: int | None) -> str:
        """Say where the training stands after an epoch, or within one."""
        of = f" of {n_epochs}" if n_epochs else ""
        parts = [f"epoch {row['epoch']}{of}"]
        if "n_batches" in row:
            parts[0] += f", {row['batch'] / row['n_batches']:.0%} of its batches"
        if row.get("train_loss") is not None:
            parts.append(f"training loss {row['train_loss']:.4g}")
        if row.get("val_pearson_r") is not None:
            parts.append(f"validation r {row['val_pearson_r']:.3f} (best {self.best:.3f} in epoch {self.best_epoch})")
        if self.seconds:
            each = statistics.median(self.seconds)
            parts.append(f"{duration(each)} an epoch")
            if n_epochs:
                done = row["epoch"] - ("n_batches" in row)
                parts.append(f"at most {duration(each * (n_epochs - done))} left")
        return ", ".join(parts)


class Reporter:
    """Follows the trainings of a run; use as a context manager, call `begin`, and pass `on_event` to the scheduler."""

    def __init__(self, console: Console):
        self.console = console
        self.bars: dict[str, TaskID] = {}
        self.progress: Progress | None = None
        self.told: dict[str, _Told] = {}

    def __enter__(self) -> "Reporter":
        return self

    def begin(self, jobs: Collection[Job], expected_seconds: Callable[[Job], float], n_workers: int) -> None:
        """Start to follow the given jobs.

        Parameters
        ----------
        expected_seconds
            Expected time of a job on one worker.
        n_workers
            Workers that share the jobs.
        """
        self.cost, self.n_workers = expected_seconds, max(1, n_workers)
        self.total, self.all_costs = len(jobs), sum(map(expected_seconds, jobs))
        self.finished, self.finished_costs = 0, 0.0
        self.started = time.monotonic()
        if self.console.is_terminal:
            self.progress = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"),
                console=self.console,
            )  # fmt: skip
            self.overall = self.progress.add_task("trainings", total=self.total, note="")
            self.progress.start()

    def __exit__(self, *error: object) -> None:
        if self.progress:
            self.progress.stop()

    def on_event(self, job: Job, event: Event, payload: Any) -> None:
        """Show what has become of a training."""
        if event == Event.START and self.progress:
            epochs = job.recipe.get("epochs")
            self.bars[job.id] = self.progress.add_task(f"  {_name(job)}", total=epochs, note="")
        elif event == Event.PROGRESS:
            self._show_epoch(job, payload)
        elif event in (Event.DONE, Event.FAILED, Event.ELSEWHERE):
            self._finish(job, event, payload or {})
        elif event in (Event.LOST, Event.INTERRUPTED):
            self._remove_bar(job)
            self._say(f"{_name(job)}: {payload['reason']}" + " It goes on in another." * (event == Event.LOST))
        elif event == Event.QUEUED:
            self._say(payload)
        elif event == Event.WAITING:
            self._say(f"{payload} training{'s' * (payload != 1)} left to another command; waiting for it.")

    def _show_epoch(self, job: Job, row: Mapping[str, Any]) -> None:
        """Show a finished epoch, or where one stands: on its bar, or as a line a minute at most."""
        is_over = "n_batches" not in row
        told = self.told.setdefault(job.id, _Told(time.monotonic()))
        if is_over:
            told.add(row)
        if self.progress and job.id in self.bars:
            note = f"validation r {row['val_pearson_r']:.3f}" if is_over else f"{row['batch'] / row['n_batches']:.0%}"
            self.progress.update(self.bars[job.id], completed=row["epoch"] - (not is_over), note=note)
        elif time.monotonic() >= told.at + EVERY_S:
            told.at = time.monotonic()
            self._say(f"  {_name(job)}: {told.line(row, job.recipe.get('epochs'))}")

    def _remove_bar(self, job: Job) -> None:
        if self.progress and job.id in self.bars:
            self.progress.remove_task(self.bars.pop(job.id))

    def _finish(self, job: Job, event: Event, payload: dict[str, Any]) -> None:
        self.finished += 1
        self.finished_costs += self.cost(job)
        self._remove_bar(job)
        eta = f"about {duration(self._seconds_left())} left" if self.finished < self.total else "all done"
        if self.progress:
            self.progress.update(self.overall, completed=self.finished, note=eta)
        if event == Event.FAILED:
            self._say(f"[{self.finished}/{self.total}] FAILED {_name(job)}: {payload['reason']}; {eta}", "red")
        elif event == Event.ELSEWHERE:
            self._say(f"[{self.finished}/{self.total}] {_name(job)}: done by another command; {eta}")
        elif not self.progress:
            took = f"{payload['epochs_run']} epochs in {duration(payload['duration_s'])}"
            if n := len(payload["diverged"]):
                took += f", after {n} seed{'s' * (n != 1)} that diverged"
            self._say(f"[{self.finished}/{self.total}] {_name(job)}: {took}; {eta}")

    def _say(self, text: str, style: str | None = None) -> None:
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _seconds_left(self) -> float:
        """Expected seconds of what is left, corrected by the time taken so far once a tenth of the work is done."""
        slowness = 1.0
        if self.finished_costs > 0.1 * self.all_costs:
            slowness = (time.monotonic() - self.started) * self.n_workers / self.finished_costs
        return slowness * (self.all_costs - self.finished_costs) / self.n_workers


def _name(job: Job) -> str:
    return f"{job.model} on {job.dataset}, test fold {job.test_fold}, validation fold {job.val_fold}"
