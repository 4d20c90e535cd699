"""MPRAnn: four convolutions and three dense layers on 230-bp lentiMPRA sequences.

Source: `visze/sequence_cnn_models`, function `standard`; recipe of Rafi et al. 2024, Methods (batch 32, no extra rows).
The repository's own workflow uses batch 128 and every row twice: `--set mprann.batch_size=128` and
`--set mprann.augment_insert=true`.
"""

from dataclasses import dataclass, replace

from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.recipe import Recipe
from benchmarks.api.sequences import reverse_insert
from benchmarks.errors import BadInput

NAME = "MPRAnn"

SEQ_LEN, INSERT = 230, slice(15, 215)
"""The 200-bp element between the adapters of a 230-bp lentiMPRA sequence, 0-based."""


@dataclass(frozen=True)
class MPRAnnRecipe(Recipe):
    """`augment_insert` adds every row with its insert reverse-complemented between unchanged adapters, to training,
    validation and prediction (averaged), as the repository's configurations do."""

    augment_insert: bool = False


RECIPE = MPRAnnRecipe(batch_size=32, max_lr=0.001, epochs=100, patience=10)


def unsupported(spec: TaskSpec) -> str | None:
    if spec.head != "regression":
        return f"predicts one number per output, not {spec.head}"
    if spec.seq_len < 21:
        return f"needs sequences of at least 21 bp, not {spec.seq_len}"
    return None


def network(seq_len: int = SEQ_LEN, n_outputs: int = 1, width_scale: float = 1.0):
    """Return the untrained network, a plain `keras.Model`: (B, seq_len, 4) in A,C,G,T -> (B, n_outputs).

    Softmax runs over channels at every position, so what batch norm sees is tiny and its epsilon (0.001) matters. The
    fourth kernel is 2 wide in the code, whatever its comment says. Flattening is position-major.
    """
    from benchmarks.training.keras_backend import keras

    layers = keras.layers

    def width(published: int) -> int:
        return max(1, round(published * width_scale))

    return keras.Sequential(
        [
            keras.Input((seq_len, 4)),
            layers.Conv1D(width(250), 7, activation="relu", name="conv1"),
            layers.BatchNormalization(),
            layers.Conv1D(width(250), 8, activation="softmax", name="conv2"),
            layers.BatchNormalization(),
            layers.MaxPooling1D(2, name="maxpool1"),
            layers.Dropout(0.1),
            layers.Conv1D(width(250), 3, activation="softmax", name="conv3"),
            layers.BatchNormalization(),
            layers.Conv1D(width(100), 2, activation="softmax", name="conv4"),
            layers.BatchNormalization(),
            layers.MaxPooling1D(1, name="maxpool2"),
            layers.Dropout(0.1),
            layers.Flatten(),
            layers.Dense(width(300), activation="sigmoid"),
            layers.Dropout(0.3),
            layers.Dense(width(200), activation="sigmoid"),
            layers.Dense(n_outputs),
        ],
        name="mprann",
    )


def build(spec: TaskSpec, recipe: MPRAnnRecipe, prerequisite_dirs):
    from baselines.mprann_augmented import InsertAugmented
    from benchmarks.training.keras_backend import EarlyStopping, KerasModel

    if recipe.augment_insert and spec.seq_len != SEQ_LEN:
        raise BadInput(f"augment_insert knows the insert of {SEQ_LEN}-bp sequences, this task has {spec.seq_len} bp.")
    model = InsertAugmented if recipe.augment_insert else KerasModel
    return model(network(spec.seq_len, len(spec.outputs), recipe.width_scale), trainer=EarlyStopping(recipe))


def with_reversed_insert(data: Dataset) -> Dataset:
    """Return the same rows, the element between the adapters reverse-complemented."""
    return replace(data, codes=reverse_insert(data.codes, INSERT))
