"""Any reporter assay: a table of sequences and measurements, by its header or assay.yaml; folds by related sequences.

Source: the protocol of Rafi et al. 2024, Methods, "Human MPRA models", which the paper carries over to other data.
"""

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import orientations
from benchmarks.api.construct import Construct
from benchmarks.api.data import Dataset, Layout, Split, TaskSpec
from benchmarks.api.metrics import Items, items_by_orientation, score_items
from benchmarks.api.sequences import N_CODE, SequenceError, decode
from benchmarks.api.splits import nested_splits
from benchmarks.assay import config, guess, lengths, public, read
from benchmarks.assay import simulate as simulation
from benchmarks.assay.public import describe, offered
from benchmarks.assay.recipes import PRESETS, RECIPES, recipes_for
from benchmarks.errors import BadInput
from benchmarks.io.columns import Role
from benchmarks.io.tables import table_name

__all__ = ["PRESETS", "RECIPES", "describe", "offered", "recipes_for"]

NAME = "assay"
VERSION = 1
SPEC = TaskSpec(seq_len=simulation.MAX_LEN, outputs=simulation.OUTPUTS, side_channels=("is_reverse",))
DATASETS: tuple[str, ...] = ()
SPLITS = ("as_configured", "groups", "homology", "chromosomes", "blocks", "column")
MODELS = ("dream_cnn", "dream_rnn", "dream_attn", "mprann")
BASELINE = "mprann"
APPROX_ROWS: dict[str, int] = {}
COLUMNS = (
    *(Role(part, names, part) for part, names in guess.OTHER.items()),
    guess.ID,
    guess.SEQUENCE,
    Role("value", guess.VALUE, "values"),
)


def load(
    path: Path,
    *,
    split: str = SPLITS[0],
    refold: bool = False,
    seed: int = 0,
    columns: Mapping[str, str] | None = None,
) -> Dataset:
    """Read what an assay.yaml describes, or a table by what its header and content tell."""
    if config.is_config(path):
        if columns:
            raise BadInput(f"--columns: {path} says what the columns are; change it there.")
        found = config.read(path)
        notes: tuple[str, ...] = ()
    else:
        guessed = guess.guess(path, given=columns)
        found, notes = guessed.config, ("Columns were told by the table itself; `assay init` writes them down.",)
        notes += tuple(line for line in guessed.found if line.startswith("ATTENTION"))
    name = found.name or table_name(Path(found.table))
    found = found if split == SPLITS[0] else config.with_split(found, split)
    dataset = read.read(found, path.parent, name, refold=refold, seed=seed)
    return dataclasses.replace(dataset, notes=(*dataset.notes, *notes))


def published(folder: Path) -> dict[str, Path]:
    """Find the assay.yaml of a folder, and the public assays that were fetched into it.

    Raises
    ------
    BadInput
        If it has none, saying how to make one.
    """
    found = {file.stem: file for file in sorted(folder.glob("*.yaml"))} if folder.is_dir() else {}
    found |= public.fetched(folder)
    if not found:
        raise BadInput(
            f"{folder} has no assay.yaml. Make one: python -m benchmarks assay init TABLE; or give --data TABLE."
        )
    return found


def simulate(*, split: str = SPLITS[0], seed: int) -> Dataset:
    """Return the embedded simulated assay: written as a pipeline writes it, and read as anybody's table is."""
    with tempfile.TemporaryDirectory() as scratch:
        table, design = simulation.write(Path(scratch), seed=seed)
        found = guess.guess(table, design).config
        found = found if split == SPLITS[0] else config.with_split(found, split)
        dataset = read.read(found, Path(scratch), "simulated", refold=False, seed=seed)
    notes = (f"SIMULATED reporter assay (seed {seed}): no value here was measured.", *dataset.notes)
    return dataclasses.replace(dataset, origin="simulated", notes=notes)


def spec(dataset: Dataset) -> TaskSpec:
    """Return outputs and length of an assay, how sequences lie in its rows, and whether a loss needs weights."""
    return TaskSpec(
        dataset.codes.shape[1],
        tuple(dataset.targets),
        side_channels=SPEC.side_channels,
        weighted="weight" in dataset.meta or any(np.isnan(values).any() for values in dataset.targets.values()),
        layout=read.layout_of(dataset),
    )


def encode(sequences: list[str]) -> np.ndarray:
    """Encode sequences of the simulated assay; those of another length go through `encode_for`."""
    return encode_for(sequences, SPEC)


def encode_for(sequences: list[str], spec: TaskSpec) -> np.ndarray:
    """Encode sequences as a model of this spec reads them, cropped and padded as its data was; (n, seq_len) uint8.

    Raises
    ------
    SequenceError
        For the first sequence that is longer where that is refused, empty, without the adapters that all sequences of
        the data have, or with a letter that stands for no base.
    """
    left, right = (spec.layout or Layout()).adapters
    for row, text in enumerate(sequences):
        if not (text.upper().startswith(left) and text.upper().endswith(right)):
            raise SequenceError(
                row, f"the model was trained on sequences that begin with {left or '-'} and end with {right or '-'}; "
                "this one does not: add the adapters"
            )  # fmt: skip
    return lengths.as_rows(sequences, spec.seq_len, spec.layout or Layout())


