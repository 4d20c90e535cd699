"""The presets of an assay, which is trained as human lentiMPRA is: see `benchmarks.api.lentimpra_recipes`."""

from typing import Any

from benchmarks.api.lentimpra_recipes import QUICK, RECIPES
from benchmarks.api.recipe import Preset

__all__ = ["PRESETS", "RECIPES", "recipes_for"]

PRESETS = {
    "paper": Preset(
        description="the paper's protocol on your data: every fold tested, a model per other fold, full-size networks",
        data="simulated",
    ),
    "quick": QUICK,
}
BATCH_SIZE, SMALLEST_BATCH, STEPS_PER_EPOCH = 32, 8, 100
TRAINING_SHARE = 0.8
AT_32 = ("dream_cnn", "dream_rnn", "dream_attn", "prix_fixe", "mprann")


def batch_size(n_rows: int) -> int:
    """Return the rows of a step: the published 32, halved down to 8 until an epoch has 100 steps.

    A data set of some thousand rows would otherwise be trained by a few dozen steps an epoch.

    >>> [batch_size(n) for n in (100_000, 4_000, 3_999, 2_000, 500)]
    [32, 32, 16, 16, 8]
    """
    size = BATCH_SIZE
    while size > SMALLEST_BATCH and TRAINING_SHARE * n_rows < STEPS_PER_EPOCH * size:
        size //= 2
    return size


def recipes_for(n_rows: int) -> dict[str, dict[str, Any]]:
    """Return RECIPES with the batch size for so many rows, for the models that the paper trained at 32."""
    size = batch_size(n_rows)
    return RECIPES if size == BATCH_SIZE else RECIPES | {name: {"batch_size": size} for name in AT_32}
