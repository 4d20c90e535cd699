"""From files of reads to Tn5 insertions per base: shift, duplicates, accounts of each file and of all together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.api.genome import Genome
from benchmarks.atac import bigwig, reads, shift
from benchmarks.atac.alignments import ALL, Filters
from benchmarks.errors import BadInput
from benchmarks.io.account import Account
from benchmarks.io.text_files import open_text

OnStep = Callable[[str, float], None]
_HEADER = {"barcode", "barcodes", "cell", "cells", "cell_id"}
_N_NAMED = 8
_MITOCHONDRIA = {"chrm", "m", "mt", "chrmt", "mito", "chrmito"}


@dataclass(frozen=True)
class ReadOptions:
    """How reads become insertions.

    Parameters
    ----------
    form
        Format of the files; None: told by their content.
    shift
        bp that + starts and - ends are shifted by already; None: told by the bases around them.
    assay
        One of `shift.TARGETS`.
    deduplicate
        Whether one of fragments with the same ends counts, in each file.
    """

    form: str | None = None
    shift: tuple[int, int] | None = None
    assay: str = "atac"
    exclude: tuple[str, ...] = ()
    deduplicate: bool = False
    filters: Filters = ALL


def read_barcodes(path: Path) -> frozenset[str]:
    """Read barcodes of cells, one a line; a header and quotes around them are not part of them.

    Raises
    ------
    BadInput
        If the file has no barcode, or a line has more than one column.
    """
    found: list[str] = []
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            cells = line.strip().replace(",", "\t").split("\t")
            if len(cells) > 1:
                raise BadInput(f"--barcodes: {path}, line {number}: one barcode is expected, got {len(cells)} columns.")
            name = cells[0].strip().strip('"')
            if name and not (number == 1 and name.lower() in _HEADER):
                found.append(name)
    if not found:
        raise BadInput(f"--barcodes: {path} has no barcode; one a line is expected.")
    return frozenset(found)


def write_signal(
    paths: Sequence[Path], genome: Genome, options: ReadOptions, target: Path, on_step: OnStep
) -> tuple[dict[str, Any], list[Account]]:
    """Count the insertions of all files together into a bigWig file; return numbers, and accounts.

    Raises
    ------
    BadInput
        If a file cannot be read, or no read of it is on the chromosomes that are used.
    """
    positions: dict[str, list[np.ndarray]] = {}
    accounts, facts = [], []
    for path in paths:
        name = f"reading {path.name}" if len(paths) > 1 else "reading reads"
        on_step(name, 0.0)

        def on_reads(n: int, name: str = name) -> None:
            on_step(f"{name}: {n:,} lines", 0.0)

        ends = reads.read(
            path, genome, options.form, exclude=options.exclude, filters=options.filters, on_reads=on_reads
        )
        on_step("looking for the shift of Tn5", 0.0)
        found, numbers = _insertions_of(path, ends, genome, options)
        for chrom, at in found.items():
            positions.setdefault(chrom, []).append(at)
        accounts.append(ends.account)
        facts.append(numbers)
    joined = {chrom: np.concatenate(arrays) for chrom, arrays in positions.items()}
    n_read = sum(map(len, joined.values()))
    totals = bigwig.write(target, genome, joined, on_step)
    together = account_of_signal(target.name, totals, n_files=len(paths))
    together.leave_out("insertions", n_read - sum(totals.values()), "shifted off the end of their chromosome")
    duplicates = [one["n_duplicates"] for one in facts if one["n_duplicates"] is not None]
    return {
        "n_cuts": sum(totals.values()),
        "n_excluded": sum(one["n_excluded"] for one in facts),
        "n_duplicates": sum(duplicates) if duplicates else None,
        **{name: facts[0][name] for name in ("shift", "detected_shift", "likeness") if name in facts[0]},
        "per_chromosome": totals,
    }, [*accounts, together]


def _insertions_of(
    path: Path, ends: reads.Ends, genome: Genome, options: ReadOptions
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the positions of a file's insertions, and numbers; its account says what was decided."""
    account = ends.account
    numbers: dict[str, Any] = {"n_excluded": ends.n_excluded, "n_duplicates": None}
    n_duplicates = ends.n_duplicates()
    if ends.paired:
        account.numbers["duplicates"] = n_duplicates
    if options.deduplicate:
        ends = ends.without_duplicates()
        numbers["n_duplicates"] = n_duplicates
        account.leave_out("fragments", n_duplicates, "the same start and end as another (--deduplicate)")
    elif n_duplicates:
        account.notes.append(f"{n_duplicates:,} fragments equal another and count too (--deduplicate: one of each).")
    if not ends.n_insertions():
        raise BadInput(f"{path} has no read on the chromosomes that are used.")
    settled, says, detected = _settle(path, ends, genome, options)
    account.notes.append(says)
    account.numbers["insertions"] = ends.n_insertions()
    if settled is not None:
        numbers["shift"] = account.numbers["shift"] = list(settled)
    if detected is not None:
        numbers |= {"detected_shift": [detected.plus, detected.minus], "likeness": round(detected.likeness, 4)}
        account.numbers |= {name: numbers[name] for name in ("detected_shift", "likeness")}
    return shift.positions_of(ends, settled or (0, 0), options.assay), numbers


