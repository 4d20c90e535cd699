"""How this task trains each model, where that differs from the model's own recipe, and the presets.

Source: notebooks of the challenge repository: the DREAM models at batch 1,024, 80 epochs, maximal learning rate 0.005
(0.001 for DREAM-Attn). An epoch is all batches, as the notebook advises; `--set recipe.batches_per_epoch=1000` is the
original submission's.
"""

from benchmarks.api.recipe import Preset

_BATCH = {"batch_size": 1024}
RECIPES: dict[str, dict] = {"dream_cnn": _BATCH, "dream_rnn": _BATCH, "dream_attn": _BATCH}

PRESETS = {
    "paper": Preset(
        description="the published protocol: all training rows, three 90/10 splits and seeds, full-size networks; an "
        "epoch is all batches (about 11,850 of 1,024), or 1,000 as submitted with --set recipe.batches_per_epoch=1000",
        data="published",
        n_members=3,
    ),
    "quick": Preset(
        description="minutes on a laptop: three seeds, narrow networks, few epochs",
        data="simulated",
        n_members=3,
        extra_models=("kmer_ridge",),
        recipes={
            "*": {"epochs": 4, "batch_size": 16, "width_scale": 0.1},
            "dream_cnn": {"max_lr": 0.002},
            "dream_attn": {"epochs": 2, "max_lr": 0.003, "n_heads": 1},
            "prix_fixe": {"epochs": 2, "n_heads": 1},
            "vaishnav": {"epochs": 3, "width_scale": 0.2},
        },
    ),
}
