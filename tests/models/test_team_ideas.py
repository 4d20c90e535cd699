"""Ideas of teams as options of any Prix Fixe network: mutations to be told, GloVe vectors, a masked language model."""

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import registry
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.recipe import recipe_with, stored_values
from benchmarks.apps import model_checks
from benchmarks.engine.planning.plan import Source, make_plan
from benchmarks.engine.planning.protocol_deviations import protocol_deviations
from benchmarks.errors import BadInput
from dream_models import dream_cnn
from dream_models.prixfixe import combine, embeddings
from dream_models.prixfixe.combinations import read_combination

SPEC = TaskSpec(40, ("activity",), side_channels=("is_reverse",))
LETTERS = "AGCT"
"""Bases in the order of the codes."""
IDEAS = {
    "mutations": {"mutation_rate": 0.15},
    "glove": {"glove_width": 128, "glove_kmer": 2},
    "frozen": {"lm_layers": 1, "lm_width": 64, "lm_epochs": 1, "lm_tuned": False},
    "tuned": {"lm_layers": 1, "lm_width": 64, "lm_epochs": 1},
}


def model_of(code="0_1_0_0", spec=SPEC, **changes):
    combination = read_combination(code)
    small = {"width_scale": 0.05, "batch_size": 16, "epochs": 1}
    return combine.model(combination, spec, dataclasses.replace(combination.recipe(), **small | changes))


