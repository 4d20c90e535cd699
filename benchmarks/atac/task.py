"""ATAC-seq: 2,114 bp in, Tn5 insertions of the middle 1,000 bp out, per base and in all; whole chromosomes held out.

Source: Rafi et al. 2024, Methods, "Human chromatin accessibility models"; protocol of `kundajelab/chrombpnet`.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import profiles
from benchmarks.api.data import Dataset, Split, TaskSpec
from benchmarks.api.metrics import Items, jsd, normalised_jsd, score_items
from benchmarks.api.sequences import encode as encode_sequences
from benchmarks.atac import prepared, regions
from benchmarks.atac import simulate as simulation
from benchmarks.atac.recipes import PRESETS, RECIPES
from benchmarks.errors import BadInput
from benchmarks.io import validated
from benchmarks.io.tables import table_name

__all__ = ["PRESETS", "RECIPES"]

NAME = "atac"
VERSION = 1
SPEC = TaskSpec(
    seq_len=regions.SEQ_LEN,
    outputs=profiles.OUTPUTS,
    head="profile_counts",
    profile_len=regions.PROFILE_LEN,
    max_jitter=regions.MAX_JITTER,
)
DATASETS = ("K562",)
SPLITS = ("chromosome",)
MODELS = ("dream_cnn_keras", "dream_rnn_keras", "dream_attn", "bpnet", "chrombpnet")
BASELINE = "chrombpnet"
HEADLINES = (("log_counts", "peaks", "pearson_r"), ("profile", "peaks", "one_minus_median_jsd"))
"""What figures show: output, subset, metric (Fig. 3c,d of the paper)."""

APPROX_ROWS = {"K562": 1_000_000}
"""Windows of the five splits together, to size a plan before they are prepared: about 270,000 are peaks."""

PLANTED_MOTIFS = simulation.MOTIFS
N_FOLDS = 5
SUBSETS = ("peaks", "nonpeaks", "peaks_and_nonpeaks")

HOW_TO_GET = (
    "Prepare it: python -m benchmarks prepare --task atac --genome FASTA --reads FILE --peaks NARROWPEAK --out FOLDER. "
    "For K562, python -m benchmarks fetch --task atac brings, of ENCODE: "
    "BAM ENCFF077FBI, ENCFF128WZG and ENCFF534DCE (--reads for each), peaks ENCFF333TAT, blacklist "
    "ENCFF356LFX."
)


def load(path: Path, *, split: str = SPLITS[0], refold: bool = False, seed: int = 0) -> Dataset:
    """Open a prepared folder; its windows stay on disk.

    Raises
    ------
    BadInput
        If the folder is not a prepared one, or damaged; if other splits than its own are asked for.
    """
    if refold:
        raise BadInput("--refold: splits of atac are whole chromosomes, chosen when the folder is prepared (--folds).")
    about = prepared.read_about(path)
    table = prepared.read_regions(path / prepared.REGIONS)
    arrays = {}
    for name, width in (("codes", prepared.WIDE_SEQ), ("profile", prepared.WIDE_PROFILE)):
        file = path / "windows" / f"{name}.npy"
        arrays[name] = validated.map_array(file, recovery_hint="prepare the folder again")
        if arrays[name].dtype.kind not in ("u" if name == "codes" else "uf"):
            raise BadInput(f"{file} has values of type {arrays[name].dtype}; prepare the folder again.")
        if arrays[name].shape != (len(table), width):
            raise BadInput(f"{file} has shape {arrays[name].shape}, expected {(len(table), width)}; prepare it again.")
    return Dataset(
        table_name(path),
        arrays["codes"],
        {"profile": arrays["profile"]},
        table.drop(columns="gc"),
        about["origin"],
        notes=tuple(prepared.notes_of(about)),
    )


def published(folder: Path) -> dict[str, Path]:
    """Find prepared folders: the folder itself, or those in it.

    Raises
    ------
    BadInput
        If there is none, saying how to make one.
    """
    found = prepared.inside(folder)
    if not found:
        raise BadInput(f"{folder} holds no prepared ATAC data. {HOW_TO_GET}")
    return {table_name(path): path for path in found}


@lru_cache(maxsize=1)
def _simulated(seed: int) -> Dataset:
    return simulation.simulate(seed=seed)


def simulate(*, split: str = SPLITS[0], seed: int) -> Dataset:
    """Return the embedded simulated experiment, made by way of files."""
    return _simulated(seed)


def encode(sequences: list[str]) -> np.ndarray:
    """Encode windows of 2,114 bp; (n, 2114) uint8.

    Raises
    ------
    SequenceError
        For the first sequence that is invalid.
    """
    return encode_sequences(sequences, regions.SEQ_LEN)


def motif_mask(codes: np.ndarray, output: str) -> np.ndarray:
    """Tell which bases of simulated windows lie in a motif; (n, 2114) codes -> (n, 2114) bool."""
    return simulation.motif_mask(codes)


def candidate_mask(codes: np.ndarray) -> np.ndarray:
    """Tell where motifs may have been planted, around the centre; (n, 2114) codes -> (n, 2114) bool."""
    inside = np.zeros(codes.shape, dtype=bool)
    inside[:, simulation.central_columns(codes.shape[1])] = True
    return inside


def protocol() -> list[tuple[int, int]]:
    """List the folds of the published protocol: five splits, one model each."""
    return [(fold, 0) for fold in range(N_FOLDS)]


def splits(meta: pd.DataFrame) -> Iterator[Split]:
    """Give the splits of a prepared folder: peaks and the background that was matched to them, by chromosome.

    Test sets are never filtered; what a model trains on is its own rule (`benchmarks.api.profiles`).
    """
    for number in range(sum(name.startswith("fold_") for name in meta)):
        part = meta[f"fold_{number}"].to_numpy()
        rows = {name: np.flatnonzero(part == code) for name, code in prepared.PART_CODES.items()}
        yield Split(number, 0, train=rows["train"], val=rows["valid"], test=rows["test"])


def score(test: Dataset, predictions: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Score log counts and profiles, in peaks, in background and in both; the paper's figures are of peaks.

    Windows without an insertion have no profile and count in no median. Source: Rafi et al. 2024, Methods, "Human
    chromatin accessibility models" (Pearson r of log counts, Jensen-Shannon distance of profiles).
    """
    return score_items(items(test, predictions)).assign(
        held_out=", ".join(dict.fromkeys(test.meta["chrom"].astype(str)))
    )


