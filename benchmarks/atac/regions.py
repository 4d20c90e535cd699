"""Peaks, blacklist, GC-matched background and chromosome splits.

Source: `kundajelab/chrombpnet`: `chrombpnet prep nonpeaks` (`chrombpnet/helpers/make_gc_matched_negatives`) and
`chrombpnet/helpers/hyperparameters/param_utils.py`; the folds of hg38 are those published with its models.
"""

import json
import random
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.api.genome import Genome, needed
from benchmarks.api.sequences import BASES
from benchmarks.errors import BadInput
from benchmarks.io.tables import open_text

SEQ_LEN, PROFILE_LEN, MAX_JITTER = 2114, 1000, 500
STRIDE = 1000
"""Step between windows that may become background."""
PER_TRAINING_PEAK, PER_TEST_PEAK = 2, 1
NEGATIVES_SEED = 1234

NARROWPEAK = ["chrom", "start", "end", "name", "score", "strand", "signal", "p_value", "q_value", "summit"]
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
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise BadInput(f"--folds: no file at {path}.") from None
        except (ValueError, RecursionError) as error:
            raise BadInput(f"--folds: {path} is not a JSON file: {error}.") from None
        if content == []:
            raise BadInput(f"--folds: {path} has no fold.")
        for number, fold in enumerate(content if isinstance(content, list) else [content]):
            where = f"--folds: {path}" + (f", fold {number}" if isinstance(content, list) else "")
            if not isinstance(fold, dict) or set(PARTS) - fold.keys():
                raise BadInput(f"{where}: an object with lists of chromosomes train, valid and test is expected.")
            folds.append({part: _chromosomes(fold[part], f"{where}, {part!r}") for part in PARTS})
            every = [chrom for part in PARTS for chrom in folds[-1][part]]
            if twice := [chrom for chrom in every if every.count(chrom) > 1]:
                raise BadInput(f"{where}: {twice[0]!r} is named twice; a chromosome belongs to one part.")
    return folds


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


def read_peaks(path: Path, genome: Genome, notes: list[str]) -> pd.DataFrame:
    """Read narrowPeak: chrom, start, end, name and `centre` (start + column 10), in the file's order.

    Peaks on chromosomes that the genome lacks are left out, with a note.

    Raises
    ------
    BadInput
        For the first line that is not narrowPeak with a summit, or lies off its chromosome.
    """
    rows = _bed(path, "--peaks", 10, f"narrowPeak has 10 columns ({', '.join(NARROWPEAK)})")
    table = pd.DataFrame(
        {
            "line": [row.number for row in rows],
            "chrom": [row.cells[0] for row in rows],
            "start": [row.start for row in rows],
            "end": [row.end for row in rows],
            "name": [row.cells[3] for row in rows],
            "summit": [_whole(path, row.number, row.cells, 9) for row in rows],
        }
    )
    if (table["summit"] < 0).any():
        one = table[table["summit"] < 0].iloc[0]
        raise BadInput(
            f"--peaks: {path}, line {one['line']}, column 10: a summit, 0 or more bp right of the start, is expected, "
            f"got {one['summit']}; call peaks with summits (macs2 --call-summits)."
        )
    if n := int((table["start"] + table["summit"] >= table["end"]).sum()):
        notes.append(f"{n:,} peaks of {path.name} have a summit (column 10) beyond their end; it is taken as it is.")
    table["centre"] = table["start"] + table.pop("summit")
    known = genome.known(table["chrom"], f"--peaks: {path}")
    if strange := sorted(set(table["chrom"]) - set(known)):
        n = int((~table["chrom"].isin(known)).sum())
        notes.append(f"{n:,} peaks lie on {some(strange)}, which the genome lacks, and are left out.")
        table = table[table["chrom"].isin(known)]
    size = table["chrom"].map(genome.sizes)
    off = table[(table["end"] > size) | (table["centre"] >= size)]
    if len(off):
        one = off.iloc[0]
        raise BadInput(
            f"--peaks: {path}, line {one['line']}: {one['chrom']}:{one['start']}-{one['end']} lies off the end of "
            f"{one['chrom']} ({genome.sizes[one['chrom']]:,} bp); are the peaks of another assembly?"
        )
    place = table["chrom"].map(list(genome.sizes).index)
    if not pd.MultiIndex.from_arrays([place, table["start"]]).is_monotonic_increasing:
        notes.append(f"The peaks of {path.name} are not sorted by position; they are kept in the file's order.")
    return table.drop(columns="line").reset_index(drop=True)


def read_blacklist(path: Path, genome: Genome) -> pd.DataFrame:
    """Read a BED file of regions to stay away from: chrom, start, end."""
    rows = _bed(path, "--blacklist", 3, "BED has chromosome, start and end")
    table = pd.DataFrame([(row.cells[0], row.start, row.end) for row in rows], columns=["chrom", "start", "end"])
    genome.known(table["chrom"], f"--blacklist: {path}")
    return table[table["chrom"].isin(genome.sizes)].reset_index(drop=True)


class _Line(NamedTuple):
    number: int
    cells: list[str]
    start: int
    end: int


def _bed(path: Path, option: str, n_columns: int, expected: str) -> list[_Line]:
    if not path.is_file():
        raise BadInput(f"{option}: no file at {path}.")
    rows = []
    try:
        with open_text(path) as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip() or line.startswith(("#", "track", "browser")):
                    continue
                cells = line.rstrip("\r\n").split("\t")
                if len(cells) < n_columns:
                    raise BadInput(f"{option}: {path}, line {number}: {expected}, got {len(cells)} column(s).")
                start, end = _whole(path, number, cells, 1), _whole(path, number, cells, 2)
                if not 0 <= start < end:
                    raise BadInput(
                        f"{option}: {path}, line {number}: a start of 0 or more and an end beyond it are expected, got "
                        f"{start} and {end}."
                    )
                rows.append(_Line(number, cells, start, end))
    except (UnicodeDecodeError, EOFError, OSError, zlib.error) as error:
        raise BadInput(f"{option}: {path} is not a text file that can be read: {error}.") from None
    if not rows:
        raise BadInput(f"{option}: {path} has no region.")
    return rows


def _whole(path: Path, number: int, cells: list[str], column: int) -> int:
    if not re.fullmatch(r"-?\d{1,18}", cells[column].strip()):
        raise BadInput(
            f"{path}, line {number}, column {column + 1}: a whole number is expected, got {cells[column]!r}."
        )
    return int(cells[column])


def some(names: list[str]) -> str:
    """Name up to four, and count the rest."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


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
