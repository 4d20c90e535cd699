"""The ATAC task: splits, scores of the fact sheet, checks of the bias model, plans, pictures."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from benchmarks import registry
from benchmarks.api import metrics
from benchmarks.api.data import Dataset
from benchmarks.atac import prepared, task
from benchmarks.engine.evaluation import leakage
from benchmarks.engine.evaluation.fold_tests import compare
from benchmarks.engine.figures import profiles, style
from benchmarks.engine.figures import scores as figures
from benchmarks.engine.planning.plan import Source, make_plan
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput

pytest.importorskip("pysam")


@pytest.fixture(scope="module")
def data():
    return task.simulate(seed=0)


def test_the_simulated_experiment_is_labelled_and_repeatable(data):
    assert data.origin == "simulated"
    assert any("SIMULATED" in note for note in data.notes)
    task._simulated.cache_clear()
    assert task.simulate(seed=0).content_hash() == data.content_hash()
    assert task.simulate(seed=1).content_hash() != data.content_hash()


def test_splits_hold_whole_chromosomes_out(data):
    found = list(task.splits(data.meta))
    assert [split.name for split in found] == [f"test-{k:02d}_val-00" for k in range(4)]
    for split in found:
        chroms = [set(data.meta["chrom"].iloc[rows]) for rows in (split.train, split.val, split.test)]
        assert not chroms[0] & chroms[1]
        assert not chroms[0] & chroms[2]
        assert not chroms[1] & chroms[2]
        is_peak = data.meta["is_peak"].to_numpy(bool)
        for rows, ratio in ((split.train, 2), (split.val, 2), (split.test, 1)):
            assert (~is_peak[rows]).sum() == pytest.approx(ratio * is_peak[rows].sum(), abs=3)


def test_stored_windows_are_searched_for_overlap_and_motifs(data, tmp_path):
    """They are read from disk where they lie."""
    store = Store(tmp_path)
    stored = store.get_dataset(data.name, store.put_dataset(data)[:12])
    found = leakage.of_dataset(task, stored, leakage.Rule(), wanted={(0, 0)}).table.set_index("kind")
    split = next(task.splits(data.meta))
    codes = np.asarray(data.codes)
    seen = {row.tobytes() for row in codes[np.concatenate([split.train, split.val])]}
    assert found.loc["exact", "n_leaking"] == sum(row.tobytes() in seen for row in codes[split.test])
    assert found.loc["coordinates", "n_leaking"] == 0
    some = np.array([5, 3, 8])
    np.testing.assert_array_equal(
        task.motif_mask(stored.take(some).codes, "profile"), task.motif_mask(codes[some], "profile")
    )


def windows(n=40, seed=0):
    rng = np.random.default_rng(seed)
    profile = rng.poisson(0.05, (n, prepared.WIDE_PROFILE)).astype(np.uint16)
    profile[3, 500:1500] = 0  # a window without a cut, whatever lies beside it
    meta = pd.DataFrame({"chrom": "chr4", "centre": np.arange(n), "is_peak": np.uint8(np.arange(n) < 25)})
    codes = rng.integers(0, 4, (n, prepared.WIDE_SEQ), dtype=np.uint8)
    test = Dataset("w", codes, {"profile": profile}, meta, "simulated")
    predicted = {
        "profile_logits": rng.normal(size=(n, 1000)).astype(np.float32),
        "log_counts": rng.normal(4, 1, n).astype(np.float32),
    }
    return test, predicted


def test_scores_are_those_of_the_fact_sheet():
    test, predicted = windows()
    table = task.score(test, predicted)
    found = {(row.subset, row.output, row.metric): (row.value, row.n) for row in table.itertuples()}
    observed = test.targets["profile"][:, 500:1500].astype(float)
    log_counts = np.log(1 + observed.sum(axis=1))
    for subset, rows in (("peaks", slice(0, 25)), ("nonpeaks", slice(25, 40)), ("peaks_and_nonpeaks", slice(0, 40))):
        y, p = log_counts[rows], predicted["log_counts"][rows]
        assert found[subset, "log_counts", "pearson_r"][0] == pytest.approx(stats.pearsonr(y, p)[0], abs=1e-9)
        assert found[subset, "log_counts", "spearman_rho"][0] == pytest.approx(stats.spearmanr(y, p)[0], abs=1e-9)
        assert found[subset, "log_counts", "mse"][0] == pytest.approx(np.mean((y - p) ** 2), rel=1e-6)
        distances, normalised = [], []
        for k, z in zip(observed[rows], predicted["profile_logits"][rows].astype(float), strict=True):
            share = np.exp(z) / np.exp(z).sum()
            distance = jensenshannon(k / (0.001 + k.sum()), share) if k.sum() else np.nan
            worst = jensenshannon(k / (0.001 + k.sum()), np.full(1000, 0.001)) if k.sum() else np.nan
            distances.append(distance)
            normalised.append(np.clip((distance - worst) / (0 - worst), 0, 1))
        median = np.nanmedian(distances)
        assert found[subset, "profile", "median_jsd"][0] == pytest.approx(median, abs=1e-9)
        assert found[subset, "profile", "one_minus_median_jsd"][0] == pytest.approx(1 - median, abs=1e-9)
        assert found[subset, "profile", "median_norm_jsd"][0] == pytest.approx(np.nanmedian(normalised), abs=1e-9)
        assert {n for (s, _, _), (_, n) in found.items() if s == subset} == {len(y)}
    assert set(table["held_out"]) == {"chr4"}


def test_a_perfect_profile_scores_best():
    test, predicted = windows()
    observed = test.targets["profile"][:, 500:1500].astype(float)
    with np.errstate(divide="ignore"):
        predicted["profile_logits"] = np.maximum(np.log(observed), -80).astype(np.float32)
    table = task.score(test, predicted).set_index(["subset", "metric"])["value"]
    assert table["peaks", "one_minus_median_jsd"] == pytest.approx(1, abs=1e-6)
    assert table["peaks", "median_norm_jsd"] == pytest.approx(1, abs=1e-6)


def scores_with(values):
    rows = [
        {"model": "bpnet_bias", "role": "ensemble", "subset": "peaks", "metric": "pearson_r", "value": value,
         "dataset": "d", "test_fold": fold}
        for fold, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_bias_models_are_judged_by_their_counts_in_peaks():
    found = task.checks(scores_with([0.1, -0.3, -0.49, -0.5, -0.8]))
    assert found["verdict"].tolist() == ["fine", "warning", "warning", "fails", "fails"]


def test_dream_attn_is_left_out_for_the_papers_reason(data):
    plan = make_plan(task, "quick", [Source("simulated", len(data), data)], seed=0)
    assert "memory" in plan.skipped["dream_attn"]
    assert plan.models[:2] == ("bpnet_bias", "dream_cnn_keras")
    needs = {job.model: set(job.prerequisites) for job in plan.jobs}
    assert needs == {
        "bpnet_bias": set(), "bpnet": set(), "chrombpnet": {"bpnet_bias"},
        "dream_cnn_keras": {"bpnet_bias"}, "dream_rnn_keras": {"bpnet_bias"},
    }  # fmt: skip
    for fold in {job.test_fold for job in plan.jobs}:
        shared = {tuple(job.prerequisites.values()) for job in plan.jobs if job.test_fold == fold and job.prerequisites}
        assert len(shared) == 1, "all models of a split take one bias model"


def test_profiles_stay_on_disk_in_the_store(data, tmp_path):
    store = Store(tmp_path)
    digest = store.put_dataset(data)
    kept = store.get_dataset(data.name, digest)
    assert isinstance(kept.targets["profile"], np.memmap)
    assert kept.content_hash() == data.content_hash()
    rows = np.array([5, 3, 700])
    np.testing.assert_array_equal(np.asarray(kept.take(rows).targets["profile"]), data.targets["profile"][rows])
    twice = kept.take(rows).take(np.array([2]))
    np.testing.assert_array_equal(np.asarray(twice.codes), data.codes[[700]])


def test_shuffled_labels_stay_among_peaks_or_background(data):
    shuffled = data.with_shuffled_targets(0)
    is_peak = data.meta["is_peak"].to_numpy(bool)
    for rows in (is_peak, ~is_peak):
        before, after = data.targets["profile"][rows].sum(axis=1), shuffled.targets["profile"][rows].sum(axis=1)
        assert sorted(before) == sorted(after)
        assert not np.array_equal(before, after)


def test_wrong_folders_are_refused(tmp_path):
    with pytest.raises(BadInput, match="not a prepared folder"):
        task.load(tmp_path)
    with pytest.raises(BadInput, match=r"holds no prepared ATAC data.*prepare --task atac"):
        task.published(tmp_path)
    (tmp_path / "prepared.json").write_text("{")
    with pytest.raises(BadInput, match="damaged"):
        task.load(tmp_path)
    (tmp_path / "prepared.json").write_text('{"format": 99}')
    with pytest.raises(BadInput, match="format 99"):
        task.load(tmp_path)


def test_headlines_and_examples_are_drawn(data):
    """Every headline has scores to draw, and the example profiles name what they show."""
    split = next(task.splits(data.meta))
    test = data.take(split.test)
    rng = np.random.default_rng(0)
    predictions, parts = {}, []
    for model in ("chrombpnet", "bpnet"):
        predictions[model] = {
            "profile_logits": rng.normal(size=(len(test), 1000)).astype(np.float32),
            "log_counts": rng.normal(5, 1, len(test)).astype(np.float32),
        }
        for fold in range(3):
            about = {"task": "atac", "task_version": 1, "dataset": "simulated", "model": model, "run": model}
            about |= {"test_fold": fold, "val_fold": pd.NA, "role": "ensemble", "n_members": 1, "origin": "simulated"}
            noisy = {name: values + rng.normal(size=values.shape) for name, values in predictions[model].items()}
            parts.append(task.score(test, noisy).assign(**about))
    scores = pd.concat(parts, ignore_index=True).astype({"val_fold": "Int64"})
    tests = compare(scores, "chrombpnet")
    looks = {"labels": {"chrombpnet": "ChromBPNet", "bpnet": "BPNet"}, "order": ["bpnet", "chrombpnet"]}
    for output, subset, metric in task.HEADLINES:
        chosen = scores[(scores["output"] == output) & (scores["subset"] == subset)]
        figures.fold_scores(chosen, tests, metric=metric, level="region", ceilings=None, **looks)
    figure = profiles.counts(test, predictions, 1000, **looks)
    titles = [ax.get_title(loc="left") for ax in figure.get_axes()]
    peaks = test.meta["is_peak"].to_numpy(bool)
    observed = np.log1p(test.targets["profile"][peaks, 500:1500].sum(axis=1))
    r = stats.pearsonr(observed, predictions["bpnet"]["log_counts"][peaks])[0]
    assert titles[0] == f"BPNet\nr = {r:.3f}"
    assert titles[1].startswith("ChromBPNet")
    assert "SIMULATED" in "".join(text.get_text() for text in figure.texts)
    figure = profiles.examples(test, predictions, 1000, **looks)
    svg = style.to_svg(figure)
    assert "SIMULATED" in "".join(text.get_text() for text in figure.texts)
    axes = figure.get_axes()
    assert len(axes) == 4 * 3
    totals = [float(ax.get_title(loc="left").splitlines()[1].split()[0].replace(",", "")) for ax in axes[:4]]
    assert totals == sorted(totals, reverse=True)
    assert svg.lstrip().startswith("<")


def test_lower_distance_is_better(data):
    assert metrics.better("median_jsd") == "lower"
    assert {metrics.better(name) for name in ("median_norm_jsd", "one_minus_median_jsd")} == {"higher"}


def test_every_model_of_the_task_is_registered():
    assert {*task.MODELS, task.BASELINE, "bpnet_bias"} <= set(registry.models())
    assert {registry.model_entry(name).framework for name in ("chrombpnet", "dream_rnn_keras", "bpnet_bias")} == {
        "keras"
    }
