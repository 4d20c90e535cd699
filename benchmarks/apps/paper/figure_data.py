"""The data that panels are drawn from: stored runs, the grid of combinations, challenge tables, networks, ISM sites."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.api.designed_set import DesignedSet
from benchmarks.apps.paper.motifs import Motif
from benchmarks.engine.evaluation.combination_grid import Grid
from benchmarks.engine.reporting.plots import FirstFold


class MissingData(Exception):
    """The data of a panel are missing; the text says which, and `command` how to get them ("" if no command does)."""

    def __init__(self, reason: str, command: str = "") -> None:
        super().__init__(reason)
        self.command = command


@dataclass(frozen=True)
class Run:
    """The tables of one stored run; `results/README.md` lists their columns.

    Parameters
    ----------
    comparisons
        `tests`, or what the task's own rules give (`ranking`, `rank_distributions` …).
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
    examples: Sequence[FirstFold] = ()

    @property
    def simulated(self) -> bool:
        """Whether any of the data were simulated: then the figure says so."""
        return "simulated" in self.origins


@dataclass(frozen=True)
class Layer:
    """A layer of a network: its place, what it is, its sizes by name, the shape that leaves it (without the batch)."""

    path: str
    kind: str
    numbers: Mapping[str, float]
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
        (2, L, 4) float: predicted change of expression by every base at every position; see `Effects`.
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
class FigureData:
    """All data that the chosen panels may use.

    Parameters
    ----------
    runs
        Task -> its stored run.
    challenge
        Name of a table (`ranking`, `scores` …) -> the table, as `challenge … --out` wrote it.
    top, reference
        How many of the best submissions Fig. 1 shows, and which one is the reference model ("" if there is none).
    n_params
        Task -> model -> its parameters at full size.
    speed
        Raw repeats of `bench speed`; empty without any.
    test_set
        The designed test set; None without any.
    reads
        Columns subset, pos, n_reads, origin: reads per designed sequence; empty without any.
    architectures
        Title of a network -> its layers, input to output.
    sites, sites_simulated
        What Extended Data 8 shows, and whether any of it rests on simulated data.
    motifs
        Motifs whose altered sites are boxed in Extended Data 8.
    sources
        Name of a source, as in `Panel.uses` -> what was found there, for people.
    notes
        Why an empty or None field is so (key: its name), and how sites were chosen (key: `site_choice`).
    """

    runs: Mapping[str, Run] = field(default_factory=dict)
    grid: Grid | None = None
    challenge: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    top: int = 10
    reference: str = ""
    n_params: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    speed: pd.DataFrame = field(default_factory=pd.DataFrame)
    test_set: DesignedSet | None = None
    reads: pd.DataFrame = field(default_factory=pd.DataFrame)
    architectures: Mapping[str, Sequence[Layer]] = field(default_factory=dict)
    sites: Sequence[Site] = ()
    sites_simulated: bool = False
    motifs: Sequence[Motif] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def run(self, task: str) -> Run:
        """Return the run of a task.

        Raises
        ------
        MissingData
            If there is none.
        """
        if task in self.runs:
            return self.runs[task]
        raise MissingData(f"no run of task {task} is stored", f"python -m benchmarks run --task {task}")


@dataclass(frozen=True)
class RenderedPanel:
    """A panel: its figure (None for a table), the numbers behind it, its caption, and whether data are simulated.

    Parameters
    ----------
    uses
        Which of the panel's possible sources it was drawn from; empty: all that are there.
    """

    figure: Figure | None
    numbers: pd.DataFrame
    caption: str
    simulated: bool
    uses: Sequence[str] = ()
