"""From aligned reads or fragments to Tn5 insertions: formats, the shift of their ends, counts per base.

Source: `kundajelab/chrombpnet`, `chrombpnet/helpers/preprocessing` (`reads_to_bigwig.py`, `auto_shift_detect.py`). Tn5
cuts the two strands 9 bp apart, so that its sequence bias is a palindrome around the middle of those 9 bp; every
insertion is counted there.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api.genome import Genome, check_end, quiet_pysam
from benchmarks.api.sequences import COMPLEMENT, N_CODE
from benchmarks.errors import BadInput
from benchmarks.io.tables import open_text
from benchmarks.io.validated import one_line

FORMATS = ("fragments", "tagalign", "bedpe", "bam")
TARGET = (4, -4)
"""bp by which + starts and - ends are shifted so that both ends of an insertion count at the middle of its 9 bp."""
ALLOWED = {(0, 0)} | {(plus, minus) for plus in (3, 4, 5) for minus in (-4, -5, -6)}
"""Shifts that files come with: none, or one of the usual corrections."""

N_SAMPLED = 10_000
CHUNK = 1_000_000
_REACH, _AROUND = 8, 24
"""Positions that are compared on either side of a centre, and that are read on either side of an insertion."""
_MIN_LIKENESS = 0.6


@dataclass
class Ends:
    """5' ends as a file has them: starts of what is on +, ends (exclusive) of what is on -, by chromosome.

    Where `paired`, the i-th start and the i-th end are those of one fragment.
    """

    plus: dict[str, np.ndarray]
    minus: dict[str, np.ndarray]
    paired: bool
    dropped: dict[str, int] = field(default_factory=dict)

    def n_insertions(self) -> int:
        """Count the insertions: one per 5' end."""
        return sum(map(len, self.plus.values())) + sum(map(len, self.minus.values()))

    def without_duplicates(self) -> tuple["Ends", int]:
        """Keep one of all fragments with the same start and end; return their number too."""
        if not self.paired:
            raise BadInput(
                "--deduplicate knows fragments by both their ends; reads of a BAM or tagAlign file have one. "
                "Remove duplicates before (samtools markdup -r)."
            )
        plus, minus, n = {}, {}, 0
        for chrom, starts in self.plus.items():
            pairs = np.unique(np.stack([starts, self.minus[chrom]], axis=1), axis=0)
            n += len(starts) - len(pairs)
            plus[chrom], minus[chrom] = pairs[:, 0].copy(), pairs[:, 1].copy()
        return Ends(plus, minus, True, self.dropped), n


def read(
    path: Path, genome: Genome, form: str | None = None, *, on_reads: Callable[[int], None] = lambda n: None
) -> Ends:
    """Read the 5' ends of a file of fragments or reads; see FORMATS.

    Parameters
    ----------
    form
        One of FORMATS; None: inferred from the name and the first line.
    on_reads
        Called with the number of lines or alignments read so far.

    Raises
    ------
    BadInput
        If the file is missing, damaged, of another format, or of another genome.
    """
    if not path.is_file():
        raise BadInput(f"No file of reads at {path}.")
    check_end(path, "reads")
    form = form or _form_of(path)
    parts: dict[str, dict[str, list[np.ndarray]]] = {"plus": {}, "minus": {}}
    dropped: dict[str, int] = {}
    n = 0
    for chrom, start, end, strand in _bam(path) if form == "bam" else _text(path, form):
        n += len(chrom)
        for name, rows in pd.Series(np.arange(len(chrom))).groupby(np.asarray(chrom, dtype=object), sort=False):
            rows = rows.to_numpy()
            if name not in genome.sizes:
                dropped[name] = dropped.get(name, 0) + len(rows)
                continue
            _check_ends(path, name, start[rows], end[rows], genome.sizes[name])
            on_plus = rows if strand is None else rows[strand[rows] == "+"]
            on_minus = rows if strand is None else rows[strand[rows] == "-"]
            parts["plus"].setdefault(name, []).append(start[on_plus].astype(np.int32))
            parts["minus"].setdefault(name, []).append(end[on_minus].astype(np.int32))
        on_reads(n)
    if n == 0:
        raise BadInput(f"{path} has no reads.")
    genome.known([*parts["plus"], *dropped], str(path))
    joined = {side: {name: np.concatenate(arrays) for name, arrays in by.items()} for side, by in parts.items()}
    return Ends(**joined, paired=form == "fragments", dropped=dropped)


def _check_ends(path: Path, chrom: str, start: np.ndarray, end: np.ndarray, size: int) -> None:
    wrong = np.flatnonzero((start < 0) | (end > size) | (start >= end))
    if len(wrong):
        i = wrong[0]
        raise BadInput(
            f"{path}: {chrom}:{start[i]}-{end[i]} is not a stretch of {chrom}, which has {size:,} bp in the genome; is "
            "it the same assembly?"
        )


