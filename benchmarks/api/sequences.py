"""DNA as uint8 codes: the one home of base order.

Codes follow the DREAM code, A0 G1 C2 T3 N4 (`prixfixe/autosome/utils.py` of the challenge repository), so that the
complement of code c is 3 - c. Baselines published with channels A,C,G,T ask `one_hot_table` for that order.
"""

from collections.abc import Iterable, Sequence

import numpy as np

BASES = "AGCTN"
N_CODE = BASES.index("N")
COMPLEMENT = np.array([3, 2, 1, 0, N_CODE], dtype=np.uint8)

_INVALID = 255
_TO_CODE = bytearray([_INVALID] * 256)
for _code, _base in enumerate(BASES):
    _TO_CODE[ord(_base)] = _TO_CODE[ord(_base.lower())] = _code
_TO_CODE = bytes(_TO_CODE)


class SequenceError(ValueError):
    """A sequence that cannot be encoded; `row` and `reason` let a reader name the line of its file."""

    def __init__(self, row: int, reason: str):
        super().__init__(f"sequence {row}: {reason}")
        self.row, self.reason = row, reason


def encode(sequences: Sequence[str], seq_len: int) -> np.ndarray:
    """Turn sequences of one length into codes, in one pass over their joined text. Case does not matter.

    Returns
    -------
    (n, seq_len) uint8, read-only, values 0..4.

    Raises
    ------
    SequenceError
        For the first sequence with another length or a letter outside ACGTN.
    """
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    wrong = np.flatnonzero(lengths != seq_len)
    if wrong.size:
        row = int(wrong[0])
        raise SequenceError(row, f"length {seq_len} expected, got {lengths[row]}")
    # latin-1 keeps one byte per character; what it lacks becomes '?', which is no base either.
    text = "".join(sequences).encode("latin-1", "replace").translate(_TO_CODE)
    codes = np.frombuffer(text, dtype=np.uint8).reshape(len(sequences), seq_len)
    if codes.size and codes.max() > N_CODE:
        row, column = (int(i[0]) for i in np.nonzero(codes > N_CODE))
        raise SequenceError(row, f"letter {sequences[row][column]!r} at position {column + 1} is not one of ACGTN")
    return codes


def encode_chromosome(sequence: str) -> np.ndarray:
    """Turn a stretch of a reference genome into codes; ambiguous letters (R, Y, M …) become N. (n,) uint8."""
    codes = np.frombuffer(sequence.encode("latin-1", "replace").translate(_TO_CODE), dtype=np.uint8).copy()
    codes[codes > N_CODE] = N_CODE
    return codes


def decode(codes: np.ndarray) -> list[str]:
    """Turn (n, seq_len) codes back into upper-case sequences."""
    letters = np.frombuffer(BASES.encode(), dtype=np.uint8)[codes]
    return [row.tobytes().decode() for row in letters]


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Reverse-complement codes along the last axis; N stays N."""
    return COMPLEMENT[codes][..., ::-1]


def reverse_insert(codes: np.ndarray, insert: slice) -> np.ndarray:
    """Reverse-complement a stretch of every sequence and leave what is around it; (n, seq_len) uint8, a copy."""
    turned = np.array(codes)
    turned[:, insert] = reverse_complement(turned[:, insert])
    return turned


def one_hot_table(order: str = "AGCT") -> np.ndarray:
    """Return the (5, 4) float32 table whose row c is the one-hot vector of code c; the row of N is all zero.

    `order` names the channels: AGCT in the DREAM models, ACGT in every baseline.
    """
    if sorted(order) != sorted("ACGT"):
        raise ValueError(f"order must be a permutation of ACGT, got {order!r}")
    table = np.zeros((len(BASES), 4), dtype=np.float32)
    for channel, base in enumerate(order):
        table[BASES.index(base), channel] = 1.0
    return table


def one_hot(codes: np.ndarray, order: str = "AGCT") -> np.ndarray:
    """Turn (..., seq_len) codes into (..., seq_len, 4) float32; see `one_hot_table`."""
    return one_hot_table(order)[codes]


def canonical_groups(codes: np.ndarray, reversed_codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give equal ids to sequences that are equal or each other's reverse form.

    Parameters
    ----------
    codes, reversed_codes
        (n, seq_len) uint8: every sequence and what the task holds to be its reverse form.

    Returns
    -------
    (n,) int64 group ids, 0 .. n_groups - 1, in order of first appearance; (n,) bool, True where a sequence is the
    larger of its two forms, so that the two orientations of a group differ in it.
    """
    differs = codes != reversed_codes
    first = differs.argmax(axis=1)
    rows = np.arange(len(codes))
    turned = codes[rows, first] > reversed_codes[rows, first]
    canonical = np.ascontiguousarray(np.where(turned[:, None], reversed_codes, codes))
    return first_appearance_ids(canonical.view(f"V{canonical.shape[1]}").ravel()), turned


def first_appearance_ids(values: np.ndarray) -> np.ndarray:
    """Number distinct values 0, 1, 2 … in order of first appearance; (n,) int64."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.ravel()]


def find_sites(codes: np.ndarray, word: str) -> np.ndarray:
    """Tell where a word stands on either strand: (n, L) codes -> (n, L - len(word) + 1) bool, by its left end."""
    site = encode([word], len(word))[0]
    windows = np.lib.stride_tricks.sliding_window_view(codes, len(site), axis=1)
    return (windows == site).all(axis=2) | (windows == reverse_complement(site)).all(axis=2)


def covered(codes: np.ndarray, words: Iterable[str]) -> np.ndarray:
    """Tell which positions lie in a site of any of the words, on either strand; (n, L) codes -> (n, L) bool."""
    inside = np.zeros(codes.shape, dtype=bool)
    for word in words:
        found = find_sites(codes, word)
        for shift in range(len(word)):
            inside[:, shift : shift + found.shape[1]] |= found
    return inside


def occur_in(codes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Tell which sequences stand among others, as they are written; (n, L) and (m, L) uint8 -> (n,) bool.

    Sums of eight-byte words find the few that may; those are compared byte by byte.
    """
    rng = np.random.default_rng(0)
    factors = rng.integers(2**63, size=-(-codes.shape[1] // 8), dtype=np.uint64) * np.uint64(2) + np.uint64(1)

    def sums(rows: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(rows), 1_000_000):
            part = rows[start : start + 1_000_000]
            padded = np.zeros((len(part), 8 * len(factors)), dtype=np.uint8)
            padded[:, : part.shape[1]] = part
            parts.append((padded.view(np.uint64) * factors).sum(axis=1))
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)

    found = np.isin(sums(codes), sums(others))
    known = {row.tobytes() for row in others} if found.any() else set()
    for row in np.flatnonzero(found):
        found[row] = codes[row].tobytes() in known
    return found
