"""Reading text and parquet tables as they come, with errors that name file, line, column and value."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from benchmarks.errors import BadInput
from benchmarks.io.validated import one_line

ID_COLUMNS = ("seq_id", "id", "ID", "name", "tag")
SEQUENCE_COLUMNS = ("seq", "sequence", "Sequence")
"""What a column of ids, and of sequences, is called in users' tables."""

_SUFFIXES = (".tsv", ".csv", ".txt", ".parquet")


def is_table(path: Path) -> bool:
    """Tell by its name whether a file can be a table that `read_cells` reads."""
    name = path.name.removesuffix(".gz")
    return path.is_file() and name.endswith(_SUFFIXES) and not name.startswith(".")


def table_name(path: Path) -> str:
    """Return the file name without folders and endings, safe to use as a folder name."""
    stem = path.name.removesuffix(".gz")
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._")[:100] or "data"


def read_cells(path: Path) -> pd.DataFrame:
    """Read every cell of a table as text; the index is the line number in the file, from 1.

    Tabs or commas, plain, gzip or parquet, told apart by content. The first row is the first line, header or not; for
    parquet it is the column names, and `attrs["has_header"]` says so.

    Raises
    ------
    BadInput
        If the file is missing, empty, binary, a truncated or damaged gzip or parquet, or has lines of other lengths.
    """
    if path.is_dir():
        raise BadInput(f"{path} is a folder; a table file is expected.")
    content = _content(path)
    is_parquet = content[:4] == b"PAR1"
    cells = _parquet_cells(path, content) if is_parquet else _text_cells(path, _unzipped(path, content))
    cells = cells[cells.notna().any(axis=1)]
    if cells.empty:
        raise BadInput(f"{path} is empty; a table with one sequence per line is expected.")
    return cells


def read_headed(path: Path, needed: Collection[str] = (), *, expected: str = "") -> pd.DataFrame:
    """Read a table whose first line names its columns; the index is the line number in the file.

    Parameters
    ----------
    needed
        Columns that it must have.
    expected
        A sentence for who lacks one.

    Raises
    ------
    BadInput
        If it cannot be read (see `read_cells`), has no rows, lacks a column, or has two of one name.
    """
    cells = read_cells(path)
    header = [str(cell).strip() for cell in cells.iloc[0].fillna("")]
    if missing := [column for column in needed if column not in header]:
        more = f" {expected}" if expected else ""
        raise BadInput(f"{path}: column {missing[0]!r} is missing; its columns are {', '.join(header[:12])}.{more}")
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise BadInput(f"{path}, line {cells.index[0]}: the header has two columns named {twice[0]!r}.")
    table = cells.iloc[1:].copy()
    if table.empty:
        raise BadInput(f"{path} is empty below its header; one row per line is expected.")
    table.columns = header
    return table


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


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file, plain or gzip, without their ends.

    Raises
    ------
    BadInput
        If the file is missing, binary, or a truncated or damaged gzip.
    """
    return _decoded(path, _unzipped(path, _content(path))).splitlines()


def open_text(path: Path) -> IO[str]:
    """Open a text file, plain or gzip, to be read line by line however long it is."""
    with path.open("rb") as start:
        zipped = start.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8-sig") if zipped else path.open(encoding="utf-8-sig")


def fasta_records(lines: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    """Give line number of the header, name (up to the first blank) and sequence of every record of FASTA lines.

    Lines before the first header are given as a record of line 0.
    """
    at, name = 0, ""
    parts: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith(">"):
            if at or parts:
                yield at, name, "".join(parts)
            at, name, parts = number, (text[1:].split() or [""])[0], []
        elif text:
            parts.append(text)
    if at or parts:
        yield at, name, "".join(parts)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"No file at {path}.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None


def _decoded(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise BadInput(f"{path} is a binary file; plain text or its gzip is expected, or parquet for a table.")
    return text


def _unzipped(path: Path, content: bytes) -> bytes:
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except EOFError:
        raise BadInput(f"{path} is a truncated gzip file; copy or download it again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"{path} is a damaged gzip file ({error}); copy or download it again.") from None


def _text_cells(path: Path, content: bytes) -> pd.DataFrame:
    text = _decoded(path, content)
    if not text.strip():
        return pd.DataFrame()
    table = text.lstrip("\r\n")  # the parser takes blank first lines for a table without columns
    n_skipped = len(text[: len(text) - len(table)].splitlines())
    has_tabs = "\t" in table.partition("\n")[0]
    try:
        cells = pd.read_csv(
            io.StringIO(table),
            sep="\t" if has_tabs else ",",
            header=None,
            dtype=str,
            quoting=csv.QUOTE_NONE if has_tabs else csv.QUOTE_MINIMAL,
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,
        )
    except pd.errors.ParserError as error:
        match = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if not match:
            raise BadInput(f"{path} is not a table that can be parsed: {error}.") from None
        wanted, line, got = map(int, match.groups())
        raise BadInput(
            f"{path}, line {line + n_skipped}: {wanted} columns expected as in the first line, got {got}."
        ) from None
    cells.index = np.arange(1, len(cells) + 1) + n_skipped
    return cells


def _parquet_cells(path: Path, content: bytes) -> pd.DataFrame:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise BadInput(f"{path} is a parquet file; `pip install -e '.[parquet]'` to read it.") from None
    try:
        frame = pyarrow.parquet.read_table(io.BytesIO(content)).to_pandas()
        frame = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
        text = frame.map(lambda cell: np.nan if pd.api.types.is_scalar(cell) and pd.isna(cell) else str(cell))
    except Exception as error:  # arrow has its own errors, and Python's of text, dates and sizes; some come with a cell
        raise BadInput(f"{path} is a damaged parquet file ({one_line(error)}); copy it again.") from None
    cells = pd.DataFrame([list(map(str, frame.columns)), *text.to_numpy(dtype=object).tolist()], dtype="str")
    cells.index = np.arange(1, len(cells) + 1)
    cells.attrs["has_header"] = True
    return cells


def required_text(path: Path, table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column without surrounding blanks, or say on which line it is empty."""
    values = table[column].str.strip()
    empty = np.flatnonzero(values.isna() | (values == ""))
    if empty.size:
        raise BadInput(f"{path}, line {table.index[empty[0]]}: column {column!r} is empty.")
    return values


def numbers(path: Path, table: pd.DataFrame, column: str, *, whole: bool = False) -> np.ndarray:
    """Return a column as finite float64 (int64 if `whole`), or name the line and the value that is not a number."""
    parsed = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(parsed)
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
