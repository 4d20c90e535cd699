"""GC-matched background and chromosome splits.

Source: `kundajelab/chrombpnet`: `chrombpnet prep nonpeaks` (`chrombpnet/helpers/make_gc_matched_negatives`) and
`chrombpnet/helpers/hyperparameters/param_utils.py`; the folds of hg38 are those published with its models.
"""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.api.genome import Genome, needed
from benchmarks.api.sequences import BASES
from benchmarks.errors import BadInput
from benchmarks.io.validated import one_line

SEQ_LEN, PROFILE_LEN, MAX_JITTER = 2114, 1000, 500
STRIDE = 1000
"""Step between windows that may become background."""
PER_TRAINING_PEAK, PER_TEST_PEAK = 2, 1
NEGATIVES_SEED = 1234

PARTS = ("train", "valid", "test")

HG38 = [*(f"chr{i}" for i in range(1, 23)), "chrX", "chrY"]
HG38_FOLDS = [
    (["chr1", "chr3", "chr6"], ["chr8", "chr20"]),
    (["chr2", "chr8", "chr9", "chr16"], ["chr12", "chr17"]),
    (["chr4", "chr11", "chr12", "chr15", "chrY"], ["chr22", "chr7"]),
    (["chr5", "chr10", "chr14", "chr18", "chr20", "chr22"], ["chr6", "chr21"]),
    (["chr7", "chr13", "chr17", "chr19", "chr21", "chrX"], ["chr10", "chr18"]),
]
"""Test and validation chromosomes of ChromBPNet's five folds; the others of HG38 train."""

Fold = dict[str, list[str]]


def hg38_folds() -> list[Fold]:
    """Return ChromBPNet's five folds of the human genome."""
    return [
        {"train": [c for c in HG38 if c not in (*test, *valid)], "valid": valid, "test": test}
        for test, valid in HG38_FOLDS
    ]


