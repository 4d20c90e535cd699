"""All combinations of the three teams' parts: which fit, their sizes and outputs, and that every one trains.

The count of combinations and the parameter counts are the fact sheet's (dream 1.5, 2.5); outputs come from
`reference_networks`, which shares no code with the modules.
"""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from benchmarks import registry
from benchmarks.api.data import TaskSpec
from benchmarks.apps import model_checks
from benchmarks.errors import BadInput
from dream_models.prixfixe import combinations, combine
from dream_models.prixfixe.base import Block, ContractError, FinalBlock, PrixFixeNet, Reconstruction
from dream_models.prixfixe.combinations import Combination, read_combination
from tests.helpers.reference_networks import huber, mse, prix_fixe_forward

YEAST = TaskSpec(150, ("expression",), "soft_classification", side_channels=("is_reverse", "is_singleton"))
SHORT = TaskSpec(40, ("activity",), side_channels=("is_reverse",))
TWO = TaskSpec(40, ("dev", "hk"), side_channels=("is_reverse",))
ALL = list(combinations.combinations())
COMPATIBLE = [c for c in ALL if c.refusal() is None]


def narrow(combination, **changes):
    return dataclasses.replace(combination.recipe(), width_scale=0.03, batch_size=4, **changes)


def tried(combination):
    try:
        combine.try_out(combination, SHORT, narrow(combination))
    except ContractError as error:
        return str(error)
    return None


# Which parts fit


def test_45_of_81_fit():
    assert len(ALL) == len(set(map(str, ALL))) == 81
    assert len(COMPATIBLE) == 45


@pytest.mark.slow
def test_what_is_declared_is_what_comes_of_trying():
    """The verdict of the declarations and that of building, checking, training and predicting agree on all 81."""
    for combination in ALL:
        refusal, failure = combination.refusal(), tried(combination)
        assert (refusal is None) == (failure is None), (combination, refusal, failure)
        if refusal:
            lacks = "needs base logits" in refusal
            assert lacks == ("needs base logits" in failure)
            assert lacks != ("gives base logits beside it" in failure)


def test_36_and_9_fit_and_first_and_core_never_matter():
    for processor, final in itertools.product(combinations.TEAMS, repeat=2):
        verdicts = {c.refusal() for c in ALL if (c.processor, c.final) == (processor, final)}
        assert len(verdicts) == 1
    assert sum(c.processor == c.final == "unlockdna" for c in COMPATIBLE) == 9


def test_every_refusal_names_both_blocks_and_their_disagreement():
    reason = Combination("bhi", "bhi", "bhi", "unlockdna").refusal()
    assert "UnlockDNA's head gives base logits" in reason
    assert "BHI's trainer" in reason
    reason = Combination("unlockdna", "bhi", "bhi", "autosome").refusal()
    assert "UnlockDNA's trainer needs base logits" in reason
    assert "Autosome.org's head" in reason


@pytest.mark.parametrize(
    ("name", "spec", "reason"),
    [
        ("autosome-bhi-bhi-bhi", TWO, "BHI's head, published for one output, not 2"),
        ("autosome-bhi-bhi-autosome", TWO, None),
        ("unlockdna-bhi-bhi-unlockdna", TWO, "UnlockDNA's head, published for one output, not 2"),
        ("autosome-bhi-bhi-autosome", TaskSpec(40, ("a",), "profile_counts", profile_len=9), "not profiles"),
        ("bhi-bhi-bhi-unlockdna", SHORT, "does not fit together"),
    ],
)
def test_a_task_is_declined_with_its_reason(name, spec, reason):
    found = registry.get_model(f"prix_fixe.{name}").unsupported(spec)
    assert (found is None) if reason is None else (reason in found)


# Names


def test_a_combination_is_read_by_name_and_by_published_code():
    combination = Combination("autosome", "bhi", "autosome", "autosome")
    assert read_combination("autosome-bhi-autosome-autosome") == read_combination("0_1_0_0") == combination
    assert (str(combination), combination.code) == ("autosome-bhi-autosome-autosome", "0_1_0_0")


@pytest.mark.parametrize(
    ("text", "says"),
    [("autosome-bhi-bhi", "<processor>-<first>-<core>-<final>"), ("autosome-bih-bhi-bhi", "Did you mean 'bhi'")],
)
def test_what_is_no_combination_is_told(text, says):
    with pytest.raises(BadInput, match=says):
        read_combination(text)


