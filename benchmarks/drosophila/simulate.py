"""A simulated STARR-seq experiment on a small genome, with a known answer. Everything made here is labelled simulated.

Five chromosomes carry consensus motifs of developmental and housekeeping factors. A window's two activities are fixed
functions of its sequence, the same on both strands: sites count more near the middle of the window, some pairs do more
together at the right spacing, and the sum levels off. Both orientations of a window have the same measured values, as
in the real files; so the noise between windows is the only thing between a perfect model and r = 1.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.api import sequences
from benchmarks.api.data import Dataset
from benchmarks.api.metrics import pearson_r
from benchmarks.api.simulated_motifs import Motif, has_spaced_sites, in_motifs
from benchmarks.drosophila.prepare import CHROMOSOMES, OUTPUTS, SEQ_LEN, SPLITS, dataset


@dataclass(frozen=True)
class ProgrammeMotif(Motif):
    """A motif, what a site of it adds to either programme (log2, mid-window), and how often one is planted."""

    dev: float
    hk: float
    rate: float


MOTIFS = (
    ProgrammeMotif("GATA", "CTTATCGC", 2.2, 0.0, 1.0),
    ProgrammeMotif("AP-1", "ATGACTCAT", 2.2, 0.3, 0.8),
    ProgrammeMotif("Dref", "TATCGATA", 0.0, 2.4, 1.0),
    ProgrammeMotif("Ohler1", "GGTCACACTG", 0.0, 2.2, 0.8),
    ProgrammeMotif("CRE", "TGACGTCA", 0.9, 0.9, 0.5),
    ProgrammeMotif("ttk", "CAGGATAATC", -1.6, -0.4, 0.4),
)
"""Consensus sequences of the factors that DeepSTARR names for either programme, of one that serves both and of a
repressor; strengths are invented."""

PAIRS = (("GATA", "AP-1", "dev", 1.6), ("Dref", "Ohler1", "hk", 1.6))
"""Two motifs, a programme, and the log2 units that they add together where they are less than MAX_GAP_BP apart."""
MAX_GAP_BP, PAIR_RATE = 30, 0.25

REACH_BP = 70
"""Distance from the middle of the window over which a site's effect falls to 1/e."""
BASELINE, SATURATION = {"dev": -0.5, "hk": -1.0}, 4.0
NOISE_SD = 0.35
"""Of a measured value, in log2 units."""

GC, OVERLAPPING, STEP_BP = 0.42, 0.3, 120
"""GC content of the genome; share of windows that overlap the one before, shifted by this many bases."""


def simulate(*, n_loci: int, split: str = SPLITS[0], seed: int) -> Dataset:
    """Simulate `n_loci` windows in both orientations on each of five chromosomes."""
    rng = np.random.default_rng(seed)
    windows = pd.concat([_windows(rng, chrom, n_loci) for chrom in CHROMOSOMES], ignore_index=True)
    forward = np.concatenate(windows.pop("codes").to_list()).reshape(-1, SEQ_LEN)
    signal = activity(forward)
    measured = {name: values + rng.normal(0, NOISE_SD, len(values)) for name, values in signal.items()}
    codes = np.stack([forward, sequences.reverse_complement(forward)], axis=1).reshape(-1, SEQ_LEN)
    table = windows.loc[np.repeat(windows.index, 2)].reset_index(drop=True)
    table["strand"] = np.tile(["+", "-"], len(windows))
    table["seq_id"] = [f"{row.chrom}_{row.start}_{row.end}_{row.strand}_simulated" for row in table.itertuples()]
    half = table.groupby("chrom")["start"].transform("median")
    on_2r = table["chrom"] == "chr2R"
    table["set"] = np.where(~on_2r, "train", np.where(table["start"] < half, "val", "test"))
    notes = [
        f"SIMULATED STARR-seq: {len(windows):,} windows of a simulated genome in both orientations (seed {seed}), "
        f"built from {len(MOTIFS)} consensus motifs; no value here was measured.",
        f"Noise: standard deviation {NOISE_SD} log2 units, the same value on both strands.",
    ]
    targets = {name: np.repeat(values, 2).astype(np.float32) for name, values in measured.items()}
    return dataset(
        "simulated", table, codes, targets, "simulated", split=split, seed=seed, notes=notes,
        ceilings=tuple(_ceilings(signal, measured)),
    )  # fmt: skip


