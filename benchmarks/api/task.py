"""What a task module offers: the members that every task has, and one small protocol per further ability.

Plain modules satisfy these protocols; nothing inherits from them. Whether a task has an ability is asked by `supports`,
never by looking for an attribute.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import pandas as pd

from benchmarks.api.construct import Construct
from benchmarks.api.data import Dataset, Split, TaskSpec
from benchmarks.api.designed_set import DesignedSet
from benchmarks.api.metrics import Items
from benchmarks.api.recipe import Preset
from benchmarks.api.simulated_motifs import Motif
from benchmarks.io.columns import Role

if TYPE_CHECKING:
    from typing_extensions import TypeIs


class Task(Protocol):
    """A task module, `benchmarks/<name>/task.py`: how data is read, split and scored. Every task has these members."""

    NAME: str
    """Key of the task in commands, tables and folders."""
    VERSION: int
    """Raised whenever data, folds or metrics change: scores of two versions do not compare."""
    SPEC: TaskSpec
    """What a network must know; where that depends on the data (`SpecFromData`), the spec of the simulated data."""
    DATASETS: tuple[str, ...]
    """Names of the published datasets; empty where there are none."""
    SPLITS: tuple[str, ...]
    """Names of what can be held out, the published way first."""
    MODELS: tuple[str, ...]
    """Models that the published protocol compares, by their keys in the registry."""
    BASELINE: str
    """The model that the others are tested against."""
    PRESETS: Mapping[str, Preset]
    """Name -> how much of the protocol to run; the first is the default."""
    RECIPES: Mapping[str, Mapping[str, Any]]
    """Model, or family of models -> how the protocol of this task changes its recipe."""
    APPROX_ROWS: Mapping[str, int]
    """Published dataset -> about how many rows it has, to size a plan before the data is there."""

    def load(self, path: Path, *, split: str, refold: bool = False, seed: int = 0) -> Dataset:
        """Read one dataset from a user's or a published file or folder.

        Parameters
        ----------
        split
            One of `SPLITS`.
        refold
            Draw the folds anew with `seed` where the file brings its own.

        Raises
        ------
        BadInput
            If the data cannot be read, naming file, line and column.
        """
        ...

    def published(self, folder: Path) -> dict[str, Path]:
        """Find the published datasets in a folder: name -> what `load` reads.

        Raises
        ------
        BadInput
            If they are missing, saying how to get them.
        """
        ...

    def simulate(self, *, split: str, seed: int) -> Dataset:
        """Return the embedded simulated experiment, whose origin is `simulated`; the same for the same seed."""
        ...

    def splits(self, meta: pd.DataFrame) -> Iterator[Split]:
        """Give the splits of a dataset, read from the columns of its `meta`."""
        ...

    def encode(self, sequences: list[str]) -> np.ndarray:
        """Encode sequences as users write them: (n, seq_len) uint8, see `benchmarks.api.sequences`.

        Raises
        ------
        SequenceError
            For the first sequence that is invalid.
        """
        ...

    def protocol(self) -> list[tuple[int, int]]:
        """List the (test fold, validation fold) pairs of the published protocol."""
        ...

    def score(self, test: Dataset, predictions: Mapping[str, np.ndarray]) -> pd.DataFrame:
        """Score predictions of the rows of a test fold.

        Parameters
        ----------
        predictions
            Output -> (n,) or (n, profile_len), in the order of the rows of `test`.

        Returns
        -------
        Columns output, subset, level, metric, value, n; and optionally `held_out`, a name for the test fold.
        """
        ...


@runtime_checkable
class SpecFromData(Protocol):
    """A task whose outputs and sequence length are those of the data it is given."""

    def spec(self, dataset: Dataset) -> TaskSpec:
        """Return what a network must know to be trained on a dataset, or on some of its rows."""
        ...


@dataclass(frozen=True)
class PublishedFile:
    """A file of a public data set: name, address, and checksum as published (`md5:…`, `sha256:…`), or none."""

    name: str
    url: str
    checksum: str = ""


@runtime_checkable
class OffersDatasets(Protocol):
    """A task with a catalogue of public data sets, each of them a file that says how its tables are read."""

    def offered(self) -> Mapping[str, tuple[str, Sequence[PublishedFile]]]:
        """Return the data sets by name: what one is, in a sentence, and its files."""
        ...

    def describe(self, name: str, folder: Path) -> Path:
        """Write what `load` reads beside the files of a data set; return its path."""
        ...


@runtime_checkable
class ScalesRecipes(Protocol):
    """A task whose recipes depend on how many rows its data has."""

    def recipes_for(self, n_rows: int) -> Mapping[str, Mapping[str, Any]]:
        """Return `RECIPES` for data of so many rows."""
        ...


@runtime_checkable
class EncodesForSpec(Protocol):
    """A task whose sequences have the length of its data, so that encoding them needs the spec of a model."""

    def encode_for(self, sequences: list[str], spec: TaskSpec) -> np.ndarray:
        """Encode sequences as a model of this spec reads them: (n, spec.seq_len) uint8; raises as `Task.encode`."""
        ...


@runtime_checkable
class TakesColumns(Protocol):
    """A task that reads tables whose columns the user may name with --columns; its `load` takes `columns`."""

    COLUMNS: Sequence[Role]
    """What a column can hold."""


@runtime_checkable
class MarksStrands(Protocol):
    """A task whose ids may say which sequences are a reverse orientation; training and prediction read them alike."""

    def strand_marks(self, ids: Sequence[str]) -> np.ndarray:
        """Tell which ids carry a mark of the reverse orientation, whether or not it counts; (n,) bool."""
        ...

    def strands(
        self, path: Path, ids: pd.Series, codes: np.ndarray, spec: TaskSpec
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """Tell which rows of a whole file are a reverse orientation: (n,) uint8, and sentences on marks not confirmed.

        Parameters
        ----------
        ids
            Indexed by line of the file at `path`.
        codes
            (n, seq_len) uint8.
        spec
            Of the model that predicts.

        Raises
        ------
        BadInput
            If a mark contradicts the sequences.
        """
        ...


@runtime_checkable
class AddsFlanks(Protocol):
    """A task whose `encode` adds constant flanks to bare sequences."""

    def flank_note(self, sequences: list[str]) -> str | None:
        """Say in a sentence how many sequences got flanks; None if none did."""
        ...


@runtime_checkable
class HasReverseForm(Protocol):
    """A task in which both orientations of a sequence can be predicted, and averaged."""

    def reverse_form(self, codes: np.ndarray, spec: TaskSpec) -> np.ndarray:
        """Turn the part of each sequence that is measured in both orientations; (n, seq_len) uint8, a copy."""
        ...


@runtime_checkable
class HasHeadlines(Protocol):
    """A task whose plots and tables show certain scores first; of any other task that is Pearson r."""

    HEADLINES: Sequence[tuple[str, str, str]]
    """(output, subset, metric), the most important first."""


@runtime_checkable
class ChecksRun(Protocol):
    """A task that checks whether a run is sound, beside scoring it."""

    def checks(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Check the long score table of a run: columns dataset, test_fold, check, value, verdict."""
        ...


