"""Claims: one owner at a time; the dead and the silent are replaced, by one only."""

import json
import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from benchmarks.engine.store import locks
from benchmarks.engine.store.locks import TrainingLocks


@pytest.fixture
def file(tmp_path):
    return tmp_path / "folder" / "job.claim"


def put(file, *, age=0.0, **owner):
    """Leave a claim as another process would."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"id": "theirs", "machine": "elsewhere", "pid": 1, "born": "1"} | owner))
    when = time.time() - age
    os.utime(file, (when, when))


def test_a_claim_is_taken_once_and_given_back(file):
    with TrainingLocks() as ours, TrainingLocks() as theirs:
        assert ours.take(file)
        assert not theirs.take(file)
        assert not ours.take(file)
        ours.release(file)
        assert not file.exists()
        assert theirs.take(file)
    assert list(file.parent.iterdir()) == []


def test_the_end_of_a_command_gives_its_claims_back(file):
    with TrainingLocks() as ours:
        assert ours.take(file)
    assert list(file.parent.iterdir()) == []


def test_a_dead_owner_on_this_machine_is_replaced_at_once(file):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    put(file, machine=locks.machine(), pid=gone.pid, born="1")
    with TrainingLocks() as ours:
        assert ours.take(file)


def test_a_number_that_was_used_again_is_not_the_owner(file):
    put(file, machine=locks.machine(), pid=os.getpid(), born="1")  # this process lives, but started at another time
    with TrainingLocks() as ours:
        assert ours.take(file)


def test_a_living_owner_on_this_machine_keeps_its_lock(file):
    """However long it has been silent."""
    put(file, machine=locks.machine(), pid=os.getpid(), born=locks._born(os.getpid()), age=1e6)
    with TrainingLocks(stale_s=1) as ours:
        assert not ours.take(file)


@pytest.mark.parametrize(("age", "taken"), [(5, False), (50, True)])
def test_an_owner_elsewhere_is_replaced_once_it_is_silent(file, age, taken):
    put(file, age=age)
    with TrainingLocks(stale_s=20) as ours:
        assert ours.take(file) == taken


@pytest.mark.parametrize("age", [5, 50])
def test_an_unreadable_claim_goes_stale_too(file, age):
    put(file, age=age)
    file.write_text("")
    os.utime(file, (time.time() - age,) * 2)
    with TrainingLocks(stale_s=20) as ours:
        assert ours.take(file) == (age == 50)


def test_a_heartbeat_keeps_a_claim_fresh(file):
    with TrainingLocks(heartbeat_s=0.05) as ours:
        assert ours.take(file)
        os.utime(file, (1, 1))
        deadline = time.monotonic() + 10
        while file.stat().st_mtime == 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert time.time() - file.stat().st_mtime < 30


def test_a_lock_taken_over_is_not_released_by_its_first_owner(file):
    with TrainingLocks() as ours:
        assert ours.take(file)
        put(file)
        ours.release(file)
        assert json.loads(file.read_text())["id"] == "theirs"


def test_who_died_while_taking_over_blocks_nobody_for_ever(file):
    put(file, age=50)
    right = file.with_name(f"{file.name}.theirs")
    right.write_text("{}")
    with TrainingLocks(stale_s=20) as ours:
        assert not ours.take(file)
        os.utime(right, (time.time() - 50,) * 2)
        assert not ours.take(file)  # clears the way
        assert ours.take(file)
    assert list(file.parent.iterdir()) == []


def _race(file, barrier, wins):
    with TrainingLocks(stale_s=20) as mine:
        barrier.wait()
        if mine.take(file):
            wins.append(os.getpid())
        barrier.wait()


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_at_once_one_wins(file, stale):
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        for _ in range(10):
            wins, barrier = manager.list(), context.Barrier(6)
            if stale:
                put(file, age=50)
            racers = [context.Process(target=_race, args=(file, barrier, wins)) for _ in range(6)]
            for racer in racers:
                racer.start()
            for racer in racers:
                racer.join()
            assert len(wins) == 1
            assert not file.exists()


def test_a_file_system_without_links_serves_too(file, monkeypatch):
    def no_links(*names):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with TrainingLocks() as ours, TrainingLocks() as theirs:
        assert ours.take(file)
        assert not theirs.take(file)
        put(file, age=1e6)
        assert theirs.take(file)
    assert list(file.parent.iterdir()) == []
