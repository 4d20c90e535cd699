"""Merge the two reads of a pair into one sequence, by the published rule.

Source: `alignFastqsIntoSeqs.py` of github.com/de-Boer-Lab/CRM2.0. Read 2 is reverse-complemented; overlaps are tried
in the order 40, 39, 41, 38, 42 …; the first whose identity exceeds 0.75 is taken, without looking for a better one. In
the overlap the base of read 1 counts where its quality is strictly higher, else that of read 2. Two reads of 76 bases
and an insert of 110 overlap by 42.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.apps.quantify.fastq import Reads, reverse_complement
from benchmarks.errors import BadInput


@dataclass(frozen=True)
class Rule:
    """What overlaps are tried, in bases, and how alike they must be (more than `identity`, a share)."""

    overlap: int = 40
    tolerance: int = 15
    identity: float = 0.75

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < self.overlap:
            raise BadInput(
                f"A tolerance from 0 to less than the overlap of {self.overlap} is expected, got {self.tolerance}."
            )
        if not 0 <= self.identity < 1:
            raise BadInput(f"An identity from 0 to less than 1 is expected, got {self.identity}.")

    def overlaps(self) -> Iterator[int]:
        """Give the overlaps in the order in which they are tried."""
        yield self.overlap
        for i in range(1, self.tolerance + 1):
            yield self.overlap - i
            yield self.overlap + i


@dataclass(frozen=True)
class Merged:
    """Merged pairs, in the order of the reads.

    Parameters
    ----------
    bases
        (n_merged, longest) uint8 characters, zero beyond a sequence's end.
    overlaps
        (n,) int64 of all pairs; 0 where no overlap was found.
    """

    bases: np.ndarray
    overlaps: np.ndarray

    def sequences(self) -> list[bytes]:
        """Return the merged sequences as bytes."""
        width = self.bases.shape[1]
        return np.ascontiguousarray(self.bases).view(f"S{width}").ravel().tolist() if len(self.bases) else []


def merge(read1: Reads, read2: Reads, rule: Rule) -> Merged:
    """Merge pairs; those without an acceptable overlap are left out."""
    mates = read2.reverse_complement()
    overlaps = _find_overlaps(read1, mates, rule)
    mergeable = np.flatnonzero(overlaps)
    offsets = read1.lengths[mergeable] - overlaps[mergeable]
    width1, width2 = read1.bases.shape[1], mates.bases.shape[1]
    merged = np.zeros((len(mergeable), int(offsets.max(initial=0)) + width2), dtype=np.uint8)
    for offset in np.unique(offsets):
        rows = np.flatnonzero(offsets == offset)
        pairs = mergeable[rows]
        bases, quals = mates.bases[pairs], mates.quals[pairs]
        end = min(width1, int(offset) + width2)
        # Beyond its end a read 1 has qualities of zero, lower than any character: read 2 is taken.
        n = end - int(offset)
        better = read1.quals[pairs, offset:end] > quals[:, :n]
        bases = np.array(bases)
        np.copyto(bases[:, :n], read1.bases[pairs, offset:end], where=better)
        merged[rows, :offset] = read1.bases[pairs, :offset]
        merged[rows, offset : offset + width2] = bases
    return Merged(merged, overlaps)


def _find_overlaps(read1: Reads, mates: Reads, rule: Rule) -> np.ndarray:
    """Find the first acceptable overlap of every pair; (n,) int64, 0 where there is none."""
    overlaps = np.zeros(len(read1), dtype=np.int64)
    left = np.arange(len(read1))
    # A base a row: comparing an overlap is then one pass over neighbouring memory. Ends of read 1 are aligned.
    ends = np.ascontiguousarray(_right_aligned(read1).T)
    starts = np.ascontiguousarray(mates.bases.T)
    shorter = np.minimum(read1.lengths, mates.lengths)
    for overlap in rule.overlaps():
        if overlap > min(len(ends), len(starts)):
            continue
        same = (ends[-overlap:] == starts[:overlap]).sum(axis=0, dtype=np.uint16)
        accepted = (same > rule.identity * overlap) & (shorter >= overlap)
        if accepted.any():
            overlaps[left[accepted]] = overlap
            rest = ~accepted
            left, ends, starts, shorter = left[rest], ends[:, rest], starts[:, rest], shorter[rest]
            if not len(left):
                break
    return overlaps


def _right_aligned(reads: Reads) -> np.ndarray:
    width = reads.bases.shape[1]
    if (reads.lengths == width).all():
        return reads.bases
    places = np.arange(width) - (width - reads.lengths[:, None])
    return np.where(places >= 0, np.take_along_axis(reads.bases, np.maximum(places, 0), axis=1), 0)


def merge_one(bases1: str, quals1: str, bases2: str, quals2: str, rule: Rule) -> tuple[str, int] | None:
    """Merge one pair with a loop in plain Python, as the published script does: the reference of `quantify bench`."""
    mate, quals2 = reverse_complement(bases2), quals2[::-1]
    for overlap in rule.overlaps():
        offset = len(bases1) - overlap
        if offset < 0 or overlap > len(mate):
            continue
        same = 0
        for a, b in zip(bases1[offset:], mate[:overlap], strict=True):
            same += a == b
        if same / overlap > rule.identity:
            consensus = ""
            for i in range(overlap):
                consensus += bases1[offset + i] if quals1[offset + i] > quals2[i] else mate[i]
            return bases1[:offset] + consensus + mate[overlap:], overlap
    return None
