"""Prix Fixe blocks: the contract between them, the heads' losses, dropout, batch norm and initial weights.

Losses are compared with `reference_networks`, standard deviations with the fact sheet's formulas, sections 1.4 and 2.1.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.api.data import TaskSpec
from dream_models import dream_cnn, dream_rnn
from dream_models.prixfixe.autosome import (
    AutosomeCore,
    AutosomeFirst,
    RegressionHead,
    SoftClassificationHead,
    TwoOutputHead,
)
from dream_models.prixfixe.base import Block, FinalBlock, PrixFixeNet
from dream_models.prixfixe.bhi import BHICore, BHIFirst
from dream_models.prixfixe.unlockdna import ConformerBlock, UnlockDNACore
from tests.helpers.reference_networks import kl_batchmean, mse, soft_bins

HUMAN = TaskSpec(230, ("expression",), side_channels=("is_reverse",))


class Scale(Block):
    """Multiplies its input, and logs the generators it is initialised with."""

    def __init__(self, factor, auxiliary=None, log=None):
        super().__init__(2, 2, 5)
        self.factor, self.auxiliary, self.log = factor, auxiliary, [] if log is None else log

    def weights_init(self, generator):
        self.log.append((self.factor, generator))

    def forward(self, x):
        return x * self.factor

    def train_step(self, batch):
        return self(batch["x"]), self.auxiliary


class Shorten(Block):
    """Drops the last position."""

    def forward(self, x):
        return x[:, :, :-1]


class Total(FinalBlock):
    """Adds everything up; the loss is the absolute error."""

    def __init__(self, log=None):
        super().__init__(2, 5)
        self.log = [] if log is None else log

    def weights_init(self, generator):
        self.log.append(("final", generator))

    def forward(self, x):
        return x.sum(dim=(1, 2))

    def train_step(self, batch):
        prediction = self(batch["x"])
        return prediction, (prediction - batch["y"]).abs().mean()


# The contract of blocks and of the assembled network


def test_the_default_train_step_is_forward_without_extra_loss():
    block, x = Shorten(2, 2, 5), torch.arange(10.0).reshape(1, 2, 5)
    features, auxiliary = block.train_step({"x": x})
    assert features.tolist() == [[[0, 1, 2, 3], [5, 6, 7, 8]]]
    assert auxiliary is None


def test_a_head_must_bring_its_own_train_step():
    with pytest.raises(NotImplementedError, match="FinalBlock"):
        FinalBlock(2, 5).train_step({"x": torch.zeros(1, 2, 5), "y": torch.zeros(1)})


@pytest.mark.parametrize(
    ("first", "core", "expected"), [(3.0, 5.0, 150.0), (None, 5.0, 50.0), (3.0, None, 30.0), (None, None, 10.0)]
)
def test_forward_strings_first_core_and_final_together(first, core, expected):
    net = PrixFixeNet(first and Scale(first), core and Scale(core), Total())
    assert net(torch.ones(1, 2, 5)).item() == expected


def test_train_step_feeds_each_block_and_adds_extra_losses():
    net = PrixFixeNet(Scale(3.0, torch.tensor(0.25)), Scale(5.0, torch.tensor(4.0)), Total())
    prediction, loss = net.train_step({"x": torch.ones(1, 2, 5), "y": torch.tensor([100.0])})
    assert prediction.item() == 150.0
    assert loss.item() == 50.0 + 0.25 + 4.0


def test_train_step_leaves_the_caller_s_batch_as_it_is():
    batch = {"x": torch.ones(1, 2, 5), "y": torch.tensor([1.0])}
    PrixFixeNet(Scale(3.0), None, Total()).train_step(batch)
    assert torch.equal(batch["x"], torch.ones(1, 2, 5))


def test_weights_are_initialised_once_in_order_of_the_blocks():
    """With one random generator."""
    log, generator = [], torch.Generator()
    PrixFixeNet(Scale(1.0, log=log), Scale(2.0, log=log), Total(log), generator)
    assert [name for name, _ in log] == [1.0, 2.0, "final"]
    assert all(given is generator for _, given in log)


@pytest.mark.parametrize(
    "block",
    [BHIFirst(5, 8, 30), AutosomeFirst(5, 8, 30), AutosomeCore(8, 8, 30, (8,) * 5), BHICore(8, 8, 30),
     UnlockDNACore(8, 8, 30, n_blocks=1)],
    ids=lambda block: type(block).__name__,
)  # fmt: skip
class TestPublishedBlocks:
    def test_dummy_is_one_zero_sequence_and_length_is_kept(self, block):
        assert block.dummy.shape == (1, block.in_channels, 30)
        assert not block.dummy.any()
        assert block.eval()(torch.randn(2, block.in_channels, 30)).shape == (2, block.out_channels, 30)

    def test_inferring_the_length_disturbs_nothing(self, block):
        """The published code forwards zeros in training mode: that shifts running statistics and dropout's draws."""
        block.train()
        state = {key: value.clone() for key, value in block.state_dict().items()}
        rng = torch.get_rng_state()
        assert block.infer_outseqsize() == 30
        assert all(torch.equal(value, state[key]) for key, value in block.state_dict().items())
        assert torch.equal(torch.get_rng_state(), rng)
        assert all(module.training for module in block.modules())


