"""The columns of lentiMPRA tables: by name where there is a header, by place where there is none.

Source: the tables of the paper (`seq_id, seq, mean_value, fold`), of MPRALegNet (`seq_id, seq, mean_value, fold_num,
rev`, in this order) and of MPRA-MNIST (`seq, expression, fold` among others).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import noise_ceiling
from benchmarks.errors import BadInput
from benchmarks.io import columns, tables
from benchmarks.io.account import Account
from benchmarks.io.columns import Role

VALUE = Role(
    "value",
    (
        *("mean_value", "expression", "value", "activity", "log2FC", "log2FoldChange", "log2_fold_change"),
        *("log2_ratio", "log2(RNA/DNA)", "log2_rna_dna", "mean_log2", "lfc", "mean"),
    ),
    "activities",
    required=True,
    asks=True,
)
FOLD = Role("fold", ("fold", "fold_num"), "folds")
SPLIT = Role("split", ("split",), "training, validation and test sets")
REV = Role("rev", ("rev",), "computed copies")
ROLES = (columns.ID, columns.SEQUENCE, VALUE, FOLD, SPLIT, columns.STRAND, REV)
"""What --columns may name, and what is looked for in a header."""

_SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_BY_PLACE = ("id", "sequence", "value", "fold", "rev")
_WITHOUT_HEADER = {2: ("sequence", "value"), 3: _BY_PLACE[:3], 4: _BY_PLACE[:4], 5: _BY_PLACE}
"""Number of columns -> what they hold in a table without a header."""


def read(
    path: Path, given: Mapping[str, str], account: Account, *, folds: bool = True
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Read a table: seq_id (text), seq (upper case), mean_value (float64), fold (int64), split (text), strand (0 or 1).

    Columns that the file lacks are missing, but for seq and mean_value. Replicates are text, by their names. Rows that
    are computed copies (`rev` other than 0) are left out.

    Parameters
    ----------
    folds
        Read folds and splits; else these columns are not looked at.

    Returns
    -------
    The table, indexed by line, and what its file calls the columns: role -> name.

    Raises
    ------
    BadInput
        If a column is missing or ambiguous, naming the columns that there are and what to type; for the first cell that
        is not what its column holds.
    """
    cells = tables.read_cells(path, account)
    roles = ROLES if folds else tuple(role for role in ROLES if role not in (FOLD, SPLIT))
    if columns.has_header(cells):
        table = tables.below_header(path, cells)
        found = columns.resolve(path, table, roles, given, account)
        account.evidence = "columns by the names in its first line" if not given else "columns as --columns says"
        if layout := _layout_of(table):
            account.format += f", in the {layout} layout"
    else:
        table = columns.named_by_place(path, cells, given)
        found = columns.resolve(path, table, ROLES, dict(given) or _by_place(path, table), account)
        account.format += " without a header"
        if not given:
            account.format += ", in the MPRALegNet layout"
            account.evidence = "what the columns hold agrees with their places"
    table = _without_computed_copies(path, table, found, account)
    if tables.has_decimal_commas(table[found["value"]]):
        account.notes.append(f"Commas in column {found['value']!r} were read as decimal points.")
    parsed = _parsed(path, table, found, folds=folds)
    if replicates := [name for name in noise_ceiling.replicate_columns(parsed.columns) if name in account.not_used]:
        account.used["replicates"] = ", ".join(replicates)
        account.not_used = [name for name in account.not_used if name not in replicates]
    return parsed, found


def _parsed(path: Path, table: pd.DataFrame, found: Mapping[str, str], *, folds: bool) -> pd.DataFrame:
    parsed = pd.DataFrame(index=table.index)
    parsed["seq"] = tables.required_text(path, table, found["sequence"]).str.upper()
    parsed["mean_value"] = tables.numbers(path, table, found["value"])
    if "id" in found:
        parsed["seq_id"] = tables.required_text(path, table, found["id"])
    if "strand" in found:
        parsed["strand"] = columns.strands(path, table, found["strand"])
    if folds and "fold" in found:
        parsed["fold"] = tables.numbers(path, table, found["fold"], whole=True)
    if folds and "split" in found:
        parsed["split"] = _sets(path, table, found["split"])
    replicates = noise_ceiling.replicate_columns(table.columns)
    return parsed.assign(**{name: table[name] for name in replicates if name not in found.values()})


