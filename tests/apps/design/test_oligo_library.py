"""Designed sets: against the published test set, against slices of a genome, and through the challenge's layout."""

import gzip

import numpy as np
import pandas as pd
import pytest

from benchmarks import registry
from benchmarks.api import simulated_marker
from benchmarks.api.construct import Construct
from benchmarks.api.genome import Genome
from benchmarks.api.sequences import SequenceError, decode, encode
from benchmarks.apps.design import motifs, native_promoters, oligo_library
from benchmarks.errors import BadInput
from benchmarks.yeast import test_set

CONSTRUCT = registry.get_task("yeast").CONSTRUCT
PAIR = {"A": "T", "C": "G", "G": "C", "T": "A"}


def turned(text):
    return "".join(PAIR[letter] for letter in reversed(text))


def inserts(n, seed=0):
    return np.random.default_rng(seed).integers(0, 4, (n, 80), dtype=np.uint8)


# Motifs


@pytest.fixture(scope="module")
def published(real_data):
    """The published test set's motif pairs with the inserts of both members."""
    text = pd.read_csv(real_data("yeast/test_designed_maude.tsv.gz"), sep="\t")["sequence"].str[17:97]
    pairs = pd.read_csv(real_data("yeast/test_pairs.tsv.gz"), sep="\t")
    pairs = pairs[pairs["subset"].str.startswith("motif")]
    return pairs.assign(alt=text[pairs["alt_pos"]].to_numpy(), ref=text[pairs["ref_pos"]].to_numpy())


def backgrounds_of(pairs):
    known = pairs.drop_duplicates("ref_tag")
    return known["ref_tag"].tolist(), encode(known["ref"].tolist(), 80)


def test_perturbations_are_the_published_sequences(published):
    theirs = published[published["subset"] == "motif_perturbation"]
    names, backgrounds = backgrounds_of(theirs)
    assert len(names) == 10
    table, codes = motifs.perturbation(names, backgrounds)
    ours = dict(zip(table["tag"], decode(codes), strict=True))
    their_tag = theirs["alt_tag"].str.replace("Hsf1tri.60", "Hsf1tri.64")  # it begins at 64, whatever it is called
    known = their_tag.isin(ours).to_numpy()
    assert [ours[tag] for tag in their_tag[known]] == theirs.loc[known, "alt"].tolist()
    singles_and_copies = ~theirs["alt_tag"].str.contains(r"\d[ACGT]\.\d[ACGT]", regex=True).to_numpy()
    assert singles_and_copies.sum() == 10 * (4 * 27 + 45)
    assert known[singles_and_copies].all()


def test_published_multiple_mutations_are_of_the_kind_drawn_here(published):
    theirs = published[published["alt_tag"].str.contains(r"\d[ACGT]\.\d[ACGT]", regex=True)]
    assert len(theirs) > 1_900
    for row in theirs.sample(200, random_state=0).itertuples():
        _, motif, changes, at = row.alt_tag.split("_")
        site = motifs.SITES[motif.removesuffix(".RC")]
        site = list(turned(site) if motif.endswith(".RC") else site)
        for change in changes.split("."):
            site[int(change[:-1])] = change[-1]
        at = int(at)
        assert row.alt == row.ref[:at] + "".join(site) + row.ref[at + len(site) :]
    table, _ = motifs.perturbation(["b"], inserts(1), copies={})
    n_changed = table["tag"].str.split("_").str[2].dropna().loc[lambda s: s != "canonical"].str.count(r"\.") + 1
    assert n_changed.value_counts().to_dict() == {1: 4 * 27, 2: 2 * 50, 3: 2 * 50}


def test_tiles_are_the_published_sequences(published):
    theirs = published[(published["subset"] == "motif_tiling") & (published["alt"] != published["ref"])]
    names, backgrounds = backgrounds_of(theirs)
    assert len(names) == 3
    table, codes = motifs.tiling(names, backgrounds)
    ours = dict(zip(table["tag"], decode(codes), strict=True))
    assert [ours[tag] for tag in theirs["alt_tag"]] == theirs["alt"].tolist()
    assert len(theirs["alt_tag"].unique()) / (len(table) - 3) > 0.98  # a few were lost in the experiment


