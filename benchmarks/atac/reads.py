"""From files of reads or fragments to the 5' ends in them, with an account of what was read and what was left out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.api.genome import Genome, check_end
from benchmarks.atac import alignments, formats, text_reads
from benchmarks.atac.alignments import ALL, Filters
from benchmarks.atac.left_out import FEW, HINTS, INVERTED, MANY_INVERTED, OFF_END, some, too_many
from benchmarks.atac.text_reads import MINUS, NO_STRAND, PLUS, Chunk
from benchmarks.errors import BadInput
from benchmarks.io.account import Account

NO_SIDE = "without a strand"
NO_MATE = "mates that are not aligned"
OTHER_CELLS = "their barcode is not among those of --barcodes"


@dataclass
class Ends:
    """5' ends as a file has them: starts of what is on +, ends (exclusive) of what is on -, by chromosome.

    Parameters
    ----------
    paired
        Whether the i-th start and the i-th end are those of one fragment.
    is_single
        Whether `plus` has insertions where they stand, one base each, and `minus` has none.
    account
        What was read of the file.
    n_excluded
        5' ends on excluded chromosomes, which were not looked at.
    """

    plus: dict[str, np.ndarray]
    minus: dict[str, np.ndarray]
    paired: bool
    is_single: bool = False
    account: Account = field(default_factory=lambda: Account("reads"))
    n_excluded: int = 0

    def n_insertions(self) -> int:
        """Count the insertions: one per 5' end."""
        return sum(map(len, self.plus.values())) + sum(map(len, self.minus.values()))

    def n_duplicates(self) -> int:
        """Count the fragments that equal another; 0 where the two ends of fragments are not known."""
        if not self.paired:
            return 0
        return sum(len(starts) - len(np.unique(self._pairs(chrom))) for chrom, starts in self.plus.items())

    def without_duplicates(self) -> "Ends":
        """Keep one of all fragments with the same start and end."""
        if not self.paired:
            raise BadInput(
                "--deduplicate knows fragments by both their ends; reads have one. Of BAM files, alignments that are "
                "marked as duplicates are left out anyway: mark them (samtools markdup)."
            )
        plus, minus = {}, {}
        for chrom in self.plus:
            pairs = np.unique(self._pairs(chrom))
            plus[chrom], minus[chrom] = (pairs >> 32).astype(np.int32), (pairs & (2**32 - 1)).astype(np.int32)
        return Ends(plus, minus, True, False, self.account, self.n_excluded)

    def _pairs(self, chrom: str) -> np.ndarray:
        return (self.plus[chrom].astype(np.int64) << 32) | self.minus[chrom].astype(np.int64)


class Tally:
    """Counts the rows that are not used, by reason, and remembers the first of each."""

    def __init__(self) -> None:
        self.n: dict[str, int] = {}
        self.first: dict[str, tuple[int, str]] = {}
        self.seen = 0
        self.unknown: dict[str, int] = {}
        self.excluded = 0

    def add(self, reason: str, n: int, first: tuple[int, str]) -> None:
        """Count `n` rows; `first` is the position of the first of them and what to call it."""
        if n:
            self.n[reason] = self.n.get(reason, 0) + n
            self.first[reason] = min(self.first.get(reason, first), first)

    def is_many(self, reason: str, share: float = FEW) -> bool:
        """Tell whether so many rows fall out that it is not by chance."""
        return too_many(self.n.get(reason, 0), self.seen, share)


