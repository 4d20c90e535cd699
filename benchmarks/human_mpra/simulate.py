"""A simulated lentiMPRA experiment with a known answer. Everything made here is labelled simulated.

Elements carry consensus motifs of liver, blood and general factors. Activity is a fixed function of the sequence alone:
which motifs it has, on which strand, how far from the promoter, and which pairs stand at the right spacing. So the only
thing between a perfect model and r = 1 is the replicate noise, whose size is known.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.api import sequences, splits
from benchmarks.api.data import Dataset
from benchmarks.api.metrics import pearson_r
from benchmarks.human_mpra.prepare import (
    ELEMENT_LEN,
    INSERT,
    LEFT_ADAPTER,
    N_FOLDS,
    OUTPUT,
    RIGHT_ADAPTER,
    SEQ_LEN,
    reverse_insert,
)


@dataclass(frozen=True)
class Motif:
    """A consensus and what a site of it does.

    `forward`, `reverse`: log2 activity of a site on either strand next to the promoter. `reach_bp`: distance from the
    promoter over which that falls to 1/e. `rate`: mean number planted per element.
    """

    name: str
    jaspar: str
    consensus: str
    forward: float
    reverse: float
    reach_bp: float
    rate: float


MOTIFS = (
    Motif("HNF4A", "MA0114", "CAAAGTCCA", 2.2, -2.0, 200, 1.2),
    Motif("GATA1", "MA0035", "AGATAAG", 1.8, -1.6, 200, 1.2),
    Motif("GABPA", "MA0062", "CCGGAAGTG", 2.2, -2.0, 200, 1.2),
    Motif("REST", "MA0138", "TTCAGCACCACGGACAG", -2.0, -2.0, 400, 0.4),
)
"""Consensus sequences as the factors' JASPAR profiles show them; strengths and reaches are invented."""


@dataclass(frozen=True)
class Pair:
    """Two motifs that do more together: `bonus` log2 where `left` stands `min_gap_bp` to `max_gap_bp` before `right`,
    both on the forward strand."""

    left: str
    right: str
    min_gap_bp: int
    max_gap_bp: int
    bonus: float


PAIRS = (Pair("GATA1", "HNF4A", 4, 24, 1.5),)
PAIR_RATE = 0.3
"""Share of elements in which each pair is planted."""

BASELINE, SATURATION, REPRESSION = -1.0, 3.0, 0.1
"""Log2 activity without any site; how far above it the sum of all effects levels off; what share of a negative sum
shows: an element without activity cannot fall much lower."""

REPLICATE_SD, N_REPLICATES = 0.6, 3
"""Noise of one replicate, in log2 units; a measured value is the mean of three."""


def simulate(*, n_elements: int, seed: int) -> Dataset:
    """Simulate elements measured in both orientations, ten folds by element; 2 * n_elements rows."""
    rng = np.random.default_rng(seed)
    forward = _with_adapters(_plant(rng, _background(rng, n_elements)))
    codes = np.stack([forward, reverse_insert(forward)], axis=1).reshape(-1, SEQ_LEN)
    signal = activity(codes)
    noise = rng.normal(0, REPLICATE_SD, (N_REPLICATES, len(codes))).mean(axis=0)
    measured = (signal + noise).astype(np.float32)
    element, is_reverse = np.divmod(np.arange(len(codes)), 2)
    ids = [f"simulated{i}_{'Reversed:' if r else 'F'}" for i, r in zip(element, is_reverse, strict=True)]
    meta = pd.DataFrame(
        {
            "seq_id": np.array(ids, dtype=object),
            "is_reverse": is_reverse.astype(np.uint8),
            "group": element,
            "orientation": is_reverse.astype(np.uint8),
            "fold": splits.assign_folds(element, N_FOLDS, seed=seed),
        }
    )
    return Dataset(
        "simulated",
        codes,
        {OUTPUT: measured},
        meta,
        "simulated",
        ceilings=tuple(_ceilings(signal, measured.astype(np.float64))),
        notes=(
            f"SIMULATED lentiMPRA: {n_elements:,} elements in both orientations (seed {seed}), built from "
            f"{len(MOTIFS)} consensus motifs; no value here was measured.",
            f"Noise: mean of {N_REPLICATES} replicates of standard deviation {REPLICATE_SD} log2 units.",
        ),
    )


