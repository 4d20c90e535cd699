"""The bias model: a small BPNet on background windows, where insertions follow the Tn5 sequence bias and little else.

Source: `kundajelab/chrombpnet`, chrombpnet/training/models/bpnet_model.py with 128 filters and 4 dilated
convolutions, trained on non-peaks with few reads. It is fitted once per split, and every model that needs it takes the
same one.
"""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.api.data import TaskSpec
from benchmarks.api.profiles import ProfileRecipe, unfit_for_bpnet
from benchmarks.training.profile_sampling import choose_background

NAME = "Bias model"
FRAMEWORK = "keras"
FILTERS, N_DILATED = 128, 4


@dataclass(frozen=True)
class BiasRecipe(ProfileRecipe):
    """`threshold_factor`: a non-peak trains if it has fewer reads than this times the 1 % quantile of peaks (0.5 is
    recommended for ATAC, 0.8 for DNase)."""

    jitter: int = 0
    threshold_factor: float = 0.5


RECIPE = BiasRecipe()


def unsupported(spec: TaskSpec) -> str | None:
    return unfit_for_bpnet(spec, N_DILATED)


def network(seq_len: int = 2114, profile_len: int = 1000, width_scale: float = 1.0):
    """Return the untrained network, a plain `keras.Model`.

    (B, seq_len, 4) one-hot in A,C,G,T -> profile logits (B, profile_len), log counts (B, 1), natural logarithm.
    """
    from benchmarks.training.keras_layers import bpnet

    return bpnet(max(1, round(FILTERS * width_scale)), N_DILATED, seq_len, profile_len, name="bpnet_bias")


def build(spec: TaskSpec, recipe: BiasRecipe, prerequisite_dirs):
    from benchmarks.training.keras_profiles import ProfileModel

    return ProfileModel(
        network(spec.seq_len, spec.profile_len, recipe.width_scale),
        spec=spec,
        recipe=recipe,
        choose=lambda train, val, seed: choose_background(train, val, spec, threshold_factor=recipe.threshold_factor),
        rate=lambda n_steps: recipe.max_lr,
    )


def load_published(path: str | Path):
    """Load an official bias model (HDF5), of as many filters and dilated layers as it has; nothing in it is executed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadInput
        If h5py is missing, if the file lacks a layer's weights or has some that are not finite numbers, or if a layer
        in it is neither of a bias model nor of a ChromBPNet beside it.
    """
    from benchmarks.training.keras_weights import load_bpnet

    return load_bpnet(Path(path), others=("wo_bias_",))
