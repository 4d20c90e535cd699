"""`python -m benchmarks quantify …`: from the reads of a sorted library to the labels that the yeast task reads."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks import system
from benchmarks.cli.options import SETTINGS, JsonOption, command, print_json
from benchmarks.errors import BadInput
from benchmarks.io.json_files import records

if TYPE_CHECKING:
    from benchmarks.apps.quantify.count import Counts
    from benchmarks.apps.quantify.library_files import SequencedLibrary
    from benchmarks.apps.quantify.pipeline import Labels

NAME = "quantify"
app = typer.Typer(help="From the reads of a sorted library to expression labels.", no_args_is_help=True, **SETTINGS)

SheetOption = Annotated[
    Path,
    typer.Option(help="Table: bin, read1, read2; where known replicate, cells, start_q, end_q or fraction."),
]
OutOption = Annotated[Path, typer.Option(help="Folder to write to; it is created.")]
OverlapOption = Annotated[int, typer.Option(min=1, help="Expected overlap of the mates, in bases.")]
ToleranceOption = Annotated[int, typer.Option(min=0, help="By how much an overlap may differ from that.")]
IdentityOption = Annotated[float, typer.Option(help="Share of equal bases that an overlap must exceed.")]
LeftOption = Annotated[str | None, typer.Option(help="Constant bases at the left end; default: the yeast adapter.")]
RightOption = Annotated[str | None, typer.Option(help="Constant bases at the right end; default: the yeast adapter.")]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Processes, and threads of bowtie2; default: all cores.")
]
MinReadsOption = Annotated[int, typer.Option(min=1, help="Reads that a sequence needs to get a label.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")]
CellsOption = Annotated[float, typer.Option(min=0.01, help="Sorted cells per promoter, all bins together, on average.")]
GatesOption = Annotated[
    str, typer.Option(help="uniform: equally wide in log fluorescence; quantile: equally many cells.")
]


@command(
    app,
    "quantify reads --sheet reads/sheet.tsv --out data/mylab",
    "quantify reads --sheet reads/sheet.tsv --out data/mylab --weights relative --workers 8",
)
def reads(
    sheet: SheetOption,
    out: OutOption,
    weights: Annotated[str, typer.Option(help="What a read weighs: cells, gates, relative or reads.")] = "cells",
    collapse: Annotated[
        str, typer.Option(help="Misread copies: chains (transitive), published (a single pass) or none.")
    ] = "chains",
    min_reads: MinReadsOption = 1,
    overlap: OverlapOption = 40,
    tolerance: ToleranceOption = 15,
    identity: IdentityOption = 0.75,
    left: LeftOption = None,
    right: RightOption = None,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> None:
    """Quantify random promoters: merge pairs, count, collapse misread copies, average the bins.

    Writes train.txt, which the yeast task reads, promoters.tsv.gz with errors and counts, collapse_map.txt.gz, and a
    quality report. Counts are kept in OUT/work: a killed command resumes where it was.
    """
    from benchmarks.apps.quantify import bowtie2, estimators, library_files, pipeline
    from benchmarks.apps.quantify.merge_reads import Rule

    estimators.weighted(weights)  # refuses unknown weights before anything is read
    if collapse not in pipeline.COLLAPSES:
        raise BadInput(f"--collapse expects {', '.join(pipeline.COLLAPSES)}, got {collapse!r}.")
    if collapse != "none":
        bowtie2.require()
    rule = Rule(overlap, tolerance, identity)
    library = library_files.open_library(
        sheet, out, rule, left=left, right=right, workers=workers, numbered=True, weights=weights
    )
    counts, labels = library_files.quantify_promoters(library, weights, collapse=collapse, min_reads=min_reads)
    _report(library, "reads", counts, labels, json)


@command(
    app,
    "quantify designed --sheet reads/sheet.tsv --ordered oligos.tsv --out data/mylab",
    "quantify designed --sheet reads/sheet.tsv --ordered oligos.fa --subsets design/ --controls ids.txt --out o/",
)
def designed(
    sheet: SheetOption,
    ordered: Annotated[Path, typer.Option(help="Designed oligos as they are read, flanks included: FASTA or table.")],
    out: OutOption,
    subsets: Annotated[
        Path | None, typer.Option(help="Folder with test_subset_ids/; positions are of --ordered.")
    ] = None,
    controls: Annotated[Path | None, typer.Option(help="File with the ids of negative controls, one a line.")] = None,
    pseudocount: Annotated[float, typer.Option(min=0, help="Pseudo-reads per million reads of a bin; 0: none.")] = 10.0,
    min_reads: MinReadsOption = 1,
    overlap: OverlapOption = 40,
    tolerance: ToleranceOption = 15,
    identity: IdentityOption = 0.75,
    left: LeftOption = None,
    right: RightOption = None,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> None:
    """Quantify a designed library: merge pairs, assign them to designed oligos, estimate expression with MAUDE.

    Writes the test set that the yeast task and `challenge` read, with --subsets its subset files, designed.tsv.gz with
    errors and counts, and a quality report. The sample sheet needs the quantiles of every bin.
    """
    from benchmarks.apps.quantify import bowtie2, designed_oligos, library_files
    from benchmarks.apps.quantify.merge_reads import Rule

    bowtie2.require()
    oligos = designed_oligos.read(ordered)
    is_control = designed_oligos.controls(controls, oligos.ids) if controls else None
    rule = Rule(overlap, tolerance, identity)
    library = library_files.open_library(sheet, out, rule, left=left, right=right, workers=workers, numbered=False)
    counts, labels = library_files.quantify_designed(
        library, oligos, is_control=is_control, subsets=subsets, pseudocount=pseudocount, min_reads=min_reads
    )
    _report(library, "designed", counts, labels, json)


@command(
    app,
    "quantify simulate --out sim/ --promoters 20000 --cells 30 --reads 75",
    "quantify simulate --out sim/ --library oligos.tsv --cells 100 --reads 250 --replicates 2",
)
def simulate(
    out: OutOption,
    library: Annotated[Path | None, typer.Option(help="Sequences to sort, flanks included; default: drawn.")] = None,
    n: Annotated[int, typer.Option("--promoters", min=2, help="Promoters to draw, without --library.")] = 2_000,
    cells: CellsOption = 30.0,
    reads_: Annotated[float, typer.Option("--reads", min=0.01, help="Read pairs per promoter, on average.")] = 75.0,
    unsorted: Annotated[float, typer.Option(min=0, help="Read pairs per promoter before sorting; 0: none.")] = 0.0,
    replicates: Annotated[int, typer.Option(min=1, help="Sorts of the same library.")] = 1,
    gates: GatesOption = "uniform",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Simulate a sorting experiment: cells, gates, growth, amplification, paired reads with errors. SIMULATED DATA.

    Writes paired FASTQ files, sheet.tsv for `reads` and `designed`, and truth.tsv.gz for `check`.
    """
    from benchmarks.apps.quantify.simulate import Design
    from benchmarks.apps.quantify.simulated_experiment import write_experiment

    design = Design(cells=cells, reads=reads_, gates=gates, unsorted=unsorted)
    facts = write_experiment(out, design, library=library, n_promoters=n, n_replicates=replicates, seed=seed)
    if json:
        print_json(facts)
        return
    typer.echo(
        f"SIMULATED DATA: {facts['n_cells']:,} cells of {facts['n_promoters']:,} promoters, {facts['n_pairs']:,} pairs"
    )
    if facts["n_empty_bins"]:
        typer.echo(f"{facts['n_empty_bins']} bins got no cell or no read, and are not in the sample sheet.")
    typer.echo(f"Sheet: {facts['sheet']}")


