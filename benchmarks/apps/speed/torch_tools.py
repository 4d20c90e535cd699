"""Measuring torch: what a device can do at best, what a network asks of it, and the notebook loop of the notebooks."""

import copy
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.api.data import Dataset
from benchmarks.api.sequences import BASES, decode
from benchmarks.apps.speed import notebook_encoding
from benchmarks.training import torch_backend


def peak_rates(device: str, precision: str, *, repeats: int = 7) -> dict[str, float]:
    """Measure the best that the device does: `flops_per_s` of a matrix product in this precision, `bytes_per_s` copied.

    A copy reads and writes every byte; both count. Of products of several sizes the fastest counts. On a GPU they are
    computed in TF32 where convolutions are: otherwise networks would seem to outrun them.
    """
    # A network in bfloat16 has layers in float32 too, whose products are the faster ones on some CPUs.
    kinds = {torch.float32, torch.bfloat16 if precision == "bfloat16" else torch.float32}
    product = max(_product_rate(size, kind, device, repeats) for size in _PRODUCTS[device == "cuda"] for kind in kinds)
    source = torch.empty(2**28 if device == "cuda" else 2**26, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copied = min(_seconds(lambda: target.copy_(source)) for _ in range(repeats + 1))
    return {"flops_per_s": product, "bytes_per_s": 2 * source.numel() / copied}


_PRODUCTS = {False: (512, 1024, 2048), True: (2048, 4096, 8192)}
"""Sizes of the matrix products on a CPU and on a GPU: which is fastest depends on caches."""


def _product_rate(size: int, kind: torch.dtype, device: str, repeats: int) -> float:
    a, b = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    try:
        return 2 * size**3 / min(_seconds(lambda: a @ b) for _ in range(repeats + 1))
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _seconds(action: Any) -> float:
    torch_backend.synchronise()
    start = time.perf_counter()
    action()
    torch_backend.synchronise()
    return time.perf_counter() - start


def flops_per_sequence(model: torch_backend.TorchModel, data: Dataset) -> float:
    """Count the floating-point operations of predicting one sequence, a multiplication and an addition as two.

    Convolutions, matrix products, attention and LSTMs count; what works element by element does not.
    """
    return (2 if model.averages_strands else 1) * _flops_of_pass(model, data)


def training_flops_per_sequence(model: torch_backend.TorchModel, data: Dataset) -> float:
    """Count the floating-point operations of training on one row: a pass, and twice that to go back.

    A first layer needs only once that, so that a few per cent are too many.
    """
    return 3 * (2 if model.loss_on_both_strands else 1) * _flops_of_pass(model, data)


def _flops_of_pass(model: torch_backend.TorchModel, data: Dataset) -> float:
    two = data.take(np.arange(2))  # batch norm needs more than one row in training mode
    codes, side = model._to_device(two)
    net = copy.deepcopy(model.net).train()  # in training mode no fused layer hides its products
    lstm = 0

    def counted(module: nn.LSTM, inputs: tuple) -> None:
        nonlocal lstm
        b, length = inputs[0].shape[:2] if module.batch_first else inputs[0].shape[1::-1]
        directions = 2 if module.bidirectional else 1
        for layer in range(module.num_layers):
            wide = module.input_size if layer == 0 else directions * module.hidden_size
            lstm += b * length * directions * 8 * module.hidden_size * (wide + module.hidden_size)

    for module in net.modules():
        if isinstance(module, nn.LSTM):
            module.register_forward_pre_hook(counted)
            module.forward = _silent_lstm(module)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(model.processor(codes, side))
    return (counter.get_total_flops() + lstm) / 2


def _silent_lstm(module: nn.LSTM) -> Any:
    """Give an LSTM's output shape without computing: what the counter sees of its products depends on the device."""
    width = module.hidden_size * (2 if module.bidirectional else 1)
    return lambda x, *_: (x.new_zeros(*x.shape[:2], width), (None, None))


class NotebookRows(TorchDataset):
    """Rows as the published notebooks serve them: text, encoded base by base whenever a batch asks for it.

    A row is its input (C, L) and its targets (n_outputs,) or, where a network learns bins, their probabilities (18,).
    Source: `prixfixe/autosome/dataset.py` and the human and fly notebooks of the challenge repository. Their loaders
    have four processes; so have these beside a GPU, while on a CPU they would take the cores of the network.
    """

    def __init__(self, model: torch_backend.TorchModel, data: Dataset):
        self.n_workers = 4 if model.device.type == "cuda" else 0
        data = model.processor.rows(data)
        self.texts = decode(np.asarray(data.codes))
        self.side = [data.meta[name].to_numpy(np.float32) for name in model.processor.side_channels]
        targets = list(data.targets.values()) or [np.zeros(len(data))]  # what is predicted has none
        self.targets = np.stack(targets, axis=1).astype(np.float32)
        self.in_bins = model.gives_bins and bool(data.targets)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, ...]:
        x = torch.from_numpy(notebook_encoding.one_hot(self.texts[i], [float(side[i]) for side in self.side]))
        y = self.targets[i]
        if self.in_bins:
            return x, torch.from_numpy(y), torch.from_numpy(notebook_encoding.bin_probs(float(y[0])))
        return x, torch.from_numpy(y)


def has_notebook_loop(model: Any) -> bool:
    """Tell whether a network sees nothing of a sequence but one-hot rows, and is asked once for a prediction."""
    return (
        isinstance(model, torch_backend.TorchModel)
        and type(model).predict is torch_backend.TorchModel.predict
        and type(model.processor).forward is torch_backend.OneHot.forward
        and len(model.processor.table) == len(BASES)
    )


def notebook_training(
    model: torch_backend.TorchModel, data: Dataset, batch_size: int, n_steps: int
) -> Callable[[int], list[float]]:
    """Prepare to train as the published notebooks do: eager, float32, rows from a DataLoader.

    Network, loss, optimiser and schedule are the model's own, so that only the way of training differs. Of the copies
    that a model makes of every row, the first is trained on.

    Returns
    -------
    A function that takes the next n steps, of `n_steps` in all, and gives their losses.
    """
    model.prepare(data, n_steps)
    steps = _notebook_steps(model, NotebookRows(model, data), batch_size)
    return lambda n: list(itertools.islice(steps, n))


def _notebook_steps(model: torch_backend.TorchModel, rows: NotebookRows, batch_size: int) -> Iterator[float]:
    while True:
        for row in notebook_batches(rows, batch_size, shuffle=True, drop_last=True):
            batch = {name: part.to(model.device) for name, part in zip(("x", "y", "y_probs"), row, strict=False)}
            model.optimiser.zero_grad(set_to_none=True)
            loss = model.loss_of(batch)
            loss.backward()
            model.optimiser.step()
            model.lr_schedule.step()
            yield loss.item()


def notebook_predictions(model: torch_backend.TorchModel, rows: NotebookRows, batch_size: int) -> np.ndarray:
    """Predict as the published notebooks do: eager, float32, a DataLoader of single rows; (n, n_outputs)."""
    model.net.eval()
    with torch.no_grad():
        batches = notebook_batches(rows, batch_size)
        return np.concatenate([model.scores(x.to(model.device)).cpu().numpy() for x, *_ in batches])


def notebook_batches(rows: NotebookRows, batch_size: int, **how: bool) -> DataLoader:
    """Serve (B, C, L), (B, n_outputs) and what else a row has; in the order of the rows unless `how` says otherwise."""
    return DataLoader(rows, batch_size, num_workers=rows.n_workers, **how)
