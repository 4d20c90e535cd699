"""The presets of an assay, which is trained as human lentiMPRA is: see `benchmarks.api.lentimpra_recipes`."""

from benchmarks.api.lentimpra_recipes import QUICK, RECIPES
from benchmarks.api.recipe import Preset

__all__ = ["PRESETS", "RECIPES"]

PRESETS = {
    "paper": Preset(
        description="the paper's protocol on your data: every fold tested, a model per other fold, full-size networks",
        data="simulated",
    ),
    "quick": QUICK,
}
