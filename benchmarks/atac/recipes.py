"""How this task trains each model, where that differs from the model's own recipe, and the presets.

Source: the models' own recipes are those of this task. ChromBPNet: 50 epochs at 0.001, patience 5
(`kundajelab/chrombpnet`, `chrombpnet/parsers.py`). DREAM models: 80 epochs at up to 0.0005, patience 20
(`benchmarks/atac-seq/train_modified.py` of the challenge repository).
"""

from benchmarks.api.recipe import Preset

RECIPES: dict[str, dict] = {}

PRESETS = {
    "paper": Preset(
        description="the published protocol: five splits of chromosomes, full-size networks, published recipes",
        data="published",
    ),
    "quick": Preset(
        description="minutes on a laptop: narrow networks, few epochs, small batches",
        data="simulated",
        n_test_folds=2,
        recipes={
            "*": {"batch_size": 2, "epochs": 8, "max_lr": 0.004, "jitter": 100},
            "bpnet_bias": {"width_scale": 0.125, "epochs": 2, "batch_size": 8, "jitter": 0},
            "bpnet": {"width_scale": 0.0625, "max_lr": 0.002},
            "chrombpnet": {"width_scale": 0.0625, "max_lr": 0.002},
            "dream_cnn_keras": {"width_scale": 0.05, "epochs": 4, "max_lr": 0.01},
            "dream_rnn_keras": {"width_scale": 0.05, "epochs": 3, "batch_size": 16, "max_lr": 0.02},
        },
    ),
}
