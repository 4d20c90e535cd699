"""The reference transformer: its size by hand, its forward pass by slow numpy, its input and its training by formula.

Facts: sheet "baselines", section 4. The slow network below shares no code with the module.
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from baselines import vaishnav, vaishnav_net, vaishnav_notebook
from benchmarks.api import yeast_plasmid
from benchmarks.api.data import Dataset, TaskSpec

YEAST = TaskSpec(150, ("expression",), "soft_classification", side_channels=("is_reverse", "is_singleton"))
SHORT = TaskSpec(40, ("activity",))
ORDER = "ACGT"


def count(channels, hidden, n_aux):
    """Add up every layer by hand. A batch norm has four numbers per channel, two of them running statistics."""
    convolutions = 4 * 30 * 256 + 2 * 30 * 256 * channels + n_aux * 30 * channels**2
    norms = 2 * 4 * 256 + (1 + n_aux) * 4 * channels
    attention = 4 * (channels**2 + channels) + 2 * 2 * channels + channels * 8 + 8 + 8 * channels + channels
    lstm = 2 * 4 * (channels * 8 + 8 * 8 + 8)
    dense = 110 * 16 * hidden + hidden + hidden**2 + hidden + hidden + 1
    return convolutions + norms + 2 * attention + lstm + dense


@pytest.mark.parametrize(
    ("recipe", "by_hand", "published"),
    [(vaishnav.RECIPE, (64, 64, 1), 1_296_785), (vaishnav_notebook.RECIPE, (128, 128, 2), 3_371_729)],
)
def test_sizes_are_the_published_ones(recipe, by_hand, published):
    net = vaishnav.network(recipe=recipe)
    learning = sum(p.numel() for p in net.parameters() if p.requires_grad)
    statistics = sum(b.numel() for name, b in net.named_buffers() if "running" in name)
    assert learning + statistics == published == count(*by_hand)


# Forward pass


def conv_same(x, kernel):
    """(L, in) with (out, in, 30): zeros, 14 before and 15 after; a loop over positions."""
    padded = np.vstack([np.zeros((14, x.shape[1])), x, np.zeros((15, x.shape[1]))])
    return np.array([[np.sum(padded[i : i + 30] * w.T) for w in kernel] for i in range(len(x))])


def batch_norm(x, state, name):
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return (x - mean) / np.sqrt(var + 1e-3) * state[f"{name}.weight"] + state[f"{name}.bias"]


def relu(x):
    return np.maximum(x, 0)


def linear(x, state, name):
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def layer_norm(x, state, name):
    centred = x - x.mean(axis=-1, keepdims=True)
    return (
        centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-14) * state[f"{name}.weight"]
        + state[f"{name}.bias"]
    )


def attention(x, state, name, n_heads):
    q, k, v = (relu(linear(x, state, f"{name}.{part}")) for part in ("query", "key", "value"))
    size, parts = x.shape[1] // n_heads, []
    for head in range(n_heads):
        at = slice(head * size, (head + 1) * size)
        scores = q[:, at] @ k[:, at].T / np.sqrt(size)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        parts.append(weights / weights.sum(axis=1, keepdims=True) @ v[:, at])
    x = layer_norm(x + relu(linear(np.hstack(parts), state, f"{name}.out")), state, f"{name}.norm1")
    return layer_norm(
        x + linear(relu(linear(x, state, f"{name}.wide")), state, f"{name}.narrow"), state, f"{name}.norm2"
    )


def lstm(x, state, suffix):
    """One direction over (L, C) with gates in torch's order: input, forget, cell, output."""
    h, c, out = np.zeros(8), np.zeros(8), []
    for step in x:
        gates = state[f"lstm.weight_ih_l0{suffix}"] @ step + state[f"lstm.weight_hh_l0{suffix}"] @ h
        gates = gates + state[f"lstm.bias_ih_l0{suffix}"] + state[f"lstm.bias_hh_l0{suffix}"]
        i, f, o = (1 / (1 + np.exp(-gates[at : at + 8])) for at in (0, 8, 24))
        c = f * c + i * np.tanh(gates[16:24])
        h = o * np.tanh(c)
        out.append(h)
    return np.array(out)


