"""What an assay.yaml can say of a table, each compared with an independent reading."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.api.sequences import decode
from benchmarks.assay import guess, read
from benchmarks.cli.main import app
from benchmarks.errors import BadInput

TASK = registry.get_task("assay")
RNG = np.random.default_rng(1)
COMPLEMENT = str.maketrans("ACGT", "TGCA")
N = 60
SEQS = ["".join(RNG.choice(list("ACGT"), 80)) for _ in range(N)]
Y = RNG.normal(size=N).round(4)


def plain(**columns):
    return pd.DataFrame({"id": [f"e{i}" for i in range(N)], "seq": SEQS, "y": Y} | columns)


def load(tmp_path, table, yaml="", **options):
    """Load a table as an assay.yaml with these further lines says."""
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False, na_rep="NA")
    columns = "" if "values:" in yaml else "values: {y: y}\n"
    sequence = "" if "genome:" in yaml else "sequence: seq\n"
    (tmp_path / "assay.yaml").write_text(f"table: t.tsv\nid: id\n{columns}{sequence}{yaml}")
    return TASK.load(tmp_path / "assay.yaml", **options)


def rc(text):
    return text.translate(COMPLEMENT)[::-1]


# --- pipelines


def test_counts_per_barcode_are_added_up(tmp_path):
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({"barcode": range(5 * N), "oligo_name": np.tile(np.arange(N), 5)})
    for k in (1, 2):
        rows[f"dna_count_{k}"] = rng.poisson(20, 5 * N).astype(float)
        rows[f"rna_count_{k}"] = rng.poisson(40, 5 * N).astype(float)
        rows.loc[rng.random(5 * N) < 0.1, f"rna_count_{k}"] = np.nan
    rows.to_csv(tmp_path / "counts.tsv", sep="\t", index=False)
    (tmp_path / "design.fa").write_text("".join(f">{i}\n{text}\n" for i, text in enumerate(SEQS)))
    found = guess.guess(tmp_path / "counts.tsv", tmp_path / "design.fa").config
    assert (found.dna, found.rna) == (["dna_count_1", "dna_count_2"], ["rna_count_1", "rna_count_2"])
    done = CliRunner().invoke(
        app, ["assay", "init", str(tmp_path / "counts.tsv"), "--sequences", str(tmp_path / "design.fa")]
    )
    assert done.exit_code == 0, done.output
    data = TASK.load(tmp_path / "assay.yaml")
    dna, rna = np.zeros(N), np.zeros(N)
    for _, row in rows.iterrows():
        for k in (1, 2):
            if not np.isnan(row[f"rna_count_{k}"]):
                dna[int(row["oligo_name"])] += row[f"dna_count_{k}"]
                rna[int(row["oligo_name"])] += row[f"rna_count_{k}"]
    dna, rna = dna + 2, rna + 2  # one per replicate
    expected = np.log2((rna / rna.sum()) / (dna / dna.sum()))
    by_id = dict(zip(data.meta["seq_id"], data.targets["expression"], strict=True))
    np.testing.assert_allclose([by_id[str(i)] for i in range(N)], expected, rtol=1e-5)


def test_genomic_elements_are_read_off_the_genome(tmp_path):
    pytest.importorskip("pysam")
    genome = "".join(RNG.choice(list("ACGT"), 9000))
    (tmp_path / "g.fa").write_text(f">chr2\n{genome}\n")
    rows = [
        ("chr2", 100 * i, 100 * i + 70 + i % 5, f"e{i}", 500, "+-"[i % 2], Y[i], 1.5, 2.5, 1.0, 0.5) for i in range(N)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "e.bed.gz", sep="\t", index=False, header=False)
    words = ["assay", "init", str(tmp_path / "e.bed.gz"), "--genome", str(tmp_path / "g.fa")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    data = TASK.load(tmp_path / "assay.yaml")
    expected = [genome[row[1] : row[2]] if row[5] == "+" else rc(genome[row[1] : row[2]]) for row in rows]
    assert [text.strip("N") for text in decode(data.codes)] == expected
    np.testing.assert_allclose(data.targets["expression"], Y[:N], atol=1e-6)
    assert data.meta["is_reverse"].tolist() == [i % 2 for i in range(N)]


def test_a_table_without_header_is_told_by_its_content(tmp_path):
    plain().to_csv(tmp_path / "t.tsv", sep="\t", index=False, header=False)
    data = TASK.load(tmp_path / "t.tsv")
    assert decode(data.codes) == SEQS
    np.testing.assert_allclose(data.targets["column3"], Y, atol=1e-6)


def test_one_condition_of_a_table_of_several_is_used(tmp_path):
    two = pd.concat([plain(medium="complex"), plain(medium="defined").assign(y=Y + 5)])
    data = load(tmp_path, two, "where: {medium: defined}\n")
    np.testing.assert_allclose(data.targets["y"], Y + 5, atol=1e-6)
    assert data.accounts[0]["left_out"][0]["n"] == N
    with pytest.raises(BadInput, match="no row has rich in 'medium'; there are complex, defined"):
        load(tmp_path, two, "where: {medium: rich}\n")


def test_tables_are_read_one_below_the_other(tmp_path):
    plain().iloc[40:].assign(set="test").to_csv(tmp_path / "more.tsv", sep="\t", index=False)
    data = load(tmp_path, plain().iloc[:40].assign(set="train"), "more_tables: [more.tsv]\nfold: set\nsplit: column\n")
    assert decode(data.codes) == SEQS
    assert data.meta["split"].tolist()[40:] == ["test"] * 20
    assert (data.meta["split"][:40] == "val").sum() == 4


# --- lengths


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("", "NACGTNN"),
        ("pad: left\n", "NNNACGT"),
        ("pad: right\n", "ACGTNNN"),
        ("pad_with: [GG, CCCC]\n", "GACGTCC"),
        ("pad: left\npad_with: [GA, '']\n", "NGAACGT"),
    ],
)
def test_shorter_sequences_are_padded_as_said(tmp_path, yaml, expected):
    table = plain(seq=["ACGT", *(text[:7] for text in SEQS[1:])])
    data = load(tmp_path, table, yaml)
    assert decode(data.codes)[0] == expected
    spec = TASK.spec(data)
    assert decode(TASK.encode_for(["acgt"], spec)) == [expected]
    (offset,) = TASK.offsets(["ACGT"], spec)
    assert expected[offset : offset + 4] == "ACGT"


def test_longer_sequences_are_cropped_between_their_adapters(tmp_path):
    table = plain(seq=[f"AACCGG{text}TTGGCC" for text in SEQS])
    yaml = "adapters: [AACCGG, TTGGCC]\nlength: 62\nlonger: {}\n"
    for keep, part in (("start", slice(0, 50)), ("middle", slice(15, 65)), ("end", slice(30, 80))):
        data = load(tmp_path, table, yaml.format(keep))
        assert decode(data.codes) == [f"AACCGG{text[part]}TTGGCC" for text in SEQS]
    assert TASK.construct(TASK.spec(data)).row_length == 62
    mask = TASK.variable_region_mask(data.codes, TASK.spec(data))
    assert mask.sum(axis=1).tolist() == [50] * N


# --- what rows count, what is missing


def test_rows_count_by_the_inverse_of_their_variance(tmp_path):
    se = RNG.uniform(0.1, 1.0, N)
    data = load(tmp_path, plain(se=se), "errors: {y: se}\nweights: errors\n")
    expected = 1 / (se**2 + np.median(se**2))
    np.testing.assert_allclose(data.meta["weight"], expected / expected.mean(), rtol=1e-4)
    assert TASK.spec(data).weighted
    data = load(tmp_path, plain(se=se), "errors: {y: se}\nmax_error: 0.5\n")
    assert data.meta["seq_id"].tolist() == [f"e{i}" for i in range(N) if se[i] <= 0.5]
    assert not TASK.spec(data).weighted
    n = RNG.integers(1, 90, N)
    data = load(tmp_path, plain(n=n), "barcodes: n\nweights: barcodes\n")
    expected = 1 / (1 / n + np.median(1 / n))
    np.testing.assert_allclose(data.meta["weight"], expected / expected.mean(), rtol=1e-4)


def test_ratios_are_learnt_as_logarithms(tmp_path):
    data = load(tmp_path, plain(y=np.exp2(Y)), "log2: true\n")
    np.testing.assert_allclose(data.targets["y"], Y, atol=1e-5)
    with pytest.raises(BadInput, match="line 2, column 'y': log2 needs numbers above 0, got '-"):
        load(tmp_path, plain(y=-np.exp2(np.abs(Y)) + 0 * Y - 1), "log2: true\n")


# --- what is held out


def test_homologous_sequences_share_a_fold(tmp_path):
    near = [text[:30] + ("A" if text[30] != "A" else "C") + text[31:75] + "ACGTA" for text in SEQS]
    reverse = [rc(text) for text in near]
    table = pd.DataFrame({"id": range(3 * N), "seq": SEQS + near + reverse, "y": np.tile(Y, 3)})
    data = load(tmp_path, table, "split: homology\n")
    fold = data.meta["fold"].to_numpy()
    assert (fold[:N] == fold[N : 2 * N]).all()
    assert (fold[:N] == fold[2 * N :]).all()
    assert data.meta["group"].nunique() == N
    drawn = load(tmp_path, table, "split: groups\n").meta["fold"].to_numpy()
    assert (drawn[:N] != drawn[N : 2 * N]).any()


def test_blocks_follow_the_genome_and_keep_overlaps_together(tmp_path):
    table = plain(chr=np.where(np.arange(N) < 50, "chr1", "chr2"), start=[60 * i + i // 5 * 40 for i in range(N)])
    data = load(tmp_path, table, "chromosome: chr\nstart: start\nsplit: blocks\nn_folds: 5\nblocks_of: [chr1]\n")
    fold = data.meta["fold"].to_numpy()
    assert (np.diff(fold[:50]) >= 0).all()
    assert fold[:50].tolist() == [i // 10 for i in range(50)]
    assert (fold[50:] == -1).all()
    for split in TASK.splits(data.meta):
        assert set(range(50, N)) <= set(split.train.tolist())


def test_related_rows_of_other_parts_are_not_used(tmp_path):
    table = plain(
        part=np.resize(["train", "train", "train", "val", "val", "test", "train"], N),
        group=[f"g{i // 2}" for i in range(N)],
    )
    data = load(tmp_path, table, "group: group\nfold: part\nsplit: column\n")
    group, part = data.meta["group"].to_numpy(), data.meta["split"].to_numpy()
    assert not set(group[part == "test"]) & set(group[(part == "train") | (part == "val")])
    assert not set(group[part == "val"]) & set(group[part == "train"])
    assert (part[table["part"] == "test"] == "test").all()


def test_one_file_is_written_per_output(tmp_path):
    plain(K562_log2FC=Y, HepG2_log2FC=-Y).drop(columns="y").to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    done = CliRunner().invoke(app, ["assay", "init", str(tmp_path / "t.tsv"), "--one-per-output", "--set", "n_folds=5"])
    assert done.exit_code == 0, done.output
    for cell, sign in (("K562", 1), ("HepG2", -1)):
        data = TASK.load(tmp_path / f"assay.{cell}.yaml")
        np.testing.assert_allclose(data.targets[cell], sign * Y, atol=1e-6)
        assert data.name == f"t_{cell}"
        assert data.meta["fold"].nunique() == 5


# --- faults that were found in use


def test_copies_without_ids_are_left_out(tmp_path):
    table = plain().drop(columns="id")
    pd.concat([table, table.iloc[:20]]).to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    assert len(TASK.load(tmp_path / "t.tsv")) == N


def test_alleles_of_gosai_s_ids_share_a_fold(tmp_path):
    ids = [f"7:{1000 + i // 2}:G:T:{'RA'[i % 2]}:wC" for i in range(N)]
    plain().drop(columns="id").assign(IDs=ids).to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    fold = TASK.load(tmp_path / "t.tsv").meta["fold"].to_numpy()
    assert (fold[::2] == fold[1::2]).all()


def test_a_published_split_that_is_not_understood_is_said(tmp_path):
    plain(split=np.resize(["train", "holdout"], N)).to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    assert any("'split' may be a published split" in note for note in TASK.load(tmp_path / "t.tsv").notes)
    plain(fold=np.resize(["0.0", "1.0", "2.0"], N)).to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    assert TASK.load(tmp_path / "t.tsv").meta["fold"].tolist() == np.resize([0, 1, 2], N).tolist()


def test_ceilings_of_ratios_are_those_of_their_logarithms(tmp_path):
    table = plain(y=np.exp2(Y), rep1=np.exp2(Y + 0.1 * RNG.normal(size=N)), rep2=np.exp2(Y + 0.1 * RNG.normal(size=N)))
    (ceiling,) = load(tmp_path, table, "log2: true\nreplicates: {y: [rep1, rep2]}\n").ceilings
    r = np.corrcoef(np.log2(table["rep1"]), np.log2(table["rep2"]))[0, 1]
    assert ceiling["value"] == pytest.approx(np.sqrt(2 * r / (1 + r)), abs=1e-4)


def test_one_shorter_row_changes_no_strand_of_others(tmp_path):
    table = pd.DataFrame({"id": [f"e{i}{mark}" for i in range(N) for mark in ("_F", "_R")]})
    table["seq"] = [text for one in SEQS for text in (one, rc(one))]
    data = load(tmp_path, table.assign(y=np.repeat(Y, 2)))
    assert data.meta["is_reverse"].sum() == N
    spec = TASK.spec(data)
    codes = TASK.encode_for([*table["seq"], "ACGTACGT"], spec)
    is_reverse, _ = TASK.strands(tmp_path, pd.Series([*table["id"], "short_R"]), codes, spec)
    assert is_reverse.tolist() == [0, 1] * N + [0]


@pytest.mark.parametrize(
    ("columns", "yaml", "says"),
    [
        ({"kind": "negative"}, "element_class: kind\ncontrols: [negative]\n", "every row is a control"),
        ({"se": -0.1}, "errors: {y: se}\n", "line 2, column 'se': a standard error is below 0"),
        ({"n": -3}, "barcodes: n\n", "line 2, column 'n': a number of barcodes is below 0"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(tmp_path, columns, yaml, says):
    with pytest.raises(BadInput, match=says):
        load(tmp_path, plain(**columns), yaml)


def test_designs_are_predicted_in_the_frame_of_the_data(tmp_path):
    from benchmarks.apps.design.predictor import construct_of

    data = load(tmp_path, plain())
    construct = construct_of(TASK, TASK.spec(data))
    assert (construct.left, construct.length, construct.right) == ("", 80, "")


def test_a_wrong_cell_is_named_and_costs_no_output(tmp_path):
    table = plain(K562_log2FC=[*map(str, Y[:-1]), "abc"], HepG2_log2FC=Y).drop(columns="y")
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    with pytest.raises(BadInput, match=f"line {N + 1}, column 'K562_log2FC': a finite number expected, got 'abc'"):
        TASK.load(tmp_path / "t.tsv")


def test_alleles_told_by_a_column_or_their_bases_share_a_fold(tmp_path):
    alt = [text[:40] + ("A" if text[40] != "A" else "C") + text[41:] for text in SEQS]
    texts = [text for pair in zip(SEQS, alt, strict=True) for text in pair]
    every = [(".ref", ".alt"), (" ref", " alt"), ("_wt", "_mut"), ("-ref_fwd", "-alt_fwd"), ("_A", "_G"), (":AT", ":A")]
    for marks in every:
        ids = [f"rs{i}{mark}" for i in range(N) for mark in marks]
        table = pd.DataFrame({"id": ids, "seq": texts, "y": np.repeat(Y, 2)})
        fold = load(tmp_path, table).meta["fold"].to_numpy()
        assert (fold[::2] == fold[1::2]).all(), marks
    table = pd.DataFrame({"variant": np.repeat([f"rs{i}" for i in range(N)], 2), "allele": ["ref", "alt"] * N})
    table.assign(seq=texts, y=np.repeat(Y, 2)).to_csv(tmp_path / "v.tsv", sep="\t", index=False)
    data = TASK.load(tmp_path / "v.tsv")
    fold = data.meta["fold"].to_numpy()
    assert len(data) == 2 * N
    assert (fold[::2] == fold[1::2]).all()


def test_ids_that_end_in_bases_but_are_unlike_are_not_joined(tmp_path):
    table = plain(id=[f"enhancer_{'ACGT'[i % 4]}{'ACGT'[i // 4 % 4]}{'ACGT'[i // 16]}" for i in range(N)])
    assert load(tmp_path, table).meta["group"].nunique() == N


def test_a_row_per_cell_type_becomes_outputs(tmp_path):
    cells = {"K562": Y, "HepG2": Y + 5, "SK N SH": -Y}
    rows = [plain(cell_type=name, y=values).iloc[: N - k] for k, (name, values) in enumerate(cells.items())]
    table = pd.concat(rows).sample(frac=1, random_state=0)
    table.rename(columns={"y": "log2FC"}).to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    data = TASK.load(tmp_path / "t.tsv")
    assert list(data.targets) == ["HepG2", "K562", "SK_N_SH"]
    number = data.meta["seq_id"].str.removeprefix("e").astype(int).to_numpy()
    for k, (name, values) in enumerate(cells.items()):
        expected = np.where(number < N - k, values[number], np.nan)
        np.testing.assert_allclose(data.targets[name.replace(" ", "_")], expected, atol=1e-6)
    account = data.accounts[0]
    assert account["numbers"]["rows"] == len(table)
    assert len(table) - sum(one["n"] for one in account["left_out"]) == len(data)


def test_replicates_of_cell_types_in_rows_give_ceilings(tmp_path):
    noise = {(cell, k): 0.1 * RNG.normal(size=N) for cell in "ab" for k in (1, 2)}
    rows = [plain(cell=cell, rep=k, y=Y + one) for (cell, k), one in noise.items()]
    data = load(tmp_path, pd.concat(rows), "output: cell\nreplicate: rep\n")
    for cell in "ab":
        first, second = (Y + noise[cell, k] for k in (1, 2))
        np.testing.assert_allclose(data.targets[cell], (first + second) / 2, atol=1e-6)
        r = np.corrcoef(first, second)[0, 1]
        ceiling = next(row["value"] for row in data.ceilings if row["output"] == cell and "pearson" in row["metric"])
        assert ceiling == pytest.approx(np.sqrt(2 * r / (1 + r)), abs=1e-4)


def test_replicates_without_a_value_are_averaged(tmp_path):
    one, other = Y + 0.1 * RNG.normal(size=N), Y + 0.1 * RNG.normal(size=N)
    table = plain(rep1=one, rep2=np.where(np.arange(N) == 3, np.nan, other)).drop(columns="y")
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False, na_rep="NA")
    done = CliRunner().invoke(app, ["assay", "init", str(tmp_path / "t.tsv")])
    assert done.exit_code == 0, done.output
    data = TASK.load(tmp_path / "assay.yaml")
    expected = np.where(np.arange(N) == 3, one, (one + other) / 2)
    np.testing.assert_allclose(data.targets["expression"], expected, atol=1e-6)
    assert data.ceilings


def test_replicates_of_one_id_must_be_of_one_sequence(tmp_path):
    table = pd.concat([plain(rep=1), plain(rep=2, seq=SEQS[::-1])])
    with pytest.raises(BadInput, match=f"line {N + 2}: 'e0' has another sequence than in its first row"):
        load(tmp_path, table, "replicate: rep\n")


def test_few_barcodes_cost_a_replicate_and_not_the_id(tmp_path):
    table = pd.concat([plain(rep=1, n=20), plain(rep=2, n=np.where(np.arange(N) < 7, 3, 20), y=Y + 1)])
    data = load(tmp_path, table, "replicate: rep\nbarcodes: n\nmin_barcodes: 10\n")
    np.testing.assert_allclose(data.targets["y"], np.where(np.arange(N) < 7, Y, Y + 0.5), atol=1e-6)


def test_a_large_error_costs_an_output_and_not_the_row(tmp_path):
    se = np.where(np.arange(N) < 5, 2.0, 0.1)
    data = load(tmp_path, plain(z=Y, se=se), "values: {y: y, z: z}\nerrors: {y: se}\nmax_error: 1\n")
    assert np.isnan(data.targets["y"]).tolist() == (np.arange(N) < 5).tolist()
    assert not np.isnan(data.targets["z"]).any()


def test_bed_files_of_browsers_are_read(tmp_path):
    pytest.importorskip("pysam")
    genome = "".join(RNG.choice(list("ACGT"), 9000))
    (tmp_path / "g.fa").write_text(f">chr2\n{genome}\n")
    rows = [("chr2", 100 * i, 100 * i + 70, f"e{i}", 500, "+-."[i % 3], Y[i]) for i in range(N)]
    lines = ["track name=one description=two", *("\t".join(map(str, row)) for row in rows)]
    (tmp_path / "e.bed").write_text("\n".join(lines) + "\n")
    words = ["assay", "init", str(tmp_path / "e.bed"), "--genome", str(tmp_path / "g.fa")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    data = TASK.load(tmp_path / "assay.yaml")
    expected = [rc(genome[row[1] : row[2]]) if row[5] == "-" else genome[row[1] : row[2]] for row in rows]
    assert decode(data.codes) == expected
    (values,) = data.targets.values()
    np.testing.assert_allclose(values, Y, atol=1e-6)
    assert any("20 rows without a strand" in note for note in data.notes)


def test_headers_of_fasta_files_join_whole(tmp_path):
    ids = [f"oligo {i} of gene" for i in range(N)]
    pd.DataFrame({"name": ids, "y": Y}).to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    (tmp_path / "d.fa").write_text("".join(f">{name}\n{text}\n" for name, text in zip(ids, SEQS, strict=True)))
    found = guess.guess(tmp_path / "t.tsv", tmp_path / "d.fa").config
    assert decode(read.read(found, tmp_path, "t").codes) == SEQS


def test_controls_that_a_column_says_yes_of_do_not_train(tmp_path):
    table = plain(alpha=np.exp2(Y), control=["TRUE" if i < 6 else "FALSE" for i in range(N)]).drop(columns="y")
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    data = TASK.load(tmp_path / "t.tsv")
    assert data.meta["is_control"].tolist() == [1] * 6 + [0] * (N - 6)


def test_rows_without_a_chromosome_always_train(tmp_path):
    table = plain(chr=["NA" if i < 4 else f"chr{i % 5}" for i in range(N)])
    data = load(tmp_path, table, "chromosome: chr\nsplit: chromosomes\n")
    assert data.meta["fold"].tolist()[:4] == [-1] * 4
    assert data.meta["fold"].nunique() == 6
    for written, said in (("chr7", "7"), ("7", "chr7")):
        table = plain(chr=[written if i % 3 == 0 else f"{written[:-1]}{i % 3}" for i in range(N)])
        yaml = f"chromosome: chr\nsplit: chromosomes\ntest: ['{said}']\nvalidation: ['{said[:-1]}1']\n"
        assert (load(tmp_path, table, yaml).meta["split"] == "test").sum() == 20


@pytest.mark.parametrize("keep", ["start", "middle", "end"])
def test_positions_of_cropped_sequences_are_those_of_the_file(tmp_path, keep):
    table = plain(seq=[f"AACCGG{text}TTGGCC" for text in SEQS])
    data = load(tmp_path, table, f"adapters: [AACCGG, TTGGCC]\nlength: 61\nlonger: {keep}\n")
    texts, rows = table["seq"].tolist(), decode(data.codes)
    for text, row, offset in zip(texts, rows, TASK.offsets(texts, TASK.spec(data)), strict=True):
        assert all(row[k] == text[k - offset] for k in range(6, 55))


def test_a_file_is_written_beside_what_is_read_only(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "work").mkdir()
    plain().to_csv(tmp_path / "data" / "t.tsv", sep="\t", index=False)
    out = tmp_path / "work" / "a.yaml"
    done = CliRunner().invoke(app, ["assay", "init", str(tmp_path / "data" / "t.tsv"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert decode(TASK.load(out).codes) == SEQS


def test_a_table_that_cannot_be_read_ends_init_with_2(tmp_path):
    plain(y=[*map(str, Y[:-1]), "abc"]).to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    words = ["assay", "init", str(tmp_path / "t.tsv"), "--columns", "value=y"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "column 'y': a finite number expected, got 'abc'" in done.output
    assert "then: python -m benchmarks assay check" in done.output
