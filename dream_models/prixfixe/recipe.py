"""What planning needs to know of Prix Fixe networks: their recipes and the tasks they serve. Imports no framework."""

from dataclasses import dataclass

from benchmarks.api.data import TaskSpec
from benchmarks.api.recipe import TorchRecipe, option

ATTENTION_WIDTH = 256
"""Published channels of DREAM-Attn."""
MAX_KMER = 6
"""Longest k-mers that have vectors: 4,096 of them."""


@dataclass(frozen=True)
class PrixFixeRecipe(TorchRecipe):
    """Published numbers of the DREAM models on human and fly data (notebooks of the challenge repository).

    Parameters
    ----------
    stem_width
        Channels per branch of the BHI first block. The code, and every checkpoint, has 160; the paper says 256, as does
        BHI's own submission.
    n_heads
        Attention heads. The published code always has 4, whatever it is told.
    select
        Which epoch is kept: `pearson_r`, the highest mean over outputs of the validation Pearson r (the paper), or
        `loss`, the lowest mean of their MSEs (what the code does on Drosophila data); `last` keeps the last epoch.
    mask_rate
        Share of the bases hidden in training, which the network must tell from what its core makes of the rest
        (UnlockDNA's idea; 0 is off). A hidden base looks like N.
    conjoined
        Post-hoc conjoined reverse complement (BHI's idea): both strands in the loss, and their average as prediction.
    mutation_rate
        Share of the bases mutated in a second look at every batch, whose mutated bases the network must tell from what
        its core makes of it (BUGF's idea, at 0.15; 0 is off).
    glove_width
        Channels of GloVe vectors that take the place of one-hot bases (NAD's idea, at 128; 0 is off).
    glove_kmer
        Bases of the k-mers that have such vectors.
    lm_layers
        Layers of a BERT, trained to tell hidden bases of the training rows before the first epoch, whose vectors take
        the place of one-hot bases (the idea of SYSU-SAIL-2022, at 3, and of the Davuluri lab; 0 is off).
    lm_width, lm_kmer
        Its channels and the bases of its k-mers, those of SYSU-SAIL-2022.
    lm_epochs, lm_rate
        Passes over the training rows before the first epoch, and their learning rate.
    lm_tuned
        Let training go on changing the BERT, as both teams did; False keeps it as it was pretrained.
    average_strands
        Where a model trains on both strands of a row, average its predictions over both (Autosome's step at test time).
    batches_per_epoch
        None: all batches. A number (1,000 in Autosome's submission): an epoch is as many, in an ongoing pass.
    """

    batch_size: int = 32
    max_lr: float = 0.005
    epochs: int = 80
    weight_decay: float = 0.01
    stem_width: int = 160
    n_heads: int = 4
    select: str = "pearson_r"
    mask_rate: float = 0.0
    conjoined: bool = False
    average_strands: bool = True
    batches_per_epoch: int | None = None
    mutation_rate: float = option(0.0)
    glove_width: int = option(0)
    glove_kmer: int = option(5)
    lm_layers: int = option(0)
    lm_width: int = option(512)
    lm_kmer: int = option(3)
    lm_epochs: int = option(5)
    lm_rate: float = option(1e-4)
    lm_tuned: bool = option(True)

    def __post_init__(self):
        super().__post_init__()
        if self.stem_width < 1:
            raise ValueError(f"stem_width must be at least 1, got {self.stem_width}")
        if self.select not in ("pearson_r", "loss", "last"):
            raise ValueError(f"select must be pearson_r, loss or last, got {self.select!r}")
        if self.n_heads < 1 or self.width(ATTENTION_WIDTH) % self.n_heads:
            raise ValueError(f"n_heads must divide {self.width(ATTENTION_WIDTH)} channels, got {self.n_heads}")
        if not 0 <= self.mask_rate < 1:
            raise ValueError(f"mask_rate must be 0 or more and less than 1, got {self.mask_rate}")
        if self.batches_per_epoch == 0:
            raise ValueError("batches_per_epoch must be at least 1, or none")
        if not 0 <= self.mutation_rate < 1:
            raise ValueError(f"mutation_rate must be 0 or more and less than 1, got {self.mutation_rate}")
        if self.glove_width and self.lm_layers:
            raise ValueError("glove_width and lm_layers both replace one-hot bases, so one of them must be 0")
        for name in ("glove_kmer", "lm_kmer"):
            if not 1 <= getattr(self, name) <= MAX_KMER:
                raise ValueError(f"{name} must be 1 to {MAX_KMER}, got {getattr(self, name)}")
        if self.lm_width < 8 or self.lm_width % 8:
            raise ValueError(f"lm_width must be a multiple of 8, for 8 heads, got {self.lm_width}")
        if self.lm_epochs < 1 or self.lm_rate <= 0:
            raise ValueError(f"lm_epochs and lm_rate must be above 0, got {self.lm_epochs} and {self.lm_rate}")

    def width(self, published: int) -> int:
        """Scale a published channel width, kept a multiple of 8 so that groups and heads divide it."""
        if self.width_scale == 1.0:
            return published
        return max(8, 8 * round(published * self.width_scale / 8))