def _ceilings(signal: np.ndarray, measured: np.ndarray) -> list[dict]:
    pairs = {"row": (measured, signal), "strand_averaged": tuple(v.reshape(-1, 2).mean(1) for v in (measured, signal))}
    basis = "r between the noise-free activity and the simulated measurement"
    return [
        {"output": OUTPUT, "level": level, "metric": "pearson_r", "value": pearson_r(*pair), "basis": basis}
        for level, pair in pairs.items()
    ]


def _background(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw (n, 200) codes whose GC content differs between elements, around one half."""
    gc = np.clip(rng.normal(0.5, 0.07, n), 0.25, 0.75)
    is_gc = rng.random((n, ELEMENT_LEN)) < gc[:, None]
    second = rng.random((n, ELEMENT_LEN)) < 0.5
    strong, weak = _codes("GC"), _codes("AT")
    return np.where(is_gc, strong[second.astype(int)], weak[second.astype(int)])


def _plant(rng: np.random.Generator, elements: np.ndarray) -> np.ndarray:
    """Write sites of every motif, and close pairs, at random places and strands; later ones overwrite earlier ones."""
    elements = elements.copy()
    for motif in MOTIFS:
        for row in np.repeat(np.arange(len(elements)), rng.poisson(motif.rate, len(elements))):
            site = _codes(motif.consensus)
            _write(rng, elements[row], site if rng.random() < 0.5 else sequences.reverse_complement(site))
    by_name = {motif.name: motif for motif in MOTIFS}
    for pair in PAIRS:
        for row in np.flatnonzero(rng.random(len(elements)) < PAIR_RATE):
            left, right = _codes(by_name[pair.left].consensus), _codes(by_name[pair.right].consensus)
            gap = rng.integers(0, 4, rng.integers(pair.min_gap_bp, pair.max_gap_bp + 1), dtype=np.uint8)
            _write(rng, elements[row], np.concatenate([left, gap, right]))
    return elements


def _codes(text: str) -> np.ndarray:
    return sequences.encode([text], len(text))[0]


def _write(rng: np.random.Generator, element: np.ndarray, site: np.ndarray) -> None:
    start = rng.integers(0, ELEMENT_LEN - len(site) + 1)
    element[start : start + len(site)] = site


def _with_adapters(elements: np.ndarray) -> np.ndarray:
    codes = np.tile(_codes(LEFT_ADAPTER + "N" * ELEMENT_LEN + RIGHT_ADAPTER), (len(elements), 1))
    codes[:, INSERT] = elements
    return codes


def activity(codes: np.ndarray) -> np.ndarray:
    """Return the noise-free log2 activity of (n, 230) codes: (n,) float64. The promoter lies to the right."""
    total = np.zeros(len(codes))
    forward_sites = {}
    for motif in MOTIFS:
        site = _codes(motif.consensus)
        forward, reverse = _sites(codes, site), _sites(codes, sequences.reverse_complement(site))
        distance = INSERT.stop - len(motif.consensus) - np.arange(forward.shape[1])
        near = np.exp(-np.clip(distance, 0, None) / motif.reach_bp)
        total += (forward * motif.forward + reverse * motif.reverse) @ near
        forward_sites[motif.name] = forward
    lengths = {motif.name: len(motif.consensus) for motif in MOTIFS}
    for pair in PAIRS:
        left, right = forward_sites[pair.left], forward_sites[pair.right]
        together = np.zeros(len(codes), dtype=bool)
        for gap in range(pair.min_gap_bp, pair.max_gap_bp + 1):
            shift = lengths[pair.left] + gap
            width = min(left.shape[1], right.shape[1] - shift)
            together |= (left[:, :width] & right[:, shift : shift + width]).any(axis=1)
        total += pair.bonus * together
    above_floor = np.where(total > 0, total, REPRESSION * total)
    return BASELINE + SATURATION * np.tanh(above_floor / SATURATION)


def motif_mask(codes: np.ndarray) -> np.ndarray:
    """Tell which bases lie in a site that counts, on either strand; (n, 230) codes -> (n, 230) bool."""
    return sequences.covered(codes, [motif.consensus for motif in MOTIFS])


def _sites(codes: np.ndarray, site: np.ndarray) -> np.ndarray:
    """Tell where a site stands: (n, 230 - len + 1) bool. A palindrome stands on both strands."""
    return (np.lib.stride_tricks.sliding_window_view(codes, len(site), axis=1) == site).all(axis=2)