@command(
    app,
    "quantify check --truth sim/truth.tsv.gz --labels data/sim/promoters.tsv.gz",
    "quantify check --truth sim/truth.tsv.gz --labels data/sim/designed.tsv.gz --json",
)
def check(
    truth: Annotated[Path, typer.Option(help="truth.tsv.gz of a simulated experiment.")],
    labels: Annotated[Path, typer.Option(help="promoters.tsv.gz or designed.tsv.gz made of its reads.")],
    out: Annotated[Path | None, typer.Option(help="PNG and SVG file to draw, without ending.")] = None,
    json: JsonOption = False,
) -> None:
    """Compare labels of a SIMULATED experiment with the truth: correlation, and coverage of the intervals."""
    from benchmarks.apps.quantify.simulation_check import check_files

    result, table = check_files(truth, labels)
    if out and system.can_draw():
        from benchmarks.engine.figures import quantify, style

        x, y = table["true_expression"].to_numpy(), table["expression"].to_numpy()
        style.save(quantify.against_truth(x, y, f"r = {result['pearson_r']:.3f}"), out)
    if json:
        print_json(result | {"origin": "simulated"})
        return
    typer.echo(f"SIMULATED DATA: {result['n_found']:,} of {result['n_promoters']:,} promoters have a label")
    typer.echo(f"With the true expression: r = {result['pearson_r']:.4f}, rho = {result['spearman_rho']:.4f}")
    typer.echo(f"With the same labels without noise: r = {result['pearson_r_noise_free']:.4f}")
    coverage = f"{result['coverage']:.1%} of {result['n_intervals']:,}"
    typer.echo(f"95 % intervals that hold the value without noise: {coverage}")