def test_the_registry_offers_all_and_names_the_nearest():
    assert registry.model_entry("prix_fixe.bhi-bhi-bhi-bhi").title == "Prix Fixe 1_1_1_1"
    assert registry.model_entry("prix_fixe.bhi-bhi-bhi-bhi").framework == "torch"
    assert "prix_fixe" not in registry.models()
    with pytest.raises(BadInput, match=r"Did you mean prix_fixe\.bhi-bhi-bhi-bhi"):
        registry.get_model("prix_fixe.bhi-bhi-bhi-bih")
    with pytest.raises(BadInput, match="not one of the 81"):
        registry.get_model("prix_fixe")


# Sizes


@pytest.mark.parametrize(
    ("code", "changes", "n_params"),
    [
        ("0_0_0_0", {}, 1_725_122),
        ("1_1_1_1", {"stem_width": 256}, 6_875_137),  # BHI's own submission has 512 channels, two branches of 256
        ("2_2_2_2", {}, 18_124_294),
        ("0_1_0_0", {}, 1_933_970),
        ("0_1_1_0", {}, 4_130_578),
        ("0_0_2_0", {}, 4_539_410),
    ],
)
def test_parameter_counts_on_yeast(code, changes, n_params):
    combination = read_combination(code)
    net = combine.network(combination, YEAST, dataclasses.replace(combination.recipe(), **changes))
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == n_params


def test_processors_tell_the_network_its_input_on_yeast():
    shapes = {}
    for team in combinations.TEAMS:
        net = combine.network(Combination(team, "bhi", "bhi", "bhi"), YEAST, narrow(Combination(team, *["bhi"] * 3)))
        shapes[team] = (net.first.in_channels, net.first.seqsize)
    assert shapes == {"autosome": (6, 150), "bhi": (4, 110), "unlockdna": (6, 200)}


# Outputs


def randomised(net, seed=0):
    """Give every parameter and running statistic random values that keep activations in range."""
    rng = np.random.default_rng(seed)
    for name, value in net.state_dict().items():
        if name.endswith("num_batches_tracked") or name == "final.bins":
            continue
        if name.endswith("running_var"):
            new = rng.uniform(0.3, 1.2, value.shape)
        elif value.ndim > 1:
            new = rng.normal(0, np.sqrt(2 / np.prod(value.shape[1:])), value.shape)
        else:
            new = rng.normal(0, 0.2, value.shape) + (1.0 if name.endswith("weight") else 0.0)
        value.copy_(torch.from_numpy(new))
    return net.double().eval()


@pytest.mark.parametrize("integers", [False, True], ids=["one-hot", "integers"])
@pytest.mark.parametrize("final", list(combinations.TEAMS))
@pytest.mark.parametrize("core", list(combinations.TEAMS))
@pytest.mark.parametrize("first", list(combinations.TEAMS))
def test_outputs_agree_with_the_independent_networks(first, core, final, integers):
    """Every first, core and final block, on float channels and on integer codes."""
    processor = "unlockdna" if integers else "autosome"
    combination = Combination(processor, first, core, final)
    net = randomised(combine.network(combination, SHORT, narrow(combination, mask_rate=0.05 if integers else 0.0)))
    rng = np.random.default_rng(1)
    letters = rng.integers(0, 6, (3, 80))
    x = letters if integers else rng.normal(size=(3, 5, 40))
    with torch.no_grad():
        found = net(torch.from_numpy(x))
    expected = prix_fixe_forward({k: v.numpy() for k, v in net.state_dict().items()}, x)
    pairs = zip(found, expected, strict=True) if isinstance(found, Reconstruction) else [(found, expected)]
    for ours, theirs in pairs:
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


def test_a_patch_of_an_odd_length_is_refused():
    with pytest.raises(ValueError, match="kmer must be even"):
        dataclasses.replace(Combination("autosome", "unlockdna", "bhi", "bhi").recipe(), kmer=3)


def test_published_names_of_the_new_blocks():
    """The unused embeddings stand in published state dicts and are needed to load one."""
    combination = Combination("unlockdna", "unlockdna", "bhi", "unlockdna")
    keys = set(combine.network(combination, YEAST, narrow(combination)).state_dict())
    first = {"pos_embedding.weight", "strand_embedding.weight", "expression_embedding.weight",
             "expression_embedding.bias", "kmer_dense.weight", "kmer_dense.bias"}  # fmt: skip
    final = {f"{layer}.{kind}" for layer in ("expression_dense", "nucleotide_dense") for kind in ("weight", "bias")}
    assert {key.removeprefix("first.") for key in keys if key.startswith("first.")} == first
    assert {key.removeprefix("final.") for key in keys if key.startswith("final.")} == final
    combination = Combination("bhi", "bhi", "bhi", "bhi")
    keys = set(combine.network(combination, YEAST, narrow(combination)).state_dict())
    assert {key for key in keys if key.startswith("final.")} == {
        f"final.main.{i}.{kind}" for i in (0, 2, 4) for kind in ("weight", "bias")
    }


# Losses of the new heads


