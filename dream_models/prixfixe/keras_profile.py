"""DREAM-CNN and DREAM-RNN in Keras, for profiles: the recipe and the networks. Imports no framework by itself.

Source: ATAC variant of the challenge repository (`benchmarks/atac-seq/`): the stem and the two cores of the torch
models on one-hot bases alone, with ChromBPNet's heads. Weights start as Keras draws them (Glorot, orthogonal, unit
forget bias), and the LSTM has one bias vector where torch has two.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.api.data import TaskSpec
from benchmarks.api.profiles import ProfileRecipe

STEM_WIDTH = 160
CNN_CHANNELS = (128, 128, 64, 64, 64, 64)
"""Channels that leave the six stages of the CNN core."""


@dataclass(frozen=True)
class DreamKerasRecipe(ProfileRecipe):
    """The ATAC trainer's numbers: plain Adam, a rise to 0.0005 over 30 % of the steps, then a cosine.

    Parameters
    ----------
    rise
        `linear`, as the code; `cosine`, as the paper (torch's one-cycle).
    reference_batch_norm
        False: batch norm as in the torch models (Keras momentum 0.9, epsilon 1e-5). True: the literal values of the
        reference code, momentum 0.1 and epsilon 1e-3, which keep a tenth of the running statistics at every step.
    """

    max_lr: float = 5e-4
    epochs: int = 80
    patience: int | None = 20
    rise: str = "linear"
    reference_batch_norm: bool = False

    def __post_init__(self):
        if self.rise not in ("linear", "cosine"):
            raise ValueError(f"rise must be linear or cosine, got {self.rise!r}")

    def width(self, published: int) -> int:
        """Scale a published number of channels, in steps of 8; at scale 1 it stays."""
        return published if self.width_scale == 1.0 else max(8, 8 * round(published * self.width_scale / 8))


def unsupported(spec: TaskSpec) -> str | None:
    """Say why the Keras twins cannot serve a task, or None."""
    if spec.head != "profile_counts":
        return f"is the Keras twin for profiles and counts of reads, not {spec.head}; the torch model serves that"
    if spec.seq_len < spec.profile_len + 74:
        return f"needs windows of at least {spec.profile_len + 74} bp for profiles of {spec.profile_len} bp"
    return None


def network(core: Callable, seq_len: int, profile_len: int, recipe: DreamKerasRecipe, name: str) -> Any:
    """Return an untrained network, a plain `keras.Model`.

    (B, seq_len, 4) one-hot in A,C,G,T -> profile logits (B, profile_len), log counts (B, 1), natural logarithm.
    """
    from benchmarks.training.keras_layers import head, keras

    inputs = keras.Input((seq_len, 4))
    return keras.Model(inputs, head(core(stem(inputs, recipe), recipe), profile_len), name=name)


def model(built: Any, spec: TaskSpec, recipe: DreamKerasRecipe, prerequisite_dirs: Mapping[str, Path]) -> Any:
    """Put a network beside the bias model of its split, under the DREAM trainer."""
    from benchmarks.training.keras_profiles import RiseAndCosine, on_accessible

    return on_accessible(
        built,
        spec,
        recipe,
        rate=lambda n_steps: RiseAndCosine(recipe.max_lr, n_steps, recipe.rise),
        needs_bias=True,
        prerequisite_dirs=prerequisite_dirs,
    )


def stem(x: Any, recipe: DreamKerasRecipe) -> Any:
    """Apply BHI's first block: two convolutions side by side, kernels 9 and 15; (B, L, 4) -> (B, L, 320)."""
    return _two_kernels(x, recipe.width(STEM_WIDTH))


def _two_kernels(x: Any, filters: int) -> Any:
    from benchmarks.training.keras_layers import layers

    branches = []
    for kernel in (9, 15):
        branch = layers.Conv1D(filters, kernel, padding="same", activation="relu")(x)
        branches.append(layers.Dropout(0.2)(branch))  # the reference pools here over 1 position, which does nothing
    return layers.Concatenate()(branches)


def cnn_core(x: Any, recipe: DreamKerasRecipe) -> Any:
    """Apply Autosome's core: six inverted residual stages, each with a convolution after it; (B, L, 320) to 64."""
    from benchmarks.training.keras_layers import PairedConv, layers

    norm = {"momentum": 0.1, "epsilon": 1e-3} if recipe.reference_batch_norm else {"momentum": 0.9, "epsilon": 1e-5}

    def normed(x: Any) -> Any:
        return layers.Activation("silu")(layers.BatchNormalization(**norm)(x))

    def convolved(x: Any, filters: int, kernel: int) -> Any:
        return normed(layers.Conv1D(filters, kernel, padding="same", use_bias=False)(x))

    for published in CNN_CHANNELS:
        came_in, going_out = x.shape[-1], recipe.width(published)
        inner = 4 * going_out
        y = normed(PairedConv(7)(convolved(x, inner, 1)))
        y = layers.Multiply()([y, _excitation(y, came_in // 4)])
        y = convolved(y, came_in, 1)
        x = convolved(layers.Concatenate()([x, y]), going_out, 7)
    return x


def _excitation(x: Any, squeezed: int) -> Any:
    """Weigh channels by what they hold on average; (B, L, C) -> (B, 1, C)."""
    from benchmarks.training.keras_layers import layers

    weights = layers.GlobalAveragePooling1D(keepdims=True)(x)
    weights = layers.Dense(squeezed, activation="silu")(weights)
    return layers.Dense(x.shape[-1], activation="sigmoid")(weights)


def rnn_core(x: Any, recipe: DreamKerasRecipe) -> Any:
    """Apply BHI's core: a bidirectional LSTM, then two convolutions side by side; (B, L, 320) -> (B, L, 320)."""
    from benchmarks.training.keras_layers import layers

    x = layers.Bidirectional(layers.LSTM(x.shape[-1], return_sequences=True))(x)
    return layers.Dropout(0.5)(_two_kernels(x, recipe.width(STEM_WIDTH)))
