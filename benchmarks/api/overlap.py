"""Train-test overlap: sequences of a test set that occur in the training data, exactly, on the other strand or nearly.

Source: own definition, not the paper's; the search uses minimisers (Roberts et al. 2004, Bioinformatics 20:3363).

Sequences have one length, (n, L). Three kinds of overlap are told apart:

* **exact**: the same bases from end to end.
* **reverse_complement**: the same bases after the sequence between the constant flanks is reverse-complemented.
* **near**: aligned without gaps to one training sequence, at the best shift and on either strand, at least `threshold`
  of the test sequence's bases agree, and it is neither of the above. Shifted genomic windows and a few substitutions
  qualify; an insertion does where enough sequence lies on one side of it.

Flanks, such as adapters, are the columns at either end in which one base has `FLANK_SHARE` of all rows. They are
removed for every comparison but exact equality.

Sensitivity. All exact copies are found, and all that are reverse-complemented from flank to flank. Near-duplicates are
found by a shared seed and then verified base by base, so there are no false positives. A seed is the canonical k-mer
(the smaller of its two strands) with the lowest hash among `WINDOW` neighbours; two sequences that share
`k + WINDOW - 1` consecutive bases (24 by default) on either strand share a seed. An overlap of m bases with e
substitutions is therefore always found while (m - e) / (e + 1) > 23: up to 7 in 200 bases. Beyond that, detection
depends on where the substitutions lie. A near-duplicate may be missed where every shared seed occurs in
`MAX_ROWS_PER_SEED` earlier training sequences (repeats), occurs more than once within a window (low complexity), or
contains an N.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from benchmarks.api.sequences import COMPLEMENT, N_CODE, canonical_groups, reverse_complement, row_hashes

K, THRESHOLD, WINDOW = 17, 0.8, 8
MAX_ROWS_PER_SEED = 64
FLANK_SHARE = 0.9
MIN_ROWS_FOR_FLANKS = 20
"""Of fewer rows, two would agree in a column too easily by chance."""
_BASES_AT_A_TIME = 4_000_000
_PAIRS_AT_A_TIME = 100_000
_PAD = 255
_POSITION_BITS = 16


@dataclass(frozen=True)
class Overlap:
    """Which test sequences occur in the training data; every array has one entry per test sequence.

    Parameters
    ----------
    exact, reverse_complement, near
        (n,) bool. A sequence may be of the first two kinds at once.
    partner
        (n,) int64, row of a training sequence that it overlaps with, -1 where there is none.
    """

    exact: np.ndarray
    reverse_complement: np.ndarray
    near: np.ndarray
    partner: np.ndarray

    @property
    def any(self) -> np.ndarray:
        """(n,) bool, overlap of at least one kind."""
        return self.exact | self.reverse_complement | self.near


def find(
    test: np.ndarray,
    train: np.ndarray,
    *,
    k: int = K,
    threshold: float = THRESHOLD,
    flanks: tuple[int, int] | None = None,
) -> Overlap:
    """Find the test sequences that occur in the training data, as the module's docstring defines it.

    Parameters
    ----------
    test, train
        (n, L) and (m, L) uint8, integer-encoded sequences.
    k
        Length of a seed in bases, odd, 9 to 23.
    threshold
        Share of a test sequence's bases (without flanks and N) that agree in a near-duplicate: above 0.5, at most 1.
    flanks
        Columns to remove at the left and the right end; None: those that are constant.

    Raises
    ------
    ValueError
        If the sequences differ in length, or k or threshold is out of range.
    """
    if test.ndim != 2 or train.ndim != 2 or test.shape[1] != train.shape[1]:
        raise ValueError(f"expected test (n, L) and train (m, L) of one length, got {test.shape} and {train.shape}")
    if k % 2 == 0 or not 9 <= k <= 23:
        raise ValueError(f"expected an odd k from 9 to 23, got {k}")
    if not 0.5 < threshold <= 1:
        raise ValueError(f"expected a threshold above 0.5 and at most 1, got {threshold}")
    n = len(test)
    found = Overlap(np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool), np.full(n, -1, dtype=np.int64))
    if not n or not len(train):
        return found
    left, right = constant_flanks(test, train) if flanks is None else flanks
    core = slice(left, test.shape[1] - right)
    _equal(np.asarray(test), train, slice(None), found.exact, found.partner)
    reversed_core = reverse_complement(np.asarray(test[:, core]))
    _equal(reversed_core, train, core, found.reverse_complement, found.partner)
    unmatched = np.flatnonzero(~found.any)
    if unmatched.size and core.stop - core.start >= k + WINDOW - 1:
        _near(np.asarray(test[unmatched, core]), train, core, unmatched, k, threshold, found)
    return found


def constant_flanks(*several: np.ndarray) -> tuple[int, int]:
    """Count the columns at the left and right end in which one base has `FLANK_SHARE` of all rows; (left, right).

    Fewer than `MIN_ROWS_FOR_FLANKS` rows have no flanks.
    """
    n, seq_len = sum(map(len, several)), several[0].shape[1]
    if n < MIN_ROWS_FOR_FLANKS:
        return 0, 0
    counts = np.zeros((seq_len, N_CODE + 1), dtype=np.int64)
    for codes in several:
        for _, block in _blocks(codes, slice(None)):
            for code in range(N_CODE + 1):
                counts[:, code] += (block == code).sum(axis=0)
    varies = np.flatnonzero(counts.max(axis=1) < FLANK_SHARE * n)
    return (int(varies[0]), int(seq_len - 1 - varies[-1])) if varies.size else (0, 0)


def _blocks(codes: np.ndarray, core: slice) -> Iterator[tuple[int, np.ndarray]]:
    """Yield blocks of rows, each with the number of its first row."""
    n_rows = max(1, _BASES_AT_A_TIME // max(1, codes.shape[1]))
    for start in range(0, len(codes), n_rows):
        yield start, np.asarray(codes[start : start + n_rows])[:, core]


def _equal(test: np.ndarray, train: np.ndarray, core: slice, flag: np.ndarray, partner: np.ndarray) -> None:
    """Flag the test rows that equal the core of a training row."""
    hashes = row_hashes(test)
    order = np.argsort(hashes, kind="stable")
    known = hashes[order]
    for start, block in _blocks(train, core):
        train_hashes = row_hashes(block)
        first, last = np.searchsorted(known, train_hashes, "left"), np.searchsorted(known, train_hashes, "right")
        hits = np.flatnonzero(last > first)
        at, train_rows = _spread(first[hits], last[hits], hits)
        test_rows = order[at]
        same = (test[test_rows] == block[train_rows]).all(axis=1)
        flag[test_rows[same]] = True
        new = same & (partner[test_rows] < 0)
        partner[test_rows[new]] = start + train_rows[new]


def _spread(first: np.ndarray, last: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List every number of the ranges first..last - 1, beside the value of its range."""
    lengths = last - first
    starts = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) - np.repeat(starts - first, lengths), np.repeat(values, lengths)


