"""Tables as users bring them: each is read right, or refused for its true reason; nothing is misread in silence."""

import csv
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.cli.main import app
from benchmarks.engine.inference.predict_file import SequenceFile
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput

pytestmark = pytest.mark.usefixtures("without_plots")
LEFT, RIGHT = "AGGACCGGATCAACT", "CATTGCGTGAACCGA"
YEAST_LEFT, YEAST_RIGHT = "TGCATTTTTTTCACATC", "GGTTACGGCTGTT"
TASK = registry.get_task("human_mpra")
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def turned(text):
    return text[::-1].translate(COMPLEMENT)


def elements(n=30, *, pairs=True, seed=0):
    """Elements between the adapters, whose activity follows their GC content, in ten folds in turn."""
    rng, rows = np.random.default_rng(seed), []
    for i, gc in enumerate(rng.uniform(0.3, 0.7, n)):
        text = "".join(rng.choice(list("ACGT"), 200, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]))
        for name, side in [(f"el{i}", text), (f"el{i}_Reversed:", turned(text))][: 1 + pairs]:
            rows.append((name, LEFT + side + RIGHT, round(6 * (gc - 0.5) + rng.normal(0, 0.3), 4), i % 10))
    return pd.DataFrame(rows, columns=["seq_id", "seq", "mean_value", "fold"])


def save(table, path, **options):
    table.to_csv(path, **({"sep": "\t", "index": False} | options))
    return path


def load(table, tmp_path, name="t.tsv", columns=None, **options):
    return TASK.load(save(table, tmp_path / name, **options), columns=columns)


def call(*words):
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code in (0, 2), result.output
    if result.exit_code == 2:
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    return result


# --- a header is believed


def test_barcode_counts_are_no_folds(tmp_path):
    table = elements(pairs=False).set_axis(["name", "sequence", "log2FoldChange", "fold"], axis=1)
    n_barcodes = np.random.default_rng(1).integers(10, 18, len(table))
    data = load(table.drop(columns="fold").assign(n_bc=n_barcodes), tmp_path)
    assert (len(data), data.meta["fold"].nunique()) == (30, 10)
    assert any("Not used: n_bc" in note for note in data.notes)


def test_a_column_of_controls_marks_no_copies(tmp_path):
    table = elements(pairs=False).set_axis(["name", "sequence", "log2FoldChange", "fold"], axis=1)
    data = load(table.assign(is_control=[0, 1] * 15), tmp_path)
    assert data.meta["fold"].tolist() == table["fold"].tolist()


@pytest.mark.parametrize("names", [("dna_count", "rna_count"), ("HepG2", "K562")])
def test_columns_that_could_be_values_are_listed(tmp_path, names):
    table = elements(pairs=False)
    value = table.pop("mean_value")
    with pytest.raises(BadInput, match=f"{names[0]}, {names[1]}.*--columns value={names[0]}"):
        load(table.assign(**{names[0]: value, names[1]: -value}), tmp_path)


def test_columns_are_what_the_user_says(tmp_path):
    table = elements().rename(columns={"seq_id": "who", "seq": "what", "mean_value": "K562", "fold": "part"})
    given = {"id": "who", "sequence": "what", "value": "K562", "fold": "part"}
    data = load(table.assign(HepG2=1.0), tmp_path, columns=given)
    np.testing.assert_array_equal(data.targets["expression"], table["K562"].to_numpy(np.float32))
    assert data.meta["is_reverse"].sum() == 30
    assert data.accounts[0]["used"] == given
    assert data.accounts[0]["not_used"] == ["HepG2"]


def test_a_strand_may_have_a_column_of_its_own(tmp_path):
    table = elements().assign(strand=["+", "-"] * 30)
    table["seq_id"] = table["seq_id"].str.removesuffix("_Reversed:") + np.array(["a", "b"] * 30)
    data = load(table, tmp_path, columns={"strand": "strand"})
    assert data.meta["is_reverse"].tolist() == [0, 1] * 30


