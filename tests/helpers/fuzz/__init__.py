"""Damaged inputs: `KINDS` of them, each in the module of the files or words it damages."""

from tests.helpers.fuzz import (  # noqa: F401, each module adds its kinds of input
    archives,
    checkpoints,
    command_line,
    figure_tables,
    genome_files,
    models,
    stores,
    tables,
    yeast,
)
from tests.helpers.fuzz.kinds import KINDS as KINDS
