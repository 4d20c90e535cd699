"""From a combination of teams to a network, a model, and a trial of both.

Widths are those of the organisers' own runs (`dream/.ipynb_checkpoints/combinations_1_attn-checkpoint.py` of the
challenge repository): first blocks of 256 (Autosome), 320 (BHI, two branches of `stem_width`) and 512 channels
(UnlockDNA); cores of 64, 320 and, in UnlockDNA's case, as many channels as its input has. The same script builds
patches of 10 with stride 1. It gives UnlockDNA's head 32 positions and 6 letters, and its schedule a width of 256; here
the framework's 8 positions and 5 letters are kept, as in the released code, and the submission's schedule.
"""

from types import ModuleType

import numpy as np
import pandas as pd
import torch

from benchmarks.api.data import Dataset, TaskSpec
from dream_models.prixfixe import autosome, bhi, unlockdna
from dream_models.prixfixe.base import PrixFixeNet
from dream_models.prixfixe.combinations import Combination
from dream_models.prixfixe.embeddings import N_BASES, embedding
from dream_models.prixfixe.model import PrixFixeModel, Processor
from dream_models.prixfixe.recipe import PrixFixeRecipe

MODULES: dict[str, ModuleType] = {"autosome": autosome, "bhi": bhi, "unlockdna": unlockdna}


def network(
    combination: Combination, spec: TaskSpec, recipe: PrixFixeRecipe, generator: torch.Generator | None = None
) -> PrixFixeNet:
    """Return the untrained network of a combination, for what its processor makes of a task's sequences."""
    processor = MODULES[combination.processor].processor(spec, recipe)
    return _network(combination, processor, recipe, generator)


def _network(
    combination: Combination, processor: Processor, recipe: PrixFixeRecipe, generator: torch.Generator | None = None
) -> PrixFixeNet:
    vectors = embedding(processor.n_channels, processor.seqsize, recipe)
    n_channels = vectors.out_channels if vectors else processor.n_channels
    first = MODULES[combination.first].first(n_channels, processor.seqsize, recipe)
    core = MODULES[combination.core].core(first.out_channels, first.infer_outseqsize(), recipe)
    final = MODULES[combination.final].final(core.out_channels, core.infer_outseqsize(), processor.spec, recipe)
    hides = recipe.mask_rate > 0 and combination.processor != "unlockdna"
    return PrixFixeNet(
        first,
        core,
        final,
        generator,
        n_bases=N_BASES if hides else 0,
        tells_mutations=recipe.mutation_rate > 0,
        embedding=vectors,
    )


def model(combination: Combination, spec: TaskSpec, recipe: PrixFixeRecipe) -> PrixFixeModel:
    """Return a combination's untrained model."""
    team = MODULES[combination.processor]
    processor = team.processor(spec, recipe)
    net = _network(combination, processor, recipe)
    return PrixFixeModel(net, processor=processor, trainer=team.trainer(recipe, processor), recipe=recipe)


def try_out(combination: Combination, spec: TaskSpec, recipe: PrixFixeRecipe) -> None:
    """Check a combination's network, take one training step on made-up rows, and predict.

    Raises
    ------
    ContractError
        If a block, the trainer or the head does not do what the contract asks.
    """
    fitted = model(combination, spec, recipe)
    fitted.net.check()
    rng = np.random.default_rng(0)
    data = Dataset(
        "made up",
        rng.integers(0, 4, (2, spec.seq_len), dtype=np.uint8),
        {name: np.array([8.0, 12.0], dtype=np.float32) for name in spec.outputs},
        pd.DataFrame(0.0, index=range(2), columns=list(spec.side_channels)),
        "simulated",
    )
    fitted.prepare(data, n_steps=2)
    fitted.train_batch(np.arange(2))
    fitted.predict(data.without_targets())
