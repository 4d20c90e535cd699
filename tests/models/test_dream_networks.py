"""The DREAM networks in all nine variants: sizes against the fact sheet's tables, outputs against plain numpy.

Numbers of parameters and state-dict entries are those of Rafi et al.'s code, instantiated and counted; the outputs come
from `reference_networks`, which shares no code with the modules.
"""

import numpy as np
import pytest
import torch

from benchmarks.api.data import TaskSpec
from dream_models import dream_attn, dream_cnn, dream_rnn
from dream_models.prixfixe.autosome import AutosomeCore, AutosomeFirst, SoftClassificationHead
from dream_models.prixfixe.base import PrixFixeNet
from dream_models.prixfixe.unlockdna import ConformerBlock
from tests.helpers.paths import DATA
from tests.helpers.reference_networks import dream_forward, random_weights, read_shapes

STATE_DICTS = DATA / "dream_state_dicts.csv"

MODULES = {"DREAM-CNN": dream_cnn, "DREAM-RNN": dream_rnn, "DREAM-Attn": dream_attn}
SPECS = {
    "yeast": TaskSpec(150, ("expression",), "soft_classification", side_channels=("is_reverse", "is_singleton")),
    "human": TaskSpec(230, ("expression",), side_channels=("is_reverse",)),
    "drosophila": TaskSpec(249, ("dev", "hk"), side_channels=("is_reverse",)),
}
# model, variant, total, first, core, final, state-dict entries
SIZES = [
    ("DREAM-CNN", "yeast", 1_933_970, 23_360, 1_909_440, 1_170, 175),
    ("DREAM-RNN", "yeast", 4_130_578, 23_360, 4_101_440, 5_778, 19),
    ("DREAM-Attn", "yeast", 4_539_410, 11_264, 4_523_520, 4_626, 86),
    ("DREAM-CNN", "human", 1_945_857, 19_520, 1_909_440, 16_897, 176),
    ("DREAM-RNN", "human", 4_203_393, 19_520, 4_101_440, 82_433, 20),
    ("DREAM-Attn", "human", 4_619_521, 9_472, 4_544_000, 66_049, 87),
    ("DREAM-CNN", "drosophila", 1_962_754, 19_520, 1_909_440, 33_794, 180),
    ("DREAM-RNN", "drosophila", 4_285_826, 19_520, 4_101_440, 164_866, 24),
    ("DREAM-Attn", "drosophila", 4_690_434, 9_472, 4_548_864, 132_098, 91),
]
NINE = [(model, variant) for model, variant, *_ in SIZES]


