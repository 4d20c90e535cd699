"""Reading text and parquet tables as they come, with errors that name file, line, column and value."""

import contextlib
import io
import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from benchmarks.errors import BadInput
from benchmarks.io import text_files, text_tables
from benchmarks.io.account import Account
from benchmarks.io.system_files import contents
from benchmarks.io.text_tables import looks_like_dna
from benchmarks.io.validated import one_line

ROW_NAMES = "(row names)"
"""What a first column without a name is called: R and pandas write the names of rows so."""
MISSING_WORDS = frozenset(["", "na", "n/a", "#n/a", "nan", "null", "none", "-", "."])
"""What stands for a missing number, in lower case."""

_SUFFIXES = (".tsv", ".csv", ".txt", ".parquet")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")


def is_table(path: Path) -> bool:
    """Tell by its name whether a file can be a table that `read_cells` reads; files of operating systems are none."""
    name = path.name.removesuffix(".gz")
    return path.is_file() and name.endswith(_SUFFIXES) and not name.startswith(".")


def tables_in(folder: Path) -> tuple[list[Path], list[str]]:
    """Find the tables of sequences in a folder: those files, sorted, and the names of others that could be tables.

    A file is a table of sequences if most of its first rows have a cell that is one; a README beside them is none.
    """
    files = [file for file in contents(folder) if is_table(file)]
    with_sequences = [file for file in files if has_sequences(file)]
    return with_sequences, [file.name for file in files if file not in with_sequences]


def has_sequences(path: Path) -> bool:
    """Tell whether most of the first rows of a table have a sequence of 20 bases or more, in whatever column."""
    try:
        if is_parquet(path):
            first = read_cells(path).iloc[:20].to_numpy().tolist()
        else:
            with text_tables.open_rows(path) as rows:
                first = [cells for _, cells in itertools.islice(rows, 20)]
    except BadInput:
        return False
    return sum(any(map(looks_like_dna, cells)) for cells in first) > max(len(first) - 1, 1) / 2


def is_parquet(path: Path) -> bool:
    """Tell by its first bytes whether a file is a parquet table."""
    with path.open("rb") as start:
        return start.read(4) == b"PAR1"


def table_name(path: Path) -> str:
    """Return the file name without folders and endings, safe to use as a folder name."""
    stem = path.name.removesuffix(".gz")
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")[:100] or "data"


def read_cells(path: Path, account: Account | None = None) -> pd.DataFrame:
    """Read every cell of a table as text; the index is the line number in the file, from 1.

    Text, plain or gzip, or parquet, told apart by content; see `text_tables` for what a text table may look like. The
    first row is the first line, header or not; for parquet it is the column names, and `attrs["has_header"]` says so.

    Parameters
    ----------
    account
        Filled with what the file was taken for.

    Raises
    ------
    BadInput
        If the file is missing, empty, no table, a truncated or damaged gzip or parquet, or has lines of other lengths.
    """
    if path.is_dir():
        raise BadInput(f"{path} is a folder; a table file is expected.")
    if path.is_file() and is_parquet(path):
        cells, form = _parquet_cells(path, text_files.content(path)), "a parquet table"
        comments: list[int] = []
    else:
        cells, form, comments = _text_cells(path)
    cells = cells[cells.notna().any(axis=1)]
    if cells.empty:
        raise BadInput(f"{path} is empty; a table with one sequence per line is expected.")
    if account is not None:
        account.format = form
        account.leave_out(
            "lines", len(comments), "comments, which begin with '#'", f"line {comments[0]}" if comments else ""
        )
    return cells


def _text_cells(path: Path) -> tuple[pd.DataFrame, str, list[int]]:
    """Read a text table; where its quotes do not close, they are taken for letters if every row then fits."""
    try:
        return _rows_as_cells(path, quoted=True)
    except text_tables.UnclosedQuote as error:
        if not error.is_tabbed:  # commas in quotes are no delimiters, so that nothing is certain
            raise
        with contextlib.suppress(BadInput):
            return _rows_as_cells(path, quoted=False)
        raise


