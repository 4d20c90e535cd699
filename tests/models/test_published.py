"""`dream_models.load_published`: from a state dict with the published key names to its network, or one clear error.

The state dicts hold random weights under the keys and shapes of `dream_state_dicts.csv`; expected outputs come from
`reference_networks`.
"""

import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from dream_models import load_published
from tests.helpers.paths import DATA
from tests.helpers.reference_networks import dream_forward, random_weights

STATE_DICTS = DATA / "dream_state_dicts.csv"
MODELS = ("DREAM-CNN", "DREAM-RNN", "DREAM-Attn")
# variant -> input channels, length, shape of each output for two sequences
VARIANTS = {"yeast": (6, 150, [(2,)]), "human": (5, 230, [(2, 1)]), "drosophila": (5, 249, [(2, 1), (2, 1)])}
NINE = [(model, variant) for variant in VARIANTS for model in MODELS]


@cache
def weights_of(model, variant):
    weights = random_weights(model, variant, 0, STATE_DICTS)
    state = {key: torch.from_numpy(np.array(value)) for key, value in weights.items()}
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def state_of(model, variant):
    """Return a random state dict, single precision as the published ones; its tensors are shared between tests."""
    return dict(weights_of(model, variant))


def one_hot_input(n_channels, seq_len, n_rows=2):
    """Return (n_rows, C, L) float32: random bases, and side channels that differ between rows."""
    rng = np.random.default_rng(5)
    x = np.zeros((n_rows, n_channels, seq_len), dtype=np.float32)
    x[:, :4] = np.eye(4)[rng.integers(0, 4, (n_rows, seq_len))].transpose(0, 2, 1)
    x[1::2, 4:] = 1.0
    return x