def test_a_motif_keeps_the_background_under_n_on_both_strands():
    background = "".join("ACGT"[i % 4] for i in range(80))
    table, codes = motifs.tiling(["b"], encode([background], 80), {"M": "TTNAA"})
    ours = dict(zip(table["tag"], decode(codes), strict=True))
    assert ours["b"] == background
    assert ours["b_M_0"] == "TT" + background[2] + "AA" + background[5:]
    assert ours["b_M.RC_75"] == background[:75] + "TT" + background[77] + "AA"
    assert len(table) == 1 + 2 * 76


def test_motifs_are_read_or_refused():
    assert motifs.named_motifs(["X=acgt", "Y = NNA"], {}, 80) == {"X": "ACGT", "Y": "NNA"}
    assert motifs.named_motifs(None, motifs.SITES, 80) == motifs.SITES
    for wrong in ("ACGT", "X=", "X=ACU", "a b=ACG"):
        with pytest.raises(BadInput, match="NAME=SEQUENCE"):
            motifs.named_motifs([wrong], {}, 80)
    with pytest.raises(BadInput, match="81 bp, an insert 80"):
        motifs.named_motifs([f"X={'A' * 81}"], {}, 80)
    with pytest.raises(BadInput, match="0 to 71 is expected"):
        motifs.perturbation(["b"], inserts(1), at=(80,))


# Native


GTF = """#!genome
c1\tx\ttranscript\t501\t600\t.\t+\t.\tgene_id "fwd"; transcript_id "fwd.1";
c1\tx\ttranscript\t551\t700\t.\t+\t.\tgene_id "fwd"; transcript_id "fwd.2";
c1\tx\texon\t501\t600\t.\t+\t.\tgene_id "fwd";
c1\tx\ttranscript\t101\t200\t.\t-\t.\tgene_id "rev";
c1\tx\ttranscript\t751\t800\t.\t+\t.\tgene_id "near";
c1\tx\ttranscript\t520\t540\t.\t-\t.\tgene_id "within";
c2\tx\ttranscript\t31\t50\t.\t+\t.\tgene_id "edge";
"""


@pytest.fixture
def little_genome(tmp_path):
    rng = np.random.default_rng(0)
    chromosomes = {name: "".join(rng.choice(list("ACGT"), size)) for name, size in (("c1", 900), ("c2", 60))}
    chromosomes["c1"] = chromosomes["c1"][:300] + "N" + chromosomes["c1"][301:]
    (tmp_path / "g.fa").write_text("".join(f">{name}\n{text}\n" for name, text in chromosomes.items()))
    (tmp_path / "g.gtf").write_text(GTF)
    return tmp_path, chromosomes


def test_native_pieces_are_what_lies_before_genes(little_genome):
    folder, chromosomes = little_genome
    genome = Genome(folder / "g.fa", folder)
    genes = native_promoters.genes(folder / "g.gtf")
    assert genes.set_index("name").loc["fwd", ["start", "end"]].tolist() == [500, 700]
    before = native_promoters.promoters(genes, genome.sizes, 250).set_index("name")
    assert before.loc["fwd", ["start", "end"]].tolist() == [250, 500]
    assert before.loc["rev", ["start", "end"]].tolist() == [200, 450]
    assert before.loc["near", ["start", "end"]].tolist() == [700, 750]  # up to the gene before
    assert before.loc["edge", ["start", "end"]].tolist() == [0, 30]
    assert "within" not in before.index
    table, codes = native_promoters.tiles(genome, before.reset_index(), 80, 80)
    c1 = chromosomes["c1"]
    expected = {
        "fwd.0": c1[420:500], "fwd.1": c1[340:420], "rev.0": turned(c1[200:280]), "rev.2": turned(c1[360:440])
    }  # fmt: skip
    assert dict(zip(table["tag"], decode(codes), strict=True)) == expected  # fwd.2 and rev.1 have the N
    assert table.set_index("tag").loc["rev.2", ["start", "end", "strand"]].tolist() == [360, 440, "-"]


