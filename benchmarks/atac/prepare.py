"""From genome, reads and peaks to a folder that `run --data` reads: signal, regions of every split, windows.

    signal.bw               cuts per base, shifted, both strands together, not scaled
    peaks.bed               peaks that are used (narrowPeak); negatives_fold_0.bed …: background of each split
    fold_0.json …           training, validation and test chromosomes
    windows/                codes.npy (n, 3114) uint8, profile.npy (n, 2000) and regions.tsv, one row per window
    prepared.json README.md what was done, with inputs, checksums and numbers

Source: `baselines.md` 3.5 to 3.9, after `kundajelab/chrombpnet` (prep, helpers).
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from benchmarks.api.data import Origin
from benchmarks.api.genome import Genome
from benchmarks.api.sequences import N_CODE
from benchmarks.atac import bigwig, regions
from benchmarks.atac import reads as cuts
from benchmarks.atac.regions import MAX_JITTER, PROFILE_LEN, SEQ_LEN
from benchmarks.errors import BadInput
from benchmarks.io import tables, validated
from benchmarks.io.checksums import digest

FORMAT = 1
"""Raise when what a prepared folder holds changes."""
WIDE_SEQ, WIDE_PROFILE = SEQ_LEN + 2 * MAX_JITTER, PROFILE_LEN + 2 * MAX_JITTER

PART_CODES = {"train": 1, "valid": 2, "test": 3}
"""What a column fold_k of regions.tsv holds; 0: the window has no part in that fold."""

ABOUT, REGIONS = "prepared.json", "windows/regions.tsv"
WINDOWS = ("windows/codes.npy", "windows/profile.npy", REGIONS)

OnStep = Callable[[str, float], None]
"""(what is being done, share of it that is done)"""


@dataclass(frozen=True)
class Inputs:
    """What is prepared, and how.

    Parameters
    ----------
    reads, signal
        Fragments or reads, or a bigWig of cuts made elsewhere: one of the two.
    form
        Format of `reads`; None: found out.
    shift
        What `reads` come shifted by; None: found out.
    folds
        JSON files of splits; None: `hg38`'s where the chromosomes are those, else `n_folds` are drawn.
    exclude
        Chromosomes that are left out.
    """

    genome: Path
    peaks: Path
    reads: Path | None = None
    signal: Path | None = None
    form: str | None = None
    blacklist: Path | None = None
    folds: tuple[Path, ...] = ()
    n_folds: int = 5
    shift: tuple[int, int] | None = None
    exclude: tuple[str, ...] = ()
    deduplicate: bool = False
    origin: Origin = "measured"

    def files(self) -> dict[str, Path]:
        named = {"genome": self.genome, "peaks": self.peaks, "reads": self.reads, "signal": self.signal}
        named |= {"blacklist": self.blacklist} | {f"folds {i}": path for i, path in enumerate(self.folds)}
        return {name: path for name, path in named.items() if path is not None}


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
    if (inputs.reads is None) == (inputs.signal is None):
        raise BadInput("One of --reads (fragments, BED, BEDPE, tagAlign, BAM) and --signal (bigWig) is expected.")
    for name, path in inputs.files().items():
        if not path.is_file():
            raise BadInput(f"--{name.split()[0]}: no file at {path}.")
    if out.exists() and not (out / "work").exists() and not (out / ABOUT).exists() and any(out.iterdir()):
        raise BadInput(f"--out: {out} is a folder of something else; name an empty or a new one.")
    done = _Steps(out, _stamp(inputs))
    if kept := _kept(out):
        if kept["stamp"] != done.stamp:
            raise BadInput(
                f"--out: {out} was prepared from other files or with other options; name another folder, or remove it."
            )
        on_step("everything is prepared already", 1.0)
        return kept
    (out / "work").mkdir(parents=True, exist_ok=True)
    (out / ABOUT).unlink(missing_ok=True)
    on_step("indexing the genome", 0.0)
    genome = Genome(inputs.genome, out / "work")
    if strange := [name for name in inputs.exclude if name not in genome.sizes]:
        raise BadInput(f"--exclude: the genome has no {strange[0]!r}; it has {', '.join(list(genome.sizes)[:6])} …")
    facts = done("signal", lambda: _make_signal(inputs, genome, out, on_step))
    facts |= done("regions", lambda: _make_regions(inputs, genome, out, on_step))
    facts |= done("windows", lambda: _make_windows(inputs, genome, out, on_step))
    on_step("checksums of the inputs", 0.0)
    about = {
        "format": FORMAT,
        "origin": inputs.origin,
        "stamp": done.stamp,
        "inputs": {
            name: {"file": path.name, "bytes": path.stat().st_size, "sha256": digest(path)}
            for name, path in inputs.files().items()
        },
        "options": {
            "format": inputs.form,
            "shift": inputs.shift,
            "exclude": list(inputs.exclude),
            "deduplicate": inputs.deduplicate,
        },
        "sizes": {name: (out / name).stat().st_size for name in WINDOWS},
        **facts,
    }
    (out / "README.md").write_text(_readme(out.name, about))
    _write_whole(out / ABOUT, lambda file: file.write_text(json.dumps(about, indent=1) + "\n"))
    shutil.rmtree(out / "work")
    on_step("done", 1.0)
    return about


def _kept(out: Path) -> dict[str, Any] | None:
    """Return what was prepared to the end here; None where nothing was, by another version, or a file is damaged."""
    try:
        about = read_about(out)
        whole = all((out / name).stat().st_size == size for name, size in about["sizes"].items())
    except (BadInput, OSError, KeyError):
        return None
    return about if whole else None


def read_about(folder: Path) -> dict[str, Any]:
    """Read what a prepared folder says of itself.

    Raises
    ------
    BadInput
        If the folder is none, was not prepared to the end, or by another version.
    """
    if not (folder / ABOUT).is_file():
        raise BadInput(
            f"{folder} is no prepared folder: it has no {ABOUT}. Make one: python -m benchmarks prepare --task atac "
            "--genome FASTA --reads FILE --peaks NARROWPEAK --out FOLDER."
        )
    recovery_hint = "prepare the folder again"
    version = validated.read_json(folder / ABOUT, _Format, recovery_hint=recovery_hint)["format"]
    if version != FORMAT:
        raise BadInput(f"{folder} was prepared in format {version}, this version reads {FORMAT}; prepare it again.")
    return validated.read_json(folder / ABOUT, _About, recovery_hint=recovery_hint)


class _Format(TypedDict):
    """Of prepared.json, what every version has."""

    format: int


class _About(_Format):
    """Of prepared.json, what is read again."""

    origin: Origin
    stamp: str
    sizes: dict[str, int]
    notes_signal: list[str]
    notes_regions: list[str]


class _Steps:
    """Remembers which steps were done for which inputs."""

    def __init__(self, out: Path, stamp: str):
        self.out, self.stamp = out, stamp

    def __call__(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        note = self.out / "work" / f"{name}.json"
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            kept = json.loads(note.read_text())
            if kept["stamp"] == self.stamp:
                return kept["facts"]
        facts = make()
        _write_whole(note, lambda file: file.write_text(json.dumps({"stamp": self.stamp, "facts": facts})))
        return facts


def _stamp(inputs: Inputs) -> str:
    """Tell equal inputs by name, size and time of change of the files, and by the options."""
    files = {name: [str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns] for name, p in inputs.files().items()}
    options = [inputs.form, inputs.n_folds, inputs.shift, inputs.exclude, inputs.deduplicate, inputs.origin]
    return hashlib.sha256(json.dumps([FORMAT, files, options]).encode()).hexdigest()[:16]


def _write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under another name and rename it into place."""
    unfinished = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


