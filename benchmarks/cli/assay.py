"""`python -m benchmarks assay init | check`: from any table of sequences and measurements to an assay.yaml."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cli.options import SETTINGS, ColumnsOption, JsonOption, command, print_json
from benchmarks.errors import BadInput

NAME = "assay"
app = typer.Typer(**SETTINGS, help="Describe an assay of your own, for `run --task assay`.")


@command(
    app,
    "assay init my_table.tsv",
    "assay init reporter_experiment.tsv.gz --sequences design.fa --out assay.yaml",
    "assay init my_table.csv --columns 'value=K562;HepG2,id=oligo'",
)
def init(
    table: Annotated[Path, typer.Argument(help="Table of measurements, with a header.")],
    sequences: Annotated[
        Path | None, typer.Option(help="FASTA, or a table, of the sequences, where the table has none.")
    ] = None,
    columns: ColumnsOption = None,
    out: Annotated[Path | None, typer.Option(help="File to write; default: assay.yaml beside the table.")] = None,
    json: JsonOption = False,
) -> None:
    """Look at a table, say what it holds, and write a commented assay.yaml with these guesses."""
    import dataclasses

    from benchmarks.assay import config
    from benchmarks.assay.guess import guess
    from benchmarks.io.atomic import write_text
    from benchmarks.io.columns import parse

    out = out or table.parent / "assay.yaml"
    if out.parent.resolve() != table.parent.resolve():
        raise BadInput(f"--out: {out} must lie beside {table}: paths in it are relative to it.")
    if out.exists():
        raise BadInput(f"--out: {out} is there already; remove it, or name another file.")
    guessed = guess(table, sequences, given=parse(columns))
    write_text(out, config.to_yaml(guessed.config, guessed.found))
    if json:
        print_json({"out": str(out), "found": guessed.found, "config": dataclasses.asdict(guessed.config)})
        return
    for line in guessed.found:
        typer.echo(line)
    typer.echo(f"Written: {out}. Look at it, then: python -m benchmarks run --task assay --data {out}")


@command(app, "assay check assay.yaml", "assay check assay.yaml --json")
def check(
    config: Annotated[Path, typer.Argument(help="assay.yaml, or a table.")],
    json: JsonOption = False,
) -> None:
    """Read everything that an assay.yaml describes, and say what was read and what was left out."""
    from benchmarks.assay import task

    dataset = task.load(config)
    if json:
        print_json({"name": dataset.name, "rows": len(dataset), "accounts": list(dataset.accounts)})
        return
    for note in dataset.notes:
        typer.echo(note)
    for row in dataset.ceilings:
        typer.echo(f"Noise ceiling of {row['output']}, {row['metric']}: {row['value']:.3f} ({row['basis']})")
