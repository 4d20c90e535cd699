"""DeepSTARR: layers, parameters and loss as published; released weights load without running anything."""

import h5py
import numpy as np
import pytest

import baselines
from benchmarks import registry
from benchmarks.errors import BadInput

PUBLISHED = [
    ("Conv1D_1st", 7_424), (None, 1_024), ("Conv1D_2", 46_140), (None, 240), ("Conv1D_3", 18_060), (None, 240),
    ("Conv1D_4", 21_720), (None, 480), ("Dense_1", 461_056), (None, 1_024), ("Dense_2", 65_792), (None, 1_024),
    ("Dense_Dev", 257), ("Dense_Hk", 257),
]  # fmt: skip
"""Layers with weights, in order; batch norms have no name of their own."""


@pytest.fixture(scope="module")
def model():
    registry.get_backend("keras").seed_everything(0)
    return baselines.deepstarr.network()


def test_every_layer_has_the_published_number_of_parameters(model):
    holders = [(layer.name, layer.count_params()) for layer in model.layers if layer.weights]
    assert [n for _, n in holders] == [n for _, n in PUBLISHED]
    for (name, _), (published, _) in zip(holders, PUBLISHED, strict=True):
        assert published is None or name == published
    assert model.count_params() == 624_738
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 622_722


def test_the_layers_are_the_published_ones(model):
    kinds = [type(layer).__name__ for layer in model.layers]
    block = ["BatchNormalization", "Activation"]
    assert kinds == [
        "InputLayer", *["Conv1D", *block, "MaxPooling1D"] * 4, "Flatten",
        *["Dense", *block, "Dropout"] * 2, "Dense", "Dense",
    ]  # fmt: skip
    assert [layer.output.shape[1:] for layer in model.layers if type(layer).__name__ == "MaxPooling1D"] == [
        (124, 256), (62, 60), (31, 60), (15, 120),
    ]  # fmt: skip
    assert all(layer.activation.__name__ == "relu" for layer in model.layers if type(layer).__name__ == "Activation")
    assert {layer.rate for layer in model.layers if type(layer).__name__ == "Dropout"} == {0.4}
    assert {layer.epsilon for layer in model.layers if type(layer).__name__ == "BatchNormalization"} == {1e-3}
    assert {layer.momentum for layer in model.layers if type(layer).__name__ == "BatchNormalization"} == {0.99}
    assert {layer.padding for layer in model.layers if type(layer).__name__ == "Conv1D"} == {"same"}


def forward(weights, x):
    """Compute DeepSTARR with numpy, from the fact sheet: weights are (kernel, bias) and (gamma, beta, mean, var)."""

    def normalised(x, gamma, beta, mean, var):
        return (x - mean) / np.sqrt(var + 1e-3) * gamma + beta

    weights = iter(weights)
    for _ in range(4):
        kernel, bias = next(weights)
        size = len(kernel)
        left = (size - 1) // 2
        padded = np.pad(x, ((0, 0), (left, size - 1 - left), (0, 0)))
        x = sum(padded[:, k : k + x.shape[1]] @ kernel[k] for k in range(size)) + bias
        x = np.maximum(normalised(x, *next(weights)), 0)
        x = x[:, : x.shape[1] // 2 * 2]
        x = np.maximum(x[:, 0::2], x[:, 1::2])
    x = x.reshape(len(x), -1)  # position-major
    for _ in range(2):
        kernel, bias = next(weights)
        x = np.maximum(normalised(x @ kernel + bias, *next(weights)), 0)
    return [x @ kernel + bias for kernel, bias in weights]


def drawn_weights(model, seed=1):
    """Draw weights at which every layer matters, batch norms included."""
    rng = np.random.default_rng(seed)
    arrays = []
    for layer in model.layers:
        for w in layer.weights:
            low, high = (0.5, 1.5) if w.name in ("gamma", "moving_variance") else (-0.1, 0.1)
            arrays.append(rng.uniform(low, high, w.shape).astype(np.float32))
    return arrays


def test_the_forward_pass_is_the_sheet_s(model):
    arrays = drawn_weights(model)
    model.set_weights(arrays)
    grouped, left = [], list(arrays)
    for layer in model.layers:
        if layer.weights:
            grouped.append([left.pop(0).astype(np.float64) for _ in layer.weights])
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (3, 249))]
    for found, expected in zip(model(x), forward(grouped, x.astype(np.float64)), strict=True):
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=1e-4)


