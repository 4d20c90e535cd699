"""A small simulated genome with accessible sites, and Tn5 insertions with sequence bias, written as real files.

SIMULATED: no base and no read of it was measured.
"""

import gzip
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.api.data import Dataset
from benchmarks.api.metrics import jsd, pearson_r
from benchmarks.api.sequences import COMPLEMENT, decode, encode_one, reverse_complement
from benchmarks.api.simulated_motifs import Motif, in_motifs
from benchmarks.atac import prepare, prepared, regions
from benchmarks.errors import BadInput

ABOUT = "simulated.json"
"""What was simulated, beside the files."""

CHROM_BP = 330_000
N_CHROMOSOMES, SITES_PER_CHROMOSOME = 8, 45
N_FOLDS = 4


@dataclass(frozen=True)
class AccessibilityMotif(Motif):
    """A motif, and what one instance adds to the logarithm of a site's accessibility."""

    effect: float


MOTIFS = (AccessibilityMotif("AP-1", "TGAGTCATC", 0.35), AccessibilityMotif("E-box", "CCACGTGACC", 0.25))
N_SLOTS, SLOT_BP = 8, 30
"""Places for motifs side by side around the centre of a site; one to all of them are taken."""

BACKGROUND = 0.03
"""Insertions per base where nothing is accessible, without sequence bias."""
SITE_INSERTIONS = 130.0
"""Insertions in a site that has no motif."""

_BIAS_REACH, _BIAS_SD = 6, 0.42
_SHOULDER_BP, _SHOULDER_SD = 35, 16


def tn5_bias(strength: float = 1.0) -> np.ndarray:
    """Return the log preference for bases around an insertion; (13, 4), its own reverse complement."""
    drawn = np.random.default_rng(9).normal(0, _BIAS_SD, (2 * _BIAS_REACH + 1, 4))
    reverse_complemented = drawn[::-1][:, COMPLEMENT[:4]]
    return strength * (drawn + reverse_complemented) / np.sqrt(2)


class Expected(NamedTuple):
    """What a simulated chromosome was drawn from, per base: its accessibility, and the insertions expected from it.

    Both (CHROM_BP,) float64, in insertions; without sequence bias they are proportional, but for the artefact on the
    blacklist.
    """

    access: np.ndarray
    insertions: np.ndarray


def write_files(folder: Path, *, seed: int, bias_strength: float = 1.0) -> dict[str, Expected]:
    """Write genome.fa, fragments.tsv.gz, peaks.narrowPeak, blacklist.bed and folds.json; return what is expected.

    Parameters
    ----------
    bias_strength
        Strength of the sequence bias; 0: Tn5 inserts into every sequence alike.
    """
    rng = np.random.default_rng(seed)
    chroms = [f"chr{i + 1}" for i in range(N_CHROMOSOMES)]
    codes, expected, sites = {}, {}, []
    for chrom in chroms:
        codes[chrom] = _sequence(rng)
        centres = _places(rng)
        access = np.full(CHROM_BP, BACKGROUND)
        for centre in centres:
            access += _plant(codes[chrom], centre, rng)
        sites += [(chrom, centre) for centre in centres]
        expected[chrom] = Expected(access, access * _preference(codes[chrom], bias_strength))
    artefact = int(_gap(rng, [centre for chrom, centre in sites if chrom == chroms[1]]))
    expected[chroms[1]].insertions[artefact : artefact + 400] += 12.0
    with (folder / "genome.fa").open("w") as file:
        for chrom in chroms:
            text = decode(codes[chrom][None])[0]
            file.write(f">{chrom}\n" + "\n".join(text[i : i + 60] for i in range(0, len(text), 60)) + "\n")
    with gzip.GzipFile(folder / "fragments.tsv.gz", "wb", compresslevel=1, mtime=0) as file:
        for chrom in chroms:
            file.write(_fragments(chrom, expected[chrom].insertions, rng).encode())
    peaks = [(chrom, centre - 200, centre + 200, 200) for chrom, centre in sites]
    peaks.append((chroms[1], artefact, artefact + 400, 200))
    lines = [
        f"{chrom}\t{start}\t{end}\tpeak_{i}\t0\t.\t0\t-1\t-1\t{summit}\n"
        for i, (chrom, start, end, summit) in enumerate(
            sorted(peaks, key=lambda peak: (chroms.index(peak[0]), peak[1]))
        )
    ]
    (folder / "peaks.narrowPeak").write_text("".join(lines))
    (folder / "blacklist.bed").write_text(f"{chroms[1]}\t{artefact}\t{artefact + 400}\tHigh Signal Region\n")
    (folder / "folds.json").write_text(json.dumps(_folds(chroms)))
    return expected


