"""Keras models of profile tasks: sizes of the fact sheet, slow numpy networks, losses, the bias model, schedules."""

import dataclasses
import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from baselines import bpnet, bpnet_bias, chrombpnet
from benchmarks import registry
from benchmarks.api import profiles
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.sequences import one_hot
from benchmarks.errors import BadInput
from dream_models import dream_cnn_keras, dream_rnn_keras
from dream_models.prixfixe import keras_profile
from tests.helpers.paths import ROOT

SPEC = TaskSpec(200, profiles.OUTPUTS, "profile_counts", profile_len=40, max_jitter=6)
SMALL = {"width_scale": 0.02, "batch_size": 8, "epochs": 2, "jitter": 5}


@pytest.fixture(scope="module", autouse=True)
def backend():
    found = registry.get_backend("keras")
    found.configure("cpu", threads=1)
    found.seed_everything(0)
    return found


def parameters(network):
    return {layer.name: layer.count_params() for layer in network.layers if layer.weights}


def test_the_bias_model_has_the_published_layers():
    expected = {"bpnet_1st_conv": 10_880, "prof_out_precrop": 9_601, "logcount_predictions": 129}
    expected |= {f"bpnet_{i}conv": 49_280 for i in range(1, 5)}
    assert parameters(bpnet_bias.network()) == expected
    assert sum(expected.values()) == 217_730


def test_chrombpnet_has_the_published_layers():
    expected = {"bpnet_1st_conv": 43_520, "bpnet_prof_out_precrop": 38_401, "bpnet_logcount_predictions": 513}
    expected |= {f"bpnet_{i}conv": 786_944 for i in range(1, 9)}
    assert parameters(chrombpnet.network()) == {f"wo_bias_{name}": n for name, n in expected.items()}
    assert sum(expected.values()) == 6_377_986
    assert bpnet.network().count_params() == 6_377_986


def test_windows_shrink_as_published():
    lengths = [2094, 2090, 2082, 2066, 2034, 1970, 1842, 1586, 1074]
    network = chrombpnet.network(width_scale=1 / 512)
    convolutions = [layer for layer in network.layers if layer.name.endswith("conv")]
    assert [layer.output.shape[1] for layer in convolutions] == lengths
    crops = [layer.cropping for layer in network.layers if type(layer).__name__ == "Cropping1D"]
    assert crops == [(2**i, 2**i) for i in range(1, 9)] + [(0, 0)]
    bias = bpnet_bias.network(width_scale=1 / 128)
    assert bias.get_layer("prof_out_precrop").output.shape[1] == 1960
    assert bias.get_layer("crop").cropping == (480, 480)


def trainable(network):
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)


def test_the_dream_twins_have_the_published_sizes():
    cnn, rnn = dream_cnn_keras.network(), dream_rnn_keras.network()
    assert trainable(cnn) == 1_929_986
    assert cnn.count_params() - trainable(cnn) == 10_752  # running statistics of batch norm
    assert trainable(rnn) == rnn.count_params() == 4_138_882
    heads = {"cnn": (4_801, 65), "rnn": (24_001, 321)}
    for network, expected in ((cnn, heads["cnn"]), (rnn, heads["rnn"])):
        found = parameters(network)
        assert (found["prof_out_precrop"], found["logcount_predictions"]) == expected
        assert network.get_layer("crop").cropping == (520, 520)
        assert [tuple(output.shape) for output in network.outputs] == [(None, 1000), (None, 1)]


# forward passes


def convolved(x, kernel, constant, dilation=1):
    """Convolve (L, C) without padding, one position and one tap at a time."""
    width = (len(kernel) - 1) * dilation
    rows = [sum(x[at + t * dilation] @ kernel[t] for t in range(len(kernel))) for at in range(len(x) - width)]
    return np.array(rows) + constant


def slow_bpnet(network, x, n_dilated, profile_len, prefix=""):
    def weights(name):
        return [array.astype(np.float64) for array in network.get_layer(prefix + name).get_weights()]

    heads = "bpnet_" if prefix else ""
    x = np.maximum(convolved(x, *weights("bpnet_1st_conv")), 0)
    for i in range(1, n_dilated + 1):
        x = np.maximum(convolved(x, *weights(f"bpnet_{i}conv"), dilation=2**i), 0) + x[2**i : -(2**i)]
    profile = convolved(x, *weights(f"{heads}prof_out_precrop"))[:, 0]
    start = (len(profile) - profile_len) // 2
    kernel, constant = weights(f"{heads}logcount_predictions")
    return profile[start : start + profile_len], (x.mean(axis=0) @ kernel + constant)[0]


