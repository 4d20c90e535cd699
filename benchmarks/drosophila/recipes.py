"""How this task trains each model, where that differs from the model's own recipe, and the presets.

Source: Rafi et al. 2024, Methods, "Drosophila UMI-STARR-seq models": the DREAM models' recipes are their own defaults
(batch 32, 80 epochs, maximal learning rate 0.005, or 0.001 for DREAM-Attn); DeepSTARR at learning rate 0.002, batch
128, 100 epochs, patience 10.
"""

from benchmarks.api.recipe import Preset

RECIPES: dict[str, dict] = {"prix_fixe": {"batch_size": 32}}  # as the DREAM models here; published on yeast alone

PRESETS = {
    "paper": Preset(
        description="the published protocol: five chromosomes, ten models each, full-size networks, published recipes",
        data="published",
    ),
    "quick": Preset(
        description="minutes on a laptop: one model per chromosome, narrow networks, few epochs",
        data="simulated",
        n_test_folds=5,
        n_members=1,
        extra_models=("kmer_ridge",),
        recipes={
            "*": {"epochs": 7, "batch_size": 16, "width_scale": 0.1},
            "dream_attn": {"epochs": 2, "max_lr": 0.003, "n_heads": 1},
            "deepstarr": {"epochs": 12, "width_scale": 0.4},
        },
    ),
}
