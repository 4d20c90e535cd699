"""The plasmid around the promoters of the yeast challenge: adapters, and from a row to 150 bp and back.

Source: `data/plasmid.json` and `prixfixe/autosome/utils.py` of the challenge repository. A row of the challenge is left
adapter + variable region (80 bases by design, 48 to 112 in fact) + right adapter; networks get the 150 bases that end
with the row, so a shorter row has more of the plasmid to its left.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks.api.data import TaskSpec
from benchmarks.api.sequences import SequenceError, encode
from benchmarks.errors import BadInput

SEQ_LEN = 150
N_BINS = 18
"""Bins that the promoters' cells were sorted into, 0 to 17; expression is in units of bins."""
LEFT_ADAPTER = "TGCATTTTTTTCACATC"
RIGHT_ADAPTER = "GGTTACGGCTGTT"
PLASMID_LEFT = (
    "AGTCCACTATTAAAGAACGTGGACTCCAACGTCAAAGGGCGAAAAACCGTCTATCAGGGCGATGGCCCACTACGTGAACCATCACCCTAATCAAGTGCTAGCAGGAATGATGCAAAAG"
    "GTTCCCGATTCGAACTGCATTTTTTTCACATC"
)
"""The 150 bases of the plasmid up to the variable region; they end with the left adapter."""
PLASMID_RIGHT = "TCTTAATTAAAAAAAGATAGAAAACATTAGGAGTGTAACACAAGACTTTCGGATCCTGAGCAGGCAAGATAAACGA"
"""What follows the right adapter in the plasmid."""

REGION_LEN = 80
"""Bases between the adapters, by design."""
MIN_ROW, MAX_ROW = len(LEFT_ADAPTER) + len(RIGHT_ADAPTER), SEQ_LEN
"""Lengths of a row that can be inferred from the 150 bases made of it."""


def in_plasmid(spec: TaskSpec) -> bool:
    """Tell whether the sequences of a task are promoters in their plasmid, as `construct` makes them."""
    return spec.head == "soft_classification" and spec.seq_len == SEQ_LEN


def construct(rows: Sequence[str]) -> np.ndarray:
    """Put rows of the challenge, with adapters, into the plasmid; bare regions of 80 bases get their adapters.

    The first 17 bases of a row with adapters are the plasmid's own, whatever it has there, as published.

    Returns
    -------
    (n, 150) uint8 codes.

    Raises
    ------
    SequenceError
        For the first row that is shorter than both adapters, longer than 150, has neither adapter and not 80 bases, or
        has a letter that stands for no base.
    """
    bare = are_bare(rows)
    if bare.any():
        rows = [LEFT_ADAPTER + row + RIGHT_ADAPTER if is_bare else row for row, is_bare in zip(rows, bare, strict=True)]
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    wrong = np.flatnonzero((lengths < MIN_ROW) | (lengths > MAX_ROW))
    if wrong.size:
        raise SequenceError(int(wrong[0]), f"length {MIN_ROW} to {MAX_ROW} expected, got {lengths[wrong[0]]}")
    return encode([(PLASMID_LEFT + row[len(LEFT_ADAPTER) :])[-SEQ_LEN:] for row in rows], SEQ_LEN)


def are_bare(rows: Sequence[str]) -> np.ndarray:
    """Tell which rows are the 80 bases between the adapters, without these; (n,) bool.

    An adapter with errors of sequencing is one: rows of the challenge have such.

    Raises
    ------
    SequenceError
        For the first row without adapters, or with one of the two, that is not as long as it would be with both.
    """
    bare = np.zeros(len(rows), dtype=bool)
    for i, row in enumerate(rows):
        if row.startswith(LEFT_ADAPTER) or not MIN_ROW <= len(row) <= MAX_ROW:
            continue
        upper = row.upper()
        has_left, has_right = (
            _begins_with_adapter(upper),
            _differences(upper[-len(RIGHT_ADAPTER) :], RIGHT_ADAPTER) <= 3,
        )
        if not has_left and not has_right:
            if len(row) != REGION_LEN:
                raise SequenceError(
                    i,
                    f"a row with both adapters ({LEFT_ADAPTER}… and …{RIGHT_ADAPTER}) or a bare region of {REGION_LEN} "
                    f"bases expected, got {len(row)} bases without adapters",
                )
            bare[i] = True
        elif not has_left and len(row) == REGION_LEN + len(RIGHT_ADAPTER):
            raise SequenceError(i, f"it ends with the right adapter and lacks the left one, {LEFT_ADAPTER}")
    return bare


def _begins_with_adapter(row: str) -> bool:
    return _differences(row[: len(LEFT_ADAPTER)], LEFT_ADAPTER) <= 7 or "TTTTTTCA" in row[:24]


def _differences(text: str, adapter: str) -> int:
    return sum(a not in (b, "N") for a, b in zip(text, adapter, strict=True))


def flank_note(rows: Sequence[str]) -> str | None:
    """Count the bare regions among rows, in a sentence; None where there are none."""
    n = int(are_bare(rows).sum())
    return f"{n:,} bare regions of {REGION_LEN} bases got the adapters added." if n else None


def variable_region_mask(codes: np.ndarray) -> np.ndarray:
    """Tell which of 150 bp are the variable region, between the adapters; (n, 150) uint8 -> (n, 150) bool.

    Raises
    ------
    BadInput
        If a sequence does not begin in the plasmid.
    """
    at, n_before = np.arange(SEQ_LEN), SEQ_LEN + len(LEFT_ADAPTER) - row_lengths(codes)
    return (at >= n_before[:, None]) & (at < SEQ_LEN - len(RIGHT_ADAPTER))


def row_lengths(codes: np.ndarray) -> np.ndarray:
    """Infer from 150 bp the length of the row that they were made of, adapters included.

    What precedes the variable region is the end of `PLASMID_LEFT`; it is looked for at every place where it could end.

    Parameters
    ----------
    codes
        (n, 150) uint8.

    Returns
    -------
    (n,) int64, 30 to 150.

    Raises
    ------
    BadInput
        If a sequence does not begin in the plasmid.
    """
    plasmid = encode([PLASMID_LEFT], SEQ_LEN)[0]
    lengths = np.zeros(len(codes), dtype=np.int64)
    todo = np.arange(len(codes))
    usual = 80 + MIN_ROW
    for length in sorted(range(MIN_ROW, MAX_ROW + 1), key=lambda m: abs(m - usual)):
        n_before = SEQ_LEN + len(LEFT_ADAPTER) - length
        part = codes if len(todo) == len(codes) else codes[todo]
        matches = (part[:, :n_before] == plasmid[SEQ_LEN - n_before :]).all(axis=1)
        lengths[todo[matches]] = length
        todo = todo[~matches]
        if not len(todo):
            return lengths
    raise BadInput(
        f"Sequence {todo[0] + 1} does not begin in the yeast plasmid, so it cannot be told where its variable region "
        "is; BHI's and UnlockDNA's processors need to know, Autosome's takes any sequence as it is."
    )
