"""Peaks and blacklist: BED files, told by their content; what lies on an excluded chromosome is not looked at."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.api.genome import Genome
from benchmarks.atac.formats import is_comment
from benchmarks.atac.left_out import FEW, HINTS, INVERTED, MANY_INVERTED, OFF_END, some, too_many
from benchmarks.errors import BadInput
from benchmarks.io.account import Account
from benchmarks.io.file_kinds import kind_of
from benchmarks.io.text_files import open_text

NARROWPEAK = ["chrom", "start", "end", "name", "score", "strand", "signal", "p_value", "q_value", "summit"]
SUMMITS = ("column", "middle")
"""Where a window's centre is: at the summit of column 10, or at the middle of the peak."""

_WHOLE = re.compile(r"-?\d{1,18}")
_MIN_ROWS, _LARGEST_COUNT = 10, 10
"""Peaks that show what column 10 is; the largest number of blocks that is looked for."""
_SUMMIT = NARROWPEAK.index("summit")
_MIDDLE = "--summits middle puts windows at the middle of peaks"


class Row(NamedTuple):
    """A line of a BED file."""

    number: int
    cells: list[str]
    start: int
    end: int


def read_peaks(
    path: Path, genome: Genome, *, exclude: Collection[str] = (), summits: str = "column"
) -> tuple[pd.DataFrame, Account]:
    """Read narrowPeak: chrom, start, end, name and `centre` (start + column 10), in the file's order.

    Parameters
    ----------
    exclude
        Chromosomes of which nothing is looked at.
    summits
        One of SUMMITS; with `middle`, any BED file will do.

    Raises
    ------
    BadInput
        If the file has no summits, or for the first line that cannot be read, or if too many lie off their chromosome.
    """
    rows, header = _bed(path, "--peaks")
    account = Account(path.name, format="narrowPeak")
    n_columns = min(len(row.cells) for row in rows)
    if summits == "middle":
        centre = [(row.start + row.end) // 2 for row in rows]
        account.format, account.evidence = "peaks in BED", f"{n_columns} columns; windows lie around their middle"
    else:
        if (why := _why_no_summits(rows, header)) is not None:
            raise BadInput(f"--peaks: {path}: {why}; narrowPeak with summits in column 10 is expected. {_MIDDLE}.")
        centre = [row.start + _summit(path, row) for row in rows]
        account.evidence = f"{n_columns} columns, column 10 lies within the peaks"
    account.used = {"chromosome": "column 1", "start": "column 2", "end": "column 3"}
    account.used |= {} if summits == "middle" else {"summit": "column 10"}
    table = _table(rows).assign(
        name=[row.cells[3] if len(row.cells) > 3 else f"peak_{i}" for i, row in enumerate(rows)], centre=centre
    )
    account.numbers["rows"] = len(table)
    table = _on_genome(table, genome, exclude, account, "peaks", f"--peaks: {path}")
    beyond = int((table["centre"] >= table["end"]).sum())
    if twice := int(table.duplicated(["chrom", "centre"]).sum()):
        account.notes.append(f"{twice:,} peaks have the centre of another; each of them makes a window.")
    if beyond and summits == "column":
        account.notes.append(f"{beyond:,} peaks have a summit (column 10) beyond their end; it is taken as it is.")
    place = table["chrom"].map(list(genome.sizes).index)
    if not pd.MultiIndex.from_arrays([place, table["start"]]).is_monotonic_increasing:
        account.notes.append(f"The peaks of {path.name} are not sorted by position; they are kept in the file's order.")
    return table.drop(columns="line").reset_index(drop=True), account


def read_blacklist(path: Path, genome: Genome, exclude: Collection[str] = ()) -> tuple[pd.DataFrame, Account]:
    """Read a BED file of regions to stay away from: chrom, start, end."""
    rows, _ = _bed(path, "--blacklist")
    account = Account(path.name, format="blacklist in BED")
    account.numbers["rows"] = len(rows)
    table = _on_genome(_table(rows), genome, exclude, account, "blacklisted regions", f"--blacklist: {path}")
    return table.drop(columns="line").reset_index(drop=True), account


def _table(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "line": [row.number for row in rows],
            "chrom": [row.cells[0] for row in rows],
            "start": [row.start for row in rows],
            "end": [row.end for row in rows],
        }
    )


