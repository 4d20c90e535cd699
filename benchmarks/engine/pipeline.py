"""A run from its words to its report: plan, train what is missing, score, test, draw. What `run` and its kin share."""

import dataclasses
import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from benchmarks import system
from benchmarks.cli.options import print_json
from benchmarks.engine.execution import cluster, packing, schedule
from benchmarks.engine.execution import machine as host
from benchmarks.engine.execution.machine import check_device
from benchmarks.engine.planning import data_sources, time_estimate
from benchmarks.engine.planning.plan import Plan, make_plan
from benchmarks.engine.reporting import write_results
from benchmarks.engine.reporting.console import print_comparison, print_plan, print_scores
from benchmarks.engine.reporting.progress import Reporter
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store, folder_of
from benchmarks.engine.store.training_table import job_table
from benchmarks.errors import BadInput
from benchmarks.io.json_files import records


@dataclass(frozen=True)
class How:
    """Where and how a plan is carried out; see the options of `run`.

    Raises
    ------
    BadInput
        For an unknown device, or a GPU where there is none.
    """

    device: str
    workers: int | None
    save_models: bool
    results: Path
    dry_run: bool
    json: bool
    pack: str = "1"
    probe: bool = False
    cluster: Path | None = None

    def __post_init__(self):
        if self.cluster and (self.device != "auto" or self.workers is not None or self.pack != "1" or self.probe):
            raise BadInput("--cluster says itself what its nodes have: leave out --device, --workers, --pack, --probe.")
        check_device(self.device)
        if self.pack != "auto" and not (self.pack.isdecimal() and 1 <= int(self.pack) <= packing.MOST):
            raise BadInput(f"--pack expects auto or a number from 1 to {packing.MOST}, got {self.pack!r}.")
        if self.pack not in ("auto", "1") and (self.device == "cpu" or not system.n_gpus()):
            raise BadInput(f"--pack {self.pack} is of a GPU, and none is used here; --workers says how many on a CPU.")
        if self.probe and not self.dry_run:
            raise BadInput("--probe is for an estimate: give it with --dry-run.")


@dataclass(frozen=True)
class Done:
    """What a run left behind."""

    experiment: Experiment
    scores: pd.DataFrame
    n_failed: int


def plan(
    task: ModuleType,
    preset: str,
    data: Path | None,
    how: How,
    *,
    seed: int,
    split: str | None = None,
    refold: bool = False,
    shuffle: bool = False,
    models: Sequence[str] | None = None,
    test_folds: Sequence[int] | None = None,
    n_members: int | None = None,
    changes: Sequence[str] = (),
) -> Plan:
    """Find the data and list the trainings; see `sources.find` and `plan.make_plan`."""
    found = data_sources.find(
        task, preset, data, seed=seed, split=split, refold=refold, shuffle=shuffle, may_miss=how.dry_run
    )
    return make_plan(
        task, preset, found, seed=seed, models=models, test_folds=test_folds, n_members=n_members, changes=changes
    )


def carry_out(
    planned: Plan,
    how: How,
    console: Any,
    *,
    facts: dict[str, Any] | None = None,
    only: Collection[str] | None = None,
) -> Done | None:
    """Print a plan, train what is missing, write scores, tests and report; None after a dry run.

    `facts` join what --json prints; `only` names the trainings (job ids) that are made now, None: all.
    """
    store = Store(how.results)
    todo = planned
    if only is not None:
        todo = dataclasses.replace(planned, jobs=tuple(job for job in planned.jobs if job.id in only))
    waiting = [job for job in todo.jobs if not store.is_done(folder_of(store, job))]
    # Chosen for the whole plan: what was done before must not change the threads, and so the numbers, of what is left.
    if how.cluster:
        nodes = cluster.read(how.cluster)
        machine = host.Machine(nodes.device, nodes.capacity, nodes.threads, nodes)
    else:
        machine = host.Machine.choose(how.device, how.workers, planned.jobs, _packed(how, planned, console))
    measured = packing.probe(planned, how.device, max(1, machine.n_workers)) if how.probe else []
    speeds = time_estimate.Throughput([*store.finished_jobs(planned.task), *measured], machine.device)
    print_plan(console, planned, waiting, machine, speeds)
    if how.dry_run:
        if how.json:
            print_json(_plan_json(planned, waiting) | (facts or {}))
        return None
    store.check_writable()
    for source in planned.sources:
        store.put_dataset(source.dataset)
    experiment = Experiment.begin(planned, store, f"python -m benchmarks {shlex.join(sys.argv[1:])}")
    counts = _execute(console, todo, waiting, store, machine, speeds, how.save_models)
    _say_unused_gpu(console, planned, store, machine.device)
    results = write_results.write_scores(experiment, store)
    page = write_results.write_report(experiment, store, results)
    print_scores(console, planned, results.scores, store)
    print_comparison(console, planned, results.comparisons)
    console.print(f"Scores: {experiment.folder / 'scores.csv'}", markup=False, highlight=False)
    if page:
        console.print(f"Report: {page}", markup=False, highlight=False)
    else:
        console.print("No report: `pip install -e '.[figures]'`, then `python -m benchmarks report`.", markup=False)
    if how.json:
        tables = {"scores": results.scores, **results.comparisons}
        about = {"report": str(experiment.folder)} | {name: records(table) for name, table in tables.items()}
        print_json(counts | about | (facts or {}))
    if counts["failed"]:
        console.print(
            f"{counts['failed']} of {len(planned.jobs)} trainings failed; the reasons are in the report.", style="red"
        )
    return Done(experiment, results.scores, counts["failed"])


def _execute(
    console: Any, planned: Plan, waiting: list, store: Store, machine: Any, speeds: Callable, save_models: bool
) -> dict[str, int]:
    def cost(job: Any) -> float:
        return job.n_train * job.recipe.get("epochs", 1) / (speeds(job) or 100.0)

    with Reporter(console, waiting, cost, machine.n_workers) as reporter:
        return schedule.execute(planned, store, machine, save_models=save_models, on_event=reporter.on_event)


def _packed(how: How, planned: Plan, console: Any) -> int:
    """Settle how many trainings share a GPU: as asked, or as a short probe of the plan's first network finds best."""
    if how.pack != "auto":
        return int(how.pack)
    networks = packing.networks(planned)
    if how.device == "cpu" or not system.n_gpus() or how.workers is not None or not networks:
        return 1
    n = packing.choose(packing.case_of(networks[0], how.device))
    console.print(
        f"{n} training(s) at a time on a GPU, by a probe of {networks[0].model}", markup=False, highlight=False
    )
    return n


def _say_unused_gpu(console: Any, planned: Plan, store: Store, device: str) -> None:
    if device != "auto" or not system.n_gpus():
        return
    jobs = job_table(planned, store)
    unused = jobs[(jobs["device"] == "cpu") & (jobs["framework"] != "numpy")]["model"].unique()
    if len(unused):
        console.print(f"A GPU is here, but {', '.join(unused)} ran on the CPU: see README, GPU or CPU.", style="yellow")


def _plan_json(planned: Plan, waiting: list) -> dict[str, Any]:
    plain = planned.to_dict()
    return {
        "task": planned.task,
        "preset": planned.preset,
        "n_trainings": len(planned.jobs),
        "n_done": len(planned.jobs) - len(waiting),
        "sources": plain["sources"],
        "recipes": plain["recipes"],
        "skipped": plain["skipped"],
        "jobs": [job.id for job in planned.jobs],
    }
