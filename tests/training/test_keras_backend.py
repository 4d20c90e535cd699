"""The Keras backend: input channels, optimiser, loss, early stopping, prediction, saved files."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("keras")

from benchmarks.api.data import Dataset
from benchmarks.api.recipe import Recipe
from benchmarks.errors import BadInput
from benchmarks.training import keras_backend
from benchmarks.training.keras_backend import EarlyStopping, KerasModel, OneHot, keras
from tests.helpers.paths import ROOT

SEQ_LEN = 6
# Codes of the bases, one home for this file: A0 G1 C2 T3 N4 (fact sheet "dream", 1.1).
CODE = {"A": 0, "G": 1, "C": 2, "T": 3, "N": 4}


def dataset(n_rows=20, outputs=("activity",), seed=0):
    """Return random sequences whose targets count A and T."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n_rows, SEQ_LEN), dtype=np.uint8)
    counts = [(codes == code).sum(axis=1).astype(np.float32) for code in (0, 3)]
    targets = dict(zip(outputs, counts, strict=False))
    return Dataset("made", codes, targets, pd.DataFrame(index=range(n_rows)), "simulated")


def network(n_outputs=1, extra=()):
    layers = keras.layers
    return keras.Sequential([keras.Input((SEQ_LEN, 4)), layers.Flatten(), *extra, layers.Dense(n_outputs)])


def model_of(net=None, recipe=None):
    return KerasModel(net or network(), trainer=EarlyStopping(recipe or Recipe(batch_size=8, epochs=2)))


def restless():
    """A network with layers that behave differently in training."""
    return network(extra=[keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)])


# Input channels


def test_one_hot_channels_are_a_c_g_t_and_n_is_zero():
    codes = np.array([[CODE[base] for base in "ACGTN"]], dtype=np.uint8)
    x = np.asarray(OneHot()(codes))
    assert x.dtype == np.float32
    assert x.tolist() == [[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]]


def test_one_hot_keeps_another_base_order_in_its_configuration():
    layer = OneHot.from_config(OneHot("AGCT").get_config())
    codes = np.array([[CODE[base] for base in "AGCT"]], dtype=np.uint8)
    assert np.array_equal(np.asarray(layer(codes))[0], np.eye(4))


def test_a_model_feeds_its_network_in_the_order_asked_for():
    """A dense layer that reads position 0 alone returns the number of the channel that is set there."""
    data = dataset(4)
    data.codes[:, 0] = [CODE[base] for base in "ACGT"]
    net = network()
    kernel = np.zeros((SEQ_LEN * 4, 1))
    kernel[:4, 0] = [0, 1, 2, 3]
    net.set_weights([kernel, np.zeros(1)])
    trainer = EarlyStopping(Recipe())
    assert KerasModel(net, trainer=trainer).predict(data)["0"].tolist() == [0, 1, 2, 3]
    assert KerasModel(net, trainer=trainer, order="AGCT").predict(data)["0"].tolist() == [0, 2, 1, 3]


# Optimiser, loss, batches


def test_the_optimiser_is_adam_with_keras_defaults():
    """At a constant learning rate."""
    adam = EarlyStopping(Recipe(max_lr=0.003)).optimiser()
    assert type(adam) is keras.optimizers.Adam
    assert float(adam.learning_rate) == pytest.approx(0.003)
    assert (adam.beta_1, adam.beta_2, adam.epsilon, adam.weight_decay) == (0.9, 0.999, 1e-7, None)


def test_weight_decay_is_passed_on_where_a_recipe_has_it():
    assert EarlyStopping(Recipe(weight_decay=0.02)).optimiser().weight_decay == pytest.approx(0.02)


def test_the_trainer_selects_by_loss_and_keeps_the_short_batch():
    schedule = EarlyStopping(Recipe(batch_size=32, epochs=100, patience=10)).schedule
    assert (schedule.epochs, schedule.batch_size, schedule.patience) == (100, 32, 10)
    assert (schedule.select, schedule.drop_last) == ("loss", False)


def test_the_loss_adds_the_outputs_mean_squared_errors():
    """(0.5² + 1² + 3² + 1²) / 2 rows = mean of the first column's squares + mean of the second's."""
    y_true, y_pred = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.5, 1.0], [6.0, 5.0]])
    per_row = np.asarray(keras_backend.summed_squared_error(y_true, y_pred))
    assert per_row.tolist() == [1.25, 10.0]
    assert per_row.mean() == np.mean([0.25, 9.0]) + np.mean([1.0, 1.0])


