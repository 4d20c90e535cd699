"""Recipes of lentiMPRA models, which assays of other tables carry over without tuning.

Source: Rafi et al. 2024, Methods, "Human MPRA models": the DREAM models' recipes are their own defaults (batch 32, 80
epochs, maximal learning rate 0.005, or 0.001 for DREAM-Attn); MPRAnn at batch 32, 100 epochs, patience 10.
"""

from benchmarks.api.recipe import Preset

RECIPES: dict[str, dict] = {"prix_fixe": {"batch_size": 32}}  # as the DREAM models here; published on yeast alone

QUICK = Preset(
    description="minutes on a laptop: five test folds, one model each, narrow networks, few epochs",
    data="simulated",
    n_test_folds=5,
    n_members=1,
    extra_models=("kmer_ridge",),
    recipes={
        "*": {"epochs": 8, "batch_size": 16, "width_scale": 0.1},
        "dream_attn": {"epochs": 3, "max_lr": 0.003, "n_heads": 1},
        "mprann": {"epochs": 10, "max_lr": 0.002, "width_scale": 0.2},
    },
)
