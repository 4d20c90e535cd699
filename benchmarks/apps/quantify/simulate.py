"""Simulate a sorting experiment with a known answer: promoters, cells, gates, growth, amplification, reads with errors.

Cells are drawn one by one and reads are drawn from the cells; nothing is drawn from the likelihoods by which the
estimators work. A cell's signal is the promoter's expression on top of autofluorescence, times log-normal noise that is
twice as wide in a tenth of the cells; one cell in a hundred ends up in a bin by accident. 18 gates are sorted in three
batches of unequal size. Every sorted cell grows and is amplified to an amount of its own, and reads are drawn from all
copies in the bin. Copies carry errors of amplification, which both mates of a pair share, and reads those of
sequencing, at the rate that their qualities say. Everything made here is labelled simulated.
"""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtr

from benchmarks.api.yeast_plasmid import N_BINS
from benchmarks.apps.quantify.fastq import COMPLEMENT, SIMULATED_NAME
from benchmarks.errors import BadInput

_CHUNK = 2_000_000  # cells whose fluorescence is in memory at a time
_WIDE_SHARE, _WIDE_TIMES = 0.1, 2.0
_BATCHES = (1.0, 1.15, 0.9)
"""Cells sorted in each batch of a third of the bins, relative to what was planned."""
_GRID = 2_000  # points on which the distribution of all cells is known


@dataclass(frozen=True)
class Design:
    """The experiment.

    Parameters
    ----------
    cells, reads
        Sorted cells and read pairs per promoter, all bins together, on average.
    unsorted
        Read pairs per promoter of the library before sorting.
    n_bins, gates
        Gates of equal width on the logarithmic scale (`uniform`) or of equal numbers of cells (`quantile`), between the
        quantiles `tail` and 1 − `tail` of all cells.
    noise_sd, autofluorescence
        Spread of a promoter's cells, and the fluorescence of a cell without any expression; in units of expression.
    impurity
        Share of the sorted cells that are in a bin by accident.
    abundance_sd
        Spread of the natural logarithm of the promoters' shares of the library.
    amplification_cv
        Coefficient of variation of the copies made of a cell by growth and PCR.
    read_length, pcr_error
        Bases per read; errors of amplification per base of a copy.
    """

    cells: float = 30.0
    reads: float = 75.0
    unsorted: float = 0.0
    n_bins: int = N_BINS
    gates: str = "uniform"
    tail: float = 0.001
    noise_sd: float = 1.3
    autofluorescence: float = 2.0
    impurity: float = 0.01
    abundance_sd: float = 0.5
    amplification_cv: float = 0.7
    read_length: int = 76
    pcr_error: float = 2e-4

    def __post_init__(self) -> None:
        if self.gates not in ("uniform", "quantile"):
            raise BadInput(f"Gates are uniform or quantile, got {self.gates!r}.")
        sizes = (self.cells, self.reads, self.noise_sd, self.amplification_cv)
        if not all(0 < size < np.inf for size in sizes) or not 0 <= self.unsorted < np.inf or self.n_bins < 3:
            raise BadInput("Cells, reads and noise of a simulation must be finite and more than 0, bins at least 3.")


@dataclass(frozen=True)
class Library:
    """What is sorted: expression in bins (n,), share of the library (n,), and the gates that follow from both.

    `start_q`, `end_q`, `edges`: gates (bins,) and their edges (bins + 1,) in units of expression.
    `in_bin`: (n, bins), share of a promoter's cells that each gate takes.
    """

    expression: np.ndarray
    abundance: np.ndarray
    edges: np.ndarray
    start_q: np.ndarray
    end_q: np.ndarray
    in_bin: np.ndarray


@dataclass(frozen=True)
class Sorted:
    """One sort: cells and reads (n, bins), reads of the library before it (n,)."""

    cells: np.ndarray
    reads: np.ndarray
    unsorted: np.ndarray

    @property
    def cells_per_bin(self) -> np.ndarray:
        """Cells sorted into each bin; (bins,) int64."""
        return self.cells.sum(axis=0)


