"""Dataset, Split and TaskSpec: arrays and plain values, no framework types."""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmarks import renamed

Origin = Literal["measured", "simulated"]


@dataclass(frozen=True)
class Dataset:
    """Sequences with what was measured of them.

    Parameters
    ----------
    name
        As published (`K562`), or the stem of the user's file.
    codes
        (n, seq_len) uint8, see `sequences`; may be memory-mapped. Of profile tasks, `TaskSpec.max_jitter` wider on
        either side, and their profiles too.
    targets
        Name -> (n,) float, NaN where a value is missing, or (n, profile_len) counts; empty where a model must not see
        them.
    meta
        n rows: what splitting, scoring and side channels need (fold, group, is_reverse, chrom …); `weight`, where it is
        there, is what a row counts for in training.
    origin
        `measured` or `simulated`; every table and figure made from the data says which.
    ceilings
        Noise ceilings, rows of output, level, metric, value, basis; empty where nothing is known.
    notes
        Sentences a reader of the report must know: what was assumed, dropped, collapsed.
    tables
        What scoring needs beside one row per sequence (pairs of test sequences), by name; holds nothing measured.
    accounts
        What was read of each input file, as plain values (`Account.to_dict`); `notes` say the same in sentences.
    """

    name: str
    codes: np.ndarray
    targets: Mapping[str, np.ndarray]
    meta: pd.DataFrame
    origin: Origin
    ceilings: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    accounts: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.codes.dtype != np.uint8 or self.codes.ndim != 2:
            raise TypeError(f"codes must be (n, seq_len) uint8, got {self.codes.shape} {self.codes.dtype}")
        for what, n in [("meta", len(self.meta)), *((k, len(v)) for k, v in self.targets.items())]:
            if n != len(self.codes):
                raise ValueError(f"{what} has {n} rows, codes have {len(self.codes)}")
        if self.origin not in ("measured", "simulated"):
            raise ValueError(f"origin must be 'measured' or 'simulated', got {self.origin!r}")

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: np.ndarray) -> "Dataset":
        """Return the given rows, (m,) int, in the given order.

        >>> data = Dataset("two", np.zeros((2, 4), np.uint8), {}, pd.DataFrame({"id": ["a", "b"]}), "simulated")
        >>> data.take(np.array([1])).meta["id"].tolist()
        ['b']

        Windows of profile tasks that are memory-mapped stay on disk (`RowsOnDisk`): there may be more than fit.
        """
        on_disk = any(values.ndim == 2 for values in self.targets.values()) or isinstance(self.codes, RowsOnDisk)
        taken = _taken_on_disk if on_disk else lambda array, rows: array[rows]
        return dataclasses.replace(
            self,
            codes=taken(self.codes, rows),
            targets={name: taken(values, rows) for name, values in self.targets.items()},
            meta=self.meta.iloc[rows].reset_index(drop=True),
        )

    def without_elements(self, unwanted: np.ndarray, column: str | None = None) -> tuple["Dataset", np.ndarray]:
        """Leave out rows, each with all rows that have its value in a column of meta; return the rest and its rows.

        Parameters
        ----------
        unwanted
            (n,) bool.
        column
            What tells the rows of an element, such as its two orientations; None: every row is one.
        """
        if column is not None:
            element = self.meta[column].to_numpy()
            unwanted = np.isin(element, element[unwanted])
        rows = np.flatnonzero(~unwanted)
        return self.take(rows), rows

    def without_targets(self) -> "Dataset":
        """Return the same sequences with nothing measured, so that no model sees what it is scored on."""
        return dataclasses.replace(self, targets={})

    def with_shuffled_targets(self, seed: int) -> "Dataset":
        """Return a negative control: one permutation applied to all targets, sequences left in place.

        Rows that differ in `meta["part"]` or `meta["is_peak"]`, where that exists, are on different scales and are not
        mixed.
        """
        rng, order = np.random.default_rng(seed), np.arange(len(self))
        kind = next((name for name in ("part", "is_peak") if name in self.meta), None)
        part = self.meta[kind].to_numpy() if kind else np.zeros(len(self))
        for value in np.unique(part):
            rows = np.flatnonzero(part == value)
            order[rows] = rows[rng.permutation(len(rows))]
        note = f"NEGATIVE CONTROL: the targets were shuffled (seed {seed}); no model can score above chance."
        return dataclasses.replace(
            self,
            name=f"{self.name}_shuffled_labels",
            targets={name: values[order] for name, values in self.targets.items()},
            ceilings=(),
            notes=(*self.notes, note),
        )

    def content_hash(self) -> str:
        """Return a SHA-256 of codes, targets, meta and tables: what training and scoring depend on."""
        digest = hashlib.sha256(f"{self.origin} {self.codes.shape}".encode())
        digest.update(np.ascontiguousarray(self.codes).data)
        for name in sorted(self.targets):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self.targets[name]).data)
        for name, table in (("", self.meta), *sorted(self.tables.items())):
            digest.update(" ".join((*filter(None, [name]), *map(str, table.columns))).encode())
            digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy())
        return digest.hexdigest()


