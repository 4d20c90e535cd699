"""From the challenge's files to a Dataset: training rows streamed into a store of codes, the test set beside them.

Source: `prixfixe/autosome/` and `data/` of the challenge repository. The training table has two columns, sequence and
expression, no header, plain or gzip, 6.7 million lines. It is read once, in pieces, into `<file>.prepared/`: codes of
150 bp and the values as they are written there; later loads map that store into memory and verify its checksums.
"""

import errno
import gzip
import itertools
import json
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd

from benchmarks.api import yeast_plasmid
from benchmarks.api.data import Dataset, Origin
from benchmarks.api.sequences import SequenceError, occur_in
from benchmarks.errors import BadInput
from benchmarks.io import checksums, tables, validated
from benchmarks.io.atomic import whole_folder
from benchmarks.yeast import test_set
from benchmarks.yeast.test_set import TestSet

OUTPUT = "expression"
TRAINING_FILES = ("train_sequences.txt", "train.txt", "random_promoters_dream_demo.tsv")
"""Names of training tables looked for in a folder, each plain or .gz; the first that is there is used."""

N_LINES = 500_000
"""Lines that are read and encoded at a time: about 200 MB while they are text."""

STORE_VERSION = 1
N_FOLDS = 10
TRAIN, TEST, DROPPED = 0, 1, 2
"""Values of `meta["part"]`. Dropped rows occur in the test set as well; nothing trains on them."""


@dataclass(frozen=True)
class TrainingTable:
    """Codes (n, 150) uint8, maybe memory-mapped, and measured bins (n,) float64."""

    codes: np.ndarray
    expression: np.ndarray

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


def read_training(file: Path) -> TrainingTable:
    """Read a training table, from its store if that is there and belongs to the file as it is now.

    Raises
    ------
    BadInput
        For anything wrong in the file, naming line and value.
    """
    if not file.is_file():
        raise BadInput(f"No training table at {file}.")
    store = file.with_name(f"{file.name}.prepared")
    if _is_of(store, file):
        return _opened(store)
    try:
        with whole_folder(store, replace=True) as new:
            _write_store(file, new)
        return _opened(store)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    with tempfile.TemporaryDirectory() as elsewhere:  # the folder of the data cannot be written to: nothing is kept
        _write_store(file, Path(elsewhere))
        mapped = _opened(Path(elsewhere))
        return TrainingTable(np.array(mapped.codes), np.array(mapped.expression))


def _about(file: Path) -> dict:
    stat = file.stat()
    return {"version": STORE_VERSION, "source": file.name, "bytes": stat.st_size, "modified_ns": stat.st_mtime_ns}


def _is_of(store: Path, file: Path) -> bool:
    """Tell whether a store was made from a file as it is now, and is whole."""
    try:
        stored = validated.read_json(store / "prepared.json", _Prepared, recovery_hint="it is made again")
    except (OSError, BadInput):
        return False
    fits = {key: stored.get(key) for key in _about(file)} == _about(file) and checksums.problem(store) is None
    sizes = {"codes.u8": yeast_plasmid.SEQ_LEN * stored["rows"], "expression.f8": 8 * stored["rows"]}
    return fits and stored["rows"] > 0 and all((store / name).stat().st_size == size for name, size in sizes.items())


class _Prepared(TypedDict):
    """prepared.json of the store: of which file it is, and how long."""

    rows: int


def _opened(store: Path) -> TrainingTable:
    n = json.loads((store / "prepared.json").read_text())["rows"]
    codes = np.memmap(store / "codes.u8", dtype=np.uint8, mode="r", shape=(n, yeast_plasmid.SEQ_LEN))
    return TrainingTable(codes, np.memmap(store / "expression.f8", dtype="<f8", mode="r", shape=(n,)))


def _write_store(file: Path, folder: Path) -> None:
    about, n = _about(file), 0
    with (folder / "codes.u8").open("wb") as codes, (folder / "expression.f8").open("wb") as expression:
        for piece in read_pieces(file):
            codes.write(piece.codes)
            expression.write(piece.expression.astype("<f8"))
            n += len(piece)
    if n == 0:
        raise BadInput(f"{file} is empty; a sequence and its expression per line are expected.")
    (folder / "prepared.json").write_text(json.dumps(about | {"rows": n}))
    checksums.write(folder)


