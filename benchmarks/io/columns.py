"""Which column of a table holds what: by its name, or as the user says with --columns.

A header is believed: what a column is called decides what it is read as, never its place. A file without a header is
read by places, which its content must confirm.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io import tables, text_tables
from benchmarks.io.account import Account
from benchmarks.io.text_tables import looks_like_dna

N_SAMPLED = 100
"""Rows that are looked at to tell what a column may hold."""


@dataclass(frozen=True)
class Role:
    """Something that a column of a table may hold.

    Parameters
    ----------
    name
        What --columns calls it.
    names
        What columns that hold it are called, the usual name first; case and punctuation do not matter.
    what
        What it is, in words, for messages.
    required
        A table without it is refused.
    asks
        Where several columns go by one of the names, and none by the first, the user must say which one it is.
    """

    name: str
    names: tuple[str, ...]
    what: str
    required: bool = False
    asks: bool = False


ID = Role("id", ("seq_id", "id", "name", "tag", "sequence_id", "element_id", "oligo_id", tables.ROW_NAMES), "ids")
SEQUENCE = Role("sequence", ("seq", "sequence", "dna_sequence", "oligo_sequence"), "sequences", required=True)
STRAND = Role("strand", ("is_reverse", "orientation"), "strands")
"""A column `strand` alone is not taken: in most tables it is the strand of a gene, not the orientation of an insert."""

_FORWARD = {"0", "+", "f", "fwd", "forward", "plus", "false"}
_REVERSE = {"1", "-", "-1", "r", "rev", "reverse", "reversed", "minus", "true"}


def parse(options: Iterable[str] | None) -> dict[str, str]:
    """Read --columns: `id=name,value=log2FC`; a name of a column may have commas.

    >>> parse(["sequence=oligo,value=log2(RNA, DNA)"])
    {'sequence': 'oligo', 'value': 'log2(RNA, DNA)'}

    Raises
    ------
    BadInput
        For a part without `=`, or one that is given twice.
    """
    given: dict[str, str] = {}
    for text in options or ():
        last = None
        for part in text.split(","):
            role, equals, column = part.partition("=")
            if not equals and last is not None:
                given[last] += f",{part}"
                continue
            last = role.strip()
            if not equals or not last or not column.strip() or last in given:
                raise BadInput(f"--columns expects each part once, as in sequence=seq,value=log2FC, got {text!r}.")
            given[last] = column.strip()
    return given


def check_roles(given: Mapping[str, str], roles: Sequence[Role]) -> None:
    """Refuse a part of --columns that nothing is read for.

    Raises
    ------
    BadInput
        Naming the parts that there are.
    """
    known = [role.name for role in roles]
    for name in given:
        if name not in known:
            raise BadInput(f"--columns: {did_you_mean('part', name, known)}")


def resolve(
    path: Path, table: pd.DataFrame, roles: Sequence[Role], given: Mapping[str, str], account: Account
) -> dict[str, str]:
    """Find the columns of a table with a header: role -> column; the account says which are used and which are not.

    Raises
    ------
    BadInput
        If --columns names a column that the table lacks; if a required one is missing, or could be one of several,
        with the columns that are there and the words to type.
    """
    check_roles(given, roles)
    header = [str(name) for name in table.columns]
    found: dict[str, str] = {}
    missing: list[Role] = []
    for role in roles:
        if role.name in given:
            if given[role.name] not in header:
                raise BadInput(f"{path}: --columns {role.name}={did_you_mean('column', given[role.name], header)}")
            found[role.name] = given[role.name]
            continue
        candidates = called(header, role.names)
        if role.asks and len(candidates) > 1 and candidates[0] != role.names[0]:
            raise BadInput(
                f"{path}: {', '.join(candidates[:-1])} and {candidates[-1]} could each be the column of {role.what}; "
                f"say which one it is: --columns {role.name}={candidates[0]}."
            )
        if candidates:
            found[role.name] = candidates[0]
        elif role.required:
            missing.append(role)
    if missing:
        raise BadInput(_missing(path, table, missing, found))
    account.used = found
    account.not_used = [name for name in dict.fromkeys(header) if name and name not in found.values()]
    return found


def called(header: Sequence[str], names: Iterable[str]) -> list[str]:
    """List the columns that go by one of the names: as written first, then whatever their case and punctuation.

    >>> called(["SEQ", "Mean value"], ["seq", "mean_value"])
    ['SEQ', 'Mean value']
    """
    names = list(names)
    exact = [name for name in names if name in header]
    wanted = [_plain(name) for name in names]
    loose = [name for name in dict.fromkeys(header) if name not in exact and _plain(name) in wanted]
    return exact + sorted(loose, key=lambda name: wanted.index(_plain(name)))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower()) or name


def _missing(path: Path, table: pd.DataFrame, missing: list[Role], found: Mapping[str, str]) -> str:
    """Say which columns there are, and what to type."""
    header = [str(name) for name in table.columns]
    words, free = [], [name for name in header if name not in found.values() and header.count(name) == 1]
    for role in missing:
        fits = holds_dna if role.name == SEQUENCE.name else holds_numbers
        candidates = [name for name in free if fits(table[name])]
        words.append(f"{role.name}={candidates[0] if candidates else 'COLUMN'}")
        if len(candidates) > 1:
            words[-1] += f" (or {', '.join(candidates[1:6])})"
        free = [name for name in free if name not in candidates[:1]]
    lacking = " and of ".join(role.what for role in missing)
    known = ", ".join(name or "one without a name" for name in header[:12]) + (" …" if len(header) > 12 else "")
    usual = "; ".join(f"{role.what} are expected in {role.names[0]!r}" for role in missing)
    return (
        f"{path}: no column of {lacking} is known by its name ({usual}); its columns are {known}. Say which one it is: "
        f"--columns {','.join(words)}."
    )


def holds_dna(column: pd.Series) -> bool:
    """Tell whether most of the first cells of a column are sequences."""
    cells = column.iloc[:N_SAMPLED]
    return int(sum(map(looks_like_dna, cells))) > len(cells) / 2


def holds_numbers(column: pd.Series) -> bool:
    """Tell whether all of the first cells of a column that are not missing are numbers, and some are there."""
    cells = column.iloc[:N_SAMPLED].astype("str").str.strip()
    cells = cells[~cells.str.lower().isin(tables.MISSING_WORDS) & cells.notna()]
    return len(cells) > 0 and bool(pd.to_numeric(cells.str.replace(",", "."), errors="coerce").notna().all())


def in_batches(
    path: Path,
    rows: Iterable[text_tables.Row],
    n: int,
    roles: Sequence[Role],
    given: Mapping[str, str],
    account: Account,
    *,
    by_place: Callable[[Path, pd.DataFrame], dict[str, str]],
    has_names: bool | None = None,
) -> Iterator[tuple[pd.DataFrame, dict[str, str]]]:
    """Give a table in batches of n rows with named columns, and the columns of the roles.

    Parameters
    ----------
    by_place
        Tells the columns of a table without a header.
    has_names
        Whether the first row names the columns; None: as it looks.

    Raises
    ------
    BadInput
        As `resolve`.
    """
    iterator = iter(rows)
    head = list(itertools.islice(iterator, n + 1))
    if not head:
        return
    cells = _as_cells(head)
    if has_names or (has_names is None and has_header(cells)):
        table = tables.below_header(path, cells)
        found = resolve(path, table, roles, given, account)
        account.evidence = "columns as --columns says" if given else "columns by the names in its first line"
    else:
        iterator = itertools.chain(head[n:], iterator)
        table = named_by_place(path, cells.iloc[:n], given)
        found = resolve(path, table, roles, dict(given) or by_place(path, table), account)
        account.format += " without a header"
    yield table, found
    while batch := list(itertools.islice(iterator, n)):
        yield _as_cells(batch).set_axis(table.columns, axis=1), found


def _as_cells(rows: Sequence[text_tables.Row]) -> pd.DataFrame:
    lines, cells = zip(*rows, strict=True)
    table = pd.DataFrame(list(cells), index=pd.Index(lines), dtype="str")
    return table.mask(table == "")


def named_by_place(path: Path, cells: pd.DataFrame, given: Mapping[str, str]) -> pd.DataFrame:
    """Name the columns of a table without a header by their numbers, from 1.

    Raises
    ------
    BadInput
        If --columns names a column by anything else.
    """
    table = cells.copy()
    table.columns = [str(number) for number in range(1, cells.shape[1] + 1)]
    for role, column in given.items():
        if column not in table:
            raise BadInput(
                f"{path} has no header: its {cells.shape[1]} columns are named by their numbers, as in "
                f"--columns {role}=1, got {column!r}."
            )
    return table


def has_header(cells: pd.DataFrame) -> bool:
    """Tell whether the first row names columns: it has no sequence, while rows below have one, or else no number."""
    if cells.attrs.get("has_header"):
        return True
    first = [str(cell).strip() for cell in cells.iloc[0].fillna("")]
    if any(map(looks_like_dna, first)):
        return False
    over_dna = [cell for cell, column in zip(first, cells, strict=True) if holds_dna(cells.iloc[1:][column])]
    if over_dna:
        return not any(map(_is_damaged_dna, over_dna))
    return not any(pd.notna(pd.to_numeric(cell, errors="coerce")) for cell in first if cell)


def _is_damaged_dna(cell: str) -> bool:
    """Tell whether a cell is a sequence that is too short or has a wrong letter, rather than a name."""
    n_bases = sum(letter in "ACGTN" for letter in cell.upper())
    return len(cell) > 3 and n_bases > 0.9 * len(cell)


def strands(path: Path, table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of strands as 0 (forward) and 1 (reverse), uint8; 0 and 1, + and -, F and R … are understood.

    Raises
    ------
    BadInput
        For the first cell that is neither, naming line, column and value.
    """
    cells = table[column].astype("str").str.strip().str.lower()
    cells = cells.str.replace(r"^([01])\.0$", r"\1", regex=True)
    if (cells == "-1").any() and not (cells == "0").any():  # 1 and -1, as Ensembl writes them
        cells = cells.replace({"1": "+"})
    known = cells.isin(_FORWARD | _REVERSE)
    if not known.all():
        line = table.index[~known.to_numpy(dtype=bool, na_value=False)][0]
        cell = table[column][line]
        got = "nothing" if pd.isna(cell) else repr(str(cell))
        raise BadInput(f"{path}, line {line}, column {column!r}: 0 or 1 (or + and -) is expected, got {got}.")
    return cells.isin(_REVERSE).astype("uint8")
