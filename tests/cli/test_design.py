"""`design` from the command line: the tutorial, a killed search, names of models, and one sentence for bad input."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.apps.design.predictor import Predictor
from benchmarks.cli.main import app
from benchmarks.engine.figures import design as design_figures
from benchmarks.engine.figures import style
from benchmarks.engine.inference import load, mutagenesis
from benchmarks.errors import BadInput
from benchmarks.yeast import challenge_score, simulate, test_set
from benchmarks.yeast.task import CONSTRUCT
from tests.helpers import documented
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.usefixtures("without_plots")

RUNNER = CliRunner()


def design(*words, ok=True):
    done = RUNNER.invoke(app, ["design", *map(str, words)])
    assert (done.exit_code == 0) is ok, done.output
    return done


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two small trainings of yeast, two of another task."""
    folder = tmp_path_factory.mktemp("results")
    for task in ("yeast", "human_mpra"):
        words = ["--members", "2"] if task == "yeast" else ["--folds", "0"]
        done = RUNNER.invoke(
            app,
            ["run", "--task", task, "--models", "kmer_ridge", "--results", str(folder), "--workers", "0", *words],
        )
        assert done.exit_code == 0, done.output
    return folder


def runs_of(results, task):
    (folder,) = {file.parent.parent for file in results.glob(f"runs/{task}/*/kmer_ridge-*/test-*/job.json")}
    return folder


def read(file):
    return pd.read_csv(file, sep="\t", keep_default_na=False)


SMALL = ("--population", 200, "--generations", 3)


# The tutorial


@pytest.mark.slow
def test_the_tutorial_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = documented.run("designing.md")
    assert len(printed) >= 15
    assert "Measure them" in next(out for line, out in printed.items() if line.endswith("--out to_order"))
    assert not (tmp_path / "to_order" / test_set.TRUTH).exists()
    assert not list(tmp_path.glob("*.partial"))
    *_, text, last = printed.values()
    assert text.startswith("SIMULATED DATA")
    scored = json.loads(last)
    assert scored["origin"] == "simulated"
    parts = {row["subset"] for row in scored["scores"]}
    assert parts == {"challenge", *challenge_score.WEIGHTS} - {"native"}

    # what was scored is what the simulated world says of the oligos, and what the models predict of them
    test = test_set.read(tmp_path / "designed")
    oligos = read(tmp_path / "designed" / "oligos.tsv")
    assert oligos["sequence"].tolist() == test.sequences.tolist()
    true = simulate.expression(CONSTRUCT.inserts(oligos["insert"].tolist()))
    np.testing.assert_allclose(test.y_true, true, rtol=1e-9)
    given = pd.read_csv(tmp_path / "kmer_ridge.txt", sep="\t", header=None)
    challenging = test.singles["challenging"]
    r = np.corrcoef(test.y_true[challenging], given[1].to_numpy()[challenging])[0, 1]
    found = next(row for row in scored["scores"] if (row["subset"], row["metric"]) == ("challenging", "pearson_r"))
    assert found["value"] == pytest.approx(r)
    for name in ("ab", "ba"):  # the models were driven apart, either way
        table = read(tmp_path / f"{name}.tsv")
        assert set(table["trained_on"]) == {"simulated"}
        first, second = (table[f"predicted {model}"] for model in ("vaishnav", "kmer_ridge"))
        assert ((first - second).mean() > 1) if name == "ab" else ((second - first).mean() > 1)


# Predictions


def test_candidates_get_the_predictions_of_their_sequences(results, tmp_path):
    out = tmp_path / "high.tsv"
    design("high", "--run", runs_of(results, "yeast"), *SMALL, "--n", 40, "--out", out)
    table = read(out)
    folders = sorted(runs_of(results, "yeast").glob("test-*"))
    assert len(folders) == 2
    expected = []
    for folder in folders:
        one = load.open_model(folder)
        data = mutagenesis.of_codes(one.task.encode(table["sequence"].tolist()), one.task.SPEC)
        expected.append(one.model.predict(data)["expression"])
    np.testing.assert_allclose(table["predicted kmer_ridge"], np.mean(expected, axis=0), rtol=1e-5)
    assert (table["sequence"] == CONSTRUCT.left + table["insert"] + CONSTRUCT.right).all()
    assert (np.diff(table["predicted kmer_ridge"]) <= 0).all()
    history = pd.read_csv(tmp_path / "high.history.csv")
    assert history["generation"].tolist() == [0, 1, 2, 3]
    assert set(history["trained_on"]) == {"simulated"}


