"""Resume inside a training: bit-equal to one that nobody interrupted, from whole checkpoints only."""

import functools
import json
import shutil

import numpy as np
import pytest

from benchmarks.apps.model_checks import SMALL, Case, timeless
from benchmarks.engine.store.checkpoints import EpochCheckpoints
from benchmarks.io import checksums
from benchmarks.training.loop import Interrupted

EPOCHS = 5


class Killed(Exception):
    """Stands for a kill: the training gets no chance to tidy up."""


@pytest.fixture
def store(tmp_path):
    return EpochCheckpoints(tmp_path / "job.partial")


@pytest.fixture(autouse=True)
def _after_every_epoch(monkeypatch):
    monkeypatch.setattr("benchmarks.engine.store.checkpoints.WORTH", 0)


def training(model, checkpoints=None, killed_after=None):
    """Train from nothing, as a fresh process would, and return history and predictions."""
    case, seen = Case(model, "human_mpra", SMALL | {"epochs": EPOCHS}), []

    def on_epoch(row):
        seen.append(row["epoch"])
        if row["epoch"] == killed_after:
            raise Killed

    trained = case.train(seed=3, on_epoch=on_epoch, checkpoints=checkpoints)
    return trained.history, trained.predicted, seen


@functools.cache
def undisturbed(model):
    return training(model)


ONE_FAST = [
    "dream_rnn",
    *(pytest.param(model, marks=pytest.mark.slow) for model in ("dream_cnn", "dream_attn", "mprann")),
]
"""The contract of models (`resume`) has every one of them killed and resumed."""


def assert_bit_equal(one, other):
    assert timeless(one[0]) == timeless(other[0])
    for name, values in one[1].items():
        np.testing.assert_array_equal(values, other[1][name])


@pytest.mark.parametrize("model", ONE_FAST)
def test_a_training_killed_twice_ends_bit_equal(model, store):
    for killed_after in (2, 3):
        with pytest.raises(Killed):
            training(model, store, killed_after)
    resumed = training(model, store)
    assert resumed[2] == [4, 5]
    assert store.resumed() == [2, 3]
    assert_bit_equal(resumed, undisturbed(model))


@pytest.mark.parametrize("model", ONE_FAST)
def test_a_training_asked_to_stop_within_epochs_ends_bit_equal(model, store, monkeypatch):
    monkeypatch.setattr("benchmarks.training.loop.FIRST_CHUNK", 1)
    monkeypatch.setattr("benchmarks.training.loop.CHUNK_S", 0.0)  # a look after every batch
    whole, within = training(model), []
    for looks in (1, 6, 3):
        left = iter([None] * looks)
        monkeypatch.setattr(
            "benchmarks.engine.store.checkpoints.shutdown.shutdown_reason", lambda left=left: next(left, "SIGUSR1")
        )
        with pytest.raises(Interrupted, match=r"SIGUSR1.*batch"):
            training(model, store)
        within.append("-" in max(store.folder.glob("epoch-*")).name.removeprefix("epoch-"))
    monkeypatch.setattr("benchmarks.engine.store.checkpoints.shutdown.shutdown_reason", lambda: None)
    resumed = training(model, store)
    assert any(within), "no stop fell within an epoch"
    assert len(store.resumed()) == 3
    assert_bit_equal(resumed, whole)


@pytest.mark.parametrize(
    ("model", "damage"),
    [
        pytest.param("mprann", "flip", marks=pytest.mark.slow),
        *(("dream_rnn", how) for how in ("flip", "truncate", "delete", "add", "link", "sums")),
    ],
)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(model, damage, store, tmp_path):
    with pytest.raises(Killed):
        training(model, store, 3)
    last = store.folder / "epoch-00003"
    victim = max((f for f in last.iterdir() if f.name != checksums.NAME), key=lambda f: f.stat().st_size)
    whole = victim.read_bytes()
    if damage == "flip":
        victim.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    elif damage == "truncate":
        victim.write_bytes(whole[: len(whole) // 2])
    elif damage == "delete":
        victim.unlink()
    elif damage == "add":
        (last / "more").write_text("x")
    elif damage == "link":
        shutil.move(victim, tmp_path / "elsewhere")
        victim.symlink_to(tmp_path / "elsewhere")
    else:
        (last / checksums.NAME).write_text("")
    resumed = training(model, store)
    assert resumed[2] == [3, 4, 5]
    assert store.resumed() == [2]
    assert_bit_equal(resumed, undisturbed(model))


def test_a_kill_after_the_last_epoch_trains_nothing_again(store):
    with pytest.raises(Killed):
        training("dream_rnn", store, EPOCHS)
    resumed = training("dream_rnn", store)
    assert resumed[2] == []
    assert_bit_equal(resumed, undisturbed("dream_rnn"))


@pytest.mark.parametrize("key", ["seed", "n_train", "backend", "device"])
def test_a_checkpoint_of_another_setting_is_not_used(key, store):
    with pytest.raises(Killed):
        training("dream_rnn", store, 4)
    for folder in store.folder.glob("epoch-*"):
        state = json.loads((folder / "training.json").read_text())
        state["stamp"][key] = "another"
        (folder / "training.json").write_text(json.dumps(state))
        checksums.write(folder)
    resumed = training("dream_rnn", store)
    assert resumed[2] == [1, 2, 3, 4, 5]
    assert store.resumed() == []
    assert [folder.name for folder in sorted(store.folder.glob("epoch-*"))] == ["epoch-00004", "epoch-00005"]


def test_a_checkpoint_half_written_is_never_seen(store):
    store.begin(threads=1)

    def write(folder):
        (folder / "half").write_text("x")
        raise Killed

    with pytest.raises(Killed):
        store.save(1, write)
    assert list(store.whole()) == []
    store.save(2, lambda folder: (folder / "a").write_text("x"))
    assert [folder.name for folder in store.whole()] == ["epoch-00002"]
    assert not list(store.folder.glob(".epoch-*"))


def test_two_checkpoints_are_kept(store):
    store.begin(threads=3)
    for epoch in range(1, 5):
        store.save(epoch, lambda folder: (folder / "a").write_text("x"))
    assert [folder.name for folder in store.whole()] == ["epoch-00004", "epoch-00003"]
    assert store.threads() == 3
    store.remove()
    assert store.threads() is None


def test_checkpoints_cost_a_twentieth_at_most(store, monkeypatch):
    monkeypatch.setattr("benchmarks.engine.store.checkpoints.WORTH", 20)
    clock = iter([0.0, 100.0, 102.0, 141.0, 142.5, 400.0, 402.5])
    monkeypatch.setattr("benchmarks.engine.store.checkpoints.time.monotonic", lambda: next(clock))
    assert store.due()  # at 0
    store.begin(threads=1)
    store.save(1, lambda folder: None)  # from 100 to 102: two seconds
    assert not store.due()  # at 141
    assert store.due()  # at 142.5: forty seconds later
    assert not store.due(within_epoch=True)  # at 400
    assert store.due(within_epoch=True)  # at 402.5: five minutes later


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(store, capsys):
    def full(folder):
        (folder / "half").write_text("x")
        raise OSError(28, "No space left on device")

    store.save(1, lambda folder: (folder / "a").write_text("x"))
    store.save(2, full)
    assert [folder.name for folder in store.whole()] == ["epoch-00001"]
    assert "after epoch 2 could not be kept" in capsys.readouterr().err