@command(
    app,
    "quantify plan --promoters 5000 --cells 3,10,30,100 --reads-per-cell 1,3 --out plan/",
    "quantify plan --cells 10,30 --reads-per-cell 2 --json",
)
def plan(
    n: Annotated[int, typer.Option("--promoters", min=50, help="Promoters that are simulated.")] = 3_000,
    cells: Annotated[str, typer.Option(help="Sorted cells per promoter, separated by commas.")] = "3,10,30,100",
    reads_per_cell: Annotated[str, typer.Option(help="Reads per sorted cell, separated by commas.")] = "1,3",
    pseudocount: Annotated[float, typer.Option(min=0, help="Of MAUDE.")] = 10.0,
    weights: Annotated[str, typer.Option(help="Of the weighted average.")] = "cells",
    gates: GatesOption = "uniform",
    seed: SeedOption = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the table and its plot.")] = None,
    json: JsonOption = False,
) -> None:
    """Predict the correlation that a perfect model could reach on labels from some cells and reads. SIMULATED DATA."""
    from benchmarks import registry
    from benchmarks.apps.quantify import estimators, experiment_planning
    from benchmarks.apps.quantify.simulate import Design
    from benchmarks.engine.reporting.console import bar
    from benchmarks.io.atomic import write_text

    task = registry.get_task("yeast")
    designs = experiment_planning.grid(
        Design(gates=gates), _numbers("--cells", cells), _numbers("--reads-per-cell", reads_per_cell)
    )
    by_name = {"weighted average": estimators.weighted(weights), "MAUDE": estimators.by_maude(pseudocount)}
    expression = task.simulated_expression(task.simulated_library(n, seed=seed))
    with bar("experiments", len(designs)) as on_done:
        table = experiment_planning.plan(expression, designs, by_name, seed=seed, on_done=on_done)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "plan.csv", table.to_csv(index=False))
        if system.can_draw():
            from benchmarks.engine.figures import quantify, style

            style.save(quantify.plan(table), out / "plan")
    if json:
        print_json(records(table))
        return
    typer.echo("SIMULATED DATA: attainable r, r with the truth, median standard error")
    for row in table.itertuples():
        typer.echo(
            f"  {row.estimator:<18}{row.cells:>8,g} cells {row.reads:>8,g} reads per promoter: {row.ceiling:.3f}  "
            f"{row.pearson_r_true:.3f}  {row.median_se:.3f}  ({row.n_labels:,} of {row.n_promoters:,} labelled)"
        )


@command(app, "quantify bench --pairs 50000", "quantify bench --pairs 50000 --json")
def bench(
    n: Annotated[int, typer.Option("--pairs", min=1_000, help="Pairs that are simulated and merged.")] = 50_000,
    repeats: Annotated[int, typer.Option(min=1, help="Times that both ways are measured, in turns.")] = 3,
    json: JsonOption = False,
) -> None:
    """Measure how fast pairs are merged and counted, against a loop over reads like that of the published script.

    Both read the same gzip FASTQ files and count the same merged sequences, in one process.
    """
    from benchmarks.apps.quantify import merging_speed

    speed = merging_speed.measure(n, repeats)
    if json:
        print_json(speed)
        return
    typer.echo(
        f"{speed['pairs_per_s']:,.0f} pairs/s, a loop over reads {speed['loop_pairs_per_s']:,.0f}: "
        f"{speed['ratio']:.1f} times (median of {repeats}, in turns; the same counts)"
    )


def _report(library: "SequencedLibrary", kind: str, counts: "Counts", labels: "Labels", json: bool) -> None:
    """Write the quality report, and print its main facts or all of them as JSON."""
    from benchmarks.apps.quantify.quality_report import write_report

    facts = write_report(library, kind, counts, labels)
    if not system.can_draw():
        typer.echo("No plots: `pip install -e '.[figures]'` for them.", err=True)
    if json:
        print_json(facts)
        return
    n_pairs, n_merged = facts["n_pairs"], facts["n_merged"]
    typer.echo("SIMULATED DATA" if facts["origin"] == "simulated" else "Measured data")
    typer.echo(f"{n_merged:,} of {n_pairs:,} pairs merged ({n_merged / n_pairs:.1%})")
    if kind == "reads":
        typer.echo(f"{facts['n_distinct']:,} distinct sequences, {len(labels.merged):,} of them collapsed into another")
        typer.echo(f"{facts['n_promoters']:,} promoters, {facts['n_singletons']:,} of them seen in one bin")
    else:
        typer.echo(
            f"{facts['n_estimated']:,} of {facts['n_ordered']:,} designed oligos estimated; "
            f"{facts['n_reads_ambiguous']:,} reads fit two of them, {facts['n_reads_unaligned']:,} none"
        )
    for row in labels.agreement.itertuples():
        typer.echo(f"Replicates {row.replicate} and {row.other}: r = {row.pearson_r:.3f} (n = {row.n:,})")
    typer.echo(f"Labels, errors and quality report: {library.out}")


def _numbers(option: str, text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(0 < number < 1e7 for number in numbers):
        raise BadInput(f"{option} expects numbers above 0 separated by commas, got {text!r}.")
    return numbers