def slow(x, state, n_heads, n_aux):
    """(L, 4) in A,C,G,T -> one number."""
    kernel = state["strands.conv.weight"]
    halves = [
        relu(batch_norm(conv_same(x, w), state, f"strands.norms.{i}"))
        for i, w in enumerate((kernel, kernel[:, ::-1, ::-1]))
    ]
    # The source stacks the strands as two rows of an image and runs a 2 x 30 kernel over both.
    image = state["mix.conv.weight"].reshape(len(state["mix.conv.weight"]), 2, -1, 30)
    mixed = conv_same(halves[0], image[:, 0]) + conv_same(halves[1], image[:, 1])
    y = relu(batch_norm(mixed, state, "mix.norm"))
    for i in range(n_aux):
        y = relu(batch_norm(conv_same(y, state[f"aux.{i}.conv.weight"]), state, f"aux.{i}.norm"))
    for i in range(2):
        y = attention(y, state, f"attention.{i}", n_heads)
    y = np.hstack([lstm(y, state, ""), lstm(y[::-1], state, "_reverse")[::-1]]).ravel()
    for i in range(2):
        y = relu(linear(y, state, f"dense.{i}"))
    return linear(y, state, "last")[0]


@pytest.mark.parametrize("n_aux", [1, 2])
def test_the_forward_pass_agrees_with_a_slow_one(n_aux):
    torch.manual_seed(0)
    recipe = dataclasses.replace(vaishnav.RECIPE, width_scale=0.13, n_aux_layers=n_aux, n_heads=4)
    net = vaishnav.network(37, recipe).double()
    with torch.no_grad():
        for name, value in net.state_dict().items():  # nothing at a value that would hide its part
            if value.is_floating_point():
                value.normal_(0, 0.3)
                if "running_var" in name:
                    value.abs_().add_(0.5)
    net.eval()
    state = {name: value.numpy() for name, value in net.state_dict().items()}
    x = np.eye(4)[np.random.default_rng(0).integers(0, 4, (3, 37))]
    with torch.no_grad():
        found = net(torch.from_numpy(x.transpose(0, 2, 1).copy()))[:, 0].numpy()
    np.testing.assert_allclose(found, [slow(one, state, 4, n_aux) for one in x], rtol=1e-9)


def test_both_strands_share_their_kernels():
    """A strand's reverse complement swaps the two halves and turns them round, but for the uneven padding's edges."""
    torch.manual_seed(0)
    strands = vaishnav_net.StrandConv(3).eval()
    x = torch.eye(4)[torch.randint(0, 4, (1, 90))].transpose(1, 2)
    with torch.no_grad():
        forward, reverse = strands(x)[0], strands(x.flip(1, 2))[0]
    torch.testing.assert_close(reverse[:3, 20:-20].flip(1), forward[3:, 19:-21])


# Input


def dataset(rows, values=None):
    n = len(rows)
    values = np.arange(n, dtype=np.float32) if values is None else values
    meta = pd.DataFrame({"is_reverse": np.zeros(n), "is_singleton": np.zeros(n)})
    return Dataset("d", yeast_plasmid.construct(rows), {"expression": values}, meta, "simulated")


def promoter(width, seed=0):
    region = "".join(np.random.default_rng(seed).choice(list(ORDER), width))
    return yeast_plasmid.LEFT_ADAPTER + region + yeast_plasmid.RIGHT_ADAPTER


@pytest.mark.parametrize("width", [60, 79, 80, 95])
def test_a_yeast_promoter_is_its_last_110_bases(width):
    """The plasmid is left out."""
    row = promoter(width)
    processor = vaishnav_net.Rows(YEAST)
    data = processor.rows(dataset([row]))
    x = processor(torch.from_numpy(np.array(data.codes)), torch.zeros(1, 0))[0].T.numpy()
    kept = row[-110:]
    expected = [np.ones(4)] * (110 - len(kept)) + [np.eye(4)[ORDER.index(base)] for base in kept]
    np.testing.assert_array_equal(x, expected)


