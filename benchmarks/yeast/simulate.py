"""A simulated Random Promoter DREAM Challenge with a known answer. Everything made here is labelled simulated.

A promoter's expression is a fixed function of its sequence, the same on both strands: short motifs of yeast factors add
to it, more so near the start of transcription, some do more together, and the sum levels off. Cells are then sorted by
fluorescence: a training promoter is seen in a few cells, most often in one (a whole number of bins), a designed one in
about a hundred. 18 bins are sorted in three batches of six with unequal yields; cells outside the outermost gates are
lost, and below the cells' own fluorescence there is little to tell promoters apart.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from benchmarks.api import yeast_plasmid
from benchmarks.api.data import Dataset
from benchmarks.api.metrics import pearson_r
from benchmarks.api.sequences import N_CODE, decode, encode_one, find_sites, reverse_complement
from benchmarks.api.simulated_motifs import Motif, in_motifs
from benchmarks.yeast import prepare
from benchmarks.yeast.prepare import OUTPUT, TrainingTable
from benchmarks.yeast.test_set import TestSet

WIDTH = 80
"""Variable bases by design."""


@dataclass(frozen=True)
class PromoterMotif(Motif):
    """A motif, the bins that a site of it adds at the start of transcription, and how many are planted per promoter."""

    effect: float
    rate: float


MOTIFS = (
    PromoterMotif("Reb1", "CGGGTAA", 6.0, 0.5),
    PromoterMotif("Hsf1", "TTCTAGAA", 5.0, 0.4),
    PromoterMotif("Rap1", "ACCCAT", 4.0, 0.4),
    PromoterMotif("Gcr1", "CTTCC", 2.0, 0.3),
    PromoterMotif("Ume6", "GCCGCC", -4.5, 0.5),
)
"""Consensus sequences after the factors' published preferences; strengths and rates are invented."""

TOGETHER = ("Rap1", "Gcr1", 2.0)
"""Two factors, and the bins they add where a promoter has sites of both."""
REACH_BP = 60
"""Distance from the right end over which a site's effect falls to 1/e."""
CENTRE, HALF_RANGE = 8.0, 7.5
"""Bins of a promoter without sites, and how far the sum of effects can move it."""

CELL_SD, BACKGROUND = 1.0, 2.0
"""Spread of cells about their promoter, and the bin of the cells' own fluorescence."""
YIELDS = (1.0, 1.15, 0.9)
"""Cells recovered from each batch of six bins, relative to what is assumed."""
SINGLETON_RATE, N_CELLS = 0.58, 100
"""Share of training promoters seen in one cell (cells are geometric); mean cells of a designed sequence."""

N_POOL = 6_000
SIZES = {"random": 500, "native": 100, "challenging": 160, "high": 100, "low": 100}
N_SNVS, N_PERTURBED, N_TILED = 350, 260, 200
PUBLIC_SHARE = 0.13


def simulate(*, n_train: int, seed: int) -> Dataset:
    """Simulate training promoters and a designed test set with all eight kinds of subsets."""
    rng = np.random.default_rng(seed)
    regions = random_regions(rng, n_train)
    slipped = rng.random(n_train) < 0.08
    regions[slipped, 0] = N_CODE  # one base short: synthesis slips
    truth = expression(regions)
    unread = np.flatnonzero(rng.random(n_train) < 0.004)
    regions[unread, rng.integers(1, WIDTH, len(unread))] = N_CODE
    measured = sorted_cells(rng, truth, rng.geometric(SINGLETON_RATE, n_train))
    rows = [promoter[int(short) :] for promoter, short in zip(decode(regions), slipped, strict=True)]
    codes = yeast_plasmid.construct([yeast_plasmid.LEFT_ADAPTER + row + yeast_plasmid.RIGHT_ADAPTER for row in rows])
    test, test_truth = designed(rng)
    notes = (
        f"SIMULATED challenge: {n_train:,} random promoters and {len(test):,} designed ones (seed {seed}), built from "
        f"{len(MOTIFS)} motifs; no value here was measured.",
        f"Noise: cells spread by {CELL_SD} bins about their promoter; {SINGLETON_RATE:.0%} of the training promoters "
        f"are seen in one cell, designed ones in about {N_CELLS}.",
    )
    return prepare.dataset(
        "simulated", TrainingTable(codes, measured), test, origin="simulated", seed=seed, notes=notes,
        ceilings=tuple(_ceilings(test, test_truth)),
    )  # fmt: skip


