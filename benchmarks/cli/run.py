"""`python -m benchmarks run`: trains what is missing, scores it, tests it and writes a report."""

import contextlib
import shlex
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks import registry
from benchmarks.cli.options import (
    RESULTS,
    SETTINGS,
    ClusterOption,
    ColumnsOption,
    JsonOption,
    PackOption,
    PluginOption,
    ProbeOption,
    ResultsOption,
    YesOption,
    command,
    fold_numbers,
    model_names,
    print_json,
)
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io.json_files import records

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.api.task import Task
    from benchmarks.engine.execution.events import Event
    from benchmarks.engine.pipeline import PreparedRun, RunOptions, RunResult
    from benchmarks.engine.planning.plan import Job, Plan
    from benchmarks.engine.store.store import Store

NAME = None
app = typer.Typer(**SETTINGS)


@command(
    app,
    "run --task human_mpra",
    "run --task human_mpra --preset paper --data data/human_mpra --dry-run",
    "run --task human_mpra --data my_table.tsv.gz --models dream_rnn,mprann --folds 0-2",
    "run --task human_mpra --data oligos.csv --columns sequence=oligo,value=log2FC,id=name",
    "run --task human_mpra --set recipe.epochs=20 --set dream_attn.max_lr=0.002",
    "run --task human_mpra --plugin my_model.py",
    "run --task yeast --preset paper --models dream_cnn --train-on all --set recipe.epochs=15",
    "run --task human_mpra --preset paper --cluster cluster.yaml",
)
def run(
    task: Annotated[str, typer.Option("--task", help="Task name; see `list`.")],
    preset: Annotated[str, typer.Option(help="How much of the protocol to run: quick or paper.")] = "quick",
    data: Annotated[
        Path | None,
        typer.Option(help="Table, or folder of tables, to use instead of the preset's data."),
    ] = None,
    columns: ColumnsOption = None,
    models: Annotated[str | None, typer.Option(help="Model names, separated by commas; default: the task's.")] = None,
    plugin: PluginOption = None,
    folds: Annotated[str | None, typer.Option(help="Test folds to run: 0,3 or 0-4; default: the preset's.")] = None,
    members: Annotated[int | None, typer.Option(min=1, help="Models per test fold, one per validation fold.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="recipe.key=value for all models, model.key=value for one.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="What is held out, where a task offers several ways; see `info TASK`.")
    ] = None,
    train_on: Annotated[
        str,
        typer.Option(help="train; or all: the validation rows too, for all epochs; the last one is kept."),
    ] = "train",
    seed: Annotated[int, typer.Option(min=0, help="Seed of simulation, drawn folds, weights and shuffling.")] = 0,
    refold: Annotated[bool, typer.Option(help="Draw folds anew even where the data brings its own.")] = False,
    shuffle_labels: Annotated[bool, typer.Option(help="Negative control: permute the targets first.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Worker processes; 0: none, run in this one. Default: chosen.")
    ] = None,
    pack: PackOption = "1",
    cluster: ClusterOption = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder to write every epoch to for TensorBoard, while trainings run.")
    ] = None,
    save_models: Annotated[bool, typer.Option(help="Keep the trained weights beside the predictions.")] = True,
    results: ResultsOption = RESULTS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run, and end.")] = False,
    probe: ProbeOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Train what is missing, score it, test it against the baseline and write a report.

    Without --data, preset quick simulates its data and preset paper reads data/TASK. Run the same command again after
    an interruption: finished trainings are kept.
    """
    from benchmarks.engine import pipeline
    from benchmarks.engine.planning import plan
    from benchmarks.engine.reporting.console import open_console
    from benchmarks.io.columns import parse

    check_probe(probe, dry_run)
    options = pipeline.RunOptions(
        results=results,
        device=device,
        workers=workers,
        pack=pack,
        cluster=cluster,
        save_models=save_models,
        pilot=probe,
    )
    console = open_console(stderr=json)
    module = registry.get_task(task)
    plan.get_preset(module, preset)
    wanted = model_names(models)
    for file in plugin or ():
        added = registry.add_plugin(file).key
        if wanted is None or added not in wanted:
            wanted = [*(wanted or plan.default_models(module, preset)), added]
    if data is None and not dry_run:
        fetch_missing(module, preset, yes)
    changes = [*(set_ or ()), *changes_to_train_on(train_on)]
    planned = pipeline.plan_experiment(
        module,
        preset,
        data,
        seed=seed,
        may_miss=dry_run,
        split=split,
        refold=refold,
        shuffle=shuffle_labels,
        models=wanted,
        test_folds=fold_numbers(folds),
        n_members=members,
        changes=changes,
        columns=parse(columns),
    )
    result = run_and_print(planned, options, console, dry_run=dry_run, json=json, tensorboard=tensorboard)
    if result and result.counts["failed"]:
        raise typer.Exit(1)


def changes_to_train_on(rows: str) -> list[str]:
    """Return what `--train-on` changes in every recipe: with `all`, the last epoch is kept.

    Raises
    ------
    BadInput
        If it is neither `train` nor `all`.
    """
    from benchmarks.api.recipe import TRAIN_ON

    if rows not in TRAIN_ON:
        raise BadInput(f"--train-on: {did_you_mean('choice', rows, list(TRAIN_ON))}")
    return [] if rows == "train" else ["recipe.train_on=all", "recipe.select=last", "recipe.patience=none"]


def check_probe(probe: bool, dry_run: bool) -> None:
    """Refuse `--probe` without `--dry-run`, before anything is done."""
    if probe and not dry_run:
        raise BadInput("--probe is for an estimate: give it with --dry-run.")


def fetch_missing(task: "Task", preset: str, yes: bool) -> None:
    """Fetch published data that is not here, with a progress bar, if the user agrees or said `--yes`."""
    from benchmarks.engine.planning import data_sources
    from benchmarks.engine.reporting.console import bytes_shown

    with bytes_shown() as on_progress:
        data_sources.fetch_missing(task, preset, agreed=lambda text: yes or _confirmed(text), on_progress=on_progress)


def _confirmed(question: str) -> bool:
    """Ask on a terminal; where there is none, nobody agrees."""
    return sys.stdin.isatty() and typer.confirm(question, err=True)


def run_and_print(
    planned: "Plan",
    options: "RunOptions",
    console: "Console",
    *,
    dry_run: bool = False,
    json: bool = False,
    only: Collection[str] | None = None,
    command: str | None = None,
    extra_json: dict[str, Any] | None = None,
    tensorboard: Path | None = None,
) -> "RunResult | None":
    """Carry a plan out and print it, what becomes of trainings, scores and tests; None after a dry run.

    Parameters
    ----------
    json
        Print JSON on stdout; everything else is expected on a console that writes to stderr.
    only
        The trainings (job ids) that are made now; None: all.
    command
        The words that repeat the run, which its report shows; None: those of this command.
    extra_json
        Joins what `json` prints.
    tensorboard
        Folder of a TensorBoard log; None: none is written.
    """
    from benchmarks.engine import pipeline
    from benchmarks.engine.reporting.console import print_plan
    from benchmarks.engine.reporting.progress import Reporter
    from benchmarks.engine.reporting.tensorboard import TensorBoardLog

    def show_plan(prepared: pipeline.PreparedRun) -> None:
        if prepared.packed_for:
            n = prepared.machine.n_workers
            console.print(f"{n} training(s) at a time, measured with {prepared.packed_for}", highlight=False)
        print_plan(console, planned, prepared.waiting, prepared.machine, prepared.throughput)

    if dry_run:
        prepared = pipeline.prepare(planned, options, only=only)
        show_plan(prepared)
        if json:
            print_json(_plan_json(prepared) | (extra_json or {}))
        return None

    with contextlib.ExitStack() as stack:
        reporter = stack.enter_context(Reporter(console))
        log = stack.enter_context(TensorBoardLog(tensorboard)) if tensorboard else None

        def on_event(job: "Job", event: "Event", payload: Any) -> None:
            reporter.on_event(job, event, payload)
            if log:
                log.on_event(job, event, payload)

        def on_prepared(prepared: pipeline.PreparedRun) -> None:
            show_plan(prepared)
            reporter.begin(prepared.waiting, prepared.expected_seconds, prepared.machine.n_workers)

        result = pipeline.run_experiment(
            planned,
            options,
            command=command or f"python -m benchmarks {shlex.join(sys.argv[1:])}",
            only=only,
            on_prepared=on_prepared,
            on_event=on_event,
        )
    _print_result(console, result, options)
    if json:
        tables = {"scores": result.results.scores, **result.results.comparisons}
        print_json(
            result.counts
            | {"report": str(result.experiment.folder), "inputs": _inputs(planned)}
            | {name: records(table) for name, table in tables.items()}
            | (extra_json or {})
        )
    if n_failed := result.counts["failed"]:
        console.print(
            f"{n_failed} of {len(planned.jobs)} trainings failed; the reasons are in the report.", style="red"
        )
    return result


def _print_result(console: "Console", result: "RunResult", options: "RunOptions") -> None:
    from benchmarks.engine.reporting.console import print_comparison, print_scores
    from benchmarks.engine.store.store import Store

    def say(text: str, style: str | None = None) -> None:
        console.print(text, style=style, markup=False, highlight=False)

    plan, store = result.experiment.plan, Store(options.results)
    unused = _models_beside_the_gpu(plan, store, options.device)
    if unused:
        say(f"A GPU is here, but {', '.join(unused)} ran on the CPU: see README, GPU or CPU.", "yellow")
    for problem in result.results.problems:
        say(problem, "yellow")
    print_scores(console, plan, result.results.scores, store)
    print_comparison(console, plan, result.results.comparisons)
    say(f"Scores: {result.experiment.folder / 'scores.csv'}")
    if result.page:
        say(f"Report: {result.page}")
    else:
        say("No report: `pip install -e '.[figures]'`, then `python -m benchmarks report`.")


def _models_beside_the_gpu(plan: "Plan", store: "Store", device: str) -> list[str]:
    """List the networks that were trained on the CPU although a GPU is here and nobody asked for the CPU."""
    from benchmarks import system
    from benchmarks.engine.store.training_table import job_table

    if device != "auto" or not system.n_gpus():
        return []
    jobs = job_table(plan, store)
    return list(jobs[(jobs["device"] == "cpu") & (jobs["framework"] != "numpy")]["model"].unique())


def _inputs(plan: "Plan") -> dict[str, Any]:
    """Return what was read of the files of each dataset."""
    return {source.name: list(source.dataset.accounts) for source in plan.sources if source.dataset}


def _plan_json(prepared: "PreparedRun") -> dict[str, Any]:
    plan = prepared.plan
    stored = plan.to_dict()
    return {
        "task": plan.task,
        "preset": plan.preset,
        "n_trainings": len(plan.jobs),
        "n_done": len(plan.jobs) - len(prepared.waiting),
        "sources": stored["sources"],
        "inputs": _inputs(plan),
        "recipes": stored["recipes"],
        "skipped": stored["skipped"],
        "jobs": [job.id for job in plan.jobs],
    }
