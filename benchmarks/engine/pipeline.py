"""The way of a run: plan the trainings, carry out what is missing, score, test and report. The file to read first.

`plan_experiment` finds the data and lists the trainings, `prepare` settles where they go, `run_experiment` trains,
scores and writes. Nothing is printed here: who wants to see the plan, or what becomes of trainings, passes a function.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import system
from benchmarks.api.task import Task
from benchmarks.engine.execution import cluster, packing, schedule
from benchmarks.engine.execution.events import OnEvent
from benchmarks.engine.execution.machine import Machine
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import Job, Plan, make_plan
from benchmarks.engine.planning.time_estimate import Throughput
from benchmarks.engine.reporting import write_results
from benchmarks.engine.reporting.write_results import Results
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput


@dataclass(frozen=True)
class RunOptions:
    """Where and how a plan is carried out; see the options of `run`.

    Parameters
    ----------
    results
        The results folder.
    device
        `auto`, `cpu` or `cuda`.
    workers
        Worker processes; 0: none, train in this process; None: chosen.
    pack
        Trainings that share a GPU: a number, or `auto` for a short measurement.
    cluster
        File that describes the nodes of a cluster; it says itself what the options above say of this machine.
    save_models
        Whether trained weights are kept beside the predictions.
    pilot
        Whether every network is trained for seconds first, to estimate the time of the plan.

    Raises
    ------
    BadInput
        For options that contradict each other, an unknown device, or a GPU where there is none.
    """

    results: Path
    device: str = "auto"
    workers: int | None = None
    pack: str = "1"
    cluster: Path | None = None
    save_models: bool = True
    pilot: bool = False

    def __post_init__(self) -> None:
        if self.cluster and (self.device != "auto" or self.workers is not None or self.pack != "1" or self.pilot):
            raise BadInput("--cluster says itself what its nodes have: leave out --device, --workers, --pack, --probe.")
        system.check_device(self.device)
        if self.pack != "auto" and not (self.pack.isdecimal() and 1 <= int(self.pack) <= packing.MAX_CONCURRENT):
            raise BadInput(f"--pack expects auto or a number from 1 to {packing.MAX_CONCURRENT}, got {self.pack!r}.")
        if self.pack not in ("auto", "1") and (self.device == "cpu" or not system.n_gpus()):
            raise BadInput(f"--pack {self.pack} is for a GPU, and none is used here; --workers says how many on a CPU.")


@dataclass(frozen=True)
class PreparedRun:
    """A plan with the place it is carried out at.

    Parameters
    ----------
    plan
        All trainings, whose scores the report shows.
    todo
        The plan of the trainings that are wanted now.
    waiting
        Those of them that are not done yet.
    throughput
        Expected training rows per second of a job.
    packed_for
        The model that the number of trainings per GPU was measured with; None where it was given.
    """

    plan: Plan
    todo: Plan
    waiting: tuple[Job, ...]
    store: Store
    machine: Machine
    throughput: Throughput
    packed_for: str | None = None

    def expected_seconds(self, job: Job) -> float:
        """Return the expected seconds of a training on one worker; a rough guess where nothing is known."""
        return job.n_train * job.recipe.get("epochs", 1) / (self.throughput(job) or 100.0)


@dataclass(frozen=True)
class RunResult:
    """What a run leaves behind.

    Parameters
    ----------
    counts
        Trainings `done` now, `failed`, and `skipped`, which were done before.
    page
        report.html; None where the plotting packages are missing.
    """

    experiment: Experiment
    results: Results
    counts: dict[str, int]
    page: Path | None


def plan_experiment(
    task: Task,
    preset: str,
    data: Path | None,
    *,
    seed: int,
    may_miss: bool = False,
    split: str | None = None,
    refold: bool = False,
    shuffle: bool = False,
    models: Sequence[str] | None = None,
    test_folds: Sequence[int] | None = None,
    n_members: int | None = None,
    changes: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
) -> Plan:
    """Find the data and list the trainings; see `data_sources.find` and `plan.make_plan`.

    With `may_miss`, published data that is not here yet is planned by its approximate size.
    """
    sources = data_sources.find(
        task, preset, data, seed=seed, split=split, refold=refold, shuffle=shuffle, may_miss=may_miss, columns=columns
    )
    return make_plan(
        task, preset, sources, seed=seed, models=models, test_folds=test_folds, n_members=n_members, changes=changes
    )


def prepare(plan: Plan, options: RunOptions, *, only: Collection[str] | None = None) -> PreparedRun:
    """Find out what of a plan is missing, and settle where it is trained. Trains nothing but what is measured.

    `only` names the trainings (job ids) that are wanted now; None: all.
    """
    store = Store(options.results)
    todo = plan
    if only is not None:
        todo = dataclasses.replace(plan, jobs=tuple(job for job in plan.jobs if job.id in only))
    waiting = tuple(job for job in todo.jobs if not store.training(job).is_done)
    n_packed, packed_for = _trainings_per_gpu(plan, options)
    # Chosen for the whole plan: what was done before must not change the threads, and so the numbers, of what is left.
    if options.cluster:
        nodes = cluster.read(options.cluster)
        machine = Machine(nodes.device, nodes.capacity, nodes.threads, nodes)
    else:
        machine = Machine.choose(options.device, options.workers, plan.jobs, n_packed)
    measured = packing.pilot_measurements(plan, options.device, max(1, machine.n_workers)) if options.pilot else []
    throughput = Throughput([*store.finished_jobs(plan.task), *measured], machine.device)
    return PreparedRun(plan, todo, waiting, store, machine, throughput, packed_for)


def run_experiment(
    plan: Plan,
    options: RunOptions,
    *,
    command: str,
    only: Collection[str] | None = None,
    on_prepared: Callable[[PreparedRun], None] = lambda prepared: None,
    on_event: OnEvent = lambda job, event, payload: None,
) -> RunResult:
    """Train what is missing of a plan, write scores, tests and report, and return them.

    Parameters
    ----------
    command
        The words that repeat this run; they are stored with the plan.
    only
        The trainings (job ids) that are made now; None: all that are missing.
    on_prepared
        Called once, before anything is written or trained.
    on_event
        Called with what becomes of trainings; see `events.Event`.

    Raises
    ------
    BadInput
        If the options do not fit this machine, or the results folder cannot be written.
    shutdown.Stopped
        If the process was asked to stop before all was done; what was begun has kept its state.
    """
    prepared = prepare(plan, options, only=only)
    on_prepared(prepared)
    store = prepared.store
    store.check_writable()
    for source in plan.sources:
        if source.dataset is None:
            raise BadInput(f"The data of {source.name} is not here: {source.missing}")
        store.put_dataset(source.dataset)
    experiment = Experiment.begin(plan, store, command)
    counts = schedule.execute(
        prepared.todo, store, prepared.machine, save_models=options.save_models, on_event=on_event
    )
    results = write_results.write_scores(experiment, store)
    return RunResult(experiment, results, counts, write_results.write_report(experiment, store, results))


def _trainings_per_gpu(plan: Plan, options: RunOptions) -> tuple[int, str | None]:
    """Settle how many trainings share a GPU: as asked, or as measured with the plan's first network, which is named."""
    if options.pack != "auto":
        return int(options.pack), None
    networks = packing.networks(plan)
    if options.device == "cpu" or not system.n_gpus() or options.workers is not None or not networks:
        return 1, None
    return packing.best_concurrency(packing.case_of(networks[0], options.device)), networks[0].model
