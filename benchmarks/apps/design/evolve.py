"""Evolve sequences with DEAP: high and low expression, and the loop that every search here shares.

Source: Rafi et al. 2024, Methods; `manuscript_code/ga/ga.ipynb` of 1edv/evolution for high and low expression;
`GASeqDesign.py` of de-Boer-Lab/CRM2.0 for several models. Both published mutation functions share a fault: G and T may
stay as they are and never become A. Here a mutation draws among the three other bases; `mutation="published"` is for
replication.

Varying and selecting 100,000 candidates over 10 generations takes DEAP some 20 seconds on one core; predicting them
takes a network minutes. Only candidates that changed are predicted again: the published scripts predict all, to the
same values.
"""

import contextlib
import functools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.api.model import Checkpoints
from benchmarks.api.sequences import BASES, comparable_rows
from benchmarks.apps.design.inserts import random_inserts
from benchmarks.apps.design.predictor import Score
from benchmarks.apps.design.resumable_search import State, latest_state, save_state
from benchmarks.errors import BadInput, did_you_mean


def _others(published: bool) -> list[list[int]]:
    biased = {"A": "CGT", "C": "AGT", "G": "CGT", "T": "CGT"}
    return [
        [BASES.index(letter) for letter in (biased[base] if published else "ACGT") if published or letter != base]
        for base in BASES[:4]
    ]


MUTATIONS = {"uniform": _others(False), "published": _others(True)}
"""Name -> for every code, the codes that a mutation draws from."""


@dataclass(frozen=True)
class Search:
    """How candidates are varied and selected.

    Parameters
    ----------
    population, generations
        Candidates, and rounds of varying and selecting them.
    crossover
        Probability that a pair of neighbours exchanges what lies between two points.
    mutation, per_base
        Probability that a candidate is mutated, and that a base of one that is becomes another.
    parents_stay
        Survivors are chosen among parents and offspring, not among the offspring alone.
    selection
        "tournament": of three, on the weighted sum of predictions. "nsga2": Pareto fronts, then crowding distance.
    mutate
        "uniform", or "published": the biased draw of both published scripts.
    """

    population: int
    generations: int
    crossover: float
    mutation: float
    per_base: float
    parents_stay: bool
    selection: str
    mutate: str = "uniform"

    def __post_init__(self) -> None:
        if self.mutate not in MUTATIONS:
            raise BadInput(f"--mutate: {did_you_mean('mutation', self.mutate, list(MUTATIONS))}")

    def expected_candidates(self) -> float:
        """Return an upper bound of the mean number of predictions that a search takes."""
        return self.population * (1 + self.generations * (1 - (1 - self.crossover) * (1 - self.mutation)))


EXPRESSION = Search(100_000, 10, 0.1, 0.1, 0.025, parents_stay=False, selection="tournament")
"""High and low expression: selection on the offspring alone, and the best of the last population reported."""
CHALLENGING = Search(100, 100, 0.5, 1.0, 0.02, parents_stay=True, selection="nsga2")
"""Several models: every offspring is mutated; the paper's crossover (0.5; the script's own default is 0.1)."""
TOURNAMENT = 3


@dataclass(frozen=True)
class Population:
    """Candidates and their predictions.

    Parameters
    ----------
    codes
        (n, length) uint8, in the order of the search: copies are among them.
    values
        (n, n_models) float64.
    history
        A row per generation, 0 the random start.
    """

    codes: np.ndarray
    values: np.ndarray
    history: list[dict[str, Any]]

    def distinct(self) -> "Population":
        """Leave out copies; the first of each stays where it is."""
        first = np.sort(np.unique(comparable_rows(self.codes), return_index=True)[1])
        return Population(self.codes[first], self.values[first], self.history)

    def best(self, n: int, weights: np.ndarray) -> "Population":
        """Take the n distinct candidates with the largest weighted sum of predictions, best first."""
        rest = self.distinct()
        order = np.argsort(-(rest.values @ weights), kind="stable")[:n]
        return Population(rest.codes[order], rest.values[order], self.history)


def evolve(
    score: Score,
    length: int,
    search: Search,
    weights: np.ndarray,
    *,
    seed: tuple[int, ...],
    checkpoints: Checkpoints | None = None,
    on_generation: Callable[[dict[str, Any]], None] = lambda row: None,
) -> Population:
    """Evolve random sequences; the same numbers whether or not a checkpoint was taken up on the way.

    Parameters
    ----------
    score
        Predicts (n, length) codes.
    weights
        (n_models,) float, signed: what is maximised is `values * weights`, each model for itself under NSGA-II.
    seed
        Whole numbers.
    on_generation
        Called with every row of the history.
    """
    algorithms, *_ = _deap()
    individual, toolbox = _toolbox(search, weights)
    history: list[dict[str, Any]] = []
    started = time.monotonic()

    def evaluate(candidates: list[Any]) -> int:
        changed = [candidate for candidate in candidates if not candidate.fitness.valid]
        if changed:
            for candidate, values in zip(changed, score(_codes(changed, length)).tolist(), strict=True):
                candidate.assign(values, weights)
        return len(changed)

    def record(generation: int, population: list[Any], n_scored: int) -> None:
        totals = _values(population) @ weights
        row = {"generation": generation, "n_scored": n_scored, "best": totals.max(), "mean": totals.mean()}
        history.append(row)
        on_generation(row | {"seconds": time.monotonic() - started})

    with _seeded(seed):
        if state := latest_state(checkpoints):
            generation, population = state.step, _restored(individual, state, weights)
            history += state.values["history"]
        else:
            start = random_inserts(np.random.default_rng(seed), search.population, length)
            generation, population = 0, [individual(row.tobytes()) for row in start]
            record(0, population, evaluate(population))
        if checkpoints is not None:
            checkpoints.starts_after(generation)
        while generation < search.generations:
            offspring = algorithms.varAnd(population, toolbox, search.crossover, search.mutation)
            n_scored = evaluate(offspring)
            pool = population + offspring if search.parents_stay else offspring
            population = toolbox.select(pool, search.population)
            generation += 1
            record(generation, population, n_scored)
            if checkpoints is not None and (checkpoints.due() or generation == search.generations):
                arrays = {"codes": _codes(population, length), "values": _values(population)}
                save_state(checkpoints, generation, arrays, {"history": history, "random": random.getstate()})
    return Population(_codes(population, length), _values(population), history)


