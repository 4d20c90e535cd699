"""The published training data in two files: their split, the protocol that a plan calls published, other layouts."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.cli.main import app
from benchmarks.engine.datasets import catalogue
from benchmarks.yeast import prepare, simulate, test_set

TASK = registry.get_task("yeast")
N_TRAIN, N_VAL = 45, 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `fetch --task yeast` leaves, small: both training tables and a designed test set in the published layout."""
    where = tmp_path_factory.mktemp("fetched")
    test, _ = simulate.designed(np.random.default_rng(0))
    singles = {name: pd.DataFrame({"pos": rows, "tag": "t"}) for name, rows in test.singles.items()}
    pairs = {
        name: pd.DataFrame({"alt_pos": both[:, 0], "ref_pos": both[:, 1], "alt_tag": "a", "ref_tag": "r"})
        for name, both in test.pairs.items()
    }
    test_set.write_published(where, test.sequences, singles, pairs, test.y_true)
    public = where / "public_leaderboard_ids"
    public.mkdir()
    (public / "random_exp_indices.json").write_text(json.dumps({str(i): 1.0 for i in test.singles["random"][:9]}))
    some = {f"{alt},{ref}": [1.0, 1.0] for alt, ref in test.pairs["SNVs"][:9].tolist()}
    (public / "SNVs_exp_indices.json").write_text(json.dumps(some))
    rows = TASK.simulated_library(N_TRAIN + N_VAL, seed=3)
    lines = [f"{sequence}\t{i % 17}\n" for i, sequence in enumerate(rows)]
    (where / "train.txt").write_text("".join(lines[:N_TRAIN]))
    (where / "val.txt").write_text("".join(lines[N_TRAIN:]))
    return where


def test_what_fetch_brings_is_what_the_protocol_reads():
    names = {file.name for file in catalogue.chosen(catalogue.read(), "yeast", [])}
    assert {"train.txt", "val.txt", test_set.TRUTH} <= names


def test_the_two_files_are_the_one_split(folder):
    """Values of the rows tell them: row i has i mod 17."""
    data = TASK.load(folder)
    (split,) = TASK.splits(data.meta)
    (values,) = data.targets.values()
    assert data.name == "DREAM2022"
    assert values[split.train].tolist() == [i % 17 for i in range(N_TRAIN)]
    assert values[split.val].tolist() == [i % 17 for i in range(N_TRAIN, N_TRAIN + N_VAL)]
    assert any("5 rows of val.txt validate: the published split" in note for note in data.notes)
    assert len(data.accounts) == 2


def test_other_folds_can_be_drawn_from_both_files(folder):
    data = TASK.load(folder, refold=True, seed=1)
    splits = list(TASK.splits(data.meta))
    assert len(splits) == prepare.N_FOLDS
    assert sorted(np.concatenate([split.val for split in splits]).tolist()) == list(range(N_TRAIN + N_VAL))


def test_one_file_alone_has_drawn_folds(folder):
    data = TASK.load(folder / "train.txt")
    assert data.name == "train"
    assert len(list(TASK.splits(data.meta))) == prepare.N_FOLDS


def test_the_paper_preset_on_fetched_data_is_the_protocol(folder, tmp_path):
    """Nothing is missing from it, and no word says that it is something else."""
    words = ["run", "--task", "yeast", "--preset", "paper", "--data", str(folder), "--dry-run"]
    done = CliRunner().invoke(app, [*words, "--results", str(tmp_path)])
    assert done.exit_code == 0, done.output
    printed = " ".join(done.output.split())
    assert "the published protocol" in printed
    assert "missing" not in printed
    assert "not the published protocol" not in printed


def test_a_parquet_table_of_activities_is_read(folder, tmp_path):
    """The columns of the copy on Hugging Face: sequence, activity and more."""
    pytest.importorskip("pyarrow")
    for file in folder.iterdir():
        if file.name not in ("train.txt", "val.txt") and not file.name.endswith(".prepared"):
            (tmp_path / file.name).symlink_to(file)
    sequences = TASK.simulated_library(12, seed=5)
    table = pd.DataFrame({"sequence": sequences, "activity": np.arange(12.0) % 9, "source_file": "train", "row_id": 1})
    table.to_parquet(tmp_path / "train-00000.parquet")
    data = TASK.load(tmp_path / "train-00000.parquet")
    (values,) = data.targets.values()
    assert values[:12].tolist() == (np.arange(12.0) % 9).tolist()


def test_an_ensemble_is_submitted_only_when_asked_for(folder, tmp_path, monkeypatch):
    """Of two trainings, one is named in the refusal; with the word, the submission says that it is their mean."""
    from benchmarks.apps.challenge import predict_test_set
    from benchmarks.engine.inference import load

    trained = SimpleNamespace(title="DREAM-CNN", trained_on="measured")
    for val in (0, 1):
        (tmp_path / f"run/test-00_val-0{val}").mkdir(parents=True)
        (tmp_path / f"run/test-00_val-0{val}/job.json").write_text("{}")
    monkeypatch.setattr(load, "open_model", lambda folder, device: trained)
    monkeypatch.setattr(predict_test_set, "predict_test_set", lambda models, sequences, data: np.zeros(len(sequences)))
    words = ["challenge", "submit", "--data", str(folder), "--run", str(tmp_path / "run"), "--out"]
    words.append(str(tmp_path / "mine.txt"))
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    printed = " ".join(refused.output.replace("│", " ").split())
    assert "2 trainings, and a submission is of one" in printed
    assert not (tmp_path / "mine.txt").exists()
    done = CliRunner().invoke(app, [*words, "--ensemble"])
    assert done.exit_code == 0, done.output
    assert "an ENSEMBLE, the mean of 2 trainings" in done.output
    assert json.loads((tmp_path / "mine.txt.about").read_text())["ensemble"] is True
