"""Published checkpoints: from a state dict to the network it belongs to.

Source: the challenge repository and its archive `prixfixe_model_weights.tar.gz`, whose folders are named by the code of
a combination (`0_1_0_0/model_best.pth`). The modules carry the published key names, so nothing is renamed; what a
checkpoint is, is inferred from its keys and shapes.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.api.data import TaskSpec
from dream_models.prixfixe.combinations import Combination

if TYPE_CHECKING:
    import torch

SPECS = {
    "yeast": TaskSpec(
        150, ("expression",), "soft_classification", side_channels=("is_reverse", "is_singleton"),
        training_channels=("is_singleton",), reverse_copies=True,
    ),
    "human": TaskSpec(230, ("expression",), side_channels=("is_reverse",)),
    "drosophila": TaskSpec(249, ("dev", "hk"), side_channels=("is_reverse",)),
}  # fmt: skip
FILE_NAME = "model_best.pth"
_CODE = re.compile(r"[0-2](_[0-2]){3}")
_STEM, _POSITIONS = "first.conv_list.0.conv.weight", "core.pos_embedding.weight"
_FIRST = {"bhi": _STEM, "autosome": "first.block.0.weight", "unlockdna": "first.kmer_dense.weight"}
_CORE = {
    "autosome": "core.seqextractor.inv_res_blc0.0.weight",
    "bhi": "core.lstm.weight_ih_l0",
    "unlockdna": _POSITIONS,
}
_FINAL = {
    "final.bins": ("autosome", "yeast"),
    "final.linear.0.weight": ("autosome", "human"),
    "final.mapper1.weight": ("autosome", "drosophila"),
    "final.main.0.weight": ("bhi", "yeast"),
    "final.expression_dense.weight": ("unlockdna", "yeast"),
}
_TITLES = {"0_1_0_0": "DREAM-CNN", "0_1_1_0": "DREAM-RNN", "0_0_2_0": "DREAM-Attn"}


@dataclass(frozen=True)
class Checkpoint:
    """A published state dict, and what its keys say it is: combination, task variant, and what builds its network."""

    combination: Combination
    variant: str
    spec: TaskSpec
    recipe: Any
    state: Mapping[str, "torch.Tensor"]

    @property
    def title(self) -> str:
        name = _TITLES.get(self.combination.code, f"Prix Fixe {self.combination.code}")
        return f"{name} ({self.variant})"


def load_published(source: "str | os.PathLike | Mapping[str, torch.Tensor]") -> "torch.nn.Module":
    """Build the network that a published state dict belongs to and load it strictly.

    The module is in eval mode. DREAM models take (B, C, seq_len) float32 with channels
    A,G,C,T[,is_reverse[,is_singleton]] and return (B,) expected bins for yeast, (B, 1) for human MPRA, and two of
    (B, 1) (developmental, housekeeping) for Drosophila; other combinations take and return what their processor and
    head do.

    Parameters
    ----------
    source
        Path of a file that `torch.save` wrote, read as plain tensors only; a folder of the published archive
        (`0_1_0_0`), which holds `model_best.pth`; or the state dict itself.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file; if the keys or shapes are not those of a published network, naming the first that
        differs.
    """
    from dream_models.prixfixe import combine

    found = read(source)
    net = combine.network(found.combination, found.spec, found.recipe)
    return loaded(net, found).eval()


def load_model(found: Checkpoint) -> Any:
    """Build the model (processor, network, trainer) that a checkpoint belongs to; it predicts Datasets.

    Predictions of yeast networks under Autosome's processor are averages over both strands.
    """
    from dream_models.prixfixe import combine

    model = combine.model(found.combination, found.spec, replace(found.recipe, average_strands=True))
    loaded(model.net, found)
    model.outputs = found.spec.outputs
    return model


def loaded(net: "torch.nn.Module", found: Checkpoint) -> "torch.nn.Module":
    """Load a state dict strictly, saying which entry differs if one does."""
    from benchmarks.training.torch_layers import load_state

    load_state(net, found.state, what=f"published {found.title}")
    return net


def read(source: "str | os.PathLike | Mapping[str, torch.Tensor]") -> Checkpoint:
    """Read a state dict and tell what it is; see `load_published`."""
    from benchmarks.training.torch_layers import read_state_dict

    source, code = _resolved(source)
    state = read_state_dict(source)
    if wrong := [key for key, values in state.items() if not values.isfinite().all()]:
        raise ValueError(f"{wrong[0]!r} has weights that are not finite numbers (NaN or infinite).")
    combination, variant = identify(state)
    if code and code != combination.code:
        raise ValueError(f"{source} lies in a folder named {code}, but its state dict is that of {combination.code}.")
    spec, recipe = SPECS[variant], combination.recipe()
    if combination.first == "bhi":
        recipe = replace(recipe, stem_width=_size(state, _STEM, 0, 3))
    if combination.first == "unlockdna":
        channels = {"autosome": 4 + len(spec.side_channels), "bhi": 4, "unlockdna": 6}[combination.processor]
        kmer, rest = divmod(_size(state, _FIRST["unlockdna"], 1, 2), channels)
        if rest or kmer % 2 or not kmer:
            raise ValueError(f"{_FIRST['unlockdna']!r} has an input that no even number of {channels} channels makes.")
        recipe = replace(recipe, kmer=kmer)
    if combination.core == "unlockdna" and combination.processor == "autosome":
        spec = replace(spec, seq_len=_size(state, _POSITIONS, 0, 2))
    return Checkpoint(combination, variant, spec, recipe, state)


def _resolved(source: Any) -> tuple[Any, str | None]:
    """Return the file of a path, and the code of the combination that its folder is named by, if it is."""
    if isinstance(source, Mapping):
        return source, None
    path = Path(source)
    if path.is_dir():
        if not (path / FILE_NAME).is_file():
            inside = sorted(folder.name for folder in path.iterdir() if _CODE.fullmatch(folder.name))
            hint = f" It has {len(inside)} folders that may, e.g. {path / inside[0]}." if inside else ""
            raise FileNotFoundError(f"The folder {path} has no {FILE_NAME}.{hint}")
        path = path / FILE_NAME
    code = path.resolve().parent.name
    return path, code if _CODE.fullmatch(code) else None


def _size(state: Mapping, key: str, axis: int, n_axes: int) -> int:
    if state[key].ndim != n_axes or 0 in state[key].shape:
        raise ValueError(
            f"Not a published network: {key!r} has shape {tuple(state[key].shape)}, expected {n_axes} axes, none of "
            "them empty."
        )
    return state[key].shape[axis]


def identify(state: Mapping[str, "torch.Tensor"]) -> tuple[Combination, str]:
    """Return combination and task variant of a state dict, from its key names.

    The processor is inferred from the input channels: it has no weights of its own.
    """
    first = next((team for team, key in _FIRST.items() if key in state), None)
    core = next((team for team, key in _CORE.items() if key in state), None)
    final, variant = next((found for key, found in _FINAL.items() if key in state), (None, None))
    if first is None or core is None or final is None:
        missing = "first and core blocks" if final else "final block"
        raise ValueError(
            f"The {missing} of this state dict ({len(state)} entries, e.g. {next(iter(state), 'none')!r}) are those of "
            "no DREAM model and no Prix Fixe combination; expected the published key names."
        )
    return Combination(_processor(state, first, final, variant), first, core, final), variant


def _processor(state: Mapping, first: str, final: str, variant: str) -> str:
    if final == "unlockdna":
        return "unlockdna"  # whose trainer alone takes that head
    if variant != "yeast":
        return "autosome"
    if first == "unlockdna":
        positions = _size(state, "first.pos_embedding.weight", 0, 2)
        return "bhi" if positions == 110 else "autosome"
    key = _FIRST[first]
    return "bhi" if state[key].ndim == 3 and state[key].shape[1] == 4 else "autosome"
