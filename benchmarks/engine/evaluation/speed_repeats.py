"""The raw repeats of `bench speed`: one row per timing, written by the bench and read by the paper's figures.

Source: Rafi et al. 2024, Extended Data Fig. 10, whose boxes are of 50 repeats.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.errors import BadInput
from benchmarks.io import tables

FILE = "repeats.csv"
TRAINING, PREDICTION, PARAMETERS = "seconds_per_training_batch", "predictions_per_second", "parameters"
COMMON = ["task", "model", "protocol", "device", "device_name", "backend", "precision", "threads", "width_scale"]
COLUMNS = [*COMMON, "quantity", "batch_size", "is_published", "is_fastest", "repeat", "value"]
"""`is_published`: at the largest batch that fits, as the paper counts throughput; `is_fastest`: at the fastest one."""


def row(
    common: Mapping[str, Any],
    quantity: str,
    batch_size: int,
    repeat: int,
    value: float,
    *,
    is_published: bool = True,
    is_fastest: bool = True,
) -> dict[str, Any]:
    """Return one row of COLUMNS; `common` holds the columns of COMMON."""
    return dict(common) | {
        "quantity": quantity, "batch_size": batch_size, "is_published": is_published, "is_fastest": is_fastest,
        "repeat": repeat, "value": value,
    }  # fmt: skip


def read(folder: Path) -> pd.DataFrame:
    """Read the repeats that `bench speed --out` wrote into a folder.

    Raises
    ------
    BadInput
        If there are none, a column is missing, or a value is not a positive number.
    """
    file = folder / FILE
    if not file.is_file():
        raise BadInput(f"--speed: expected {FILE} of `bench speed --out` in {folder}; there is no such file.")
    table = tables.read_ours(file, tuple(COLUMNS), recovery_hint="measure again with `bench speed --out`")
    values = pd.to_numeric(table["value"], errors="coerce")
    if not (values > 0).all():
        line = int((~(values > 0)).to_numpy().argmax()) + 2
        raise BadInput(f"{file}, line {line}: expected a positive number as value; measure again.")
    return table.assign(value=values)
