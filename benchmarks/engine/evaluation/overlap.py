"""Sequences of a test set that stand in the training data too: as they are, turned, or nearly.

Source: none of the paper; minimisers after Roberts et al. 2004, Bioinformatics 20:3363.

Three kinds, of sequences (n, L) of one length:

* **exact**: the same bases from end to end.
* **reverse_complement**: the same after reverse-complementing what is between the constant flanks.
* **near**: laid over one training sequence without gaps, at the best shift and on either strand, at least `threshold`
  of the test sequence's bases agree; and it is none of the above. Shifted windows of a genome and a few substitutions
  count, an insertion counts where enough lies on one side of it.

Flanks, such as adapters, are the columns at either end in which one base has `FLANK_SHARE` of all rows. They are cut
before anything but exact equality is judged.

What is found. Exact ones: all. Turned ones: all that are turned from flank to flank. Near ones are found by a shared
seed and then verified base by base, so that none is reported wrongly. A seed is the k-mer (the smaller of its two
strands) of lowest hash among `WINDOW` neighbours; two sequences that share `k + WINDOW - 1` bases in a row (24 by
default), on either strand, share a seed. So e substitutions in an overlap of m bases are found for certain while
(m - e) / (e + 1) > 23: up to 7 in 200 bases. More of them are found by chance. A near-duplicate may be missed where
every seed it shares is one that `MAX_ROWS_PER_SEED` training sequences have before it (repeats), or stands more than
once within a window (low complexity), or holds an N.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.api.sequences import COMPLEMENT, N_CODE, reverse_complement

K, THRESHOLD, WINDOW = 17, 0.8, 8
MAX_ROWS_PER_SEED = 64
FLANK_SHARE = 0.9
_BASES_AT_A_TIME = 4_000_000
_PAIRS_AT_A_TIME = 100_000
_PAD = 255
_POSITION_BITS = 16


@dataclass(frozen=True)
class Overlap:
    """Which test sequences leak; every array has one entry per test sequence.

    Parameters
    ----------
    exact, reverse_complement, near
        (n,) bool. A sequence may be of the first two kinds at once.
    partner
        (n,) int64, a training sequence that shows it, -1 where there is none.
    """

    exact: np.ndarray
    reverse_complement: np.ndarray
    near: np.ndarray
    partner: np.ndarray

    @property
    def any(self) -> np.ndarray:
        return self.exact | self.reverse_complement | self.near


def find(
    test: np.ndarray,
    train: np.ndarray,
    *,
    k: int = K,
    threshold: float = THRESHOLD,
    flanks: tuple[int, int] | None = None,
) -> Overlap:
    """Find the test sequences that occur in the training data; see the module for what counts and what is found.

    Parameters
    ----------
    test, train
        (n, L) and (m, L) uint8 codes.
    k
        Odd, 9 to 23: length of a seed.
    threshold
        Share of a test sequence's bases (flanks and N aside) that agree in a near-duplicate, above 0.5, up to 1.
    flanks
        Columns to cut at the left and the right; None: those that are constant.

    Raises
    ------
    ValueError
        For other lengths, k or threshold.
    """
    if test.ndim != 2 or train.ndim != 2 or test.shape[1] != train.shape[1]:
        raise ValueError(f"sequences of one length expected, got {test.shape} and {train.shape}")
    if k % 2 == 0 or not 9 <= k <= 23:
        raise ValueError(f"k must be an odd number from 9 to 23, got {k}")
    if not 0.5 < threshold <= 1:
        raise ValueError(f"the threshold must lie above 0.5 and not above 1, got {threshold}")
    n = len(test)
    found = Overlap(np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool), np.full(n, -1, dtype=np.int64))
    if not n or not len(train):
        return found
    left, right = constant_flanks(test, train) if flanks is None else flanks
    core = slice(left, test.shape[1] - right)
    _equal(np.asarray(test), train, slice(None), found.exact, found.partner)
    turned = reverse_complement(np.asarray(test[:, core]))
    _equal(turned, train, core, found.reverse_complement, found.partner)
    open_rows = np.flatnonzero(~found.any)
    if open_rows.size and core.stop - core.start >= k + WINDOW - 1:
        _near(np.asarray(test[open_rows, core]), train, core, open_rows, k, threshold, found)
    return found


def constant_flanks(*several: np.ndarray) -> tuple[int, int]:
    """Count the columns at the left and right end in which one base has `FLANK_SHARE` of all rows; (left, right).

    Two rows of chance would agree in a column too easily, so that fewer than 20 rows have no flanks.
    """
    n, seq_len = sum(map(len, several)), several[0].shape[1]
    if n < 20:
        return 0, 0
    counts = np.zeros((seq_len, N_CODE + 1), dtype=np.int64)
    for codes in several:
        for _, block in _blocks(codes, slice(None)):
            for code in range(N_CODE + 1):
                counts[:, code] += (block == code).sum(axis=0)
    varies = np.flatnonzero(counts.max(axis=1) < FLANK_SHARE * n)
    return (int(varies[0]), int(seq_len - 1 - varies[-1])) if varies.size else (0, 0)


def _blocks(codes: np.ndarray, core: slice) -> Iterator[tuple[int, np.ndarray]]:
    """Give the rows of a block at a time, and the number of the first."""
    n_rows = max(1, _BASES_AT_A_TIME // max(1, codes.shape[1]))
    for start in range(0, len(codes), n_rows):
        yield start, np.asarray(codes[start : start + n_rows])[:, core]


def _sums(codes: np.ndarray) -> np.ndarray:
    """Add up eight-byte words, each with a factor of its own: equal rows have equal sums, others hardly ever."""
    n_words = -(-codes.shape[1] // 8)
    factors = np.random.default_rng(0).integers(2**63, size=n_words, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    padded = np.zeros((len(codes), 8 * n_words), dtype=np.uint8)
    padded[:, : codes.shape[1]] = codes
    words = padded.view(np.uint64)
    words = (words ^ (words >> np.uint64(31))) * factors
    return (words ^ (words >> np.uint64(29))).sum(axis=1)


def _equal(test: np.ndarray, train: np.ndarray, core: slice, flag: np.ndarray, partner: np.ndarray) -> None:
    """Flag the test rows that equal a training row in its core."""
    sums = _sums(test)
    order = np.argsort(sums, kind="stable")
    known = sums[order]
    for start, block in _blocks(train, core):
        theirs = _sums(block)
        first, last = np.searchsorted(known, theirs, "left"), np.searchsorted(known, theirs, "right")
        hits = np.flatnonzero(last > first)
        at, rows = _spread(first[hits], last[hits], hits)
        mine = order[at]
        same = (test[mine] == block[rows]).all(axis=1)
        flag[mine[same]] = True
        new = same & (partner[mine] < 0)
        partner[mine[new]] = start + rows[new]


def _spread(first: np.ndarray, last: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List every number of the ranges first..last - 1, beside the value of its range."""
    lengths = last - first
    starts = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) - np.repeat(starts - first, lengths), np.repeat(values, lengths)