@pytest.mark.parametrize(("n_dilated", "prefix"), [(4, ""), (5, "wo_bias_")])
def test_bpnet_computes_what_a_slow_network_does(n_dilated, prefix):
    from benchmarks.training.keras_profiles import bpnet as make

    network = make(5, n_dilated, 320, 60, prefix=prefix)
    rng = np.random.default_rng(0)
    network.set_weights([rng.normal(0, 0.3, array.shape) for array in network.get_weights()])
    x = one_hot(rng.integers(0, 5, (2, 320), dtype=np.uint8), "ACGT")
    logits, counts = (np.asarray(part) for part in network(x))
    for i in range(2):
        expected, count = slow_bpnet(network, x[i].astype(np.float64), n_dilated, 60, prefix)
        assert logits[i] == pytest.approx(expected, abs=1e-3 * float(np.abs(expected).max()))
        assert counts[i, 0] == pytest.approx(count, rel=1e-4)


def test_paired_convolutions_are_grouped_convolutions():
    from benchmarks.training.keras_layers import PairedConv, layers

    x = np.random.default_rng(0).normal(size=(3, 40, 12)).astype(np.float32)
    ours, theirs = PairedConv(7), layers.Conv1D(12, 7, groups=6, use_bias=False, padding="same")
    ours(x), theirs(x)
    theirs.set_weights(ours.get_weights())
    assert np.asarray(ours(x)) == pytest.approx(np.asarray(theirs(x)), abs=1e-6)


def test_batch_norm_has_torchs_meaning_or_the_references():
    for reference, momentum, epsilon in ((False, 0.9, 1e-5), (True, 0.1, 1e-3)):
        recipe = keras_profile.DreamKerasRecipe(width_scale=0.02, reference_batch_norm=reference)
        norms = [
            layer
            for layer in dream_cnn_keras.network(200, 40, recipe).layers
            if type(layer).__name__ == "BatchNormalization"
        ]
        assert len(norms) == 24
        assert {(norm.momentum, norm.epsilon) for norm in norms} == {(momentum, epsilon)}


def torch_weights(module):
    """Give the arrays of a torch network in the layout of Keras, layer after layer."""
    from torch import nn

    for part in module.modules():
        if isinstance(part, nn.Conv1d):
            constant = [] if part.bias is None else [part.bias]
            yield "conv", [part.weight.permute(2, 1, 0), *constant]
        elif isinstance(part, nn.BatchNorm1d):
            yield "norm", [part.weight, part.bias, part.running_mean, part.running_var]
        elif isinstance(part, nn.Linear):
            yield "dense", [part.weight.T, part.bias]


KINDS = {"Conv1D": "conv", "PairedConv": "conv", "BatchNormalization": "norm", "Dense": "dense"}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def test_the_cnn_core_is_the_torch_models(torch):
    from benchmarks.training.keras_backend import keras
    from dream_models.prixfixe.autosome import AutosomeCore

    recipe = keras_profile.DreamKerasRecipe(width_scale=0.0625)  # eight channels wherever the published core has 128
    widths = [recipe.width(published) for published in keras_profile.CNN_CHANNELS]
    torch.manual_seed(0)
    theirs = AutosomeCore(24, widths[-1], 50, widths=tuple(widths[:-1])).eval()
    for name, value in theirs.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) * 0.5 + 0.1 if "running" in name else torch.randn_like(value) * 0.4)
    inputs = keras.Input((50, 24))
    ours = keras.Model(inputs, keras_profile.cnn_core(inputs, recipe))
    holders = [layer for layer in ours.layers if layer.weights]
    left = [(kind, [array.detach().numpy() for array in arrays]) for kind, arrays in torch_weights(theirs)]
    assert len(holders) == len(left)
    for layer in holders:
        kind = KINDS[type(layer).__name__]
        found = next(i for i, (other, _) in enumerate(left) if other == kind)  # each kind stands in the same order
        layer.set_weights(left.pop(found)[1])
    x = np.random.default_rng(0).normal(size=(2, 50, 24)).astype(np.float32)
    expected = theirs(torch.from_numpy(x).transpose(1, 2)).detach().numpy().transpose(0, 2, 1)
    assert np.asarray(ours(x)) == pytest.approx(expected, rel=1e-3, abs=1e-4 * float(np.abs(expected).max()))


