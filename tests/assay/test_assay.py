"""Task assay: tables of pipelines are told by themselves, related sequences share folds, every value is scored."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.api.sequences import decode
from benchmarks.assay import config, guess, read
from benchmarks.cli.main import app
from benchmarks.errors import BadInput

TASK = registry.get_task("assay")
COMPLEMENT = str.maketrans("ACGT", "TGCA")
RNG = np.random.default_rng(0)
N = 40
SEQS = ["".join(RNG.choice(list("ACGT"), n)) for n in RNG.integers(100, 121, N)]
IDS = [f"oligo {i} (chr{i % 4 + 1}:{1000 * i}-{1000 * i + 120})" for i in range(N)]
Y = RNG.normal(size=(N, 3)).round(4)


def save(table, path, **options):
    table.to_csv(path, sep="\t", index=False, na_rep="NA", **options)
    return path


def design(tmp_path, texts=SEQS, ids=None):
    """A FASTA whose names are the ids up to the first blank, so tables are written for ids with blanks."""
    table = pd.DataFrame({"name": ids or IDS, "sequence": texts})
    return save(table, tmp_path / "design.tsv")


def long_table():
    rows = [(r, IDS[i], 10, 20, 1.0, 2.0, round(Y[i, 0] + (r - 2) / 10, 4), 12) for r in (1, 2, 3) for i in range(N)]
    names = ["replicate", "oligo_name", "dna_counts", "rna_counts", "dna_normalized", "rna_normalized"]
    return pd.DataFrame(rows, columns=[*names, "log2FoldChange", "n_bc"])


FORMATS = {
    "plain": (pd.DataFrame({"seq": SEQS, "mean_value": Y[:, 0]}), False, ["expression"]),
    "IGVF reporter_experiment": (long_table(), True, ["expression"]),
    "IGVF reporter_element": (
        pd.DataFrame({"oligo_name": IDS, "log2FoldChange": Y[:, 0], "inputCount": 3.5, "outputCount": 4.5,
                      "minusLog10PValue": 1.0, "minusLog10QValue": 0.5}),
        True,
        ["expression"],
    ),
    "MPRAsnakeflow, merged": (
        pd.DataFrame({"name": IDS, "dna_counts": 5, "rna_counts": 7, "dna_normalized": 1.5, "rna_normalized": 2.5,
                      "log2": Y[:, 0], "n_obs_bc": 20}),
        True,
        ["expression"],
    ),
    "mpralm": (
        pd.DataFrame({"": IDS, "logFC": Y[:, 0], "AveExpr": 1.5, "t": 2.5, "P.Value": 0.01, "adj.P.Val": 0.02}),
        True,
        ["expression"],
    ),
    "Gosai 2024": (
        pd.DataFrame({"ID": IDS, "chr": [f"{i % 4 + 1}" for i in range(N)], "K562_log2FC": Y[:, 0],
                      "HepG2_log2FC": Y[:, 1], "SKNSH_log2FC": Y[:, 2], "K562_lfcSE": 0.2, "HepG2_lfcSE": 0.2,
                      "SKNSH_lfcSE": 0.2, "sequence": SEQS}),
        False,
        ["K562", "HepG2", "SKNSH"],
    ),
    "joint library": (
        pd.DataFrame({"name": IDS, "seq200": SEQS, "HepG2": Y[:, 0], "K562": Y[:, 1], "WTC11": Y[:, 2]}),
        False,
        ["HepG2", "K562", "WTC11"],
    ),
    "joint library, units in the header": (
        pd.DataFrame({"name": IDS, "seq": SEQS, "HepG2 [log2(rna/dna)]": Y[:, 0], "K562 [log2(rna/dna)]": Y[:, 1]}),
        False,
        ["HepG2", "K562"],
    ),
    "MPRA-MNIST": (
        pd.DataFrame({"seq_id": IDS, "chromosome": "chr1", "start": 5, "end": 205, "strand": "+", "seq": SEQS,
                      "expression": Y[:, 0], "averaged_expression": 9.9, "fold": [i % 5 + 1 for i in range(N)]}),
        False,
        ["expression"],
    ),
    "DeepSTARR": (
        pd.DataFrame({"ID": IDS, "Sequence": SEQS, "Dev_log2_enrichment": Y[:, 0], "Hk_log2_enrichment": Y[:, 1]}),
        False,
        ["Dev", "Hk"],
    ),
    "replicates": (
        pd.DataFrame({"oligo": IDS, "sequence": SEQS, "value": Y[:, 0], "rep1": Y[:, 0] + 0.1, "rep2": Y[:, 0] - 0.1}),
        False,
        ["expression"],
    ),
    "promoters of yeast": (pd.DataFrame({"sequence": SEQS, "expression": Y[:, 0] + 9}), False, ["expression"]),
}  # fmt: skip


PIPELINE = {
    "IGVF reporter_experiment": "IGVF reporter_experiment,",
    "IGVF reporter_element": "IGVF reporter_element",
    "MPRAsnakeflow, merged": "merged counts of MPRAsnakeflow",
    "mpralm": "limma",
    "Gosai 2024": "Gosai et al. 2024",
    "MPRA-MNIST": "MPRA-MNIST",
    "DeepSTARR": "DeepSTARR",
}


@pytest.mark.parametrize("name", FORMATS)
def test_tables_of_pipelines_are_told_by_themselves(tmp_path, name):
    table, needs_design, outputs = FORMATS[name]
    file = save(table, tmp_path / "table.tsv")
    words = ["--sequences", str(design(tmp_path))] if needs_design else []
    done = CliRunner().invoke(app, ["assay", "init", str(file), *words])
    assert done.exit_code == 0, done.output
    assert (PIPELINE.get(name) or "") in done.output
    assert ("By its columns" in done.output) == (name in PIPELINE)
    data = TASK.load(tmp_path / "assay.yaml")
    assert list(data.targets) == outputs
    assert [text.strip("N") for text in decode(data.codes)] == SEQS
    for k, output in enumerate(outputs):
        shift = 9 if name == "promoters of yeast" else 0
        np.testing.assert_allclose(data.targets[output], Y[:, k] + shift, atol=1e-4)
    if name == "MPRA-MNIST":
        assert data.meta["fold"].tolist() == [i % 5 for i in range(N)]
    assert bool(data.ceilings) == (name in ("replicates", "IGVF reporter_experiment"))


def test_ids_that_do_not_join_are_shown_from_both_sides(tmp_path):
    file = save(FORMATS["mpralm"][0], tmp_path / "table.tsv")
    other = design(tmp_path, ids=[f"x{i}" for i in range(N)])
    found = guess.guess(file, other).config
    with pytest.raises(BadInput, match=r"oligo 0 \(chr1.*x0"):
        read.read(found, tmp_path, "t")


def table_of(rng, n):
    """A random table: lengths, orientations, alleles, groups, copies, missing values, controls."""
    rows = []
    for i in range(n):
        text = "".join(rng.choice(list("ACGT"), int(rng.integers(30, 41))))
        kind = rng.integers(0, 5)
        group = f"locus{i // 3}" if rng.random() < 0.3 else f"own{i}"
        rows.append((f"e{i}", text, group))
        if kind == 1:
            rows.append((f"e{i}_rc", text[::-1].translate(COMPLEMENT), f"own{i}x"))
        if kind == 2:
            at = int(rng.integers(0, len(text)))
            rows.append((f"e{i}:ref", text, f"own{i}r"))
            rows.append((f"e{i}:alt", text[:at] + "ACGT"["ACGT".index(text[at]) - 1] + text[at + 1 :], f"own{i}a"))
        if kind == 3:
            rows.append((f"copy{i}", text, f"own{i}c"))
    table = pd.DataFrame(rows, columns=["id", "seq", "group"])
    table["class"] = np.where(rng.random(len(table)) < 0.1, "negative control", "test")
    for output in ("a", "b"):
        table[f"{output}_log2FC"] = rng.normal(size=len(table)).round(3)
        table.loc[rng.random(len(table)) < 0.03, f"{output}_log2FC"] = np.nan
    return table


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_random_tables_are_split_and_scored_whole(tmp_path, seed):
    rng = np.random.default_rng(seed)
    table = table_of(rng, 40)
    data = TASK.load(save(table, tmp_path / "t.tsv"))
    complete = table.dropna(subset=["a_log2FC", "b_log2FC"], how="all")
    assert sorted(data.meta["seq_id"]) == sorted(complete["id"])
    scored = TASK.score(data, {name: np.arange(len(data.codes)) for name in data.targets})
    rows = scored.query("subset == 'all' and level == 'row' and metric == 'mse'").set_index("output")["n"]
    used = complete[complete["class"] == "test"]
    assert rows.to_dict() == {"a": used["a_log2FC"].notna().sum(), "b": used["b_log2FC"].notna().sum()}
    fold_of = dict(zip(data.meta["seq_id"], data.meta["fold"], strict=True))
    for related in (complete.groupby("group")["id"], complete.groupby(complete["id"].str.partition(":")[0])["id"]):
        assert all(len({fold_of[name] for name in names}) == 1 for _, names in related)
    canonical = complete["seq"].map(lambda text: min(text, text[::-1].translate(COMPLEMENT)))
    assert all(len({fold_of[name] for name in names}) == 1 for _, names in complete["id"].groupby(canonical))
    tested = np.zeros(len(data), dtype=int)
    for split in TASK.splits(data.meta):
        groups = [set(data.meta["group"].to_numpy()[rows]) for rows in (split.train, split.val, split.test)]
        assert not groups[0] & groups[2]
        assert not groups[1] & groups[2]
        assert not data.meta["is_control"].to_numpy()[[*split.train, *split.val]].any()
        if split.val_fold == (1 if split.test_fold == 0 else 0):
            tested[split.test] += 1
    assert (tested == 1).all()
    assert ((data.codes != 4).sum(axis=1) == complete.set_index("id")["seq"].str.len()[data.meta["seq_id"]]).all()


@pytest.mark.parametrize("split", ["groups", "homology", "chromosomes", "blocks"])
def test_permuting_rows_changes_no_fold(tmp_path, split):
    table = table_of(np.random.default_rng(3), 40)
    table["chr"] = [f"chr{i % 7}" for i in range(len(table))]
    table["start"] = [500 * (i // 7) for i in range(len(table))]
    one, other = (
        TASK.load(save(rows, tmp_path / f"{name}.tsv"), split=split).meta.set_index("seq_id")[["fold", "group"]]
        for name, rows in (("one", table), ("two", table.sample(frac=1, random_state=1)))
    )
    other = other.loc[one.index]
    assert one["fold"].tolist() == other["fold"].tolist()
    pairs = set(zip(one["group"], other["group"], strict=True))
    assert len(pairs) == one["group"].nunique() == other["group"].nunique()


BAD = {
    "unknown key": ("table: t.tsv\nvalue: {y: y}\n", "line 2: .*'value'"),
    "no values": ("table: t.tsv\n", "values is missing"),
    "type": ("table: t.tsv\nvalues: {y: y}\nn_folds: many\n", "line 3: n_folds is expected to be a whole number"),
    "split": ("table: t.tsv\nvalues: {y: y}\nsplit: random\n", "line 3: split is expected to be groups"),
    "not YAML": ("table: [\n", "YAML is expected"),
    "a list": ("- table\n", "keys and values"),
    "column": ("table: t.tsv\nvalues: {y: z}\nsequence: seq\n", "line 2: .*no column 'z'.*seq, y"),
    "column on its own line": ("table: t.tsv\nsequence: seq\nvalues:\n  a: y\n  b: z\n", "line 5: .*no column 'z'"),
    "where": ("table: t.tsv\nvalues: {y: y}\nsequence: seq\nwhere: {z: a}\n", "line 4: .*no column 'z'"),
    "where nothing": ("table: t.tsv\nvalues: {y: y}\nsequence: seq\nwhere: {y: []}\n", "line 4: .*a value at least"),
    "replicates": ("table: t.tsv\nsequence: seq\nreplicates: {y: [y, r2]}\n", "line 3: .*no column 'r2'"),
    "too many folds": ("table: t.tsv\nvalues: {y: y}\nsequence: seq\ngroup: y\nn_folds: 20\nlength: 9\n", "line 6"),
    "chromosome": (
        "table: t.tsv\nvalues: {y: y}\nsequence: seq\nchromosome: seq\nsplit: chromosomes\n"
        "test: [a]\nvalidation: [b]\n",
        "line 6: .*no row has 'a'",
    ),
    "adapters": ("table: t.tsv\nvalues: {y: y}\nadapters: [AXC, T]\n", "line 3: adapters is expected"),
    "other adapters": ("table: t.tsv\nvalues: {y: y}\nsequence: seq\nadapters: [ACACACACAC, '']\n", "rows lack them"),
    "length": ("table: t.tsv\nvalues: {y: y}\nsequence: seq\nlength: 50\n", "at most 50 bp expected"),
    "no chromosomes": ("table: t.tsv\nvalues: {y: y}\nsplit: chromosomes\n", "line 3: split needs `chromosome"),
    "no fold": ("table: t.tsv\nsplit: column\nvalues: {y: y}\n", "line 2: split needs `fold"),
    "weights": ("table: t.tsv\nvalues: {y: y}\nweights: errors\n", "line 3: weights needs `errors"),
    "errors": ("table: t.tsv\nvalues: {y: y}\nerrors: {z: se}\n", "line 3: errors needs outputs"),
    "test alone": (
        "table: t.tsv\nvalues: {y: y}\nchromosome: seq\nsplit: chromosomes\ntest: [1]\n",
        "line 5: test needs `validation",
    ),
    "pad": ("table: t.tsv\nvalues: {y: y}\npad: middle\n", "line 3: pad is expected to be both, left or right"),
    "header": (
        "table: t.tsv\nvalues: {y: y}\nsequence: seq\nheader: [a]\n",
        "has 2 columns; header in assay.yaml names 1",
    ),
    "no sequences": ("table: t.tsv\nvalues: {y: y}\n", "line 1: table needs `sequence: COLUMN`"),
    "twice": ("table: t.tsv\nvalues: {y: y}\ntable: u.tsv\n", "line 3: 'table' appears a second time"),
    "a path for a name": ("table: t.tsv\nvalues: {y: y}\nname: ../../x\n", "line 3: name is expected to be of letters"),
    "a path for an output": ("table: t.tsv\nvalues: {../y: y}\n", "line 2: names of outputs"),
    "a folder": ("table: .\nvalues: {y: y}\nsequence: seq\n", "is a folder; a table file is expected"),
    "negative places": (
        "table: t.tsv\nvalues: {y: y}\nsequence: seq\nchromosome: seq\nstart: y\nsplit: blocks\n",
        "column 'y': a whole number",
    ),
    "counts": ("table: t.tsv\ndna: [a]\nrna: [b, c]\nid: x\n", "line 2: dna needs as many columns as `rna`"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_config_is_one_sentence(tmp_path, name):
    text, says = BAD[name]
    save(pd.DataFrame({"seq": SEQS, "y": Y[:, 0]}), tmp_path / "t.tsv")
    (tmp_path / "assay.yaml").write_text(text)
    with pytest.raises(BadInput, match=says):
        TASK.load(tmp_path / "assay.yaml")


def test_a_config_comes_back_as_it_was_written(tmp_path):
    found = config.AssayConfig(
        table="t.tsv",
        values={"K562_log2": "K562 [log2(rna/dna)]"},
        replicates={"K562_log2": ["r1", "r2"]},
        element_class="class",
        controls=["neg: 1"],
        id="no",
        max_error=0.5,
        errors={"K562_log2": "se"},
        test=["7", "13"],
        validation=["X"],
        chromosome="chr",
        split="chromosomes",
        sequence="seq",
    )
    (tmp_path / "a.yaml").write_text(config.to_yaml(found, ["first line"]))
    assert config.read(tmp_path / "a.yaml") == found


def test_whole_chromosomes_are_held_out(tmp_path):
    file = save(FORMATS["Gosai 2024"][0], tmp_path / "t.tsv")
    data = TASK.load(file, split="chromosomes")
    by_chromosome = data.meta["fold"].groupby(FORMATS["Gosai 2024"][0]["chr"].to_numpy()).nunique()
    assert (by_chromosome == 1).all()
    assert data.meta["fold"].nunique() == 4


def test_the_simulated_assay_is_read_as_anybody_s():
    data = TASK.simulate(seed=0)
    assert data.origin == "simulated"
    assert list(data.targets) == list(TASK.SPEC.outputs)
    assert TASK.spec(data).seq_len == TASK.SPEC.seq_len
    assert data.meta["is_control"].sum() == 60
    assert {row["output"] for row in data.ceilings} == set(TASK.SPEC.outputs)


def test_an_assay_runs_and_predicts_from_a_table_alone(tmp_path, without_plots):
    table = table_of(np.random.default_rng(4), 60)
    file = save(table, tmp_path / "t.tsv")
    words = ["--models", "kmer_ridge", "--folds", "0", "--workers", "0", "--results", str(tmp_path / "results")]
    done = CliRunner().invoke(app, ["run", "--task", "assay", "--data", str(file), *words, "--json"])
    assert done.exit_code == 0, done.output
    scores = pd.DataFrame(json.loads(done.stdout)["scores"])
    assert {"all", "test"} <= set(scores["subset"])
    assert set(scores["output"]) == {"a", "b"}
    (training,) = (tmp_path / "results" / "runs").glob("*/*/*/test-*")
    query = save(table[["id", "seq"]], tmp_path / "q.tsv")
    done = CliRunner().invoke(
        app, ["predict", "--weights", str(training), "--input", str(query), "--out", str(tmp_path / "p.tsv")]
    )
    assert done.exit_code == 0, done.output
    predicted = pd.read_csv(tmp_path / "p.tsv", sep="\t").set_index("seq_id")
    data = TASK.load(file)
    with np.load(training / "predictions.npz") as stored:
        ids = data.meta["seq_id"].to_numpy()[stored["rows"]]
        np.testing.assert_allclose(predicted.loc[ids, "a"], stored["output_a"], atol=1e-4)
