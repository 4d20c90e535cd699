"""Expression of promoters as the weighted average of the bins in which they were seen.

Source: Rafi et al. 2024, Methods (18 uniform bins in log2(RFP/YFP), numbered here 0 to 17; a promoter seen in one bin
gets a whole number). What a bin weighs is not stated there; see `WEIGHTS`.
"""

import numpy as np

from benchmarks.apps.quantify.dispersion import effective_cells, pooled_variance

WEIGHTS = {
    "cells": "reads, over all reads of the bin, times the share of all sorted cells that the bin took, where known",
    "gates": "reads, over all reads of the bin, times the share of the population that its gate takes (its quantiles)",
    "relative": "reads, over all reads of the bin",
    "reads": "reads",
}


def weight_per_read(
    kind: str, totals: np.ndarray, cells: np.ndarray, start_q: np.ndarray, end_q: np.ndarray
) -> np.ndarray:
    """Return what one read of each bin weighs; (bins,) float64.

    Parameters
    ----------
    totals
        (bins,) reads.
    cells, start_q, end_q
        (bins,), NaN where not known.
    """
    if kind == "reads":
        return np.ones(len(totals))
    share = {"cells": cells / np.sum(cells), "gates": end_q - start_q, "relative": np.ones(len(totals))}[kind]
    if kind == "cells" and np.isnan(share).any():
        share = np.ones(len(totals))
    return share / totals


def weighted_average(counts: np.ndarray, numbers: np.ndarray, per_read: np.ndarray) -> np.ndarray:
    """Average the numbers of bins by weight; (n, bins) counts -> (n,) float64, NaN for sequences without reads.

    Sequences seen in one bin get its number, exactly.
    """
    weights = counts * per_read
    with np.errstate(invalid="ignore"):
        average = weights @ numbers / weights.sum(axis=1)
    once = n_bins_seen(counts, numbers) == 1
    average[once] = numbers[(counts[once] > 0).argmax(axis=1)]
    return average


def n_bins_seen(counts: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Count the different bins in which each sequence was seen; the same bin of two replicates is one. (n,) int64."""
    return sum((counts[:, numbers == number] > 0).any(axis=1).astype(np.int64) for number in np.unique(numbers))


def standard_errors(
    counts: np.ndarray, numbers: np.ndarray, per_read: np.ndarray, average: np.ndarray, dispersion: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return standard errors of weighted averages, in bins, and effective cells; (n,) float64 each, NaN without reads.

    Cells, not reads, are what was drawn from the promoter: counts are divided by `dispersion`, the variance of a count
    per read of its mean. The spread between cells of one promoter is pooled over promoters of like expression, since
    most are seen in too few cells to have one of their own.
    """
    weights = counts * per_read
    with np.errstate(invalid="ignore", divide="ignore"):
        # Error propagation: each effective cell of bin b moves the average by (b - average) * its weight / all weight.
        influence = (numbers - average[:, None]) * per_read / weights.sum(axis=1, keepdims=True)
        own = (influence**2 * counts * dispersion).sum(axis=1)
    n_cells = effective_cells(weights, per_read * dispersion)
    of_one = 1 / np.where(n_cells > 0, n_cells, np.nan)
    return np.sqrt(pooled_variance(own, of_one, n_cells, average) * of_one), n_cells
