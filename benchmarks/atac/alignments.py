"""Reading alignments (BAM, CRAM, SAM): which of them count, and how many are left out for which flag.

Source of the flags that are left out: ENCODE's ATAC-seq pipeline (`samtools view -F 1804`), whose filtered files
`kundajelab/chrombpnet` takes as they are (`bedtools bamtobed`). Mates need not be aligned here: a read is one 5' end.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.api.genome import Genome, quiet_pysam
from benchmarks.atac.text_reads import MINUS, PLUS, Chunk
from benchmarks.errors import BadInput
from benchmarks.io.validated import one_line

CHUNK = 1_000_000
UNMAPPED, DUPLICATE = 0x4, 0x400
FLAGS = {
    0x4: "not aligned (flag 4)",
    0x100: "secondary alignments (flag 256)",
    0x800: "supplementary alignments (flag 2048)",
    0x200: "failed the sequencer's quality check (flag 512)",
    0x400: "marked as duplicates (flag 1024); --keep-duplicates keeps them",
}
"""Flag -> why such an alignment does not count; the first that applies is noted."""
NO_CIGAR = "not said how they are aligned (no CIGAR)"
BARCODE_TAG = "CB"
_CRAM_END, _CRAM_END_BYTES = b"\xff\xff\xff\xff\x0f\xe0EOF", 38
"""What the last container of a CRAM file holds, and how long it is (CRAM specification, 9, "End of file container")."""


@dataclass(frozen=True)
class Filters:
    """Which alignments count.

    Parameters
    ----------
    min_mapq
        Least mapping quality.
    keep_duplicates
        Whether those marked as duplicates count.
    barcodes
        Cells whose reads count; None: all.
    """

    min_mapq: int = 0
    keep_duplicates: bool = False
    barcodes: frozenset[str] | None = None

    def reason(self, flag: int, mapq: int) -> str | None:
        """Say why an alignment with this flag and mapping quality does not count; None if it does."""
        for bit, why in FLAGS.items():
            if flag & bit and not (bit == DUPLICATE and self.keep_duplicates):
                return why
        return f"mapping quality below {self.min_mapq} (--min-mapq)" if mapq < self.min_mapq else None


ALL = Filters()
LeaveOut = Callable[[str, int, tuple[int, str]], None]
"""(reason, number, position and name of the first)"""


def chunks(
    path: Path, genome: Genome, filters: Filters, exclude: Collection[str], leave_out: LeaveOut
) -> Iterator[Chunk]:
    """Give the alignments that count, in chunks, each of them one read.

    Raises
    ------
    BadInput
        If the file is damaged, or of another genome.
    """
    try:
        with quiet_pysam() as pysam, _reference(path, genome) as reference:
            file = pysam.AlignmentFile(str(path), "r", **({"reference_filename": str(reference)} if reference else {}))
            with file:
                _check_sizes(path, dict(zip(file.references, file.lengths, strict=True)), genome, exclude)
                yield from _chunks(file, filters, set(exclude), leave_out)
    except (OSError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        hint = " CRAM is read with the genome that is given; it must be the one it was made with." if reference else ""
        reason = "truncated file" if "Closing failed" in str(error) else one_line(error)
        raise BadInput(
            f"{path} holds no alignments that can be read to the end ({reason}); copy it again.{hint}"
        ) from None


def _chunks(file: Any, filters: Filters, exclude: set[str], leave_out: LeaveOut) -> Iterator[Chunk]:
    names = list(file.references)
    skipped = {i for i, name in enumerate(names) if name in exclude}
    rows: list[tuple[int, int, int, int, int]] = []
    barcodes: dict[str, int] = {}
    cells: list[int] = []
    for n, read in enumerate(file.fetch(until_eof=True)):
        flag, chrom = read.flag, read.reference_id
        if chrom in skipped and not flag & UNMAPPED:
            continue
        reason = filters.reason(flag, read.mapping_quality) if chrom >= 0 else FLAGS[UNMAPPED]
        end = read.reference_end if reason is None else None
        if end is None:
            leave_out(reason or NO_CIGAR, 1, (n, f"read {read.query_name}"))
            continue
        rows.append((chrom, read.reference_start, end, MINUS if flag & 0x10 else PLUS, n))
        if filters.barcodes is not None:
            name = str(read.get_tag(BARCODE_TAG)) if read.has_tag(BARCODE_TAG) else ""
            cells.append(barcodes.setdefault(name, len(barcodes)))
        if len(rows) == CHUNK:
            yield _chunk(names, rows, list(barcodes), cells)
            rows, cells = [], []
    if rows:
        yield _chunk(names, rows, list(barcodes), cells)


def _chunk(names: list[str], rows: list[tuple], barcodes: list[str], cells: list[int]) -> Chunk:
    chrom, start, end, strand, number = np.array(rows, dtype=np.int64).T
    where = lambda i: (int(number[i]), f"alignment {number[i] + 1}")  # noqa: E731
    chunk = Chunk(names, chrom, start, end, strand.astype(np.int8), where)
    if cells:
        chunk.barcodes, chunk.barcode = barcodes, np.array(cells)
    return chunk


def _check_sizes(path: Path, sizes: dict[str, int], genome: Genome, exclude: Collection[str]) -> None:
    """Compare the header with the genome: alignments to another assembly are told by the lengths of chromosomes."""
    for name, size in sizes.items():
        if name in genome.sizes and name not in exclude and size != genome.sizes[name]:
            raise BadInput(
                f"{path} was aligned to another assembly: {name} has {size:,} bp in its header, "
                f"{genome.sizes[name]:,} in the genome."
            )


@contextlib.contextmanager
def _reference(path: Path, genome: Genome) -> Iterator[Path | None]:
    """Give the FASTA file that a CRAM file is read with, its index beside it; none for other files.

    htslib would else look for a reference on the network, and write an index beside the user's file.
    """
    with path.open("rb") as file:
        is_cram = file.read(4) == b"CRAM"
        if is_cram:
            file.seek(-min(_CRAM_END_BYTES, path.stat().st_size), os.SEEK_END)
            if _CRAM_END not in file.read():
                raise BadInput(f"{path} is a truncated CRAM file (its end marker is missing); copy it again.")
    if not is_cram:
        yield None
        return
    before = os.environ.get("REF_PATH")
    os.environ["REF_PATH"] = os.devnull
    try:
        yield genome.with_index_beside()
    finally:
        if before is None:
            os.environ.pop("REF_PATH")
        else:
            os.environ["REF_PATH"] = before
