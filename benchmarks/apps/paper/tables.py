"""Table 2: what the best submissions did.

Source: Rafi et al. 2024, Table 2, and the teams' own descriptions.
"""

from pathlib import Path

import pandas as pd

from benchmarks.apps.paper.figure_data import FigureData, RenderedPanel


def submissions(data: FigureData) -> RenderedPanel:
    """Return what the best submissions did, by rank (Table 2): facts of the paper, none measured here."""
    table = pd.read_csv(Path(__file__).with_name("submissions.csv"), dtype=str, keep_default_na=False)
    text = (
        "The submissions that led the challenge. Facts of the preprint's Table 2 and of the teams' own reports; M: "
        "million parameters. Ranks 12 to 28 are left out: their order is not known for certain."
    )
    return RenderedPanel(None, table, text, False)
