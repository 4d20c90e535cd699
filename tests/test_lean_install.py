"""Training, predicting and scoring need the core packages alone; plots can be made later, elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

BLOCK = """
import importlib.util, runpy, sys

ABSENT = {"tensorflow", "keras", "seaborn", "statsmodels", "h5py", "matplotlib", "jinja2", "pyarrow"}


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name.partition(".")[0] in ABSENT else find_spec(name, *rest)
runpy.run_module("benchmarks", run_name="__main__")
"""


def run(results, *words):
    command = [sys.executable, "-c", BLOCK, "run", "--task", "human_mpra", "--results", str(results), *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_torch_and_numpy_models_train_and_are_scored_without_the_extras(tmp_path):
    words = ["--models", "dream_rnn,kmer_ridge", "--folds", "0", "--workers", "0", "--set", "recipe.epochs=1"]
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert "No report" in done.stdout
    (report,) = (tmp_path / "reports").iterdir()
    assert {"scores.csv", "tests.csv", "plan.json"} == {file.name for file in report.iterdir()}
    assert len(list((tmp_path / "runs").glob("*/*/*/test-*/model.*"))) == 4  # weights and their description, twice


def test_a_model_whose_framework_is_absent_fails_with_a_reason(tmp_path):
    done = run(tmp_path, "--models", "mprann", "--folds", "0", "--workers", "0")
    assert done.returncode == 1
    assert "keras models need 'keras': `pip install -e '.[tensorflow]'`" in done.stdout
