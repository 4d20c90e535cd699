"""The k-mer ridge: counts by a dictionary, weights by the closed formula, and the floor it sets."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from baselines import kmer_ridge
from benchmarks.api import sequences
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.human_mpra import task

SPEC = TaskSpec(seq_len=30, outputs=("expression",))


def turned(text):
    return text[::-1].translate(str.maketrans("ACGTN", "TGCAN"))


def random_texts(n, length, *, seed=0, letters="ACGT"):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(letters), length)) for _ in range(n)]


def dataset(texts, **targets):
    codes = sequences.encode(texts, len(texts[0]))
    targets = {name: np.asarray(values, dtype=np.float32) for name, values in targets.items()}
    return Dataset("x", codes, targets, pd.DataFrame(index=range(len(texts))), "simulated")


def learnable(n, *, seed, outputs=("expression",)):
    """Return sequences whose values depend on how often GC and AA stand in them, with a little noise."""
    texts = random_texts(n, 30, seed=seed)
    noise = np.random.default_rng(seed).normal(0, 0.3, (len(outputs), n))
    signal = np.array([text.count("GC") - 0.5 * (text.count("AA") + text.count("TT")) for text in texts])
    return dataset(texts, **{name: (1 + i) * signal + noise[i] for i, name in enumerate(outputs)})


def model(**changes):
    recipe = kmer_ridge.RidgeRecipe(**({"k": 2, "min_alpha": 0.1, "max_alpha": 1000.0, "n_alphas": 5} | changes))
    return kmer_ridge.build(SPEC, recipe, {})


def counts_by_hand(text, k):
    """Count words and their reverse complements as one; words with N not at all."""
    words = (text[i : i + k] for i in range(len(text) - k + 1))
    return Counter(min(word, turned(word)) for word in words if "N" not in word)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_counts_agree_with_a_dictionary(k):
    texts = random_texts(30, 40, letters="ACGTACGTACGTN")
    counts = kmer_ridge.kmer_counts(sequences.encode(texts, 40), k)
    assert counts.shape == (30, 4**k)
    by_hand = [counts_by_hand(text, k) for text in texts]
    # A column belongs to one word: matching it to words needs no knowledge of the order of columns.
    columns = sorted(map(tuple, counts.toarray().T[counts.toarray().any(axis=0)].tolist()))
    expected = sorted(tuple(float(row[word]) for row in by_hand) for word in set().union(*by_hand))
    assert columns == expected


def test_counts_are_those_of_both_strands_as_one():
    texts = random_texts(20, 40)
    both = [kmer_ridge.kmer_counts(sequences.encode(t, 40), 4).toarray() for t in (texts, list(map(turned, texts)))]
    np.testing.assert_array_equal(*both)


def test_a_sequence_of_n_has_no_words():
    assert kmer_ridge.kmer_counts(sequences.encode(["N" * 40], 40), 3).nnz == 0


def test_there_are_as_many_words_as_pairs_of_strands():
    # Of the 4**6 words of six, 4**3 are their own reverse complement: (4096 + 64) / 2 = 2080 columns can be used.
    counts = kmer_ridge.kmer_counts(sequences.encode(random_texts(400, 230), 230), 6)
    assert np.unique(counts.indices).size == 2080


def closed_form(train, test, alpha, k):
    """Solve ridge with an unpenalised intercept: centre, then (X'X + alpha I) w = X'y."""
    x, x_test = (kmer_ridge.kmer_counts(data.codes, k).toarray().astype(float) for data in (train, test))
    y = train.targets["expression"].astype(float)
    centred = x - x.mean(axis=0)
    weights = np.linalg.solve(centred.T @ centred + alpha * np.eye(x.shape[1]), centred.T @ (y - y.mean()))
    return y.mean() + (x_test - x.mean(axis=0)) @ weights


@pytest.mark.parametrize("alpha", [1.0, 100.0])
def test_predictions_agree_with_the_closed_formula(alpha):
    train, val, test = (learnable(n, seed=seed) for n, seed in ((200, 1), (50, 2), (60, 3)))
    ridge = model(min_alpha=alpha, max_alpha=alpha, n_alphas=1)
    ridge.fit(train, val, seed=0)
    predicted = ridge.predict(test.without_targets())["expression"]
    assert predicted.dtype == np.float32
    np.testing.assert_allclose(predicted, closed_form(train, test, alpha, 2), atol=0.01)


def test_the_penalty_with_best_validation_correlation_is_kept():
    train, val = learnable(60, seed=1), learnable(80, seed=2)
    ridge = model(k=3)
    history = ridge.fit(train, val, seed=0)
    alphas = [0.1, 1.0, 10.0, 100.0, 1000.0]
    assert [row["alpha"] for row in history] == pytest.approx(alphas)
    r = [stats.pearsonr(val.targets["expression"], closed_form(train, val, alpha, 3)).statistic for alpha in alphas]
    assert [row["val_pearson_r"] for row in history] == pytest.approx(r, abs=0.01)
    assert [row["is_best"] for row in history] == [i == int(np.argmax(r)) for i in range(5)]
    kept = ridge.predict(val)["expression"].astype(float)
    best = next(row for row in history if row["is_best"])
    assert stats.pearsonr(val.targets["expression"], kept).statistic == pytest.approx(best["val_pearson_r"], abs=1e-6)
    assert np.square(kept - val.targets["expression"]).mean() == pytest.approx(best["val_loss"], rel=1e-4)


def test_history_counts_epochs_from_one_and_reports_each():
    seen = []
    history = model().fit(learnable(60, seed=1), learnable(40, seed=2), seed=0, on_epoch=seen.append)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5]
    assert [row["epoch"] for row in seen] == [1, 2, 3, 4, 5]
    assert all(np.isfinite(row[name]) for row in history for name in ("train_loss", "val_loss", "seconds"))
    # A larger penalty never fits the training rows better.
    losses = [row["train_loss"] for row in history]
    assert losses == sorted(losses)


def test_several_outputs_are_learnt_side_by_side():
    outputs = ("dev", "hk")
    ridge = model()
    ridge.fit(learnable(300, seed=1, outputs=outputs), learnable(60, seed=2, outputs=outputs), seed=0)
    test = learnable(60, seed=3, outputs=outputs)
    predicted = ridge.predict(test.without_targets())
    assert tuple(predicted) == outputs
    assert all(stats.pearsonr(predicted[name], test.targets[name]).statistic > 0.8 for name in outputs)
    slope = np.polyfit(predicted["dev"], predicted["hk"], 1)[0]
    assert slope == pytest.approx(2, abs=0.3)  # the second output is twice the first


def test_nothing_in_it_is_random():
    train, val, test = (learnable(n, seed=seed) for n, seed in ((100, 1), (40, 2), (30, 3)))
    predictions = []
    for seed in (0, 1):
        ridge = model()
        ridge.fit(train, val, seed=seed)
        predictions.append(ridge.predict(test)["expression"])
    np.testing.assert_array_equal(*predictions)


def test_a_row_is_predicted_alike_alone_and_among_others():
    ridge = model()
    ridge.fit(learnable(100, seed=1), learnable(40, seed=2), seed=0)
    test = learnable(20, seed=3)
    one_by_one = [ridge.predict(test.take(np.array([i])))["expression"][0] for i in range(20)]
    np.testing.assert_allclose(ridge.predict(test)["expression"], one_by_one, rtol=1e-6)


def test_saved_and_loaded_it_predicts_the_same(tmp_path):
    ridge, restored = model(), model()
    ridge.fit(learnable(100, seed=1), learnable(40, seed=2), seed=0)
    ridge.save(tmp_path)
    restored.load(tmp_path)
    test = learnable(20, seed=3)
    np.testing.assert_array_equal(restored.predict(test)["expression"], ridge.predict(test)["expression"])
    assert restored.n_params == ridge.n_params


def test_parameters_are_the_words_in_use_and_the_intercept():
    ridge = model()
    ridge.fit(learnable(200, seed=1), learnable(40, seed=2), seed=0)
    # Ten pairs of strands among the 16 words of two: (16 + 4) / 2.
    assert ridge.n_params == 10 + 1


def test_a_step_fits_the_given_rows_at_the_middle_penalty():
    train = learnable(100, seed=1)
    ridge = model(min_alpha=1.0, max_alpha=100.0)
    ridge.prepare(train, n_steps=1)
    rows = np.arange(10, 50)
    part = train.take(rows)
    expected = np.square(closed_form(part, part, 10.0, 2) - part.targets["expression"]).mean()
    assert ridge.train_batch(rows) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("head", "supported"), [("regression", True), ("soft_classification", True), ("profile_counts", False)]
)
def test_profiles_are_declined_with_a_reason(head, supported):
    reason = kmer_ridge.unsupported(TaskSpec(seq_len=30, outputs=("x",), head=head))
    assert (reason is None) == supported
    if not supported:
        assert "profile" in reason


@pytest.fixture(scope="module")
def correlations():
    """Fit the default ridge to the embedded experiment and to its negative control; r per test fold, five folds."""
    measured = task.simulate(seed=0)
    control = measured.with_shuffled_targets(seed=0)
    found = {}
    for name, data in (("measured", measured), ("control", control)):
        splits = [s for s in task.splits(data.meta) if s.test_fold < 5 and s.val_fold == s.test_fold + 1]
        found[name] = []
        for split in splits:
            ridge = kmer_ridge.build(task.SPEC, kmer_ridge.RECIPE, {})
            ridge.fit(data.take(split.train), data.take(split.val), seed=0)
            predicted = ridge.predict(data.take(split.test).without_targets())["expression"]
            found[name].append(stats.pearsonr(data.targets["expression"][split.test], predicted).statistic)
    return found, measured.ceilings[0]["value"]


def test_the_lower_bound_lies_between_chance_and_noise_ceiling(correlations):
    """On simulated data."""
    found, ceiling = correlations
    assert np.mean(found["measured"]) >= 0.2
    assert max(found["measured"]) < ceiling


def test_shuffled_labels_teach_nothing(correlations):
    found, _ = correlations
    assert abs(np.mean(found["control"])) < 0.1
