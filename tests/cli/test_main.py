"""The command line as people and scripts meet it: exit codes, one-sentence errors, JSON, no heavy imports."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.cli.main import app
from tests.helpers.paths import ROOT


def call(*words, cwd=None):
    """Run a command in this process; returns exit code, stdout and stderr."""
    done = CliRunner().invoke(app, list(map(str, words)), env={"COLUMNS": "200"})
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def run(results, *words):
    return call("run", "--task", "human_mpra", "--results", results, "--workers", 0, "--device", "cpu", *words)


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "--json"],
        ["--help"],
        ["run", "--help"],
        ["info", "human_mpra"],
        ["info", "dream_cnn"],
        ["info", "mprann", "--json"],
        ["run", "--task", "human_mpra", "--dry-run"],
        ["run", "--task", "human_mpra", "--preset", "paper", "--dry-run"],
    ],
    ids=" ".join,
)
def test_no_framework_is_imported(words, tmp_path):
    code = (
        "import sys, runpy, atexit\n"
        "heavy = {'torch', 'keras', 'tensorflow', 'matplotlib'}\n"
        "atexit.register(lambda: print('HEAVY', sorted(heavy & set(sys.modules))))\n"
        f"sys.argv = ['benchmarks', *{words!r}]\n"
        "runpy.run_module('benchmarks', run_name='__main__')\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["run", "list", "info", "score", "compare", "report", "bench speed"])
def test_help_has_examples(command):
    code, out, _ = call(*command.split(), "--help")
    assert code == 0
    assert f"python -m benchmarks {command}" in out


def test_names_of_a_list_stand_apart_from_what_follows():
    code, out, _ = call("list")
    names = {line.split()[0] for line in out.splitlines() if line.startswith("  ")}
    assert code == 0
    assert {"dream_rnn_keras", "vaishnav_notebook", "human_mpra", "prix_fixe.…"} <= names


def test_list_as_json_names_tasks_and_models():
    code, out, _ = call("list", "--json")
    listed = json.loads(out)
    assert code == 0
    assert {"human_mpra", "drosophila", "yeast", "atac", "assay"} == {t["name"] for t in listed["tasks"]}
    baselines = {"mprann", "deepstarr", "kmer_ridge", "vaishnav", "vaishnav_notebook"}
    of_profiles = {"bpnet", "bpnet_bias", "chrombpnet", "dream_cnn_keras", "dream_rnn_keras"}
    assert {"dream_cnn", "dream_rnn", "dream_attn"} | baselines | of_profiles == {m["name"] for m in listed["models"]}


def test_dry_run_prints_the_published_matrix_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["run", "--task", "human_mpra", "--preset", "paper", "--dry-run"]
    code, out, _ = call(*words)
    assert code == 0
    assert "= 1,080 trainings, 0 done" in out
    assert list(tmp_path.iterdir()) == []
    code, out, _ = call(*words, "--json")
    assert json.loads(out)["n_trainings"] == 1080


GOOD = "A" * 230
HEAD = "seq_id\tseq\tmean_value\tfold\n"


def rows(n=30):
    """Rows whose sequences, ids and folds are in order."""
    bases = "ACGT"
    return [
        f"e{i}_F\t{'A' * 15 + bases[i % 4] + bases[i // 4 % 4] + bases[i // 16] + 'A' * 212}\t{i / 7}\t{i % 10}\n"
        for i in range(n)
    ]


def with_row(number, text):
    """A table whose line `number` (the header is line 1) is bad."""
    lines = [HEAD, *rows()]
    lines[number - 1] = text
    return "".join(lines)


BAD_TABLES = {
    "missing column": (
        "seq_id\tseq\tfold\n" + f"a\t{GOOD}\t1\n",
        ["no column of activities", "'mean_value'", "seq_id, seq, fold"],
    ),
    "no known layout": ("a\tb\n1\t2\n", ["no column of sequences", "a, b", "--columns"]),
    "wrong length": (with_row(5, f"x_F\t{'A' * 229}\t1.0\t1\n"), ["line 5", "'seq'", "got 229 bp"]),
    "letter": (with_row(7, f"x_F\t{'A' * 9}X{'A' * 220}\t1.0\t1\n"), ["line 7", "'X'", "position 10", "ACGTN"]),
    "NaN target": (
        with_row(4, f"x_F\t{GOOD}\tnan\t1\n"),
        ["line 4", "'mean_value'", "finite number expected", "'nan'"],
    ),
    "text target": (with_row(9, f"x_F\t{GOOD}\thigh\t1\n"), ["line 9", "'mean_value'", "'high'"]),
    "empty target": (with_row(9, f"x_F\t{GOOD}\t\t1\n"), ["line 9", "'mean_value'", "got nothing"]),
    "same id, other sequence": (
        with_row(8, f"e0_F\t{GOOD[:-1]}C\t0.0\t0\n"),
        ["line 8", "'e0_F'", "line 2", "another sequence"],
    ),
    "same id, other value": (
        with_row(8, rows()[0].replace("\t0.0\t", "\t9.0\t")),
        ["line 8", "line 2", "another value"],
    ),
    "text fold": (with_row(3, f"x_F\t{GOOD}\t1.0\tone\n"), ["line 3", "'fold'", "whole number", "'one'"]),
    "extra column": (with_row(6, f"x_F\t{GOOD}\t1.0\t1\textra\n"), ["line 6", "4 columns expected", "got 5"]),
    "empty": ("", ["is empty"]),
    "header only": (HEAD, ["is empty below its header"]),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_one_sentence_and_nothing_is_written(tmp_path, name):
    text, words = BAD_TABLES[name]
    (tmp_path / "bad.tsv").write_text(text)
    refused(tmp_path, tmp_path / "bad.tsv", ["bad.tsv", *words])


def refused(tmp_path, data, words):
    code, out, err = run(tmp_path / "results", "--data", data)
    assert code == 2
    assert err.startswith("Error: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in out + err
    for word in words:
        assert word in err, err
    assert not list((tmp_path / "results").glob("*"))


def test_damaged_files_are_refused(tmp_path):
    whole = gzip.compress(("".join([HEAD, *rows()])).encode())
    (tmp_path / "cut.tsv.gz").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path, tmp_path / "cut.tsv.gz", ["cut.tsv.gz", "truncated gzip"])
    (tmp_path / "noise.tsv").write_bytes(bytes(range(256)) * 20)
    refused(tmp_path, tmp_path / "noise.tsv", ["noise.tsv", "binary file"])
    (tmp_path / "cut.parquet").write_bytes(b"PAR1" + b"\x00" * 100)
    refused(tmp_path, tmp_path / "cut.parquet", ["cut.parquet", "parquet"])
    refused(tmp_path, tmp_path / "nowhere.tsv", ["No file at", "nowhere.tsv"])
    (tmp_path / "folder").mkdir()
    refused(tmp_path, tmp_path / "folder", ["folder", "has no table"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--task", "human_mrpa"], "Did you mean 'human_mpra'"),
        (["--task", "human_mpra", "--models", "dream_cnm"], "Did you mean 'dream_cnn'"),
        (["--task", "human_mpra", "--preset", "quik"], "Did you mean 'quick'"),
        (["--task", "human_mpra", "--folds", "x"], "--folds expects numbers"),
        (["--task", "human_mpra", "--folds", "5-2"], "--folds expects numbers"),
        (["--task", "human_mpra", "--folds", "0-99999999999"], "--folds expects numbers"),
        (["--task", "human_mpra", "--models", ","], "--models expects names"),
        (["--task", "human_mpra"], "must not share"),
        (["--task", "human_mpra", "--set", "kmer_ridge.k=0"], "k must be 1 to 10, got 0"),
        (["--task", "human_mpra", "--set", "dream_attn.n_heads=5"], "n_heads must divide"),
        (["--task", "human_mpra", "--set", "recipe.max_lr=1" + "0" * 400], "expects float"),
        (["--task", "human_mpra", "--device", "gpu"], "--device expects auto, cpu or cuda"),
        (["--task", "human_mpra", "--device", "cuda"], "no NVIDIA GPU is visible"),
        (["--task", "human_mpra", "--set", "recipe.epoch=1"], "Did you mean 'epochs'"),
        (["--task", "human_mpra", "--preset", "paper"], "zenodo.10633252"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    code, _, err = call("run", *words, "--workers", 0)
    assert code == 2
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert expected in err


def test_an_unwritable_results_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = run(tmp_path / "file" / "results", "--models", "kmer_ridge")
    assert code == 2
    assert "cannot be written" in err
    assert err.count("\n") == 1


def test_two_tables_of_one_name_are_refused(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("a.tsv", "a.csv"):
        (tmp_path / "data" / name).write_text("".join([HEAD, *rows()]))
    refused(tmp_path, tmp_path / "data", ["two tables named 'a'", "rename"])


def test_values_that_do_not_fit_are_named(tmp_path):
    (tmp_path / "big.tsv").write_text(with_row(6, f"x_F\t{GOOD}\t1e39\t1\n"))
    refused(tmp_path, tmp_path / "big.tsv", ["line 6", "'mean_value'", "'1e39'"])
    (tmp_path / "same.tsv").write_text("".join([HEAD, *(row.replace(row.split("\t")[2], "1.5") for row in rows())]))
    refused(tmp_path, tmp_path / "same.tsv", ["one value in every row"])


@pytest.mark.slow
def test_a_damaged_job_is_trained_again(tmp_path):
    words = ["--models", "kmer_ridge", "--folds", "0,1", "--json"]
    assert json.loads(run(tmp_path, *words)[1])["done"] == 2
    damaged = next(tmp_path.glob("runs/*/*/*/test-00*/job.json"))
    damaged.write_text("")
    answer = json.loads(run(tmp_path, *words)[1])
    assert (answer["done"], answer["skipped"]) == (1, 1)
    assert json.loads(damaged.read_text())["status"] == "done"


@pytest.mark.parametrize("command", ["score", "compare", "report"])
def test_without_a_run_the_other_commands_say_how_to_make_one(tmp_path, command):
    code, _, err = call(command, "--results", tmp_path)
    assert code == 2
    assert "python -m benchmarks run" in err


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A run of the one model that needs no framework."""
    results = tmp_path_factory.mktemp("results")
    code, out, err = run(results, "--models", "kmer_ridge", "--folds", "0-2", "--json")
    return results, code, out, err


