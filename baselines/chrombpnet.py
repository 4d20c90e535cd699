"""ChromBPNet: a BPNet of 512 filters and 8 dilated convolutions beside the frozen bias model of its split.

Source: `kundajelab/chrombpnet`, chrombpnet/training/models/chrombpnet_with_bias_model.py; batch 64, Adam 0.001,
at most 50 epochs, patience 5. Profile logits of both add, and so do their counts.
"""

from pathlib import Path

from benchmarks.api.data import TaskSpec
from benchmarks.api.profiles import ProfileRecipe, unfit_for_bpnet

NAME = "ChromBPNet"
FRAMEWORK = "keras"
PREREQUISITES = ("bpnet_bias",)
RECIPE = ProfileRecipe()
FILTERS, N_DILATED = 512, 8


def unsupported(spec: TaskSpec) -> str | None:
    return unfit_for_bpnet(spec, N_DILATED)


def network(seq_len: int = 2114, profile_len: int = 1000, width_scale: float = 1.0):
    """Return the untrained network without the bias model, a plain `keras.Model`.

    (B, seq_len, 4) one-hot in A,C,G,T -> profile logits (B, profile_len), log counts (B, 1), natural logarithm.
    """
    from benchmarks.training.keras_layers import bpnet

    filters = max(1, round(FILTERS * width_scale))
    return bpnet(filters, N_DILATED, seq_len, profile_len, prefix="wo_bias_", name="chrombpnet")


def build(spec: TaskSpec, recipe: ProfileRecipe, prerequisite_dirs):
    from benchmarks.training.keras_profiles import on_accessible

    return on_accessible(
        network(spec.seq_len, spec.profile_len, recipe.width_scale),
        spec,
        recipe,
        needs_bias=True,
        prerequisite_dirs=prerequisite_dirs,
    )


def load_published(path: str | Path):
    """Load an official network without bias (HDF5), of a "nobias" file or the whole model's, of the size it has.

    A whole model's file holds a Lambda layer: weights are read by layer name, and nothing in the file is executed.
    `baselines.bpnet_bias.load_published` reads the bias model in the same file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadInput
        If h5py is missing, if the file lacks a layer's weights or has some that are not finite numbers, or if a layer
        in it is neither of this network nor of a bias model.
    """
    from benchmarks.training.keras_weights import load_bpnet

    return load_bpnet(Path(path), prefix="wo_bias_", others=("bpnet_", "prof_out_precrop", "logcount_predictions"))
