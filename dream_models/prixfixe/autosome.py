"""Team Autosome.org: EfficientNet-like first and core, the three heads of the DREAM models, processor and trainer.

Source: `prixfixe/autosome/` and `benchmarks/{human,drosophila}/prixfixe/autosome/` of the challenge repository.
"""

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.api.data import TaskSpec
from benchmarks.api.yeast_plasmid import N_BINS
from benchmarks.training.torch_backend import OneCycle
from dream_models.prixfixe.base import Batch, Block, FinalBlock, FirstBlock, squared_error
from dream_models.prixfixe.model import Processor, Trainer
from dream_models.prixfixe.recipe import PrixFixeRecipe


def initialise(module: nn.Module, generator: torch.Generator | None) -> None:
    """Draw Autosome's initial weights: conv N(0, sqrt(2 / (k * out))), linear N(0, 0.001), batch norm 1 and 0.

    The convolution's deviation leaves its groups out of account, as published.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d):
            std = (2 / (layer.kernel_size[0] * layer.out_channels)) ** 0.5
            nn.init.normal_(layer.weight, 0.0, std, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm1d):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.001, generator=generator)
            nn.init.zeros_(layer.bias)


def conv_bn_silu(in_channels: int, out_channels: int, kernel: int, groups: int = 1) -> list[nn.Module]:
    """Convolution without bias ("same"), batch norm, SiLU."""
    return [
        nn.Conv1d(in_channels, out_channels, kernel, padding="same", groups=groups, bias=False),
        nn.BatchNorm1d(out_channels),
        nn.SiLU(),
    ]


class AutosomeFirst(FirstBlock):
    """One convolution of width 7: (B, C, L) -> (B, out_channels, L)."""

    def __init__(self, in_channels: int, out_channels: int, seqsize: int):
        super().__init__(in_channels, out_channels, seqsize)
        self.block = nn.Sequential(*conv_bn_silu(in_channels, out_channels, 7))

    weights_init = initialise

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x)


class SqueezeExcite(nn.Module):
    """Channel gate: mean over length, two linear layers, sigmoid. The squeeze is a quarter of the *stage's* input."""

    def __init__(self, channels: int, squeezed: int):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(channels, squeezed), nn.SiLU(), nn.Linear(squeezed, channels), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.fc(x.mean(dim=2))[:, :, None]


