"""Drosophila UMI-STARR-seq: 249 bp in, developmental and housekeeping activity out; whole chromosomes held out.

Source: Rafi et al. 2024, Methods, "Drosophila UMI-STARR-seq models"; data of de Almeida et al. 2022 (DeepSTARR).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api.construct import Construct
from benchmarks.api.data import Dataset, Split, TaskSpec
from benchmarks.api.metrics import Items, items_by_orientation, score_items
from benchmarks.api.sequences import encode as encode_sequences
from benchmarks.api.sequences import reverse_complement
from benchmarks.api.splits import nested_splits
from benchmarks.drosophila import prepare, read_tables
from benchmarks.drosophila import simulate as simulation
from benchmarks.drosophila.recipes import PRESETS, RECIPES
from benchmarks.errors import BadInput
from benchmarks.io.tables import table_name

__all__ = ["PRESETS", "RECIPES"]

NAME = "drosophila"
VERSION = 1
SPEC = TaskSpec(seq_len=prepare.SEQ_LEN, outputs=tuple(prepare.OUTPUTS), side_channels=("is_reverse",))
CONSTRUCT = Construct("", prepare.SEQ_LEN, "")
DATASETS = ("S2",)
SPLITS = prepare.SPLITS
MODELS = ("dream_cnn", "dream_rnn", "dream_attn", "deepstarr")
BASELINE = "deepstarr"
COLUMNS = read_tables.COLUMNS

APPROX_ROWS = {"S2": 484_052}
"""Rows of the published files, to size a plan before they are there: 242,026 windows in both orientations."""

PLANTED_MOTIFS = simulation.MOTIFS
N_SIMULATED_LOCI = 130
"""Windows per simulated chromosome."""

HOW_TO_GET = (
    "Fetch it: python -m benchmarks fetch --task drosophila. "
    "Or download drosophila_starrseq_data.tar.gz from Zenodo, doi 10.5281/zenodo.10633252, or Sequences_Train.fa, _Val "
    "and _Test with their Sequences_activity_*.txt, doi 10.5281/zenodo.5502060, and unpack it there; or name a file or "
    "folder with --data."
)


def load(
    path: Path,
    *,
    split: str = SPLITS[0],
    refold: bool = False,
    seed: int = 0,
    columns: Mapping[str, str] | None = None,
) -> Dataset:
    """Read a table, a FASTA file with its activities, or a folder of them (one dataset).

    Nothing in the files says which fold a row is in, so there is nothing that `refold` could replace.
    """
    is_published = path.is_dir() or read_tables.is_pair(path)
    name = DATASETS[0] if is_published else table_name(path)
    return prepare.read(path, name, split=split, seed=seed, given=columns)


def published(folder: Path) -> dict[str, Path]:
    """Find the published files in a folder: all of them together are the one dataset.

    Raises
    ------
    BadInput
        If there are none, saying where to get them.
    """
    if not read_tables.has_data(folder):
        raise BadInput(f"{folder} holds no STARR-seq data. {HOW_TO_GET}")
    return {DATASETS[0]: folder}


def simulate(*, split: str = SPLITS[0], seed: int) -> Dataset:
    """Return the embedded simulated experiment."""
    return simulation.simulate(n_loci=N_SIMULATED_LOCI, split=split, seed=seed)


def construct(spec: TaskSpec) -> Construct:
    """Return the construct that sequences are designed for."""
    return CONSTRUCT


def encode(sequences: list[str]) -> np.ndarray:
    """Encode windows of 249 bp; (n, 249) uint8.

    Raises
    ------
    SequenceError
        For the first sequence that is invalid.
    """
    return encode_sequences(sequences, prepare.SEQ_LEN)


def strand_marks(ids: Sequence[str]) -> np.ndarray:
    """Tell which ids say that a window is read from the reverse strand, `_-_`; (n,) bool."""
    return read_tables.are_marked(ids)


def strands(path: Path, ids: pd.Series, codes: np.ndarray, spec: TaskSpec = SPEC) -> tuple[np.ndarray, tuple[str, ...]]:
    """Tell which windows are read from the reverse strand, by their ids."""
    return read_tables.strands(path, ids, codes), ()


def reverse_form(codes: np.ndarray, spec: TaskSpec = SPEC) -> np.ndarray:
    """Reverse-complement windows; (n, 249) uint8."""
    return reverse_complement(codes)


def motif_mask(codes: np.ndarray, output: str) -> np.ndarray:
    """Tell which bases of simulated windows lie in a motif of a programme; (n, 249) codes -> (n, 249) bool."""
    return simulation.motif_mask(codes, output)


def candidate_mask(codes: np.ndarray) -> np.ndarray:
    """Tell where motifs may have been planted: anywhere; (n, 249) codes -> (n, 249) bool."""
    return np.ones(codes.shape, dtype=bool)


def protocol() -> list[tuple[int, int]]:
    """List the (test, validation) folds of the published protocol: five chromosomes by ten folds, 50 trainings."""
    return [(test, val) for test in range(len(prepare.CHROMOSOMES)) for val in range(prepare.N_VAL_FOLDS)]


def splits(meta: pd.DataFrame) -> Iterator[Split]:
    """Give the splits that `meta` describes; see `prepare.hold_out`."""
    if "split" in meta:
        part = meta["split"].to_numpy()
        yield Split(0, 0, **{name: np.flatnonzero(part == name) for name in ("train", "val", "test")})
    elif "test_fold" in meta:
        yield from _by_chromosome(meta)
    else:
        yield from nested_splits(meta["fold"].to_numpy())


def _by_chromosome(meta: pd.DataFrame) -> Iterator[Split]:
    test_fold, fold = meta["test_fold"].to_numpy(), meta["fold"].to_numpy()
    twin = meta["twin"].to_numpy() if "twin" in meta else np.full(len(meta), -1)
    for number in np.unique(test_fold[test_fold >= 0]):
        is_test = test_fold == number
        seen_in_test = np.isin(twin, twin[is_test & (twin >= 0)])
        rest = ~is_test & ~seen_in_test
        for val in range(prepare.N_VAL_FOLDS):
            yield Split(
                int(number),
                val,
                train=np.flatnonzero(rest & (fold != val)),
                val=np.flatnonzero(rest & (fold == val)),
                test=np.flatnonzero(is_test),
            )


def score(test: Dataset, predictions: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Score both programmes by row, and averaged over the two orientations of a locus; say where the rows lie.

    The paper's figure is at row level: both orientations are rows of the file, with the same measured value.
    """
    chroms = ", ".join(dict.fromkeys(test.meta["chrom"].astype(str)))
    return score_items(items(test, predictions)).assign(held_out=chroms)


def without(test: Dataset, unwanted: np.ndarray) -> tuple[Dataset, np.ndarray]:
    """Leave test rows out of what is scored, a locus with both orientations; return the rest and its row numbers."""
    return test.without_elements(unwanted, "locus")


def items(test: Dataset, predictions: Mapping[str, np.ndarray]) -> list[Items]:
    """Give what `score` scores; a locus in both orientations is one unit."""
    return items_by_orientation(test, predictions, element="locus", orientation="is_reverse")
