"""What a task module and a model module offer. Plain modules satisfy these; nothing inherits from them.

A task is `benchmarks/<name>/task.py`; a model is one file in `baselines/` or `dream_models/`. Both are found by folder
scan (`benchmarks.registry`), so there is no list to edit.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from benchmarks.api.data import Dataset, Preset, Split, TaskSpec

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


class FittedModel(Protocol):
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


class Model(Protocol):
    """A model module. Initial weights come from the framework's global generator, which the caller seeds.

    `NAME` is what tables print, `RECIPE` the published recipe. `unsupported` gives the reason why a task cannot be
    learnt, or None. A file may offer `VARIANTS` instead, name -> object with these four: its models are `file.name`.
    """

    NAME: str
    RECIPE: Any

    def unsupported(self, spec: TaskSpec) -> str | None: ...
    def build(self, spec: TaskSpec, recipe: Any, assets: Mapping[str, Path]) -> FittedModel: ...


class Task(Protocol):
    """A task module.

    `VERSION` rises when data, folds or metrics change: scores of two versions do not compare. `MODELS` are what the
    published protocol compares, `BASELINE` is what the others are tested against, `SPLITS` names what can be held
    out, the published way first, `APPROX_ROWS` (dataset -> rows) sizes a plan before the data is there. `encode` turns
    sequences as users write them into codes. `score` returns rows of output, subset, level, metric, value, n, and may
    add `held_out`, which says in words what the test fold is.

    `HEADLINES`, where a task has them, are the (output, subset, metric) that plots and tables show first; without, it
    is Pearson r. `checks(scores)`, likewise, judges the run itself, in a table of dataset, test_fold, check, value and
    verdict.

    A task with folds defines `items(test, predictions)`, which gives what `score` scores item by item, for bootstraps.

    `without(test, unwanted)` leaves test rows out, with all that is scored together with them (the other orientation, a
    pair), and returns the smaller test set and its row numbers in the old one: for scores without leaks. A task that
    lacks it loses rows one by one.

    For in-silico mutagenesis a task may define `variable(codes)`, which bases are not its constant flanks;
    `planted(codes, output)`, where simulated sequences have motifs that count; `searched(codes)`, where those may be,
    if not everywhere, all (n, L) bool; `offsets(sequences)`, (n,) int, where in the codes a sequence begins as users
    write it, if not at 0; and `ELEMENT_LEN`, how much of a genome one construct carries.

    To have sequences designed for it a task defines `CONSTRUCT`, the insert and its constant flanks; and, to have them
    scored, `write_designed(folder, sequences, singles, pairs, y_true, *, simulated)`, which writes a library in the
    layout of its test set, and `simulated_expression(sequences)`, what its simulated world answers in an experiment's
    place.

    A task with one test set and no folds defines `compare(test, predictions, baseline, *, n_threads)`: model ->
    predictions of its members, one per training, to tables `ranking` and `differences`. Its models are compared by them
    instead of t-tests over folds, and its members stay single models, whose scores are averaged, not their predictions.
    """

    NAME: str
    VERSION: int
    SPEC: TaskSpec
    DATASETS: tuple[str, ...]
    SPLITS: tuple[str, ...]
    MODELS: tuple[str, ...]
    BASELINE: str
    PRESETS: Mapping[str, Preset]
    RECIPES: Mapping[str, Mapping[str, Any]]
    APPROX_ROWS: Mapping[str, int]

    def load(self, path: Path, *, split: str, refold: bool = False, seed: int = 0) -> Dataset: ...
    def published(self, folder: Path) -> dict[str, Path]: ...
    def simulate(self, *, split: str, seed: int) -> Dataset: ...
    def splits(self, meta: pd.DataFrame) -> Iterator[Split]: ...
    def encode(self, sequences: list[str]) -> np.ndarray: ...
    def protocol(self) -> list[tuple[int, int]]: ...
    def score(self, test: Dataset, predictions: Mapping[str, np.ndarray]) -> pd.DataFrame: ...
