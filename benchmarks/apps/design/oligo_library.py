"""The oligo table of a designed set, and libraries of several: distinct oligos, and which are compared with which.

A table has a row per oligo and comparison: `subset`, `tag` (its name there), `ref_tag` (the tag of the sequence it is
compared with; empty for single sequences and for references themselves), `left`, `insert`, `right` and `sequence` (all
three), what models predicted, and `trained_on`: measured or simulated data, empty where no model was used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import simulated_marker
from benchmarks.api.construct import Construct
from benchmarks.api.sequences import SequenceError, decode
from benchmarks.errors import BadInput
from benchmarks.io import columns, tables

COLUMNS = ["subset", "tag", "ref_tag", "left", "insert", "right", "sequence"]
PREDICTED = "predicted "
"""Prefix of the columns of predictions, before the model's name."""


def table(
    construct: Construct,
    codes: np.ndarray,
    metadata: pd.DataFrame,
    *,
    subset: str,
    names: Sequence[str] = (),
    values: np.ndarray | None = None,
    trained_on: str = "",
) -> pd.DataFrame:
    """Lay out a designed set.

    Parameters
    ----------
    codes
        (n, length) uint8 inserts.
    metadata
        n rows with `tag`, perhaps `ref_tag`, and further columns to keep.
    names, values
        Models and their predictions, (n, n_models); none where nothing was predicted.
    """
    inserts = decode(codes)
    oligos = pd.DataFrame({"subset": subset, "tag": metadata["tag"].to_numpy()})
    oligos["ref_tag"] = metadata["ref_tag"].to_numpy() if "ref_tag" in metadata else ""
    oligos["left"], oligos["insert"], oligos["right"] = construct.left, inserts, construct.right
    oligos["sequence"] = [construct.left + insert + construct.right for insert in inserts]
    for name in metadata.columns.difference(["tag", "ref_tag"], sort=False):
        oligos[name] = metadata[name].to_numpy()
    for i, name in enumerate(names):
        oligos[PREDICTED + name] = values[:, i]
    return oligos.assign(trained_on=trained_on)


@dataclass(frozen=True)
class Library:
    """Distinct oligos in the order in which they came, and which are compared with which.

    Parameters
    ----------
    inserts
        (n, length) uint8.
    singles
        Subset -> table of pos, tag.
    pairs
        Subset -> table of alt_pos, ref_pos, alt_tag, ref_tag.
    """

    construct: Construct
    inserts: np.ndarray
    singles: Mapping[str, pd.DataFrame]
    pairs: Mapping[str, pd.DataFrame]
    trained_on: str

    def oligos(self) -> pd.DataFrame:
        """List the oligos to order: pos, seq_id, left, insert, right, sequence, and the subsets that each is in."""
        subsets: list[set[str]] = [set() for _ in self.inserts]
        for name, rows in self.singles.items():
            for pos in rows["pos"]:
                subsets[pos].add(name)
        for name, rows in self.pairs.items():
            for pos in pd.concat([rows["alt_pos"], rows["ref_pos"]]):
                subsets[pos].add(name)
        inserts, n = decode(self.inserts), len(self.inserts)
        oligos = pd.DataFrame({"pos": range(n), "seq_id": [f"oligo_{i:06d}" for i in range(n)]})
        oligos["left"], oligos["insert"], oligos["right"] = self.construct.left, inserts, self.construct.right
        oligos["sequence"] = self.construct.rows(self.inserts)
        oligos["subsets"] = [",".join(sorted(names)) for names in subsets]
        return oligos.assign(trained_on=self.trained_on)


def read(file: Path, construct: Construct) -> tuple[pd.DataFrame, np.ndarray]:
    """Read an oligo table: its rows, and (n, length) codes.

    Raises
    ------
    BadInput
        If a column is missing, a sequence is invalid, a tag appears twice, or a reference is not in the table.
    """
    needed = ("subset", "tag", "ref_tag", "sequence")
    rows = tables.read_headed(file, needed, expected="A table that `design` wrote is expected.")
    for name in ("subset", "tag", "sequence"):
        rows[name] = tables.required_text(file, rows, name)
    rows["ref_tag"] = rows["ref_tag"].fillna("")
    try:
        codes = construct.inserts(rows["sequence"].tolist())
    except SequenceError as error:
        raise BadInput(f"{file}, line {rows.index[error.row]}: {error.reason}.") from None
    for subset, of_subset in rows.groupby("subset", sort=False):
        if (twice := of_subset["tag"].duplicated()).any():
            line = of_subset.index[twice][0]
            raise BadInput(f"{file}, line {line}: the tag {of_subset['tag'][line]!r} appears twice in subset {subset}.")
        lacking = ~of_subset["ref_tag"].isin(["", *of_subset["tag"]])
        if lacking.any():
            line = of_subset.index[lacking][0]
            raise BadInput(
                f"{file}, line {line}: its reference {of_subset['ref_tag'][line]!r} is not in subset {subset}."
            )
    return rows, codes


