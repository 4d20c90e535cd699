"""What the report says of how to get the same again, when trainings came from several machines."""

import json

from benchmarks import outputs, registry, runner, sources
from benchmarks.plan import make_plan
from benchmarks.store import Store

TASK = registry.get_task("human_mpra")


def test_every_machine_and_version_is_named(tmp_path):
    store = Store(tmp_path)
    plan = make_plan(TASK, "quick", sources.find(TASK, "quick", None, seed=0), seed=0, models=["kmer_ridge"])
    for source in plan.sources:
        store.put_dataset(source.dataset)
    runner.execute(plan, store, runner.Machine("cpu", 0, 1))
    other = runner.folder_of(store, plan.jobs[1]) / "job.json"
    record = json.loads(other.read_text())
    record["hardware"]["cpu"], record["versions"]["numpy"] = "an older one", "1.0"
    other.write_text(json.dumps(record))
    study = outputs.Study.begin(plan, store, "python -m benchmarks run --task human_mpra")
    results = outputs.write_scores(study, store)
    page = outputs.write_report(study, store, results).read_text()
    assert ", an older one" in page
    assert f"{runner.versions()['numpy']}, 1.0" in page
    assert study.command in page
    assert results.tests.empty  # the baseline did not run
    assert "did not run" in page


def test_a_study_is_found_again(tmp_path):
    store = Store(tmp_path)
    plan = make_plan(TASK, "quick", sources.find(TASK, "quick", None, seed=0), seed=0, models=["kmer_ridge"])
    study = outputs.Study.begin(plan, store, "command")
    back = outputs.Study.open(store, "human_mpra", None)
    assert (back.folder, back.command, back.plan.id) == (study.folder, "command", plan.id)
