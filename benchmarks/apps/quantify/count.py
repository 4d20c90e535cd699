"""Count merged sequences, file by file; what is counted is kept, so that a killed command goes on where it was.

Source: `collapsePromoters.py` of the authors' repository CRM2.0 (exact sequences, most frequent first). In memory a
distinct sequence takes about 250 bytes while its file is counted.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.apps.quantify import fastq, merge_reads
from benchmarks.apps.quantify.merge_reads import Rule
from benchmarks.apps.quantify.sample_sheet import UNSORTED, Sheet
from benchmarks.errors import BadInput
from benchmarks.io import validated

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
        (n, columns of the sheet) int64.
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
        return self.sorted_.sum(axis=1) + self.unsorted


def count(
    sheet: Sheet,
    rule: Rule,
    flanks: Flanks,
    work: Path,
    *,
    workers: int = 1,
    on_file: Callable[[int], None] | None = None,
) -> Counts:
    """Merge and count all files of a sheet; `on_file` is told how many bytes are done.

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
        kept = []
        for n_bytes, file in zip(done, spread(_counted, *zip(*jobs, strict=True)), strict=True):
            kept.append(file)
            if on_file:
                on_file(n_bytes)
    return _together(sheet, kept)


def _together(sheet: Sheet, files: list[Path]) -> Counts:
    parts, samples = [], []
    for file, row in zip(files, sheet.files.itertuples(), strict=True):
        kept = validated.read_arrays(file, recovery_hint="remove it and give the command again")
        parts.append((kept["sequences"], kept["counts"]))
        samples.append({"bin": row.bin, "replicate": row.replicate} | json.loads(str(kept["about"])))
    table = pd.DataFrame(samples)
    if not table["n_pairs"].any():
        raise BadInput("The library is empty: none of the files of the sheet holds a read.")
    if not table["n_merged"].any():
        raise BadInput(
            f"The library is empty: none of {table['n_pairs'].sum():,} read pairs could be merged; check read1 and "
            "read2 of the sheet, and --overlap, for reads of this length and this insert."
        )
    merged = table.groupby(["replicate", "bin"], sort=False)["n_merged"].sum()
    for (replicate, name), n in merged.items():
        if n == 0:
            raise BadInput(
                f"Bin {name} of replicate {replicate} has no merged reads ({table['n_pairs'].sum():,} pairs in all "
                "bins): check its files, or take it out of the sheet."
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


def _counted(file1: Path, file2: Path, rule: Rule, flanks: Flanks, work: Path) -> Path:
    """Count one pair of files into a file of its own, unless that was done before from the same files."""
    about = [_VERSION, asdict(rule), asdict(flanks)]
    about += [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in (file1, file2)]
    target = work / f"counts-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}.npz"
    if target.is_file():
        return target
    counter, facts = count_pairs(file1, file2, rule, flanks)
    sequences = np.array(list(counter.keys()), dtype="S") if counter else np.zeros(0, dtype="S1")
    counts = np.fromiter(counter.values(), dtype=np.int64, count=len(counter))
    descriptor, name = tempfile.mkstemp(prefix=".counts-", suffix=".npz", dir=work)
    with os.fdopen(descriptor, "wb") as stream:
        np.savez(stream, sequences=sequences, counts=counts, about=np.array(json.dumps(facts)))
    os.replace(name, target)
    return target


def count_pairs(file1: Path, file2: Path, rule: Rule, flanks: Flanks) -> tuple[Counter, dict]:
    """Count the merged sequences of a pair of files; return them, and what the report of quality says of the pair."""
    counter: Counter[bytes] = Counter()
    overlaps = np.zeros(rule.overlap + rule.tolerance + 1, dtype=np.int64)
    n_pairs = n_merged = n_flanked = n_turned = 0
    for read1, read2 in fastq.pairs(file1, file2):
        merged = merge_reads.merge(read1, read2, rule)
        counter.update(merged.sequences())
        overlaps += np.bincount(merged.overlaps, minlength=len(overlaps))
        n_pairs, n_merged = n_pairs + len(read1), n_merged + len(merged.bases)
        # Both orientations are looked at where read 1 begins: that tells swapped mates.
        n_flanked += int(_begin_with(merged.bases, flanks.left).sum())
        n_turned += int(_begin_with(merged.bases, _turned(flanks.right)).sum())
    if flanks.left and flanks.right and n_turned > max(n_flanked, n_merged // 2):
        raise BadInput(
            f"{n_turned:,} of {n_merged:,} merged pairs of {file1} begin with the reverse complement of the right "
            f"flank, {_turned(flanks.right)}: read1 and read2 are swapped; swap them in the sheet."
        )
    facts = {"n_pairs": n_pairs, "n_merged": n_merged, "n_distinct": len(counter), "n_flanked": n_flanked}
    return counter, facts | {"overlaps": {str(i): int(n) for i, n in enumerate(overlaps) if n and i}}


def _turned(flank: str) -> str:
    return flank.translate(str.maketrans("ACGTN", "TGCAN"))[::-1]


def _begin_with(bases: np.ndarray, flank: str) -> np.ndarray:
    word = np.frombuffer(flank.encode(), dtype=np.uint8)
    if not len(word) or bases.shape[1] < len(word):
        return np.zeros(len(bases), dtype=bool)
    return (bases[:, : len(word)] != word).sum(axis=1) <= _FLANK_ERRORS
