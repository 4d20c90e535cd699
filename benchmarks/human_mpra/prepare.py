"""From a user's table of lentiMPRA activities to a Dataset: layouts, adapters, strands, pairs, folds.

Source: the data rules of the challenge repository (`benchmarks/human`), MPRALegNet and MPRA-MNIST; paper, Methods.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import noise_ceiling, orientations, sequences, splits
from benchmarks.api.data import Dataset
from benchmarks.errors import BadInput
from benchmarks.human_mpra import layouts
from benchmarks.io.account import Account

LEFT_ADAPTER, RIGHT_ADAPTER = "AGGACCGGATCAACT", "CATTGCGTGAACCGA"
ELEMENT_LEN, SEQ_LEN = 200, 230
INSERT = slice(len(LEFT_ADAPTER), len(LEFT_ADAPTER) + ELEMENT_LEN)
N_FOLDS, MAX_FOLDS = 10, 20
OUTPUT = "expression"


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
    with_ends = [row for row in np.flatnonzero(bare) if _has_adapter(text[row])]
    if with_ends:
        raise sequences.SequenceError(int(with_ends[0]), _ENDS_INSIDE)
    codes = np.repeat(_frame(), len(text), axis=0)
    for rows, where in ((np.flatnonzero(~bare), slice(0, SEQ_LEN)), (np.flatnonzero(bare), INSERT)):
        try:
            codes[rows, where] = sequences.encode([text[row] for row in rows], where.stop - where.start)
        except sequences.SequenceError as error:
            raise sequences.SequenceError(int(rows[error.row]), error.reason) from None
    return codes


_ENDS_INSIDE = (
    f"{ELEMENT_LEN} bp that include an adapter; a bare {ELEMENT_LEN}-bp element, or {SEQ_LEN} bp with both, expected"
)


def _has_adapter(text: str) -> bool:
    return text[: len(LEFT_ADAPTER)].upper() == LEFT_ADAPTER or text[-len(RIGHT_ADAPTER) :].upper() == RIGHT_ADAPTER


def flank_note(text: Sequence[str]) -> str | None:
    """Count bare elements, in a sentence; None where there are none."""
    n = sum(len(sequence) == ELEMENT_LEN for sequence in text)
    return f"{n:,} bare {ELEMENT_LEN}-bp elements got the adapters added." if n else None


def read(
    path: Path, name: str, *, refold: bool = False, seed: int = 0, given: Mapping[str, str] | None = None
) -> Dataset:
    """Read one cell type's table.

    `meta` has `seq_id` (where the file has ids), `group` (one number per element), `orientation` (which of its two
    sides a row is), `is_reverse` (the strand channel; see `strands`), and `fold`, or `split` where the file's own
    train, val and test are used. Columns `rep1`, `rep2` … (or `replicate_1` …), where there are some, are replicates of
    the value; they give the noise ceiling, as Pearson r.

    Parameters
    ----------
    refold
        Draw ten folds by pair even where the file has folds or a split.
    seed
        Of the drawn folds.
    given
        What the user says of the columns: one of `layouts.ROLES` -> name of the column.

    Raises
    ------
    BadInput
        For anything wrong in the file, naming line, column and value; for folds or a split that separate a pair.
    """
    account = Account(path.name)
    table, names = layouts.read(path, given or {}, account, folds=not refold)
    notes: list[str] = []
    account.numbers["rows"] = len(table)
    if "seq_id" in table:
        _refuse_conflicting_ids(path, table)
    partition = _partition(table, refold, notes)
    if partition != "split" and (unused := account.used.pop("split", None)):
        account.not_used.append(unused)
    table = _collapse_duplicates(path, table, partition, account)
    codes = _encode(path, table, names["sequence"], notes)
    meta, pairs = _pairs(path, table, codes, notes)
    _add_folds(path, table, meta, codes, pairs, partition, seed, notes)
    if table["mean_value"].min() == table["mean_value"].max():
        raise BadInput(f"{path}: column {names['value']!r} holds one value in every row; there is nothing to learn.")
    targets = {OUTPUT: table["mean_value"].to_numpy(dtype=np.float32)}
    ceilings = tuple(noise_ceiling.of_table(path, table, OUTPUT))
    account.numbers |= {
        "rows_used": len(table),
        "elements": int(meta["group"].nunique()),
        "reverse_rows": int(meta["is_reverse"].sum()),
        "folds": int(meta["fold"].nunique()) if "fold" in meta else 0,
    }
    counted = (
        f"{len(table):,} of {account.numbers['rows']:,} rows are used: {account.numbers['elements']:,} elements, "
        f"{account.numbers['reverse_rows']:,} rows of their reverse orientation."
    )
    account.notes = [counted, *account.notes, *notes]
    says, facts = tuple(account.sentences()), (account.to_dict(),)
    return Dataset(name, codes, targets, meta, "measured", ceilings=ceilings, notes=says, accounts=facts)


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


def _partition(table: pd.DataFrame, refold: bool, notes: list[str]) -> str | None:
    """Decide which column parts the rows: `fold`, `split`, or none, so that folds are drawn."""
    if refold:
        notes.append(f"--refold: {N_FOLDS} folds were drawn by pair; folds and splits in the file were not used.")
        return None
    if "fold" in table:
        if "split" in table:
            notes.append("The file's folds were used; its split column was not.")
        return "fold"
    if "split" not in table:
        return None
    present = sorted(set(table["split"]))
    if len(present) == 3:
        return "split"
    notes.append(
        f"The split column has only {' and '.join(present)}, so it was not used: "
        f"{N_FOLDS} folds were drawn by pair instead."
    )
    return None


def _collapse_duplicates(path: Path, table: pd.DataFrame, partition: str | None, account: Account) -> pd.DataFrame:
    """Keep the first of rows that agree in id, sequence and value; refuse copies that lie in different parts."""
    same = [c for c in ("seq_id", "seq", "mean_value") if c in table]
    first = ~table.duplicated(same)
    if first.all():
        return table
    if partition:
        crossing = (~table.duplicated([*same, partition])).sum() - first.sum()
        if crossing:
            raise BadInput(
                f"{path}: {crossing:,} rows are in more than one {partition} with the same sequence and value, so "
                "training and test would share them. Mend the column, or draw new folds with --refold."
            )
    where = f"line {table.index[~first][0]}"
    account.leave_out("exact duplicate rows", (~first).sum(), "an earlier row is the same", where)
    return table[first].copy()


def _encode(path: Path, table: pd.DataFrame, column: str, notes: list[str]) -> np.ndarray:
    """Encode to (n, 230) codes; 200-bp elements get their adapters. `column` is what the file calls the sequences."""
    lengths = table["seq"].str.len().to_numpy()
    bare = lengths == ELEMENT_LEN
    wrong = np.flatnonzero(~bare & (lengths != SEQ_LEN))
    if wrong.size:
        raise BadInput(
            f"{path}, line {table.index[wrong[0]]}, column {column!r}: {SEQ_LEN} bp with adapters or a bare "
            f"{ELEMENT_LEN}-bp element expected, got {lengths[wrong[0]]} bp ({len(wrong):,} such rows)."
        )
    try:
        codes = encode(table["seq"].tolist())
    except sequences.SequenceError as error:
        raise BadInput(f"{path}, line {table.index[error.row]}, column {column!r}: {error.reason}.") from None
    if note := sequences.ambiguity_note(table["seq"].tolist(), table.index):
        notes.append(note)
    if note := flank_note(table["seq"].tolist()):
        notes.append(note)
    outside, adapters = np.r_[0 : INSERT.start, INSERT.stop : SEQ_LEN], _frame()
    other = (codes[:, outside] != adapters[:, outside]).any(axis=1).sum()
    if other:
        notes.append(f"{other:,} sequences of {SEQ_LEN} bp have other ends than the lentiMPRA adapters.")
    return codes


def _pairs(path: Path, table: pd.DataFrame, codes: np.ndarray, notes: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Find strand and element of every row: from a column, from marks in ids that the sequences confirm, or neither.

    Returns `meta` and the pairs, (n,) int64. `meta["group"]` also joins pairs with equal or reversed sequences, so that
    drawn folds never separate those; `meta["orientation"]` tells the two sides of an element apart.
    """
    elements = codes[:, INSERT]  # whatever ends a row has: one element is never in training and test
    by_sequence, is_larger = sequences.canonical_groups(elements, sequences.reverse_complement(elements))
    found = _strands(path, table, codes)
    both = pd.DataFrame({"pair": by_sequence, "side": is_larger, "strand": found.is_reverse}, index=table.index)
    n_both = int((both.groupby("pair")["side"].nunique() == 2).sum())
    if "strand" in table:
        _check_strand_column(path, both)
    notes += found.notes
    if found.element is not None:
        pairs, orientation = found.element, found.is_reverse
        groups = splits.joined_groups(pairs, by_sequence)
    else:
        pairs, orientation, groups = by_sequence, is_larger, by_sequence
    if not found.is_reverse.any():
        notes.append(
            f"Nothing says that a row is a reverse orientation: pairs were found by sequence ({n_both:,} elements have "
            "both orientations), and the strand channel is 0 for all rows."
        )
    meta = pd.DataFrame({"is_reverse": found.is_reverse, "group": groups, "orientation": orientation.astype(np.uint8)})
    if "seq_id" in table:
        meta.insert(0, "seq_id", table["seq_id"].to_numpy(dtype=object))
    return meta, pairs