def offsets(sequences: list[str], spec: TaskSpec) -> np.ndarray:
    """Tell where sequences begin in their rows, behind what they are padded with; (n,) int64."""
    return lengths.offsets(np.fromiter(map(len, sequences), np.int64), spec.seq_len, spec.layout or Layout())


def variable_region_mask(codes: np.ndarray, spec: TaskSpec) -> np.ndarray:
    """Tell which bases are of the sequence, between its adapters; (n, seq_len) -> (n, seq_len) bool.

    N is what sequences are padded with; where they are padded with bases, these and adapters cannot be told apart.
    """
    layout = spec.layout or Layout()
    inside = codes != N_CODE
    if any(layout.pad_with):
        return inside
    column = np.arange(codes.shape[1])
    first, last = inside.argmax(axis=1), codes.shape[1] - inside[:, ::-1].argmax(axis=1)
    left, right = (len(end) for end in layout.adapters)
    return inside & (column >= (first + left)[:, None]) & (column < (last - right)[:, None])


def reverse_form(codes: np.ndarray, spec: TaskSpec) -> np.ndarray:
    """Turn what lies between the adapters of each sequence, wherever its padding is; (n, seq_len) uint8.

    Raises
    ------
    BadInput
        If sequences are padded with bases, which cannot be told from them.
    """
    layout = spec.layout or Layout()
    if any(layout.pad_with):
        raise BadInput("Both strands cannot be predicted where sequences are padded with bases instead of N.")
    texts = [text.strip("N") for text in decode(codes)]
    return lengths.as_rows(lengths.reversed_all(texts, layout), spec.seq_len, layout)


def construct(spec: TaskSpec) -> Construct:
    """Return the insert between the adapters of the data that a model was trained on."""
    if spec.layout is None:
        raise BadInput(
            "Sequences for an assay are designed with a model of it, which knows their length and adapters: design "
            "high, low, challenging or snv, with --run."
        )
    left, right = spec.layout.adapters
    return Construct(left, spec.seq_len - len(left) - len(right), right)


def strand_marks(ids: Sequence[str]) -> np.ndarray:
    """Tell which ids end in a mark of the reverse orientation, `_Reversed:` or `_R`; (n,) bool."""
    return orientations.are_marked(ids)


def strands(path: Path, ids: pd.Series, codes: np.ndarray, spec: TaskSpec) -> tuple[np.ndarray, tuple[str, ...]]:
    """Tell which rows are a reverse orientation, by marks in ids that the sequences confirm."""
    layout = spec.layout or Layout()
    left, right = (len(end) for end in layout.adapters)
    whole = (codes[:, [0, -1]] != N_CODE).all(axis=1)  # marks of padded rows do not count
    is_reverse = np.zeros(len(codes), dtype=np.uint8)
    if not whole.any() or not layout.has_marks:  # nor do any, where they did not in training
        return is_reverse, ()
    found = orientations.of_ids(path, ids[whole], codes[whole], slice(left, codes.shape[1] - right))
    is_reverse[whole] = found.is_reverse
    return is_reverse, found.notes


def protocol() -> list[tuple[int, int]]:
    """List the (test, validation) folds of ten folds: every ordered pair."""
    return [(test, val) for test in range(10) for val in range(10) if test != val]


def splits(meta: pd.DataFrame) -> Iterator[Split]:
    """Give one split per ordered pair of folds, or the single split of the data.

    Controls neither train nor validate; of a single split, all are tested.
    """
    is_control = meta["is_control"].to_numpy() != 0
    if "split" in meta:
        part = meta["split"].to_numpy()
        train, val = (np.flatnonzero((part == name) & ~is_control) for name in ("train", "val"))
        yield Split(0, 0, train=train, val=val, test=np.flatnonzero((part == "test") | is_control))
        return
    for split in nested_splits(meta["fold"].to_numpy()):
        train, val = (rows[~is_control[rows]] for rows in (split.train, split.val))
        yield Split(split.test_fold, split.val_fold, train=train, val=val, test=split.test)


def score(test: Dataset, predictions: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Score predictions of test rows: all but controls, and every class of elements apart."""
    return score_items(items(test, predictions))


def without(test: Dataset, unwanted: np.ndarray) -> tuple[Dataset, np.ndarray]:
    """Leave test rows out of what is scored, an element with both orientations; return the rest and its row numbers."""
    return test.without_elements(unwanted, "element")


def items(test: Dataset, predictions: Mapping[str, np.ndarray]) -> list[Items]:
    """Give what `score` scores, by subset; an element in both orientations is one unit."""
    classes = test.meta["element_class"].astype(str).to_numpy()
    subsets = {"all": test.meta["is_control"].to_numpy() == 0}
    subsets |= {name: classes == name for name in dict.fromkeys(classes) if name}
    result = []
    for subset, chosen in subsets.items():
        rows = np.flatnonzero(chosen)
        if len(rows) < 3:
            continue
        part = {name: values[rows] for name, values in predictions.items()}
        found = items_by_orientation(test.take(rows), part, element="element", orientation="orientation")
        result += [Items(one.output, subset, one.level, one.unit, one.values) for one in found if len(one.unit)]
    return result