@runtime_checkable
class ScoredByItems(Protocol):
    """A task with folds whose scores are functions of independent test items, so that these can be bootstrapped."""

    def items(self, test: Dataset, predictions: Mapping[str, np.ndarray]) -> list[Items]:
        """Give what `score` scores, item by item; arguments as for `score`."""
        ...


@runtime_checkable
class ComparedWithoutFolds(Protocol):
    """A task with one test set and no folds: it brings its own comparison instead of t-tests over folds.

    Its trainings stay single models: their scores are averaged, not their predictions.
    """

    def compare(
        self,
        test: Dataset,
        predictions: Mapping[str, Sequence[Mapping[str, np.ndarray]]],
        baseline: str,
        *,
        n_threads: int = 1,
    ) -> dict[str, pd.DataFrame]:
        """Compare models by their predictions: model -> those of each of its trainings, as `score` takes them.

        Returns
        -------
        Tables by name, `ranking` and `differences` among them.
        """
        ...


@runtime_checkable
class LeavesOutElements(Protocol):
    """A task that scores rows together, such as two orientations or a pair; any other loses rows one by one."""

    def without(self, test: Dataset, unwanted: np.ndarray) -> tuple[Dataset, np.ndarray]:
        """Leave test rows out, (n,) bool, with all that is scored together with them.

        Returns
        -------
        The smaller test set, and its row numbers in `test`.
        """
        ...