class RowsOnDisk:
    """Some rows of a memory-mapped array, read when they are indexed.

    Parameters
    ----------
    base
        The whole array.
    rows
        (n,) int, rows of `base` in the order that this array has them.
    """

    def __init__(self, base: np.ndarray, rows: np.ndarray):
        self.base, self.rows = base, np.asarray(rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """As of the array that these rows would make."""
        return (len(self.rows), *self.base.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self.base.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.base.ndim

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        first, *rest = index if isinstance(index, tuple) else (index,)
        rows = self.rows[first]
        return np.asarray(self.base[rows])[(*(slice(None),) * rows.ndim, *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.base[self.rows], dtype=dtype)


def _taken_on_disk(array: Any, rows: np.ndarray) -> Any:
    if isinstance(array, RowsOnDisk):
        return RowsOnDisk(array.base, array.rows[rows])
    return RowsOnDisk(array, rows) if isinstance(array, np.memmap) else array[rows]


@dataclass(frozen=True)
class Split:
    """One training: which rows train, select and test. Fold numbers name it; indices are int64 row numbers."""

    test_fold: int
    val_fold: int
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray

    @property
    def name(self) -> str:
        """Name of the folder of its trainings, see `split_name`."""
        return split_name(self.test_fold, self.val_fold)


def split_name(test_fold: int, val_fold: int) -> str:
    """Name a split by its folds.

    >>> split_name(3, 7)
    'test-03_val-07'
    """
    return f"test-{test_fold:02d}_val-{val_fold:02d}"


@dataclass(frozen=True)
class Layout:
    """How sequences of any length lie in rows of one.

    Parameters
    ----------
    adapters
        Constant ends of every sequence, left and right; what lies between them is what orientations turn.
    pad
        Where shorter sequences are padded: on both sides, the larger half on the right, or on one.
    pad_with
        What lies beside shorter sequences, left and right; N beyond it.
    longer
        What is kept of longer sequences, between the adapters; `refuse`: nothing is.
    has_marks
        Whether marks of the reverse orientation at the end of ids count; not where training had several lengths.
    """

    adapters: tuple[str, str] = ("", "")
    pad: Literal["both", "left", "right"] = "both"
    pad_with: tuple[str, str] = ("", "")
    longer: Literal["refuse", "middle", "start", "end"] = "refuse"
    has_marks: bool = True


Head = Literal["soft_classification", "regression", "profile_counts"]


@dataclass(frozen=True)
class TaskSpec:
    """What a network must know of a task.

    The head `profile_counts` has the outputs `profile_logits` (n, profile_len), before the softmax, and `log_counts`
    (n,), the natural logarithm of 1 + reads; its one target is `profile`, counts per base.

    Parameters
    ----------
    side_channels
        0/1 columns of `meta` that a processor may add to the input (`is_reverse`).
    training_channels
        Those of them that are known of training and validation rows alone; 0 where a model predicts.
    max_jitter
        bp by which the windows of a dataset reach beyond a network's on either side, so that training may shift them.
    reverse_copies
        One measured value stands for both strands of a sequence, so that a processor may train on the reverse
        complement as another row and average its predictions over both.
    weighted
        Rows count differently in training, or values of single outputs are missing: a loss must heed `weight`.
    layout
        How sequences lie in a row, where the data decides that.
    """

    seq_len: int
    outputs: tuple[str, ...]
    head: Head = "regression"
    profile_len: int | None = None
    max_jitter: int = 0
    side_channels: tuple[str, ...] = ()
    training_channels: tuple[str, ...] = ()
    reverse_copies: bool = False
    weighted: bool = False
    layout: Layout | None = None


def __getattr__(name: str) -> Any:
    """Find what moved to `benchmarks.api.recipe`, for model files that import it from here."""
    return renamed.moved(__name__, name)
