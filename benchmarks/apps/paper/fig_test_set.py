"""Extended Data 3 and 5, Table 1: the designed test set itself, without any model.

Source: Rafi et al. 2024, Extended Data Fig. 3 and 5, Table 1.
"""

import numpy as np
import pandas as pd

from benchmarks import registry
from benchmarks.apps.paper.figure_data import FigureData, MissingData, RenderedPanel
from benchmarks.engine.figures import test_set as figures

_FETCH = "python -m benchmarks fetch --task yeast --out data/yeast, then figures --test-set data/yeast"
_QUANTIFY = "python -m benchmarks quantify designed … --out FOLDER, then figures --quantified FOLDER"
KINDS = ("motif_perturbation", "motif_tiling", "SNVs")
"""Kinds of pairs, in the order of the paper's figure: from the largest changes to the smallest."""
_PURPOSE = {
    "high": "sequences designed for high expression: extrapolation above what random promoters reach",
    "low": "sequences designed for low expression: extrapolation below what random promoters reach",
    "native": "pieces of yeast's own promoters: evolved sequences",
    "random": "random promoters like those trained on",
    "challenging": "sequences on which earlier models disagreed",
    "SNVs": "pairs that differ in one base: effects of single variants",
    "motif_perturbation": "pairs with a factor's site destroyed or weakened: effects of single motifs",
    "motif_tiling": "pairs with a site at different places: effects of position and strand",
}


def pair_changes(data: FigureData) -> RenderedPanel:
    """Draw how far expression changes within pairs, by kind of pair (Extended Data 5)."""
    test = _test_set(data)
    pairs = test.pairs[test.pairs["subset"].isin(KINDS)]
    if pairs.empty:
        raise MissingData("the test set has no pairs")
    alt, ref = (test.y_true[pairs[f"{side}_pos"].to_numpy()] for side in ("alt", "ref"))
    table = pairs.assign(alt=alt, ref=ref, change=alt - ref, absolute_change=np.abs(alt - ref))
    order = [kind for kind in KINDS if kind in set(table["subset"])]
    medians = table.groupby("subset")["absolute_change"].median()
    found = ", ".join(f"{kind.replace('_', ' ')} {medians[kind]:.3f}" for kind in order)
    text = f"Absolute change of measured expression between the two sequences of a pair; medians: {found}. "
    columns = ["subset", "alt_pos", "ref_pos", "alt", "ref", "change", "absolute_change"]
    simulated = test.origin == "simulated"
    figure = figures.pair_changes(table, order, simulated=simulated)
    return RenderedPanel(figure, table[columns], text + " ".join(test.notes), simulated)


def reads(data: FigureData) -> RenderedPanel:
    """Draw reads per designed sequence by subset of the test set (Extended Data 3)."""
    if data.reads.empty:
        raise MissingData("reads per sequence are needed, which the published test table does not have", _QUANTIFY)
    table = data.reads
    order = [name for name in _PURPOSE if name in set(table["subset"])]
    medians = table.groupby("subset")["n_reads"].median()
    text = "Reads per designed sequence by subset; medians: " + ", ".join(f"{k} {medians[k]:g}" for k in order) + "."
    simulated = "simulated" in set(table["origin"])
    return RenderedPanel(figures.reads(table, order, simulated=simulated), table, text, simulated)


def subsets(data: FigureData) -> RenderedPanel:
    """Return the subsets of the test set: sequences or pairs, weight in the score, and what they are for (Table 1)."""
    test = _test_set(data)
    weights = registry.get_task("yeast").WEIGHTS
    n_single, n_pairs = test.subsets["subset"].value_counts(), test.pairs["subset"].value_counts()
    rows = [{"subset": "all", "kind": "sequences", "n": len(test), "purpose": "the whole test set"}]
    rows += [
        {"subset": name, "kind": "pairs" if name in n_pairs else "sequences",
         "n": int(n_pairs.get(name, n_single.get(name, 0))), "purpose": purpose}
        for name, purpose in _PURPOSE.items()
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    weight = table["subset"].map(weights)
    table.insert(3, "weight", weight)
    table.insert(4, "share_of_score", weight / sum(weights.values()))
    text = "Subsets of the challenge's test set: distinct sequences or pairs, and weight in either challenge score. "
    return RenderedPanel(None, table, text + " ".join(test.notes), test.origin == "simulated")


def _test_set(data: FigureData):
    if data.test_set is None:
        raise MissingData("the designed test set is needed", _FETCH)
    return data.test_set
