"""Searches for sequences: known optima, operators against their definitions, fronts against brute force, resuming."""

import dataclasses
import itertools
import random

import numpy as np
import pytest
from deap import tools
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from benchmarks.api.sequences import BASES
from benchmarks.apps.design import disagreement, evolve, mutation_walks
from benchmarks.engine.store.checkpoints import EpochCheckpoints
from benchmarks.errors import BadInput
from benchmarks.yeast import simulate

LENGTH = 80
WEIGHTS = np.random.default_rng(5).normal(size=(LENGTH, 4))
SMALL = dataclasses.replace(evolve.EXPRESSION, population=2000, generations=60)
PAIR = dataclasses.replace(evolve.CHALLENGING, population=40, generations=15)


def additive(codes):
    """A landscape whose optimum is known: the best base at every position."""
    return WEIGHTS[np.arange(LENGTH), codes].sum(axis=1)[:, None]


def two_models(codes):
    turned = WEIGHTS[::-1][np.arange(LENGTH), codes].sum(axis=1)
    return np.column_stack([additive(codes)[:, 0], turned])


class Killed(BaseException):
    pass


def dies_after(n_calls, score):
    calls = [0]

    def scored(codes):
        calls[0] += 1
        if calls[0] > n_calls:
            raise Killed
        return score(codes)

    return scored


# Known optima


@pytest.mark.parametrize(("sign", "optimum"), [(1.0, WEIGHTS.max(axis=1).sum()), (-1.0, WEIGHTS.min(axis=1).sum())])
def test_it_reaches_nine_tenths_of_the_best_additive_sequence(sign, optimum):
    found = evolve.evolve(additive, LENGTH, SMALL, np.array([sign]), seed=(1,)).best(10, np.array([sign]))
    assert found.values[0, 0] / optimum >= 0.9
    assert abs(found.values[0, 0]) <= abs(optimum) + 1e-9


def test_it_reaches_nine_tenths_of_the_simulated_maximum():
    search = dataclasses.replace(evolve.EXPRESSION, population=4000, generations=15)
    found = evolve.evolve(lambda codes: simulate.expression(codes)[:, None], LENGTH, search, np.ones(1), seed=(0,))
    random_ones = np.random.default_rng(9).integers(0, 4, (4000, LENGTH), dtype=np.uint8)
    supremum = 8.0 + 7.5  # centre and half range of the simulation, whose sum of effects levels off
    assert found.values.max() >= 0.9 * supremum
    assert found.values.mean() > simulate.expression(random_ones).mean() + 3


# Operators


@given(st.data())
def test_crossover_exchanges_one_stretch_and_nothing_else(data):
    individual = evolve._individual_type(evolve._deap()[1], (1.0,))
    parents = [data.draw(st.binary(min_size=LENGTH, max_size=LENGTH)) for _ in range(2)]
    children = tools.cxTwoPoint(*(individual(parent) for parent in parents))
    swapped = []
    for first, second, one, other in zip(*parents, *children, strict=True):
        assert {(one, other)} <= {(first, second), (second, first)}
        swapped.append((one, other) != (first, second) if first != second else None)
    told = [swap for swap in swapped if swap is not None]
    assert sum(a != b for a, b in itertools.pairwise(told)) <= 2  # one stretch: two borders at most


def counted(name, base, n=20_000):
    """Count what a base becomes in many copies of it, mutated everywhere."""
    individual = evolve._individual_type(evolve._deap()[1], (1.0,))(bytes([BASES.index(base)] * n))
    random.seed(3)
    (changed,) = evolve._mutated(individual, 1.0, evolve.MUTATIONS[name])
    return {letter: changed.count(BASES.index(letter)) for letter in "ACGT"}


@pytest.mark.parametrize("base", "ACGT")
def test_a_mutation_draws_evenly_among_the_three_other_bases(base):
    found = counted("uniform", base)
    assert found.pop(base) == 0
    assert chisquare(list(found.values())).pvalue > 1e-4


