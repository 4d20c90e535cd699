"""`python -m benchmarks prepare --task atac …`: from genome, reads and peaks to a folder that `run --data` reads."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.cli.options import SETTINGS, JsonOption, command, in_one_line, print_json
from benchmarks.errors import BadInput

if TYPE_CHECKING:
    from benchmarks.atac.prepare import Inputs

NAME = None
app = typer.Typer(**SETTINGS)


@command(
    app,
    "prepare --task atac --genome hg38.fa.gz --reads rep1.bam --reads rep2.bam --reads rep3.bam "
    "--peaks peaks.narrowPeak.gz --blacklist blacklist.bed.gz --out data/atac/K562",
    "prepare --task atac --genome sacCer3.fa.gz --reads fragments.bedpe.gz --peaks peaks.narrowPeak "
    "--exclude chrM,chrXII --deduplicate --out data/atac/yeast",
    "prepare --task atac --genome hg38.fa --signal cuts.bw --peaks peaks.narrowPeak --folds fold_0.json --out my_data",
    "prepare --task atac --genome hg38.fa --reads fragments.tsv.gz --barcodes monocytes.txt --peaks peaks.bed "
    "--summits middle --out data/atac/monocytes",
    "prepare --task atac --assay dnase --genome hg38.fa --reads dnase.bam --min-mapq 30 --peaks peaks.narrowPeak "
    "--out data/atac/dnase",
    "prepare --task atac --simulate --out data/atac/simulated",
)
def prepare(
    out: Annotated[Path, typer.Option(help="Folder to fill; the same command resumes where it stopped.")],
    task: Annotated[str, typer.Option(help="Task; only atac is prepared.")] = "atac",
    genome: Annotated[Path | None, typer.Option(help="FASTA, plain, gzip or bgzip.")] = None,
    reads: Annotated[
        list[Path] | None,
        typer.Option(help="Fragments (TSV, BED), BEDPE, tagAlign, insertions, BAM, CRAM or SAM; repeatable."),
    ] = None,
    signal: Annotated[Path | None, typer.Option(help="bigWig of Tn5 insertions per base, instead of --reads.")] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="fragments, tagalign, bedpe, insertions or bam; default: told by the content."),
    ] = None,
    assay: Annotated[
        str, typer.Option(help="atac, or dnase: reads as aligned, 5' bases count, no look for Tn5's sequence bias.")
    ] = "atac",
    min_mapq: Annotated[int, typer.Option(min=0, max=255, help="Least mapping quality (BAM, CRAM, SAM).")] = 0,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Count alignments marked as duplicates too (flag 1024).")
    ] = False,
    barcodes: Annotated[
        Path | None, typer.Option(help="Cells that count, a barcode a line: column 4 of fragments, tag CB of BAM.")
    ] = None,
    peaks: Annotated[Path | None, typer.Option(help="narrowPeak, 10 columns, with summits.")] = None,
    summits: Annotated[
        str, typer.Option(help="Centres of windows: column (10 of the peaks), or middle (of peaks in any BED).")
    ] = "column",
    signal_as_is: Annotated[
        bool, typer.Option("--signal-as-is", help="Take a --signal that does not look like insertions per base.")
    ] = False,
    blacklist: Annotated[Path | None, typer.Option(help="BED of regions to exclude.")] = None,
    folds: Annotated[
        list[Path] | None,
        typer.Option(help="Split in ChromBPNet's JSON format (repeatable, or a list of them); default: hg38's five."),
    ] = None,
    n_folds: Annotated[int, typer.Option(min=3, help="Splits to make where the genome is not hg38.")] = 5,
    shift: Annotated[
        str | None, typer.Option(help="Shift that the reads already have, as 0,0 or 4,-5; default: detected.")
    ] = None,
    exclude: Annotated[
        str | None, typer.Option(help="Chromosomes to leave out, as chrM,chrXII; nothing on them is looked at.")
    ] = None,
    deduplicate: Annotated[bool, typer.Option(help="Keep one of fragments with the same ends.")] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Write the simulated genome's files, and prepare them.")
    ] = False,
    tasteless: Annotated[bool, typer.Option("--tasteless", help="With --simulate: no Tn5 sequence bias.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of --simulate.")] = 0,
    json: JsonOption = False,
) -> None:
    """Prepare ATAC-seq data: signal, regions of every split and windows; then `run --task atac --data OUT`."""
    from benchmarks.atac import prepare as steps
    from benchmarks.atac import simulate as simulation
    from benchmarks.atac.formats import FORMATS
    from benchmarks.atac.peaks import SUMMITS
    from benchmarks.atac.prepared import notes_of
    from benchmarks.atac.shift import TARGETS
    from benchmarks.engine.store.locks import TrainingLocks
    from benchmarks.errors import did_you_mean

    if task != "atac":
        raise BadInput(f"--task: only atac is prepared, got {task!r}; other tasks read their files as they are.")
    for option, value, known in (
        ("format", format_, FORMATS),
        ("assay", assay, TARGETS),
        ("summits", summits, SUMMITS),
    ):
        if value is not None and value not in known:
            raise BadInput(f"--{option}: {did_you_mean(option, value, list(known))}")
    if signal_as_is and signal is None:
        raise BadInput("--signal-as-is needs --signal.")
    if tasteless and not simulate:
        raise BadInput("--tasteless needs --simulate; measured reads are taken as they are.")
    if simulate and any((genome, reads, signal, peaks, blacklist, folds, shift, exclude, barcodes)):
        raise BadInput("--simulate writes its own genome, reads, peaks, blacklist and splits; leave those options out.")
    if not simulate and (genome is None or peaks is None):
        raise BadInput("--genome FASTA and --peaks NARROWPEAK are needed, with --reads or --signal.")
    with TrainingLocks() as locks:
        if not locks.take(out.resolve().with_name(f".{out.resolve().name}.preparing")):
            raise BadInput(f"--out: {out} is being prepared by another command; wait for it, or name another folder.")
        if simulate:
            bias = 0.0 if tasteless else 1.0
            raw = simulation.write_once(out, seed=seed, bias_strength=bias)
            inputs = simulation.inputs(raw, bias_strength=bias)
        else:
            inputs = steps.Inputs(
                genome=genome,
                peaks=peaks,
                reads=tuple(reads or ()),
                signal=signal,
                form=format_,
                blacklist=blacklist,
                folds=tuple(folds or ()),
                n_folds=n_folds,
                shift=_shift(shift),
                exclude=tuple(name.strip() for name in (exclude or "").split(",") if name.strip()),
                deduplicate=deduplicate,
                assay=assay,
                min_mapq=min_mapq,
                keep_duplicates=keep_duplicates,
                barcodes=barcodes,
                summits=summits,
                signal_as_it_is=signal_as_is,
            )
        metadata = _with_progress(steps.prepare, inputs, out)
    if json:
        print_json(metadata)
        return
    for note in notes_of(metadata):
        typer.echo(in_one_line(note))
    regions = metadata["regions"]
    typer.echo(f"{regions['n_windows']:,} windows, {regions['n_peaks']:,} of them peaks, {regions['n_folds']} splits")
    typer.echo(f"Train on it: python -m benchmarks run --task atac --data {out}")


MAX_SHIFT = 100
"""Base pairs; tools that correct for Tn5 shift by fewer than ten."""


def _shift(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        plus, minus = (int(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"--shift expects two whole numbers, as 0,0 or 4,-5, got {text!r}.") from None
    if max(abs(plus), abs(minus)) > MAX_SHIFT:
        raise BadInput(f"--shift expects numbers of at most {MAX_SHIFT} bp, as 0,0 or 4,-5, got {text!r}.")
    return plus, minus


def _with_progress(prepare: Callable[..., dict[str, Any]], inputs: "Inputs", out: Path) -> dict[str, Any]:
    """Show the progress of the steps: a bar on a terminal, a line per step elsewhere."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from benchmarks.engine.reporting.console import open_console

    console = open_console(stderr=True)
    if not console.is_terminal:
        printed: list[str] = []

        def say(text: str, share: float) -> None:
            step = text.partition(":")[0]
            if step not in printed:
                printed.append(step)
                console.print(step, markup=False, highlight=False)

        return prepare(inputs, out, on_step=say)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=1.0)
        return prepare(inputs, out, on_step=lambda text, share: progress.update(bar, description=text, completed=share))
