"""`python -m benchmarks assay init | check`: from any table of sequences and measurements to an assay.yaml."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.cli.options import SETTINGS, ColumnsOption, JsonOption, command, print_json
from benchmarks.errors import BadInput

if TYPE_CHECKING:
    from benchmarks.api.data import Dataset
    from benchmarks.assay.config import AssayConfig

NAME = "assay"
app = typer.Typer(**SETTINGS, help="Describe an assay of your own, for `run --task assay`.")


@command(
    app,
    "assay init my_table.tsv",
    "assay init reporter_experiment.tsv.gz --sequences design.fa --out assay.yaml",
    "assay init elements.bed.gz --genome hg38.fa --set split=chromosomes",
    "assay init my_table.csv --columns 'value=K562;HepG2,id=oligo' --one-per-output",
)
def init(
    table: Annotated[Path, typer.Argument(help="Table of measurements.")],
    sequences: Annotated[
        Path | None, typer.Option(help="FASTA, or a table, of the sequences, where the table has none.")
    ] = None,
    genome: Annotated[
        Path | None, typer.Option(help="FASTA of the genome that sequences are read from, by coordinates.")
    ] = None,
    columns: ColumnsOption = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of assay.yaml (repeatable), as in split=chromosomes.")
    ] = None,
    one_per_output: Annotated[
        bool, typer.Option("--one-per-output", help="A file, so a data set and models, for every output.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="File to write; default: assay.yaml beside the table.")] = None,
    json: JsonOption = False,
) -> None:
    """Look at a table, say what it holds, and write a commented assay.yaml with these guesses."""
    from benchmarks.assay.config import as_dict, changed, moved, to_yaml
    from benchmarks.assay.guess import guess
    from benchmarks.io.atomic import write_text
    from benchmarks.io.columns import parse

    out = out or table.parent / "assay.yaml"
    if not out.parent.is_dir():
        raise BadInput(f"--out: there is no folder {out.parent}.")
    if out.suffix not in (".yaml", ".yml"):
        raise BadInput(f"--out: a name that ends in .yaml is expected, got {out.name}.")
    guessed = guess(table, sequences, given=parse(columns), genome=genome)
    config = moved(changed(guessed.config, set_ or []), table.parent, out.parent)
    configs = {out: config}
    if one_per_output:
        configs = {out.with_name(f"{out.stem}.{name}{out.suffix}"): part for name, part in _one_each(config).items()}
    for file in configs:
        if file.exists():
            raise BadInput(f"--out: {file} is there already; remove it, or name another file.")
    found, problems = [*guessed.found], []
    for file, part in configs.items():
        try:
            content = _content(part, out.parent)
        except BadInput as problem:
            content = [f"As it stands it cannot be read: {problem}"]
            problems.append(str(problem))
        write_text(file, to_yaml(part, [*guessed.found, *content]))
        found += [f"{file.name}: {line}" if one_per_output else line for line in content]
    if json:
        files = [{"out": str(file), "config": as_dict(part)} for file, part in configs.items()]
        print_json({**files[0], "files": files, "found": found, "problems": problems})
    else:
        _say(found, list(configs), problems)
    if problems:
        raise typer.Exit(2)


def _say(found: list[str], files: list[Path], problems: list[str]) -> None:
    for line in found:
        typer.echo(line)
    written, first = ", ".join(map(str, files)), files[0]
    if problems:
        typer.echo(f"Written: {written}. Mend it or the table, then: python -m benchmarks assay check {first}")
    else:
        typer.echo(f"Written: {written}. Look at it, then: python -m benchmarks run --task assay --data {first}")


def _one_each(config: "AssayConfig") -> dict[str, "AssayConfig"]:
    import dataclasses

    return {
        output: dataclasses.replace(
            config,
            values={name: column for name, column in config.values.items() if name == output},
            replicates={name: columns for name, columns in config.replicates.items() if name == output},
            errors={name: column for name, column in config.errors.items() if name == output},
            name=f"{Path(config.table).name.split('.')[0]}_{output}",
        )
        for output in config.outputs
    }


def _content(config: "AssayConfig", folder: Path) -> list[str]:
    """Say what reading everything shows: orientations, groups, near-duplicates, noise ceilings."""
    from benchmarks.api import overlap
    from benchmarks.api.sequences import reverse_complement
    from benchmarks.assay.read import read

    dataset = read(config, folder, "table")
    lines = list(dataset.accounts[0].get("notes", ()))
    if len(dataset) * dataset.codes.shape[1] <= MOST_BASES_COMPARED:
        n_clusters = len(set(overlap.clusters(dataset.codes, reverse_complement(dataset.codes)).tolist()))
        n_groups = dataset.meta["group"].nunique()
        if n_clusters < n_groups:
            lines.append(
                f"Near-duplicates: the {n_groups:,} groups are {n_clusters:,} clusters of overlapping sequences; "
                "`split: homology` keeps each in one fold."
            )
    return [*lines, *_ceilings(dataset)]


MOST_BASES_COMPARED = 20_000_000
"""Of more, `init` does not look for near-duplicates by itself: it would take more than some seconds."""


def _ceilings(dataset: "Dataset") -> list[str]:
    return [
        f"Noise ceiling of {row['output']}, {row['metric']}: {row['value']:.3f} ({row['basis']})"
        for row in dataset.ceilings
    ]


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
    for line in (*dataset.notes, *_ceilings(dataset)):
        typer.echo(line)
