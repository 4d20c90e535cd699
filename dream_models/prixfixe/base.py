"""The Prix Fixe contract: what a block must offer, and the network that strings three of them together.

Source: `prixfixe/prixfixe/` of the challenge repository. Attribute names inside the blocks are the published state-dict
keys, so a checkpoint loads as it is and no renaming table is needed.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

Batch = dict[str, torch.Tensor]


class ContractError(ValueError):
    """A block, head or trainer that does not do what the contract asks of it; the text says which and what."""


class Reconstruction(NamedTuple):
    """What a head gives that also says which base stood at every position: (B,) and logits (B, K, L)."""

    expression: torch.Tensor
    base_logits: torch.Tensor


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
        return _undisturbed(self, lambda: self(self.dummy)).shape[-1]

    def check(self) -> None:
        """Put the dummy through the block.

        Raises
        ------
        ContractError
            If forward or train_step fail, or give anything but (1, out_channels, L') and a scalar or None.
        """
        name = type(self).__name__
        features = _attempt(f"{name}.forward", self, lambda: self(self.dummy))
        stepped = _attempt(f"{name}.train_step", self, lambda: self.train_step({"x": self.dummy}))
        _require(isinstance(stepped, tuple) and len(stepped) == 2, f"{name}.train_step must give features and loss")
        for what, found in (("forward", features), ("train_step", stepped[0])):
            shape = tuple(found.shape)
            fits = len(shape) == 3 and shape[:2] == (1, self.out_channels)
            _require(fits, f"{name}.{what} gives {shape} for one sequence, expected (1, {self.out_channels}, length)")
        loss = stepped[1]
        _require(loss is None or loss.ndim == 0, f"{name}.train_step must give a scalar auxiliary loss, or None")


class FirstBlock(Block):
    """A block that takes what a processor makes: (B, in_channels, L), or integer codes (B, L), made one-hot here."""

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, out_channels, L') for (B, in_channels, L) float."""
        raise NotImplementedError(f"{type(self).__name__} must define features")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.ndim == 2:
            x = F.one_hot(x.long(), self.in_channels).transpose(1, 2).to(next(self.parameters()).dtype)
        return self.features(x)


class FinalBlock(nn.Module):
    """A head: (B, in_channels, seqsize) -> prediction; its `train_step` gives prediction and loss.

    The prediction is (B,), (B, 1), a tuple of (B, 1), or a `Reconstruction`. `n_outputs` is how many numbers it gives
    per sequence, `gives_bins` whether they are expression bins whatever scale the targets of the batch have,
    `weighs_targets` whether its loss heeds the `weight` (B, n_outputs) that a batch may have.
    """

    n_outputs = 1
    gives_bins = False
    weighs_targets = False

    def __init__(self, in_channels: int, seqsize: int):
        super().__init__()
        self.in_channels, self.seqsize = in_channels, seqsize

    def weights_init(self, generator: torch.Generator | None) -> None:
        """Draw initial weights; the framework's own initialisation stands where a team has none."""

    def train_step(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return prediction and loss for features `x` and targets `y` (B, n_outputs) or (B,)."""
        raise NotImplementedError(f"{type(self).__name__} must define train_step")

    @property
    def dummy(self) -> torch.Tensor:
        """All-zero features of one sequence."""
        return torch.zeros(1, self.in_channels, self.seqsize)

    def check(self) -> None:
        """Put the dummy through the head, with nothing in the batch but `x` and `y`.

        Raises
        ------
        ContractError
            If forward or train_step fail, or the loss is not a finite scalar.
        """
        name = type(self).__name__
        _attempt(f"{name}.forward", self, lambda: self(self.dummy))
        batch = {"x": self.dummy, "y": torch.full((1, self.n_outputs), 10.0)}
        stepped = _attempt(f"{name}.train_step", self, lambda: self.train_step(batch))
        _require(isinstance(stepped, tuple) and len(stepped) == 2, f"{name}.train_step must give prediction and loss")
        _check_loss(f"{name}.train_step", stepped[1])


class PrixFixeNet(nn.Module):
    """first -> core -> final; first and core may be None.

    Weights are initialised in that order. `generator` feeds the initialisations that draw explicitly (Autosome's); the
    others use the global generator. With `n_bases`, a linear layer on the features before the head tells hidden bases:
    it serves any core, is read in training only, and is not part of the published networks; with `tells_mutations`,
    another one tells mutated bases. An `embedding` is a block that makes vectors of bases, before the first.
    """

    def __init__(
        self,
        first: Block | None,
        core: Block | None,
        final: FinalBlock,
        generator: torch.Generator | None = None,
        *,
        n_bases: int = 0,
        tells_mutations: bool = False,
        embedding: Block | None = None,
    ):
        super().__init__()
        self.embedding, self.first, self.core, self.final = embedding, first, core, final
        for block in self._blocks():
            block.weights_init(generator)
        self.reconstruction = nn.Linear(final.in_channels, n_bases) if n_bases else None
        self.mutation = nn.Linear(final.in_channels, 1) if tells_mutations else None

    def _blocks(self) -> list[Block | FinalBlock]:
        blocks = (self.embedding, self.first, self.core, self.final)
        return [block for block in blocks if block is not None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self._blocks():
            x = block(x)
        return x

    def train_step(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return prediction and loss; auxiliary losses of the blocks are added. The batch is left as it is.

        A batch with `masked` (B, L) and `bases` (B, L) is one with hidden bases: the loss of telling them is added.
        """
        batch, auxiliary = dict(batch), []
        for block in self._blocks()[:-1]:
            batch["x"], loss = block.train_step(batch)
            auxiliary += [loss] if loss is not None else []
        if self.reconstruction is not None and "masked" in batch:
            logits = self.reconstruction(batch["x"].transpose(1, 2)).transpose(1, 2)
            auxiliary.append(masked_cross_entropy(logits, batch["bases"], batch["masked"]))
        prediction, loss = self.final.train_step(batch)
        return prediction, loss + sum(auxiliary)

    def mutation_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Say of every position of the input whether its base was mutated, (B, L)."""
        assert self.mutation is not None, "the network was built without tells_mutations"
        for block in self._blocks()[:-1]:
            x = block(x)
        return self.mutation(x.transpose(1, 2)).squeeze(2)

    def check(self) -> None:
        """Check every block, that neighbours fit together, and one forward pass and training step of the whole.

        The dummy's target is 10, as published. Weights, running statistics and generators stay as they are.

        Raises
        ------
        ContractError
            For the first thing that does not hold.
        """
        blocks = self._blocks()
        for block in blocks:
            block.check()
        for left, right in pairwise(blocks):
            names = f"{type(left).__name__} -> {type(right).__name__}"
            found, wanted = (left.out_channels, left.infer_outseqsize()), (right.in_channels, right.seqsize)
            _require(found == wanted, f"{names}: (channels, length) {found} are given, {wanted} expected")
        x = blocks[0].dummy
        _attempt("the network's forward", self, lambda: self(x))
        batch = {"x": x, "y": torch.full((1, self.final.n_outputs), 10.0)}
        _, loss = _attempt("the network's train_step", self, lambda: self.train_step(batch))
        _check_loss("the network's train_step", loss)


def squared_error(prediction: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the mean squared error of every output, (n_outputs,), weighted where the batch has `weight`.

    (B, n_outputs) prediction; batch of `y` and perhaps `weight`, of B * n_outputs numbers each.
    """
    y = batch["y"].reshape(prediction.shape).to(prediction.dtype)
    if "weight" not in batch:
        return torch.stack([F.mse_loss(prediction[:, k], y[:, k]) for k in range(prediction.shape[1])])
    return (batch["weight"].reshape(prediction.shape) * (prediction - y).square()).mean(dim=0)


def masked_cross_entropy(logits: torch.Tensor, codes: torch.Tensor, masked: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over masked positions: their sum / (their number + 1), so that none masked gives 0.

    (B, K, L) logits, (B, L) codes of the unmasked sequence, (B, L) bool. Source: UnlockDNA's trainer.
    """
    losses = F.cross_entropy(logits, codes.long(), reduction="none")
    return (losses * masked).sum() / (masked.sum() + 1)


def _undisturbed(module: nn.Module, action):
    """Do something with a module in evaluation mode without gradients, and put its mode back."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            return action()
    finally:
        module.train(was_training)


def _attempt(what: str, module: nn.Module, action):
    try:
        return _undisturbed(module, action)
    except ContractError:
        raise
    except Exception as error:
        raise ContractError(f"{what} fails on its dummy: {error}") from error


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ContractError(f"{what}.")


def _check_loss(what: str, loss: torch.Tensor) -> None:
    fine = torch.is_tensor(loss) and loss.ndim == 0 and bool(torch.isfinite(loss))
    _require(fine, f"{what} must give a finite scalar loss, got {loss}")
