"""`python -m benchmarks regress`: test whether a change of the code has moved a score."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.cli.options import SETTINGS, JsonOption, command, print_json
from benchmarks.errors import BadInput
from benchmarks.io.json_files import records

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.apps.regression.regression_test import RegressionResult

NAME = None
app = typer.Typer(**SETTINGS)


@command(
    app,
    "regress --against results/reference/simulated",
    "regress --against results/reference/simulated --summary summary.md",
    "regress --against results/reference/simulated --update --reason 'DREAM-CNN starts from other weights'",
    "regress --against results/reference/simulated --shuffle-labels   # must fail",
)
def regress(
    against: Annotated[Path, typer.Option(help="Folder of the reference.")] = Path("results/reference/simulated"),
    seed: Annotated[
        int, typer.Option(min=0, help="Of weights and shuffling. The reference's own are 0, 1, 2 …; the data stay.")
    ] = 1000,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="recipe.key=value or model.key=value: try what is caught.")
    ] = None,
    shuffle_labels: Annotated[bool, typer.Option(help="Permute the targets first: try what is caught.")] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Rewrite the reference instead of testing against it.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for --update; kept in LOG.md.")] = None,
    n_seeds: Annotated[int, typer.Option(min=3, help="Seeds that --update measures the spread over.")] = 10,
    summary: Annotated[Path | None, typer.Option(help="File to append a Markdown table to, for CI pages.")] = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="Folder to keep the trainings in; default: none is kept.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Train a small fixed matrix of models again, on simulated data and the CPU, and test its scores.

    Exit code 1 if a score is out of its tolerance, in either direction, or missing, or a model has another number of
    parameters. Tolerances come from the spread between seeds. Speed is shown and never tested.
    """
    from benchmarks.apps.regression.reference import as_markdown
    from benchmarks.apps.regression.regression_test import rewrite_reference, run_regression_test
    from benchmarks.engine.reporting.console import open_console

    if update != (reason is not None and bool(reason.strip())):
        raise BadInput("--update and --reason 'why' belong together; one of them is missing.")
    if update and (set_ or shuffle_labels):
        raise BadInput("--update takes the matrix as it is; change matrix.json instead of --set or --shuffle-labels.")
    if summary and not summary.parent.is_dir():
        raise BadInput(f"The folder of --summary, {summary.parent}, does not exist.")
    console = open_console(stderr=json)
    if update:
        rewrite_reference(against, console, reason=reason.strip(), n_seeds=n_seeds, results=results)
        return
    result = run_regression_test(
        against, console, seed=seed, changes=set_ or (), shuffle=shuffle_labels, results=results
    )
    _print_result(console, result)
    if summary:
        with summary.open("a", encoding="utf-8") as file:
            file.write(as_markdown(result.table, f"{result.heading} (SIMULATED DATA)", result.notes))
    if json:
        facts = {"problems": result.problems, "notes": result.notes, "failed": result.n_failed}
        print_json({"verdicts": records(result.table)} | facts)
    if result.n_failed or result.problems:
        raise typer.Exit(1)


def _print_result(console: "Console", result: "RegressionResult") -> None:
    """Print a row per score, failed ones last, where they are seen; then the notes."""
    from benchmarks.engine.reporting.console import print_table

    rows = []
    ordered = result.table.sort_values("verdict", key=lambda values: values == "fails", kind="stable")
    for row in ordered.itertuples():
        place = {name: getattr(row, name) for name in ("verdict", "task", "model", "output", "subset", "metric")}
        numbers = {"reference": row.reference, "tolerance": row.tolerance, "measured": row.measured}
        rows.append(
            place
            | {name: f"{value:.4f}" if value == value else "–" for name, value in numbers.items()}
            | {"difference": f"{row.difference:+.4f}" if row.difference == row.difference else "–"}
        )
    print_table(console, "Scores against the reference (SIMULATED DATA)", rows)
    for note in result.notes:
        console.print(f"  {note}", markup=False, highlight=False)
    problems = f"; {len(result.problems)} other problems" if result.problems else ""
    console.print(f"{result.heading}{problems}", style="bold")
