"""DREAM-CNN: BHI's first block, Autosome's core, processor and trainer (Prix Fixe 0_1_0_0).

Source: Rafi et al. 2024, notebooks of the challenge repository. Differs from the paper's text: the stem has 160
channels per kernel as in the code and every checkpoint, not 256 (`--set dream_cnn.stem_width=256` for the paper's).
"""

from benchmarks.api.data import TaskSpec
from dream_models.prixfixe.recipe import PrixFixeRecipe, n_channels, unsupported

__all__ = ["NAME", "RECIPE", "build", "network", "unsupported"]

NAME = "DREAM-CNN"
RECIPE = PrixFixeRecipe()


def network(spec: TaskSpec, recipe: PrixFixeRecipe = RECIPE):
    """Return the untrained network: (B, C, seq_len) -> what the task's head gives."""
    from dream_models.prixfixe import assemble
    from dream_models.prixfixe.autosome import AutosomeCore
    from dream_models.prixfixe.bhi import BHIFirst

    first = BHIFirst(n_channels(spec), 2 * recipe.width(recipe.stem_width), spec.seq_len)
    widths = tuple(map(recipe.width, AutosomeCore.WIDTHS))
    core = AutosomeCore(first.out_channels, recipe.width(64), spec.seq_len, widths)
    return assemble.network(spec, recipe, first, core)


def build(spec: TaskSpec, recipe: PrixFixeRecipe, assets):
    from benchmarks.api.torch_backend import OneCycle, OneHot, TorchModel

    trainer = OneCycle(recipe, select=recipe.select)
    return TorchModel(network(spec, recipe), trainer=trainer, processor=OneHot(spec.side_channels))
