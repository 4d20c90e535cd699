"""The Prix Fixe contract: what a block must offer, and the network that strings three of them together.

Source: `prixfixe/prixfixe/` of the challenge repository. Attribute names inside the blocks are the published state-dict
keys, so a checkpoint loads as it is and no renaming table is needed.
"""

import torch
from torch import nn

Batch = dict[str, torch.Tensor]


class Block(nn.Module):
    """A first or core block: (B, in_channels, seqsize) -> (B, out_channels, L')."""

    def __init__(self, in_channels: int, out_channels: int, seqsize: int):
        super().__init__()
        self.in_channels, self.out_channels, self.seqsize = in_channels, out_channels, seqsize

    def weights_init(self, generator: torch.Generator | None) -> None:
        """Draw initial weights; the framework's own initialisation stands where a team has none."""

    def train_step(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the features and an auxiliary loss, or None."""
        return self(batch["x"]), None

    @property
    def dummy(self) -> torch.Tensor:
        """An all-zero input of one sequence."""
        return torch.zeros(1, self.in_channels, self.seqsize)

    def infer_outseqsize(self) -> int:
        """Return the output length, found without touching running statistics or dropout's generator."""
        was_training = self.training
        self.eval()
        with torch.no_grad():
            length = self(self.dummy).shape[-1]
        self.train(was_training)
        return length


class FinalBlock(nn.Module):
    """A head: (B, in_channels, seqsize) -> prediction; its `train_step` gives prediction and loss."""

    def __init__(self, in_channels: int, seqsize: int):
        super().__init__()
        self.in_channels, self.seqsize = in_channels, seqsize

    def weights_init(self, generator: torch.Generator | None) -> None:
        """Draw initial weights; the framework's own initialisation stands where a team has none."""

    def train_step(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return prediction and loss for features `x` and targets `y` (B, n_outputs) or (B,)."""
        raise NotImplementedError(f"{type(self).__name__} must define train_step")


class PrixFixeNet(nn.Module):
    """first -> core -> final; first and core may be None.

    Weights are initialised in that order. `generator` feeds the initialisations that draw explicitly (Autosome's); the
    others use the global generator.
    """

    def __init__(
        self, first: Block | None, core: Block | None, final: FinalBlock, generator: torch.Generator | None = None
    ):
        super().__init__()
        self.first, self.core, self.final = first, core, final
        for block in self._blocks():
            block.weights_init(generator)

    def _blocks(self) -> list[Block | FinalBlock]:
        return [block for block in (self.first, self.core, self.final) if block is not None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self._blocks():
            x = block(x)
        return x

    def train_step(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return prediction and loss; auxiliary losses of the blocks are added. The batch is left as it is."""
        batch, auxiliary = dict(batch), []
        for block in self._blocks()[:-1]:
            batch["x"], loss = block.train_step(batch)
            auxiliary += [loss] if loss is not None else []
        prediction, loss = self.final.train_step(batch)
        return prediction, loss + sum(auxiliary)
