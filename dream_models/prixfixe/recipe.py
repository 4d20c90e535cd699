"""What planning needs to know of Prix Fixe networks: their recipe and the tasks they serve. Imports no framework."""

from dataclasses import dataclass

from benchmarks.api.data import Recipe, TaskSpec

ATTENTION_WIDTH = 256
"""Published channels of DREAM-Attn."""


@dataclass(frozen=True)
class PrixFixeRecipe(Recipe):
    """Published numbers of the DREAM models on human and fly data (notebooks of the challenge repository).

    Parameters
    ----------
    stem_width
        Channels per branch of the BHI first block. The code, and every checkpoint, has 160; the paper says 256.
    n_heads
        Attention heads. The published code always has 4, whatever it is told.
    select
        Which epoch is kept: `pearson_r`, the highest mean over outputs of the validation Pearson r (the paper), or
        `loss`, the lowest mean of their MSEs (what the code does on Drosophila data).
    """

    batch_size: int = 32
    max_lr: float = 0.005
    epochs: int = 80
    weight_decay: float = 0.01
    stem_width: int = 160
    n_heads: int = 4
    select: str = "pearson_r"

    def __post_init__(self):
        if self.stem_width < 1:
            raise ValueError(f"stem_width must be at least 1, got {self.stem_width}")
        if self.select not in ("pearson_r", "loss"):
            raise ValueError(f"select must be pearson_r or loss, got {self.select!r}")
        if self.n_heads < 1 or self.width(ATTENTION_WIDTH) % self.n_heads:
            raise ValueError(f"n_heads must divide {self.width(ATTENTION_WIDTH)} channels, got {self.n_heads}")

    def width(self, published: int) -> int:
        """Scale a published channel width, kept a multiple of 8 so that groups and heads divide it."""
        if self.width_scale == 1.0:
            return published
        return max(8, 8 * round(published * self.width_scale / 8))


def n_channels(spec: TaskSpec) -> int:
    """Count input channels: four bases and the task's side channels."""
    return 4 + len(spec.side_channels)


def unsupported(spec: TaskSpec) -> str | None:
    """Say why the published heads cannot serve a task, or None."""
    if spec.head == "profile_counts":
        return "predicts numbers per sequence, not profiles"
    if spec.head == "soft_classification" and len(spec.outputs) != 1:
        return f"has a published soft classification head for one output, not {len(spec.outputs)}"
    if spec.head == "regression" and len(spec.outputs) > 2:
        return f"has published heads for one or two outputs, not {len(spec.outputs)}"
    return None
