"""Rows of text tables: the format is told by the content, and every row comes with the number of its line.

Python's csv module parses; what it does not know is added here: which delimiter and quoting a file has, comment lines,
R's row names, and delimiters at the end of every line.
"""

import contextlib
import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.errors import BadInput
from benchmarks.io import text_files

DELIMITERS = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar", " ": "blank"}
"""What can separate cells, the likeliest first."""
N_SAMPLED = 200
"""Rows that a format is told by."""
_DNA = re.compile(r"[ACGTUNRYSWKMBDHV]{20,}", re.IGNORECASE)


_SEPARATOR_LINE = re.compile(r'"?sep=.?"?', re.IGNORECASE)
"""What spreadsheets write on top of a CSV file."""
_TRACK_LINE = re.compile(r"track\s.*=.*|browser\s.*")
"""What genome browsers want on top of a BED file."""

csv.field_size_limit(2**28)  # a cell may hold a whole chromosome

Row = tuple[int, list[str]]
"""Number of the line in its file, from 1, and the cells."""


@dataclass(frozen=True)
class TextFormat:
    """How the rows of a text table are written.

    Parameters
    ----------
    quoted
        Cells may be in double quotes.
    escaped
        A quote inside a quoted cell has a backslash before it, as R writes it; else it is doubled.
    n_skipped
        Blank and comment lines before the first row.
    n_columns
        Cells of every row.
    names_rows
        The first line has a cell less than the others: their first cells are R's row names.
    header_is_comment
        The first row, which names the columns, begins with `#`.
    """

    encoding: str
    delimiter: str
    quoted: bool = True
    escaped: bool = False
    n_skipped: int = 0
    n_columns: int = 1
    names_rows: bool = False
    header_is_comment: bool = False

    def __str__(self) -> str:
        kind = f"{DELIMITERS[self.delimiter]}-separated" if self.n_columns > 1 else "one-column"
        return f"a {kind} table in {text_files.encoding_name(self.encoding)}"


def looks_like_dna(cell: object) -> bool:
    """Tell whether a cell is a sequence of 20 bases or more, ambiguous ones included, in either case."""
    return isinstance(cell, str) and _DNA.fullmatch(cell.strip()) is not None


class TextRows:
    """Rows of a text table, all of one length; those without anything in them are passed over.

    Parameters
    ----------
    lines
        From the first row on.

    Attributes
    ----------
    comments
        Numbers of lines that begin with `#` and are not like the rows: they are no rows.
    """

    def __init__(self, path: Path, lines: Iterable[str], form: TextFormat):
        self.path, self.form = path, form
        self.comments: list[int] = []
        self._lines = lines

    def __iter__(self) -> Iterator[Row]:
        form, reader, at, is_first = self.form, _reader(self._lines, self.form), self.form.n_skipped, True
        while True:
            start = at + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise UnclosedQuote(
                    f"{self.path}, line {start}: a cell opens with a double quote and does not end with one ({error}); "
                    "close the quote, or remove it.",
                    is_tabbed=form.delimiter == "\t",
                ) from None
            at = form.n_skipped + reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            cells = self._as_first(cells) if is_first else cells
            is_first = False
            if len(cells := _trimmed(cells, form.n_columns)) == form.n_columns:
                yield start, cells
            elif cells[0].startswith("#"):
                self.comments.append(start)
            else:
                raise BadInput(
                    f"{self.path}, line {start}: {form.n_columns} columns expected as in the first line, got "
                    f"{len(cells)}."
                )

    def _as_first(self, cells: list[str]) -> list[str]:
        if self.form.header_is_comment:
            cells = [cells[0].lstrip("#").strip(), *cells[1:]]
        return ["", *cells] if self.form.names_rows else cells


class UnclosedQuote(BadInput):
    """A cell opens with a double quote and does not end with one: quotes may not be what parts cells here."""

    def __init__(self, message: str, *, is_tabbed: bool):
        super().__init__(message)
        self.is_tabbed = is_tabbed


@contextmanager
def open_rows(path: Path, *, quoted: bool = True) -> Iterator[TextRows]:
    """Open a text table to be read row by row, however long it is.

    Parameters
    ----------
    quoted
        Whether double quotes may enclose cells; if not, they are letters as others.

    Raises
    ------
    BadInput
        If the file is missing or no text; while rows are read, for the first that is not like the others.
    """
    with text_files.open_text(path, newline="") as lines:
        head = list(itertools.islice(lines, N_SAMPLED))
        if any("\0" in line for line in head):
            raise BadInput(f"{path} is a binary file; plain text or its gzip is expected.")
        form = told_format(head, lines.encoding)
        form = form if quoted else replace(form, quoted=False)
        yield TextRows(path, itertools.chain(head[form.n_skipped :], lines), form)


