"""What a model says that it reads of its recipe is what it does read, found by watching it train."""

import dataclasses
import sys
from functools import cache

import pytest

from benchmarks import registry
from benchmarks.api.model import read_fields
from benchmarks.apps.model_checks import SMALL, Case

MODELS = ("kmer_ridge", "dream_cnn", "dream_rnn", "dream_attn", "vaishnav", "vaishnav_notebook")
ORIGINALS = ("originals.autosome", "originals.bhi", "originals.unlockdna")
COMBINATIONS = (
    "prix_fixe.autosome-unlockdna-bhi-bhi",
    "prix_fixe.bhi-autosome-unlockdna-autosome",
    "prix_fixe.unlockdna-bhi-autosome-unlockdna",
)
READ_BY_THE_ENGINE = {"train_on"}
"""Fields that say what a model is given, and are read by who gives it."""
ALWAYS_ASKED = {
    "originals.bhi": {"conjoined"},
    "originals.unlockdna": {"conjoined"},
    COMBINATIONS[2]: {"conjoined", "glove_width", "lm_layers"},
}
"""Switches that are asked of every model and have one possible answer here."""


def watched(recipe, seen):
    """Return the same recipe, which notes what is asked of it by any code but its own checks and `replace`."""
    names = {field.name for field in dataclasses.fields(recipe)}

    class Watched(type(recipe)):
        def __getattribute__(self, name):
            code = sys._getframe(1).f_code
            if name in names and code.co_name != "__post_init__" and not code.co_filename.endswith("dataclasses.py"):
                seen.add(name)
            return super().__getattribute__(name)

    return Watched(**{name: getattr(recipe, name) for name in names})


@cache
def yeast_rows():
    return Case("dream_cnn", "yeast").rows


def fields_asked_for(model, spec):
    module, seen = registry.get_model(model), set()
    names = {field.name for field in dataclasses.fields(module.RECIPE)}
    small = dataclasses.replace(module.RECIPE, **{key: value for key, value in SMALL.items() if key in names})
    fitted = module.build(spec, watched(small, seen), {})
    rows = yeast_rows()
    fitted.fit(rows.train, rows.val, seed=1)
    fitted.predict(rows.test.without_targets())
    return seen


@pytest.mark.parametrize("model", [*MODELS, *ORIGINALS, *COMBINATIONS])
def test_a_model_reads_the_fields_it_says_it_does(model):
    spec = registry.get_task("yeast").SPEC
    asked = fields_asked_for(model, spec) - ALWAYS_ASKED.get(model, set())
    module = registry.get_model(model)
    assert asked == set(read_fields(module, spec, module.RECIPE)) - READ_BY_THE_ENGINE


@pytest.mark.parametrize("model", ["dream_cnn", COMBINATIONS[2]])
def test_fields_of_the_yeast_plasmid_are_unread_elsewhere(model):
    yeast, human = (
        set(read_fields(registry.get_model(model), registry.get_task(t).SPEC)) for t in ("yeast", "human_mpra")
    )
    plasmid = {"trim_left", "trim_right"} if model != "dream_cnn" else {"average_strands"}
    assert yeast - human == plasmid


def test_a_recipe_shows_the_fields_its_model_reads():
    attn, rnn = (read_fields(registry.get_model(name)) for name in ("dream_attn", "dream_rnn"))
    assert ("n_heads" in attn, "stem_width" in attn) == (True, False)
    assert ("n_heads" in rnn, "stem_width" in rnn) == (False, True)
    assert "reference_batch_norm" not in read_fields(registry.get_model("dream_rnn_keras"))
    assert "reference_batch_norm" in read_fields(registry.get_model("dream_cnn_keras"))