def _rows_as_cells(path: Path, *, quoted: bool) -> tuple[pd.DataFrame, str, list[int]]:
    with text_tables.open_rows(path, quoted=quoted) as rows:
        lines, cells = [], []
        for line, row in rows:
            lines.append(line)
            cells.append(row)
    table = pd.DataFrame(cells, index=pd.Index(lines, dtype=np.int64), dtype="str")
    return table.mask(table == ""), str(rows.form), rows.comments


def read_headed(
    path: Path, needed: Collection[str] = (), *, expected: str = "", account: Account | None = None
) -> pd.DataFrame:
    """Read a table whose first line names its columns; the index is the line number in the file.

    A first column without a name is called `ROW_NAMES`.

    Parameters
    ----------
    needed
        Columns that it must have.
    expected
        A sentence for who lacks one.
    account
        Filled with what the file was taken for.

    Raises
    ------
    BadInput
        If it cannot be read (see `read_cells`), has no rows, lacks a column, or has two of one name.
    """
    cells = read_cells(path, account)
    header = header_of(cells)
    if missing := [column for column in needed if column not in header]:
        more = f" {expected}" if expected else ""
        raise BadInput(f"{path}: column {missing[0]!r} is missing; its columns are {', '.join(header[:12])}.{more}")
    return below_header(path, cells)


def below_header(path: Path, cells: pd.DataFrame) -> pd.DataFrame:
    """Take the first row of cells as the names of the columns.

    Raises
    ------
    BadInput
        If the header is the only row, or has two columns of one name.
    """
    header = header_of(cells)
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise BadInput(f"{path}, line {cells.index[0]}: the header has two columns named {twice[0]!r}.")
    table = cells.iloc[1:].copy()
    if table.empty:
        raise BadInput(f"{path} is empty below its header; one row per line is expected.")
    table.columns = header
    return table


def header_of(cells: pd.DataFrame) -> list[str]:
    """Return the names in the first row of cells, a first one without a name as `ROW_NAMES`."""
    names = [str(cell).strip() for cell in cells.iloc[0].fillna("")]
    return [ROW_NAMES, *names[1:]] if len(names) > 1 and not names[0] else names


