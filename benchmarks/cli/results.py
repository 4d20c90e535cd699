"""`python -m benchmarks score | import-runs | compare | report`: what stored runs say, without training."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cli.options import (
    RESULTS,
    SETTINGS,
    ColumnsOption,
    JsonOption,
    ReportOption,
    ResultsOption,
    TaskOption,
    command,
    known_task,
    model_names,
    print_json,
)
from benchmarks.errors import BadInput
from benchmarks.io.json_files import records

NAME = None
app = typer.Typer(**SETTINGS)


@command(
    app,
    "score",
    "score --task human_mpra --json",
    "score --report results/reports/human_mpra_quick_1a2b3c4d",
    "score --predictions mine.tsv --name MyModel",
    "score --predictions mine.csv --name MyModel --columns id=element,prediction=y_hat",
)
def score(
    task: TaskOption = None,
    report: ReportOption = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Table of external predictions: seq_id (or seq) and prediction.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call the model of --predictions.")] = None,
    columns: ColumnsOption = None,
    members: Annotated[int, typer.Option(min=1, help="Models whose predictions --predictions averages.")] = 1,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Score stored predictions again, without training. Rewrites scores.csv and tests.csv of the run.

    With --predictions, external predictions join the models of the run, in a report folder of its own. There must be
    one for every test row, made by a model that has not seen that row: this cannot be checked here.
    """
    from benchmarks.engine.evaluation import external_predictions
    from benchmarks.engine.reporting import write_results
    from benchmarks.engine.reporting.console import open_console, print_comparison, print_scores
    from benchmarks.engine.store.experiment import Experiment
    from benchmarks.engine.store.store import Store
    from benchmarks.io.account import Account
    from benchmarks.io.columns import parse

    if columns and not predictions:
        raise BadInput("--columns says what the columns of --predictions are; give both.")
    if (predictions is None) != (name is None):
        raise BadInput("--predictions FILE and --name NAME belong together; one of them is missing.")
    store = Store(results)
    experiment = Experiment.open(store, known_task(task), report)
    if predictions:
        account = Account(predictions.name)
        given = parse(columns)
        joined = external_predictions.add(
            *(experiment.plan, store, predictions, name), n_averaged=members, given=given, account=account
        )
        experiment = Experiment.begin(
            joined, store, f"{experiment.command}; python -m benchmarks {shlex.join(sys.argv[1:])}"
        )
    scored = write_results.write_scores(experiment, store)
    for problem in scored.problems:
        typer.echo(problem, err=True)
    if scored.scores.empty and scored.problems:
        raise BadInput(f"None of the finished trainings of {experiment.folder} can be scored; the reasons are above.")
    if scored.scores.empty:
        raise BadInput(f"No training of {experiment.folder} is finished yet, so there is nothing to score.")
    page = write_results.write_report(experiment, store, scored) if predictions else None
    if json:
        print_json(records(scored.scores))
        return
    console = open_console()
    print_scores(console, experiment.plan, scored.scores, store)
    for line in account.sentences() if predictions else ():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if predictions:
        print_comparison(console, experiment.plan, scored.comparisons)
    typer.echo(f"Scores: {experiment.folder / 'scores.csv'}")
    if page:
        typer.echo(f"Report: {page}")


