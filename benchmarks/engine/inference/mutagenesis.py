"""All single substitutions of sequences through a model, in full batches of integer codes.

Source: Rafi et al. 2024, Methods, "In silico mutagenesis": prediction of the mutant minus prediction of the wild type;
a position's score is the mean over nucleotides. Mutants are never text: a piece of them is the wild types' codes,
repeated, with one code changed in every row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.metrics import jsd
from benchmarks.api.profiles import log_softmax
from benchmarks.api.sequences import BASES, N_CODE
from benchmarks.errors import BadInput, did_you_mean

LETTERS = "ACGT"
"""Order of the last axis of every array of effects."""
CODES = np.array([BASES.index(letter) for letter in LETTERS], dtype=np.uint8)
"""The code of each of them."""

PIECE = 8192
"""Mutants that are made and predicted at a time: eight full batches of `predict`."""
PIECE_BASES = 2**21
"""Bases in a piece at most, so that long windows and their profiles fit in memory."""

PROFILE, PROFILE_CHANGE = "profile_logits", "profile_jsd"
"""The output of many numbers per sequence, and what stands for its change: the Jensen-Shannon distance of mutant and
wild-type profile, 0 for the wild type itself."""


@dataclass(frozen=True)
class Effects:
    """What all substitutions do to one output.

    Parameters
    ----------
    wild_type
        (n,) float32, predictions of the sequences as they are.
    deltas
        (n, L, 4) float32 in the order of `LETTERS`: mutant minus wild type, 0 for the base that is there, NaN at
        positions that were not mutated.
    """

    wild_type: np.ndarray
    deltas: np.ndarray


def of_codes(codes: np.ndarray, spec: TaskSpec, origin: str = "measured") -> Dataset:
    """Give codes (n, L) the shape of data that a model predicts; side channels are 0, the forward strand."""
    meta = pd.DataFrame({name: np.zeros(len(codes), np.float32) for name in spec.side_channels}, range(len(codes)))
    return Dataset("input", np.asarray(codes), {}, meta, origin)


def effects(
    model: Any,
    data: Dataset,
    *,
    where: np.ndarray | None = None,
    outputs: Sequence[str] | None = None,
    on_done: Callable[[int], None] = lambda n: None,
) -> dict[str, Effects]:
    """Predict every single substitution of every sequence; output -> effects.

    Parameters
    ----------
    model
        Anything with `predict(Dataset)`; what it does at prediction, such as averaging strands, it does here too.
    data
        Sequences without targets; rows of `meta` (side channels) are kept by their mutants. See `of_codes`.
    where
        (n, L) bool, positions to mutate; None: all. N is never mutated.
    outputs
        Which outputs; None: all with one number per sequence. `profile_jsd` is the change of a predicted profile.
    on_done
        Called with the number of mutants done so far.

    Raises
    ------
    BadInput
        If the model has no such output.
    """
    codes = np.asarray(data.codes)
    bare = replace(data.without_targets(), codes=codes, meta=data.meta.reset_index(drop=True))
    wild = model.predict(bare)
    chosen = _chosen(wild, outputs)
    reference = np.exp(log_softmax(wild[PROFILE])) if PROFILE_CHANGE in chosen else None
    mutated = (codes != N_CODE) & (True if where is None else where)
    found = {}
    for name in chosen:
        deltas = np.full((*codes.shape, 4), np.nan, dtype=np.float32)
        deltas[mutated] = 0.0
        start = np.zeros(len(codes), np.float32) if name == PROFILE_CHANGE else wild[name].astype(np.float32)
        found[name] = Effects(start, deltas)
    n_done = 0
    for rows, columns, bases, piece in mutants(bare, mutated):
        predicted = model.predict(piece)
        for name, of in found.items():
            if name == PROFILE_CHANGE:
                change = jsd(np.exp(log_softmax(predicted[PROFILE])), reference[rows])
            else:
                change = predicted[name] - of.wild_type[rows]
            of.deltas[rows, columns, bases] = change
        n_done += len(rows)
        on_done(n_done)
    return found


def mutants(
    data: Dataset, mutated: np.ndarray, size: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, Dataset]]:
    """Give all mutants in pieces: row and position they are of, which of `LETTERS` stands there now, and as data.

    Parameters
    ----------
    mutated
        (n, L) bool, none of them N.
    size
        Mutants per piece; None: as many as fit into `PIECE` and `PIECE_BASES`.
    """
    codes = np.asarray(data.codes)
    size = size or max(1, min(PIECE, PIECE_BASES // codes.shape[1]))
    places = np.flatnonzero(mutated)
    letter_of = np.argsort(CODES)  # code -> its place in LETTERS
    for start in range(0, 3 * len(places), size):
        number = np.arange(start, min(start + size, 3 * len(places)))
        rows, columns = np.divmod(places[number // 3], codes.shape[1])
        bases = (letter_of[codes[rows, columns]] + 1 + number % 3) % 4
        changed = codes[rows]
        changed[np.arange(len(rows)), columns] = CODES[bases]
        meta = data.meta.iloc[rows].reset_index(drop=True)
        yield rows, columns, bases, replace(data, codes=changed, meta=meta)


def n_mutants(codes: np.ndarray, where: np.ndarray | None = None) -> int:
    """Count the substitutions that `effects` predicts."""
    return 3 * int(((codes != N_CODE) & (True if where is None else where)).sum())


def position_scores(deltas: np.ndarray, mean_over: int = 3) -> np.ndarray:
    """Average effects (n, L, 4) over nucleotides: (n, L), NaN where nothing was mutated.

    The paper does not say whether the base that is there, with its difference of 0, counts; so divide by 3 or by 4.
    """
    if mean_over not in (3, 4):
        raise BadInput(f"--mean-over expects 3 (the other bases) or 4 (with the base itself), got {mean_over}.")
    return deltas.sum(axis=-1) / np.float32(mean_over)


def _chosen(wild: dict[str, np.ndarray], outputs: Sequence[str] | None) -> list[str]:
    known = [name for name, values in wild.items() if values.ndim == 1]
    if outputs is None:
        return known
    if PROFILE in wild:
        known.append(PROFILE_CHANGE)
    for name in outputs:
        if name not in known:
            raise BadInput(did_you_mean("output", name, known))
    return list(dict.fromkeys(outputs))
