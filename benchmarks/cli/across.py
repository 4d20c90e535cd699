"""`python -m benchmarks across`: one report over all tasks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.cli.options import RESULTS, SETTINGS, JsonOption, ResultsOption, command, print_json
from benchmarks.errors import BadInput
from benchmarks.io.json_files import records

if TYPE_CHECKING:
    from benchmarks.apps.across_tasks.report import Report

NAME = None
app = typer.Typer(**SETTINGS)


@command(
    app,
    "across",
    "across --task human_mpra --task drosophila --out my_report",
    "across --report results/reports/yeast_paper_1a2b3c4d --grid results/reports/yeast_paper_5e6f7a8b",
    "across --challenge ranking --json",
    "across --ism mutants --speed speed",
)
def across(
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Task whose latest run is read; several are allowed.")
    ] = None,
    report: Annotated[
        list[Path] | None,
        typer.Option("--report", help="Report folder; several are allowed. Default: the latest of every task."),
    ] = None,
    grid: Annotated[Path | None, typer.Option(help="Report folder of a `prixfixe grid`, for the claims on it.")] = None,
    challenge: Annotated[
        Path | None, typer.Option(help="Folder that `challenge rank --out` filled, for the claims on it.")
    ] = None,
    ism: Annotated[Path | None, typer.Option(help="Folder that `ism --out` filled, for the claim on it.")] = None,
    speed: Annotated[
        Path | None, typer.Option(help="Folder that `bench speed --out` filled, for the claim on it.")
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="Table of published figures; default: the one that comes with the package.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; default: one in the store.")] = None,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Put all tasks into one report: scores with intervals, ranks, size, cost and speed of every model.

    Published figures are shown beside measured ones where both are of the same place, and each claim of the paper
    holds, does not hold, or is not testable on these runs, with the reason. Simulated and measured data have rankings
    of their own.
    """
    from benchmarks import registry
    from benchmarks.apps.across_tasks.page import output_folder, write_page
    from benchmarks.apps.across_tasks.report import build_report
    from benchmarks.engine.store.experiment import Experiment
    from benchmarks.engine.store.store import Store

    for name in task or ():
        registry.get_task(name)
    store = Store(results)
    if out and out.exists() and not out.is_dir():
        raise BadInput(f"--out expects a folder, but {out} is a file.")
    experiments = Experiment.open_many(store, task or (), report or ())
    all_tasks = build_report(
        store, experiments, grid=grid, challenge=challenge, published=published, ism=ism, speed=speed
    )
    folder = output_folder(store, out, all_tasks.experiments)
    page = write_page(folder, all_tasks)
    if json:
        files = {"folder": str(folder), "report": str(page) if page else None}
        print_json(files | {name: records(table) for name, table in all_tasks.tables.items()})
        return
    _print_report(all_tasks)
    typer.echo(f"Report: {page}" if page else f"Tables: {folder}; for the page: `pip install -e '.[figures]'`.")


def _print_report(report: "Report") -> None:
    for origin, rows in report.tables["overall"].groupby("origin", sort=False):
        typer.echo(f"Mean rank over tasks, {'SIMULATED' if origin == 'simulated' else origin} data")
        for row in rows.itertuples():
            typer.echo(
                f"  {row.mean_rank:5.2f}  {row.label:<28}{row.n_tasks} task{'s' * (row.n_tasks > 1)}: {row.tasks}"
            )
    typer.echo("The paper's claims")
    for row in report.tables["claims"].itertuples():
        typer.echo(f"  {row.number:>2}  {row.verdict:<14}{row.reason}")