def test_the_rnn_core_is_the_torch_models(torch):
    from benchmarks.training.keras_backend import keras
    from dream_models.prixfixe.bhi import BHICore

    recipe = keras_profile.DreamKerasRecipe(width_scale=0.05)  # two branches of 8 channels
    torch.manual_seed(0)
    theirs = BHICore(16, 16, 30).eval()
    inputs = keras.Input((30, 16))
    ours = keras.Model(inputs, keras_profile.rnn_core(inputs, recipe))
    arrays = []
    for turn in ("", "_reverse"):
        weights = {name: getattr(theirs.lstm, f"{name}_l0{turn}") for name in ("weight_ih", "weight_hh")}
        biases = getattr(theirs.lstm, f"bias_ih_l0{turn}") + getattr(theirs.lstm, f"bias_hh_l0{turn}")
        arrays += [weights["weight_ih"].T, weights["weight_hh"].T, biases]  # gates stand as i, f, g, o in both
    holders = [layer for layer in ours.layers if layer.weights]
    holders[0].set_weights([array.detach().numpy() for array in arrays])
    for layer, (_, branch) in zip(holders[1:], torch_weights(theirs.conv_list), strict=True):
        layer.set_weights([array.detach().numpy() for array in branch])
    x = np.random.default_rng(0).normal(size=(2, 30, 16)).astype(np.float32)
    expected = theirs(torch.from_numpy(x).transpose(1, 2)).detach().numpy().transpose(0, 2, 1)
    assert np.asarray(ours(x)) == pytest.approx(expected, rel=1e-3, abs=1e-5)


# losses


@pytest.mark.slow
def test_losses_add_as_published(backend):
    """The loss of a step: multinomial negative log likelihood with its coefficient, and the weighted count error."""
    data = some_windows(24, 16)
    model = bpnet.build(SPEC_LONG, dataclasses.replace(bpnet.RECIPE, **SMALL), {})
    model.counts_weight = 3.7
    model.prepare(data, 10)
    codes, profile = model._windows.batch(np.arange(8))
    logits, counts = (np.asarray(part, dtype=np.float64) for part in model.network(one_hot(codes, "ACGT")))
    nll = [
        -stats.multinomial.logpmf(k, int(k.sum()), np.exp(z) / np.exp(z).sum())
        for k, z in zip(profile, logits, strict=True)
    ]
    error = np.mean((np.log1p(profile.sum(axis=1)) - counts[:, 0]) ** 2)
    assert model.train_batch(np.arange(8)) == pytest.approx(np.mean(nll) + 3.7 * error, rel=1e-4)


SPEC_LONG = TaskSpec(1200, profiles.OUTPUTS, "profile_counts", profile_len=60, max_jitter=6)


def some_windows(n, n_peaks, spec=SPEC_LONG, seed=0):
    """Return random windows; peaks have ten times the cuts of background."""
    rng = np.random.default_rng(seed)
    rate = np.where(np.arange(n) < n_peaks, rng.uniform(2, 6, n), rng.uniform(0.2, 0.4, n))
    profile = rng.poisson(rate[:, None], (n, spec.profile_len + 2 * spec.max_jitter)).astype(np.uint16)
    codes = rng.integers(0, 4, (n, spec.seq_len + 2 * spec.max_jitter), dtype=np.uint8)
    meta = pd.DataFrame({"is_peak": np.uint8(np.arange(n) < n_peaks), "fits_jitter": np.ones(n, np.uint8)})
    return Dataset("w", codes, {"profile": profile}, meta, "simulated")


@pytest.fixture(scope="module")
def fitted_bias(tmp_path_factory, backend):
    model = bpnet_bias.build(SPEC_LONG, dataclasses.replace(bpnet_bias.RECIPE, **(SMALL | {"jitter": 0})), {})
    model.fit(some_windows(60, 20), some_windows(30, 10, seed=1), seed=0)
    folder = tmp_path_factory.mktemp("bias")
    model.save(folder)
    return model, folder


