"""Torch models: processor + network + trainer, numpy in and numpy out.

Rows stay on the device for the whole training, as bytes: encoded once where they fit, else as codes; batches are made
there.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict, cast

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from benchmarks.api.data import Dataset
from benchmarks.api.model import Checkpoints, History, Model, OnEpoch
from benchmarks.api.recipe import Recipe, TorchRecipe
from benchmarks.errors import BadInput
from benchmarks.io import validated
from benchmarks.training import loop
from benchmarks.training.torch_input import OneHot, bin_probs
from benchmarks.training.torch_layers import load_state, read_state_dict

__all__ = ["OneCycle", "OneHot", "TorchModel", "as_columns", "bin_probs", "configure", "seed_everything"]

MOST_ENCODED_BYTES = 2**30
"""Largest training set that is kept on the device encoded, a byte for every base and channel."""
_BLOCK = 512
"""Rows that are encoded, or taken from those that are, at a time: as many as a CPU's cache holds."""


def configure(device: str = "auto", threads: int | None = None) -> dict[str, str]:
    """Set the CPU threads of this process and find the device; return what a job records of them.

    `device` of the record, `cpu` or `cuda`, is where `place` puts a model.

    Raises
    ------
    BadInput
        If `cuda` is asked for and torch sees no CUDA device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise BadInput(
            "--device cuda was asked for, but torch sees no CUDA device. Check the driver with nvidia-smi and that "
            f"torch is a CUDA build (this one is {torch.__version__}), or use --device cpu."
        )
    if threads:
        torch.set_num_threads(threads)
    kind = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if kind == "cuda" else "cpu"
    return {"device": kind, "device_name": name, "framework": f"torch {torch.__version__}", "backend": "torch"}


def place(model: Model, device: str) -> None:
    """Put a model that was just built on a device, `cpu` or `cuda`; one that is no `TorchModel` stays as it is."""
    if isinstance(model, TorchModel):
        model.to(device)


def seed_everything(seed: int) -> None:
    """Seed the global generators that initial weights and dropout draw from."""
    torch.manual_seed(seed)


def peak_memory_mb() -> float | None:
    """Return the most CUDA memory this process has held since `reset_peak_memory`; None if it uses the CPU alone."""
    return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_initialized() else None


def reset_peak_memory() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


OUT_OF_MEMORY: tuple[type[BaseException], ...] = (torch.OutOfMemoryError, MemoryError)


def synchronise() -> None:
    """Wait until the device has done what was asked of it."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def limit_memory(gib: float) -> None:
    """Let this process have no more of the GPU's memory."""
    total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory / 2**30
    torch.cuda.set_per_process_memory_fraction(min(1.0, gib / total))


class Trainer(Protocol):
    """How a torch network is trained: recipe, schedule of epochs, optimiser."""

    recipe: Any
    schedule: loop.Schedule

    def optimiser(self, net: nn.Module, n_steps: int) -> tuple[torch.optim.Optimizer, LRScheduler]:
        """Return optimiser and schedule of the learning rate, both to be stepped once per batch."""
        ...


class _OwnLoss(Protocol):
    """A network that brings its loss."""

    def train_step(self, batch: dict[str, torch.Tensor]) -> tuple[Any, torch.Tensor]: ...


class OneCycle:
    """AdamW with the one-cycle schedule, best epoch by validation Pearson r, or by validation loss.

    Source: `de-Boer-Lab/random-promoter-dream-challenge-2022`, prixfixe/autosome/trainer.py. Start rate max/25, end
    rate max/250,000, 30 % rise, cosine both ways, stepped per batch; beta1 cycles 0.95 -> 0.85 -> 0.95 (the framework's
    default momentum cycling).
    """

    def __init__(self, recipe: Recipe, *, select: Literal["pearson_r", "loss"] = "pearson_r") -> None:
        self.recipe = recipe
        self.schedule = loop.Schedule(
            recipe.epochs, recipe.batch_size, select=select, drop_last=True, patience=recipe.patience
        )

    def optimiser(self, net: nn.Module, n_steps: int) -> tuple[torch.optim.Optimizer, LRScheduler]:
        adamw = torch.optim.AdamW(
            net.parameters(), lr=self.recipe.max_lr / 25, weight_decay=self.recipe.weight_decay, fused=True
        )
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            adamw,
            max_lr=self.recipe.max_lr,
            total_steps=max(n_steps, 2),
            pct_start=0.3,
            anneal_strategy="cos",
            div_factor=25.0,
            final_div_factor=1e4,
            three_phase=False,
        )
        return adamw, cycle


