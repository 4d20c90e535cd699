"""The transformer of Vaishnav et al. 2022, the challenge's reference model: strand-aware convolutions, attention, LSTM.

Source: `1edv/evolution`, `manuscript_code/model/tpu_model/` and the parameters of its published models. The challenge
retrained it on its own data and does not say with which of the two published settings: this is that of the published
models; `vaishnav_notebook` is that of the training notebook. Differs from the source: torch instead of TensorFlow 1,
whose RMSProp adds epsilon elsewhere; the best epoch by r instead of r², which is the same unless r is negative; the
penalties are on the kernels of convolutions and dense layers, which the source does not name.
"""

from dataclasses import dataclass

from benchmarks.api.data import TaskSpec
from benchmarks.api.recipe import TorchRecipe

NAME = "Vaishnav et al. transformer"
FRAMEWORK = "torch"


@dataclass(frozen=True)
class VaishnavRecipe(TorchRecipe):
    """Numbers of the published models.

    Parameters
    ----------
    conv_hidden, n_hidden
        Channels of the convolutions after the first, and of the attention; units of the two dense layers.
    n_aux_layers
        Convolutions before the attention.
    n_heads
        Attention heads; also the hidden width of the feed-forward layers, as in the source.
    dropout, attention_dropout
        Before and inside the dense part and on the input of the LSTM; after the feed-forward layers.
    l1, l2
        Penalties on kernels.
    """

    batch_size: int = 1024
    max_lr: float = 0.001
    epochs: int = 100
    patience: int | None = 10
    conv_hidden: int = 64
    n_hidden: int = 64
    n_aux_layers: int = 1
    n_heads: int = 8
    dropout: float = 0.05
    attention_dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.n_heads < 1 or self.width(self.conv_hidden) % self.n_heads:
            raise ValueError(f"n_heads must divide {self.width(self.conv_hidden)} channels, got {self.n_heads}")
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be 0 or more and less than 1, got {getattr(self, name)}")

    def width(self, published: int) -> int:
        """Scale a published width, kept a multiple of 8."""
        return published if self.width_scale == 1.0 else max(8, 8 * round(published * self.width_scale / 8))


RECIPE = VaishnavRecipe()


def unsupported(spec: TaskSpec) -> str | None:
    if spec.head == "profile_counts":
        return "predicts numbers per sequence, not profiles"
    if len(spec.outputs) != 1:
        return f"predicts one output, not {len(spec.outputs)}"
    return "has a loss published without weights of rows" if spec.weighted else None


def unread(spec: TaskSpec | None = None, recipe: VaishnavRecipe | None = None) -> set[str]:
    return {"weight_decay"}  # the source decays no weights; `l1` and `l2` are its penalties


def network(seq_len: int = 110, recipe: VaishnavRecipe = RECIPE):
    """Return the untrained network: (B, 4, seq_len) in A,C,G,T -> (B, 1)."""
    from baselines.vaishnav_net import VaishnavNet

    return VaishnavNet(seq_len, recipe)


def build(spec: TaskSpec, recipe: VaishnavRecipe, prerequisite_dirs):
    from baselines import vaishnav_net

    return vaishnav_net.model(spec, recipe)
