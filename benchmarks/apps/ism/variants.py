"""Read variants from four layouts of tables, predict their effects, and compare them with measured ones.

The layouts: seq_ref, seq_alt; or seq_id, position, alt of given sequences; or alt_pos, ref_pos, row numbers of given
sequences (the pairs of the yeast challenge); or Chromosome, Position, Ref, Alt, Value, Element (saturation
mutagenesis).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api.data import Dataset
from benchmarks.api.metrics import pearson_r, spearman_rho
from benchmarks.api.sequences import SequenceError
from benchmarks.api.task import HasElementLength, encode_for, supports
from benchmarks.engine.inference import load
from benchmarks.engine.inference.load import Trained
from benchmarks.engine.inference.mutagenesis import of_codes
from benchmarks.engine.reporting.console import bar
from benchmarks.errors import BadInput
from benchmarks.io import columns, tables
from benchmarks.io.account import Account

COLUMNS = ["seq_id", "group", "seq_ref", "seq_alt", "measured"]
LAYOUTS = (
    "seq_ref, seq_alt; seq_id, position, alt (with --input); alt_pos, ref_pos (row numbers of --input); or Chromosome, "
    "Position, Ref, Alt, Value, Element"
)
MEASURED = ("measured", "Value", "maude_expression", "mean_value", "expression")
"""Columns that hold measured values or, beside seq_ref and seq_alt, measured differences."""
PIECE = 65_536


def read(
    file: Path,
    sequences: Path | None = None,
    *,
    element_len: int | None = None,
    named: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Read a table of variants; columns `COLUMNS`, `measured` the difference alternative minus reference, or NaN.

    Parameters
    ----------
    sequences
        Table of the sequences that the variants refer to, with `seq` (or `sequence`), `seq_id` and a value.
    element_len
        bp around a variant that the model reads, for saturation mutagenesis; None: such tables are refused.
    named
        What the user says of the columns of `sequences`: `sequence` and `id` -> name of the column.

    Raises
    ------
    BadInput
        For any other layout, and for whatever is wrong in a line.
    """
    table = tables.read_headed(file)
    if {"seq_ref", "seq_alt"} <= set(table):
        variants = pd.DataFrame({name: tables.required_text(file, table, name) for name in ("seq_ref", "seq_alt")})
        variants["measured"] = _measured(file, table)
    elif {"Position", "Ref", "Alt", "Element"} <= set(table):
        return _saturation(file, table, element_len)
    elif {"alt_pos", "ref_pos"} <= set(table) or {"seq_id", "position", "alt"} <= set(table):
        if sequences is None:
            raise BadInput(f"{file} names sequences by their number or id; give their table with --input.")
        by_number = {"alt_pos", "ref_pos"} <= set(table)
        given = tables.read_headed(sequences)
        identified = dataclasses.replace(columns.ID, required=not by_number)
        found = columns.resolve(sequences, given, (columns.SEQUENCE, identified), named or {}, Account(sequences.name))
        given["seq"] = tables.required_text(sequences, given, found["sequence"])
        if "id" in found:
            given["id"] = tables.required_text(sequences, given, found["id"])
        variants = (_by_number if by_number else _by_position)(file, table, sequences, given)
    else:
        raise BadInput(f"{file}: unknown layout of variants; expected {LAYOUTS}. Its columns are {', '.join(table)}.")
    variants["group"] = table.get("subset", table.get("group", pd.Series("", index=table.index))).fillna("")
    if "seq_id" not in variants:
        variants["seq_id"] = table["seq_id"] if "seq_id" in table else [str(i) for i in range(len(table))]
    return variants[COLUMNS].reset_index(drop=True).assign(lines=table.index)


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
    by_id = _by_id(file, table, source, given)
    positions = tables.numbers(file, table, "position", whole=True)
    alternatives = tables.required_text(file, table, "alt").str.upper()
    rows = []
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
        rows.append((text, text[: at - 1] + alt + text[at:], f"{name}:{at}{here}>{alt}"))
    result = pd.DataFrame(rows, columns=["seq_ref", "seq_alt", "seq_id"], index=table.index)
    return result.assign(measured=_measured(file, table))


def _by_id(file: Path, table: pd.DataFrame, source: Path, given: pd.DataFrame) -> dict[str, str]:
    """Return the sequences by id; an id that variants name must have one sequence."""
    named = given[given["id"].isin(set(table["seq_id"].dropna()))].drop_duplicates(["id", "seq"])
    if (again := named["id"].duplicated(keep=False)).any():
        name = named["id"][again].iloc[0]
        lines = ", ".join(map(str, given.index[given["id"] == name][:6]))
        raise BadInput(
            f"{source}: {name!r}, which line {table.index[table['seq_id'] == name][0]} of {file} names, is the id of "
            f"several sequences (lines {lines}); give each an id of its own."
        )
    return dict(zip(given["id"], given["seq"], strict=True))


