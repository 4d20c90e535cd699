"""What each team makes of a row, which units it learns in, and how its trainer steps: against slow code and formulas.

Rows are strings here, cut and padded one at a time as the published code does it (dream 2.2, 3.1); losses come from
`reference_networks`.
"""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.api import sequences, yeast_plasmid
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.sequences import SequenceError
from benchmarks.errors import BadInput
from dream_models import dream_cnn, prix_fixe
from dream_models.prixfixe import bhi, combine, unlockdna
from dream_models.prixfixe.combinations import read_combination
from tests.helpers.reference_networks import huber, kl_batchmean, masked_cross_entropy, mse, soft_bins

YEAST = TaskSpec(150, ("expression",), "soft_classification", side_channels=("is_reverse", "is_singleton"))
HUMAN = TaskSpec(60, ("activity",), side_channels=("is_reverse",))
LEFT, RIGHT = "TGCATTTTTTTCACATC", "GGTTACGGCTGTT"
PLASMID = (
    "AGTCCACTATTAAAGAACGTGGACTCCAACGTCAAAGGGCGAAAAACCGTCTATCAGGGCGATGGCCCACTACGTGAACCATCACCC"
    "TAATCAAGTGCTAGCAGGAATGATGCAAAAGGTTCCCGATTCGAACTGCATTTTTTTCACATC"
)
VECTOR_LEFT = "GCTAGCAGGAATGATGCAAAAGGTTCCCGATTCGAAC"
VECTOR_RIGHT = "TCTTAATTAAAAAAAGATAGAAAACATTAGGAGTGTAACACAAGACTTTCGGATCCTGAGCAGGCAAGATAAACGA"
COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}


def random_rows(n, seed=0, lengths=range(48, 113)):
    """Rows of the challenge: adapters around a variable region, some with N, of every published length."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("ACGT" * 20 + "N"))
    return [LEFT + "".join(rng.choice(letters, rng.choice(lengths))) + RIGHT for _ in range(n)]


def dataset(rows, expression=None):
    values = np.arange(len(rows)) % 18 if expression is None else expression
    meta = pd.DataFrame({"is_reverse": np.zeros(len(rows)), "is_singleton": np.ones(len(rows))})
    targets = {"expression": np.asarray(values, dtype=np.float32)}
    return Dataset("yeast", yeast_plasmid.construct(rows), targets, meta, "simulated")


# Promoters in their plasmid


def test_a_row_is_extended_to_the_left_with_the_plasmid():
    """The published rule: the plasmid's 150 bases, the row without its adapter, the last 150 of both."""
    rows = random_rows(200)
    expected = [(PLASMID + row[17:])[-150:] for row in rows]
    assert sequences.decode(yeast_plasmid.construct(rows)) == expected


def test_a_nominal_row_keeps_forty_bases_of_the_backbone():
    row = LEFT + 80 * "A" + RIGHT
    (built,) = sequences.decode(yeast_plasmid.construct([row]))
    assert built == "AGTGCTAGCAGGAATGATGCAAAAGGTTCCCGATTCGAAC" + row


def test_the_length_of_a_row_is_told_from_its_150_bases():
    rows = random_rows(400, lengths=range(121))
    assert yeast_plasmid.row_lengths(yeast_plasmid.construct(rows)).tolist() == list(map(len, rows))


def test_a_sequence_outside_the_plasmid_is_refused_by_number():
    codes = yeast_plasmid.construct(random_rows(3)).copy()
    codes[1, :20] = 0
    with pytest.raises(BadInput, match="Sequence 2 does not begin in the yeast plasmid"):
        yeast_plasmid.row_lengths(codes)


@pytest.mark.parametrize("length", [29, 151])
def test_rows_of_impossible_length_are_refused(length):
    with pytest.raises(SequenceError, match="length 30 to 150 expected"):
        yeast_plasmid.construct([LEFT + 80 * "A" + RIGHT, length * "A"])