def test_an_n_sets_all_four_channels():
    row = promoter(80)
    row = row[:50] + "N" + row[51:]
    processor = vaishnav_net.Rows(YEAST)
    x = processor(torch.from_numpy(np.array(processor.rows(dataset([row])).codes)), torch.zeros(1, 0))
    np.testing.assert_array_equal(x[0, :, 50], np.ones(4))
    assert x.sum() == 109 + 4


def test_other_tasks_are_read_whole():
    assert vaishnav_net.Rows(SHORT).seq_len == 40


# Training


def narrow(**changes):
    return dataclasses.replace(
        vaishnav.RECIPE, width_scale=0.05, epochs=1, batch_size=8, dropout=0.0, n_heads=2, **changes
    )


def test_targets_are_standardised_and_predictions_converted_back(tmp_path):
    """Standardised by mean and deviation of the training rows."""
    torch.manual_seed(0)
    values = np.array([3.0, 5.0, 10.0, 14.0], dtype=np.float32)
    data = dataset([promoter(80, seed) for seed in range(4)], values)
    model = vaishnav.build(YEAST, narrow(), {})
    model.prepare(data, 1)
    model.net.eval()
    with torch.no_grad():
        raw = model.net(model.processor(*model._to_device(data)))[:, 0].numpy()
    predicted = model.predict(data)["expression"]
    np.testing.assert_allclose(predicted, raw * values.std() + values.mean(), rtol=1e-5)
    batch = model.batch(torch.arange(4))
    standard = (values - values.mean()) / values.std()
    assert model.loss_of(batch).item() == pytest.approx(np.mean((raw - standard) ** 2), rel=1e-5)
    model.save(tmp_path)
    again = vaishnav.build(YEAST, narrow(), {})
    again.load(tmp_path)
    np.testing.assert_array_equal(again.predict(data)["expression"], predicted)


def test_the_first_step_is_rmsprop_and_one_lstm_bias_stays():
    torch.manual_seed(0)
    data = dataset([promoter(80, seed) for seed in range(4)], np.array([3.0, 5.0, 10.0, 14.0], dtype=np.float32))
    model = vaishnav.build(YEAST, narrow(), {})
    model.prepare(data, 1)
    before = {name: value.clone() for name, value in model.net.named_parameters()}
    model.train_batch(np.arange(4))
    for name, value in model.net.named_parameters():
        if "bias_hh" in name:
            assert (value == 0).all()
            continue
        gradient = value.grad
        step = 0.001 * gradient / (torch.sqrt(0.1 * gradient**2) + 1e-7)
        torch.testing.assert_close(value.detach(), before[name] - step, rtol=1e-5, atol=1e-7)


def test_penalties_are_on_kernels_of_conv_and_dense_layers():
    data = dataset([promoter(80, seed) for seed in range(4)])
    losses = {}
    for name, changes in {"none": {}, "l1": {"l1": 0.01}, "l2": {"l2": 0.01}}.items():
        torch.manual_seed(0)
        model = vaishnav.build(YEAST, narrow(**changes), {})
        model.prepare(data, 1)
        model.net.eval()
        losses[name] = model.loss_of(model.batch(torch.arange(4))).item()
    weights = [
        value.numpy(force=True)
        for name, value in model.net.named_parameters()
        if name.endswith("conv.weight") or (name.startswith(("dense", "last")) and name.endswith("weight"))
    ]
    assert len(weights) == 3 + 3
    assert losses["l1"] - losses["none"] == pytest.approx(0.01 * sum(np.abs(w).sum() for w in weights), rel=1e-4)
    assert losses["l2"] - losses["none"] == pytest.approx(0.01 * sum((w**2).sum() for w in weights), rel=1e-4)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (TaskSpec(60, ("a", "b")), "one output, not 2"),
        (TaskSpec(60, ("a",), "profile_counts", profile_len=9), "not profiles"),
        (SHORT, None),
        (YEAST, None),
    ],
)
def test_what_it_cannot_learn_is_declined(spec, reason):
    found = vaishnav.unsupported(spec)
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize(("changes", "says"), [({"n_heads": 3}, "n_heads"), ({"dropout": 1.0}, "dropout")])
def test_impossible_recipes_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(vaishnav.RECIPE, **changes)