def read_ours(path: Path, needed: Collection[str], *, recovery_hint: str, **keywords: Any) -> pd.DataFrame:
    """Read a CSV table that a command of this project wrote.

    Parameters
    ----------
    needed
        Columns that it must have.
    recovery_hint
        What to do if it is damaged.

    Raises
    ------
    BadInput
        If it is missing, damaged or lacks a column.
    """
    if not path.is_file():
        raise BadInput(f"{path} is missing; {recovery_hint}.")
    try:
        table = pd.read_csv(path, **keywords)
    except (ValueError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is damaged ({str(error).splitlines()[0]}); {recovery_hint}.") from None
    if missing := [name for name in needed if name not in table]:
        raise BadInput(f"{path} lacks the column {missing[0]!r}; {recovery_hint}.")
    return table


def fasta_records(lines: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    """Give line number of the header, header (without `>`) and sequence of every record of FASTA lines.

    Lines before the first header are given as a record of line 0.
    """
    at, name = 0, ""
    parts: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith(">"):
            if at or parts:
                yield at, name, "".join(parts)
            at, name, parts = number, text[1:].strip(), []
        elif text and not text.startswith((";", "#")):  # comments, as old FASTA files have them
            parts.append(text)
    if at or parts:
        yield at, name, "".join(parts)


def _parquet_cells(path: Path, content: bytes) -> pd.DataFrame:
    header, *rows = (cells for _, cells in _rows_of_parquet(path, io.BytesIO(content), None))
    cells = pd.DataFrame([header, *rows], dtype="str")
    cells.index = np.arange(1, len(cells) + 1)
    cells.attrs["has_header"] = True
    return cells


def parquet_rows(path: Path, n_rows: int = 100_000) -> Iterator[tuple[int, list[Any]]]:
    """Give a parquet table row by row, however long it is: line number and cells as text, column names first.

    Raises
    ------
    BadInput
        If pyarrow is not installed, or the file is damaged.
    """
    return _rows_of_parquet(path, path, n_rows)


def _rows_of_parquet(path: Path, source: Path | IO[bytes], n_rows: int | None) -> Iterator[tuple[int, list[Any]]]:
    """Give rows of a parquet table; with `n_rows` as many are in memory at a time, else all, their index among them."""
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise BadInput(f"{path} is a parquet file; `pip install -e '.[parquet]'` to read it.") from None
    try:
        frames: Iterable[pd.DataFrame]
        if n_rows is None:
            frame = pyarrow.parquet.read_table(source).to_pandas()
            frame = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
            frames, names = [frame], list(frame.columns)
        else:
            file = pyarrow.parquet.ParquetFile(source)
            frames, names = (batch.to_pandas() for batch in file.iter_batches(n_rows)), file.schema_arrow.names
        yield 1, list(map(str, names))
        line = 2
        for frame in frames:
            text = frame.map(lambda cell: np.nan if pd.api.types.is_scalar(cell) and pd.isna(cell) else str(cell))
            for cells in text.to_numpy(dtype=object).tolist():
                yield line, cells
                line += 1
    except Exception as error:  # arrow has its own errors, and Python's of text, dates and sizes; some come with a cell
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path} is a damaged parquet file ({one_line(error)}); copy it again.") from None


def required_text(path: Path, table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column without surrounding blanks, or say on which line it is empty."""
    values = table[column].str.strip()
    empty = np.flatnonzero(values.isna() | (values == ""))
    if empty.size:
        raise BadInput(f"{path}, line {table.index[empty[0]]}: column {column!r} is empty.")
    return values


def numbers(path: Path, table: pd.DataFrame, column: str, *, whole: bool = False, may_miss: bool = False) -> np.ndarray:
    """Return a column as finite float64 (int64 if `whole`), or name the line and the value that is not a number.

    A column that has commas where others have points is read with decimal commas.

    Parameters
    ----------
    may_miss
        Cells that are empty or say NA (`MISSING_WORDS`) are NaN.
    """
    cells = table[column].astype("str").str.strip().str.replace("\u2212", "-")  # the minus sign of word processors
    if may_miss:
        cells = cells.mask(cells.str.lower().isin(MISSING_WORDS))
    parsed = pd.to_numeric(_with_points(cells), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(parsed) & ~(may_miss & cells.isna().to_numpy())
    if whole:
        bad |= (parsed != np.floor(parsed)) | (np.abs(parsed) > 2**53)
    else:
        bad |= np.abs(parsed) > np.finfo(np.float32).max  # the type that targets are stored in
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        cell = table[column].iloc[row]
        kind = "a whole number" if whole else "a finite number"
        got = "nothing" if pd.isna(cell) else repr(str(cell))
        more = f" ({bad.sum():,} such rows)" if bad.sum() > 1 else ""
        raise BadInput(
            f"{path}, line {table.index[row]}, column {column!r}: {kind} expected, got {got}{more}. "
            "Correct or remove the row."
        )
    return parsed.astype(np.int64) if whole else parsed


def has_decimal_commas(column: pd.Series) -> bool:
    """Tell whether `numbers` reads a column with decimal commas."""
    return not _with_points(column).equals(column)


def _with_points(cells: pd.Series) -> pd.Series:
    """Write decimal commas as points, where a column has them: no cell a point, and none that could be of thousands."""
    has_comma = cells.str.contains(",", na=False, regex=False)
    if not has_comma.any() or cells.str.contains(".", na=False, regex=False).any():
        return cells
    with_comma = cells[has_comma]
    if not with_comma.str.fullmatch(_DECIMAL_COMMA).all() or with_comma.str.fullmatch(_THOUSANDS).all():
        return cells
    return cells.str.replace(",", ".", regex=False)
