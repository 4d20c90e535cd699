"""One training loop for every framework: epochs, shuffling, selection, early stopping, history.

A backend brings the steps (`Learner`); what an epoch is and which one is kept is decided here, once.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict, cast

import numpy as np

from benchmarks.api.data import Dataset
from benchmarks.api.metrics import mse, observed, pearson_r
from benchmarks.api.model import Checkpoints, History, OnEpoch
from benchmarks.errors import BadInput
from benchmarks.io import validated


class TrainingDiverged(RuntimeError):
    """The training ended without an epoch that could be selected: another seed may fare better."""


class Interrupted(RuntimeError):
    """The training was asked to stop, and saved its state."""


class Learner(Protocol):
    """What the loop asks of a backend. A snapshot is a copy of the weights, in whatever form the backend has them."""

    def rows_per_epoch(self, train: Dataset) -> int:
        """Count the rows that an epoch shows of a training set; batches are numbers from 0 to that."""
        ...

    def prepare(self, train: Dataset, n_steps: int) -> None:
        """Take a training set and make a fresh optimiser for `n_steps` steps."""
        ...

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch, counted from 0: called before its first batch, or the first after an interruption."""
        ...

    def train_batches(self, batches: list[np.ndarray]) -> np.ndarray:
        """Take a step on each batch of row numbers; return their losses, (n_batches,)."""
        ...

    def validate(self, val: Dataset) -> dict[str, float]:
        """Return `val_loss` and `val_pearson_r`, which epochs are selected by, and what else the history shows."""
        ...

    def learning_rate(self) -> float:
        """Return the learning rate of the next step."""
        ...

    def snapshot(self) -> Any:
        """Copy the weights."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Take back the weights of a snapshot."""
        ...

    def stamp(self) -> dict[str, Any]:
        """Name what the numbers depend on beside recipe and data: framework, backend, device."""
        ...

    def save_state(self, folder: Path, best: Any) -> None:
        """Write all that a step changes (weights, optimiser, schedule, generators) and a snapshot, or None."""
        ...

    def load_state(self, folder: Path) -> Any:
        """Take back what `save_state` wrote, after `prepare`; return the snapshot."""
        ...


