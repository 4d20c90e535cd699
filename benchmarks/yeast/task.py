"""Yeast: the Random Promoter DREAM Challenge; 6.7 million random promoters to train on, one designed test set.

Source: Rafi et al. 2024, Results and Methods; data rules of the challenge repository.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import simulated_marker, yeast_plasmid
from benchmarks.api.construct import Construct
from benchmarks.api.data import Dataset, Split, TaskSpec
from benchmarks.api.sequences import N_CODE, decode
from benchmarks.errors import BadInput
from benchmarks.io.tables import table_name
from benchmarks.yeast import challenge_score, prepare, rank_bootstrap, test_set
from benchmarks.yeast import simulate as simulation
from benchmarks.yeast.challenge_score import WEIGHTS
from benchmarks.yeast.rank_bootstrap import disparities
from benchmarks.yeast.recipes import PRESETS, RECIPES

__all__ = ["PRESETS", "RECIPES", "WEIGHTS", "disparities"]

NAME = "yeast"
VERSION = 1
SPEC = TaskSpec(
    seq_len=yeast_plasmid.SEQ_LEN,
    outputs=(prepare.OUTPUT,),
    head="soft_classification",
    side_channels=("is_reverse", "is_singleton"),
    training_channels=("is_singleton",),
    reverse_copies=True,
)
CONSTRUCT = Construct(yeast_plasmid.LEFT_ADAPTER, 80, yeast_plasmid.RIGHT_ADAPTER)
DATASETS = ("DREAM2022",)
SPLITS = ("designed",)
MODELS = ("dream_cnn", "dream_rnn", "dream_attn", "vaishnav")
BASELINE = "vaishnav"
COLUMNS = prepare.COLUMNS

APPROX_ROWS = {"DREAM2022": 6_739_258}
"""Rows of the published training file, to size a plan before it is there."""

PLANTED_MOTIFS = simulation.MOTIFS
N_SIMULATED = 1_800
"""Simulated training rows."""

PARTS: dict[str, challenge_score.Part] = {"private": "private", "whole": "all"}
"""Level of a score -> subset of the test set that it is computed on."""

N_DRAWS = 1_000
"""Samples of the test set in the comparisons of a run; `challenge rank` takes the paper's 10,000."""

HOW_TO_GET = (
    "Fetch it: python -m benchmarks fetch --task yeast. "
    "Or download train.txt and val.txt (or train_sequences.txt, all rows), "
    "filtered_test_data_with_MAUDE_expression.txt, test_subset_ids.tar.gz and "
    "public_leaderboard_ids.tar.gz from Zenodo, doi 10.5281/zenodo.10633252, and unpack them there; or name a folder "
    "with --data."
)


def load(
    path: Path,
    *,
    split: str = SPLITS[0],
    refold: bool = False,
    seed: int = 0,
    columns: Mapping[str, str] | None = None,
) -> Dataset:
    """Read a folder of training table and test set, or a training table whose folder has the test set.

    A folder with `train.txt` and `val.txt` has one published 90/10 split, unless `refold` draws others from all its
    rows. Else the folds of the 90/10 splits are drawn by `seed`. Where the official table of SNV pairs is missing, the
    inferred pairs of the prepared layout stand in, and a note says so.
    """
    file = prepare.training_file(path) if path.is_dir() else path
    if not file.is_file():
        raise BadInput(f"No training table at {file}.")
    test = test_set.read(file.parent, inferred_snvs=True)
    beside = prepare.validation_file(file) if path.is_dir() else None
    is_published = beside is not None or file.name.startswith(prepare.ALL_ROWS)
    name = DATASETS[0] if is_published else table_name(file)
    train = prepare.read_training(file, columns)
    validation = prepare.read_training(beside, columns) if beside else None
    return prepare.dataset(
        name, train, test, origin=simulated_marker.of(file.parent), seed=seed, validation=validation, refold=refold
    )


def published(folder: Path) -> dict[str, Path]:
    """Find the published files in a folder: all of them together are the one dataset.

    Raises
    ------
    BadInput
        If there is no training table, saying where to get it.
    """
    if not folder.is_dir():
        raise BadInput(f"No folder at {folder}. {HOW_TO_GET}")
    try:
        prepare.training_file(folder)
    except BadInput as error:
        raise BadInput(f"{error} {HOW_TO_GET}") from None
    return {DATASETS[0]: folder}


def simulate(*, split: str = SPLITS[0], seed: int) -> Dataset:
    """Return the embedded simulated challenge."""
    return simulation.simulate(n_train=N_SIMULATED, seed=seed)


def simulated_library(n: int, *, seed: int) -> list[str]:
    """Draw promoters of the simulation, adapters included, to be sorted in a simulated experiment."""
    regions = simulation.random_regions(np.random.default_rng(seed), n)
    return [yeast_plasmid.LEFT_ADAPTER + region + yeast_plasmid.RIGHT_ADAPTER for region in decode(regions)]


