"""Where a run stands, going on with it, and what was left behind: states, reasons, estimates, and nothing lost."""

import dataclasses
import json
import os
import time

import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.cli.main import app
from benchmarks.engine.execution import machine, schedule
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import make_plan
from benchmarks.engine.store import checkpoints, locks, status
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training import Training
from benchmarks.io.json_files import read_json, write_json

pytestmark = pytest.mark.usefixtures("without_plots")

TASK = registry.get_task("human_mpra")


@pytest.fixture
def experiment(tmp_path):
    """Five ridges: two done, one running, one failed, one waiting with checkpoints of nobody."""
    store = Store(tmp_path / "results")
    found = data_sources.find(TASK, "quick", None, seed=0)
    plan = make_plan(TASK, "quick", found, seed=0, models=["kmer_ridge"], test_folds=[0, 1, 2, 3, 4])
    store.put_dataset(plan.sources[0].dataset)
    schedule.execute(dataclasses.replace(plan, jobs=plan.jobs[:2]), store, machine.Machine("cpu", 0, 1))
    for job in plan.jobs[:2]:
        file = store.training(job).folder / "job.json"
        write_json(file, read_json(file) | {"duration_s": 10.0})
    return Experiment.begin(plan, store, "command"), store


def put_failure(store, plan, reason="ValueError: no"):
    folder = store.training(plan.jobs[3]).folder
    Training(folder).put_failure(plan.jobs[3].to_dict() | {"status": "failed", "reason": reason})


def call(store, *words):
    return CliRunner().invoke(app, [*words, "--results", str(store.root)])


def test_every_training_is_done_running_failed_or_waiting(experiment):
    found, store = experiment
    put_failure(store, found.plan)
    with locks.TrainingLocks() as held:
        held.take(store.training(found.plan.jobs[2]).lock_file)
        table = status.states(found.plan, store)
        assert table["state"].tolist() == ["done", "done", "running", "failed", "waiting"]
        assert table["reason"].dropna().tolist() == ["ValueError: no"]
        assert table["host"].dropna().tolist() == [os.uname().nodename]
        # Three are left at 10 s each, and one process works on them.
        assert status.seconds_left(found.plan, store, table) == pytest.approx(30)
        printed = json.loads(call(store, "status", "--json").stdout)
        assert [printed[name] for name in status.STATES] == [2, 1, 1, 1]
        shown = call(store, "status").stdout
        assert "2 of 5 trainings done" in shown
        assert "1 failed: ValueError: no" in shown
        assert "Time left: about 30 s" in shown
    assert status.states(found.plan, store)["state"].tolist()[2] == "waiting"


def test_the_claim_of_a_process_that_is_gone_is_nobodys(experiment):
    found, store = experiment
    file = store.training(found.plan.jobs[2]).lock_file
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"id": "x", "machine": locks.machine(), "pid": 2**22 + 5, "born": "1"})
    assert status.states(found.plan, store)["state"].tolist()[2] == "waiting"
    write_json(file, {"id": "x", "machine": "elsewhere 1 2", "pid": 1, "born": "1"})
    assert status.states(found.plan, store)["host"].iloc[2] == "elsewhere"
    old = time.time() - 2 * locks.STALE_S
    os.utime(file, (old, old))
    assert status.states(found.plan, store)["state"].tolist()[2] == "waiting"


def test_a_half_done_training_counts_half(experiment):
    found, store = experiment
    folder = store.training(found.plan.jobs[4]).folder
    (Training(folder).checkpoints.folder / "epoch-00003").mkdir(parents=True)
    table = status.states(found.plan, store)
    assert table["epoch"].iloc[4] == 3
    table["epochs"] = 6
    assert status.seconds_left(found.plan, store, table) == pytest.approx(25)


def test_a_running_training_tells_its_epochs_and_its_pace(experiment, monkeypatch):
    """Two epochs of 30 s and half of the third: of six, three and a half are left, 105 s."""
    found, store = experiment
    monkeypatch.setattr(checkpoints, "SHOWN_S", 0.0)
    job = found.plan.jobs[2]
    told = []
    kept = store.training(job).checkpoints
    kept.begin(1, told.append)
    kept.starts_after(0)
    for epoch, r in ((1, 0.5), (2, 0.4)):
        kept.epoch_over({"epoch": epoch, "train_loss": 1 / epoch, "val_pearson_r": r, "seconds": 30.0})
    kept.reached(3, 10, 20, 0.25, 15.0)
    assert [row["epoch"] for row in told] == [1, 2, 3]
    with locks.TrainingLocks() as held:
        held.take(store.training(job).lock_file)
        table = status.states(found.plan, store)
        row = table.iloc[2]
        assert (row["state"], row["epoch"], row["epoch_share"], row["train_loss"]) == ("running", 2, 0.5, 0.25)
        assert (row["val_pearson_r"], row["best_epoch"], row["best_val_pearson_r"]) == (0.4, 1, 0.5)
        progress = store.training(job).checkpoints.running()
        assert progress.seconds_left(6) == pytest.approx(3.5 * 30)
        shown = call(store, "status").stdout.replace("\n", " ")
        assert "2 of" in shown
        assert "validation r 0.400 (best 0.500 in epoch 1)" in shown
    history = (kept.folder / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in history] == [1, 2]


def test_a_resumed_training_goes_on_with_its_history(experiment, monkeypatch):
    """What comes after the checkpoint that it goes on from is forgotten."""
    found, store = experiment
    monkeypatch.setattr(checkpoints, "SHOWN_S", 0.0)
    training = store.training(found.plan.jobs[2])
    first = training.checkpoints
    first.begin(1)
    for epoch in (1, 2, 3):
        first.epoch_over({"epoch": epoch, "seconds": 1.0})
    again = training.checkpoints
    again.begin(1)
    again.starts_after(2)
    again.epoch_over({"epoch": 3, "seconds": 5.0})
    assert [row["seconds"] for row in training.checkpoints.running().history] == [1.0, 1.0, 5.0]
    again.begin_again(7, "diverged")
    assert training.checkpoints.running().history == []


