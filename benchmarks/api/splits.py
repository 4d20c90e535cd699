"""Folds that keep groups whole, and the nested test and validation folds made from them."""

from collections.abc import Iterator

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from benchmarks.api.data import Split


def assign_folds(groups: np.ndarray, n_folds: int, *, seed: int) -> np.ndarray:
    """Deal groups of sequences into folds that hold near-equal numbers of groups.

    >>> folds = assign_folds(np.array([5, 5, 8, 9]), 3, seed=0)
    >>> bool(folds[0] == folds[1]), sorted(set(folds.tolist()))
    (True, [0, 1, 2])

    Source: Rafi et al. 2024, Methods, "Human MPRA models" (a sequence and its reverse complement stay together).

    Parameters
    ----------
    groups
        (n,) int, one id per sequence.

    Returns
    -------
    (n,) int8, fold 0 .. n_folds - 1. Repeatable for one numpy version: published folds are stored, not redrawn.

    Raises
    ------
    ValueError
        If there are fewer groups than folds.
    """
    _, inverse = np.unique(groups, return_inverse=True)
    n_groups = inverse.max() + 1 if len(inverse) else 0
    if n_groups < n_folds:
        raise ValueError(f"{n_folds} folds need at least as many groups, got {n_groups}")
    fold_of_group = np.random.default_rng(seed).permutation(n_groups) % n_folds
    return fold_of_group[inverse].astype(np.int8)


def n_parted(groups: np.ndarray, parts: np.ndarray) -> int:
    """Count groups whose members lie in more than one part (fold, or set of a split); both arrays are (n,).

    >>> n_parted(np.array([1, 1, 2, 2]), np.array(["train", "test", "val", "val"]))
    1
    """
    pairs = np.unique(np.stack([groups, np.unique(parts, return_inverse=True)[1]], axis=1), axis=0)
    return int((np.unique(pairs[:, 0], return_counts=True)[1] > 1).sum())


def joined_groups(*groupings: np.ndarray) -> np.ndarray:
    """Join groups that share a member in any of several groupings of the same rows; (n,) int64 ids from 0.

    >>> joined_groups(np.array([0, 0, 1, 2]), np.array([7, 8, 8, 9]))
    array([0, 0, 0, 1])
    """
    n_rows, offset, edges = len(groupings[0]), len(groupings[0]), []
    for groups in groupings:
        _, inverse = np.unique(groups, return_inverse=True)
        edges.append((np.arange(n_rows), inverse + offset))
        offset += int(inverse.max()) + 1 if n_rows else 0
    rows, nodes = (np.concatenate(part) for part in zip(*edges, strict=True))
    graph = sparse.coo_array((np.ones(len(rows)), (rows, nodes)), shape=(offset, offset))
    return connected_components(graph, directed=False)[1][:n_rows].astype(np.int64)


def nested_splits(folds: np.ndarray) -> Iterator[Split]:
    """Give every ordered (test, validation) pair of folds, (n,) int; the other folds train.

    >>> [(split.name, split.train.tolist()) for split in nested_splits(np.array([0, 1, 2]))][:2]
    [('test-00_val-01', [2]), ('test-00_val-02', [1])]

    Source: Rafi et al. 2024, Methods: per test fold one model for each remaining fold as validation.
    """
    present = np.unique(folds)
    for test_fold in present:
        for val_fold in present[present != test_fold]:
            is_test, is_val = folds == test_fold, folds == val_fold
            yield Split(
                int(test_fold),
                int(val_fold),
                train=np.flatnonzero(~is_test & ~is_val),
                val=np.flatnonzero(is_val),
                test=np.flatnonzero(is_test),
            )
