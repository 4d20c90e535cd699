"""What the submissions have and the framework's ports lack. Source: reports and code of the three teams.

Left open by the sources and chosen here: the spread of the first weights of Autosome's bilinear layers; in UnlockDNA's
network, residual connections around convolution and attention alike, each on its own layer norm (the port normalises
the stream itself), and the scale of the attention, one over the root of the key width.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.model import History
from benchmarks.training.torch_backend import TorchModel
from dream_models.prixfixe import autosome, bhi, unlockdna
from dream_models.prixfixe.autosome import AutosomeCore, AutosomeFirst, SoftClassificationHead
from dream_models.prixfixe.base import Block, PrixFixeNet, Reconstruction
from dream_models.prixfixe.model import PrixFixeModel
from dream_models.prixfixe.recipe import BHIRecipe, CombinationRecipe, UnlockDNARecipe
from dream_models.prixfixe.unlockdna import EPSILON, LETTERS, FeedForward, UnlockDNAFinal, UnlockDNAFirst

# Autosome.org


class Bilinear(nn.Module):
    """Products of all pairs of inputs, weighted by a tensor of low rank: (B, n) -> (B, n // 2).

    The tensor is a sum of rank-one tensors with half as many numbers as the whole one would have.
    """

    def __init__(self, n: int):
        super().__init__()
        sizes = (n // 2, n, n)
        rank = max(1, round(0.5 * np.prod(sizes) / sum(sizes)))
        spread = (1 / (n * rank**0.5)) ** (1 / 3)  # so that the whole tensor starts with a deviation of 1 / n
        self.factors = nn.ParameterList(nn.Parameter(torch.randn(size, rank) * spread) for size in sizes)
        self.weights = nn.Parameter(torch.ones(rank))
        self.bias = nn.Parameter(torch.zeros(n // 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, one, other = self.factors
        return ((x @ one) * (x @ other) * self.weights) @ out.T + self.bias


class BilinearSqueezeExcite(nn.Module):
    """Channel gate whose squeezed channels also meet in pairs: linear, and linear beside bilinear, then the gates."""

    def __init__(self, channels: int, squeezed: int):
        super().__init__()
        self.squeeze = nn.Sequential(nn.Linear(channels, squeezed), nn.SiLU(), nn.Linear(squeezed, squeezed))
        self.bilinear = Bilinear(squeezed)
        self.excite = nn.Sequential(nn.SiLU(), nn.Linear(squeezed + squeezed // 2, channels), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.squeeze(x.mean(dim=2))
        return x * self.excite(torch.cat([y, self.bilinear(y)], dim=1))[:, :, None]


def autosome_model(spec: TaskSpec, recipe: CombinationRecipe) -> PrixFixeModel:
    """Autosome.org's submission: bilinear gates, SiLU on the logits of every position."""
    processor = autosome.processor(spec, recipe)
    first = AutosomeFirst(processor.n_channels, recipe.width(256), processor.seqsize)
    widths = tuple(map(recipe.width, AutosomeCore.WIDTHS))
    core = AutosomeCore(
        first.out_channels, recipe.width(64), processor.seqsize, widths, squeeze_excite=BilinearSqueezeExcite
    )
    final = SoftClassificationHead(core.out_channels, processor.seqsize, activated=True)
    net = PrixFixeNet(first, core, final)
    return PrixFixeModel(net, processor=processor, trainer=autosome.trainer(recipe, processor), recipe=recipe)


# BHI


class BHISubmission(PrixFixeModel):
    """Predicts the mean over ten views (five shifts, both strands), through a normal distribution function."""

    SHIFTS = (-2, -1, 0, 1, 2)
    LOC, SCALE = 0.062, 1.0

    def fit(self, train: Dataset, val: Dataset, **keywords: Any) -> History:
        return TorchModel.fit(self, self.processor.kept(train), val, **keywords)  # uncut: every view cuts its own

    def predict(self, data: Dataset) -> dict[str, np.ndarray]:
        views = [self.viewed(data, shift) for shift in self.SHIFTS]
        (name,) = views[0]
        mean = np.mean([view[name] for view in views], axis=0, dtype=np.float64)
        z = (mean - self.processor.shift.item()) / self.processor.scale.item()
        cdf = torch.special.ndtr(torch.from_numpy((z - self.LOC) / self.SCALE))
        return {name: cdf.numpy().astype(np.float32)}

    def viewed(self, data: Dataset, shift: int) -> dict[str, np.ndarray]:
        """Predict the window that lies `shift` bases further right, averaged over both strands."""
        return super().predict(self.processor.rows(data, shift=shift))

    def predict_train_view(self, data: Dataset) -> dict[str, np.ndarray]:
        return super().predict(data)

    @property
    def train_view_differs(self) -> bool:
        return True


class BHITrainer(bhi.BHITrainer):
    """The submission leaves out the last, short batch."""

    drop_last = True


def bhi_model(spec: TaskSpec, recipe: BHIRecipe) -> BHISubmission:
    """BHI's submission: the port's blocks, the first of 2 x 256 channels; both strands in loss and prediction."""
    recipe = dataclasses.replace(recipe, conjoined=True)
    processor = bhi.processor(spec, recipe)
    first = bhi.first(processor.n_channels, processor.seqsize, recipe)
    core = bhi.core(first.out_channels, processor.seqsize, recipe)
    net = PrixFixeNet(first, core, bhi.final(core.out_channels, processor.seqsize, spec, recipe))
    return BHISubmission(net, processor=processor, trainer=BHITrainer(recipe, processor), recipe=recipe)


# UnlockDNA


class TokensFirst(UnlockDNAFirst):
    """Patches with positions and strands, behind tokens that stand for an expression of zero.

    (B, C, L) -> (B, width, n_tokens + L).
    """

    def __init__(self, in_channels: int, out_channels: int, seqsize: int, kmer: int, n_tokens: int):
        super().__init__(in_channels, out_channels, seqsize, kmer)
        self.n_tokens = n_tokens

    def features(self, x: torch.Tensor) -> torch.Tensor:
        patches = super().features(x) + self.pos_embedding.weight.T
        token = self.expression_embedding(x.new_zeros(1))
        return torch.cat([token[None, :, None].expand(len(x), -1, self.n_tokens), patches], dim=2)


class WideAttention(nn.Module):
    """Self-attention whose heads are each as wide as the stream: (B, L, width) -> the same shape."""

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.query, self.key, self.value = (nn.Linear(width, n_heads * width) for _ in range(3))
        self.out = nn.Linear(n_heads * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            layer(x).unflatten(2, (self.n_heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        return self.out(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class MacaronBlock(nn.Module):
    """Half feed-forward, convolution, attention, half feed-forward, each added to the stream: (B, L, width)."""

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        self.ff1, self.ff2 = FeedForward(width), FeedForward(width)
        self.layernorm1, self.layernorm2 = (nn.LayerNorm(width, eps=EPSILON) for _ in range(2))
        self.conv = unlockdna.convolution(width)
        self.attn = WideAttention(width, n_heads)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + 0.5 * self.ff1(x)
        x = x + self.conv(self.layernorm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.attn(self.layernorm2(x))
        return x + 0.5 * self.ff2(x)


class MacaronCore(Block):
    """Four macaron blocks; the positions are embedded before it."""

    def __init__(self, width: int, seqsize: int, n_heads: int, n_blocks: int = 4):
        super().__init__(width, width, seqsize)
        self.blocks = nn.ModuleList(MacaronBlock(width, n_heads) for _ in range(n_blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return x.transpose(1, 2)


class TokensFinal(UnlockDNAFinal):
    """Expression from the tokens, base logits from the positions after them."""

    N_CLASSES = len(LETTERS)

    def forward(self, x: torch.Tensor) -> Reconstruction:
        expression, logits = super().forward(x)
        return Reconstruction(expression, logits[:, :, self.n_projectors :])


def unlockdna_model(spec: TaskSpec, recipe: UnlockDNARecipe) -> PrixFixeModel:
    """UnlockDNA's submission: tokens before the sequence, 8 heads of 512 each."""
    processor = unlockdna.processor(spec, recipe)
    first = TokensFirst(
        processor.n_channels, recipe.width(512), processor.seqsize, recipe.kmer, n_tokens=recipe.n_projectors
    )
    length = processor.seqsize + recipe.n_projectors
    core = MacaronCore(first.out_channels, length, recipe.n_heads)
    net = PrixFixeNet(first, core, TokensFinal(core.out_channels, length, recipe.n_projectors))
    return PrixFixeModel(net, processor=processor, trainer=unlockdna.trainer(recipe, processor), recipe=recipe)


MODELS: dict[str, Callable[[TaskSpec, Any], PrixFixeModel]] = {
    "autosome": autosome_model,
    "bhi": bhi_model,
    "unlockdna": unlockdna_model,
}
