"""Sets that test what a motif does: point mutations of a site, copies of it, and a site at every position.

Source: Rafi et al. 2024 (doi 10.1038/s41587-024-02414-w), Methods. What the text leaves open is inferred from the tags
and sequences of the published test set: the Reb1 sites (strong CCGGGTAAC, medium CCGGCTAAC) at position 20 counted from
0, all single mutations of both, about 50 double and 50 triple ones of the strong site per background and orientation;
Hsf1 copies in slots of their own width from either end, N keeping the base of the background; references are the
backgrounds. Published names are kept, except that the last single trimer is called by its position (64, there 60).
"""

import re
from collections.abc import Mapping
from itertools import combinations, product

import numpy as np
import pandas as pd

from benchmarks.api.sequences import BASES, N_CODE, encode_one, reverse_complement
from benchmarks.errors import BadInput

SITES = {"Reb1.s": "CCGGGTAAC", "Reb1.m": "CCGGCTAAC"}
"""Sites that are mutated base by base."""
SINGLES_ONLY = ("Reb1.m",)
"""Sites that get no double and triple mutations."""
COPIES = {"Hsf1mono": "ATGGAACA", "Hsf1tri": "NTTCTAGAANNTTCTN"}
"""Motifs that are repeated side by side."""
TILED = {
    "polyA": "AAAAA",
    "Skn7": "GTCTGGCCC",
    "Mga1": "TTCT",
    "Ume6": "AGCCGCC",
    "Mot3": "GCAGGCACG",
    "Azf1": "TAAAAGAAA",
}
"""Motifs that are moved along a background."""
AT, N_MULTIPLE = 20, 50


def named_motifs(given: list[str] | None, default: Mapping[str, str], length: int) -> dict[str, str]:
    """Read motifs `NAME=SEQUENCE` of letters ACGTN; the published ones by default.

    Raises
    ------
    BadInput
        For another form, a name that appears twice, a motif of N alone, or one longer than an insert of `length` bp.
    """
    motifs = {}
    for text in given or ():
        name, equals, letters = text.partition("=")
        letters = letters.strip().upper()
        if not equals or not re.fullmatch(r"[A-Za-z0-9.-]+", name.strip()) or not re.fullmatch("[ACGTN]+", letters):
            raise BadInput(f"A motif is expected as NAME=SEQUENCE, letters ACGTN, e.g. Reb1=CCGGGTAAC; got {text!r}.")
        if name.strip() in motifs:
            raise BadInput(f"Two motifs are called {name.strip()}; give every one a name of its own.")
        if not letters.strip("N"):
            raise BadInput(f"The motif {text!r} is of N alone, which changes nothing; bases are expected.")
        motifs[name.strip()] = letters
    motifs = motifs or dict(default)
    for name, letters in motifs.items():
        if len(letters) > length:
            raise BadInput(f"The motif {name} has {len(letters)} bp, an insert {length}; the insert cannot hold it.")
    return motifs


def placed(background: np.ndarray, site: np.ndarray, at: int) -> np.ndarray:
    """Write a site (k,) into a copy of a background (length,) from `at`; N keeps what is there."""
    changed = background.copy()
    inside = changed[at : at + len(site)]
    inside[site != N_CODE] = site[site != N_CODE]
    return changed


