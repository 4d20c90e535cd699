"""k-mer ridge: a linear model on k-mer counts, the lower-bound baseline that every network must beat.

Source: none; written here as a lower-bound baseline. It knows which k-mers a sequence has, and nothing of their
position, strand or spacing.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypedDict

import numpy as np
from scipy import sparse
from sklearn.linear_model import Ridge

from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.metrics import mse, observed, pearson_r
from benchmarks.api.model import Checkpoints, History, OnEpoch
from benchmarks.api.sequences import N_CODE, reverse_complement
from benchmarks.errors import BadInput
from benchmarks.io import validated
from benchmarks.training.loop import target_columns, target_weights

NAME = "k-mer ridge"
MAX_K = 10
"""Longest k-mers that are counted: 4**10 columns."""


@dataclass(frozen=True)
class RidgeRecipe:
    """`k`: length of the counted k-mers, a k-mer and its reverse complement counted as one. `min_alpha`, `max_alpha`,
    `n_alphas`: penalties tried on the validation rows, a geometric series."""

    k: int = 6
    min_alpha: float = 10.0
    max_alpha: float = 1e5
    n_alphas: int = 9

    def __post_init__(self):
        if not 1 <= self.k <= MAX_K:
            raise ValueError(f"k must be 1 to {MAX_K}, got {self.k}")
        if not 0 < self.min_alpha <= self.max_alpha or self.n_alphas < 1:
            raise ValueError("penalties must satisfy 0 < min_alpha <= max_alpha and n_alphas >= 1")


RECIPE = RidgeRecipe()


def unsupported(spec: TaskSpec) -> str | None:
    return None if spec.head != "profile_counts" else "predicts numbers per sequence, not profiles"


def build(spec: TaskSpec, recipe: RidgeRecipe, prerequisite_dirs):
    return KmerRidge(recipe)


def kmer_counts(codes: np.ndarray, k: int) -> sparse.csr_matrix:
    """Count k-mers, both strands as one; k-mers with N are not counted.

    (n, seq_len) uint8 -> (n, 4**k) float32 sparse, columns by the smaller code of a k-mer and its reverse complement.
    """
    n = len(codes)
    powers = 4 ** np.arange(k, dtype=np.int64)[::-1]
    kmers = np.lib.stride_tricks.sliding_window_view(codes, k, axis=1)
    index = kmers.astype(np.int64) @ powers
    reverse = reverse_complement(kmers).astype(np.int64) @ powers
    keep = (kmers != N_CODE).all(axis=2)
    rows = np.broadcast_to(np.arange(n)[:, None], index.shape)[keep]
    columns = np.minimum(index, reverse)[keep]
    ones = np.ones(len(rows), dtype=np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), shape=(n, 4**k))


class KmerRidge:
    """Ridge on k-mer counts; the penalty with the best validation Pearson r is kept. Each penalty is an "epoch"."""

    precision = "float64"

    def __init__(self, recipe: RidgeRecipe):
        self.recipe = recipe
        self.outputs: tuple[str, ...] = ()
        self.n_params = 0

    def fit(
        self,
        train: Dataset,
        val: Dataset,
        *,
        seed: int,
        on_epoch: OnEpoch | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> History:
        """Fit every penalty. Nothing is random and it takes seconds: `seed` and `checkpoints` are left alone."""
        self.prepare(train, n_steps=self.recipe.n_alphas)
        x_val = kmer_counts(val.codes, self.recipe.k)
        y_train, y_val = (list(data.targets.values()) for data in (train, val))
        history, best = [], None
        alphas = np.geomspace(self.recipe.min_alpha, self.recipe.max_alpha, self.recipe.n_alphas)
        for epoch, alpha in enumerate(alphas, start=1):
            start = perf_counter()
            ridge = self._fitted(float(alpha), slice(None))
            seconds = perf_counter() - start
            fitted = [observed(*pair) for pair in zip(y_train, _columns(ridge, self._x).T, strict=True)]
            predicted = [observed(*pair) for pair in zip(y_val, _columns(ridge, x_val).T, strict=True)]
            row = {
                "epoch": epoch,
                "alpha": float(alpha),
                "lr": None,
                "train_loss": sum(mse(*pair) for pair in fitted),
                "val_loss": sum(mse(*pair) for pair in predicted),
                "val_pearson_r": float(np.mean([pearson_r(*pair) for pair in predicted])),
                "train_seconds": seconds,
                "seconds": perf_counter() - start,
            }
            history.append(row)
            if on_epoch:
                on_epoch(row)
            r = np.nan_to_num(row["val_pearson_r"], nan=-1.0)  # undefined where every prediction is the same
            if best is None or r > best[0]:
                best = (r, epoch, ridge)
        _, best_epoch, ridge = best
        self._set(np.atleast_2d(ridge.coef_), np.atleast_1d(ridge.intercept_))
        return [row | {"is_best": row["epoch"] == best_epoch} for row in history]

    def prepare(self, train: Dataset, n_steps: int) -> None:
        """Count the k-mers of a training set."""
        self.outputs = tuple(train.targets)
        self._x, self._y = kmer_counts(train.codes, self.recipe.k), target_columns(train).astype(np.float64)
        self._weights = target_weights(train)

    def _fitted(self, alpha: float, rows: slice | np.ndarray) -> Ridge:
        """Fit one penalty to training rows; every output by itself where their weights differ."""
        ridge = Ridge(alpha=alpha, solver="sparse_cg", random_state=0)
        if self._weights is None:
            return ridge.fit(self._x[rows], self._y[rows])
        coefficients, intercepts = [], []
        for y, weights in zip(self._y[rows].T, self._weights[rows].T, strict=True):
            ridge.fit(self._x[rows], y, sample_weight=weights)
            coefficients.append(ridge.coef_)
            intercepts.append(ridge.intercept_)
        ridge.coef_, ridge.intercept_ = np.stack(coefficients), np.array(intercepts)
        return ridge

    def train_batch(self, rows: np.ndarray) -> float:
        """Fit the middle penalty to the given rows alone, and return its error: this model has no steps to time."""
        alpha = float(np.sqrt(self.recipe.min_alpha * self.recipe.max_alpha))
        ridge = self._fitted(alpha, rows)
        return mse(self._y[rows].ravel(), _columns(ridge, self._x[rows]).ravel())

    def predict(self, data: Dataset) -> dict[str, np.ndarray]:
        """Predict every row; output name -> (n,) float32."""
        columns = kmer_counts(data.codes, self.recipe.k) @ self._coefficients.T + self._intercepts
        return {name: columns[:, i].astype(np.float32) for i, name in enumerate(self.outputs)}

    def _set(self, coefficients: np.ndarray, intercepts: np.ndarray) -> None:
        self._coefficients, self._intercepts = coefficients, intercepts
        self.n_params = int(np.count_nonzero(coefficients) + len(intercepts))

    def save(self, folder: Path) -> None:
        np.savez_compressed(folder / "model.npz", coefficients=self._coefficients, intercepts=self._intercepts)
        (folder / "model.json").write_text(json.dumps({"outputs": self.outputs}))

    def load(self, folder: Path) -> None:
        """Take back what `save` wrote.

        Raises
        ------
        BadInput
            If it is damaged, or of another recipe.
        """
        outputs = validated.read_json(folder / "model.json", _Saved, recovery_hint=validated.TRAIN_AGAIN)["outputs"]
        arrays = validated.read_arrays(folder / "model.npz", recovery_hint=validated.TRAIN_AGAIN)
        shapes = {"coefficients": (len(outputs), 4**self.recipe.k), "intercepts": (len(outputs),)}
        for name, shape in shapes.items():
            if name not in arrays or arrays[name].shape != shape or arrays[name].dtype.kind != "f":
                raise BadInput(f"{folder / 'model.npz'} has no {name} of shape {shape}; {validated.TRAIN_AGAIN}.")
        self._set(arrays["coefficients"], arrays["intercepts"])
        self.outputs = tuple(outputs)


class _Saved(TypedDict):
    outputs: list[str]


def _columns(ridge: Ridge, x: sparse.csr_matrix) -> np.ndarray:
    predicted = ridge.predict(x)
    return predicted[:, None] if predicted.ndim == 1 else predicted
