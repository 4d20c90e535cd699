"""Blocks of team BHI: two-branch convolutions and a bidirectional LSTM. Initialised as the framework does.

Source: `prixfixe/bhi/` of the challenge repository.
"""

import torch
from torch import nn

from dream_models.prixfixe.net import Block

KERNELS = (9, 15)
DROPOUT = 0.2


class ConvBranch(nn.Module):
    """Convolution ("same") with bias, ReLU, dropout. The published max-pooling of size 1 changes nothing."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel, padding="same")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(self.conv(x).relu(), DROPOUT, self.training)


def branches(in_channels: int, out_channels: int) -> nn.ModuleList:
    """One branch per kernel; together they make `out_channels`."""
    if out_channels % len(KERNELS):
        raise ValueError(f"out_channels must be a multiple of {len(KERNELS)}, got {out_channels}")
    return nn.ModuleList(ConvBranch(in_channels, out_channels // len(KERNELS), k) for k in KERNELS)


class BHIFirst(Block):
    """Two parallel convolutions, widths 9 and 15: (B, C, L) -> (B, out_channels, L)."""

    def __init__(self, in_channels: int, out_channels: int, seqsize: int):
        super().__init__(in_channels, out_channels, seqsize)
        self.conv_list = branches(in_channels, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.conv_list], dim=1)


class BHICore(Block):
    """Bidirectional LSTM, then the two-branch convolutions: (B, C, L) -> (B, out_channels, L)."""

    def __init__(self, in_channels: int, out_channels: int, seqsize: int, hidden: int | None = None):
        super().__init__(in_channels, out_channels, seqsize)
        hidden = hidden or out_channels
        self.lstm = nn.LSTM(in_channels, hidden, batch_first=True, bidirectional=True)
        self.conv_list = branches(2 * hidden, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.lstm(x.transpose(1, 2))[0].transpose(1, 2)  # (B, 2 * hidden, L), forward half first
        x = torch.cat([branch(x) for branch in self.conv_list], dim=1)
        return nn.functional.dropout(x, 0.5, self.training)