def test_a_name_stands_for_the_latest_run_and_low_is_not_high(results, tmp_path):
    found = {}
    for kind in ("high", "low"):
        out = tmp_path / f"{kind}.tsv"
        words = ("--run", "kmer_ridge", "--results", results, *SMALL, "--n", 20, "--out", out, "--json")
        printed = json.loads(design(kind, *words).stdout)
        assert printed["trained_on"] == "simulated"
        assert printed["n"] == 20
        assert printed["n_predicted"] > 200
        found[kind] = read(out)
        assert set(found[kind]["subset"]) == {kind}
    assert found["low"]["predicted kmer_ridge"].max() < found["high"]["predicted kmer_ridge"].min()


def test_a_model_of_an_earlier_run_is_told_by_its_folder(results, tmp_path):
    shutil.copytree(results, tmp_path / "results")
    folder = runs_of(tmp_path / "results", "yeast")
    folder = folder.rename(folder.with_name("vaishnav-0123abcd"))  # as if another run had been the latest
    for file in folder.glob("*/job.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"model": "vaishnav"}))
    words = ("high", "--run", "vaishnav", "--results", tmp_path / "results", *SMALL, "--out", tmp_path / "high.tsv")
    assert f"name its folder: {folder}." in design(*words, ok=False).stderr


def test_other_tasks_are_designed_for_as_well(results, tmp_path):
    out = tmp_path / "high.tsv"
    design("high", "--run", runs_of(results, "human_mpra"), *SMALL, "--n", 5, "--out", out)
    assert set(read(out)["insert"].str.len()) == {200}
    assert set(read(out)["sequence"].str.len()) == {230}


def test_sets_of_one_seed_share_no_backgrounds(tmp_path):
    design("random", "--n", 5, "--out", tmp_path / "r.tsv")
    design("snv", "--n", 5, "--steps", 1, "--out", tmp_path / "s.tsv")
    design("tile", "--n", 3, "--out", tmp_path / "t.tsv")
    sets = [set(read(tmp_path / f"{name}.tsv").query("ref_tag == ''")["insert"]) for name in "rst"]
    assert len(set.union(*sets)) == 13
    design("random", "--n", 3, "--input", tmp_path / "s.tsv", "--out", tmp_path / "drawn.tsv")
    drawn = read(tmp_path / "drawn.tsv")
    source = read(tmp_path / "s.tsv").set_index("tag")["insert"]
    assert source[drawn["tag"]].tolist() == drawn["insert"].tolist()
    assert set(drawn["trained_on"]) == {""}


# Stopping


@pytest.mark.slow
def test_a_killed_search_goes_on_to_the_same_sequences(results, tmp_path):
    words = ["--run", str(runs_of(results, "yeast")), "--population", "3000", "--generations", "25", "--n", "50"]
    design("high", *words, "--out", tmp_path / "expected.tsv")
    out = tmp_path / "high.tsv"
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "design", "high", *words, "--out", str(out)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    partial = tmp_path / "high.tsv.partial"
    until = time.monotonic() + 120
    while not list(partial.glob("search/epoch-*")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert list(partial.glob("search/epoch-*"))
    refused = design("high", *words, "--seed", 1, "--out", out, ok=False)
    assert refused.exit_code == 2
    assert "another seed (0, not 1)" in refused.output
    done = design("high", *words, "--out", out)
    assert "Going on with" in done.stderr
    assert out.read_bytes() == (tmp_path / "expected.tsv").read_bytes()
    assert (tmp_path / "high.history.csv").read_bytes() == (tmp_path / "expected.history.csv").read_bytes()
    assert not partial.exists()


# Bad input


@pytest.fixture(scope="module")
def bad(results, tmp_path_factory):
    """Words of commands that must be refused, and what they must say."""
    folder = tmp_path_factory.mktemp("bad")
    yeast, human = runs_of(results, "yeast"), runs_of(results, "human_mpra")
    (folder / "short.fa").write_text(">good\n" + "A" * 80 + "\n>short\nACGT\n")
    (folder / "there").mkdir()
    (folder / "empty.gtf").touch()
    out = ("--out", folder / "out.tsv")
    return {
        "another length": (
            ("challenging", "--run", yeast, "--run", human, *out),
            "kmer_ridge (yeast) reads inserts of 80 bp in 110, kmer_ridge 2 (human_mpra) of 200 in 230",
        ),
        "no such run": (("high", "--run", "kmer_rige", *out), "Did you mean 'kmer_ridge'"),
        "no training": (("high", "--run", "dream_cnn", "--results", results, *out), "has no finished training of it"),
        "one model": (("challenging", "--run", yeast, *out), "Two --run or more are expected"),
        "weights": (("challenging", "--run", yeast, "--run", yeast, "--weight", 1, *out), "One --weight per --run"),
        "no weight": (
            ("challenging", "--run", yeast, "--run", yeast, "--weight", 1, "--weight", 0, *out),
            "none of them 0",
        ),
        "output": (("high", "--run", yeast, "--output", "expresion", *out), "Did you mean 'expression'"),
        "mutation": (("high", "--run", yeast, "--mutate", "bised", *out), "Known: published, uniform"),
        "device": (("high", "--run", yeast, "--device", "gpu", *out), "expects auto, cpu or cuda"),
        "short input": (("tile", "--input", folder / "short.fa", *out), "short.fa, line 3: an insert of 80 bp or 110"),
        "no input": (("tile", "--input", folder / "absent.fa", *out), "No file at"),
        "no folder": (("tile", "--out", folder / "absent" / "t.tsv"), "absent, does not exist"),
        "a folder": (("tile", "--out", folder / "there"), "is a folder"),
        "gzip": (("tile", "--out", folder / "t.tsv.gz"), "leave out the .gz"),
        "twice": (("challenging", "--run", yeast, "--run", yeast, *out), "is named by two --run"),
        "too few candidates": (("high", "--run", yeast, "--population", 20, "--n", 21, *out), "holds no more; raise"),
        "two motifs": (("tile", "--motif", "X=ACGT", "--motif", "X=GGG", *out), "Two motifs are called X"),
        "motif of N": (("perturb", "--motif", "X=NNN", *out), "is of N alone"),
        "empty annotation": (
            ("native", "--genome", "g.fa", "--annotation", folder / "empty.gtf", *out),
            "empty.gtf is empty",
        ),
        "choice": (("snv", "--choose", "up", *out), "Known: decrease, increase, random"),
        "walks": (("snv", "--choose", "increase", "--walks", 2, *out), "are the same under --choose increase"),
        "no model": (("snv", "--choose", "increase", *out), "name one with --run"),
        "task": (("tile", "--task", "atac", *out), "Sequences for atac cannot be designed"),
        "too many": (("random", "--n", 3, "--input", folder / "two.fa", *out), "has 2 sequences"),
        "no genome": (("native", "--genome", "g.fa", "--annotation", "absent.gtf", *out), "no GTF file at absent.gtf"),
        "library there": (("library", "--part", "x.tsv", "--out", folder / "there"), "is there already"),
        "library part": (("library", "--part", folder / "x.tsv", "--out", folder / "lib"), "No file at"),
        "library task": (
            ("library", "--part", "x.tsv", "--task", "human_mpra", "--out", folder / "lib"),
            "no scoring of designed libraries",
        ),
    }


@pytest.mark.parametrize(
    "case",
    [
        "another length", "no such run", "no training", "one model", "weights", "no weight", "output", "mutation",
        "device", "short input", "no input", "no folder", "a folder", "gzip", "choice", "walks", "no model", "task",
        "too many", "twice", "too few candidates", "two motifs", "motif of N", "empty annotation", "no genome",
        "library there", "library part", "library task",
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence_and_nothing_is_written(bad, case):
    words, sentence = bad[case]
    folder = Path(bad["a folder"][0][-1]).parent
    (folder / "two.fa").write_text("".join(f">{i}\n{'ACGT'[i] * 80}\n" for i in range(2)))
    before = sorted(folder.rglob("*"))
    done = design(*words, ok=False)
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.output
    assert sorted(folder.rglob("*")) == before


def test_a_submission_is_of_a_yeast_model(results, tmp_path):
    design("random", "--n", 30, "--out", tmp_path / "r.tsv")
    design("library", "--part", tmp_path / "r.tsv", "--truth", "simulated", "--out", tmp_path / "lib")
    words = ["challenge", "submit", "--data", str(tmp_path / "lib"), "--out", str(tmp_path / "s.txt"), "--run"]
    done = RUNNER.invoke(app, [*words, str(runs_of(results, "human_mpra"))])
    assert done.exit_code == 2
    assert "was trained for human_mpra" in done.stderr
    assert not (tmp_path / "s.txt").exists()
    done = RUNNER.invoke(app, [*words, "kmer_ridge", "--results", str(results), "--ensemble", "--json"])
    said = json.loads(done.stdout)
    assert (said["trained_on"], said["ensemble"], len(said["trainings"])) == ("simulated", True, 2)
    about = json.loads((tmp_path / "s.txt.about").read_text())
    assert about == {name: value for name, value in said.items() if name != "out"}
    valid = RUNNER.invoke(
        app, ["challenge", "validate", "--data", str(tmp_path / "lib"), "--submission", str(tmp_path / "s.txt")]
    )
    assert valid.exit_code == 0, valid.output


def test_a_submission_is_not_written_over_a_folder(results, tmp_path):
    design("random", "--n", 3, "--out", tmp_path / "r.tsv")
    design("library", "--part", tmp_path / "r.tsv", "--truth", "simulated", "--out", tmp_path / "lib")
    before = sorted(tmp_path.rglob("*"))
    words = ["--data", str(tmp_path / "lib"), "--run", "kmer_ridge", "--results", str(results), "--out"]
    done = RUNNER.invoke(app, ["challenge", "submit", *words, str(tmp_path / "lib")])
    assert done.exit_code == 2
    assert "is a folder; a text file" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_fewer_distinct_sequences_than_asked_for_are_told(results, tmp_path):
    words = ("--run", runs_of(results, "yeast"), "--population", 20, "--generations", 4, "--n", 20)
    done = design("high", *words, "--out", tmp_path / "high.tsv")
    n = len(read(tmp_path / "high.tsv"))
    assert n < 20
    assert f"{n} of 20 sequences: no more of the last population differ" in done.stderr
    done = design("high", *words[:-1], 1, "--out", tmp_path / "one.tsv")
    assert "differ" not in done.stderr


def test_a_table_named_twice_is_compared_once(tmp_path):
    design("random", "--n", 4, "--out", tmp_path / "r.tsv")
    design("snv", "--n", 2, "--steps", 2, "--out", tmp_path / "s.tsv")
    parts = [word for name in "rsrs" for word in ("--part", tmp_path / f"{name}.tsv")]
    done = design("library", *parts, "--out", tmp_path / "lib", "--json")
    assert json.loads(done.stdout)["subsets"] == {"random": 4, "SNVs": 4}
    assert len(pd.read_csv(tmp_path / "lib" / "test_subset_ids" / "all_random_seqs.csv")) == 4


def test_the_origin_of_predictions_is_simulated_if_any_model_was():
    def one(trained_on):
        task = registry.get_task("yeast")
        return load.Trained(None, task, task.SPEC, "m", "m", trained_on)

    assert Predictor({"a": [one("measured")]}).trained_on == "measured"
    assert Predictor({"a": [one("measured")], "b": [one("simulated")]}).trained_on == "simulated"
    with pytest.raises(BadInput, match="cannot be designed"):
        Predictor({"a": [load.Trained(None, type("T", (), {"NAME": "atac"}), None, "m", "m", "measured")]})


def test_a_model_that_predicts_nan_is_refused():
    task = registry.get_task("yeast")

    class Broken:
        def predict(self, data):
            return {"expression": np.full(len(data), np.nan, np.float32)}

    predict = Predictor({"m": [load.Trained(Broken(), task, task.SPEC, "m", "m", "measured")]})
    with pytest.raises(BadInput, match="m predicts no finite number"):
        predict(np.zeros((3, 80), np.uint8))


def test_figures_say_that_data_are_simulated(tmp_path):
    history = pd.DataFrame({"generation": [0, 1], "best": [1.0, 2.0], "mean": [0.0, 1.0], "batch": [0, 0]})
    table = pd.DataFrame({"predicted a": [1.0, 2.0], "predicted b": [2.0, 0.5], "front": [1, 2]})
    for simulated in (True, False):
        for figure in (
            design_figures.search(history, simulated=simulated),
            design_figures.disagreement(table, ("a", "b"), simulated=simulated),
        ):
            said = any(text.get_text() == style.SIMULATED for text in figure.texts)
            assert said is simulated
    (scatter, *_), (best, *_) = (
        design_figures.disagreement(table, ("a", "b"), simulated=True).axes[0].collections,
        design_figures.search(history, simulated=True).axes[0].lines,
    )
    assert scatter.get_offsets().tolist() == [[2.0, 0.5]]
    assert best.get_ydata().tolist() == [1.0, 2.0]