def test_a_first_epoch_is_estimated_from_its_batches():
    """A quarter of the first epoch took 60 s: 240 s an epoch, of which 9.75 of ten are left."""
    position = {"epoch": 1, "batch": 5, "n_batches": 20, "train_loss": 0.1, "seconds": 60.0}
    assert checkpoints.RunningProgress([], position).seconds_left(10) == pytest.approx(9.75 * 240)
    assert checkpoints.RunningProgress([], None).seconds_left(10) is None


def test_retry_trains_what_failed_and_then_what_is_left(experiment):
    found, store = experiment
    put_failure(store, found.plan)
    done = call(store, "retry", "--failed", "--workers", "0", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert status.states(found.plan, store)["state"].tolist() == ["done", "done", "waiting", "done", "waiting"]
    assert call(store, "retry", "--workers", "0", "--device", "cpu").exit_code == 0
    assert Experiment.open(store, None, None).command == "command", "the report shows what repeats the whole run"
    assert set(status.states(found.plan, store)["state"]) == {"done"}
    assert len(store.report_folders()) == 1, "it is the same run"


def test_gc_shows_leftovers_and_removes_only_these_when_told(experiment):
    found, store = experiment
    plan = found.plan
    done, waiting = (store.training(job).folder for job in (plan.jobs[0], plan.jobs[4]))
    for folder in (done, waiting, done.with_name("test-00_val-77")):
        Training(folder).checkpoints.folder.mkdir(parents=True)
    (Training(done).checkpoints.folder / "state").write_bytes(b"x" * 1000)
    half = done.with_name(".test-00_val-03-abc")
    half.mkdir()
    fresh = done.with_name(".test-00_val-04-abc")
    fresh.mkdir()
    os.utime(half, (0, 0))
    stale = Training(waiting).lock_file
    write_json(stale, {"id": "x", "machine": locks.machine(), "pid": 2**22 + 5, "born": "1"})
    unused = TASK.simulate(seed=3)
    digest = store.put_dataset(unused)
    expected = {
        Training(done).checkpoints.folder.name: "done",
        "test-00_val-77.partial": "no stored plan",
        half.name: "half-written",
        stale.name: "process that is gone",
        f"{unused.name}-{digest}": "nothing",
    }
    before = sorted(store.root.rglob("*"))
    listed = json.loads(call(store, "gc", "--json").stdout)
    assert listed["removed"] is False
    assert sorted(store.root.rglob("*")) == before
    assert {row["path"].rpartition("/")[2] for row in listed["leftovers"]} == set(expected)
    assert max(row["bytes"] for row in listed["leftovers"] if row["path"].endswith(".partial")) == 1000
    assert "Nothing was removed" in call(store, "gc").stdout
    assert sorted(store.root.rglob("*")) == before
    assert "Removed." in call(store, "gc", "--yes").stdout
    assert Training(waiting).checkpoints.folder.is_dir()
    assert fresh.is_dir()
    assert Training(done).is_done
    assert not half.exists()
    assert not stale.exists()
    assert json.loads(call(store, "gc", "--json").stdout)["leftovers"] == []


def test_checkpoints_of_a_process_that_lives_are_left_alone(experiment):
    found, store = experiment
    stray = store.training(found.plan.jobs[0]).folder.with_name("test-00_val-77")
    Training(stray).checkpoints.folder.mkdir(parents=True)
    with locks.TrainingLocks() as held:
        held.take(Training(stray).lock_file)
        assert status.leftovers(store, [found]) == []


def test_without_a_run_it_says_how_to_make_one(tmp_path):
    for words in (["status"], ["retry"]):
        done = call(Store(tmp_path), *words)
        assert (done.exit_code, "Make one" in done.stderr) == (2, True)
    assert call(Store(tmp_path), "gc").exit_code == 0


def test_a_running_model_without_epochs_is_shown(experiment):
    """A ridge has no epochs to count, nor checkpoints."""
    found, store = experiment
    with locks.TrainingLocks() as held:
        for job in found.plan.jobs[2:4]:
            held.take(store.training(job).lock_file)
        shown = call(store, "status")
        assert shown.exit_code == 0, shown.exception
        assert shown.stdout.count("running on") == 2
        (store.training(found.plan.jobs[2]).checkpoints.folder / "epoch-00003").mkdir(parents=True)
        assert ", 3 epochs" in call(store, "status").stdout


def test_gc_leaves_what_came_to_be_needed_while_it_asked(experiment, monkeypatch):
    found, store = experiment
    claim = store.training(found.plan.jobs[4]).lock_file
    write_json(claim, {"id": "x", "machine": locks.machine(), "pid": 2**22 + 5, "born": "1"})
    other = claim.with_name("test-09_val-08.claim")
    write_json(other, {"id": "x", "machine": locks.machine(), "pid": 2**22 + 5, "born": "1"})
    seen, look = [], status.leftovers

    def looks(*words):
        if seen:  # another command has taken the training over
            claim.unlink()
            assert mine.take(claim)
        seen.append(look(*words))
        return seen[-1]

    monkeypatch.setattr(status, "leftovers", looks)
    with locks.TrainingLocks() as mine:
        assert "Removed." in call(store, "gc", "--yes").stdout
        assert claim in [path for path, _, _ in seen[0]]
        assert claim.exists()
        assert not other.exists()
