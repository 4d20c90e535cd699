"""DREAM-Attn: Autosome's first block, UnlockDNA's core, Autosome's processor and trainer (Prix Fixe 0_0_2_0).

Source: Rafi et al. 2024, notebooks of the challenge repository. Differs from the paper's text: one learning rate
(0.001) for the whole network, and four attention heads, as in the code.
"""

from benchmarks.api.data import TaskSpec
from dream_models.prixfixe import recipe as prixfixe
from dream_models.prixfixe.combinations import Combination
from dream_models.prixfixe.recipe import PrixFixeRecipe

__all__ = ["COMBINATION", "FRAMEWORK", "NAME", "RECIPE", "build", "network", "unread", "unsupported"]

NAME = "DREAM-Attn"
FRAMEWORK = "torch"
COMBINATION = Combination("autosome", "autosome", "unlockdna", "autosome")
RECIPE = PrixFixeRecipe(max_lr=0.001)
unread = COMBINATION.unread


def unsupported(spec: TaskSpec) -> str | None:
    if spec.head == "profile_counts":
        return (
            f"attends from every position to every other, whose memory is out of reach at {spec.seq_len:,} bp: the "
            "paper leaves it out of this task for that reason"
        )
    return prixfixe.unsupported(spec)


def network(spec: TaskSpec, recipe: PrixFixeRecipe = RECIPE):
    """Return the untrained network: (B, C, seq_len) -> what the task's head gives."""
    from dream_models.prixfixe import combine

    return combine.network(COMBINATION, spec, recipe)


def build(spec: TaskSpec, recipe: PrixFixeRecipe, prerequisite_dirs):
    from dream_models.prixfixe import combine

    return combine.model(COMBINATION, spec, recipe)
