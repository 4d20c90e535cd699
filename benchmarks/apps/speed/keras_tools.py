"""Measuring Keras: what a device can do at best, what a network asks of it, and the notebook loop of the notebooks."""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.api.data import Dataset
from benchmarks.api.sequences import BASES, decode
from benchmarks.apps.speed import notebook_encoding
from benchmarks.training import keras_backend, loop


def peak_rates(device: str, precision: str, *, repeats: int = 7) -> dict[str, float]:
    """Measure the best that the device does: `flops_per_s` of a float32 matrix product, `bytes_per_s` copied.

    A copy reads and writes every byte; both count. Of products of several sizes the fastest counts.
    """
    sizes, n = ((2048, 4096, 8192), 2**26) if device == "cuda" else ((512, 1024, 2048), 2**24)
    product = max(_product_rate(size, repeats) for size in sizes)
    source = ops.ones((n,), dtype="float32")
    copied = min(_seconds(lambda: (source + 1.0)[0]) for _ in range(repeats + 1))
    return {"flops_per_s": product, "bytes_per_s": 2 * 4 * n / copied}


def _product_rate(size: int, repeats: int) -> float:
    a = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(size, size)).astype(np.float32))
    return 2 * size**3 / min(_seconds(lambda: ops.matmul(a, a)[0, 0]) for _ in range(repeats + 1))


def _seconds(action: Any) -> float:
    start = time.perf_counter()
    ops.convert_to_numpy(action())
    return time.perf_counter() - start


def flops_per_sequence(model: Any, data: Dataset) -> float:
    """Count the floating-point operations of predicting one sequence, a multiplication and an addition as two.

    Convolutions, dense layers and LSTMs count, those of a bias model with them; what works element by element does not.
    """
    networks = [model.network, *([model.bias] if model.bias is not None else [])]
    return float(sum(flops_of_layers(network) for network in networks))


def training_flops_per_sequence(model: Any, data: Dataset) -> float:
    """Count the floating-point operations of training on one row: a pass, and twice that to go back."""
    return 3 * flops_per_sequence(model, data)


def flops_of_layers(network: keras.Model) -> int:
    """Add up two operations for every weight of a kernel at every position that it is used at."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            total += flops_of_layers(layer)
        elif isinstance(layer, keras.layers.Bidirectional):
            length = layer.input.shape[1]
            cells = (layer.forward_layer.cell, layer.backward_layer.cell)
            weights = sum(int(np.prod(w.shape)) for cell in cells for w in (cell.kernel, cell.recurrent_kernel))
            total += 2 * length * weights
        else:
            kernels = [w for w in layer.weights if w.name.endswith("kernel")]  # those of a frozen bias model too
            positions = int(np.prod(layer.output.shape[1:-1])) if kernels else 0
            total += 2 * positions * sum(int(np.prod(w.shape)) for w in kernels)
    return total


def has_notebook_loop(model: Any) -> bool:
    """Tell whether a model is a network of single values that predicts in one pass."""
    return type(model) is keras_backend.KerasModel


def notebook_training(
    model: keras_backend.KerasModel, data: Dataset, batch_size: int, n_steps: int
) -> Callable[[int], list[float]]:
    """Prepare to train as the published notebooks do: `fit` on rows that lie in memory as one-hot float32.

    Network, loss and optimiser are the model's own, so that only the way of training differs.

    Returns
    -------
    A function that takes n steps, at most `n_steps`, and gives the mean of their losses, the one number of `fit`.
    """
    network = model.network
    if isinstance(network.output, list):
        network = keras.Model(network.input, keras.layers.Concatenate()(network.output))
    network.compile(optimizer=model.trainer.optimiser(), loss=keras_backend.summed_squared_error, jit_compile=False)
    rows = np.resize(np.arange(len(data)), n_steps * batch_size)
    x, y = NotebookRows(model, data).x, loop.target_columns(data)

    @cache
    def first(n: int) -> tuple[np.ndarray, np.ndarray]:
        return x[rows[: n * batch_size]], y[rows[: n * batch_size]]

    return lambda n: network.fit(*first(n), batch_size=batch_size, epochs=1, verbose=0).history["loss"]


class NotebookRows:
    """Rows as the published notebooks hold them: encoded base by base before they are used, `x` (n, L, 4) float32."""

    def __init__(self, model: keras_backend.KerasModel, data: Dataset):
        order = [BASES.index(base) for base in model.order]
        self.x = np.stack([notebook_encoding.one_hot(text)[order].T for text in decode(np.asarray(data.codes))])


def notebook_predictions(model: keras_backend.KerasModel, rows: NotebookRows, batch_size: int) -> np.ndarray:
    """Predict as the published notebooks do, `predict` on one-hot float32; (n, n_outputs)."""
    found = model.network.predict(rows.x, batch_size=batch_size, verbose=0)
    return np.concatenate(found, axis=1) if isinstance(found, list) else found