def read_folds(paths: list[Path]) -> list[Fold]:
    """Read folds in ChromBPNet's format: one JSON file with train, valid and test, or with a list of such.

    Raises
    ------
    BadInput
        If a file is missing, is not such JSON, leaves a part empty or has a chromosome in two parts.
    """
    folds = []
    for path in paths:
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_unique_keys)
        except FileNotFoundError:
            raise BadInput(f"--folds: no file at {path}.") from None
        except (ValueError, RecursionError) as error:
            raise BadInput(f"--folds: {path} is not a JSON file: {one_line(error)}.") from None
        if content == []:
            raise BadInput(f"--folds: {path} has no fold.")
        for number, fold in enumerate(content if isinstance(content, list) else [content]):
            where = f"--folds: {path}" + (f", fold {number}" if isinstance(content, list) else "")
            if not isinstance(fold, dict) or set(PARTS) - fold.keys():
                got = f", got {', '.join(map(str, fold))[:80] or 'none'}" if isinstance(fold, dict) else ""
                raise BadInput(f"{where}: an object with lists of chromosomes train, valid and test is expected{got}.")
            folds.append({part: _chromosomes(fold[part], f"{where}, {part!r}") for part in PARTS})
            every = [chrom for part in PARTS for chrom in folds[-1][part]]
            if twice := [chrom for chrom in every if every.count(chrom) > 1]:
                raise BadInput(f"{where}: {twice[0]!r} is named twice; a chromosome belongs to one part.")
    return folds


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object with a key twice, of which JSON would keep the last."""
    keys = [key for key, _ in pairs]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ValueError(f"{twice[0]!r} appears twice in one object")
    return dict(pairs)


def _chromosomes(names: object, where: str) -> list[str]:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise BadInput(f"{where}: a list of one chromosome name or more is expected, got {str(names)[:60]}.")
    return names


def drawn_folds(genome: Genome, peaks: pd.DataFrame, n_folds: int) -> list[Fold]:
    """Deal the chromosomes with peaks into folds of near-equal numbers of peaks; each is tested once.

    Validation chromosomes of fold k are the test chromosomes of fold k + 1.
    """
    numbers = peaks["chrom"].value_counts()
    parts: list[list[str]] = [[] for _ in range(n_folds)]
    loads = [0] * n_folds
    for chrom in sorted(numbers.index, key=lambda name: (-numbers[name], name)):
        lightest = loads.index(min(loads))
        parts[lightest].append(chrom)
        loads[lightest] += int(numbers[chrom])
    if n_folds < 3 or not all(parts):
        raise BadInput(
            f"{len(numbers)} chromosomes have peaks; {max(n_folds, 3)} folds need as many at least. Name the parts "
            "with --folds FILE."
        )
    order = list(genome.sizes)
    parts = [sorted(part, key=order.index) for part in parts]
    return [
        {
            "train": [c for c in order if c in numbers and c not in (*parts[k], *parts[(k + 1) % n_folds])],
            "valid": parts[(k + 1) % n_folds],
            "test": parts[k],
        }
        for k in range(n_folds)
    ]


def away_from(regions: pd.DataFrame, others: pd.DataFrame, reach: int) -> np.ndarray:
    """Tell which regions keep `reach` bp away from all others; (n,) bool. Both have chrom, start, end."""
    if not len(others) or not len(regions):
        return np.ones(len(regions), dtype=bool)
    bioframe = needed("bioframe")
    widened = others[["chrom", "start", "end"]].assign(
        start=(others["start"] - reach).clip(lower=0), end=others["end"] + reach
    )
    merged = bioframe.merge(widened, min_dist=None)[["chrom", "start", "end"]]
    found = bioframe.count_overlaps(regions[["chrom", "start", "end"]].reset_index(drop=True), merged)
    return found["count"].to_numpy() == 0


def fits(centre: pd.Series, chrom: pd.Series, genome: Genome, width: int) -> np.ndarray:
    """Tell whether a window of `width` around each centre lies on its chromosome; (n,) bool."""
    half = width // 2
    sizes = chrom.map(genome.sizes).astype(np.int64)  # of no window too
    return ((centre - half >= 0) & (centre + half <= sizes)).to_numpy(dtype=bool)


def gc_percent(genome: Genome, chrom: str, start: np.ndarray, width: int = SEQ_LEN) -> np.ndarray:
    """Return the share of G and C in windows, in whole per cent; N counts in the denominator. (n,) int64."""
    codes = genome.codes(chrom)
    is_gc = (codes == BASES.index("G")) | (codes == BASES.index("C"))
    below = np.concatenate([[0], np.cumsum(is_gc, dtype=np.int64)])
    start = np.asarray(start)
    return np.rint((below[start + width] - below[start]) / width * 100).astype(np.int64)


def background_windows(genome: Genome, chroms: list[str]) -> pd.DataFrame:
    """List windows of 2,114 bp every 1,000 bp: chrom, start, end, gc. One that ends where its chromosome ends is left
    out, as in the source."""
    tables = []
    for chrom in chroms:
        start = np.arange(0, max(genome.sizes[chrom] - SEQ_LEN, 0), STRIDE)
        gc = gc_percent(genome, chrom, start)
        tables.append(pd.DataFrame({"chrom": chrom, "start": start, "end": start + SEQ_LEN, "gc": gc}))
    return pd.concat(tables, ignore_index=True)


def choose_negatives(
    peaks: pd.DataFrame, candidates: pd.DataFrame, fold: Mapping[str, list[str]], notes: list[str]
) -> pd.DataFrame:
    """Find background windows of the peaks' GC content, apart in the training, validation and test chromosomes.

    For each peak in order, an unused candidate of the same per cent is drawn; where there is none (left), the per cent
    makes random steps of one until there is. The draws are those of the source: Python's generator, seed 1234.

    Parameters
    ----------
    peaks, candidates
        Both have chrom and gc; the order of both matters.

    Returns
    -------
    The rows of `candidates` that were chosen, in the order of the draws, with `part`.
    """
    part_of = {chrom: part for part in PARTS for chrom in fold[part]}
    pools: dict[str, dict[int, np.ndarray]] = {
        part: {int(gc): rows.to_numpy() for gc, rows in one.groupby("gc").groups.items()}
        for part, one in candidates.groupby(candidates["chrom"].map(part_of))
    }
    # Steps stay within 1 to 99 %: a window without G and C (a gap of N), or of nothing else, is never stepped to.
    left = {part: sum(len(rows) for gc, rows in pool.items() if 0 < gc < 100) for part, pool in pools.items()}
    used: dict[tuple[str, int], set[int]] = {}
    rng = random.Random(NEGATIVES_SEED)
    chosen, parts, wanted = [], [], 0
    for chrom, gc in zip(peaks["chrom"], peaks["gc"].tolist(), strict=True):
        part = part_of.get(chrom)
        if part is None:
            continue
        for _ in range(PER_TEST_PEAK if part == "test" else PER_TRAINING_PEAK):
            wanted += 1
            pool, at = pools.get(part, {}), gc
            if not left.get(part) and len(used.get((part, gc), ())) >= len(pool.get(gc, ())):
                continue
            while True:
                at = _step_to_free(at, pool, used, part, rng)
                index = rng.randint(0, len(pool[at]) - 1)
                if index not in used.setdefault((part, at), set()):
                    break
            used[part, at].add(index)
            left[part] -= 0 < at < 100
            chosen.append(pool[at][index])
            parts.append(part)
    if len(chosen) < wanted:
        notes.append(f"{wanted:,} background windows were wanted for a fold, and {len(chosen):,} are there.")
    return candidates.loc[chosen].assign(part=parts)


def _step_to_free(gc: int, pool: dict[int, np.ndarray], used: dict, part: str, rng: random.Random) -> int:
    while gc not in pool or len(used.get((part, gc), ())) >= len(pool[gc]):
        gc += 1 if rng.random() > 0.5 else -1
        if gc <= 0:
            gc += 1
        if gc >= 100:
            gc -= 1
    return gc