def _saturation(file: Path, table: pd.DataFrame, element_len: int | None) -> pd.DataFrame:
    """Extract a window around every substitution from its element, which is the references side by side.

    Deletions, elements with a gap and elements shorter than a window are left out.
    """
    if element_len is None:
        raise BadInput(f"{file} is of saturation mutagenesis in human elements; models of human_mpra can predict it.")
    positions, values = tables.numbers(file, table, "Position", whole=True), _measured(file, table)
    table = table.assign(at=positions, value=values)
    rows = []
    for element, part in table.groupby("Element", sort=False):
        bases = part.drop_duplicates("at").sort_values("at")
        first, text = int(bases["at"].iloc[0]), "".join(bases["Ref"]).upper()
        if len(text) != int(bases["at"].iloc[-1]) - first + 1 or len(text) < element_len:
            continue
        alternatives = part["Alt"].str.strip().str.upper()
        for line, row in part.assign(Alt=alternatives)[alternatives.isin(list("ACGT"))].iterrows():
            here = int(row["at"]) - first
            start = min(max(here - element_len // 2, 0), len(text) - element_len)
            window = text[start : start + element_len]
            changed = window[: here - start] + row["Alt"] + window[here - start + 1 :]
            rows.append(
                (f"{element}:{row['at']}{row['Ref']}>{row['Alt']}", element, window, changed, row["value"], line)
            )
    if not rows:
        raise BadInput(f"{file}: no element of {element_len} bp or more without a gap, so nothing to predict.")
    return pd.DataFrame(rows, columns=[*COLUMNS, "lines"])


def predict(trained: Trained, variants: pd.DataFrame, source: Path, on_done: Callable[[int], None]) -> pd.DataFrame:
    """Predict both sequences of every variant, each distinct sequence once.

    Parameters
    ----------
    variants
        As `read` returns them.
    source
        Their file, for messages.

    Returns
    -------
    Columns seq_id, group, output, reference, alternative, difference, measured.

    Raises
    ------
    BadInput
        For the first sequence that cannot be encoded, naming its line.
    """
    both = pd.concat([variants["seq_ref"], variants["seq_alt"]], ignore_index=True)
    which, distinct = pd.factorize(both)
    try:
        data: Dataset = of_codes(encode_for(trained.task, trained.spec, list(distinct)), trained.spec)
    except SequenceError as error:
        line = variants["lines"].iloc[int(np.flatnonzero(which == error.row)[0]) % len(variants)]
        raise BadInput(f"{source}, line {line}: {error.reason}.") from None
    parts = []
    for start in range(0, len(data), PIECE):
        stop = min(start + PIECE, len(data))
        parts.append(trained.model.predict(data.take(np.arange(start, stop))))
        on_done(stop)
    tables_of_outputs = []
    for output in (name for name, values in parts[0].items() if values.ndim == 1):
        values = np.concatenate([part[output] for part in parts])[which].astype(np.float64)
        ref, alt = values[: len(variants)], values[len(variants) :]
        columns = {"output": output, "reference": ref, "alternative": alt, "difference": alt - ref}
        tables_of_outputs.append(variants[["seq_id", "group"]].assign(**columns, measured=variants["measured"]))
    return pd.concat(tables_of_outputs, ignore_index=True)


def predict_by_models(
    file: Path, sequences: Path | None, models: Sequence[Path], device: str, named: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Read variants and predict their effects by every model; as `predict`, with columns model and trained_on.

    Raises
    ------
    BadInput
        As `read` and `predict`, or for a model that cannot be loaded.
    """
    by_model = []
    for label, trained in load.open_each(models, device):
        element_len = trained.task.ELEMENT_LEN if supports(trained.task, HasElementLength) else None
        variants = read(file, sequences, element_len=element_len, named=named)
        with bar(label, 2 * len(variants)) as on_done:
            effects = predict(trained, variants, file, on_done)
        by_model.append(effects.assign(model=label, trained_on=trained.trained_on))
    return pd.concat(by_model, ignore_index=True)


def correlations(effects: pd.DataFrame) -> pd.DataFrame:
    """Correlate predicted with measured differences, per model, output and group, and over all groups together."""
    rows = []
    for (model, output), of_output in effects.groupby(["model", "output"], sort=False):
        has_groups = len(set(of_output["group"])) > 1
        for group, variants in [("all", of_output), *(of_output.groupby("group", sort=False) if has_groups else ())]:
            measured = variants.dropna(subset="measured")
            if len(measured) > 1:
                y_true, y_pred = measured["measured"].to_numpy(), measured["difference"].to_numpy()
                rows.append(
                    (model, output, group, len(measured), pearson_r(y_true, y_pred), spearman_rho(y_true, y_pred))
                )
    return pd.DataFrame(rows, columns=["model", "output", "group", "n", "pearson_r", "spearman_rho"])
