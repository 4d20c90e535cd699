"""The three submissions: sizes as reported, their own parts by slow formulas, their own steps at test time."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats

from benchmarks import registry
from benchmarks.api import yeast_plasmid
from benchmarks.api.data import TaskSpec
from benchmarks.api.sequences import decode
from benchmarks.apps import model_checks
from benchmarks.training import torch_backend
from dream_models.prixfixe import submissions

TEAMS = ("autosome", "bhi", "unlockdna")


@pytest.fixture(scope="module")
def promoter_rows():
    data = registry.get_task("yeast").simulate(seed=0)
    return data.take(np.flatnonzero(data.meta["part"] == 0)[:16])


def built(team, **changes):
    torch_backend.configure("cpu", 1)
    torch_backend.seed_everything(0)
    model = registry.get_model(f"originals.{team}")
    return model.build(registry.get_task("yeast").SPEC, dataclasses.replace(model.RECIPE, **changes), {})


@pytest.mark.parametrize(("team", "n_params"), zip(TEAMS, (1_852_846, 6_875_137, 47_425_543), strict=True))
def test_sizes_are_the_reported_ones(team, n_params):
    assert built(team).n_params == n_params


@pytest.mark.parametrize(
    "team", [pytest.param(team, marks=pytest.mark.slow) if team != "bhi" else team for team in TEAMS]
)
def test_every_submission_keeps_the_contract_on_yeast(team):
    broken = [one for one in model_checks.validate(f"originals.{team}", "yeast") if one.status == "failed"]
    assert not broken


@pytest.mark.parametrize("team", TEAMS)
def test_other_tasks_are_declined(team):
    model = registry.get_model(f"originals.{team}")
    assert "yeast challenge alone" in model.unsupported(TaskSpec(230, ("expression",)))


def test_autosome_s_gate_multiplies_pairs_of_squeezed_channels():
    """The low-rank tensor written out in full, and a loop over all pairs."""
    torch.manual_seed(0)
    layer = submissions.Bilinear(6).double()
    with torch.no_grad():
        layer.weights.normal_()
        layer.bias.normal_()
    out, one, other = (factor.detach().numpy() for factor in layer.factors)
    assert out.shape[1] == round(0.5 * 3 * 6 * 6 / (3 + 6 + 6))
    x = np.random.default_rng(0).normal(size=(2, 6))
    expected = np.zeros((2, 3))
    for row in range(2):
        for k in range(3):
            for i in range(6):
                for j in range(6):
                    weight = sum(layer.weights[r].item() * out[k, r] * one[i, r] * other[j, r] for r in range(4))
                    expected[row, k] += weight * x[row, i] * x[row, j]
    found = layer(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, expected + layer.bias.detach().numpy(), rtol=1e-9)


def test_autosome_activates_logits_before_averaging_positions():
    head = built("autosome", width_scale=0.05).net.final.double()
    x = torch.randn(2, head.in_channels, 9, dtype=torch.float64)
    conv = head.mapper[0]
    with torch.no_grad():
        logits = np.einsum("bcl,kc->bkl", x.numpy(), conv.weight[:, :, 0].numpy()) + conv.bias.numpy()[:, None]
        np.testing.assert_allclose(head.logits(x).numpy(), (logits / (1 + np.exp(-logits))).mean(axis=2), rtol=1e-9)


def test_autosome_trains_in_epochs_of_1000_batches():
    """And keeps the last epoch."""
    recipe = registry.get_model("originals.autosome").RECIPE
    assert (recipe.batches_per_epoch, recipe.epochs, recipe.batch_size, recipe.select) == (1000, 80, 1024, "last")
    assert recipe.average_strands


def test_the_last_epoch_is_kept_where_that_is_the_rule(promoter_rows):
    model = built("autosome", width_scale=0.05, epochs=3, batch_size=4, batches_per_epoch=2)
    history = model.fit(promoter_rows, promoter_rows, seed=0)
    assert [row["is_best"] for row in history] == [False, False, True]


def test_bhi_averages_ten_views_and_takes_their_normal_mass(promoter_rows):
    model = built("bhi", width_scale=0.05)
    model.prepare(promoter_rows, 1)
    model.net.eval()
    lengths = yeast_plasmid.row_lengths(promoter_rows.codes)
    expected = []
    for sequence, length in zip(decode(promoter_rows.codes), lengths, strict=True):
        long = sequence + yeast_plasmid.PLASMID_RIGHT
        missing = 110 - length
        start = 150 - length - missing // 2
        scores = []
        for shift in (-2, -1, 0, 1, 2):
            window = long[start + shift : start + shift + 110]
            for strand in (window, window[::-1].translate(str.maketrans("ACGT", "TGCA"))):
                x = np.zeros((1, 4, 110), dtype=np.float32)
                for position, base in enumerate(strand):
                    if base != "N":
                        x[0, "AGCT".index(base), position] = 1
                with torch.no_grad():
                    scores.append(model.net(torch.from_numpy(x)).item())
        expected.append(scipy_stats.norm.cdf(np.mean(scores), loc=0.062, scale=1))
    np.testing.assert_allclose(model.predict(promoter_rows)["expression"], expected, atol=1e-5)


def test_unlockdna_reads_expression_from_leading_tokens(promoter_rows):
    model = built("unlockdna", width_scale=0.05)
    model.prepare(promoter_rows, 1)
    model.net.eval()
    x = model.processor(*model._to_device(promoter_rows))
    with torch.no_grad():
        features = model.net.first(x)
        expression, logits = model.net(x)
    assert features.shape[2] == 32 + 200
    token = model.net.first.expression_embedding.bias
    torch.testing.assert_close(features[:, :, :32], token[None, :, None].expand(16, -1, 32))
    assert logits.shape == (16, 6, 200)
    assert expression.shape == (16,)


def test_unlockdna_s_heads_are_each_as_wide_as_the_stream():
    torch.manual_seed(0)
    layer = submissions.WideAttention(4, 3).double()
    x = np.random.default_rng(0).normal(size=(5, 4))
    w = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    parts = []
    for head in range(3):
        at = slice(4 * head, 4 * head + 4)
        q, k, v = (x @ w[f"{part}.weight"][at].T + w[f"{part}.bias"][at] for part in ("query", "key", "value"))
        scores = np.exp(q @ k.T / 2)
        parts.append(scores / scores.sum(axis=1, keepdims=True) @ v)
    expected = np.hstack(parts) @ w["out.weight"].T + w["out.bias"]
    np.testing.assert_allclose(layer(torch.from_numpy(x)[None])[0].detach().numpy(), expected, rtol=1e-9)


def test_what_is_published_of_unlockdna_s_training():
    recipe = registry.get_model("originals.unlockdna").RECIPE
    assert (recipe.mask_rate, recipe.warmup_steps, recipe.n_heads, recipe.kmer) == (0.05, 12_500, 8, 10)
    assert (recipe.epochs, recipe.batch_size, recipe.trim_left, recipe.trim_right) == (20, 512, 17, 13)
