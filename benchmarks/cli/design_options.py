"""What the commands of `design` share: options, checks of them, and what is printed of a designed set."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.cli.options import MODEL_HELP, print_json
from benchmarks.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.api.construct import Construct

RunsOption = Annotated[list[str], typer.Option("--run", "--weights", help=f"{MODEL_HELP} Repeatable.")]
SomeRunsOption = Annotated[list[str] | None, typer.Option("--run", "--weights", help=f"{MODEL_HELP} Repeatable.")]
OutOption = Annotated[Path, typer.Option(help="Oligo table to write, TSV; searches keep their state beside it.")]
TaskOption = Annotated[str, typer.Option("--task", help="Task whose constructs are designed; see `list`.")]
InputOption = Annotated[
    Path | None, typer.Option("--input", help="Sequences: FASTA, table or text; inserts, bare or with flanks.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed designs the same sequences.")]
OutputOption = Annotated[str | None, typer.Option("--output", help="Which output, where a model has several.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def print_set(table: "pd.DataFrame", out: Path, json: bool, facts: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Say what was designed; `facts` on a search are those of `searches.write_search`."""
    from benchmarks.engine.reporting.text import duration

    origin = table["trained_on"].iloc[0]
    n_pairs = int((table["ref_tag"] != "").sum())
    if json:
        print_json({"out": str(out), "n": len(table), "n_pairs": n_pairs, "trained_on": origin or None, **facts})
        return
    if "candidates_per_s" in facts:
        rate = f"{facts['n_predicted']:,} candidates predicted in {duration(facts['seconds'])}"
        typer.echo(f"{rate}, {facts['candidates_per_s']:,.0f} per second")
    label = " by models trained on SIMULATED data" * (origin == "simulated")
    typer.echo(f"{len(table):,} oligos{f', {n_pairs:,} pairs' * bool(n_pairs)}{label}: {out}")


def write_set(table: "pd.DataFrame", out: Path, json: bool) -> None:
    """Write an oligo table that needed no search, and say what was designed."""
    from benchmarks.io.atomic import write_text

    write_text(out, table.to_csv(sep="\t", index=False))
    print_set(table, out, json)


def check_out(out: Path) -> None:
    """Refuse an output that cannot be written, before anything is computed."""
    if not out.parent.is_dir():
        raise BadInput(f"The folder of --out, {out.parent}, does not exist.")
    if out.is_dir():
        raise BadInput(f"--out {out} is a folder; a table, e.g. {out / 'oligos.tsv'}, is expected.")
    if out.suffix == ".gz":
        raise BadInput(f"--out {out}: a plain table is written; leave out the .gz.")


def check_population(n: int, population: int) -> None:
    """Refuse to keep more sequences than a population has."""
    if n > population:
        raise BadInput(f"--n {n:,}: a population of {population:,} holds no more; raise --population or lower --n.")


def say_fewer(n_designed: int, n_wanted: int) -> None:
    """Say that a search ended with fewer distinct sequences than were asked for: selection multiplies the best."""
    if n_designed < n_wanted:
        typer.echo(
            f"{n_designed:,} of {n_wanted:,} sequences: no more of the last population differ; raise --population for "
            "more.", err=True
        )  # fmt: skip


def construct_of(task: str) -> "Construct":
    """Return the construct of a task, by its name."""
    from benchmarks import registry
    from benchmarks.apps.design.predictor import construct_of

    return construct_of(registry.get_task(task))
