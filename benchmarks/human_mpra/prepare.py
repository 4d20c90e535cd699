"""From a user's table of lentiMPRA activities to a Dataset: layouts, adapters, strands, pairs, folds.

Source: the data rules of the challenge repository (`benchmarks/human`), MPRALegNet and MPRA-MNIST; paper, Methods.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import noise_ceiling, sequences, splits
from benchmarks.api.data import Dataset
from benchmarks.errors import BadInput
from benchmarks.io import tables

LEFT_ADAPTER, RIGHT_ADAPTER = "AGGACCGGATCAACT", "CATTGCGTGAACCGA"
ELEMENT_LEN, SEQ_LEN = 200, 230
INSERT = slice(len(LEFT_ADAPTER), len(LEFT_ADAPTER) + ELEMENT_LEN)
N_FOLDS, MAX_FOLDS = 10, 20
OUTPUT = "expression"

_SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_LAYOUTS = (
    "seq_id, seq, mean_value, fold (DREAM); id, sequence, value, fold[, rev] by position (MPRALegNet); seq_id, seq, "
    "expression, fold (MPRA-MNIST); or seq, mean_value[, split]"
)


def reverse_insert(codes: np.ndarray) -> np.ndarray:
    """Reverse-complement the 200-bp element between unchanged adapters; (n, 230) uint8."""
    return sequences.reverse_insert(codes, INSERT)


def _frame() -> np.ndarray:
    """Return the adapters around an element of N; (1, 230) uint8."""
    return sequences.encode([LEFT_ADAPTER + "N" * ELEMENT_LEN + RIGHT_ADAPTER], SEQ_LEN)


def encode(text: list[str]) -> np.ndarray:
    """Encode sequences of 230 bp, or bare elements of 200 bp, which get their adapters; (n, 230) uint8.

    Raises
    ------
    SequenceError
        For the first sequence of another length or with a letter outside ACGTN.
    """
    lengths = np.fromiter(map(len, text), dtype=np.int64, count=len(text))
    bare = lengths == ELEMENT_LEN
    wrong = np.flatnonzero(~bare & (lengths != SEQ_LEN))
    if wrong.size:
        reason = f"{SEQ_LEN} bp with adapters or a bare {ELEMENT_LEN}-bp element expected, got {lengths[wrong[0]]} bp"
        raise sequences.SequenceError(int(wrong[0]), reason)
    codes = np.repeat(_frame(), len(text), axis=0)
    for rows, columns in ((np.flatnonzero(~bare), slice(0, SEQ_LEN)), (np.flatnonzero(bare), INSERT)):
        try:
            codes[rows, columns] = sequences.encode([text[row] for row in rows], columns.stop - columns.start)
        except sequences.SequenceError as error:
            raise sequences.SequenceError(int(rows[error.row]), error.reason) from None
    return codes


def read(path: Path, name: str, *, refold: bool = False, seed: int = 0) -> Dataset:
    """Read one cell type's table.

    `meta` has `seq_id` (where the file has ids), `group` (one number per element), `orientation` (which of its two
    sides a row is), `is_reverse` (the strand channel, from the id), and `fold`, or `split` where the file's own train,
    val and test are used. Columns `rep1`, `rep2` … (or `replicate_1` …), where there are some, are replicates of the
    value; they give the noise ceiling, as Pearson r.

    Parameters
    ----------
    refold
        Draw ten folds by pair even where the file has folds or a split.
    seed
        Of the drawn folds.

    Raises
    ------
    BadInput
        For anything wrong in the file, naming line, column and value; for folds or a split that separate a pair.
    """
    table, target, notes = _layout(path, tables.read_cells(path))
    table, dropped = _without_reversed_copies(path, table)
    notes += dropped
    table["seq"] = tables.required_text(path, table, "seq").str.upper()
    table["mean_value"] = tables.numbers(path, table, target)
    if "seq_id" in table:
        table["seq_id"] = tables.required_text(path, table, "seq_id")
        _refuse_conflicting_ids(path, table)
    partition = _partition(path, table, refold, notes)
    table, collapsed = _collapse_duplicates(path, table, partition)
    notes += collapsed
    codes = _encode(path, table, notes)
    meta, pairs = _pairs(table, codes, notes)
    _add_folds(path, table, meta, pairs, partition, seed, notes)
    if table["mean_value"].min() == table["mean_value"].max():
        raise BadInput(f"{path}: column {target!r} holds one value in every row; there is nothing to learn.")
    targets = {OUTPUT: table["mean_value"].to_numpy(dtype=np.float32)}
    ceilings = tuple(noise_ceiling.of_table(path, table, OUTPUT))
    return Dataset(name, codes, targets, meta, "measured", ceilings=ceilings, notes=tuple(notes))


def _layout(path: Path, cells: pd.DataFrame) -> tuple[pd.DataFrame, str, list[str]]:
    """Name the columns; return the table, the name of its target column, and how it was read.

    The first line is a header unless a cell of it is a sequence or a number.
    """
    first = [str(cell).strip() for cell in cells.iloc[0]]
    if not cells.attrs.get("has_header") and any(_looks_like_dna(cell) or _is_number(cell) for cell in first):
        table, header = cells.copy(), []
    else:
        table, header = cells.iloc[1:].copy(), first
        if table.empty:
            raise BadInput(f"{path} is empty below its header; one sequence per line is expected.")
    names = set(header)
    by_name = {"seq", "mean_value"} <= names
    if {"seq_id", "seq", "mean_value", "fold"} <= names:
        how = "Read in the DREAM layout (seq_id, seq, mean_value, fold)."
    elif {"seq_id", "seq", "expression", "fold"} <= names:
        how = "Read in the MPRA-MNIST layout; target: expression."
    elif _is_positional(table) and not (by_name and "fold" not in header[3].lower()):
        table.columns = ["seq_id", "seq", "mean_value", "fold", "rev"][: table.shape[1]]
        return table, "mean_value", ["Read in the MPRALegNet layout (columns by position)."]
    elif by_name:
        how = "Read by the columns seq and mean_value."
    else:
        what = f"its columns are {', '.join(header[:12])}" if header else "it has no header"
        wrong = "column 'mean_value' is missing" if "seq" in names else "none of the known layouts fits"
        raise BadInput(f"{path}: {wrong}; {what}. Expected one of: {_LAYOUTS}.")
    if twice := [name for name in header if header.count(name) > 1]:
        raise BadInput(f"{path}, line {cells.index[0]}: the header has two columns named {twice[0]!r}.")
    table.columns = header
    return table, "mean_value" if by_name else "expression", [how]


def _looks_like_dna(cell: str) -> bool:
    return len(cell) >= 50 and not set(cell.upper()) - set("ACGTN")


def _is_number(cell: str) -> bool:
    return bool(np.isfinite(pd.to_numeric(cell, errors="coerce")))


def _is_positional(table: pd.DataFrame) -> bool:
    """Tell whether a table has four or five columns, the second of which mostly holds sequences."""
    if table.shape[1] not in (4, 5):
        return False
    return sum(_looks_like_dna(str(cell).strip()) for cell in table.iloc[:100, 1]) > min(100, len(table)) / 2


def _without_reversed_copies(path: Path, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    if "rev" not in table:
        return table, []
    keep = tables.numbers(path, table, "rev", whole=True) == 0
    if not keep.any():
        raise BadInput(
            f"{path}: every row has rev other than 0, so none is a measurement; nothing is left to train on."
        )
    note = [f"{(~keep).sum():,} rows with rev other than 0 (computed copies) were left out."] if not keep.all() else []
    return table[keep].copy(), note


def _refuse_conflicting_ids(path: Path, table: pd.DataFrame) -> None:
    distinct = table[~table.duplicated(["seq_id", "seq", "mean_value"])]
    again = distinct[distinct.duplicated("seq_id")]
    if again.empty:
        return
    line, row = again.index[0], again.iloc[0]
    earlier = distinct[distinct["seq_id"] == row["seq_id"]].index[0]
    what = "another sequence" if distinct.loc[earlier, "seq"] != row["seq"] else "another value"
    raise BadInput(
        f"{path}, line {line}: id {row['seq_id']!r} is on line {earlier} too, with {what} ({len(again):,} such rows). "
        "Ids must be unique; mark the reverse orientation of an element with the ending '_Reversed:'."
    )


def _partition(path: Path, table: pd.DataFrame, refold: bool, notes: list[str]) -> str | None:
    """Decide which column parts the rows: `fold`, `split`, or none (folds are drawn); clean that column."""
    if refold:
        notes.append(f"--refold: {N_FOLDS} folds were drawn by pair; folds and splits in the file were not used.")
        return None
    if "fold" in table:
        table["fold"] = tables.numbers(path, table, "fold", whole=True)
        if "split" in table:
            notes.append("The file's folds were used; its split column was not.")
        return "fold"
    if "split" not in table:
        return None
    values = tables.required_text(path, table, "split").str.lower()
    unknown = np.flatnonzero(~values.isin(list(_SPLIT_NAMES)))
    if unknown.size:
        line = table.index[unknown[0]]
        raise BadInput(
            f"{path}, line {line}, column 'split': train, val or test expected, "
            f"got {str(table['split'].iloc[unknown[0]])!r}."
        )
    table["split"] = values.map(_SPLIT_NAMES)
    present = sorted(set(table["split"]))
    if len(present) == 3:
        return "split"
    notes.append(
        f"The split column has only {' and '.join(present)}, so it was not used: "
        f"{N_FOLDS} folds were drawn by pair instead."
    )
    return None


def _collapse_duplicates(path: Path, table: pd.DataFrame, partition: str | None) -> tuple[pd.DataFrame, list[str]]:
    """Keep the first of rows that agree in id, sequence and value; refuse copies that lie in different parts."""
    same = [c for c in ("seq_id", "seq", "mean_value") if c in table]
    first = ~table.duplicated(same)
    if first.all():
        return table, []
    if partition:
        crossing = (~table.duplicated([*same, partition])).sum() - first.sum()
        if crossing:
            raise BadInput(
                f"{path}: {crossing:,} rows are in more than one {partition} with the same sequence and value, so "
                "training and test would share them. Mend the column, or draw new folds with --refold."
            )
    return table[first].copy(), [f"{(~first).sum():,} exact duplicate rows were collapsed."]


def _encode(path: Path, table: pd.DataFrame, notes: list[str]) -> np.ndarray:
    """Encode to (n, 230) codes; 200-bp elements get their adapters."""
    lengths = table["seq"].str.len().to_numpy()
    bare = lengths == ELEMENT_LEN
    wrong = np.flatnonzero(~bare & (lengths != SEQ_LEN))
    if wrong.size:
        raise BadInput(
            f"{path}, line {table.index[wrong[0]]}, column 'seq': {SEQ_LEN} bp with adapters or a bare "
            f"{ELEMENT_LEN}-bp element expected, got {lengths[wrong[0]]} bp ({len(wrong):,} such rows)."
        )
    try:
        codes = encode(table["seq"].tolist())
    except sequences.SequenceError as error:
        raise BadInput(f"{path}, line {table.index[error.row]}, column 'seq': {error.reason}.") from None
    if bare.any():
        notes.append(f"{bare.sum():,} bare {ELEMENT_LEN}-bp elements got the adapters added.")
    outside, adapters = np.r_[0 : INSERT.start, INSERT.stop : SEQ_LEN], _frame()
    other = (codes[:, outside] != adapters[:, outside]).any(axis=1).sum()
    if other:
        notes.append(f"{other:,} sequences of {SEQ_LEN} bp have other ends than the lentiMPRA adapters.")
    return codes


def _pairs(table: pd.DataFrame, codes: np.ndarray, notes: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Find strand and element of every row, from ids where they carry a mark, else from sequences.

    Returns `meta` and the pairs, (n,) int64. `meta["group"]` also joins pairs with equal or reversed sequences, so that
    drawn folds never separate those; `meta["orientation"]` tells the two sides of an element apart.
    """
    ids = table["seq_id"] if "seq_id" in table else pd.Series("", index=table.index)
    is_reverse = ids.str.contains(r"_(?:Reversed:|Reversed$|R$)").to_numpy(dtype=np.uint8)
    by_sequence, is_larger = sequences.canonical_groups(codes, reverse_insert(codes))
    if is_reverse.any():
        element = ids.str.replace(r"_(?:F|R|Reversed|Reversed:.*)$", "", regex=True)
        pairs, orientation = pd.factorize(element)[0].astype(np.int64), is_reverse
        groups = splits.joined_groups(pairs, by_sequence)
    else:
        pairs, orientation, groups = by_sequence, is_larger, by_sequence
        notes.append(
            "No id marks a reverse orientation: pairs were found by sequence, and the strand channel is 0 for all rows."
        )
    meta = pd.DataFrame({"is_reverse": is_reverse, "group": groups, "orientation": orientation.astype(np.uint8)})
    if "seq_id" in table:
        meta.insert(0, "seq_id", ids.to_numpy(dtype=object))
    return meta, pairs


