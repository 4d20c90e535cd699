"""Weights of Keras 2 in HDF5 files: reading them, and giving them to the layers of a network."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.api.data import TaskSpec
from benchmarks.api.profiles import OUTPUTS, profile_len, unfit_for_bpnet
from benchmarks.errors import BadInput
from benchmarks.training.keras_layers import bpnet

_PUBLISHED = TaskSpec(seq_len=2114, outputs=OUTPUTS, head="profile_counts", profile_len=1000)
"""What official files of BPNets are trained on."""


def read_hdf5_weights(path: Path) -> list[tuple[str, list[np.ndarray]]]:
    """Read the weights of a Keras 2 file (weights alone, or a whole model's), in its order: layer name, arrays.

    Only numbers are read: no configuration, no code, no link out of the file. Layers without weights are left out;
    those of a model within the model appear under their own names.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadInput
        If h5py is missing, if the file is not an HDF5 file in Keras 2's layout, or has a weight that is not a finite
        number, naming its layer.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise BadInput(f"{path} is an HDF5 file; `pip install h5py` to read it.") from None
    if not path.is_file():
        raise FileNotFoundError(f"No weights file at {path}.")
    weights: list[tuple[str, list[np.ndarray]]] = []
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            names = [_text(name) for name in root.attrs["layer_names"]]
            if unnamed := [name for name in root if name not in {*names, *_NOT_LAYERS} and len(root[name])]:
                raise KeyError(f"{unnamed[0]!r} is not among its layer_names")
            for layer in names:
                owned: dict[str, list[np.ndarray]] = {}
                for name in map(_text, root[layer].attrs["weight_names"]):
                    owner = name.split("/")[-2] if _is_nested(root, layer) else layer
                    owned.setdefault(owner, []).append(_own_array(file, root[layer], name))
                weights += owned.items()
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise BadInput(f"{path} is not an HDF5 file of weights as Keras 2 writes them: {error}.") from None
    for layer, arrays in weights:
        for array in arrays:
            if n := int((~np.isfinite(array)).sum()):
                raise BadInput(
                    f"{path}: layer {layer!r} has {n:,} of {array.size:,} weights that are not finite numbers (NaN or "
                    "infinite); take a file of a training that did not diverge, or download it again."
                )
    return weights


_NOT_LAYERS = ("top_level_model_weights", "optimizer_weights")


def _is_nested(root: Any, layer: str) -> bool:
    """Tell by the names of its weights whether a layer is a model of several layers."""
    names = [_text(name).split("/") for name in root[layer].attrs["weight_names"]]
    return all(len(name) > 1 and name[0] != layer for name in names) and len({name[-2] for name in names}) > 1


def _own_array(file: Any, group: Any, name: str) -> np.ndarray:
    array = group[name]
    if array.file.filename != file.filename or array.external:
        raise KeyError(f"{name} lies in another file")
    with np.errstate(over="ignore"):  # too large for float32: infinite, which is refused
        return np.asarray(array[()], dtype=np.float32)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def load_by_layer(network: keras.Model, path: Path, *, others: Collection[str] = ()) -> keras.Model:
    """Give a network the weights that an HDF5 file of Keras 2 has for its layers, by their names.

    A file of a combined model holds a Lambda layer and a submodel; nothing of them is executed, only arrays are read.

    Parameters
    ----------
    others
        Beginnings of names of layers that belong to another network in the same file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadInput
        If it is not such a file, lacks a layer, has one of another shape, or one that the network has no place for.
    """
    weights = read_hdf5_weights(path)
    names = [name for name, _ in weights]
    arrays_of = dict(weights)
    holders = {layer.name: layer for layer in network.layers if layer.weights}
    for name, layer in holders.items():
        if name not in arrays_of:
            raise BadInput(f"{path} has no layer {name!r}; its layers with weights are {', '.join(arrays_of)[:300]}.")
        if names.count(name) > 1:
            raise BadInput(f"{path} has {names.count(name)} layers named {name!r}; which of them is meant is unknown.")
        shapes = [tuple(array.shape) for array in arrays_of[name]]
        if shapes != [tuple(w.shape) for w in layer.weights]:
            wanted = [tuple(w.shape) for w in layer.weights]
            raise BadInput(f"{path}: layer {name!r} has weights of shapes {shapes}, expected {wanted}.")
    if unused := [name for name in names if name not in holders and not name.startswith(tuple(others))]:
        raise BadInput(
            f"{path}: layer {unused[0]!r} has no place in this network of {len(holders)} layers with weights "
            f"({', '.join(holders)[:300]}); the file is of another network."
        )
    for name, layer in holders.items():
        layer.set_weights(arrays_of[name])
    return network


def load_bpnet(path: Path, *, prefix: str = "", others: Collection[str] = ()) -> keras.Model:
    """Build a BPNet of the published windows, of the size that its file of weights has, and load them.

    Parameters
    ----------
    prefix
        What the names of its layers begin with.
    others
        See `load_by_layer`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadInput
        If it has no such network, or one that windows of 2,114 bp are too short for.
    """
    filters, n_dilated = bpnet_size(path, prefix=prefix)
    if (why := unfit_for_bpnet(_PUBLISHED, n_dilated)) is not None:
        raise BadInput(f"{path} has {n_dilated} dilated layers; such a network {why}.")
    network = bpnet(filters, n_dilated, _PUBLISHED.seq_len, profile_len(_PUBLISHED), prefix=prefix)
    return load_by_layer(network, path, others=others)


def bpnet_size(path: Path, *, prefix: str = "") -> tuple[int, int]:
    """Tell the filters and the number of dilated layers of a BPNet from the names and shapes in its file of weights.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadInput
        If its first layer or one of the dilated ones is missing.
    """
    arrays_of = dict(read_hdf5_weights(path))
    first = f"{prefix}bpnet_1st_conv"
    if first not in arrays_of:
        raise BadInput(f"{path} has no layer {first!r}; its layers with weights are {', '.join(arrays_of)[:300]}.")
    shape = arrays_of[first][0].shape
    if len(shape) != 3:
        raise BadInput(f"{path}: layer {first!r} has weights of shape {shape}, expected (21, 4, filters).")
    pattern = re.compile(rf"{re.escape(prefix)}bpnet_(\d+)conv")
    numbers = sorted(int(found[1]) for name in arrays_of if (found := pattern.fullmatch(name)))
    if numbers != list(range(1, len(numbers) + 1)):
        lacks = next(i for i in range(1, len(numbers) + 2) if i not in numbers)
        raise BadInput(f"{path} has no layer '{prefix}bpnet_{lacks}conv', though dilated layers of other numbers.")
    return shape[2], len(numbers)