def merge(files: Sequence[Path], construct: Construct) -> Library:
    """Put oligo tables into one library, in which a sequence of several tables is one oligo.

    A subset is of pairs where any of its rows has a reference.
    """
    places: dict[bytes, int] = {}
    inserts, singles, pairs, origins = [], {}, {}, set()
    for file in files:
        rows, codes = read(file, construct)
        pos = np.zeros(len(rows), dtype=np.int64)
        for i, code in enumerate(codes):
            key = code.tobytes()
            if key not in places:
                places[key] = len(inserts)
                inserts.append(code)
            pos[i] = places[key]
        rows = rows.assign(pos=pos)
        origins |= set(rows.get("trained_on", pd.Series(dtype=str)).dropna()) - {""}
        for subset, part in rows.groupby("subset", sort=False):
            if not (part["ref_tag"] != "").any():
                singles.setdefault(subset, []).append(part[["pos", "tag"]])
                continue
            of_tag = part.set_index("tag")["pos"]
            alts = part[part["ref_tag"] != ""]
            both = pd.DataFrame(
                {
                    "alt_pos": alts["pos"].to_numpy(),
                    "ref_pos": of_tag[alts["ref_tag"]].to_numpy(),
                    "alt_tag": alts["tag"].to_numpy(),
                    "ref_tag": alts["ref_tag"].to_numpy(),
                }
            )
            pairs.setdefault(subset, []).append(both)
    if both := singles.keys() & pairs.keys():
        raise BadInput(f"Subset {min(both)} is of pairs in one table and of single sequences in another.")
    return Library(
        construct,
        np.stack(inserts),
        {name: _distinct(parts) for name, parts in singles.items()},
        {name: _distinct(parts) for name, parts in pairs.items()},
        "simulated" if "simulated" in origins else next(iter(origins), ""),
    )


def _distinct(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Put rows of several tables together; what two of them have alike, such as one table named twice, is one row."""
    return pd.concat(parts, ignore_index=True).drop_duplicates(ignore_index=True)


EXPRESSION = ("expression", "maude_expression", "mean", "measured", "value")
"""Names of a column of expression, the first there is being taken."""


def expression_of(file: Path, library: Library) -> tuple[np.ndarray, str]:
    """Look up every oligo's expression in a table of sequence and expression: (n,) float64, and the table's origin.

    The origin is simulated if a column `origin` says so, or the folder of the table is marked as simulated.

    Raises
    ------
    BadInput
        If a column is missing, or an oligo is missing or appears twice.
    """
    table = tables.read_headed(file)
    at_sequence = next(iter(columns.called(list(table), columns.SEQUENCE.names)), None)
    at_value = next(iter(columns.called(list(table), EXPRESSION)), None)
    if at_sequence is None or at_value is None:
        lacking = "sequence" if at_sequence is None else "expression"
        raise BadInput(f"{file}: a column {lacking!r} is expected; its columns are {', '.join(table)}.")
    text = tables.required_text(file, table, at_sequence).str.upper()
    value = pd.Series(tables.numbers(file, table, at_value), index=text.to_numpy())
    if value.index.duplicated().any():
        twice = value.index[value.index.duplicated()][0]
        raise BadInput(f"{file}: the sequence {twice[:120]} appears twice; one line per oligo is expected.")
    rows = library.construct.rows(library.inserts)
    missing = [row for row in rows if row not in value.index]
    if missing:
        raise BadInput(
            f"{file} has no expression of {len(missing):,} of {len(rows):,} oligos, the first {missing[0]}; measure "
            "them all, or leave them out of the sets."
        )
    origins = set(table["origin"].dropna()) if "origin" in table else set()
    return value[rows].to_numpy(), "simulated" if "simulated" in origins else simulated_marker.of(file.parent)
