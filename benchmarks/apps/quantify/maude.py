"""MAUDE: the mean expression of each sequence, by maximum likelihood of its reads in the sorting bins.

Source: `R/MAUDE.R` of github.com/de-Boer-Lab/MAUDE (de Boer et al. 2020, Genome Biol 21:134). A sequence's cells are
N(mu, 1) on a scale on which all sorted cells are N(0, 1); the share of the library's reads of bin b that are the
sequence's own is p_b = f (Φ(end_b − mu) − Φ(start_b − mu)) / (share of all cells in b), f its share of the library; its
reads are negative-binomial, x_b failures before N_b successes of probability 1 − p_b.

Differs from the source: the maximum over [−4, 4] is that of a grid of 161 points, refined, not that which L-BFGS-B
finds from 0; the two differ where there are several maxima, in sequences of few reads.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import elementwise
from scipy.special import betaln, ndtr, ndtri, xlog1py, xlogy

from benchmarks.apps.quantify.dispersion import effective_cells, pooled_variance
from benchmarks.errors import BadInput

LIMITS = (-4.0, 4.0)
PSEUDOCOUNT = 10.0
"""Pseudo-reads per million reads of a bin, and in the unsorted sample."""
TAIL = 0.001
_GRID = np.linspace(*LIMITS, 161)
_ROWS = 5_000  # sequences whose likelihoods on the grid are in memory at a time


@dataclass(frozen=True)
class BinModel:
    """Sorting bins: quantiles of all sorted cells, (bins,) float64 in (0, 1), and the same as normal scores."""

    start_q: np.ndarray
    end_q: np.ndarray

    @property
    def start_z(self) -> np.ndarray:
        """Lower ends of the bins as normal scores; (bins,) float64."""
        return ndtri(self.start_q)

    @property
    def end_z(self) -> np.ndarray:
        """Upper ends of the bins as normal scores; (bins,) float64."""
        return ndtri(self.end_q)

    @property
    def share(self) -> np.ndarray:
        """Share of all cells in each bin; (bins,) float64."""
        return self.end_q - self.start_q

    def take(self, columns: np.ndarray) -> "BinModel":
        """Return some of the bins, by index or mask."""
        return BinModel(self.start_q[columns], self.end_q[columns])


def stacked(fractions: np.ndarray, tail: float = TAIL) -> BinModel:
    """Build bins from the shares of cells that their gates take, bins ordered from low to high.

    The lower half is stacked up from the tail, the upper half down from its complement: cells that no gate takes are in
    the middle. Source: `makeBinModel`, which does so for six bins A to F.

    Raises
    ------
    BadInput
        If the shares and both tails come to more than one.
    """
    fractions = np.asarray(fractions, dtype=np.float64)
    if fractions.sum() + 2 * tail > 1 + 1e-9:
        raise BadInput(
            f"The fractions of all bins come to {fractions.sum():.4g}; at most {1 - 2 * tail:.4g} is expected."
        )
    n_low = len(fractions) // 2
    low = tail + np.concatenate([[0.0], np.cumsum(fractions[:n_low])])
    high = 1 - tail - np.concatenate([[0.0], np.cumsum(fractions[n_low:][::-1])])[::-1]
    return BinModel(np.concatenate([low[:-1], high[:-1]]), np.concatenate([low[1:], high[1:]]))


@dataclass(frozen=True)
class Observed:
    """What the likelihood is of.

    Parameters
    ----------
    x
        (n, bins) float64, reads with pseudocounts.
    totals
        (bins,) float64, their sums over sequences.
    library
        (n,) float64, each sequence's share of the library.
    library_per_read
        (n, bins), by how much the share grows with one more read in each bin; zero where it is measured unsorted.
    library_variance
        (n,), variance of the share where it is measured unsorted, by Poisson reads; zero where it is not.
    """

    x: np.ndarray
    totals: np.ndarray
    library: np.ndarray
    library_per_read: np.ndarray
    library_variance: np.ndarray


def observe(counts: np.ndarray, unsorted: np.ndarray | None = None, pseudocount: float = PSEUDOCOUNT) -> Observed:
    """Add pseudocounts and find each sequence's share of the library.

    max(1, round(pseudocount · reads of the bin / 10⁶)) is added to every sequence in a bin, `pseudocount` to the
    unsorted reads; 0 adds nothing. Without an unsorted sample the abundance is the mean over bins of reads over all
    reads of the bin (Rafi et al. 2024), times the mean reads of a bin, so that the pseudocount means the same.

    Parameters
    ----------
    counts
        (n, bins) reads.
    unsorted
        (n,) reads of the library before sorting, if it was sequenced.
    """
    counts = np.asarray(counts, dtype=np.float64)
    totals = counts.sum(axis=0)
    x = counts + (np.maximum(1, np.round(pseudocount * totals / 1e6)) if pseudocount > 0 else 0)
    if unsorted is None:
        abundance = (counts / totals).mean(axis=1) * totals.mean() + pseudocount
        per_read = totals.mean() / (totals * counts.shape[1]) / abundance.sum()
        variance = np.zeros(len(counts))
    else:
        abundance = np.asarray(unsorted, dtype=np.float64) + pseudocount
        per_read = np.zeros(counts.shape[1])
        variance = (abundance - pseudocount) / abundance.sum() ** 2
    library, per_read = abundance / abundance.sum(), np.broadcast_to(per_read, counts.shape)
    return Observed(x, x.sum(axis=0), library, per_read, variance)


def log_likelihood(observed: Observed, bins: BinModel, mu: np.ndarray) -> np.ndarray:
    """Return the log-likelihood of each sequence at its mu; (n,) float64, −inf where a share would exceed one."""
    x, n = observed.x, observed.totals
    constant = -np.log(n + x) - betaln(n, x + 1)  # ln of the binomial coefficient (x + N − 1 over x)
    return (constant + _terms(observed, bins, np.asarray(mu), slice(None))).sum(axis=1)


def _terms(observed: Observed, bins: BinModel, mu: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
    """Return what depends on mu, x ln p + N ln(1 − p), per sequence and bin."""
    p = observed.library[rows][..., None] * _mass(bins, mu) / bins.share
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = xlogy(observed.x[rows], p) + xlog1py(observed.totals, -p)
    return np.where(p < 1, terms, -np.inf)


def _mass(bins: BinModel, mu: np.ndarray) -> np.ndarray:
    """Return the share of N(mu, 1) in each bin; (..., bins). The tail that loses no digits is taken."""
    low, high = bins.start_z - mu[..., None], bins.end_z - mu[..., None]
    flip = low > 0
    return ndtr(np.where(flip, -low, high)) - ndtr(np.where(flip, -high, low))


def maximise(observed: Observed, bins: BinModel) -> np.ndarray:
    """Find the most likely mu in [−4, 4] of every sequence; (n,) float64, NaN where none is possible.

    Where the likelihood still rises at a limit, mu is that limit.
    """
    n = len(observed.x)
    best, possible = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool)
    mass = _mass(bins, _GRID) / bins.share  # (grid, bins)
    with np.errstate(divide="ignore"):
        log_mass = np.log(mass)
    for start in range(0, n, _ROWS):
        rows = slice(start, start + _ROWS)
        f = observed.library[rows, None]
        values = observed.x[rows] @ log_mass.T
        for j in range(mass.shape[1]):
            p = f * mass[:, j]
            with np.errstate(invalid="ignore", divide="ignore"):
                values += np.where(p < 1, observed.totals[j] * np.log1p(-p), -np.inf)
        values = np.where(np.isnan(values), -np.inf, values)
        best[rows], possible[rows] = values.argmax(axis=1), np.isfinite(values.max(axis=1)) & (f[:, 0] > 0)
    mu = np.where(possible, _GRID[best], np.nan)
    inner = np.flatnonzero(possible & (best > 0) & (best < len(_GRID) - 1))
    if len(inner):
        around = tuple(_GRID[best[inner] + step] for step in (-1, 0, 1))

        def loss(at: np.ndarray, row: np.ndarray) -> np.ndarray:
            return -_terms(observed, bins, at, row.astype(np.int64)).sum(axis=-1)

        minimum = elementwise.find_minimum(loss, around, args=(inner.astype(np.float64),))
        mu[inner] = np.where(minimum.success, minimum.x, mu[inner])
    return mu


@dataclass(frozen=True)
class Errors:
    """Standard errors of mu, (n,) float64 each.

    `curvature`: of the likelihood as it stands, reads taken for independent observations of N(mu, 1). `se`: propagated
    from what counts of reads really scatter by, abundance included.
    """

    curvature: np.ndarray
    se: np.ndarray
    n_cells: np.ndarray


def standard_errors(
    counts: np.ndarray, observed: Observed, bins: BinModel, mu: np.ndarray, dispersion: np.ndarray
) -> Errors:
    """Return standard errors of the estimates.

    The estimate is a function of the counts, so its variance is Σ_b (∂mu/∂x_b)² · dispersion_b · (mean count). The
    derivatives follow from the likelihood (implicit function theorem), with the abundance, if that is made of the
    same counts. Mean counts are not those of the likelihood, whose N(mu, 1) is wider than the cells of one sequence
    where expression differs within the library: the ratio of both is pooled over sequences of like expression.

    Parameters
    ----------
    counts
        (n, bins) reads, without pseudocounts.
    dispersion
        (bins,) variance of a count per read of its mean; see `dispersion.dispersion`.
    """
    influence, of_library, information, mean = _influence(observed, bins, mu)
    fitted = mean * (counts.sum(axis=1) / mean.sum(axis=1))[:, None]
    own = (influence**2 * dispersion * counts).sum(axis=1)
    reference = (influence**2 * dispersion * fitted).sum(axis=1)
    weights = counts / observed.totals * bins.share
    n_cells = effective_cells(weights, bins.share / observed.totals * dispersion)
    known = np.abs(mu) < LIMITS[1]  # a mean at a limit has no error that counts would tell
    variance = pooled_variance(own, reference, n_cells, mu) * reference + of_library**2 * observed.library_variance
    curvature, se = (np.where(known, np.sqrt(of), np.nan) for of in (1 / information, variance))
    return Errors(curvature, se, n_cells)


def _influence(observed: Observed, bins: BinModel, mu: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return d mu / d reads (n, bins), d mu / d share (n,), minus the curvature (n,), and mean counts (n, bins)."""
    low, high = bins.start_z - mu[:, None], bins.end_z - mu[:, None]
    mass = np.maximum(_mass(bins, mu), 1e-300)
    density_low, density_high = (np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) for z in (low, high))
    moment_low, moment_high = (
        np.where(np.isfinite(z), z, 0) * d for z, d in ((low, density_low), (high, density_high))
    )
    slope = (density_low - density_high) / mass  # d ln mass / d mu
    bend = (moment_low - moment_high) / mass - slope**2
    p = observed.library[:, None] * mass / bins.share
    mean = observed.totals * p / (1 - p)
    information = (mean * slope**2 / (1 - p) - (observed.x - mean) * bend).sum(axis=1)
    information = np.where(information > 0, information, np.nan)  # at a limit there may be no maximum
    of_library = -(mean / observed.library[:, None] * slope / (1 - p)).sum(axis=1) / information
    of_reads = slope / information[:, None] + of_library[:, None] * observed.library_per_read
    return of_reads, of_library, information, mean


@dataclass(frozen=True)
class AgainstControls:
    """Z = mu − mean of the controls' mu, and the log-likelihood of mu over that of this mean; (n,) float64 each."""

    z: np.ndarray
    log_likelihood_ratio: np.ndarray


def against_controls(observed: Observed, bins: BinModel, mu: np.ndarray, is_control: np.ndarray) -> AgainstControls:
    """Compare every sequence with the negative controls.

    Raises
    ------
    BadInput
        If no control has an estimate.
    """
    controls = mu[is_control & np.isfinite(mu)]
    if not len(controls):
        raise BadInput("None of the controls has reads, so that there is nothing to compare with.")
    mean = controls.mean()
    here = log_likelihood(observed, bins, np.where(np.isfinite(mu), mu, mean))
    return AgainstControls(mu - mean, here - log_likelihood(observed, bins, np.full(len(mu), mean)))
