"""Motifs as probability matrices: reading them, and finding their sites in a sequence.

A site is a window whose log-odds score reaches a share of the way from the matrix's lowest to its highest score (the
relative score that JASPAR uses); for a motif given as plain bases, the exact bases alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import registry
from benchmarks.api.sequences import BASES
from benchmarks.api.task import HasPlantedMotifs, supports
from benchmarks.errors import BadInput
from benchmarks.io import tables
from benchmarks.io.meme import is_meme, read_meme

RELATIVE_SCORE = 0.85
_EXACT = 1 - 1e-6
_FLOOR = 0.01
"""Least probability of a base, so that a base never seen does not rule a site out alone."""


@dataclass(frozen=True)
class Motif:
    """A motif: (width, 4) probabilities in the order A, G, C, T, and the relative score that makes a site."""

    name: str
    probabilities: np.ndarray
    threshold: float = RELATIVE_SCORE

    def __len__(self) -> int:
        return len(self.probabilities)

    def reversed(self) -> np.ndarray:
        """Return the probabilities of the reverse complement."""
        order = [BASES.index(_COMPLEMENT[base]) for base in BASES[:4]]
        return self.probabilities[::-1, order]


_COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}


@dataclass(frozen=True)
class MotifSite:
    """A site: its motif, first base and the one after its last, relative score, and the matrix as it lies there."""

    motif: Motif
    start: int
    end: int
    score: float
    probabilities: np.ndarray


def relative_scores(codes: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the relative score, 0 to 1, of every window of a sequence (L,): (L - width + 1,); NaN with an N in it."""
    odds = np.log2(np.maximum(probabilities, _FLOOR) / 0.25)
    width = len(odds)
    if width > len(codes):
        return np.array([])
    windows = np.lib.stride_tricks.sliding_window_view(codes, width)
    known = (windows < 4).all(axis=1)
    raw = odds[np.arange(width), np.minimum(windows, 3)].sum(axis=1)
    low, high = odds.min(axis=1).sum(), odds.max(axis=1).sum()
    return np.where(known, (raw - low) / (high - low), np.nan)


def sites(codes: np.ndarray, motifs: Sequence[Motif]) -> list[MotifSite]:
    """Find the sites of motifs in a sequence (L,), on either strand, sorted by place."""
    found = []
    for motif in motifs:
        for matrix in (motif.probabilities, motif.reversed()):
            scores = relative_scores(codes, matrix)
            found += [
                MotifSite(motif, int(start), int(start) + len(motif), float(scores[start]), matrix)
                for start in np.flatnonzero(scores >= motif.threshold)
            ]
    return sorted(found, key=lambda site: (site.start, site.end, -site.score))


def altered_sites(codes: np.ndarray, motifs: Sequence[Motif], *, most: int = 2) -> list[MotifSite]:
    """Find the sites that a variant makes, destroys or changes: in either sequence, over a base that differs.

    Parameters
    ----------
    codes
        (2, L), wild type and variant.
    most
        How many to return: those with the highest scores, of each motif the best.
    """
    changed = np.flatnonzero(codes[0] != codes[1])
    best: dict[str, MotifSite] = {}
    for sequence in codes:
        for site in sites(sequence, motifs):
            covers = ((changed >= site.start) & (changed < site.end)).any()
            if covers and site.score > getattr(best.get(site.motif.name), "score", 0.0):
                best[site.motif.name] = site
    return sorted(sorted(best.values(), key=lambda site: -site.score)[:most], key=lambda site: site.start)


def of_bases(name: str, bases: str) -> Motif:
    """Return a motif of plain bases, whose sites are exact."""
    matrix = np.zeros((len(bases), 4))
    matrix[np.arange(len(bases)), [BASES.index(base) for base in bases]] = 1.0
    return Motif(name, matrix, _EXACT)


def read_motifs(file: Path) -> list[Motif]:
    """Read motifs from a MEME file, or from a table with columns name, word (A, C, G, T).

    Raises
    ------
    BadInput
        If the file is neither, or a motif is malformed.
    """
    if is_meme(file):
        order = ["ACGT".index(base) for base in BASES[:4]]
        return [Motif(name, matrix[:, order]) for name, matrix in read_meme(file).items()]
    expected = "A file in MEME format, or a table with columns name, word is expected."
    table = tables.read_headed(file, ["name", "word"], expected=expected)
    names, words = (tables.required_text(file, table, column) for column in ("name", "word"))
    for name, word in zip(names, words, strict=True):
        if not word or set(str(word).upper()) - set("ACGT"):
            raise BadInput(f"{file}, {name}: expected a motif of A, C, G and T in column 'word', got {word!r}.")
    return [of_bases(str(name), str(word).upper()) for name, word in zip(names, words, strict=True)]


def simulated_motifs() -> list[Motif]:
    """Return the motifs that the simulated yeast data are made of."""
    task = registry.get_task("yeast")
    planted = task.PLANTED_MOTIFS if supports(task, HasPlantedMotifs) else ()
    return [of_bases(motif.name, motif.consensus) for motif in planted]
