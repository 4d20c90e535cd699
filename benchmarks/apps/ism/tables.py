"""Lay out effects as long tables: a row per position, or per substitution."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.api.sequences import BASES
from benchmarks.engine.inference.mutagenesis import CODES, LETTERS, Effects

COLUMNS = ["model", "output", "seq_id", "position", "ref", *LETTERS, "score", "trained_on"]
SUBSTITUTIONS = [
    "model",
    "output",
    "seq_id",
    "position",
    "ref",
    "alt",
    "wild_type",
    "prediction",
    "delta",
    "trained_on",
]


def per_position(
    codes: np.ndarray, ids: Sequence[str], offsets: np.ndarray, effects: Effects, scores: np.ndarray, **constant: str
) -> pd.DataFrame:
    """List the effects at every mutated position of one output; columns `COLUMNS`.

    Parameters
    ----------
    codes, ids, offsets
        (n, L) codes, their names, and the column at which each sequence begins as it was given: its position 1.
    scores
        (n, L) position scores.
    constant
        Constant columns: model, output, trained_on.
    """
    rows, columns = np.nonzero(np.isfinite(scores))
    deltas = effects.deltas[rows, columns]
    table = pd.DataFrame(
        {
            "seq_id": np.asarray(ids, dtype=object)[rows],
            "position": columns + 1 - offsets[rows],
            "ref": np.array(list(BASES))[codes[rows, columns]],
            **{letter: deltas[:, i] for i, letter in enumerate(LETTERS)},
            "score": scores[rows, columns],
        }
    )
    return table.assign(**constant)[COLUMNS]


def per_substitution(
    codes: np.ndarray, ids: Sequence[str], offsets: np.ndarray, effects: Effects, **constant: str
) -> pd.DataFrame:
    """List every substitution of one output with its prediction; columns `SUBSTITUTIONS`."""
    is_other = codes[:, :, None] != CODES
    rows, columns, bases = np.nonzero(np.isfinite(effects.deltas) & is_other)
    delta = effects.deltas[rows, columns, bases]
    table = pd.DataFrame(
        {
            "seq_id": np.asarray(ids, dtype=object)[rows],
            "position": columns + 1 - offsets[rows],
            "ref": np.array(list(BASES))[codes[rows, columns]],
            "alt": np.array(list(LETTERS))[bases],
            "wild_type": effects.wild_type[rows],
            "prediction": effects.wild_type[rows] + delta,
            "delta": delta,
        }
    )
    return table.assign(**constant)[SUBSTITUTIONS]
