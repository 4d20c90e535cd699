"""Sequences with their names from FASTA, from a table, or from a text with one sequence per line; of any length.

One reader for whatever takes sequences without measurements: prediction, mutagenesis, design, libraries.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.errors import BadInput
from benchmarks.io import columns, tables, text_files, text_tables
from benchmarks.io.account import Account

N_SEQUENCES = 65_536
"""Sequences that are held as text at a time."""
ROLES = (columns.ID, columns.SEQUENCE, columns.STRAND)
"""What --columns may name."""


@dataclass(frozen=True)
class Piece:
    """Sequences of a file with their ids and lines.

    Parameters
    ----------
    is_reverse
        0 or 1; None where the file has no such column.
    headers
        Of FASTA, the whole headers, whose first words are the ids; else None.
    """

    ids: list[str]
    sequences: list[str]
    lines: list[int]
    is_reverse: list[int] | None = None
    headers: list[str] | None = None


def read_pieces(
    file: Path, n: int | None = None, *, given: Mapping[str, str] | None = None, account: Account | None = None
) -> Iterator[Piece]:
    """Read sequences in pieces of n, by default `N_SEQUENCES`.

    Parameters
    ----------
    given
        What the user says of the columns of a table: one of `ROLES` -> name of the column.
    account
        Filled with what the file was taken for.

    Raises
    ------
    BadInput
        If the file is missing, of another kind or empty, if it is not clear which column has the sequences, or if a row
        has none.
    """
    n, given, account = n or N_SEQUENCES, given or {}, account or Account(file.name)
    if not file.is_file():
        raise BadInput(f"No file at {file}." if not file.is_dir() else f"{file} is a folder; a file is expected.")
    if tables.is_parquet(file):
        cells = tables.read_cells(file, account)
        rows = zip(cells.index.tolist(), cells.fillna("").to_numpy().tolist(), strict=True)
        pieces = _pieces_of_rows(file, rows, n, given, account, has_names=True)
    elif (first := _first_character(file)) == ">":
        pieces = _pieces_of_fasta(file, n, given, account)
    elif first == "@":
        raise BadInput(f"{file} looks like FASTQ (reads with qualities); FASTA or a table of sequences is expected.")
    else:
        pieces = _pieces_of_text(file, n, given, account)
    is_empty = True
    for piece in pieces:
        is_empty = False
        account.numbers["rows"] = account.numbers.get("rows", 0) + len(piece.ids)
        yield piece
    if is_empty:
        raise BadInput(f"{file} has no sequence.")


def is_fasta(file: Path) -> bool:
    """Tell by its first character whether a file of sequences is FASTA."""
    return not tables.is_parquet(file) and _first_character(file) == ">"


def _first_character(file: Path) -> str:
    with text_files.open_text(file) as lines:
        return next((line.lstrip()[0] for line in lines if line.strip() and not line.startswith((";", "#"))), "")


def _pieces_of_fasta(file: Path, n: int, given: Mapping[str, str], account: Account) -> Iterator[Piece]:
    if given:
        raise BadInput(f"--columns is for tables; {file} is FASTA, whose ids and sequences have their places.")
    account.format = "FASTA"
    with text_files.open_text(file) as lines:
        records = tables.fasta_records(lines)
        while part := list(itertools.islice(records, n)):
            at, headers, sequences = (list(column) for column in zip(*part, strict=True))
            yield Piece([(header.split() or [""])[0] for header in headers], sequences, at, headers=headers)


def _pieces_of_text(file: Path, n: int, given: Mapping[str, str], account: Account) -> Iterator[Piece]:
    with text_tables.open_rows(file) as rows:
        account.format = str(rows.form)
        yield from _pieces_of_rows(file, rows, n, given, account)
        account.leave_out("lines", len(rows.comments), "comments, which begin with '#'")


def _pieces_of_rows(
    file: Path,
    rows: Iterable[text_tables.Row],
    n: int,
    given: Mapping[str, str],
    account: Account,
    *,
    has_names: bool | None = None,
) -> Iterator[Piece]:
    n_before = 0
    batches = columns.in_batches(file, rows, n, ROLES, given, account, by_place=_by_content, has_names=has_names)
    for table, found in batches:
        yield _piece(file, table, found, n_before)
        n_before += len(table)


def _by_content(file: Path, table: pd.DataFrame) -> dict[str, str]:
    """Tell the columns of a table without a header: one has sequences; a first one of other words has the ids."""
    if table.shape[1] == 1:
        return {"sequence": "1"}
    with_dna = [column for column in table if columns.holds_dna(table[column])]
    if len(with_dna) != 1:
        what = "no column" if not with_dna else f"columns {' and '.join(with_dna)}"
        raise BadInput(
            f"{file} has no header, and {what} of it could be the sequences; say which one: --columns sequence=1."
        )
    found = {"sequence": with_dna[0]}
    first = table.columns[0]
    if first != with_dna[0] and table[first].is_unique and not columns.holds_numbers(table[first]):
        found["id"] = first
    return found


def _piece(file: Path, table: pd.DataFrame, found: Mapping[str, str], n_before: int) -> Piece:
    sequences = tables.required_text(file, table, found["sequence"])
    if "id" in found:
        ids = tables.required_text(file, table, found["id"]).tolist()
    else:
        ids = [str(n_before + i) for i in range(len(table))]
    is_reverse = columns.strands(file, table, found["strand"]).tolist() if "strand" in found else None
    return Piece(ids, sequences.tolist(), table.index.tolist(), is_reverse)