def told_format(head: Sequence[str], encoding: str = "utf-8") -> TextFormat:
    """Tell the format of a table by its first lines.

    Of the delimiters that give every line the same number of cells, that one is taken which sets sequences apart; else
    the one that parts the first line most.
    """
    n_skipped = _n_before_the_first_row(head)
    sample = head[n_skipped:]
    if len(head) == N_SAMPLED:
        sample = sample[:-1] or sample  # the last line may go on in quotes
    plain = TextFormat(encoding, "\t", n_skipped=n_skipped)
    best, best_rank = plain, (-1, -1, -1)
    for place, delimiter in enumerate(DELIMITERS):
        form, rows = _fitted(sample, replace(plain, delimiter=delimiter))
        if not rows or (delimiter == " " and best.n_columns > 1):
            continue
        is_regular = all(len(_trimmed(cells, form.n_columns)) == form.n_columns for cells in rows[form.names_rows :])
        if delimiter == " " and not is_regular:
            continue  # blanks of a text that is no table
        apart = any(looks_like_dna(cell) for cells in rows for cell in cells)
        rank = (is_regular + apart if form.n_columns > 1 else 0, form.n_columns > 1, -place)
        if rank > best_rank:
            best, best_rank = form, rank
    return best


def _n_before_the_first_row(head: Sequence[str]) -> int:
    """Count blank lines and comments at the top; the last comment is the header if its cells number those below it."""
    n = 0
    while n < len(head) and (
        not head[n].strip()
        or head[n].startswith("#")
        or _SEPARATOR_LINE.fullmatch(head[n].strip())
        or _TRACK_LINE.fullmatch(head[n].strip())
    ):
        n += 1
    last = next((i for i in range(n - 1, -1, -1) if head[i].strip()), None)
    if last is None or not head[last].startswith("#"):
        return n
    if n == len(head):  # nothing but comments: they are rows
        return next(i for i, line in enumerate(head) if line.strip())
    for delimiter in "\t;,|":
        cells = head[last].rstrip("\r\n").split(delimiter)
        if len(cells) > 1 and len(cells) == len(head[n].rstrip("\r\n").split(delimiter)):
            return last
    return n


def _fitted(sample: Sequence[str], form: TextFormat) -> tuple[TextFormat, list[list[str]]]:
    """Find out quoting, number of columns and row names under a delimiter; return the rows of the sample too."""
    escaped, literal = replace(form, escaped=True), replace(form, quoted=False)
    for tried in (form, escaped, literal):
        with contextlib.suppress(csv.Error):
            rows = _sampled(sample, tried)
            break
    if tried != literal or form.delimiter == "\t":
        form = tried  # else the first cell whose quote does not close is named when it is read
    if not rows:
        return form, rows
    has_header = not any(map(looks_like_dna, rows[0]))
    names_rows = has_header and _names_rows(rows)
    lengths = [len(_trimmed(cells, 1)) for cells in rows]
    width = len(rows[0]) + 1 if names_rows else lengths[0] if has_header else max(lengths)
    header_is_comment = sample[0].startswith("#") and has_header and len(rows) > 1
    return replace(form, n_columns=width, names_rows=names_rows, header_is_comment=header_is_comment), rows


def _names_rows(rows: list[list[str]]) -> bool:
    """Tell whether every row but the first has one more cell than that, in front: names that differ."""
    first, *others = rows
    one_more = len(first) > 1 and len(others) > 1 and all(len(cells) == len(first) + 1 for cells in others)
    return (
        one_more and any(cells[-1].strip() for cells in others) and len({cells[0] for cells in others}) == len(others)
    )


def _sampled(sample: Sequence[str], form: TextFormat) -> list[list[str]]:
    return [cells for cells in _reader(sample, form) if any(cell.strip() for cell in cells)]


def _trimmed(cells: list[str], n: int) -> list[str]:
    """Leave out empty cells at the end, beyond the first n."""
    while len(cells) > n and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _reader(lines: Iterable[str], form: TextFormat) -> Any:
    return csv.reader(
        lines,
        delimiter=form.delimiter,
        quoting=csv.QUOTE_MINIMAL if form.quoted else csv.QUOTE_NONE,
        doublequote=not form.escaped,
        escapechar="\\" if form.escaped and form.quoted else None,
        skipinitialspace=form.delimiter == " ",
        strict=form.quoted,
    )
