"""Every model of profiles keeps the promises of the contract: on windows short enough for the usual suite.

`tests/test_model_contract.py` has the same at full length, marked slow.
"""

import dataclasses
from functools import cache

import pytest

from benchmarks import contract, registry
from benchmarks.atac import task

pytest.importorskip("pysam")

SHORT = dataclasses.replace(task.SPEC, seq_len=1180, profile_len=60, max_jitter=8)
MODELS = [name for name in registry.models() if registry.get_model(name).unsupported(SHORT) is None]
SLOW = {
    ("dream_cnn_keras", "seed"),
    ("dream_cnn_keras", "resume"),
    ("dream_cnn_keras", "single steps"),
    ("dream_rnn_keras", "seed"),
    ("bpnet", "seed"),
}
"""Promises that take several trainings, of networks that take long to compile (BPNet is ChromBPNet without bias)."""


def test_the_models_of_the_task_are_here():
    assert set(MODELS) == {"bpnet", "bpnet_bias", "chrombpnet", "dream_cnn_keras", "dream_rnn_keras"}


@cache
def case_of(model):
    return contract.Case(model, "atac", spec=SHORT)


@pytest.mark.parametrize(
    ("model", "promise"),
    [
        pytest.param(
            model,
            promise,
            id=f"{model}-{promise.name}",
            marks=[pytest.mark.slow] if (model, promise.name) in SLOW else [],
        )
        for model in MODELS
        for promise in contract.PROMISES
        if promise.name not in ("module", "refusal")
    ],
)
def test_a_model_of_profiles_keeps_its_promises(model, promise):
    try:
        promise.check(case_of(model))
    except contract.NotTested as why:
        pytest.skip(str(why))
