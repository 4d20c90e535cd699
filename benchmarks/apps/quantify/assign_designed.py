"""Assign each merged read of a designed library to its oligo.

Source: Rafi et al. 2024 (doi 10.1038/s41587-024-02414-w), Methods: reads of the designed library are aligned with
bowtie2 to an index of the designed oligos. Reads without an error need no aligner; the rest is aligned end to end with
bowtie2's defaults, on the forward strand. Reads that fit two oligos equally well are counted for neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.apps.quantify import bowtie2

OPTIONS = ("--norc",)


@dataclass(frozen=True)
class Assignment:
    """Index of the oligo of every read sequence, (n,) int64, -1 for none; and reads by how they were assigned."""

    oligo: np.ndarray
    n_exact: int
    n_aligned: int
    n_ambiguous: int
    n_unaligned: int


def assign(sequences: Sequence[str], counts: np.ndarray, oligos: Sequence[str], *, threads: int = 1) -> Assignment:
    """Find the oligo of every read sequence.

    Parameters
    ----------
    sequences, counts
        (n,) distinct merged sequences and their reads.
    oligos
        Distinct designed oligos.

    Raises
    ------
    BadInput
        If bowtie2 is needed and not installed.
    """
    index = {oligo: i for i, oligo in enumerate(oligos)}
    oligo_of = np.array([index.get(sequence, -1) for sequence in sequences], dtype=np.int64)
    exact, ambiguous = oligo_of >= 0, np.zeros(len(oligo_of), dtype=bool)
    rest = np.flatnonzero(~exact)
    if len(rest):
        queries = ((i, sequences[i]) for i in rest.tolist())
        for hit in bowtie2.align(queries, enumerate(oligos), OPTIONS, threads=threads):
            ambiguous[hit.query] = hit.target >= 0 and hit.score == hit.next_score
            oligo_of[hit.query] = -1 if ambiguous[hit.query] else hit.target
    aligned, unaligned = (oligo_of >= 0) & ~exact, (oligo_of < 0) & ~ambiguous
    return Assignment(oligo_of, *(int(counts[rows].sum()) for rows in (exact, aligned, ambiguous, unaligned)))
