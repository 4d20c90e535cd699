"""One Keras definition on two backends: the same forward pass, the same losses."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.apps.speed import keras_backends
from benchmarks.cli.main import app

FORWARD, LOSS = 1e-3, 1e-4
"""Tolerances: of a prediction, in units of their spread; of a loss, relative. Measured: 3e-5 and 1e-5 at most."""


@pytest.mark.slow
def test_mprann_computes_alike_on_tensorflow_and_torch():
    found = json.loads(CliRunner().invoke(app, ["bench", "backends", "--preset", "quick", "--json"]).stdout)
    assert found["backends"].keys() == {"tensorflow", "torch"}
    for backend, version in found["backends"].items():
        assert version.startswith(f"{backend} ")
    assert found["forward_spread"] > 0.1  # the sequences can be told apart, so agreement means something
    assert found["forward_difference"] < FORWARD * found["forward_spread"]
    assert len(found["loss_differences"]) == 10
    assert max(found["loss_differences"]) < LOSS
    losses = found["losses"]["torch"]
    assert max(losses) > 1.5 * min(losses)  # steps were taken


@pytest.mark.slow
def test_mprann_computes_alike_at_full_width():
    found = keras_backends.compare("human_mpra", "mprann", preset="paper")
    assert found["forward_difference"] < FORWARD * found["forward_spread"]
    assert max(found["loss_differences"]) < LOSS


def test_models_without_two_backends_are_refused():
    done = CliRunner().invoke(app, ["bench", "backends", "--model", "dream_cnn"])
    assert done.exit_code == 2
    assert "dream_cnn is a torch model" in done.stderr