@pytest.mark.slow
def test_the_bias_model_is_added_and_frozen(fitted_bias):
    _, folder = fitted_bias
    recipe = dataclasses.replace(chrombpnet.RECIPE, **SMALL)
    model = chrombpnet.build(SPEC_LONG, recipe, {"bpnet_bias": folder})
    train, val = some_windows(60, 30), some_windows(30, 15, seed=1)
    model.fit(train, val, seed=0)
    found = model.predict(val.without_targets())
    x = one_hot(profiles.central(val.codes, 1200), "ACGT")
    (logits, counts), (bias_logits, bias_counts) = (
        [np.asarray(part, dtype=np.float64) for part in network(x)] for network in (model.network, model.bias)
    )
    assert found["profile_logits"] == pytest.approx(logits + bias_logits, abs=1e-5)
    added = np.log(np.exp(counts[:, 0]) + np.exp(bias_counts[:, 0]))
    assert found["log_counts"] == pytest.approx(added, abs=1e-5)

    alone = bpnet_bias.build(SPEC_LONG, dataclasses.replace(bpnet_bias.RECIPE, **SMALL), {})
    alone.load(folder)
    for name in ("bpnet_1st_conv", "bpnet_4conv", "prof_out_precrop"):
        for ours, theirs in zip(
            model.bias.get_layer(name).get_weights(), alone.network.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    assert trainable(model._combined) == trainable(model.network) == model.n_params


def test_the_level_of_the_bias_model_is_fitted_to_the_background(fitted_bias):
    _, folder = fitted_bias
    recipe = dataclasses.replace(chrombpnet.RECIPE, **SMALL)
    model = chrombpnet.build(SPEC_LONG, recipe, {"bpnet_bias": folder})
    before = model.bias.get_layer("logcount_predictions").get_weights()
    train, val = some_windows(60, 30, seed=5), some_windows(30, 15, seed=6)
    for part in (train, val):
        part.targets["profile"][:] *= 3  # another depth than the bias model was fitted at
    chosen = model.choose(train, val, 0)
    backgrounds = [part.take(rows) for part, rows in zip((train, val), chosen.fit_level, strict=True)]
    measured = np.concatenate([np.log1p(profiles.total_counts(b, SPEC_LONG)) for b in backgrounds])
    said = np.concatenate([model._log_counts_of_bias(b) for b in backgrounds])
    model._fit_bias_level(train, val, chosen)
    after = model.bias.get_layer("logcount_predictions").get_weights()
    np.testing.assert_array_equal(after[0], before[0])
    assert after[1] - before[1] == pytest.approx(np.mean(measured - said), rel=1e-4)
    again = np.concatenate([model._log_counts_of_bias(b) for b in backgrounds])
    assert np.mean(measured - again) == pytest.approx(0, abs=1e-4)


def test_an_inverted_bias_model_is_refused(fitted_bias, tmp_path):
    model = chrombpnet.build(SPEC_LONG, dataclasses.replace(chrombpnet.RECIPE, **SMALL), {"bpnet_bias": fitted_bias[1]})
    train, val = some_windows(60, 30), some_windows(30, 15, seed=1)
    inverted = np.concatenate([-np.log1p(profiles.total_counts(p.take(np.arange(30)), SPEC_LONG)) for p in (train,)])
    model._log_counts_of_bias = lambda data: inverted[: len(data)]
    with pytest.raises(ValueError, match=r"r = -1.00.*threshold_factor"):
        model._check_bias(train.take(np.arange(30)), val.take(np.arange(0)))


def test_a_model_that_needs_a_bias_model_says_so():
    model = chrombpnet.build(SPEC_LONG, dataclasses.replace(chrombpnet.RECIPE, **SMALL), {})
    with pytest.raises(ValueError, match="bpnet_bias"):
        model.fit(some_windows(20, 10), some_windows(20, 10), seed=0)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(BadInput, match="--no-save-models"):
        chrombpnet.build(SPEC_LONG, dataclasses.replace(chrombpnet.RECIPE, **SMALL), {"bpnet_bias": tmp_path})


def test_the_schedule_rises_and_falls_as_the_reference():
    from benchmarks.training.keras_profiles import RiseAndCosine

    n, top = 1000, 5e-4
    rate = RiseAndCosine(top, n)
    steps = np.arange(0, n + 1, 25)
    found = [float(rate(step)) for step in steps]
    start, end = top / 25, top / 25 / 1e4
    expected = [
        start + (top - start) * s / 300 if s < 300 else end + (top - end) * (1 + np.cos(np.pi * (s - 300) / 700)) / 2
        for s in steps
    ]
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-10)
    cosine = RiseAndCosine(top, n, "cosine")
    assert float(cosine(150)) == pytest.approx(start + (top - start) / 2, rel=1e-5)
    assert float(cosine(75)) < float(rate(75))


