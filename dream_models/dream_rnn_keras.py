"""DREAM-RNN in Keras, for profiles of reads: the torch model's twin, beside the frozen bias model of its split.

Source: ATAC variant of the challenge repository (`benchmarks/atac-seq/`); Rafi et al. 2024, Methods. Differs from the
code: the schedule counts the steps of the data at hand, and batch norm means what it means in torch.
"""

from benchmarks.api.data import TaskSpec
from dream_models.prixfixe import keras_profile
from dream_models.prixfixe.keras_profile import DreamKerasRecipe, unsupported

__all__ = ["FRAMEWORK", "NAME", "PREREQUISITES", "RECIPE", "build", "network", "unread", "unsupported"]

NAME = "DREAM-RNN (Keras)"
FRAMEWORK = "keras"
PREREQUISITES = ("bpnet_bias",)
RECIPE = DreamKerasRecipe()


def unread(spec: TaskSpec | None = None, recipe: DreamKerasRecipe | None = None) -> set[str]:
    return {"reference_batch_norm"}  # this core has no batch norm


def network(seq_len: int = 2114, profile_len: int = 1000, recipe: DreamKerasRecipe = RECIPE):
    """Return the untrained network without the bias model; see `keras_profile.network`."""
    return keras_profile.network(keras_profile.rnn_core, seq_len, profile_len, recipe, "dream_rnn")


def build(spec: TaskSpec, recipe: DreamKerasRecipe, prerequisite_dirs):
    return keras_profile.model(network(spec.seq_len, spec.profile_len, recipe), spec, recipe, prerequisite_dirs)
