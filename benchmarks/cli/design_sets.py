"""`python -m benchmarks design …`: sets that need no search, and the library of several sets."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cli.design_options import (
    InputOption,
    OutOption,
    SeedOption,
    TaskOption,
    check_out,
    construct_of,
    write_set,
)
from benchmarks.cli.options import SETTINGS, JsonOption, command, print_json
from benchmarks.errors import BadInput

app = typer.Typer(**SETTINGS)


@command(
    app,
    "design perturb --out perturb.tsv",
    "design perturb --input backgrounds.fa --motif Rap1=ACACCCATACATT --at 20 --at 50 --out perturb.tsv",
)
def perturb(
    out: OutOption,
    motif: Annotated[
        list[str] | None, typer.Option(help="NAME=SEQUENCE, mutated base by base (repeatable); default: Reb1.")
    ] = None,
    copies: Annotated[
        list[str] | None,
        typer.Option(help="NAME=SEQUENCE, repeated side by side, N as is (repeatable); default: Hsf1."),
    ] = None,
    at: Annotated[list[int] | None, typer.Option(help="Where sites begin, from 0 (repeatable); default: 20.")] = None,
    multiple: Annotated[int, typer.Option(min=0, help="Double, and triple, mutations per site and background.")] = 50,
    input_: InputOption = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Random backgrounds, where no --input is given.")] = 10,
    task: TaskOption = "yeast",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Mutate motifs and repeat them in random backgrounds: pairs with the background."""
    from benchmarks.apps.design import motifs, oligo_library
    from benchmarks.apps.design.inserts import read_or_draw

    check_out(out)
    construct = construct_of(task)
    sites = motifs.named_motifs(motif, {} if copies and not motif else motifs.SITES, construct.length)
    repeated = motifs.named_motifs(copies, {} if motif and not copies else motifs.COPIES, construct.length)
    names, backgrounds = read_or_draw(input_, construct, n, seed, "motif_perturbation")
    tags, codes = motifs.perturbation(
        names, backgrounds, sites=sites, copies=repeated, at=tuple(at or (motifs.AT,)), n_multiple=multiple, seed=seed
    )
    write_set(oligo_library.table(construct, codes, tags, subset="motif_perturbation"), out, json)


