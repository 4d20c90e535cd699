"""Which windows of a profile task train, and how they are shown, against slow and independent calculations."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from benchmarks.api import profiles
from benchmarks.api.data import Dataset, RowsOnDisk, TaskSpec
from benchmarks.api.metrics import jsd, normalised_jsd
from benchmarks.api.sequences import decode
from benchmarks.training.profile_sampling import EpochWindows, NothingToTrainOn, choose_accessible, choose_background

SPEC = TaskSpec(20, profiles.OUTPUTS, "profile_counts", profile_len=10, max_jitter=4)


def windows(totals, is_peak, fits=None, *, seed=0):
    """Return random wide windows whose central profiles add up to the given totals."""
    rng, n = np.random.default_rng(seed), len(totals)
    profile = rng.integers(0, 9, (n, 18)).astype(np.uint16)  # the flanks must not count
    profile[:, 4:14] = [rng.multinomial(total, np.ones(10) / 10) for total in totals]
    meta = pd.DataFrame({"is_peak": np.uint8(is_peak), "fits_jitter": np.uint8(np.ones(n) if fits is None else fits)})
    return Dataset("w", rng.integers(0, 5, (n, 28), dtype=np.uint8), {"profile": profile}, meta, "simulated")


def quantile(values, q):
    """Interpolate between order statistics, as the textbook has it."""
    values = sorted(values)
    at = q * (len(values) - 1)
    low = int(at)
    return values[low] + (at - low) * (values[min(low + 1, len(values) - 1)] - values[low])


def test_totals_are_of_the_central_profile():
    data = windows([5, 0, 70], [1, 1, 0])
    assert profiles.total_counts(data, SPEC).tolist() == [5, 0, 70]


@pytest.fixture
def experiment():
    rng = np.random.default_rng(3)
    sets = []
    for n_peaks, n_others in ((60, 90), (20, 35)):
        totals = np.concatenate([rng.integers(80, 900, n_peaks), rng.integers(5, 120, n_others)])
        is_peak = np.arange(n_peaks + n_others) < n_peaks
        fits = np.where(is_peak, rng.random(len(totals)) < 0.9, 0)
        sets.append((totals, is_peak, fits.astype(bool)))
    return sets


def test_accessible_windows_lie_between_the_outlier_limits(experiment):
    (train_totals, train_peak, train_fits), (val_totals, val_peak, val_fits) = experiment
    train, val = windows(*experiment[0]), windows(*experiment[1], seed=1)
    found = choose_accessible(train, val, SPEC, negative_ratio=0.0, seed=7)
    pool = [*train_totals[train_peak & train_fits], *val_totals[val_peak & val_fits]]
    low, high = quantile(pool, 1 - 0.9999), quantile(pool, 0.9999)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.counts_weight == round(float(np.median([t for t in pool if low <= t <= high])) / 10, 2)

    def kept(totals, rows):
        return {i for i in np.flatnonzero(rows) if low < totals[i] < high}

    chosen = set(found.train)
    assert {i for i in chosen if train_peak[i]} == kept(train_totals, train_peak & train_fits)
    assert {i for i in found.val if val_peak[i]} == kept(val_totals, val_peak & val_fits)
    others = kept(train_totals, ~train_peak)
    assert {i for i in chosen if not train_peak[i]} <= others
    level_train, level_val = found.fit_level
    assert set(level_train) == others, "the bias level is fitted to all background, before thinning"
    assert set(level_val) == kept(val_totals, ~val_peak)


def test_background_is_thinned_to_the_number_of_peaks(experiment):
    train, val = windows(*experiment[0]), windows(*experiment[1], seed=1)
    found = choose_accessible(train, val, SPEC, negative_ratio=0.1, seed=7)
    is_peak = train.meta["is_peak"].to_numpy(bool)
    n_peaks = is_peak[found.train].sum() + val.meta["is_peak"].to_numpy(bool)[found.val].sum()
    n_others = (~is_peak[found.train]).sum()
    assert 0 < n_others <= n_peaks
    assert len(found.fit_level[0]) + len(found.fit_level[1]) > n_peaks, "there was something to thin"
    val_is_peak = val.meta["is_peak"].to_numpy(bool)[found.val]
    assert (~val_is_peak).sum() == int(0.1 * val_is_peak.sum())
    again = choose_accessible(train, val, SPEC, negative_ratio=0.1, seed=7)
    assert np.array_equal(found.train, again.train)
    assert np.array_equal(found.val, again.val)


def test_the_sample_of_background_enters_the_limits(experiment):
    train, val = windows(*experiment[0]), windows(*experiment[1], seed=1)
    without = choose_accessible(train, val, SPEC, negative_ratio=0.0, seed=7)
    sampled = choose_accessible(train, val, SPEC, negative_ratio=0.5, seed=7)
    assert sampled.low < without.low
    assert sampled.counts_weight < without.counts_weight


def test_the_weight_of_counts_is_at_least_one():
    totals = [*range(1, 8), *range(1, 8)]
    train = windows(totals, [1] * 7 + [0] * 7)
    found = choose_accessible(train, windows(totals, [1] * 7 + [0] * 7), SPEC, negative_ratio=0.1, seed=0)
    assert found.counts_weight == 1.0


@pytest.mark.parametrize("factor", [0.5, 0.8])
def test_a_bias_model_trains_on_background_below_the_threshold(experiment, factor):
    (train_totals, train_peak, _), (val_totals, val_peak, _) = experiment
    train, val = windows(*experiment[0]), windows(*experiment[1], seed=1)
    found = choose_background(train, val, SPEC, threshold_factor=factor)
    threshold = factor * quantile([*train_totals[train_peak], *val_totals[val_peak]], 0.01)
    below = [t for t in [*train_totals[~train_peak], *val_totals[~val_peak]] if t < threshold]
    low, high = quantile(below, 1 - 0.9999), quantile(below, 0.9999)
    assert set(found.train) == {i for i in np.flatnonzero(~train_peak) if low < train_totals[i] < high}
    assert set(found.val) == {i for i in np.flatnonzero(~val_peak) if low < val_totals[i] < high}
    survivors = [t for t in below if low < t < high]
    assert found.counts_weight == max(1.0, round(float(np.median(survivors)) / 10, 2))


def test_nothing_to_train_on_is_said():
    peaks_alone = windows([100, 90, 80], [1, 1, 1])
    with pytest.raises(NothingToTrainOn, match=r"threshold_factor"):
        choose_background(peaks_alone, peaks_alone, SPEC, threshold_factor=0.5)
    background = windows([3, 4, 5], [0, 0, 0])
    with pytest.raises(NothingToTrainOn, match="peak"):
        choose_background(background, background, SPEC, threshold_factor=0.5)
    with pytest.raises(NothingToTrainOn, match="peak"):
        choose_accessible(background, background, SPEC, negative_ratio=0.1, seed=0)


def test_background_without_reads_is_no_matter_of_the_factor():
    totals, is_peak = [100, 90, 80, *[0] * 300], [1] * 3 + [0] * 300
    train = windows(totals, is_peak)
    with pytest.raises(NothingToTrainOn, match=r"0 of its 600 windows have any, 0 in all\. Raising"):
        choose_background(train, train, SPEC, threshold_factor=0.5)
    few = windows([100, 90, 80, 7, *[0] * 299], is_peak)
    with pytest.raises(NothingToTrainOn, match=r"1 of its 600 windows have any, 7 in all"):
        choose_background(few, train, SPEC, threshold_factor=0.5)


COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def slow_window(data, row, start, turned):
    """Cut one window with Python's own slices."""
    text = decode(data.codes[row][None])[0][start : start + SPEC.seq_len]
    profile = list(data.targets["profile"][row][start : start + SPEC.profile_len])
    return (text.translate(COMPLEMENT)[::-1], profile[::-1]) if turned else (text, profile)