def read(
    path: Path,
    genome: Genome,
    form: str | None = None,
    *,
    exclude: tuple[str, ...] = (),
    filters: Filters = ALL,
    on_reads: Callable[[int], None] = lambda n: None,
) -> Ends:
    """Read the 5' ends of a file of fragments or reads; see `formats.FORMATS`.

    Parameters
    ----------
    form
        One of FORMATS; None: told by the content of the file.
    exclude
        Chromosomes of which nothing is looked at.
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
    tally, seen = Tally(), formats.Intervals()
    kind = formats.alignment_kind(path, form)
    layout = None
    if kind is None:
        layout = formats.layout_of(path, form, genome.sizes)
        _check_options(path, layout, filters)
        chunks = text_reads.chunks(path, layout, with_barcodes=filters.barcodes is not None)
    else:
        chunks = alignments.chunks(path, genome, filters, exclude, tally.add)
    gathered = _Gathered(genome, exclude, filters, "tagalign" if layout is None else layout.form)
    n = 0
    for chunk in chunks:
        n += len(chunk.chrom)
        gathered.add(chunk, tally, seen)
        on_reads(n)
    _check(path, layout, form, genome, tally, seen, gathered)
    ends = gathered.ends(Account(path.name, format=layout.form if layout is not None else str(kind).upper()))
    ends.n_excluded = tally.excluded * (2 if ends.paired else 1)
    _fill(ends.account, layout, tally, seen, filters, gathered)
    return ends


def _check_options(path: Path, layout: formats.Layout, filters: Filters) -> None:
    if filters.min_mapq:
        raise BadInput(f"--min-mapq: {path} is {layout.form}; only BAM, CRAM and SAM have mapping qualities.")
    if filters.barcodes is not None and (layout.form != "fragments" or layout.n_columns < 4):
        raise BadInput(
            f"--barcodes: fragments with barcodes in column 4, or a BAM file with tags CB, are expected; {path} is "
            f"{layout.form} with {layout.n_columns} columns."
        )


class _Gathered:
    """The ends that are used, by chromosome, as chunks of a file are read."""

    def __init__(self, genome: Genome, exclude: tuple[str, ...], filters: Filters, form: str):
        self.sizes, self.exclude, self.form = genome.sizes, set(exclude), form
        self.wanted = filters.barcodes
        self.found: set[str] = set()
        self.others: str = ""
        self.plus: dict[str, list[np.ndarray]] = {}
        self.minus: dict[str, list[np.ndarray]] = {}
        self.n_rows = 0

    def add(self, chunk: Chunk, tally: Tally, seen: formats.Intervals) -> None:
        """Take the rows of a chunk that can be used; count the others."""
        for number, rows in _by_number(chunk.chrom):
            name = chunk.names[number]
            if name in self.exclude:
                tally.excluded += len(rows)
            elif self.form == "bedpe" and name == ".":
                tally.add(NO_MATE, len(rows), chunk.where(int(rows[0])))
            elif name not in self.sizes:
                tally.unknown[name] = tally.unknown.get(name, 0) + len(rows)
            else:
                rows = self._of_cells(chunk, rows, tally)
                rows = self._usable(chunk, rows, self.sizes[name], tally, name)
                self._keep(chunk, rows, name, seen)

    def _of_cells(self, chunk: Chunk, rows: np.ndarray, tally: Tally) -> np.ndarray:
        if self.wanted is None or chunk.barcode is None or chunk.barcodes is None:
            return rows
        is_wanted = np.array([name in self.wanted for name in chunk.barcodes], bool)
        present = np.unique(chunk.barcode[rows])
        self.found |= {chunk.barcodes[i] for i in present[is_wanted[present]]}
        if not self.others and (~is_wanted[present]).any():
            other = chunk.barcodes[present[~is_wanted[present]][0]]
            self.others = repr(other) if other else f"no tag {alignments.BARCODE_TAG}"
        return self._left(chunk, rows, is_wanted[chunk.barcode[rows]], OTHER_CELLS, tally)

    def _usable(self, chunk: Chunk, rows: np.ndarray, size: int, tally: Tally, name: str) -> np.ndarray:
        tally.seen += len(rows)
        rows = self._left(chunk, rows, chunk.start[rows] < chunk.end[rows], INVERTED, tally, name)
        on_chrom = (chunk.start[rows] >= 0) & (chunk.end[rows] <= size)
        rows = self._left(chunk, rows, on_chrom, OFF_END, tally, name)
        if chunk.strand is not None:
            rows = self._left(chunk, rows, chunk.strand[rows] != NO_STRAND, NO_SIDE, tally, name)
        return rows

    def _left(
        self, chunk: Chunk, rows: np.ndarray, is_used: np.ndarray, reason: str, tally: Tally, chrom: str = ""
    ) -> np.ndarray:
        if not is_used.all():
            first = int(rows[~is_used][0])
            position, where = chunk.where(first)
            place = f", {chrom}:{chunk.start[first]}-{chunk.end[first]}" if chrom else ""
            tally.add(reason, int((~is_used).sum()), (position, where + place))
        return rows[is_used]

    def _keep(self, chunk: Chunk, rows: np.ndarray, name: str, seen: formats.Intervals) -> None:
        start, end = chunk.start[rows].astype(np.int32), chunk.end[rows].astype(np.int32)
        seen.add(end - start)
        self.n_rows += len(rows)
        if self.form == "insertions":
            self.plus.setdefault(name, []).append(start)
        elif chunk.strand is None:
            self.plus.setdefault(name, []).append(start)
            self.minus.setdefault(name, []).append(end)
        else:
            strand = chunk.strand[rows]
            self.plus.setdefault(name, []).append(start[strand == PLUS])
            self.minus.setdefault(name, []).append(end[strand == MINUS])
            seen.n_plus += int((strand == PLUS).sum())
            seen.n_minus += int((strand == MINUS).sum())

    def ends(self, account: Account) -> Ends:
        """Return what was taken."""
        plus, minus = (
            {name: np.concatenate(arrays) for name, arrays in side.items()} for side in (self.plus, self.minus)
        )
        return Ends(plus, minus, self.form == "fragments", self.form == "insertions", account)


def _by_number(numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Give each number with the positions that it stands at, in order."""
    order = np.argsort(numbers, kind="stable")
    edges = np.flatnonzero(np.diff(numbers[order])) + 1
    for rows in np.split(order, edges):
        if len(rows):
            yield int(numbers[rows[0]]), rows


