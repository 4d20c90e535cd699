"""Layers and state dictionaries of torch modules."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn


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
            raise ValueError(
                f"{source} is not a file of plain tensors, as torch.save writes of a state dict."
            ) from error
    wrong = [k for k, v in state.items() if not _is_plain(v)] if isinstance(state, dict) else ["the file itself"]
    if wrong:
        raise ValueError(f"A plain state dict (name -> tensor) is expected; {wrong[0]!r} is not a tensor of numbers.")
    return state


def _is_plain(value: Any) -> bool:
    """Tell whether a value is a dense tensor of real numbers that are there."""
    return torch.is_tensor(value) and value.layout == torch.strided and not (value.is_complex() or value.is_meta)


def load_state(net: nn.Module, state: Mapping[str, torch.Tensor], *, what: str) -> None:
    """Load a state dict strictly.

    Raises
    ------
    ValueError
        Naming the first entry that is missing, is not the network's, or has another shape.
    """
    expected = net.state_dict()
    for key in [*expected, *state]:
        if key not in state:
            raise ValueError(f"Not a complete state dict of the {what}: {key!r} is missing.")
        if key not in expected:
            raise ValueError(f"Not a state dict of the {what}: it has {key!r}, which that network lacks.")
        if expected[key].shape != state[key].shape:
            raise ValueError(
                f"Not the {what}: {key!r} has shape {tuple(state[key].shape)}, expected {tuple(expected[key].shape)}."
            )
    net.load_state_dict(state, strict=True)


_NUMBERS: dict[str, Callable[[Any], dict[str, float]]] = {
    "Conv1d": lambda m: {
        "kernel": m.kernel_size[0], "n_in": m.in_channels, "n_out": m.out_channels, "groups": m.groups
    },
    "Linear": lambda m: {"n_in": m.in_features, "n_out": m.out_features},
    "LSTM": lambda m: {"n_in": m.input_size, "n_out": m.hidden_size, "directions": 1 + m.bidirectional},
    "MultiheadAttention": lambda m: {"n_in": m.embed_dim, "n_out": m.embed_dim, "heads": m.num_heads},
    "Embedding": lambda m: {"n_in": m.num_embeddings, "n_out": m.embedding_dim},
    "Dropout": lambda m: {"rate": m.p},
}  # fmt: skip
"""Kind of layer -> its sizes by name."""


def layer_table(net: nn.Module, example: torch.Tensor) -> list[dict[str, Any]]:
    """List the layers of a network in the order in which they are called, read off one pass of `example` (B, C, L).

    Returns
    -------
    A row per layer: `path`, `kind`, `numbers` (kernel, n_in, n_out …, as it has them), `shape` that leaves it (without
    B; (L, C) inside recurrent and attention layers), `n_params` of its own. A layer called several times stands where
    it was first, and parameters that no layer's call uses stand at the end: the sum is the network's.
    """
    rows: dict[str, dict[str, Any]] = {}
    names = [name for name, module in net.named_modules() if _is_layer(module) and not _inside_layer(net, name)]
    handles = []
    for name in names:

        def note(module: nn.Module, _: Any, out: Any, name: str = name) -> None:
            first = out[0] if isinstance(out, tuple) else out
            rows.setdefault(name, _layer_row(name, module, tuple(first.shape[1:])))

        handles.append(net.get_submodule(name).register_forward_hook(note))
    was_training = net.training
    net.eval()
    try:
        with torch.no_grad():
            net(example)
    finally:
        net.train(was_training)
        for handle in handles:
            handle.remove()
    uncalled = [name for name in names if name not in rows]
    found = list(rows.values()) + [_layer_row(name, net.get_submodule(name), ()) for name in uncalled]
    found = [row for row in found if row["shape"] or row["n_params"]]
    loose = sum(p.numel() for p in net.parameters()) - sum(row["n_params"] for row in found)
    if loose:
        found.append({"path": "", "kind": "parameters", "numbers": {}, "shape": (), "n_params": loose})
    return found


def _is_layer(module: nn.Module) -> bool:
    return not list(module.children()) or isinstance(module, nn.MultiheadAttention)


def _inside_layer(net: nn.Module, name: str) -> bool:
    parents = name.split(".")[:-1]
    return any(_is_layer(net.get_submodule(".".join(parents[:i]))) for i in range(1, len(parents) + 1))


def _layer_row(name: str, module: nn.Module, shape: tuple[int, ...]) -> dict[str, Any]:
    kind = type(module).__name__
    numbers = _NUMBERS[kind](module) if kind in _NUMBERS else {}
    n_params = sum(p.numel() for p in module.parameters())
    return {"path": name, "kind": kind, "numbers": numbers, "shape": shape, "n_params": n_params}
