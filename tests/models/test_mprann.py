"""MPRAnn: layers and sizes against the fact sheet, outputs against plain numpy, recipe, insert augmentation."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("keras")

from baselines import mprann
from baselines.mprann_augmented import InsertAugmented
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.training import keras_backend
from benchmarks.training.keras_backend import keras
from tests.helpers import reference_networks
from tests.helpers.reference_networks import mprann_forward

SPEC = TaskSpec(230, ("expression",), side_channels=("is_reverse",))
# Fact sheet "baselines" 2.1: the weights in layer order, 30 arrays.
SHAPES = [
    (7, 4, 250), (250,), *4 * [(250,)],
    (8, 250, 250), (250,), *4 * [(250,)],
    (3, 250, 250), (250,), *4 * [(250,)],
    (2, 250, 100), (100,), *4 * [(100,)],
    (10_500, 300), (300,),
    (300, 200), (200,),
    (200, 1), (1,),
]  # fmt: skip
# The same sheet's outputs of the layers that change the shape.
OUTPUTS = {"conv1": (224, 250), "conv2": (217, 250), "maxpool1": (108, 250), "conv3": (106, 250), "conv4": (105, 100)}


def random_weights(shapes, seed=0):
    """Return weights that keep activations alive; the moving variances are those that a softmax really gives.

    Each output of a softmax over 250 channels is near 1/250, so its variance lies far below batch norm's epsilon.
    """
    rng = np.random.default_rng(seed)
    weights = []
    for i, shape in enumerate(shapes):
        in_norm = i < 24 and i % 6 >= 2
        if not in_norm:
            scale = 1.0 if len(shape) == 1 else 3.0 / np.sqrt(np.prod(shape[:-1]))
            weights.append(rng.normal(0, scale, shape))
        elif i % 6 == 5:
            weights.append(10 ** rng.uniform(-7, -4, shape))
        else:
            weights.append(rng.normal(1.0 if i % 6 == 2 else 0.0, 0.2, shape))
    weights[24] *= 0.3  # keeps the sigmoids away from their ends
    return weights


def random_one_hot(n_rows, seq_len=230, seed=1):
    """Return (n_rows, seq_len, 4) with some N, which are all-zero rows."""
    table = np.vstack([np.eye(4), np.zeros(4)])
    return table[np.random.default_rng(seed).choice(5, (n_rows, seq_len), p=[0.24, 0.24, 0.24, 0.24, 0.04])]


@pytest.fixture
def double_precision():
    """Build layers in float64, and set the usual precision again afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


@pytest.fixture(scope="module")
def network():
    return mprann.network()


# Architecture


def test_it_is_a_keras_model_with_the_published_parameter_count(network):
    assert isinstance(network, keras.Model)
    assert network.count_params() == 3_959_451
    assert sum(int(np.prod(w.shape)) for w in network.trainable_weights) == 3_957_751


def test_weights_stand_in_layer_order(network):
    assert [w.shape for w in network.get_weights()] == SHAPES


def test_layers_have_the_published_output_shapes(network):
    shapes = {layer.name: layer.output.shape[1:] for layer in network.layers}
    assert {name: shapes[name] for name in OUTPUTS} == OUTPUTS
    assert network.input_shape == (None, 230, 4)
    assert network.output_shape == (None, 1)


def test_dropout_rates_are_the_published_ones(network):
    assert [layer.rate for layer in network.layers if "dropout" in layer.name] == [0.1, 0.1, 0.3]


def test_batch_norm_has_keras_defaults(network):
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert [(norm.momentum, norm.epsilon) for norm in norms] == [(0.99, 1e-3)] * 4


@pytest.mark.usefixtures("double_precision")
def test_forward_equals_the_numpy_reference():
    network, weights, x = mprann.network(), random_weights(SHAPES), random_one_hot(3)
    network.set_weights(weights)
    expected = mprann_forward(weights, x)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(np.asarray(network(x)), expected, rtol=1e-9, atol=1e-9)


def narrow_weights(network):
    return random_weights([w.shape for w in network.get_weights()])


