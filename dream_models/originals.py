"""The three winning submissions as their teams sent them in: networks, training and steps at test time; yeast only.

`originals.autosome`, `originals.bhi`, `originals.unlockdna`. Source: reports and code of the submissions in the
challenge repository; sizes equal those reported (1,852,846, 6,875,137 and 47,425,543). Differ from the submissions: a
tenth of the rows is set aside, as for every model here, where Autosome and BHI trained on all and UnlockDNA on 95 %;
BHI's padding is drawn once, as in the framework, and not for every epoch; UnlockDNA's network is torch instead of
TensorFlow. `dream_models/prixfixe/submissions.py` lists what the sources leave open.
"""

from dataclasses import dataclass, fields, replace

from benchmarks.api import yeast_plasmid
from benchmarks.api.data import TaskSpec
from benchmarks.api.recipe import TorchRecipe
from dream_models.prixfixe import recipe as recipes

NAME = "Original submission"
FRAMEWORK = "torch"


@dataclass(frozen=True)
class Original:
    """A submission, as a model file offers itself."""

    team: str
    title: str
    RECIPE: recipes.CombinationRecipe
    own: tuple[str, ...]
    """Recipe fields that the submission reads beside those of every training."""

    @property
    def NAME(self) -> str:
        return f"{self.title} (submission)"

    @property
    def __doc__(self) -> str:
        return f"The submission of {self.title}, with its own training and steps at test time."

    def unsupported(self, spec: TaskSpec) -> str | None:
        return None if yeast_plasmid.in_plasmid(spec) else "was made for the yeast challenge alone"

    def unread(self, spec: TaskSpec | None = None, recipe: recipes.CombinationRecipe | None = None) -> set[str]:
        of_every_training = {field.name for field in fields(TorchRecipe)} - {"weight_decay"}
        of_every_training |= {"select", "batches_per_epoch"}
        return {field.name for field in fields(self.RECIPE)} - of_every_training - set(self.own)

    def network(self, spec: TaskSpec, recipe: recipes.CombinationRecipe | None = None):
        """Return the untrained network, for what its processor makes of a promoter."""
        return self.build(spec, recipe or self.RECIPE, {}).net

    def build(self, spec: TaskSpec, recipe: recipes.CombinationRecipe, prerequisite_dirs):
        from dream_models.prixfixe import submissions

        return submissions.MODELS[self.team](spec, recipe)


VARIANTS = {
    one.team: one
    for one in (
        Original(
            "autosome",
            "Autosome.org",
            recipes.CombinationRecipe(average_strands=True, batches_per_epoch=1000, select="last"),
            ("weight_decay", "average_strands", "conjoined"),
        ),
        Original(
            "bhi",
            "BHI",
            replace(recipes.BHIRecipe(), stem_width=256, select="last"),
            ("weight_decay", "stem_width", "cosine_over_rows"),
        ),
        Original(
            "unlockdna",
            "UnlockDNA",
            replace(recipes.UnlockDNARecipe(), n_heads=8, n_projectors=32, warmup_steps=12_500),
            ("n_heads", "n_projectors", "kmer", "mask_rate", "warmup_steps", "trim_left", "trim_right"),
        ),
    )
}
