"""Published checkpoints: from a state dict to the network it belongs to.

Source: the challenge repository and its archive `prixfixe_model_weights.tar.gz`. The modules carry the published key
names, so nothing is renamed; what a checkpoint is, is read off its keys and shapes.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.api.data import TaskSpec

if TYPE_CHECKING:
    import torch

SPECS = {
    "yeast": TaskSpec(
        150,
        ("expression",),
        "soft_classification",
        side_channels=("is_reverse", "is_singleton"),
        training_channels=("is_singleton",),
        reverse_copies=True,
    ),
    "human": TaskSpec(230, ("expression",), side_channels=("is_reverse",)),
    "drosophila": TaskSpec(249, ("dev", "hk"), side_channels=("is_reverse",)),
}
_STEM = "first.conv_list.0.conv.weight"
_MODEL_KEYS = {
    "dream_cnn": (_STEM, "core.seqextractor.inv_res_blc0.0.weight"),
    "dream_rnn": (_STEM, "core.lstm.weight_ih_l0"),
    "dream_attn": ("first.block.0.weight", "core.pos_embedding.weight"),
}
_VARIANT_KEYS = {"yeast": "final.bins", "human": "final.linear.0.weight", "drosophila": "final.mapper1.weight"}


def load_published(source: "str | os.PathLike | Mapping[str, torch.Tensor]") -> "torch.nn.Module":
    """Build the DREAM network that a published state dict belongs to and load it strictly.

    The module is in eval mode, takes (B, C, seq_len) float32 with channels A,G,C,T[,is_reverse[,is_singleton]] and
    returns (B,) expected bins for yeast, (B, 1) for human MPRA, and two of (B, 1) (developmental, housekeeping) for
    Drosophila.

    Parameters
    ----------
    source
        Path of a file that `torch.save` wrote, read as plain tensors only, or the state dict itself.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file; if the keys or shapes are those of no DREAM model, naming the first that differs.
    """
    from benchmarks.api.torch_backend import read_state_dict
    from dream_models import dream_attn, dream_cnn, dream_rnn

    state = read_state_dict(source)
    models = {"dream_cnn": dream_cnn, "dream_rnn": dream_rnn, "dream_attn": dream_attn}
    model, variant = identify(state)
    spec, recipe = SPECS[variant], models[model].RECIPE
    size_key, n_axes = ("core.pos_embedding.weight", 2) if model == "dream_attn" else (_STEM, 3)
    if state[size_key].ndim != n_axes or 0 in state[size_key].shape:
        raise ValueError(
            f"Not the published {models[model].NAME} ({variant}): {size_key!r} has shape "
            f"{tuple(state[size_key].shape)}, expected {n_axes} axes, none of them empty."
        )
    if model == "dream_attn":
        spec = replace(spec, seq_len=state[size_key].shape[0])
    else:
        recipe = replace(recipe, stem_width=state[size_key].shape[0])
    net = models[model].network(spec, recipe)
    _check_shapes(net.state_dict(), state, f"{models[model].NAME} ({variant})")
    net.load_state_dict(state, strict=True)
    return net.eval()


def identify(state: Mapping[str, "torch.Tensor"]) -> tuple[str, str]:
    """Return model and task variant of a state dict, from its key names."""
    model = next((name for name, keys in _MODEL_KEYS.items() if all(k in state for k in keys)), None)
    variant = next((name for name, key in _VARIANT_KEYS.items() if key in state), None)
    if model is None or variant is None:
        missing = "first and core blocks" if model is None else "final block"
        raise ValueError(
            f"The {missing} of this state dict ({len(state)} entries, e.g. {next(iter(state), 'none')!r}) are those of "
            "no DREAM model; expected the published key names of DREAM-CNN, DREAM-RNN or DREAM-Attn."
        )
    return model, variant


def _check_shapes(expected: Mapping, state: Mapping, what: str) -> None:
    for key in [*expected, *state]:
        if key not in state:
            raise ValueError(f"Not a complete {what} state dict: {key!r} is missing.")
        if key not in expected:
            raise ValueError(f"Not a {what} state dict: it has {key!r}, which that network lacks.")
        if expected[key].shape != state[key].shape:
            raise ValueError(
                f"Not the published {what}: {key!r} has shape {tuple(state[key].shape)}, "
                f"expected {tuple(expected[key].shape)}."
            )
