"""Reference and alternative sequences: read from four kinds of tables; predicted effects against measured ones.

seq_ref, seq_alt; or seq_id, position, alt of given sequences; or alt_pos, ref_pos, row numbers of given sequences (the
pairs of the yeast challenge); or Chromosome, Position, Ref, Alt, Value, Element (saturation mutagenesis).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.metrics import pearson_r, spearman_rho
from benchmarks.api.sequences import SequenceError
from benchmarks.engine.inference.mutagenesis import of_codes
from benchmarks.errors import BadInput
from benchmarks.io import tables

COLUMNS = ["seq_id", "group", "seq_ref", "seq_alt", "measured"]
LAYOUTS = (
    "seq_ref, seq_alt; seq_id, position, alt (with --input); alt_pos, ref_pos (row numbers of --input); or Chromosome, "
    "Position, Ref, Alt, Value, Element"
)
MEASURED = ("measured", "Value", "maude_expression", "mean_value", "expression")
"""Columns that hold measured values or, in tables of pairs, measured differences."""
PIECE = 65_536


def read(file: Path, sequences: Path | None = None, *, element_len: int | None = None) -> pd.DataFrame:
    """Read a table of pairs; columns `COLUMNS`, `measured` the difference alternative minus reference, or NaN.

    Parameters
    ----------
    sequences
        Table of the sequences that a table of pairs refers to, with `seq` (or `sequence`), `seq_id` and a value.
    element_len
        bp around a variant that are predicted, for saturation mutagenesis; None: such tables are refused.

    Raises
    ------
    BadInput
        For any other layout, and for whatever is wrong in a line.
    """
    table = tables.read_headed(file)
    if {"seq_ref", "seq_alt"} <= set(table):
        found = pd.DataFrame({name: tables.required_text(file, table, name) for name in ("seq_ref", "seq_alt")})
        found["measured"] = _measured(file, table)
    elif {"Position", "Ref", "Alt", "Element"} <= set(table):
        return _saturation(file, table, element_len)
    elif {"alt_pos", "ref_pos"} <= set(table) or {"seq_id", "position", "alt"} <= set(table):
        if sequences is None:
            raise BadInput(f"{file} names sequences by their number or id; give their table with --input.")
        given = tables.read_headed(sequences)
        column = next((name for name in tables.SEQUENCE_COLUMNS if name in given), None)
        if column is None:
            raise BadInput(f"{sequences}: a column seq or sequence is expected; its columns are {', '.join(given)}.")
        given["seq"] = tables.required_text(sequences, given, column)
        by_number = {"alt_pos", "ref_pos"} <= set(table)
        found = _by_number(file, table, sequences, given) if by_number else _by_position(file, table, sequences, given)
    else:
        raise BadInput(f"{file}: no layout of pairs; expected {LAYOUTS}. Its columns are {', '.join(table)}.")
    found["group"] = table.get("subset", table.get("group", pd.Series("", index=table.index))).fillna("")
    if "seq_id" not in found:
        found["seq_id"] = table["seq_id"] if "seq_id" in table else [str(i) for i in range(len(table))]
    return found[COLUMNS].reset_index(drop=True).assign(lines=table.index)


def _measured(file: Path, table: pd.DataFrame) -> np.ndarray:
    column = next((name for name in MEASURED if name in table), None)
    values = np.full(len(table), np.nan)
    if column:
        given = table[column].notna().to_numpy()  # a table may be measured in part
        values[given] = tables.numbers(file, table[given], column)
    return values


def _by_number(file: Path, table: pd.DataFrame, source: Path, given: pd.DataFrame) -> pd.DataFrame:
    rows = {name: tables.numbers(file, table, name, whole=True) for name in ("alt_pos", "ref_pos")}
    for name, numbers in rows.items():
        wrong = np.flatnonzero((numbers < 0) | (numbers >= len(given)))
        if wrong.size:
            raise BadInput(
                f"{file}, line {table.index[wrong[0]]}, column {name!r}: a row number from 0 to {len(given) - 1:,} of "
                f"{source} expected, got {numbers[wrong[0]]}."
            )
    values, seq = _measured(source, given), given["seq"].to_numpy()
    return pd.DataFrame(
        {
            "seq_ref": seq[rows["ref_pos"]],
            "seq_alt": seq[rows["alt_pos"]],
            "measured": values[rows["alt_pos"]] - values[rows["ref_pos"]],
            "seq_id": [f"{alt}_{ref}" for alt, ref in zip(rows["alt_pos"], rows["ref_pos"], strict=True)],
        },
        index=table.index,
    )


def _by_position(file: Path, table: pd.DataFrame, source: Path, given: pd.DataFrame) -> pd.DataFrame:
    id_column = next((name for name in tables.ID_COLUMNS if name in given), None)
    if id_column is None:
        raise BadInput(f"{source}: a column seq_id is expected; its columns are {', '.join(given)}.")
    by_id = dict(zip(given[id_column], given["seq"], strict=True))
    positions = tables.numbers(file, table, "position", whole=True)
    alternatives = tables.required_text(file, table, "alt").str.upper()
    found = []
    for line, name, at, alt, ref in zip(
        table.index, table["seq_id"], positions, alternatives, table.get("ref", [None] * len(table)), strict=True
    ):
        where = f"{file}, line {line}"
        if name not in by_id:
            raise BadInput(f"{where}: {source} has no sequence {name!r}.")
        text = by_id[name]
        if not 1 <= at <= len(text):
            raise BadInput(f"{where}: a position from 1 to {len(text)} of {name!r} expected, got {at}.")
        if len(alt) != 1 or alt not in "ACGT":
            raise BadInput(f"{where}, column 'alt': one of A, C, G, T expected, got {alt!r}.")
        here = text[at - 1].upper()
        if isinstance(ref, str) and ref.upper() != here:
            raise BadInput(f"{where}, column 'ref': {name!r} has {here} at position {at}, not {ref!r}.")
        found.append((text, text[: at - 1] + alt + text[at:], f"{name}:{at}{here}>{alt}"))
    result = pd.DataFrame(found, columns=["seq_ref", "seq_alt", "seq_id"], index=table.index)
    return result.assign(measured=_measured(file, table))


def _saturation(file: Path, table: pd.DataFrame, element_len: int | None) -> pd.DataFrame:
    """Cut a window around every substitution out of its element, which is its references side by side.

    Deletions, elements with a gap and elements shorter than a window are left out.
    """
    if element_len is None:
        raise BadInput(f"{file} is of saturation mutagenesis in human elements; models of human_mpra can predict it.")
    positions, values = tables.numbers(file, table, "Position", whole=True), _measured(file, table)
    table = table.assign(at=positions, value=values)
    found = []
    for element, part in table.groupby("Element", sort=False):
        bases = part.drop_duplicates("at").sort_values("at")
        first, text = int(bases["at"].iloc[0]), "".join(bases["Ref"])
        if len(text) != int(bases["at"].iloc[-1]) - first + 1 or len(text) < element_len:
            continue
        for line, row in part[part["Alt"].isin(list("ACGT"))].iterrows():
            here = int(row["at"]) - first
            start = min(max(here - element_len // 2, 0), len(text) - element_len)
            window = text[start : start + element_len]
            changed = window[: here - start] + row["Alt"] + window[here - start + 1 :]
            found.append(
                (f"{element}:{row['at']}{row['Ref']}>{row['Alt']}", element, window, changed, row["value"], line)
            )
    if not found:
        raise BadInput(f"{file}: no element of {element_len} bp or more without a gap, so nothing to predict.")
    return pd.DataFrame(found, columns=[*COLUMNS, "lines"])


def predict(model: Any, spec: TaskSpec, encode: Any, pairs: pd.DataFrame, source: Path, on_done: Any) -> pd.DataFrame:
    """Predict both sequences of every pair, each distinct sequence once; output, reference, alternative, difference.

    Raises
    ------
    BadInput
        For the first sequence that cannot be encoded, naming its line.
    """
    both = pd.concat([pairs["seq_ref"], pairs["seq_alt"]], ignore_index=True)
    which, distinct = pd.factorize(both)
    try:
        data: Dataset = of_codes(encode(list(distinct)), spec)
    except SequenceError as error:
        line = pairs["lines"].iloc[int(np.flatnonzero(which == error.row)[0]) % len(pairs)]
        raise BadInput(f"{source}, line {line}: {error.reason}.") from None
    parts = []
    for start in range(0, len(data), PIECE):
        stop = min(start + PIECE, len(data))
        parts.append(model.predict(data.take(np.arange(start, stop))))
        on_done(stop)
    found = []
    for output in (name for name, values in parts[0].items() if values.ndim == 1):
        values = np.concatenate([part[output] for part in parts])[which].astype(np.float64)
        ref, alt = values[: len(pairs)], values[len(pairs) :]
        columns = {"output": output, "reference": ref, "alternative": alt, "difference": alt - ref}
        found.append(pairs[["seq_id", "group"]].assign(**columns, measured=pairs["measured"]))
    return pd.concat(found, ignore_index=True)


def correlations(effects: pd.DataFrame) -> pd.DataFrame:
    """Correlate predicted with measured differences, per model, output and group, and over all groups together."""
    rows = []
    for (model, output), part in effects.groupby(["model", "output"], sort=False):
        several = len(set(part["group"])) > 1
        for group, some in [("all", part), *(part.groupby("group", sort=False) if several else ())]:
            some = some.dropna(subset="measured")
            if len(some) > 1:
                y_true, y_pred = some["measured"].to_numpy(), some["difference"].to_numpy()
                rows.append((model, output, group, len(some), pearson_r(y_true, y_pred), spearman_rho(y_true, y_pred)))
    return pd.DataFrame(rows, columns=["model", "output", "group", "n", "pearson_r", "spearman_rho"])
