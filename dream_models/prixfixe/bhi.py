"""Team BHI: two-branch convolutions, a bidirectional LSTM, a dense head, processor and trainer.

Initialised as the framework does. Source: `prixfixe/bhi/` of the challenge repository.
"""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.api import yeast_plasmid
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.sequences import encode
from dream_models.prixfixe.base import Batch, Block, FinalBlock, FirstBlock, PrixFixeNet
from dream_models.prixfixe.model import Processor, Trainer, on_both_strands
from dream_models.prixfixe.recipe import BHIRecipe, PrixFixeRecipe

KERNELS = (9, 15)
DROPOUT = 0.2


class ConvBranch(nn.Module):
    """Convolution ("same") with bias, ReLU, dropout. The published max-pooling of size 1 changes nothing."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel, padding="same")
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.relu(self.conv(x)))


def branches(in_channels: int, out_channels: int) -> nn.ModuleList:
    """One branch per kernel; together they make `out_channels`."""
    if out_channels % len(KERNELS):
        raise ValueError(f"out_channels must be a multiple of {len(KERNELS)}, got {out_channels}")
    return nn.ModuleList(ConvBranch(in_channels, out_channels // len(KERNELS), k) for k in KERNELS)


class BHIFirst(FirstBlock):
    """Two parallel convolutions, widths 9 and 15: (B, C, L) -> (B, out_channels, L)."""

    def __init__(self, in_channels: int, out_channels: int, seqsize: int):
        super().__init__(in_channels, out_channels, seqsize)
        self.conv_list = branches(in_channels, out_channels)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.conv_list], dim=1)


class BHICore(Block):
    """Bidirectional LSTM, then the two-branch convolutions: (B, C, L) -> (B, out_channels, L)."""

    def __init__(self, in_channels: int, out_channels: int, seqsize: int, hidden: int | None = None):
        super().__init__(in_channels, out_channels, seqsize)
        hidden = hidden or out_channels
        self.lstm = nn.LSTM(in_channels, hidden, batch_first=True, bidirectional=True)
        self.conv_list = branches(2 * hidden, out_channels)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.lstm(x.transpose(1, 2))[0].transpose(1, 2)  # (B, 2 * hidden, L), forward half first
        x = torch.cat([branch(x) for branch in self.conv_list], dim=1)
        return self.dropout(x)


class BHIFinal(FinalBlock):
    """Flatten and three dense layers: (B, C, L) -> (B,). Huber loss with delta 1.

    `train_step` returns the predictions; the published one returns the targets instead, which nothing but its unused
    return value shows.
    """

    HIDDEN = 64

    def __init__(self, in_channels: int, seqsize: int, hidden: int = HIDDEN):
        super().__init__(in_channels, seqsize)
        self.main = nn.Sequential(
            nn.Linear(in_channels * seqsize, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, 1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.main(x.flatten(1)).squeeze(1)

    def train_step(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        prediction = self(batch["x"])
        return prediction, F.huber_loss(prediction, batch["y"].reshape(-1).to(prediction.dtype), delta=1.0)


class BHIProcessor(Processor):
    """Four base channels. A yeast promoter is cut or padded to 110 bp; sequences of other tasks stay as they are.

    Longer rows lose their right end. Shorter ones are padded with the plasmid: for training on the right, the left or
    both sides, by chance and once; to predict always on both sides. Targets: (bin - 11) / deviation of the training
    rows; where targets are not bins, their own mean takes the place of 11.
    """

    SEQ_LEN = 110
    CENTRE = 11.0

    def __init__(self, spec: TaskSpec):
        self.in_plasmid = yeast_plasmid.in_plasmid(spec)
        super().__init__(spec, seqsize=self.SEQ_LEN if self.in_plasmid else spec.seq_len)

    def rows(self, data: Dataset, *, drawn: bool = False, shift: int = 0) -> Dataset:
        """Return the rows cut or padded to 110 bp; the window may lie `shift` bases further right in the plasmid."""
        if not self.in_plasmid or data.codes.shape[1] == self.SEQ_LEN:
            return data
        missing = self.SEQ_LEN - yeast_plasmid.row_lengths(data.codes)
        on_left = np.maximum(missing, 0) // 2
        if drawn:
            on_left = drawn_left_padding(missing, *torch.rand(2, len(data)).numpy())
        right = np.broadcast_to(
            encode([yeast_plasmid.PLASMID_RIGHT], len(yeast_plasmid.PLASMID_RIGHT)), (len(data), 76)
        )
        start = data.codes.shape[1] - (self.SEQ_LEN - missing) - on_left + shift
        start = np.maximum(start, 0)
        return dataclasses.replace(
            data, codes=windows(np.concatenate([data.codes, right], axis=1), start, self.SEQ_LEN)
        )

    def learn(self, y: torch.Tensor) -> None:
        is_bins = self.spec.head == "soft_classification"
        shift = torch.full_like(y[0], self.CENTRE) if is_bins else y.mean(dim=0)
        self.set_targets(shift, y.std(dim=0, correction=0))


def drawn_left_padding(missing: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Draw how many of the missing bases go to the left: none, all, or half of them (rounded down).

    `u` and `v` are uniform in [0, 1): none where u < 0.333, else all where v > 0.666, else half. These are the code's
    odds, about 0.333 : 0.223 : 0.444; report and comments give others.
    """
    missing = np.maximum(missing, 0)
    return np.where(u < 0.333, 0, np.where(v > 0.666, missing, missing // 2))


def windows(codes: np.ndarray, start: np.ndarray, length: int) -> np.ndarray:
    """Cut one window out of every row, each at its own place: (n, L) and (n,) -> (n, length)."""
    cut = np.empty((len(codes), length), dtype=codes.dtype)
    for place in np.unique(start):
        here = start == place
        cut[here] = codes[here, place : place + length]
    return cut


class BHITrainer(Trainer):
    """AdamW under a cosine from the full rate to zero; the loss is the mean over both strands."""

    uses_both_strands = True

    def __init__(self, recipe: BHIRecipe, processor: Processor):
        super().__init__(recipe)
        self._loss = on_both_strands(super().loss, processor)

    def optimiser(self, net: nn.Module, n_steps: int) -> tuple[torch.optim.Optimizer, Any]:
        adamw = torch.optim.AdamW(
            net.parameters(), lr=self.recipe.max_lr, weight_decay=self.recipe.weight_decay, fused=True
        )
        n_until_zero = self.n_rows * self.recipe.epochs if self.recipe.cosine_over_rows else n_steps
        return adamw, torch.optim.lr_scheduler.CosineAnnealingLR(adamw, T_max=max(n_until_zero, 1))

    def loss(self, net: PrixFixeNet, batch: Batch) -> torch.Tensor:
        return self._loss(net, batch)


def first(in_channels: int, seqsize: int, recipe: PrixFixeRecipe) -> BHIFirst:
    return BHIFirst(in_channels, 2 * recipe.width(recipe.stem_width), seqsize)


def core(in_channels: int, seqsize: int, recipe: PrixFixeRecipe) -> BHICore:
    return BHICore(in_channels, 2 * recipe.width(160), seqsize)


def final(in_channels: int, seqsize: int, spec: TaskSpec, recipe: PrixFixeRecipe) -> BHIFinal:
    return BHIFinal(in_channels, seqsize, hidden=recipe.width(BHIFinal.HIDDEN))


def processor(spec: TaskSpec, recipe: PrixFixeRecipe) -> BHIProcessor:
    return BHIProcessor(spec)


def trainer(recipe: BHIRecipe, processor: Processor) -> BHITrainer:
    return BHITrainer(recipe, processor)