@dataclass(frozen=True)
class Schedule:
    """How long to train and which epoch to keep.

    Parameters
    ----------
    select
        `pearson_r`: strictly larger mean over outputs of the validation Pearson r (the DREAM rule); `loss`: strictly
        smaller validation loss (the Keras rule); `last`: the last epoch.
    drop_last
        True takes floor(rows / batch_size) full batches an epoch, as the DREAM notebooks count them; False adds the
        short last batch, as Keras does.
    batches_per_epoch
        None: all of them. A number: an epoch is as many, and the next one goes on in the same pass over the rows.
    """

    epochs: int
    batch_size: int
    select: Literal["pearson_r", "loss", "last"]
    drop_last: bool
    patience: int | None = None
    batches_per_epoch: int | None = None

    def n_batches(self, n_rows: int) -> int:
        """Count the batches of an epoch."""
        return self.batches_per_epoch or self._batches_of_a_pass(n_rows)

    def _batches_of_a_pass(self, n_rows: int) -> int:
        full, rest = divmod(n_rows, self.batch_size)
        return max(1, full if self.drop_last else full + (rest > 0))

    def batches(self, n_rows: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Shuffle the rows and cut them into the batches of one pass."""
        order = rng.permutation(n_rows)
        stop = self._batches_of_a_pass(n_rows)
        return [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(stop)]

    def batches_of_epoch(self, epoch: int, n_rows: int, rng: np.random.Generator, seed: int) -> list[np.ndarray]:
        """Return the batches of an epoch, counted from 0.

        Epochs of `batches_per_epoch` may begin in the middle of a pass: each pass has an order of its own, drawn from
        `seed` and its number, so that a resumed training finds its place.
        """
        if self.batches_per_epoch is None:
            return self.batches(n_rows, rng)
        per_pass, chosen = self._batches_of_a_pass(n_rows), []
        first = epoch * self.batches_per_epoch
        last = first + self.batches_per_epoch
        for number in range(first // per_pass, (last - 1) // per_pass + 1):
            one_pass = self.batches(n_rows, np.random.default_rng([seed, number]))
            chosen += one_pass[max(first - number * per_pass, 0) : last - number * per_pass]
        return chosen


@dataclass
class _Progress:
    """Where a training stands: the epochs that are over, and the losses and seconds of the one that is not."""

    history: History = field(default_factory=list)
    best_value: float = -np.inf
    best_epoch: int = 0
    losses: list[float] = field(default_factory=list)
    train_seconds: float = 0.0
    seconds: float = 0.0

    def is_over(self, schedule: Schedule) -> bool:
        epoch = len(self.history)
        if epoch == 0:
            return False
        waited = schedule.patience is not None and epoch - self.best_epoch >= schedule.patience
        return epoch >= schedule.epochs or waited or not np.isfinite(self.history[-1]["train_loss"])


def fit(
    learner: Learner,
    schedule: Schedule,
    train: Dataset,
    val: Dataset,
    *,
    seed: int,
    on_epoch: OnEpoch | None = None,
    checkpoints: Checkpoints | None = None,
) -> History:
    """Train `learner`, leave the selected weights in it and return one row per epoch, counted from 1.

    A loss that is no longer finite ends the training: weights do not come back from there, so the best epoch so far is
    kept, as the published selection does.

    With `checkpoints`, the state is kept there after an epoch, within a long one, and when the process is asked to
    stop. A training that finds one goes on from it: on a CPU the rest is bit-equal to that of a training nobody
    interrupted.

    Raises
    ------
    TrainingDiverged
        If the training ends without any epoch whose selection value is defined.
    ValueError
        If none can be, because all validation rows have the same value.
    Interrupted
        If it was asked to stop, and has kept its state.
    """
    rng = np.random.default_rng(seed)
    n_rows = learner.rows_per_epoch(train)
    learner.prepare(train, schedule.epochs * schedule.n_batches(n_rows))
    done, best_weights = _Progress(), None
    checkpointer = _Checkpointer(
        learner, checkpoints, {"seed": seed, "n_train": len(train), "schedule": asdict(schedule)}
    )
    if checkpoints:
        done, best_weights = _resume(learner, checkpoints, checkpointer.stamp, rng) or (done, None)
        checkpoints.starts_after(len(done.history), len(done.losses))
    while not done.is_over(schedule):
        epoch, order = len(done.history), rng.bit_generator.state
        batches = schedule.batches_of_epoch(epoch, n_rows, rng, seed)
        learner.begin_epoch(epoch)
        for _ in _train_in_chunks(learner, batches, done):
            checkpointer.maybe_save(done, best_weights, order, within_epoch=True)
            if checkpoints:
                loss = float(np.mean(done.losses))
                checkpoints.reached(epoch + 1, len(done.losses), len(batches), loss, done.seconds)
        start = time.perf_counter()
        sizes = list(map(len, batches))
        row: dict[str, Any] = {"epoch": epoch + 1, "train_loss": float(np.average(done.losses, weights=sizes))}
        row |= {"lr": learner.learning_rate()} | learner.validate(val)
        value = {"pearson_r": row["val_pearson_r"], "loss": -row["val_loss"], "last": row["epoch"]}[schedule.select]
        if value > done.best_value:
            done.best_value, done.best_epoch, best_weights = value, row["epoch"], learner.snapshot()
        row["sequences"] = sum(sizes)
        spent = done.seconds + time.perf_counter() - start
        row |= {"train_seconds": done.train_seconds, "seconds": spent}
        done.history.append(row)
        done.losses, done.train_seconds, done.seconds = [], 0.0, 0.0
        checkpointer.maybe_save(done, best_weights, rng.bit_generator.state, may_stop=not done.is_over(schedule))
        if on_epoch:
            on_epoch(row)
    if best_weights is None:
        if any(np.ptp(values) == 0 for values in val.targets.values()):
            raise ValueError(
                f"The {len(val)} validation rows all have the same value, so no epoch can be selected by them."
            )
        raise TrainingDiverged(
            f"No epoch of {len(done.history)} had a defined validation {schedule.select}: the last training loss was "
            f"{done.history[-1]['train_loss']:.4g}. Lower the learning rate (--set recipe.max_lr=…)."
        )
    learner.restore(best_weights)
    return [row | {"is_best": row["epoch"] == done.best_epoch} for row in done.history]


CHUNK_S = 5.0
"""Seconds between two looks within an epoch at whether to stop or to keep the state."""
FIRST_CHUNK = 32
"""Batches before the first look of an epoch."""


def _train_in_chunks(learner: Learner, batches: list[np.ndarray], done: _Progress) -> Iterator[None]:
    """Train the rest of an epoch piece by piece; gives control back after each but the last."""
    size = FIRST_CHUNK
    while (first := len(done.losses)) < len(batches):
        start = time.perf_counter()
        done.losses += map(float, learner.train_batches(batches[first : first + size]))
        spent = time.perf_counter() - start
        done.train_seconds += spent
        done.seconds += spent
        size = max(1, min(4 * size, int(size * CHUNK_S / max(spent, 1e-9))))
        if len(done.losses) < len(batches):
            yield


_STATE = "training.json"


@dataclass(frozen=True)
class _Checkpointer:
    """Keeps the state of a training while it goes on, and ends it where it is asked to.

    Within an epoch, the generator of its order is kept as it was before the epoch was drawn: drawn again, it gives the
    same batches, and those that are done are left out.
    """

    learner: Learner
    checkpoints: Checkpoints | None
    training: dict[str, Any]
    """What identifies a training beside its framework: seed, size of the training set, schedule."""

    @property
    def stamp(self) -> dict[str, Any]:
        return self.training | self.learner.stamp()

    def maybe_save(
        self, done: _Progress, best: Any, order: Any, *, within_epoch: bool = False, may_stop: bool = True
    ) -> None:
        """Write a checkpoint if one is due.

        Raises
        ------
        Interrupted
            If the process was asked to stop; a checkpoint was written.
        """
        if not self.checkpoints:
            return
        why = self.checkpoints.stop_asked()
        if why or self.checkpoints.due(within_epoch):
            write = partial(self._write, done=done, best=best, order=order)
            self.checkpoints.save(len(done.history), write, batch=len(done.losses))
        if why and may_stop:
            where = f"batch {len(done.losses)} of epoch {len(done.history) + 1}"
            raise Interrupted(f"Asked to stop ({why}); it goes on after {where}.")

    def _write(self, folder: Path, done: _Progress, best: Any, order: Any) -> None:
        """Write what the loop itself holds; the learner adds its own files.

        Python's JSON keeps every bit of a float, and NaN and infinities too.
        """
        generators = {"order": order, "python": random.getstate(), "numpy": _numpy_state()}
        state = {"stamp": self.stamp, "progress": asdict(done), "generators": generators}
        (folder / _STATE).write_text(json.dumps(state))
        self.learner.save_state(folder, best)


def _resume(
    learner: Learner, checkpoints: Checkpoints, stamp: dict, rng: np.random.Generator
) -> tuple[_Progress, Any] | None:
    """Go back to the last checkpoint that fits this training; None where there is none.

    One made under another framework version, device or recipe does not fit: going on from it would end in numbers that
    neither setting gives.
    """
    for folder in checkpoints.whole():
        try:
            state = json.loads((folder / _STATE).read_text())
            if state["stamp"] != json.loads(json.dumps(stamp)):
                continue
            progress = _Progress(**validated.parse_as(state["progress"], _SavedProgress))
            best_weights = learner.load_state(folder)
            generators = state["generators"]
            rng.bit_generator.state = generators["order"]
            version, words, gauss = generators["python"]
            random.setstate((version, tuple(words), gauss))
            _set_numpy_state(generators["numpy"])
        except Exception as error:  # whole by its checksums, and yet invalid: each part fails in its own way
            raise BadInput(
                f"{folder} is not a checkpoint that a training can resume from ({type(error).__name__}); remove it."
            ) from error
        return progress, best_weights
    return None


class _SavedProgress(TypedDict):
    """A `_Progress` as it is written; the rows of the history are the model's."""

    history: list[dict[str, Any]]
    best_value: float
    best_epoch: int
    losses: list[float]
    train_seconds: float
    seconds: float


def _numpy_state() -> dict[str, Any]:
    state = np.random.get_state()  # noqa: NPY002 - models may draw from it
    name, words, position, has_gauss, gauss = cast(tuple[str, np.ndarray, int, int, float], state)
    return {"words": words.tolist(), "rest": [name, position, has_gauss, gauss]}


def _set_numpy_state(state: dict[str, Any]) -> None:
    name, *rest = state["rest"]
    np.random.set_state((name, np.array(state["words"], dtype=np.uint32), *rest))  # noqa: NPY002


class TrainViewModel(Protocol):
    """A learner of numbers per sequence, which may show a network more, or other, rows in training than to predict."""

    n_copies: int
    """Rows shown for every training row (2: both strands); rows n to 2 n - 1 are the second copies."""

    @property
    def train_view_differs(self) -> bool:
        """Whether `predict_train_view` is not what `predict` does."""
        ...

    def predict(self, data: Dataset) -> dict[str, np.ndarray]:
        """Predict every row: output -> (n,) float32."""
        ...

    def predict_train_view(self, data: Dataset) -> dict[str, np.ndarray]:
        """Predict rows as training shows them, copy after copy: output -> (n_copies * n,) float32."""
        ...


def validate_numbers(learner: TrainViewModel, val: Dataset) -> dict[str, float]:
    """Score the validation rows as training shows them: the sum over outputs of the MSE, the mean Pearson r.

    Where that is not how the model predicts, `val_pearson_r_clean` says how well it does; it selects nothing.
    """

    def over_outputs(metric: Callable, combine: Callable, predictions: dict, copies: int = 1) -> float:
        pairs = (observed(np.tile(val.targets[name], copies), predictions[name]) for name in val.targets)
        return float(combine([metric(*pair) for pair in pairs]))

    shown = learner.predict_train_view(val)
    metrics = {
        "val_loss": over_outputs(mse, np.sum, shown, learner.n_copies),
        "val_pearson_r": over_outputs(pearson_r, np.mean, shown, learner.n_copies),
    }
    if learner.train_view_differs:
        metrics["val_pearson_r_clean"] = over_outputs(pearson_r, np.mean, learner.predict(val))
    return metrics


def target_columns(data: Dataset) -> np.ndarray:
    """Stack the targets of a dataset in the order of its outputs, 0 where one is missing; (n, n_outputs) float32."""
    return np.nan_to_num(np.stack([data.targets[name] for name in data.targets], axis=1).astype(np.float32))


def target_weights(data: Dataset) -> np.ndarray | None:
    """Return what every target counts for in a loss, (n, n_outputs) float32; None where all count alike.

    A missing target counts 0, any other as `meta["weight"]` says of its row. The weights of an output have a mean of 1,
    so that outputs with many missing values count as much as others.
    """
    observed_values = np.stack([~np.isnan(values) for values in data.targets.values()], axis=1)
    rows = data.meta["weight"].to_numpy(np.float64) if "weight" in data.meta else np.ones(len(data))
    if observed_values.all() and (rows == rows[:1]).all():
        return None
    weights = observed_values * rows[:, None]
    means = weights.mean(axis=0)
    return (weights / np.where(means > 0, means, 1)).astype(np.float32)