class AutosomeCore(Block):
    """Six stages of inverted bottleneck, concatenation with the stage's input, and a resizing convolution.

    (B, in_channels, L) -> (B, out_channels, L). `widths` are the outputs of the stages before the last.
    """

    WIDTHS = (128, 128, 64, 64, 64)
    EXPANSION = 4
    KERNEL = 7

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        seqsize: int,
        widths: tuple[int, ...] = WIDTHS,
        squeeze_excite: type[nn.Module] = SqueezeExcite,
    ):
        super().__init__(in_channels, out_channels, seqsize)
        chain = [in_channels, *widths, out_channels]
        stages = OrderedDict()
        for i, (p, s) in enumerate(pairwise(chain)):
            e = self.EXPANSION * s
            stages[f"inv_res_blc{i}"] = nn.Sequential(
                *conv_bn_silu(p, e, 1),
                *conv_bn_silu(e, e, self.KERNEL, groups=e // 2),
                squeeze_excite(e, p // 4),
                *conv_bn_silu(e, p, 1),
            )
            stages[f"resize_blc{i}"] = nn.Sequential(*conv_bn_silu(2 * p, s, self.KERNEL))
        self.seqextractor = nn.ModuleDict(stages)

    weights_init = initialise

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(len(self.seqextractor) // 2):
            inverted = self.seqextractor[f"inv_res_blc{i}"](x)
            x = self.seqextractor[f"resize_blc{i}"](torch.cat([x, inverted], dim=1))
        return x


class SoftClassificationHead(FinalBlock):
    """18 expression bins, and the expected bin as score: (B, C, L) -> (B,). The yeast head.

    Loss: KL(target || prediction), summed over bins and averaged over the batch, where the batch has `y_probs` (B, 18);
    else the mean squared error of the score against `y`. Logits of positions may be `activated` by SiLU before their
    mean, as in the team's submission.
    """

    gives_bins = True

    def __init__(self, in_channels: int, seqsize: int, *, activated: bool = False):
        super().__init__(in_channels, seqsize)
        self.mapper = nn.Sequential(nn.Conv1d(in_channels, N_BINS, 1), *([nn.SiLU()] if activated else []))
        self.register_buffer("bins", torch.arange(N_BINS))

    weights_init = initialise

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, 18): the mean over positions comes after the convolution."""
        return self.mapper(x).mean(dim=2)

    def score(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the expected bin: the inverse of `bin_probs`, but for the ends, where 0 would come back as 0.16."""
        return (F.softmax(logits, dim=1) * self.bins).sum(dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.score(self.logits(x))

    def train_step(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.logits(batch["x"])
        score = self.score(logits)
        if "y_probs" in batch:
            return score, F.kl_div(F.log_softmax(logits, dim=1), batch["y_probs"], reduction="batchmean")
        return score, F.mse_loss(score, batch["y"].reshape(-1).to(score.dtype))


class RegressionHead(FinalBlock):
    """One number per sequence: (B, C, L) -> (B, 1). The human MPRA head; loss MSE."""

    HIDDEN = 256
    weighs_targets = True

    def __init__(self, in_channels: int, seqsize: int, hidden: int = HIDDEN):
        super().__init__(in_channels, seqsize)
        self.mapper = nn.Conv1d(in_channels, hidden, 1)
        self.linear = nn.Sequential(nn.Linear(hidden, 1))

    weights_init = initialise

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.mapper(x).mean(dim=2))

    def train_step(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        prediction = self(batch["x"])
        return prediction.squeeze(1), squared_error(prediction, batch).sum()


class TwoOutputHead(FinalBlock):
    """Two copies of the regression head: (B, C, L) -> two of (B, 1), developmental and housekeeping.

    Loss: the sum of both mean squared errors. `train_step` returns the predictions (B, 2); the published one returns
    its input features instead, which nothing but its unused return value shows.
    """

    n_outputs = 2
    weighs_targets = True

    def __init__(self, in_channels: int, seqsize: int, hidden: int = RegressionHead.HIDDEN):
        super().__init__(in_channels, seqsize)
        self.mapper1 = nn.Conv1d(in_channels, hidden, 1)
        self.linear1 = nn.Sequential(nn.Linear(hidden, 1))
        self.mapper2 = nn.Conv1d(in_channels, hidden, 1)
        self.linear2 = nn.Sequential(nn.Linear(hidden, 1))

    weights_init = initialise

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.linear1(self.mapper1(x).mean(dim=2)), self.linear2(self.mapper2(x).mean(dim=2))

    def train_step(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        prediction = torch.cat(self(batch["x"]), dim=1)
        developmental, housekeeping = squared_error(prediction, batch)
        return prediction, developmental + housekeeping


class ManyOutputHead(FinalBlock):
    """A copy of the regression head per output, for three outputs or more: (B, C, L) -> (B, n_outputs).

    Not published: the two-output head carried on. Loss: the mean over outputs of their mean squared errors.
    """

    weighs_targets = True

    def __init__(self, in_channels: int, seqsize: int, n_outputs: int, hidden: int = RegressionHead.HIDDEN):
        super().__init__(in_channels, seqsize)
        self.n_outputs = n_outputs
        self.heads = nn.ModuleList(RegressionHead(in_channels, seqsize, hidden) for _ in range(n_outputs))

    weights_init = initialise

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([head(x) for head in self.heads], dim=1)

    def train_step(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        prediction = self(batch["x"])
        return prediction, squared_error(prediction, batch).mean()


class AutosomeTrainer(Trainer):
    """AdamW under the one-cycle schedule, on full batches; see `OneCycle`."""

    drop_last = True

    def optimiser(self, net: nn.Module, n_steps: int):
        return OneCycle(self.recipe).optimiser(net, n_steps)


def first(in_channels: int, seqsize: int, recipe: PrixFixeRecipe) -> AutosomeFirst:
    return AutosomeFirst(in_channels, recipe.width(256), seqsize)


def core(in_channels: int, seqsize: int, recipe: PrixFixeRecipe) -> AutosomeCore:
    widths = tuple(map(recipe.width, AutosomeCore.WIDTHS))
    return AutosomeCore(in_channels, recipe.width(64), seqsize, widths)


def final(in_channels: int, seqsize: int, spec: TaskSpec, recipe: PrixFixeRecipe) -> FinalBlock:
    """Return the published head for the task's kind and number of outputs; of three outputs or more, one head each."""
    if spec.head == "soft_classification":
        return SoftClassificationHead(in_channels, seqsize)
    hidden = recipe.width(RegressionHead.HIDDEN)
    if len(spec.outputs) > 2:
        return ManyOutputHead(in_channels, seqsize, len(spec.outputs), hidden=hidden)
    kind = RegressionHead if len(spec.outputs) == 1 else TwoOutputHead
    return kind(in_channels, seqsize, hidden=hidden)


class AutosomeProcessor(Processor):
    """Bases and side channels; where measurements are of both strands, every row and its reverse complement."""

    makes_reverse_copies = True


def processor(spec: TaskSpec, recipe: PrixFixeRecipe) -> AutosomeProcessor:
    return AutosomeProcessor(spec, spec.side_channels)


def trainer(recipe: PrixFixeRecipe, processor: Processor) -> AutosomeTrainer:
    return AutosomeTrainer(recipe)