def _check_strand_column(path: Path, rows: pd.DataFrame) -> None:
    """Refuse a column of strands that gives both orientations of an element the same one."""
    sides = rows.groupby("pair").agg(sides=("side", "nunique"), strands=("strand", "nunique"))
    wrong = sides.index[(sides["sides"] == 2) & (sides["strands"] == 1)]
    if len(wrong):
        first, second, *_ = rows.index[rows["pair"] == wrong[0]]
        raise BadInput(
            f"{path}, lines {first} and {second}: the two orientations of an element have the same strand "
            f"({len(wrong):,} such elements); correct the column of strands, or leave it out."
        )


def _strands(path: Path, table: pd.DataFrame, codes: np.ndarray) -> orientations.Strands:
    if "strand" in table:
        return orientations.Strands(table["strand"].to_numpy(dtype=np.uint8), None)
    if "seq_id" in table:
        return orientations.of_ids(path, table["seq_id"], codes, INSERT)
    return orientations.Strands(np.zeros(len(table), dtype=np.uint8), None)


def _add_folds(
    path: Path,
    table: pd.DataFrame,
    meta: pd.DataFrame,
    codes: np.ndarray,
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
        elements = codes[:, INSERT]
        reverse = sequences.reverse_complement(elements)
        groups = splits.numbered_by_content(meta["group"].to_numpy(), elements, reverse)
        meta["fold"] = splits.assign_folds(groups, N_FOLDS, seed=seed)
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
