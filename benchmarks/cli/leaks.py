"""`python -m benchmarks leaks`: which test sequences occur in the training data, and how scores change without them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.cli.options import RESULTS, SETTINGS, ColumnsOption, JsonOption, ResultsOption, command, print_json
from benchmarks.errors import BadInput
from benchmarks.io.json_files import records

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

NAME = None
app = typer.Typer(**SETTINGS)


@command(
    app,
    "leaks",
    "leaks --task human_mpra --json",
    "leaks --report results/reports/human_mpra_quick_1a2b3c4d",
    "leaks --task human_mpra --data my_table.tsv.gz --fail-above 0.001   # before any training",
    "leaks --task drosophila --threshold 0.95 --out leaks.csv",
)
def leaks(
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Task whose latest run is searched; several are allowed.")
    ] = None,
    report: Annotated[
        list[Path] | None, typer.Option("--report", help="Report folder; several are allowed. Default: the latest.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Table whose splits are searched, without a run; needs one --task.")
    ] = None,
    columns: ColumnsOption = None,
    split: Annotated[str | None, typer.Option(help="What is held out of --data, where a task offers ways.")] = None,
    k: Annotated[int, typer.Option("--k", help="Length of the seeds: odd, 9 to 23; shorter ones find more.")] = 17,
    threshold: Annotated[
        float, typer.Option(help="Share of bases that agree in a near-duplicate, above 0.5, up to 1.")
    ] = 0.8,
    fail_above: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Exit code 1 if a larger share of a test fold overlaps with the training data."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of folds that are drawn where --data has none.")] = 0,
    out: Annotated[Path | None, typer.Option(help="CSV file to write the table to.")] = None,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Find test sequences that occur in the training data: equal, reverse-complemented, nearly equal, or overlapping.

    For a stored run, its leaks.csv and leak_free.csv (scores without these sequences) are written again, and `report`
    puts them on the page. With --data, the splits of a file are searched, before any training.
    """
    import pandas as pd

    from benchmarks import registry
    from benchmarks.apps.leakage.search import search_file, search_runs
    from benchmarks.engine.evaluation import leakage
    from benchmarks.engine.reporting.console import open_console
    from benchmarks.engine.store.store import Store
    from benchmarks.io.columns import parse

    if k % 2 == 0 or not 9 <= k <= 23:
        raise BadInput(f"--k expects an odd number from 9 to 23, got {k}.")
    if not 0.5 < threshold <= 1:
        raise BadInput(f"--threshold expects a share above 0.5, up to 1, got {threshold}.")
    if out and not out.parent.is_dir():
        raise BadInput(f"The folder of --out, {out.parent}, does not exist.")
    if data and (report or len(task or ()) != 1):
        raise BadInput("--data expects exactly one --task and no --report.")
    if columns and not data:
        raise BadInput("--columns says what the columns of --data are; a stored run has been read already.")
    if split and not data:
        raise BadInput("--split says how --data is split; a stored run has its own split.")
    for name in task or ():
        registry.get_task(name)
    console = open_console(stderr=json)
    rule = leakage.Rule(k, threshold)

    def say(dataset: str, test_fold: int) -> None:
        console.print(f"searching {dataset}, test fold {test_fold}", markup=False, highlight=False)

    if data:
        task_searched = registry.get_task(task[0])
        overlaps = search_file(task_searched, data, rule, say, split=split, seed=seed, columns=parse(columns))
    else:
        overlaps = search_runs(Store(results), task or (), report or (), rule, say)
    table = pd.concat([overlap.table for overlap in overlaps], ignore_index=True)
    scores = pd.concat([overlap.scores for overlap in overlaps], ignore_index=True)
    if out:
        from benchmarks.io.atomic import write_text

        write_text(out, table.to_csv(index=False))
    if json:
        print_json({"leaks": records(table), "leak_free": records(scores)})
    else:
        _print_overlap(console, table, scores)
    worst = max(overlap.worst for overlap in overlaps)
    if fail_above is not None and worst > fail_above:
        typer.echo(
            f"{worst:.3%} of a test fold is in the training data, more than --fail-above {fail_above:.3%}.", err=True
        )
        raise typer.Exit(1)


def _print_overlap(console: "Console", table: "pd.DataFrame", scores: "pd.DataFrame") -> None:
    """Print how many test sequences overlap with training data, and the largest change of a score without them."""
    from benchmarks.api.metrics import label_of
    from benchmarks.engine.reporting.console import print_table

    simulated = " (SIMULATED DATA)" if (table["origin"] == "simulated").any() else ""
    rows = [
        {
            "task": row["task"],
            "dataset": row["dataset"],
            "test fold": str(row["test_fold"]),
            "kind": row["kind"].replace("_", " "),
            "leaking": f"{row['n_leaking']:,} of {row['n_test']:,}",
            "share": f"{row['share']:.3%}",
            "example": row["examples"].partition(";")[0],
        }
        for row in table.to_dict("records")
        if row["n_leaking"] or row["kind"] == "any"
    ]
    if rows:
        print_table(console, f"Test sequences seen in training{simulated}", rows)
        console.print(table["rule"].iloc[0], markup=False, highlight=False)
    changed = scores[scores["n"] != scores["n_leak_free"]]
    for metric, part in changed.groupby("metric", sort=False):
        row = part.loc[part["difference"].abs().idxmax()] if part["difference"].notna().any() else part.iloc[0]
        where = f"{row['model']}, {row['dataset']}, test fold {row['test_fold']}, {row['subset']}, {row['level']} level"
        console.print(
            f"Largest change of {label_of(metric)} without the overlap: {row['difference']:+.4f} ({where})",
            markup=False,
            highlight=False,
        )