def library(rng: np.random.Generator, expression: np.ndarray, design: Design) -> Library:
    """Draw the abundance of promoters, and set the gates by the distribution of all cells."""
    expression = np.asarray(expression, dtype=np.float64)
    abundance = np.exp(rng.normal(0, design.abundance_sd, len(expression)))
    abundance /= abundance.sum()
    signal = _signal(expression, design)
    reach = 5 * _WIDE_TIMES * design.noise_sd
    grid = np.linspace(signal.min() - reach, signal.max() + reach, _GRID)
    below = np.zeros(_GRID)
    for start in range(0, len(signal), 1_000):
        part = slice(start, start + 1_000)
        below += abundance[part] @ _below(grid, signal[part, None], design)
    low, high = np.interp([design.tail, 1 - design.tail], below, grid)
    if design.gates == "uniform":
        edges = np.linspace(low, high, design.n_bins + 1)
    else:
        edges = np.interp(np.linspace(design.tail, 1 - design.tail, design.n_bins + 1), below, grid)
    q = np.interp(edges, grid, below)
    in_bin = np.diff(_below(edges, signal[:, None], design), axis=1)
    in_bin = (1 - design.impurity) * in_bin + design.impurity * np.diff(q)
    return Library(expression, abundance, edges, q[:-1], q[1:], in_bin)


def _signal(expression: np.ndarray, design: Design) -> np.ndarray:
    """Return the mean fluorescence: expression is a logarithm to base 2 and adds to the cells' own."""
    return np.logaddexp2(expression, design.autofluorescence)


def _below(values: np.ndarray, signal: np.ndarray, design: Design) -> np.ndarray:
    """Return the share of a promoter's cells below some fluorescence."""
    z = (values - signal) / design.noise_sd
    return (1 - _WIDE_SHARE) * ndtr(z) + _WIDE_SHARE * ndtr(z / _WIDE_TIMES)


def batch_sizes(design: Design) -> np.ndarray:
    """Return how many cells of each bin are sorted, relative to the plan; (bins,)."""
    batch = np.arange(design.n_bins) * len(_BATCHES) // design.n_bins
    return np.array(_BATCHES)[batch]


def sort(rng: np.random.Generator, lib: Library, design: Design) -> Sorted:
    """Sort cells and sequence the bins."""
    n, sizes = len(lib.expression), batch_sizes(design)
    signal = _signal(lib.expression, design)
    cells = np.zeros((n, design.n_bins), dtype=np.int64)
    for size in np.unique(sizes):
        of_batch = sizes == size
        n_cells = rng.poisson(design.cells * n * size * lib.abundance / lib.in_bin.sum(axis=1).mean())
        owners = np.repeat(np.arange(n), n_cells)
        for start in range(0, len(owners), _CHUNK):
            owner = owners[start : start + _CHUNK]
            sd = design.noise_sd * np.where(rng.random(len(owner)) < _WIDE_SHARE, _WIDE_TIMES, 1.0)
            fluorescence = signal[owner] + sd * rng.standard_normal(len(owner))
            astray = rng.random(len(owner)) < design.impurity
            fluorescence[astray] = rng.permutation(fluorescence)[astray]
            gate = np.searchsorted(lib.edges, fluorescence, side="right") - 1
            inside = (gate >= 0) & (gate < design.n_bins)
            place = owner[inside] * design.n_bins + gate[inside]
            cells += np.bincount(place, minlength=cells.size).reshape(cells.shape) * of_batch
    shape = 1 / design.amplification_cv**2
    copies = rng.gamma(np.maximum(cells * shape, 1e-12)) * (cells > 0)
    reads = np.zeros_like(cells)
    per_bin = np.round(design.reads * n * lib.in_bin.T @ lib.abundance / (lib.in_bin.T @ lib.abundance).sum())
    for b in range(design.n_bins):
        if copies[:, b].sum() > 0:
            reads[:, b] = rng.multinomial(int(per_bin[b]), copies[:, b] / copies[:, b].sum())
    return Sorted(cells, reads, rng.multinomial(round(design.unsorted * n), lib.abundance))


def expected_reads(lib: Library, design: Design) -> np.ndarray:
    """Return the reads that each promoter has in each bin on average; (n, bins) float64.

    What an estimator makes of them is its answer without noise.
    """
    in_bin = lib.in_bin * lib.abundance[:, None]
    per_bin = design.reads * len(lib.abundance) * in_bin.sum(axis=0) / in_bin.sum()
    return in_bin / in_bin.sum(axis=0) * per_bin


