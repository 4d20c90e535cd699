"""How an assay is trained: as the human lentiMPRA task of the paper, whose recipes are carried over without tuning.

Source: Rafi et al. 2024, Methods, "Human MPRA models": batch 32, 80 epochs; MPRAnn 100 epochs, patience 10.
"""

from benchmarks.api.recipe import Preset

RECIPES: dict[str, dict] = {"prix_fixe": {"batch_size": 32}}

PRESETS = {
    "paper": Preset(
        description="the paper's protocol on your data: every fold tested, a model per other fold, full-size networks",
        data="simulated",
    ),
    "quick": Preset(
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
    ),
}
