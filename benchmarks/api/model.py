"""What a model module offers, what it builds, and what a training is given to keep its state.

A model is one file in `baselines/` or `dream_models/`, a file of the user's, or a module of an installed package; all
are found by `benchmarks.registry`. Plain modules and classes satisfy these protocols; nothing inherits from them.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from benchmarks.api.data import Dataset, TaskSpec

History = list[dict[str, Any]]
"""One row per epoch, as `Model.fit` returns them."""
OnEpoch = Callable[[dict[str, Any]], None]
"""Called with the row of every finished epoch."""


class Checkpoints(Protocol):
    """Where a training keeps its state; handed to `Model.fit` by whoever stores the result."""

    def due(self, within_epoch: bool = False) -> bool:
        """Tell whether a checkpoint is worth its time now."""
        ...

    def stop_asked(self) -> str | None:
        """Return why the training should stop; None if it should not."""
        ...

    def save(self, epoch: int, write: Callable[[Path], None], *, batch: int = 0) -> None:
        """Keep a checkpoint whole or not at all; `write` is called with an empty folder to fill.

        Parameters
        ----------
        epoch, batch
            Finished epochs, and finished batches of the next one.
        """
        ...

    def whole(self) -> Iterator[Path]:
        """Give the folders of undamaged checkpoints, latest first."""
        ...

    def starts_after(self, epoch: int, batch: int = 0) -> None:
        """Take note of what need not be trained again; 0 and 0 at a fresh start."""
        ...

    def reached(self, epoch: int, batch: int, n_batches: int, train_loss: float, seconds: float) -> None:
        """Take note of where an epoch stands, for people who wait; called every few seconds.

        Parameters
        ----------
        epoch, batch, n_batches
            The epoch, counted from 1, its batches that are done, and all of its batches.
        train_loss, seconds
            Mean loss of the batches that are done, and the seconds they took.
        """
        ...


class Model(Protocol):
    """A model that trains and predicts: what `ModelModule.build` returns.

    `prepare` and `train_batch` are the single steps of a training, for `validate` and for measuring speed; a run calls
    only the other methods.
    """

    n_params: int
    """Parameters that training changes."""
    precision: str
    """Of the products in training: `float32`, `bfloat16` or `float64`."""

    def fit(
        self,
        train: Dataset,
        val: Dataset,
        *,
        seed: int,
        on_epoch: OnEpoch | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> History:
        """Train, and leave the selected weights in place.

        Parameters
        ----------
        on_epoch
            Called with every row of the history once its epoch is over.
        checkpoints
            Where the state is kept, and where an interrupted training finds it; a model that trains in seconds may
            leave it alone.

        Returns
        -------
        One row per epoch: `epoch` from 1, `train_loss`, `val_loss`, `val_pearson_r`, `lr` (None where there is none),
        `train_seconds`, `seconds`, and `is_best`, True of the selected epoch alone.
        """
        ...

    def predict(self, data: Dataset) -> dict[str, np.ndarray]:
        """Predict every row, in order: output -> (n,) or, of profiles, (n, profile_len), float32, finite.

        Targets are absent, and the answer depends neither on the batch size nor on the other rows.
        """
        ...

    def prepare(self, train: Dataset, n_steps: int) -> None:
        """Take a training set and make a fresh optimiser, whose schedule has so many steps."""
        ...

    def train_batch(self, rows: np.ndarray) -> Any:
        """Take one optimiser step on (B,) row numbers of the prepared training set; return the loss, a number > 0."""
        ...

    def save(self, folder: Path) -> None:
        """Write all that `predict` needs into an empty folder, a file `model.json` among it."""
        ...

    def load(self, folder: Path) -> None:
        """Take back what `save` wrote, into a model that was built with the same recipe.

        Raises
        ------
        BadInput
            If it is damaged or of another network.
        """
        ...


class TimedModel(Model, Protocol):
    """A network whose speed can be measured; a model that lacks these members trains and predicts all the same."""

    outputs: tuple[str, ...]
    """Names of what is predicted, in the network's order; set by `prepare`, by `load` or by the caller."""

    predict_batch_size: int | None
    """Sequences per forward pass of `predict`, on which no prediction depends; None: as many as suit the network."""

    def rows_per_epoch(self, train: Dataset) -> int:
        """Count the rows of an epoch, which may show a sequence more than once (both strands)."""
        ...

    def train_batches(self, batches: list[np.ndarray]) -> np.ndarray:
        """Take one optimiser step per batch of row numbers, from 0 to `rows_per_epoch`; return losses (n_batches,)."""
        ...


class ModelModule(Protocol):
    """A model module. Initial weights come from the framework's global generator, which the caller seeds.

    A module may also define `PREREQUISITES`, see `HasPrerequisites`, and `unread`, see `LeavesFieldsUnread`. A file may
    offer `VARIANTS` instead of a `build`, name -> object with these members: its models are called `file.name`.
    """

    NAME: str
    """What tables and plots print."""
    RECIPE: Any
    """The published recipe: a frozen dataclass of plain values, see `benchmarks.api.recipe`."""

    def unsupported(self, spec: TaskSpec) -> str | None:
        """Give the reason why a task cannot be learnt, as the predicate of a sentence; None where it can."""
        ...

    def build(self, spec: TaskSpec, recipe: Any, prerequisite_dirs: Mapping[str, Path], /) -> Model:
        """Build the untrained model.

        Parameters
        ----------
        recipe
            `RECIPE`, or a copy of it with other values.
        prerequisite_dirs
            Model of `PREREQUISITES` -> the folder that it was saved in after its training on the same split.

        Raises
        ------
        ValueError
            If a network cannot be built by the recipe.
        """
        ...


@runtime_checkable
class HasPrerequisites(Protocol):
    """A model module that needs other models to be trained first on every split, such as a bias model."""

    PREREQUISITES: Sequence[str]
    """Their keys in the registry."""


def prerequisites_of(module: object) -> tuple[str, ...]:
    """Return the models that a model module needs trained first; empty of most."""
    return tuple(module.PREREQUISITES) if isinstance(module, HasPrerequisites) else ()


@runtime_checkable
class LeavesFieldsUnread(Protocol):
    """A model module whose recipe has fields that its own network, or a task, gives no meaning."""

    def unread(self, spec: TaskSpec | None = None, recipe: Any = None) -> Collection[str]:
        """Name the fields of the recipe that change nothing: not shown, and refused by `--set`.

        Parameters
        ----------
        spec, recipe
            The task and the values of the other fields; None: on no task, with no values.
        """
        ...


def read_fields(module: ModelModule, spec: TaskSpec | None = None, recipe: Any = None) -> list[str]:
    """List the fields of a model's recipe that it reads; all, if the module does not say otherwise."""
    unread = module.unread(spec, recipe) if isinstance(module, LeavesFieldsUnread) else ()
    return [field.name for field in dataclasses.fields(module.RECIPE) if field.name not in unread]
