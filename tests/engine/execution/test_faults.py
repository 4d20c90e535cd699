"""What goes wrong while trainings run, put there on purpose: what happens, what is said, and that nothing is lost."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from baselines import kmer_ridge
from benchmarks import registry, shutdown
from benchmarks.engine.execution import schedule, train_job
from benchmarks.engine.execution.machine import Machine
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import make_plan, seed_of_attempt
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training import Training
from benchmarks.engine.store.training_table import job_table
from benchmarks.training.loop import TrainingDiverged
from tests.helpers import napping_model
from tests.helpers.commands import assert_same_trainings, job_files, left_over, start
from tests.helpers.drill import drill

TASK = registry.get_task("human_mpra")
INLINE = Machine("cpu", 0, 1)


def plan_for(models=("kmer_ridge",), **options):
    found = data_sources.find(TASK, "quick", None, seed=0)
    return make_plan(TASK, "quick", found, seed=0, models=list(models), **options)


def execute(plan, store, machine=INLINE, **options):
    for source in plan.sources:
        store.put_dataset(source.dataset)
    return schedule.execute(plan, store, machine, **options)


def folders(plan, store):
    return [store.training(job).folder for job in plan.jobs]


@pytest.fixture
def diverging(monkeypatch):
    """Make the k-mer ridge diverge with the seeds in a set."""
    seeds, original = set(), kmer_ridge.KmerRidge.fit

    def fit(self, train, val, *, seed, **options):
        if seed in seeds:
            raise TrainingDiverged(f"seed {seed} diverged")
        return original(self, train, val, seed=seed, **options)

    monkeypatch.setattr(kmer_ridge.KmerRidge, "fit", fit)
    return seeds


# A training that diverges


def test_a_diverging_training_is_repeated_with_another_seed(tmp_path, diverging):
    """The stored record says so."""
    store, plan = Store(tmp_path), plan_for(test_folds=[0, 1])
    first = plan.jobs[0]
    diverging |= {first.seed}
    assert execute(plan, store)["done"] == 2
    record = store.training(first).record()
    assert record["diverged"] == [{"seed": first.seed, "reason": f"seed {first.seed} diverged"}]
    assert job_table(plan, store)["diverged"].tolist() == [1, 0]


def test_a_training_that_diverges_with_three_seeds_has_failed(tmp_path, diverging):
    store, plan = Store(tmp_path), plan_for(test_folds=[0, 1])
    first = plan.jobs[0]
    seeds = [seed_of_attempt(first, n) for n in range(3)]
    assert len({*seeds, plan.jobs[1].seed}) == 4
    diverging |= set(seeds)
    assert execute(plan, store) == {"done": 1, "failed": 1, "skipped": 0}
    reason = job_table(plan, store)["reason"].iloc[0]
    assert "each of 3 seeds" in reason
    assert f"seed {seeds[2]} diverged" in reason
    diverging.clear()
    assert execute(plan, store) == {"done": 1, "failed": 0, "skipped": 1}
    assert store.training(first).record()["diverged"] == []


def test_a_kill_in_a_later_attempt_does_not_repeat_the_earlier(tmp_path, diverging, monkeypatch):
    store, plan = Store(tmp_path), plan_for(test_folds=[0])
    (job,) = plan.jobs
    store.training(job).checkpoints.begin(1)
    store.training(job).checkpoints.begin_again(job.seed, "diverged before the kill")
    tried, fit = [], kmer_ridge.KmerRidge.fit
    monkeypatch.setattr(
        kmer_ridge.KmerRidge,
        "fit",
        lambda self, *data, seed, **o: tried.append(seed) or fit(self, *data, seed=seed, **o),
    )
    execute(plan, store)
    assert tried == [seed_of_attempt(job, 1)]
    assert [row["seed"] for row in store.training(job).record()["diverged"]] == [job.seed]


@pytest.mark.slow
def test_a_network_that_really_diverges(tmp_path):
    """With a step of 1e30 the loss of DREAM-RNN is not finite after the first epoch, whatever the seed."""
    store = Store(tmp_path)
    plan = plan_for(["dream_rnn"], test_folds=[0], changes=["recipe.max_lr=1e30", "recipe.epochs=1"])
    assert execute(plan, store)["failed"] == 1
    assert "Lower the learning rate" in job_table(plan, store)["reason"].iloc[0]


# A disk that is full, or read-only


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("where", ["put", "lock"])
def test_a_full_or_read_only_disk_ends_the_command_in_a_sentence(tmp_path, monkeypatch, code, where):
    store, plan = Store(tmp_path), plan_for(test_folds=[0, 1, 2])
    execute(plan_for(test_folds=[0]), store)

    def refuse(*args, **keywords):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(*{"put": (np, "savez_compressed"), "lock": (train_job.TrainingLocks, "take")}[where], refuse)
    with pytest.raises(shutdown.Stopped, match=os.strerror(code)):
        execute(plan, store)
    assert [Training(folder).is_done for folder in folders(plan, store)] == [True, False, False]
    assert not any(Training(folder).failure() for folder in folders(plan, store))
    assert not [path for path in left_over(tmp_path) if not path.endswith(".partial")]
    monkeypatch.undo()
    assert execute(plan, store) == {"done": 2, "failed": 0, "skipped": 1}
    assert left_over(tmp_path) == []


def test_another_error_of_the_system_fails_its_training_alone(tmp_path, monkeypatch):
    store, plan = Store(tmp_path), plan_for(test_folds=[0, 1])
    original = np.savez_compressed
    left = iter([OSError(errno.EIO, "Input/output error")])
    monkeypatch.setattr(np, "savez_compressed", lambda *a, **k: _raise(next(left, None)) or original(*a, **k))
    assert execute(plan, store) == {"done": 1, "failed": 1, "skipped": 0}
    assert "Input/output error" in job_table(plan, store)["reason"].iloc[0]


def _raise(error):
    if error:
        raise error


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_real_disk_fails_in_the_middle_of_a_run(tmp_path, fault):
    """It fills up or becomes read-only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    words = ["--models", "dream_rnn", "--folds", "0-3", "--workers", "1", "--set", "recipe.epochs=2"]
    try:
        command = start(disk / "results", *words)
        _wait_for(lambda: job_files(disk / "results"), command)
        if fault == "full":
            with open(disk / "ballast", "wb", buffering=0) as ballast:
                _fill(ballast)
        else:
            _shut(disk / "results" / "runs" / "human_mpra" / "simulated")
        _, error = command.communicate(timeout=200)
        assert command.returncode in (2, 75), error
        assert "Traceback" not in error
        assert ("No space left on device" if fault == "full" else "Read-only file system") in error
        done = len(job_files(disk / "results"))
        assert 1 <= done < 4
        if fault == "full":
            (disk / "ballast").unlink()
        else:
            subprocess.run(["umount", disk / "results" / "runs" / "human_mpra" / "simulated"], check=True)
        command = start(disk / "results", *words)
        out, error = command.communicate(timeout=200)
        assert command.returncode == 0, error
        found = json.loads(out)
        assert (found["skipped"], found["done"]) == (done, 4 - done)
        assert left_over(disk / "results") == []
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def _fill(file):
    file.write(bytes(1 << 26))  # as much as fits
    with pytest.raises(OSError, match="No space left"):
        file.write(bytes(1 << 16))