def without(test: Dataset, unwanted: np.ndarray) -> tuple[Dataset, np.ndarray]:
    """Leave test rows out of what is scored, window by window; return the rest and its row numbers."""
    return test.without_elements(unwanted)


def items(test: Dataset, predictions: Mapping[str, np.ndarray]) -> list[Items]:
    """Give what `score` scores; a window is one unit."""
    profile = profiles.central(test.targets["profile"], SPEC.profile_len)
    log_counts = np.log1p(profile.sum(axis=1, dtype=np.float64))
    distance = jsd(profile, np.exp(profiles.log_softmax(predictions["profile_logits"])))
    normalised = normalised_jsd(profile, distance)
    is_peak = test.meta["is_peak"].to_numpy(dtype=bool)
    found = []
    for subset, chosen in zip(SUBSETS, (is_peak, ~is_peak, np.ones_like(is_peak)), strict=True):
        if not chosen.any():
            continue
        unit = np.arange(chosen.sum())
        counts = {"y_true": log_counts[chosen], "y_pred": predictions["log_counts"][chosen]}
        shapes = {"jsd": distance[chosen], "norm_jsd": normalised[chosen]}
        found += [Items(o, subset, "region", unit, v) for o, v in (("log_counts", counts), ("profile", shapes))]
    return found


def checks(scores: pd.DataFrame) -> pd.DataFrame:
    """Check the bias models by their counts in the test peaks: they should neither predict nor invert accessibility.

    Source: `kundajelab/chrombpnet`, `chrombpnet/pipelines.py`: nothing is trained with a bias model at -0.5 or less,
    and from -0.3 down there is a warning. A training checks that on its own peaks; these are the held-out ones.
    """
    chosen = scores[
        (scores["model"] == "bpnet_bias")
        & (scores["role"] == "ensemble")
        & (scores["subset"] == "peaks")
        & (scores["metric"] == "pearson_r")
    ]
    results = np.select([chosen["value"] <= -0.5, chosen["value"] <= -0.3], ["fails", "warning"], "fine")
    return pd.DataFrame(
        {
            "dataset": chosen["dataset"],
            "test_fold": chosen["test_fold"],
            "check": "Pearson r of the bias model's log counts in test peaks; -0.5 or less fails",
            "value": chosen["value"],
            "verdict": results,
        }
    )
