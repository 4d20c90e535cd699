"""Which rows of a table are an element's reverse orientation: marks in ids, checked against the sequences.

Source: the ids of Agarwal et al. 2025, where `_Reversed:` marks the reverse orientation, and `_F`, `_R` of copies.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api.sequences import N_CODE, reverse_insert
from benchmarks.errors import BadInput

_MARK = re.compile(r"_(?:Reversed:|Reversed$|R$)")
_WORD = re.compile(r"_Reversed")
_ELEMENT = re.compile(r"_(?:F|R|Reversed|Reversed:.*)$")
_PIECE = 65_536


@dataclass(frozen=True)
class Strands:
    """Orientations of rows.

    Parameters
    ----------
    is_reverse
        (n,) uint8.
    element
        (n,) int64, one number for the rows of an element, by its ids; None where no id carries a mark that counts.
    notes
        Sentences on marks that were not, or could not be, confirmed.
    """

    is_reverse: np.ndarray
    element: np.ndarray | None
    notes: tuple[str, ...] = ()


def are_marked(ids: Sequence[str]) -> np.ndarray:
    """Tell which ids carry a mark of the reverse orientation, whether or not it counts; (n,) bool."""
    return np.fromiter((_MARK.search(name) is not None for name in ids), dtype=bool, count=len(ids))


def of_ids(path: Path, ids: pd.Series, codes: np.ndarray, insert: slice) -> Strands:
    """Read orientations off ids: a mark counts if the row is the reverse complement of the element's other row.

    An id that ends in `_R` may mean a reference allele or a repeat as well, so marks of that kind count only where a
    pair confirms them. `_Reversed` says what it means: it also counts where the other orientation is not in the table.

    Parameters
    ----------
    ids
        Indexed by line.
    codes
        (n, seq_len) uint8.
    insert
        The part of a sequence that is turned.

    Raises
    ------
    BadInput
        If marked sequences are not the reverse complement of their partners.
    """
    names = ids.astype(str).tolist()
    marked = are_marked(names)
    if not marked.any():
        return Strands(np.zeros(len(ids), dtype=np.uint8), None)
    element = pd.factorize(np.array([_ELEMENT.sub("", name) for name in names], dtype=object))[0].astype(np.int64)
    confirmed, partner = _confirmed(element, marked, codes, insert)
    says_reversed = np.array([_WORD.search(name) is not None for name in names])
    notes, counts = [], marked.copy()
    for kind, ending in ((marked & ~says_reversed, "_R"), (marked & says_reversed, "_Reversed")):
        if not kind.any():
            continue
        wrong = np.flatnonzero(kind & (partner >= 0) & ~confirmed)
        if ending == "_R" and not confirmed[kind].any():
            first = np.flatnonzero(kind)[0]
            notes.append(
                f"{kind.sum():,} ids end in _R (the first is {names[first]!r}, line {ids.index[first]}), and none is "
                "the reverse complement of a partner: no row was taken for a reverse orientation by them."
            )
            counts &= ~kind
        elif wrong.size:
            raise BadInput(_not_reverse(path, ids, wrong, int(partner[wrong[0]]), int(kind.sum())))
        elif alone := int((kind & (partner < 0)).sum()):
            notes.append(
                f"{alone:,} ids that are marked as reverse have no forward partner in the table, so their sequences "
                "could not be checked."
            )
    return Strands(counts.astype(np.uint8), element if counts.any() else None, tuple(notes))


def _confirmed(
    element: np.ndarray, marked: np.ndarray, codes: np.ndarray, insert: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Tell which marked rows are the reverse complement of an unmarked row of their element, and name one such row."""
    rows = pd.DataFrame({"element": element, "row": np.arange(len(element))})
    pairs = rows[marked].merge(rows[~marked], on="element", suffixes=("", "_of_partner"))
    confirmed, partner = np.zeros(len(element), dtype=bool), np.full(len(element), -1)
    mine, theirs = pairs["row"].to_numpy(), pairs["row_of_partner"].to_numpy()
    partner[mine] = theirs
    for start in range(0, len(pairs), _PIECE):
        here = slice(start, start + _PIECE)
        turned, other = reverse_insert(codes[mine[here]], insert)[:, insert], codes[theirs[here]][:, insert]
        is_turned = ((turned == other) | (turned == N_CODE) | (other == N_CODE)).all(axis=1)
        confirmed[mine[here][is_turned]] = True
    return confirmed, partner


def _not_reverse(path: Path, ids: pd.Series, wrong: np.ndarray, partner: int, n_marked: int) -> str:
    line, name = ids.index[wrong[0]], ids.iloc[wrong[0]]
    return (
        f"{path}, line {line}: {name!r} is marked as a reverse orientation, and its sequence is not the reverse "
        f"complement of {ids.iloc[partner]!r}, line {ids.index[partner]} ({len(wrong):,} of {n_marked:,} such pairs; "
        "the element between the adapters is compared). Correct the sequences or the ids, or name a column that has "
        "the orientation: --columns strand=COLUMN."
    )
