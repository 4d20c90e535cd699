"""`python -m benchmarks regress`: has a change of the code moved a score?"""

import contextlib
import datetime
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.cli.options import SETTINGS, JsonOption, command, print_json
from benchmarks.errors import BadInput
from benchmarks.io.json_files import records

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

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
    update: Annotated[bool, typer.Option("--update", help="Rewrite the reference instead of judging by it.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for --update; kept in LOG.md.")] = None,
    n_seeds: Annotated[int, typer.Option(min=3, help="Seeds that --update measures the spread over.")] = 10,
    summary: Annotated[Path | None, typer.Option(help="File to append a Markdown table to, for CI pages.")] = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="Folder to keep the trainings in; default: none is kept.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Train a small fixed matrix of models on simulated data again, on the CPU, and judge its scores by a reference.

    Exit code 1 if a score is out of its tolerance, in either direction, or missing, or a model has another number of
    parameters. Tolerances come from the spread between seeds. Speed is shown and never judged.
    """
    from benchmarks.apps.regression import reference, train_matrix
    from benchmarks.apps.regression.tolerance import judge, parameters_moved
    from benchmarks.engine.reporting.console import open_console

    if update != (reason is not None and bool(reason.strip())):
        raise BadInput("--update and --reason 'why' belong together; one of them is missing.")
    if update and (set_ or shuffle_labels):
        raise BadInput("--update takes the matrix as it is; change matrix.json instead of --set or --shuffle-labels.")
    if summary and not summary.parent.is_dir():
        raise BadInput(f"The folder of --summary, {summary.parent}, does not exist.")
    entries = reference.read_matrix(against)
    console = open_console(stderr=json)
    if update:
        _update(console, against, entries, reason.strip(), n_seeds, results)
        return
    known = reference.read(against)
    planned = train_matrix.plans(entries, seed=seed, changes=set_ or (), shuffle=shuffle_labels)
    _refuse_other_versions(against, known, planned)
    with _store(results) as store:
        found = train_matrix.measure(planned, store, _say(console))
    table = judge(found.scores, known.scores)
    moved = parameters_moved(found.n_params, known.about["n_params"])
    problems = [f"training failed: {failure}" for failure in found.failures] + moved
    failed = int((table["verdict"] == "fails").sum())
    notes = problems + _notes(found, known, shuffle_labels, set_ or ())
    print_verdicts(console, table, notes)
    heading = f"Scores: {failed or 'none'} of {len(table)} out of tolerance"
    console.print(heading + (f"; {len(problems)} other problems" if problems else ""), style="bold")
    if summary:
        with summary.open("a", encoding="utf-8") as file:
            file.write(reference.as_markdown(table, f"{heading} (SIMULATED DATA)", notes))
    if json:
        print_json({"verdicts": records(table), "problems": problems, "notes": notes, "failed": failed})
    if failed or problems:
        raise typer.Exit(1)


@contextlib.contextmanager
def _store(results: Path | None) -> Iterator[Any]:
    from benchmarks.engine.store.store import Store

    with contextlib.ExitStack() as stack:
        store = Store(results or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="regress-"))))
        store.check_writable()
        yield store


def _say(console: Any) -> Any:
    def on_event(job: Any, kind: str, payload: Any) -> None:
        if kind in ("done", "failed"):
            console.print(f"{kind}: {job.task}, {job.model}, {job.split_name}", markup=False, highlight=False)

    return on_event


def _update(console: Any, folder: Path, entries: list, reason: str, n_seeds: int, results: Path | None) -> None:
    import pandas as pd

    from benchmarks import system
    from benchmarks.apps.regression import train_matrix
    from benchmarks.apps.regression.tolerance import reference_of
    from benchmarks.io.atomic import write_text
    from benchmarks.io.json_files import write_json

    tables, found = [], None
    for seed in range(n_seeds):
        console.print(f"seed {seed + 1} of {n_seeds}", style="bold")
        with _store(results) as store:
            found = train_matrix.measure(train_matrix.plans(entries, seed=seed), store, _say(console))
        if found.failures:
            raise BadInput(f"A training failed, so nothing was rewritten: {found.failures[0]}")
        tables.append(found.scores.assign(seed=seed))
    try:
        scores = reference_of(pd.concat(tables, ignore_index=True))
    except ValueError as error:
        raise BadInput(f"Nothing was rewritten: {error}.") from None
    about = {
        "n_params": found.n_params,
        "digests": found.digests,
        "train_seq_per_s": found.train_seq_per_s,
        "hardware": system.hardware(),
        "versions": system.versions(),
    }
    log = folder / "LOG.md"
    before = log.read_text(encoding="utf-8") if log.is_file() else "# Why this reference was rewritten\n\n"
    today = datetime.date.today().isoformat()
    write_text(folder / "scores.csv", scores.to_csv(index=False, float_format="%.6f"))
    write_json(folder / "about.json", about)
    write_text(log, f"{before}* {today}, {n_seeds} seeds: {reason}\n")
    loose = scores[~scores["judged"]]
    console.print(f"{len(scores)} scores over {n_seeds} seeds; {len(loose)} vary too much to be judged.", style="bold")


def _refuse_other_versions(folder: Path, known: Any, planned: list) -> None:
    versions = dict(zip(known.scores["task"], known.scores["task_version"], strict=True))
    for plan in planned:
        if plan.task in versions and versions[plan.task] != plan.task_version:
            raise BadInput(
                f"{folder} holds scores of {plan.task} version {versions[plan.task]}, this is version "
                f"{plan.task_version}: they do not compare. Rewrite it: --update --reason 'why'."
            )


def _notes(found: Any, known: Any, shuffled: bool, changes: Any) -> list[str]:
    notes = ["targets were permuted: scores must fail"] if shuffled else []
    notes += [f"changed on purpose: {change}" for change in changes]
    if not shuffled:
        notes += [
            f"{name}: the simulated data differ from the reference's (another numpy?); scores decide"
            for name, digest in known.about["digests"].items()
            if found.digests.get(name, digest) != digest
        ]
    for name, speed in found.train_seq_per_s.items():
        if before := known.about["train_seq_per_s"].get(name):
            notes.append(f"speed, not judged: {name} {speed:,.0f} sequences/s, reference {before:,.0f}")
    return notes


def print_verdicts(console: "Console", table: "pd.DataFrame", notes: Collection[str]) -> None:
    """Print what a regression test says of every score, those that fail last, where they are seen; then its notes."""
    from benchmarks.engine.reporting.console import print_table

    rows = []
    for row in table.sort_values("verdict", key=lambda values: values == "fails", kind="stable").itertuples():
        about = {name: getattr(row, name) for name in ("verdict", "task", "model", "output", "subset", "metric")}
        numbers = {"reference": row.reference, "tolerance": row.tolerance, "measured": row.measured}
        rows.append(
            about
            | {name: f"{value:.4f}" if value == value else "–" for name, value in numbers.items()}
            | {"difference": f"{row.difference:+.4f}" if row.difference == row.difference else "–"}
        )
    print_table(console, "Scores against the reference (SIMULATED DATA)", rows)
    for note in notes:
        console.print(f"  {note}", markup=False, highlight=False)