@command(app, "design tile --out tile.tsv", "design tile --motif Gcn4=TGACTCA --n 5 --seed 1 --out tile.tsv")
def tile(
    out: OutOption,
    motif: Annotated[
        list[str] | None, typer.Option(help="NAME=SEQUENCE (repeatable); default: the six of the paper.")
    ] = None,
    input_: InputOption = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Random backgrounds, where no --input is given.")] = 3,
    task: TaskOption = "yeast",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Write motifs at every position and orientation into random backgrounds: pairs with the background."""
    from benchmarks.apps.design import motifs, oligo_library
    from benchmarks.apps.design.inserts import read_or_draw

    check_out(out)
    construct = construct_of(task)
    tiled = motifs.named_motifs(motif, motifs.TILED, construct.length)
    names, backgrounds = read_or_draw(input_, construct, n, seed, "motif_tiling")
    tags, codes = motifs.tiling(names, backgrounds, tiled)
    write_set(oligo_library.table(construct, codes, tags, subset="motif_tiling"), out, json)


@command(
    app,
    "design native --genome sacCer3.fa.gz --annotation sacCer3.ensGene.gtf.gz --out native.tsv",
    "design native --genome G.fa --annotation G.gtf --upstream 240 --step 40 --n 1000 --out native.tsv",
)
def native(
    genome: Annotated[Path, typer.Option(help="Genome: FASTA, plain, gzip or bgzip.")],
    annotation: Annotated[Path, typer.Option(help="Genes: GTF, plain or gzip.")],
    out: OutOption,
    upstream: Annotated[int, typer.Option(min=1, help="bp before a gene at most; it ends at the gene before.")] = 500,
    step: Annotated[int | None, typer.Option(min=1, help="bp from piece to piece; default: an insert.")] = None,
    feature: Annotated[str, typer.Option(help="Feature of the annotation that is taken as genes.")] = "transcript",
    leave_out: Annotated[
        list[str] | None, typer.Option(help="Chromosomes without promoters of interest (repeatable); default: chrM.")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Draw this many pieces; default: all.")] = None,
    task: TaskOption = "yeast",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Cut the promoters of a genome into inserts, in the direction of their genes."""
    from benchmarks.apps.design import oligo_library
    from benchmarks.apps.design.native_promoters import native_set

    check_out(out)
    construct = construct_of(task)
    metadata, codes = native_set(
        genome, annotation, construct.length, upstream=upstream, step=step or construct.length, feature=feature,
        leave_out=leave_out or ["chrM"], n=n, seed=seed,
    )  # fmt: skip
    write_set(oligo_library.table(construct, codes, metadata, subset="native"), out, json)


@command(app, "design random --n 6000 --out random.tsv", "design random --n 500 --input earlier.tsv --out random.tsv")
def random_(
    out: OutOption,
    n: Annotated[int, typer.Option("--n", min=1, help="Sequences to draw.")] = 6000,
    input_: InputOption = None,
    task: TaskOption = "yeast",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Draw random sequences: of equally likely bases, or from an earlier experiment's."""
    import pandas as pd

    from benchmarks.apps.design import oligo_library
    from benchmarks.apps.design.inserts import draw_inserts, sample_inserts

    check_out(out)
    construct = construct_of(task)
    if input_:
        names, codes = sample_inserts(input_, construct, n, seed)
    else:
        names, codes = draw_inserts(construct, n, seed, "random")
    write_set(oligo_library.table(construct, codes, pd.DataFrame({"tag": names}), subset="random"), out, json)


@command(
    app,
    "design library --part high.tsv --part challenging.tsv --part snv.tsv --out library/",
    "design library --part high.tsv --part low.tsv --truth labels.tsv --out designed/",
    "design library --part challenging.tsv --truth simulated --out designed/",
)
def library(
    part: Annotated[list[Path], typer.Option(help="Oligo table that `design` wrote (repeatable).")],
    out: Annotated[Path, typer.Option(help="Folder to write; it must not be there yet.")],
    truth: Annotated[
        str | None,
        typer.Option(help="Table of sequence and expression as measured; or `simulated`: the task's known answer."),
    ] = None,
    task: TaskOption = "yeast",
    json: JsonOption = False,
) -> None:
    """Put sets together: oligos to order, and, with their expression, a test set for `challenge score`.

    Writes oligos.tsv, oligos.fa and the files of the task's scoring. A sequence of several sets is one
    oligo. A column `origin` of --truth (measured or simulated) goes with its numbers.
    """
    from benchmarks import registry
    from benchmarks.api.task import HasDesignedTestSet, supports
    from benchmarks.apps.design import oligo_library
    from benchmarks.io.atomic import whole_folder, write_text

    module = registry.get_task(task)
    construct = construct_of(task)
    if not supports(module, HasDesignedTestSet):
        raise BadInput(f"{task} has no scoring of designed libraries; yeast has.")
    if out.exists():
        raise BadInput(f"--out {out} is there already; name a folder that is not, or remove it.")
    merged = oligo_library.merge(part, construct)
    table = merged.oligos()
    y_true, simulated = None, ""
    if truth == "simulated":
        y_true = module.simulated_expression(table["sequence"].tolist())
        simulated = "The expression of these designed sequences is the simulation's own, without noise."
    elif truth is not None:
        y_true, origin = oligo_library.expression_of(Path(truth), merged)
        simulated = f"Expression from {Path(truth).name}, of a simulated experiment." * (origin == "simulated")
    with whole_folder(out, replace=True) as new:
        write_text(new / "oligos.tsv", table.to_csv(sep="\t", index=False))
        write_text(new / "oligos.fa", "".join(f">{row.seq_id}\n{row.sequence}\n" for row in table.itertuples()))
        module.write_designed(
            new, table["sequence"].tolist(), merged.singles, merged.pairs, y_true, simulated=simulated
        )
    sizes = {name: len(rows) for name, rows in (*merged.singles.items(), *merged.pairs.items())}
    if json:
        origin = ("simulated" if simulated else "measured") if truth else None
        facts = {"oligos": len(table), "subsets": sizes, "origin": origin}
        print_json({"out": str(out), **facts, "trained_on": merged.trained_on or None})
        return
    typer.echo(f"{len(table):,} oligos of {construct.row_length} bp: {out}")
    for name, size in sizes.items():
        typer.echo(f"  {name:<20}{size:>7,} {'pairs' if name in merged.pairs else 'sequences'}")
    if truth is None:
        typer.echo("Measure them; the same command with --truth TABLE (sequence, expression) makes it a test set.")
    else:
        typer.echo(f"SIMULATED DATA. {simulated}" if simulated else f"Expression from {truth}.")