@pytest.mark.slow
def test_native_pieces_of_the_yeast_genome(real_data, tmp_path):
    genome = Genome(real_data("atac/sacCer3.fa.gz"), tmp_path)
    genes = native_promoters.genes(real_data("atac/sacCer3.ensGene.gtf.gz"))
    before = native_promoters.promoters(genes, genome.sizes, 500)
    table, codes = native_promoters.tiles(genome, before, 80, 80)
    assert len(table) > 20_000
    assert len({row.tobytes() for row in codes}) == len(codes)
    with gzip.open(real_data("atac/sacCer3.fa.gz"), "rt") as file:
        text = {
            part.split("\n", 1)[0].split()[0]: part.split("\n", 1)[1].replace("\n", "")
            for part in file.read().split(">")[1:]
        }
    for row, code in list(zip(table.itertuples(), codes, strict=True))[::500]:
        there = text[row.chrom][row.start : row.end].upper()
        assert decode(code[None])[0] == (there if row.strand == "+" else turned(there))
        gene = genes[genes["name"] == row.tag.rpartition(".")[0]].iloc[0]
        assert (row.end <= gene.start) if row.strand == "+" else (row.start >= gene.end)
        others = genes[genes["chrom"] == row.chrom]
        assert not ((others["start"] < row.end) & (others["end"] > row.start)).any()


def test_an_annotation_that_does_not_serve_is_refused(little_genome, tmp_path):
    folder, _ = little_genome
    with pytest.raises(BadInput, match="no GTF file"):
        native_promoters.genes(folder / "absent.gtf")
    with pytest.raises(BadInput, match="no feature 'gene' with a strand; it has transcript, exon"):
        native_promoters.genes(folder / "g.gtf", "gene")
    (tmp_path / "words.gtf").write_text("just\nsome words\n")
    with pytest.raises(BadInput, match=r"not a GTF file that can be read|no feature"):
        native_promoters.genes(tmp_path / "words.gtf")
    genome = Genome(folder / "g.fa", folder)
    short = native_promoters.promoters(native_promoters.genes(folder / "g.gtf"), genome.sizes, 40)
    with pytest.raises(BadInput, match="raise --upstream"):
        native_promoters.tiles(genome, short, 80, 80)


# Constructs and tables


def test_inserts_are_taken_out_of_their_flanks():
    text = decode(inserts(3))
    rows = [text[0], CONSTRUCT.left + text[1] + CONSTRUCT.right, text[2].lower()]
    assert decode(CONSTRUCT.inserts(rows)) == text
    assert CONSTRUCT.rows(inserts(3))[1] == rows[1]
    for wrong, reason in (
        (text[0][:-1], "80 bp or 110 with flanks expected, got 79"),
        ("A" * 110, "flanks TGCATTTTTTTCACATC"),
        ("N" + text[0][1:], "position 1 is not one of ACGT"),
        ("X" + text[0][1:], "letter 'X'"),
    ):
        with pytest.raises(SequenceError, match=reason) as caught:
            CONSTRUCT.inserts([text[0], wrong])
        assert caught.value.row == 1


def written(folder, name, codes, subset, tags, references=None, **more):
    about = pd.DataFrame({"tag": tags} | ({"ref_tag": references} if references else {}))
    table = oligo_library.table(CONSTRUCT, codes, about, subset=subset, **more)
    table.to_csv(folder / name, sep="\t", index=False)
    return folder / name


def test_a_library_is_unique_and_the_challenge_reads_it(tmp_path):
    codes = inserts(6)
    files = [
        written(tmp_path, "high.tsv", codes[:3], "high", ["h0", "h1", "h2"], trained_on="simulated"),
        written(tmp_path, "snv.tsv", codes[[2, 3, 4]], "SNVs", ["a", "b", "c"], ["", "a", "b"]),
        written(tmp_path, "more.tsv", codes[[3, 5]], "high", ["h0", "h1"]),
    ]
    library = oligo_library.merge(files, CONSTRUCT)
    np.testing.assert_array_equal(library.inserts, codes)
    assert library.trained_on == "simulated"
    table = library.oligos()
    assert table["subsets"].tolist() == ["high", "high", "SNVs,high", "SNVs,high", "SNVs", "high"]
    assert table["sequence"].tolist() == CONSTRUCT.rows(codes)
    values = np.arange(6) / 10
    rows = CONSTRUCT.rows(codes)
    out = tmp_path / "lib"
    test_set.write_published(out, rows, library.singles, library.pairs, values, simulated="Words.")
    test = test_set.read(out)
    assert test.origin == "simulated"
    assert test.singles["high"].tolist() == [0, 1, 2, 3, 5]
    assert test.pairs["SNVs"].tolist() == [[3, 2], [4, 3]]
    np.testing.assert_array_equal(test.y_true, values)
    assert test.sequences.tolist() == rows
    assert not test.is_public.any()
    singles = pd.read_csv(out / "test_subset_ids" / "high_exp_seqs.csv", index_col=0)
    assert list(singles) == ["tag", "sequence", "pos", "exp"]
    pairs = pd.read_csv(out / "test_subset_ids" / "all_SNVs_seqs.csv", index_col=0)
    assert pairs["alt_sequence"].tolist() == [rows[3], rows[4]]
    assert list(pairs) == [
        "alt_tag",
        "ref_tag",
        "alt_sequence",
        "ref_sequence",
        "alt_pos",
        "ref_pos",
        "alt_exp",
        "ref_exp",
    ]
    test_set.write_published(tmp_path / "measured", rows, library.singles, library.pairs, values)
    assert test_set.read(tmp_path / "measured").origin == "measured"