def repeats(n, seed=0):
    """Rows that repeat one word of two bases each, so that every base follows from its neighbours."""
    rng = np.random.default_rng(seed)
    codes = np.tile(rng.integers(0, 4, (n, 2), dtype=np.uint8), (1, SPEC.seq_len // 2))
    meta = pd.DataFrame({"is_reverse": np.zeros(n)})
    return Dataset("repeats", codes, {"activity": rng.normal(size=n).astype(np.float32)}, meta, "simulated")


def shown(model, data):
    return model.processor(*model._to_device(data))


def text_of(codes):
    return "".join((LETTERS + "N")[code] for code in codes)


# Mutations


@pytest.mark.parametrize("code", ["0_1_0_0", "0_1_1_0", "0_0_2_0"])
def test_the_loss_adds_that_of_telling_mutations(code):
    model = model_of(code, mutation_rate=0.15)
    x, y = shown(model, repeats(8)), torch.linspace(-1, 1, 8)[:, None]
    model.net.eval()
    torch.manual_seed(1)
    where = torch.rand(8, 40) < 0.15
    torch.manual_seed(1)
    with torch.no_grad():
        found = model.loss_of({"x": x, "y": y}).item()
        torch.manual_seed(1)
        changed, _ = model.processor.mutated(x, 0.15)
        features = model.net.core(model.net.first(changed)).numpy()
        expression = model.net(x).numpy()
    layer = model.net.mutation
    z = np.einsum("c,bcl->bl", layer.weight.detach().numpy()[0], features) + layer.bias.item()
    told = np.where(where.numpy(), np.log1p(np.exp(-z)), np.log1p(np.exp(z))).mean()
    assert found == pytest.approx(np.square(expression - y.numpy()).mean() + told, rel=1e-5)


@pytest.mark.parametrize("code", ["0_1_0_0", "2_1_0_2"])
def test_a_mutation_is_another_base_on_both_strands(code):
    model = model_of(code)
    data = repeats(200)
    data.codes[:, :10] = 4
    x = shown(model, data)
    changed, where = model.processor.mutated(x, 0.15)
    letters = [each.long() if each.ndim == 2 else each[:, :4].argmax(dim=1) for each in (x, changed)]
    assert torch.equal(letters[0] != letters[1], where)
    assert not where[:, :10].any()
    assert where[:, 10:40].double().mean().item() == pytest.approx(0.15, abs=0.01)
    if x.ndim == 2:
        assert torch.equal(changed[:, 40:], model.processor.complement[changed[:, :40]].flip(1))
    else:
        assert torch.equal(changed.sum(dim=1), x.sum(dim=1))


def test_mutations_are_told_above_chance():
    model = model_of("0_0_0_0", mutation_rate=0.15, max_lr=0.02, epochs=4, batch_size=32)
    model.fit(repeats(800), repeats(50, seed=1), seed=0)
    model.net.eval()
    with torch.no_grad():
        x, where = model.processor.mutated(shown(model, repeats(200, seed=2)), 0.15)
        told = model.net.mutation_logits(x) > 0
    balanced = (told[where].double().mean() + (~told[~where]).double().mean()) / 2
    assert balanced > 0.7  # chance: 0.5


# Vectors of k-mers


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_kmers_are_numbered_as_their_text_is(k):
    codes = np.random.default_rng(k).integers(0, 5, (4, 40), dtype=np.uint8)
    data = dataclasses.replace(repeats(4), codes=codes)
    found = embeddings.kmers(shown(model_of(), data), k).numpy()
    for row, codes_of_row in zip(found, codes, strict=True):
        text = "N" * (k // 2) + text_of(codes_of_row) + "N" * (k - 1 - k // 2)
        for place, number in enumerate(row):
            word = text[place : place + k]
            expected = 4**k if "N" in word else sum(LETTERS.index(base) * 4**i for i, base in enumerate(word))
            assert number == expected


def test_glove_counts_contexts_by_one_over_distance():
    model = model_of(**IDEAS["glove"])
    data = repeats(3)
    x = shown(model, data)
    found = model.net.embedding.counts(lambda rows: x[rows], 3, lambda: None).numpy()
    expected = np.zeros((16, 16))
    for words in embeddings.kmers(x, 2).tolist():
        for i, word in enumerate(words):
            for j in range(max(0, i - 10), i):
                if word < 16 and words[j] < 16:
                    expected[word, words[j]] += 1 / (i - j)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_glove_tells_kinds_of_kmers_apart():
    """Rows of A and G alone, and rows of C and T alone: the nearest vector of a 3-mer is one of its kind."""
    model = model_of(glove_width=32, glove_kmer=3, width_scale=1.0)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (400, 40), dtype=np.uint8) + 2 * (np.arange(400)[:, None] % 2).astype(np.uint8)
    x = shown(model, dataclasses.replace(repeats(400), codes=codes))
    model.net.embedding.learn(lambda rows: x[rows], 400, lambda: None)
    kinds = {sum(d * 4**i for i, d in enumerate(digits)): digits[0] // 2
             for digits in np.ndindex(4, 4, 4) if len({d // 2 for d in digits}) == 1}  # fmt: skip
    table = torch.nn.functional.normalize(model.net.embedding.table[sorted(kinds)], dim=1)
    nearest = (table @ table.T).fill_diagonal_(-2).argmax(dim=1)
    kind = np.array([kinds[word] for word in sorted(kinds)])
    assert (kind[nearest] == kind).mean() == 1.0  # chance: 7 of 15
    assert not model.net.embedding.table[-1].any()


def test_hidden_bases_are_told_above_chance():
    model = model_of(lm_layers=1, lm_width=32, lm_kmer=3, lm_epochs=12, lm_rate=3e-3, width_scale=1.0)
    x = shown(model, repeats(400))
    torch.manual_seed(0)
    language = model.net.embedding
    language.learn(lambda rows: x[rows], len(x), lambda: None)
    fresh = shown(model, repeats(200, seed=2))
    with torch.no_grad():
        changed, told = language.hidden(fresh)
        right = language.logits(changed).argmax(dim=1) == fresh[:, :4].argmax(dim=1)
    assert right[told].double().mean() > 0.6  # chance: 0.25; one in ten is left as it is
    assert told.double().mean().item() == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize(("idea", "stays"), [("glove", True), ("frozen", True), ("tuned", False)])
def test_learnt_vectors_stay_unless_they_are_tuned(idea, stays):
    model = model_of(**IDEAS[idea])
    x = shown(model, repeats(64))
    model.prepare(repeats(64), n_steps=2)
    model.begin_epoch(0)
    before = model.net.embedding.vectors(x).detach()
    for _ in range(2):
        model.train_batch(np.arange(16))
    model.begin_epoch(1)
    assert torch.equal(model.net.embedding.vectors(x).detach(), before) == stays
    learning = any(weight.requires_grad for weight in model.net.embedding.parameters())
    assert learning != stays


def test_both_strands_are_learnt_where_both_are_shown():
    seen = []
    for changes in ({}, {"conjoined": True}):
        model = model_of(**IDEAS["glove"], **changes)
        model.prepare(repeats(8), n_steps=1)
        model.net.embedding.learn = lambda shown, n, stop: seen.append(shown(torch.arange(n)))
        model.begin_epoch(0)
    assert [len(x) for x in seen] == [8, 16]
    assert torch.equal(seen[1][8:, :4], seen[0][:, :4].flip(1, 2))


def test_learning_vectors_ends_when_asked_to():
    model = model_of(**IDEAS["frozen"])

    class Asked:
        due = staticmethod(lambda within_epoch=False: False)
        whole = staticmethod(lambda: iter(()))
        starts_after = staticmethod(lambda epoch, batch=0: None)
        stop_asked = staticmethod(lambda: "SIGTERM")

    with pytest.raises(RuntimeError, match="Asked to stop \\(SIGTERM\\)"):
        model.fit(repeats(64), repeats(16, seed=1), seed=0, checkpoints=Asked())
    assert not model.net.embedding.is_learned


# What holds for all of them


@cache
def case_of(idea):
    return model_checks.Case("dream_cnn", "human_mpra", small=model_checks.SMALL | IDEAS[idea])


@pytest.mark.parametrize("name", ["batch independence", "save and load", "resume"])
@pytest.mark.parametrize("idea", IDEAS)
def test_a_model_with_an_idea_passes_the_contract(idea, name):
    next(check for check in model_checks.CHECKS if check.name == name).run(case_of(idea))


@pytest.mark.parametrize("code", ["1_0_1_1", "1_2_2_0", "2_1_0_2"])
@pytest.mark.parametrize("idea", IDEAS)
def test_ideas_fit_any_combination_that_has_one_hot_bases(code, idea):
    combination = read_combination(code)
    changes = {"width_scale": 0.05} | IDEAS[idea]
    if code == "2_1_0_2" and idea != "mutations":
        with pytest.raises(ValueError, match="integers of both strands"):
            dataclasses.replace(combination.recipe(), **changes)
        return
    combine.try_out(combination, SPEC, dataclasses.replace(combination.recipe(), **changes))


def test_parameters_of_an_idea_change_nothing_while_it_is_off():
    weights = []
    for changes in ({}, {"glove_kmer": 2, "lm_width": 8, "lm_epochs": 1, "lm_tuned": False}):
        torch.manual_seed(0)
        model = model_of(**changes)
        model.fit(repeats(64), repeats(16, seed=1), seed=0)
        weights.append(model.net.state_dict())
    assert (model.net.mutation, model.net.embedding, model.net.reconstruction) == (None, None, None)
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_options_that_are_off_are_not_stored():
    """So the names of runs, hashes of these values, are those from before there were options."""
    stored = stored_values(dream_cnn.RECIPE)
    assert set(dataclasses.asdict(dream_cnn.RECIPE)) - set(stored) == {
        "mutation_rate", "glove_width", "glove_kmer", "lm_layers", "lm_width", "lm_kmer", "lm_epochs", "lm_rate",
        "lm_tuned", "train_on",
    }  # fmt: skip
    changed = dataclasses.replace(dream_cnn.RECIPE, mutation_rate=0.15)
    assert stored_values(changed) == stored | {"mutation_rate": 0.15}
    assert recipe_with(dream_cnn.RECIPE, stored_values(changed), source="a record") == changed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["dream_cnn.glove_width=8", "dream_cnn.lm_layers=1"], "both replace one-hot bases"),
        (["dream_cnn.mutation_rate=1"], "less than 1, got 1.0"),
        (["dream_cnn.lm_layers=1", "dream_cnn.lm_width=100"], "multiple of 8, for 8 heads, got 100"),
        (["dream_cnn.glove_width=8", "dream_cnn.glove_kmer=7"], "glove_kmer must be 1 to 6, got 7"),
        (["dream_cnn.glove_kmer=4"], "dream_cnn does not read 'glove_kmer' here"),
        (["mprann.mutation_rate=0.15"], "Unknown recipe key 'mutation_rate'"),
    ],
)
def test_ideas_that_make_no_sense_are_one_sentence(changes, words):
    task = registry.get_task("human_mpra")
    with pytest.raises(BadInput, match="--set") as error:
        make_plan(task, "paper", [Source("K562", 1000)], seed=1, models=["dream_cnn", "mprann"], changes=changes)
    assert words in str(error.value)


def test_documented_parameters_are_those_of_the_networks():
    lines = (Path(__file__).parents[2] / "docs" / "prixfixe.md").read_text().splitlines()
    first = lines.index("| option | DREAM-CNN | DREAM-RNN | DREAM-Attn |") + 2
    for line in lines[first : first + 6]:
        option, *counts = (cell.strip() for cell in line.strip("|").split("|"))
        changes = dict(change.split("=") for change in option.split("`")[1].split(","))
        for name, count in zip(("dream_cnn", "dream_rnn", "dream_attn"), counts, strict=True):
            module = registry.get_model(name)
            recipe = recipe_with(module.RECIPE, changes, source=option)
            built = module.build(registry.get_task("human_mpra").SPEC, recipe, {})
            assert f"{built.n_params:,}" == count


def test_an_idea_is_a_deviation_from_the_protocol():
    task = registry.get_task("human_mpra")
    source = Source("K562", 1000)
    plan = make_plan(task, "paper", [source], seed=1, models=["dream_cnn"], changes=["dream_cnn.mutation_rate=0.15"])
    found = protocol_deviations(task, plan, "dream_cnn", source, task.protocol())
    assert found == ["mutation_rate 0.15 instead of 0.0"]
