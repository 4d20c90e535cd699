"""Pairs one substitution apart: steps of walks through sequence space.

Source: Rafi et al. 2024, Methods: most SNV pairs are steps of the sequence trajectories of Vaishnav et al. 2022, the
rest random single mutations of random, designed and native promoters. There, a trajectory takes at every step the
mutation that a model predicts to be the strongest (strong selection, weak mutation), or any (drift).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.api.model import Checkpoints
from benchmarks.api.sequences import BASES
from benchmarks.apps.design.predictor import Score
from benchmarks.apps.design.resumable_search import latest_state, save_state
from benchmarks.errors import BadInput, did_you_mean

CHOICES = ("random", "increase", "decrease")


def walk(
    starts: np.ndarray,
    *,
    steps: int,
    choose: str,
    seed: int,
    score: Score | None = None,
    checkpoints: Checkpoints | None = None,
    on_step: Callable[[int], None] = lambda step: None,
) -> np.ndarray:
    """Change one base per step: any, or the one of all single substitutions that a model's prediction moves most by.

    Parameters
    ----------
    starts
        (n, length) uint8.
    choose
        One of `CHOICES`; "increase" and "decrease" need `score`, whose first model decides. Where no substitution moves
        the prediction that way, the walk stays where it is from there on.

    Returns
    -------
    (n, steps + 1, length) uint8, the start first.

    Raises
    ------
    BadInput
        If `choose` is unknown, or needs a model and has none.
    """
    check_choice(choose, score is not None)
    done, path = 0, np.array(starts)[:, None]
    if state := latest_state(checkpoints):
        done, path = state.step, state.arrays["path"]
    if checkpoints is not None:
        checkpoints.starts_after(done)
    for step in range(done + 1, steps + 1):
        if choose == "random":
            following = _drifted(path[:, -1], np.random.default_rng([seed, step]))
        else:
            following = _selected(path[:, -1], score, 1.0 if choose == "increase" else -1.0)
        path = np.concatenate([path, following[:, None]], axis=1)
        if checkpoints is not None and checkpoints.due():
            save_state(checkpoints, step, {"path": path}, {})
        on_step(step)
    return path


def check_choice(choose: str, has_model: bool) -> None:
    """Refuse a choice that is unknown, or needs a model and has none."""
    if choose not in CHOICES:
        raise BadInput(f"--choose: {did_you_mean('choice', choose, list(CHOICES))}")
    if choose != "random" and not has_model:
        raise BadInput(f"--choose {choose} needs a model to find the strongest mutation; name one with --run.")


def n_predictions(n: int, length: int, steps: int, choose: str) -> int:
    """Count the sequences that n walks predict."""
    return 0 if choose == "random" else n * steps * (3 * length + 1)


def _drifted(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    changed, rows = codes.copy(), np.arange(len(codes))
    at = rng.integers(0, codes.shape[1], len(codes))
    changed[rows, at] = (changed[rows, at] + rng.integers(1, 4, len(codes))) % 4
    return changed


def _selected(codes: np.ndarray, score: Score, sign: float) -> np.ndarray:
    """Take every sequence's strongest substitution; as many sequences at a time as make some ten thousand mutants."""
    n, length = codes.shape
    chosen = codes.copy()
    size = max(1, 32_768 // (3 * length))
    for start in range(0, n, size):
        current = codes[start : start + size]
        tried = np.repeat(current[:, None], 1 + 3 * length, axis=1)  # the first is the sequence itself
        at, by = np.divmod(np.arange(3 * length), 3)
        tried[:, 1 + np.arange(3 * length), at] = (tried[:, 1 + np.arange(3 * length), at] + 1 + by) % 4
        values = sign * score(tried.reshape(-1, length))[:, 0].reshape(len(current), -1)
        chosen[start : start + size] = tried[np.arange(len(current)), values.argmax(axis=1)]
    return chosen


def pairs(names: list[str], path: np.ndarray, choose: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Turn walks into pairs of a step and the one before.

    Parameters
    ----------
    names
        n distinct names of the walks.
    path
        (n, steps + 1, length), as `walk` returns it.

    Returns
    -------
    Table of tag (walk, step and substitution, positions from 0: `rand7_increase3.A12C`) and ref_tag; and codes
    (n_rows, length). The starts come first, without reference. Where a walk stays, there is no pair.
    """
    tags, references, codes = list(names), [""] * len(names), list(path[:, 0])
    current = list(names)
    for step in range(1, path.shape[1]):
        for i, (before, after) in enumerate(path[:, step - 1 : step + 1]):
            changed = np.flatnonzero(before != after)
            if not changed.size:
                continue
            (at,) = changed
            tag = f"{names[i]}_{choose}{step}.{BASES[before[at]]}{at}{BASES[after[at]]}"
            tags.append(tag)
            references.append(current[i])
            codes.append(after)
            current[i] = tag
    return pd.DataFrame({"tag": tags, "ref_tag": references}), np.stack(codes)
