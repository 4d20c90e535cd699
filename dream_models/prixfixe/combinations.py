"""The three teams, what their parts declare, and which parts fit together. Imports no framework.

A combination names a team for each of its parts: processor with trainer, first, core and final block. What fits is
derived from what the parts declare here; `combine.try_out` finds the same by running them.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from benchmarks.api import yeast_plasmid
from benchmarks.api.data import TaskSpec
from benchmarks.api.prix_fixe import PARTS, TEAM_TITLES
from benchmarks.errors import BadInput, did_you_mean
from dream_models.prixfixe import recipe as recipes


@dataclass(frozen=True)
class Team:
    """A team's parts as the contract sees them.

    Parameters
    ----------
    code
        Number in the published folder names.
    head_gives_bases, trainer_needs_bases
        Whether the head gives base logits beside the expression, and whether the trainer needs them: its loss takes
        them, or its evaluation expects one tensor.
    head_outputs
        The most outputs that the head can have; None: any number.
    recipe
        How the team's trainer trains.
    """

    key: str
    code: int
    head_gives_bases: bool
    trainer_needs_bases: bool
    head_outputs: int | None
    recipe: recipes.CombinationRecipe

    @property
    def title(self) -> str:
        """The team's name."""
        return TEAM_TITLES[self.key]


TEAMS = {
    team.key: team
    for team in (
        Team("autosome", 0, False, False, None, recipes.CombinationRecipe()),
        Team("bhi", 1, False, False, 1, recipes.BHIRecipe()),
        Team("unlockdna", 2, True, True, 1, recipes.UnlockDNARecipe()),
    )
}


_OF_PART = {
    "stem_width": ("first", "bhi"),
    "kmer": ("first", "unlockdna"),
    "n_heads": ("core", "unlockdna"),
    "n_projectors": ("final", "unlockdna"),
}
"""Recipe field -> the part, and the team, that reads it."""
_OPTIONS = tuple(field.name for field in fields(recipes.PrixFixeRecipe) if field.metadata.get("option"))


@dataclass(frozen=True)
class Combination:
    """A team for each part. `str()` gives the name used on the command line, `code` that of published folders."""

    processor: str
    first: str
    core: str
    final: str

    def __str__(self) -> str:
        return "-".join(self.parts)

    @property
    def parts(self) -> tuple[str, str, str, str]:
        return self.processor, self.first, self.core, self.final

    @property
    def code(self) -> str:
        return "_".join(str(TEAMS[team].code) for team in self.parts)

    @property
    def is_original(self) -> bool:
        """Whether all parts are one team's."""
        return len(set(self.parts)) == 1

    def refusal(self) -> str | None:
        """Say why the parts do not fit together, or None. First and core blocks are all interchangeable."""
        head, trainer = TEAMS[self.final], TEAMS[self.processor]
        if trainer.trainer_needs_bases and not head.head_gives_bases:
            return (
                f"{trainer.title}'s trainer needs base logits from the head for its masked-base loss; "
                f"{head.title}'s head gives the expression alone"
            )
        if head.head_gives_bases and not trainer.trainer_needs_bases:
            return (
                f"{head.title}'s head gives base logits beside the expression; {trainer.title}'s trainer evaluates a "
                "head that gives the expression alone"
            )
        return None

    def unsupported(self, spec: TaskSpec) -> str | None:
        """Say why this combination cannot learn a task, or None."""
        head = TEAMS[self.final]
        if refusal := self.refusal():
            return f"does not fit together: {refusal}"
        if (reason := recipes.unsupported(spec)) or not head.head_outputs:
            return reason
        if spec.weighted:
            return f"has {head.title}'s head, published without weights of rows"
        if len(spec.outputs) > head.head_outputs:
            return f"has {head.title}'s head, published for one output, not {len(spec.outputs)}"
        return None

    def unread(self, spec: TaskSpec | None = None, recipe: recipes.PrixFixeRecipe | None = None) -> set[str]:
        """Name the recipe fields that change nothing here; see `LeavesFieldsUnread`."""
        unread = {field for field, (part, team) in _OF_PART.items() if getattr(self, part) != team}
        shows_both_strands = self.processor == "autosome" and (spec is None or spec.reverse_copies)
        if not shows_both_strands or (recipe and recipe.conjoined):
            unread.add("average_strands")
        of_glove, of_lm = ({name for name in _OPTIONS if name.startswith(start)} for start in ("glove_", "lm_"))
        if recipe and not recipe.glove_width:
            unread |= of_glove - {"glove_width"}
        if recipe and not recipe.lm_layers:
            unread |= of_lm - {"lm_layers"}
        if self.processor == "unlockdna":
            unread |= {"weight_decay", "conjoined"} | of_glove | of_lm
            if spec is not None and not yeast_plasmid.in_plasmid(spec):
                unread |= {"trim_left", "trim_right"}
        return unread

    def recipe(self) -> recipes.CombinationRecipe:
        """Return the recipe of the processor's team; its rate is lower where the core is a transformer, as published.

        Source: notebooks of the challenge repository (0.001 instead of 0.005 under Autosome's trainer).
        """
        recipe = TEAMS[self.processor].recipe
        if self.processor == "autosome" and self.core == "unlockdna":
            return replace(recipe, max_lr=0.001)
        return recipe


def combinations() -> Iterator[Combination]:
    """List all 81, in the order of their codes."""
    for parts in itertools.product(TEAMS, repeat=len(PARTS)):
        yield Combination(*parts)


def read_combination(text: str) -> Combination:
    """Read `autosome-bhi-autosome-autosome`, or the code of a published folder, `0_1_0_0`.

    Raises
    ------
    BadInput
        If it is neither, naming the first part that is not a team.
    """
    keys = {str(team.code): key for key, team in TEAMS.items()}
    parts = [keys.get(part, part) for part in text.replace("_", "-").split("-")]
    if len(parts) != len(PARTS):
        raise BadInput(f"{text!r} names no combination; <processor>-<first>-<core>-<final> is expected.")
    for name, part in zip(PARTS, parts, strict=True):
        if part not in TEAMS:
            raise BadInput(f"{text!r}: {did_you_mean(f'team for the {name}', part, list(TEAMS))}")
    return Combination(*parts)
