"""`python -m benchmarks across`: one report over all tasks."""

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.cli.options import (
    RESULTS,
    SETTINGS,
    JsonOption,
    ResultsOption,
    command,
    has_packages,
    print_json,
    records,
)
from benchmarks.errors import BadInput

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
    from benchmarks.engine.store.experiment import Study
    from benchmarks.engine.store.store import Store

    for name in task or ():
        registry.get_task(name)
    store = Store(results)
    if out and out.exists() and not out.is_dir():
        raise BadInput(f"--out expects a folder, but {out} is a file.")
    read = [one for study in Study.open_many(store, task or (), report or ()) if (one := _read(study, store))]
    if not read:
        raise BadInput("No training of these runs is finished yet, so there is nothing to report.")
    across = table.combine([one["ran"] for one in read])
    overall = table.overall(across)
    tests = pd.concat([one["tests"] for one in read], ignore_index=True)
    grids = [one["study"] for one in read if (one["study"].folder / "grid.csv").is_file()]
    grid_study = Study.open(store, None, grid) if grid else grids[0] if grids else None
    evidence = Evidence(
        across,
        tests,
        grid=_grid(grid_study, store) if grid_study else None,
        challenge=_challenge(challenge) if challenge else None,
        n_params=_parameter_counts(),
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
    folder = _folder(store, out, [one["study"] for one in read])
    page = _write(folder, tables, context, [one["about"] for one in read])
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


def _read(study: Any, store: Any) -> dict[str, Any] | None:
    """Read what the report needs of one stored run; None if nothing of it is finished."""
    import dataclasses

    import pandas as pd

    from benchmarks import registry
    from benchmarks.apps.across_tasks import table
    from benchmarks.engine.evaluation import compare, fold_tests
    from benchmarks.engine.execution import schedule
    from benchmarks.engine.planning import plan as planning
    from benchmarks.engine.reporting import write_results

    plan, task = study.plan, registry.get_task(study.plan.task)
    scores = schedule.score(plan, store, task)
    if scores.empty:
        return None
    jobs, summary, headlines = (
        schedule.job_table(plan, store),
        fold_tests.summarise(scores),
        write_results.headlines_of(task),
    )
    role = "member" if hasattr(task, "compare") else "ensemble"
    datasets = {source.name: store.get_dataset(source.name, source.digest) for source in plan.sources}
    tests = pd.DataFrame(columns=fold_tests.TEST_COLUMNS)
    chosen = fold_tests.featured(scores, headlines)
    if not hasattr(task, "compare"):
        sizes = compare.sizes(plan, store, task)
        rivals = {plan.baseline, "dream_rnn", "dream_rnn_keras"} & set(
            chosen.loc[chosen["role"] == "ensemble", "model"]
        )
        several = [fold_tests.compare(chosen, rival, sizes=sizes) for rival in sorted(rivals)]
        tests = pd.concat(several, ignore_index=True) if several else tests
    done = jobs[jobs["status"] == "done"]
    departures = {}
    for source in plan.sources:
        here = dataclasses.replace(source, dataset=datasets[source.name])
        for model, mine in done[done["dataset"] == source.name].groupby("model"):
            splits = set(zip(mine["test_fold"], mine["val_fold"], strict=True))
            departures[source.name, model] = "; ".join(planning.departures(task, plan, model, here, splits))
    ran = table.Ran(
        preset=plan.preset,
        summary=fold_tests.featured(summary[summary["role"] == role], headlines),
        jobs=jobs,
        ceilings=write_results.ceiling_table(datasets),
        labels={name: plan.title(name) for name in plan.models},
        prerequisites={name for job in plan.jobs for name in job.prerequisites},
        width_scale={name: recipe.get("width_scale", 1.0) for name, recipe in plan.recipes.items()},
        outside=set(jobs.loc[jobs["framework"] == "outside", "model"]),
        departures=departures,
    )
    finished = f"{(jobs['status'] == 'done').sum():,} of {len(jobs):,} done"
    about = {
        "task": f"{plan.task} (version {plan.task_version})",
        "preset": plan.preset,
        "data": "; ".join(f"{name}: {len(one):,} sequences, {one.origin}" for name, one in datasets.items()),
        "trainings": finished,
        "folder": study.folder.name,
        "command": study.command,
    }
    return {"study": study, "ran": ran, "tests": tests, "summary": summary, "scores": scores, "about": about}


def _grid(study: Any, store: Any) -> Any:
    from benchmarks import registry
    from benchmarks.apps.across_tasks.verdicts import Grid
    from benchmarks.engine.planning import plan as planning
    from benchmarks.io import tables

    needed = ("processor", "first", "core", "final", "status", "value")
    again = "name the report folder of a `prixfixe grid`"
    table = tables.read_ours(study.folder / "grid.csv", needed, again=again, dtype={"code": str})
    source = study.plan.sources[0]
    origin = store.get_dataset(source.name, source.digest).origin
    task, splits = registry.get_task(study.plan.task), registry.get_task(study.plan.task).protocol()
    found = (planning.departures(task, study.plan, model, source, splits) for model in study.plan.models)
    return Grid(study.plan.task, origin, "; ".join(next(filter(None, found), [])), table)


def _challenge(folder: Path) -> Any:
    from benchmarks.apps.across_tasks.verdicts import Challenge
    from benchmarks.io import tables

    found = {}
    again = f"fill the folder by `challenge rank --out {folder}`"
    for name, needed in (("ranking", ("submission", "place")), ("scores", ("submission", "subset", "metric", "value"))):
        found[name] = tables.read_ours(folder / f"{name}.csv", (*needed, "origin"), again=again)
    measured = all(set(one["origin"]) == {"measured"} for one in found.values())
    return Challenge("measured" if measured else "simulated", **found)


def _parameter_counts() -> dict[str, int]:
    """Count the parameters of the full-size networks that claim 6 compares, on yeast."""
    from benchmarks import registry
    from benchmarks.apps.across_tasks.claims import PAIRS

    spec = registry.get_task("yeast").SPEC
    models = {name: registry.get_model(name) for name in (*PAIRS, *PAIRS.values())}
    return {name: int(model.build(spec, model.RECIPE, {}).n_params) for name, model in models.items()}


def _folder(store: Any, out: Path | None, studies: list[Any]) -> Path:
    """Make the folder to write to; in the store, its name is a hash of the runs that were read."""
    import hashlib

    if out is None:
        names = ",".join(sorted(study.folder.name for study in studies))
        return store.report_folder(f"across_{hashlib.sha256(names.encode()).hexdigest()[:8]}")
    out.mkdir(parents=True, exist_ok=True)
    return out


def _write(folder: Path, tables: dict[str, Any], context: Any, runs: list[dict]) -> Path | None:
    """Write tables, figures and page; the last two only where the packages are installed."""
    from benchmarks.engine.store.store import write_text

    for name, one in tables.items():
        write_text(folder / f"{name}.csv", one.to_csv(index=False))
    if not has_packages("matplotlib", "jinja2"):
        return None
    from benchmarks.apps.across_tasks import page as across_page
    from benchmarks.engine.figures import across_tasks
    from benchmarks.engine.figures import scores as figures

    across, overall, drawn = tables["across"], tables["overall"], {}
    for origin, rows in across.groupby("origin", sort=False):
        here = {"scores": across_tasks.scores(rows)}
        here["ranks"] = across_tasks.ranks(rows, overall[overall["origin"] == origin])
        for name, figure in here.items():
            figures.save(figure, folder / f"{name}_{origin}")
        drawn[origin] = [
            (f"Scores of all models, {origin} data", figures.to_svg(here["scores"])),
            (f"Ranks of all models, {origin} data", figures.to_svg(here["ranks"])),
        ]
    page = across_page.render(
        runs=runs,
        across=across,
        overall=overall,
        published=tables.get("published"),
        context=context,
        claims=tables["claims"],
        figures=drawn,
    )
    write_text(folder / "across.html", page)
    return folder / "across.html"
