"""Which windows every split trains on, selects by and is tested on: peaks, and background matched to them.

Source: `kundajelab/chrombpnet`, `chrombpnet/helpers/make_gc_matched_negatives` and `chrombpnet prep nonpeaks`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api.genome import Genome
from benchmarks.atac import regions
from benchmarks.atac.left_out import some
from benchmarks.atac.peaks import read_blacklist, read_peaks
from benchmarks.atac.prepared import PART_CODES, WIDE_SEQ
from benchmarks.atac.regions import SEQ_LEN, Fold
from benchmarks.errors import BadInput
from benchmarks.io.account import Account
from benchmarks.io.atomic import whole_file, write_text

OnStep = Callable[[str, float], None]
"""(what is being done, share of it that is done)"""


@dataclass(frozen=True)
class Peaks:
    """Peaks that can be trained on, and what background keeps away from.

    Parameters
    ----------
    table
        chrom, start, end, name, centre, fits_jitter, gc.
    avoided
        chrom, start, end of all peaks and of the blacklist.
    n_read, n_excluded
        Peaks in the file on chromosomes of the genome, and those of them on excluded ones.
    accounts
        What was read of the peaks, and of the blacklist.
    """

    table: pd.DataFrame
    avoided: pd.DataFrame
    n_read: int
    n_excluded: int
    accounts: tuple[Account, ...]


def usable_peaks(
    file: Path, blacklist: Path | None, exclude: Sequence[str], genome: Genome, *, summits: str = "column"
) -> Peaks:
    """Read the peaks that a window can lie around: off the blacklist, and far enough from the ends of chromosomes.

    Raises
    ------
    BadInput
        If a file is damaged, or no peak is left.
    """
    peaks, account = read_peaks(file, genome, exclude=exclude, summits=summits)
    accounts = [account]
    n_excluded = sum(one.n for one in account.left_out if "--exclude" in one.reason)
    n_read, avoided = len(peaks) + n_excluded, peaks[["chrom", "start", "end"]]
    if blacklist is not None:
        blacklisted, of_blacklist = read_blacklist(blacklist, genome, exclude)
        accounts.append(of_blacklist)
        avoided = pd.concat([avoided, blacklisted])
        clear = regions.away_from(peaks, blacklisted, SEQ_LEN // 2)
        account.leave_out("peaks", int((~clear).sum()), f"within {SEQ_LEN // 2:,} bp of the blacklist")
        peaks = peaks[clear]
    on_chrom = regions.fits(peaks["centre"], peaks["chrom"], genome, SEQ_LEN)
    account.leave_out("peaks", int((~on_chrom).sum()), "too near to the end of a chromosome for their window")
    peaks = peaks[on_chrom].reset_index(drop=True)
    account.numbers["peaks"] = len(peaks)
    if peaks.empty:
        raise BadInput(f"No peak of {file} is left to train on. {' '.join(map(str, account.left_out))}".strip())
    peaks["fits_jitter"] = regions.fits(peaks["centre"], peaks["chrom"], genome, WIDE_SEQ)
    peaks["gc"] = _gc_percent(genome, peaks)
    return Peaks(peaks, avoided, n_read, n_excluded, tuple(accounts))


def choose_folds(
    files: Sequence[Path], n_folds: int, exclude: Sequence[str], genome: Genome, peaks: pd.DataFrame, notes: list[str]
) -> list[Fold]:
    """Read the splits, or take ChromBPNet's of the human genome, or else deal the chromosomes.

    Raises
    ------
    BadInput
        If a split names a chromosome that the genome lacks, or if a part of it has none that is not excluded.
    """
    if files:
        folds = regions.read_folds(list(files))
        notes.append(f"{len(folds)} split(s) were read from {', '.join(path.name for path in files)}.")
    elif set(regions.HG38) <= set(genome.sizes):
        folds = regions.hg38_folds()
        notes.append("The splits are ChromBPNet's five of the human genome.")
    else:
        folds = regions.drawn_folds(genome, peaks, n_folds)
        notes.append(f"{len(folds)} splits were made: chromosomes dealt by their number of peaks, each tested once.")
    for number, fold in enumerate(folds):
        for part in regions.PARTS:
            if strange := [c for c in fold[part] if c not in genome.sizes]:
                raise BadInput(
                    f"--folds: fold {number} has {strange[0]!r} in its part {part!r}, and the genome has no such "
                    f"chromosome; it has {', '.join(list(genome.sizes)[:6])}.{genome.nearest(strange[0])}"
                )
            known = [c for c in fold[part] if c not in exclude]
            if not known:
                raise BadInput(
                    f"Fold {number} has no {part} chromosome that is not excluded: {', '.join(fold[part][:6])}."
                )
            fold[part] = known
        _note_unused(number, fold, peaks, notes)
    return folds


def _note_unused(number: int, fold: Fold, peaks: pd.DataFrame, notes: list[str]) -> None:
    """Note peaks on chromosomes that a split has in no part."""
    unused = peaks[~peaks["chrom"].isin([chrom for part in regions.PARTS for chrom in fold[part]])]
    if len(unused):
        names = some(list(dict.fromkeys(unused["chrom"])))
        notes.append(f"{len(unused):,} peaks on {names} are in no part of fold {number}, and not used in it.")


def background_candidates(genome: Genome, folds: Sequence[Fold], avoided: pd.DataFrame) -> pd.DataFrame:
    """List windows on the chromosomes of the splits that keep away from peaks and blacklist: chrom, start, end, gc."""
    used = [chrom for chrom in genome.sizes if any(chrom in fold[part] for fold in folds for part in regions.PARTS)]
    candidates = regions.background_windows(genome, used)
    return candidates[regions.away_from(candidates, avoided, SEQ_LEN // 2)].reset_index(drop=True)


def windows_of_folds(
    peaks: pd.DataFrame,
    candidates: pd.DataFrame,
    folds: Sequence[Fold],
    out: Path,
    notes: list[str],
    on_step: OnStep,
) -> pd.DataFrame:
    """Match background to the peaks of every split; write fold_K.json and negatives_fold_K.bed.

    Returns
    -------
    The windows that any split uses: chrom, centre, is_peak, fits_jitter, gc, and a column fold_K of PART_CODES each.

    Raises
    ------
    BadInput
        If a part of a split has no peak.
    """
    table = pd.concat([peaks.assign(is_peak=True), candidates.assign(is_peak=False, fits_jitter=False)])
    table = table.reset_index(drop=True)
    is_peak = table["is_peak"].to_numpy()
    for number, fold in enumerate(folds):
        on_step(f"matching background to peaks, fold {number}", 0.3 + 0.7 * number / len(folds))
        part_of = {chrom: PART_CODES[part] for part in regions.PARTS for chrom in fold[part]}
        negatives = regions.choose_negatives(peaks, candidates, fold, notes)
        codes = table["chrom"].map(part_of).fillna(0).to_numpy(dtype=np.uint8)
        chosen = np.zeros(len(table), dtype=bool)
        chosen[len(peaks) + negatives.index.to_numpy()] = True
        table[f"fold_{number}"] = np.where(is_peak | chosen, codes, 0).astype(np.uint8)
        for part, code in PART_CODES.items():
            if not (is_peak & (codes == code)).any():
                raise BadInput(f"Fold {number} has no peak on its {part} chromosomes, {', '.join(fold[part])}.")
        _write_negatives(out / f"negatives_fold_{number}.bed", negatives)
        write_text(out / f"fold_{number}.json", json.dumps(fold, indent=1))
    fold_columns = [f"fold_{number}" for number in range(len(folds))]
    table = table[is_peak | (table[fold_columns] > 0).any(axis=1)]
    centre = table["centre"].fillna(table["start"] + SEQ_LEN // 2).astype(np.int64)
    table = table.assign(centre=centre, is_peak=table["is_peak"].astype(np.uint8))
    table["fits_jitter"] = table["fits_jitter"].astype(bool).astype(np.uint8)
    return table[["chrom", "centre", "is_peak", "fits_jitter", "gc", *fold_columns]]


def write_peaks(path: Path, peaks: pd.DataFrame) -> None:
    """Write narrowPeak: what is not known of a peak is a dot or 0."""
    table = pd.DataFrame(
        {"chrom": peaks["chrom"], "start": peaks["start"], "end": peaks["end"], "name": peaks["name"]}
    ).assign(score=0, strand=".", signal=0, p_value=-1, q_value=-1, summit=peaks["centre"] - peaks["start"])
    _write_bed(path, table)


def _write_negatives(path: Path, negatives: pd.DataFrame) -> None:
    """Write background windows as ChromBPNet reads them: ten columns, the last is half the width."""
    table = negatives[["chrom", "start", "end"]].assign(
        name=".", score=".", strand=".", signal=".", p_value=".", q_value=".", summit=SEQ_LEN // 2
    )
    _write_bed(path, table)


def _write_bed(path: Path, table: pd.DataFrame) -> None:
    with whole_file(path) as unfinished:
        table.to_csv(unfinished, sep="\t", header=False, index=False)


def _gc_percent(genome: Genome, peaks: pd.DataFrame) -> np.ndarray:
    """Return the GC content of the windows around peaks, in whole per cent; (n,) int64."""
    gc = np.zeros(len(peaks), dtype=np.int64)
    for chrom in genome.sizes:
        here = (peaks["chrom"] == chrom).to_numpy()
        if here.any():
            gc[here] = regions.gc_percent(genome, chrom, peaks["centre"].to_numpy()[here] - SEQ_LEN // 2)
    return gc
