"""Training on all rows: what is trained on, what is kept, and who cannot."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.api.data import Split
from benchmarks.api.recipe import Recipe, stored_values
from benchmarks.cli.main import app
from benchmarks.engine.execution.train_job import rows_to_train

SPLIT = Split(0, 1, train=np.array([0, 2, 4]), val=np.array([1, 3]), test=np.array([5]))


def call(*words):
    return CliRunner().invoke(app, ["run", "--task", "yeast", "--dry-run", "--json", *words])


def test_validation_rows_join_the_training_rows():
    assert rows_to_train(SPLIT, {}).tolist() == [0, 2, 4]
    assert sorted(rows_to_train(SPLIT, {"train_on": "all"}).tolist()) == [0, 1, 2, 3, 4]


def test_runs_keep_their_names():
    """A recipe that trains on the training rows is stored as it was before there was a choice."""
    assert "train_on" not in stored_values(Recipe())
    assert stored_values(Recipe(train_on="all"))["train_on"] == "all"


def test_the_plan_keeps_the_last_epoch(tmp_path):
    done = call("--models", "dream_cnn,dream_rnn", "--train-on", "all", "--results", str(tmp_path))
    assert done.exit_code == 0, done.stderr
    for recipe in json.loads(done.stdout)["recipes"].values():
        assert (recipe["train_on"], recipe["select"], recipe["patience"]) == ("all", "last", None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--train-on", "all"), "and vaishnav, kmer_ridge choose one"),
        (("--models", "dream_cnn", "--set", "dream_cnn.train_on=all"), "and dream_cnn chooses one"),
        (("--train-on", "everything"), "--train-on: Unknown choice 'everything'"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, words, message):
    done = call(*words, "--results", str(tmp_path))
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())
