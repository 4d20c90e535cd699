"""Windows of profile tasks: cutting them to size, and the likelihood of their counts; pure numpy.

Source: `kundajelab/chrombpnet` (`chrombpnet/helpers/hyperparameters`, `chrombpnet/training`). A dataset of a profile
task has wide `codes` and one wide target, `profile`; its `meta` has `is_peak` and `fits_jitter` (the widened window
lies on the chromosome).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import gammaln

from benchmarks.api.data import Dataset, RowsOnDisk, TaskSpec
from benchmarks.api.recipe import Recipe

OUTPUTS = ("profile_logits", "log_counts")
"""What a network of a profile task predicts: logits per base, and the natural logarithm of 1 + reads."""

BLOCK = 4096
"""Windows that are read from disk at a time."""


@dataclass(frozen=True)
class ProfileRecipe(Recipe):
    """A recipe for windows of a profile task; the numbers are ChromBPNet's.

    Parameters
    ----------
    jitter
        bp by which peaks are shifted at most, in training.
    negative_ratio
        Non-peaks per peak in an epoch, and in validation.
    reverse_share
        Share of an epoch's windows that are reverse-complemented.
    """

    batch_size: int = 64
    max_lr: float = 0.001
    epochs: int = 50
    patience: int | None = 5
    jitter: int = 500
    negative_ratio: float = 0.1
    reverse_share: float = 0.5


def profile_len(spec: TaskSpec) -> int:
    """Return the length of a task's profiles in bp.

    Raises
    ------
    ValueError
        If the task has no profiles.
    """
    if spec.profile_len is None:
        raise ValueError(f"a task with profiles is expected, got one of head {spec.head!r}")
    return spec.profile_len


def unfit_for_bpnet(spec: TaskSpec, n_dilated: int) -> str | None:
    """Say why a BPNet with this many dilated convolutions cannot learn a task, or None."""
    if spec.head != "profile_counts":
        return f"predicts profiles and counts of reads, not {spec.head}"
    shortest = (
        profile_len(spec) + 74 + 20 + 2 * (2 ** (n_dilated + 1) - 2)
    )  # bp that convolutions without padding take off
    if spec.seq_len < shortest:
        return f"needs windows of at least {shortest} bp for profiles of {spec.profile_len} bp, not {spec.seq_len}"
    return None


def central(array: Any, width: int, rows: Any = slice(None)) -> np.ndarray:
    """Cut out the middle `width` columns of (n, wide), of all rows or some.

    >>> central(np.arange(6).reshape(1, 6), 2)
    array([[2, 3]])
    """
    start = (array.shape[1] - width) // 2
    if isinstance(array, RowsOnDisk):
        return array.base[array.rows[rows], start : start + width]
    return array[rows, start : start + width]


def narrowed(data: Dataset, spec: TaskSpec) -> Dataset:
    """Cut the windows of a dataset down to what `spec` says, jitter included; the centres stay."""
    codes = central(data.codes, spec.seq_len + 2 * spec.max_jitter)
    profile = central(data.targets["profile"], profile_len(spec) + 2 * spec.max_jitter)
    return replace(data, codes=codes, targets={"profile": profile})


def total_counts(data: Dataset, spec: TaskSpec) -> np.ndarray:
    """Add up the reads of every window's central profile; (n,) float64."""
    profile, width = data.targets["profile"], profile_len(spec)
    blocks = (slice(start, start + BLOCK) for start in range(0, len(data), BLOCK))
    sums = [central(profile, width, rows).sum(axis=1, dtype=np.float64) for rows in blocks]
    return np.concatenate(sums) if sums else np.zeros(0)


def log_multinomial_coefficient(profile: np.ndarray) -> np.ndarray:
    """Logarithm of the number of ways in which reads can make each profile; (n, profile_len) -> (n,) float64."""
    counts = np.asarray(profile, dtype=np.float64)
    return gammaln(counts.sum(axis=1) + 1) - gammaln(counts + 1).sum(axis=1)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log probabilities of (n, profile_len) logits, float64.

    >>> np.exp(log_softmax(np.zeros((1, 4))))
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    logits = np.asarray(logits, dtype=np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def multinomial_nll(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Negative log likelihood of every profile under its predicted logits, multinomial coefficient included.

    Source: `kundajelab/chrombpnet`, `chrombpnet/training/utils/losses.py`. Its mean over a batch is the profile loss.

    Parameters
    ----------
    y_true, y_pred
        (n, profile_len): counts, logits.

    Returns
    -------
    (n,) float64, nats.
    """
    counts = np.asarray(y_true, dtype=np.float64)
    return -log_multinomial_coefficient(counts) - (counts * log_softmax(y_pred)).sum(axis=1)