@runtime_checkable
class HasConstantFlanks(Protocol):
    """A task whose sequences have constant flanks, which in-silico mutagenesis leaves alone."""

    def variable_region_mask(self, codes: np.ndarray, spec: TaskSpec) -> np.ndarray:
        """Tell which bases are not flanks: (n, seq_len) uint8 -> (n, seq_len) bool; `spec` is the model's."""
        ...

    def offsets(self, sequences: list[str], spec: TaskSpec) -> np.ndarray:
        """Tell where sequences as users write them begin in their codes, behind a flank that was added; (n,) int64."""
        ...


@runtime_checkable
class HasPlantedMotifs(Protocol):
    """A task whose simulated sequences have motifs at known places."""

    PLANTED_MOTIFS: Sequence[Motif]
    """The motifs that the simulation plants."""

    def motif_mask(self, codes: np.ndarray, output: str) -> np.ndarray:
        """Tell which bases lie in a motif that counts for an output: (n, seq_len) uint8 -> (n, seq_len) bool."""
        ...

    def candidate_mask(self, codes: np.ndarray) -> np.ndarray:
        """Tell where motifs may have been planted: (n, seq_len) uint8 -> (n, seq_len) bool."""
        ...


@runtime_checkable
class HasElementLength(Protocol):
    """A task whose construct carries a piece of a genome, so that variants are read with their surroundings."""

    ELEMENT_LEN: int
    """bp of the genome in one construct."""


@runtime_checkable
class HasConstruct(Protocol):
    """A task that sequences can be designed for."""

    def construct(self, spec: TaskSpec) -> Construct:
        """Return the insert and its constant flanks, as a model of this spec reads them.

        Raises
        ------
        BadInput
            If it depends on the data, and the spec is of no trained model.
        """
        ...


@runtime_checkable
class HasDesignedTestSet(Protocol):
    """A task that scores designed sequences, and whose simulation can stand in for their measurement."""

    def read_designed(self, folder: Path) -> DesignedSet:
        """Read a designed test set in any layout that the task takes.

        Raises
        ------
        BadInput
            For a missing or malformed file, with line, column and value.
        """
        ...

    def write_designed(
        self,
        folder: Path,
        sequences: Sequence[str],
        singles: Mapping[str, pd.DataFrame],
        pairs: Mapping[str, pd.DataFrame],
        y_true: np.ndarray | None = None,
        *,
        simulated: str = "",
    ) -> None:
        """Write designed sequences in the layout of the task's test set.

        Parameters
        ----------
        singles, pairs
            Subset of the test set -> table of pos, tag; and of alt_pos, ref_pos, alt_tag, ref_tag.
        y_true
            (n,) measured values; None before they are measured.
        simulated
            Where the values are not measured: a sentence that says where they are from.

        Raises
        ------
        BadInput
            If the test set has no such subset.
        """
        ...

    def simulated_library(self, n: int, *, seed: int) -> list[str]:
        """Draw n sequences of the simulation, flanks included."""
        ...

    def simulated_expression(self, sequences: Sequence[str]) -> np.ndarray:
        """Return the noise-free value that the simulation gives to sequences with their flanks; (n,) float64.

        Raises
        ------
        SequenceError
            For the first sequence that is invalid.
        """
        ...


@runtime_checkable
class HasChallengeScore(Protocol):
    """A task whose overall score is a weighted mean over subsets of its test set."""

    WEIGHTS: Mapping[str, float]
    """Subset -> its weight."""

    def disparities(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Compare subsets in how far submissions differ on them; from columns submission, subset, metric, value."""
        ...


A = TypeVar("A")


def supports(module: object, ability: type[A]) -> "TypeIs[A]":
    """Tell whether a task module has an ability, one of the protocols above.

    It has when the module defines all members of the protocol by name.

    >>> from types import SimpleNamespace
    >>> supports(SimpleNamespace(ELEMENT_LEN=200), HasElementLength)
    True
    """
    return isinstance(module, ability)


def encode_for(task: Task, spec: TaskSpec, sequences: list[str]) -> np.ndarray:
    """Encode sequences as a model of this spec reads them; (n, seq_len) uint8.

    Raises
    ------
    SequenceError
        For the first sequence that is invalid.
    """
    return task.encode_for(sequences, spec) if supports(task, EncodesForSpec) else task.encode(sequences)


def spec_of(task: Task, dataset: Dataset | None) -> TaskSpec:
    """Return what a network must know to be trained on a dataset; the task's SPEC unless the data decides.

    `dataset` is None before the data is there.
    """
    return task.spec(dataset) if dataset is not None and supports(task, SpecFromData) else task.SPEC