def as_tuple(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


@pytest.mark.parametrize(("model", "variant"), NINE)
def test_a_file_with_published_keys_forwards_as_the_reference(model, variant, tmp_path):
    n_channels, seq_len, shapes = VARIANTS[variant]
    state, x = state_of(model, variant), one_hot_input(n_channels, seq_len)
    torch.save(state, tmp_path / "model_best.pth")
    net = load_published(tmp_path / "model_best.pth")
    expected = as_tuple(dream_forward(state, x))
    with torch.no_grad():
        single = as_tuple(net(torch.from_numpy(x)))
        double = as_tuple(net.double()(torch.from_numpy(x).double()))
    assert [tuple(output.shape) for output in single] == shapes
    assert {output.dtype for output in single} == {torch.float32}
    for s, d, e in zip(single, double, expected, strict=True):
        np.testing.assert_allclose(s.numpy(), e, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(d.numpy(), e, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("model", "variant"), NINE)
def test_every_entry_is_loaded_as_it_is(model, variant):
    state = state_of(model, variant)
    loaded = load_published(state).state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.parametrize("model", MODELS)
def test_the_module_comes_in_evaluation_mode(model):
    net = load_published(state_of(model, "human"))
    assert isinstance(net, torch.nn.Module)
    assert not any(module.training for module in net.modules())


def test_a_path_may_be_text(tmp_path):
    state = state_of("DREAM-RNN", "human")
    torch.save(state, tmp_path / "model_best.pth")
    loaded = load_published(str(tmp_path / "model_best.pth")).state_dict()
    assert torch.equal(loaded["final.linear.0.weight"], state["final.linear.0.weight"])


def test_the_module_owns_its_weights():
    """Changing the state dict afterwards must not change the network."""
    state = {key: value.clone() for key, value in state_of("DREAM-CNN", "human").items()}
    net = load_published(state)
    before = net.state_dict()["final.linear.0.weight"].clone()
    state["final.linear.0.weight"].fill_(7.0)
    assert torch.equal(net.state_dict()["final.linear.0.weight"], before)


def test_dream_attn_takes_its_length_from_the_position_embedding():
    state = state_of("DREAM-Attn", "human")
    state["core.pos_embedding.weight"] = state["core.pos_embedding.weight"][:120].clone()
    x = one_hot_input(5, 120)
    with torch.no_grad():
        prediction = load_published(state).double()(torch.from_numpy(x).double()).numpy()
    np.testing.assert_allclose(prediction, dream_forward(state, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("model", ["DREAM-CNN", "DREAM-RNN"])
def test_the_paper_s_wider_stem_loads_too(model):
    """256 channels a branch, as the paper says: whatever takes the stem's output is 512 wide then."""
    wider = {160: 256, 320: 512, 640: 832, 1280: 1280}
    state, rng = state_of(model, "human"), np.random.default_rng(0)
    for key, value in state.items():
        shape = list(value.shape)
        if key.startswith("first."):
            shape[0] = wider[shape[0]]
        elif key.startswith("core.lstm.weight_ih") or key == "core.seqextractor.inv_res_blc0.0.weight":
            shape[1] = wider[shape[1]]
        elif key.startswith("core.seqextractor.inv_res_blc0.6.fc."):  # the squeeze is a quarter of the stage's input
            shape = [128 if size == 80 else size for size in shape]
        elif key.startswith(("core.seqextractor.inv_res_blc0.7.", "core.seqextractor.inv_res_blc0.8.")) and shape:
            shape[0] = wider[shape[0]]
        elif key == "core.seqextractor.resize_blc0.0.weight":
            shape[1] = 2 * wider[shape[1] // 2]
        if shape != list(value.shape):
            state[key] = torch.from_numpy(rng.uniform(0.2, 0.4, shape).astype(np.float32)) / max(1, shape[-1])
    x = one_hot_input(5, 230)
    with torch.no_grad():
        prediction = load_published(state).double()(torch.from_numpy(x).double()).numpy()
    np.testing.assert_allclose(prediction, dream_forward(state, x), rtol=1e-9)


def test_half_precision_weights_become_single_precision():
    state = {k: v.half() if v.is_floating_point() else v for k, v in state_of("DREAM-CNN", "human").items()}
    loaded = load_published(state).state_dict()
    assert all(torch.equal(loaded[key].double(), value.double()) for key, value in state.items())
    assert loaded["first.conv_list.0.conv.weight"].dtype == torch.float32


# One entry of each part, none of those by which a network is recognised.
MISSING = [
    ("DREAM-CNN", "human", "first.conv_list.1.conv.bias"),
    ("DREAM-CNN", "yeast", "core.seqextractor.inv_res_blc5.6.fc.2.weight"),
    ("DREAM-CNN", "human", "core.seqextractor.resize_blc5.1.num_batches_tracked"),
    ("DREAM-RNN", "human", "core.lstm.bias_hh_l0_reverse"),
    ("DREAM-RNN", "drosophila", "final.linear2.0.bias"),
    ("DREAM-Attn", "yeast", "final.mapper.0.bias"),
    ("DREAM-Attn", "human", "core.blocks.3.attn.in_proj_bias"),
]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(value):
    state = state_of("DREAM-CNN", "human")
    key = next(key for key, values in state.items() if values.ndim > 1)
    state[key] = state[key].clone()
    state[key].view(-1)[3] = value
    with pytest.raises(ValueError, match=f"'{key}' has weights that are not finite"):
        load_published(state)


@pytest.mark.parametrize(("model", "variant", "key"), MISSING)
def test_a_missing_entry_is_refused_by_name(model, variant, key):
    state = state_of(model, variant)
    del state[key]
    with pytest.raises(ValueError, match=f"{key}.*missing"):
        load_published(state)


@pytest.mark.parametrize(
    "key",
    ["core.lstm.weight_ih_l0", "core.seqextractor.inv_res_blc0.0.weight", "core.pos_embedding.weight", "final.bins",
     "final.linear.0.weight", "final.mapper1.weight", "first.block.0.weight", "first.conv_list.0.conv.weight"],
)  # fmt: skip
def test_a_missing_entry_that_identifies_a_network_is_refused(key):
    for model, variant in NINE:
        state = state_of(model, variant)
        if state.pop(key, None) is not None:
            with pytest.raises(ValueError, match="state dict"):
                load_published(state)
            return
    pytest.fail(f"{key} is in none of the nine state dicts")


@pytest.mark.parametrize(("model", "variant"), NINE)
def test_an_extra_entry_is_refused_by_name(model, variant):
    state = state_of(model, variant) | {"core.surplus.weight": torch.zeros(3)}
    with pytest.raises(ValueError, match=r"core\.surplus\.weight"):
        load_published(state)


@pytest.mark.parametrize(
    ("model", "variant", "key", "shape"),
    [
        ("DREAM-CNN", "human", "core.seqextractor.inv_res_blc0.6.fc.0.weight", (320, 512)),  # SE squeezed from e
        ("DREAM-CNN", "human", "core.seqextractor.inv_res_blc0.3.weight", (512, 1, 7)),  # depthwise
        ("DREAM-RNN", "human", "first.conv_list.0.conv.weight", (160, 4, 9)),  # four channels
        ("DREAM-RNN", "human", "first.conv_list.1.conv.weight", (256, 5, 15)),  # unequal branches
        ("DREAM-RNN", "yeast", "final.bins", (17,)),
        ("DREAM-Attn", "human", "core.pos_embedding.weight", (230, 128)),
        ("DREAM-Attn", "human", "final.linear.0.weight", (256,)),
    ],
)
def test_a_wrong_shape_is_refused_by_name(model, variant, key, shape):
    state = state_of(model, variant) | {key: torch.zeros(shape)}
    with pytest.raises(ValueError, match=f"{key}.*shape"):
        load_published(state)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("DREAM-CNN", "first.conv_list.0.conv.weight"),
        ("DREAM-RNN", "first.conv_list.0.conv.weight"),
        ("DREAM-Attn", "core.pos_embedding.weight"),
    ],
)
@pytest.mark.parametrize("shape", [(), (0, 5, 9)], ids=["scalar", "empty"])
def test_an_impossible_shape_is_refused_where_a_width_is_read(model, key, shape):
    state = state_of(model, "human") | {key: torch.zeros(shape)}
    with pytest.raises(ValueError, match=key):
        load_published(state)


@pytest.mark.parametrize("model", MODELS)
def test_a_yeast_head_on_a_human_stem_is_refused(model):
    human, yeast = state_of(model, "human"), state_of(model, "yeast")
    mixed = {key: value for key, value in human.items() if not key.startswith("final.")}
    mixed |= {key: value for key, value in yeast.items() if key.startswith("final.")}
    with pytest.raises(ValueError, match=r"first\."):
        load_published(mixed)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": state},
        lambda state: state | {"epoch": 12},
        lambda state: {key: value.numpy() for key, value in state.items()},
        lambda state: {},
    ],
    ids=["data-parallel prefix", "wrapped", "with a number", "numpy arrays", "empty"],
)
def test_what_is_no_plain_published_state_dict_is_refused(change):
    with pytest.raises(ValueError, match="state dict"):
        load_published(change(state_of("DREAM-RNN", "human")))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        load_published(tmp_path / "nowhere.pth")


class _Trap:
    """Leaves a mark in the file system if it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("write", [torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing, protocol=2))])
def test_a_pickle_of_arbitrary_objects_is_refused_and_not_run(write, tmp_path):
    mark, file = tmp_path / "was-run", tmp_path / "model_best.pth"
    write({"first.block.0.weight": _Trap(mark)}, file)
    with pytest.raises(ValueError, match=r"model_best\.pth"):
        load_published(file)
    assert not mark.exists()


def _whole_module(path):
    torch.save(torch.nn.Linear(2, 2), path)


def _list_of_tensors(path):
    torch.save([torch.zeros(2)], path)


def _cut_short(path):
    torch.save(state_of("DREAM-RNN", "human"), path)
    path.write_bytes(path.read_bytes()[:100_000])


def _text(path):
    path.write_text("seq\tmean_value\nACGT\t0.1\n")


def _nothing(path):
    path.write_bytes(b"")


UNREADABLE = [_whole_module, _list_of_tensors, _cut_short, _text, _nothing]


@pytest.mark.parametrize("write", UNREADABLE)
def test_an_unreadable_file_is_refused(write, tmp_path):
    write(tmp_path / "model_best.pth")
    with pytest.raises(ValueError, match="tensor"):
        load_published(tmp_path / "model_best.pth")


@pytest.mark.parametrize("write", UNREADABLE)
def test_the_refusal_of_a_file_is_one_line_without_unsafe_advice(write, tmp_path):
    """torch's own message runs over many lines and suggests to switch safe reading off."""
    write(tmp_path / "model_best.pth")
    with pytest.raises(ValueError) as refusal:
        load_published(tmp_path / "model_best.pth")
    assert len(str(refusal.value).splitlines()) == 1
    assert "weights_only" not in str(refusal.value)
