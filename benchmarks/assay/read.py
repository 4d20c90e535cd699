"""From a table and its config to a Dataset: values, sequences of one length, orientations, groups and folds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import noise_ceiling, orientations, sequences, splits
from benchmarks.api.data import Dataset
from benchmarks.assay.config import AssayConfig
from benchmarks.errors import BadInput
from benchmarks.io import columns, sequence_files, tables
from benchmarks.io.account import Account

_ALLELE = re.compile(r"(?:[_:](?:ref|alt|reference|alternative)|:[AR](?::w[CLR])?|_[A])$", re.IGNORECASE)
_COMPLEMENT = str.maketrans("ACGT", "TGCA")  # other letters are read as N, whichever they are
_MAX_FOLDS = 20


@dataclass(frozen=True)
class Rows:
    """Rows of a table as they are used; the index of `table` is the line in the file.

    Parameters
    ----------
    table
        id, seq (upper case) and, where the table has them, class, strand, group, chromosome, fold.
    values
        Output -> (n,) float64.
    replicates
        Output -> (n, k) float64, NaN where one is missing.
    """

    table: pd.DataFrame
    values: dict[str, np.ndarray]
    replicates: dict[str, np.ndarray]

    def take(self, keep: np.ndarray) -> "Rows":
        """Return the rows of a mask, (n,) bool."""
        return Rows(
            self.table[keep],
            {name: values[keep] for name, values in self.values.items()},
            {name: values[keep] for name, values in self.replicates.items()},
        )


def read(config: AssayConfig, folder: Path, name: str, *, split: str, refold: bool, seed: int) -> Dataset:
    """Read an assay.

    `meta` has `seq_id`, `is_reverse`, `group` (what shares a fold), `element`, `orientation`, `element_class`,
    `is_control` and `fold`.

    Parameters
    ----------
    folder
        That paths of the config are relative to.
    split
        What is held out, one of the config's ways.
    refold
        Draw folds by group even where the table has folds.

    Raises
    ------
    BadInput
        For whatever is wrong in the files, naming line, column and value.
    """
    path = folder / config.table
    account = Account(path.name)
    rows = _usable(path, config, _read(path, config, folder, account), account)
    notes: list[str] = []
    texts = rows.table["seq"].tolist()
    codes, insert = _encoded(path, rows.table, config, notes)
    turned = _turned(texts, config, codes.shape[1])
    meta = _meta(path, rows.table, codes, turned, insert, notes)
    is_control = (
        rows.table["class"].isin(config.controls).to_numpy() if "class" in rows.table else np.zeros(len(codes), bool)
    )
    has_classes = "class" in rows.table and len(set(rows.table["class"])) > 1
    meta["element_class"] = rows.table["class"].to_numpy(dtype=object) if has_classes else ""
    meta["is_control"] = is_control.astype(np.uint8)
    meta["fold"] = _folds(path, rows.table, meta, config, split=split, refold=refold, seed=seed, notes=notes)
    ceilings = [row for output, values in rows.replicates.items() for row in noise_ceiling.rows_of(output, values)]
    for output, values in rows.values.items():
        if np.ptp(values) == 0:
            raise BadInput(
                f"{path}: {config.values[output]!r} holds one value in every row; there is nothing to learn."
            )
    account.numbers |= {
        "rows_used": len(codes),
        "elements": int(meta["group"].nunique()),
        "reverse_rows": int(meta["is_reverse"].sum()),
        "controls": int(is_control.sum()),
        "folds": int(meta["fold"].nunique()),
    }
    numbers = account.numbers
    account.notes += [
        f"{numbers['rows_used']:,} of {numbers['rows']:,} rows are used: {numbers['elements']:,} groups, "
        f"{numbers['reverse_rows']:,} reverse orientations, {numbers['controls']:,} controls.",
        *notes,
    ]
    targets = {output: values.astype(np.float32) for output, values in rows.values.items()}
    facts, says = (account.to_dict(),), tuple(account.sentences())
    return Dataset(name, codes, targets, meta, "measured", ceilings=tuple(ceilings), notes=says, accounts=facts)


def _read(path: Path, config: AssayConfig, folder: Path, account: Account) -> Rows:
    table = tables.read_headed(path, account=account)
    used = config.columns()
    for part, column in used.items():
        if column not in table:
            raise BadInput(
                f"{path} has no column {column!r}, named as {part}; its columns are {', '.join(list(table)[:12])}."
            )
    account.used = used
    account.not_used = [name for name in table if name not in used.values()]
    account.numbers["rows"] = len(table)
    values = {output: tables.numbers(path, table, column, may_miss=True) for output, column in config.values.items()}
    replicates = {
        output: np.stack([tables.numbers(path, table, name, may_miss=True) for name in names], axis=1)
        for output, names in config.replicates.items()
        if output in values
    }
    parsed = pd.DataFrame(index=table.index)
    parsed["id"] = tables.required_text(path, table, config.id) if config.id else [f"row{i}" for i in range(len(table))]
    if config.barcodes:
        parsed["barcodes"] = tables.numbers(path, table, config.barcodes, may_miss=True)
    if config.element_class:
        parsed["class"] = table[config.element_class].fillna("").str.strip()
    if config.strand:
        parsed["strand"] = columns.strands(path, table, config.strand)
    if config.group:
        parsed["group"] = tables.required_text(path, table, config.group)
    if config.chromosome:
        parsed["chromosome"] = table[config.chromosome].fillna("").str.strip()
    if config.fold:
        parsed["fold"] = table[config.fold]
    if config.sequence and not config.sequences:
        parsed["seq"] = table[config.sequence].fillna("").str.strip()
    rows = Rows(parsed, values, replicates)
    if config.replicate:
        rows = _over_replicates(rows, table[config.replicate].fillna("1"))
    return _with_sequences(path, rows, folder / config.sequences, account) if config.sequences else rows


def _over_replicates(rows: Rows, replicate: pd.Series) -> Rows:
    """Average a table with a row per replicate, the mean over the replicates of an id; these give the ceiling."""
    names = rows.table["id"]
    first = ~names.duplicated()
    order = names[first]
    values, replicates = {}, {}
    for output, measured in rows.values.items():
        wide = pd.DataFrame({"id": names, "replicate": replicate, "y": measured}).pivot_table(
            index="id", columns="replicate", values="y", aggfunc="mean", dropna=False
        )
        replicates[output] = wide.reindex(order).to_numpy()
        with np.errstate(invalid="ignore"):
            values[output] = wide.mean(axis=1).reindex(order).to_numpy()
    table = rows.table[first].copy()
    if "barcodes" in table:
        table["barcodes"] = rows.table.groupby(names)["barcodes"].mean().reindex(order).to_numpy()
    return Rows(table, values, replicates)


def _with_sequences(path: Path, rows: Rows, file: Path, account: Account) -> Rows:
    """Join sequences by id; ids without a sequence are left out, with three of each side in the message if all are."""
    of_id: dict[str, str] = {}
    for piece in sequence_files.read_pieces(file):
        for name, text, line in zip(piece.ids, piece.sequences, piece.lines, strict=True):
            if of_id.setdefault(name, text) != text:
                raise BadInput(f"{file}, line {line}: {name!r} is the id of two sequences; ids must be unique.")
    texts = rows.table["id"].map(of_id)
    absent = texts.isna().to_numpy()
    if absent.all():
        ours, theirs = rows.table["id"].iloc[:3].tolist(), list(of_id)[:3]
        raise BadInput(f"{path}: none of its ids is in {file}; they are {ours} here and {theirs} there.")
    if absent.any():
        first = rows.table["id"][absent].iloc[0]
        account.leave_out("rows", absent.sum(), f"without a sequence in {file.name}", repr(first))
    return Rows(rows.table.assign(seq=texts.fillna("")), rows.values, rows.replicates).take(~absent)


def _usable(path: Path, config: AssayConfig, rows: Rows, account: Account) -> Rows:
    """Leave out rows without all values, with few barcodes, without a sequence, and exact copies."""

    def without(rows: Rows, drop: np.ndarray, reason: str) -> Rows:
        first = f"line {rows.table.index[drop][0]}" if drop.any() else ""
        account.leave_out("rows", int(drop.sum()), reason, first)
        return rows.take(~drop)

    missing = np.isnan(np.stack(list(rows.values.values()), axis=1)).any(axis=1)
    rows = without(rows, missing, "without a value of every output")
    if "barcodes" in rows.table and config.min_barcodes:
        few = ~(rows.table["barcodes"] >= config.min_barcodes).to_numpy()
        rows = without(rows, few, f"fewer than {config.min_barcodes} barcodes")
    rows = without(rows, (rows.table["seq"] == "").to_numpy(), "without a sequence")
    if not len(rows.table):
        raise BadInput(f"{path}: no row is left to train on: {' '.join(map(str, account.left_out))}")
    upper = rows.table["seq"].str.upper()
    if (rna := upper.str.contains("U")).any():
        account.notes.append(f"{rna.sum():,} sequences are RNA; U was read as T.")
    rows = Rows(rows.table.assign(seq=upper.str.replace("U", "T")), rows.values, rows.replicates)
    key = rows.table[["id", "seq"]].assign(**rows.values)
    rows = without(rows, key.duplicated().to_numpy(), "an earlier row is the same")
    if config.id and (again := rows.table["id"].duplicated()).any():
        line, name = rows.table.index[again][0], rows.table["id"][again].iloc[0]
        raise BadInput(
            f"{path}, line {line}: id {name!r} appears again with another sequence or value ({again.sum():,} such rows)"
            ". Ids must be unique; a table with a row per replicate needs `replicate: COLUMN`."
        )
    return rows


def _encoded(path: Path, table: pd.DataFrame, config: AssayConfig, notes: list[str]) -> tuple[np.ndarray, slice]:
    """Encode sequences, padded with N to one length; return what orientations turn, between the adapters."""
    texts = table["seq"].tolist()
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    seq_len = config.length or int(lengths.max())
    if (lengths > seq_len).any():
        line = table.index[int(np.flatnonzero(lengths > seq_len)[0])]
        raise BadInput(
            f"{path}, line {line}: at most {seq_len} bp expected (length), got {lengths[lengths > seq_len][0]}."
        )
    if short := int((lengths < seq_len).sum()):
        notes.append(
            f"{short:,} sequences of {lengths.min()} bp or more are padded with N to {seq_len} bp, half on either side."
        )
    left, right = (end.upper() for end in config.adapters)
    lacking = [not (text.startswith(left) and text.endswith(right)) for text in texts]
    if any(lacking):
        line = table.index[lacking.index(True)]
        raise BadInput(
            f"{path}, line {line}: the adapters {left or '-'} and {right or '-'} are expected at the ends of every "
            f"sequence ({sum(lacking):,} rows lack them). Correct `adapters`, or leave it out."
        )
    if note := sequences.ambiguity_note(texts, table.index):
        notes.append(note)
    try:
        codes = pad(texts, seq_len)
    except sequences.SequenceError as error:
        raise BadInput(f"{path}, line {table.index[error.row]}, column {config.sequence!r}: {error.reason}.") from None
    insert = slice(len(left), seq_len - len(right)) if (lengths == seq_len).all() else slice(0, seq_len)
    return codes, insert


def pad(texts: Sequence[str], seq_len: int) -> np.ndarray:
    """Encode sequences with N on both sides, the larger half on the right; (n, seq_len) uint8.

    >>> sequences.decode(pad(["ACG", "AC"], 4))
    ['ACGN', 'NACN']

    Raises
    ------
    SequenceError
        For the first sequence that is longer, empty, or has a letter that stands for no base.
    """
    padded = []
    for row, text in enumerate(texts):
        if not 0 < len(text) <= seq_len:
            raise sequences.SequenceError(row, f"1 to {seq_len} bp expected, got {len(text)}")
        before = (seq_len - len(text)) // 2
        padded.append("N" * before + text.replace("U", "T").replace("u", "t") + "N" * (seq_len - len(text) - before))
    return sequences.encode(padded, seq_len)


def _turned(texts: list[str], config: AssayConfig, seq_len: int) -> np.ndarray:
    """Encode every sequence in its other orientation between the adapters, padded as in the table."""
    left, right = (len(end) for end in config.adapters)
    turned = []
    for text in texts:
        end = len(text) - right
        turned.append(text[:left] + text[left:end].translate(_COMPLEMENT)[::-1] + text[end:])
    return pad(turned, seq_len)


def _meta(
    path: Path, table: pd.DataFrame, codes: np.ndarray, turned: np.ndarray, insert: slice, notes: list[str]
) -> pd.DataFrame:
    by_sequence, is_larger = sequences.canonical_groups(codes, turned)
    found = orientations.Strands(np.zeros(len(codes), dtype=np.uint8), None)
    if "strand" in table:
        found = orientations.Strands(table["strand"].to_numpy(dtype=np.uint8), None)
    elif len(set(table["seq"].str.len())) == 1:
        found = orientations.of_ids(path, table["id"], codes, insert)
    notes += found.notes
    stems = pd.factorize(table["id"].str.replace(_ALLELE, "", regex=True))[0]
    groupings = [by_sequence, stems, *([found.element] if found.element is not None else [])]
    if "group" in table:
        groupings.append(pd.factorize(table["group"])[0])
    orientation = found.is_reverse if found.element is not None else is_larger
    return pd.DataFrame(
        {
            "seq_id": table["id"].to_numpy(dtype=object),
            "is_reverse": found.is_reverse,
            "group": splits.joined_groups(*groupings),
            "element": found.element if found.element is not None else by_sequence,
            "orientation": orientation.astype(np.uint8),
        }
    )


def _folds(
    path: Path,
    table: pd.DataFrame,
    meta: pd.DataFrame,
    config: AssayConfig,
    *,
    split: str,
    refold: bool,
    seed: int,
    notes: list[str],
) -> np.ndarray:
    groups = meta["group"].to_numpy()
    if split == "column" and not refold:
        return _given_folds(path, table, groups, config, notes)
    if split == "chromosomes":
        return _chromosome_folds(path, table, groups, config, notes)
    if (n := len(np.unique(groups))) < config.n_folds:
        raise BadInput(f"{path} has {n} groups; {config.n_folds} folds need at least {config.n_folds}.")
    notes.append(f"{config.n_folds} folds were drawn by group (seed {seed}).")
    return splits.assign_folds(groups, config.n_folds, seed=seed)


def _given_folds(
    path: Path, table: pd.DataFrame, groups: np.ndarray, config: AssayConfig, notes: list[str]
) -> np.ndarray:
    if "fold" not in table:
        raise BadInput("split: column needs `fold: COLUMN` in assay.yaml.")
    folds = tables.numbers(path, table.rename(columns={"fold": config.fold}), config.fold, whole=True)
    folds = folds - folds.min()
    n = len(np.unique(folds))
    if not 3 <= n <= _MAX_FOLDS:
        raise BadInput(f"{path}: column {config.fold!r} has {n} distinct values; 3 to {_MAX_FOLDS} folds are expected.")
    if parted := splits.n_parted(groups, folds):
        raise BadInput(
            f"{path}: column {config.fold!r} parts {parted:,} groups (orientations, alleles or equal sequences), so "
            "training and test would share them. Draw folds by group: split: groups, or --refold."
        )
    notes.append(f"The table's {n} folds were used.")
    return folds


def _chromosome_folds(
    path: Path, table: pd.DataFrame, groups: np.ndarray, config: AssayConfig, notes: list[str]
) -> np.ndarray:
    """Deal whole chromosomes into folds of near-equal numbers of rows; groups across chromosomes go with the first."""
    if "chromosome" not in table:
        raise BadInput("split: chromosomes needs `chromosome: COLUMN` in assay.yaml.")
    of_group = table["chromosome"].groupby(groups).transform("first")
    sizes = of_group.value_counts()
    n_folds = min(config.n_folds, len(sizes))
    if n_folds < 3:
        raise BadInput(
            f"{path}: column {config.chromosome!r} has {len(sizes)} chromosomes; three folds need as many at least."
        )
    load, fold_of = [0] * n_folds, {}
    for chromosome, n in sizes.items():
        fold_of[chromosome] = lightest = load.index(min(load))
        load[lightest] += int(n)
    if moved := int((of_group != table["chromosome"]).sum()):
        notes.append(f"{moved:,} rows share a group with a row on another chromosome, and its fold.")
    named = "; ".join(f"{k}: {', '.join(c for c, fold in fold_of.items() if fold == k)}" for k in range(n_folds))
    notes.append(f"Whole chromosomes were dealt into {n_folds} folds ({named}).")
    return of_group.map(fold_of).to_numpy(dtype=np.int64)
