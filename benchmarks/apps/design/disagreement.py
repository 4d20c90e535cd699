"""Evolve sequences on which models disagree most, or that a weighted sum of models prefers.

Source: Rafi et al. 2024, Methods; `GASeqDesign.py` of de-Boer-Lab/CRM2.0: batches of small searches, NSGA-II for who
survives and for the final pick.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.api.model import Checkpoints
from benchmarks.apps.design.evolve import Population, Search, evolve, pareto_fronts
from benchmarks.apps.design.predictor import Score


def batches(
    score: Score,
    length: int,
    search: Search,
    weights: np.ndarray,
    *,
    n_batches: int,
    n_kept: int,
    seed: int,
    checkpoints: Callable[[int], Checkpoints | None] = lambda batch: None,
    on_generation: Callable[[int, dict[str, Any]], None] = lambda batch, row: None,
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Run searches from different random starts and keep the best distinct sequences of each.

    Returns
    -------
    (n, length) uint8 codes; (n, n_models) predictions; a table of their batch and front (1: nothing in the last
    population of the batch is better on all models); and the history of all batches.
    """
    codes, values, fronts, history = [], [], [], []
    for batch in range(n_batches):
        population = evolve(
            score, length, search, weights, seed=(seed, batch), checkpoints=checkpoints(batch),
            on_generation=lambda row, batch=batch: on_generation(batch, row),
        )  # fmt: skip
        chosen, front = pick(population, search, weights, n_kept)
        codes.append(chosen.codes)
        values.append(chosen.values)
        fronts.append(pd.DataFrame({"batch": batch, "front": front}))
        history.append(pd.DataFrame(population.history).assign(batch=batch))
    return (
        np.concatenate(codes), np.concatenate(values), pd.concat(fronts, ignore_index=True),
        pd.concat(history, ignore_index=True),
    )  # fmt: skip


def pick(population: Population, search: Search, weights: np.ndarray, n: int) -> tuple[Population, np.ndarray]:
    """Pick n distinct candidates, by the weighted sum after tournaments, else by NSGA-II; with their fronts, (n,)."""
    rest = population.distinct()
    front, order = pareto_fronts(rest.values, weights)
    if search.selection == "tournament":
        order = np.argsort(-(rest.values @ weights), kind="stable")
    order = order[:n]
    return Population(rest.codes[order], rest.values[order], rest.history), front[order]
