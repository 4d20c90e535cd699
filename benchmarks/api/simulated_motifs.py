"""Motifs that simulations plant in their sequences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.api.sequences import covered


@dataclass(frozen=True)
class Motif:
    """A motif by its name and consensus (A, C, G, T); a simulation adds to it what a site of it does."""

    name: str
    consensus: str


def in_motifs(codes: np.ndarray, motifs: Iterable[Motif]) -> np.ndarray:
    """Tell which bases lie in a site of any motif, on either strand; (n, L) uint8 -> (n, L) bool."""
    return covered(codes, [motif.consensus for motif in motifs])


def has_spaced_sites(left: np.ndarray, right: np.ndarray, left_bp: int, gaps_bp: Sequence[int]) -> np.ndarray:
    """Tell which sequences have a site of one motif before a site of another, with an allowed gap between them.

    Parameters
    ----------
    left, right
        (n, L - length + 1) bool: where sites of either begin.
    left_bp
        Length of the left motif.
    gaps_bp
        Allowed numbers of bases between the two sites.

    Returns
    -------
    (n,) bool.
    """
    result = np.zeros(len(left), dtype=bool)
    for gap in gaps_bp:
        shift = left_bp + gap
        width = min(left.shape[1], right.shape[1] - shift)
        result |= (left[:, :width] & right[:, shift : shift + width]).any(axis=1)
    return result