@command(app, "import-runs /mnt/cluster/results", "import-runs results_from_gpu.tar.gz --json")
def import_runs(
    path: Annotated[Path, typer.Argument(help="Results folder of another machine, or a tar file of it.")],
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Merge runs made on another machine into this store, verifying every file; then draw their report here.

    What is here already stays as it is. Exit code 1 if something was refused; the rest is imported all the same.
    """
    import dataclasses
    from collections import Counter

    from benchmarks.engine.store.import_runs import merge, opened
    from benchmarks.engine.store.store import Store

    store = Store(results)
    store.check_writable()
    with opened(path, results) as other:
        items = list(merge(other, store))
    counts = Counter((item.kind, item.status) for item in items)
    if json:
        print_json({"items": [dataclasses.asdict(item) for item in items]})
    else:
        for item in items:
            if item.detail:
                typer.echo(f"{item.status}: {item.kind} {item.name}: {item.detail}", err=item.status == "refused")
        for (kind, status), n in counts.items():
            typer.echo(f"{n:,} {kind}{'s' * (n != 1)} {status}")
        for item in items:
            if item.kind == "plan" and item.status == "imported":
                words = shlex.join(["--results", str(results), "--report", str(store.report_folder(item.name))])
                typer.echo(f"Report: python -m benchmarks report {words}")
    if any(item.status == "refused" for item in items):
        raise typer.Exit(1)


@command(
    app,
    "compare",
    "compare --task human_mpra --baseline kmer_ridge",
    "compare --task human_mpra --task drosophila --models dream_rnn,dream_cnn --out tests.csv",
    "compare --json",
)
def compare(
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Task whose latest run is compared; several are allowed.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Model to compare with; default: each task's baseline.")] = None,
    models: Annotated[str | None, typer.Option(help="Models to compare, separated by commas; default: all.")] = None,
    report: Annotated[
        list[Path] | None, typer.Option("--report", help="Report folder; several are allowed. Default: the latest.")
    ] = None,
    role: Annotated[str, typer.Option(help="ensemble, or member: the mean over single models of a fold.")] = "ensemble",
    draws: Annotated[int, typer.Option(min=0, help="Draws of the bootstrap over test items; 0: none.")] = 1_000,
    out: Annotated[Path | None, typer.Option(help="CSV file to write all tests to, of every metric.")] = None,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Compare the models of stored runs with a baseline: by how much do they differ, and can chance explain it?

    Over test folds: the paper's paired t-test, the corrected resampled t-test, both corrected for their number, and a
    paired bootstrap over test items; over single trainings a linear mixed model. A task that has one test set and no
    folds compares by its own rules: rank bootstrap and paired bootstrap. What each test assumes is printed below the
    table.
    """
    from benchmarks.engine.evaluation.compare import assumptions, compare_experiments, write
    from benchmarks.engine.reporting.console import open_console, print_assumptions, print_comparison
    from benchmarks.engine.store.experiment import Experiment
    from benchmarks.engine.store.store import Store

    if role not in ("ensemble", "member"):
        raise BadInput(f"--role expects ensemble or member, got {role!r}.")
    store = Store(results)
    names = [known_task(name) for name in task or ()]
    experiments = (
        Experiment.open_many(store, names, report or ()) if names or report else [Experiment.open(store, None, None)]
    )
    compared, left_out = compare_experiments(
        experiments, store, baseline=baseline, models=model_names(models), role=role, n_draws=draws
    )
    for line in left_out:
        typer.echo(f"Left out: {line}", err=True)
    if out:
        write(compared, out)
    if json:
        print_json(
            {
                "comparisons": [
                    {
                        "task": comparison.plan.task,
                        "report": str(comparison.folder),
                        "baseline": comparison.plan.baseline,
                    }
                    | {name: records(table) for name, table in comparison.tables.items()}
                    for comparison in compared
                ],
                "assumptions": assumptions(compared),
                "left_out": left_out,
            }
        )
        return
    console = open_console()
    for comparison in compared:
        if comparison.main.empty:
            others = "none of the chosen models" if models else "no other model"
            typer.echo(
                f"Nothing to compare in {comparison.folder}: besides {comparison.plan.baseline}, {others} has {role} "
                "scores there."
            )
        else:
            print_comparison(console, comparison.plan, comparison.tables)
    print_assumptions(console, assumptions(compared))
    if out:
        typer.echo(f"Tests: {out}")


@command(app, "report", "report --task human_mpra", "report --report results/reports/human_mpra_quick_1a2b3c4d")
def report(
    task: TaskOption = None, report: ReportOption = None, results: ResultsOption = RESULTS, json: JsonOption = False
) -> None:
    """Draw the plots and write report.html of a stored run again."""
    from benchmarks.engine.reporting import write_results
    from benchmarks.engine.store.experiment import Experiment
    from benchmarks.engine.store.store import Store
    from benchmarks.engine.store.training_table import history_table, job_table

    store = Store(results)
    experiment = Experiment.open(store, known_task(task), report)
    # Read first, so that a damaged record is refused before anything is written.
    job_table(experiment.plan, store)
    history_table(experiment.plan, store)
    page = write_results.write_report(experiment, store, write_results.write_scores(experiment, store))
    if page is None:
        raise BadInput("The report needs the plotting packages: `pip install -e '.[figures]'`.")
    if json:
        print_json({"report": str(page)})
    else:
        typer.echo(f"Report: {page}")