@dataclass(frozen=True)
class CombinationRecipe(PrixFixeRecipe):
    """Any combination under Autosome's trainer, at the published numbers on yeast data.

    Parameters
    ----------
    kmer
        Bases per patch of the UnlockDNA first block; even, or the length would change.
    n_projectors
        Positions, from the left, that the UnlockDNA head reads the expression from.
    average_strands
        Off: the paper compares combinations without the teams' own steps at test time.
    """

    batch_size: int = 1024
    average_strands: bool = False
    kmer: int = 10
    n_projectors: int = 8

    def __post_init__(self):
        super().__post_init__()
        if self.kmer < 2 or self.kmer % 2:
            raise ValueError(f"kmer must be even and at least 2, so that the length is kept, got {self.kmer}")
        if self.n_projectors < 1:
            raise ValueError(f"n_projectors must be at least 1, got {self.n_projectors}")


@dataclass(frozen=True)
class BHIRecipe(CombinationRecipe):
    """Any combination under BHI's trainer. Source: report and code of their submission.

    Parameters
    ----------
    cosine_over_rows
        Let the cosine of the rate end after as many steps as there are rows x epochs, as the framework's port has it,
        so that the rate hardly falls; the submission itself counts steps.
    """

    batch_size: int = 512
    max_lr: float = 0.0015
    epochs: int = 15
    cosine_over_rows: bool = False


@dataclass(frozen=True)
class UnlockDNARecipe(CombinationRecipe):
    """Any combination under UnlockDNA's trainer. Source: report and code of their submission.

    Parameters
    ----------
    max_lr
        The published peak, width^-0.5 x warm-up^-0.5 at width 512 and 12,500 steps of warm-up.
    warmup_steps
        Steps until the rate peaks; None: 5 % of the run's, as 12,500 are of the submission's own 20 epochs.
    mask_rate
        0.05 in report and submission; 0.2 in the framework's port.
    trim_left, trim_right
        Bases cut off a yeast promoter: the two adapters (17 and 13) in the submission, 20 and 20 by default in the
        framework's port, which loses ten variable bases.
    """

    batch_size: int = 512
    max_lr: float = 512**-0.5 * 12_500**-0.5
    epochs: int = 20
    weight_decay: float = 0.0
    mask_rate: float = 0.05
    warmup_steps: int | None = None
    trim_left: int = 17
    trim_right: int = 13

    def __post_init__(self):
        super().__post_init__()
        if self.conjoined:
            raise ValueError("conjoined has nothing to turn: this processor's input holds both strands already")
        if self.glove_width or self.lm_layers:
            raise ValueError(
                "glove_width and lm_layers replace one-hot bases: this processor's input is integers of both strands"
            )
        if self.warmup_steps == 0:
            raise ValueError("warmup_steps must be at least 1, or none")


def n_channels(spec: TaskSpec) -> int:
    """Count input channels: four bases and the task's side channels."""
    return 4 + len(spec.side_channels)


def unsupported(spec: TaskSpec) -> str | None:
    """Say why the published heads of Autosome cannot serve a task, or None."""
    if spec.head == "profile_counts":
        return "predicts numbers per sequence, not profiles"
    if spec.head == "soft_classification" and len(spec.outputs) != 1:
        return f"has a published soft classification head for one output, not {len(spec.outputs)}"
    return None