# BHI's rows


def bhi_row(row, u, v):
    """Cut or pad one row to 110 as published, with its two draws."""
    missing = 110 - len(row)
    if missing <= 0:
        return row[:110]
    if u < 0.333:
        return row + VECTOR_RIGHT[:missing]
    if v > 0.666:
        return VECTOR_LEFT[-missing:] + row
    left = missing // 2
    return (VECTOR_LEFT[-left:] if left else "") + row + VECTOR_RIGHT[: missing - left]


def model_of(code, spec=YEAST, **changes):
    combination = read_combination(code)
    recipe = dataclasses.replace(combination.recipe(), width_scale=0.03, batch_size=8, **changes)
    torch.manual_seed(0)
    return combine.model(combination, spec, recipe)


def test_bhi_s_training_rows_are_padded_by_chance_as_published():
    rows, processor = random_rows(600), bhi.BHIProcessor(YEAST)
    torch.manual_seed(5)
    u, v = torch.rand(2, len(rows)).numpy()
    torch.manual_seed(5)
    padded = processor.rows(dataset(rows), drawn=True)
    assert sequences.decode(padded.codes) == [bhi_row(*each) for each in zip(rows, u, v, strict=True)]
    short = min(rows, key=len)
    assert len({bhi_row(short, *draw) for draw in ((0.1, 0.0), (0.9, 0.9), (0.9, 0.1))}) == 3


def test_bhi_s_odds_are_those_of_the_code():
    """P(u < 0.333) right, then P(v > 0.666) of the rest left: 0.333, 0.223, 0.444."""
    u, v = np.random.default_rng(0).random((2, 200_000))
    left = bhi.drawn_left_padding(np.full(len(u), 10), u, v)
    shares = [np.mean(left == n) for n in (0, 10, 5)]
    np.testing.assert_allclose(shares, [0.333, 0.667 * 0.334, 0.667 * 0.666], atol=0.004)


def test_bhi_s_rows_to_predict_are_padded_on_both_sides():
    """Whatever other rows are in the batch."""
    rows, processor = random_rows(100), bhi.BHIProcessor(YEAST)
    together = sequences.decode(processor.rows(dataset(rows)).codes)
    assert together == [bhi_row(row, 0.9, 0.1) for row in rows]
    assert sequences.decode(processor.rows(dataset(rows[7:8])).codes) == together[7:8]


def test_bhi_sees_four_channels_and_other_tasks_as_they_are():
    processor = bhi.BHIProcessor(HUMAN)
    codes = np.array([[0, 1, 2, 3, 4] * 12], dtype=np.uint8)
    data = Dataset("d", codes, {}, pd.DataFrame({"is_reverse": [1.0]}), "simulated")
    assert processor.rows(data, drawn=True) is data
    assert (processor.n_channels, processor.seqsize) == (4, 60)
    x = processor(torch.from_numpy(codes), torch.zeros(1, 0))
    assert x.shape == (1, 4, 60)
    assert torch.equal(processor.flipped(x), x.flip([1, 2]))


# UnlockDNA's rows


def unlockdna_row(row, head=17, tail=13, width=100):
    """Strip, pad and double one row as published; None where the published code drops it."""
    region = row[head:-tail]
    if len(region) > width:
        return None
    padded = pd.Series([region]).str.pad(width, side="both", fillchar="N").iloc[0]
    both = padded + "".join(COMPLEMENT[base] for base in reversed(padded))
    return ["ACGTN".index(base) for base in both]


@pytest.mark.parametrize(("head", "tail"), [(17, 13), (20, 20)], ids=["submission", "framework"])
def test_unlockdna_s_rows_are_stripped_padded_and_doubled(head, tail):
    recipe = dataclasses.replace(prix_fixe.TEAMS["unlockdna"].recipe, trim_left=head, trim_right=tail)
    processor, rows = unlockdna.UnlockDNAProcessor(YEAST, recipe), random_rows(300)
    expected = [unlockdna_row(row, head, tail) for row in rows]
    kept = processor.kept(dataset(rows))
    assert kept.targets["expression"].tolist() == [i % 18 for i, row in enumerate(expected) if row]
    assert 0 < len(kept) < len(rows)
    x = processor(torch.from_numpy(processor.rows(kept).codes), torch.zeros(len(kept), 0))
    assert x.tolist() == [row for row in expected if row]


