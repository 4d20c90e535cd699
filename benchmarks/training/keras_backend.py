"""Keras models: processor + network + trainer, numpy in and numpy out. The one home of `KERAS_BACKEND`.

Networks run on tensorflow, or on torch where tensorflow is not installed; a `KERAS_BACKEND` set beforehand is kept.
"""

import contextlib
import importlib.util
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "tensorflow" if importlib.util.find_spec("tensorflow") else "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # otherwise tensorflow greets every worker on stderr

import keras as keras
from keras import ops as ops

from benchmarks.api.data import Dataset
from benchmarks.api.model import Checkpoints, History, Model, OnEpoch
from benchmarks.api.recipe import Recipe
from benchmarks.api.sequences import one_hot_table
from benchmarks.errors import BadInput
from benchmarks.io import validated
from benchmarks.training import loop


def configure(device: str = "auto", threads: int | None = None) -> dict[str, str]:
    """Choose device and CPU threads for this process, with the framework's own settings; return what a job records.

    Raises
    ------
    BadInput
        If `cuda` is asked for and the backend sees no GPU.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        # tensorflow takes these before its first operation only; a process configured again keeps the first choice.
        with contextlib.suppress(RuntimeError):
            if device == "cpu":
                tf.config.set_visible_devices([], "GPU")
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)
            if threads:
                tf.config.threading.set_intra_op_parallelism_threads(threads)
                tf.config.threading.set_inter_op_parallelism_threads(1)
        n_gpus = len(gpus)
    else:
        import torch

        if threads:
            torch.set_num_threads(threads)
        n_gpus = torch.cuda.device_count()
        if device == "cpu" and n_gpus:
            keras.config.set_device("cpu")
    if device == "cuda" and not n_gpus:
        raise BadInput(
            f"--device cuda was asked for, but keras on {backend_version()} sees no GPU. Install a CUDA build "
            "(extra `tensorflow`), or use --device cpu."
        )
    return {
        "device": device_in_use(),
        "device_name": device_in_use(),
        "framework": f"keras {keras.__version__}",
        "backend": backend_version(),
    }


def device_in_use() -> str:
    """Return where this process computes, `cpu` or `cuda`, as the backend says."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return "cuda" if tf.config.get_visible_devices("GPU") else "cpu"
    return str(ops.zeros(()).device.type)


def place(model: Model, device: str) -> None:
    """Leave a model where it is: Keras puts all that it makes on the device that `configure` chose."""


def backend_version() -> str:
    """Name what computes for keras in this process, such as `tensorflow 2.21.0`."""
    name = keras.backend.backend()
    return f"{name} {sys.modules[name].__version__}"


def seed_everything(seed: int) -> None:
    """Seed the global generators that initial weights and dropout draw from."""
    keras.utils.set_random_seed(seed % 2**32)


def peak_memory_mb() -> float | None:
    """Return the most GPU memory held since `reset_peak_memory`, None on the CPU or where the backend cannot tell."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    if not tf.config.get_visible_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20


def _out_of_memory() -> tuple[type[BaseException], ...]:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return (tf.errors.ResourceExhaustedError, MemoryError)
    import torch

    return (torch.OutOfMemoryError, MemoryError)


OUT_OF_MEMORY = _out_of_memory()


def synchronise() -> None:
    """Nothing to wait for: a step gives its loss, a prediction its numbers, as plain values."""


def limit_memory(gib: float) -> None:
    """Let this process have no more of a GPU's memory, before its first operation; on the CPU nothing limits it."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    limit = [tf.config.LogicalDeviceConfiguration(memory_limit=int(gib * 1024))]
    for gpu in tf.config.get_visible_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, False)
        tf.config.set_logical_device_configuration(gpu, limit)


def needs_xla(*, on_cpu: bool = False) -> str | bool:
    """Say what to give keras as `jit_compile`: XLA takes longer to compile on a CPU than most trainings there last.

    `on_cpu`: this network gains so much by it that it pays even there.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    return "auto" if peak_memory_mb() is not None else on_cpu  # on a CPU, keras takes "auto" for no


def reset_peak_memory() -> None:
    if peak_memory_mb() is not None:
        import tensorflow as tf

        tf.config.experimental.reset_memory_stats("GPU:0")


@keras.saving.register_keras_serializable("dream_bench")
class OneHot(keras.layers.Layer):
    """Codes to one-hot: (B, L) uint8 -> (B, L, 4) float32. Baselines read channels A,C,G,T."""

    def __init__(self, order: str = "ACGT", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.order = order
        self.table = one_hot_table(order)

    def call(self, codes: Any) -> Any:
        return ops.take(self.table, ops.cast(codes, "int32"), axis=0)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"order": self.order}


class EarlyStopping:
    """Adam at a constant rate; the epoch with the lowest validation loss is kept.

    Source: the Keras baselines' published training; `recipe.patience` epochs without improvement end it.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.schedule = loop.Schedule(
            recipe.epochs, recipe.batch_size, select="loss", drop_last=False, patience=recipe.patience
        )

    def optimiser(self) -> keras.optimizers.Optimizer:
        return keras.optimizers.Adam(self.recipe.max_lr, weight_decay=self.recipe.weight_decay or None)