@pytest.mark.parametrize("on_disk", [False, True])
def test_an_epoch_is_cut_as_a_slow_loop_cuts_it(on_disk, tmp_path):
    data = windows(np.arange(60) + 20, np.arange(60) < 40)
    if on_disk:
        np.save(tmp_path / "codes.npy", data.codes)
        np.save(tmp_path / "profile.npy", data.targets["profile"])
        mapped = Dataset(
            "m",
            np.load(tmp_path / "codes.npy", mmap_mode="r"),
            {"profile": np.load(tmp_path / "profile.npy", mmap_mode="r")},
            data.meta,
            "simulated",
        )
        rows = np.random.default_rng(0).permutation(60)
        data, mapped = data.take(rows), mapped.take(rows)
        assert isinstance(mapped.codes, RowsOnDisk)
    epoch = EpochWindows(mapped if on_disk else data, SPEC, jitter=4, negative_ratio=0.25)
    assert len(epoch) == 40 + 10
    epoch.draw(np.random.default_rng(1))
    positions = np.random.default_rng(2).permutation(50)
    codes, profile = epoch.batch(positions)
    for i, position in enumerate(positions):
        text, counts = slow_window(data, epoch.rows[position], epoch.start[position], epoch.reversed[position])
        assert decode(codes[i][None])[0] == text
        assert profile[i].tolist() == counts


