"""Inserts to start from: read from a file, or drawn at random."""

from pathlib import Path

import numpy as np

from benchmarks.api.construct import Construct
from benchmarks.api.sequences import SequenceError
from benchmarks.errors import BadInput
from benchmarks.io import sequence_files


def read_inserts(file: Path, construct: Construct) -> tuple[list[str], np.ndarray]:
    """Read the inserts of a file, bare or with flanks: n distinct names, and (n, length) uint8 codes.

    Raises
    ------
    BadInput
        For a sequence that is not an insert of the construct, naming its line.
    """
    names: list[str] = []
    codes = []
    for piece in sequence_files.read_pieces(file):
        try:
            codes.append(construct.inserts(piece.sequences))
        except SequenceError as error:
            raise BadInput(f"{file}, line {piece.lines[error.row]}: {error.reason}.") from None
        names += piece.ids
    if len(set(names)) < len(names):
        names = [f"{name}.{i}" for i, name in enumerate(names)]
    return names, np.concatenate(codes)


def draw_inserts(construct: Construct, n: int, seed: int, purpose: str) -> tuple[list[str], np.ndarray]:
    """Draw n random inserts, with their names; sets of different purpose share none under one seed."""
    rng = np.random.default_rng([seed, *purpose.encode()])
    return [f"rand{i}" for i in range(n)], random_inserts(rng, n, construct.length)


def read_or_draw(
    file: Path | None, construct: Construct, n: int, seed: int, purpose: str
) -> tuple[list[str], np.ndarray]:
    """Read the inserts of a file, or draw n where none is given."""
    return read_inserts(file, construct) if file else draw_inserts(construct, n, seed, purpose)


def sample_inserts(file: Path, construct: Construct, n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Draw n of the inserts of a file, without repeats, in their order.

    Raises
    ------
    BadInput
        If the file has fewer.
    """
    names, codes = read_inserts(file, construct)
    if n > len(names):
        raise BadInput(f"--n {n:,}: {file} has {len(names):,} sequences; draw that many at most.")
    rows = np.sort(np.random.default_rng(seed).choice(len(names), n, replace=False))
    return [names[row] for row in rows], codes[rows]


def random_inserts(rng: np.random.Generator, n: int, length: int) -> np.ndarray:
    """Draw sequences of independent, equally likely bases; (n, length) uint8."""
    return rng.integers(0, 4, (n, length), dtype=np.uint8)
