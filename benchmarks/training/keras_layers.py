"""Layers, losses and schedules of Keras networks of profiles, and the table of a network's layers.

Source: `kundajelab/chrombpnet` (chrombpnet/training) and the ATAC variant of the challenge repository,
`de-Boer-Lab/random-promoter-dream-challenge-2022` (benchmarks/atac-seq/train_modified.py).
"""

import math
from typing import Any

import numpy as np

from benchmarks.training.keras_backend import keras, ops

layers = keras.layers


def bpnet(
    filters: int, n_dilated: int, seq_len: int, profile_len: int, *, prefix: str = "", name: str = "bpnet"
) -> keras.Model:
    """Return an untrained BPNet: (B, seq_len, 4) in A,C,G,T -> profile logits (B, profile_len), log counts (B, 1).

    A convolution of kernel 21, then `n_dilated` of kernel 3 with dilations 2, 4, 8 …, each added to its own input; no
    padding anywhere, so windows shrink.

    Source: `kundajelab/chrombpnet`, chrombpnet/training/models/bpnet_model.py.
    """
    inputs = keras.Input((seq_len, 4))
    x = layers.Conv1D(filters, 21, activation="relu", name=f"{prefix}bpnet_1st_conv")(inputs)
    for i in range(1, n_dilated + 1):
        convolution = layers.Conv1D(filters, 3, dilation_rate=2**i, activation="relu", name=f"{prefix}bpnet_{i}conv")
        x = layers.Add()([convolution(x), layers.Cropping1D(2**i)(x)])
    return keras.Model(inputs, head(x, profile_len, prefix=f"{prefix}bpnet_" if prefix else ""), name=name)