def test_the_loss_is_the_sum_of_both_errors():
    task = registry.get_task("drosophila")
    data = task.simulate(seed=0).take(np.arange(64))
    module, backend = registry.get_model("deepstarr"), registry.get_backend("keras")
    backend.seed_everything(0)
    fitted = module.build(task.SPEC, module.RECIPE, {})
    fitted.prepare(data, 1)
    for layer in fitted.network.layers:  # so that the loss of the step is that of the prediction
        if type(layer).__name__ == "Dropout":
            layer.rate = 0.0
        if type(layer).__name__ == "BatchNormalization":
            layer.trainable = False
    predicted = fitted.predict(data)
    expected = sum(np.mean((predicted[name] - data.targets[name]) ** 2) for name in ("dev", "hk"))
    assert fitted.train_batch(np.arange(64)) == pytest.approx(expected, rel=1e-4)


def test_the_recipe_is_the_published_one():
    recipe = registry.get_model("deepstarr").RECIPE
    assert (recipe.batch_size, recipe.max_lr, recipe.epochs, recipe.patience) == (128, 0.002, 100, 10)


# Released weights


def write_keras2(path, model, arrays, *, whole_model=False, rename=None):
    """Write weights as Keras 2 does: groups named by layer, attributes that list them, names ending in ':0'."""
    left = list(arrays)
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole_model else file
        names, number = [], 0
        for layer in model.layers:
            number += type(layer).__name__ == "BatchNormalization"
            name = f"batch_normalization_{number}" if type(layer).__name__ == "BatchNormalization" else layer.name
            name = (rename or {}).get(name, name)
            names.append(name.encode())
            group = root.create_group(name)
            weights = [(f"{name}/{w.name}:0".encode(), left.pop(0)) for w in layer.weights]
            group.attrs["weight_names"] = [weight_name for weight_name, _ in weights]
            for weight_name, array in weights:
                group.create_dataset(weight_name.decode(), data=array)
        root.attrs["layer_names"] = names
        if whole_model:
            file.attrs["model_config"] = b'{"class_name": "Lambda", "config": {"function": "evil"}}'


@pytest.mark.parametrize("whole_model", [False, True])
def test_a_keras_2_file_loads(model, tmp_path, whole_model):
    arrays = drawn_weights(model, seed=7)
    write_keras2(tmp_path / "w.h5", model, arrays, whole_model=whole_model)
    loaded = baselines.deepstarr.load_published(tmp_path / "w.h5")
    for found, expected in zip(loaded.get_weights(), arrays, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_file_that_is_another_s_is_refused(model, tmp_path):
    arrays = drawn_weights(model)
    write_keras2(tmp_path / "renamed.h5", model, arrays, rename={"Dense_Hk": "Dense_Other"})
    with pytest.raises(BadInput, match="layer 'Dense_Hk' was expected, got 'Dense_Other'"):
        baselines.deepstarr.load_published(tmp_path / "renamed.h5")
    narrow = baselines.deepstarr.network(width_scale=0.5)
    write_keras2(tmp_path / "narrow.h5", narrow, drawn_weights(narrow))
    with pytest.raises(BadInput, match="layer 'Conv1D_1st' has weights of shapes"):
        baselines.deepstarr.load_published(tmp_path / "narrow.h5")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(BadInput, match="is not an HDF5 file of weights"):
        baselines.deepstarr.load_published(tmp_path / "text.h5")
    with pytest.raises(FileNotFoundError):
        baselines.deepstarr.load_published(tmp_path / "none.h5")


def test_a_link_out_of_the_file_is_refused(model, tmp_path):
    arrays = drawn_weights(model)
    write_keras2(tmp_path / "w.h5", model, arrays)
    write_keras2(tmp_path / "secret.h5", model, arrays)
    with h5py.File(tmp_path / "w.h5", "a") as file:
        del file["Dense_1/Dense_1/kernel:0"]
        file["Dense_1/Dense_1"]["kernel:0"] = h5py.ExternalLink("secret.h5", "/Dense_1/Dense_1/kernel:0")
    with pytest.raises(BadInput, match="lies in another file"):
        baselines.deepstarr.load_published(tmp_path / "w.h5")
