"""What a task module offers. Plain modules satisfy these protocols; nothing inherits from them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from benchmarks.api.data import Dataset, Split, TaskSpec
from benchmarks.api.recipe import Preset


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
