"""Human lentiMPRA: 230 bp in, one activity out; ten folds, an element's two orientations together, nine models a fold.

Source: Rafi et al. 2024, Methods, "Human MPRA models"; data of Agarwal et al. 2025 as released with the paper.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import orientations
from benchmarks.api.construct import Construct
from benchmarks.api.data import Dataset, Split, TaskSpec
from benchmarks.api.metrics import Items, items_by_orientation, score_items
from benchmarks.api.splits import nested_splits
from benchmarks.errors import BadInput
from benchmarks.human_mpra import layouts, prepare
from benchmarks.human_mpra import simulate as simulation
from benchmarks.human_mpra.recipes import PRESETS, RECIPES
from benchmarks.io.tables import table_name

__all__ = ["PRESETS", "RECIPES"]

NAME = "human_mpra"
VERSION = 1
SPEC = TaskSpec(seq_len=prepare.SEQ_LEN, outputs=(prepare.OUTPUT,), side_channels=("is_reverse",))
DATASETS = ("HepG2", "K562", "WTC11")
SPLITS = ("element",)
MODELS = ("dream_cnn", "dream_rnn", "dream_attn", "mprann")
BASELINE = "mprann"
COLUMNS = layouts.ROLES

APPROX_ROWS = {"HepG2": 122_926, "K562": 226_253, "WTC11": 56_000}
"""Rows of the published tables, to size a plan before they are there; HepG2 is that of a copy with another filter."""

PLANTED_MOTIFS = simulation.MOTIFS
N_SIMULATED_ELEMENTS = 700

ELEMENT_LEN = prepare.ELEMENT_LEN
"""bp of a genome between the adapters."""
CONSTRUCT = Construct(prepare.LEFT_ADAPTER, ELEMENT_LEN, prepare.RIGHT_ADAPTER)

HOW_TO_GET = (
    "Fetch it: python -m benchmarks fetch --task human_mpra. "
    "Or download human_mpra_data.tar.gz from Zenodo, doi 10.5281/zenodo.10633252, and unpack it so that "
    "{folder}/HepG2_clean.tsv, K562_clean.tsv and WTC11_clean.tsv exist; or name a file or folder with --data."
)


def load(
    path: Path,
    *,
    split: str = SPLITS[0],
    refold: bool = False,
    seed: int = 0,
    columns: Mapping[str, str] | None = None,
) -> Dataset:
    """Read one cell type's table; `K562_clean.tsv` is named K562, any other file by its stem."""
    return prepare.read(path, _dataset_name(path), refold=refold, seed=seed, given=columns)


def _dataset_name(path: Path) -> str:
    stem = table_name(path)
    return next((name for name in DATASETS if stem == f"{name}_clean"), stem)


def published(folder: Path) -> dict[str, Path]:
    """Find the published tables in a folder: cell type -> file.

    Raises
    ------
    BadInput
        If one is missing, saying where to get it.
    """
    files = {}
    for name in DATASETS:
        candidates = [folder / f"{name}_clean.tsv{ending}" for ending in ("", ".gz")]
        existing = [path for path in candidates if path.is_file()]
        if not existing:
            raise BadInput(f"{candidates[0]} is missing. {HOW_TO_GET.format(folder=folder)}")
        files[name] = existing[0]
    return files


def simulate(*, split: str = SPLITS[0], seed: int) -> Dataset:
    """Return the embedded simulated experiment."""
    return simulation.simulate(n_elements=N_SIMULATED_ELEMENTS, seed=seed)


def construct(spec: TaskSpec) -> Construct:
    """Return the construct that sequences are designed for."""
    return CONSTRUCT


def encode(sequences: list[str]) -> np.ndarray:
    """Encode elements of 200 bp, or 230 with adapters, as models read them; (n, 230) uint8.

    Raises
    ------
    SequenceError
        For the first sequence that is invalid.
    """
    return prepare.encode(sequences)


def strand_marks(ids: Sequence[str]) -> np.ndarray:
    """Tell which ids end in a mark of the reverse orientation, `_Reversed:` or `_R`; (n,) bool."""
    return orientations.are_marked(ids)


def strands(path: Path, ids: pd.Series, codes: np.ndarray, spec: TaskSpec = SPEC) -> tuple[np.ndarray, tuple[str, ...]]:
    """Tell which rows are a reverse orientation, by marks in ids that the sequences confirm."""
    found = orientations.of_ids(path, ids, codes, prepare.INSERT)
    return found.is_reverse, found.notes


def reverse_form(codes: np.ndarray, spec: TaskSpec = SPEC) -> np.ndarray:
    """Reverse-complement the element between its adapters; (n, 230) uint8."""
    return prepare.reverse_insert(codes)


def flank_note(sequences: list[str]) -> str | None:
    """Say how many elements came without their adapters, which were added."""
    return prepare.flank_note(sequences)


def offsets(sequences: list[str], spec: TaskSpec = SPEC) -> np.ndarray:
    """Tell where each element begins in its codes, after an adapter or with it; (n,) int64."""
    return np.array([prepare.INSERT.start if len(text) == ELEMENT_LEN else 0 for text in sequences], dtype=np.int64)


def variable_region_mask(codes: np.ndarray, spec: TaskSpec = SPEC) -> np.ndarray:
    """Tell which bases are the element, not its adapters; (n, 230) codes -> (n, 230) bool."""
    inside = np.zeros(codes.shape, dtype=bool)
    inside[:, prepare.INSERT] = True
    return inside


def motif_mask(codes: np.ndarray, output: str) -> np.ndarray:
    """Tell which bases of simulated elements lie in a planted motif; (n, 230) codes -> (n, 230) bool."""
    return simulation.motif_mask(codes)


def candidate_mask(codes: np.ndarray) -> np.ndarray:
    """Tell where motifs may have been planted: anywhere in the element; (n, 230) codes -> (n, 230) bool."""
    return variable_region_mask(codes)


def protocol() -> list[tuple[int, int]]:
    """List the (test, validation) folds of the published protocol: every ordered pair, 90 trainings."""
    folds = range(prepare.N_FOLDS)
    return [(test, val) for test in folds for val in folds if test != val]


def splits(meta: pd.DataFrame) -> Iterator[Split]:
    """Give one split per ordered pair of folds, or the single split of a file that brings its own."""
    if "split" in meta:
        rows = {name: np.flatnonzero(meta["split"] == name) for name in ("train", "val", "test")}
        yield Split(0, 0, **rows)
    else:
        yield from nested_splits(meta["fold"].to_numpy())


def score(test: Dataset, predictions: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Score predictions of test rows by row, and averaged over the two orientations of an element."""
    return score_items(items(test, predictions))


def without(test: Dataset, unwanted: np.ndarray) -> tuple[Dataset, np.ndarray]:
    """Leave test rows out of what is scored, an element with both orientations; return the rest and its row numbers."""
    return test.without_elements(unwanted, "group")


def items(test: Dataset, predictions: Mapping[str, np.ndarray]) -> list[Items]:
    """Give what `score` scores; an element in both orientations is one unit."""
    return items_by_orientation(test, predictions, element="group", orientation="orientation")