def _shut(folder):
    """Make a folder read-only by a mount of its own: the disk itself cannot be while the workers' logs are open."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)


def _wait_for(condition, command, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert command.poll() is None, command.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


# A process that is killed


@pytest.mark.slow
def test_a_killed_training_resumes_and_fails_after_three_kills(tmp_path, monkeypatch):
    """The napping model kills its process in the first training as often as the file says."""
    deaths = tmp_path / "deaths"
    plugin = tmp_path / "mortal.py"
    text = Path(napping_model.__file__).read_text()
    body = f"""
    def begin_epoch(self, epoch):
        import signal
        left = open({str(deaths)!r}).read()
        if epoch == 1 and left:
            open({str(deaths)!r}, "w").write(left[:-1])
            os.kill(os.getpid(), signal.SIGKILL)
"""
    plugin.write_text(text.replace("\n    def begin_epoch(self, epoch):\n        pass\n", body))
    monkeypatch.setattr(registry, "_plugins", {})
    registry.add_plugin(plugin)
    workers = Machine("cpu", 1, 1)
    plan = plan_for(["mortal"], test_folds=[0])
    events = []
    deaths.write_text("xx")
    store = Store(tmp_path / "twice")
    counts = execute(plan, store, workers, on_event=lambda job, kind, payload: events.append(kind))
    assert counts == {"done": 1, "failed": 0, "skipped": 0}
    assert events.count("lost") == 2
    assert Training(folders(plan, store)[0]).record()["resumed_after_epochs"] == [1, 1]
    deaths.write_text("xxx")
    store = Store(tmp_path / "three times")
    assert execute(plan, store, workers)["failed"] == 1
    failure = Training(folders(plan, store)[0]).failure()
    assert failure["times_lost"] == 3
    assert "signal 9" in failure["reason"]


def test_deaths_between_which_a_training_got_on_do_not_add_up(tmp_path):
    """Nodes that are taken away every few epochs, as in a queue that pre-empts: no number of them fails a training."""
    plan, store = plan_for(["kmer_ridge"], test_folds=[0]), Store(tmp_path)
    (folder,) = folders(plan, store)
    events = []

    def takes_away(calls, handle):
        (call,) = calls
        epoch = min(len(events) + 1, 7)  # from the seventh on it gets no further
        Training(folder).checkpoints.save(epoch, lambda new: (new / "state").write_text("x"))
        handle(call.id, "failed", {"reason": "Its node was lost.", "traceback": "", "lost": True})

    class PreemptedMachine(Machine):
        @contextlib.contextmanager
        def executor(self, function, log_folder):
            yield takes_away

    def listen(job, kind, payload):
        events.append(kind)
        if kind == "lost":
            assert Training(folder).failure() is None, "it goes on, and has not failed"

    assert execute(plan, store, PreemptedMachine("cpu", 1, 1), on_event=listen)["failed"] == 1
    assert events == ["lost"] * 8 + ["failed"]
    assert Training(folder).failure()["times_lost"] == 3


# Being asked to stop


@pytest.mark.parametrize(
    "how",
    [
        signal.SIGUSR1,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("a time limit", marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(900)
@pytest.mark.slow
def test_a_command_asked_to_stop_is_resumed_bit_equal(tmp_path, how):
    """It keeps its trainings; the next command ends bit-equal to an undisturbed one."""
    words = ["--models", "dream_rnn", "--folds", "0-1", "--workers", "2", "--set", "recipe.epochs=4"]
    undisturbed, stopped = tmp_path / "undisturbed", tmp_path / "stopped"
    whole = start(undisturbed, *words)
    _, error = whole.communicate(timeout=200)
    assert whole.returncode == 0, error
    command = start(stopped, *words)
    _wait_for(lambda: list(stopped.glob("runs/*/*/*/*.partial/epoch-*")), command)
    if how == "a time limit":
        command.terminate()
        command.communicate()
        command = _limited(stopped, words, time.time() + 8)
    else:
        command.send_signal(how)
    _, error = command.communicate(timeout=60)
    assert command.returncode == 75, error
    assert "Nothing is lost" in error
    assert len(job_files(stopped)) < 2
    assert list(stopped.glob("runs/*/*/*/*.partial/epoch-*"))
    assert not list(stopped.glob("runs/*/*/*/*.claim"))
    last = start(stopped, *words)
    _, error = last.communicate(timeout=200)
    assert last.returncode == 0, error
    assert_same_trainings(stopped, undisturbed)
    assert left_over(stopped) == []


def _limited(results, words, end):
    os.environ[shutdown.STOP_AT] = str(end)
    try:
        return start(results, *words)
    finally:
        del os.environ[shutdown.STOP_AT]


def test_the_time_to_stop_is_read_from_the_environment(monkeypatch):
    monkeypatch.delenv(shutdown.STOP_AT, raising=False)
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    assert shutdown.shutdown_reason() is None
    monkeypatch.setenv(shutdown.STOP_AT, str(time.time() + 60))
    assert shutdown.shutdown_reason() is None
    monkeypatch.setenv(shutdown.STOP_AT, str(time.time() - 1))
    assert shutdown.shutdown_reason() == "its time limit is near"
    monkeypatch.delenv(shutdown.STOP_AT)
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time() + 150)))
    assert shutdown.shutdown_reason() is None
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time() + 90)))
    assert shutdown.shutdown_reason() == "its time limit is near"
    monkeypatch.setenv("SLURM_JOB_END_TIME", "soon")
    assert shutdown.shutdown_reason() is None


def test_signals_mean_what_they_did_once_a_run_is_over():
    before = signal.getsignal(signal.SIGTERM)
    with shutdown.on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        assert shutdown.shutdown_reason() == "it got SIGTERM"
    assert shutdown.shutdown_reason() is None
    assert signal.getsignal(signal.SIGTERM) == before


# All of it at once


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_drill_on_pilot_jobs_loses_nothing(tmp_path):
    found = drill(
        tmp_path, provider="local", n_models=2, folds="0-9", members=3, workers=6, pilots=1, nap_s=0.005,
        driver_kills=2, worker_kills=8, walltime="00:02:00", stop_before_s=60,
    )  # fmt: skip
    assert found["kills"] == {"driver": 2, "worker": 8}
    assert (found["trainings"], found["done"], found["differ"], found["left_over"]) == (60, 60, [], [])
    assert found["scores_equal"]
    assert found["completions"] == 60
    assert found["resumed"]
