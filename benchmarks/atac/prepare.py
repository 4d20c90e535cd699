"""From genome, reads and peaks to a folder that `run --data` reads: signal, regions of every split, windows.

What the folder holds is listed in `prepared.py`.

Source: `kundajelab/chrombpnet`, `chrombpnet prep` and `chrombpnet/helpers/preprocessing`.
"""

import contextlib
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
from benchmarks.atac import bigwig, fold_windows, prepared, reads, regions
from benchmarks.atac.fold_windows import OnStep
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
        Fragments or reads, or a bigWig of Tn5 insertions per base: one of the two.
    form
        Format of `reads`; None: inferred from the file.
    shift
        bp that + starts and - ends of `reads` are shifted by already; None: inferred from the bases around them.
    folds
        JSON files of splits; without any, ChromBPNet's of hg38 where the chromosomes are those, else `n_folds` drawn
        ones.
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
        """Return the input files by name."""
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
    (out / "README.md").write_text(prepared.readme(out.name, about))
    write_text(out / ABOUT, json.dumps(about, indent=1) + "\n")
    shutil.rmtree(out / "work")
    on_step("done", 1.0)
    return about


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
    options = [inputs.form, inputs.n_folds, inputs.shift, inputs.exclude, inputs.deduplicate, inputs.origin]
    return hashlib.sha256(json.dumps([FORMAT, files, options]).encode()).hexdigest()[:16]


def _make_signal(inputs: Inputs, genome: Genome, out: Path, on_step: OnStep) -> dict[str, Any]:
    """Count Tn5 insertions per base into signal.bw, or check the signal that was given."""
    if inputs.signal is not None:
        bigwig.Signal(inputs.signal, genome)
        return {
            "signal": {"file": inputs.signal.name},
            "notes_signal": ["The signal was not computed here; its shift is not checked."],
        }
    on_step("reading reads", 0.0)
    ends = reads.read(inputs.reads, genome, inputs.form, on_reads=lambda n: on_step(f"reading reads: {n:,} lines", 0.0))
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
    if not ends.n_insertions():
        raise BadInput(f"{inputs.reads} has no read on the chromosomes that are used.")
    on_step("looking for the shift of Tn5", 0.0)
    detected = reads.detect_shift(ends, genome)
    shift, says = reads.settled_shift(detected, inputs.shift)
    notes.append(says)
    total = bigwig.write(out / "signal.bw", genome, ends, shift, on_step)
    return {
        "signal": {
            "file": "signal.bw",
            "n_cuts": total,
            "n_excluded": n_excluded,
            "n_duplicates": n_duplicates,
            "shift": list(shift),
            "detected_shift": [detected.plus, detected.minus],
            "likeness": round(detected.likeness, 4),
        },
        "notes_signal": notes,
    }


def _make_regions(inputs: Inputs, genome: Genome, out: Path, on_step: OnStep) -> dict[str, Any]:
    """Choose the windows of every split."""
    on_step("choosing peaks", 0.0)
    notes: list[str] = []
    peaks = fold_windows.usable_peaks(inputs.peaks, inputs.blacklist, inputs.exclude, genome, notes)
    folds = fold_windows.choose_folds(inputs.folds, inputs.n_folds, inputs.exclude, genome, peaks.table, notes)
    on_step("listing background windows", 0.2)
    candidates = fold_windows.background_candidates(genome, folds, peaks.avoided)
    table = fold_windows.windows_of_folds(peaks.table, candidates, folds, out, notes, on_step)
    fold_windows.write_peaks(out / "peaks.bed", peaks.table)
    with whole_file(out / "work" / "regions.tsv") as unfinished:
        table.to_csv(unfinished, sep="\t", index=False)
    return {
        "regions": {
            "n_peaks_read": peaks.n_read,
            "n_peaks_excluded": peaks.n_excluded,
            "n_peaks": len(peaks.table),
            "n_candidates": len(candidates),
            "n_windows": len(table),
            "n_folds": len(folds),
        },
        "notes_regions": list(dict.fromkeys(notes)),
    }


def _make_windows(inputs: Inputs, genome: Genome, out: Path, on_step: OnStep) -> dict[str, Any]:
    """Cut every window once, wide enough for the jitter; what lies off a chromosome is N and without insertions."""
    table = prepared.read_regions(out / "work" / "regions.tsv")
    track = bigwig.Signal(inputs.signal or out / "signal.bw", genome)
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
