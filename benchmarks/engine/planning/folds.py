"""The rows that a fold trains on, selects by and tests on."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.api.data import Dataset, Split
from benchmarks.api.task import Task


def find_split(task: Task, dataset: Dataset, test_fold: int, val_fold: int) -> Split:
    """Return one split of a dataset by its folds."""
    return next(s for s in task.splits(dataset.meta) if (s.test_fold, s.val_fold) == (test_fold, val_fold))


@dataclass(frozen=True)
class FoldRows:
    """The rows of a dataset that a test fold scores, and those that its trainings learn from or choose an epoch by."""

    test_fold: int
    test: np.ndarray
    train: np.ndarray
    val: np.ndarray


def fold_rows(task: Task, dataset: Dataset, wanted: Collection[tuple[int, int]] | None = None) -> Iterator[FoldRows]:
    """Put the splits of every test fold together, of `wanted` (test, validation) folds or all; masks of (n,) bool."""
    by_fold: dict[int, FoldRows] = {}
    for split in task.splits(dataset.meta):
        if wanted is None or (split.test_fold, split.val_fold) in wanted:
            nothing = (np.zeros(len(dataset), bool) for _ in range(3))
            rows = by_fold.setdefault(split.test_fold, FoldRows(split.test_fold, *nothing))
            rows.test[split.test] = rows.train[split.train] = rows.val[split.val] = True
    yield from by_fold.values()
