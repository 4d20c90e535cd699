"""In-silico mutagenesis: the predicted effect of every single-nucleotide substitution of sequences.

Source: Rafi et al. 2024, Methods, "In silico mutagenesis": prediction of the mutant minus prediction of the wild type;
the score of a position is the mean over nucleotides. Mutants are made in batches, as repeated rows of integer-encoded
sequences with one base changed in each.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmarks.api.data import Dataset, Origin, TaskSpec
from benchmarks.api.metrics import jsd
from benchmarks.api.model import Model
from benchmarks.api.profiles import log_softmax
from benchmarks.api.sequences import BASES, N_CODE
from benchmarks.errors import BadInput, did_you_mean

LETTERS = "ACGT"
"""Order of the last axis of every array of effects."""
CODES = np.array([BASES.index(letter) for letter in LETTERS], dtype=np.uint8)
"""Integer code of each of `LETTERS`."""

PIECE = 8192
"""Mutants that are made and predicted at a time: eight batches of `predict`."""
PIECE_BASES = 2**21
"""At most so many bases are predicted at a time, so that long windows and their profiles fit in memory."""

PROFILE, PROFILE_CHANGE = "profile_logits", "profile_jsd"
"""The profile output, and the name of the effect on it: the Jensen-Shannon distance of mutant and wild-type profile."""


@dataclass(frozen=True)
class Effects:
    """The effects of all substitutions on one output.

    Parameters
    ----------
    wild_type
        (n,) float32, predictions of the unmutated sequences.
    deltas
        (n, L, 4) float32 in the order of `LETTERS`: mutant minus wild type, 0 for the reference base, NaN at positions
        that were not mutated.
    """

    wild_type: np.ndarray
    deltas: np.ndarray


def of_codes(codes: np.ndarray, spec: TaskSpec, origin: Origin = "measured") -> Dataset:
    """Wrap integer-encoded sequences (n, L) as a Dataset to predict; side channels are 0 (forward strand)."""
    meta = pd.DataFrame({name: np.zeros(len(codes), np.float32) for name in spec.side_channels}, range(len(codes)))
    return Dataset("input", np.asarray(codes), {}, meta, origin)


def effects(
    model: Model,
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
        Only its `predict` is used, with all that it does, such as averaging strands.
    data
        Sequences without targets; mutants have the `meta` (side channels) of their wild type. See `of_codes`.
    where
        (n, L) bool, positions to mutate; None: all. N is never mutated.
    outputs
        Names of outputs; None: all with one number per sequence. `profile_jsd` is the change of a predicted profile.
    on_done
        Called with the number of mutants predicted so far.

    Raises
    ------
    BadInput
        If the model has no such output.
    """
    codes = np.asarray(data.codes)
    bare = replace(data.without_targets(), codes=codes, meta=data.meta.reset_index(drop=True))
    wild = model.predict(bare)
    chosen = _chosen(wild, outputs)
    reference = np.exp(log_softmax(wild[PROFILE])) if PROFILE_CHANGE in chosen else np.zeros(0)
    mutated = (codes != N_CODE) & (True if where is None else where)
    result = {}
    for name in chosen:
        deltas = np.full((*codes.shape, 4), np.nan, dtype=np.float32)
        deltas[mutated] = 0.0
        start = np.zeros(len(codes), np.float32) if name == PROFILE_CHANGE else wild[name].astype(np.float32)
        result[name] = Effects(start, deltas)
    n_done = 0
    for rows, columns, bases, piece in mutants(bare, mutated):
        predicted = model.predict(piece)
        for name, effect in result.items():
            if name == PROFILE_CHANGE:
                change = jsd(np.exp(log_softmax(predicted[PROFILE])), reference[rows])
            else:
                change = predicted[name] - effect.wild_type[rows]
            effect.deltas[rows, columns, bases] = change
        n_done += len(rows)
        on_done(n_done)
    return result


def mutants(
    data: Dataset, mutated: np.ndarray, size: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, Dataset]]:
    """Yield all mutants in batches: row and position of each, index of its new base in `LETTERS`, and the sequences.

    Parameters
    ----------
    mutated
        (n, L) bool, positions to mutate, without those of N.
    size
        Mutants per batch; None: as many as `PIECE` and `PIECE_BASES` allow.
    """
    codes = np.asarray(data.codes)
    size = size or max(1, min(PIECE, PIECE_BASES // codes.shape[1]))
    places = np.flatnonzero(mutated)
    letter_of = np.argsort(CODES)  # code -> index in LETTERS
    for start in range(0, 3 * len(places), size):
        number = np.arange(start, min(start + size, 3 * len(places)))
        rows, columns = np.divmod(places[number // 3], codes.shape[1])
        bases = (letter_of[codes[rows, columns]] + 1 + number % 3) % 4
        changed = codes[rows]
        changed[np.arange(len(rows)), columns] = CODES[bases]
        meta = data.meta.iloc[rows].reset_index(drop=True)
        yield rows, columns, bases, replace(data, codes=changed, meta=meta)


def n_mutants(codes: np.ndarray, where: np.ndarray | None = None) -> int:
    """Count the substitutions that `effects` predicts for sequences (n, L) and positions `where` (n, L)."""
    return 3 * int(((codes != N_CODE) & (True if where is None else where)).sum())


def position_scores(deltas: np.ndarray, mean_over: int = 3) -> np.ndarray:
    """Average effects (n, L, 4) over nucleotides: (n, L), NaN at positions that were not mutated.

    The paper does not say whether the reference base, with its difference of 0, is included: `mean_over` is 3 without
    it, 4 with it.

    Raises
    ------
    BadInput
        If `mean_over` is another number.
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
