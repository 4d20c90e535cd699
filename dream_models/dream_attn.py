"""DREAM-Attn: Autosome's first block, UnlockDNA's core, Autosome's processor and trainer (Prix Fixe 0_0_2_0).

Source: Rafi et al. 2024, notebooks of the challenge repository. Differs from the paper's text: one learning rate
(0.001) for the whole network, and four attention heads, as in the code.
"""

from benchmarks.api.data import TaskSpec
from dream_models.prixfixe.recipe import ATTENTION_WIDTH, PrixFixeRecipe, n_channels, unsupported

__all__ = ["NAME", "RECIPE", "build", "network", "unsupported"]

NAME = "DREAM-Attn"
RECIPE = PrixFixeRecipe(max_lr=0.001)


def network(spec: TaskSpec, recipe: PrixFixeRecipe = RECIPE):
    """Return the untrained network: (B, C, seq_len) -> what the task's head gives."""
    from dream_models.prixfixe import assemble
    from dream_models.prixfixe.autosome import AutosomeFirst
    from dream_models.prixfixe.unlockdna import UnlockDNACore

    width = recipe.width(ATTENTION_WIDTH)
    first = AutosomeFirst(n_channels(spec), width, spec.seq_len)
    core = UnlockDNACore(width, width, spec.seq_len, n_heads=recipe.n_heads)
    return assemble.network(spec, recipe, first, core)


def build(spec: TaskSpec, recipe: PrixFixeRecipe, assets):
    from benchmarks.api.torch_backend import OneCycle, OneHot, TorchModel

    trainer = OneCycle(recipe, select=recipe.select)
    return TorchModel(network(spec, recipe), trainer=trainer, processor=OneHot(spec.side_channels))