def test_two_replicates_of_one_name_are_refused(tmp_path):
    table = elements(pairs=False)
    table = pd.concat([table, table["mean_value"].rename("rep1"), table["mean_value"].rename("rep1")], axis=1)
    with pytest.raises(BadInput, match="line 1: the header has two columns named 'rep1'"):
        load(table, tmp_path)


# --- formats


FORMATS = {
    "tabs at the end": lambda table: table.to_csv(sep="\t", index=False).replace("\n", "\t\t\n").encode(),
    "R": lambda table: table.to_csv(sep=" ", index=False, quoting=csv.QUOTE_NONNUMERIC).encode(),
    "semicolons": lambda table: table.to_csv(sep=";", decimal=",", index=False).encode(),
    "UTF-16": lambda table: table.to_csv(sep="\t", index=False).encode("utf-16"),
    "row names": lambda table: table.to_csv(quoting=csv.QUOTE_ALL).encode(),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_dataset(tmp_path, name):
    table = elements()
    (tmp_path / "t.txt").write_bytes(FORMATS[name](table))
    data = TASK.load(tmp_path / "t.txt")
    assert data.content_hash() == load(table, tmp_path).content_hash()


def test_a_readme_beside_tables_is_no_table(tmp_path):
    save(elements(), tmp_path / "HepG2.tsv")
    (tmp_path / "README.txt").write_text("Measured in spring.\nSee the lab book.\n")
    (tmp_path / "._HepG2.tsv").write_bytes(b"\0\5\26\7")
    done = call("run", "--task", "human_mpra", "--data", tmp_path, "--models", "kmer_ridge", "--dry-run", "--json")
    planned = json.loads(done.stdout)
    assert [source["name"] for source in planned["sources"]] == ["HepG2"]
    assert planned["inputs"]["HepG2"][0]["numbers"]["rows_used"] == 60
    assert "README.txt" in done.stderr


def test_a_missing_replicate_may_be_na_or_empty(tmp_path):
    table, rng = elements(pairs=False), np.random.default_rng(2)
    for k in (1, 2, 3):
        table[f"rep{k}"] = (table["mean_value"] + rng.normal(0, 0.4, len(table))).round(4)
    table.loc[::7, "rep2"] = np.nan
    ceilings = [load(table, tmp_path, na_rep=word).ceilings for word in ("", "NA", "nan")]
    assert ceilings[0]
    assert ceilings[0] == ceilings[1] == ceilings[2]


# --- strands are seen from sequences


def test_marks_without_a_partner_are_no_strands(tmp_path):
    table = elements(pairs=False)
    other = table.assign(seq=table["seq"].str.slice_replace(100, 101, "N"), seq_id=table["seq_id"] + "_A")
    alleles = pd.concat([table.assign(seq_id=table["seq_id"] + "_R"), other]).drop(columns="fold")
    data = load(alleles, tmp_path)
    assert data.meta["is_reverse"].sum() == 0
    assert any("30 ids end in _R" in note for note in data.notes)


@pytest.mark.parametrize("n_wrong", [30, 4])
def test_reverse_rows_that_are_not_reverse_are_refused(tmp_path, n_wrong):
    table = elements()
    rows = np.arange(1, 2 * n_wrong, 2)
    table.loc[rows, "seq"] = np.roll(table["seq"][rows], 1)
    with pytest.raises(BadInput, match=rf"line 3: 'el0_Reversed:' .*line 2 \({n_wrong} of 30 such pairs"):
        load(table, tmp_path)


def test_a_strand_column_that_contradicts_the_pairs_is_refused(tmp_path):
    table = elements().assign(is_reverse=0)
    with pytest.raises(BadInput, match=r"lines 2 and 3: .*the same strand \(30 such"):
        load(table, tmp_path)


def test_an_element_with_its_adapters_is_no_bare_element(tmp_path):
    table = elements(pairs=False)
    table["seq"] = LEFT + table["seq"].str[15:185] + RIGHT
    with pytest.raises(BadInput, match="200 bp that include an adapter"):
        load(table, tmp_path)


@pytest.mark.parametrize("order", [["mean_value", "seq", "fold"], ["seq_id", "seq", "mean_value", "n_bc"]])
def test_a_table_without_header_is_not_read_against_its_content(tmp_path, order):
    table = elements(pairs=False).assign(n_bc=np.arange(30) % 8 + 10)[order]
    with pytest.raises(BadInput, match=r"has no header, and its column [14] .*--columns id=1"):
        load(table, tmp_path, header=False)


# --- what a training predicts


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ran")
    table = elements().rename(columns={"seq_id": "name"})[["seq", "mean_value", "name", "fold"]]
    save(table, folder / "t.tsv")
    words = ["--models", "kmer_ridge", "--folds", "0,1", "--workers", "0", "--results", folder / "results"]
    assert call("run", "--task", "human_mpra", "--data", folder / "t.tsv", *words).exit_code == 0
    return folder, table, Store(folder / "results").finished_trainings("human_mpra")


def predict(ran, file, *words, weights=None):
    out = file.with_suffix(".out")
    weights = weights or ran[2][0].folder
    done = call("predict", "--weights", weights, "--input", file, "--out", out, "--results", ran[0] / "results", *words)
    table = pd.read_csv(out, sep="\t", dtype={"seq_id": str}, keep_default_na=False) if done.exit_code == 0 else None
    return table, done


def test_a_table_is_predicted_as_it_was_trained(ran):
    predicted, done = predict(ran, ran[0] / "t.tsv")
    rows, stored = ran[2][0].predictions()
    np.testing.assert_allclose(predicted["prediction"].to_numpy()[rows], stored["expression"], atol=2e-4)
    assert predicted["seq_id"].tolist() == ran[1]["name"].tolist()
    assert "id = name" in done.stdout


def test_predictions_are_joined_by_the_ids_of_the_table(ran, tmp_path):
    mine = ran[1][["name"]].assign(prediction=ran[1]["mean_value"] + np.random.default_rng(3).normal(0, 0.5, 60))
    save(mine.sample(frac=1, random_state=3), tmp_path / "mine.tsv")
    done = call(
        "score", "--predictions", tmp_path / "mine.tsv", "--name", "Mine", "--json", "--results", ran[0] / "results"
    )
    scores = pd.DataFrame(json.loads(done.stdout))
    scores = scores[(scores["model"] == "Mine") & (scores["level"] == "row") & (scores["metric"] == "pearson_r")]
    test = (ran[1]["fold"] == 0).to_numpy()
    expected = np.corrcoef(ran[1]["mean_value"][test], mine["prediction"][test])[0, 1]
    assert scores["value"][scores["test_fold"] == 0].iloc[0] == pytest.approx(expected, abs=1e-6)


def test_predictions_are_never_the_measurements_beside_them(ran, tmp_path):
    table = ran[1][["name", "mean_value"]].rename(columns={"mean_value": "expression"})
    table["prediction"] = np.random.default_rng(6).normal(size=60).round(3)
    words = ["--name", "Beside", "--json", "--results", ran[0] / "results"]
    done = call("score", "--predictions", save(table, tmp_path / "p.tsv"), *words)
    scores = pd.DataFrame(json.loads(done.stdout)).query("model == 'Beside' and metric == 'pearson_r'")
    assert scores["value"].abs().max() < 0.99


def test_predictions_of_other_sequences_are_refused(ran, tmp_path):
    table = ran[1][["name", "seq"]].assign(prediction=1.5)
    table["seq"] = table["seq"].to_numpy()[::-1]
    words = ["--name", "Other", "--results", ran[0] / "results"]
    done = call("score", "--predictions", save(table, tmp_path / "p.tsv"), *words)
    assert re.search(r"line \d+: the sequence of 'el\d+\S*' is not that of the data", done.stderr)


def query(ran):
    return ran[1][["name", "seq"]].iloc[:8].reset_index(drop=True)


@pytest.mark.parametrize("name", ["R", "commas in ids", "capitals", "parquet", "FASTA"])
def test_every_query_gives_the_same_predictions(ran, tmp_path, name):
    table = query(ran)
    plain, _ = predict(ran, save(table, tmp_path / "plain.tsv"))
    ids = [f"chr1:{i},{i + 200}" for i in range(8)] if name == "commas in ids" else table["name"].tolist()
    file = tmp_path / "query"
    if name == "R":
        table.set_axis(range(1, 9)).to_csv(file, quoting=csv.QUOTE_ALL)
    elif name == "commas in ids":
        pd.DataFrame({"seq": table["seq"], "seq_id": ids}).to_csv(file, index=False)
        plain, _ = predict(ran, save(table.assign(name=[f"x{i}" for i in range(8)]), tmp_path / "plain.tsv"))
    elif name == "capitals":
        save(table.rename(columns={"seq": "SEQ"}), file)
    elif name == "parquet":
        table.to_parquet(file)
    else:
        file.write_text(
            "".join(f">{row.name_} about\n{row.seq}\n" for row in table.rename(columns={"name": "name_"}).itertuples())
        )
    predicted, _ = predict(ran, file)
    assert predicted["seq_id"].tolist() == ids
    np.testing.assert_array_equal(predicted["prediction"], plain["prediction"])


@pytest.mark.parametrize("cell", ["nan", "-5"])
def test_a_strand_that_is_neither_0_nor_1_is_named(ran, tmp_path, cell):
    table = query(ran).assign(is_reverse=["0", "1", "0", cell, "0", "1", "0", "1"])
    _, done = predict(ran, save(table, tmp_path / "query.tsv"))
    assert f"line 5, column 'is_reverse': 0 or 1 (or + and -) is expected, got '{cell}'" in done.stderr


def test_a_folder_of_trainings_or_a_name_is_their_mean(ran, tmp_path):
    file = save(query(ran), tmp_path / "q.tsv")
    mean = np.mean([predict(ran, file, weights=t.folder)[0]["prediction"] for t in ran[2]], axis=0)
    for weights in (ran[2][0].folder.parent, "kmer_ridge"):
        predicted, done = predict(ran, file, "--task", "human_mpra", weights=weights)
        np.testing.assert_allclose(predicted["prediction"], mean, atol=1e-6)
        assert "Mean of 2 trainings of kmer_ridge" in done.stdout


def test_both_strands_are_averaged_on_request(ran, tmp_path):
    table = query(ran).assign(is_reverse=0)
    inserts = table["seq"].str[15:215].map(turned)
    other = table.assign(seq=LEFT + inserts + RIGHT, is_reverse=1)
    each = [predict(ran, save(t, tmp_path / "q.tsv"))[0]["prediction"] for t in (table, other)]
    both, done = predict(ran, save(table, tmp_path / "q.tsv"), "--both-strands")
    np.testing.assert_allclose(both["prediction"], np.mean(each, axis=0), atol=1e-6)
    assert "averaged over both strands" in done.stdout


def test_ambiguous_letters_are_n_and_counted(ran, tmp_path):
    table = query(ran)
    table["seq"] = table["seq"].str.slice_replace(50, 52, "RY")
    predicted, done = predict(ran, save(table, tmp_path / "q.tsv"))
    with_n, _ = predict(
        ran, save(table.assign(seq=table["seq"].str.replace("[RY]", "N", regex=True)), tmp_path / "n.tsv")
    )
    np.testing.assert_array_equal(predicted["prediction"], with_n["prediction"])
    assert "16 letters in 8 sequences stand for several bases" in done.stdout
    assert "line 2" in done.stdout


def test_an_id_of_several_sequences_is_no_reference(ran, tmp_path):
    table = query(ran)
    table.loc[[1, 3, 4], "name"] = "twin"
    save(table, tmp_path / "q.tsv")
    (tmp_path / "pairs.tsv").write_text("seq_id\tposition\talt\ntwin\t50\tA\n")
    words = ["--pairs", tmp_path / "pairs.tsv", "--input", tmp_path / "q.tsv", "--out", tmp_path / "e.csv"]
    done = call("ism-pairs", "--run", ran[2][0].folder, *words)
    assert "'twin'" in done.stderr
    assert "lines 3, 5, 6" in done.stderr


def test_saturation_in_lower_case_has_the_same_effects(ran, tmp_path):
    text = query(ran)["seq"][0][15:215]
    rows = [(1000 + i, base, alt, 0.5, "E") for i, base in enumerate(text) for alt in "ACGT" if alt != base]
    table = pd.DataFrame(rows, columns=["Position", "Ref", "Alt", "Value", "Element"])
    effects = []
    for name in ("upper", "lower"):
        if name == "lower":
            table.loc[::2, "Alt"] = table["Alt"][::2].str.lower()
        file = save(table, tmp_path / f"{name}.tsv")
        call("ism-pairs", "--run", ran[2][0].folder, "--pairs", file, "--out", tmp_path / "e.csv")
        effects.append(pd.read_csv(tmp_path / "e.csv"))
    assert len(effects[0]) == len(rows)
    pd.testing.assert_frame_equal(*effects)


def test_a_record_that_cannot_be_scored_is_passed_over(ran, tmp_path):
    shutil.copytree(ran[0] / "results", tmp_path / "results")
    (first, *_) = (t for t in Store(tmp_path / "results").finished_trainings("human_mpra") if "kmer" in str(t.folder))
    (first.folder / "predictions.npz").write_bytes(b"PK damaged")
    done = CliRunner().invoke(app, ["score", "--json", "--results", str(tmp_path / "results")])
    assert done.exit_code == 0
    assert re.search(r"kmer_ridge-\w+/test-00_val-\d\d was not scored: ", done.stderr)
    assert {row["test_fold"] for row in json.loads(done.stdout) if row["model"] == "kmer_ridge"} == {1}


@pytest.mark.parametrize("mark", ["_Reversed:", "_Reversed", "_R", "drosophila"])
def test_strands_are_read_alike_to_train_and_to_predict(tmp_path, mark):
    if mark == "drosophila":
        task, rng = registry.get_task("drosophila"), np.random.default_rng(5)
        rows = []
        for i in range(60):
            chrom, text = ("chr2L", "chr2R", "chrX")[i % 3], "".join(rng.choice(list("ACGT"), 249))
            for strand, side in (("+", text), ("-", turned(text))):
                values = rng.normal(size=2).round(3)
                rows.append((chrom, 1000 * i, 1000 * i + 248, f"{chrom}_{i}_{strand}_peak", side, *values))
        names = ["seqnames", "start", "end", "ID", "Sequence", "Dev_log2_enrichment", "Hk_log2_enrichment"]
        table = pd.DataFrame(rows, columns=names)
    else:
        task, table = TASK, elements()
        table["seq_id"] = table["seq_id"].str.replace("_Reversed:", mark)
    file = save(table.sample(frac=1, random_state=1), tmp_path / "t.tsv")
    trained = task.load(file, split=task.SPLITS[0])
    ((_, queried),) = SequenceFile(file, task, task.SPEC).read()
    assert trained.meta["is_reverse"].sum() == len(table) / 2
    np.testing.assert_array_equal(queried.meta["is_reverse"], trained.meta["is_reverse"])
    np.testing.assert_array_equal(queried.codes, trained.codes)


# --- yeast


def test_bare_regions_get_their_adapters():
    task, rng = registry.get_task("yeast"), np.random.default_rng(4)
    regions = ["".join(rng.choice(list("ACGT"), 80)) for _ in range(5)]
    whole = [YEAST_LEFT + region + YEAST_RIGHT for region in regions]
    np.testing.assert_array_equal(task.encode(regions), task.encode(whole))
    np.testing.assert_array_equal(task.offsets(regions), task.offsets(whole) + len(YEAST_LEFT))
    assert task.flank_note([*regions, *whole]) == "5 bare regions of 80 bases got the adapters added."


@pytest.mark.parametrize(
    ("text", "says"), [("A" * 75, "75 bases without adapters"), ("G" * 80 + YEAST_RIGHT, "lacks the left")]
)
def test_rows_that_would_be_overwritten_are_refused(text, says):
    with pytest.raises(ValueError, match=says):
        registry.get_task("yeast").encode([text])