def write_once(out: Path, *, seed: int, bias_strength: float) -> Path:
    """Write the files into `out`/raw, all or none; return that folder. What is there already stays.

    Raises
    ------
    BadInput
        If `out` holds something else, or files of another simulation.
    """
    raw, unfinished = out / "raw", out / "raw.unfinished"
    wanted = {"seed": seed, "taste_strength": bias_strength}
    if (raw / ABOUT).exists():
        if (stored := json.loads((raw / ABOUT).read_text())) != wanted:
            raise BadInput(f"--out: {out} holds a simulation of {stored}, not of {wanted}; name another folder.")
        return raw
    if out.exists() and (not out.is_dir() or any(path != unfinished for path in out.iterdir())):
        raise BadInput(f"--out: {out} holds something else; name an empty folder or a new one.")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    write_files(unfinished, seed=seed, bias_strength=bias_strength)
    (unfinished / ABOUT).write_text(json.dumps(wanted))
    (out / "work").mkdir(exist_ok=True)  # by which `prepare` knows a folder of its own
    unfinished.rename(raw)
    return raw


def inputs(folder: Path, *, bias_strength: float = 1.0) -> prepare.Inputs:
    """Return what `write_files` wrote, as `prepare` takes it, with the shift where no bias lets it be detected."""
    return prepare.Inputs(
        genome=folder / "genome.fa",
        reads=(folder / "fragments.tsv.gz",),
        peaks=folder / "peaks.narrowPeak",
        blacklist=folder / "blacklist.bed",
        folds=(folder / "folds.json",),
        shift=None if bias_strength else (0, 0),
        origin="simulated",
    )


def simulate(*, seed: int, bias_strength: float = 1.0) -> Dataset:
    """Simulate files, prepare them as a user's would be, and return the dataset, with its ceilings."""
    with tempfile.TemporaryDirectory() as name:
        raw, out = Path(name) / "raw", Path(name) / "simulated"
        raw.mkdir()
        expected = write_files(raw, seed=seed, bias_strength=bias_strength)
        about = prepare.prepare(inputs(raw, bias_strength=bias_strength), out)
        table = prepared.read_regions(out / prepared.REGIONS)
        codes, profile = (np.load(out / "windows" / f"{what}.npy", allow_pickle=False) for what in ("codes", "profile"))
    notes = (
        f"SIMULATED: {N_CHROMOSOMES} chromosomes of {CHROM_BP:,} bp, {table['is_peak'].sum()} accessible sites "
        f"with one to {N_SLOTS} motifs; Tn5 has {'a' if bias_strength else 'no'} sequence bias.",
        *prepared.notes_of(about),
    )
    return Dataset(
        "simulated",
        codes,
        {"profile": profile},
        table.drop(columns="gc"),
        "simulated",
        ceilings=_ceilings(table, profile, expected),
        notes=notes,
    )


def _ceilings(table: pd.DataFrame, profile: np.ndarray, expected: dict[str, Expected]) -> tuple[dict, ...]:
    """Score the expected insertions themselves, in peaks: what a perfect model reaches."""
    half = regions.PROFILE_LEN // 2
    peaks = table[table["is_peak"] == 1]
    insertions = np.stack(
        [expected[c].insertions[at - half : at + half] for c, at in zip(peaks["chrom"], peaks["centre"], strict=True)]
    )
    jitter = regions.MAX_JITTER
    observed = profile[peaks.index.to_numpy(), jitter : jitter + regions.PROFILE_LEN]
    r = pearson_r(np.log1p(observed.sum(axis=1, dtype=float)), np.log1p(insertions.sum(axis=1)))
    distance = float(np.nanmedian(jsd(observed, insertions)))
    about = {"level": "region", "basis": "expected insertions of the simulation, in peaks"}
    return (
        about | {"output": "log_counts", "metric": "pearson_r", "value": r},
        about | {"output": "profile", "metric": "one_minus_median_jsd", "value": 1 - distance},
    )


