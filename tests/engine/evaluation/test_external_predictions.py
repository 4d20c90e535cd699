"""A table of external predictions is scored, tested and drawn like a model, or refused in one sentence."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.api.sequences import decode
from benchmarks.cli.main import app
from benchmarks.engine.evaluation.scores import score as score_plan
from benchmarks.engine.execution import machine, schedule
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import make_plan
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store

pytestmark = pytest.mark.usefixtures("without_plots")

TASK = registry.get_task("human_mpra")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("results"))
    found = data_sources.find(TASK, "quick", None, seed=0)
    plan = make_plan(TASK, "quick", found, seed=0, models=["kmer_ridge"], test_folds=[0, 1, 2])
    for source in plan.sources:
        store.put_dataset(source.dataset)
    schedule.execute(plan, store, machine.Machine("cpu", 0, 1))
    Experiment.begin(plan, store, "python -m benchmarks run …")
    return store, plan, plan.sources[0].dataset


@pytest.fixture
def table(ran):
    """Noisy measurements as predictions of every row, so that the model scores well and differs from ours."""
    data = ran[2]
    noise = np.random.default_rng(5).normal(0, 0.5, len(data))
    return pd.DataFrame({"seq_id": data.meta["seq_id"], "prediction": data.targets["expression"] + noise})


def score(ran, file, *words, name="Their model", code=0):
    words = ["score", "--predictions", str(file), "--name", name, "--results", str(ran[0].root), *words]
    experiment = ran[0].root / "reports"
    first = min(experiment.glob("*/plan.json"), key=lambda p: p.stat().st_mtime).parent
    done = CliRunner().invoke(app, [*words, "--report", str(first)])
    assert done.exit_code == code, (done.stdout, done.stderr)
    return done


def save(table, tmp_path, sep="\t"):
    file = tmp_path / "mine.tsv"
    table.to_csv(file, sep=sep, index=False)
    return file


def test_it_is_scored_as_scipy_would_and_stands_in_the_report(ran, table, tmp_path):
    store, plan, data = ran
    file = save(table.sample(frac=1, random_state=0), tmp_path)  # in any order
    scores = pd.DataFrame(json.loads(score(ran, file, "--json").stdout))
    assert set(scores["model"]) == {"kmer_ridge", "Their_model"}
    mine = scores[(scores["model"] == "Their_model") & (scores["role"] == "ensemble")]
    for fold in (0, 1, 2):
        rows = np.flatnonzero(data.meta["fold"] == fold)
        expected = scipy_stats.pearsonr(
            data.targets["expression"][rows], table["prediction"].to_numpy(np.float32)[rows]
        ).statistic
        found = mine[(mine["test_fold"] == fold) & (mine["level"] == "row") & (mine["metric"] == "pearson_r")]
        assert found["value"].item() == pytest.approx(expected, abs=1e-6)
    reports = list((store.root / "reports").iterdir())
    page = next(p for p in reports if "Their model" in (p / "plan.json").read_text()) / "report.html"
    text = page.read_text()
    assert "Their model" in text
    assert "nothing is known here of how, and on what, it was trained" in text
    tests = pd.read_csv(page.with_name("tests.csv"))
    assert tests.empty  # the baseline, mprann, did not run
    compared = CliRunner().invoke(
        app,
        ["compare", "--baseline", "kmer_ridge", "--results", str(store.root), "--report", str(page.parent), "--json"],
    )
    row = next(
        r for r in json.loads(compared.stdout)["comparisons"][0]["tests"]
        if r["model"] == "Their_model" and r["level"] == "row" and r["metric"] == "pearson_r"
    )  # fmt: skip
    assert row["n_folds"] == 3
    assert row["mean_difference"] > 0.2
    assert len(score_plan(plan, store, TASK)["model"].unique()) == 1  # the first study is as it was


def test_sequences_key_it_as_well_as_ids(ran, table, tmp_path):
    by_id = json.loads(score(ran, save(table, tmp_path), "--json", name="By id").stdout)
    data = ran[2]
    by_sequence = table.drop(columns="seq_id").assign(seq=[s.lower() for s in decode(np.asarray(data.codes))])
    keyed = json.loads(score(ran, save(by_sequence, tmp_path, sep=","), "--json", name="By sequence").stdout)
    values = [{r["model"]: r["value"] for r in rows if r["level"] == "row"} for rows in (by_id, keyed)]
    assert values[0]["By_id"] == values[1]["By_sequence"]


def test_averages_of_different_sizes_are_not_tested(ran, table, tmp_path):
    scores = pd.DataFrame(json.loads(score(ran, save(table, tmp_path), "--members", "9", "--json", name="Nine").stdout))
    mine = scores[scores["model"] == "Nine"]
    assert set(mine["role"]) == {"ensemble"}  # no single training of them is known
    assert set(mine["n_members"]) == {9}


def test_rows_without_a_prediction_are_counted(ran, table, tmp_path):
    rows = np.flatnonzero(ran[2].meta["fold"] == 1)
    done = score(ran, save(table.drop(index=rows[:7]), tmp_path), code=2)
    missing = table["seq_id"][rows[0]]
    assert f"7 of {len(rows)} test rows of simulated have no prediction, first id {missing!r}" in done.stderr


BAD = {
    "no id": (lambda t: t.drop(columns="seq_id"), "no column of ids or sequences is known"),
    "no prediction": (lambda t: t.rename(columns={"prediction": "p"}), "--columns prediction=p"),
    "text": (
        lambda t: t.astype({"prediction": object}).replace({"prediction": {t["prediction"][4]: "high"}}),
        "line 6",
    ),
    "nan": (
        lambda t: t.assign(prediction=t["prediction"].where(t.index != 3)),
        "line 5, column 'prediction': a finite number expected, got nothing",
    ),
    "twice": (lambda t: pd.concat([t, t.head(1).assign(prediction=0.0)]), "appears twice with different"),
    "other dataset": (lambda t: t.assign(dataset="K526"), "line 2, column 'dataset'"),
    "header only": (lambda t: t.head(0), "is empty below its header"),
}


@pytest.mark.parametrize("what", list(BAD))
def test_bad_tables_get_one_sentence_and_leave_nothing(what, ran, table, tmp_path):
    change, says = BAD[what]
    before = sorted(map(str, ran[0].root.rglob("*")))
    done = score(ran, save(change(table), tmp_path), code=2)
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(map(str, ran[0].root.rglob("*"))) == before


@pytest.mark.parametrize(
    ("name", "says"), [("mprann", "a model of this benchmark has that name"), ("…", "expects letters")]
)
def test_bad_names_are_refused(name, says, ran, table, tmp_path):
    assert says in score(ran, save(table, tmp_path), name=name, code=2).stderr


def test_file_and_name_belong_together(tmp_path):
    done = CliRunner().invoke(app, ["score", "--predictions", "x.tsv", "--results", str(tmp_path)])
    assert done.exit_code == 2
    assert "belong together" in done.stderr
    assert not Path("x.tsv").exists()
