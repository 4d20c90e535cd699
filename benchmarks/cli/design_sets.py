"""`python -m benchmarks design …`: sets that need no search, and the library of all."""

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
    draw_inserts,
    read_inserts,
    write,
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
        list[str] | None, typer.Option(help="NAME=WORD, mutated base by base (repeatable); default: Reb1.")
    ] = None,
    copies: Annotated[
        list[str] | None, typer.Option(help="NAME=WORD, repeated side by side, N as is (repeatable); default: Hsf1.")
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

    check_out(out)
    construct = construct_of(task)
    sites = motifs.named_words(motif, {} if copies and not motif else motifs.SITES, construct.length)
    repeated = motifs.named_words(copies, {} if motif and not copies else motifs.COPIES, construct.length)
    names, backgrounds = read_inserts(input_, construct) or draw_inserts(construct, n, seed, "motif_perturbation")
    about, codes = motifs.perturbation(
        names, backgrounds, sites=sites, copies=repeated, at=tuple(at or (motifs.AT,)), n_multiple=multiple, seed=seed
    )
    write(oligo_library.table(construct, codes, about, subset="motif_perturbation"), out, json)


@command(app, "design tile --out tile.tsv", "design tile --motif Gcn4=TGACTCA --n 5 --seed 1 --out tile.tsv")
def tile(
    out: OutOption,
    motif: Annotated[
        list[str] | None, typer.Option(help="NAME=WORD (repeatable); default: the six of the paper.")
    ] = None,
    input_: InputOption = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Random backgrounds, where no --input is given.")] = 3,
    task: TaskOption = "yeast",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Write motifs at every position and orientation into random backgrounds: pairs with the background."""
    from benchmarks.apps.design import motifs, oligo_library

    check_out(out)
    construct = construct_of(task)
    words = motifs.named_words(motif, motifs.TILED, construct.length)
    names, backgrounds = read_inserts(input_, construct) or draw_inserts(construct, n, seed, "motif_tiling")
    about, codes = motifs.tiling(names, backgrounds, words)
    write(oligo_library.table(construct, codes, about, subset="motif_tiling"), out, json)


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
    feature: Annotated[str, typer.Option(help="Feature of the annotation that genes are.")] = "transcript",
    leave_out: Annotated[
        list[str] | None, typer.Option(help="Chromosomes without promoters of interest (repeatable); default: chrM.")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Draw this many pieces; default: all.")] = None,
    task: TaskOption = "yeast",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Cut the promoters of a genome into inserts, as genes read them."""
    import tempfile

    import numpy as np

    from benchmarks.api.genome import Genome
    from benchmarks.apps.design import native_promoters as promoters
    from benchmarks.apps.design import oligo_library

    check_out(out)
    construct = construct_of(task)
    genes = promoters.genes(annotation, feature)
    genes = genes[~genes["chrom"].isin(leave_out or ["chrM"])]
    with tempfile.TemporaryDirectory() as work:
        sequence = Genome(genome, Path(work))
        known = promoters.promoters(genes, sequence.sizes, upstream)
        about, codes = promoters.tiles(sequence, known, construct.length, step or construct.length)
    if n is not None and n > len(codes):
        raise BadInput(f"--n {n:,}: the annotation gives {len(codes):,} pieces; raise --upstream or lower --step.")
    if n is not None:
        rows = np.sort(np.random.default_rng(seed).choice(len(codes), n, replace=False))
        about, codes = about.iloc[rows].reset_index(drop=True), codes[rows]
    write(oligo_library.table(construct, codes, about, subset="native"), out, json)


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
    import numpy as np
    import pandas as pd

    from benchmarks.apps.design import oligo_library

    check_out(out)
    construct = construct_of(task)
    if found := read_inserts(input_, construct):
        names, codes = found
        if n > len(names):
            raise BadInput(f"--n {n:,}: {input_} has {len(names):,} sequences; draw that many at most.")
        rows = np.sort(np.random.default_rng(seed).choice(len(names), n, replace=False))
        names, codes = [names[row] for row in rows], codes[rows]
    else:
        names, codes = draw_inserts(construct, n, seed, "random")
    write(oligo_library.table(construct, codes, pd.DataFrame({"tag": names}), subset="random"), out, json)


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

    Writes oligos.tsv, oligos.fa and the files of the task's scoring. A sequence that several sets ask for is ordered
    once. What a table of --truth says of its origin, in a column `origin`, goes with its numbers.
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
        about = {"oligos": len(table), "subsets": sizes, "origin": origin}
        print_json({"out": str(out), **about, "trained_on": merged.trained_on or None})
        return
    typer.echo(f"{len(table):,} oligos of {construct.row_length} bp: {out}")
    for name, size in sizes.items():
        typer.echo(f"  {name:<20}{size:>7,} {'pairs' if name in merged.pairs else 'sequences'}")
    if truth is None:
        typer.echo("Measure them; the same command with --truth TABLE (sequence, expression) makes it a test set.")
    else:
        typer.echo(f"SIMULATED DATA. {simulated}" if simulated else f"Expression from {truth}.")
