"""Reading text files of reads: blocks of lines become columns, and every row keeps its line number."""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from benchmarks.atac.formats import Layout
from benchmarks.errors import BadInput
from benchmarks.io.text_files import open_text

BLOCK = 2**25
"""Letters that are read at a time."""
PLUS, MINUS, NO_STRAND = 0, 1, 2
BARCODE_COLUMN = 3

_COLUMNS = {
    "fragments": [0, 1, 2],
    "insertions": [0, 1, 2],
    "tagalign": [0, 1, 2, 5],
    "bedpe": [0, 1, 2, 3, 4, 5, 8, 9],
}
_TEXT_COLUMNS = {0, 5}
_TEXT_OF_BEDPE = {0, 3, 8, 9}
COLUMN_NAMES = {
    "fragments": ["chromosome", "start", "end"],
    "insertions": ["chromosome", "start"],
    "tagalign": ["chromosome", "start", "end", "strand"],
    "bedpe": ["chromosome", "start", "end", "chromosome 2", "start 2", "end 2", "strand", "strand 2"],
}


@dataclass
class Chunk:
    """Some rows of a file of reads.

    Parameters
    ----------
    names, chrom
        Names of chromosomes, and the number of each row's in them; (n,) int.
    start, end
        (n,) int64, 0-based, half-open.
    strand
        (n,) PLUS, MINUS or NO_STRAND; None where both ends of a row are insertions, or the row is one.
    where
        Position of a row in the file, to tell which of two is first, and what to call it.
    barcodes, barcode
        Names of barcodes, and the number of each row's in them; None where they are not asked for.
    """

    names: Sequence[str]
    chrom: np.ndarray
    start: np.ndarray
    end: np.ndarray
    strand: np.ndarray | None
    where: Callable[[int], tuple[int, str]]
    barcodes: Sequence[str] | None = None
    barcode: np.ndarray | None = None


def chunks(path: Path, layout: Layout, *, with_barcodes: bool = False) -> Iterator[Chunk]:
    """Give the rows of a text file in chunks; a line of BEDPE is a row for each mate.

    Raises
    ------
    BadInput
        If the file is damaged, or for the first line that is not of the format.
    """
    columns = [*_COLUMNS[layout.form], *([BARCODE_COLUMN] if with_barcodes else [])]
    is_text = _TEXT_OF_BEDPE if layout.form == "bedpe" else _TEXT_COLUMNS | {BARCODE_COLUMN}
    with open_text(path) as file:
        for numbers, lines in _blocks(file, layout.first_line):
            yield from _of_block(path, layout, columns, is_text, numbers, lines)


def _blocks(file: IO[str], first_line: int) -> Iterator[tuple[Sequence[int], str]]:
    """Give stretches of whole lines with the numbers of these lines; what comes before the data is left out."""
    for _ in range(first_line - 1):
        next(file)
    number = first_line
    while block := file.read(BLOCK):
        block += file.readline()
        n = block.count("\n") + (not block.endswith("\n"))
        numbers: Sequence[int] = range(number, number + n)
        number += n
        if block.startswith(("#", "\n")) or "\n#" in block or "\n\n" in block:
            numbers, block = _without_comments(numbers, block)
        if block:
            yield numbers, block


def _without_comments(numbers: Sequence[int], block: str) -> tuple[Sequence[int], str]:
    """Leave out blank lines, and those that begin with '#'; a '#' inside a line is part of a name."""
    lines = block.split("\n")
    kept = [(i, line) for i, line in zip(numbers, lines, strict=False) if line.strip() and not line.startswith("#")]
    return [i for i, _ in kept], "\n".join(line for _, line in kept)


def _of_block(
    path: Path, layout: Layout, columns: list[int], is_text: set[int], numbers: Sequence[int], block: str
) -> Iterator[Chunk]:
    try:
        table = _parsed(block, layout, columns, is_text)
    except (ValueError, OverflowError, pd.errors.ParserError) as error:
        numbers, block = _without_comments(numbers, block)  # blanks alone in a line too
        if not block:
            return
        if (wrong := _where_wrong(path, layout, columns, is_text, numbers, block)) is not None:
            raise BadInput(wrong) from None
        try:
            table = _parsed(block, layout, columns, is_text)
        except (ValueError, OverflowError, pd.errors.ParserError):
            raise BadInput(f"{path}: {error}.") from None
    for chrom, start, end, strand in _sides(layout.form):
        names, number_of = _categories(table[chrom])
        part = Chunk(
            names, number_of, table[start].to_numpy(), table[end].to_numpy(), None, lambda i: _place(numbers, i)
        )
        if strand is not None:
            part.strand = _strands(path, table[strand], numbers, strand)
        if BARCODE_COLUMN in columns and layout.form != "bedpe":
            part.barcodes, part.barcode = _categories(table[BARCODE_COLUMN])
        yield part


def _sides(form: str) -> list[tuple[int, int, int, int | None]]:
    """List the columns of chromosome, start, end and strand; two sets of them for BEDPE."""
    if form == "bedpe":
        return [(0, 1, 2, 8), (3, 4, 5, 9)]
    return [(0, 1, 2, 5 if form == "tagalign" else None)]


def _place(numbers: Sequence[int], row: int) -> tuple[int, str]:
    return numbers[row], f"line {numbers[row]}"


def _parsed(block: str, layout: Layout, columns: list[int], is_text: set[int]) -> pd.DataFrame:
    types = {column: "str" if column in is_text else "int64" for column in columns}
    return pd.read_csv(
        io.StringIO(block), sep=layout.separator, header=None, usecols=columns, dtype=types, quoting=3,
        na_filter=False, skip_blank_lines=False,
    )  # fmt: skip


def _categories(column: pd.Series) -> tuple[list[str], np.ndarray]:
    """Return the distinct texts of a column, and the number of each row's in them.

    Not pandas' type of categories: it reads 01 and 1 as one number.
    """
    numbers, names = pd.factorize(column)
    return names.tolist(), numbers


def _strands(path: Path, column: pd.Series, numbers: Sequence[int], index: int) -> np.ndarray:
    names, number_of = _categories(column)
    known = {"+": PLUS, "-": MINUS, ".": NO_STRAND}
    if strange := [i for i, name in enumerate(names) if name not in known]:
        row = int(np.flatnonzero(np.isin(number_of, strange))[0])
        raise BadInput(
            f"{path}, line {numbers[row]}, column {index + 1}: a strand, + or -, is expected, got "
            f"{names[number_of[row]]!r}."
        )
    return np.array([known[name] for name in names], np.int8)[number_of]


def _where_wrong(
    path: Path, layout: Layout, columns: list[int], is_text: set[int], numbers: Sequence[int], block: str
) -> str | None:
    """Find the first line that is not of the format."""
    for number, line in zip(numbers, block.split("\n"), strict=False):
        cells = line.split("\t") if layout.separator == "\t" else line.split()
        for column in columns:
            value = cells[column] if column < len(cells) else None
            if value is None or (column not in is_text and not re.fullmatch(r"-?\d{1,18}", value)):
                got = "nothing" if value is None else repr(value)
                what = "text" if column in is_text else "a whole number"
                return f"{path}, line {number}, column {column + 1}: {layout.form} has {what} there, got {got}."
    return None
