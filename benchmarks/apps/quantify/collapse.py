"""Collapse sequences that are misread copies of one another, with bowtie2.

Source: `mergeSeqsByBowtie.py` of github.com/de-Boer-Lab/CRM2.0; the trimming of the constant flanks is in the paper.
In three passes, all sequences that still have reads are aligned to those with more than 10, 1 and 0 reads; sequences
that hit each other are merged, and the most frequent of them represents the others.

Differs from the source: merging is transitive (if a hits b and b hits c, all three are one), by connected components.
The script makes a single pass over the hits, in which early hits miss the merges of later ones; `transitive=False` does
the same, and loses the reads that it then adds to a sequence which is itself merged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from benchmarks.apps.quantify import bowtie2

MORE_THAN = (10, 1, 0)
"""Reads that a sequence must exceed to be a target, by pass."""
OPTIONS = ("-N", "1", "-L", "18", "-a")
_WELL_SEEN = 10  # reads beyond which a sequence is taken for a promoter of its own, not for a misread copy


@dataclass(frozen=True)
class Collapsed:
    """The result of collapsing.

    Parameters
    ----------
    representative
        (n,) int64, index of the sequence that represents it; its own where it represents itself.
    passes
        A row per pass: reads exceeded, targets, hits between different sequences, sequences merged.
    n_collisions
        Sequences of more than 10 reads that were merged into another: misread copies of a frequent promoter, or
        promoters too alike to be told apart.
    n_lost
        Reads that the published single pass loses; 0 with transitive merging.
    """

    representative: np.ndarray
    passes: list[dict[str, int]]
    n_collisions: int
    n_lost: int


def collapse(
    sequences: Sequence[str],
    counts: np.ndarray,
    *,
    trim: tuple[int, int] = (17, 13),
    transitive: bool = True,
    threads: int = 1,
    on_pass: Callable[[int], None] | None = None,
) -> Collapsed:
    """Find the representative of every sequence.

    Parameters
    ----------
    sequences, counts
        (n,), most reads first: of sequences that hit each other the first one stays.
    trim
        Bases at the left and right end that are not compared: the constant flanks.
    transitive
        Merge connected components; False: the published single pass.

    Raises
    ------
    BadInput
        If bowtie2 is not installed or fails.
    """
    counts = np.asarray(counts, dtype=np.int64)
    current, representative, passes = counts.copy(), np.arange(len(counts)), []
    options = (*OPTIONS, "-5", str(trim[0]), "-3", str(trim[1]))
    for number, more_than in enumerate(MORE_THAN, start=1):
        queries, targets = np.flatnonzero(current > 0), np.flatnonzero(current > more_than)
        pairs = np.zeros((0, 2), dtype=np.int64)
        if len(targets):
            hits = bowtie2.align(
                ((i, sequences[i]) for i in queries.tolist()), ((i, sequences[i]) for i in targets.tolist()),
                options, threads=threads,
            )  # fmt: skip
            links = [(hit.query, hit.target) for hit in hits if hit.target not in (-1, hit.query)]
            pairs = np.array(links, dtype=np.int64).reshape(-1, 2)
        representative = (
            _connected_components(representative, pairs) if transitive else _single_pass(representative, pairs)
        )
        moved = np.flatnonzero((representative != np.arange(len(counts))) & (current > 0))
        # As in the script, what is given to a sequence that gives its own reads away stays there until the next pass.
        given = current[moved]
        current[moved] = 0
        np.add.at(current, representative[moved], given)
        sizes = {"n_targets": len(targets), "n_hits": len(pairs), "n_merged": len(moved)}
        passes.append({"more_than": more_than} | sizes)
        if on_pass:
            on_pass(number)
    merged = representative != np.arange(len(counts))
    n_collisions = int((merged & (counts > _WELL_SEEN)).sum())
    return Collapsed(representative, passes, n_collisions, int(current[merged].sum()))


def _connected_components(representative: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Give all sequences that are linked by hits, directly or not, the smallest number among them."""
    n = len(representative)
    rows = np.concatenate([np.arange(n), pairs[:, 0]])
    columns = np.concatenate([representative, pairs[:, 1]])
    links = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(n, n))
    _, component = connected_components(links, directed=False)
    smallest = np.full(component.max(initial=-1) + 1, n)
    np.minimum.at(smallest, component, np.arange(n))
    return smallest[component]


def _single_pass(representative: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Go through the hits once, giving both of each the smaller of their two representatives."""
    current = representative.tolist()
    for query, target in pairs.tolist():
        current[query] = current[target] = min(current[query], current[target])
    return np.array(current, dtype=np.int64)
