"""The oligo table, and a library of several: what is ordered, and which sequences are compared with which.

A table has a row per oligo and comparison: `subset`, `tag` (its name there), `ref_tag` (the tag of the sequence it is
compared with; empty for single sequences and for references themselves), `left`, `insert`, `right` and `sequence` (all
three), what models predicted, and `trained_on`: measured or simulated data, empty where no model had a say.
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
from benchmarks.io import tables

COLUMNS = ["subset", "tag", "ref_tag", "left", "insert", "right", "sequence"]
PREDICTED = "predicted "
"""Columns of predictions are called by this and the model's name."""


def table(
    construct: Construct,
    codes: np.ndarray,
    about: pd.DataFrame,
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
    about
        n rows with `tag`, perhaps `ref_tag`, and what else is worth knowing.
    names, values
        Models and their predictions, (n, n_models); none where nothing was predicted.
    """
    inserts = decode(codes)
    found = pd.DataFrame({"subset": subset, "tag": about["tag"].to_numpy()})
    found["ref_tag"] = about["ref_tag"].to_numpy() if "ref_tag" in about else ""
    found["left"], found["insert"], found["right"] = construct.left, inserts, construct.right
    found["sequence"] = [construct.left + insert + construct.right for insert in inserts]
    for name in about.columns.difference(["tag", "ref_tag"], sort=False):
        found[name] = about[name].to_numpy()
    for i, name in enumerate(names):
        found[PREDICTED + name] = values[:, i]
    return found.assign(trained_on=trained_on)


@dataclass(frozen=True)
class Library:
    """Distinct oligos in the order in which they came, and what is compared with what.

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
        """List what is ordered: pos, seq_id, left, insert, right, sequence, and the subsets it serves."""
        serves: list[set[str]] = [set() for _ in self.inserts]
        for name, part in self.singles.items():
            for pos in part["pos"]:
                serves[pos].add(name)
        for name, part in self.pairs.items():
            for pos in pd.concat([part["alt_pos"], part["ref_pos"]]):
                serves[pos].add(name)
        inserts, n = decode(self.inserts), len(self.inserts)
        found = pd.DataFrame({"pos": range(n), "seq_id": [f"oligo_{i:06d}" for i in range(n)]})
        found["left"], found["insert"], found["right"] = self.construct.left, inserts, self.construct.right
        found["sequence"] = self.construct.rows(self.inserts)
        found["subsets"] = [",".join(sorted(names)) for names in serves]
        return found.assign(trained_on=self.trained_on)


def read(file: Path, construct: Construct) -> tuple[pd.DataFrame, np.ndarray]:
    """Read an oligo table: its rows, and (n, length) codes.

    Raises
    ------
    BadInput
        If a column is missing, a sequence is none, a tag stands twice, or a reference is not in the table.
    """
    cells = tables.read_cells(file)
    found = cells.iloc[1:].copy()
    found.columns = [str(cell).strip() for cell in cells.iloc[0].fillna("")]
    if missing := [name for name in ("subset", "tag", "ref_tag", "sequence") if name not in found]:
        raise BadInput(f"{file}: column {missing[0]!r} is missing; a table that `design` wrote is expected.")
    if found.empty:
        raise BadInput(f"{file} has a header and no oligos.")
    for name in ("subset", "tag", "sequence"):
        found[name] = tables.required_text(file, found, name)
    found["ref_tag"] = found["ref_tag"].fillna("")
    try:
        codes = construct.inserts(found["sequence"].tolist())
    except SequenceError as error:
        raise BadInput(f"{file}, line {found.index[error.row]}: {error.reason}.") from None
    for subset, part in found.groupby("subset", sort=False):
        if (twice := part["tag"].duplicated()).any():
            line = part.index[twice][0]
            raise BadInput(f"{file}, line {line}: the tag {part['tag'][line]!r} stands twice in subset {subset}.")
        lacking = ~part["ref_tag"].isin(["", *part["tag"]])
        if lacking.any():
            line = part.index[lacking][0]
            raise BadInput(f"{file}, line {line}: its reference {part['ref_tag'][line]!r} is not in subset {subset}.")
    return found, codes


def merge(files: Sequence[Path], construct: Construct) -> Library:
    """Put oligo tables into one library; a sequence that several ask for is ordered once.

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
"""What a column of expression is called."""


def expression_of(file: Path, library: Library) -> tuple[np.ndarray, str]:
    """Look up every oligo's expression in a table of sequence and expression: (n,) float64, and the table's origin.

    Simulated is what a column `origin` calls so, and what lies in a folder that is marked as simulated.

    Raises
    ------
    BadInput
        If a column is missing, or an oligo is not in the table or twice.
    """
    cells = tables.read_cells(file)
    found = cells.iloc[1:].copy()
    found.columns = [str(cell).strip() for cell in cells.iloc[0].fillna("")]
    at_sequence = next((name for name in tables.SEQUENCE_COLUMNS if name in found), None)
    at_value = next((name for name in EXPRESSION if name in found), None)
    if at_sequence is None or at_value is None:
        lacking = "sequence" if at_sequence is None else "expression"
        raise BadInput(f"{file}: a column {lacking!r} is expected; its columns are {', '.join(found)}.")
    text = tables.required_text(file, found, at_sequence).str.upper()
    value = pd.Series(tables.numbers(file, found, at_value), index=text.to_numpy())
    if value.index.duplicated().any():
        twice = value.index[value.index.duplicated()][0]
        raise BadInput(f"{file}: the sequence {twice[:120]} stands there twice; one line per oligo is expected.")
    rows = library.construct.rows(library.inserts)
    missing = [row for row in rows if row not in value.index]
    if missing:
        raise BadInput(
            f"{file} has no expression of {len(missing):,} of {len(rows):,} oligos, the first {missing[0]}; measure "
            "them all, or leave them out of the sets."
        )
    says = set(found["origin"].dropna()) if "origin" in found else set()
    return value[rows].to_numpy(), "simulated" if "simulated" in says else simulated_marker.of(file.parent)
