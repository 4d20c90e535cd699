"""DREAM-RNN: BHI's first and core blocks, Autosome's processor and trainer (Prix Fixe 0_1_1_0).

Source: Rafi et al. 2024, notebooks of the challenge repository. Differs from the paper's text: the stem has 160
channels per kernel as in the code and every checkpoint, not 256 (`--set dream_rnn.stem_width=256` for the paper's).
"""

from benchmarks.api.data import TaskSpec
from dream_models.prixfixe.recipe import PrixFixeRecipe, n_channels, unsupported

__all__ = ["NAME", "RECIPE", "build", "network", "unsupported"]

NAME = "DREAM-RNN"
RECIPE = PrixFixeRecipe()


def network(spec: TaskSpec, recipe: PrixFixeRecipe = RECIPE):
    """Return the untrained network: (B, C, seq_len) -> what the task's head gives."""
    from dream_models.prixfixe import assemble
    from dream_models.prixfixe.bhi import BHICore, BHIFirst

    first = BHIFirst(n_channels(spec), 2 * recipe.width(recipe.stem_width), spec.seq_len)
    core = BHICore(first.out_channels, 2 * recipe.width(160), spec.seq_len)
    return assemble.network(spec, recipe, first, core)


def build(spec: TaskSpec, recipe: PrixFixeRecipe, assets):
    from benchmarks.api.torch_backend import OneCycle, OneHot, TorchModel

    trainer = OneCycle(recipe, select=recipe.select)
    return TorchModel(network(spec, recipe), trainer=trainer, processor=OneHot(spec.side_channels))