def test_unlockdna_predicts_too_long_a_region_by_its_middle():
    region = "".join(np.random.default_rng(0).choice(list("ACGT"), 107))
    processor = unlockdna.UnlockDNAProcessor(YEAST, prix_fixe.TEAMS["unlockdna"].recipe)
    codes = processor.rows(dataset([LEFT + region + RIGHT])).codes
    assert sequences.decode(codes) == [region[3:103]]


def test_unlockdna_takes_other_tasks_whole_and_both_strands():
    processor = unlockdna.UnlockDNAProcessor(HUMAN, prix_fixe.TEAMS["unlockdna"].recipe)
    assert (processor.n_channels, processor.seqsize) == (6, 120)
    codes = sequences.encode(["ACGTN" * 12], 60)
    x = processor(torch.from_numpy(codes.copy()), torch.zeros(1, 0))
    assert x.tolist() == [[0, 1, 2, 3, 4] * 12 + [4, 0, 1, 2, 3] * 12]


# Units of the targets


def test_bhi_s_targets_are_standardised_distances_from_11():
    """In standard deviations of the training rows."""
    values = np.array([3.0, 11.0, 12.5, 17.0, 8.0, 0.0])
    model = model_of("1_1_1_1")
    model.prepare(dataset(random_rows(6), values), n_steps=1)
    y = torch.from_numpy(values).float()[:, None]
    np.testing.assert_allclose(model.processor.scaled(y)[:, 0], (values - 11.0) / np.std(values), rtol=1e-6)
    np.testing.assert_allclose(model.processor.unscaled(model.processor.scaled(y)), y, atol=1e-5)


@pytest.mark.parametrize(("code", "spec"), [("2_1_1_2", YEAST), ("1_1_1_1", HUMAN), ("2_1_1_2", HUMAN)])
def test_elsewhere_targets_are_standardised_by_the_training_rows(code, spec):
    values = np.array([3.0, 11.0, 12.5, 17.0, 8.0, 0.0], dtype=np.float32)
    data = dataset(random_rows(6, lengths=[80]), values)
    if spec is HUMAN:
        data = dataclasses.replace(data, codes=data.codes[:, :60], targets={"activity": values})
    model = model_of(code, spec)
    model.prepare(data, n_steps=1)
    scaled = model.processor.scaled(torch.from_numpy(values)[:, None])[:, 0]
    np.testing.assert_allclose(scaled, (values - values.mean()) / np.std(values), rtol=1e-5, atol=1e-6)


def test_autosome_s_targets_stay_as_they_are():
    model = model_of("0_1_1_1")
    model.prepare(dataset(random_rows(6)), n_steps=1)
    assert model.processor.scaled(torch.tensor([[5.0]])).item() == 5.0


@pytest.mark.parametrize("code", ["1_1_1_1", "2_1_1_2"])
def test_predictions_have_units_of_the_targets_also_when_saved(code, tmp_path):
    data = dataset(random_rows(8, lengths=[80]), 11 + 3 * np.sin(np.arange(8)))
    model = model_of(code)
    model.prepare(data, n_steps=1)
    predicted = model.predict(data.without_targets())["expression"]
    with torch.no_grad():
        raw = model.trainer.expression(model.net.eval()(model.processor(*model._to_device(data)))).numpy()[:, 0]
    centre = 11.0 if code == "1_1_1_1" else data.targets["expression"].mean()
    np.testing.assert_allclose(predicted, raw * np.std(data.targets["expression"]) + centre, rtol=1e-5)
    model.save(tmp_path)
    fresh = model_of(code)
    fresh.load(tmp_path)
    np.testing.assert_array_equal(fresh.predict(data.without_targets())["expression"], predicted)


