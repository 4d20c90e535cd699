"""Which windows an epoch of a profile model trains on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.api.data import Dataset, RowsOnDisk, TaskSpec
from benchmarks.api.profiles import total_counts
from benchmarks.api.sequences import COMPLEMENT

LIMITS = (1 - 0.9999, 0.9999)
"""Quantiles of total counts; windows at or beyond them are outliers."""


MIN_SHARE_WITH_READS = 0.01
"""Least share of background windows with a read for a bias model to train on."""


class NothingToTrainOn(ValueError):
    """The rules leave no window to train or to validate on."""


@dataclass(frozen=True)
class Regions:
    """The windows that a training uses, as rows of its training and validation sets.

    Parameters
    ----------
    train, val
        int64 row numbers, peaks first.
    counts_weight
        Weight of the count head's loss.
    low, high
        Limits of total counts that a window must lie between.
    fit_level
        Training and validation rows that the bias model's level is fitted to, `(train rows, validation rows)`.
    """

    train: np.ndarray
    val: np.ndarray
    counts_weight: float
    low: float
    high: float
    fit_level: tuple[np.ndarray, np.ndarray]


def choose_accessible(train: Dataset, val: Dataset, spec: TaskSpec, *, negative_ratio: float, seed: int) -> Regions:
    """Choose what ChromBPNet trains on: peaks and non-peaks between the outlier limits.

    The limits are quantiles of the totals of all peaks and of a sample of `negative_ratio` as many non-peaks, training
    and validation windows together. What is left of non-peaks is thinned to the number of peaks. Peaks whose widened
    window leaves the chromosome are left out. The sample is unseeded in the source; here `seed` draws it.

    Raises
    ------
    NothingToTrainOn
        If no peak is left to train or to validate on.
    """
    n_train = len(train)
    total = np.concatenate([total_counts(train, spec), total_counts(val, spec)])
    is_peak, fits = (
        np.concatenate([part.meta[name].to_numpy(dtype=bool) for part in (train, val)])
        for name in ("is_peak", "fits_jitter")
    )
    peaks, others = np.flatnonzero(is_peak & fits), np.flatnonzero(~is_peak)
    n_sampled = min(int(negative_ratio * len(peaks)), len(others))
    sample = np.random.default_rng(seed).choice(others, n_sampled, replace=False)
    if not len(peaks):
        raise NothingToTrainOn("No peak of the training and validation chromosomes is far enough from their ends.")
    pool = total[np.concatenate([peaks, sample])]
    low, high = np.quantile(pool, LIMITS)
    weight = _counts_weight(pool[(pool >= low) & (pool <= high)])
    peaks, others = (rows[(total[rows] > low) & (total[rows] < high)] for rows in (peaks, others))
    level = (others[others < n_train], others[others >= n_train] - n_train)
    if len(others) > len(peaks):
        others = pd.Series(others).sample(n=len(peaks), replace=False, random_state=1).to_numpy()
    chosen = {
        name: [rows[side(rows)] - shift for rows in (peaks, others)]
        for name, side, shift in (
            ("train", lambda rows: rows < n_train, 0),
            ("val", lambda rows: rows >= n_train, n_train),
        )
    }
    for name, what in (("train", "train"), ("val", "validate")):
        if not len(chosen[name][0]):
            raise NothingToTrainOn(
                f"No peak between the outlier limits, {low:g} and {high:g} reads, is left to {what}."
            )
    val_peaks, val_others = chosen["val"]
    fixed = np.random.default_rng(seed).choice(
        val_others, min(int(negative_ratio * len(val_peaks)), len(val_others)), replace=False
    )
    return Regions(
        np.concatenate(chosen["train"]), np.concatenate([val_peaks, fixed]), weight, float(low), float(high), level
    )


def choose_background(train: Dataset, val: Dataset, spec: TaskSpec, *, threshold_factor: float) -> Regions:
    """Choose what a bias model trains on: non-peaks with fewer reads than almost every peak has.

    Their totals lie below `threshold_factor` times the 1 % quantile of the totals of peaks (the source's help text says
    minimum, its code takes the quantile), and between the outlier limits of those that do.

    Raises
    ------
    NothingToTrainOn
        If no such window is left to train or to validate on.
    """
    n_train = len(train)
    total = np.concatenate([total_counts(train, spec), total_counts(val, spec)])
    is_peak = np.concatenate([part.meta["is_peak"].to_numpy(dtype=bool) for part in (train, val)])
    if not is_peak.any():
        raise NothingToTrainOn("Without peaks there is no threshold below which a window counts as background.")
    _check_background(total[~is_peak])
    threshold = threshold_factor * np.quantile(total[is_peak], 0.01)
    rows = np.flatnonzero(~is_peak & (total < threshold))
    low, high = np.quantile(total[rows], LIMITS) if len(rows) else (np.nan, np.nan)
    rows = rows[(total[rows] > low) & (total[rows] < high)]
    chosen = rows[rows < n_train], rows[rows >= n_train] - n_train
    for part, what in zip(chosen, ("train", "validate"), strict=True):
        if not len(part):
            raise NothingToTrainOn(
                f"No non-peak with fewer than {threshold:g} reads ({threshold_factor:g} times the 1 % quantile of "
                f"peaks) is left to {what} a bias model on; raise the factor: --set bpnet_bias.threshold_factor=…"
            )
    return Regions(*chosen, _counts_weight(total[rows]), float(low), float(high), chosen)


def _check_background(totals: np.ndarray) -> None:
    """Refuse background without reads: there is no sequence bias to learn, whatever the threshold."""
    n_with = int((totals > 0).sum())
    if len(totals) and n_with < MIN_SHARE_WITH_READS * len(totals):
        raise NothingToTrainOn(
            f"The background has (nearly) no reads to train a bias model on: {n_with:,} of its {len(totals):,} windows "
            f"have any, {totals.sum():,.0f} in all. Raising threshold_factor cannot help; prepare the data from all "
            "reads, not from those in peaks alone, or with more of them."
        )


def _counts_weight(totals: np.ndarray) -> float:
    """A tenth of the median, at least 1, with two decimals: as the source writes it to its parameter file."""
    return float(f"{max(np.median(totals) / 10, 1.0):.2f}")


def profile_len_of(spec: TaskSpec) -> int:
    """Return the length of a task's profiles in bp.

    Raises
    ------
    ValueError
        If its head predicts none.
    """
    if spec.profile_len is None:
        raise ValueError(f"A task of the head {spec.head} has no profiles.")
    return spec.profile_len


class EpochWindows:
    """Training windows, drawn every epoch: peaks shifted, some non-peaks sampled, half of all reverse-complemented.

    Without peaks, every non-peak is shown.

    Parameters
    ----------
    data
        Wide windows of a training set.
    jitter
        Peaks are shifted by a whole number of bases, uniform from -jitter to jitter.
    negative_ratio
        Non-peaks per peak, drawn without replacement.
    reverse_share
        Share of an epoch's windows, rounded down, that are reverse-complemented.
    """

    def __init__(
        self, data: Dataset, spec: TaskSpec, *, jitter: int, negative_ratio: float, reverse_share: float = 0.5
    ) -> None:
        if jitter > spec.max_jitter:
            raise ValueError(
                f"The windows of this task are cut for a jitter of up to {spec.max_jitter} bp, not {jitter}."
            )
        self.jitter, self.reverse_share = jitter, reverse_share
        is_peak = data.meta["is_peak"].to_numpy(dtype=bool)
        self.peaks, self.others = np.flatnonzero(is_peak), np.flatnonzero(~is_peak)
        self.n_others = min(int(negative_ratio * len(self.peaks)), len(self.others)) if is_peak.any() else len(data)
        # A view of every start: indexing it copies the windows that are asked for and nothing else.
        self._codes, rows = _windows(data.codes, spec.seq_len)
        self._profile, _ = _windows(data.targets["profile"], profile_len_of(spec))
        self._rows = np.arange(len(data)) if rows is None else rows
        self._centre = self._codes.shape[1] // 2
        self.draw(np.random.default_rng(0))

    def __len__(self) -> int:
        """Count the windows of an epoch."""
        return len(self.peaks) + self.n_others

    def draw(self, rng: np.random.Generator) -> None:
        """Draw an epoch: which non-peaks, how far each peak is shifted, which windows are reverse-complemented."""
        others = rng.choice(self.others, self.n_others, replace=False) if self.n_others else self.others[:0]
        shift = rng.integers(-self.jitter, self.jitter + 1, len(self.peaks))
        self.rows = np.concatenate([self.peaks, others])
        self.start = np.full(len(self.rows), self._centre)
        self.start[: len(self.peaks)] += shift
        self.reversed = np.zeros(len(self.rows), dtype=bool)
        self.reversed[rng.choice(len(self.rows), int(self.reverse_share * len(self.rows)), replace=False)] = True

    def batch(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cut windows of the drawn epoch: codes (B, seq_len) uint8 and profile (B, profile_len), as stored."""
        rows, start, turn = self._rows[self.rows[positions]], self.start[positions], self.reversed[positions]
        codes, profile = self._codes[rows, start], self._profile[rows, start]
        codes[turn] = COMPLEMENT[codes[turn]][:, ::-1]
        profile[turn] = profile[turn][:, ::-1]
        return codes, profile


def _windows(array: Any, width: int) -> tuple[np.ndarray, np.ndarray | None]:
    base, rows = (array.base, array.rows) if isinstance(array, RowsOnDisk) else (array, None)
    return sliding_window_view(base, width, axis=1), rows