def head(features: Any, profile_len: int, *, prefix: str = "") -> list[Any]:
    """Put ChromBPNet's two heads on features (B, L, C): profile logits (B, profile_len), log counts (B, 1)."""
    profile = layers.Conv1D(1, 75, name=f"{prefix}prof_out_precrop")(features)
    spare = profile.shape[1] - profile_len
    profile = layers.Cropping1D((spare // 2, spare - spare // 2), name=f"{prefix}crop")(profile)
    logits = layers.Flatten(name=f"{prefix}profile_logits")(profile)
    pooled = layers.GlobalAveragePooling1D(name=f"{prefix}pool")(features)
    return [logits, layers.Dense(1, name=f"{prefix}logcount_predictions")(pooled)]


@keras.saving.register_keras_serializable("dream_bench")
class LogSumExp(keras.layers.Layer):
    """Add two counts that are given as logarithms."""

    def call(self, log_counts: Any) -> Any:
        return ops.logaddexp(*log_counts)


@keras.saving.register_keras_serializable("dream_bench")
class PairedConv(keras.layers.Layer):
    """A convolution in groups of two channels in and two out, without bias, padded to the same length.

    `layers.Conv1D(filters, kernel_size, groups=filters // 2)` with the same kernel, (kernel_size, 2, filters), computed
    as two depthwise convolutions: of every channel, and of its partner. Backends on a CPU go through groups one by one,
    which made a training step 100 times slower.
    """

    def __init__(self, kernel_size: int, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.kernel_size = kernel_size

    def build(self, input_shape: tuple[int, ...]) -> None:
        shape = (self.kernel_size, 2, input_shape[-1])
        self.kernel = self.add_weight(shape=shape, initializer="glorot_uniform", name="kernel")

    def call(self, x: Any) -> Any:
        length, filters = x.shape[1], x.shape[2]
        is_first = np.arange(filters) % 2 == 0
        own = ops.where(is_first, self.kernel[:, 0], self.kernel[:, 1])[..., None]
        partners = ops.where(is_first, self.kernel[:, 1], self.kernel[:, 0])[..., None]
        swapped = ops.reshape(ops.flip(ops.reshape(x, (-1, length, filters // 2, 2)), axis=-1), (-1, length, filters))
        return ops.depthwise_conv(x, own, padding="same") + ops.depthwise_conv(swapped, partners, padding="same")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"kernel_size": self.kernel_size}


def with_bias(network: keras.Model, bias: keras.Model) -> keras.Model:
    """Put a frozen bias model beside a network: logits add, counts add on the natural scale.

    Source: `kundajelab/chrombpnet`, chrombpnet/training/models/chrombpnet_with_bias_model.py. Parameters of `bias` are
    set not to train.
    """
    bias.trainable = False
    inputs = keras.Input(network.input_shape[1:])
    (logits, counts), (bias_logits, bias_counts) = network(inputs), bias(inputs, training=False)
    return keras.Model(
        inputs, [layers.Add()([logits, bias_logits]), LogSumExp()([counts, bias_counts])], name="with_bias"
    )


def profile_nll(y_true: Any, y_pred: Any) -> Any:
    """Negative log likelihood of profiles without its constant part, per window; see `profiles.multinomial_nll`."""
    return -ops.sum(y_true * ops.log_softmax(y_pred, axis=-1), axis=-1)


@keras.saving.register_keras_serializable("dream_bench")
class RiseAndCosine(keras.optimizers.schedules.LearningRateSchedule):
    """From max/25 to max over the first 30 % of steps, then half a cosine down to max/25/10,000.

    `rise` is `linear`, as in the challenge repository's ATAC trainer (which counts 3,395 batches an epoch, those of
    K562; here they are counted), or `cosine`, as torch's OneCycleLR and the paper.
    """

    def __init__(self, max_lr: float, n_steps: int, rise: str = "linear") -> None:
        self.max_lr, self.n_steps, self.rise = max_lr, max(n_steps, 2), rise

    def __call__(self, step: Any) -> Any:
        start, end = self.max_lr / 25, self.max_lr / 25 / 1e4
        n_rise = 0.3 * self.n_steps
        step = ops.cast(step, "float32")
        up = ops.clip(step / n_rise, 0.0, 1.0)
        if self.rise == "cosine":
            up = (1 - ops.cos(math.pi * up)) / 2
        down = (1 + ops.cos(math.pi * ops.clip((step - n_rise) / (self.n_steps - n_rise), 0.0, 1.0))) / 2
        return ops.where(step < n_rise, start + (self.max_lr - start) * up, end + (self.max_lr - end) * down)

    def get_config(self) -> dict[str, Any]:
        return {"max_lr": self.max_lr, "n_steps": self.n_steps, "rise": self.rise}


def layer_table(network: keras.Model) -> list[dict[str, Any]]:
    """List the layers of a network in order: `path`, `kind`, `numbers`, `shape` that leaves it (without B), `n_params`.

    Kinds have their names in Keras, numbers those of `torch_layers.layer_table`. Parameters are those that are trained,
    so that they add up as in torch.
    """
    rows = []
    for layer in network.layers:
        kind = type(layer).__name__
        if kind == "InputLayer":
            continue
        n_in = layer.input.shape[-1] if not isinstance(layer.input, list) else None
        n_out = layer.output.shape[-1]
        numbers: dict[str, Any] = {}
        if kind == "Activation":
            kind = layer.activation.__name__
        elif isinstance(layer, PairedConv):
            numbers = {"kernel": layer.kernel_size, "n_in": n_in, "n_out": n_out, "groups": n_out // 2}
        elif isinstance(layer, layers.Conv1D):
            numbers = {"kernel": layer.kernel_size[0], "n_in": n_in, "n_out": n_out, "groups": layer.groups}
        elif kind == "Dense":
            numbers = {"n_in": n_in, "n_out": n_out}
        elif kind == "Bidirectional":
            kind, numbers = "LSTM", {"n_in": n_in, "n_out": layer.forward_layer.units, "directions": 2}
        elif kind == "Dropout":
            numbers = {"rate": layer.rate}
        n_params = sum(int(np.prod(w.shape)) for w in layer.trainable_weights)
        shape = tuple(layer.output.shape[1:])
        rows.append({"path": layer.name, "kind": kind, "numbers": numbers, "shape": shape, "n_params": n_params})
    return rows
