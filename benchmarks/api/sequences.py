"""DNA as integer-encoded sequences (uint8 codes): the one home of base order.

Codes follow the DREAM code, A0 G1 C2 T3 N4 (`prixfixe/autosome/utils.py` of the challenge repository), so that the
complement of code c is 3 - c. Baselines published with channels A,C,G,T ask `one_hot_table` for that order.
"""

from collections.abc import Iterable, Sequence

import numpy as np

BASES = "AGCTN"
N_CODE = BASES.index("N")
COMPLEMENT = np.array([3, 2, 1, 0, N_CODE], dtype=np.uint8)

AMBIGUOUS = "RYSWKMBDHV"
"""IUPAC's letters for two or three possible bases; they are read as N."""

_INVALID = 255
_TO_CODE = bytes(
    BASES.index(letter) if (letter := chr(i).upper()) in BASES else N_CODE if letter in AMBIGUOUS else _INVALID
    for i in range(256)
)
_IS_AMBIGUOUS = bytes(ord("!") if chr(i).upper() in AMBIGUOUS else i for i in range(256))


class SequenceError(ValueError):
    """A sequence that cannot be encoded; `row` and `reason` let a reader name the line of its file."""

    def __init__(self, row: int, reason: str):
        super().__init__(f"sequence {row}: {reason}")
        self.row, self.reason = row, reason


def encode(sequences: Sequence[str], seq_len: int) -> np.ndarray:
    """Encode sequences of one length, in one pass over their joined text. Case does not matter.

    Ambiguous bases (R, Y, M …) become N; `ambiguity_note` counts them.

    >>> encode(["ACGT", "nnra"], 4)
    array([[0, 2, 1, 3],
           [4, 4, 4, 0]], dtype=uint8)

    Returns
    -------
    (n, seq_len) uint8, read-only, values 0..4.

    Raises
    ------
    SequenceError
        For the first sequence with another length, or a letter that stands for no base.
    """
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    wrong = np.flatnonzero(lengths != seq_len)
    if wrong.size:
        row = int(wrong[0])
        raise SequenceError(row, f"length {seq_len} expected, got {lengths[row]}")
    # latin-1 keeps one byte per character; a character that it lacks becomes '?', which is refused as well.
    text = "".join(sequences).encode("latin-1", "replace").translate(_TO_CODE)
    codes = np.frombuffer(text, dtype=np.uint8).reshape(len(sequences), seq_len)
    if codes.size and codes.max() > N_CODE:
        row, column = (int(i[0]) for i in np.nonzero(codes > N_CODE))
        raise SequenceError(row, f"letter {sequences[row][column]!r} at position {column + 1} is not one of ACGTN")
    return codes


def ambiguity_note(sequences: Sequence[str], lines: Sequence[int]) -> str | None:
    """Count the letters that stand for several bases, in a sentence for who reads the report; None without any.

    Parameters
    ----------
    lines
        Line of each sequence in its file, to name the first.

    >>> ambiguity_note(["ACGT", "ARRT"], [2, 3])
    '2 letters in 1 sequences stand for several bases (R, Y, M …) and were read as N; the first is R, line 3.'
    """
    text = "".join(sequences)
    n = text.encode("latin-1", "replace").translate(_IS_AMBIGUOUS).count(b"!") - text.count("!")
    if not n:
        return None
    rows = [row for row, sequence in enumerate(sequences) if set(sequence.upper()) & set(AMBIGUOUS)]
    letter = next(letter for letter in sequences[rows[0]].upper() if letter in AMBIGUOUS)
    return (
        f"{n:,} letters in {len(rows):,} sequences stand for several bases (R, Y, M …) and were read as N; the first "
        f"is {letter}, line {lines[rows[0]]}."
    )


def encode_one(sequence: str) -> np.ndarray:
    """Encode one sequence, such as a motif; (len(sequence),) uint8, read-only.

    Raises
    ------
    SequenceError
        For a letter outside ACGTN.
    """
    return encode([sequence], len(sequence))[0]


def encode_chromosome(sequence: str) -> np.ndarray:
    """Encode a stretch of a reference genome; ambiguous letters (R, Y, M …) become N. (n,) uint8."""
    codes = np.frombuffer(sequence.encode("latin-1", "replace").translate(_TO_CODE), dtype=np.uint8).copy()
    codes[codes > N_CODE] = N_CODE
    return codes