@pytest.mark.parametrize("epsilon", [1e-5, 1e-4])
@pytest.mark.usefixtures("double_precision")
def test_the_comparison_notices_another_epsilon(epsilon, monkeypatch):
    network, x = mprann.network(width_scale=0.1), random_one_hot(3)
    weights = narrow_weights(network)
    network.set_weights(weights)
    actual = np.asarray(network(x))
    np.testing.assert_allclose(actual, mprann_forward(weights, x), rtol=1e-9, atol=1e-9)
    monkeypatch.setattr(reference_networks, "MPRANN_BATCH_NORM_EPS", epsilon)
    assert np.abs(actual - mprann_forward(weights, x)).max() > 1e-2


@pytest.mark.usefixtures("double_precision")
def test_the_comparison_notices_a_channel_major_flatten():
    network, x = mprann.network(width_scale=0.1), random_one_hot(3)
    weights = narrow_weights(network)
    network.set_weights(weights)
    swapped = list(weights)
    swapped[24] = weights[24].reshape(105, 10, -1).transpose(1, 0, 2).reshape(weights[24].shape)
    assert np.abs(np.asarray(network(x)) - mprann_forward(swapped, x)).max() > 1e-3


@pytest.mark.usefixtures("double_precision")
def test_other_lengths_and_outputs_keep_the_architecture():
    network = mprann.network(seq_len=101, n_outputs=2, width_scale=0.1)
    weights, x = narrow_weights(network), random_one_hot(2, seq_len=101)
    network.set_weights(weights)
    expected = mprann_forward(weights, x)
    assert expected.shape == (2, 2)
    np.testing.assert_allclose(np.asarray(network(x)), expected, rtol=1e-9, atol=1e-9)


# Recipe and what it serves


def test_the_recipe_is_the_paper_s():
    recipe = mprann.RECIPE
    assert (recipe.batch_size, recipe.max_lr, recipe.epochs, recipe.patience) == (32, 0.001, 100, 10)
    assert (recipe.weight_decay, recipe.width_scale, recipe.augment_insert) == (0.0, 1.0, False)


def test_unsupported_says_which_tasks_it_cannot_serve():
    assert mprann.unsupported(SPEC) is None
    assert "soft_classification" in mprann.unsupported(TaskSpec(150, ("expression",), "soft_classification"))
    assert "profile_counts" in mprann.unsupported(TaskSpec(2114, ("K562",), "profile_counts", profile_len=1000))


def test_the_shortest_sequence_leaves_one_position():
    """((21 - 6 - 7) // 2) - 2 - 1 = 1 position of 10 channels; with 20 bp nothing is left."""
    network = mprann.network(seq_len=21, width_scale=0.1)
    assert network.get_weights()[24].shape == (10, 30)
    assert mprann.unsupported(dataclasses.replace(SPEC, seq_len=21)) is None
    assert "20" in mprann.unsupported(dataclasses.replace(SPEC, seq_len=20))


# The model as the harness uses it

ADAPTERS = "AGGACCGGATCAACT", "CATTGCGTGAACCGA"
CODE = {"A": 0, "G": 1, "C": 2, "T": 3, "N": 4}  # fact sheet "dream", 1.1
CHANNEL = {"A": 0, "C": 1, "G": 2, "T": 3}  # fact sheet "baselines", conventions


def dataset(inserts, targets=None):
    texts = [insert.join(ADAPTERS) for insert in inserts]
    codes = np.array([[CODE[base] for base in text] for text in texts], dtype=np.uint8)
    targets = {} if targets is None else {"expression": np.asarray(targets, dtype=np.float32)}
    meta = pd.DataFrame({"is_reverse": np.zeros(len(texts), dtype=np.uint8)})
    return Dataset("made", codes, targets, meta, "simulated")


def random_inserts(n_rows, seed=0):
    letters = np.array(list("ACGT"))[np.random.default_rng(seed).integers(0, 4, (n_rows, 200))]
    return ["".join(row) for row in letters]


def reverse_complement(text):
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def narrow(**changes):
    return dataclasses.replace(mprann.RECIPE, width_scale=0.05, **changes)


