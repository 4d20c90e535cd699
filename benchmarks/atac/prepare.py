"""From genome, reads and peaks to a folder that `run --data` reads: signal, regions of every split, windows.

What the folder holds is listed in `prepared.py`.

Source: `kundajelab/chrombpnet`, `chrombpnet prep` and `chrombpnet/helpers/preprocessing`.
"""

import contextlib
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.api.data import Origin
from benchmarks.api.genome import Genome
from benchmarks.api.sequences import N_CODE
from benchmarks.atac import bigwig, fold_windows, insertions, prepared, signal_check
from benchmarks.atac.alignments import Filters
from benchmarks.atac.fold_windows import OnStep
from benchmarks.atac.insertions import InPeaks, ReadOptions
from benchmarks.atac.left_out import some
from benchmarks.atac.prepared import ABOUT, FORMAT, REGIONS, WIDE_PROFILE, WIDE_SEQ, WINDOWS
from benchmarks.errors import BadInput
from benchmarks.io.atomic import whole_file, write_text
from benchmarks.io.checksums import digest


@dataclass(frozen=True)
class Inputs:
    """What is prepared, and how.

    Parameters
    ----------
    reads, signal
        Files of fragments or reads, which are counted together, or a bigWig of Tn5 insertions per base: one of the two.
    form
        Format of `reads`; None: told by the content of the file.
    shift
        bp that + starts and - ends of `reads` are shifted by already; None: inferred from the bases around them.
    folds
        JSON files of splits; without any, ChromBPNet's of hg38 where the chromosomes are those, else `n_folds` drawn
        ones.
    exclude
        Chromosomes that are left out.
    assay
        `atac` or `dnase`, see `shift.TARGETS`.
    barcodes
        File with barcodes of the cells whose reads count; None: all.
    summits
        Where the centre of a window is, see `peaks.SUMMITS`.
    signal_as_it_is
        Whether a signal is taken that does not look like insertions per base.
    """

    genome: Path
    peaks: Path
    reads: tuple[Path, ...] = ()
    signal: Path | None = None
    form: str | None = None
    blacklist: Path | None = None
    folds: tuple[Path, ...] = ()
    n_folds: int = 5
    shift: tuple[int, int] | None = None
    exclude: tuple[str, ...] = ()
    deduplicate: bool = False
    origin: Origin = "measured"
    assay: str = "atac"
    min_mapq: int = 0
    keep_duplicates: bool = False
    barcodes: Path | None = None
    summits: str = "column"
    signal_as_it_is: bool = False

    def files(self) -> dict[str, Path]:
        """Return the input files by name, in the order that `_stamp` has always had them in."""
        first, *more = self.reads or (None,)
        named = {"genome": self.genome, "peaks": self.peaks, "reads": first, "signal": self.signal}
        named |= {"blacklist": self.blacklist} | {f"folds {i}": path for i, path in enumerate(self.folds)}
        named |= {f"reads {i}": path for i, path in enumerate(more, start=2)} | {"barcodes": self.barcodes}
        return {name: path for name, path in named.items() if path is not None}

    def newer_options(self) -> dict[str, Any]:
        """Return the options that are not at their defaults, of those that folders of the first versions lack."""
        names = ("assay", "min_mapq", "keep_duplicates", "summits", "signal_as_it_is")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return {name: getattr(self, name) for name in names if getattr(self, name) != defaults[name]}


def prepare(inputs: Inputs, out: Path, *, on_step: OnStep = lambda what, share: None) -> dict[str, Any]:
    """Fill a folder; return what `prepared.json` says. Steps that were done before for equal inputs are not repeated.

    Raises
    ------
    BadInput
        For anything wrong in the files; the folder then has no prepared.json, and `run` refuses it. For a folder that
        was prepared from other inputs, which stays as it is.
    """
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out: {out} is a file; name a folder.")
    if bool(inputs.reads) == (inputs.signal is not None):
        raise BadInput("One of --reads (fragments, BED, BEDPE, tagAlign, BAM) and --signal (bigWig) is expected.")
    resolved = [path.resolve() for path in inputs.reads]
    if twice := [path for path in inputs.reads if resolved.count(path.resolve()) > 1]:
        raise BadInput(f"--reads: {twice[0]} is given twice; its reads would count twice.")
    for name, path in inputs.files().items():
        if not path.is_file():
            raise BadInput(f"--{name.split()[0]}: no file at {path}.")
    if out.exists() and not (out / "work").exists() and not (out / ABOUT).exists() and any(out.iterdir()):
        raise BadInput(f"--out: {out} is a folder of something else; name an empty or a new one.")
    done = _Steps(out, _stamp(inputs))
    if (about := prepared.finished(out)) is not None:
        if about["stamp"] != done.stamp:
            raise BadInput(
                f"--out: {out} was prepared from other files or with other options; name another folder, or remove it."
            )
        on_step("everything is prepared already", 1.0)
        return about
    (out / "work").mkdir(parents=True, exist_ok=True)
    (out / ABOUT).unlink(missing_ok=True)
    on_step("indexing the genome", 0.0)
    genome = Genome(inputs.genome, out / "work")
    if strange := [name for name in inputs.exclude if name not in genome.sizes]:
        raise BadInput(
            f"--exclude: the genome has no {strange[0]!r}; it has {', '.join(list(genome.sizes)[:6])} …"
            f"{genome.nearest(strange[0])}"
        )
    facts = done("regions", lambda: _make_regions(inputs, genome, out, on_step))  # first: reads may take an hour
    facts |= done("signal", lambda: _make_signal(inputs, genome, out, on_step))
    facts |= done("windows", lambda: _make_windows(inputs, genome, out, on_step))
    on_step("checksums of the inputs", 0.0)
    about = _about(inputs, out, done.stamp, facts)
    (out / "README.md").write_text(prepared.readme(out.name, about))
    write_text(out / ABOUT, json.dumps(about, indent=1) + "\n")
    shutil.rmtree(out / "work")
    on_step("done", 1.0)
    return about