def _add_folds(
    path: Path,
    table: pd.DataFrame,
    meta: pd.DataFrame,
    pairs: np.ndarray,
    partition: str | None,
    seed: int,
    notes: list[str],
) -> None:
    """Put `fold`, or `split`, into `meta`: the file's where they keep pairs whole, else drawn."""
    if partition is None:
        n_groups = meta["group"].nunique()
        if n_groups < N_FOLDS:
            raise BadInput(f"{path} has {n_groups} elements; {N_FOLDS} folds need at least {N_FOLDS}.")
        meta["fold"] = splits.assign_folds(meta["group"].to_numpy(), N_FOLDS, seed=seed)
        notes.append(f"{N_FOLDS} folds were drawn by pair (seed {seed}).")
        return
    parts = table[partition].to_numpy()
    if parted := splits.n_parted(pairs, parts):
        raise BadInput(
            f"{path}: its {partition} column parts {parted:,} of {len(np.unique(pairs)):,} elements, one orientation "
            "here and one there, so training and test would share them. Draw new folds with --refold."
        )
    if shared := splits.n_parted(meta["group"].to_numpy(), parts):
        notes.append(f"{shared:,} sequences have several ids, in more than one {partition}: test rows were seen.")
    if partition == "split":
        meta["split"] = parts.astype(object)
        notes.append("The file's own train, val and test sets were used: one split, no folds.")
        return
    meta["fold"] = parts - parts.min()
    n_folds = meta["fold"].nunique()
    if n_folds < 3:
        raise BadInput(
            f"{path}: column 'fold' has {n_folds} distinct values; test, validation and training folds are needed. "
            "Draw new folds with --refold."
        )
    if n_folds > MAX_FOLDS:
        raise BadInput(
            f"{path}: the column read as folds has {n_folds} distinct values ({parts.min()} to {parts.max()}); at most "
            f"{MAX_FOLDS} folds are expected. Name the columns of the file, or draw folds with --refold."
        )
    first = f", numbered {parts.min()} to {parts.max()} in the file" if parts.min() else ""
    notes.append(f"The file's {n_folds} folds were used{first}.")
