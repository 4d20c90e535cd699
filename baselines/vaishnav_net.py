"""Network, input and training of `vaishnav`. Source: `1edv/evolution`, `manuscript_code/model/tpu_model/`."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.api import yeast_plasmid
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.training import loop
from benchmarks.training.torch_backend import OneHot, TorchModel

KERNEL, FIRST_CHANNELS, LSTM_UNITS = 30, 256, 8
NORM_EPSILON = 1e-14
BATCH_NORM = {"eps": 1e-3, "momentum": 0.01}
"""Keras's defaults; its momentum of 0.99 is 0.01 here."""
ROW_LEN = 110
"""What the network sees of a yeast promoter: both adapters and 80 bases."""
NOT_THERE = 4
"""Code of a position before a short row, the same as that of N: all four channels are set."""


def convolution(in_channels: int, out_channels: int) -> nn.Conv1d:
    return nn.Conv1d(in_channels, out_channels, KERNEL, bias=False)


def padded(x: torch.Tensor) -> torch.Tensor:
    """Add zeros so that a kernel of even width keeps the length: one more on the right, as "same" has it."""
    return F.pad(x, (KERNEL // 2 - 1, KERNEL // 2))


class StrandConv(nn.Module):
    """One set of kernels read on both strands: (B, 4, L) -> (B, 2 * 256, L), forward half first."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = convolution(4, channels)
        self.norms = nn.ModuleList(nn.BatchNorm1d(channels, **BATCH_NORM) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel = self.conv.weight
        strands = (kernel, kernel.flip(1, 2))  # channels A,C,G,T in reverse order are those of the complements
        x = padded(x)
        return torch.cat([F.relu(norm(F.conv1d(x, w))) for norm, w in zip(self.norms, strands, strict=True)], dim=1)


class ConvNormRelu(nn.Module):
    """Convolution, batch norm, ReLU. On the strands' halves it is the source's 2 x 30 convolution over both."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = convolution(in_channels, out_channels)
        self.norm = nn.BatchNorm1d(out_channels, **BATCH_NORM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.norm(self.conv(padded(x))))


class AttentionBlock(nn.Module):
    """Self-attention with ReLU after each of its four projections, and a narrow feed-forward part: (B, L, C)."""

    def __init__(self, channels: int, n_heads: int, dropout: float):
        super().__init__()
        self.n_heads, self.dropout = n_heads, dropout
        self.query, self.key, self.value, self.out = (nn.Linear(channels, channels) for _ in range(4))
        self.norm1, self.norm2 = (nn.LayerNorm(channels, eps=NORM_EPSILON) for _ in range(2))
        self.wide, self.narrow = nn.Linear(channels, n_heads), nn.Linear(n_heads, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (self._heads(F.relu(layer(x))) for layer in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.norm1(x + F.relu(self.out(attended)))
        y = F.dropout(self.narrow(F.relu(self.wide(x))), self.dropout, self.training)
        return self.norm2(x + y)

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (self.n_heads, -1)).transpose(1, 2)  # (B, heads, L, C / heads)


class VaishnavNet(nn.Module):
    """(B, 4, L) in A,C,G,T -> (B, 1). Dense layers read the LSTM's output position by position."""

    def __init__(self, seq_len: int, recipe: Any):
        super().__init__()
        channels, hidden = recipe.width(recipe.conv_hidden), recipe.width(recipe.n_hidden)
        first = recipe.width(FIRST_CHANNELS)
        self.dropout = recipe.dropout
        self.strands = StrandConv(first)
        self.mix = ConvNormRelu(2 * first, channels)
        self.aux = nn.ModuleList(ConvNormRelu(channels, channels) for _ in range(recipe.n_aux_layers))
        self.attention = nn.ModuleList(
            AttentionBlock(channels, recipe.n_heads, recipe.attention_dropout) for _ in range(2)
        )
        self.lstm = nn.LSTM(channels, LSTM_UNITS, batch_first=True, bidirectional=True)
        self.dense = nn.ModuleList([nn.Linear(2 * LSTM_UNITS * seq_len, hidden), nn.Linear(hidden, hidden)])
        self.last = nn.Linear(hidden, 1)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.xavier_uniform_(module.weight)
            elif isinstance(module, nn.Linear):
                dense = module is self.last or module in self.dense
                (nn.init.kaiming_normal_ if dense else nn.init.xavier_normal_)(module.weight)
                nn.init.zeros_(module.bias)
        for name, weight in self.lstm.named_parameters():
            if "bias" in name:
                nn.init.zeros_(weight)
                # Keras has one bias per gate where torch has two: the second stays at zero and does not learn.
                weight.requires_grad_("bias_ih" in name)
                if "bias_ih" in name:
                    weight.data[LSTM_UNITS : 2 * LSTM_UNITS] = 1.0  # the forget gate starts open
            elif "weight_hh" in name:
                for gate in weight.data.split(LSTM_UNITS):
                    nn.init.orthogonal_(gate)
            else:
                nn.init.xavier_uniform_(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.mix(self.strands(x))
        for layer in self.aux:
            x = layer(x)
        x = x.transpose(1, 2)  # (B, L, C)
        for block in self.attention:
            x = block(x)
        x = F.dropout1d(x.transpose(1, 2), self.dropout, self.training).transpose(1, 2)  # one mask for all positions
        x = F.dropout(self.lstm(x)[0], self.dropout, self.training).flatten(1)
        for layer in self.dense:
            x = F.dropout(F.relu(layer(x)), self.dropout, self.training)
        return self.last(x)

    def kernels(self) -> list[torch.Tensor]:
        """Return the weights that penalties are put on."""
        return [m.weight for m in self.modules() if isinstance(m, nn.Conv1d)] + [
            layer.weight for layer in (*self.dense, self.last)
        ]


class Rows(OneHot):
    """Yeast promoters as the source crops them: the last 110 bases of the row, without what the plasmid has before it.

    Positions before a shorter row, and N, have all four channels set: the source's own padding does that. Sequences of
    other tasks are taken whole.
    """

    def __init__(self, spec: TaskSpec):
        super().__init__(order="ACGT", standardise=True)
        self.in_plasmid = yeast_plasmid.in_plasmid(spec)
        self.seq_len = ROW_LEN if self.in_plasmid else spec.seq_len
        self.table[NOT_THERE] = 1.0

    def rows(self, data: Dataset) -> Dataset:
        if not self.in_plasmid or data.codes.shape[1] == ROW_LEN:
            return data
        missing = ROW_LEN - np.minimum(yeast_plasmid.row_lengths(data.codes), ROW_LEN)
        before = np.arange(ROW_LEN) < missing[:, None]
        return dataclasses.replace(data, codes=np.where(before, np.uint8(NOT_THERE), data.codes[:, -ROW_LEN:]))


class Trainer:
    """RMSProp at a constant rate with Keras's numbers, early stopping, the best epoch by validation r."""

    def __init__(self, recipe: Any):
        self.recipe = recipe
        self.schedule = loop.Schedule(
            recipe.epochs, recipe.batch_size, select="pearson_r", drop_last=False, patience=recipe.patience
        )

    def optimiser(self, net: nn.Module, n_steps: int) -> tuple[torch.optim.Optimizer, Any]:
        learning = [weight for weight in net.parameters() if weight.requires_grad]
        rmsprop = torch.optim.RMSprop(learning, lr=self.recipe.max_lr, alpha=0.9, eps=1e-7)
        return rmsprop, torch.optim.lr_scheduler.ConstantLR(rmsprop, factor=1.0, total_iters=0)


def model(spec: TaskSpec, recipe: Any) -> TorchModel:
    """Return the untrained model of a task with one output."""
    processor = Rows(spec)
    net = VaishnavNet(processor.seq_len, recipe)

    def loss(y_pred: torch.Tensor, y_true: torch.Tensor) -> torch.Tensor:
        error = F.mse_loss(y_pred, y_true)
        for factor, norm in ((recipe.l1, torch.abs), (recipe.l2, torch.square)):
            if factor:
                error = error + factor * sum(norm(kernel).sum() for kernel in net.kernels())
        return error

    return TorchModel(net, trainer=Trainer(recipe), loss=loss, processor=processor)
