"""Abilities of tasks are asked for by protocol, and a task's spec may come from its data."""

import dataclasses
import types

import numpy as np
import pytest

from benchmarks import registry
from benchmarks.api import task as abilities
from benchmarks.api.data import TaskSpec
from benchmarks.api.task import SpecFromData, spec_of, supports
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.execution import machine, schedule
from benchmarks.engine.inference import load
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import make_plan
from benchmarks.engine.store.store import Store

SOME = {"LeavesOutElements", "HasPlantedMotifs"}
STRANDS = {"MarksStrands", "HasReverseForm"}
EXPECTED = {
    "human_mpra": SOME
    | STRANDS
    | {"ScoredByItems", "HasConstantFlanks", "HasElementLength", "HasConstruct", "TakesColumns", "AddsFlanks"},
    "drosophila": SOME | STRANDS | {"ScoredByItems", "HasConstruct", "TakesColumns"},
    "atac": SOME | {"ScoredByItems", "HasHeadlines", "ChecksRun"},
    "assay": STRANDS
    | {"ScoredByItems", "TakesColumns", "EncodesForSpec", "SpecFromData", "LeavesOutElements"}
    | {"HasConstantFlanks", "HasConstruct", "ScalesRecipes", "OffersDatasets"},
    "yeast": SOME
    | {"TakesColumns", "AddsFlanks"}
    | {"ComparedWithoutFolds", "HasConstantFlanks", "HasConstruct", "HasDesignedTestSet", "HasChallengeScore"},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_abilities_of_every_task(name):
    every = [item for item in vars(abilities).values() if getattr(item, "_is_runtime_protocol", False)]
    task = registry.get_task(name)
    assert {ability.__name__ for ability in every if supports(task, ability)} == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_every_task_has_the_required_members(name):
    task = registry.get_task(name)
    required = {*abilities.Task.__annotations__, *(k for k, v in vars(abilities.Task).items() if not k.startswith("_"))}
    assert {"SPEC", "score", "load"} <= required
    assert [member for member in sorted(required) if not hasattr(task, member)] == []


@pytest.fixture
def generic(monkeypatch):
    """human_mpra without its adapters, as a task that knows sequence length and outputs from its data alone."""
    human = registry.get_task("human_mpra")
    task = types.ModuleType("generic")
    vars(task).update({name: value for name, value in vars(human).items() if not name.startswith("__")})

    def simulate(*, split, seed):
        data = human.simulate(split=split, seed=seed)
        codes, y = np.array(data.codes[:, 60:170]), data.targets["expression"]
        return dataclasses.replace(data, codes=codes, targets={"first": y, "second": -y}, ceilings=())

    task.NAME, task.SPEC, task.simulate = "generic", TaskSpec(7, ("unknown",)), simulate
    task.spec = lambda dataset: TaskSpec(dataset.codes.shape[1], tuple(dataset.targets))
    monkeypatch.setattr(registry, "get_task", lambda name: task)
    return task


def test_a_spec_from_data_needs_nothing_of_the_engine(generic, tmp_path):
    assert supports(generic, SpecFromData)
    assert spec_of(generic, None) == generic.SPEC
    sources = data_sources.find(generic, "quick", None, seed=0)
    plan = make_plan(generic, "quick", sources, seed=0, models=["kmer_ridge"], test_folds=[0], n_members=1)
    store = Store(tmp_path)
    store.put_dataset(plan.sources[0].dataset)
    schedule.execute(plan, store, machine.Machine("cpu", 0, 1))
    assert set(score(plan, store, generic)["output"]) == {"first", "second"}
    trained = load.open_model(store.training(plan.jobs[0]).folder)
    assert trained.spec == TaskSpec(110, ("first", "second"))
    test = sources[0].dataset.take(np.arange(3)).without_targets()
    assert list(trained.model.predict(test)) == ["first", "second"]