def _on_genome(
    table: pd.DataFrame, genome: Genome, exclude: Collection[str], account: Account, what: str, where: str
) -> pd.DataFrame:
    """Keep the rows that can be used; the account says how many are not, why, and which is the first of them."""
    genome.known(table["chrom"], where)
    excluded = table["chrom"].isin(exclude)
    account.leave_out(what, int(excluded.sum()), "on chromosomes of --exclude; they were not looked at")
    table = table[~excluded]
    unknown = ~table["chrom"].isin(genome.sizes)
    names = sorted(set(table["chrom"][unknown]))
    account.leave_out(what, int(unknown.sum()), f"on {some(names)}, which the genome lacks")
    table = table[~unknown]
    for reason, share in ((INVERTED, MANY_INVERTED), (OFF_END, FEW)):
        wrong = _is_inverted(table) if reason == INVERTED else _is_off(table, genome)
        if not wrong.any():
            continue
        one, n = table[wrong].iloc[0], int(wrong.sum())
        first = f"line {one['line']}, {one['chrom']}:{one['start']}-{one['end']}"
        if too_many(n, len(table), share):
            size = f"; {one['chrom']} has {genome.sizes[one['chrom']]:,} bp in the genome" if reason == OFF_END else ""
            raise BadInput(
                f"{where}: {n:,} of {len(table):,} {what} cannot be used: {reason} (first: {first}{size}). "
                f"{HINTS[reason]}"
            )
        is_blacklist = "centre" not in table
        if is_blacklist and reason == OFF_END:
            sizes = table["chrom"].map(genome.sizes)
            table = table.assign(start=table["start"].clip(lower=0), end=np.minimum(table["end"], sizes))
            wrong = _is_inverted(table)
            account.notes.append(f"{n:,} {what} reach {reason} (first: {first}); what lies on it is used.")
        else:
            account.leave_out(what, n, reason, first)
        table = table[~wrong]
    return table


def _is_inverted(table: pd.DataFrame) -> np.ndarray:
    return (table["start"] >= table["end"]).to_numpy()


def _is_off(table: pd.DataFrame, genome: Genome) -> np.ndarray:
    sizes = table["chrom"].map(genome.sizes).to_numpy(dtype=np.int64)
    last = table["end"].to_numpy()
    if "centre" in table:
        last = np.maximum(last, table["centre"].to_numpy() + 1)
    return (table["start"] < 0).to_numpy() | (last > sizes)


def _why_no_summits(rows: list[Row], header: list[str]) -> str | None:
    """Say why column 10 has no summits, as far as the lines show it; None if it may."""
    n_columns = min(len(row.cells) for row in rows)
    if "abs_summit" in header or {"length", "fold_enrichment"} <= set(header):
        return "these are peaks in MACS's table (.xls), whose positions are 1-based; take its NAME_peaks.narrowPeak"
    if n_columns < 10:
        fewest = next(row for row in rows if len(row.cells) == n_columns)
        if any(len(row.cells) >= 10 for row in rows):
            return f"line {fewest.number} has {n_columns} columns, other lines have 10 and more"
        if all(row.end - row.start == 1 for row in rows):
            return "its intervals have one base, as summits alone (MACS's NAME_summits.bed); take the peaks"
        kind = "broadPeak" if n_columns == 9 else f"BED of {n_columns} columns"
        return f"these peaks have no summits ({kind})"
    if n_columns >= 12 and all(_is_list(row.cells[10:12]) for row in rows):
        kind = "gappedPeak" if n_columns == 15 else "BED12"
        return f"these peaks have no summits: column 10 is a number of blocks, as in {kind}"
    if np.mean([_has_thick_part(row) for row in rows]) > 0.9:
        return (
            "these peaks have no summits: columns 7 and 8 are positions within the peak, as in BED12 and gappedPeak, "
            "so that column 10 is a number of blocks"
        )
    values = [int(row.cells[_SUMMIT]) for row in rows if _WHOLE.fullmatch(row.cells[_SUMMIT].strip())]
    if len(values) < len(rows):
        return None  # the first such line is named
    if all(value == -1 for value in values):
        return "these peaks have no summits: column 10 is -1 in every line"
    lengths = np.array([row.end - row.start for row in rows])
    found = np.array(values)
    if len(rows) > 1 and not found.any():
        return "these peaks have no summits: column 10 is 0 in every line"
    if len(rows) >= _MIN_ROWS and np.ptp(found) == 0 and np.ptp(lengths) > 0:
        return f"these peaks have no summits: column 10 is {found[0]} in every line, however long the peak"
    if len(rows) >= _MIN_ROWS and found.max() <= _LARGEST_COUNT and np.median(lengths) >= 10 * _LARGEST_COUNT:
        return f"these peaks have no summits: column 10 is at most {found.max()}, as a number of blocks"
    starts = np.array([row.start for row in rows])
    if len(rows) > 1 and np.mean((found >= starts) & (found <= starts + lengths) & (found > lengths)) > 0.5:
        return "column 10 has positions on the chromosome; a summit is given in bp right of the peak's start"
    if len(rows) > 1 and np.mean(found >= lengths) > 0.5:
        return f"column 10 has no summits: it lies beyond the end of {int((found >= lengths).sum()):,} of the peaks"
    return None