def read_pieces(file: Path, n_lines: int = N_LINES) -> Iterator[TrainingTable]:
    """Read a training table in pieces: two columns without a header, or with one that names `sequence, expression`.

    Raises
    ------
    BadInput
        For the first line that is not a row of the challenge; for a damaged gzip or a binary file.
    """
    try:
        with tables.open_text(file) as lines:
            columns, line_number = (0, 1), 1
            first = next(lines, "").rstrip("\r\n")
            header = [cell.strip().lower() for cell in first.split("\t")]
            if {"sequence", "expression"} <= set(header):
                columns, line_number = (header.index("sequence"), header.index("expression")), 2
            else:
                lines = itertools.chain([first], lines)
            while piece := list(itertools.islice(lines, n_lines)):
                yield _encoded(file, piece, columns, line_number)
                line_number += len(piece)
    except EOFError:
        raise BadInput(f"{file} is a truncated gzip file; copy or download it again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"{file} is a damaged gzip file ({error}); copy or download it again.") from None
    except UnicodeDecodeError:
        raise BadInput(f"{file} is a binary file; plain text or its gzip is expected.") from None


def _encoded(file: Path, lines: list[str], columns: tuple[int, int], first_line: int) -> TrainingTable:
    """Turn lines into codes and values; blank lines are passed over. Only what fails is looked into."""
    at_sequence, at_expression = columns
    cells = [line.rstrip("\r\n").split("\t") for line in lines if line.strip()]
    try:
        rows = [row[at_sequence] for row in cells]
        expression = np.array([row[at_expression] for row in cells], dtype=np.float64)
        if not np.isfinite(expression).all():
            raise ValueError
        return TrainingTable(yeast_plasmid.construct(rows), expression)
    except (ValueError, IndexError):
        raise BadInput(_first_problem(file, lines, columns, first_line)) from None


def _first_problem(file: Path, lines: list[str], columns: tuple[int, int], first_line: int) -> str:
    for number, line in enumerate(lines, start=first_line):
        row, where = line.rstrip("\r\n").split("\t"), f"{file}, line {number}"
        if not line.strip():
            continue
        if len(row) <= max(columns):
            return f"{where}: sequence and expression, separated by a tab, are expected; got {len(row)} column(s)."
        try:
            finite = np.isfinite(float(row[columns[1]]))
        except ValueError:
            finite = False
        if not finite:
            return f"{where}: a finite expression expected, got {row[columns[1]]!r}. Correct or remove the row."
        try:
            yeast_plasmid.construct([row[columns[0]]])
        except SequenceError as error:
            return f"{where}: {error.reason}."
    raise AssertionError("a piece that could not be read has a first line that cannot")


def dataset(
    name: str,
    train: TrainingTable,
    test: TestSet,
    *,
    origin: Origin,
    seed: int,
    notes: tuple[str, ...] = (),
    ceilings: tuple[dict, ...] = (),
) -> Dataset:
    """Put training rows and the designed test set into one dataset.

    `meta` has `seq_id` (row number in the file a row is from), `part` (TRAIN, TEST, DROPPED), `fold` (0 to 9, -1 in the
    test set; a 90/10 split takes one of them for validation), `is_singleton` (a training value that is a whole number,
    as of a promoter seen once; 0 in the test set) and `is_reverse` (0: reverse copies are made in training). The
    subsets of the test set are in `tables`. Values are bins (0 to 17) in training rows and, on another scale, MAUDE
    expression in the test set.

    Parameters
    ----------
    seed
        Of the folds.
    """
    test_codes = yeast_plasmid.construct(test.sequences.tolist())
    n, n_test = len(train), len(test)
    in_test = occur_in(train.codes, test_codes)
    if in_test.all():
        raise BadInput(
            f"All {n:,} training rows of {name} occur in the test set and would be dropped; train on another library."
        )
    singleton = train.expression == np.floor(train.expression)
    fold = np.random.default_rng(seed).permutation(n) % N_FOLDS
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
        notes=(*notes, *facts, *test.notes),
        tables=test_set.to_tables(test),
    )
