"""Results appear whole or not at all, and come back as they went in."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.api.data import Dataset
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training import Training
from benchmarks.errors import BadInput
from benchmarks.io.json_files import to_json


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    meta = pd.DataFrame({"seq_id": ["a_F", "b", "ü"], "fold": np.int8([0, 1, 2]), "is_reverse": np.uint8([0, 1, 0])})
    return Dataset(
        "tiny",
        rng.integers(0, 5, (3, 7)).astype(np.uint8),
        {"dev": np.float32([1, 2, 3]), "hk": np.float32([3, 2, 1])},
        meta,
        "simulated",
        ceilings=({"output": "dev", "level": "row", "metric": "pearson_r", "value": 0.9, "basis": "noise"},),
        notes=("one", "two"),
    )


def test_a_dataset_comes_back_as_it_was(tmp_path, dataset):
    store = Store(tmp_path)
    digest = store.put_dataset(dataset)
    back = store.get_dataset("tiny", digest)
    assert np.array_equal(back.codes, dataset.codes)
    assert isinstance(back.codes, np.memmap)
    assert list(back.targets) == ["dev", "hk"]
    assert np.array_equal(back.targets["hk"], [3, 2, 1])
    assert back.meta["seq_id"].tolist() == ["a_F", "b", "ü"]
    assert back.meta["fold"].dtype == np.int8
    assert (back.origin, back.notes, dict(back.ceilings[0])["value"]) == ("simulated", ("one", "two"), 0.9)
    assert store.put_dataset(dataset) == digest


@pytest.mark.parametrize("change", ["codes", "target", "meta", "origin"])
def test_the_hash_sees_every_part_of_a_dataset(tmp_path, dataset, change):
    codes, targets, meta, origin = dataset.codes.copy(), dict(dataset.targets), dataset.meta.copy(), dataset.origin
    if change == "codes":
        codes[0, 0] = (codes[0, 0] + 1) % 5
    elif change == "target":
        targets["hk"] = targets["hk"] + np.float32(1e-6)
    elif change == "meta":
        meta["fold"] = np.int8([0, 2, 1])
    else:
        origin = "measured"
    assert Dataset("tiny", codes, targets, meta, origin).content_hash() != dataset.content_hash()


def put(store, folder, **keywords):
    rows, predictions = np.array([4, 2]), {"expression": np.float32([0.5, 1.5])}
    record = {"status": "done", "loss": float("nan")}
    Training(folder).put(record, [{"epoch": 1}, {"epoch": 2}], rows, predictions, keywords.get("save"))


def test_a_job_comes_back_and_forgets_its_failure(tmp_path):
    store = Store(tmp_path)
    folder = store.root / "runs" / "task" / "data" / "model-abc" / "test-00_val-01"
    Training(folder).put_failure({"reason": "no luck"})
    assert Training(folder).failure()["reason"] == "no luck"
    assert not Training(folder).is_done
    put(store, folder, save=lambda where: (where / "model.bin").write_bytes(b"w"))
    assert Training(folder).is_done
    assert Training(folder).failure() is None
    assert Training(folder).record() == {"status": "done", "loss": None}
    assert Training(folder).history() == [{"epoch": 1}, {"epoch": 2}]
    rows, predictions = Training(folder).predictions()
    assert rows.tolist() == [4, 2]
    assert predictions["expression"].tolist() == [0.5, 1.5]
    assert (folder / "model.bin").read_bytes() == b"w"
    assert [r["status"] for r in store.finished_jobs("task")] == ["done"]


def test_a_job_that_cannot_be_written_leaves_nothing(tmp_path):
    store = Store(tmp_path)
    folder = store.root / "runs" / "task" / "data" / "model-abc" / "test-00_val-01"

    def fails(where):
        (where / "half").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        put(store, folder, save=fails)
    assert list(folder.parent.iterdir()) == []


def test_a_job_written_twice_keeps_the_first(tmp_path):
    store = Store(tmp_path)
    folder = store.root / "runs" / "task" / "data" / "model-abc" / "test-00_val-01"
    put(store, folder, save=lambda where: (where / "who").write_text("first"))
    put(store, folder, save=lambda where: (where / "who").write_text("second"))
    assert (folder / "who").read_text() == "first"
    assert [p.name for p in folder.parent.iterdir()] == ["test-00_val-01"]


def test_an_unwritable_results_folder_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"cannot be written .* name another with --results"):
        Store(tmp_path / "file").check_writable()


def test_reports_are_listed_oldest_first_and_by_task(tmp_path):
    import os

    store = Store(tmp_path)
    for age, name in enumerate(["b_quick_2", "a_quick_1", "a_quick_0"]):
        plan = store.report_folder(name) / "plan.json"
        plan.write_text("{}")
        os.utime(plan, (age, age))
    assert [f.name for f in store.report_folders()] == ["b_quick_2", "a_quick_1", "a_quick_0"]
    assert [f.name for f in store.report_folders("a")] == ["a_quick_1", "a_quick_0"]


def test_json_has_no_nan_and_takes_numpy_values():
    text = to_json({"a": [math.nan, math.inf, np.float32(0.5)], "b": np.int64(3), 4: (1, None, True, "x")})
    assert json.loads(text, parse_constant=lambda c: pytest.fail(c)) == {
        "a": [None, None, 0.5],
        "b": 3,
        "4": [1, None, True, "x"],
    }


def test_what_a_kill_leaves_beside_a_finished_job_is_tidied(tmp_path):
    store = Store(tmp_path)
    folder = store.root / "runs" / "t" / "d" / "m-r" / "test-00_val-01"
    put(store, folder)
    Training(folder).checkpoints.begin(threads=1)
    Training(folder).lock_file.write_text("{}")
    Training(folder).tidy()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("damage", ["garbage", "cut", "other numbers", "missing", "no sums"])
def test_predictions_that_are_not_what_was_stored_are_refused(tmp_path, damage):
    store = Store(tmp_path)
    folder = store.root / "runs" / "t" / "d" / "m-r" / "test-00_val-00"
    Training(folder).put({"status": "done"}, [], np.arange(3), {"y": np.arange(3.0)}, None)
    assert Training(folder).predictions()[1]["y"].tolist() == [0, 1, 2]
    file = folder / "predictions.npz"
    if damage == "garbage":
        file.write_bytes(b"\x80\x04garbage")
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-20])
    elif damage == "other numbers":
        np.savez_compressed(file, rows=np.arange(3), output_y=-np.arange(3.0))
    elif damage == "missing":
        file.unlink()
    else:
        (folder / "SHA256SUMS").unlink()
    with pytest.raises(BadInput, match=r"cannot be trusted: .*Remove it and give the command"):
        Training(folder).predictions()
