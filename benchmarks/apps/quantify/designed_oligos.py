"""The designed oligos of a library: their file, and which of them are negative controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io import sequence_files, text_files


@dataclass(frozen=True)
class DesignedOligos:
    """Designed oligos as they are read, flanks included: ids, distinct sequences of ACGT, lines in the file."""

    ids: list[str]
    sequences: list[str]
    lines: list[int]


def read(file: Path) -> DesignedOligos:
    """Read designed oligos from FASTA or a table.

    Raises
    ------
    BadInput
        For the first sequence that is not DNA, or that appears twice.
    """
    pieces = list(sequence_files.read_pieces(file))
    ids, sequences, lines = (
        [item for piece in pieces for item in getattr(piece, name)] for name in ("ids", "sequences", "lines")
    )
    return DesignedOligos(ids, _checked(file, sequences, lines), lines)


def _checked(file: Path, sequences: Sequence[str], lines: Sequence[int]) -> list[str]:
    """Return the sequences in upper case; they must be DNA and differ from one another."""
    first: dict[str, int] = {}
    for line, text in zip(lines, sequences, strict=True):
        sequence = text.upper()
        if not sequence or set(sequence) - set("ACGT"):
            raise BadInput(f"{file}, line {line}: a sequence of A, C, G and T is expected, got {text[:60]!r}.")
        if sequence in first:
            raise BadInput(
                f"{file}, line {line}: the sequence of line {first[sequence]} again, so that no read could be assigned "
                "to one of the two; leave one out."
            )
        first[sequence] = line
    return list(first)


def controls(file: Path, ids: Sequence[str]) -> np.ndarray:
    """Read the ids of negative controls, one a line; tell which designed oligos they are, (n,) bool.

    Raises
    ------
    BadInput
        If the file names no control, or one that is not among the oligos.
    """
    named = {line.strip() for line in text_files.read_lines(file) if line.strip()}
    if not named:
        raise BadInput(f"--controls {file} names no control; an id of --ordered per line is expected.")
    if unknown := sorted(named - set(ids)):
        hint = did_you_mean("id", unknown[0], list(ids[:1000])).partition(" Known:")[0]
        raise BadInput(f"--controls {file}: {hint} Ids are those of --ordered.")
    return np.array([name in named for name in ids])
