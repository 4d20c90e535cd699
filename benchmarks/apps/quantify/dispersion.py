"""The scatter of read counts when cells were sorted: dispersion, effective cells, pooled variances.

A cell that is sorted grows, and is amplified and sequenced many times. Its reads are copies of one observation, and a
likelihood of reads that takes each for an observation is overconfident by the reads per cell. With Poisson numbers of
cells, each giving a random number of reads of mean d and squared coefficient of variation v, a count of mean m has
the variance m (1 + d (1 + v)): its dispersion. d is known where the number of sorted cells is; 1 + v, or the whole
where it is not, is estimated from the counts themselves.
"""

from dataclasses import dataclass

import numpy as np

_N_GROUPS = 20
"""Groups of like expression over which variances are pooled."""
_STEPS = (-3, -2, -1, 1, 2, 3)
_MIDDLE = np.array([1, -6, 15, 15, -6, 1]) / 20
"""What the neighbours at these steps count in a polynomial of the fifth degree through them, at the middle."""
_MIN_CELLS = 2.0
"""Effective cells from which a sequence tells something of the spread between its cells."""


@dataclass(frozen=True)
class Dispersion:
    """Variance of a count per read of its mean, (bins,) float64, at least 1, and what it was learnt from."""

    values: np.ndarray
    basis: str


def dispersion(counts: np.ndarray, numbers: np.ndarray, replicate: np.ndarray, cells: np.ndarray) -> Dispersion:
    """Estimate the variance of a count per read of its mean, for every bin.

    The profile of a sequence over bins is smooth, the scatter of its counts is not: what a count differs by from a
    polynomial through its neighbours, three on each side, is scatter, of the count and of its neighbours.

    Parameters
    ----------
    counts
        (n, bins) reads.
    numbers, replicate
        (bins,) number of each bin, equally spaced, and the replicate it is of.
    cells
        (bins,) cells sorted into each, NaN where not known: the scatter is then taken to be the same in all bins.
    """
    counts = np.asarray(counts, dtype=np.float64)
    totals, known = counts.sum(axis=0), bool(np.isfinite(cells).all())
    depth = totals / cells if known else np.ones(len(totals))
    place = {(r, int(b)): i for i, (r, b) in enumerate(zip(replicate, numbers, strict=True))}
    excess, weight = 0.0, 0.0
    for (r, b), at in place.items():
        around = [place.get((r, b + step)) for step in _STEPS]
        if None in around:
            continue
        columns = [at, *around]
        factors = np.array([1, *-_MIDDLE]) / totals[columns] * totals[at]
        residual = counts[:, columns] @ factors
        # The residual's variance is the sum of its parts', each the count times its dispersion.
        parts = totals[columns] * factors**2
        excess += (residual**2).sum() - parts.sum()
        weight += (parts * depth[columns]).sum()
    if weight:
        return Dispersion(1 + max(excess / weight, 0.0) * depth, "scatter of the counts about their neighbours")
    if known:
        return Dispersion(1 + depth, "reads per sorted cell; too few bins in a row to see more")
    return Dispersion(np.ones(len(totals)), "none: reads taken for cells, so that errors are lower bounds")


def effective_cells(weights: np.ndarray, per_cell: np.ndarray) -> np.ndarray:
    """Return the number of equally weighted cells that would say as much (Kish); (n,) float64.

    Parameters
    ----------
    weights
        (n, bins) weight of a sequence in each bin.
    per_cell
        (bins,) weight of one effective cell.
    """
    total, squares = weights.sum(axis=1), (weights * per_cell).sum(axis=1)
    return np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)


def pooled_variance(own: np.ndarray, reference: np.ndarray, n_cells: np.ndarray, location: np.ndarray) -> np.ndarray:
    """Return by how much variances exceed reference ones, pooled over sequences of like expression; (n,) float64.

    A sequence's own variance, from the spread of its own counts, is right on average and says little about one of few
    cells; multiplied by n / (n - 1) it is unbiased from two cells on. The ratio of sums over a group is stable.

    Parameters
    ----------
    own, reference
        (n,) variances, from the sequence's own spread and by a formula whose factor is not known.
    n_cells
        (n,) effective cells.
    location
        (n,) expression. Sequences are grouped by it, twentieths of those that are informative.
    """
    informs = (n_cells >= _MIN_CELLS) & np.isfinite(own) & np.isfinite(location)
    if not informs.any():
        return np.full(len(own), np.nan)
    unbiased = own[informs] * n_cells[informs] / (n_cells[informs] - 1)
    edges = np.unique(np.quantile(location[informs], np.arange(1, _N_GROUPS) / _N_GROUPS))
    group = np.searchsorted(edges, location[informs])
    n_groups = len(edges) + 1
    # Sequences of many cells know their spread best: variances are weighted by (cells - 1) per reference variance.
    weight = (n_cells[informs] - 1) / reference[informs]
    above, below = (np.bincount(group, weight * of, n_groups) for of in (unbiased, reference[informs]))
    ratio = np.divide(above, below, out=np.zeros(n_groups), where=below > 0)
    overall = (weight * unbiased).sum() / (weight * reference[informs]).sum()
    ratio = np.where(ratio > 0, ratio, overall)
    return ratio[np.searchsorted(edges, np.where(np.isfinite(location), location, edges[0] if len(edges) else 0.0))]
