"""What a file of reads is: alignments by their first bytes, text by the columns and intervals of many lines."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.errors import BadInput
from benchmarks.io.file_kinds import kind_of
from benchmarks.io.text_files import open_text

FORMATS = ("fragments", "tagalign", "bedpe", "insertions", "bam", "sam", "cram")
ALIGNMENTS = ("bam", "sam", "cram")
N_SAMPLED = 10_000
"""How many lines are read to recognise the format of a text file."""
MIN_LINES = 100
"""Fewer lines say nothing of how long reads or fragments are; then the columns alone decide."""

_MAX_BP = 5_000
_MIN_READ_BP = 18
"""Shorter reads are not aligned; fragments may be shorter."""
PILED, _SPREAD = 0.3, 0.15
"""Share of intervals within 2 bp of the most frequent length: at least the first of reads, which a sequencer makes of
one length; at most the second of fragments."""
_TWINS = 0.3
_NUMBER = re.compile(r"-?\d{1,18}")
_DECIMAL = re.compile(r"-?(\d+\.\d*|\.?\d+)([eE][-+]?\d+)?")
_CIGAR = re.compile(r"(\d+[MIDNSHP=X])+|\*")
_HEADER_WORDS = {"start", "chromstart", "chrom_start", "txstart", "begin", "pos", "start1"}


class Line(NamedTuple):
    """A line of a text file, split at its separator."""

    number: int
    cells: list[str]


@dataclass(frozen=True)
class Layout:
    """How the lines of a text file of reads are laid out.

    Parameters
    ----------
    form
        One of FORMATS that is text.
    evidence
        Why it was taken for that; empty where the user said so.
    first_line
        Number of the first line with data.
    longest
        Length in bp that 99 of 100 of the first intervals do not exceed.
    """

    form: str
    evidence: str
    separator: str = "\t"
    first_line: int = 1
    n_columns: int = 3
    longest: int = 0


@dataclass
class Intervals:
    """How long intervals are, and on which strands: what tells reads from fragments.

    Parameters
    ----------
    lengths
        (_MAX_BP + 1,) number of intervals of each length; the last has the longer ones too.
    twins
        Share of intervals that are there on the other strand as well.
    """

    lengths: np.ndarray = field(default_factory=lambda: np.zeros(_MAX_BP + 1, np.int64))
    n_plus: int = 0
    n_minus: int = 0
    n_without: int = 0
    twins: float = 0.0

    def add(self, lengths: np.ndarray) -> None:
        """Count intervals by their length; those without one are no intervals."""
        self.lengths += np.bincount(np.minimum(lengths[lengths > 0], _MAX_BP), minlength=_MAX_BP + 1)

    @property
    def n(self) -> int:
        """Number of intervals."""
        return int(self.lengths.sum())

    def quantile(self, share: float) -> int:
        """Return the length that this share of the intervals does not exceed, in bp."""
        return int(np.searchsorted(np.cumsum(self.lengths), share * self.n)) if self.n else 0

    def most_frequent(self) -> tuple[int, float]:
        """Return the most frequent length that a read may have, and the share of intervals within 2 bp of it."""
        mode = _MIN_READ_BP + int(self.lengths[_MIN_READ_BP:].argmax())
        return mode, float(self.lengths[max(mode - 2, 0) : mode + 3].sum() / max(self.n, 1))

    def __str__(self) -> str:
        return f"intervals of {self.quantile(1e-12)} to {self.quantile(1)} bp, median {self.quantile(0.5)}"


def alignment_kind(path: Path, form: str | None) -> str | None:
    """Tell by the first bytes whether a file holds alignments: bam, sam or cram; None for a text of intervals.

    Raises
    ------
    BadInput
        If it is neither, or not what `form` says.
    """
    kind = kind_of(path)
    name = kind.name.lower()
    if name in ALIGNMENTS:
        if form is not None and form not in ALIGNMENTS:
            raise BadInput(f"--format {form}: {path} is {kind}; leave --format out, or say --format {name}.")
        return name
    if not kind.is_text or kind.name in ("FASTA", "FASTQ"):
        if kind.name == "empty" and form not in ALIGNMENTS:
            raise BadInput(f"{path} is empty; {_EXPECTED}.")
        hint = {"bigWig": " Give it with --signal.", "FASTQ": " Align its reads first.", "gzip": ""}.get(kind.name, "")
        raise BadInput(f"{path} is {kind}; reads are expected as {_ANY}.{hint}")
    if form in ALIGNMENTS:
        raise BadInput(f"--format {form}: {path} is a text file without a header of alignments (@HD, @SQ).")
    return None


_ANY = "fragments, BED, BEDPE, tagAlign, BAM, CRAM or SAM"
_EXPECTED = "tab-separated chromosome, start and end are expected (fragments, BED, BEDPE or tagAlign)"


def is_comment(line: str) -> bool:
    """Tell whether a line holds no data: blank, a comment, or settings of a genome browser."""
    return not line.strip() or line.startswith(("#", "track ", "track\t", "browser ", "browser\t"))


def layout_of(path: Path, form: str | None, genome: Collection[str]) -> Layout:
    """Tell the format of a text file by its first N_SAMPLED lines; what is ambiguous is asked for.

    Parameters
    ----------
    form
        What the user says it is, if anything.
    genome
        Names of chromosomes.

    Raises
    ------
    BadInput
        If it is not a file of reads, is ambiguous, or contradicts `form`.
    """
    with open_text(path) as text:
        separator, lines = _sample(path, text)
    first = lines[0]
    if _is_header(lines):
        lines = lines[1:]
    if _share(lines, _is_alignment) > 0.9:
        raise BadInput(f"{path} is a SAM file without its header; write it with samtools view -h.")
    rows = [line for line in lines if len(line.cells) >= 3 and all(map(_NUMBER.fullmatch, line.cells[1:3]))]
    n_columns = Counter(len(line.cells) for line in rows or lines).most_common(1)[0][0]
    if form is None and rows:
        _refuse_other_kinds(path, rows)
    longest = int(np.quantile([int(line.cells[2]) - int(line.cells[1]) for line in rows], 0.99)) if rows else 0
    try:
        found, evidence = _bedpe(path, rows, n_columns) or _intervals(path, rows, n_columns) if rows else (form, "")
    except BadInput:
        if form is None:
            raise
        found, evidence = form, ""
    if form is not None:
        doubt = f", although it looks like {found} ({evidence})" if found != form else ""
        evidence = f"as --format says{doubt}"
    elif first.number < lines[0].number:
        evidence += f"; line {first.number} names the columns"
    return Layout(form or found or "fragments", evidence, separator, lines[0].number, n_columns, longest)


def _sample(path: Path, text: Iterator[str]) -> tuple[str, list[Line]]:
    """Read the first lines with data, and tell what separates their cells."""
    numbered = list(islice(((i, line) for i, line in enumerate(text, start=1) if not is_comment(line)), N_SAMPLED))
    has_tabs = any("\t" in line for _, line in numbered[:100])
    split = (lambda line: line.rstrip("\r\n").split("\t")) if has_tabs else str.split
    lines = [Line(number, split(line)) for number, line in numbered]
    if not lines:
        raise BadInput(f"{path} has no line of data; {_EXPECTED}.")
    if len(lines[0].cells) < 3:
        line = numbered[0][1].strip()
        why = " Its cells are separated by commas." if line.count(",") >= 2 else ""
        raise BadInput(f"{path}, line {lines[0].number}: {_EXPECTED}, got {line[:60]!r}.{why}")
    return ("\t" if has_tabs else r"\s+"), lines


def _is_header(lines: list[Line]) -> bool:
    """Tell whether the first line names the columns: no numbers in it, and numbers below."""
    cells = lines[0].cells
    return (
        len(lines) > 1
        and cells[1].strip().strip('"').lower() in _HEADER_WORDS
        and not _NUMBER.fullmatch(cells[2])
        and all(map(_NUMBER.fullmatch, lines[1].cells[1:3]))
    )


def _share(rows: list[Line], is_so: Callable[[list[str]], bool]) -> float:
    return sum(map(is_so, (line.cells for line in rows))) / len(rows)


def _is_alignment(cells: list[str]) -> bool:
    return len(cells) >= 11 and cells[1].isdigit() and cells[3].isdigit() and bool(_CIGAR.fullmatch(cells[5]))


def _refuse_other_kinds(path: Path, rows: list[Line]) -> None:
    """Refuse tables of intervals that are not reads: peaks, coverage, alignments without their header."""

    def is_peak(cells: list[str]) -> bool:
        return len(cells) in (9, 10) and cells[5] not in ("+", "-") and all(map(_DECIMAL.fullmatch, cells[6:9]))

    if _share(rows, is_peak) > 0.9:
        raise BadInput(f"{path} has columns of peaks (narrowPeak or broadPeak); give it with --peaks, and reads here.")
    if _share(rows, lambda cells: len(cells) == 4 and bool(_DECIMAL.fullmatch(cells[3]))) < 0.9:
        return
    places = [(line.cells[0], int(line.cells[1]), int(line.cells[2])) for line in rows]
    pairs = list(pairwise(places))
    if not pairs or len(rows) < MIN_LINES:
        return
    touching = sum(a[0] == b[0] and a[2] == b[1] for a, b in pairs) / len(pairs)
    apart = sum(a[0] != b[0] or a[2] <= b[1] for a, b in pairs) / len(pairs)
    decimals = _share(rows, lambda cells: not _NUMBER.fullmatch(cells[3]))
    if decimals > 0 or (apart == 1 and (touching > 0.5 or all(end - start == 1 for _, start, end in places))):
        raise BadInput(
            f"{path} looks like a bedGraph: intervals that never overlap, with a number each in column 4. If these are "
            "counts of Tn5 insertions per base, make a bigWig of it (bedGraphToBigWig) and give that with --signal; "
            "if every line is one insertion or one fragment, say --format insertions or --format fragments."
        )


def _bedpe(path: Path, rows: list[Line], n_columns: int) -> tuple[str, str] | None:
    """Tell BEDPE by the place of the second mate in columns 4 to 6."""

    def has_mate(cells: list[str]) -> bool:
        return len(cells) >= 6 and all(map(_NUMBER.fullmatch, cells[4:6]))

    if _share(rows, has_mate) < 0.9 or _share(rows, lambda c: len(c) > 5 and bool(_DECIMAL.fullmatch(c[3]))) > 0.9:
        return None
    if n_columns < 10 or _share(rows, lambda c: len(c) >= 10 and {c[8], c[9]} <= {"+", "-", "."}) < 0.9:
        raise BadInput(
            f"{path} has a second mate in columns 4 to 6, as BEDPE, and no strands in columns 9 and 10; write it with "
            "bedtools bamtobed -bedpe, or whole fragments as chromosome, start and end."
        )
    return "bedpe", f"{n_columns} columns, a second mate in columns 4 to 6, strands in columns 9 and 10"


def _intervals(path: Path, rows: list[Line], n_columns: int) -> tuple[str, str]:
    """Tell fragments, reads and insertions apart by their lengths and strands."""
    seen = Intervals()
    start, end = (np.array([int(line.cells[i]) for line in rows]) for i in (1, 2))
    seen.add(end - start)
    strands = Counter(line.cells[5] for line in rows if len(line.cells) > 5)
    if n_columns >= 6 and strands["+"] + strands["-"] + strands["."] > 0.5 * len(rows):
        seen.n_plus, seen.n_minus, seen.n_without = strands["+"], strands["-"], strands["."]
        sides: dict[tuple[str, str, str], set[str]] = {}
        for line in rows:
            sides.setdefault((line.cells[0], line.cells[1], line.cells[2]), set()).add(line.cells[5])
        seen.twins = float(np.mean([{"+", "-"} <= sides[line.cells[0], line.cells[1], line.cells[2]] for line in rows]))
    return decide(path, seen, f"{n_columns} columns")


def decide(path: Path, seen: Intervals, columns: str) -> tuple[str, str]:
    """Say what intervals are, and by what; reads of one length are told from fragments of many lengths.

    Raises
    ------
    BadInput
        If they contradict each other, or may be either; it asks for --format.
    """
    has_strands = seen.n_plus + seen.n_minus > 0
    strands = "strands in column 6" if has_strands else "no strands"
    short = seen.lengths[1] / max(seen.n, 1)
    what = f"{columns}, {strands}, {seen}"
    if short == 1 and seen.n:
        if has_strands:
            return "tagalign", f"{columns}, {strands}, intervals of one base: the 5' ends of reads"
        return "insertions", f"{columns}, no strands, intervals of one base, each of them one insertion"
    if seen.n < MIN_LINES:
        return ("tagalign" if has_strands else "fragments"), what
    if short > 0.1:
        raise BadInput(
            f"{path}: {short:.0%} of its intervals have one base, as insertions have, and the others are longer; "
            "say --format insertions or --format fragments, or correct the file."
        )
    mode, piled = seen.most_frequent()
    is_piled = piled >= PILED and mode >= 0.8 * seen.quantile(0.99)
    if has_strands and seen.twins >= _TWINS:
        return "tagalign", f"{what}; {seen.twins:.0%} are there on both strands, as the two reads of a fragment"
    if has_strands and is_piled and min(seen.n_plus, seen.n_minus) > 0.05 * seen.n:
        return "tagalign", f"{what}; {piled:.0%} have about {mode} bp, the length of a read"
    if not has_strands and is_piled:
        raise BadInput(
            f"{path}: {piled:.0%} of its intervals have about {mode} bp, as single reads have, and there are no "
            "strands in column 6, so that their 5' ends are unknown. If these are whole fragments, say --format "
            "fragments; else write strands (bedtools bamtobed)."
        )
    if piled <= _SPREAD or not has_strands:
        spread = f"{what}; their lengths spread as those of fragments"
        return "fragments", spread + (", whose strand is not used" if has_strands else "")
    raise BadInput(
        f"{path}: its intervals may be reads or whole fragments ({what}); say --format tagalign for reads, "
        "--format fragments for fragments of which both ends are insertions."
    )
