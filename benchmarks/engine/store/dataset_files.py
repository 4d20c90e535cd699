"""The files of a stored dataset: arrays that hold no objects, and dataset.json, which says what they are.

codes.npy (n, seq_len), targets.npz (one array per output) or target-<output>.npy for profiles, meta.npz (one array per
column), table-<name>.npz.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.api.data import Dataset
from benchmarks.api.sequences import N_CODE
from benchmarks.engine.store.records import DatasetRecord
from benchmarks.engine.store.training import LARGEST
from benchmarks.errors import BadInput
from benchmarks.io import validated
from benchmarks.io.atomic import whole_folder
from benchmarks.io.json_files import write_json


def write(folder: Path, dataset: Dataset) -> None:
    """Write a dataset into a new folder; of one that is there, the notes are renewed, which no hash covers."""
    if folder.exists():
        write_json(folder / "dataset.json", _metadata(dataset))
        return
    with whole_folder(folder) as new:
        np.save(new / "codes.npy", dataset.codes)
        scalars = {name: values for name, values in dataset.targets.items() if values.ndim == 1}
        np.savez(new / "targets.npz", **scalars)  # type: ignore[arg-type]
        for name in dataset.targets.keys() - scalars:  # profiles are too large to be read whole
            np.save(new / f"target-{name}.npy", dataset.targets[name])
        _save_columns(new / "meta.npz", dataset.meta)
        for name, table in dataset.tables.items():
            _save_columns(new / f"table-{name}.npz", table)
        write_json(new / "dataset.json", _metadata(dataset))


def read(folder: Path, digest: str) -> Dataset:
    """Open a stored dataset; its sequences and profiles are memory-mapped.

    Raises
    ------
    BadInput
        If a file is missing or damaged, or the content does not have the hash that begins with `digest`.
    """
    recovery_hint = f"delete {folder} and run the plan again to restore it"
    metadata = validated.read_json(folder / "dataset.json", DatasetRecord, recovery_hint=recovery_hint)
    scalars = validated.read_arrays(folder / "targets.npz", recovery_hint=recovery_hint)
    targets = {
        name: scalars[name]
        if name in scalars
        else validated.map_array(folder / f"target-{name}.npy", recovery_hint=recovery_hint)
        for name in metadata["outputs"]
    }
    codes = validated.map_array(folder / "codes.npy", recovery_hint=recovery_hint)
    try:
        if wrong := next((name for name, values in targets.items() if values.dtype.kind not in "fiu"), None):
            raise ValueError(f"target {wrong!r} is of type {targets[wrong].dtype}")
        dataset = Dataset(
            metadata["name"],
            codes,
            targets,
            _frame(folder / "meta.npz", metadata["columns"], recovery_hint),
            metadata["origin"],
            ceilings=tuple(metadata["ceilings"]),
            notes=tuple(metadata["notes"]),
            tables={
                name: _frame(folder / f"table-{name}.npz", columns, recovery_hint)
                for name, columns in metadata.get("tables", {}).items()
            },
            accounts=tuple(metadata.get("accounts", ())),
        )
        if all(values.ndim == 1 for values in targets.values()):  # profiles are too large to be read whole
            _check_numbers(codes, targets)
            if (actual := dataset.content_hash()[:12]) != digest:
                raise ValueError(f"its content has the hash {actual}")
        return dataset
    except BadInput:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{folder} is damaged ({validated.one_line(error)}); {recovery_hint}.") from None


def _metadata(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "origin": dataset.origin,
        "n_rows": len(dataset),
        "columns": list(dataset.meta.columns),
        "outputs": list(dataset.targets),
        "ceilings": [dict(row) for row in dataset.ceilings],
        "notes": list(dataset.notes),
        "accounts": [dict(account) for account in dataset.accounts],
        "tables": {name: list(table.columns) for name, table in dataset.tables.items()},
    }


def _check_numbers(codes: np.ndarray, targets: dict[str, np.ndarray]) -> None:
    if codes.dtype == np.uint8 and codes.size and codes.max() > N_CODE:
        raise ValueError("its codes are not those of bases")
    for name, values in targets.items():
        if not ((np.abs(values) <= LARGEST) | np.isnan(values)).all():
            raise ValueError(f"target {name!r} has values that are not finite")


def _frame(file: Path, columns: list[str], recovery_hint: str) -> pd.DataFrame:
    arrays = validated.read_arrays(file, recovery_hint=recovery_hint)
    if wrong := next(
        (name for name in columns if arrays[name].ndim != 1 or arrays[name].dtype.kind not in "biufU"), None
    ):
        raise ValueError(f"column {wrong!r} of {file.name} holds neither numbers nor text")
    return pd.DataFrame({column: arrays[column] for column in columns})


def _save_columns(file: Path, table: pd.DataFrame) -> None:
    """Write a table as one array per column, text as fixed-width unicode, so that nothing is pickled."""
    columns = {name: values.to_numpy() for name, values in table.items()}
    arrays = {str(name): v.astype(str) if v.dtype.kind not in "biuf" else v for name, v in columns.items()}
    np.savez(file, **arrays)
