"""Weights of Keras 2 in HDF5 files: reading them, and giving them to the layers of a network."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.errors import BadInput


def read_hdf5_weights(path: Path) -> list[tuple[str, list[np.ndarray]]]:
    """Read the weights of a Keras 2 file (weights alone, or a whole model's), in its order: layer name, arrays.

    Only numbers are read: no configuration, no code, no link out of the file. Layers without weights are left out;
    those of a model within the model appear under their own names.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadInput
        If h5py is missing, or the file is not an HDF5 file in Keras 2's layout.
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
            for layer in map(_text, root.attrs["layer_names"]):
                owned: dict[str, list[np.ndarray]] = {}
                for name in map(_text, root[layer].attrs["weight_names"]):
                    owner = name.split("/")[-2] if _is_nested(root, layer) else layer
                    owned.setdefault(owner, []).append(_own_array(file, root[layer], name))
                weights += owned.items()
    except (OSError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not an HDF5 file of weights as Keras 2 writes them: {error}.") from None
    return weights


def _is_nested(root: Any, layer: str) -> bool:
    """Tell by the names of its weights whether a layer is a model of several layers."""
    names = [_text(name).split("/") for name in root[layer].attrs["weight_names"]]
    return all(len(name) > 1 and name[0] != layer for name in names) and len({name[-2] for name in names}) > 1


def _own_array(file: Any, group: Any, name: str) -> np.ndarray:
    array = group[name]
    if array.file.filename != file.filename or array.external:
        raise KeyError(f"{name} lies in another file")
    return np.asarray(array[()], dtype=np.float32)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def load_by_layer(network: keras.Model, path: Path) -> keras.Model:
    """Give a network the weights that an HDF5 file of Keras 2 has for its layers, by their names.

    A file of a combined model holds a Lambda layer and a submodel; nothing of them is executed, only arrays are read.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadInput
        If it is not such a file, lacks a layer, or has one of another shape.
    """
    arrays_of = dict(read_hdf5_weights(path))
    for layer in network.layers:
        if not layer.weights:
            continue
        if layer.name not in arrays_of:
            raise BadInput(
                f"{path} has no layer {layer.name!r}; its layers with weights are {', '.join(arrays_of)[:300]}."
            )
        shapes = [tuple(array.shape) for array in arrays_of[layer.name]]
        if shapes != [tuple(w.shape) for w in layer.weights]:
            wanted = [tuple(w.shape) for w in layer.weights]
            raise BadInput(f"{path}: layer {layer.name!r} has weights of shapes {shapes}, expected {wanted}.")
        layer.set_weights(arrays_of[layer.name])
    return network