class TorchModel:
    """A network that trains on a Dataset and predicts one.

    Parameters
    ----------
    net
        Takes what the processor makes; returns (B,), (B, n_outputs) or a tuple of (B, 1).
    trainer
        Optimiser, schedule, stopping and selection; see `OneCycle`.
    loss
        (prediction (B, n_outputs), target (B, n_outputs)) -> scalar. None: the network has its own
        `train_step({"x", "y"}) -> (prediction, loss)`, as Prix Fixe networks have.
    processor
        Codes and side channels -> network input; see `OneHot`.
    """

    n_copies = 1
    """Rows shown in training for every row of the training set; 2: both strands."""
    averages_strands = False
    """Whether a prediction is the average over both strands."""
    loss_on_both_strands = False
    """Whether a training step computes both strands of its rows."""
    weighs_targets = False
    """Whether the loss heeds `weight` (B, n_outputs) of a batch, there where targets are weighted or missing."""
    gives_bins = False
    """Whether the network learns probabilities of expression bins, see `bin_probs`."""
    device = torch.device("cpu")
    predict_batch_size: int | None = None
    """Sequences per forward pass without gradients; predictions do not depend on it. None: 1,024 on a GPU, 64 on a CPU,
    whose caches larger batches leave: at 1,024 the convolutional networks predict half as many per second."""

    def __init__(
        self, net: nn.Module, *, trainer: Trainer, loss: Callable | None = None, processor: OneHot | None = None
    ) -> None:
        self.net = net
        self.processor = processor or OneHot()
        self.trainer = trainer
        self.precision = trainer.recipe.precision if isinstance(trainer.recipe, TorchRecipe) else "float32"
        self.loss = loss
        self.outputs: tuple[str, ...] = ()
        self.n_params = sum(p.numel() for p in net.parameters() if p.requires_grad)

    def to(self, device: str) -> None:
        """Move network and processor to a device, before a training is prepared."""
        self.device = torch.device(device)
        self.net.to(self.device)
        self.processor.to(self.device)

    def fit(
        self,
        train: Dataset,
        val: Dataset,
        *,
        seed: int,
        on_epoch: OnEpoch | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> History:
        seed_everything(seed)
        return loop.fit(self, self.trainer.schedule, train, val, seed=seed, on_epoch=on_epoch, checkpoints=checkpoints)

    def prepare(self, train: Dataset, n_steps: int) -> None:
        """Put a training set on the device and make an optimiser for `n_steps` steps.

        Raises
        ------
        BadInput
            If targets are weighted or missing, and the loss does not heed that.
        """
        self.outputs = tuple(train.targets)
        weights = loop.target_weights(train)
        if weights is not None and not self.weighs_targets:
            raise BadInput(
                "Rows of this data have weights, or lack values of single outputs, which the loss of this model does "
                "not heed. Set weights: none, and one output per data set; or let the model's unsupported(spec) "
                "decline spec.weighted."
            )
        self._weights = None if weights is None else torch.from_numpy(weights).to(self.device).repeat(self.n_copies, 1)
        self._codes, self._side = self._to_device(train)
        targets = torch.from_numpy(loop.target_columns(train)).to(self.device)
        self.processor.learn(targets)
        self._targets = targets.repeat(self.n_copies, 1)
        self._encoded = self._encode_once()
        self.optimiser, self.lr_schedule = self.trainer.optimiser(self.net, n_steps)
        self.net.train()

    def train_batch(self, rows: torch.Tensor | np.ndarray) -> torch.Tensor:
        """Take one optimiser step on the given training rows and return the loss, still on the device."""
        return self._step(self.batch(torch.as_tensor(rows, device=self.device)))

    def _step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.optimiser.zero_grad(set_to_none=True)
        with self.autocast():
            loss = self.loss_of(batch)
        loss.backward()
        self.optimiser.step()
        self.lr_schedule.step()
        return loss.detach()

    def autocast(self) -> torch.autocast:
        """Compute in the precision of the recipe."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def batch(self, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """Make `x` (B, C, L) and `y` (B, n_outputs) of the given training rows, and their `weight` if they differ."""
        if self._encoded is None:
            x = self.inputs(rows)
        else:
            encoded, dtype = self._encoded
            x = encoded.index_select(0, rows).to(dtype)
        batch = {"x": x, "y": self._targets.index_select(0, rows)}
        return batch if self._weights is None else batch | {"weight": self._weights.index_select(0, rows)}

    def batches(self, batches: Sequence[np.ndarray]) -> Iterator[dict[str, torch.Tensor]]:
        """Make one batch after the other; what a batch costs beside its rows is paid once for a block of them."""
        n = max(1, _BLOCK // max(map(len, batches), default=1))
        for first in range(0, len(batches), n):
            several = batches[first : first + n]
            sizes = list(map(len, several))
            block = self.batch(torch.from_numpy(np.concatenate(several)).to(self.device))
            for tensors in zip(*(whole.split(sizes) for whole in block.values()), strict=True):
                yield dict(zip(block, tensors, strict=True))

    def inputs(self, rows: torch.Tensor) -> torch.Tensor:
        """Encode the given training rows: what the network sees of them, (B, C, L).

        A model of several `n_copies` overrides this: rows n to 2 n - 1 are the second copies.
        """
        return self.processor(self._codes.index_select(0, rows), self._side.index_select(0, rows))

    def _encode_once(self) -> tuple[torch.Tensor, torch.dtype] | None:
        """Encode all training rows as bytes, which one-hot and 0/1 channels are; with the type that they are read as.

        None where they would need more than MOST_ENCODED_BYTES, hold what a byte does not, or are drawn by chance.
        """
        rows = torch.arange(len(self._targets), device=self.device)
        x = self.inputs(rows[:_BLOCK])
        if x.numel() * len(rows) > MOST_ENCODED_BYTES * len(x) or not torch.equal(x, self.inputs(rows[:_BLOCK])):
            return None
        encoded = torch.empty(len(rows), *x.shape[1:], dtype=torch.uint8, device=self.device)
        for block, stored in zip(rows.split(_BLOCK), encoded.split(_BLOCK), strict=True):
            x = self.inputs(block)
            stored.copy_(x)
            if not torch.equal(stored.to(x.dtype), x):
                return None
        return encoded, x.dtype

    def loss_of(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Forward pass and loss of a batch of `x` (B, C, L) and `y` (B, n_outputs)."""
        if self.loss is None:
            return cast(_OwnLoss, self.net).train_step(batch)[1]
        return self.loss(as_columns(self.net(batch["x"])), self.processor.scaled(batch["y"]))

    def begin_epoch(self, epoch: int) -> None:
        pass

    def train_batches(self, batches: list[np.ndarray]) -> np.ndarray:
        self.net.train()
        losses = list(map(self._step, self.batches(batches)))
        return torch.stack(losses).double().cpu().numpy()

    def rows_per_epoch(self, train: Dataset) -> int:
        return self.n_copies * len(train)

    def validate(self, val: Dataset) -> dict[str, float]:
        return loop.validate_numbers(self, val)

    def learning_rate(self) -> float:
        return float(self.optimiser.param_groups[0]["lr"])

    @property
    def train_view_differs(self) -> bool:
        return self.n_copies > 1 or bool(self.processor.training_channels)

    def predict(self, data: Dataset) -> dict[str, np.ndarray]:
        """Predict every row; output name -> (n,) float32. Channels known in training alone are 0."""
        unknown = dict.fromkeys(self.processor.training_channels, 0)
        return self._predicted(dataclasses.replace(data, meta=data.meta.assign(**unknown)), self.scores)

    def predict_train_view(self, data: Dataset) -> dict[str, np.ndarray]:
        """Predict rows as training shows them; output name -> (n_copies * n,) float32."""
        return self._predicted(data, self.scores)

    def _predicted(self, data: Dataset, scores: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, np.ndarray]:
        self.net.eval()
        codes, side = self._to_device(data)
        size = self.predict_batch_size or (1024 if self.device.type == "cuda" else 64)
        with torch.inference_mode(), self.autocast():
            parts = [scores(self.processor(c, s)) for c, s in zip(codes.split(size), side.split(size), strict=True)]
        columns = torch.cat(parts).float().cpu().numpy()
        names = self.outputs or tuple(map(str, range(columns.shape[1])))
        return {name: columns[:, i].copy() for i, name in enumerate(names)}

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the network predicts of its input, in the units of the targets; (B, n_outputs)."""
        return self.processor.unscaled(as_columns(self.net(x)))

    def _to_device(self, data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
        data = self.processor.rows(data)
        side = np.zeros((len(data), len(self.processor.side_channels)), dtype=np.float32)
        for i, name in enumerate(self.processor.side_channels):
            side[:, i] = data.meta[name]
        codes = torch.from_numpy(np.require(data.codes, requirements=["C", "W"]))  # copied only where it has to be
        return codes.to(self.device), torch.from_numpy(side).to(self.device)

    def snapshot(self) -> dict[str, torch.Tensor]:
        return {name: value.detach().clone() for name, value in self.net.state_dict().items()}

    def restore(self, snapshot: dict[str, torch.Tensor]) -> None:
        self.net.load_state_dict(snapshot)

    def stamp(self) -> dict[str, Any]:
        return {"backend": f"torch {torch.__version__}", "device": self.device.type, "precision": self.precision}

    def save_state(self, folder: Path, best: dict[str, torch.Tensor] | None) -> None:
        """Write weights, optimiser, schedule, generators and the best weights as `state.pth`: tensors and numbers."""
        cuda = self.device.type == "cuda"
        state = {
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.lr_schedule.state_dict(),
            "generator": torch.get_rng_state(),
            "cuda_generator": torch.cuda.get_rng_state(self.device) if cuda else None,
            "best": best,
        }
        torch.save(state, folder / "state.pth")

    def load_state(self, folder: Path) -> dict[str, torch.Tensor] | None:
        """Take back what `save_state` wrote, after `prepare`; return the best weights."""
        state = torch.load(folder / "state.pth", map_location="cpu", weights_only=True)
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.lr_schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["generator"])
        if state["cuda_generator"] is not None:
            torch.cuda.set_rng_state(state["cuda_generator"], self.device)
        return state["best"]

    def save(self, folder: Path) -> None:
        """Write `model.pth`, a plain state dict under the published key names, and `model.json`: outputs and units."""
        torch.save({k: v.cpu() for k, v in self.snapshot().items()}, folder / "model.pth")
        targets = {"shift": self.processor.shift.tolist(), "scale": self.processor.scale.tolist()}
        (folder / "model.json").write_text(json.dumps({"outputs": self.outputs, "targets": targets}))

    def load(self, folder: Path) -> None:
        """Take back what `save` wrote.

        Raises
        ------
        BadInput
            If it is damaged, or of another network.
        """
        saved = validated.read_json(folder / "model.json", _Saved, recovery_hint=validated.TRAIN_AGAIN)
        shift, scale = saved.targets["shift"], saved.targets["scale"]
        if len(shift) != len(scale) or len(shift) not in (1, len(saved.outputs)):  # 1: the same for all outputs
            raise BadInput(
                f"{folder / 'model.json'}: expected a shift and a scale for each of {len(saved.outputs)} outputs, got "
                f"{len(shift)} and {len(scale)}; {validated.TRAIN_AGAIN}."
            )
        try:
            load_state(self.net, read_state_dict(folder / "model.pth"), what="network of this run")
        except (ValueError, FileNotFoundError) as error:
            raise BadInput(f"{folder / 'model.pth'}: {validated.one_line(error)}; {validated.TRAIN_AGAIN}.") from None
        self.outputs = tuple(saved.outputs)
        self.processor.set_targets(torch.tensor(shift), torch.tensor(scale))


@dataclasses.dataclass(frozen=True)
class _Saved:
    """model.json."""

    outputs: list[str]
    targets: "_Units"


class _Units(TypedDict):
    shift: list[float]
    scale: list[float]


def as_columns(prediction: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Turn (B,), (B, n) or a tuple of (B, 1) into (B, n)."""
    if isinstance(prediction, tuple):
        return torch.cat([as_columns(p) for p in prediction], dim=1)
    return prediction if prediction.ndim == 2 else prediction[:, None]