def summed_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Squared errors added over outputs, (B,): its mean over a batch is the sum of the MSEs of the outputs."""
    return ops.sum(ops.square(y_true - y_pred), axis=-1)


def weighted_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Squared errors times their weights, added over outputs, (B,).

    `y_true` (B, 2 n_outputs) holds the targets, and after them the weights.
    """
    targets, weights = ops.split(y_true, 2, axis=-1)
    return ops.sum(weights * ops.square(targets - y_pred), axis=-1)


class KerasModel:
    """A Keras network on one-hot input that trains on a Dataset and predicts one.

    Parameters
    ----------
    network
        A plain `keras.Model`: (B, L, 4) -> (B, n_outputs), or a list of (B, 1).
    trainer
        Optimiser, stopping and selection; see `EarlyStopping`.
    order
        Base channels of the network's input.
    """

    precision = "float32"
    n_copies, train_view_differs = 1, False
    bias: keras.Model | None = None
    """A frozen model that computes beside the network."""
    predict_batch_size: int | None = None
    """Sequences per forward pass without gradients; predictions do not depend on it. None: as many as suit the
    model."""
    _several_steps: Callable[[np.ndarray], np.ndarray] | None = None

    def __init__(self, network: keras.Model, *, trainer: EarlyStopping, order: str = "ACGT") -> None:
        self.network = network
        self.trainer = trainer
        self.order = order
        self.outputs: tuple[str, ...] = ()
        self.n_params = int(sum(np.prod(w.shape) for w in network.weights))
        codes = keras.Input((network.input_shape[1],), dtype="uint8")
        prediction = network(OneHot(order)(codes))
        if isinstance(prediction, list):
            prediction = keras.layers.Concatenate()(prediction)
        self._model = keras.Model(codes, prediction)

    def fit(
        self,
        train: Dataset,
        val: Dataset,
        *,
        seed: int,
        on_epoch: OnEpoch | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> History:
        seed_everything(seed)
        return loop.fit(self, self.trainer.schedule, train, val, seed=seed, on_epoch=on_epoch, checkpoints=checkpoints)

    def prepare(self, train: Dataset, n_steps: int) -> None:
        """Keep a training set and make a fresh optimiser; `n_steps` matters to schedules only."""
        self.outputs = tuple(train.targets)
        self._codes, self._targets = train.codes, loop.target_columns(train)
        loss, weights = summed_squared_error, loop.target_weights(train)
        if weights is not None:
            loss, self._targets = weighted_squared_error, np.concatenate([self._targets, weights], axis=1)
        self._model.compile(optimizer=self.trainer.optimiser(), loss=loss, jit_compile=needs_xla())
        if keras.backend.backend() == "tensorflow":
            self._several_steps = several_steps(self._model, self._codes, self._targets)

    def train_batch(self, rows: np.ndarray) -> float:
        """Take one optimiser step on the given training rows and return their loss."""
        self._model.reset_metrics()  # some versions of keras would give the mean since the last reset
        return float(self._model.train_on_batch(self._codes[rows], self._targets[rows]))

    def begin_epoch(self, epoch: int) -> None:
        pass

    def train_batches(self, batches: list[np.ndarray]) -> np.ndarray:
        if not self._several_steps:
            return np.array([self.train_batch(rows) for rows in batches])
        of_one_size = (np.stack(list(some)) for _, some in itertools.groupby(batches, len))
        return np.concatenate([np.empty(0, np.float32), *map(self._several_steps, of_one_size)])

    def rows_per_epoch(self, train: Dataset) -> int:
        return self.n_copies * len(train)

    def validate(self, val: Dataset) -> dict[str, float]:
        return loop.validate_numbers(self, val)

    def learning_rate(self) -> float:
        return float(ops.convert_to_numpy(self._model.optimizer.learning_rate))

    def predict_train_view(self, data: Dataset) -> dict[str, np.ndarray]:
        return self.predict(data)

    def predict(self, data: Dataset) -> dict[str, np.ndarray]:
        """Predict every row; output name -> (n,) float32."""
        size = self.predict_batch_size or 1024
        parts = [
            ops.convert_to_numpy(self._model.predict_on_batch(np.asarray(data.codes[start : start + size])))
            for start in range(0, len(data), size)
        ]
        columns = np.concatenate(parts)
        names = self.outputs or tuple(map(str, range(columns.shape[1])))
        return {name: columns[:, i].astype(np.float32) for i, name in enumerate(names)}

    def snapshot(self) -> list[np.ndarray]:
        return self.network.get_weights()

    def restore(self, snapshot: list[np.ndarray]) -> None:
        self.network.set_weights(snapshot)

    def stamp(self) -> dict[str, Any]:
        backend = f"keras {keras.__version__} on {backend_version()}"
        return {"backend": backend, "device": device_in_use(), "precision": self.precision}

    def save_state(self, folder: Path, best: list[np.ndarray] | None) -> None:
        """Write weights, dropout's counters, the optimiser's variables and the best weights as npz files."""
        np.savez(folder / "state.npz", **_numbered(map(ops.convert_to_numpy, self._variables())))
        if best is not None:
            np.savez(folder / "best.npz", **_numbered(best))

    def load_state(self, folder: Path) -> list[np.ndarray] | None:
        """Take back what `save_state` wrote, after `prepare`; return the best weights."""
        for variable, value in zip(self._variables(), _read_numbered(folder / "state.npz"), strict=True):
            variable.assign(value)
        best = folder / "best.npz"
        return _read_numbered(best) if best.exists() else None

    def _variables(self) -> list[Any]:
        """Everything a step changes. Keras draws dropout from counters that are variables of the layers."""
        optimiser = self._model.optimizer
        optimiser.build(self._model.trainable_variables)  # without this it has no variables before its first step
        return [*self._model.variables, *optimiser.variables]

    def save(self, folder: Path) -> None:
        """Write `model.npz`, the weights in layer order, and `model.json`; needs no h5py."""
        np.savez(folder / "model.npz", **_numbered(self.snapshot()))
        (folder / "model.json").write_text(json.dumps({"outputs": self.outputs}))

    def load(self, folder: Path) -> None:
        """Take back what `save` wrote.

        Raises
        ------
        BadInput
            If it is damaged, or of another network.
        """
        outputs = validated.read_json(folder / "model.json", _Saved, recovery_hint=validated.TRAIN_AGAIN)["outputs"]
        try:
            self.restore(read_weights(folder))
        except BadInput:
            raise
        except (ValueError, TypeError) as error:
            what = f"{folder / 'model.npz'} does not hold the weights of this network"
            raise BadInput(f"{what} ({validated.one_line(error)}); {validated.TRAIN_AGAIN}.") from None
        self.outputs = tuple(outputs)


def several_steps(model: keras.Model, x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Compile many optimiser steps of a compiled model into one call of tensorflow.

    Keras comes back to Python after every step, which takes a small network longer than the step. Here the training
    rows lie on the device and the steps, keras' own, follow each other there.

    Returns
    -------
    A function from the rows of batches of one size, (n_batches, B), to their losses (n_batches,).
    """
    import tensorflow as tf

    x, y = tf.constant(x), tf.constant(y)
    model.optimizer.build(model.trainable_variables)  # variables cannot be made while a function is traced

    def step(rows: Any) -> Any:
        model.reset_metrics()  # what keras gives as loss is the mean since then
        return model.train_step((tf.gather(x, rows), tf.gather(y, rows)))["loss"]

    compiled = tf.function(step, jit_compile=model.jit_compile, reduce_retracing=True)

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int64)])
    def steps(rows: Any) -> Any:
        return tf.map_fn(compiled, rows, fn_output_signature=tf.float32, parallel_iterations=1)

    return lambda rows: steps(rows).numpy()


class _Saved(TypedDict):
    """model.json, as far as every Keras model has it."""

    outputs: list[str]


def read_weights(folder: Path) -> list[np.ndarray]:
    """Read the weights that `KerasModel.save` wrote, in layer order."""
    return _read_numbered(folder / "model.npz")


def _numbered(arrays: Iterable[np.ndarray]) -> dict[str, Any]:
    return {f"{i:05d}": array for i, array in enumerate(arrays)}


def _read_numbered(file: Path) -> list[np.ndarray]:
    arrays = validated.read_arrays(file, recovery_hint=validated.TRAIN_AGAIN)
    if wrong := next((name for name, array in arrays.items() if array.dtype.kind not in "fiu"), None):
        raise BadInput(f"{file}: array {wrong!r} is not of numbers; {validated.TRAIN_AGAIN}.")
    return [arrays[name] for name in sorted(arrays)]