@pytest.mark.parametrize(("base", "becomes"), [("A", "CGT"), ("C", "AGT"), ("G", "CGT"), ("T", "CGT")])
def test_the_published_mutation_changes_c_to_a_and_keeps_g_and_t(base, becomes):
    found = counted("published", base)
    assert {letter for letter, n in found.items() if n} == set(becomes)
    assert chisquare([found[letter] for letter in becomes]).pvalue > 1e-4


def test_the_rate_of_mutated_bases_is_that_of_the_settings():
    individual = evolve._individual_type(evolve._deap()[1], (1.0,))(bytes(200_000))
    random.seed(4)
    (changed,) = evolve._mutated(individual, 0.025, evolve.MUTATIONS["uniform"])
    assert (200_000 - changed.count(0)) / 200_000 == pytest.approx(0.025, abs=0.002)


def test_an_unknown_mutation_is_named():
    with pytest.raises(BadInput, match=r"'publshed'\. Did you mean 'published'"):
        dataclasses.replace(SMALL, mutate="publshed")


def test_settings_are_those_of_the_paper():
    assert dataclasses.astuple(evolve.EXPRESSION)[:7] == (100_000, 10, 0.1, 0.1, 0.025, False, "tournament")
    assert dataclasses.astuple(evolve.CHALLENGING)[:7] == (100, 100, 0.5, 1.0, 0.02, True, "nsga2")
    assert evolve.TOURNAMENT == 3


# What a search returns


@pytest.mark.parametrize("search", [dataclasses.replace(SMALL, generations=5), PAIR], ids=["tournament", "nsga2"])
def test_cached_values_equal_those_of_a_new_prediction(search):
    n_scored = []

    def score(codes):
        n_scored.append(len(codes))
        return two_models(codes)

    found = evolve.evolve(score, LENGTH, search, np.array([1.0, -1.0]), seed=(2,))
    np.testing.assert_array_equal(found.values, two_models(found.codes))
    assert [row["n_scored"] for row in found.history] == n_scored
    assert n_scored[0] == search.population
    changed = search.population * (1 - (1 - search.crossover) * (1 - search.mutation))
    assert np.mean(n_scored[1:]) == pytest.approx(changed, rel=0.1)


def test_the_best_are_distinct_and_in_order():
    found = evolve.evolve(additive, LENGTH, dataclasses.replace(SMALL, generations=8), np.ones(1), seed=(0,))
    best = found.best(50, np.ones(1))
    assert len({row.tobytes() for row in best.codes}) == 50
    assert (np.diff(best.values[:, 0]) <= 0).all()
    by_hand = sorted(
        {row.tobytes(): value for row, value in zip(found.codes, found.values[:, 0], strict=True)}.values()
    )
    np.testing.assert_array_equal(best.values[:, 0], by_hand[::-1][:50])


def test_a_seed_repeats_a_search_and_touches_no_global_generator():
    search = dataclasses.replace(SMALL, population=200, generations=4)
    random.seed(11)
    expected = random.random()
    random.seed(11)
    first = evolve.evolve(additive, LENGTH, search, np.ones(1), seed=(7,))
    assert random.random() == expected
    again = evolve.evolve(additive, LENGTH, search, np.ones(1), seed=(7,))
    other = evolve.evolve(additive, LENGTH, search, np.ones(1), seed=(8,))
    np.testing.assert_array_equal(first.codes, again.codes)
    assert (first.codes != other.codes).any()


# Fronts


def beaten(values, signs):
    """Tell by every pair of candidates who is beaten: as good on all models by another, better on one."""
    good = values * signs
    return np.array([((good >= one).all(axis=1) & (good > one).any(axis=1)).any() for one in good])


values_of_models = st.integers(1, 4).flatmap(
    lambda m: st.tuples(
        st.lists(st.lists(st.integers(-3, 3), min_size=m, max_size=m), min_size=1, max_size=40),
        st.lists(st.sampled_from([-2.0, -1.0, 0.5, 3.0]), min_size=m, max_size=m),
    )
)


