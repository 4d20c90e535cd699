"""Traps in tables of real laboratories: each used to be read wrong without a word, or refused without need."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import registry
from benchmarks.api.sequences import SequenceError
from benchmarks.assay import guess
from benchmarks.errors import BadInput

TASK = registry.get_task("assay")
RNG = np.random.default_rng(7)
N = 60
SEQS = ["".join(RNG.choice(list("ACGT"), 60)) for _ in range(N)]
Y = RNG.normal(size=N).round(4)
IDS = [f"e{i}" for i in range(N)]


def save(table, file):
    table.to_csv(file, sep="\t", index=False, na_rep="NA")
    return file


def guessed(tmp_path, table, **more):
    return guess.guess(save(table, tmp_path / "t.tsv"), **more)


def loaded(tmp_path, table, yaml):
    save(table, tmp_path / "t.tsv")
    (tmp_path / "assay.yaml").write_text(f"table: t.tsv\nsequence: seq\n{yaml}")
    return TASK.load(tmp_path / "assay.yaml")


def groups_of(data):
    return data.meta.groupby("group")["seq_id"].apply(set).tolist()


def test_rows_without_a_place_leave_the_others_theirs(tmp_path):
    """Tiles of ten loci overlap; a scrambled row has no place, and no other row pays for it."""
    place = np.repeat(np.arange(10) * 1000, 6) + np.tile(np.arange(6) * 20, 10)
    chrom = ["chr1"] * (N - 1) + [None]
    table = pd.DataFrame({"id": IDS, "chr": chrom, "start": place, "end": place + 60, "seq": SEQS, "log2FC": Y})
    table["start"] = table["start"].astype("Int64").mask(table["chr"].isna())
    table["end"] = table["end"].astype("Int64").mask(table["chr"].isna())
    found = guessed(tmp_path, table).config
    assert (found.start, found.end) == ("start", "end")
    data = TASK.load(tmp_path / "t.tsv")
    assert data.meta["group"].nunique() == 11, "ten loci, and the row without a place"
    assert any("1 rows have no place" in note for note in data.notes)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("chr1_{i}_A_G_A", "chr1_{i}_A_G_G"),
        ("NC_1.1:{i}:A:G", "NC_1.1:{i}:A:A"),
        ("ref_rs{i}", "alt_rs{i}"),
        ("A:X_chr10:{i}", "R:X_chr10:{i}"),
        ("rs{i}_ref_1", "rs{i}_alt_1"),
        ("rs{i}_allele1", "rs{i}_allele2"),
        ("el{i}_WT", "el{i}_mut5"),
        ("el{i}", "el{i}_A30G"),
    ],
)
def test_alleles_share_a_group_however_they_are_written(tmp_path, first, second):
    """Thirty pairs that differ in one base."""
    half = SEQS[: N // 2]
    other = [text[:30] + ("A" if text[30] != "A" else "C") + text[31:] for text in half]
    ids = [first.format(i=i) for i in range(N // 2)] + [second.format(i=i) for i in range(N // 2)]
    data = loaded(tmp_path, pd.DataFrame({"id": ids, "seq": half + other, "y": Y}), "id: id\nvalues: {y: y}\n")
    assert sorted(map(len, groups_of(data))) == [2] * (N // 2)


def test_alleles_of_an_insertion_share_a_group(tmp_path):
    """Behind an inserted base no position agrees; most k-mers do."""
    half = SEQS[: N // 2]
    other = [text[:30] + "T" + text[30:-1] for text in half]
    ids = [f"rs{i}_A" for i in range(N // 2)] + [f"rs{i}_AT" for i in range(N // 2)]
    data = loaded(tmp_path, pd.DataFrame({"id": ids, "seq": half + other, "y": Y}), "id: id\nvalues: {y: y}\n")
    assert sorted(map(len, groups_of(data))) == [2] * (N // 2)


def test_one_stem_with_unrelated_sequences_is_no_group(tmp_path):
    ids = [f"rs{i // 2}_{'AC'[i % 2]}C" for i in range(N)]
    data = loaded(tmp_path, pd.DataFrame({"id": ids, "seq": SEQS, "y": Y}), "id: id\nvalues: {y: y}\n")
    assert data.meta["group"].nunique() == N


def test_the_logarithm_is_taken_before_the_ratio(tmp_path):
    counts = {"dna_counts": 9, "rna_counts": 9, "dna_normalized": 1.0, "rna_normalized": 1.0}
    table = pd.DataFrame({"name": IDS, "seq": SEQS, **counts, "ratio": 2.0**Y, "log2": Y, "n_obs_bc": 20})
    assert guessed(tmp_path, table).config.values == {"log2": "log2"}
    alone = guessed(tmp_path, table.drop(columns="log2"))
    assert alone.config.values == {"expression": "ratio"}
    assert any("`log2: true` learns its logarithm" in line for line in alone.found)


def test_counts_of_cell_types_are_no_replicates(tmp_path):
    table = pd.DataFrame({"oligo_name": IDS, "sequence": SEQS})
    for cell in ("K562", "HepG2"):
        table[f"dna_count_{cell}"], table[f"rna_count_{cell}"] = 9, RNG.poisson(20, N)
    with pytest.raises(BadInput, match="no column holds values that could be activities"):
        guessed(tmp_path, table)


def test_a_replicate_needs_dna_and_rna(tmp_path):
    table = pd.DataFrame({"oligo_name": IDS, "sequence": SEQS, "dna_count_1": 9, "rna_count_1": 9, "rna_count_2": 8})
    with pytest.raises(BadInput, match="Columns rna_count_2 count DNA or RNA of a replicate without the other"):
        guessed(tmp_path, table)


@pytest.mark.parametrize(
    ("columns", "outputs"),
    [
        (("35S+", "35S-"), ["35S", "35S_2"]),
        (("肝臓", "脳"), ["肝臓", "脳"]),
        (("a b", "a_b", "a-b"), ["a_b", "a_b_2", "a_b_3"]),
    ],
)
def test_outputs_with_like_names_stay_apart(tmp_path, columns, outputs):
    table = pd.DataFrame({"id": IDS, "seq": SEQS} | {name: Y + k for k, name in enumerate(columns)})
    found = guessed(tmp_path, table).config
    assert found.outputs == outputs or list(found.outputs) == outputs
    data = TASK.load(tmp_path / "t.tsv")
    for k, output in enumerate(outputs):
        assert sorted(data.targets[output]) == pytest.approx(sorted(Y + k), abs=1e-5)


def test_cell_types_with_like_names_are_refused(tmp_path):
    cells = ["SK N SH", "SK-N-SH"]
    table = pd.concat([pd.DataFrame({"id": IDS, "seq": SEQS, "cell": cell, "y": Y}) for cell in cells])
    data = loaded(tmp_path, table, "id: id\nvalues: {y: y}\noutput: cell\n")
    assert set(data.targets) == {"SK_N_SH", "SK-N-SH"}
    table["cell"] = table["cell"].replace("SK-N-SH", "SK_N_SH")
    with pytest.raises(BadInput, match="'SK N SH' and 'SK_N_SH' would be one output"):
        loaded(tmp_path, table, "id: id\nvalues: {y: y}\noutput: cell\n")


def test_a_barcode_is_not_the_sequence(tmp_path):
    barcodes = ["".join(RNG.choice(list("ACGT"), 20)) for _ in range(N)]
    table = pd.DataFrame({"barcode": barcodes, "oligo_name": IDS, "dna_count_1": 9, "rna_count_1": 9})
    with pytest.raises(BadInput, match="no column holds sequences"):
        guessed(tmp_path, table)


def test_barcodes_of_one_id_have_one_sequence(tmp_path):
    table = pd.DataFrame({"id": np.repeat(IDS[:15], 4), "seq": SEQS, "dna_count_1": 9, "rna_count_1": range(N)})
    with pytest.raises(BadInput, match="line 3: 'e0' has another sequence than in its first row"):
        loaded(tmp_path, table, "id: id\ndna: [dna_count_1]\nrna: [rna_count_1]\n")


def test_a_column_of_barcodes_counts_beside_counts(tmp_path):
    """One row per id with its number of barcodes: that number weighs and is asked for, not the number of rows."""
    n = np.arange(N) + 1
    table = pd.DataFrame({"id": IDS, "seq": SEQS, "n_bc": n, "dna_count_1": 9, "rna_count_1": RNG.poisson(20, N) + 1})
    counts = "id: id\nbarcodes: n_bc\ndna: [dna_count_1]\nrna: [rna_count_1]\n"
    assert len(loaded(tmp_path, table, f"{counts}min_barcodes: 10\n")) == (n >= 10).sum()
    weights = loaded(tmp_path, table, f"{counts}weights: barcodes\n").meta["weight"]
    assert weights.is_monotonic_increasing
    assert weights.nunique() == N


def test_ranges_of_r_are_one_based(tmp_path):
    table = pd.DataFrame(
        {"seqnames": "chr1", "start": np.arange(N) * 100 + 1, "end": np.arange(N) * 100 + 60, "width": 60}
    )
    (tmp_path / "g.fa").write_text(">chr1\n" + "ACGT" * 2000 + "\n")
    found = guessed(tmp_path, table.assign(log2FC=Y), genome=tmp_path / "g.fa")
    assert found.config.coordinates == "one_based"
    assert any("coordinates are 1-based, inclusive" in line for line in found.found)


def test_a_class_called_all_is_not_all_rows(tmp_path):
    table = pd.DataFrame({"id": IDS, "seq": SEQS, "y": Y, "class": ["all"] * 40 + ["enhancer"] * 20})
    data = loaded(tmp_path, table, "id: id\nvalues: {y: y}\nelement_class: class\n")
    items = TASK.items(data, {"y": data.targets["y"]})
    n = {item.subset: len(item.unit) for item in items if item.level == "row"}
    assert n == {"all": 60, "class all": 40, "enhancer": 20}


def test_controls_that_no_row_has_are_refused(tmp_path):
    table = pd.DataFrame({"id": IDS, "seq": SEQS, "y": Y, "class": ["Negative"] * 20 + ["enhancer"] * 40})
    yaml = "id: id\nvalues: {y: y}\nelement_class: class\ncontrols: [negative]\n"
    with pytest.raises(BadInput, match=r"line 6: .*no row has the class 'negative'; there are Negative, enhancer"):
        loaded(tmp_path, table, yaml)


def test_sequences_without_the_adapters_are_refused(tmp_path):
    left, right = "AGGACCGGATCA", "CATTGCGTCAGG"
    table = pd.DataFrame({"id": IDS, "seq": [left + text + right for text in SEQS], "y": Y})
    data = loaded(tmp_path, table, f"id: id\nvalues: {{y: y}}\nadapters: [{left}, {right}]\n")
    spec = TASK.spec(data)
    assert TASK.encode_for([left + SEQS[0] + right], spec).shape == (1, 84)
    with pytest.raises(SequenceError, match="begin with AGGACCGGATCA and end with CATTGCGTCAGG"):
        TASK.encode_for([SEQS[0]], spec)


def test_marks_count_in_prediction_as_in_training(tmp_path):
    """With several lengths they do not, in either."""
    ids = [f"e{i // 2}_{'FR'[i % 2]}" for i in range(N)]
    complement = str.maketrans("ACGT", "TGCA")
    texts = [SEQS[i - i % 2] if i % 2 == 0 else SEQS[i - 1].translate(complement)[::-1] for i in range(N)]
    texts[0] = texts[0][:50]
    texts[1] = texts[1][:50]
    data = loaded(tmp_path, pd.DataFrame({"id": ids, "seq": texts, "y": Y}), "id: id\nvalues: {y: y}\n")
    assert data.meta["is_reverse"].sum() == 0
    is_reverse, _ = TASK.strands(tmp_path / "x", data.meta["seq_id"], data.codes, TASK.spec(data))
    assert is_reverse.sum() == 0


def test_a_column_is_judged_as_a_whole(tmp_path):
    """The first half of a cell type is missing; it is an output all the same."""
    table = pd.DataFrame({"id": IDS * 5, "seq": SEQS * 5, "K562": np.tile(Y, 5), "HepG2": np.tile(Y, 5)}).iloc[:300]
    table["id"] = [f"r{i}" for i in range(300)]
    table["K562"] = table["K562"].mask(np.arange(300) < 121)
    assert list(guessed(tmp_path, table).config.values) == ["K562", "HepG2"]


def test_names_with_blanks_are_those_of_the_table(tmp_path):
    """Records that the table does not ask for may share their first word."""
    names = [f"Positive {i} (chrX:{i}-{i + 5})" for i in range(N)]
    (tmp_path / "d.fa").write_text("".join(f">{name}\n{text}\n" for name, text in zip(names, SEQS, strict=True)))
    save(pd.DataFrame({"oligo_name": names[:50], "log2FC": Y[:50]}), tmp_path / "t.tsv")
    (tmp_path / "assay.yaml").write_text("table: t.tsv\nsequences: d.fa\nid: oligo_name\nvalues: {y: log2FC}\n")
    assert len(TASK.load(tmp_path / "assay.yaml")) == 50


def test_a_dose_is_no_standard_error(tmp_path):
    table = pd.DataFrame({"id": IDS, "seq": SEQS, "log2FC": Y, "response": -np.abs(Y), "log2FC_se": 0.1})
    assert guessed(tmp_path, table).config.errors == {"expression": "log2FC_se"}


def test_what_a_design_has_beside_sequences_is_told(tmp_path):
    save(pd.DataFrame({"name": IDS, "sequence": SEQS, "category": "x", "SPDI": "NC:1:A:G"}), tmp_path / "design.tsv")
    save(pd.DataFrame({"oligo_name": IDS, "log2FoldChange": Y}), tmp_path / "t.tsv")
    yaml = "table: t.tsv\nsequences: design.tsv\nid: oligo_name\nvalues: {y: log2FoldChange}\n"
    (tmp_path / "assay.yaml").write_text(yaml)
    notes = TASK.load(tmp_path / "assay.yaml").notes
    assert any("design.tsv also has category, SPDI, which are not read" in note for note in notes)


@pytest.mark.parametrize("names", [("pDNA_rep1", "cDNA_rep1"), ("DNA1", "RNA1"), ("K562_DNA", "K562_RNA")])
def test_counts_by_other_names_are_no_activities(tmp_path, names):
    table = pd.DataFrame({"id": IDS, "seq": SEQS, **dict.fromkeys(names, 7), "log2FC": Y, "padj_K562": 0.1})
    assert guessed(tmp_path, table).config.values == {"expression": "log2FC"}
    with pytest.raises(BadInput, match="no column holds values"):
        guessed(tmp_path, table.drop(columns="log2FC"))