def _form_of(path: Path) -> str:
    if path.suffix == ".bam":
        return "bam"
    try:
        with open_text(path) as lines:
            first = next((line for line in lines if line.strip() and not _is_comment(line)), "")
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"{path} is not a text file of reads that can be read: {error}.") from None
    cells = first.rstrip("\r\n").split("\t")
    if len(cells) < 3:
        raise BadInput(
            f"{path}: tab-separated chromosome, start and end are expected (fragments, BED, BEDPE or tagAlign), got "
            f"{first.strip()[:60]!r}."
        )
    if len(cells) >= 10 and cells[9] in "+-" and cells[4].isdigit():
        return "bedpe"
    return "tagalign" if len(cells) >= 6 and cells[5] in ("+", "-") else "fragments"


def _is_comment(line: str) -> bool:
    return line.startswith(("#", "track", "browser"))


_COLUMNS = {"fragments": [0, 1, 2], "tagalign": [0, 1, 2, 5], "bedpe": [0, 1, 2, 3, 4, 5, 8, 9]}
_TEXT_COLUMNS = {"fragments": {0}, "tagalign": {0, 5}, "bedpe": {0, 3, 8, 9}}
Chunk = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]


def _text(path: Path, form: str) -> Iterator[Chunk]:
    """Give chromosome, start, end and strand of chunks of lines; no strand where both ends are insertions."""
    columns = _COLUMNS[form]
    is_text = _TEXT_COLUMNS[form]
    types = {column: "str" if column in is_text else "int64" for column in columns}
    try:
        with open_text(path) as lines:
            skip = _n_comments(lines)
        with open_text(path) as lines:
            for _ in range(skip):
                next(lines)
            reader = pd.read_csv(
                lines, sep="\t", header=None, usecols=columns, dtype=types, chunksize=CHUNK, comment="#", quoting=3,
                na_filter=False,
            )  # fmt: skip
            for part in reader:
                if form == "bedpe":
                    for chrom, start, end, strand in ((0, 1, 2, 8), (3, 4, 5, 9)):
                        yield _columns(part, chrom, start, end, strand)
                else:
                    yield _columns(part, 0, 1, 2, 5 if form == "tagalign" else None)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"{path} is a damaged gzip file ({error}); copy it again.") from None
    except UnicodeDecodeError:
        raise BadInput(
            f"{path} is a binary file; a text file of reads, or a name ending in .bam, is expected."
        ) from None
    except (ValueError, OverflowError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise BadInput(_where_wrong(path, columns, is_text, form) or f"{path}: {error}.") from None


def _columns(part: pd.DataFrame, chrom: int, start: int, end: int, strand: int | None) -> Chunk:
    sides = None if strand is None else part[strand].to_numpy(dtype=object)
    return part[chrom].to_numpy(dtype=object), part[start].to_numpy(), part[end].to_numpy(), sides


def _n_comments(lines: Iterator[str]) -> int:
    n = 0
    for line in lines:
        if line.strip() and not _is_comment(line):
            break
        n += 1
    return n


def _where_wrong(path: Path, columns: list[int], is_text: set[int], form: str) -> str | None:
    """Find the first line that is not of the format."""
    with open_text(path) as lines:
        n_comments = _n_comments(lines)
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            if number <= n_comments or line.startswith("#") or not line.strip():
                continue
            cells = line.rstrip("\r\n").split("\t")
            for column in columns:
                value = cells[column] if column < len(cells) else None
                if value is None or (column not in is_text and not re.fullmatch(r"-?\d{1,18}", value)):
                    got = "nothing" if value is None else repr(value)
                    what = "text" if column in is_text else "a whole number"
                    return f"{path}, line {number}, column {column + 1}: {form} has {what} there, got {got}."
    return None


def _bam(path: Path) -> Iterator[Chunk]:
    """Give chunks of the mapped alignments of a BAM file, each of them one read."""
    try:
        with quiet_pysam() as pysam, pysam.AlignmentFile(str(path), "rb") as file:
            rows = []
            for read in file.fetch(until_eof=True):
                if not read.is_unmapped:
                    strand = "-" if read.is_reverse else "+"
                    rows.append((read.reference_name, read.reference_start, read.reference_end, strand))
                if len(rows) == CHUNK:
                    yield _bam_chunk(rows)
                    rows = []
            if rows:
                yield _bam_chunk(rows)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is not a BAM file, or a truncated one ({one_line(error)}); copy it again.") from None


def _bam_chunk(rows: list[tuple]) -> Chunk:
    chrom, start, end, strand = zip(*rows, strict=True)
    return np.array(chrom, dtype=object), np.array(start), np.array(end), np.array(strand, dtype=object)


@dataclass(frozen=True)
class Shift:
    """The shift of the 5' ends in a file, as the base composition around them shows it."""

    plus: int
    minus: int
    likeness: float
    """Pearson r of the composition around the centre with its reverse complement, the lower of both strands."""

    @property
    def is_clear(self) -> bool:
        """Whether the palindrome is distinct enough to rely on."""
        return self.likeness >= _MIN_LIKENESS

    def __str__(self) -> str:
        return f"{self.plus:+d}/{self.minus:+d}"


def detect_shift(ends: Ends, genome: Genome, *, seed: int = 0) -> Shift:
    """Find the centre of the palindrome that Tn5 prefers around the + starts, and around the - ends.

    Of an unshifted file it is 4 bp right of a + start and 5 bp left of a - end (exclusive).
    """
    rng = np.random.default_rng(seed)
    plus, r_plus = _centre(_composition(ends.plus, genome, rng))
    minus, r_minus = _centre(_composition(ends.minus, genome, rng))
    return Shift(4 - plus, -5 - minus, min(r_plus, r_minus))


def settled_shift(detected: Shift, given: tuple[int, int] | None) -> tuple[tuple[int, int], str]:
    """Decide by which shift the ends in a file are corrected already; return it, and a sentence for the report.

    Raises
    ------
    BadInput
        If none was given, and the detected one is unclear or unusual.
    """
    says = f"{detected} (likeness of both strands' palindromes r = {detected.likeness:.2f})"
    if given is not None:
        agrees = "as" if (detected.plus, detected.minus) == given else "although"
        looks = f"{agrees} the reads look like {says}" if detected.is_clear else "the reads do not show one"
        return given, f"The reads come shifted by {given[0]:+d}/{given[1]:+d}, as told; {looks}."
    if not detected.is_clear:
        raise BadInput(
            f"The reads do not show which shift they come with: no palindrome of Tn5 around their ends ({says}). "
            "Say it: --shift 0,0 for reads as aligned, --shift 4,-5 for fragments already corrected."
        )
    if (detected.plus, detected.minus) not in ALLOWED:
        raise BadInput(
            f"The reads look shifted by {says}; 0/0 or about +4/-5 is usual. If that is right, say so: "
            f"--shift {detected.plus},{detected.minus}."
        )
    return (detected.plus, detected.minus), f"The reads come shifted by {says}."


def _composition(positions: dict[str, np.ndarray], genome: Genome, rng: np.random.Generator) -> np.ndarray:
    """Count bases around a sample of positions, less what is usual; (2 * _AROUND + 1, 4)."""
    total = sum(map(len, positions.values()))
    share = min(1.0, N_SAMPLED / max(total, 1))
    counts = np.zeros((2 * _AROUND + 1, N_CODE + 1))
    offsets = np.arange(-_AROUND, _AROUND + 1)
    for chrom in genome.sizes:
        here = positions.get(chrom, np.zeros(0, np.int32))
        here = rng.choice(here, int(np.ceil(share * len(here))), replace=False) if len(here) else here
        here = here[(here >= _AROUND) & (here < genome.sizes[chrom] - _AROUND)]
        around = genome.codes(chrom)[here[:, None] + offsets] if len(here) else np.zeros((0, len(offsets)), np.uint8)
        counts += (around[:, :, None] == np.arange(N_CODE + 1)).sum(axis=0)
    known = counts[:, :N_CODE]
    shares = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return shares - shares.mean(axis=0)


def _centre(composition: np.ndarray) -> tuple[int, float]:
    """Find the offset around which a composition is most its own reverse complement, and how much it is (r)."""
    reach = np.arange(-_REACH, _REACH + 1)
    best, likeness = 0, -np.inf
    strongest = -np.inf
    for offset in range(-_AROUND + _REACH, _AROUND - _REACH + 1):
        here = composition[_AROUND + offset + reach]
        reverse_complemented = here[::-1][:, COMPLEMENT[:N_CODE]]
        if (strength := float((here * reverse_complemented).sum())) > strongest:
            strongest, best = strength, offset
            scale = np.sqrt((here**2).sum() * (reverse_complemented**2).sum())
            likeness = strength / scale if scale > 0 else 0.0
    return best, float(likeness)


def count(ends: Ends, genome: Genome, shift: tuple[int, int]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Count Tn5 insertions per base, by chromosome in the genome's order: (name, positions, counts at them).

    Parameters
    ----------
    shift
        bp that the ends are shifted by already; the rest to TARGET is added.
    """
    plus, minus = TARGET[0] - shift[0], TARGET[1] - shift[1]
    for chrom, size in genome.sizes.items():
        none = np.zeros(0, np.int32)
        at = np.concatenate([ends.plus.get(chrom, none) + plus, ends.minus.get(chrom, none) + minus - 1])
        positions, counts = np.unique(at[(at >= 0) & (at < size)], return_counts=True)
        if len(positions):
            yield chrom, positions, counts
