"""Team UnlockDNA: k-mer patches, a macaron transformer with convolutions, a head that also tells bases; both strands.

Initialised as the framework does. Source: `prixfixe/unlockdna/` of the challenge repository.
"""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.api import yeast_plasmid
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.sequences import N_CODE
from dream_models.prixfixe.base import (
    Batch,
    Block,
    FinalBlock,
    FirstBlock,
    PrixFixeNet,
    Reconstruction,
    masked_cross_entropy,
)
from dream_models.prixfixe.model import Processor, Trainer
from dream_models.prixfixe.recipe import PrixFixeRecipe, UnlockDNARecipe

DROPOUT = 0.1
EPSILON = 1e-6
LETTERS = "ACGTNM"
"""This team's codes; M is a hidden base."""
N, M = LETTERS.index("N"), LETTERS.index("M")


class UnlockDNAFirst(FirstBlock):
    """Patches of `kmer` positions, one per position, and which half of the input it is in: (B, C, L) -> (B, width, L).

    The halves are the two strands of this team's input. An even k keeps the length, as k // 2 - 1 zeros are added on
    the left and k // 2 on the right. Position and expression embedding are in published state dicts, and unused there.
    """

    def __init__(self, in_channels: int, out_channels: int, seqsize: int, kmer: int = 10):
        super().__init__(in_channels, out_channels, seqsize)
        if kmer % 2:
            raise ValueError(f"kmer must be even, so that the length is kept, got {kmer}")
        self.kmer = kmer
        self.pos_embedding = nn.Embedding(seqsize, out_channels)
        self.strand_embedding = nn.Embedding(2, out_channels)
        self.expression_embedding = nn.Linear(1, out_channels)
        self.kmer_dense = nn.Linear(in_channels * kmer, out_channels)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        length = x.shape[2]
        x = nn.functional.pad(x, (self.kmer // 2 - 1, self.kmer // 2))
        patches = x.unfold(2, self.kmer, 1).permute(0, 2, 3, 1).flatten(2)  # (B, L, kmer * C), position by position
        strand = torch.arange(length, device=x.device) >= length // 2
        return (self.kmer_dense(patches) + self.strand_embedding(strand.long())).transpose(1, 2)


class FeedForward(nn.Module):
    """Layer norm, linear to 4x, SwiGLU (first half value, second half gate), linear back; no biases."""

    def __init__(self, width: int):
        super().__init__()
        self.layernorm = nn.LayerNorm(width, eps=EPSILON)
        self.linear1 = nn.Linear(width, 4 * width, bias=False)
        self.linear2 = nn.Linear(2 * width, width, bias=False)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value, gate = self.linear1(self.layernorm(x)).chunk(2, dim=-1)
        return self.dropout(self.linear2(self.dropout(value * nn.functional.silu(gate))))


def convolution(width: int) -> nn.Sequential:
    """Depthwise and pointwise convolution, ReLU, dropout: (B, width, L) -> the same shape."""
    return nn.Sequential(
        nn.Conv1d(width, width, 15, padding="same", groups=width, bias=False),
        nn.Conv1d(width, width, 1),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
    )


class ConformerBlock(nn.Module):
    """Half feed-forward, convolution, attention, half feed-forward on (B, L, width).

    The published code adds the normalised stream itself beside its convolution, and lets the second norm replace the
    stream; both are kept. Attention runs in the framework's fused kernel.
    """

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        self.ff1 = FeedForward(width)
        self.layernorm1 = nn.LayerNorm(width, eps=EPSILON)
        self.conv = convolution(width)
        self.layernorm2 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = nn.MultiheadAttention(width, n_heads, batch_first=True)
        self.ff2 = FeedForward(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + 0.5 * self.ff1(x)
        u = self.layernorm1(x)
        x = x + u + self.conv(u.transpose(1, 2)).transpose(1, 2)
        x = self.layernorm2(x)
        x = x + self.attn(x, x, x, need_weights=False)[0]
        return x + 0.5 * self.ff2(x)


class UnlockDNACore(Block):
    """Learned positions and four conformer blocks: (B, width, seqsize) -> the same shape, for that length alone."""

    def __init__(self, in_channels: int, out_channels: int, seqsize: int, n_blocks: int = 4, n_heads: int = 4):
        super().__init__(in_channels, out_channels, seqsize)
        if in_channels != out_channels:
            raise ValueError(f"this core keeps its width: in_channels {in_channels} != out_channels {out_channels}")
        if in_channels % n_heads:
            raise ValueError(f"n_heads must divide the {in_channels} channels of the first block, got {n_heads}")
        self.pos_embedding = nn.Embedding(seqsize, in_channels)
        self.blocks = nn.ModuleList(ConformerBlock(in_channels, n_heads) for _ in range(n_blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2] != self.seqsize:
            raise ValueError(f"this network was built for sequences of {self.seqsize} bp, got {x.shape[2]}")
        x = x.transpose(1, 2) + self.pos_embedding.weight
        for block in self.blocks:
            x = block(x)
        return x.transpose(1, 2)


class UnlockDNAFinal(FinalBlock):
    """Expression from the first positions and base logits from all: (B, C, L) -> `Reconstruction`.

    Expression: dropout 0.2, linear to one, mean over the first `n_projectors` positions; loss MSE. In the submission
    those positions hold tokens of their own; in the framework they are the sequence's first, as published.
    """

    N_CLASSES = 5

    def __init__(self, in_channels: int, seqsize: int, n_projectors: int = 8):
        super().__init__(in_channels, seqsize)
        self.n_projectors = n_projectors
        self.expression_dense = nn.Linear(in_channels, 1)
        self.nucleotide_dense = nn.Linear(in_channels, self.N_CLASSES)
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: torch.Tensor) -> Reconstruction:
        x = x.transpose(1, 2)
        expression = self.expression_dense(self.dropout(x[:, : self.n_projectors])).mean(dim=1).squeeze(1)
        return Reconstruction(expression, self.nucleotide_dense(x).transpose(1, 2))

    def train_step(self, batch: Batch) -> tuple[Reconstruction, torch.Tensor]:
        prediction = self(batch["x"])
        y = batch["y"].reshape(-1).to(prediction.expression.dtype)
        return prediction, nn.functional.mse_loss(prediction.expression, y)


class UnlockDNAProcessor(Processor):
    """Integer codes of a sequence followed by its reverse complement: (B, 2 L) of A, C, G, T, N.

    Of a yeast promoter the variable region is taken, padded with N on both sides to 100 bp; training rows with a longer
    one are left out, as published, and predicted by their middle. Sequences of other tasks are taken whole. Targets are
    standardised by the training rows.
    """

    SEQ_LEN = 100

    def __init__(self, spec: TaskSpec, recipe: UnlockDNARecipe):
        self.in_plasmid = yeast_plasmid.in_plasmid(spec)
        self.seq_len = self.SEQ_LEN if self.in_plasmid else spec.seq_len
        super().__init__(spec, seqsize=2 * self.seq_len, standardise=True)
        self.n_channels = len(LETTERS)
        self.trim_left, self.trim_right = recipe.trim_left, recipe.trim_right
        self.register_buffer("letter_of_code", torch.tensor([0, 2, 1, 3, N]), persistent=False)
        self.register_buffer("complement", torch.tensor([3, 2, 1, 0, N]), persistent=False)

    def kept(self, train: Dataset) -> Dataset:
        if not self._is_whole(train):
            return train
        return train.take(np.flatnonzero(self._widths(train) <= self.SEQ_LEN))

    def rows(self, data: Dataset, *, drawn: bool = False) -> Dataset:
        if not self._is_whole(data):
            return data
        return dataclasses.replace(data, codes=centred(data.codes, self._widths(data), self.trim_right, self.SEQ_LEN))

    def _is_whole(self, data: Dataset) -> bool:
        return self.in_plasmid and data.codes.shape[1] != self.SEQ_LEN

    def _widths(self, data: Dataset) -> np.ndarray:
        return np.maximum(yeast_plasmid.row_lengths(data.codes) - self.trim_left - self.trim_right, 0)

    def forward(self, codes: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
        letters = self.letter_of_code[codes.long()]
        return torch.cat([letters, self.complement[letters].flip(1)], dim=1)

    def mutated(self, x: torch.Tensor, rate: float) -> tuple[torch.Tensor, torch.Tensor]:
        letters = x[:, : self.seq_len]
        where = (torch.rand(letters.shape, device=x.device) < rate) & (letters < N)
        letters = torch.where(where, (letters + torch.randint_like(letters, 1, N)) % N, letters)
        return torch.cat([letters, self.complement[letters].flip(1)], dim=1), torch.cat([where, where.flip(1)], dim=1)


def centred(codes: np.ndarray, widths: np.ndarray, n_after: int, length: int) -> np.ndarray:
    """Take the bases that end `n_after` before the end of each row and put them between N.

    Of N that cannot be shared evenly, one more goes to the right; of bases beyond `length`, one more is cut there.

    Parameters
    ----------
    codes, widths
        (n, L) uint8 and (n,): how many bases of each row to take.

    Returns
    -------
    (n, length) uint8.
    """
    taken = np.full((len(codes), length), N_CODE, dtype=np.uint8)
    for width in np.unique(widths):
        here = widths == width
        start = codes.shape[1] - n_after - width
        n_before = (length - width) // 2
        if width > length:
            start, width, n_before = start + (width - length) // 2, length, 0
        taken[here, n_before : n_before + width] = codes[here, start : start + width]
    return taken


class UnlockDNATrainer(Trainer):
    """Adam under the transformer schedule, clipped gradients; the loss of the head and that of telling hidden bases.

    The rate is max_lr x min((step / w)^-0.5, step / w) with w steps of warm-up, steps counted from 1: the published
    width^-0.5 x min(step^-0.5, step x w^-1.5), whose peak is (width x w)^-0.5. One step per batch; the published code
    takes a second one, which newer versions of torch turn into none.
    """

    needs_base_logits = True
    CLIP_NORM, CLIP_VALUE = 1.0, 0.5
    WARMUP_SHARE = 0.05

    def optimiser(self, net: nn.Module, n_steps: int) -> tuple[torch.optim.Optimizer, Any]:
        adam = torch.optim.Adam(net.parameters(), lr=self.recipe.max_lr, betas=(0.9, 0.98), eps=1e-9, fused=True)
        adam.register_step_pre_hook(lambda *_: self._clip(net))
        warmup = self.recipe.warmup_steps or max(1, round(self.WARMUP_SHARE * n_steps))

        def share_of_peak(n_done: int) -> float:
            progress = (n_done + 1) / warmup
            return min(progress**-0.5, progress)

        return adam, torch.optim.lr_scheduler.LambdaLR(adam, share_of_peak)

    def _clip(self, net: nn.Module) -> None:
        nn.utils.clip_grad_norm_(net.parameters(), self.CLIP_NORM)
        nn.utils.clip_grad_value_(net.parameters(), self.CLIP_VALUE)

    def loss(self, net: PrixFixeNet, batch: Batch) -> torch.Tensor:
        letters = batch["x"]
        masked = (torch.rand(letters.shape, device=letters.device) < self.recipe.mask_rate) & (letters != N)
        prediction, loss = net.train_step(batch | {"x": letters.masked_fill(masked, M)})
        self.expression(prediction)
        return loss + masked_cross_entropy(prediction.base_logits, letters, masked)


def first(in_channels: int, seqsize: int, recipe: PrixFixeRecipe) -> UnlockDNAFirst:
    return UnlockDNAFirst(in_channels, recipe.width(512), seqsize, recipe.kmer)


def core(in_channels: int, seqsize: int, recipe: PrixFixeRecipe) -> UnlockDNACore:
    return UnlockDNACore(in_channels, in_channels, seqsize, n_heads=recipe.n_heads)


def final(in_channels: int, seqsize: int, spec: TaskSpec, recipe: PrixFixeRecipe) -> UnlockDNAFinal:
    return UnlockDNAFinal(in_channels, seqsize, recipe.n_projectors)


def processor(spec: TaskSpec, recipe: UnlockDNARecipe) -> UnlockDNAProcessor:
    return UnlockDNAProcessor(spec, recipe)


def trainer(recipe: UnlockDNARecipe, processor: Processor) -> UnlockDNATrainer:
    return UnlockDNATrainer(recipe)