def test_every_batch_has_its_own_loss():
    """With a learning rate of 0 the weights stay, so every batch can be checked afterwards."""
    data = dataset(20, outputs=("dev", "hk"))
    model = model_of(network(2), Recipe(max_lr=0.0))
    model.prepare(data, 10)
    batches = [np.arange(0, 8), np.arange(8, 16), np.arange(16, 20)]
    losses = model.train_batches(batches)
    residual = {name: model.predict(data)[name] - data.targets[name] for name in ("dev", "hk")}
    by_hand = [sum(np.mean(residual[name][rows] ** 2) for name in residual) for rows in batches]
    assert losses == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="one call of many steps is tensorflow's")
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.slow
def test_steps_in_one_call_are_those_one_after_the_other(jit_compile, monkeypatch):
    """A GPU compiles steps with XLA."""
    monkeypatch.setattr(keras_backend, "needs_xla", lambda: jit_compile)
    data, start = dataset(20), None
    batches = [np.arange(0, 8), np.arange(8, 16), np.arange(16, 20), np.arange(3, 11)]
    found = []
    for together in (False, True):
        model = model_of(restless(), Recipe(max_lr=0.01))
        for layer in model.network.layers:
            if "rate" in layer.get_config():
                layer.rate = 0.0  # dropout is drawn by a counter that both count, but not under XLA
        start = start or model.network.get_weights()
        model.network.set_weights(start)
        model.prepare(data, 10)
        losses = model.train_batches(batches) if together else [model.train_batch(rows) for rows in batches]
        found.append((np.array(losses), model.network.get_weights()))
    (alone, weights), (together, same) = found
    np.testing.assert_allclose(together, alone, rtol=1e-4)
    for a, b in zip(weights, same, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert any((a != b).any() for a, b in zip(start, same, strict=True))


def test_the_first_adam_step_moves_weights_by_the_learning_rate():
    """In Adam's first step the bias-corrected moments cancel, so each weight with a gradient moves by the rate."""
    keras_backend.seed_everything(0)  # a weight whose gradient is near 0 by chance would feel Adam's epsilon
    net = network()
    model = model_of(net, Recipe(max_lr=0.01))
    data = dataset()
    model.prepare(data, 10)
    before = net.get_weights()[0]
    model.train_batch(np.arange(20))
    seen = np.eye(4)[[[{0: 0, 1: 2, 2: 1, 3: 3}[c] for c in row] for row in data.codes]].any(axis=0).ravel()
    moved = np.abs(net.get_weights()[0] - before)[:, 0]
    assert seen.sum() > 15
    np.testing.assert_allclose(moved[seen], 0.01, rtol=1e-3)
    assert not moved[~seen].any()


# A whole training


def test_early_stopping_restores_the_lowest_validation_loss():
    """Sixteen noisy rows are learnt by heart, so the validation loss first falls and then rises."""
    train, val = dataset(16, seed=10), dataset(64, seed=20)
    train.targets["activity"][:] += np.random.default_rng(1).normal(0, 2, 16)
    keras_backend.seed_everything(0)
    model = model_of(recipe=Recipe(batch_size=4, epochs=60, max_lr=0.01, patience=3))
    history = model.fit(train, val, seed=0)
    losses = [row["val_loss"] for row in history]
    best = int(np.argmin(losses))
    assert 0 < best < len(losses) - 1, "the test needs a training that gets better, then worse"
    assert len(history) == best + 1 + 3 < 60
    assert [row["is_best"] for row in history] == [i == best for i in range(len(losses))]
    left = np.mean((model.predict(val)["activity"] - val.targets["activity"]) ** 2)
    assert left == pytest.approx(losses[best], rel=1e-5)


def test_fit_learns_each_output_from_its_own_target():
    data = dataset(100, outputs=("dev", "hk"))
    model = model_of(network(2), Recipe(batch_size=20, epochs=40, max_lr=0.05))
    history = model.fit(data, data, seed=0)
    predicted = model.predict(data)
    assert list(predicted) == ["dev", "hk"]
    assert history[-1]["lr"] == pytest.approx(0.05)
    for name in ("dev", "hk"):
        assert predicted[name].dtype == np.float32
        assert np.corrcoef(predicted[name], data.targets[name])[0, 1] > 0.99


def test_a_network_with_a_list_of_heads_gives_a_column_each():
    entry = keras.Input((SEQ_LEN, 4))
    flat = keras.layers.Flatten()(entry)
    constant = [keras.initializers.Constant(value) for value in (2.0, 5.0)]
    heads = [keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=value)(flat) for value in constant]
    predicted = model_of(keras.Model(entry, heads)).predict(dataset(3))
    assert {name: values.tolist() for name, values in predicted.items()} == {"0": [2.0] * 3, "1": [5.0] * 3}


