"""What a team's processor and trainer must offer, and the model that a network makes with them.

A processor decides what a network sees of a row and in which units it learns; a trainer decides optimiser, schedule and
loss, and what it reads from the head. Both are a team's, and always go together.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.model import History
from benchmarks.training import loop
from benchmarks.training.torch_backend import OneHot, TorchModel, as_columns, bin_probs
from dream_models.prixfixe.base import Batch, ContractError, PrixFixeNet, Reconstruction
from dream_models.prixfixe.embeddings import N_BASES, mutated
from dream_models.prixfixe.recipe import PrixFixeRecipe


class Processor(OneHot):
    """One-hot bases and side channels, targets as they are. Teams override what they do otherwise.

    `n_channels` and `seqsize` are the shape of what a first block gets. A processor that `makes_reverse_copies` adds
    the other strand of every training row, where the task's measurements are of both.
    """

    makes_reverse_copies = False

    def __init__(
        self,
        spec: TaskSpec,
        side_channels: tuple[str, ...] = (),
        seqsize: int | None = None,
        *,
        standardise: bool = False,
    ):
        super().__init__(side_channels, standardise=standardise)
        self.spec = spec
        self.training_channels = tuple(name for name in spec.training_channels if name in side_channels)
        self.seqsize = seqsize or spec.seq_len

    def kept(self, train: Dataset) -> Dataset:
        """Return the training rows that this team trains on."""
        return train

    def rows(self, data: Dataset, *, drawn: bool = False) -> Dataset:
        """Return the rows as this team crops and pads them, once, in main memory; cropped rows stay as they are.

        What is random is drawn (from the global generator) for training only; a prediction depends on its own sequence
        alone.
        """
        return data

    def flipped(self, x: torch.Tensor) -> torch.Tensor:
        """Return the other strand of (B, C, L): bases reverse-complemented, `is_reverse` inverted."""
        parts = [x[:, :N_BASES].flip(1, 2)]
        for i, name in enumerate(self.side_channels, start=N_BASES):
            side = x[:, i : i + 1].flip(2)
            parts.append(1 - side if name == "is_reverse" else side)
        return torch.cat(parts, dim=1)

    def mutated(self, x: torch.Tensor, rate: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Mutate a share of the known bases of an input; return it, and which bases they are, (B, L)."""
        bases, side = x[:, :N_BASES], x[:, N_BASES:]
        where = (torch.rand(bases[:, 0].shape, device=x.device) < rate) & (bases.sum(dim=1) > 0)
        return torch.cat([mutated(bases, where), side], dim=1), where


class Trainer:
    """Best epoch by validation Pearson r. Teams bring `optimiser` and override what they do otherwise."""

    needs_base_logits = False
    drop_last = False
    uses_both_strands = False
    n_rows = 0
    """Training rows, known once a training set is prepared."""

    def __init__(self, recipe: PrixFixeRecipe):
        self.recipe = recipe
        self.schedule = loop.Schedule(
            recipe.epochs,
            recipe.batch_size,
            select=recipe.select,
            drop_last=self.drop_last,
            patience=recipe.patience,
            batches_per_epoch=recipe.batches_per_epoch,
        )

    def optimiser(self, net: nn.Module, n_steps: int) -> tuple[torch.optim.Optimizer, Any]:
        """Return optimiser and schedule, to be stepped once per batch."""
        raise NotImplementedError(f"{type(self).__name__} must define optimiser")

    def loss(self, net: PrixFixeNet, batch: Batch) -> torch.Tensor:
        """Return the loss of a batch of network input `x` and scaled targets `y`."""
        return net.train_step(batch)[1]

    def expression(self, output: Any) -> torch.Tensor:
        """Return the predictions (B, n_outputs) in what a network gives.

        Raises
        ------
        ContractError
            If the network gives base logits beside the expression, or lacks those that this trainer needs.
        """
        if isinstance(output, Reconstruction) == self.needs_base_logits:
            return as_columns(output.expression if self.needs_base_logits else output)
        if self.needs_base_logits:
            raise ContractError("The trainer needs base logits for its masked-base loss; the head gives none.")
        raise ContractError("The trainer expects the expression alone; the head gives base logits beside it.")


