"""One training loop for every framework: epochs, shuffling, selection, early stopping, history.

A backend brings the steps (`Learner`); what an epoch is and which one is kept is decided here, once.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from benchmarks.api.data import Dataset
from benchmarks.api.metrics import mse, pearson_r
from benchmarks.api.protocols import History, OnEpoch


class TrainingDiverged(RuntimeError):
    """The training ended without an epoch that could be selected."""


class Learner(Protocol):
    """What the loop asks of a backend."""

    def prepare(self, train: Dataset, n_steps: int) -> None: ...
    def train_epoch(self, batches: list[np.ndarray]) -> float: ...
    def learning_rate(self) -> float: ...
    def predict(self, data: Dataset) -> dict[str, np.ndarray]: ...
    def snapshot(self) -> Any: ...
    def restore(self, snapshot: Any) -> None: ...


@dataclass(frozen=True)
class Schedule:
    """How long to train and which epoch to keep.

    Parameters
    ----------
    select
        `pearson_r`: strictly larger mean over outputs of the validation Pearson r (the DREAM rule); `loss`: strictly
        smaller validation loss (the Keras rule).
    drop_last
        True takes floor(rows / batch_size) full batches an epoch, as the DREAM notebooks count them; False adds the
        short last batch, as Keras does.
    """

    epochs: int
    batch_size: int
    select: Literal["pearson_r", "loss"]
    drop_last: bool
    patience: int | None = None

    def n_batches(self, n_rows: int) -> int:
        full, rest = divmod(n_rows, self.batch_size)
        return max(1, full if self.drop_last else full + (rest > 0))

    def batches(self, n_rows: int, rng: np.random.Generator) -> list[np.ndarray]:
        order = rng.permutation(n_rows)
        stop = self.n_batches(n_rows)
        return [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(stop)]


def fit(
    learner: Learner, schedule: Schedule, train: Dataset, val: Dataset, *, seed: int, on_epoch: OnEpoch | None = None
) -> History:
    """Train `learner`, leave the selected weights in it and return one row per epoch, counted from 1.

    The validation loss is the sum over outputs of the mean squared error. A loss that is no longer finite ends the
    training: weights do not come back from there, so the best epoch so far is kept, as the published selection does.

    Raises
    ------
    TrainingDiverged
        If the training ends without any epoch whose selection value is defined.
    """
    rng = np.random.default_rng(seed)
    learner.prepare(train, schedule.epochs * schedule.n_batches(len(train)))
    history: History = []
    best_value, best_epoch, best_weights = -np.inf, 0, None
    for epoch in range(1, schedule.epochs + 1):
        start = time.perf_counter()
        train_loss = learner.train_epoch(schedule.batches(len(train), rng))
        train_seconds = time.perf_counter() - start
        row = {"epoch": epoch, "train_loss": train_loss, "lr": learner.learning_rate()}
        row |= _validate(val, learner.predict(val))
        value = row["val_pearson_r"] if schedule.select == "pearson_r" else -row["val_loss"]
        if value > best_value:
            best_value, best_epoch, best_weights = value, epoch, learner.snapshot()
        row |= {"train_seconds": train_seconds, "seconds": time.perf_counter() - start}
        history.append(row)
        if on_epoch:
            on_epoch(row)
        if not np.isfinite(train_loss):
            break
        if schedule.patience is not None and epoch - best_epoch >= schedule.patience:
            break
    if best_weights is None:
        if any(np.ptp(values) == 0 for values in val.targets.values()):
            raise TrainingDiverged(
                f"The {len(val)} validation rows all have the same value, so no epoch can be selected by them."
            )
        raise TrainingDiverged(
            f"No epoch of {len(history)} had a defined validation {schedule.select}: the last training loss was "
            f"{history[-1]['train_loss']:.4g}. Lower the learning rate (--set recipe.max_lr=…)."
        )
    learner.restore(best_weights)
    return [row | {"is_best": row["epoch"] == best_epoch} for row in history]


def _validate(val: Dataset, predictions: dict[str, np.ndarray]) -> dict[str, float]:
    def over_outputs(metric: Callable, combine: Callable) -> float:
        return float(combine([metric(val.targets[name], predictions[name]) for name in val.targets]))

    return {"val_loss": over_outputs(mse, np.sum), "val_pearson_r": over_outputs(pearson_r, np.mean)}


def target_columns(data: Dataset) -> np.ndarray:
    """Stack the targets of a dataset in the order of its outputs; (n, n_outputs) float32."""
    return np.stack([data.targets[name] for name in data.targets], axis=1).astype(np.float32)