def test_bhi_s_head_has_a_huber_loss_and_returns_predictions():
    combination = Combination("bhi", "bhi", "bhi", "bhi")
    head = randomised(combine.network(combination, SHORT, narrow(combination))).final
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(6, head.in_channels, 40)))
    y = head(x).detach() + torch.tensor([0.0, 0.4, -0.9, 1.1, -3.0, 8.0])
    prediction, loss = head.train_step({"x": x, "y": y[:, None]})
    assert torch.equal(prediction, head(x))
    assert loss.item() == pytest.approx(huber(prediction.detach().numpy(), y.numpy()), rel=1e-12)


def test_unlockdna_s_head_reads_the_first_eight_positions():
    combination = Combination("unlockdna", "bhi", "bhi", "unlockdna")
    head = randomised(combine.network(combination, SHORT, narrow(combination))).final
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(4, head.in_channels, 80)))
    changed = x.clone()
    changed[:, :, 8:] += 1.0
    assert torch.equal(head(changed).expression, head(x).expression)
    changed[:, :, 7] += 1.0
    assert not torch.allclose(head(changed).expression, head(x).expression)
    y = np.array([0.3, -1.0, 2.0, 0.0])
    prediction, loss = head.train_step({"x": x, "y": torch.from_numpy(y)})
    assert loss.item() == pytest.approx(mse(prediction.expression.detach().numpy(), y), rel=1e-12)
    dropped = head.train()(torch.ones(200, head.in_channels, 80).double()).expression.std()
    assert dropped > 0, "the head drops a fifth of its input in training"


# The contract


class Shorten(Block):
    def forward(self, x):
        return x[:, :, :-1]


class WrongWidth(Block):
    def forward(self, x):
        return torch.cat([x, x], dim=1)


class Sum(FinalBlock):
    def forward(self, x):
        return x.sum(dim=(1, 2))

    def train_step(self, batch):
        prediction = self(batch["x"])
        return prediction, (prediction - batch["y"].reshape(-1)).abs().mean()


class NeedsMore(Sum):
    def train_step(self, batch):
        return super().train_step({"x": batch["x"], "y": batch["y_probs"]})


@pytest.mark.parametrize(
    ("blocks", "says"),
    [
        ((WrongWidth(2, 2, 5), None, Sum(2, 5)), r"WrongWidth.forward gives \(1, 4, 5\).*expected \(1, 2, length\)"),
        ((Shorten(2, 2, 5), None, Sum(2, 5)), r"Shorten -> Sum.*\(2, 4\) are given, \(2, 5\) expected"),
        ((None, None, NeedsMore(2, 5)), "NeedsMore.train_step fails on its dummy: 'y_probs'"),
        ((None, None, FinalBlock(2, 5)), "FinalBlock.forward fails"),
    ],
)
def test_a_block_that_breaks_the_contract_is_named(blocks, says):
    with pytest.raises(ContractError, match=says):
        PrixFixeNet(*blocks).check()


def test_a_network_that_keeps_the_contract_is_left_as_it_was():
    combination = Combination("unlockdna", "autosome", "bhi", "unlockdna")
    net = combine.network(combination, SHORT, narrow(combination)).train()
    before, rng = {k: v.clone() for k, v in net.state_dict().items()}, torch.get_rng_state()
    net.check()
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng)
    assert net.training


# Every one trains


@pytest.mark.parametrize("combination", COMPATIBLE, ids=str)
def test_every_combination_trains_two_steps_and_predicts(combination):
    data = model_checks.made_up(SHORT, n_rows=8)
    torch.manual_seed(0)
    model = registry.get_model(f"prix_fixe.{combination}").build(SHORT, narrow(combination), {})
    model.prepare(data, n_steps=2)
    before = model.snapshot()
    losses = [float(model.train_batch(np.arange(4 * step, 4 * step + 4))) for step in range(2)]
    assert np.isfinite(losses).all()
    moved = [name for name, value in model.snapshot().items() if not torch.equal(value, before[name])]
    assert {name.partition(".")[0] for name in moved} == {"first", "core", "final"}
    predicted = model.predict(data.without_targets())["activity"]
    assert predicted.shape == (8,)
    assert np.isfinite(predicted).all()


@pytest.mark.parametrize("check", model_checks.CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("name", ["bhi-unlockdna-bhi-bhi", "unlockdna-bhi-autosome-unlockdna"])
def test_variants_pass_the_checks_of_a_model(name, check, cases):
    """One combination under each new trainer; Autosome's is that of the DREAM models, tested with them."""
    try:
        check.run(cases(f"prix_fixe.{name}"))
    except model_checks.NotTested as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def cases():
    made = {}
    return lambda model: made.setdefault(model, model_checks.Case(model, "human_mpra"))
