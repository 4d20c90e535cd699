"""From the challenge's files to a Dataset: training rows streamed into a store of codes, the test set beside them.

Source: `prixfixe/autosome/` and `data/` of the challenge repository. The training table has two columns, sequence and
expression, no header, plain or gzip, 6.7 million lines. It is read once, in pieces, into `<file>.prepared/`: codes of
150 bp and the values as they are written there; later loads map that store into memory and verify its checksums.
"""

import errno
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from benchmarks.api import yeast_plasmid
from benchmarks.api.data import Dataset, Origin
from benchmarks.api.sequences import SequenceError, ambiguity_note, occur_in
from benchmarks.errors import BadInput
from benchmarks.io import checksums, columns, tables, text_tables, validated
from benchmarks.io.account import Account
from benchmarks.io.atomic import whole_folder
from benchmarks.io.columns import Role
from benchmarks.yeast import test_set
from benchmarks.yeast.test_set import TestSet

OUTPUT = "expression"
ALL_ROWS, TRAINING_ROWS, VALIDATION_ROWS = "train_sequences.txt", "train.txt", "val.txt"
"""The published training tables: all rows in one file, and the same rows cut into two."""
TRAINING_FILES = (ALL_ROWS, TRAINING_ROWS, "random_promoters_dream_demo.tsv")
"""Names of training tables looked for in a folder, each plain or .gz; the first that is there is used."""

N_LINES = 500_000
"""Lines that are read and encoded at a time: about 200 MB while they are text."""

COLUMNS = (
    columns.SEQUENCE,
    Role("value", ("expression", "activity", "value", "mean_value"), "expression", required=True, asks=True),
)
"""What a column of a training table holds; see `columns`."""
STORE_VERSION = 1
N_FOLDS = 10
NEVER_VALIDATES = N_FOLDS
"""Fold of the training rows of a published split."""
TRAIN, TEST, DROPPED = 0, 1, 2
"""Values of `meta["part"]`. Dropped rows occur in the test set as well; nothing trains on them."""


@dataclass(frozen=True)
class TrainingTable:
    """Codes (n, 150) uint8, maybe memory-mapped, and measured bins (n,) float64; and what was read of their file."""

    codes: np.ndarray
    expression: np.ndarray
    says: tuple[str, ...] = ()
    account: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.expression)


def training_file(folder: Path) -> Path:
    """Find the training table of a folder.

    Raises
    ------
    BadInput
        If there is none by a known name.
    """
    for name in TRAINING_FILES:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise BadInput(f"{folder} holds no training table: {', '.join(TRAINING_FILES)}, plain or .gz, are looked for.")


def validation_file(file: Path) -> Path | None:
    """Find the validation rows that belong to a training table: `val.txt` beside `train.txt`, plain or .gz."""
    if file.name not in (TRAINING_ROWS, f"{TRAINING_ROWS}.gz"):
        return None
    beside = (file.with_name(VALIDATION_ROWS), file.with_name(f"{VALIDATION_ROWS}.gz"))
    return next((path for path in beside if path.is_file()), None)


def read_training(file: Path, given: Mapping[str, str] | None = None) -> TrainingTable:
    """Read a training table, from its store if that is there and belongs to the file as it is now.

    `given` is what the user says of the columns: one of `COLUMNS` -> name of the column.

    Raises
    ------
    BadInput
        For anything wrong in the file, naming line and value.
    """
    if not file.is_file():
        raise BadInput(f"No training table at {file}.")
    store = file.with_name(f"{file.name}.prepared")
    if _is_of(store, file, given):
        return _opened(store)
    try:
        with whole_folder(store, replace=True) as new:
            _write_store(file, new, given)
        return _opened(store)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    with tempfile.TemporaryDirectory() as elsewhere:  # the folder of the data cannot be written to: nothing is kept
        _write_store(file, Path(elsewhere), given)
        mapped = _opened(Path(elsewhere))
        return replace(mapped, codes=np.array(mapped.codes), expression=np.array(mapped.expression))


def _about(file: Path, given: Mapping[str, str] | None) -> dict:
    stat = file.stat()
    of_file = {"source": file.name, "bytes": stat.st_size, "modified_ns": stat.st_mtime_ns}
    return {"version": STORE_VERSION, **of_file, "columns": dict(given) if given else None}