def _restored(individual: Callable[[bytes], Any], state: State, weights: np.ndarray) -> list[Any]:
    """Return the population of a stored state, and put the random generator where it was."""
    population = [individual(row.tobytes()) for row in state.arrays["codes"]]
    for candidate, values in zip(population, state.arrays["values"].tolist(), strict=True):
        candidate.assign(values, weights)
    random.setstate(_tuples(state.values["random"]))
    return population


def _toolbox(search: Search, weights: np.ndarray) -> tuple[type, Any]:
    """Return the type of candidates, and DEAP's toolbox of how they are cloned, mated, mutated and selected."""
    _, base, tools = _deap()
    by_tournament = search.selection == "tournament"
    individual = _individual_type(base, (1.0,) if by_tournament else tuple(weights))
    toolbox = base.Toolbox()
    toolbox.register("clone", individual.copy)
    toolbox.register("mate", tools.cxTwoPoint)
    toolbox.register("mutate", _mutated, per_base=search.per_base, draws=MUTATIONS[search.mutate])
    if by_tournament:
        toolbox.register("select", tools.selTournament, tournsize=TOURNAMENT)
    else:
        toolbox.register("select", tools.selNSGA2)
    return individual, toolbox


def _individual_type(base: Any, weights: tuple[float, ...]) -> type:
    """Make DEAP's individual: bytes that are codes, whose slices are copies, not views, as cxTwoPoint needs.

    Under a tournament there is one fitness, the weighted sum of predictions; under NSGA-II one per model, with DEAP's
    weights.
    """
    fitness_type = type("Fitness", (base.Fitness,), {"weights": weights})
    summed = weights == (1.0,)

    class Individual(bytearray):
        def __init__(self, codes: bytes):
            super().__init__(codes)
            self.fitness, self.values = fitness_type(), None

        def copy(self) -> "Individual":
            new = Individual(self)
            new.fitness.wvalues, new.values = self.fitness.wvalues, self.values
            return new

        def assign(self, values: list[float], weights: np.ndarray) -> None:
            self.values = values
            total = sum(value * weight for value, weight in zip(values, weights.tolist(), strict=True))
            self.fitness.values = (total,) if summed else values

    return Individual


def _mutated(individual: Any, per_base: float, draws: list[list[int]]) -> tuple[Any]:
    for at in range(len(individual)):
        if random.random() < per_base:
            individual[at] = random.choice(draws[individual[at]])
    return (individual,)


def _codes(candidates: list[Any], length: int) -> np.ndarray:
    return np.frombuffer(b"".join(candidates), dtype=np.uint8).reshape(-1, length)


def _values(candidates: list[Any]) -> np.ndarray:
    return np.array([candidate.values for candidate in candidates])


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


@contextlib.contextmanager
def _seeded(seed: tuple[int, ...]) -> Iterator[None]:
    """Seed the generator of `random`, which DEAP uses, and restore its state afterwards."""
    before = random.getstate()
    random.seed(" ".join(map(str, seed)))
    try:
        yield
    finally:
        random.setstate(before)


@functools.cache
def _deap() -> tuple[Any, Any, Any]:
    try:
        from deap import algorithms, base, tools
    except ModuleNotFoundError:
        raise BadInput("Evolving sequences needs 'deap': `pip install -e '.[design]'`.") from None
    return algorithms, base, tools


def pareto_fronts(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort candidates into Pareto fronts, 1 those that no other beats: as good on all models, better on one.

    Parameters
    ----------
    values
        (n, n_models) predictions.
    weights
        (n_models,) signed.

    Returns
    -------
    (n,) int64 number of the front; (n,) int64 all candidates in NSGA-II's order, by front, then by crowding distance.
    """
    _, base, tools = _deap()
    individual = _individual_type(base, tuple(weights))
    candidates = []
    for number, row in enumerate(np.asarray(values, dtype=np.float64).tolist()):
        candidate = individual(b"")
        candidate.number, candidate.fitness.values = number, row
        candidates.append(candidate)
    front_of = np.zeros(len(candidates), dtype=np.int64)
    order = []
    for number, front in enumerate(tools.sortNondominated(candidates, len(candidates)), start=1):
        tools.emo.assignCrowdingDist(front)
        front.sort(key=lambda candidate: -candidate.fitness.crowding_dist)
        members = [candidate.number for candidate in front]
        front_of[members] = number
        order += members
    return front_of, np.array(order, dtype=np.int64)