def test_inferred_length_is_that_of_the_output():
    assert Shorten(2, 2, 5).infer_outseqsize() == 4


def test_two_branches_refuse_an_odd_number_of_channels():
    with pytest.raises(ValueError, match="33"):
        BHIFirst(5, 33, 30)


def test_the_transformer_refuses_to_change_its_width():
    with pytest.raises(ValueError, match=r"16.*24"):
        UnlockDNACore(16, 24, 30)


# Heads


def features(n_rows=6, channels=8, seq_len=30):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.normal(0, 3, (n_rows, channels, seq_len)))


def head_in_double(kind, **keywords):
    """Return a head with weights large enough that its output varies."""
    head = kind(8, 30, **keywords).double()
    generator = torch.Generator().manual_seed(1)
    for parameter in head.parameters():
        nn.init.normal_(parameter, 0.0, 1.0, generator=generator)
    return head


def test_soft_classification_loss_is_kl_divided_by_the_batch():
    """KL divergence over the bins, divided by the number of rows."""
    head, x = head_in_double(SoftClassificationHead), features()
    target = soft_bins([0.0, 3.2, 7.0, 11.9, 16.4, 17.0])
    _, loss = head.train_step({"x": x, "y_probs": torch.from_numpy(target), "y": torch.zeros(6)})
    weight, bias = head.mapper[0].weight.detach().numpy()[:, :, 0], head.mapper[0].bias.detach().numpy()
    logits = x.numpy().mean(axis=2) @ weight.T + bias  # a mean over positions commutes with a kernel of width 1
    assert loss.item() == pytest.approx(kl_batchmean(logits, target), rel=1e-12)


def test_soft_classification_loss_vanishes_at_the_target():
    head, x = head_in_double(SoftClassificationHead), features()
    with torch.no_grad():
        target = torch.softmax(head.logits(x), dim=1)
    assert head.train_step({"x": x, "y_probs": target})[1].item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("shape", [(6,), (6, 1)], ids=["vector", "column"])
@pytest.mark.parametrize("kind", [SoftClassificationHead, RegressionHead])
def test_single_output_loss_is_the_mean_squared_error(kind, shape):
    """A column of targets must not broadcast against a vector of predictions."""
    head, x, y = head_in_double(kind), features(), np.array([1.0, -2.0, 0.5, 4.0, 8.0, 3.0])
    prediction, loss = head.train_step({"x": x, "y": torch.from_numpy(y.reshape(shape))})
    assert prediction.shape == (6,)
    assert torch.equal(prediction, head(x).reshape(6))
    assert loss.item() == pytest.approx(mse(prediction.detach().numpy(), y), rel=1e-12)


def test_two_output_loss_is_the_sum_of_both_errors():
    """And outputs are not swapped."""
    head, x = head_in_double(TwoOutputHead), features()
    y = np.random.default_rng(2).normal(size=(6, 2))
    prediction, loss = head.train_step({"x": x, "y": torch.from_numpy(y)})
    dev, hk = (output.detach().numpy()[:, 0] for output in head(x))
    np.testing.assert_array_equal(prediction.detach().numpy(), np.stack([dev, hk], axis=1))
    assert loss.item() == pytest.approx(mse(dev, y[:, 0]) + mse(hk, y[:, 1]), rel=1e-12)