def _is_list(cells: list[str]) -> bool:
    return all(re.fullmatch(r"\d+(,\d+)*,?", cell.strip()) for cell in cells)


def _has_thick_part(row: Row) -> bool:
    """Tell whether columns 7 and 8 are the thick part of a BED12: positions between start and end."""
    thick = [cell.strip() for cell in row.cells[6:8]]
    return all(map(_WHOLE.fullmatch, thick)) and 0 < row.start <= int(thick[0]) <= int(thick[1]) <= row.end


def _summit(path: Path, row: Row) -> int:
    summit = _whole(path, "--peaks", row.number, row.cells, _SUMMIT)
    if summit < 0:
        raise BadInput(
            f"--peaks: {path}, line {row.number}, column 10: a summit, 0 or more bp right of the start, is expected, "
            f"got {summit}; call peaks with summits (macs2 --call-summits). {_MIDDLE}."
        )
    return summit


def _bed(path: Path, option: str) -> tuple[list[Row], list[str]]:
    """Read the lines of a BED file, and the names of its columns where its first line has them."""
    if not path.is_file():
        raise BadInput(f"{option}: no file at {path}.")
    kind = kind_of(path)
    if not kind.is_text or kind.name in ("SAM", "FASTA", "FASTQ"):
        hint = " (bigBedToBed makes BED of it)" if kind.name == "bigBed" else ""
        raise BadInput(f"{option}: {path} is {kind}; a text file in BED is expected{hint}.")
    rows: list[Row] = []
    header: list[str] = []
    with open_text(path) as lines:
        for number, line in enumerate(lines, start=1):
            if is_comment(line):
                continue
            text = line.rstrip("\r\n")
            cells = text.split("\t") if "\t" in text else text.split()
            if not rows and not header and len(cells) >= 3 and _names_columns(cells):
                header = [cell.strip().strip('"').lower() for cell in cells]
                continue
            if len(cells) < 3:
                why = " Its cells are separated by commas." if line.count(",") >= 2 else ""
                raise BadInput(
                    f"{option}: {path}, line {number}: BED has chromosome, start and end, separated by tabs, got "
                    f"{text[:60]!r}.{why}"
                )
            start, end = (_whole(path, option, number, cells, column) for column in (1, 2))
            rows.append(Row(number, cells, start, end))
    if not rows:
        raise BadInput(f"{option}: {path} has no region.")
    return rows, header


def _names_columns(cells: list[str]) -> bool:
    words = [cell.strip().strip('"').lower() for cell in cells[1:3]]
    return words[0].endswith("start") and words[1].endswith("end")


def _whole(path: Path, option: str, number: int, cells: list[str], column: int) -> int:
    if not _WHOLE.fullmatch(cells[column].strip()):
        raise BadInput(
            f"{option}: {path}, line {number}, column {column + 1}: a whole number is expected, got {cells[column]!r}."
        )
    return int(cells[column])