def write_reads(
    rng: np.random.Generator, sequences: Sequence[str], reads: np.ndarray, stem: str, folder: Path, design: Design
) -> tuple[Path, Path]:
    """Write the pairs of one bin as two gzip FASTQ files, in random order, and return their paths.

    Parameters
    ----------
    sequences
        (n,) what was sequenced, flanks included, at least as long as a read.
    reads
        (n,) pairs of each.
    """
    owners = rng.permutation(np.repeat(np.arange(len(sequences)), reads))
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    if lengths.min() < design.read_length:
        short = int(lengths.argmin())
        raise BadInput(
            f"Sequence {short + 1} has {lengths[short]} bases, fewer than a read of {design.read_length}; shorten the "
            "reads, or lengthen the sequences."
        )
    text = np.frombuffer("".join(sequences).encode(), dtype=np.uint8)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    files = tuple(folder / f"{stem}_R{mate}.fastq.gz" for mate in (1, 2))
    with gzip.open(files[0], "wb", compresslevel=1) as stream1, gzip.open(files[1], "wb", compresslevel=1) as stream2:
        for first in range(0, len(owners), 100_000):
            owner = owners[first : first + 100_000]
            width = int(lengths[owner].max())
            places = np.arange(width)
            copies = text[np.minimum(starts[owner, None] + places, len(text) - 1)].copy()
            _substitute(rng, copies, np.full(copies.shape, design.pcr_error))
            read1 = copies[:, : design.read_length]
            ends = lengths[owner, None] - 1 - np.arange(design.read_length)
            read2 = COMPLEMENT[np.take_along_axis(copies, ends, axis=1)]
            for mate, stream, bases in ((1, stream1, read1), (2, stream2, read2)):
                quals = _qualities(rng, bases.shape, mate)
                bases = bases.copy()
                _substitute(rng, bases, 10 ** (quals / -10.0))
                stream.write(_as_text(stem, first, mate, bases, quals))
    return files


_OTHERS = np.zeros((256, 3), dtype=np.uint8)
for _base in b"ACGT":
    _OTHERS[_base] = [other for other in b"ACGT" if other != _base]
_OTHERS[ord("N")] = ord("N")


def _substitute(rng: np.random.Generator, bases: np.ndarray, rate: np.ndarray) -> None:
    wrong = np.nonzero(rng.random(bases.shape, dtype=np.float32) < rate)
    bases[wrong] = _OTHERS[bases[wrong], rng.integers(0, 3, len(wrong[0]))]


def _qualities(rng: np.random.Generator, shape: tuple[int, int], mate: int) -> np.ndarray:
    """Draw Phred qualities that fall along the read, faster in the second mate, with bad stretches at the end."""
    at = np.linspace(0, 1, shape[1])
    mean = 37.5 - (5 + 2 * mate) * at**2
    quals = np.round(mean + rng.normal(0, 2.5, shape))
    bad = at > 1 - rng.exponential(0.04, shape[0])[:, None]
    return np.clip(np.where(bad, quals - 18, quals), 2, 40).astype(np.uint8)


def _as_text(stem: str, first: int, mate: int, bases: np.ndarray, quals: np.ndarray) -> bytes:
    n, width = bases.shape
    head = SIMULATED_NAME + f"{stem}:".encode()
    number = np.char.zfill(np.arange(first, first + n).astype("S"), 10)
    tail = f" {mate}:N:0\n"
    row = np.empty((n, len(head) + 10 + len(tail) + 2 * width + 4), dtype=np.uint8)
    at = 0
    for part in (head, number, tail.encode(), bases, b"\n+\n", quals + 33, b"\n"):
        block = np.frombuffer(part, dtype=np.uint8) if isinstance(part, bytes) else part
        block = block.view(np.uint8).reshape(n, -1) if isinstance(part, np.ndarray) else block
        row[:, at : at + block.shape[-1]] = block
        at += block.shape[-1]
    return row.tobytes()


def write(
    folder: Path,
    sequences: Sequence[str],
    lib: Library,
    sorts: Sequence[Sorted],
    design: Design,
    rng: np.random.Generator,
    on_bin: Callable[[int], None] | None = None,
) -> Path:
    """Write the reads of every bin and replicate, and the sample sheet that lists them; return its path."""
    header = "bin\treplicate\tread1\tread2\tcells\tstart_q\tend_q"
    lines = [header]
    for replicate, sorted_ in enumerate(sorts, start=1):
        for b in np.flatnonzero(sorted_.reads.sum(axis=0)):  # an empty bin is not a sample
            stem = f"rep{replicate}_bin{b:02d}"
            files = write_reads(rng, sequences, sorted_.reads[:, b], stem, folder, design)
            quantiles = f"{lib.start_q[b]:.6f}\t{lib.end_q[b]:.6f}"
            names = "\t".join(file.name for file in files)
            lines.append(f"{b}\t{replicate}\t{names}\t{sorted_.cells_per_bin[b]}\t{quantiles}")
            if on_bin:
                on_bin((replicate - 1) * design.n_bins + int(b) + 1)
        if design.unsorted:
            stem = f"rep{replicate}_unsorted"
            names = "\t".join(f.name for f in write_reads(rng, sequences, sorted_.unsorted, stem, folder, design))
            lines.append(f"unsorted\t{replicate}\t{names}\t\t\t")
    sheet = folder / "sheet.tsv"
    sheet.write_text("\n".join(lines) + "\n")
    return sheet