def _about(inputs: Inputs, out: Path, stamp: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what prepared.json says."""
    return {
        "format": FORMAT,
        "origin": inputs.origin,
        "stamp": stamp,
        "inputs": {
            name: {"file": path.name, "bytes": path.stat().st_size, "sha256": digest(path)}
            for name, path in inputs.files().items()
        },
        "options": {
            "format": inputs.form,
            "shift": inputs.shift,
            "exclude": list(inputs.exclude),
            "deduplicate": inputs.deduplicate,
            **inputs.newer_options(),
        },
        "sizes": {name: (out / name).stat().st_size for name in WINDOWS},
        "accounts": [*facts.pop("accounts_signal", []), *facts.pop("accounts_regions", [])],
        **facts,
    }


class _Steps:
    """Remembers which steps were done for which inputs."""

    def __init__(self, out: Path, stamp: str):
        self.out, self.stamp = out, stamp

    def __call__(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        note = self.out / "work" / f"{name}.json"
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            step = json.loads(note.read_text())
            if step["stamp"] == self.stamp:
                return step["facts"]
        facts = make()
        write_text(note, json.dumps({"stamp": self.stamp, "facts": facts}))
        return facts


def _stamp(inputs: Inputs) -> str:
    """Hash the options, and name, size and modification time of every file: equal inputs have equal stamps."""
    files = {name: [str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns] for name, p in inputs.files().items()}
    options: list[Any] = [inputs.form, inputs.n_folds, inputs.shift, inputs.exclude, inputs.deduplicate, inputs.origin]
    if newer := inputs.newer_options():  # so that folders of the first versions are not taken for others
        options.append(newer)
    return hashlib.sha256(json.dumps([FORMAT, files, options]).encode()).hexdigest()[:16]


def _make_signal(inputs: Inputs, genome: Genome, out: Path, on_step: OnStep) -> dict[str, Any]:
    """Count Tn5 insertions per base into signal.bw, or check the signal that was given."""
    if inputs.signal is not None:
        return _given_signal(inputs, genome, on_step)
    barcodes = insertions.read_barcodes(inputs.barcodes) if inputs.barcodes is not None else None
    options = ReadOptions(
        form=inputs.form,
        shift=inputs.shift,
        assay=inputs.assay,
        exclude=inputs.exclude,
        deduplicate=inputs.deduplicate,
        filters=Filters(inputs.min_mapq, inputs.keep_duplicates, barcodes),
    )
    numbers, accounts = insertions.write_signal(inputs.reads, genome, options, out / "signal.bw", on_step)
    return {
        "signal": {"file": "signal.bw", **numbers},
        "accounts_signal": [account.to_dict() for account in accounts],
        "notes_signal": [sentence for account in accounts for sentence in account.sentences()],
    }


def _given_signal(inputs: Inputs, genome: Genome, on_step: OnStep) -> dict[str, Any]:
    """Check a signal that was given, and count its insertions."""
    assert inputs.signal is not None
    unused = {
        "--shift": inputs.shift,
        "--deduplicate": inputs.deduplicate,
        "--min-mapq": inputs.min_mapq,
        "--keep-duplicates": inputs.keep_duplicates,
        "--barcodes": inputs.barcodes,
        "--format": inputs.form,
    }
    signal = bigwig.Signal(inputs.signal, genome, inputs.exclude)
    chroms = [chrom for chrom in genome.sizes if chrom in signal.sizes and chrom not in inputs.exclude]
    on_step("looking at the signal", 0.0)
    looks, notes = signal_check.look_at(signal, chroms, inputs.signal, as_it_is=inputs.signal_as_it_is)
    account = insertions.account_of_signal(inputs.signal.name, looks.totals)
    account.format = "bigWig"
    account.evidence = "insertions per base, whole numbers" if looks.whole else "values that are not whole numbers"
    account.notes += notes
    if given := [option for option, value in unused.items() if value]:
        account.notes.append(f"{', '.join(given)}: of no effect on a --signal, whose reads are not known.")
    if lacking := [chrom for chrom in signal.sizes if chrom not in genome.sizes]:
        account.notes.append(f"It has {some(lacking)} too, which the genome lacks; they are left out.")
    account.notes.append("The signal was not computed here; its shift is not checked.")
    if inputs.assay == "atac":
        account.notes.append(signal_check.tn5_note(signal, chroms, genome))
    return {
        "signal": {"file": inputs.signal.name, "n_cuts": account.numbers["insertions"]},
        "accounts_signal": [account.to_dict()],
        "notes_signal": account.sentences(),
    }


def _make_regions(inputs: Inputs, genome: Genome, out: Path, on_step: OnStep) -> dict[str, Any]:
    """Choose the windows of every split."""
    on_step("choosing peaks", 0.0)
    notes: list[str] = []
    peaks = fold_windows.usable_peaks(inputs.peaks, inputs.blacklist, inputs.exclude, genome, summits=inputs.summits)
    folds = fold_windows.choose_folds(inputs.folds, inputs.n_folds, inputs.exclude, genome, peaks.table, notes)
    on_step("listing background windows", 0.2)
    candidates = fold_windows.background_candidates(genome, folds, peaks.avoided)
    table = fold_windows.windows_of_folds(peaks.table, candidates, folds, out, notes, on_step)
    fold_windows.write_peaks(out / "peaks.bed", peaks.table)
    with whole_file(out / "work" / "regions.tsv") as unfinished:
        table.to_csv(unfinished, sep="\t", index=False)
    sentences = [sentence for account in peaks.accounts for sentence in account.sentences()]
    return {
        "regions": {
            "n_peaks_read": peaks.n_read,
            "n_peaks_excluded": peaks.n_excluded,
            "n_peaks": len(peaks.table),
            "n_candidates": len(candidates),
            "n_windows": len(table),
            "n_folds": len(folds),
        },
        "accounts_regions": [account.to_dict() for account in peaks.accounts],
        "notes_regions": [*sentences, *dict.fromkeys(notes)],
    }


def _make_windows(inputs: Inputs, genome: Genome, out: Path, on_step: OnStep) -> dict[str, Any]:
    """Cut every window once, wide enough for the jitter; what lies off a chromosome is N and without insertions."""
    table = prepared.read_regions(out / "work" / "regions.tsv")
    track = bigwig.Signal(inputs.signal or out / "signal.bw", genome, inputs.exclude)
    if inputs.signal is not None and (lacks := sorted(set(table["chrom"]) - set(track.sizes))):
        raise BadInput(
            f"--signal: {inputs.signal} has no chromosome {lacks[0]!r}, where peaks lie; it has "
            f"{', '.join(list(track.sizes)[:6])}. Leave it out with --exclude {lacks[0]}, or take the signal of the "
            "same genome."
        )
    folder = out / "windows"
    folder.mkdir(exist_ok=True)
    kind = track.count_type(table["chrom"].unique())
    codes = np.lib.format.open_memmap(folder / "codes.npy", "w+", np.uint8, (len(table), WIDE_SEQ))
    profile = np.lib.format.open_memmap(folder / "profile.npy", "w+", kind, (len(table), WIDE_PROFILE))
    peaks = prepared.read_peaks(out / "peaks.bed")
    in_peaks, n_done = InPeaks(), 0
    for chrom, rows in table.groupby("chrom", sort=False).groups.items():
        on_step(f"cutting windows: {chrom}", n_done / len(table))
        rows = rows.to_numpy()
        centre = table["centre"].to_numpy()[rows]
        _cut(genome.codes(chrom), centre, WIDE_SEQ, N_CODE, codes, rows)
        values = track.values(chrom)
        in_peaks.add(chrom, values, peaks[peaks["chrom"] == chrom])
        _cut(values.astype(kind), centre, WIDE_PROFILE, 0, profile, rows)
        n_done += len(rows)
    codes.flush()
    profile.flush()
    shutil.copyfile(out / "work" / "regions.tsv", out / REGIONS)
    return {
        "windows": {
            "count_type": np.dtype(kind).name,
            "cuts_on_these_chromosomes": in_peaks.total,
            **in_peaks.numbers(),
        },
        "notes_windows": in_peaks.notes(),
    }


def _cut(track: np.ndarray, centre: np.ndarray, width: int, pad: int, target: np.ndarray, rows: np.ndarray) -> None:
    """Copy windows of `width` around the centres into rows of `target`."""
    half = width // 2
    padded = np.pad(track, half, constant_values=pad)
    views = np.lib.stride_tricks.sliding_window_view(padded, width)
    for start in range(0, len(rows), 4096):
        part = slice(start, start + 4096)
        target[rows[part]] = views[centre[part]]