def _ceilings(signal: dict[str, np.ndarray], measured: dict[str, np.ndarray]) -> list[dict]:
    basis = "r between the noise-free activity and the simulated measurement"
    return [
        {"output": name, "level": level, "metric": "pearson_r", "value": pearson_r(measured[name], signal[name])}
        | {"basis": basis}
        for name in OUTPUTS
        for level in ("row", "strand_averaged")
    ]


def _windows(rng: np.random.Generator, chrom: str, n: int) -> pd.DataFrame:
    """Lay windows along a random chromosome, plant motifs in it, and read the windows off."""
    step = np.where(rng.random(n) < OVERLAPPING, STEP_BP, SEQ_LEN + rng.integers(10, 400, n))
    start = 200 + np.cumsum(step)
    weak = rng.random(start[-1] + SEQ_LEN + 200) >= GC
    genome = np.where(weak, *(sequences.encode_one(pair)[rng.integers(0, 2, len(weak))] for pair in ("AT", "GC")))
    by_name = {motif.name: motif for motif in MOTIFS}
    for at in start:
        for motif in MOTIFS:
            for _ in range(rng.poisson(motif.rate)):
                _plant(rng, genome[at : at + SEQ_LEN], sequences.encode_one(motif.consensus))
        for left, right, _, _ in PAIRS:
            if rng.random() < PAIR_RATE:
                gap = rng.integers(0, 4, rng.integers(3, MAX_GAP_BP - 5), dtype=np.uint8)
                sites = [sequences.encode_one(by_name[name].consensus) for name in (left, right)]
                _plant(rng, genome[at : at + SEQ_LEN], np.concatenate([sites[0], gap, sites[1]]))
    codes = np.lib.stride_tricks.sliding_window_view(genome, SEQ_LEN)[start]
    return pd.DataFrame({"chrom": chrom, "start": start + 1, "end": start + SEQ_LEN, "codes": list(codes)})


def _plant(rng: np.random.Generator, window: np.ndarray, site: np.ndarray) -> None:
    """Write a site on a random strand, more often near the middle of the window than at its ends."""
    room = len(window) - len(site)
    start = int(np.clip(rng.normal(room / 2, room / 4), 0, room))
    window[start : start + len(site)] = site if rng.random() < 0.5 else sequences.reverse_complement(site)


def activity(codes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the noise-free log2 activities of (n, 249) codes: output -> (n,) float64, equal on both strands."""
    total = {name: np.zeros(len(codes)) for name in OUTPUTS}
    sites = {}
    for motif in MOTIFS:
        starts = sequences.find_sites(codes, motif.consensus)
        middle = np.arange(starts.shape[1]) + len(motif.consensus) / 2 - SEQ_LEN / 2
        near = starts @ np.exp(-np.abs(middle) / REACH_BP)
        sites[motif.name] = (starts, len(motif.consensus))
        total["dev"] += motif.dev * near
        total["hk"] += motif.hk * near
    for left, right, output, bonus in PAIRS:
        total[output] += bonus * _together(sites[left], sites[right])
    return {name: BASELINE[name] + SATURATION * np.tanh(values / SATURATION) for name, values in total.items()}


def motif_mask(codes: np.ndarray, output: str) -> np.ndarray:
    """Tell which bases lie in a site that counts in a programme, on either strand; (n, 249) codes -> (n, 249) bool."""
    return in_motifs(codes, [motif for motif in MOTIFS if {"dev": motif.dev, "hk": motif.hk}[output]])


def _together(one: tuple[np.ndarray, int], other: tuple[np.ndarray, int]) -> np.ndarray:
    """Tell which sequences have a site of each with fewer than MAX_GAP_BP bases between them; (n,) bool."""
    (sites, length), (other_sites, other_length) = one, other
    gaps = range(MAX_GAP_BP)
    return has_spaced_sites(sites, other_sites, length, gaps) | has_spaced_sites(other_sites, sites, other_length, gaps)
