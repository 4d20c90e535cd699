"""A network's layers by first, core and final block: what the diagrams of Extended Data 9 take their numbers from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.apps.paper.figure_data import Layer

_LETTERS = {
    "Conv1d": "C", "Conv1D": "C", "PairedConv": "C", "Linear": "L", "Dense": "L", "BatchNorm1d": "B",
    "BatchNormalization": "B", "LayerNorm": "N", "LSTM": "R", "MultiheadAttention": "A", "Embedding": "E",
}  # fmt: skip
_ORDERS = {
    "CNN": "(?P<first>CC)(?P<core>(?:CBCBLLCBCB)+)(?P<final>CL?)",
    "RNN": "(?P<first>CC)(?P<core>RCC)(?P<final>CL?)",
    "Attn": "(?P<first>CB)(?P<core>(?:NLLNCCNANLL)+)(?P<final>C)(?P<positions>E)",
}
"""Kind of core -> the order of the layers with parameters, torch's or Keras's; the table lists unused modules last."""
_N_IN_STAGE = {"CNN": 10, "RNN": 3, "Attn": 11}


@dataclass(frozen=True)
class Parts:
    """The layers with parameters of a network, by block.

    Parameters
    ----------
    core_kind
        CNN, RNN or Attn.
    stages
        Layers of each stage of the core, without its position embedding.
    positions
        The position embedding of the core, or nothing.
    dropout
        Rates of the dropout layers, in the order in which they are called.
    profile_len
        Positions of a predicted profile, for networks that predict one.
    """

    core_kind: str
    first: Sequence[Layer]
    stages: Sequence[Sequence[Layer]]
    final: Sequence[Layer]
    positions: Sequence[Layer]
    dropout: Sequence[float]
    profile_len: int | None

    @property
    def core_params(self) -> int:
        """Parameters of the core block."""
        return sum(map(n_params, (*self.stages, self.positions)))


def n_params(layers: Sequence[Layer]) -> int:
    return sum(layer.n_params for layer in layers)


def weighted(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers that are more than a norm: convolutions, linear layers, LSTM, attention."""
    return [layer for layer in layers if _LETTERS[layer.kind] not in "BN"]


def read_parts(layers: Sequence[Layer]) -> Parts:
    """Recognise a network by the order of its layers and split it into its blocks.

    Raises
    ------
    ValueError
        If the order is that of no DREAM network: then the diagrams no longer show what the code does.
    """
    owners = [layer for layer in layers if layer.n_params]
    letters = "".join(_LETTERS.get(layer.kind, "?") for layer in owners)
    for kind, order in _ORDERS.items():
        if found := re.fullmatch(order, letters):
            core = owners[slice(*found.span("core"))]
            n = _N_IN_STAGE[kind]
            return Parts(
                core_kind=kind,
                first=owners[slice(*found.span("first"))],
                stages=[core[i : i + n] for i in range(0, len(core), n)],
                final=owners[slice(*found.span("final"))],
                positions=owners[found.end("final") :],
                dropout=[float(layer.numbers["rate"]) for layer in layers if layer.kind == "Dropout"],
                profile_len=next((layer.shape[0] for layer in layers if layer.kind == "Cropping1D"), None),
            )
    raise ValueError(f"the layers of a network are not in the order of a DREAM network: {letters}")
