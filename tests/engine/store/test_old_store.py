"""A results folder written by version 0.1 (commit ad273c2) is read, resumed, scored and reported as it was then.

`tests/data/old_store` holds four trainings on SIMULATED data, of which one was removed so that resuming has work.
"""

import json
import shlex
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.cli.main import app
from benchmarks.engine.inference.load import open_model
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training import Training
from tests.helpers.paths import DATA

pytestmark = pytest.mark.usefixtures("without_plots")

REPORT = "reports/human_mpra_quick_5a872c4d"
REMOVED = "kmer_ridge-cf959226/test-01_val-02"


@pytest.fixture
def results(tmp_path):
    return shutil.copytree(DATA / "old_store", tmp_path / "results")


def call(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, (done.stdout, done.stderr, done.exception)
    return done.stdout


def trainings(results):
    """Content of every file of the stored trainings."""
    return {path: path.read_bytes() for path in results.glob("runs/*/*/*/test-*/*")}


def test_the_state_of_an_old_store_is_read(results):
    status = json.loads(call("status", "--json", "--results", results))
    assert (status["done"], status["waiting"], status["failed"]) == (3, 1, 0)
    (waiting,) = (row["job"] for row in status["trainings"] if row["state"] == "waiting")
    assert waiting == f"simulated/{REMOVED}"


def test_an_old_store_is_resumed_with_its_own_command(results):
    """Same plan, same hashes, same scores; what is stored is not trained again."""
    before, scores = trainings(results), pd.read_csv(results / REPORT / "scores.csv")
    command = shlex.split(json.loads((results / REPORT / "plan.json").read_text())["command"])
    assert command[:4] == ["python", "-m", "benchmarks", "run"]
    assert command[-2:] == ["--results", "results"]
    outcome = json.loads(call(*command[3:-1], results, "--json"))
    assert (outcome["skipped"], outcome["done"], outcome["failed"]) == (3, 1, 0)
    assert outcome["report"] == str(results / REPORT)
    after = trainings(results)
    assert {path: after[path] for path in before} == before
    new_folders = {
        path.parent.relative_to(results / "runs/human_mpra/simulated") for path in after.keys() - before.keys()
    }
    assert {folder.as_posix() for folder in new_folders} == {REMOVED}
    pd.testing.assert_frame_equal(pd.read_csv(results / REPORT / "scores.csv"), scores, rtol=1e-6)


def test_an_old_store_is_scored_and_reported(results):
    """The score of the removed training alone is missing; a report is a page again."""
    expected = pd.read_csv(results / REPORT / "scores.csv").query("model == 'dream_cnn' or test_fold == 0")
    call("score", "--results", results)
    found = pd.read_csv(results / REPORT / "scores.csv")
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True), rtol=1e-9)
    call("report", "--results", results)
    page = (results / REPORT / "report.html").read_text()
    assert "SIMULATED" in page
    assert "DREAM-CNN" in page


@pytest.mark.parametrize("model", ["kmer_ridge-cf959226", "dream_cnn-81d22977"])
def test_an_old_model_predicts_what_is_stored(results, model):
    training = Training(results / "runs/human_mpra/simulated" / model / "test-00_val-01")
    rows, expected = training.predictions()
    record = training.record()
    test = Store(results).get_dataset(record["dataset"], record["digest"]).take(rows)
    predictions = open_model(training.folder, "cpu").model.predict(test.without_targets())
    np.testing.assert_allclose(predictions["expression"], expected["expression"], atol=1e-4)
