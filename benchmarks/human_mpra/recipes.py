"""The presets of this task; its recipes are those of `benchmarks.api.lentimpra_recipes`, which has their source."""

from benchmarks.api.lentimpra_recipes import QUICK, RECIPES
from benchmarks.api.recipe import Preset

__all__ = ["PRESETS", "RECIPES"]

PRESETS = {
    "paper": Preset(
        description="the published protocol: ten test folds, nine models each, full-size networks, published recipes",
        data="published",
    ),
    "quick": QUICK,
}
