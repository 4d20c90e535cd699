"""Names of the parts and teams of Prix Fixe, which models, stored tables and figures share."""

PARTS = ("processor", "first", "core", "final")
"""Parts of a network, each taken from a team: data processor with trainer, first, core and final block."""
TEAM_TITLES = {"autosome": "Autosome.org", "bhi": "BHI", "unlockdna": "UnlockDNA"}
"""Key of a winning team -> its name, in the order of the codes 0, 1, 2 of the published folders."""
