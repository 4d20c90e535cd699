"""Convolutions and an attention-weighted average: a third party's model in one file.

Source: none, an example. Differs from the source: n/a.
"""

from benchmarks.api.recipe import Recipe

NAME = "motif attention"
RECIPE = Recipe(batch_size=32, max_lr=3e-3, epochs=10)


def unsupported(spec):
    return None if spec.head == "regression" else f"predicts numbers per sequence, not {spec.head}"


def build(spec, recipe, prerequisite_dirs):
    import torch
    from torch import nn

    from benchmarks.training.torch_backend import OneCycle, TorchModel

    width = max(4, round(64 * recipe.width_scale))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.motifs = nn.Sequential(nn.Conv1d(4, width, 15, padding="same"), nn.GELU(), nn.Dropout(0.1))
            self.weight = nn.Conv1d(width, 1, 1)
            self.head = nn.Linear(width, len(spec.outputs))

        def forward(self, x):  # (B, 4, L) one-hot -> (B, n_outputs)
            x = self.motifs(x)
            return self.head((x * torch.softmax(self.weight(x), dim=2)).sum(dim=2))

    return TorchModel(Network(), loss=nn.MSELoss(), trainer=OneCycle(recipe))