def _is_of(store: Path, file: Path, given: Mapping[str, str] | None) -> bool:
    """Tell whether a store was made from a file as it is now, and is whole."""
    try:
        stored = validated.read_json(store / "prepared.json", _Prepared, recovery_hint="it is made again")
    except (OSError, BadInput):
        return False
    about = _about(file, given)
    fits = {key: stored.get(key) for key in about} == about and checksums.problem(store) is None
    sizes = {"codes.u8": yeast_plasmid.SEQ_LEN * stored["rows"], "expression.f8": 8 * stored["rows"]}
    return fits and stored["rows"] > 0 and all((store / name).stat().st_size == size for name, size in sizes.items())


class _Prepared(TypedDict):
    """prepared.json of the store: of which file it is, and how long."""

    rows: int


def _opened(store: Path) -> TrainingTable:
    about = json.loads((store / "prepared.json").read_text())
    n = about["rows"]
    codes = np.memmap(store / "codes.u8", dtype=np.uint8, mode="r", shape=(n, yeast_plasmid.SEQ_LEN))
    expression = np.memmap(store / "expression.f8", dtype="<f8", mode="r", shape=(n,))
    return TrainingTable(codes, expression, tuple(about.get("says", ())), about.get("account", {}))


def _write_store(file: Path, folder: Path, given: Mapping[str, str] | None) -> None:
    about, n = _about(file, given), 0
    account = Account(file.name)
    with (folder / "codes.u8").open("wb") as codes, (folder / "expression.f8").open("wb") as expression:
        for piece in read_pieces(file, given=given, account=account):
            codes.write(piece.codes)
            expression.write(piece.expression.astype("<f8"))
            n += len(piece)
    if n == 0:
        raise BadInput(f"{file} is empty; a sequence and its expression per line are expected.")
    says = {"says": account.sentences(), "account": account.to_dict()}
    (folder / "prepared.json").write_text(json.dumps(about | {"rows": n} | says))
    checksums.write(folder)


def read_pieces(
    file: Path, n_lines: int = N_LINES, *, given: Mapping[str, str] | None = None, account: Account | None = None
) -> Iterator[TrainingTable]:
    """Read a training table in pieces: sequence and expression, in that order without a header, or by their names.

    Parameters
    ----------
    given
        What the user says of the columns: one of `COLUMNS` -> name of the column.
    account
        Filled with what was read.

    Raises
    ------
    BadInput
        For the first line that is not a row of the challenge; for a damaged gzip or a binary file.
    """
    given, account = given or {}, account or Account(file.name)
    if file.is_file() and tables.is_parquet(file):
        account.format = "a parquet table"
        rows_of_parquet = tables.parquet_rows(file)
        batches = columns.in_batches(
            file, rows_of_parquet, n_lines, COLUMNS, given, account, by_place=_by_place, has_names=True
        )
        for table, found in batches:
            yield _encoded(file, table, found, account)
        return
    with text_tables.open_rows(file) as rows:
        account.format = str(rows.form)
        for table, found in columns.in_batches(file, rows, n_lines, COLUMNS, given, account, by_place=_by_place):
            yield _encoded(file, table, found, account)
        account.leave_out("lines", len(rows.comments), "comments, which begin with '#'")


def _by_place(file: Path, table: pd.DataFrame) -> dict[str, str]:
    if table.shape[1] < 2:
        raise BadInput(
            f"{file}, line {table.index[0]}: sequence and expression, separated by a tab, are expected; got 1 column."
        )
    return {"sequence": "1", "value": "2"}


def _encoded(file: Path, table: pd.DataFrame, found: Mapping[str, str], account: Account) -> TrainingTable:
    expression = tables.numbers(file, table, found["value"])
    rows = tables.required_text(file, table, found["sequence"]).tolist()
    try:
        codes = yeast_plasmid.construct(rows)
    except SequenceError as error:
        raise BadInput(f"{file}, line {table.index[error.row]}: {error.reason}.") from None
    for note in (yeast_plasmid.flank_note(rows), ambiguity_note(rows, table.index)):
        if note:
            account.notes.append(note)
    account.numbers["rows"] = account.numbers.get("rows", 0) + len(rows)
    return TrainingTable(codes, expression)


