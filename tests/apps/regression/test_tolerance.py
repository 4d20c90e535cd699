"""The regression test of scores: tolerances by hand, plants that must be caught, and a reference that round-trips."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.apps.regression import reference, tolerance, train_matrix
from benchmarks.apps.regression.tolerance import KEY, parameters_moved, reference_of, within_tolerance
from benchmarks.cli.main import app
from benchmarks.engine.execution import machine
from benchmarks.errors import BadInput
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.usefixtures("without_plots")

PLACE = {
    "task": "human_mpra", "task_version": 1, "dataset": "simulated", "output": "expression", "subset": "all",
    "level": "row", "metric": "pearson_r",
}  # fmt: skip
VALUES = {"cnn": [0.50, 0.54, 0.52, 0.56], "ridge": [0.3, 0.3, 0.3, 0.3]}


def scores(values, **other):
    rows = [
        PLACE | {"model": model, "seed": seed, "value": value} | other
        for model, several in values.items()
        for seed, value in enumerate(several)
    ]
    return pd.DataFrame(rows)


def now(**values):
    return pd.DataFrame([PLACE | {"model": model, "value": value} for model, value in values.items()])


def test_tolerance_is_the_prediction_interval_of_one_more_seed():
    table = reference_of(scores(VALUES)).set_index("model")
    # By hand: mean 0.53, squares about it 9 + 1 + 1 + 9 (times 1e-4), sd sqrt(20 / 3) / 100. With two scores each tail
    # gets ALPHA / 4 = 0.00125; the quantile of t with 3 degrees of freedom there is 9.465 (its cdf, integrated below).
    sd = math.sqrt(20 / 3) / 100
    t = table.loc["cnn", "tolerance"] / (sd * math.sqrt(1 + 1 / 4))
    assert tolerance.ALPHA == 0.005
    x = np.linspace(t, 5000, 20_000_001)
    density = 2 / (math.pi * math.sqrt(3)) * (1 + x**2 / 3) ** -2
    assert np.sum((density[1:] + density[:-1]) / 2) * (x[1] - x[0]) == pytest.approx(0.00125, rel=1e-3)
    assert table.loc["cnn", "mean"] == pytest.approx(0.53)
    assert table.loc["ridge", "tolerance"] == tolerance.MIN_TOLERANCE


@pytest.mark.slow
def test_an_unchanged_project_passes_almost_always():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(400):
        drawn = rng.normal(0.5, 0.01, size=(8, 11))
        known = reference_of(scores({f"m{i}": row[:10] for i, row in enumerate(drawn)}))
        measured = now(**{f"m{i}": row[10] for i, row in enumerate(drawn)})
        alarms += (within_tolerance(measured, known)["verdict"] == "fails").any()
    assert alarms <= 8  # 0.5 % of 400 are 2; eight or fewer in 99.98 % of such runs


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.53, "passes"), (0.20, "fails"), (0.86, "fails"), (float("nan"), "fails")]
)
def test_a_score_out_of_tolerance_fails_in_either_direction(value, verdict):
    table = within_tolerance(now(cnn=value, ridge=0.3), reference_of(scores(VALUES))).set_index("model")
    assert table.loc["cnn", "verdict"] == verdict
    assert table.loc["ridge", "verdict"] == "passes"


def test_missing_scores_fail_and_new_ones_are_told():
    table = within_tolerance(now(cnn=0.53, other=0.1), reference_of(scores(VALUES))).set_index("model")
    assert table.loc["ridge", "verdict"] == "fails"
    assert table.loc["other", "verdict"] == "new"


def test_a_score_that_could_not_fail_is_not_judged():
    known = reference_of(scores({"wild": [0.0, 0.9, 0.1, 0.8], "ridge": [0.3] * 4}))
    assert known.set_index("model")["judged"].to_dict() == {"wild": False, "ridge": True}
    assert within_tolerance(now(wild=-1.0, ridge=0.3), known).set_index("model").loc["wild", "verdict"] == "not judged"


@pytest.mark.parametrize(
    ("values", "words"), [({"cnn": [1.0, 2.0]}, "at least 3"), ({"cnn": [1.0, 2.0, float("nan")]}, "not a number")]
)
def test_too_few_or_broken_seeds_make_no_reference(values, words):
    with pytest.raises(ValueError, match=words):
        reference_of(scores(values))


def test_parameters_that_moved_are_named():
    assert parameters_moved({"yeast/cnn": 11}, {"yeast/cnn": 10, "atac/bpnet": 3}) == [
        "yeast/cnn has 11 parameters; 10 are expected"
    ]


# The command, on a matrix of ridges: no network, no seeds to spread over.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("reference")
    entry = {"task": "human_mpra", "models": ["kmer_ridge"], "test_folds": [0], "n_members": 2, "changes": []}
    (path / "matrix.json").write_text(json.dumps([entry]))
    result = call(path, "--update", "--reason", "first", "--n-seeds", "3")
    assert result.exit_code == 0, result.output
    return path


def call(path, *words):
    return CliRunner().invoke(app, ["regress", "--against", str(path), *words], env={"COLUMNS": "200"})


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    monkeypatch.setattr(machine.Machine, "choose", staticmethod(lambda *_: machine.Machine("cpu", 0, 1)))


@pytest.mark.slow
def test_an_unchanged_run_passes(folder, tmp_path):
    result = call(folder, "--summary", str(tmp_path / "page.md"))
    assert result.exit_code == 0, result.output
    assert "none of 1 out of tolerance" in result.output
    page = (tmp_path / "page.md").read_text().splitlines()
    rows = [line for line in page if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1
    assert rows[2].startswith("| passes | human_mpra | kmer_ridge |")
    assert "SIMULATED" in page[0]
    assert any("speed, not tested: human_mpra/kmer_ridge" in line for line in page)


@pytest.mark.parametrize("plant", [["--shuffle-labels"], ["--set", "kmer_ridge.k=2"]])
@pytest.mark.slow
def test_a_planted_regression_is_caught(folder, plant):
    result = call(folder, *plant, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [row["verdict"] for row in told["verdicts"]] == ["fails"]
    assert told["failed"] == 1


@pytest.mark.slow
def test_other_parameters_and_a_failed_training_are_caught(folder, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("matrix.json", "scores.csv"):
        (other / name).write_text((folder / name).read_text())
    about = json.loads((folder / "about.json").read_text())
    about["n_params"]["human_mpra/kmer_ridge"] += 1
    (other / "about.json").write_text(json.dumps(about))
    assert call(other).exit_code == 1
    from baselines import kmer_ridge

    monkeypatch.setattr(kmer_ridge.KmerRidge, "predict", lambda self, data: 1 / 0)
    result = call(folder)
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.output


@pytest.mark.slow
def test_a_rewritten_reference_says_why(folder):
    before = (folder / "scores.csv").read_text()
    assert call(folder, "--update", "--reason", "nothing changed", "--n-seeds", "3").exit_code == 0
    assert (folder / "scores.csv").read_text() == before  # a ridge has no chance in it
    log = (folder / "LOG.md").read_text().splitlines()
    assert next(line for line in log if line.startswith("*")).endswith("3 seeds: first")
    assert log[-1].endswith("nothing changed")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--update"], "--update and --reason"),
        (["--reason", "x"], "--update and --reason"),
        (["--update", "--reason", "x", "--shuffle-labels"], "as it is"),
        (["--set", "dream_cnn.epochs=3"], "in front"),
        (["--set", "kmer_ridge.q=3"], "'q'"),
        (["--summary", "no/such/page.md"], "does not exist"),
    ],
)
@pytest.mark.slow
def test_bad_words_are_one_sentence(folder, words, told):
    result = call(folder, *words)
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("matrix.json", None, "matrix.json is missing"),
        ("matrix.json", "[", "is damaged"),
        ("matrix.json", "[]", "a list of entries"),
        ("matrix.json", '[{"task": "yeast"}]', "entry 0"),
        ("scores.csv", None, "--update"),
        ("scores.csv", "a,b\n1,2\n", "lacks the column"),
        (
            "scores.csv",
            ",".join([*KEY, "mean,sd,n_seeds,tolerance,judged"]) + "\n" + "a," * 7 + "x,0,3,0,True\n",
            "mean",
        ),
        ("about.json", "no", "is damaged"),
        ("about.json", "{}", "missing required field `n_params`"),
    ],
)
@pytest.mark.slow
def test_a_damaged_reference_is_one_sentence(folder, tmp_path, name, text, told):
    for file in ("matrix.json", "scores.csv", "about.json"):
        (tmp_path / file).write_text((folder / file).read_text())
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text)
    result = call(tmp_path)
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_scores_of_another_task_version_do_not_compare(folder, tmp_path):
    for file in ("matrix.json", "about.json"):
        (tmp_path / file).write_text((folder / file).read_text())
    table = pd.read_csv(folder / "scores.csv")
    table.assign(task_version=99).to_csv(tmp_path / "scores.csv", index=False)
    result = call(tmp_path)
    assert result.exit_code == 2
    assert "version 99" in result.output


def test_the_reference_of_the_project_is_whole():
    path = ROOT / "results/reference/simulated"
    entries, known = reference.read_matrix(path), reference.read(path)
    trained = {(entry.task, model) for entry in entries for model in entry.models}
    judged = known.scores[known.scores["judged"]]
    assert {entry.task for entry in entries} == {"human_mpra", "drosophila", "yeast", "atac"}
    assert set(zip(known.scores["task"], known.scores["model"], strict=True)) == trained
    assert set(judged["task"]) == {"human_mpra", "drosophila", "yeast", "atac"}
    networks = judged[~judged["model"].isin(["kmer_ridge", "bpnet_bias"])]
    assert set(networks["task"]) == {"human_mpra", "drosophila", "yeast", "atac"}
    assert (judged["tolerance"] < judged["mean"].abs()).all()
    assert (known.scores["n_seeds"] == 10).all()


def test_an_unknown_task_in_the_matrix_is_one_sentence(tmp_path):
    entry = {"task": "yeats", "models": ["kmer_ridge"], "test_folds": [0], "n_members": 1, "changes": []}
    (tmp_path / "matrix.json").write_text(json.dumps([entry]))
    entries = reference.read_matrix(tmp_path)
    with pytest.raises(BadInput, match="yeats"):
        train_matrix.plans(entries, seed=0)