def _check(
    path: Path,
    layout: formats.Layout | None,
    form: str | None,
    genome: Genome,
    tally: Tally,
    seen: formats.Intervals,
    gathered: _Gathered,
) -> None:
    """Refuse a file of which too much cannot be used, or whose whole is not what its beginning looked like."""
    if gathered.wanted is not None and gathered.others and not gathered.found:
        raise BadInput(
            f"--barcodes: none of the {len(gathered.wanted):,} barcodes is in {path}: {min(gathered.wanted)!r} in the "
            f"list, {gathered.others} in the file."
        )
    if gathered.n_rows + tally.seen + tally.excluded + sum(tally.unknown.values()) == 0:
        reasons = "; ".join(f"{n:,} are left out: {reason}" for reason, n in tally.n.items())
        raise BadInput(f"{path} has no reads that count{f' ({reasons})' if reasons else ''}.")
    names = {*gathered.plus, *tally.unknown} | ({*gathered.exclude} if tally.excluded else set())
    if not tally.seen:
        genome.known(names, str(path))
    _check_tally(path, genome, tally)
    if layout is None or not seen.n:
        return
    longer = seen.n - int(seen.lengths[1])
    if layout.form == "insertions" and longer and form is None:
        raise BadInput(
            f"{path}: its first lines have intervals of one base, as insertions have, but {longer:,} of {seen.n:,} are "
            "longer; say --format insertions or --format fragments, or correct the file."
        )
    if layout.form == "fragments" and longer == 0 and seen.n >= formats.MIN_LINES:
        raise BadInput(f"{path}: every interval has one base; fragments have two ends. Say --format insertions.")
    if form is None and layout.form in ("fragments", "tagalign"):
        _check_whole(path, layout, seen)


