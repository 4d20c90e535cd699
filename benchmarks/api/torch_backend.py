"""Torch models: processor + network + trainer, numpy in and numpy out.

Codes stay uint8 on the device for the whole training; one-hot, side channels and the batch are made there.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from benchmarks.api import training
from benchmarks.api.data import Dataset, Recipe
from benchmarks.api.errors import BadInput
from benchmarks.api.protocols import Checkpoints, History, OnEpoch
from benchmarks.api.sequences import one_hot_table

PREDICT_BATCH = 1024
"""Sequences per forward pass without gradients; predictions do not depend on it."""

_device = torch.device("cpu")


def configure(device: str = "auto", threads: int | None = None) -> dict[str, str]:
    """Choose device and CPU threads for this process; return what a job records of them.

    Raises
    ------
    BadInput
        If `cuda` is asked for and torch sees no CUDA device.
    """
    global _device
    if device == "cuda" and not torch.cuda.is_available():
        raise BadInput(
            "--device cuda was asked for, but torch sees no CUDA device. Check the driver with nvidia-smi and that "
            f"torch is a CUDA build (this one is {torch.__version__}), or use --device cpu."
        )
    if threads:
        torch.set_num_threads(threads)
    _device = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if _device.type == "cuda" else "cpu"
    return {"device": _device.type, "device_name": name, "framework": f"torch {torch.__version__}", "backend": "torch"}


def seed_everything(seed: int) -> None:
    """Seed the global generators that initial weights and dropout draw from."""
    torch.manual_seed(seed)


def peak_memory_mb() -> float | None:
    """Return the most CUDA memory this process has held since `reset_peak_memory`, None on the CPU."""
    return torch.cuda.max_memory_allocated() / 2**20 if _device.type == "cuda" else None


def reset_peak_memory() -> None:
    if _device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


class OneHot(nn.Module):
    """Codes to one-hot channels, with 0/1 meta columns as constant extra channels.

    (B, L) uint8 and (B, n_side) float32 -> (B, 4 + n_side, L) float32. `order` names the base channels.
    """

    def __init__(self, side_channels: tuple[str, ...] = (), order: str = "AGCT"):
        super().__init__()
        self.side_channels = side_channels
        self.n_channels = 4 + len(side_channels)
        self.register_buffer("table", torch.from_numpy(one_hot_table(order)), persistent=False)

    def forward(self, codes: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
        x = nn.functional.embedding(codes.int(), self.table).transpose(1, 2)  # (B, 4, L)
        if not self.side_channels:
            return x
        return torch.cat([x, side[:, :, None].expand(-1, -1, x.shape[2])], dim=1)


class OneCycle:
    """AdamW with the one-cycle schedule, best epoch by validation Pearson r, or by validation loss.

    Source: Prix Fixe, Autosome trainer. Start rate max/25, end rate max/250,000, 30 % rise, cosine both ways, stepped
    per batch; beta1 cycles 0.95 -> 0.85 -> 0.95 (the framework's default momentum cycling).
    """

    def __init__(self, recipe: Recipe, *, select: Literal["pearson_r", "loss"] = "pearson_r"):
        self.recipe = recipe
        self.schedule = training.Schedule(
            recipe.epochs, recipe.batch_size, select=select, drop_last=True, patience=recipe.patience
        )

    def optimiser(self, net: nn.Module, n_steps: int) -> tuple[torch.optim.Optimizer, Any]:
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

    precision = "float32"

    def __init__(
        self, net: nn.Module, *, trainer: OneCycle, loss: Callable | None = None, processor: OneHot | None = None
    ):
        self.device = _device
        self.net = net.to(self.device)
        self.processor = (processor or OneHot()).to(self.device)
        self.trainer = trainer
        self.loss = loss
        self.outputs: tuple[str, ...] = ()
        self.n_params = sum(p.numel() for p in net.parameters() if p.requires_grad)

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
        return training.fit(
            self, self.trainer.schedule, train, val, seed=seed, on_epoch=on_epoch, checkpoints=checkpoints
        )

    def prepare(self, train: Dataset, n_steps: int) -> None:
        """Put a training set on the device and make an optimiser for `n_steps` steps."""
        self.outputs = tuple(train.targets)
        self._codes, self._side = self._to_device(train)
        self._targets = torch.from_numpy(training.target_columns(train)).to(self.device)
        self.optimiser, self.lr_schedule = self.trainer.optimiser(self.net, n_steps)
        self.net.train()

    def train_batch(self, rows: torch.Tensor | np.ndarray) -> torch.Tensor:
        """Take one optimiser step on the given training rows and return the loss, still on the device."""
        rows = torch.as_tensor(rows, device=self.device)
        batch = {"x": self.processor(self._codes[rows], self._side[rows]), "y": self._targets[rows]}
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss_of(batch)
        loss.backward()
        self.optimiser.step()
        self.lr_schedule.step()
        return loss.detach()

    def loss_of(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Forward pass and loss of a batch of `x` (B, C, L) and `y` (B, n_outputs)."""
        if self.loss is None:
            return self.net.train_step(batch)[1]
        return self.loss(as_columns(self.net(batch["x"])), batch["y"])

    def train_epoch(self, batches: list[np.ndarray]) -> float:
        self.net.train()
        rows = torch.from_numpy(np.concatenate(batches)).to(self.device)
        losses = [self.train_batch(part) for part in rows.split(len(batches[0]))]
        return torch.stack(losses).double().mean().item()

    def learning_rate(self) -> float:
        return float(self.optimiser.param_groups[0]["lr"])

    def predict(self, data: Dataset) -> dict[str, np.ndarray]:
        """Predict every row; output name -> (n,) float32."""
        self.net.eval()
        codes, side = self._to_device(data)
        with torch.inference_mode():
            parts = [
                self.scores(self.processor(c, s))
                for c, s in zip(codes.split(PREDICT_BATCH), side.split(PREDICT_BATCH), strict=True)
            ]
        columns = torch.cat(parts).float().cpu().numpy()
        names = self.outputs or tuple(map(str, range(columns.shape[1])))
        return {name: columns[:, i].copy() for i, name in enumerate(names)}

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the network predicts of its input, in the units of the targets; (B, n_outputs)."""
        return as_columns(self.net(x))

    def _to_device(self, data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
        side = np.zeros((len(data), len(self.processor.side_channels)), dtype=np.float32)
        for i, name in enumerate(self.processor.side_channels):
            side[:, i] = data.meta[name]
        codes = torch.from_numpy(np.array(data.codes))  # a copy: torch wants writable memory
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
        """Write `model.pth`, a plain state dict under the published key names, and `model.json`."""
        torch.save({k: v.cpu() for k, v in self.snapshot().items()}, folder / "model.pth")
        (folder / "model.json").write_text(json.dumps({"outputs": self.outputs}))

    def load(self, folder: Path) -> None:
        self.net.load_state_dict(read_state_dict(folder / "model.pth"))
        self.outputs = tuple(json.loads((folder / "model.json").read_text())["outputs"])


def as_columns(prediction: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Turn (B,), (B, n) or a tuple of (B, 1) into (B, n)."""
    if isinstance(prediction, tuple):
        return torch.cat([as_columns(p) for p in prediction], dim=1)
    return prediction if prediction.ndim == 2 else prediction[:, None]


def read_state_dict(source: str | os.PathLike | Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Read a state dict from a file, without unpickling anything but tensors, or take one that is in memory.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file, or the mapping, holds anything but named tensors.
    """
    if isinstance(source, Mapping):
        state = dict(source)
    else:
        if not Path(source).is_file():
            raise FileNotFoundError(f"No state-dict file at {source}.")
        try:
            state = torch.load(source, map_location="cpu", weights_only=True)
        except Exception as error:
            raise ValueError(f"{source} is no file of plain tensors, as torch.save writes of a state dict.") from error
    wrong = [k for k, v in state.items() if not torch.is_tensor(v)] if isinstance(state, dict) else ["the file itself"]
    if wrong:
        raise ValueError(f"A plain state dict (name -> tensor) is expected; {wrong[0]!r} is not a tensor.")
    return state