def test_a_built_model_reads_bases_in_the_order_a_c_g_t():
    inserts = random_inserts(3)
    model = mprann.build(SPEC, narrow(), {})
    weights = narrow_weights(model.network)
    model.network.set_weights(weights)
    x = np.zeros((3, 230, 4))
    for row, insert in enumerate(inserts):
        for position, base in enumerate(insert.join(ADAPTERS)):
            x[row, position, CHANNEL[base]] = 1.0
    [predicted] = model.predict(dataset(inserts)).values()
    np.testing.assert_allclose(predicted, mprann_forward(weights, x)[:, 0], rtol=1e-3, atol=1e-3)
    assert np.ptp(predicted) > 0.01


def test_training_stops_by_patience_and_keeps_the_best_epoch():
    """Noise is learnt by heart, so the validation loss turns."""
    rng = np.random.default_rng(0)
    train, val = (dataset(random_inserts(n, n), 2 + rng.normal(size=n)) for n in (48, 40))
    keras_backend.seed_everything(0)
    model = mprann.build(SPEC, narrow(batch_size=8, epochs=60, max_lr=0.02, patience=2), {})
    history = model.fit(train, val, seed=0)
    losses = [row["val_loss"] for row in history]
    best = int(np.argmin(losses))
    assert best > 0, "the test needs a training that gets better first"
    assert len(history) == best + 1 + 2 < 60
    left = np.mean((model.predict(val)["expression"] - val.targets["expression"]) ** 2)
    assert left == pytest.approx(min(losses), rel=1e-4)
    assert [row["lr"] for row in history] == pytest.approx([0.02] * len(history))


def test_reversing_the_insert_leaves_the_adapters():
    """Positions 16 to 215, counted from 1, are the insert."""
    inserts = random_inserts(2)
    reversed_codes = mprann.with_reversed_insert(dataset(inserts)).codes
    assert np.array_equal(reversed_codes, dataset([reverse_complement(i) for i in inserts]).codes)


def first_base_model():
    """Build an augmented model that predicts the code of the first insert base."""
    layers = keras.layers
    network = keras.Sequential(
        [keras.Input((230, 4)), layers.Cropping1D((15, 214)), layers.Flatten(), layers.Dense(1, use_bias=False)]
    )
    network.set_weights([np.array([[0.0], [2.0], [1.0], [3.0]], dtype=np.float32)])  # codes of A, C, G, T
    return InsertAugmented(network, trainer=keras_backend.EarlyStopping(mprann.RECIPE))


def test_augmented_training_sees_every_row_in_both_orientations():
    train, val = dataset(random_inserts(3), [1, 2, 3]), dataset(random_inserts(2, seed=1), [4, 5])
    model = first_base_model()
    model.prepare(train, 1)
    assert np.array_equal(model._codes, np.concatenate([train.codes, mprann.with_reversed_insert(train).codes]))
    assert model._targets[:, 0].tolist() == 2 * train.targets["expression"].tolist()
    assert model.rows_per_epoch(train) == 6
    shown = np.concatenate([val.codes, mprann.with_reversed_insert(val).codes])
    assert model.predict_train_view(val)["expression"].tolist() == shown[:, 15].tolist()


def test_augmented_prediction_averages_both_orientations():
    """First insert base C (code 2), last G: its reverse complement begins with C too; A..A gives (0 + 3) / 2."""
    data = dataset(["C" + 198 * "A" + "G", 200 * "A"])
    [values] = first_base_model().predict(data).values()
    assert values.tolist() == [2.0, 1.5]


@pytest.mark.parametrize("augment", [False, True])
def test_augmentation_is_the_recipe_s_choice(augment):
    model = mprann.build(SPEC, narrow(augment_insert=augment), {})
    assert isinstance(model, InsertAugmented) is augment
    data = dataset(random_inserts(4))
    plain, flipped = model.predict(data), model.predict(mprann.with_reversed_insert(data))
    [(a, b)] = zip(plain.values(), flipped.values(), strict=True)
    assert np.allclose(a, b) is augment


def test_augmentation_is_refused_where_there_is_no_insert():
    """Only a 230-bp lentiMPRA sequence has its element between positions 16 and 215."""
    with pytest.raises(ValueError, match="230"):
        mprann.build(dataclasses.replace(SPEC, seq_len=249), narrow(augment_insert=True), {})
