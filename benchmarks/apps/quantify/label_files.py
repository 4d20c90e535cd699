"""The label files of a quantified library: those that the yeast task reads, and the same with errors and counts."""

import contextlib
import gzip
import json
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from benchmarks.api import yeast_plasmid
from benchmarks.apps.quantify.estimators import INTERVAL, Estimates
from benchmarks.errors import BadInput
from benchmarks.io import tables
from benchmarks.io.atomic import whole_file
from benchmarks.io.system_files import contents

TRAIN, TEST = "train.txt", "filtered_test_data_with_MAUDE_expression.txt"
"""Files that the yeast task reads: training rows and the designed test set, two columns without a header."""
PROMOTERS, DESIGNED = "promoters.tsv.gz", "designed.tsv.gz"
LABELS = (TRAIN, TEST, PROMOTERS, DESIGNED)


def write_table(path: Path, table: pd.DataFrame, *, header: bool = True, digits: int = 6) -> None:
    """Write a tab-separated table, gzip by its name, under another name, and rename it into place.

    Labels to train on need more `digits`: rounded to a whole number, one of several bins would be read as a singleton.
    """
    with whole_file(path) as unfinished, unfinished.open("wb") as file, contextlib.ExitStack() as stack:
        # No name and no time of day in the gzip header: the same table is the same file.
        stream: IO[bytes] = file
        if path.suffix == ".gz":
            stream = stack.enter_context(gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0))
        table.to_csv(stream, sep="\t", index=False, header=header, float_format=f"%.{digits}g", lineterminator="\n")


def estimates_table(estimates: Estimates) -> pd.DataFrame:
    """Return expression, its standard error and 95 % interval, and the cells behind them."""
    value, se = estimates.value, estimates.se
    return pd.DataFrame(
        {
            "expression": value, "se": se, "ci_low": value - INTERVAL * se, "ci_high": value + INTERVAL * se,
            "n_cells": estimates.n_cells,
        }
    )  # fmt: skip


def trainable(sequences: pd.Series) -> np.ndarray:
    """Tell which promoters the yeast task can place in its plasmid: 30 to 150 bases; (n,) bool."""
    return sequences.str.len().between(yeast_plasmid.MIN_ROW, yeast_plasmid.MAX_ROW).to_numpy()


def write_subsets(source: Path, target: Path, has_label: np.ndarray) -> int:
    """Copy subset files, renumbered for a test set without the oligos that have no label.

    Rows and pairs that name such an oligo are left out. Returns how many.

    Parameters
    ----------
    source
        Folder with `test_subset_ids/*.csv` and, maybe, `public_leaderboard_ids/*.json`, as the challenge has them.
    has_label
        (n,) bool of all designed oligos.

    Raises
    ------
    BadInput
        For a folder without subset files, or a position that no oligo has.
    """
    wanted = (("test_subset_ids", ".csv"), ("public_leaderboard_ids", ".json"))
    folders = [(source / name, ending) for name, ending in wanted if (source / name).is_dir()]
    files = [file for folder, ending in folders for file in contents(folder) if file.suffix == ending]
    if not files:
        raise BadInput(f"--subsets: {source} holds no test_subset_ids/*.csv.")
    place = np.where(has_label, np.cumsum(has_label) - 1, -1)
    texts, n_left_out = {}, 0
    for file in files:
        text, n = (_renumbered_csv if file.suffix == ".csv" else _renumbered_json)(file, place)
        texts[file] = text
        n_left_out += n
    for file, text in texts.items():
        folder = target / file.parent.name
        folder.mkdir(exist_ok=True)
        (folder / file.name).write_text(text, encoding="utf-8")
    return n_left_out


def _renumbered_csv(file: Path, place: np.ndarray) -> tuple[str, int]:
    cells = tables.read_cells(file)
    table = cells.iloc[1:].copy()
    table.columns = cells.iloc[0]
    columns = [name for name in ("pos", "alt_pos", "ref_pos") if name in table]
    if not columns:
        raise BadInput(f"{file}: a column pos, or alt_pos and ref_pos, is expected.")
    complete = np.ones(len(table), dtype=bool)
    for name in columns:
        old = tables.numbers(file, table, name, whole=True)
        wrong = np.flatnonzero((old < 0) | (old >= len(place)))
        if wrong.size:
            raise BadInput(
                f"{file}, line {table.index[wrong[0]]}, column {name!r}: a row number from 0 to {len(place) - 1:,} "
                f"expected, got {old[wrong[0]]}."
            )
        table[name] = place[old]
        complete &= place[old] >= 0
    return table[complete].to_csv(index=False), int((~complete).sum())


def _renumbered_json(file: Path, place: np.ndarray) -> tuple[str, int]:
    try:
        old = json.loads(file.read_text(encoding="utf-8"))
        keys = [[int(part) for part in key.strip("()[] ").split(",")] for key in old]
    except (ValueError, TypeError, AttributeError):
        raise BadInput(f"{file}: a JSON object with positions, or pairs of them, as keys is expected.") from None
    if any(not 0 <= i < len(place) for key in keys for i in key):
        raise BadInput(f"{file}: row numbers from 0 to {len(place) - 1:,} are expected as keys.")
    moved = {
        ",".join(str(place[i]) for i in key): value
        for key, value in zip(keys, old.values(), strict=True)
        if all(place[i] >= 0 for i in key)
    }
    return json.dumps(moved), len(old) - len(moved)
