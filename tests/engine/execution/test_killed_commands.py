"""Commands killed, and commands side by side: nothing lost, nothing done twice, numbers as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.paths import ROOT


def start(results, *words, **keywords):
    command = [sys.executable, "-m", "benchmarks", "run", "--task", "human_mpra", "--results", str(results), "--json"]
    return subprocess.Popen(
        [*command, "--device", "cpu", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        **keywords,
    )


def job_files(results):
    return {file.parent.relative_to(results): file.parent for file in results.glob("runs/*/*/*/test-*/job.json")}


def assert_same_trainings(found, expected):
    """Predictions and histories bit-equal, clocks aside."""
    found, expected = job_files(found), job_files(expected)
    assert found.keys() == expected.keys()
    for name, folder in found.items():
        with np.load(folder / "predictions.npz") as ours, np.load(expected[name] / "predictions.npz") as theirs:
            assert ours.files == theirs.files
            for array in ours.files:
                np.testing.assert_array_equal(ours[array], theirs[array])
        histories = [
            [json.loads(line) for line in (place / "history.jsonl").read_text().splitlines()]
            for place in (folder, expected[name])
        ]
        for rows in histories:
            for row in rows:
                del row["seconds"], row["train_seconds"]
        assert histories[0] == histories[1]


def left_over(results):
    """Everything under runs/ that is neither a finished job nor a log."""
    found = [path for path in results.glob("runs/*/*/*/*") if path.parent.parent.name != "logs"]
    return [path.name for path in found if not (path / "job.json").is_file()]


def children(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


def ensure_ended(process):
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_two_commands_on_one_store_share_the_jobs(tmp_path):
    words = ["--models", "kmer_ridge", "--folds", "0-4", "--members", "6", "--workers", "1"]
    commands = [start(tmp_path, *words) for _ in range(2)]
    outputs = [command.communicate(timeout=200) for command in commands]
    assert [command.returncode for command in commands] == [0, 0], outputs
    first, second = (json.loads(out) for out, _ in outputs)
    assert first["done"] + second["done"] == 30 == len(job_files(tmp_path))
    assert first["skipped"] + second["skipped"] == 30
    assert first["failed"] == second["failed"] == 0
    assert first["done"]
    assert second["done"]
    assert first["scores"] == second["scores"]
    assert left_over(tmp_path) == []


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_kills_at_random_moments_change_nothing(tmp_path):
    """Twelve kills with SIGKILL, of the command and of workers in turn, over torch and Keras jobs."""
    words = ["--models", "dream_rnn,mprann", "--folds", "0-1", "--workers", "2", "--set", "recipe.epochs=12"]
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    whole = start(undisturbed, *words)
    assert whole.communicate(timeout=600)
    assert whole.returncode == 0
    rng, n_kills, hit = random.Random(0), 0, []
    while n_kills < 12 and len(job_files(killed)) < 4:
        command = start(killed, *words)
        try:
            deadline = time.monotonic() + 60
            while not list(killed.glob("runs/*/*/*/*.partial/epoch-*")) and time.monotonic() < deadline:
                time.sleep(0.05)  # the first kills come as soon as something is at stake
            time.sleep(rng.uniform(2, 9))
            workers = [pid for pid in children(command.pid) if "spawn_main" in _command_line(pid)]
            victim = rng.choice(workers) if n_kills % 2 and workers else command.pid
            if command.poll() is not None:
                break
            os.kill(victim, signal.SIGKILL)
            n_kills += 1
            hit.append("command" if victim == command.pid else "worker")
            if victim != command.pid:
                time.sleep(rng.uniform(0, 3))
        finally:
            ensure_ended(command)
    assert n_kills >= 10, f"only {n_kills} kills before everything was done"
    assert {"command", "worker"} == set(hit)
    last = start(killed, *words)
    out, error = last.communicate(timeout=600)
    assert last.returncode == 0, error
    records = {name: json.loads((folder / "job.json").read_text()) for name, folder in job_files(killed).items()}
    resumed = {record["model"] for record in records.values() if record["resumed_after_epochs"]}
    assert resumed == {"dream_rnn", "mprann"}
    assert_same_trainings(killed, undisturbed)
    assert left_over(killed) == []
    assert json.loads(out)["failed"] == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_jobs_of_a_killed_command_are_taken_over_by_the_one_beside_it(tmp_path):
    words = ["--models", "dream_rnn", "--folds", "0-3", "--workers", "2", "--set", "recipe.epochs=4"]
    undisturbed, shared = tmp_path / "undisturbed", tmp_path / "shared"
    whole = start(undisturbed, *words)
    out, error = whole.communicate(timeout=300)
    assert whole.returncode == 0, error
    first, second = start(shared, *words), start(shared, *words)
    deadline = time.monotonic() + 60
    while len({p.parent for p in shared.glob("runs/*/*/*/*.partial/epoch-*")}) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(list(shared.glob("runs/*/*/*/*.claim"))) == 4  # two jobs each
    first.kill()
    first.communicate()
    out, error = second.communicate(timeout=300)
    assert second.returncode == 0, error
    assert json.loads(out)["done"] == 4
    records = [json.loads((folder / "job.json").read_text()) for folder in job_files(shared).values()]
    assert sum(bool(record["resumed_after_epochs"]) for record in records) == 2
    assert_same_trainings(shared, undisturbed)
    assert left_over(shared) == []


def _command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
