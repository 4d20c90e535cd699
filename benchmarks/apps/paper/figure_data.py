"""What panels are drawn from: stored runs, a grid of combinations, tables of a challenge. Plain tables and arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd


class Missing(Exception):
    """A panel's data are not there; the text says which, and how to get them."""


@dataclass(frozen=True)
class Run:
    """The tables of one stored run; their columns stand in `results/README.md`.

    Parameters
    ----------
    comparisons
        `tests`, or what the task's own rules give (`ranking`, `rank_distributions` …).
    disparities
        Columns metric, subset, percent: how far the worst model is from the best (yeast); empty elsewhere.
    weights
        Subset -> its weight in the challenge's scores (yeast); empty elsewhere.
    examples
        Rows of a test fold with predictions of each model, for profiles (atac): dataset, test_fold, test, predictions.
    batch_sizes
        Model -> sequences in a batch of its training.
    """

    task: str
    preset: str
    folder: str
    scores: pd.DataFrame
    comparisons: Mapping[str, pd.DataFrame]
    ceilings: pd.DataFrame
    jobs: pd.DataFrame
    labels: Mapping[str, str]
    order: Sequence[str]
    batch_sizes: Mapping[str, int]
    origins: frozenset[str]
    profile_len: int | None = None
    disparities: pd.DataFrame = field(default_factory=pd.DataFrame)
    weights: Mapping[str, float] = field(default_factory=dict)
    examples: Sequence[Any] = ()

    @property
    def simulated(self) -> bool:
        """Whether any of the data were simulated: then the figure says so."""
        return "simulated" in self.origins


@dataclass(frozen=True)
class Grid:
    """All combinations of the winners' parts: `table` and `originals` as `prixfixe grid` writes them, and its run."""

    table: pd.DataFrame
    originals: pd.DataFrame
    run: Run


@dataclass(frozen=True)
class Layer:
    """One box of an architecture: what it is, its numbers, the shape that leaves it (without the batch)."""

    block: str
    kind: str
    detail: str
    shape: tuple[int, ...]
    n_params: int


@dataclass(frozen=True)
class Site:
    """A promoter beside its variant, and what substitutions change in either, by one model.

    Parameters
    ----------
    codes
        (2, L) uint8: wild type, variant. They differ in one base.
    changes
        (2, L, 4) float: predicted change of expression by every base at every position, as `api.mutants` gives them.
    measured
        Measured expression of both, on the scale of the test set; `predicted` is in bins.
    """

    name: str
    model: str
    label: str
    codes: np.ndarray
    changes: np.ndarray
    measured: tuple[float, float]
    predicted: tuple[float, float]


@dataclass(frozen=True)
class Found:
    """Everything that was found to draw from. What is absent is empty or None, and `why` says so by its name."""

    runs: Mapping[str, Run] = field(default_factory=dict)
    grid: Grid | None = None
    challenge: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    architectures: Mapping[str, Sequence[Layer]] = field(default_factory=dict)
    sites: Sequence[Site] = ()
    sites_simulated: bool = False
    motifs: Mapping[str, str] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)

    def run(self, task: str) -> Run:
        """Return the run of a task, or raise Missing."""
        if task in self.runs:
            return self.runs[task]
        raise Missing(f"no run of task {task} is at hand: python -m benchmarks run --task {task}")


@dataclass(frozen=True)
class Drawn:
    """A panel: its figure (None for a table), the numbers behind it, what it shows, and whether data are simulated."""

    figure: Any
    numbers: pd.DataFrame
    caption: str
    simulated: bool
