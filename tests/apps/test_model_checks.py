"""The contract command: a good plug-in passes every check; of one that fails, the check and the line are named."""

import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.apps import model_checks
from benchmarks.cli.main import app
from tests.helpers.paths import DOCS, GOOD_PLUGIN

GOOD = GOOD_PLUGIN.read_text()

BREAKS = {
    # check: (text, what it becomes, method that is named)
    "module": ("@dataclasses.dataclass(frozen=True)", "@dataclasses.dataclass", "RECIPE"),
    "refusal": ('"predicts numbers, not profiles" if', '"" if', "unsupported"),
    "shapes": ("y[:, i].astype(np.float32)", "y[:, i]", "predict"),
    "size": ("n_params = 5", "n_params = 0", "n_params"),
    "history": ('"lr": None, ', "", "fit"),
    "best epoch": ("        return [row |", "        self.weights = self.weights + 0.01\n        return [row |", "fit"),
    "batch independence": (
        "y = self.features(data) @",
        "y = (self.features(data) - self.features(data).mean(0)) @",
        "predict",
    ),
    "blindness": (
        "y = self.features(data) @",
        "y = data.meta['fold'].to_numpy()[:, None] + self.features(data) @",
        "predict",
    ),
    "save and load": ("self.weights = np.array(json", "self.weights = 1.001 * np.array(json", "load"),
    "seed": ("self.solve(slice(None))", "self.solve(np.random.default_rng().integers(0, 40, 40))", "fit"),
    "resume": (
        "        rows = []",
        "        rows, folder = [], getattr(checkpoints, 'folder', None)\n"
        "        if folder:\n"
        "            self.y = self.y + folder.exists()\n"
        "            folder.mkdir(exist_ok=True)",
        "fit",
    ),
    "single steps": ("** 2)) + 1e-9", "** 2)) * np.nan", "train_batch"),
}


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Write a plug-in, and forget it afterwards."""
    monkeypatch.setattr(registry, "_plugins", {})

    def write(text, name="base_counts"):
        file = tmp_path / f"{name}.py"
        file.write_text(text)
        return file

    return write


def outcomes(file):
    name = registry.add_plugin(file).key
    return {outcome.check: outcome for outcome in model_checks.validate(name, "human_mpra")}


def outcome_of(check, file):
    """Put a model through its checks up to the one that is asked for."""
    name = registry.add_plugin(file).key
    return next(outcome for outcome in model_checks.validate(name, "human_mpra") if outcome.check == check)


def test_a_good_plug_in_passes_every_check(plugin):
    found = outcomes(plugin(GOOD))
    assert list(found) == [check.name for check in model_checks.CHECKS]
    assert {name for name, outcome in found.items() if outcome.status != "passed"} == {"device"}
    assert found["device"].detail == "computes with numpy, on the CPU only"


def test_every_check_but_the_device_s_fails_once_below():
    assert {check.name for check in model_checks.CHECKS} == {*BREAKS, "device"}


@pytest.mark.parametrize("check", list(BREAKS))
def test_a_failed_check_is_named_with_its_line(check, plugin):
    text, becomes, method = BREAKS[check]
    assert GOOD.count(text) == 1
    broken = GOOD.replace(text, becomes)
    outcome = outcome_of(check, plugin(broken))
    assert outcome.status == "failed"
    assert outcome.detail.startswith(f"{method}: ")
    assert outcome.where.startswith("base_counts.py")
    if method in ("predict", "fit", "load", "unsupported", "train_batch"):
        lines = broken.splitlines()
        defined = next(n for n, line in enumerate(lines, start=1) if re.match(rf"\s*def {method}\(", line))
        assert outcome.where == f"base_counts.py:{defined}"


def test_an_exception_is_shown_with_the_line_it_came_from(plugin):
    broken = GOOD.replace(
        "        return float(sum(", "        raise RuntimeError('no luck')\n        return float(sum("
    )
    line = broken.splitlines().index("        raise RuntimeError('no luck')") + 1
    outcome = outcome_of("shapes", plugin(broken))
    assert (outcome.status, outcome.detail) == ("failed", "RuntimeError: no luck")
    assert outcome.where == f"base_counts.py:{line}"


def test_a_model_that_declines_the_task_is_tested_on_the_rest(plugin):
    found = outcomes(plugin(GOOD.replace('if spec.head == "profile_counts"', 'if spec.head != "none"')))
    assert found["module"].status == found["refusal"].status == "passed"
    assert found["shapes"].status == "not tested"
    assert found["shapes"].detail == "declines task human_mpra: predicts numbers, not profiles"


FIXED_SEED = "import torch\n    torch.manual_seed(7)\n    from torch import nn"


@pytest.mark.parametrize(
    ("check", "text", "becomes"),
    [
        ("seed", "import torch\n    from torch import nn", FIXED_SEED),
        (
            "resume",
            "return TorchModel(",
            "class NoResume(TorchModel):\n"
            "        def fit(self, train, val, checkpoints=None, **keywords):\n"
            "            return super().fit(train, val, **keywords)\n\n    return NoResume(",
        ),
        ("batch independence", "nn.Dropout(0.1)", "nn.BatchNorm1d(width, track_running_stats=False)"),
    ],
)
def test_a_torch_model_that_fails_a_check_is_told(check, text, becomes, plugin):
    example = (DOCS / "motif_attention.py").read_text()
    assert example.count(text) == 1
    broken = example.replace(text, becomes)
    outcome = outcome_of(check, plugin(broken, "broken_net"))
    assert outcome.status == "failed", outcome


def test_the_documented_example_is_short_and_passes_from_outside(tmp_path):
    """What the README says of a model of one's own, done word for word in a folder of one's own."""
    text = (DOCS / "motif_attention.py").read_text()
    assert len(text.splitlines()) <= 40
    (tmp_path / "my_model.py").write_text(text)
    command = [sys.executable, "-m", "benchmarks", "validate", str(tmp_path / "my_model.py"), "--json"]
    command += ["--task", "human_mpra"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=DOCS.parent)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["broken"], result["kept"] >= 12) == (0, True)
    assert done.stderr.count("passed") == result["kept"] + 1  # one line per check, and the sum


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("NAME = 'x'\n", "lacks build(spec, recipe, prerequisite_dirs)"),
        ("def build(spec, recipe, assets):\n    pass\n", 'lacks NAME = "…"'),
        ("NAME = 'x'\ndef build(:\n", "line 2"),
        ("NAME = 'kmer'\ndef build(a, b, c):\n    pass\n", "is taken by"),
    ],
)
def test_what_is_no_model_gets_one_sentence(text, says, plugin):
    file = plugin(text, "kmer_ridge" if "kmer" in text else "thing")
    done = CliRunner().invoke(app, ["validate", str(file)])
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