def _settle(
    path: Path, ends: reads.Ends, genome: Genome, options: ReadOptions
) -> tuple[tuple[int, int] | None, str, shift.Shift | None]:
    """Decide by which shift the ends of a file are corrected already; None where they count as they stand."""
    if ends.is_single:
        if options.shift is not None:
            raise BadInput(
                f"--shift is that of reads with strands, or of fragments; {path} has insertions of one base without "
                "strands, which count where they stand. Leave --shift out."
            )
        is_told = options.form is not None
        says = shift.check_insertions(ends, genome, is_told=is_told) if options.assay == "atac" else ""
        return None, f"Every line is one insertion and counts where it stands. {says}".strip(), None
    if options.assay == "dnase":
        given = options.shift or (0, 0)
        says = f"DNase: the 5' base of a read counts; the reads come shifted by {given[0]:+d}/{given[1]:+d}."
        says += " For a bias model, --set bpnet_bias.threshold_factor=0.8 is recommended."
        return given, says, None
    detected = shift.detect_shift(ends, genome)
    settled, says = shift.settled_shift(detected, options.shift)
    return settled, says, detected


def account_of_signal(name: str, totals: Mapping[str, float], *, n_files: int = 0) -> Account:
    """Say how many insertions there are, and how they spread over the chromosomes."""
    total = sum(totals.values())
    shares = {chrom: n / total for chrom, n in sorted(totals.items(), key=lambda item: -item[1]) if n}
    account = Account(name)
    account.numbers = {
        "insertions": int(total) if float(total).is_integer() else float(total),
        "share_per_chromosome": {chrom: round(share, 6) for chrom, share in shares.items()},
    }
    largest = [f"{chrom} {share:.1%}" for chrom, share in list(shares.items())[:_N_NAMED]]
    rest = f", {len(shares) - _N_NAMED} more {sum(list(shares.values())[_N_NAMED:]):.1%}"
    of = f" of {n_files} files together" if n_files > 1 else ""
    account.notes.append(f"{total:,.0f} insertions{of}: {', '.join(largest)}{rest if len(shares) > _N_NAMED else ''}.")
    for chrom, share in shares.items():
        if chrom.lower() in _MITOCHONDRIA and share > 0.01:
            account.notes.append(f"{share:.1%} of the insertions lie on {chrom}; --exclude {chrom} leaves it out.")
    return account


@dataclass
class InPeaks:
    """Insertions in peaks, added up chromosome by chromosome."""

    inside: float = 0.0
    total: float = 0.0
    covered_bp: int = 0
    total_bp: int = 0
    n_empty: int = 0
    first_empty: str = ""

    def add(self, chrom: str, values: np.ndarray, peaks: pd.DataFrame) -> None:
        """Count on one chromosome: its insertions per base, and its peaks with start and end."""
        below = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        start, end = (peaks[name].to_numpy(np.int64) for name in ("start", "end"))
        edges = np.zeros(len(values) + 1, np.int32)
        np.add.at(edges, start, 1)
        np.add.at(edges, end, -1)
        is_peak = np.cumsum(edges[:-1]) > 0
        self.inside += float(values[is_peak].sum(dtype=np.float64))
        self.total += float(below[-1])
        self.covered_bp += int(is_peak.sum())
        self.total_bp += len(values)
        empty = np.flatnonzero(below[end] == below[start])
        if len(empty) and not self.first_empty:
            self.first_empty = f"{chrom}:{start[empty[0]]}-{end[empty[0]]}"
        self.n_empty += len(empty)

    def numbers(self) -> dict[str, Any]:
        """Return what the account keeps."""
        return {
            "share_of_insertions_in_peaks": round(self.inside / max(self.total, 1), 6),
            "share_of_bases_in_peaks": round(self.covered_bp / max(self.total_bp, 1), 6),
            "empty_peaks": self.n_empty,
        }

    def notes(self) -> list[str]:
        """Return sentences for the report."""
        share, covered = self.inside / max(self.total, 1), self.covered_bp / max(self.total_bp, 1)
        said = [f"{share:.1%} of the insertions on chromosomes with windows lie in peaks ({covered:.1%} of the bases)."]
        if share < 1.5 * covered:
            said[0] += " Peaks are hardly richer than the rest: are they of these reads, and of this assembly?"
        if self.n_empty:
            said.append(f"{self.n_empty:,} peaks have no insertion (first: {self.first_empty}); they are used.")
        return said