def test_recipes_are_those_of_the_fact_sheet():
    for module in (bpnet_bias, chrombpnet, bpnet):
        recipe = module.RECIPE
        assert (recipe.batch_size, recipe.epochs, recipe.patience, recipe.max_lr) == (64, 50, 5, 0.001)
        assert recipe.jitter == (0 if module is bpnet_bias else 500)
    for module in (dream_cnn_keras, dream_rnn_keras):
        recipe = module.RECIPE
        assert (recipe.batch_size, recipe.epochs, recipe.patience, recipe.max_lr) == (64, 80, 20, 5e-4)
        assert (recipe.jitter, recipe.negative_ratio, recipe.rise, recipe.reference_batch_norm) == (
            500, 0.1, "linear", False,
        )  # fmt: skip
    with pytest.raises(ValueError, match="linear or cosine"):
        keras_profile.DreamKerasRecipe(rise="steps")


# published files


def write_published(path, bias, main):
    """Write a combined model as Keras 2 does: two submodels, and a Lambda layer whose code must not run."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [b"sequence", b"model", b"model_wo_bias", b"logcounts_sum"]
        for name, network in (("sequence", None), ("model", bias), ("model_wo_bias", main), ("logcounts_sum", None)):
            group, names = root.create_group(name), []
            for layer in network.layers if network else ():
                for weight, array in zip(layer.weights, layer.get_weights(), strict=True):
                    names.append(f"{layer.name}/{weight.name}:0".encode())
                    group.create_dataset(names[-1].decode(), data=array)
            group.attrs["weight_names"] = names
        file.attrs["model_config"] = b'{"class_name": "Lambda", "config": {"function": "evil"}}'


def random_weights(network, seed):
    rng = np.random.default_rng(seed)
    network.set_weights([rng.normal(size=array.shape).astype(np.float32) for array in network.get_weights()])
    return network


def test_published_weights_are_read_by_layer_name(tmp_path):
    bias, main = random_weights(bpnet_bias.network(), 1), random_weights(chrombpnet.network(), 2)
    write_published(tmp_path / "chrombpnet.h5", bias, main)
    for module, network in ((bpnet_bias, bias), (chrombpnet, main)):
        loaded = module.load_published(tmp_path / "chrombpnet.h5")
        for ours, theirs in zip(loaded.get_weights(), network.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_file_without_a_layer_is_refused(tmp_path):
    write_published(tmp_path / "b.h5", random_weights(bpnet_bias.network(), 1), None)
    with pytest.raises(BadInput, match="wo_bias_bpnet_1st_conv"):
        chrombpnet.load_published(tmp_path / "b.h5")
    with pytest.raises(FileNotFoundError):
        chrombpnet.load_published(tmp_path / "none.h5")


def write_layers(path, network, *, more=(), change=lambda name, array: array):
    """Write the weights of a network as Keras 2 does, and further layers of one number."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights")
        layers = [(layer.name, layer.get_weights()) for layer in network.layers if layer.weights]
        layers += [(name, [np.zeros(1, np.float32)]) for name in more]
        root.attrs["layer_names"] = [name.encode() for name, _ in layers]
        for name, arrays in layers:
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{i}:0".encode() for i in range(len(arrays))]
            for i, array in enumerate(arrays):
                group.create_dataset(f"{name}/{i}:0", data=change(f"{name}/{i}", array))


@pytest.mark.parametrize(
    ("module", "prefix", "filters", "n_dilated"), [(bpnet_bias, "", 8, 6), (chrombpnet, "wo_bias_", 16, 5)]
)
def test_a_network_has_the_size_of_its_file(tmp_path, module, prefix, filters, n_dilated):
    from benchmarks.training.keras_layers import bpnet as bpnet_of_size

    network = random_weights(bpnet_of_size(filters, n_dilated, 2114, 1000, prefix=prefix), 3)
    write_layers(tmp_path / "w.h5", network)
    loaded = module.load_published(tmp_path / "w.h5")
    assert len(loaded.get_weights()) == 2 * (n_dilated + 3)
    for ours, theirs in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("attention",), "layer 'attention' has no place in this network of 7 layers"),
        (("bpnet_6conv",), "has no layer 'bpnet_5conv', though dilated layers of other numbers"),
    ],
)
def test_a_layer_that_would_be_passed_over_is_refused(tmp_path, more, says):
    write_layers(tmp_path / "w.h5", random_weights(bpnet_bias.network(), 1), more=more)
    with pytest.raises(BadInput) as caught:
        bpnet_bias.load_published(tmp_path / "w.h5")
    assert says in str(caught.value)