@settings(max_examples=300, deadline=None)
@given(values_of_models)
def test_fronts_are_what_is_not_beaten_peeled_off_one_by_one(case):
    values, signs = np.array(case[0], dtype=float), np.array(case[1])
    front, order = evolve.pareto_fronts(values, signs)
    assert sorted(order) == list(range(len(values)))
    assert (np.diff(front[order]) >= 0).all()
    left = np.arange(len(values))
    for number in range(1, front.max() + 1):
        unbeaten = ~beaten(values[left], signs)
        assert set(left[unbeaten]) == set(np.flatnonzero(front == number))
        left = left[~unbeaten]
    assert not len(left)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(1.0, -1.0), (-1.0, 1.0), (2.0, 0.5)]))
def test_the_pareto_set_of_a_search_is_non_dominated(seed, signs):
    search = dataclasses.replace(PAIR, population=20, generations=5)
    codes, values, about, _ = disagreement.batches(
        two_models, LENGTH, search, np.array(signs), n_batches=2, n_kept=20, seed=seed
    )
    np.testing.assert_array_equal(values, two_models(codes))
    for batch in (0, 1):
        mine = (about["batch"] == batch).to_numpy()
        first = mine & (about["front"] == 1).to_numpy()
        assert first.any()
        assert not beaten(values[mine], np.array(signs))[first[mine]].any()
        assert len({row.tobytes() for row in codes[mine]}) == mine.sum()


def test_models_that_disagree_are_driven_apart():
    signs = np.array([1.0, -1.0])
    _, values, _, history = disagreement.batches(
        two_models, LENGTH, dataclasses.replace(PAIR, generations=40), signs, n_batches=3, n_kept=10, seed=0
    )
    start = two_models(np.random.default_rng(0).integers(0, 4, (5000, LENGTH), dtype=np.uint8)) @ signs
    assert (values @ signs).max() > start.max()
    assert len(history) == 3 * 41


def test_a_weighted_sum_is_one_objective_by_tournaments():
    signs = np.array([1.0, -0.5])
    search = dataclasses.replace(PAIR, selection="tournament", generations=40)
    _, values, _, history = disagreement.batches(two_models, LENGTH, search, signs, n_batches=1, n_kept=10, seed=0)
    assert (np.diff(values @ signs) <= 0).all()
    assert history["best"].iloc[-1] > history["best"].iloc[0] + 5


# Resuming


@pytest.mark.parametrize(
    ("search", "score", "signs"),
    [(dataclasses.replace(SMALL, population=300, generations=8), additive, (1.0,)), (PAIR, two_models, (1.0, -1.0))],
    ids=["tournament", "nsga2"],
)
def test_a_search_that_was_killed_ends_like_one_that_was_not(tmp_path, monkeypatch, search, score, signs):
    monkeypatch.setattr(EpochCheckpoints, "due", lambda self: True)
    signs = np.array(signs)
    expected = evolve.evolve(score, LENGTH, search, signs, seed=(3,))
    for n_calls in (3, 2):
        with pytest.raises(Killed):
            evolve.evolve(
                dies_after(n_calls, score), LENGTH, search, signs, seed=(3,), checkpoints=EpochCheckpoints(tmp_path)
            )
    latest = next(EpochCheckpoints(tmp_path).whole())
    (latest / "arrays.npz").write_bytes(b"half")  # the one before serves
    seen = []
    found = evolve.evolve(
        score, LENGTH, search, signs, seed=(3,), checkpoints=EpochCheckpoints(tmp_path), on_generation=seen.append
    )
    np.testing.assert_array_equal(found.codes, expected.codes)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.history == expected.history
    assert 1 < seen[0]["generation"] < search.generations


def test_a_finished_batch_is_not_searched_again(tmp_path):
    def checkpoints(batch):
        return EpochCheckpoints(tmp_path / str(batch))

    signs = np.array([1.0, -1.0])
    keywords = {"n_batches": 2, "n_kept": 5, "seed": 1, "checkpoints": checkpoints}
    expected = disagreement.batches(two_models, LENGTH, PAIR, signs, **keywords)
    found = disagreement.batches(dies_after(0, two_models), LENGTH, PAIR, signs, **keywords)
    for ours, theirs in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(ours, theirs)


# Walks