def test_what_an_epoch_draws():
    data = windows(np.arange(300) + 20, np.arange(300) < 101)
    epoch = EpochWindows(data, SPEC, jitter=4, negative_ratio=0.1)
    starts, pairs = Counter(), []
    for number in range(40):
        epoch.draw(np.random.default_rng([0, number]))
        assert len(epoch) == 101 + 10
        assert epoch.reversed.sum() == 55, "half of all, rounded down"
        assert epoch.rows[:101].tolist() == list(range(101)), "every peak, once"
        others = epoch.rows[101:]
        assert len(set(others)) == 10
        assert (others >= 101).all()
        assert (epoch.start[101:] == 4).all(), "background is not shifted"
        starts.update(epoch.start[:101].tolist())
        pairs.append((tuple(others), tuple(np.flatnonzero(epoch.reversed))))
    assert set(starts) == set(range(9)), "shifts reach both ends"
    assert stats.chisquare(list(starts.values())).pvalue > 1e-4
    assert len(set(pairs)) == 40, "every epoch is drawn anew"


def test_without_peaks_every_window_is_shown_once():
    epoch = EpochWindows(windows(range(20, 50), [0] * 30), SPEC, jitter=0, negative_ratio=0.1)
    epoch.draw(np.random.default_rng(5))
    assert sorted(epoch.rows) == list(range(30))
    assert epoch.reversed.sum() == 15


def test_more_jitter_than_windows_are_cut_for_is_refused():
    with pytest.raises(ValueError, match="up to 4 bp, not 5"):
        EpochWindows(windows([5, 6], [1, 0]), SPEC, jitter=5, negative_ratio=0.1)


def test_the_profile_loss_is_scipys_multinomial():
    rng = np.random.default_rng(0)
    counts, logits = rng.poisson(3, (6, 50)), rng.normal(size=(6, 50))
    counts[2] = 0
    expected = [
        -stats.multinomial.logpmf(k, int(k.sum()), np.exp(z) / np.exp(z).sum())
        for k, z in zip(counts, logits, strict=True)
    ]
    assert profiles.multinomial_nll(counts, logits) == pytest.approx(expected, rel=1e-10, abs=1e-9)


def test_the_profile_distance_is_that_of_the_published_scorer():
    rng = np.random.default_rng(0)
    observed = rng.poisson(0.4, (40, 1000)).astype(float)
    observed[3] = 0
    predicted = rng.dirichlet(np.ones(1000), 40)
    found = jsd(observed, predicted)
    expected = np.array([jensenshannon(o / (0.001 + o.sum()), p) for o, p in zip(observed, predicted, strict=True)])
    assert np.isnan(found[3])
    assert np.isnan(expected[3])
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert np.nanmax(found) < np.sqrt(np.log(2)) + 1e-12

    worst = np.array([jensenshannon(o, np.ones(1000) / 1000) if o.sum() else np.nan for o in observed])
    by_hand = np.clip((expected - worst) / (0 - worst), 0, 1)
    assert normalised_jsd(observed, found) == pytest.approx(by_hand, abs=1e-12, nan_ok=True)


def test_rows_on_disk_behave_as_the_rows_they_stand_for():
    base = np.arange(40).reshape(10, 4)
    rows = RowsOnDisk(base, np.array([7, 2, 2, 9]))
    assert (len(rows), rows.shape, rows.ndim, rows.dtype) == (4, (4, 4), 2, base.dtype)
    assert rows[1:3].tolist() == base[[2, 2]].tolist()
    assert rows[np.array([3, 0])].tolist() == base[[9, 7]].tolist()
    assert np.asarray(rows).tolist() == base[[7, 2, 2, 9]].tolist()
    for index in ((slice(None), slice(1, 3)), (2, 1), (slice(1, 3), 0), (np.array([0, 3]), slice(None, None, -1))):
        np.testing.assert_array_equal(rows[index], np.asarray(rows)[index])