class _Set:
    """Rows of a designed set, and the backgrounds that they are compared with."""

    def __init__(self, names: list[str], backgrounds: np.ndarray):
        self.rows = [(name, "", codes) for name, codes in zip(names, backgrounds, strict=True)]

    def add(self, reference: str, what: str, codes: np.ndarray) -> None:
        """Add a sequence to be compared with a reference, by the tag of what was done to it."""
        self.rows.append((f"{reference}_{what}", reference, codes))

    def finish(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Return the table of tag and ref_tag, and the codes."""
        tags, references, codes = zip(*self.rows, strict=True)
        return pd.DataFrame({"tag": tags, "ref_tag": references}), np.stack(codes)


def perturbation(
    names: list[str],
    backgrounds: np.ndarray,
    *,
    sites: Mapping[str, str] = SITES,
    copies: Mapping[str, str] = COPIES,
    at: tuple[int, ...] = (AT,),
    n_multiple: int = N_MULTIPLE,
    seed: int = 0,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Mutate sites base by base and repeat motifs, in every background.

    Parameters
    ----------
    names, backgrounds
        n names and (n, length) codes.
    at
        Where sites begin, counted from 0.
    n_multiple
        Double, and as many triple, mutations of a site per background and orientation, drawn without repeats.

    Returns
    -------
    Table of tag and ref_tag, the backgrounds first, without reference; and (n_rows, length) codes. Copies of a motif
    that leave a background as it is are left out.
    """
    rng, designed, length = np.random.default_rng(seed), _Set(names, backgrounds), backgrounds.shape[1]
    for name, background in zip(names, backgrounds, strict=True):
        for (motif, letters), reverse, start in product(sites.items(), (False, True), at):
            site = _oriented(letters, reverse)
            if not 0 <= start <= length - len(site):
                raise BadInput(f"--at {start}: {motif} has {len(site)} bp; 0 to {length - len(site)} is expected.")
            label = f"{motif}{'.RC' * reverse}"
            designed.add(name, f"{label}_canonical_{start}", placed(background, site, start))
            n_more = 0 if motif in SINGLES_ONLY else n_multiple
            for changes in (*_changes(site, 1), *_some(rng, site, 2, n_more), *_some(rng, site, 3, n_more)):
                mutant = site.copy()
                for i, base in changes:
                    mutant[i] = base
                what = ".".join(f"{i}{BASES[base]}" for i, base in changes)
                designed.add(name, f"{label}_{what}_{start}", placed(background, mutant, start))
        for motif, letters in copies.items():
            for what, codes in _copied(background, _oriented(letters, False)):
                if (codes != background).any():
                    designed.add(name, f"{motif}.{what}", codes)
    return designed.finish()


def tiling(
    names: list[str], backgrounds: np.ndarray, motifs: Mapping[str, str] = TILED
) -> tuple[pd.DataFrame, np.ndarray]:
    """Write every motif at every position and in both orientations into every background.

    Returns
    -------
    As `perturbation`. A motif that the background has there already changes nothing, and is left out.
    """
    designed, length = _Set(names, backgrounds), backgrounds.shape[1]
    for name, background in zip(names, backgrounds, strict=True):
        for (motif, letters), reverse in product(motifs.items(), (False, True)):
            site = _oriented(letters, reverse)
            for at in range(length - len(site) + 1):
                codes = placed(background, site, at)
                if (codes != background).any():
                    designed.add(name, f"{motif}{'.RC' * reverse}_{at}", codes)
    return designed.finish()


def _oriented(letters: str, reverse: bool) -> np.ndarray:
    """Encode a motif, or its reverse complement; (k,) uint8."""
    site = encode_one(letters)
    return reverse_complement(site) if reverse else site


def _changes(site: np.ndarray, n: int) -> list[tuple[tuple[int, int], ...]]:
    """List all ways to change n bases of a site: (position, new code), n times each. N is not changed."""
    fixed = np.flatnonzero(site != N_CODE).tolist()
    return [
        tuple(zip(places, bases, strict=True))
        for places in combinations(fixed, n)
        for bases in product(*([code for code in range(4) if code != site[i]] for i in places))
    ]


def _some(rng: np.random.Generator, site: np.ndarray, n: int, wanted: int) -> list[tuple[tuple[int, int], ...]]:
    if not wanted:
        return []
    known = _changes(site, n)
    return [known[i] for i in rng.choice(len(known), min(wanted, len(known)), replace=False)]


def _copied(background: np.ndarray, site: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """List single copies by their position, and 1, 2 … copies from the left (1L, 2L …) and right end (1R, 2R …)."""
    slots = list(range(0, len(background) - len(site) + 1, len(site)))
    copies = [(str(at), placed(background, site, at)) for at in slots]
    for end, order in (("L", slots), ("R", slots[::-1])):
        filled = background
        for n, at in enumerate(order, start=1):
            filled = placed(filled, site, at)
            copies.append((f"{n}{end}", filled))
    return copies
