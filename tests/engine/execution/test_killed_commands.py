"""Commands killed, and commands side by side: nothing lost, nothing done twice, numbers as if nothing had happened."""

import json
import os
import random
import signal
import time

import pytest

from tests.helpers.commands import (
    assert_same_trainings,
    children,
    command_line,
    ensure_ended,
    job_files,
    left_over,
    start,
)


@pytest.mark.slow
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
            workers = [pid for pid in children(command.pid) if "spawn_main" in command_line(pid)]
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
def test_jobs_of_a_killed_command_are_taken_over_by_another(tmp_path):
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
