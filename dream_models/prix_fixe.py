"""Prix Fixe: any team's processor with trainer, first, core and final block, put together; 45 of 81 fit.

A model is called prix_fixe.<processor>-<first>-<core>-<final>, of autosome, bhi and unlockdna. What does not fit
together is known all the same, and declined with its reason. Team-specific steps at test time are off.
Source: Rafi et al. 2024, Fig. 2, and the challenge repository; deviations are listed in `dream_models/prixfixe/`.
"""

from dataclasses import dataclass

from benchmarks.api.data import TaskSpec
from benchmarks.api.prix_fixe import PARTS
from dream_models.prixfixe.combinations import TEAMS, Combination, combinations
from dream_models.prixfixe.recipe import CombinationRecipe

NAME = "Prix Fixe"
FRAMEWORK = "torch"


@dataclass(frozen=True)
class Variant:
    """A combination, as a model file offers itself."""

    combination: Combination

    @property
    def NAME(self) -> str:
        return f"{NAME} {self.combination.code}"

    @property
    def RECIPE(self) -> CombinationRecipe:
        return self.combination.recipe()

    @property
    def __doc__(self) -> str:
        teams = [TEAMS[team].title for team in self.combination.parts]
        return f"{self.NAME}: " + ", ".join(f"{part} {team}" for part, team in zip(PARTS, teams, strict=True)) + "."

    def unsupported(self, spec: TaskSpec) -> str | None:
        return self.combination.unsupported(spec)

    def unread(self, spec: TaskSpec | None = None, recipe: CombinationRecipe | None = None) -> set[str]:
        return self.combination.unread(spec, recipe)

    def network(self, spec: TaskSpec, recipe: CombinationRecipe | None = None):
        """Return the untrained network, for what the processor makes of a task's sequences."""
        from dream_models.prixfixe import combine

        return combine.network(self.combination, spec, recipe or self.RECIPE)

    def build(self, spec: TaskSpec, recipe: CombinationRecipe, prerequisite_dirs):
        from dream_models.prixfixe import combine

        return combine.model(self.combination, spec, recipe)


VARIANTS = {str(combination): Variant(combination) for combination in combinations()}