# signal


def _make_signal(inputs: Inputs, genome: Genome, out: Path, on_step: OnStep) -> dict[str, Any]:
    if inputs.signal is not None:
        bigwig.Signal(inputs.signal, genome)
        return {
            "signal": {"file": inputs.signal.name},
            "notes_signal": ["The signal was made elsewhere; its shift is not checked."],
        }
    on_step("reading reads", 0.0)
    ends = cuts.read(inputs.reads, genome, inputs.form, on_reads=lambda n: on_step(f"reading reads: {n:,} lines", 0.0))
    notes = []
    if ends.dropped:
        names, n = sorted(ends.dropped), sum(ends.dropped.values())
        notes.append(f"{n:,} reads lie on {regions.some(names)}, which the genome lacks, and are left out.")
    n_excluded = 0
    for chrom in inputs.exclude:
        n_excluded += len(ends.plus.pop(chrom, ())) + len(ends.minus.pop(chrom, ()))
    n_duplicates = None
    if inputs.deduplicate:
        ends, n_duplicates = ends.without_duplicates()
        notes.append(f"{n_duplicates:,} fragments that equal another were left out.")
    if not ends.n_cuts():
        raise BadInput(f"{inputs.reads} has no read on the chromosomes that are used.")
    on_step("looking for the shift of Tn5", 0.0)
    found = cuts.detect_shift(ends, genome)
    shift, says = cuts.settled_shift(found, inputs.shift)
    notes.append(says)
    total = bigwig.write(out / "signal.bw", genome, ends, shift, on_step)
    return {
        "signal": {
            "file": "signal.bw",
            "n_cuts": total,
            "n_excluded": n_excluded,
            "n_duplicates": n_duplicates,
            "shift": list(shift),
            "detected_shift": [found.plus, found.minus],
            "likeness": round(found.likeness, 4),
        },
        "notes_signal": notes,
    }


