"""Training, predicting and scoring need the core packages alone; plots can be made later, elsewhere."""

import html
import json
import os
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

BLOCK = """
import importlib.util, os, runpy, sys

ABSENT = set(os.environ["ABSENT"].split())


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name.partition(".")[0] in ABSENT else find_spec(name, *rest)
runpy.run_module("benchmarks", run_name="__main__")
"""


EXTRAS = "seaborn h5py matplotlib jinja2 pyarrow tensorflow"


def run(results, *words, absent=f"{EXTRAS} keras"):
    command = [sys.executable, "-c", BLOCK, "run", "--task", "human_mpra", "--results", str(results), *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ABSENT": absent}
    environment.pop("KERAS_BACKEND", None)  # another test of this process may have chosen one
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_torch_and_numpy_models_need_only_the_core_packages(tmp_path):
    """They train and are scored without the optional extras."""
    words = [
        "--models",
        "dream_rnn,kmer_ridge",
        "--folds",
        "0",
        "--workers",
        "0",
        "--set",
        "recipe.epochs=1",
        "--set",
        "recipe.batch_size=128",
    ]
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert "No report" in done.stdout
    (report,) = (tmp_path / "reports").iterdir()
    assert {"scores.csv", "tests.csv", "mixed_model.csv", "leaks.csv", "leak_free.csv", "plan.json"} == {
        file.name for file in report.iterdir()
    }
    assert len(list((tmp_path / "runs").glob("*/*/*/test-*/model.*"))) == 4  # weights and their description, twice


def test_a_model_whose_framework_is_absent_fails_with_a_reason(tmp_path):
    done = run(tmp_path, "--models", "mprann", "--folds", "0", "--workers", "0")
    assert done.returncode == 1
    assert "keras models need 'keras': `pip install -e '.[tensorflow]'`" in done.stdout


@pytest.mark.slow
def test_keras_models_train_on_torch_where_tensorflow_is_absent(tmp_path):
    words = ["--models", "mprann", "--folds", "0", "--workers", "0", "--set", "recipe.epochs=2"]
    done = run(tmp_path, *words, absent=EXTRAS)
    assert done.returncode == 0, done.stderr
    (job,) = tmp_path.glob("runs/*/*/*/test-*")
    record = json.loads((job / "job.json").read_text())
    assert record["framework"].startswith("keras ")
    assert record["backend"].startswith("torch ")
    assert {"job.json", "history.jsonl", "predictions.npz", "model.npz", "model.json", "SHA256SUMS"} == {
        file.name for file in job.iterdir()
    }
    drawn = subprocess.run(  # later, elsewhere, where everything is installed
        [sys.executable, "-m", "benchmarks", "report", "--results", str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert drawn.returncode == 0, drawn.stderr
    (page,) = tmp_path.glob("reports/*/report.html")
    assert record["backend"] in html.unescape(page.read_text())
