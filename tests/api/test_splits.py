"""Folds by group and the nested test and validation folds, against counting by hand."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from benchmarks.api import splits


def groups_of_mixed_size(seed, n_groups=137):
    rng = np.random.default_rng(seed)
    ids = rng.choice(10**12, n_groups, replace=False) - 10**6  # neither dense nor all positive
    return rng.permutation(np.repeat(ids, rng.integers(1, 4, n_groups)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_folds", [3, 10])
def test_assigned_folds_keep_groups_whole_and_sizes_even(seed, n_folds):
    groups = groups_of_mixed_size(seed)
    folds = splits.assign_folds(groups, n_folds, seed=seed)
    by_group = pd.Series(folds).groupby(groups)
    assert by_group.nunique().eq(1).all()
    sizes = by_group.first().value_counts()
    assert sorted(sizes.index) == list(range(n_folds))
    assert sizes.max() - sizes.min() <= 1


def test_assigned_folds_repeat_by_seed_and_differ_between_seeds():
    groups = groups_of_mixed_size(0)
    first, again, other = (splits.assign_folds(groups, 10, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5  # chance agreement of ten folds is one in ten


def test_assigned_folds_do_not_follow_the_order_of_the_groups():
    folds = splits.assign_folds(np.arange(1000), 10, seed=0)
    in_turn = np.arange(1000) % 10
    assert 0.02 < (folds == in_turn).mean() < 0.25


def test_a_fold_per_group_is_the_least():
    assert sorted(splits.assign_folds(np.arange(10), 10, seed=3)) == list(range(10))


@pytest.mark.parametrize("groups", [np.repeat(np.arange(9), 5), np.array([], dtype=np.int64)])
def test_fewer_groups_than_folds_are_refused(groups):
    with pytest.raises(ValueError, match=rf"10 folds .* got {len(set(groups))}"):
        splits.assign_folds(groups, 10, seed=0)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [([0, 0, 1, 1, 2, 2], 0), ([0, 1, 1, 1, 2, 2], 1), ([0, 1, 2, 0, 3, 3], 2), (["a", "a", "a", "b", "c", "d"], 2)],
)
def test_parted_groups_are_counted_once_each(parts, expected):
    assert splits.n_parted(np.array([5, 5, 7, 7, 9, 9]), np.array(parts, dtype=object)) == expected


@pytest.mark.parametrize("seed", range(3))
def test_parted_groups_agree_with_pandas(seed):
    rng = np.random.default_rng(seed)
    groups, parts = rng.integers(0, 60, 150), rng.choice(["train", "val", "test"], 150, p=[0.8, 0.1, 0.1])
    assert splits.n_parted(groups, parts) == pd.Series(parts).groupby(groups).nunique().gt(1).sum()


def test_nested_splits_of_three_folds_by_hand():
    found = [
        (s.test_fold, s.val_fold, s.train.tolist(), s.val.tolist(), s.test.tolist())
        for s in splits.nested_splits(np.array([4, 7, 5, 4]))
    ]
    assert found == [
        (4, 5, [1], [2], [0, 3]),
        (4, 7, [2], [1], [0, 3]),
        (5, 4, [1], [0, 3], [2]),
        (5, 7, [0, 3], [1], [2]),
        (7, 4, [2], [0, 3], [1]),
        (7, 5, [0, 3], [2], [1]),
    ]


def test_nested_splits_are_every_ordered_pair_of_ten_folds():
    folds = np.random.default_rng(0).permutation(np.arange(200) % 10)
    nested = list(splits.nested_splits(folds))
    assert [(s.test_fold, s.val_fold) for s in nested] == list(permutations(range(10), 2))
    assert len(nested) == 90
    for s in nested:
        assert sorted(np.concatenate([s.train, s.val, s.test])) == list(range(200))  # complete, and each row once
        assert set(folds[s.test]) == {s.test_fold}
        assert set(folds[s.val]) == {s.val_fold}
        assert set(folds[s.train]) == set(range(10)) - {s.test_fold, s.val_fold}


def test_split_names_sort_like_their_folds_and_are_distinct():
    names = [s.name for s in splits.nested_splits(np.arange(12))]
    assert names[:2] == ["test-00_val-01", "test-00_val-02"]
    assert names == sorted(set(names))