def decode(codes: np.ndarray) -> list[str]:
    """Turn (n, seq_len) codes back into n upper-case sequences.

    >>> decode(encode(["acgtn"], 5))
    ['ACGTN']
    """
    letters = np.frombuffer(BASES.encode(), dtype=np.uint8)[codes]
    return [row.tobytes().decode() for row in letters]


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Reverse-complement codes (..., seq_len) along the last axis; N stays N.

    >>> decode(reverse_complement(encode(["AACGN"], 5)))
    ['NCGTT']
    """
    return COMPLEMENT[codes][..., ::-1]


def reverse_insert(codes: np.ndarray, insert: slice) -> np.ndarray:
    """Reverse-complement a stretch of every sequence and leave its flanks; (n, seq_len) uint8, a copy."""
    result = np.array(codes)
    result[:, insert] = reverse_complement(result[:, insert])
    return result


def one_hot_table(order: str = "AGCT") -> np.ndarray:
    """Return the (5, 4) float32 table whose row c is the one-hot vector of code c; the row of N is all zero.

    `order` names the channels: AGCT in the DREAM models, ACGT in every baseline.

    >>> one_hot_table("ACGT")[encode_one("CN")]
    array([[0., 1., 0., 0.],
           [0., 0., 0., 0.]], dtype=float32)

    Raises
    ------
    ValueError
        If `order` is not a permutation of ACGT.
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
    canonical, is_larger = canonical_forms(codes, reversed_codes)
    return first_appearance_ids(comparable_rows(canonical)), is_larger


def canonical_forms(codes: np.ndarray, reversed_codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the smaller of the two forms of every sequence, (n, seq_len) uint8, and where that is the reverse one."""
    differs = codes != reversed_codes
    first = differs.argmax(axis=1)
    rows = np.arange(len(codes))
    is_larger = codes[rows, first] > reversed_codes[rows, first]
    return np.where(is_larger[:, None], reversed_codes, codes), is_larger


def comparable_rows(codes: np.ndarray) -> np.ndarray:
    """View every sequence as one value, so that numpy can sort and compare them; (n, L) uint8 -> (n,) of L bytes."""
    return np.ascontiguousarray(codes).view(f"V{codes.shape[1]}").ravel()


def row_hashes(codes: np.ndarray) -> np.ndarray:
    """Hash every sequence: equal ones have equal hashes, others almost never; (n, L) uint8 -> (n,) uint64."""
    n_words = -(-codes.shape[1] // 8)
    factors = np.random.default_rng(0).integers(2**63, size=n_words, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashes = np.empty(len(codes), dtype=np.uint64)
    for start in range(0, len(codes), _HASHED_AT_A_TIME):
        block = codes[start : start + _HASHED_AT_A_TIME]
        padded = np.zeros((len(block), 8 * n_words), dtype=np.uint8)
        padded[:, : block.shape[1]] = block
        words = padded.view(np.uint64)
        words = (words ^ (words >> np.uint64(31))) * factors
        hashes[start : start + len(block)] = (words ^ (words >> np.uint64(29))).sum(axis=1)
    return hashes


_HASHED_AT_A_TIME = 1_000_000
"""Rows, to bound memory."""


def first_appearance_ids(values: np.ndarray) -> np.ndarray:
    """Number distinct values 0, 1, 2 … in order of first appearance; (n,) int64.

    >>> first_appearance_ids(np.array([7, 3, 7, 5]))
    array([0, 1, 0, 2])
    """
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.ravel()]


def find_sites(codes: np.ndarray, motif: str) -> np.ndarray:
    """Tell where a motif lies on either strand: (n, L) codes -> (n, L - len(motif) + 1) bool, by its left end.

    >>> find_sites(encode(["AACTT"], 5), "AA")
    array([[ True, False, False,  True]])
    """
    site = encode_one(motif)
    windows = np.lib.stride_tricks.sliding_window_view(codes, len(site), axis=1)
    return (windows == site).all(axis=2) | (windows == reverse_complement(site)).all(axis=2)


def covered(codes: np.ndarray, motifs: Iterable[str]) -> np.ndarray:
    """Tell which positions lie in a site of any of the motifs, on either strand; (n, L) codes -> (n, L) bool."""
    inside = np.zeros(codes.shape, dtype=bool)
    for motif in motifs:
        starts = find_sites(codes, motif)
        for shift in range(len(motif)):
            inside[:, shift : shift + starts.shape[1]] |= starts
    return inside


def occur_in(codes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Tell which sequences are among others, on the same strand; (n, L) and (m, L) uint8 -> (n,) bool.

    Hashes find the few that may be; those are compared base by base.
    """
    result = np.isin(row_hashes(codes), row_hashes(others))
    known = {row.tobytes() for row in others} if result.any() else set()
    for row in np.flatnonzero(result):
        result[row] = codes[row].tobytes() in known
    return result
