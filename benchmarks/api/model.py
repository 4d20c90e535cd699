"""What a task module and a model module offer. Plain modules satisfy these; nothing inherits from them.

A task is `benchmarks/<name>/task.py`; a model is one file in `baselines/` or `dream_models/`. Both are found by folder
scan (`benchmarks.registry`), so there is no list to edit.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.api.data import Dataset, TaskSpec

History = list[dict[str, Any]]
OnEpoch = Callable[[dict[str, Any]], None]


class Checkpoints(Protocol):
    """Where a training keeps its state; handed to `FittedModel.fit` by whoever stores the result.

    `due` says whether a checkpoint is worth its time now, `stop_asked` why the training should stop, None if it should
    not. `save` is told how many epochs are over, and batches of the next; it calls `write` with an empty folder to fill
    and keeps it whole or not at all. `whole` gives the folders of undamaged checkpoints, latest first. `starts_after`
    is told the epochs and batches that need not be trained again, 0 and 0 at a fresh start.
    """

    def due(self, within_epoch: bool = False) -> bool: ...
    def stop_asked(self) -> str | None: ...
    def save(self, epoch: int, write: Callable[[Path], None], *, batch: int = 0) -> None: ...
    def whole(self) -> Iterator[Path]: ...
    def starts_after(self, epoch: int, batch: int = 0) -> None: ...


class Model(Protocol):
    """A model that trains and predicts; built by `Model.build`.

    `fit` returns one row per epoch (`epoch`, `train_loss`, `val_loss`, `val_pearson_r`, `lr` (None where there is
    none), `train_seconds`, `seconds`, `is_best`) and leaves the selected weights in place. `predict` returns output
    name -> (n,) float32 and gives the same answer at any batch size. `prepare` and `train_batch` are single steps, for
    timing. A training that is given `checkpoints` keeps its state there and goes on from what it finds; a model that
    trains in seconds may leave them alone.
    """

    n_params: int
    precision: str

    def fit(
        self,
        train: Dataset,
        val: Dataset,
        *,
        seed: int,
        on_epoch: OnEpoch | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> History: ...
    def predict(self, data: Dataset) -> dict[str, np.ndarray]: ...
    def prepare(self, train: Dataset, n_steps: int) -> None: ...
    def train_batch(self, rows: np.ndarray) -> Any: ...
    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...


class ModelModule(Protocol):
    """A model module. Initial weights come from the framework's global generator, which the caller seeds.

    `NAME` is what tables print, `RECIPE` the published recipe. `unsupported` gives the reason why a task cannot be
    learnt, or None. A file may offer `VARIANTS` instead, name -> object with these four: its models are `file.name`.
    """

    NAME: str
    RECIPE: Any

    def unsupported(self, spec: TaskSpec) -> str | None: ...
    def build(self, spec: TaskSpec, recipe: Any, prerequisite_dirs: Mapping[str, Path]) -> Model: ...