def _sequence(rng: np.random.Generator) -> np.ndarray:
    """Draw a chromosome whose GC content changes every 10 kb."""
    gc = np.repeat(rng.uniform(0.36, 0.54, CHROM_BP // 10_000), 10_000)
    strong = rng.random(CHROM_BP) < gc
    first = rng.random(CHROM_BP) < 0.5
    return np.where(strong, np.where(first, 1, 2), np.where(first, 0, 3)).astype(np.uint8)  # codes G, C and A, T


def _places(rng: np.random.Generator) -> list[int]:
    """Spread sites over a chromosome with room for background between them."""
    room = (CHROM_BP - 8000) / SITES_PER_CHROMOSOME
    return [int(4000 + (i + 0.5) * room + rng.uniform(-0.2, 0.2) * room) for i in range(SITES_PER_CHROMOSOME)]


def _gap(rng: np.random.Generator, centres: list[int]) -> float:
    at = int(rng.integers(1, len(centres) - 1))
    return (centres[at] + centres[at + 1]) / 2


def _plant(codes: np.ndarray, centre: int, rng: np.random.Generator) -> np.ndarray:
    """Write motifs, on either strand, around a centre; return the insertions that the site adds, per base."""
    strength, added, at = 0.0, np.zeros(CHROM_BP), np.arange(CHROM_BP)
    for slot in rng.permutation(N_SLOTS)[: rng.integers(1, N_SLOTS + 1)]:
        motif = MOTIFS[rng.integers(len(MOTIFS))]
        site = encode_one(motif.consensus)
        site = site if rng.random() < 0.5 else reverse_complement(site)
        start = centre + SLOT_BP * (int(slot) - N_SLOTS // 2) + int(rng.integers(SLOT_BP - len(site)))
        codes[start : start + len(site)] = site
        strength += motif.effect
        middle = start + len(site) // 2
        near = slice(middle - 200, middle + 200)
        distance = np.abs(at[near] - middle) - _SHOULDER_BP
        added[near] += motif.effect * np.exp(-0.5 * (distance / _SHOULDER_SD) ** 2)
    level = SITE_INSERTIONS * np.exp(strength + rng.normal(0, 0.1))
    return added / added.sum() * level


def motif_mask(codes: np.ndarray) -> np.ndarray:
    """Tell which bases of windows around sites lie in a motif, on either strand; (n, width) codes -> (n, width) bool.

    Motifs lie around the centre; what looks like one elsewhere adds nothing.
    """
    near = central_columns(codes.shape[1])
    mask = np.zeros(codes.shape, dtype=bool)
    mask[:, near] = in_motifs(codes[:, near], MOTIFS)
    return mask


def central_columns(width: int) -> slice:
    """Return where in a window of this width, centred on a site, motifs may lie."""
    half = SLOT_BP * N_SLOTS // 2
    return slice(width // 2 - half, width // 2 + half)


def _preference(codes: np.ndarray, strength: float) -> np.ndarray:
    """Return the relative rate of insertions at every base by its surroundings, 1 on average."""
    weights = tn5_bias(strength)
    score = np.zeros(len(codes))
    for offset, row in zip(range(-_BIAS_REACH, _BIAS_REACH + 1), weights, strict=True):
        score += np.roll(row[codes], -offset)
    rate = np.exp(score)
    return rate / rate.mean()


def _fragments(chrom: str, rate: np.ndarray, rng: np.random.Generator) -> str:
    """Draw insertions and join neighbours to fragments as an aligner reports them: Tn5 cuts the strands 9 bp apart."""
    insertions = np.repeat(np.arange(len(rate)), rng.poisson(rate))
    pairs = insertions[: len(insertions) // 2 * 2].reshape(-1, 2) + np.array([-4, 5])
    pairs = pairs[(pairs[:, 0] >= 0) & (pairs[:, 1] <= len(rate))]
    return "".join(f"{chrom}\t{start}\t{end}\tcell\t1\n" for start, end in pairs.tolist())


def _folds(chroms: list[str]) -> list[dict[str, list[str]]]:
    """Test two chromosomes after the other; the one before them validates."""
    folds = []
    for k in range(N_FOLDS):
        test, valid = chroms[2 * k : 2 * k + 2], chroms[(2 * k - 1) % N_CHROMOSOMES]
        train = [chrom for chrom in chroms if chrom not in (*test, valid)]
        folds.append({"train": train, "valid": [valid], "test": test})
    return folds
