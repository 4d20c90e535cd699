"""A simulated lentiMPRA experiment with a known answer. Everything made here is labelled simulated.

Elements carry consensus motifs of liver, blood and general factors. Activity is a fixed function of the sequence alone:
which motifs it has, on which strand, how far from the promoter, and which pairs have the right spacing. So the only
thing between a perfect model and r = 1 is the replicate noise, whose size is known.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.api import sequences, splits
from benchmarks.api.data import Dataset
from benchmarks.api.metrics import pearson_r
from benchmarks.api.simulated_motifs import Motif, has_spaced_sites, in_motifs
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
class StrandedMotif(Motif):
    """A motif whose effect depends on its strand and falls with its distance from the promoter.

    Parameters
    ----------
    jaspar
        JASPAR profile that the consensus is of.
    forward, reverse
        log2 activity of a site on either strand next to the promoter.
    reach_bp
        Distance from the promoter over which that falls to 1/e.
    rate
        Mean number planted per element.
    """

    jaspar: str
    forward: float
    reverse: float
    reach_bp: float
    rate: float


MOTIFS = (
    StrandedMotif("HNF4A", "CAAAGTCCA", "MA0114", 2.2, -2.0, 200, 1.2),
    StrandedMotif("GATA1", "AGATAAG", "MA0035", 1.8, -1.6, 200, 1.2),
    StrandedMotif("GABPA", "CCGGAAGTG", "MA0062", 2.2, -2.0, 200, 1.2),
    StrandedMotif("REST", "TTCAGCACCACGGACAG", "MA0138", -2.0, -2.0, 400, 0.4),
)
"""Consensus sequences as the factors' JASPAR profiles show them; strengths and reaches are invented."""


@dataclass(frozen=True)
class Pair:
    """Two motifs that do more together: `bonus` log2 where `left` is `min_gap_bp` to `max_gap_bp` before `right`,
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
    strong, weak = sequences.encode_one("GC"), sequences.encode_one("AT")
    return np.where(is_gc, strong[second.astype(int)], weak[second.astype(int)])


def _plant(rng: np.random.Generator, elements: np.ndarray) -> np.ndarray:
    """Write sites of every motif, and close pairs, at random places and strands; later ones overwrite earlier ones."""
    elements = elements.copy()
    for motif in MOTIFS:
        for row in np.repeat(np.arange(len(elements)), rng.poisson(motif.rate, len(elements))):
            site = sequences.encode_one(motif.consensus)
            _write(rng, elements[row], site if rng.random() < 0.5 else sequences.reverse_complement(site))
    by_name = {motif.name: motif for motif in MOTIFS}
    for pair in PAIRS:
        for row in np.flatnonzero(rng.random(len(elements)) < PAIR_RATE):
            left, right = (sequences.encode_one(by_name[name].consensus) for name in (pair.left, pair.right))
            gap = rng.integers(0, 4, rng.integers(pair.min_gap_bp, pair.max_gap_bp + 1), dtype=np.uint8)
            _write(rng, elements[row], np.concatenate([left, gap, right]))
    return elements


def _write(rng: np.random.Generator, element: np.ndarray, site: np.ndarray) -> None:
    start = rng.integers(0, ELEMENT_LEN - len(site) + 1)
    element[start : start + len(site)] = site


def _with_adapters(elements: np.ndarray) -> np.ndarray:
    codes = np.tile(sequences.encode_one(LEFT_ADAPTER + "N" * ELEMENT_LEN + RIGHT_ADAPTER), (len(elements), 1))
    codes[:, INSERT] = elements
    return codes


def activity(codes: np.ndarray) -> np.ndarray:
    """Return the noise-free log2 activity of (n, 230) codes: (n,) float64. The promoter lies to the right."""
    total = np.zeros(len(codes))
    forward_sites = {}
    for motif in MOTIFS:
        site = sequences.encode_one(motif.consensus)
        forward, reverse = _sites(codes, site), _sites(codes, sequences.reverse_complement(site))
        distance = INSERT.stop - len(motif.consensus) - np.arange(forward.shape[1])
        near = np.exp(-np.clip(distance, 0, None) / motif.reach_bp)
        total += (forward * motif.forward + reverse * motif.reverse) @ near
        forward_sites[motif.name] = forward
    lengths = {motif.name: len(motif.consensus) for motif in MOTIFS}
    for pair in PAIRS:
        left, right = forward_sites[pair.left], forward_sites[pair.right]
        gaps = range(pair.min_gap_bp, pair.max_gap_bp + 1)
        total += pair.bonus * has_spaced_sites(left, right, lengths[pair.left], gaps)
    effect = np.where(total > 0, total, REPRESSION * total)
    return BASELINE + SATURATION * np.tanh(effect / SATURATION)


def motif_mask(codes: np.ndarray) -> np.ndarray:
    """Tell which bases lie in a site that counts, on either strand; (n, 230) codes -> (n, 230) bool."""
    return in_motifs(codes, MOTIFS)


def _sites(codes: np.ndarray, site: np.ndarray) -> np.ndarray:
    """Tell where a site begins: (n, 230 - len + 1) bool. A palindrome lies on both strands."""
    return (np.lib.stride_tricks.sliding_window_view(codes, len(site), axis=1) == site).all(axis=2)