def _ceilings(test: TestSet, truth: np.ndarray) -> list[dict]:
    basis = "r between the noise-free expression and the simulated measurement"
    rows = {"private": ~test.is_public, "whole": np.ones(len(test), dtype=bool)}
    return [
        {"output": OUTPUT, "level": level, "metric": "pearson_r", "basis": basis}
        | {"value": pearson_r(test.y_true[chosen], truth[chosen])}
        for level, chosen in rows.items()
    ]


def random_regions(rng: np.random.Generator, n: int, *, at: float = 0.55, times: float = 1.0) -> np.ndarray:
    """Draw variable regions (n, 80): random bases, and motifs planted at `times` their rates on either strand."""
    weak = rng.random((n, WIDTH)) < at
    bases = (encode_one(pair)[rng.integers(0, 2, weak.shape)] for pair in ("AT", "GC"))
    codes = np.where(weak, *bases).astype(np.uint8)
    for motif in MOTIFS:
        for row in np.repeat(np.arange(n), rng.poisson(times * motif.rate, n)):
            plant(rng, codes[row], motif)
    return codes


def plant(rng: np.random.Generator, region: np.ndarray, motif: Motif, start: int | None = None) -> None:
    """Write a motif into a region (80,), at a random place and strand unless `start` is given (then forward)."""
    site = encode_one(motif.consensus)
    if start is None:
        start = int(rng.integers(0, WIDTH - len(site) + 1))
        site = site if rng.random() < 0.5 else reverse_complement(site)
    region[start : start + len(site)] = site


def expression(regions: np.ndarray) -> np.ndarray:
    """Return the noise-free expression, in bins, of variable regions (n, 80); equal on both strands of a site."""
    total, has = np.zeros(len(regions)), {}
    for motif in MOTIFS:
        starts = find_sites(regions, motif.consensus)
        middle = np.arange(starts.shape[1]) + len(motif.consensus) / 2
        total += motif.effect * (starts @ np.exp(-(WIDTH - middle) / REACH_BP))
        has[motif.name] = starts.any(axis=1)
    one, other, bonus = TOGETHER
    total += bonus * (has[one] & has[other])
    return CENTRE + HALF_RANGE * np.tanh(total / HALF_RANGE)


def motif_mask(codes: np.ndarray) -> np.ndarray:
    """Tell which bases of promoters in their plasmid lie in a site that counts; (n, 150) codes -> (n, 150) bool.

    As in `expression`, a site lies in the variable region as a whole.
    """
    region = yeast_plasmid.variable_region_mask(codes)
    return in_motifs(np.where(region, codes, np.uint8(N_CODE)), MOTIFS)


