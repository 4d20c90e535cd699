"""What a run says while it works: live bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from benchmarks.engine.planning.plan import Job
from benchmarks.engine.reporting.text import duration


class Reporter:
    """Follows the jobs of a run; use as a context manager and pass `on_event` to the runner.

    Parameters
    ----------
    jobs
        The jobs that will run.
    cost
        Expected seconds of a job on one worker.
    n_workers
        Workers that share the jobs.
    """

    def __init__(self, console: Console, jobs: list[Job], cost: Callable[[Job], float], n_workers: int):
        self.console, self.cost, self.n_workers = console, cost, max(1, n_workers)
        self.total, self.all_costs = len(jobs), sum(map(cost, jobs))
        self.finished, self.finished_costs = 0, 0.0
        self.started = time.monotonic()
        self.bars: dict[str, Any] = {}
        self.progress: Progress | None = None
        if console.is_terminal:
            self.progress = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"),
                console=console,
            )  # fmt: skip
            self.overall = self.progress.add_task("trainings", total=self.total, note="")

    def __enter__(self) -> "Reporter":
        if self.progress:
            self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.progress:
            self.progress.stop()

    def on_event(self, job: Job, kind: str, payload: Any) -> None:
        if kind == "start" and self.progress:
            epochs = job.recipe.get("epochs")
            self.bars[job.id] = self.progress.add_task(f"  {_name(job)}", total=epochs, note="")
        elif kind == "progress" and job.id in self.bars:
            r = payload["val_pearson_r"]
            self.progress.update(self.bars[job.id], completed=payload["epoch"], note=f"validation r {r:.3f}")
        elif kind in ("done", "failed", "elsewhere"):
            self._finish(job, kind, payload or {})
        elif kind in ("lost", "interrupted"):
            if job.id in self.bars:
                self.progress.remove_task(self.bars.pop(job.id))
            self._say(f"{_name(job)}: {payload['reason']}" + (" It goes on in another." if kind == "lost" else ""))
        elif kind == "queued":
            self._say(payload)
        elif kind == "waiting":
            self._say(f"{payload} training{'s' * (payload != 1)} left to another command; waiting for it.")

    def _finish(self, job: Job, kind: str, payload: dict[str, Any]) -> None:
        self.finished += 1
        self.finished_costs += self.cost(job)
        if job.id in self.bars:
            self.progress.remove_task(self.bars.pop(job.id))
        eta = f"about {duration(self._seconds_left())} left" if self.finished < self.total else "all done"
        if self.progress:
            self.progress.update(self.overall, completed=self.finished, note=eta)
        if kind == "failed":
            self._say(f"[{self.finished}/{self.total}] FAILED {_name(job)}: {payload['reason']}; {eta}", "red")
        elif kind == "elsewhere":
            self._say(f"[{self.finished}/{self.total}] {_name(job)}: done by another command; {eta}")
        elif not self.progress:
            took = f"{payload['epochs_run']} epochs in {duration(payload['duration_s'])}"
            if n := len(payload["diverged"]):
                took += f", after {n} seed{'s' * (n != 1)} that diverged"
            self._say(f"[{self.finished}/{self.total}] {_name(job)}: {took}; {eta}")

    def _say(self, text: str, style: str | None = None) -> None:
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _seconds_left(self) -> float:
        """Expected seconds of what is left, corrected by how expectation held so far once that can be judged."""
        slowness = 1.0
        if self.finished_costs > 0.1 * self.all_costs:
            slowness = (time.monotonic() - self.started) * self.n_workers / self.finished_costs
        return slowness * (self.all_costs - self.finished_costs) / self.n_workers


def _name(job: Job) -> str:
    return f"{job.model} on {job.dataset}, test fold {job.test_fold}, validation fold {job.val_fold}"
