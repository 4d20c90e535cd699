"""The collected cases of tables as users bring them: each is right, or refused for its reason."""

import contextlib
import json
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.cli.main import app
from benchmarks.engine.execution import cluster
from benchmarks.engine.store.store import Store
from tests.helpers.paths import PUBLISHED_DATA

CASES = PUBLISHED_DATA.parent / "cases" / "make_tables.py"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CASES.is_file(), reason=f"the collected cases ({CASES}) are not here"),
]

REFUSED = {
    "counts": "dna_count",
    "two_cell_types": "HepG2",
    "reverse_is_forward": "300 of 300",
    "moved_on": "30 of 300",
}
"""Case of a run -> what the refusal says."""
READ = (
    *("barcodes", "controls", "trailing_tabs", "r_write_table", "semicolons", "utf16", "readme_beside"),
    *("replicates_na", "pairs", "name_column", "alleles"),
)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, CASES, folder], check=True)
    return folder, json.loads((folder / "expected.json").read_text())


def call(folder, command):
    with contextlib.chdir(folder):
        return CliRunner().invoke(app, shlex.split(command))


def run(folder, command, results, *words):
    done = call(folder, f"{command} --results {shlex.quote(str(results))} --workers 0 " + " ".join(words))
    assert done.exit_code == 0, done.output
    return [training.folder for training in Store(results).finished_trainings()]


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_is_refused_for_its_reason(cases, tmp_path, name):
    done = call(cases[0], f"{cases[1][name]['command']} --results {tmp_path / 'results'}")
    assert done.exit_code == 2
    assert REFUSED[name] in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", READ)
def test_a_table_is_read_as_it_is_meant(cases, tmp_path, name):
    folder, expected = cases
    command = expected[name]["command"].partition(";")[0]
    done = call(folder, f"{command} --results {tmp_path / 'results'} --dry-run --json")
    assert done.exit_code == 0, done.output
    ((account,),) = json.loads(done.stdout)["inputs"].values()
    wanted = expected[name]
    assert account["numbers"]["rows_used"] == wanted.get("n_rows", 600)
    assert account["numbers"]["folds"] == wanted.get("n_folds", 10)
    if "n_reverse" in wanted:
        assert account["numbers"]["reverse_rows"] == wanted["n_reverse"]


def test_na_and_empty_replicates_have_one_ceiling(cases, tmp_path):
    said = []
    for name in ("replicates_na.tsv", "replicates_empty.tsv"):
        command = f"run --task human_mpra --data {name} --models kmer_ridge --dry-run --results {tmp_path}"
        said.append([line for line in call(cases[0], command).stdout.splitlines() if "noise ceiling" in line])
    assert said[0] == said[1] != []


def predicted(folder, training, query, out):
    done = call(folder, f"predict --weights {training} --input {query} --out {out}")
    return done, pd.read_csv(out, sep="\t", dtype={"seq_id": str}) if done.exit_code == 0 else None


def test_queries_of_human_elements(cases, tmp_path):
    folder, expected = cases
    command = "run --task human_mpra --data pairs.tsv --models kmer_ridge --folds 0,1"
    trainings = run(folder, command, tmp_path / "results")
    out = tmp_path / "p.tsv"
    _, plain = predicted(folder, trainings[0], "plain_query.tsv", out)
    for name, file in (("r_write_csv", "csv"), ("commas_in_ids", "csv"), ("capitals", "tsv")):
        _, found = predicted(folder, trainings[0], f"{name}.{file}", out)
        assert found["seq_id"].tolist() == expected[name]["ids"]
        np.testing.assert_array_equal(found["prediction"], plain["prediction"])
    for name in ("strand_nan", "strand_minus_5"):
        done, _ = predicted(folder, trainings[0], f"{name}.tsv", out)
        assert (
            f"line 5, column 'is_reverse': 0 or 1 (or + and -) is expected, got '{expected[name]['value']}'"
            in done.stderr
        )
    each = [predicted(folder, training, "plain_query.tsv", out)[1]["prediction"] for training in trainings]
    _, mean = predicted(folder, trainings[0].parent, "plain_query.tsv", out)
    np.testing.assert_allclose(mean["prediction"], np.mean(each, axis=0), atol=1e-5)
    pairs = f"ism-pairs --run {trainings[0]} --out {tmp_path / 'e.csv'} --pairs "
    assert "lines 3, 5, 6" in call(folder, f"{pairs} twin_pairs.tsv --input twins.tsv").stderr
    effects = []
    for name in ("saturation.tsv", "saturation_half_lower.tsv"):
        assert call(folder, pairs + name).exit_code == 0
        effects.append(pd.read_csv(tmp_path / "e.csv"))
    assert len(effects[1]) == expected["saturation_half_lower"]["n_effects"]
    pd.testing.assert_frame_equal(*effects)
    subprocess.run([sys.executable, CASES, folder, tmp_path / "results"], check=True)
    done = call(folder, f"import-runs results_mac.tar.gz --results {tmp_path / 'imported'}")
    assert done.exit_code == 0, done.output
    assert not [path for path in (tmp_path / "imported").rglob("*") if path.name.startswith(("._", ".DS"))]


def test_predictions_are_joined_by_ids(cases, tmp_path):
    folder, expected = cases
    run(folder, "run --task human_mpra --data name_column.tsv --models kmer_ridge", tmp_path)
    done = call(folder, f"score --predictions name_column_predictions.tsv --name Mine --json --results {tmp_path}")
    scores = pd.DataFrame(json.loads(done.stdout)).query("model == 'Mine' and level == 'row' and test_fold == 0")
    r = scores["value"][scores["metric"] == "pearson_r"].iloc[0]
    assert r == pytest.approx(expected["name_column"]["pearson_r_fold_0"], abs=1e-6)


def test_a_network_predicts_strands_as_it_was_trained(cases, tmp_path):
    folder, expected = cases
    (training,) = run(folder, expected["predict_strand"]["command"].partition(";")[0], tmp_path / "results")
    _, found = predicted(folder, training, "stranded.tsv", tmp_path / "p.tsv")
    with np.load(training / "predictions.npz") as stored:
        rows, values = stored["rows"], stored["output_expression"]
    np.testing.assert_allclose(found["prediction"].to_numpy()[rows], values, atol=2e-4)


def test_promoters_with_and_without_flanks(cases, tmp_path):
    folder, _ = cases
    (training, *_) = run(folder, "run --task yeast --data yeast --models kmer_ridge", tmp_path / "results")
    bare, whole = (predicted(folder, training, f"yeast_{name}.fa", tmp_path / "p.tsv")[1] for name in ("bare", "whole"))
    np.testing.assert_array_equal(bare["prediction"], whole["prediction"])
    out = tmp_path / "mine.txt"
    assert call(folder, f"challenge submit --data yeast_lower --run {training} --out {out}").exit_code == 0
    assert call(folder, f"challenge validate --data yeast_lower --submission {out}").exit_code == 0
    words = f"--predictions yeast_by_seq.tsv --name Mine --json --results {tmp_path / 'results'}"
    scores = pd.DataFrame(json.loads(call(folder, f"score --task yeast {words}").stdout))
    mine = scores.query("model == 'Mine' and subset == 'all' and level == 'whole' and metric == 'pearson_r'")
    assert mine["value"].iloc[0] == pytest.approx(0.9533, abs=5e-5)
    assert mine["n"].iloc[0] == 120


def test_words_of_a_cluster_file_stay_as_they_are(cases):
    pytest.importorskip("parsl")
    assert cluster.read(cases[0] / "cluster.yaml").sbatch == {"account": "01234", "time-min": "1:00:00"}
