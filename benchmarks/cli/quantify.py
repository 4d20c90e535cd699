"""`python -m benchmarks quantify …`: from the reads of a sorted library to the labels that the yeast task reads."""

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import system
from benchmarks.cli.options import SETTINGS, JsonOption, command, print_json
from benchmarks.errors import BadInput
from benchmarks.io.json_files import records

NAME = "quantify"
app = typer.Typer(help="From the reads of a sorted library to expression labels.", no_args_is_help=True, **SETTINGS)

SheetOption = Annotated[
    Path, typer.Option(help="Table: bin, read1, read2; where known replicate, cells, start_q, end_q or fraction.")
]
OutOption = Annotated[Path, typer.Option(help="Folder to write to; it is made.")]
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
        str, typer.Option(help="Misread copies: chains, published (a single sweep) or none.")
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
    report of quality. Files that are counted are kept in OUT/work: a killed command goes on where it was.
    """
    from benchmarks.apps.quantify import bowtie2, label_files, pipeline
    from benchmarks.apps.quantify import estimators as estimate
    from benchmarks.engine.reporting.console import bar

    estimator = estimate.weighted(weights)
    if collapse not in pipeline.COLLAPSES:
        raise BadInput(f"--collapse expects {', '.join(pipeline.COLLAPSES)}, got {collapse!r}.")
    if collapse != "none":
        bowtie2.require()
    library, flanks, workers = _opened(sheet, out, left, right, workers, numbered=True, weights=weights)
    counts, settings = _counted(library, out, (overlap, tolerance, identity), flanks, workers)
    with bar("collapsing", 3) as on_done:
        labels = pipeline.promoters(
            library, counts, flanks, estimator, kind=collapse, min_reads=min_reads, threads=workers,
            on_pass=on_done,
        )  # fmt: skip
    rows = labels.table[label_files.trainable(labels.table["sequence"])]
    facts = {"settings": settings | {"weights": weights, "min_reads": min_reads}} | labels.facts
    facts["n_rows_left_out_by_length"] = len(labels.table) - len(rows)
    _mark(out, library)
    label_files.write_table(out / label_files.PROMOTERS, labels.table)
    label_files.write_table(out / "collapse_map.txt.gz", labels.merged, header=False)
    label_files.write_table(out / label_files.TRAIN, rows[["sequence", "expression"]], header=False, digits=10)
    _report(out, "reads", library, counts, labels, facts, json)


@command(
    app,
    "quantify designed --sheet reads/sheet.tsv --ordered oligos.tsv --out data/mylab",
    "quantify designed --sheet reads/sheet.tsv --ordered oligos.fa --subsets design/ --controls ids.txt --out o/",
)
def designed(
    sheet: SheetOption,
    ordered: Annotated[Path, typer.Option(help="Ordered sequences as they are read, flanks included: FASTA or table.")],
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
    """Quantify a designed library: merge pairs, find their ordered sequences, estimate expression with MAUDE.

    Writes the test set that the yeast task and `challenge` read, with --subsets its subset files, designed.tsv.gz with
    errors and counts, and a report of quality. The sheet needs the quantiles of every bin.
    """
    import numpy as np

    from benchmarks.apps.quantify import bowtie2, label_files, pipeline
    from benchmarks.apps.quantify import designed_library as controlling

    bowtie2.require()
    ids, sequences, _ = _ordered(ordered)
    is_control = controlling.controls(controls, ids) if controls else None
    library, flanks, workers = _opened(sheet, out, left, right, workers, numbered=False)
    counts, settings = _counted(library, out, (overlap, tolerance, identity), flanks, workers)
    labels = pipeline.designed(
        library, counts, ids, sequences, is_control=is_control, pseudocount=pseudocount, min_reads=min_reads,
        threads=workers,
    )  # fmt: skip
    kept = labels.table["expression"].notna().to_numpy()
    facts = {"settings": settings | {"min_reads": min_reads}} | labels.facts
    facts["n_subset_rows_left_out"] = label_files.write_subsets(subsets, out, kept) if subsets else None
    _mark(out, library)
    position = np.where(kept, np.cumsum(kept) - 1, -1)
    label_files.write_table(out / label_files.DESIGNED, labels.table.assign(pos=position))
    label_files.write_table(out / label_files.TEST, labels.table.loc[kept, ["sequence", "expression"]], header=False)
    _report(out, "designed", library, counts, labels, facts, json)


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
    import numpy as np
    import pandas as pd

    from benchmarks import registry
    from benchmarks.api import simulated_marker
    from benchmarks.api.sequences import SequenceError
    from benchmarks.apps.quantify import label_files
    from benchmarks.apps.quantify import simulate as simulation
    from benchmarks.engine.reporting.console import bar

    task = registry.get_task("yeast")
    design = simulation.Design(cells=cells, reads=reads_, gates=gates, unsorted=unsorted)
    _, sequences, lines = _ordered(library) if library else ([], task.simulated_library(n, seed=seed), [])
    rng = np.random.default_rng([seed, 1])
    try:
        expression = task.simulated_expression(sequences)
    except SequenceError as error:
        raise BadInput(f"{library}, line {lines[error.row]}: {error.reason}.") from None
    if (out / "sheet.tsv").exists():
        raise BadInput(f"{out} holds a sheet already; name another folder.")
    lib = simulation.library(rng, expression, design)
    sorts = [simulation.sort(rng, lib, design) for _ in range(replicates)]
    if min(int((one.reads.sum(axis=0) > 0).sum()) for one in sorts) < 2:
        raise BadInput("Fewer than two bins would have a read; raise --promoters, --cells or --reads.")
    out.mkdir(parents=True, exist_ok=True)
    simulated_marker.mark(out, f"A sorting experiment of {len(sequences):,} promoters (seed {seed}).")
    expected = simulation.expected_reads(lib, design)
    truth = pd.DataFrame({"sequence": sequences, "true_expression": expression, "origin": "simulated"})
    truth["expected_unsorted"] = lib.abundance * unsorted * len(sequences) * replicates
    truth["n_cells"] = sum(one.cells.sum(axis=1) for one in sorts)
    truth = pd.concat([truth, pd.DataFrame(expected, columns=[f"expected_{b}" for b in range(design.n_bins)])], axis=1)
    label_files.write_table(out / "truth.tsv.gz", truth)
    with bar("reads of bins", design.n_bins * replicates) as on_done:
        sheet = simulation.write(out, sequences, lib, sorts, design, rng, on_done)
    facts = {"sheet": str(sheet), "origin": "simulated", "n_promoters": len(sequences)}
    facts |= {"n_cells": int(sum(one.cells.sum() for one in sorts)), "n_pairs": int(sum(s.reads.sum() for s in sorts))}
    facts["n_empty_bins"] = int(sum((one.reads.sum(axis=0) == 0).sum() for one in sorts))
    if json:
        print_json(facts)
        return
    typer.echo(
        f"SIMULATED DATA: {facts['n_cells']:,} cells of {len(sequences):,} promoters, {facts['n_pairs']:,} pairs"
    )
    if facts["n_empty_bins"]:
        typer.echo(f"{facts['n_empty_bins']} bins got no cell or no read, and are not in the sheet.")
    typer.echo(f"Sheet: {sheet}")


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
    """Say how right labels of a SIMULATED experiment are: correlation with the truth, coverage of the intervals."""
    from benchmarks.apps.quantify import estimators as estimate
    from benchmarks.apps.quantify import label_files
    from benchmarks.apps.quantify import simulation_check as checking
    from benchmarks.io.json_files import read_json
    from benchmarks.io.tables import read_ours

    table = read_ours(labels, ["sequence", "expression", "se"], recovery_hint="quantify again", sep="\t")
    kind = "designed" if labels.name == label_files.DESIGNED else "reads"
    report = labels.parent / f"quality_{kind}.json"
    if not report.is_file():
        raise BadInput(f"{labels}: {report.name}, which `quantify` wrote beside it, is needed and not there.")
    facts = read_json(report)
    known = checking.read_truth(truth)
    if kind == "designed":
        unsorted = known["expected_unsorted"].to_numpy() if facts["abundance"] == "unsorted library" else None
        estimator = estimate.by_maude(facts["pseudocount"], unsorted)
    else:
        estimator = estimate.weighted(facts["settings"]["weights"])
    found = checking.check(table, known, checking.noise_free(known, estimator, checking.columns(facts["bins"])))
    if out and system.has_packages("matplotlib"):
        from benchmarks.engine.figures import quantify, style

        both = table.merge(known, on="sequence")
        drawn = quantify.against_truth(
            both["true_expression"].to_numpy(), both["expression"].to_numpy(), f"r = {found['pearson_r']:.3f}"
        )
        style.save(drawn, out)
    if json:
        print_json(found | {"origin": "simulated"})
        return
    typer.echo(f"SIMULATED DATA: {found['n_found']:,} of {found['n_promoters']:,} promoters have a label")
    typer.echo(f"With the true expression: r = {found['pearson_r']:.4f}, rho = {found['spearman_rho']:.4f}")
    typer.echo(f"With the same labels without noise: r = {found['pearson_r_noise_free']:.4f}")
    typer.echo(f"95 % intervals that hold the value without noise: {found['coverage']:.1%} of {found['n_intervals']:,}")


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
    """Say which correlation a model could reach at best on labels from so many cells and reads. SIMULATED DATA."""
    from benchmarks import registry
    from benchmarks.apps.quantify import estimators as estimate
    from benchmarks.apps.quantify import experiment_planning
    from benchmarks.apps.quantify.simulate import Design
    from benchmarks.engine.reporting.console import bar
    from benchmarks.io.atomic import write_text

    task = registry.get_task("yeast")
    designs = experiment_planning.grid(
        Design(gates=gates), _numbers("--cells", cells), _numbers("--reads-per-cell", reads_per_cell)
    )
    estimators = {"weighted average": estimate.weighted(weights), "MAUDE": estimate.by_maude(pseudocount)}
    expression = task.simulated_expression(task.simulated_library(n, seed=seed))
    with bar("experiments", len(designs)) as on_done:
        table = experiment_planning.plan(expression, designs, estimators, seed=seed, on_done=on_done)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "plan.csv", table.to_csv(index=False))
        if system.has_packages("matplotlib"):
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
    """Measure how fast pairs are merged and counted, against a loop over reads as the published script is one.

    Both read the same gzip FASTQ files and count the same merged sequences, in one process.
    """
    from benchmarks.apps.quantify import merging_speed

    found = merging_speed.measure(n, repeats)
    if json:
        print_json(found)
        return
    typer.echo(
        f"{found['pairs_per_s']:,.0f} pairs/s, a loop over reads {found['loop_pairs_per_s']:,.0f}: "
        f"{found['ratio']:.1f} times (median of {repeats}, in turns; the same counts)"
    )


def _opened(
    sheet: Path, out: Path, left: str | None, right: str | None, workers: int | None, *, numbered: bool,
    weights: str | None = None,
) -> tuple[Any, Any, int]:  # fmt: skip
    """Read a sheet and make the folder of the output, which holds simulated or measured data but not both."""
    from benchmarks import system
    from benchmarks.api import simulated_marker, yeast_plasmid
    from benchmarks.apps.quantify import estimators as estimate
    from benchmarks.apps.quantify import label_files
    from benchmarks.apps.quantify import sample_sheet as sheets
    from benchmarks.apps.quantify.count import Flanks

    library = sheets.read(sheet, numbered=numbered)
    estimate.check_quantiles(weights, library.columns)  # before hours of counting
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out} is a file; a folder is expected.")
    held = any((out / name).exists() for name in label_files.LABELS) or simulated_marker.of(out) == "simulated"
    if held and simulated_marker.of(out) != library.origin:
        raise BadInput(
            f"{out} holds {simulated_marker.of(out)} labels, the reads of {sheet} are {library.origin}: name another "
            "folder, so that they are never mixed."
        )
    flanks = [
        yeast_plasmid.LEFT_ADAPTER if left is None else left,
        yeast_plasmid.RIGHT_ADAPTER if right is None else right,
    ]
    for name, flank in zip(("--left", "--right"), flanks, strict=True):
        if set(flank) - set("ACGT"):
            raise BadInput(f"{name} expects bases of ACGT, got {flank!r}.")
    (out / "work").mkdir(parents=True, exist_ok=True)
    return library, Flanks(*flanks), workers or system.n_cores()


def _mark(out: Path, library: Any) -> None:
    """Mark the folder as simulated before the first label is written, not sooner: what is refused leaves no mark."""
    from benchmarks.api import simulated_marker

    if library.origin == "simulated":
        simulated_marker.mark(out, "Labels made of the reads of a simulated sorting experiment.")


def _counted(library: Any, out: Path, rule: tuple, flanks: Any, workers: int) -> tuple[Any, dict]:
    from dataclasses import asdict

    from benchmarks.apps.quantify import count
    from benchmarks.apps.quantify.merge_reads import Rule
    from benchmarks.engine.reporting.console import bar

    rule = Rule(*rule)
    total = sum(path.stat().st_size for name in ("read1", "read2") for path in library.files[name])
    with bar("merging reads", total) as on_done:
        counts = count.count(library, rule, flanks, out / "work", workers=workers, on_file=on_done)
    return counts, {"merging": asdict(rule), "flanks": asdict(flanks)}


def _report(out: Path, kind: str, library: Any, counts: Any, labels: Any, facts: dict, json: bool) -> None:
    """Write the report of quality: JSON, samples as CSV, and plots; say what came of it."""
    from benchmarks.io.atomic import write_text
    from benchmarks.io.json_files import write_json

    samples = counts.samples
    overlaps: dict[int, int] = {}
    for found in samples["overlaps"]:
        for overlap, n in found.items():
            overlaps[int(overlap)] = overlaps.get(int(overlap), 0) + n
    n_pairs, n_merged = int(samples["n_pairs"].sum()), int(samples["n_merged"].sum())
    facts = {"origin": library.origin, "n_pairs": n_pairs, "n_merged": n_merged} | facts
    facts["overlaps"] = dict(sorted(overlaps.items()))
    flat = samples.drop(columns="overlaps").assign(origin=library.origin)
    write_text(out / f"samples_{kind}.csv", flat.to_csv(index=False))
    simulated = library.origin == "simulated"
    if system.has_packages("matplotlib"):
        from benchmarks.engine.figures import quantify, style

        drawn = quantify.quality(flat, facts["overlaps"], labels.table, simulated=simulated)
        style.save(drawn, out / f"quality_{kind}")
        if len(labels.agreement):
            drawn = quantify.agreement(labels.alone, labels.agreement, simulated=simulated)
            style.save(drawn, out / f"replicates_{kind}")
    else:
        typer.echo("No plots: `pip install -e '.[figures]'` for them.", err=True)
    write_json(out / f"quality_{kind}.json", facts)
    if json:
        print_json(facts)
        return
    typer.echo("SIMULATED DATA" if simulated else "Measured data")
    typer.echo(f"{n_merged:,} of {n_pairs:,} pairs merged ({n_merged / n_pairs:.1%})")
    if kind == "reads":
        n_merged_away = len(labels.merged)
        typer.echo(f"{facts['n_distinct']:,} distinct sequences, {n_merged_away:,} of them collapsed into another")
        typer.echo(f"{facts['n_promoters']:,} promoters, {facts['n_singletons']:,} of them seen in one bin")
    else:
        typer.echo(
            f"{facts['n_estimated']:,} of {facts['n_ordered']:,} ordered sequences estimated; "
            f"{facts['n_reads_ambiguous']:,} reads fit two of them, {facts['n_reads_unaligned']:,} none"
        )
    for row in labels.agreement.itertuples():
        typer.echo(f"Replicates {row.replicate} and {row.other}: r = {row.pearson_r:.3f} (n = {row.n:,})")
    typer.echo(f"Labels, errors and report of quality: {out}")


def _ordered(file: Path) -> tuple[list[str], list[str], list[int]]:
    """Read ids and ordered sequences, and the lines on which they stand."""
    from benchmarks.apps.quantify import designed_library
    from benchmarks.engine.inference import predict_file

    pieces = list(predict_file.read_pieces(file))
    sequences, lines = ([x for piece in pieces for x in getattr(piece, name)] for name in ("sequences", "lines"))
    return [name for piece in pieces for name in piece.ids], designed_library.check(file, sequences, lines), lines


def _numbers(option: str, text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < number < 1e7 for number in found):
        raise BadInput(f"{option} expects numbers above 0 separated by commas, got {text!r}.")
    return found