def test_run_as_json_is_json_alone_on_stdout(ran):
    _, code, out, err = ran
    answer = json.loads(out)
    assert code == 0
    assert answer["done"] == 3
    assert {row["origin"] for row in answer["scores"]} == {"simulated"}
    assert "noise ceiling, pearson_r" in err
    assert "SIMULATED" in err


def test_score_repeats_the_scores_and_rewrites_the_table(ran):
    results, _, out, _ = ran
    table = Path(json.loads(out)["report"]) / "scores.csv"
    before = table.read_text()
    table.unlink()
    code, again, _ = call("score", "--results", results, "--json")
    assert code == 0
    assert json.loads(again) == json.loads(out)["scores"]
    assert table.read_text() == before
    assert len(pd.read_csv(table)) == len(json.loads(again))


def test_compare_needs_its_baseline(ran):
    results = ran[0]
    code, _, err = call("compare", "--results", results)
    assert code == 2
    assert "'mprann'" in err
    code, out, _ = call("compare", "--results", results, "--baseline", "kmer_ridge", "--json")
    (one,) = json.loads(out)["comparisons"]
    assert (code, one["task"], one["baseline"], one["tests"]) == (0, "human_mpra", "kmer_ridge", [])
    code, _, err = call("compare", "--results", results, "--role", "members")
    assert (code, "expects ensemble or member, got 'members'" in err) == (2, True)
    code, _, err = call("compare", "--results", results, "--baseline", "kmer_ridge", "--models", "dream_rn")
    assert (code, "'dream_rn'" in err) == (2, True)