def one_step(codes, score, sign):
    """The strongest of all single substitutions, one at a time."""
    best, best_value = codes, sign * score(codes[None])[0, 0]
    for at in range(LENGTH):
        for base in range(4):
            tried = codes.copy()
            tried[at] = base
            if (value := sign * score(tried[None])[0, 0]) > best_value:
                best, best_value = tried, value
    return best


@pytest.mark.parametrize(("choose", "sign"), [("increase", 1.0), ("decrease", -1.0)])
def test_a_walk_takes_the_strongest_substitution(choose, sign):
    starts = np.random.default_rng(1).integers(0, 4, (3, LENGTH), dtype=np.uint8)
    path = mutation_walks.walk(starts, steps=2, choose=choose, seed=0, score=additive)
    for row in range(3):
        expected = one_step(starts[row], additive, sign)
        np.testing.assert_array_equal(path[row, 1], expected)
        np.testing.assert_array_equal(path[row, 2], one_step(expected, additive, sign))


def test_a_walk_stays_at_the_top_and_gives_no_pair_there():
    top = WEIGHTS.argmax(axis=1).astype(np.uint8)
    below = top.copy()
    below[7] = (below[7] + 1) % 4
    path = mutation_walks.walk(np.stack([below]), steps=3, choose="increase", seed=0, score=additive)
    np.testing.assert_array_equal(path[0, 1:], np.stack([top] * 3))
    table, codes = mutation_walks.pairs(["w"], path, "increase")
    assert table["tag"].tolist() == ["w", f"w_increase1.{BASES[below[7]]}7{BASES[top[7]]}"]
    assert table["ref_tag"].tolist() == ["", "w"]
    np.testing.assert_array_equal(codes, np.stack([below, top]))


def test_drift_changes_one_base_per_step_evenly():
    starts = np.zeros((4000, LENGTH), dtype=np.uint8)
    path = mutation_walks.walk(starts, steps=2, choose="random", seed=5)
    assert ((path[:, 1:] != path[:, :-1]).sum(axis=2) == 1).all()
    _, at = np.nonzero(path[:, 1])
    assert chisquare(np.bincount(at, minlength=LENGTH)).pvalue > 1e-4
    assert chisquare(np.bincount(path[:, 1].max(axis=1), minlength=4)[1:]).pvalue > 1e-4


def test_pairs_of_walks_are_one_substitution_apart():
    starts = np.random.default_rng(2).integers(0, 4, (5, LENGTH), dtype=np.uint8)
    table, codes = mutation_walks.pairs(
        [f"s{i}" for i in range(5)], mutation_walks.walk(starts, steps=4, choose="random", seed=1), "random"
    )
    of = dict(zip(table["tag"], codes, strict=True))
    assert len(of) == len(table) == 25
    for tag, ref in zip(table["tag"], table["ref_tag"], strict=True):
        if ref:
            (at,) = np.flatnonzero(of[tag] != of[ref])
            assert tag.endswith(f".{BASES[of[ref][at]]}{at}{BASES[of[tag][at]]}")


def test_a_walk_that_was_killed_ends_like_one_that_was_not(tmp_path, monkeypatch):
    monkeypatch.setattr(EpochCheckpoints, "due", lambda self: True)
    starts = np.random.default_rng(1).integers(0, 4, (3, LENGTH), dtype=np.uint8)
    keywords = {"steps": 4, "choose": "increase", "seed": 0}
    expected = mutation_walks.walk(starts, score=additive, **keywords)
    with pytest.raises(Killed):
        mutation_walks.walk(starts, score=dies_after(2, additive), checkpoints=EpochCheckpoints(tmp_path), **keywords)
    found = mutation_walks.walk(
        starts, score=dies_after(2, additive), checkpoints=EpochCheckpoints(tmp_path), **keywords
    )
    np.testing.assert_array_equal(found, expected)


def test_a_walk_needs_a_known_choice_and_a_model():
    starts = np.zeros((1, LENGTH), dtype=np.uint8)
    with pytest.raises(BadInput, match="Did you mean 'increase'"):
        mutation_walks.walk(starts, steps=1, choose="incraese", seed=0)
    with pytest.raises(BadInput, match="name one with --run"):
        mutation_walks.walk(starts, steps=1, choose="increase", seed=0)
