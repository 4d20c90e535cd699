"""Count merged sequences, file by file; counts are stored, so that a killed command resumes where it was.

Source: `collapsePromoters.py` of github.com/de-Boer-Lab/CRM2.0 (exact sequences, most frequent first). In memory a
distinct sequence takes about 250 bytes while its file is counted.
"""

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.apps.quantify import fastq, merge_reads
from benchmarks.apps.quantify.merge_reads import Rule
from benchmarks.apps.quantify.sample_sheet import UNSORTED, SampleSheet
from benchmarks.errors import BadInput
from benchmarks.io import validated
from benchmarks.io.atomic import whole_file

_VERSION = 1
_FLANK_ERRORS = 3  # bases of a flank that may be misread


@dataclass(frozen=True)
class Flanks:
    """Constant sequences at both ends of every insert; empty where there are none."""

    left: str
    right: str


@dataclass(frozen=True)
class Counts:
    """Distinct sequences, most reads first, and how many reads of each every sample has.

    Parameters
    ----------
    sequences
        (n,) bytes.
    sorted_
        (n, sorted bins of all replicates) int64.
    unsorted
        (n,) int64, zero where the library was not sequenced unsorted.
    samples
        A row per pair of files: bin, replicate, n_pairs, n_merged, n_distinct, n_flanked, and `overlaps`, pairs by
        overlap.
    """

    sequences: np.ndarray
    sorted_: np.ndarray
    unsorted: np.ndarray
    samples: pd.DataFrame

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def total(self) -> np.ndarray:
        """Reads of every sequence in all samples; (n,) int64."""
        return self.sorted_.sum(axis=1) + self.unsorted


def count(
    sheet: SampleSheet,
    rule: Rule,
    flanks: Flanks,
    work: Path,
    *,
    workers: int = 1,
    on_file: Callable[[int], None] | None = None,
) -> Counts:
    """Merge and count all files of a sample sheet; `on_file` is called with the number of bytes done.

    Raises
    ------
    BadInput
        For damaged or mismatched files, swapped mates, a bin without merged reads, a library without any.
    """
    jobs = [(row.read1, row.read2, rule, flanks, work) for row in sheet.files.itertuples()]
    done = np.cumsum([a.stat().st_size + b.stat().st_size for a, b, *_ in jobs]).tolist()
    with contextlib.ExitStack() as stack:
        spread = map
        if workers > 1 and len(jobs) > 1:
            spread = stack.enter_context(ProcessPoolExecutor(min(workers, len(jobs)))).map
        files = []
        for n_bytes, file in zip(done, spread(_count_file, *zip(*jobs, strict=True)), strict=True):
            files.append(file)
            if on_file:
                on_file(n_bytes)
    return _combine(sheet, files)


def _combine(sheet: SampleSheet, files: list[Path]) -> Counts:
    parts, samples = [], []
    for file, row in zip(files, sheet.files.itertuples(), strict=True):
        arrays = validated.read_arrays(file, recovery_hint="remove it and give the command again")
        parts.append((arrays["sequences"], arrays["counts"]))
        samples.append({"bin": row.bin, "replicate": row.replicate} | json.loads(str(arrays["about"])))
    table = pd.DataFrame(samples)
    if not table["n_pairs"].any():
        raise BadInput("The library is empty: none of the files of the sheet holds a read.")
    if not table["n_merged"].any():
        raise BadInput(
            f"The library is empty: none of {table['n_pairs'].sum():,} read pairs could be merged; check read1 and "
            "read2 of the sample sheet, and --overlap, for reads of this length and this insert."
        )
    merged = table.groupby(["replicate", "bin"], sort=False)["n_merged"].sum()
    for (replicate, name), n in merged.items():
        if n == 0:
            raise BadInput(
                f"Bin {name} of replicate {replicate} has no merged reads ({table['n_pairs'].sum():,} pairs in all "
                "bins): check its files, or take it out of the sample sheet."
            )
    sequences, places = np.unique(np.concatenate([s for s, _ in parts]), return_inverse=True)
    column_of = {name: i for i, name in enumerate(sheet.names)}
    sorted_ = np.zeros((len(sequences), len(column_of)), dtype=np.int64)
    unsorted = np.zeros(len(sequences), dtype=np.int64)
    done = 0
    for (part, counts), row in zip(parts, sheet.files.itertuples(), strict=True):
        at = places[done : done + len(part)]  # distinct within a file
        if row.bin == UNSORTED:
            unsorted[at] += counts
        else:
            sorted_[at, column_of[sheet.column(row.replicate, row.bin)]] += counts
        done += len(part)
    order = np.argsort(-(sorted_.sum(axis=1) + unsorted), kind="stable")
    return Counts(sequences[order], sorted_[order], unsorted[order], table)


def _count_file(file1: Path, file2: Path, rule: Rule, flanks: Flanks, work: Path) -> Path:
    """Count one pair of files into a file of its own, unless the same files were counted before."""
    key = [_VERSION, asdict(rule), asdict(flanks)]
    key += [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in (file1, file2)]
    target = work / f"counts-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}.npz"
    if target.is_file():
        return target
    counter, facts = count_pairs(file1, file2, rule, flanks)
    sequences = np.array(list(counter.keys()), dtype="S") if counter else np.zeros(0, dtype="S1")
    counts = np.fromiter(counter.values(), dtype=np.int64, count=len(counter))
    with whole_file(target) as unfinished:
        np.savez(unfinished, sequences=sequences, counts=counts, about=np.array(json.dumps(facts)))
    return target


def count_pairs(file1: Path, file2: Path, rule: Rule, flanks: Flanks) -> tuple[Counter[bytes], dict[str, Any]]:
    """Count the merged sequences of a pair of files; return them, and the facts on the pair for the quality report."""
    counter: Counter[bytes] = Counter()
    overlaps = np.zeros(rule.overlap + rule.tolerance + 1, dtype=np.int64)
    other_end = fastq.reverse_complement(flanks.right)
    n_pairs = n_merged = n_flanked = n_reversed = 0
    for read1, read2 in fastq.pairs(file1, file2):
        merged = merge_reads.merge(read1, read2, rule)
        counter.update(merged.sequences())
        overlaps += np.bincount(merged.overlaps, minlength=len(overlaps))
        n_pairs, n_merged = n_pairs + len(read1), n_merged + len(merged.bases)
        # Read 1 is compared with both ends of the insert: that reveals swapped mates.
        n_flanked += int(_begin_with(merged.bases, flanks.left).sum())
        n_reversed += int(_begin_with(merged.bases, other_end).sum())
    if flanks.left and flanks.right and n_reversed > max(n_flanked, n_merged // 2):
        raise BadInput(
            f"{n_reversed:,} of {n_merged:,} merged pairs of {file1} begin with the reverse complement of the right "
            f"flank, {other_end}: read1 and read2 are swapped; swap them in the sample sheet."
        )
    facts = {"n_pairs": n_pairs, "n_merged": n_merged, "n_distinct": len(counter), "n_flanked": n_flanked}
    return counter, facts | {"overlaps": {str(i): int(n) for i, n in enumerate(overlaps) if n and i}}


def _begin_with(bases: np.ndarray, flank: str) -> np.ndarray:
    expected = np.frombuffer(flank.encode(), dtype=np.uint8)
    if not len(expected) or bases.shape[1] < len(expected):
        return np.zeros(len(bases), dtype=bool)
    return (bases[:, : len(expected)] != expected).sum(axis=1) <= _FLANK_ERRORS
