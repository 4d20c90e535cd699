"""BPNet: ChromBPNet's network alone, which has to learn the Tn5 sequence bias together with accessibility.

Source: `kundajelab/chrombpnet`, chrombpnet/training/models/bpnet_model.py, with the windows and the recipe of
ChromBPNet. Its distance to ChromBPNet is what the bias model contributes.
"""

from benchmarks.api.data import TaskSpec
from benchmarks.api.profiles import ProfileRecipe, unfit_for_bpnet

NAME = "BPNet, no bias model"
FRAMEWORK = "keras"
RECIPE = ProfileRecipe()
FILTERS, N_DILATED = 512, 8


def unsupported(spec: TaskSpec) -> str | None:
    return unfit_for_bpnet(spec, N_DILATED)


def network(seq_len: int = 2114, profile_len: int = 1000, width_scale: float = 1.0):
    """Return the untrained network, a plain `keras.Model`.

    (B, seq_len, 4) one-hot in A,C,G,T -> profile logits (B, profile_len), log counts (B, 1), natural logarithm.
    """
    from benchmarks.training.keras_layers import bpnet

    return bpnet(max(1, round(FILTERS * width_scale)), N_DILATED, seq_len, profile_len)


def build(spec: TaskSpec, recipe: ProfileRecipe, prerequisite_dirs):
    from benchmarks.training.keras_profiles import on_accessible

    return on_accessible(network(spec.seq_len, spec.profile_len, recipe.width_scale), spec, recipe)