def test_a_group_that_is_named_as_no_layer_is_refused(tmp_path):
    write_layers(tmp_path / "w.h5", random_weights(bpnet_bias.network(), 1))
    with h5py.File(tmp_path / "w.h5", "a") as file:
        file["model_weights"].create_group("attention").create_dataset("kernel:0", data=np.zeros(3))
    with pytest.raises(BadInput, match="'attention' is not among its layer_names"):
        bpnet_bias.load_published(tmp_path / "w.h5")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_weight_that_is_not_a_finite_number_is_refused(tmp_path, value):
    def change(name, array):
        array = array.astype(np.float64)
        if name == "bpnet_2conv/0":
            array[0, 0, :2] = value
        return array

    write_layers(tmp_path / "w.h5", random_weights(bpnet_bias.network(), 1), change=change)
    with pytest.raises(BadInput, match=r"'bpnet_2conv' has 2 of 49,152 weights that are not finite numbers"):
        bpnet_bias.load_published(tmp_path / "w.h5")


# two backends

FORWARD = """
import sys, numpy as np
from baselines import chrombpnet
from benchmarks.training.keras_backend import keras
from benchmarks.api.sequences import one_hot
from dream_models import dream_cnn_keras, dream_rnn_keras
from dream_models.prixfixe import keras_profile
recipe = keras_profile.DreamKerasRecipe(width_scale=0.05)
networks = [dream_cnn_keras.network(260, 40, recipe), dream_rnn_keras.network(260, 40, recipe),
            chrombpnet.network(1300, 100, 0.02)]
found = {}
for i, network in enumerate(networks):
    rng = np.random.default_rng(i)
    network.set_weights([np.abs(rng.normal(0, 0.2, a.shape)) if a.ndim == 1 else rng.normal(0, 0.2, a.shape)
                         for a in network.get_weights()])
    x = one_hot(rng.integers(0, 5, (4, network.input_shape[1]), dtype=np.uint8), "ACGT")
    for name, part in zip(("logits", "counts"), network(x, training=False)):
        found[f"{i}{name}"] = keras.ops.convert_to_numpy(part)
np.savez(sys.argv[1], backend=keras.backend.backend(), **found)
"""


@pytest.mark.slow
def test_tensorflow_and_torch_give_the_same_forward_pass(tmp_path):
    """Within 1e-4 of the spread of the predictions."""
    found = {}
    for name in ("tensorflow", "torch"):
        environment = os.environ | {"KERAS_BACKEND": name, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", FORWARD, tmp_path / f"{name}.npz"], env=environment, check=True)
        found[name] = np.load(tmp_path / f"{name}.npz")
        assert found[name]["backend"] == name
    for key in set(found["torch"].files) - {"backend"}:
        ours, theirs = found["tensorflow"][key], found["torch"][key]
        assert np.ptp(ours) > 0.01
        assert np.abs(ours - theirs).max() < 1e-4 * np.ptp(ours), key


# full width


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bpnet_bias", "bpnet", "chrombpnet", "dream_cnn_keras", "dream_rnn_keras"])
def test_full_width_networks_step_forward_and_backward(name, tmp_path):
    task, module = registry.get_task("atac"), registry.get_model(name)
    prerequisite_dirs = {}
    if getattr(module, "PREREQUISITES", ()):
        bias = bpnet_bias.build(task.SPEC, bpnet_bias.RECIPE, {})
        bias.save(tmp_path)
        prerequisite_dirs = {"bpnet_bias": tmp_path}
    model = module.build(task.SPEC, module.RECIPE, prerequisite_dirs)
    data = task.simulate(seed=0).take(np.arange(8))
    model.prepare(data, n_steps=1000)
    before = [array.copy() for array in model.network.get_weights()]
    assert np.isfinite(model.train_batch(np.arange(4)))
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.network.get_weights(), strict=True)]
    assert np.mean(moved) > 0.9
    found = model.predict(data.without_targets())
    assert found["profile_logits"].shape == (8, 1000)
    assert json.dumps([float(value) for value in found["log_counts"]])
