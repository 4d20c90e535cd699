"""Folds that keep groups whole, and the nested test and validation folds made from them."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from benchmarks.api.data import Split
from benchmarks.api.sequences import canonical_forms, comparable_rows, first_appearance_ids


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


def numbered_by_content(groups: np.ndarray, codes: np.ndarray, reversed_codes: np.ndarray) -> np.ndarray:
    """Number groups by the smallest sequence in each, so that folds drawn of them do not depend on the order of rows.

    >>> codes = np.array([[3, 3], [0, 1], [2, 2]], dtype=np.uint8)
    >>> numbered_by_content(np.array([7, 8, 8]), codes, codes)
    array([1, 0, 0])

    Parameters
    ----------
    groups
        (n,) int; equal sequences, and those that are each other's reverse form, are in one group.
    codes, reversed_codes
        (n, seq_len) uint8: every sequence and its reverse form.
    """
    canonical, _ = canonical_forms(codes, reversed_codes)
    order = np.argsort(comparable_rows(canonical), kind="stable")
    result = np.empty(len(groups), dtype=np.int64)
    result[order] = first_appearance_ids(groups[order])
    return result


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


def overlapping(chrom: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Number the stretches of each chromosome that windows cover without a gap; (n,) int64.

    Parameters
    ----------
    chrom
        (n,) text.
    start, end
        (n,) int, 1-based and inclusive.
    """
    order = np.lexsort((start, chrom))
    chrom, start, end = chrom[order], start[order], end[order]
    new = np.ones(len(chrom), dtype=bool)
    new[1:] = chrom[1:] != chrom[:-1]
    first = np.flatnonzero(new)
    for left, right in zip(first, [*first[1:], len(chrom)], strict=True):
        reached = np.maximum.accumulate(end[left:right])
        new[left + 1 : right] |= start[left + 1 : right] > reached[:-1]
    result = np.empty(len(chrom), dtype=np.int64)
    result[order] = np.cumsum(new) - 1
    return result


def blocks(groups: np.ndarray, start: np.ndarray, n_blocks: int, is_cut: np.ndarray) -> np.ndarray:
    """Cut rows into blocks of near-equal size along a coordinate, never through a group; (n,) int8 from 0.

    >>> blocks(np.array([0, 0, 1, 2, 3]), np.array([30, 40, 10, 20, 0]), 2, np.array([1, 1, 1, 1, 0], dtype=bool))
    array([ 1,  1,  0,  0, -1], dtype=int8)

    Parameters
    ----------
    groups
        (n,) int; the first row of a group along the coordinate places it.
    start
        (n,) numbers.
    is_cut
        (n,) bool, the rows that are cut; others are in the block of their group, or in none, -1.

    Raises
    ------
    ValueError
        If there are fewer groups than blocks.
    """
    first = pd.Series(start[is_cut]).groupby(groups[is_cut]).min().sort_values(kind="stable")
    if len(first) < n_blocks:
        raise ValueError(f"{n_blocks} blocks need at least as many groups, got {len(first)}")
    rows = pd.Series(groups[is_cut]).value_counts().reindex(first.index).to_numpy()
    middle = np.cumsum(rows) - rows / 2
    block = np.minimum((middle * n_blocks / rows.sum()).astype(int), n_blocks - 1)
    return pd.Series(groups).map(pd.Series(block, index=first.index)).fillna(-1).to_numpy(dtype=np.int8)


def nested_splits(folds: np.ndarray) -> Iterator[Split]:
    """Give every ordered (test, validation) pair of folds, (n,) int; the others, and rows below 0, train.

    >>> [(split.name, split.train.tolist()) for split in nested_splits(np.array([0, 1, 2]))][:2]
    [('test-00_val-01', [2]), ('test-00_val-02', [1])]

    Source: Rafi et al. 2024, Methods: per test fold one model for each remaining fold as validation.
    """
    present = np.unique(folds[folds >= 0])
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
