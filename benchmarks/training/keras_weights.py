"""Weights of Keras models: reading HDF5 files, and the table of a model's layers."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.errors import BadInput


def read_hdf5_weights(path: Path) -> list[tuple[str, list[np.ndarray]]]:
    """Read the weights of a Keras 2 file (weights alone, or a whole model's), in its order: layer name, arrays.

    Only numbers are read: no configuration, no code, no link out of the file. Layers without weights are left out;
    those of a model within the model stand under their own names.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadInput
        If h5py is missing, or the file is no HDF5 file in Keras 2's layout.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise BadInput(f"{path} is an HDF5 file; `pip install h5py` to read it.") from None
    if not path.is_file():
        raise FileNotFoundError(f"No weights file at {path}.")
    found = []
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            for layer in map(_text, root.attrs["layer_names"]):
                owned: dict[str, list[np.ndarray]] = {}
                for name in map(_text, root[layer].attrs["weight_names"]):
                    owner = name.split("/")[-2] if _is_nested(root, layer) else layer
                    owned.setdefault(owner, []).append(_own_array(file, root[layer], name))
                found += owned.items()
    except (OSError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no HDF5 file of weights as Keras 2 writes them: {error}.") from None
    return found


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


def layer_table(network: keras.Model) -> list[dict[str, Any]]:
    """List the layers of a network in order: `path`, `kind`, `detail`, `shape` that leaves it (without B), `n_params`.

    Parameters are those that are trained, so that they add up as in torch.
    """
    rows = []
    for layer in network.layers:
        kind, detail = type(layer).__name__, ""
        if kind == "InputLayer":
            continue
        came_in = layer.input.shape if not isinstance(layer.input, list) else ()
        if kind == "Activation":
            kind = layer.activation.__name__
        elif hasattr(layer, "kernel_size"):
            size = layer.kernel_size if isinstance(layer.kernel_size, int) else layer.kernel_size[0]
            detail = f"{size}, {came_in[-1]} → {layer.output.shape[-1]}"
            dilation = getattr(layer, "dilation_rate", (1,))[0]
            detail += f", dilation {dilation}" if dilation > 1 else ""
        elif kind == "Dense":
            detail = f"{came_in[-1]} → {layer.units}"
        elif kind == "Bidirectional":
            kind, detail = "LSTM", f"{came_in[-1]} → {layer.forward_layer.units} × 2 directions"
        n_params = sum(int(np.prod(w.shape)) for w in layer.trainable_weights)
        shape = tuple(layer.output.shape[1:])
        rows.append({"path": layer.name, "kind": kind, "detail": detail, "shape": shape, "n_params": n_params})
    return rows
