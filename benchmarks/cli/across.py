"""`python -m benchmarks across`: one report over all tasks."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.apps.across_tasks.page import output_folder, write_page
from benchmarks.apps.across_tasks.read_runs import parameter_counts, read_challenge, read_grid, read_run
from benchmarks.cli.options import RESULTS, SETTINGS, JsonOption, ResultsOption, command, print_json
from benchmarks.errors import BadInput
from benchmarks.io.json_files import records

NAME = None
app = typer.Typer(**SETTINGS)


@command(
    app,
    "across",
    "across --task human_mpra --task drosophila --out my_report",
    "across --report results/reports/yeast_paper_1a2b3c4d --grid results/reports/yeast_paper_5e6f7a8b",
    "across --challenge ranking --json",
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
        Path | None, typer.Option(help="Folder that `challenge rank --out` filled, for the claim on it.")
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="Table of published figures; default: results/reference/published.csv.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; default: one in the store.")] = None,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Put all tasks into one report: scores with intervals, ranks, size, cost and speed of every model.

    Published figures stand beside measured ones where both are of the same place, and each claim of the paper is said
    to hold, not to hold, or not to be testable on these runs, with the reason. Simulated and measured data have
    rankings of their own.
    """
    import pandas as pd

    from benchmarks import registry
    from benchmarks.apps.across_tasks import claims, table
    from benchmarks.apps.across_tasks import published_values as published_figures
    from benchmarks.apps.across_tasks.verdicts import Evidence
    from benchmarks.engine.store.experiment import Experiment
    from benchmarks.engine.store.store import Store

    for name in task or ():
        registry.get_task(name)
    store = Store(results)
    if out and out.exists() and not out.is_dir():
        raise BadInput(f"--out expects a folder, but {out} is a file.")
    read = [
        one
        for experiment in Experiment.open_many(store, task or (), report or ())
        if (one := read_run(experiment, store))
    ]
    if not read:
        raise BadInput("No training of these runs is finished yet, so there is nothing to report.")
    across = table.combine([one["ran"] for one in read])
    overall = table.overall(across)
    tests = pd.concat([one["tests"] for one in read], ignore_index=True)
    grids = [one["experiment"] for one in read if (one["experiment"].folder / "grid.csv").is_file()]
    grid_study = Experiment.open(store, None, grid) if grid else grids[0] if grids else None
    evidence = Evidence(
        across,
        tests,
        grid=read_grid(grid_study, store) if grid_study else None,
        challenge=read_challenge(challenge) if challenge else None,
        n_params=parameter_counts(),
    )
    verdicts = claims.judge(evidence)
    file = published or published_figures.default_file()
    beside = context = None
    if published or file.is_file():
        figures_of_papers = published_figures.read(file)
        summary, scores = (pd.concat([one[name] for one in read], ignore_index=True) for name in ("summary", "scores"))
        titles = dict(zip(across["model"], across["label"], strict=True))
        beside = published_figures.beside(figures_of_papers, summary, scores, across, model_titles=titles)
        context = published_figures.context(figures_of_papers)
    tables = {"across": across, "overall": overall, "claims": verdicts}
    tables |= {} if beside is None else {"published": beside}
    folder = output_folder(store, out, [one["experiment"] for one in read])
    page = write_page(folder, tables, context, [one["about"] for one in read])
    if json:
        about = {"folder": str(folder), "report": str(page) if page else None}
        print_json(about | {name: records(one) for name, one in tables.items()})
        return
    for origin, rows in overall.groupby("origin", sort=False):
        typer.echo(f"Mean rank over tasks, {'SIMULATED' if origin == 'simulated' else origin} data")
        for row in rows.itertuples():
            typer.echo(
                f"  {row.mean_rank:5.2f}  {row.label:<28}{row.n_tasks} task{'s' * (row.n_tasks > 1)}: {row.tasks}"
            )
    typer.echo("The paper's claims")
    for row in verdicts.itertuples():
        typer.echo(f"  {row.number}  {row.verdict:<14}{row.reason}")
    if beside is None:
        typer.echo(f"No published figures: {file} is missing; name the file with --published.")
    typer.echo(f"Report: {page}" if page else f"Tables: {folder}; for the page: `pip install -e '.[figures]'`.")