def _kmers(codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k-mers of either strand as numbers, by left end: two arrays (n, L - k + 1) uint64.

    Longer words are put together from shorter ones of 1, 2, 4 … bases. N counts as A; see `_seeds`.
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

    The hash is one to one on k-mers. Of equal k-mers in a window, the leftmost is taken.
    """
    forward, backward = _kmers(codes, k)
    is_turned = backward < forward
    mask = np.uint64(4**k - 1)
    value = np.minimum(forward, backward)
    for factor, shift in ((0x9E3779B97F4A7C15, k), (0xD6E8FEB86659FD93, k - 1)):
        value ^= value >> np.uint64(shift)
        value = (value * np.uint64(factor)) & mask
    value ^= value >> np.uint64(k)
    nothing = np.uint64(2**64 - 1)
    position = np.arange(value.shape[1], dtype=np.uint64) << np.uint64(1)
    packed = (value << np.uint64(_POSITION_BITS)) | position | is_turned
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


def _near(
    test: np.ndarray, train: np.ndarray, core: slice, numbers: np.ndarray, k: int, threshold: float, found: Overlap
) -> None:
    """Flag the test rows that are near a training row. The seeds of the test rows are indexed, training rows stream."""
    width = test.shape[1]
    parts = [
        (seed, rows + start, at, strand)
        for start, block in _blocks(test, slice(None))
        for seed, rows, at, strand in [_seeds(block, k)]
    ]
    seeds, owners, places, strands = (np.concatenate(several) for several in zip(*parts, strict=True))
    order = np.argsort(seeds, kind="stable")
    owners, places, strands = owners[order], places[order], strands[order]
    known, first = np.unique(seeds[order], return_index=True)
    last = np.append(first[1:], len(seeds))
    n_seen = np.zeros(len(known), dtype=np.int64)
    n_bits = int(np.clip(np.ceil(np.log2(16 * len(known) + 1)), 10, 27))  # spares most training seeds the look-up
    bits = np.uint64(2**n_bits - 1)
    may_be_known = np.zeros(2**n_bits, dtype=bool)
    may_be_known[known & bits] = True
    is_open = np.ones(len(test), dtype=bool)
    own_bases = (test <= 3).sum(axis=1)
    for start, block in _blocks(train, core):
        theirs, rows, at, strand = _seeds(block, k)
        maybe = np.flatnonzero(may_be_known[theirs & bits])
        index = np.searchsorted(known, theirs[maybe])
        index[index == len(known)] = 0
        hit = known[index] == theirs[maybe]
        maybe, index = maybe[hit], index[hit]
        chosen = _within_limit(index, n_seen)
        maybe, index = maybe[chosen], index[chosen]
        posting, which = _spread(first[index], last[index], maybe)
        mine = owners[posting]
        same = strands[posting] == strand[which]
        place = np.where(same, places[posting], width - k - places[posting])
        pairs = np.stack([mine, rows[which], same, at[which] - place], axis=1)[is_open[mine]]
        can_reach = width - np.abs(pairs[:, 3]) >= threshold * own_bases[pairs[:, 0]]
        pairs = _distinct(pairs[can_reach])
        for begin in range(0, len(pairs), _PAIRS_AT_A_TIME):
            some = pairs[begin : begin + _PAIRS_AT_A_TIME]
            agree = agreeing_bases(test[some[:, 0]], block[some[:, 1]], some[:, 2].astype(bool), some[:, 3])
            is_near = agree >= threshold * own_bases[some[:, 0]]
            mine_near = numbers[some[is_near, 0]]
            found.near[mine_near] = True
            found.partner[mine_near] = start + some[is_near, 1]
            is_open[some[is_near, 0]] = False


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
    """Count, pair by pair, the bases of a test sequence that agree with the training sequence it is laid over.

    Parameters
    ----------
    test, train
        (p, L) uint8 codes; N agrees with nothing.
    same_strand
        (p,) bool; where it is False, the test sequence is reverse-complemented first.
    shift
        (p,) int: column c of the test sequence meets column c + shift of the other.

    Returns
    -------
    (p,) int64.
    """
    width = test.shape[1]
    reach = int(np.abs(shift).max(initial=0))
    padded = np.full((len(train), width + 2 * reach), _PAD, dtype=np.uint8)
    padded[:, reach : reach + width] = train
    laid = np.where(same_strand[:, None], test, COMPLEMENT[test[:, ::-1]])
    at = np.arange(width)[None, :] + (reach + shift)[:, None]
    return ((laid == np.take_along_axis(padded, at, axis=1)) & (laid <= 3)).sum(axis=1)
