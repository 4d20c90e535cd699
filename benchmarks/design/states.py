"""Where a search stands between its steps: arrays and a little JSON, whole or absent."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.api.protocols import Checkpoints


def keep(checkpoints: Checkpoints, step: int, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Keep the state after a step."""

    def write(folder: Path) -> None:
        np.savez(folder / "arrays.npz", **arrays)
        (folder / "state.json").write_text(json.dumps({"step": step, **about}))

    checkpoints.save(step, write)


def latest(checkpoints: Checkpoints | None) -> tuple[int, dict[str, np.ndarray], dict[str, Any]] | None:
    """Return step, arrays and the rest of the last undamaged state; None where there is none."""
    for folder in checkpoints.whole() if checkpoints is not None else ():
        about = json.loads((folder / "state.json").read_text())
        with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
            return about.pop("step"), dict(arrays), about
    return None