# regions


def _make_regions(inputs: Inputs, genome: Genome, out: Path, on_step: OnStep) -> dict[str, Any]:
    on_step("choosing peaks", 0.0)
    notes: list[str] = []
    peaks = regions.read_peaks(inputs.peaks, genome, notes)
    n_read = len(peaks)
    peaks = peaks[~peaks["chrom"].isin(inputs.exclude)]
    n_excluded, avoided = n_read - len(peaks), peaks[["chrom", "start", "end"]]
    if inputs.blacklist is not None:
        blacklist = regions.read_blacklist(inputs.blacklist, genome)
        avoided = pd.concat([avoided, blacklist])
        clear = regions.away_from(peaks, blacklist, SEQ_LEN // 2)
        notes.append(f"{(~clear).sum():,} peaks near the blacklist were left out.")
        peaks = peaks[clear]
    on_chrom = regions.fits(peaks["centre"], peaks["chrom"], genome, SEQ_LEN)
    if (~on_chrom).any():
        notes.append(f"{(~on_chrom).sum():,} peaks too near to the end of a chromosome were left out.")
    peaks = peaks[on_chrom].reset_index(drop=True)
    if peaks.empty:
        raise BadInput(f"No peak of {inputs.peaks} is left to train on.")
    folds = _folds_of(inputs, genome, peaks, notes)
    peaks["fits_jitter"] = regions.fits(peaks["centre"], peaks["chrom"], genome, WIDE_SEQ)
    peaks["gc"] = _gc_of(genome, peaks)
    on_step("listing background windows", 0.2)
    used = [chrom for chrom in genome.sizes if any(chrom in fold[part] for fold in folds for part in regions.PARTS)]
    candidates = regions.background_windows(genome, used)
    candidates = candidates[regions.away_from(candidates, avoided, SEQ_LEN // 2)].reset_index(drop=True)
    table = pd.concat([peaks.assign(is_peak=True), candidates.assign(is_peak=False, fits_jitter=False)])
    table = table.reset_index(drop=True)
    is_peak = table["is_peak"].to_numpy()
    for number, fold in enumerate(folds):
        on_step(f"matching background to peaks, fold {number}", 0.3 + 0.7 * number / len(folds))
        part_of = {chrom: PART_CODES[part] for part in regions.PARTS for chrom in fold[part]}
        negatives = regions.choose_negatives(peaks, candidates, fold, notes)
        codes = table["chrom"].map(part_of).fillna(0).to_numpy(dtype=np.uint8)
        chosen = np.zeros(len(table), dtype=bool)
        chosen[len(peaks) + negatives.index.to_numpy()] = True
        table[f"fold_{number}"] = np.where(is_peak | chosen, codes, 0).astype(np.uint8)
        for part, code in PART_CODES.items():
            if not (is_peak & (codes == code)).any():
                raise BadInput(f"Fold {number} has no peak on its {part} chromosomes, {', '.join(fold[part])}.")
        _write_negatives(out / f"negatives_fold_{number}.bed", negatives)
        _write_whole(out / f"fold_{number}.json", lambda file, fold=fold: file.write_text(json.dumps(fold, indent=1)))
    fold_columns = [f"fold_{k}" for k in range(len(folds))]
    table = table[is_peak | (table[fold_columns] > 0).any(axis=1)]
    centre = table["centre"].fillna(table["start"] + SEQ_LEN // 2).astype(np.int64)
    table = table.assign(centre=centre, is_peak=table["is_peak"].astype(np.uint8))
    table["fits_jitter"] = table["fits_jitter"].astype(bool).astype(np.uint8)
    columns = ["chrom", "centre", "is_peak", "fits_jitter", "gc", *fold_columns]
    _write_peaks(out / "peaks.bed", peaks)
    _write_whole(out / "work" / "regions.tsv", lambda file: table[columns].to_csv(file, sep="\t", index=False))
    return {
        "regions": {
            "n_peaks_read": n_read,
            "n_peaks_excluded": n_excluded,
            "n_peaks": len(peaks),
            "n_candidates": len(candidates),
            "n_windows": len(table),
            "n_folds": len(folds),
        },
        "notes_regions": list(dict.fromkeys(notes)),
    }


def _folds_of(inputs: Inputs, genome: Genome, peaks: pd.DataFrame, notes: list[str]) -> list[regions.Fold]:
    if inputs.folds:
        folds = regions.read_folds(list(inputs.folds))
        notes.append(f"{len(folds)} split(s) were read from {', '.join(path.name for path in inputs.folds)}.")
    elif set(regions.HG38) <= set(genome.sizes):
        folds = regions.hg38_folds()
        notes.append("The splits are ChromBPNet's five of the human genome.")
    else:
        folds = regions.drawn_folds(genome, peaks, inputs.n_folds)
        notes.append(f"{len(folds)} splits were made: chromosomes dealt by their number of peaks, each tested once.")
    for number, fold in enumerate(folds):
        for part in regions.PARTS:
            known = [c for c in fold[part] if c in genome.sizes and c not in inputs.exclude]
            if not known:
                raise BadInput(
                    f"Fold {number} has no {part} chromosome that is in the genome and not excluded: "
                    f"{', '.join(fold[part][:6])}; the genome has {', '.join(list(genome.sizes)[:6])}."
                )
            fold[part] = known
    return folds


def _gc_of(genome: Genome, peaks: pd.DataFrame) -> np.ndarray:
    gc = np.zeros(len(peaks), dtype=np.int64)
    for chrom in genome.sizes:
        here = (peaks["chrom"] == chrom).to_numpy()
        if here.any():
            gc[here] = regions.gc_percent(genome, chrom, peaks["centre"].to_numpy()[here] - SEQ_LEN // 2)
    return gc


def _write_peaks(path: Path, peaks: pd.DataFrame) -> None:
    """Write narrowPeak: what is not known of a peak is a dot or 0."""
    table = pd.DataFrame(
        {"chrom": peaks["chrom"], "start": peaks["start"], "end": peaks["end"], "name": peaks["name"]}
    ).assign(score=0, strand=".", signal=0, p_value=-1, q_value=-1, summit=peaks["centre"] - peaks["start"])
    _write_whole(path, lambda file: table.to_csv(file, sep="\t", header=False, index=False))


def _write_negatives(path: Path, negatives: pd.DataFrame) -> None:
    """Write background windows as ChromBPNet reads them: ten columns, the last is half the width."""
    table = negatives[["chrom", "start", "end"]].assign(
        name=".", score=".", strand=".", signal=".", p_value=".", q_value=".", summit=SEQ_LEN // 2
    )
    _write_whole(path, lambda file: table.to_csv(file, sep="\t", header=False, index=False))


# windows


def _make_windows(inputs: Inputs, genome: Genome, out: Path, on_step: OnStep) -> dict[str, Any]:
    """Cut every window once, wide enough for the jitter; what lies off a chromosome is N and without cuts."""
    table = read_regions(out / "work" / "regions.tsv")
    track = bigwig.Signal(inputs.signal or out / "signal.bw", genome)
    if inputs.signal is not None:
        lacks = sorted(set(table["chrom"]) - set(track.sizes))
        if lacks:
            raise BadInput(
                f"--signal: {inputs.signal} has no chromosome {lacks[0]!r}, where peaks lie; it has "
                f"{', '.join(list(track.sizes)[:6])}. Leave it out with --exclude {lacks[0]}, or take the signal "
                "of the same genome."
            )
    folder = out / "windows"
    folder.mkdir(exist_ok=True)
    kind = track.count_type(table["chrom"].unique())
    codes = np.lib.format.open_memmap(folder / "codes.npy", "w+", np.uint8, (len(table), WIDE_SEQ))
    profile = np.lib.format.open_memmap(folder / "profile.npy", "w+", kind, (len(table), WIDE_PROFILE))
    total, n_done = 0.0, 0
    for chrom, rows in table.groupby("chrom", sort=False).groups.items():
        on_step(f"cutting windows: {chrom}", n_done / len(table))
        rows = rows.to_numpy()
        centre = table["centre"].to_numpy()[rows]
        _cut(genome.codes(chrom), centre, WIDE_SEQ, N_CODE, codes, rows)
        values = track.values(chrom)
        total += float(values.sum())
        _cut(values.astype(kind), centre, WIDE_PROFILE, 0, profile, rows)
        n_done += len(rows)
    codes.flush()
    profile.flush()
    shutil.copyfile(out / "work" / "regions.tsv", out / REGIONS)
    return {"windows": {"count_type": np.dtype(kind).name, "cuts_on_these_chromosomes": total}}


def _cut(track: np.ndarray, centre: np.ndarray, width: int, pad: int, target: np.ndarray, rows: np.ndarray) -> None:
    """Copy windows of `width` around the centres into rows of `target`."""
    half = width // 2
    padded = np.pad(track, half, constant_values=pad)
    views = np.lib.stride_tricks.sliding_window_view(padded, width)
    for start in range(0, len(rows), 4096):
        part = slice(start, start + 4096)
        target[rows[part]] = views[centre[part]]


def read_regions(path: Path) -> pd.DataFrame:
    """Read the table of windows: chrom, centre, is_peak, fits_jitter, gc and fold_0 …; see PART_CODES.

    Raises
    ------
    BadInput
        If it is damaged.
    """
    recovery_hint = "prepare the folder again"
    most = {"centre": 2**40, "is_peak": 1, "fits_jitter": 1, "gc": 100, "fold_0": max(PART_CODES.values())}
    about = {"sep": "\t", "dtype": {"chrom": "str"}, "na_filter": False}  # a chromosome may be named NA
    table = tables.read_ours(path, ["chrom", *most], recovery_hint=recovery_hint, **about)
    most |= {name: most["fold_0"] for name in table if re.fullmatch(r"fold_\d+", name)}
    for name, largest in most.items():
        values = table[name]
        if len(table) and not (pd.api.types.is_integer_dtype(values) and values.between(0, largest).all()):
            raise BadInput(f"{path}: column {name!r} must hold whole numbers from 0 to {largest:,}; {recovery_hint}.")
    small = [name for name, largest in most.items() if largest < 100]
    return table[["chrom", *most]].astype(dict.fromkeys(small, np.uint8))


def _readme(name: str, about: dict[str, Any]) -> str:
    lines = [
        f"# ATAC data, prepared: {name}",
        "",
        f"Origin: **{about['origin']}**. Train on it: `python -m benchmarks run --task atac --data FOLDER`.",
        "",
        "| file | content |",
        "| --- | --- |",
        "| `signal.bw` | cuts per base, both strands, counted at the middle of Tn5's 9 bp; raw counts |",
        "| `peaks.bed` | peaks that are used, narrowPeak; windows lie around start + column 10 |",
        "| `negatives_fold_K.bed` | background windows of split K, matched to its peaks by GC content |",
        "| `fold_K.json` | training, validation and test chromosomes of split K |",
        f"| `windows/codes.npy` | (n, {WIDE_SEQ}) bases, A0 G1 C2 T3 N4 |",
        f"| `windows/profile.npy` | (n, {WIDE_PROFILE}) cuts per base around the same centres |",
        "| `windows/regions.tsv` | chromosome, centre (0-based), peak or not, GC %, part in each split (1 training, "
        "2 validation, 3 test) |",
        f"| `{ABOUT}` | inputs with SHA-256, options, numbers |",
        "",
        *(f"- {note}" for key in ("notes_signal", "notes_regions") for note in about[key]),
        "",
    ]
    return "\n".join(lines)
