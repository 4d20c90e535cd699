"""JSON that every parser reads, written whole or not at all."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.io import validated
from benchmarks.io.atomic import write_text


def records(frame: Any) -> list[dict[str, Any]]:
    """Turn a table into plain rows, missing values into None."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all; see `to_json`."""
    write_text(path, to_json(value, indent=1) + "\n")


def to_json(value: Any, indent: int | None = None) -> str:
    """Serialise to JSON that every parser reads: NaN and infinities become null."""

    def finite(item: Any) -> Any:
        if isinstance(item, dict):
            return {str(key): finite(inner) for key, inner in item.items()}
        if isinstance(item, list | tuple):
            return [finite(inner) for inner in item]
        if isinstance(item, np.generic):
            item = item.item()
        return None if isinstance(item, float) and not math.isfinite(item) else item

    return json.dumps(finite(value), indent=indent, allow_nan=False)


def read_json(path: Path, kind: Any = Any) -> Any:
    """Read a stored JSON file of a kind (see `validated.read_json`), or raise BadInput saying that it is damaged."""
    return validated.read_json(path, kind, recovery_hint=f"delete {path.parent} and run again")
