"""Extended Data 8: which promoters and variants, which sites of motifs, and what stands on the axes."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from benchmarks import registry
from benchmarks.api.designed_set import DesignedSet
from benchmarks.api.sequences import BASES, encode_one
from benchmarks.apps.paper import ism_sites, motifs, panels
from benchmarks.apps.paper.figure_data import FigureData, Site

PANELS = {panel.key: panel for panel in panels.PANELS}
REGION = "ACGTTGCA" * 10


def promoter(region):
    return "TGCATTTTTTTCACATC" + region + "GGTTACGGCTGTT"


def designed(tags):
    """Four sequences: a wild type, and three variants whose expression differs by 1, 5 and 3."""
    regions = [REGION, "C" + REGION[1:], REGION[:9] + "A" + REGION[10:], REGION[:-1] + "T"]
    return DesignedSet(
        np.array([promoter(region) for region in regions], dtype=object),
        np.array([2.0, 3.0, 7.0, -1.0]),
        pd.DataFrame({"subset": ["native"], "pos": [0]}),
        pd.DataFrame({"subset": "SNVs", "alt_pos": [1, 2, 3], "ref_pos": 0}),
        pd.DataFrame(tags, columns=["pos", "tag"]),
    )


def test_promoters_of_the_paper_are_found_by_their_tags():
    """The variant with the largest difference is taken; what is missing is named, and no longer name is mistaken."""
    pairs, said = ism_sites.named_pairs(designed([(0, "YOL101C.2"), (0, "YBL057CX"), (3, "YCL051W.9")]))
    assert [(pair.name, pair.measured) for pair in pairs] == [("YOL101C, C10A", (2.0, 7.0))]
    assert "YBL057C (no tag)" in said
    assert "YCL051W (no SNV pair)" in said


def test_without_tags_the_strongest_pairs_are_taken():
    pairs = ism_sites.strongest_pairs(designed([]))
    assert [pair.measured[1] for pair in pairs] == [7.0, -1.0, 3.0]
    assert pairs[0].name == "test sequence 0, C10A"


def test_scores_of_a_matrix_are_those_of_a_count_by_hand():
    """log2 odds against a quarter, between the lowest and the highest sum."""
    letters = {"A": [0.7, 0.1, 0.1, 0.1], "G": [0.1, 0.6, 0.2, 0.1]}  # columns A, G, C, T
    matrix = np.array(list(letters.values()))
    found = motifs.relative_scores(encode_one("AGCN"), matrix)
    odds = np.log2(matrix / 0.25)
    low, high = odds[0].min() + odds[1].min(), odds[0].max() + odds[1].max()
    assert found[0] == pytest.approx(1)
    assert found[1] == pytest.approx((odds[0, BASES.index("G")] + odds[1, BASES.index("C")] - low) / (high - low))
    assert np.isnan(found[2])


def test_sites_lie_on_either_strand():
    """GATAA and its reverse complement TTATC."""
    hits = motifs.sites(encode_one("CCGATAACCTTATCC"), [motifs.of_bases("GATA", "GATAA")])
    assert [(hit.start, hit.end) for hit in hits] == [(2, 7), (9, 14)]


def test_only_sites_that_the_variant_touches_are_altered():
    """One site is destroyed by the variant, another lies elsewhere."""
    codes = np.stack([encode_one("CCGATAACCGGATAACC"), encode_one("CCGCTAACCGGATAACC")])
    (site,) = motifs.altered_sites(codes, [motifs.of_bases("GATA", "GATAA")])
    assert (site.start, site.end) == (2, 7)


def test_motif_files_are_meme_or_a_table(tmp_path):
    (tmp_path / "a.tsv").write_text("name\tword\nGATA\tGATAA\n")
    meme = "MEME version 4\nALPHABET= ACGT\nMOTIF X\nletter-probability matrix: w= 1\n0.1 0.2 0.3 0.4\n"
    (tmp_path / "a.meme").write_text(meme)
    (table,) = motifs.read_motifs(tmp_path / "a.tsv")
    (matrix,) = motifs.read_motifs(tmp_path / "a.meme")
    assert (table.name, len(table), matrix.name) == ("GATA", 5, "X")
    by_base = dict(zip(BASES[:4], matrix.probabilities[0], strict=True))
    assert by_base == pytest.approx({"A": 0.1, "C": 0.2, "G": 0.3, "T": 0.4})
    turned = dict(zip(BASES[:4], matrix.reversed()[0], strict=True))
    assert turned == pytest.approx({"T": 0.1, "G": 0.2, "C": 0.3, "A": 0.4})


def test_models_stand_below_each_other_and_variants_beside():
    """Two columns, a row per model, the motif above the site that the variant destroys, and scores in the CSV."""
    region = REGION[:20] + "GATAA" + REGION[25:]
    codes = np.stack([encode_one(region), encode_one(region[:21] + "C" + region[22:])])
    rng = np.random.default_rng(0)
    sites = [
        Site("YOL101C, A22C", model, model.upper(), codes, rng.normal(size=(2, 80, 4)), (1.0, 0.5), (9.0, 8.0))
        for model in ("cnn", "rnn", "attn")
    ]
    for site in sites:  # the base that is there changes nothing
        np.put_along_axis(site.changes, codes[..., None].astype(int), 0.0, axis=2)
    data = FigureData(sites=sites, motifs=[motifs.of_bases("GATA", "GATAA")])
    rendered = panels.draw(PANELS["ED8"], data).rendered
    axes = [ax for part in rendered.figure.subfigs for ax in part.axes]
    assert len(axes) == 3 * 2
    assert [ax.get_ylabel() for ax in axes[::2]] == ["CNN", "RNN", "ATTN"]
    assert [ax.get_title(loc="left") for ax in axes[:2]] == ["wild type · measured 1.00", "variant · measured 0.50"]
    boxes, dashed = ([p for p in ax.patches if isinstance(p, Rectangle) and p.get_width() == 5] for ax in axes[:2])
    assert [(box.get_x(), box.get_linestyle()) for box in boxes] == [(20.5, "-")]
    assert [box.get_linestyle() for box in dashed] != ["-"]
    assert len(dashed) == 1
    assert any(text.get_text() == "GATA" for text in axes[0].texts)
    numbers = rendered.numbers.set_index(["model", "sequence", "position"])["score"]
    at = sites[0].changes[0, 0]
    assert numbers["CNN", "wild type", 1] == pytest.approx(at[np.arange(4) != codes[0, 0]].mean())


def test_the_real_promoters_are_in_the_real_test_set(real_data):
    folder = real_data("yeast/test_pairs.tsv.gz").parent
    pairs, said = ism_sites.named_pairs(registry.get_task("yeast").read_designed(folder))
    assert [pair.name.partition(",")[0] for pair in pairs] == ["YOL101C", "YBL057C", "YGL075C", "YDR248C"]
    assert "YCL051W (no SNV pair)" in said