def _sets(path: Path, table: pd.DataFrame, column: str) -> pd.Series:
    values = tables.required_text(path, table, column).str.lower()
    unknown = np.flatnonzero(~values.isin(list(_SPLIT_NAMES)))
    if unknown.size:
        raise BadInput(
            f"{path}, line {table.index[unknown[0]]}, column {column!r}: train, val or test expected, got "
            f"{str(table[column].iloc[unknown[0]])!r}."
        )
    return values.map(_SPLIT_NAMES)


def _layout_of(table: pd.DataFrame) -> str | None:
    if {"seq_id", "seq", "mean_value", "fold"} <= set(table):
        return "DREAM"
    return "MPRA-MNIST" if {"seq_id", "seq", "expression", "fold"} <= set(table) else None


def _by_place(path: Path, table: pd.DataFrame) -> dict[str, str]:
    """Tell the columns of a table without a header by their places, if what they hold agrees."""
    ask = (
        "Give the file a header (seq_id, seq, mean_value, fold), or number its columns: "
        "--columns id=1,sequence=2,value=3,fold=4."
    )
    roles = _WITHOUT_HEADER.get(table.shape[1])
    if roles is None:
        raise BadInput(f"{path} has no header and {table.shape[1]} columns, which could be anything. {ask}")
    found = {role: str(number) for number, role in enumerate(roles, start=1)}
    if not columns.holds_dna(table[found["sequence"]]):
        raise BadInput(
            f"{path} has no header, and its column {found['sequence']} holds no sequences, as one of "
            f"{', '.join(roles)} would. {ask}"
        )
    first = table[found["id"]] if "id" in found else None
    if first is not None and columns.holds_numbers(first) and first.str.contains(r"[.,eE]", na=False).any():
        raise BadInput(f"{path} has no header, and its column 1 holds numbers, not ids. {ask}")
    if "fold" in found:
        folds = np.unique(tables.numbers(path, table, found["fold"], whole=True))
        if folds[0] not in (0, 1) or len(folds) != folds[-1] - folds[0] + 1:
            raise BadInput(
                f"{path} has no header, and its column 4 ({folds[0]} to {folds[-1]}) is not numbered as folds. {ask}"
            )
    if "rev" in found and not _are_copies(path, table, found):
        raise BadInput(
            f"{path} has no header, and its column 5 does not mark computed copies, as in the layout of MPRALegNet: "
            f"other rows lack the values of those that it marks. {ask}"
        )
    return found


def _are_copies(path: Path, table: pd.DataFrame, found: Mapping[str, str]) -> bool:
    """Tell whether the rows with `rev` other than 0 have value and fold of another row, as computed copies do."""
    is_copy = tables.numbers(path, table, found["rev"], whole=True) != 0
    key = table[[found["value"], found["fold"]]].agg("\t".join, axis=1)
    return bool(key[is_copy].isin(set(key[~is_copy])).all()) or is_copy.all()


def _without_computed_copies(
    path: Path, table: pd.DataFrame, found: Mapping[str, str], account: Account
) -> pd.DataFrame:
    if "rev" not in found:
        return table
    keep = tables.numbers(path, table, found["rev"], whole=True) == 0
    if not keep.any():
        raise BadInput(
            f"{path}: every row has {found['rev']} other than 0 (rev, a computed copy), so none is a measurement; "
            "nothing is left to train on."
        )
    first = f"line {table.index[~keep][0]}" if not keep.all() else ""
    account.leave_out("rows", np.count_nonzero(~keep), "computed copies, with rev other than 0", first)
    return table[keep].copy()