def test_bins_are_learnt_as_bins_under_bhi_s_trainer():
    """y_probs come from the measured value, not from its standardised form; the loss is the mean over both strands."""
    data = dataset(random_rows(8, lengths=[80]), np.array([0.0, 3.3, 7.0, 11.9, 16.4, 17.0, 11.0, 2.0]))
    model = model_of("1_0_0_0")
    model.prepare(data, n_steps=1)
    model.net.eval()
    x = model.processor(*model._to_device(data))
    with torch.no_grad():
        loss = model.loss_of({"x": x, "y": torch.from_numpy(data.targets["expression"])[:, None]}).item()
        features = [model.net.core(model.net.first(strand)) for strand in (x, x.flip([1, 2]))]
        logits = [model.net.final.logits(f).double().numpy() for f in features]
    target = soft_bins(data.targets["expression"])
    assert loss == pytest.approx(np.mean([kl_batchmean(each, target) for each in logits]), rel=1e-5)
    predicted = model.predict(data.without_targets())["expression"]
    assert ((predicted > 0) & (predicted < 17)).all()


# Losses


def test_bhi_s_loss_is_the_mean_over_a_sequence_and_its_flip():
    data = dataset(random_rows(8, lengths=[80]), np.linspace(4, 16, 8))
    model = model_of("1_1_1_1")
    model.prepare(data, n_steps=1)
    model.net.eval()
    x, y = model.processor(*model._to_device(data)), data.targets["expression"].astype(np.float64)
    with torch.no_grad():
        found = model.loss_of({"x": x, "y": torch.from_numpy(data.targets["expression"])[:, None]}).item()
        forward, flipped = (model.net(strand).numpy() for strand in (x, x.flip([1, 2])))
    target = (y - 11) / np.std(y)
    assert found == pytest.approx((huber(forward, target) + huber(flipped, target)) / 2, rel=1e-5)
    assert not np.allclose(forward, flipped)


def test_unlockdna_s_loss_adds_the_cross_entropy_of_hidden_bases():
    data = dataset(random_rows(8, lengths=[80]), np.linspace(4, 16, 8))
    model = model_of("2_2_1_2", mask_rate=0.2)
    model.prepare(data, n_steps=1)
    model.net.eval()
    x, y = model.processor(*model._to_device(data)), data.targets["expression"].astype(np.float64)
    torch.manual_seed(3)
    masked = (torch.rand(x.shape) < 0.2) & (x != 4)
    torch.manual_seed(3)
    with torch.no_grad():
        found = model.loss_of({"x": x, "y": torch.from_numpy(data.targets["expression"])[:, None]}).item()
        expression, logits = model.net(torch.where(masked, 5, x))
    error = mse(expression.numpy(), (y - y.mean()) / np.std(y))
    assert found == pytest.approx(error + masked_cross_entropy(logits, x.numpy(), masked.numpy()), rel=1e-5)
    assert masked.double().mean().item() == pytest.approx(0.2 * (x != 4).double().mean().item(), abs=0.03)


def test_hiding_nothing_costs_nothing():
    model = model_of("2_1_1_2", mask_rate=0.0)
    data = dataset(random_rows(8, lengths=[80]))
    model.prepare(data, n_steps=1)
    model.net.eval()
    x, y = model.processor(*model._to_device(data)), torch.from_numpy(data.targets["expression"])[:, None]
    with torch.no_grad():
        assert model.loss_of({"x": x, "y": y}).item() == pytest.approx(
            mse(model.net(x).expression.numpy(), model.processor.scaled(y)[:, 0].numpy()), rel=1e-5
        )


# Schedules and steps