def dataset(
    name: str,
    train: TrainingTable,
    test: TestSet,
    *,
    origin: Origin,
    seed: int,
    notes: tuple[str, ...] = (),
    ceilings: tuple[dict, ...] = (),
    validation: TrainingTable | None = None,
    refold: bool = False,
) -> Dataset:
    """Put training rows and the designed test set into one dataset.

    `meta` has `seq_id` (row number in the file a row is from), `part` (TRAIN, TEST, DROPPED), `fold` (0 to 9, -1 in the
    test set; a 90/10 split takes one of them for validation; with published validation rows these are fold 0 and the
    others `NEVER_VALIDATES`), `is_singleton` (a training value that is a whole number,
    as of a promoter seen once; 0 in the test set) and `is_reverse` (0: reverse copies are made in training). The
    subsets of the test set are in `tables`. Values are bins (0 to 17) in training rows and, on another scale, MAUDE
    expression in the test set.

    Parameters
    ----------
    seed
        Of the folds.
    validation, refold
        The rows that validate, where a split is published, and whether folds are drawn all the same.
    """
    if validation is not None:
        return _with_published_split(
            name, train, validation, test, seed if refold else None, origin=origin, notes=notes, ceilings=ceilings
        )
    fold = np.random.default_rng(seed).permutation(len(train)) % N_FOLDS
    return _assembled(name, train, fold, test, origin=origin, notes=notes, ceilings=ceilings)


def _with_published_split(
    name: str, train: TrainingTable, validation: TrainingTable, test: TestSet, seed: int | None, **more: Any
) -> Dataset:
    """Put the two published tables together; with a seed, folds are drawn from the rows of both.

    Ids go on in the second table, so that a row of it has its number there plus the rows of the first.
    """
    both = TrainingTable(
        np.concatenate([train.codes, validation.codes]),
        np.concatenate([train.expression, validation.expression]),
        (*train.says, *validation.says),
        train.account,
    )
    if seed is not None:
        fold = np.random.default_rng(seed).permutation(len(both)) % N_FOLDS
    else:
        fold = np.r_[np.full(len(train), NEVER_VALIDATES), np.zeros(len(validation), dtype=int)]
        said = f"{len(validation):,} rows of {VALIDATION_ROWS} validate: the published split."
        more["notes"] = (*more["notes"], said)
    made = _assembled(name, both, fold, test, **more)
    return replace(made, accounts=tuple(filter(None, (train.account, validation.account))))


def _assembled(
    name: str,
    train: TrainingTable,
    fold: np.ndarray,
    test: TestSet,
    *,
    origin: Origin,
    notes: tuple[str, ...],
    ceilings: tuple[dict, ...],
) -> Dataset:
    """Put training rows with their folds and the test set into one dataset; see `dataset`."""
    test_codes = yeast_plasmid.construct(test.sequences.tolist())
    n, n_test = len(train), len(test)
    in_test = occur_in(train.codes, test_codes)
    if in_test.all():
        raise BadInput(
            f"All {n:,} training rows of {name} occur in the test set and would be dropped; train on another library."
        )
    singleton = train.expression == np.floor(train.expression)
    meta = pd.DataFrame(
        {
            "seq_id": np.r_[np.arange(n), np.arange(n_test)],
            "part": np.r_[np.where(in_test, DROPPED, TRAIN), np.full(n_test, TEST)].astype(np.int8),
            "fold": np.r_[fold, np.full(n_test, -1)].astype(np.int8),
            "is_singleton": np.r_[singleton, np.zeros(n_test, dtype=bool)].astype(np.int8),
            "is_reverse": np.zeros(n + n_test, dtype=np.int8),
            "is_public": np.r_[np.zeros(n, dtype=bool), test.is_public],
        }
    )
    outside = int(((train.expression < 0) | (train.expression > yeast_plasmid.N_BINS - 1)).sum())
    facts = [f"{n:,} training rows, {singleton.mean():.0%} of them singletons; {n_test:,} designed test sequences."]
    if in_test.any():
        facts.append(f"{in_test.sum():,} training rows occur in the test set and were dropped.")
    if outside:
        facts.append(f"{outside:,} training values lie outside the bins 0 to {yeast_plasmid.N_BINS - 1}.")
    return Dataset(
        name,
        np.concatenate([train.codes, test_codes]),
        {OUTPUT: np.concatenate([train.expression, test.y_true])},
        meta,
        origin,
        ceilings=ceilings,
        notes=(*train.says, *notes, *facts, *test.notes),
        tables=test_set.to_tables(test),
        accounts=(train.account,) if train.account else (),
    )
