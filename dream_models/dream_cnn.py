"""DREAM-CNN: BHI's first block, Autosome's core, processor and trainer (Prix Fixe 0_1_0_0).

Source: Rafi et al. 2024, notebooks of the challenge repository. Differs from the paper's text: the stem has 160
channels per kernel as in the code and every checkpoint, not 256 (`--set dream_cnn.stem_width=256` for the paper's).
"""

from benchmarks.api.data import TaskSpec
from dream_models.prixfixe.combinations import Combination
from dream_models.prixfixe.recipe import PrixFixeRecipe, unsupported

__all__ = ["COMBINATION", "FRAMEWORK", "NAME", "RECIPE", "build", "network", "unread", "unsupported"]

NAME = "DREAM-CNN"
FRAMEWORK = "torch"
COMBINATION = Combination("autosome", "bhi", "autosome", "autosome")
RECIPE = PrixFixeRecipe()
unread = COMBINATION.unread


def network(spec: TaskSpec, recipe: PrixFixeRecipe = RECIPE):
    """Return the untrained network: (B, C, seq_len) -> what the task's head gives."""
    from dream_models.prixfixe import combine

    return combine.network(COMBINATION, spec, recipe)


def build(spec: TaskSpec, recipe: PrixFixeRecipe, prerequisite_dirs):
    from dream_models.prixfixe import combine

    return combine.model(COMBINATION, spec, recipe)