def test_report_is_one_offline_page_marked_simulated(ran):
    results, _, out, _ = ran
    page = Path(json.loads(out)["report"]) / "report.html"
    page.unlink()
    code, _, _ = call("report", "--results", results)
    assert code == 0
    html = page.read_text()
    assert "SIMULATED" in html
    assert "<svg" in html
    for remote in ('src="http', "src='http", "<script", "@import", '<link rel="stylesheet"'):
        assert remote not in html
    for name in ("pearson_r_row.png", "pearson_r_row.svg", "learning_curves.png"):
        assert (page.parent / name).stat().st_size > 5000


def test_a_failed_training_makes_the_command_fail_and_say_so(tmp_path, monkeypatch):
    from baselines import kmer_ridge

    monkeypatch.setattr(kmer_ridge.KmerRidge, "predict", lambda self, data: 1 / 0)
    code, out, _ = run(tmp_path, "--models", "kmer_ridge", "--folds", "0")
    assert code == 1
    assert "FAILED kmer_ridge" in out
    assert "ZeroDivisionError" in out
    assert "1 of 1 trainings failed" in out
    page = next(tmp_path.glob("reports/*/report.html")).read_text()
    assert "ZeroDivisionError" in page


def test_info_prints_the_recipe():
    code, out, _ = call("info", "dream_attn", "--json")
    assert code == 0
    recipe = json.loads(out)["recipe"]
    assert (recipe["max_lr"], recipe["epochs"], recipe["batch_size"], recipe["n_heads"]) == (0.001, 80, 32, 4)


def test_a_dry_run_lists_protocol_deviations():
    words = ("run", "--task", "human_mpra", "--preset", "paper", "--dry-run", "--models", "dream_cnn,mprann")
    assert "not the published protocol" not in call(*words)[1]
    said = call(*words, "--folds", "0-2", "--set", "dream_cnn.epochs=3")[1]
    assert "not the published protocol: dream_cnn: epochs 3 instead of 80" in said
    assert "not the published protocol: 63 of 90 trainings are missing" in said
