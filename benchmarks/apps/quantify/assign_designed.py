"""Tell which ordered sequence each merged read of a designed library is.

Source: Rafi et al. 2024, Methods (reads of the designed library go to a bowtie2 index of the ordered sequences). What
is read without an error needs no aligner; the rest is aligned end to end with bowtie2's defaults, on the forward
strand. Reads that fit two sequences equally well are counted for neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.apps.quantify import bowtie2

OPTIONS = ("--norc",)


@dataclass(frozen=True)
class Aligned:
    """Which ordered sequence each read sequence is; (n,) int64, -1 for none. Then reads by what became of them."""

    ordered: np.ndarray
    n_exact: int
    n_aligned: int
    n_ambiguous: int
    n_unaligned: int


def align(sequences: Sequence[str], counts: np.ndarray, ordered: Sequence[str], *, threads: int = 1) -> Aligned:
    """Find the ordered sequence of every read sequence.

    Parameters
    ----------
    sequences, counts
        (n,) distinct merged sequences and their reads.
    ordered
        Distinct ordered sequences.

    Raises
    ------
    BadInput
        If bowtie2 is needed and not installed.
    """
    number = {sequence: i for i, sequence in enumerate(ordered)}
    found = np.array([number.get(sequence, -1) for sequence in sequences], dtype=np.int64)
    exact, ambiguous = found >= 0, np.zeros(len(found), dtype=bool)
    rest = np.flatnonzero(~exact)
    if len(rest):
        queries = ((i, sequences[i]) for i in rest.tolist())
        for hit in bowtie2.align(queries, enumerate(ordered), OPTIONS, threads=threads):
            ambiguous[hit.query] = hit.target >= 0 and hit.score == hit.next_score
            found[hit.query] = -1 if ambiguous[hit.query] else hit.target
    reads = [int(counts[part].sum()) for part in (exact, (found >= 0) & ~exact, ambiguous, (found < 0) & ~ambiguous)]
    return Aligned(found, *reads)