def rates(model, n_steps):
    """Learning rate of every step, as the optimiser sees it."""
    optimiser, schedule = model.trainer.optimiser(model.net, n_steps)
    for parameter in model.net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    found = []
    for _ in range(n_steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return np.array(found)


def test_bhi_s_rate_falls_as_a_cosine_over_the_steps():
    steps = np.arange(40)
    expected = 0.0015 * (1 + np.cos(math.pi * steps / 40)) / 2
    np.testing.assert_allclose(rates(model_of("1_1_1_1"), 40), expected, rtol=1e-9)


def test_bhi_s_published_cosine_counts_rows():
    """T_max = rows x epochs: after 40 of 20 x 15 = 300 steps the rate has hardly moved."""
    model = model_of("1_1_1_1", cosine_over_rows=True)
    model.prepare(dataset(random_rows(20)), n_steps=40)
    expected = 0.0015 * (1 + np.cos(math.pi * np.arange(40) / 300)) / 2
    np.testing.assert_allclose(rates(model, 40), expected, rtol=1e-9)


def test_unlockdna_s_rate_is_the_transformer_schedule():
    """d^-0.5 x min(step^-0.5, step x warm-up^-1.5) with d 512 and 12,500 steps, sampled around the peak."""
    model = model_of("2_1_1_2", warmup_steps=12_500)
    _, schedule = model.trainer.optimiser(model.net, 250_000)
    for step in (1, 100, 12_499, 12_500, 12_501, 100_000):
        expected = 512**-0.5 * min(step**-0.5, step * 12_500**-1.5)
        (share,) = [rule(step - 1) for rule in schedule.lr_lambdas]
        assert share * model.trainer.recipe.max_lr == pytest.approx(expected, rel=1e-9)


def test_unlockdna_s_warm_up_takes_a_twentieth_of_a_short_run():
    found = rates(model_of("2_1_1_2"), 200)
    assert found.argmax() == 9  # the tenth step
    assert found.max() == pytest.approx(512**-0.5 * 12_500**-0.5, rel=1e-9)


def test_unlockdna_clips_the_gradient_s_norm_and_then_its_values():
    model = model_of("2_1_1_2")
    optimiser, _ = model.trainer.optimiser(model.net, 10)
    seen = {}
    parameters = dict(model.net.named_parameters())
    for parameter in parameters.values():
        parameter.grad = torch.zeros_like(parameter)
    parameters["final.expression_dense.bias"].grad += 3.0
    parameters["first.conv_list.0.conv.bias"].grad[0] = 4.0
    optimiser.register_step_pre_hook(lambda *_: seen.update({k: p.grad.clone() for k, p in parameters.items()}))
    optimiser.step()  # hooks run in the order they were made
    assert seen["final.expression_dense.bias"].item() == pytest.approx(0.5)  # 3 / 5 = 0.6, cut to 0.5
    assert seen["first.conv_list.0.conv.bias"][0].item() == pytest.approx(0.5)  # 4 / 5 = 0.8, cut to 0.5


def test_optimisers_have_the_published_settings():
    adamw, _ = (model := model_of("1_1_1_1")).trainer.optimiser(model.net, 10)
    assert isinstance(adamw, torch.optim.AdamW)
    assert (adamw.defaults["weight_decay"], adamw.defaults["betas"]) == (0.01, (0.9, 0.999))
    adam, _ = (model := model_of("2_1_1_2")).trainer.optimiser(model.net, 10)
    assert type(adam) is torch.optim.Adam
    assert (adam.defaults["weight_decay"], adam.defaults["betas"], adam.defaults["eps"]) == (0.0, (0.9, 0.98), 1e-9)


def test_recipes_are_the_published_ones():
    found = {key: team.recipe for key, team in prix_fixe.TEAMS.items()}
    assert [(r.batch_size, r.epochs) for r in found.values()] == [(1024, 80), (512, 15), (512, 20)]
    assert prix_fixe.VARIANTS["autosome-bhi-bhi-autosome"].RECIPE.max_lr == 0.005
    assert prix_fixe.VARIANTS["autosome-bhi-unlockdna-autosome"].RECIPE.max_lr == 0.001
    assert found["unlockdna"].mask_rate == 0.05


# The two ideas that serve any core


@pytest.mark.parametrize("core", ["0", "1", "2"])
def test_hidden_bases_are_told_from_any_core_s_features(core):
    """Loss = that of the head on the hidden input + cross-entropy of a linear layer on the core's features."""
    model = model_of(f"0_1_{core}_0", HUMAN, mask_rate=0.3)
    codes = np.random.default_rng(0).integers(0, 5, (8, 60), dtype=np.uint8)
    side = torch.linspace(0, 1, 8)[:, None].round()
    x = model.processor(torch.from_numpy(codes), side)
    y = torch.linspace(-1, 1, 8)[:, None]
    model.net.eval()
    torch.manual_seed(1)
    masked = (torch.rand(8, 60) < 0.3) & (torch.from_numpy(codes) != 4)
    torch.manual_seed(1)
    with torch.no_grad():
        found = model.loss_of({"x": x, "y": y}).item()
        hidden = x.clone()
        hidden[:, :4] *= ~masked[:, None]
        features = model.net.core(model.net.first(hidden))
        layer = model.net.reconstruction
        logits = np.einsum("kc,bcl->bkl", layer.weight.numpy(), features.numpy()) + layer.bias.numpy()[:, None]
        prediction = model.net(hidden).numpy()
    expected = mse(prediction, y.numpy()) + masked_cross_entropy(logits, codes, masked.numpy())
    assert found == pytest.approx(expected, rel=1e-5)
    assert layer.weight.shape == (4, model.net.core.out_channels)


@pytest.mark.parametrize("core", ["0", "1", "2"])
def test_conjoined_strands_share_loss_and_prediction(core):
    model = model_of(f"0_1_{core}_0", HUMAN, conjoined=True)
    codes = np.random.default_rng(0).integers(0, 5, (8, 60), dtype=np.uint8)
    turned = sequences.reverse_complement(codes)
    data = Dataset("d", codes, {"activity": np.linspace(-1, 1, 8, dtype=np.float32)},
                   pd.DataFrame({"is_reverse": [0.0, 1.0] * 4}), "simulated")  # fmt: skip
    other = dataclasses.replace(data, codes=turned, meta=pd.DataFrame({"is_reverse": [1.0, 0.0] * 4}))
    model.prepare(data, n_steps=1)
    model.net.eval()
    y = torch.from_numpy(data.targets["activity"])[:, None]
    with torch.no_grad():
        strands = [model.processor(*model._to_device(each)) for each in (data, other)]
        found = model.loss_of({"x": strands[0], "y": y}).item()
        raw = [model.net(strand) for strand in strands]
    assert found == pytest.approx(np.mean([mse(each.numpy(), y.numpy()) for each in raw]), rel=1e-5)
    predicted = model.predict(data.without_targets())["activity"]
    np.testing.assert_allclose(predicted, ((raw[0] + raw[1]) / 2).numpy()[:, 0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model.predict(other.without_targets())["activity"], predicted, rtol=1e-4, atol=1e-6)


def test_the_teams_ideas_are_options_and_off_by_default():
    """Options of the DREAM models."""
    net = dream_cnn.network(HUMAN, dataclasses.replace(dream_cnn.RECIPE, width_scale=0.05))
    assert net.reconstruction is None
    recipe = dataclasses.replace(dream_cnn.RECIPE, width_scale=0.05, mask_rate=0.1, conjoined=True)
    model = dream_cnn.build(HUMAN, recipe, {})
    assert model.net.reconstruction is not None
    assert model.conjoined


def test_unlockdna_s_input_cannot_be_conjoined():
    with pytest.raises(ValueError, match="both strands already"):
        dataclasses.replace(prix_fixe.TEAMS["unlockdna"].recipe, conjoined=True)