def _check_tally(path: Path, genome: Genome, tally: Tally) -> None:
    """Refuse a file with more rows that cannot be used than come about by chance."""
    for reason, share, why in (
        (INVERTED, MANY_INVERTED, HINTS[INVERTED]),
        (OFF_END, FEW, HINTS[OFF_END]),
        (NO_SIDE, FEW, "Which of its ends is the 5' end of a read is then unknown; write strands into column 6."),
    ):
        if not tally.is_many(reason, share):
            continue
        first = tally.first[reason][1]
        if reason == OFF_END:
            chrom = first.rsplit(", ", 1)[1].rsplit(":", 1)[0]
            first += f"; {chrom} has {genome.sizes[chrom]:,} bp in the genome"
        raise BadInput(
            f"{path}: {tally.n[reason]:,} of {tally.seen:,} rows cannot be used: {reason} (first: {first}). {why}"
        )


def _check_whole(path: Path, layout: formats.Layout, seen: formats.Intervals) -> None:
    """Judge all lines as the first were judged: a file of which a part is something else is refused."""
    if seen.n <= formats.N_SAMPLED:
        return
    short = seen.lengths[1] / seen.n
    mode, piled = seen.most_frequent()
    if layout.form == "fragments" and (short > 0.1 or piled >= formats.PILED):
        what = f"{short:.0%} have one base" if short > 0.1 else f"{piled:.0%} have about {mode} bp, the length of reads"
        raise BadInput(
            f"{path}: its first {formats.N_SAMPLED:,} lines look like fragments, but of all its intervals {what}; give "
            "reads and fragments as files of their own, or say --format fragments."
        )
    longer = 1 - float(seen.lengths[: int(1.5 * layout.longest) + 1].sum()) / seen.n
    if layout.form == "tagalign" and longer > 0.05:
        raise BadInput(
            f"{path}: its first {formats.N_SAMPLED:,} lines look like reads of up to {layout.longest} bp, but "
            f"{longer:.0%} of all its intervals are much longer; give reads and fragments as files of their own, or "
            "say --format tagalign."
        )


def _fill(
    account: Account,
    layout: formats.Layout | None,
    tally: Tally,
    seen: formats.Intervals,
    filters: Filters,
    gathered: _Gathered,
) -> None:
    """Write into the account what was read and what was left out."""
    if layout is not None:
        account.evidence = layout.evidence
        columns = text_reads.COLUMN_NAMES[layout.form]
        places = {"tagalign": [1, 2, 3, 6], "bedpe": [1, 2, 3, 4, 5, 6, 9, 10]}.get(layout.form, [1, 2, 3])
        account.used = {name: f"column {i}" for name, i in zip(columns, places, strict=False)}
        if filters.barcodes is not None:
            account.used["barcode"] = "column 4"
        last = layout.n_columns
        account.not_used = [f"column {i}" for i in range(1, last + 1) if f"column {i}" not in account.used.values()][
            :12
        ]
        if layout.form == "fragments" and last == 5:
            account.notes.append("A fragment counts once: column 5 has the number of read pairs that were seen of it.")
    else:
        account.evidence = "by its first bytes"
        account.notes.append(
            f"Alignments of mapping quality {filters.min_mapq} and more count (--min-mapq); those marked as duplicates "
            f"{'count too' if filters.keep_duplicates else 'are left out'}."
        )
    what = "fragments" if gathered.form == "fragments" else "insertions" if gathered.form == "insertions" else "reads"
    account.numbers[what] = gathered.n_rows
    account.numbers["lengths_bp"] = {
        "min": seen.quantile(1e-12), "median": seen.quantile(0.5), "max": seen.quantile(1.0)
    }  # fmt: skip
    if tally.excluded:
        account.leave_out("rows", tally.excluded, "on chromosomes of --exclude; they were not looked at")
    if tally.unknown:
        account.leave_out(
            what, sum(tally.unknown.values()), f"on {some(sorted(tally.unknown))}, which the genome lacks"
        )
    for reason, n in tally.n.items():
        account.leave_out(what if layout is not None else "alignments", n, reason, tally.first[reason][1])
    if filters.barcodes is not None:
        missing = len(filters.barcodes) - len(gathered.found)
        account.numbers |= {"barcodes": len(gathered.found), "barcodes_not_found": missing}
        account.notes.append(
            f"{len(gathered.found):,} of the {len(filters.barcodes):,} barcodes were found, {missing:,} were not."
        )
