"""The ordered sequences of a designed library, and which of them are controls."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io import tables


def check(file: Path, sequences: Sequence[str], lines: Sequence[int]) -> list[str]:
    """Return the sequences in upper case; they must be DNA and differ from one another.

    Raises
    ------
    BadInput
        For the first that is none, or that stands there again.
    """
    first: dict[str, int] = {}
    for line, text in zip(lines, sequences, strict=True):
        sequence = text.upper()
        if not sequence or set(sequence) - set("ACGT"):
            raise BadInput(f"{file}, line {line}: a sequence of A, C, G and T is expected, got {text[:60]!r}.")
        if sequence in first:
            raise BadInput(
                f"{file}, line {line}: the sequence of line {first[sequence]} again; no read could be told to be of "
                "one of the two: leave one out."
            )
        first[sequence] = line
    return list(first)


def controls(file: Path, ids: Sequence[str]) -> np.ndarray:
    """Read the ids of negative controls, one a line; tell which ordered sequences they are, (n,) bool.

    Raises
    ------
    BadInput
        If there is none, or one that was not ordered.
    """
    named = {line.strip() for line in tables.read_lines(file) if line.strip()}
    if not named:
        raise BadInput(f"--controls {file} names no control; an id of --ordered per line is expected.")
    if unknown := sorted(named - set(ids)):
        hint = did_you_mean("id", unknown[0], list(ids[:1000])).partition(" Known:")[0]
        raise BadInput(f"--controls {file}: {hint} Ids are those of --ordered.")
    return np.array([name in named for name in ids])
