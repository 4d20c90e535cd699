"""What the report says of how to get the same again, when trainings came from several machines."""

import json

import pytest

from benchmarks import registry, system
from benchmarks.engine.execution import machine, schedule
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import make_plan
from benchmarks.engine.reporting import write_results
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput

pytestmark = pytest.mark.usefixtures("without_plots")

TASK = registry.get_task("human_mpra")


def test_every_machine_and_version_is_named(tmp_path):
    store = Store(tmp_path)
    plan = make_plan(TASK, "quick", data_sources.find(TASK, "quick", None, seed=0), seed=0, models=["kmer_ridge"])
    for source in plan.sources:
        store.put_dataset(source.dataset)
    schedule.execute(plan, store, machine.Machine("cpu", 0, 1))
    other = store.training(plan.jobs[1]).folder / "job.json"
    record = json.loads(other.read_text())
    record["hardware"]["cpu"], record["versions"]["numpy"] = "an older one", "1.0"
    other.write_text(json.dumps(record))
    experiment = Experiment.begin(plan, store, "python -m benchmarks run --task human_mpra")
    results = write_results.write_scores(experiment, store)
    page = write_results.write_report(experiment, store, results).read_text()
    assert ", an older one" in page
    assert f"{system.versions()['numpy']}, 1.0" in page
    assert experiment.command in page
    assert results.tests.empty  # the baseline did not run
    assert "did not run" in page


def test_a_study_is_found_again(tmp_path):
    store = Store(tmp_path)
    plan = make_plan(TASK, "quick", data_sources.find(TASK, "quick", None, seed=0), seed=0, models=["kmer_ridge"])
    experiment = Experiment.begin(plan, store, "command")
    back = Experiment.open(store, "human_mpra", None)
    assert (back.folder, back.command, back.plan.id) == (experiment.folder, "command", plan.id)


def begun(store, task_name, seed=0):
    task = registry.get_task(task_name)
    found = data_sources.find(task, "quick", None, seed=seed)
    return Experiment.begin(make_plan(task, "quick", found, seed=seed, models=["kmer_ridge"]), store, "command")


def test_several_studies_are_opened_at_once(tmp_path):
    store = Store(tmp_path)
    human, fly = begun(store, "human_mpra"), begun(store, "drosophila")
    everything = Experiment.open_many(store)
    assert {experiment.folder for experiment in everything} == {human.folder, fly.folder}
    assert [experiment.folder for experiment in Experiment.open_many(store, tasks=["drosophila"])] == [fly.folder]
    assert [experiment.folder for experiment in Experiment.open_many(store, folders=[human.folder])] == [human.folder]


def test_two_runs_on_one_dataset_are_not_mixed(tmp_path):
    store = Store(tmp_path)
    first, second = begun(store, "human_mpra"), begun(store, "human_mpra", seed=1)
    with pytest.raises(BadInput, match="both hold human_mpra simulated; name one"):
        Experiment.open_many(store, folders=[first.folder, second.folder])


def test_nothing_stored_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="No run is stored"):
        Experiment.open_many(Store(tmp_path))
    with pytest.raises(BadInput, match="No run of task 'yeast'"):
        Experiment.open_many(Store(tmp_path), tasks=["yeast"])