def test_a_subset_that_the_challenge_does_not_know_is_named(tmp_path):
    single = {"hihg": pd.DataFrame({"pos": [0], "tag": ["x"]})}
    with pytest.raises(BadInput, match=r"'hihg'\. Did you mean 'high'"):
        test_set.write_published(tmp_path, ["ACGT"], single, {})


def test_tables_that_do_not_fit_are_refused_by_line(tmp_path):
    codes = inserts(2)
    twice = written(tmp_path, "twice.tsv", codes, "high", ["a", "a"])
    lost = written(tmp_path, "lost.tsv", codes, "SNVs", ["a", "b"], ["", "z"])
    mixed = written(tmp_path, "mixed.tsv", codes, "SNVs", ["a", "b"])
    good = written(tmp_path, "good.tsv", codes, "SNVs", ["a", "b"], ["", "a"])
    short = tmp_path / "short.tsv"
    short.write_text("subset\ttag\tref_tag\tsequence\nhigh\tx\t\tACGT\n")
    for files, sentence in (
        ([twice], "twice.tsv, line 3: the tag 'a' appears twice in subset high"),
        ([lost], "lost.tsv, line 3: its reference 'z' is not in subset SNVs"),
        ([good, mixed], "Subset SNVs is of pairs in one table and of single sequences in another"),
        ([short], "short.tsv, line 2: an insert of 80 bp or 110 with flanks expected, got 4 bp"),
    ):
        with pytest.raises(BadInput, match=sentence):
            oligo_library.merge(files, CONSTRUCT)
    (tmp_path / "no.tsv").write_text("tag\tsequence\nx\tA\n")
    with pytest.raises(BadInput, match="column 'subset' is missing"):
        oligo_library.merge([tmp_path / "no.tsv"], CONSTRUCT)


def test_expression_is_looked_up_by_sequence(tmp_path):
    codes = inserts(3)
    library = oligo_library.merge([written(tmp_path, "h.tsv", codes, "high", list("abc"))], CONSTRUCT)
    rows = CONSTRUCT.rows(codes)
    table = pd.DataFrame({"sequence": rows[::-1], "expression": [3.0, 2.0, 1.0]})
    file = tmp_path / "labels.tsv"
    table.to_csv(file, sep="\t", index=False)
    values, origin = oligo_library.expression_of(file, library)
    assert values.tolist() == [1.0, 2.0, 3.0]
    assert origin == "measured"
    table.assign(origin="simulated").to_csv(file, sep="\t", index=False)
    assert oligo_library.expression_of(file, library)[1] == "simulated"
    table.to_csv(file, sep="\t", index=False)
    simulated_marker.mark(tmp_path, "A test.")
    assert oligo_library.expression_of(file, library)[1] == "simulated"
    for wrong, sentence in (
        (table.iloc[1:], "no expression of 1 of 3 oligos"),
        (pd.concat([table, table.iloc[:1]]), "appears twice"),
        (table.rename(columns={"expression": "x"}), "a column 'expression' is expected"),
        (table.assign(expression=["1", "high", "2"]), "line 3, column 'expression': a finite number expected"),
    ):
        wrong.to_csv(file, sep="\t", index=False)
        with pytest.raises(BadInput, match=sentence):
            oligo_library.expression_of(file, library)


def test_other_tasks_have_constructs_too():
    human, flies = registry.get_task("human_mpra"), registry.get_task("drosophila")
    assert (human.CONSTRUCT.length, human.CONSTRUCT.row_length) == (200, 230)
    assert Construct("", 249, "") == flies.CONSTRUCT
    for task in (human, flies, registry.get_task("yeast")):
        assert task.encode(task.CONSTRUCT.rows(np.zeros((2, task.CONSTRUCT.length), np.uint8))).shape == (
            2,
            task.SPEC.seq_len,
        )
