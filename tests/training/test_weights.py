"""Weighted rows and missing values: every framework learns from what counts, and from nothing else."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from benchmarks import registry
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.errors import BadInput
from benchmarks.training import loop, torch_backend

N, SEQ_LEN = 24, 40
RECIPES = {
    "dream_cnn": {"width_scale": 0.05},
    "dream_rnn": {"width_scale": 0.05},
    "mprann": {"width_scale": 0.1},
    "deepstarr": {"width_scale": 0.1},
    "kmer_ridge": {"k": 3},
}


def dataset(outputs, missing=(), **meta):
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 4, (N, SEQ_LEN)).astype(np.uint8)
    targets = {name: rng.normal(size=N).astype(np.float32) for name in outputs}
    for name, row in missing:
        targets[name][row] = np.nan
    return Dataset("made up", codes, targets, pd.DataFrame({"fold": np.zeros(N, int), **meta}), "simulated")


def first_loss(name, data, rows=None):
    """The loss of the first step on rows of a training set, by a model of the same initial weights."""
    module = registry.get_model(name)
    spec = TaskSpec(SEQ_LEN, tuple(data.targets), weighted=loop.target_weights(data) is not None)
    assert module.unsupported(spec) is None
    recipe = dataclasses.replace(module.RECIPE, **RECIPES[name])
    torch_backend.seed_everything(0)
    if name in ("mprann", "deepstarr"):
        from benchmarks.training import keras_backend

        keras_backend.seed_everything(0)
    model = module.build(spec, recipe, {})
    model.prepare(data, n_steps=4)
    return model, float(np.asarray(model.train_batch(np.arange(N) if rows is None else rows)))


def test_weights_have_a_mean_of_one_per_output():
    data = dataset("ab", missing=[("b", 0)], weight=np.resize([1.0, 1.0, 2.0, 4.0], N))
    weights = loop.target_weights(data)
    assert weights.mean(axis=0) == pytest.approx([1, 1])
    assert weights[0, 1] == 0
    assert weights[3, 0] / weights[0, 0] == pytest.approx(4)
    assert loop.target_weights(dataset("ab", weight=3.0)) is None


@pytest.mark.parametrize("name", RECIPES)
def test_rows_without_weight_are_as_if_they_were_not_there(name):
    """Half of the rows count 0 and the others 2: the loss is that of the others alone."""
    counts = np.resize([0.0, 2.0], N)
    weighted = dataset("a", weight=counts)
    model, loss = first_loss(name, weighted)
    other = dataclasses.replace(weighted, targets={"a": np.where(counts > 0, weighted.targets["a"], 99.0)})
    again, same = first_loss(name, other)
    if name == "kmer_ridge":
        assert np.isfinite(loss)
        fitted = [one._fitted(1.0, slice(None)).coef_ for one in (model, again)]
        np.testing.assert_allclose(*fitted)
    else:
        assert same == pytest.approx(loss, rel=1e-5)
        _, heavier = first_loss(name, dataclasses.replace(weighted, targets={"a": weighted.targets["a"] + 50}))
        assert heavier > 100 * loss


@pytest.mark.parametrize("name", RECIPES)
def test_what_would_stand_at_a_missing_value_changes_nothing(name):
    """Outputs share a body: the loss is that of the values that are there, each output by its own mean."""
    missing = [("b", row) for row in range(0, N, 2)]
    data = dataset("abc", missing)
    model, loss = first_loss(name, data)
    assert np.isfinite(loss)
    if name == "kmer_ridge":
        coefficients = model._fitted(1.0, slice(None)).coef_
        rows = np.arange(1, N, 2)
        alone = dataclasses.replace(data, targets={"b": data.targets["b"]}).take(rows)
        model.prepare(alone, n_steps=1)
        expected = model._fitted(0.5, slice(None)).coef_  # weights of 2 count as half the penalty
        np.testing.assert_allclose(coefficients[1], np.ravel(expected), rtol=1e-3, atol=1e-5)
        return
    whole = dataset("abc")
    shifted = dict(whole.targets)
    shifted["b"] = np.where(np.isnan(data.targets["b"]), np.nan, whole.targets["b"] + 100).astype(np.float32)
    _, larger = first_loss(name, dataclasses.replace(data, targets=shifted))
    per_output = 100.0**2 / (3 if name.startswith("dream") else 1)  # a mean over outputs, or a sum
    assert larger - loss == pytest.approx(per_output, rel=0.05)


def test_a_loss_that_heeds_no_weights_is_refused():
    module = registry.get_model("vaishnav")
    assert "without weights" in module.unsupported(TaskSpec(110, ("a",), weighted=True))
    bhi = registry.get_model("prix_fixe.autosome-autosome-autosome-bhi")
    assert "without weights" in bhi.unsupported(TaskSpec(110, ("a",), weighted=True))
    net = torch_backend.TorchModel
    model = registry.get_model("dream_cnn").build(
        TaskSpec(SEQ_LEN, ("a",)), dataclasses.replace(registry.get_model("dream_cnn").RECIPE, width_scale=0.05), {}
    )
    assert isinstance(model, net)
    model.weighs_targets = False
    with pytest.raises(BadInput, match="does not heed"):
        model.prepare(dataset("a", weight=np.resize([1.0, 2.0], N)), n_steps=4)