def test_fit_is_repeatable_and_follows_its_seed():
    def fitted(seed):
        keras_backend.seed_everything(seed)
        model = model_of(restless())
        model.fit(dataset(), dataset(seed=1), seed=seed)
        return model.predict(dataset())["activity"]

    np.testing.assert_array_equal(fitted(1), fitted(1))
    assert not np.array_equal(fitted(1), fitted(2))


# Prediction


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_predictions_do_not_depend_on_the_batch(batch):
    model = model_of(restless())
    whole = model.predict(dataset(30))["0"]
    model.predict_batch_size = batch
    np.testing.assert_allclose(model.predict(dataset(30))["0"], whole, rtol=1e-5, atol=1e-6)
    assert whole.std() > 1e-3


def test_prediction_leaves_weights_and_running_statistics_alone():
    model = model_of(restless())
    before = model.snapshot()
    first, second = model.predict(dataset())["0"], model.predict(dataset())["0"]
    np.testing.assert_array_equal(first, second)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.snapshot(), strict=True))


def test_all_weights_are_counted_moving_statistics_too():
    """As `keras.Model.count_params` and the published tables count: 24 + 1 dense, 4 x 24 batch norm."""
    assert model_of(restless()).n_params == 25 + 96


# Saved models


def test_a_saved_model_predicts_the_same_under_the_same_names(tmp_path):
    model = model_of(restless())
    model.fit(dataset(outputs=("dev",)), dataset(outputs=("dev",), seed=1), seed=0)
    model.save(tmp_path)
    fresh = model_of(restless())
    fresh.load(tmp_path)
    expected, loaded = model.predict(dataset()), fresh.predict(dataset())
    assert list(loaded) == ["dev"]
    np.testing.assert_array_equal(loaded["dev"], expected["dev"])


def test_saved_files_are_plain_arrays_in_layer_order_and_json(tmp_path):
    model = model_of(network(extra=[keras.layers.Dense(2, activation="relu") for _ in range(8)]))
    model.prepare(dataset(), 10)
    model.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.npz"]
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        arrays = [file[name] for name in file.files]
    assert len(arrays) == 18
    assert all(np.array_equal(a, b) for a, b in zip(arrays, model.network.get_weights(), strict=True))
    assert json.loads((tmp_path / "model.json").read_text()) == {"outputs": ["activity"]}


# The process


def test_the_cpu_is_named_with_framework_and_backend():
    where = keras_backend.configure("cpu")
    assert where["device"] == "cpu"
    assert where["framework"] == f"keras {keras.__version__}"
    assert where["backend"].startswith(keras.backend.backend())


def test_cuda_that_is_not_there_is_refused_with_advice(monkeypatch):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("what tensorflow sees is changed here")
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(BadInput, match="--device cpu"):
        keras_backend.configure("cuda")


def test_threads_can_be_set_after_the_first_computation():
    """Jobs that run inline share a process with whatever used the framework before."""
    model_of().predict(dataset())
    assert keras_backend.configure("cpu", threads=1)["device"] == "cpu"


TRAIN_ON_TORCH = """
import numpy as np, pandas as pd
from benchmarks.training.keras_backend import EarlyStopping, KerasModel, keras
from benchmarks.api.data import Dataset, Recipe
rng = np.random.default_rng(0)
codes = rng.integers(0, 4, (20, 6), dtype=np.uint8)
data = Dataset("made", codes, {"y": rng.normal(size=20).astype("float32")}, pd.DataFrame(index=range(20)), "simulated")
net = keras.Sequential([keras.Input((6, 4)), keras.layers.Flatten(), keras.layers.Dense(1)])
model = KerasModel(net, trainer=EarlyStopping(Recipe(batch_size=8, epochs=2)))
history = model.fit(data, data, seed=0)
print(keras.backend.backend(), len(history), model.predict(data.without_targets())["y"].shape)
"""


@pytest.mark.slow
def test_a_backend_chosen_beforehand_is_kept_and_trains():
    """Marked slow for the import of a second framework, not for its network."""
    pytest.importorskip("torch")
    environment = os.environ | {"KERAS_BACKEND": "torch", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN_ON_TORCH], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n")[0] == "torch 2 (20,)"
