"""Tn5 insertions per base as a bigWig file: written from reads, or given by the user and read here."""

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.api.genome import Genome, library_messages, needed
from benchmarks.atac import shift
from benchmarks.errors import BadInput
from benchmarks.io.atomic import whole_file
from benchmarks.io.file_kinds import kind_of
from benchmarks.io.validated import one_line


def write(
    path: Path, genome: Genome, positions: dict[str, np.ndarray], on_step: Callable[[str, float], None]
) -> dict[str, int]:
    """Write insertions per base, both strands together; return their number on each chromosome.

    Parameters
    ----------
    positions
        Chromosome -> position of every insertion, 0-based; those off its ends are not written.
    """
    totals: dict[str, int] = {}

    def values() -> Iterator[tuple[str, int, int, float]]:
        for number, (chrom, places, counts) in enumerate(shift.count(positions, genome)):
            on_step(f"writing the signal: {chrom}", number / len(genome.sizes))
            totals[chrom] = int(counts.sum())
            for position, value in zip(places.tolist(), counts.tolist(), strict=True):
                yield chrom, position, position + 1, float(value)

    bigtools = needed("pybigtools")
    with whole_file(path) as unfinished:
        bigtools.open(str(unfinished), "w").write(genome.sizes, values())
    return totals


def _raise_others(error: BaseException) -> None:
    """Raise again what is not about the file.

    The library raises many types of errors for a file that it cannot read, and panics at a damaged block, which Python
    sees as a BaseException.
    """
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error


class Signal:
    """A bigWig file of Tn5 insertions per base.

    Parameters
    ----------
    exclude
        Chromosomes of which nothing is looked at.

    Raises
    ------
    BadInput
        If it cannot be read, or was made for another genome.
    """

    def __init__(self, path: Path, genome: Genome, exclude: Collection[str] = ()):
        bigtools = needed("pybigtools")
        kind = kind_of(path)
        if kind.name not in ("bigWig", "bigBed", "binary", "empty"):
            hint = " Reads are given with --reads." if kind.name in ("BAM", "CRAM", "SAM") else ""
            hint = hint or (" bedGraphToBigWig makes bigWig of a bedGraph." if kind.name == "text" else "")
            raise BadInput(f"--signal: {path} is not a bigWig file but {kind}.{hint}")
        self.path, self.genome = path, genome
        try:
            with library_messages():
                self._file = bigtools.open(str(path))
                chroms = self._file.chroms()
        except BaseException as error:
            _raise_others(error)
            reason = one_line(error) if isinstance(error, Exception) else "its header is damaged"
            raise BadInput(f"--signal: {path} is not a bigWig file that can be read ({reason}).") from None
        if not self._file.is_bigwig:
            raise BadInput(f"--signal: {path} is a bigBed file; a bigWig of Tn5 insertions per base is expected.")
        self.sizes: dict[str, int] = chroms
        genome.known(self.sizes, f"--signal: {path}")
        for chrom in sorted((self.sizes.keys() & genome.sizes.keys()) - set(exclude)):
            if self.sizes[chrom] != genome.sizes[chrom]:
                raise BadInput(
                    f"--signal: {path} has {self.sizes[chrom]:,} bp of {chrom}, the genome {genome.sizes[chrom]:,}; "
                    "take files of one assembly."
                )

    def values(self, chrom: str) -> np.ndarray:
        """Return a chromosome's insertions per base, (length,) float32; one without any may be missing in the file."""
        if chrom not in self.sizes:
            return np.zeros(self.genome.sizes[chrom], dtype=np.float32)
        try:
            with library_messages():
                counts = self._file.values(chrom, 0, self.sizes[chrom], fillna=0.0)
        except BaseException as error:
            _raise_others(error)
            raise BadInput(f"--signal: {self.path} is damaged: {chrom} cannot be read; copy it again.") from None
        counts = np.where(np.isnan(counts), 0.0, counts)
        if len(counts) and not (counts.min() >= 0 and counts.max() < 2**32):
            wrong = counts.min() if counts.min() < 0 else counts.max()
            why = " A strand drawn below zero, a ratio or a logarithm is not a count." if wrong < 0 else ""
            raise BadInput(
                f"--signal: {self.path} has {wrong:g} on {chrom}; counts, 0 or more and below 2**32, are expected.{why}"
            )
        return counts.astype(np.float32)

    def count_type(self, chroms: Iterable[str]) -> type:
        """Find the smallest type that holds the counts of these chromosomes as they are: whole numbers, or float32.

        Raises
        ------
        BadInput
            If there is no insertion.
        """
        most, whole = 0.0, True
        for chrom in chroms:
            values = self.values(chrom)
            whole = whole and not (values % 1).any()
            most = max(most, float(values.max(initial=0)))
        if most == 0:
            raise BadInput(f"{self.path} has no insertion on the chromosomes of the peaks.")
        if not whole:
            return np.float32
        return np.uint16 if most < 2**16 else np.uint32