def test_the_expected_bin_runs_from_0_to_17():
    head = SoftClassificationHead(8, 30)
    certain = torch.full((18, 18), -100.0).fill_diagonal_(100.0)
    assert head.score(certain).tolist() == pytest.approx(list(range(18)))
    assert head.score(torch.zeros(1, 18)).item() == pytest.approx(8.5)


# Dropout and batch norm


def share_dropped(block, x, scale):
    """Return the share of positive outputs that training mode zeroes; what stays must be multiplied by `scale`."""
    with torch.no_grad():
        whole = block.eval()(x)
        torch.manual_seed(0)
        thinned = block.train()(x)
    positive = whole > 1e-3
    kept = thinned[positive] != 0
    np.testing.assert_allclose(thinned[positive][kept], scale * whole[positive][kept], rtol=1e-4)
    assert positive.sum() > 5000
    return 1 - kept.double().mean().item()


def test_bhi_first_block_drops_a_fifth():
    x = torch.randn(16, 5, 100, generator=torch.Generator().manual_seed(0))
    assert share_dropped(BHIFirst(5, 32, 100), x, 1 / 0.8) == pytest.approx(0.2, abs=0.02)


def test_bhi_core_drops_a_fifth_then_half():
    x = torch.randn(16, 8, 100, generator=torch.Generator().manual_seed(0))
    assert share_dropped(BHICore(8, 32, 100), x, 1 / 0.4) == pytest.approx(1 - 0.8 * 0.5, abs=0.02)


def test_conformer_drops_a_tenth_of_its_convolution():
    x = torch.randn(16, 32, 100, generator=torch.Generator().manual_seed(0))
    assert share_dropped(ConformerBlock(32, 4).conv, x, 1 / 0.9) == pytest.approx(0.1, abs=0.02)


def test_feed_forward_drops_a_tenth_inside_and_at_its_end():
    forward = ConformerBlock(32, 4).ff1.train()
    inside = []
    forward.linear2.register_forward_pre_hook(lambda _, inputs: inside.append(inputs[0]))
    torch.manual_seed(0)
    end = forward(torch.randn(16, 100, 32))
    for values in (inside[0], end):
        assert (values == 0).double().mean().item() == pytest.approx(0.1, abs=0.01)


def test_autosome_core_and_heads_draw_nothing_in_training():
    rng = torch.get_rng_state()
    block, head = AutosomeCore(8, 8, 30, (8,) * 5).train(), RegressionHead(8, 30).train()
    drawn = torch.get_rng_state()
    assert not torch.equal(drawn, rng), "building draws initial weights"
    head(block(torch.ones(4, 8, 30)))
    assert torch.equal(torch.get_rng_state(), drawn)


def test_batch_norm_moves_a_tenth_of_the_way_to_the_batch():
    block = AutosomeFirst(5, 8, 30).double().train()
    convolution, norm, _ = block.block
    x = features(channels=5)
    with torch.no_grad():
        seen = convolution(x)
        block(x)
    np.testing.assert_allclose(norm.running_mean, 0.1 * seen.mean(dim=(0, 2)), rtol=1e-10)
    np.testing.assert_allclose(norm.running_var, 0.9 + 0.1 * seen.var(dim=(0, 2)), rtol=1e-10)


# Initial weights


def initialised(block, seed=0):
    block.weights_init(torch.Generator().manual_seed(seed))
    return block


def assert_normal(weight, std):
    """A weight's mean and deviation are those of N(0, std), within five standard errors."""
    values = weight.detach().double()
    n = values.numel()
    assert values.std().item() == pytest.approx(std, rel=5 / math.sqrt(2 * n))
    assert values.mean().item() == pytest.approx(0.0, abs=5 * std / math.sqrt(n))


def test_autosome_initial_deviation_ignores_convolution_groups():
    core = initialised(AutosomeCore(320, 64, 150))
    convolutions = [layer for layer in core.modules() if isinstance(layer, nn.Conv1d)]
    assert sorted({c.groups for c in convolutions}) == [1, 128, 256]
    assert len(convolutions) == 24
    for convolution in convolutions:
        n_out, _, taps = convolution.weight.shape
        assert_normal(convolution.weight, math.sqrt(2 / (taps * n_out)))


