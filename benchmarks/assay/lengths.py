"""Sequences of several lengths as rows of one: cropped between their adapters, and padded."""

from collections.abc import Sequence

import numpy as np

from benchmarks.api import sequences
from benchmarks.api.data import Layout
from benchmarks.api.sequences import SequenceError

_COMPLEMENT = str.maketrans("ACGT", "TGCA")  # other letters are read as N, whichever they are


def cropped(text: str, length: int, keep: str, adapters: tuple[str, str]) -> str:
    """Crop what lies between the adapters, so that the whole has a length.

    >>> cropped("AACCGGTT", 6, "start", ("AA", "TT"))
    'AACCTT'

    Parameters
    ----------
    keep
        `middle`, `start` or `end`: the part that is kept. Of an odd number of bases too many, `middle` drops one more
        at the end.
    """
    surplus = len(text) - length
    if surplus <= 0:
        return text
    left, right = (len(end) for end in adapters)
    insert = text[left : len(text) - right]
    first = {"start": 0, "middle": surplus // 2, "end": surplus}[keep]
    return text[:left] + insert[first : first + len(insert) - surplus] + text[len(text) - right :]


def reversed_between(text: str, adapters: tuple[str, str]) -> str:
    """Reverse-complement what lies between the adapters.

    >>> reversed_between("AACCGTT", ("AA", "TT"))
    'AACGGTT'
    """
    left, end = len(adapters[0]), len(text) - len(adapters[1])
    return text[:left] + text[left:end].translate(_COMPLEMENT)[::-1] + text[end:]


def reversed_all(texts: Sequence[str], layout: Layout) -> list[str]:
    """Return every sequence in its other orientation; adapters stay where they are."""
    return [reversed_between(text, layout.adapters) for text in texts]


def offsets(n_bases: np.ndarray, seq_len: int, layout: Layout) -> np.ndarray:
    """Tell where sequences of these lengths, (n,) int, begin in their rows; (n,) int64.

    Of longer ones, it is negative: the number of bases that are cropped before the part that is kept.
    """
    missing = seq_len - np.asarray(n_bases, dtype=np.int64)
    padded = {"both": missing // 2, "left": missing, "right": np.zeros_like(missing)}[layout.pad]
    dropped = {"start": np.zeros_like(missing), "middle": -missing // 2, "end": -missing}.get(layout.longer, missing)
    return np.where(missing >= 0, padded, -dropped)


def as_rows(texts: Sequence[str], seq_len: int, layout: Layout) -> np.ndarray:
    """Encode sequences as rows of one length, cropped and padded; (n, seq_len) uint8.

    >>> sequences.decode(as_rows(["ACG", "AC"], 4, Layout()))
    ['ACGN', 'NACN']
    >>> sequences.decode(as_rows(["ACG"], 7, Layout(pad_with=("GT", "CC"))))
    ['GTACGCC']

    Raises
    ------
    SequenceError
        For the first sequence that is longer where that is refused, empty, or has a letter that stands for no base.
    """
    result = []
    for row, text in enumerate(texts):
        if not text or (layout.longer == "refuse" and len(text) > seq_len):
            raise SequenceError(row, f"1 to {seq_len} bp expected, got {len(text)}")
        kept = cropped(text, seq_len, layout.longer, layout.adapters)
        (before,) = offsets(np.array([len(kept)]), seq_len, layout).tolist()
        after = seq_len - len(kept) - before
        left, right = layout.pad_with
        left = ("N" * before + left)[len(left) :] if before else ""
        right = (right + "N" * after)[:after]
        result.append(left + kept.replace("U", "T").replace("u", "t") + right)
    return sequences.encode(result, seq_len)