def n_trainable(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def as_tensors(weights):
    return {key: torch.from_numpy(np.array(value)) for key, value in weights.items()}


def random_input(spec, n_rows=2, seed=3):
    """Return (n_rows, C, L) float64: one-hot bases with some N (all-zero columns), then constant 0/1 side channels."""
    rng = np.random.default_rng(seed)
    bases = np.vstack([np.eye(4), np.zeros(4)])[rng.integers(0, 5, (n_rows, spec.seq_len))].transpose(0, 2, 1)
    side = rng.permuted(np.resize([1.0, 0.0], (n_rows, len(spec.side_channels))), axis=0)
    return np.concatenate([bases, np.repeat(side[:, :, None], spec.seq_len, axis=2)], axis=1)


def assert_same_outputs(net, weights, x, tolerance):
    """Compare a network's output with the reference's, tuple for tuple."""
    with torch.no_grad():
        actual = net(torch.from_numpy(x))
    expected = dream_forward(weights, x)
    if not isinstance(expected, tuple):
        actual, expected = (actual,), (expected,)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert tuple(a.shape) == e.shape
        np.testing.assert_allclose(a.numpy(), e, rtol=tolerance, atol=tolerance)


def reference_pair(model, variant, seed=0, shrink=1, **recipe):
    """Return a network and the random weights loaded into it, both in double precision."""
    weights = random_weights(model, variant, seed, STATE_DICTS, shrink)
    module = MODULES[model]
    net = module.network(SPECS[variant], module.RECIPE.__class__(**recipe)).double().eval()
    net.load_state_dict(as_tensors(weights), strict=True)
    return net, weights


@pytest.mark.parametrize(("model", "variant", "total", "first", "core", "final", "entries"), SIZES)
def test_sizes_are_those_of_the_fact_sheet(model, variant, total, first, core, final, entries):
    net = MODULES[model].network(SPECS[variant])
    assert n_trainable(net) == total
    assert (n_trainable(net.first), n_trainable(net.core), n_trainable(net.final)) == (first, core, final)
    assert len(net.state_dict()) == entries


@pytest.mark.parametrize(("model", "variant"), NINE)
def test_state_dict_has_the_published_keys_shapes_and_types(model, variant):
    state = MODULES[model].network(SPECS[variant]).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == read_shapes(STATE_DICTS, model, variant)
    whole = {key for key in state if key.endswith("num_batches_tracked") or key == "final.bins"}
    assert {key: value.dtype for key, value in state.items()} == {
        key: torch.int64 if key in whole else torch.float32 for key in state
    }


@pytest.mark.parametrize(("model", "variant"), NINE)
def test_forward_equals_the_numpy_reference(model, variant):
    net, weights = reference_pair(model, variant)
    assert_same_outputs(net, weights, random_input(SPECS[variant]), tolerance=1e-9)


@pytest.mark.parametrize("model", list(MODULES))
def test_a_quarter_width_network_is_the_same_architecture(model):
    net, weights = reference_pair(model, "human", seed=1, shrink=4, width_scale=0.25)
    assert_same_outputs(net, weights, random_input(SPECS["human"]), tolerance=1e-9)


def _eight_heads(net):
    for block in net.core.blocks:
        block.attn.num_heads, block.attn.head_dim = 8, block.attn.embed_dim // 8


def _torch_layer_norm(net):
    for layer in net.modules():
        if isinstance(layer, torch.nn.LayerNorm):
            layer.eps = 1e-5


def _keras_batch_norm(net):
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.eps = 1e-3


def _gates_swapped(net):
    for block in net.core.blocks:
        weight = block.ff1.linear1.weight
        weight.data = torch.cat(weight.data.chunk(2)[::-1])


def _directions_swapped(net):
    for name, weight in list(net.core.lstm.named_parameters()):
        if name.endswith("_reverse"):
            forward = getattr(net.core.lstm, name.removesuffix("_reverse"))
            forward.data, weight.data = weight.data, forward.data


@pytest.mark.parametrize(
    ("model", "trap"),
    [
        ("DREAM-Attn", _eight_heads),
        ("DREAM-Attn", _torch_layer_norm),
        ("DREAM-Attn", _gates_swapped),
        ("DREAM-CNN", _keras_batch_norm),
        ("DREAM-RNN", _directions_swapped),
    ],
)
def test_the_comparison_notices_known_traps(model, trap):
    """The tolerance of the comparison is far below what a wrong detail with right shapes changes."""
    net, weights = reference_pair(model, "human", shrink=4, width_scale=0.25)
    trap(net)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_same_outputs(net, weights, random_input(SPECS["human"]), tolerance=1e-7)


# Fact sheet 1.3: (inverted bottleneck, resize) of each stage of the Autosome core.
STAGES = [(420_048, 573_696), (173_856, 229_632), (87_072, 114_816), *3 * [(45_968, 57_472)]]


@pytest.mark.parametrize(("stage", "sizes"), enumerate(STAGES))
def test_autosome_stages_have_the_published_sizes(stage, sizes):
    blocks = AutosomeCore(320, 64, 150).seqextractor
    assert tuple(n_trainable(blocks[f"{kind}_blc{stage}"]) for kind in ("inv_res", "resize")) == sizes


def test_autosome_convolution_has_two_channels_per_group():
    grouped = AutosomeCore(320, 64, 150).seqextractor["inv_res_blc0"][3]
    assert (grouped.groups, grouped.in_channels, tuple(grouped.weight.shape)) == (256, 512, (512, 2, 7))


def test_conformer_block_has_the_published_sizes():
    block = ConformerBlock(256, n_heads=4)
    parts = {name: n_trainable(part) for name, part in block.named_children() if n_trainable(part)}
    norms = {"layernorm1": 512, "layernorm2": 512}
    assert parts == {"ff1": 393_728, "ff2": 393_728, "conv": 69_632, "attn": 263_168, **norms}
    assert sum(parts.values()) == 1_121_280


def test_autosomes_own_network_has_its_published_size():
    """Combination 0_0_0_0 of the fact sheet: Autosome's blocks throughout, 256 channels in the first."""
    net = PrixFixeNet(AutosomeFirst(6, 256, 150), AutosomeCore(256, 64, 150), SoftClassificationHead(64, 150))
    assert n_trainable(net) == 1_725_122


@pytest.mark.parametrize("model", ["DREAM-CNN", "DREAM-RNN"])
def test_stem_width_256_is_the_stem_of_the_paper(model):
    """With the same core width."""
    module = MODULES[model]
    net = module.network(SPECS["human"], module.RECIPE.__class__(stem_width=256))
    assert [tuple(branch.conv.weight.shape) for branch in net.first.conv_list] == [(256, 5, 9), (256, 5, 15)]
    assert net.core.out_channels == {"DREAM-CNN": 64, "DREAM-RNN": 320}[model]


@pytest.mark.parametrize("model", ["DREAM-CNN", "DREAM-RNN"])
def test_convolutional_and_recurrent_networks_take_any_length(model):
    """Every convolution is padded to keep its input's length, so only DREAM-Attn fixes it."""
    net, weights = reference_pair(model, "human", shrink=4, width_scale=0.25)
    assert_same_outputs(net, weights, random_input(SPECS["human"])[:, :, :67], tolerance=1e-9)


def test_dream_attn_refuses_another_length():
    net = dream_attn.network(SPECS["human"], dream_attn.RECIPE.__class__(width_scale=0.1)).eval()
    with pytest.raises(ValueError, match=r"230 .*229"):
        net(torch.zeros(1, 5, 229))


@pytest.mark.parametrize(("model", "max_lr"), [("DREAM-CNN", 0.005), ("DREAM-RNN", 0.005), ("DREAM-Attn", 0.001)])
def test_recipes_are_the_published_ones(model, max_lr):
    recipe = MODULES[model].RECIPE
    assert (recipe.batch_size, recipe.epochs, recipe.max_lr) == (32, 80, max_lr)
    assert (recipe.weight_decay, recipe.patience, recipe.width_scale) == (0.01, None, 1.0)
    assert (recipe.stem_width, recipe.n_heads) == (160, 4)


@pytest.mark.parametrize("model", list(MODULES))
def test_unsupported_names_what_the_heads_cannot_do(model):
    unsupported = MODULES[model].unsupported
    assert [unsupported(spec) for spec in SPECS.values()] == [None, None, None]
    profiles = TaskSpec(2114, ("profile_logits", "log_counts"), "profile_counts", profile_len=1000)
    assert ("memory" if model == "DREAM-Attn" else "profile") in unsupported(profiles)
    assert unsupported(TaskSpec(230, ("a", "b", "c"))) is None
    assert "2" in unsupported(TaskSpec(150, ("a", "b"), "soft_classification"))


@pytest.mark.parametrize("model", list(MODULES))
def test_unsupported_covers_bins_of_several_outputs(model):
    """The soft-classification head scores one output; a task with two must not get past `unsupported`."""
    assert MODULES[model].unsupported(TaskSpec(150, ("a", "b"), "soft_classification"))


@pytest.mark.parametrize("width_scale", [0.01, 0.1, 0.3, 0.77])
def test_narrow_widths_are_multiples_of_eight(width_scale):
    """Near the requested fraction of the full width."""
    recipe = dream_cnn.RECIPE.__class__(width_scale=width_scale)
    for published in (64, 128, 160, 256):
        width = recipe.width(published)
        assert width % 8 == 0
        assert width >= 8
        assert abs(width - published * width_scale) <= 4 or width == 8
