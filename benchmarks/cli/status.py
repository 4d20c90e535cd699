"""`python -m benchmarks status | retry | gc`: where runs stand, going on with them, and what they left behind."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.cli.options import RESULTS, SETTINGS, ClusterOption, JsonOption, ResultsOption, command, print_json
from benchmarks.io.json_files import records

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

NAME = None
app = typer.Typer(**SETTINGS)

TaskOption = Annotated[str | None, typer.Option(help="Task whose latest run is meant; default: the latest of all.")]
ReportOption = Annotated[Path | None, typer.Option(help="Report folder of a run; default: the latest.")]


@command(app, "status", "status --task human_mpra --watch 10", "status --json")
def status(
    task: TaskOption = None,
    report: ReportOption = None,
    watch: Annotated[
        float | None, typer.Option(min=0.5, help="Show it again every so many seconds, to the end.")
    ] = None,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Show which trainings of a run are done, running, failed (and why) or waiting, and when all will be done."""
    import time

    from benchmarks.engine.reporting.console import open_console
    from benchmarks.engine.store import status as state
    from benchmarks.engine.store.experiment import Experiment
    from benchmarks.engine.store.store import Store

    store = Store(results)
    experiment = Experiment.open(store, task, report)
    console = open_console()
    while True:
        table = state.states(experiment.plan, store)
        left = state.seconds_left(experiment.plan, store, table)
        if json:
            counts = {name: int((table["state"] == name).sum()) for name in state.STATES}
            print_json({"report": str(experiment.folder), **counts, "seconds_left": left, "trainings": records(table)})
            return
        if watch and console.is_terminal:
            console.clear()
        print_states(console, experiment.folder, table, left, state.reasons(table))
        if not watch or set(table["state"]) <= {"done", "failed"}:
            return
        time.sleep(watch)


@command(app, "retry --failed", "retry --task yeast --device cpu --workers 1")
def retry(
    task: TaskOption = None,
    report: ReportOption = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed; default: all that is not done.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes; 0: none. Default: chosen.")] = None,
    cluster: ClusterOption = None,
    save_models: Annotated[bool, typer.Option(help="Keep the trained weights beside the predictions.")] = True,
    plugin: Annotated[
        list[Path] | None, typer.Option(help="File of a model that is a plug-in; a stored plan runs none by itself.")
    ] = None,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Go on with a stored run as it was planned: train what failed or is missing, score it, write the report."""
    import dataclasses

    from benchmarks.cli.run import run_and_print
    from benchmarks.engine.pipeline import RunOptions
    from benchmarks.engine.planning import plan
    from benchmarks.engine.reporting.console import open_console
    from benchmarks.engine.store import status as state
    from benchmarks.engine.store.experiment import Experiment
    from benchmarks.engine.store.store import Store

    options = RunOptions(results=results, device=device, workers=workers, cluster=cluster, save_models=save_models)
    store = Store(results)
    experiment = Experiment.open(store, task, report)
    sources = tuple(
        dataclasses.replace(source, dataset=store.get_dataset(source.name, source.digest))
        for source in experiment.plan.sources
    )
    planned = dataclasses.replace(experiment.plan, sources=sources)
    table = state.states(planned, store)
    asked = table[table["state"] == "failed" if failed else table["state"] != "done"]["job"]
    chosen = plan.with_prerequisites(planned, asked) - set(table[table["state"] == "done"]["job"])
    planned = plan.with_plugins(planned, plugin or (), chosen)
    console = open_console(stderr=json)
    result = run_and_print(planned, options, console, json=json, only=chosen, command=experiment.command)
    if result and result.counts["failed"]:
        raise typer.Exit(1)


@command(app, "gc", "gc --yes", "gc --json")
def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Show what nothing in the results needs any more, and remove it after asking.

    Locks of processes that are gone, what they left half-written, checkpoints of trainings that are done or in no
    stored plan, and datasets that nothing uses. Finished trainings are never touched. With --json, nothing is
    removed without --yes.
    """
    import shutil
    import sys

    from benchmarks.engine.store import status as state
    from benchmarks.engine.store.experiment import Experiment
    from benchmarks.engine.store.store import Store

    store = Store(results)
    leftovers = state.leftovers(store, Experiment.all(store))
    rows: list[dict[str, Any]] = [{"path": str(path), "why": why, "bytes": size} for path, why, size in leftovers]
    if not json:
        for row in rows:
            typer.echo(f"{row['bytes']:>14,}  {row['path']}: {row['why']}")
        typer.echo(f"{sum(row['bytes'] for row in rows):>14,}  bytes in {len(rows)} leftovers")
    asked = sys.stdin.isatty() and not json
    remove = bool(rows) and (yes or (asked and typer.confirm("Remove them?", err=True)))
    # Looked at again: while the question stood, another command may have come to need some of it.
    still = {path for path, _, _ in state.leftovers(store, Experiment.all(store))} if remove else set()
    for path, _, _ in leftovers:
        if path not in still:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if json:
        print_json({"leftovers": rows, "removed": remove})
    elif rows:
        typer.echo("Removed." if remove else "Nothing was removed; `gc --yes` does.")


def _position(row: Any) -> str:
    """Say how far a running training has come: epochs, losses, validation scores, and when its last epoch ends."""
    from benchmarks.engine.reporting.text import duration

    known = {name: value for name, value in row._asdict().items() if value is not None and value == value}
    parts = []
    if "epoch" in known or "epoch_share" in known:
        of = f" of {known['epochs']:.0f}" if "epochs" in known else ""
        share = f" and {known['epoch_share']:.0%} of the next" if "epoch_share" in known else ""
        parts.append(f"{known.get('epoch', 0):.0f}{of} epochs{share}")
    if "train_loss" in known:
        parts.append(f"training loss {known['train_loss']:.4g}")
    if "val_pearson_r" in known:
        best = f" (best {known['best_val_pearson_r']:.3f} in epoch {known['best_epoch']:.0f})"
        parts.append(f"validation r {known['val_pearson_r']:.3f}{best}")
    if "seconds_left" in known:
        parts.append(f"at most {duration(known['seconds_left'])} left")
    return "".join(f", {part}" for part in parts)


def print_states(
    console: "Console", folder: Path, table: "pd.DataFrame", left: float | None, reasons: Mapping[str, list[str]]
) -> None:
    """Print how many trainings are done, running, failed or waiting, which run now, and why some failed."""

    from benchmarks.engine.reporting.console import N_SHOWN, print_table
    from benchmarks.engine.reporting.text import duration
    from benchmarks.engine.store.status import STATES

    rows = [
        {"dataset": dataset, "model": model} | {name: f"{(trainings['state'] == name).sum():,}" for name in STATES}
        for (dataset, model), trainings in table.groupby(["dataset", "model"], sort=False)
    ]
    n_done, n = int((table["state"] == "done").sum()), len(table)
    print_table(console, f"{n_done:,} of {n:,} trainings done: {folder.name}", rows)
    for row in table[table["state"] == "running"].head(N_SHOWN).itertuples():
        text = f"  running on {row.host}: {row.job}{_position(row)}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    for reason, jobs in reasons.items():
        console.print(f"  {len(jobs):,} failed: {reason} ({jobs[0]}{', …' if len(jobs) > 1 else ''})", style="red")
    if n_done < n:
        when = f"about {duration(left)}" if left is not None else "unknown: a model has no finished training yet"
        console.print(f"  Time left: {when}", markup=False, highlight=False)
