"""Extended Data 3 and 5, Table 1: the designed test set alone, from small made sets and from the real one."""

import gzip

import numpy as np
import pandas as pd
import pytest

from benchmarks import registry
from benchmarks.api.designed_set import DesignedSet
from benchmarks.apps.paper import panels
from benchmarks.apps.paper.load_figure_data import read_reads
from benchmarks.errors import BadInput
from tests.helpers.paper_data import figure_data

PANELS = {panel.key: panel for panel in panels.PANELS}
YEAST = registry.get_task("yeast")
SEQUENCE = "TGCATTTTTTTCACATC" + "ACGT" * 20 + "GGTTACGGCTGTT"


def small_set():
    """Six sequences with expression 0, 1, 3, 6, 10, 15; two pairs of every kind but one."""
    pairs = [("SNVs", 1, 0), ("SNVs", 2, 1), ("motif_tiling", 3, 2), ("motif_perturbation", 4, 2)]
    return DesignedSet(
        np.array([SEQUENCE] * 6, dtype=object),
        np.array([0.0, 1, 3, 6, 10, 15]),
        pd.DataFrame({"subset": ["high", "high", "random"], "pos": [4, 5, 0]}),
        pd.DataFrame(pairs, columns=["subset", "alt_pos", "ref_pos"]),
        pd.DataFrame({"pos": [0], "tag": ["YOL101C.2"]}),
    )


def draw(key, **more):
    outcome = panels.draw(PANELS[key], figure_data(**more))
    assert outcome.rendered is not None, outcome.reason
    return outcome.rendered


def ticks(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def test_changes_are_drawn_by_kind_of_pair():
    """x: kind of pair, from the largest changes to the smallest; y: absolute change."""
    rendered = draw("ED5", test_set=small_set())
    ax = rendered.figure.axes[0]
    assert ticks(ax) == ["motif\nperturbation\nn = 1", "motif\ntiling\nn = 1", "SNVs\nn = 2"]
    assert ax.get_ylabel() == "absolute change of expression"
    numbers = rendered.numbers.set_index("alt_pos")
    assert numbers["absolute_change"].to_dict() == {1: 1, 2: 2, 3: 3, 4: 7}
    assert "motif perturbation 7.000, motif tiling 3.000, SNVs 1.500" in rendered.caption


def test_subsets_have_numbers_and_weights():
    """Weights are the published ones, of which SNVs have the largest after the whole."""
    table = draw("T1", test_set=small_set()).numbers.set_index("subset")
    assert (table.loc["high", "n"], table.loc["SNVs", "n"], table.loc["all", "n"]) == (2, 2, 6)
    assert (table.loc["SNVs", "weight"], table.loc["challenging", "weight"]) == (1.25, 0.5)
    assert table["share_of_score"].sum() == pytest.approx(1)
    assert (table["purpose"].str.len() > 10).all()


def quantified(folder):
    """Write what `quantify designed --subsets` leaves: the last of four oligos has too few reads for a label."""
    singles = {"high": pd.DataFrame({"pos": [0, 1], "tag": ["a", "b"]})}
    pairs = {"SNVs": pd.DataFrame({"alt_pos": [2], "ref_pos": [0], "alt_tag": ["c"], "ref_tag": ["a"]})}
    texts = [SEQUENCE[:20] + base + SEQUENCE[21:] for base in "ACG"]
    YEAST.write_designed(folder, texts, singles, pairs, np.array([1.0, 2.0, 3.0]))
    table = pd.DataFrame({"pos": [0, 1, 2, -1], "n_reads": [40, 60, 9, 1], "origin": "measured"})
    with gzip.open(folder / "designed.tsv.gz", "wt") as file:
        table.to_csv(file, sep="\t", index=False)
    return folder


def test_reads_are_drawn_by_subset(tmp_path):
    reads = read_reads(quantified(tmp_path))
    assert reads.groupby("subset")["n_reads"].apply(list).to_dict() == {"SNVs": [9, 40], "high": [40, 60]}
    rendered = draw("ED3", reads=reads)
    assert ticks(rendered.figure.axes[0]) == ["high\nn = 2", "SNVs\nn = 2"]
    assert rendered.figure.axes[0].get_ylabel() == "reads per sequence"
    assert rendered.figure.axes[0].get_yscale() == "log"
    assert "high 50, SNVs 24.5" in rendered.caption


def test_a_folder_without_reads_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"expected designed.tsv.gz of `quantify designed --out`"):
        read_reads(tmp_path)


def test_tags_are_read_in_the_published_layout(tmp_path):
    found = YEAST.read_designed(quantified(tmp_path)).tags
    assert sorted(zip(found["pos"], found["tag"], strict=True)) == [(0, "a"), (1, "b"), (2, "c")]


def test_the_real_test_set_has_the_published_order_of_changes(real_data):
    """Medians calculated here from the tables themselves; motif perturbation > motif tiling > SNVs, as in the paper."""
    folder = real_data("yeast/test_pairs.tsv.gz").parent
    y = pd.read_csv(folder / "test_designed_maude.tsv.gz", sep="\t")["maude_expression"].to_numpy()
    pairs = pd.read_csv(folder / "test_pairs.tsv.gz", sep="\t", keep_default_na=False)
    medians = {}
    for kind, name in (("motif_perturbation", "motif_perturbation"), ("motif_tiling", "motif_tiling"), ("snv", "SNVs")):
        of_kind = pairs[pairs["subset"] == kind].drop_duplicates(["alt_pos", "ref_pos"])
        medians[name] = float(np.median(np.abs(y[of_kind["alt_pos"]] - y[of_kind["ref_pos"]])))
    test = YEAST.read_designed(folder)
    rendered = draw("ED5", test_set=test)
    drawn = rendered.numbers.groupby("subset")["absolute_change"].median()
    assert drawn.to_dict() == pytest.approx(medians)
    assert medians["motif_perturbation"] > medians["motif_tiling"] > medians["SNVs"]
    table = draw("T1", test_set=test).numbers.set_index("subset")["n"]
    assert table[["all", "random", "native", "challenging"]].tolist() == [71_103, 6_349, 578, 1_953]