def simulated_expression(sequences: Sequence[str]) -> np.ndarray:
    """Return the noise-free expression, in bins, that the simulation gives to promoters with adapters; (n,) float64.

    Raises
    ------
    SequenceError
        For the first sequence that is invalid.
    """
    codes = yeast_plasmid.construct(sequences)
    regions = np.where(yeast_plasmid.variable_region_mask(codes), codes, np.uint8(N_CODE))
    end = SPEC.seq_len - len(yeast_plasmid.RIGHT_ADAPTER)
    return simulation.expression(regions[:, end - simulation.WIDTH : end])


def construct(spec: TaskSpec) -> Construct:
    """Return the construct that sequences are designed for."""
    return CONSTRUCT


def encode(sequences: list[str]) -> np.ndarray:
    """Encode rows of the challenge, with both adapters, as models read them; (n, 150) uint8.

    Raises
    ------
    SequenceError
        For the first sequence that is invalid.
    """
    return yeast_plasmid.construct(sequences)


def offsets(sequences: list[str], spec: TaskSpec = SPEC) -> np.ndarray:
    """Count the bases of the plasmid before each row in its codes; (n,) int64."""
    added = np.where(yeast_plasmid.are_bare(sequences), len(yeast_plasmid.RIGHT_ADAPTER), 0)
    return SPEC.seq_len - np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences)) - added


def flank_note(sequences: list[str]) -> str | None:
    """Say how many promoters came without their adapters, which were added."""
    return yeast_plasmid.flank_note(sequences)


def variable_region_mask(codes: np.ndarray, spec: TaskSpec = SPEC) -> np.ndarray:
    """Tell which bases are the promoter's own, not the plasmid's; (n, 150) codes -> (n, 150) bool."""
    return yeast_plasmid.variable_region_mask(codes)


def motif_mask(codes: np.ndarray, output: str) -> np.ndarray:
    """Tell which bases of simulated promoters lie in a planted motif; (n, 150) codes -> (n, 150) bool."""
    return simulation.motif_mask(codes)


def candidate_mask(codes: np.ndarray) -> np.ndarray:
    """Tell where motifs may have been planted: anywhere in the promoter; (n, 150) codes -> (n, 150) bool."""
    return variable_region_mask(codes)


write_designed = test_set.write_published
read_designed = test_set.read_designed


def protocol() -> list[tuple[int, int]]:
    """List the (test, validation) folds: one test set, and ten ways to take a tenth of the training rows aside."""
    return [(0, val) for val in range(prepare.N_FOLDS)]


def splits(meta: pd.DataFrame) -> Iterator[Split]:
    """Give the 90/10 splits; the designed sequences always test.

    Each tenth of the training rows validates once; of a published split, the published rows alone.
    """
    part, fold = meta["part"].to_numpy(), meta["fold"].to_numpy()
    may_train, test = part == prepare.TRAIN, np.flatnonzero(part == prepare.TEST)
    for val in sorted(set(fold[may_train].tolist()) - {prepare.NEVER_VALIDATES}):
        yield Split(
            0, val, train=np.flatnonzero(may_train & (fold != val)), val=np.flatnonzero(may_train & (fold == val)),
            test=test,
        )  # fmt: skip


def score(test: Dataset, predictions: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Score the nine parts of the challenge and both challenge scores, on the private part and on the whole test set.

    Correlations only: measurements of the test set are on another scale than those that models learn.
    """
    truth, y_pred = test_set.of_dataset(test), predictions[prepare.OUTPUT]
    tables = [challenge_score.score(truth, y_pred, part).assign(level=level) for level, part in PARTS.items()]
    return pd.concat(tables, ignore_index=True).assign(output=prepare.OUTPUT, held_out="designed sequences")


def without(test: Dataset, unwanted: np.ndarray) -> tuple[Dataset, np.ndarray]:
    """Leave test sequences out of what is scored, and every pair with one of them; return the rest and its rows."""
    left, rows = test.without_elements(unwanted)
    position = np.cumsum(~unwanted) - 1
    reduced = {}
    for name, columns in (("subsets", ["pos"]), ("pairs", ["alt_pos", "ref_pos"])):
        table = test.tables[name]
        table = table[~unwanted[table[columns].to_numpy(dtype=np.int64)].any(axis=1)].copy()
        for column in columns:
            table[column] = position[table[column].to_numpy(dtype=np.int64)]
        reduced[name] = table.reset_index(drop=True)
    return dataclasses.replace(left, tables=reduced), rows


def compare(
    test: Dataset, predictions: Mapping[str, Sequence[Mapping[str, np.ndarray]]], baseline: str, *, n_threads: int = 1
) -> dict[str, pd.DataFrame]:
    """Compare models by the rules of this task, which has one test set and no folds.

    Parameters
    ----------
    predictions
        Model -> predictions of each of its members (one per seed and split).

    Returns
    -------
    `ranking`: the paper's rank bootstrap, by the mean score over a model's members; `differences`: a paired bootstrap
    over test items (a pair is one item) of every model against the baseline, where that is among them. Both are of the
    private part.
    """
    truth = test_set.of_dataset(test)
    members = {
        model: np.stack([one[prepare.OUTPUT] for one in several]).astype(np.float64)
        for model, several in predictions.items()
    }
    return rank_bootstrap.compare(truth, members, baseline, n_draws=N_DRAWS, n_threads=n_threads)