def test_autosome_first_block_and_head_have_published_deviations():
    first, head = initialised(AutosomeFirst(5, 256, 230)), initialised(RegressionHead(320, 230))
    assert_normal(first.block[0].weight, math.sqrt(2 / (7 * 256)))
    assert_normal(head.mapper.weight, math.sqrt(2 / 256))
    assert_normal(head.linear[0].weight, 0.001)
    assert not head.mapper.bias.any()
    assert not head.linear[0].bias.any()


def test_squeeze_and_excite_begins_with_gates_of_one_half():
    core = initialised(AutosomeCore(320, 64, 150))
    for stage in range(6):
        gate = core.seqextractor[f"inv_res_blc{stage}"][6]
        for linear in (gate.fc[0], gate.fc[2]):
            assert_normal(linear.weight, 0.001)
            assert not linear.bias.any()
        x = torch.randn(2, gate.fc[0].in_features, 50)
        np.testing.assert_allclose(gate(x).detach(), 0.5 * x, rtol=1e-3)


def test_autosome_batch_norms_begin_as_the_identity():
    """Whatever they were before."""
    core = AutosomeCore(8, 8, 30, (8,) * 5)
    norms = [layer for layer in core.modules() if isinstance(layer, nn.BatchNorm1d)]
    assert len(norms) == 24
    for norm in norms:
        nn.init.constant_(norm.weight, 3.0)
        nn.init.constant_(norm.bias, 3.0)
    initialised(core)
    assert all((norm.weight == 1).all() and (norm.bias == 0).all() for norm in norms)


def test_autosome_weights_depend_on_the_given_generator_alone():
    def weights(generator_seed, global_seed):
        torch.manual_seed(global_seed)
        blocks = AutosomeFirst(5, 8, 30), AutosomeCore(8, 8, 30, (8,) * 5), RegressionHead(8, 30)
        net = PrixFixeNet(*blocks, torch.Generator().manual_seed(generator_seed))
        return torch.cat([p.detach().ravel() for p in net.parameters()])

    assert torch.equal(weights(1, 10), weights(1, 20))
    assert not torch.equal(weights(1, 10), weights(2, 10))


def assert_uniform(weight, bound):
    """Values fill (-bound, bound) as a uniform distribution does."""
    values = weight.detach().double()
    assert values.abs().max().item() <= bound * (1 + 1e-6)
    assert values.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_bhi_blocks_keep_the_framework_s_initial_weights():
    """Uniform within 1 / sqrt(fan in) for convolutions, within 1 / sqrt(hidden) for the LSTM."""
    torch.manual_seed(0)
    net = dream_rnn.network(HUMAN)
    for block, channels in ((net.first, 5), (net.core, 640)):
        for branch, taps in zip(block.conv_list, (9, 15), strict=True):
            assert_uniform(branch.conv.weight, 1 / math.sqrt(channels * taps))
    for weight in (net.core.lstm.weight_ih_l0, net.core.lstm.weight_hh_l0_reverse, net.core.lstm.bias_ih_l0):
        assert_uniform(weight, 1 / math.sqrt(320))


def test_unlockdna_core_keeps_the_framework_s_initial_weights():
    torch.manual_seed(0)
    core = initialised(UnlockDNACore(64, 64, 200, n_blocks=1))
    assert core.pos_embedding.weight.std().item() == pytest.approx(1.0, rel=0.05)
    assert_uniform(core.blocks[0].ff1.linear1.weight, 1 / math.sqrt(64))
    assert_uniform(core.blocks[0].attn.in_proj_weight, math.sqrt(6 / (64 + 3 * 64)))
    assert not core.blocks[0].attn.in_proj_bias.any()


def test_every_block_is_initialised_as_its_team_does():
    """In a network assembled from blocks of several teams."""
    torch.manual_seed(0)
    net = dream_cnn.network(HUMAN)
    assert_uniform(net.first.conv_list[1].conv.weight, 1 / math.sqrt(5 * 15))
    assert_normal(net.core.seqextractor["resize_blc0"][0].weight, math.sqrt(2 / (7 * 128)))
    assert_normal(net.final.mapper.weight, math.sqrt(2 / 256))
    assert_normal(net.final.linear[0].weight, 0.001)