def _kmers(codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k-mers of either strand as numbers, by left end: two arrays (n, L - k + 1) uint64.

    Long k-mers are joined from shorter ones of 1, 2, 4 … bases. N counts as A; `_seeds` masks it.
    """
    base = np.where(codes > 3, 0, codes).astype(np.uint64)
    n_out = codes.shape[1] - k + 1
    forward = np.zeros((len(codes), n_out), dtype=np.uint64)
    backward = np.zeros_like(forward)
    power, power_back, size, done = base, np.uint64(3) - base, 1, 0
    while done < k:
        if k & size:
            forward = (forward << np.uint64(2 * size)) | power[:, done : done + n_out]
            backward |= power_back[:, done : done + n_out] << np.uint64(2 * done)
            done += size
        if done < k:
            shift = np.uint64(2 * size)
            power = (power[:, :-size] << shift) | power[:, size:]
            power_back = power_back[:, :-size] | (power_back[:, size:] << shift)
            size *= 2
    return forward, backward


def _seeds(codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return hash, row, left end and strand of the minimisers of every row, sorted by row and left end.

    The hash is a bijection on k-mers. Of equal k-mers in a window, the leftmost is taken.
    """
    forward, backward = _kmers(codes, k)
    is_reverse = backward < forward
    mask = np.uint64(4**k - 1)
    value = np.minimum(forward, backward)
    for factor, shift in ((0x9E3779B97F4A7C15, k), (0xD6E8FEB86659FD93, k - 1)):
        value ^= value >> np.uint64(shift)
        value = (value * np.uint64(factor)) & mask
    value ^= value >> np.uint64(k)
    nothing = np.uint64(2**64 - 1)
    position = np.arange(value.shape[1], dtype=np.uint64) << np.uint64(1)
    packed = (value << np.uint64(_POSITION_BITS)) | position | is_reverse
    if (codes > 3).any():
        n_before = np.zeros((len(codes), codes.shape[1] + 1), dtype=np.int32)
        np.cumsum(codes > 3, axis=1, out=n_before[:, 1:])
        packed[n_before[:, k:] > n_before[:, :-k]] = nothing
    size = 1
    while size < WINDOW:
        packed = np.minimum(packed[:, :-size], packed[:, size:])
        size *= 2
    new = np.ones(packed.shape, dtype=bool)
    new[:, 1:] = packed[:, 1:] != packed[:, :-1]
    new &= packed != nothing
    rows = np.nonzero(new)[0]
    chosen = packed[new]
    low = (chosen & np.uint64(2**_POSITION_BITS - 1)).astype(np.int64)
    return chosen >> np.uint64(_POSITION_BITS), rows, low >> 1, (low & 1).astype(bool)


@dataclass(frozen=True)
class _SeedIndex:
    """The seeds of the test rows, sorted: occurrences first[i]..last[i] - 1 of the other arrays are of `seeds[i]`."""

    seeds: np.ndarray
    first: np.ndarray
    last: np.ndarray
    rows: np.ndarray
    left_ends: np.ndarray
    is_reverse: np.ndarray
    may_be_known: np.ndarray

    @staticmethod
    def of(codes: np.ndarray, k: int) -> "_SeedIndex":
        """Index the seeds of integer-encoded sequences (n, L)."""
        blocks = [
            (seeds, rows + start, left_ends, is_reverse)
            for start, block in _blocks(codes, slice(None))
            for seeds, rows, left_ends, is_reverse in [_seeds(block, k)]
        ]
        seeds, rows, left_ends, is_reverse = (np.concatenate(column) for column in zip(*blocks, strict=True))
        order = np.argsort(seeds, kind="stable")
        distinct, first = np.unique(seeds[order], return_index=True)
        last = np.append(first[1:], len(seeds))
        n_bits = int(np.clip(np.ceil(np.log2(16 * len(distinct) + 1)), 10, 27))
        may_be_known = np.zeros(2**n_bits, dtype=bool)
        may_be_known[distinct & np.uint64(2**n_bits - 1)] = True
        return _SeedIndex(distinct, first, last, rows[order], left_ends[order], is_reverse[order], may_be_known)

    def look_up(self, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of some seeds are known, and where in `self.seeds`; the low bits spare most the search."""
        candidates = np.flatnonzero(self.may_be_known[seeds & np.uint64(len(self.may_be_known) - 1)])
        at = np.searchsorted(self.seeds, seeds[candidates])
        at[at == len(self.seeds)] = 0
        hit = self.seeds[at] == seeds[candidates]
        return candidates[hit], at[hit]


def clusters(codes: np.ndarray, reversed_codes: np.ndarray, *, k: int = K, threshold: float = THRESHOLD) -> np.ndarray:
    """Number the clusters of sequences that overlap, directly or over others (single linkage).

    Two sequences overlap if `find` would find either in the other; of sequences with N, the shorter one counts.

    Parameters
    ----------
    codes, reversed_codes
        (n, L) uint8: every sequence, and what the task holds to be its reverse form.

    Returns
    -------
    (n,) int64.
    """
    joined, _ = canonical_groups(codes, reversed_codes)
    left, right = constant_flanks(codes)
    core = slice(left, codes.shape[1] - right)
    width = core.stop - core.start
    if not len(codes) or width < k + WINDOW - 1:
        return joined
    inner = np.asarray(codes[:, core])
    n_bases = (inner <= 3).sum(axis=1)
    index = _SeedIndex.of(inner, k)
    for start, block, pairs in _seed_pairs(index, codes, core, k):
        rows, others = pairs[:, 0], start + pairs[:, 1]
        pairs = pairs[joined[rows] != joined[others]]
        min_agreeing = threshold * np.minimum(n_bases[pairs[:, 0]], n_bases[start + pairs[:, 1]])
        pairs = pairs[_agrees(inner, block, pairs, min_agreeing)]
        if len(pairs):
            edges = np.ones(len(pairs)), (joined[pairs[:, 0]], joined[start + pairs[:, 1]])
            n = int(joined.max()) + 1
            joined = connected_components(sparse.coo_array(edges, shape=(n, n)), directed=False)[1][joined]
    return joined.astype(np.int64)


def _near(
    test: np.ndarray, train: np.ndarray, core: slice, numbers: np.ndarray, k: int, threshold: float, found: Overlap
) -> None:
    """Flag the test rows that are near a training row; `numbers` are their rows in `found`.

    The seeds of the test rows are indexed; the training rows are read in a single pass.
    """
    min_agreeing = threshold * (test <= 3).sum(axis=1)
    is_open = np.ones(len(test), dtype=bool)
    for start, block, pairs in _seed_pairs(_SeedIndex.of(test, k), train, core, k):
        pairs = pairs[is_open[pairs[:, 0]]]
        near = pairs[_agrees(test, block, pairs, min_agreeing[pairs[:, 0]])]
        found.near[numbers[near[:, 0]]] = True
        found.partner[numbers[near[:, 0]]] = start + near[:, 1]
        is_open[near[:, 0]] = False


def _seed_pairs(
    index: "_SeedIndex", train: np.ndarray, core: slice, k: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Give the pairs (test row, training row, strand, shift) that share a seed, by training row, some at a time.

    Yields
    ------
    Number of the first training row of a block, the block between the flanks, and (p, 4) pairs with rows of the block.
    A family of variants has as many pairs as its square: they never are in memory all at once.
    """
    width = core.stop - core.start
    n_seen = np.zeros(len(index.seeds), dtype=np.int64)
    for start, block in _blocks(train, core):
        seeds, rows, left_ends, is_reverse = _seeds(block, k)
        occurrence, at = index.look_up(seeds)
        chosen = np.sort(_within_limit(at, n_seen))
        occurrence, at = occurrence[chosen], at[chosen]
        n_before = np.cumsum(index.last[at] - index.first[at])
        n_pairs = int(n_before[-1]) if len(at) else 0
        parts = np.searchsorted(n_before, np.arange(_PAIRS_AT_A_TIME, n_pairs, _PAIRS_AT_A_TIME))
        for some in np.split(np.arange(len(at)), parts):
            entry, which = _spread(index.first[at[some]], index.last[at[some]], occurrence[some])
            same_strand = index.is_reverse[entry] == is_reverse[which]
            place = np.where(same_strand, index.left_ends[entry], width - k - index.left_ends[entry])
            pairs = np.stack([index.rows[entry], rows[which], same_strand, left_ends[which] - place], axis=1)
            yield start, block, _distinct(pairs)


def _agrees(test: np.ndarray, block: np.ndarray, pairs: np.ndarray, min_agreeing: np.ndarray) -> np.ndarray:
    """Tell which pairs have at least so many agreeing bases, (p,) bool."""
    can_reach = np.flatnonzero(test.shape[1] - np.abs(pairs[:, 3]) >= min_agreeing)
    agrees = np.zeros(len(pairs), dtype=bool)
    some = pairs[can_reach]
    agreeing = agreeing_bases(test[some[:, 0]], block[some[:, 1]], some[:, 2].astype(bool), some[:, 3])
    agrees[can_reach] = agreeing >= min_agreeing[can_reach]
    return agrees


def _within_limit(index: np.ndarray, n_seen: np.ndarray) -> np.ndarray:
    """Choose the occurrences of every seed up to `MAX_ROWS_PER_SEED`, in order, and count them in `n_seen`."""
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, np.int64)
    lengths = np.diff(np.append(starts, len(ordered)))
    rank = np.arange(len(ordered)) - np.repeat(starts, lengths) + n_seen[ordered]
    n_seen[ordered[starts]] += lengths
    return order[rank < MAX_ROWS_PER_SEED]


def _distinct(pairs: np.ndarray) -> np.ndarray:
    """Return the distinct rows of pairs (test row, training row, strand, shift)."""
    if not len(pairs):
        return pairs
    order = np.lexsort(pairs.T[::-1])
    ordered = pairs[order]
    return ordered[np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)]]


def agreeing_bases(test: np.ndarray, train: np.ndarray, same_strand: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Count, pair by pair, the bases of a test sequence that agree with the training sequence it is aligned to.

    Parameters
    ----------
    test, train
        (p, L) uint8, integer-encoded sequences; N agrees with nothing.
    same_strand
        (p,) bool; where it is False, the test sequence is reverse-complemented first.
    shift
        (p,) int: column c of the test sequence is aligned to column c + shift of the other.

    Returns
    -------
    (p,) int64.
    """
    width = test.shape[1]
    reach = int(np.abs(shift).max(initial=0))
    padded = np.full((len(train), width + 2 * reach), _PAD, dtype=np.uint8)
    padded[:, reach : reach + width] = train
    aligned = np.where(same_strand[:, None], test, COMPLEMENT[test[:, ::-1]])
    at = np.arange(width)[None, :] + (reach + shift)[:, None]
    return ((aligned == np.take_along_axis(padded, at, axis=1)) & (aligned <= 3)).sum(axis=1)
