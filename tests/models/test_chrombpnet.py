"""On a simulated genome whose truth is known, the bias model finds the enzyme's taste and ChromBPNet sets it aside.

Slow: trains the three networks, narrow, with a planted taste and without one.
"""

import dataclasses

import numpy as np
import pytest

from baselines import bpnet, bpnet_bias, chrombpnet
from benchmarks import registry
from benchmarks.api import profiles
from benchmarks.api.metrics import jsd
from benchmarks.atac import simulate, task

pytest.importorskip("pysam")


def trained(module, split, data, prerequisite_dirs, seed=0):
    registry.get_backend("keras").configure("cpu")
    quick = task.PRESETS["quick"].recipes
    name = module.__name__.rpartition(".")[2]
    recipe = dataclasses.replace(module.RECIPE, **(quick["*"] | quick.get(name, {})))
    model = module.build(task.SPEC, recipe, prerequisite_dirs)
    model.fit(data.take(split.train), data.take(split.val), seed=seed)
    return model


def recovered(predicted, access):
    """1 - median distance of predicted profiles to the planted accessibility."""
    return 1 - float(np.median(jsd(access, np.exp(profiles.log_softmax(predicted["profile_logits"])))))


def experiment(bias_strength, folder, monkeypatch):
    """Train on one split; give scores against observed cuts, and recovery of the accessibility that made them."""
    truth = {}
    write = simulate.write_files
    monkeypatch.setattr(simulate, "write_files", lambda *a, **k: truth.update(found := write(*a, **k)) or found)
    data = simulate.simulate(seed=0, bias_strength=bias_strength)
    split = next(task.splits(data.meta))
    test = data.take(split.test)
    peaks = np.flatnonzero(test.meta["is_peak"].to_numpy(bool))
    places = zip(test.meta["chrom"].iloc[peaks], test.meta["centre"].iloc[peaks], strict=True)
    access = np.stack([truth[chrom].access[at - 500 : at + 500] for chrom, at in places])
    bias = trained(bpnet_bias, split, data, {})
    bias.save(folder)
    found = {}
    for module, prerequisite_dirs in ((bpnet, {}), (chrombpnet, {"bpnet_bias": folder})):
        model = trained(module, split, data, prerequisite_dirs)
        scores = task.score(test, model.predict(test.without_targets()))
        scores = scores[scores["subset"] == "peaks"].set_index("metric")["value"]
        alone = model.predict_without_bias(test.take(peaks).without_targets())
        found[module.__name__.rpartition(".")[2]] = scores.to_dict() | {"recovered": recovered(alone, access)}
    scores = task.score(test, bias.predict(test.without_targets()))
    found["bias"] = scores[scores["subset"] == "peaks"].set_index("metric")["value"].to_dict()
    nonpeaks = scores[scores["subset"] == "nonpeaks"].set_index("metric")["value"]
    found["bias"]["in_background"] = nonpeaks["median_norm_jsd"]  # 0: no better than a uniform profile
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_simulated_tn5_bias_is_learnt_and_factored_out(tmp_path, monkeypatch):
    """Where none is simulated, factoring out gains nothing."""
    found = {}
    for strength in (1.0, 0.0):
        (tmp_path / f"{strength}").mkdir()
        with monkeypatch.context() as patch:
            found[strength] = experiment(strength, tmp_path / f"{strength}", patch)
    planted, tasteless = found[1.0], found[0.0]
    print(planted, tasteless)

    assert planted["bias"]["in_background"] > 0.05, "the taste shows in the background"
    assert tasteless["bias"]["in_background"] < 0.02
    for metric in ("pearson_r", "one_minus_median_jsd"):
        assert planted["chrombpnet"][metric] > planted["bias"][metric] + 0.1
    assert planted["chrombpnet"]["one_minus_median_jsd"] > planted["bpnet"]["one_minus_median_jsd"]

    gain, gain_without = (
        world["chrombpnet"]["recovered"] - world["bpnet"]["recovered"] for world in (planted, tasteless)
    )
    assert gain > 0.2
    assert abs(gain_without) < gain / 4
