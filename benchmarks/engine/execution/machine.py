"""Where trainings go, and what stands in their records about it: devices, workers, versions, hardware, memory."""

import contextlib
import dataclasses
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks import __version__
from benchmarks.engine.execution import cluster, workers
from benchmarks.engine.execution.cluster import Cluster
from benchmarks.engine.planning.plan import Job
from benchmarks.errors import BadInput

_PACKAGES = ("torch", "keras", "tensorflow", "tensorflow-cpu", "numpy", "pandas", "scipy", "scikit-learn")


@dataclasses.dataclass(frozen=True)
class Machine:
    """Where the jobs of a run go: device (`auto`, `cpu`, `cuda`), workers (0: this process), threads of each.

    With a cluster, they are those of its nodes.
    """

    device: str = "auto"
    n_workers: int = 1
    threads: int = 1
    cluster: Cluster | None = None

    @staticmethod
    def choose(device: str, n_workers: int | None, jobs: Sequence[Job], pack: int = 1) -> "Machine":
        """Fill the machine without a fight: `pack` workers per GPU, or one per core with one thread each.

        Narrow networks gain little from a second thread, so cores go to jobs first and to threads when jobs are few.

        Raises
        ------
        BadInput
            If jobs of two frameworks are to run in this one process.
        """
        frameworks = {job.framework for job in jobs} - {"numpy"}
        if n_workers == 0 and len(frameworks) > 1:
            raise BadInput(
                f"--workers 0 runs everything in one process, and {' and '.join(sorted(frameworks))} must not share "
                "one; choose the models of one framework (--models), or use workers."
            )
        gpus = 0 if device == "cpu" else workers.n_gpus()
        cores = workers.n_cores()
        if n_workers is None:
            n_workers = gpus * pack or min(cores, _memory_gib() // 3 or 1)
        n_workers = min(n_workers, max(1, len(jobs)))
        return Machine(device, n_workers, max(1, cores // max(1, n_workers)))

    def environments(self) -> list[dict[str, str]]:
        """Give each worker its thread count and, with several GPUs, its own."""
        gpus = 0 if self.device == "cpu" else workers.n_gpus()
        return workers.environments(self.threads, gpus if gpus > 1 else 0)

    @contextlib.contextmanager
    def executor(self, function: str, log_folder: Path) -> Iterator[workers.Executor]:
        """Open what makes calls of a function (`module:name`) on this machine."""
        if self.cluster:
            with cluster.pilots(self.cluster, function, log_folder) as carry_out:
                yield carry_out
        elif self.n_workers == 0:
            yield partial(workers.run_inline, function)
        else:
            yield partial(
                workers.run_workers,
                function,
                n_workers=self.n_workers,
                environments=self.environments(),
                log_folder=log_folder,
            )


@cache
def versions() -> dict[str, str]:
    """Return the versions of what computes, and of this package."""
    found = {"dream-bench": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


@cache
def commit() -> str | None:
    """Return the git commit of the code, with `+changes` where it was edited since; None outside a checkout."""
    here = Path(__file__).resolve().parents[3]

    def git(*words: str) -> str | None:
        with contextlib.suppress(OSError):
            done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=False)
            return done.stdout.strip() if done.returncode == 0 else None
        return None

    if not (here / ".git").exists() or not (head := git("rev-parse", "HEAD")):
        return None
    return head + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")


@cache
def hardware() -> dict[str, Any]:
    """Return processor, cores and memory of this machine; GPUs stand in a job's `device_name`."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return {"cpu": model, "cores": workers.n_cores(), "memory_gib": _memory_gib(), "system": platform.platform()}


def _memory_gib() -> int:
    try:
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (ValueError, OSError, AttributeError):
        return 4


def reset_peak_memory() -> None:
    """Forget the peaks of earlier jobs of this worker, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float | None:
    """Return the most memory this process has held since the job began (elsewhere than on Linux: since it started)."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / 2**10
    try:
        import resource
    except ModuleNotFoundError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
