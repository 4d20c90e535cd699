"""Every model of profiles passes the checks of the contract: on windows short enough for the usual suite.

`tests/models/test_every_model.py` has the same at full length, marked slow.
"""

import dataclasses
from functools import cache

import pytest

from benchmarks import registry
from benchmarks.apps import model_checks
from benchmarks.atac import task

pytest.importorskip("pysam")

SHORT = dataclasses.replace(task.SPEC, seq_len=1360, profile_len=240, max_jitter=8)
MODELS = [name for name in registry.models() if registry.get_model(name).unsupported(SHORT) is None]
SLOW_MODELS = ("bpnet", "chrombpnet", "dream_cnn_keras", "dream_rnn_keras")
"""All are trained by the code that trains the bias model, whose checks stand for theirs; the others take most of a
minute to build and trace. ChromBPNet has tests of its own."""
SLOW = {
    ("bpnet_bias", "seed"),
    ("bpnet_bias", "single steps"),
    ("bpnet_bias", "resume"),
}
"""Checks that take several trainings, which `tests/training` makes of a plain Keras model."""


def test_the_models_of_the_task_are_here():
    assert set(MODELS) == {"bpnet", "bpnet_bias", "chrombpnet", "dream_cnn_keras", "dream_rnn_keras"}


@cache
def case_of(model):
    return model_checks.Case(model, "atac", spec=SHORT)


@pytest.mark.parametrize(
    ("model", "check"),
    [
        pytest.param(
            model,
            check,
            id=f"{model}-{check.name}",
            marks=[pytest.mark.slow] if model in SLOW_MODELS or (model, check.name) in SLOW else [],
        )
        for model in MODELS
        for check in model_checks.CHECKS
        if check.name not in ("module", "refusal")
    ],
)
def test_a_model_of_profiles_passes_its_checks(model, check):
    try:
        check.run(case_of(model))
    except model_checks.NotTested as why:
        pytest.skip(str(why))
