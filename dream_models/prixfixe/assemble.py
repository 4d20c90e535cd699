"""From a task's spec and a recipe to a Prix Fixe network with the head its task needs."""

from benchmarks.api.data import TaskSpec
from dream_models.prixfixe.autosome import RegressionHead, SoftClassificationHead, TwoOutputHead
from dream_models.prixfixe.net import Block, FinalBlock, PrixFixeNet
from dream_models.prixfixe.recipe import PrixFixeRecipe


def head(spec: TaskSpec, recipe: PrixFixeRecipe, in_channels: int) -> FinalBlock:
    """Return the published head for the task's kind and number of outputs."""
    if spec.head == "soft_classification":
        return SoftClassificationHead(in_channels, spec.seq_len)
    kind = RegressionHead if len(spec.outputs) == 1 else TwoOutputHead
    return kind(in_channels, spec.seq_len, hidden=recipe.width(RegressionHead.HIDDEN))


def network(spec: TaskSpec, recipe: PrixFixeRecipe, first: Block, core: Block) -> PrixFixeNet:
    """Join first and core with the task's head, and draw the initial weights from the global generator."""
    return PrixFixeNet(first, core, head(spec, recipe, core.out_channels))
