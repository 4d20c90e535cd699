"""MPRAnn with every insert in both orientations. Source: `visze/sequence_cnn_models`, its own configurations."""

from dataclasses import replace

import numpy as np
import pandas as pd

from baselines.mprann import with_reversed_insert
from benchmarks.api.data import Dataset
from benchmarks.training.keras_backend import KerasModel


class InsertAugmented(KerasModel):
    """A network that is shown every insert in both orientations: as rows in training, as an average in prediction."""

    n_copies = 2

    def prepare(self, train: Dataset, n_steps: int) -> None:
        super().prepare(in_both_orientations(train), n_steps)

    def predict_train_view(self, data: Dataset) -> dict[str, np.ndarray]:
        """Predict rows as they are, then with their inserts reversed; output name -> (2 n,) float32."""
        return super().predict(in_both_orientations(data))

    def predict(self, data: Dataset) -> dict[str, np.ndarray]:
        """Predict the average over both orientations of every row; output name -> (n,) float32."""
        forward, reverse = super().predict(data), super().predict(with_reversed_insert(data))
        return {name: (forward[name] + reverse[name]) / 2 for name in forward}


def in_both_orientations(data: Dataset) -> Dataset:
    """Return the rows, and after them the same rows with the element between the adapters reverse-complemented."""
    return replace(
        data,
        codes=np.concatenate([data.codes, with_reversed_insert(data).codes]),
        targets={name: np.concatenate([values, values]) for name, values in data.targets.items()},
        meta=pd.concat([data.meta, data.meta], ignore_index=True),
    )
