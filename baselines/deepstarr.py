"""DeepSTARR: four convolutions and two dense layers on 249-bp sequences, one linear head per programme.

Source: `bernardo-de-almeida/DeepSTARR`, notebook `DeepSTARR_training.ipynb` (Keras 2.2.4); batch 128, learning rate
0.002, at most 100 epochs, patience 10, the sum of both mean squared errors.
"""

from pathlib import Path

from benchmarks.api.data import TaskSpec
from benchmarks.api.recipe import Recipe
from benchmarks.errors import BadInput

NAME = "DeepSTARR"
RECIPE = Recipe(batch_size=128, max_lr=0.002, epochs=100, patience=10)

SEQ_LEN, OUTPUTS = 249, ("Dev", "Hk")
_CONVOLUTIONS = (("Conv1D_1st", 256, 7), ("Conv1D_2", 60, 3), ("Conv1D_3", 60, 5), ("Conv1D_4", 120, 3))


def unsupported(spec: TaskSpec) -> str | None:
    if spec.head != "regression":
        return f"predicts one number per output, not {spec.head}"
    if spec.seq_len < 16:
        return f"needs sequences of at least 16 bp, not {spec.seq_len}"
    return None


def network(seq_len: int = SEQ_LEN, outputs: tuple[str, ...] = OUTPUTS, width_scale: float = 1.0):
    """Return the untrained network, a plain `keras.Model`: (B, seq_len, 4) in A,C,G,T -> one (B, 1) per output.

    The first layer's activation is ReLU, which the later literature often swaps for an exponential. Flattening is
    position-major.
    """
    from benchmarks.training.keras_backend import keras

    layers = keras.layers

    def width(published: int) -> int:
        return max(1, round(published * width_scale))

    inputs = keras.Input((seq_len, 4))
    x = inputs
    for name, filters, kernel in _CONVOLUTIONS:
        x = layers.Conv1D(width(filters), kernel, padding="same", name=name)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.MaxPooling1D(2)(x)
    x = layers.Flatten()(x)
    for name in ("Dense_1", "Dense_2"):
        x = layers.Dense(width(256), name=name)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.Dropout(0.4)(x)
    heads = [layers.Dense(1, name=f"Dense_{output}")(x) for output in outputs]
    return keras.Model(inputs, heads, name="deepstarr")


def build(spec: TaskSpec, recipe: Recipe, prerequisite_dirs):
    from benchmarks.training.keras_backend import EarlyStopping, KerasModel

    names = tuple(output.capitalize() for output in spec.outputs)
    return KerasModel(network(spec.seq_len, names, recipe.width_scale), trainer=EarlyStopping(recipe))


def load_published(path: str | Path):
    """Build the published network and load its released weights (`DeepSTARR.model.h5`); nothing in it is executed.

    The module takes (B, 249, 4) float32 one-hot in A,C,G,T and returns developmental and housekeeping activity, (B, 1)
    each, log2 enrichment.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadInput
        If h5py is missing, or the file is no HDF5 file of these layers' weights, naming the first that differs.
    """
    from benchmarks.training.keras_weights import read_hdf5_weights

    model = network()
    weights = read_hdf5_weights(Path(path))
    holders = [layer for layer in model.layers if layer.weights]
    if len(holders) != len(weights):
        raise BadInput(f"{path} has {len(weights)} layers with weights, DeepSTARR has {len(holders)}.")
    for layer, (name, arrays) in zip(holders, weights, strict=True):
        generic = name.startswith("batch_normalization") and layer.name.startswith("batch_normalization")
        if name != layer.name and not generic:
            raise BadInput(f"{path}: layer {layer.name!r} was expected, got {name!r}.")
        shapes = [tuple(array.shape) for array in arrays]
        if shapes != [tuple(w.shape) for w in layer.weights]:
            raise BadInput(f"{path}: layer {name!r} has weights of shapes {shapes}, not those of DeepSTARR.")
        layer.set_weights(arrays)
    return model
