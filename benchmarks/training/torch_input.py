"""What a torch network sees of rows, and the units that it learns their targets in."""

import torch
from torch import nn

from benchmarks.api.data import Dataset
from benchmarks.api.sequences import one_hot_table
from benchmarks.api.yeast_plasmid import N_BINS


class OneHot(nn.Module):
    """What a network sees of rows: one-hot bases, and 0/1 columns of `meta` as constant extra channels.

    (B, L) uint8 and (B, n_side) float32 -> (B, 4 + n_side, L) float32. `order` names the base channels. The side
    channels of `training_channels` are 0 where a model predicts. With `standardise`, the loss is taken of targets
    (y - shift) / scale, mean and standard deviation of the training rows.
    """

    training_channels: tuple[str, ...] = ()
    shift: torch.Tensor
    scale: torch.Tensor
    table: torch.Tensor

    def __init__(self, side_channels: tuple[str, ...] = (), order: str = "AGCT", *, standardise: bool = False) -> None:
        super().__init__()
        self.standardise = standardise
        self.register_buffer("shift", torch.zeros(1), persistent=False)  # one per output, once they are learnt
        self.register_buffer("scale", torch.ones(1), persistent=False)
        self.side_channels = side_channels
        self.n_channels = 4 + len(side_channels)
        self.register_buffer("table", torch.from_numpy(one_hot_table(order)), persistent=False)

    def forward(self, codes: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
        x = nn.functional.embedding(codes.int(), self.table).transpose(1, 2)  # (B, 4, L)
        if not self.side_channels:
            return x
        return torch.cat([x, side[:, :, None].expand(-1, -1, x.shape[2])], dim=1)

    def rows(self, data: Dataset) -> Dataset:
        """Return the rows cropped and padded for this network, once, in main memory."""
        return data

    def learn(self, y: torch.Tensor) -> None:
        """Derive `shift` and `scale` from the training targets (n, n_outputs)."""
        if self.standardise:
            self.set_targets(y.mean(dim=0), y.std(dim=0, correction=0))

    def set_targets(self, shift: torch.Tensor, scale: torch.Tensor) -> None:
        """Set shift and scale, (n_outputs,) each; an output that never varies is shifted only."""
        self.shift = shift.to(self.table)
        self.scale = torch.where(scale > 0, scale, torch.ones_like(scale)).to(self.table)

    def scaled(self, y: torch.Tensor) -> torch.Tensor:
        """Return targets (B, n_outputs) in the units that the loss is taken in."""
        return (y - self.shift) / self.scale

    def unscaled(self, y: torch.Tensor) -> torch.Tensor:
        """Return predictions (B, n_outputs) in the units of the targets."""
        return y * self.scale + self.shift


def bin_probs(expression: torch.Tensor) -> torch.Tensor:
    """Spread measured values (B,) over the bins (B, 18): the mass of Normal(e + 0.5, sd 0.5) between whole numbers.

    The first bin has all below 1, the last all from 17 on; every row sums to 1. Source:
    `de-Boer-Lab/random-promoter-dream-challenge-2022`, prixfixe/autosome/dataset.py.
    """
    edges = torch.arange(1, N_BINS, device=expression.device, dtype=torch.float64)
    below = torch.special.ndtr((edges - expression.double()[:, None] - 0.5) / 0.5)
    ends = torch.zeros(len(below), 1, device=below.device, dtype=below.dtype)
    return torch.diff(torch.cat([ends, below, ends + 1], dim=1), dim=1).float()