def sorted_cells(rng: np.random.Generator, truth: np.ndarray, n_cells: np.ndarray) -> np.ndarray:
    """Sort cells into 18 bins and return each promoter's weighted average bin; (n,) float64.

    The weights ignore the unequal yields, which therefore bias the average, as they do in real sorting.
    """
    owner = np.repeat(np.arange(len(truth)), n_cells)
    signal = np.logaddexp(truth, BACKGROUND)[owner]
    low, high = ndtr((0 - signal) / CELL_SD), ndtr((yeast_plasmid.N_BINS - signal) / CELL_SD)
    cell = signal + CELL_SD * ndtri(low + rng.random(len(owner)) * (high - low))
    bins = np.clip(np.floor(cell), 0, yeast_plasmid.N_BINS - 1)
    weight = np.array(YIELDS)[(bins // 6).astype(int)]
    return np.bincount(owner, weight * bins, len(truth)) / np.bincount(owner, weight, len(truth))


def designed(rng: np.random.Generator) -> tuple[TestSet, np.ndarray]:
    """Design and measure a test set; return it, and the noise-free expression of its sequences."""
    regions, singles, pairs = _Library(), {}, {}
    pool = random_regions(rng, N_POOL)
    order = np.argsort(expression(pool), kind="stable")
    middle = rng.permutation(order[SIZES["low"] : -SIZES["high"]])
    singles["high"] = regions.add(pool[order[-SIZES["high"] :]])
    singles["low"] = regions.add(pool[order[: SIZES["low"]]])
    singles["random"] = regions.add(pool[middle[: SIZES["random"]]])
    singles["native"] = regions.add(random_regions(rng, SIZES["native"], at=0.65, times=1.5))
    singles["challenging"] = regions.add(random_regions(rng, SIZES["challenging"], times=2.5))
    references = middle[: SIZES["random"]][rng.integers(0, SIZES["random"], N_SNVS)]
    pairs["SNVs"] = regions.add_pairs(pool[references], _substituted(rng, pool[references]))
    pairs["motif_perturbation"] = regions.add_pairs(*_perturbed(rng, pool[middle[SIZES["random"] :]]))
    pairs["motif_tiling"] = regions.add_pairs(*_tiled(rng, pool[middle[SIZES["random"] :]]))
    codes = np.array(regions.rows)
    truth = expression(codes)
    bins = sorted_cells(rng, truth, 1 + rng.poisson(N_CELLS - 1, len(truth)))
    sequences = [yeast_plasmid.LEFT_ADAPTER + region + yeast_plasmid.RIGHT_ADAPTER for region in decode(codes)]
    public_pairs = {name: rng.random(len(both)) < PUBLIC_SHARE for name, both in pairs.items()}
    is_public = rng.random(len(truth)) < PUBLIC_SHARE
    for name, public in public_pairs.items():
        is_public[pairs[name][public].ravel()] = True
    test = TestSet(
        (bins - CENTRE) / 4.5, is_public, singles, pairs, public_pairs, np.array(sequences, dtype=object), "simulated"
    )
    return test, truth


class _Library:
    """Distinct sequences in the order in which they were added, and the place of each."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self._place: dict[bytes, int] = {}

    def _add(self, region: np.ndarray) -> int:
        key = region.tobytes()
        if key not in self._place:
            self._place[key] = len(self.rows)
            self.rows.append(region)
        return self._place[key]

    def add(self, regions: np.ndarray) -> np.ndarray:
        return np.unique([self._add(region) for region in regions])

    def add_pairs(self, references: np.ndarray, alternatives: np.ndarray) -> np.ndarray:
        both = [(self._add(alt), self._add(ref)) for ref, alt in zip(references, alternatives, strict=True)]
        return np.unique(both, axis=0)


def _substituted(rng: np.random.Generator, regions: np.ndarray) -> np.ndarray:
    """Change one base of every region, every second time within a site where it has one."""
    changed = regions.copy()
    inside = in_motifs(regions, MOTIFS)
    for row, region in enumerate(changed):
        places = np.flatnonzero(inside[row]) if rng.random() < 0.5 and inside[row].any() else np.arange(WIDTH)
        at = rng.choice(places)
        region[at] = (region[at] + rng.integers(1, 4)) % 4
    return changed


def _perturbed(rng: np.random.Generator, backgrounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give ten references a site of Reb1 or Hsf1; return them, and copies with one to three of its bases changed."""
    references, changed = [], []
    for i in range(N_PERTURBED):
        motif, reference = MOTIFS[i % 2], backgrounds[i % 10].copy()
        start = 25 + 4 * (i % 10)
        plant(rng, reference, motif, start)
        perturbed = reference.copy()
        for at in rng.choice(len(motif.consensus), rng.integers(1, 4), replace=False):
            perturbed[start + at] = (perturbed[start + at] + rng.integers(1, 4)) % 4
        references.append(reference)
        changed.append(perturbed)
    return np.array(references), np.array(changed)


def _tiled(rng: np.random.Generator, backgrounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move sites along three references: each is paired with the same promoter without the site."""
    references, tiled = [], []
    for i in range(N_TILED):
        reference = backgrounds[10 + i % 3]
        moved = reference.copy()
        motif = MOTIFS[i % 4]
        plant(rng, moved, motif, int(rng.integers(0, WIDTH - len(motif.consensus) + 1)))
        references.append(reference)
        tiled.append(moved)
    return np.array(references), np.array(tiled)
