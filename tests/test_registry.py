"""Models and tasks are found by reading files, and bad names get the nearest good one."""

import pytest

from benchmarks import registry
from benchmarks.errors import BadInput


def test_the_models_are_found_with_their_frameworks():
    found = {key: entry.framework for key, entry in registry.models().items()}
    expected = {
        "dream_attn": "torch",
        "dream_cnn": "torch",
        "dream_rnn": "torch",
        "dream_cnn_keras": "keras",
        "dream_rnn_keras": "keras",
        "bpnet": "keras",
        "bpnet_bias": "keras",
        "chrombpnet": "keras",
        "mprann": "keras",
        "deepstarr": "keras",
        "kmer_ridge": "numpy",
        "vaishnav": "torch",
        "vaishnav_notebook": "torch",
    }
    assert found == expected


def test_entries_carry_title_and_summary_of_the_file():
    entry = registry.models()["dream_cnn"]
    assert entry.title == "DREAM-CNN"
    assert entry.summary.startswith("DREAM-CNN: ")
    assert entry.title == registry.get_model("dream_cnn").NAME


def test_a_family_is_no_model_but_its_variants_are():
    assert list(registry.families()) == ["originals", "prix_fixe"]
    assert registry.families()["prix_fixe"].framework == "torch"
    entry = registry.model_entry("prix_fixe.autosome-bhi-autosome-autosome")
    assert (entry.title, entry.framework) == ("Prix Fixe 0_1_0_0", "torch")
    assert (
        entry.summary == "Prix Fixe 0_1_0_0: processor Autosome.org, first BHI, core Autosome.org, final Autosome.org."
    )


@pytest.fixture
def new_folder(tmp_path, monkeypatch):
    """A package of models in a temporary folder, scanned beside our own."""
    (tmp_path / "extra_models").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "MODEL_PACKAGES", (*registry.MODEL_PACKAGES, "extra_models"))
    registry._installed_models.cache_clear()
    yield tmp_path / "extra_models"
    registry._installed_models.cache_clear()


@pytest.mark.parametrize(
    ("imports", "framework"),
    [
        ("from torch import nn", "torch"),
        ("from benchmarks.training.torch_backend import TorchModel", "torch"),
        ("from benchmarks.api import torch_backend", "torch"),
        ("import tensorflow as tf", "keras"),
        ("import numpy", "numpy"),
    ],
)
def test_a_dropped_file_is_a_model_with_the_framework_it_imports(new_folder, imports, framework):
    (new_folder / "mine.py").write_text(
        f'"""Mine."""\n{imports}\nNAME = "mine"\ndef build(spec, recipe, assets): ...\n'
    )
    (new_folder / "helper.py").write_text('"""No model."""\nNAME = "helper"\n')
    assert registry.models()["mine"].framework == framework
    assert "helper" not in registry.models()


def test_an_import_inside_a_function_counts(new_folder):
    code = '"""Mine."""\nNAME = "mine"\ndef build(spec, recipe, assets):\n    import keras\n'
    (new_folder / "mine.py").write_text(code)
    assert registry.models()["mine"].framework == "keras"


@pytest.mark.parametrize(
    ("get", "typo", "meant"),
    [(registry.get_model, "dream_rn", "dream_rnn"), (registry.get_task, "human_mrpa", "human_mpra")],
)
def test_a_typo_gets_the_nearest_name(get, typo, meant):
    with pytest.raises(BadInput, match=f"Did you mean '{meant}'"):
        get(typo)
