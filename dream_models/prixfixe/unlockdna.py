"""Core block of team UnlockDNA: a macaron transformer with convolutions. Initialised as the framework does.

Source: `prixfixe/unlockdna/` of the challenge repository.
"""

import torch
from torch import nn

from dream_models.prixfixe.net import Block

DROPOUT = 0.1
EPSILON = 1e-6


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


class ConformerBlock(nn.Module):
    """Half feed-forward, convolution, attention, half feed-forward on (B, L, width).

    The published code adds the normalised stream itself beside its convolution, and lets the second norm replace the
    stream; both are kept. Attention runs in the framework's fused kernel.
    """

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        self.ff1 = FeedForward(width)
        self.layernorm1 = nn.LayerNorm(width, eps=EPSILON)
        self.conv = nn.Sequential(
            nn.Conv1d(width, width, 15, padding="same", groups=width, bias=False),
            nn.Conv1d(width, width, 1),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
        )
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
        self.pos_embedding = nn.Embedding(seqsize, in_channels)
        self.blocks = nn.ModuleList(ConformerBlock(in_channels, n_heads) for _ in range(n_blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2] != self.seqsize:
            raise ValueError(f"this network was built for sequences of {self.seqsize} bp, got {x.shape[2]}")
        x = x.transpose(1, 2) + self.pos_embedding.weight
        for block in self.blocks:
            x = block(x)
        return x.transpose(1, 2)
