"""Where trainings go: the device, worker processes and threads of this machine, or the nodes of a cluster."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks import system
from benchmarks.engine.execution import cluster, workers
from benchmarks.engine.execution.cluster import Cluster
from benchmarks.engine.planning.plan import Job
from benchmarks.errors import BadInput


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
        """Use the machine without overloading it: `pack` workers per GPU, or one per core with one thread each.

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
        gpus = 0 if device == "cpu" else system.n_gpus()
        cores = system.n_cores()
        if n_workers is None:
            n_workers = gpus * pack or min(cores, system.memory_gib() // 3 or 1)
        n_workers = min(n_workers, max(1, len(jobs)))
        return Machine(device, n_workers, max(1, cores // max(1, n_workers)))

    def environments(self) -> list[dict[str, str]]:
        """Give each worker its thread count and, with several GPUs, its own."""
        gpus = 0 if self.device == "cpu" else system.n_gpus()
        return workers.environments(self.threads, gpus if gpus > 1 else 0)

    @contextlib.contextmanager
    def executor(self, function: str, log_folder: Path) -> Iterator[workers.Executor]:
        """Open what makes calls of a function (`module:name`) on this machine."""
        if self.cluster:
            with cluster.pilots(self.cluster, function, log_folder) as execute_calls:
                yield execute_calls
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