class PrixFixeModel(TorchModel):
    """A Prix Fixe network with a team's processor and trainer, and the ideas of teams that serve any core.

    These are `recipe.mask_rate`, `conjoined`, `mutation_rate`, `glove_width` and `lm_layers`; see `PrixFixeRecipe`. A
    trainer that has one of them as its own does not get it twice; nor does a conjoined model get reverse copies, which
    its loss holds already.
    """

    _stop_asked: Callable[[], str | None] = staticmethod(lambda: None)

    def __init__(self, net: PrixFixeNet, *, processor: Processor, trainer: Trainer, recipe: PrixFixeRecipe):
        super().__init__(net, trainer=trainer, processor=processor)
        self.conjoined = recipe.conjoined
        self.gives_bins, self.weighs_targets = net.final.gives_bins, net.final.weighs_targets
        self.loss_on_both_strands = recipe.conjoined or trainer.uses_both_strands
        copies = processor.makes_reverse_copies and processor.spec.reverse_copies and not recipe.conjoined
        self.n_copies = 2 if copies else 1
        self.averages_strands = recipe.conjoined or (copies and recipe.average_strands)
        self._objective: Callable[[PrixFixeNet, Batch], torch.Tensor] = trainer.loss
        if net.reconstruction is not None:
            self._objective = hiding_bases(self._objective, recipe.mask_rate)
        if net.mutation is not None:
            self._objective = telling_mutations(self._objective, processor, recipe.mutation_rate)
        if recipe.conjoined and not trainer.uses_both_strands:
            self._objective = on_both_strands(self._objective, processor)

    def fit(self, train: Dataset, val: Dataset, **keywords: Any) -> History:
        if checkpoints := keywords.get("checkpoints"):
            self._stop_asked = checkpoints.stop_asked
        return super().fit(self.processor.kept(train), self.processor.rows(val), **keywords)

    def prepare(self, train: Dataset, n_steps: int) -> None:
        self.trainer.n_rows = len(train)
        super().prepare(self.processor.rows(train, drawn=True), n_steps)

    def begin_epoch(self, epoch: int) -> None:
        """Learn the vectors of bases, before the first epoch; a resumed training finds them learnt."""
        embedding = self.net.embedding
        if embedding is not None and not embedding.is_learned:
            both = self.n_copies > 1 or self.loss_on_both_strands
            embedding.learn(self._strands, (1 + both) * len(self._codes), self._end_if_asked)

    def _end_if_asked(self) -> None:
        if why := self._stop_asked():
            raise loop.Interrupted(f"Asked to stop ({why}); the vectors of bases are learnt anew next time.")

    def inputs(self, rows: torch.Tensor) -> torch.Tensor:
        """Encode training rows; the second half of the rows is the other strand of the first."""
        return self._strands(rows) if self.n_copies > 1 else super().inputs(rows)

    def _strands(self, rows: torch.Tensor) -> torch.Tensor:
        """Encode training rows 0 to n - 1, and as n to 2 n - 1 their other strands."""
        n = len(self._codes)
        x = super().inputs(rows % n)
        return torch.where((rows >= n)[:, None, None], self.processor.flipped(x), x)

    def loss_of(self, batch: Batch) -> torch.Tensor:
        """Forward pass and loss of a batch of `x` and unscaled `y` (B, n_outputs)."""
        return self._objective(self.net, self._with_targets(batch))

    def _with_targets(self, batch: Batch) -> Batch:
        if self.gives_bins:
            batch = {"y_probs": bin_probs(batch["y"][:, 0])} | batch
        return batch | {"y": self.processor.scaled(batch["y"])}

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        y = self._of_one_strand(x)
        return (y + self._of_one_strand(self.processor.flipped(x))) / 2 if self.averages_strands else y

    def _of_one_strand(self, x: torch.Tensor) -> torch.Tensor:
        y = self.trainer.expression(self.net(x))
        return y if self.gives_bins else self.processor.unscaled(y)

    def predict_train_view(self, data: Dataset) -> dict[str, np.ndarray]:
        if self.n_copies == 1:
            return super().predict_train_view(data)
        strands = (self._of_one_strand, lambda x: self._of_one_strand(self.processor.flipped(x)))
        copies = [self._predicted(data, scores) for scores in strands]
        return {name: np.concatenate([copy[name] for copy in copies]) for name in copies[0]}


def on_both_strands(loss: Callable, processor: Processor) -> Callable:
    """Return the mean of a loss on a batch and on its other strand, with the same targets."""

    def conjoined(net: PrixFixeNet, batch: Batch) -> torch.Tensor:
        return (loss(net, batch) + loss(net, batch | {"x": processor.flipped(batch["x"])})) / 2

    return conjoined


def telling_mutations(loss: Callable, processor: Processor, rate: float) -> Callable:
    """Return a loss with that of telling the mutated bases of the same batch, at random places; (B, L) each.

    The expression is learnt from the batch as it is. Source: `dream_submissions/BUGF/code/pytorch_xla_train.py` of the
    challenge repository: the mean over all positions of the binary cross-entropy, added with weight 1.
    """

    def telling(net: PrixFixeNet, batch: Batch) -> torch.Tensor:
        x, where = processor.mutated(batch["x"], rate)
        told = nn.functional.binary_cross_entropy_with_logits(net.mutation_logits(x), where.to(torch.float32))
        return loss(net, batch) + told

    return telling


def hiding_bases(loss: Callable, rate: float) -> Callable:
    """Return a loss that hides a share of the bases of a one-hot batch and hands the network what it must find.

    N is never hidden. A network with a reconstruction layer adds its own masked cross-entropy.
    """

    def hiding(net: PrixFixeNet, batch: Batch) -> torch.Tensor:
        bases, side = batch["x"][:, :N_BASES], batch["x"][:, N_BASES:]
        masked = (torch.rand(bases[:, 0].shape, device=bases.device) < rate) & (bases.sum(dim=1) > 0)
        x = torch.cat([bases * ~masked[:, None], side], dim=1)
        return loss(net, batch | {"x": x, "bases": bases.argmax(dim=1), "masked": masked})

    return hiding
