"""From plan to scores with fast models: resume, failures, ensembles, negative control. Frameworks stay out."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from baselines import kmer_ridge
from benchmarks import registry, system
from benchmarks.engine.evaluation.scores import SCORE_COLUMNS, score
from benchmarks.engine.execution import schedule
from benchmarks.engine.execution.machine import Machine
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import make_plan
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training import Training
from benchmarks.engine.store.training_table import history_table, job_table
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.usefixtures("without_plots")

TASK = registry.get_task("human_mpra")
INLINE = Machine("cpu", 0, 1)


def plan_for(**options):
    found = data_sources.find(TASK, "quick", None, seed=0, shuffle=options.pop("shuffle", False))
    options.setdefault("models", ["kmer_ridge"])
    return make_plan(TASK, "quick", found, seed=0, **options)


def execute(plan, store, **options):
    for source in plan.sources:
        store.put_dataset(source.dataset)
    return schedule.execute(plan, store, options.pop("machine", INLINE), **options)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("results"))
    plan = plan_for(test_folds=[0, 1, 2], n_members=3)
    counts = execute(plan, store)
    return plan, store, counts, score(plan, store, TASK)


def test_every_job_is_stored_with_what_was_promised(ran):
    plan, store, counts, _ = ran
    assert counts == {"done": 9, "failed": 0, "skipped": 0}
    record = store.training(plan.jobs[0]).record()
    promised = {
        "recipe",
        "seed",
        "digest",
        "task_version",
        "versions",
        "commit",
        "hardware",
        "duration_s",
        "train_seq_per_s",
        "predict_seq_per_s",
        "peak_memory_mb",
        "n_params",
        "device",
        "framework",
        "precision",
        "origin",
        "epochs_run",
        "best_epoch",
    }
    assert promised <= set(record)
    assert record["origin"] == "simulated"
    assert record["versions"]["numpy"] == np.__version__
    assert record["n_train"] + record["n_val"] + record["n_test"] == len(plan.sources[0].dataset)


def test_a_second_run_trains_nothing(ran):
    plan, store, _, _ = ran
    assert execute(plan, store) == {"done": 0, "failed": 0, "skipped": 9}


def test_ensembles_are_the_mean_of_their_members_scored_by_scipy(ran):
    plan, store, _, scores = ran
    data = plan.sources[0].dataset
    for fold in (0, 1, 2):
        members = [store.training(j).folder for j in plan.jobs if j.test_fold == fold]
        stored = [Training(m).predictions() for m in members]
        rows = stored[0][0]
        assert (data.meta["fold"].to_numpy()[rows] == fold).all()
        assert len(rows) == (data.meta["fold"] == fold).sum()
        y = data.targets["expression"][rows].astype(float)
        mean = sum(p["expression"].astype(float) for _, p in stored) / 3
        mine = scores[(scores["test_fold"] == fold) & (scores["level"] == "row")]
        ensemble = mine[mine["role"] == "ensemble"].set_index("metric")
        assert ensemble.loc["pearson_r", "value"] == pytest.approx(scipy_stats.pearsonr(y, mean)[0], abs=1e-6)
        assert ensemble.loc["spearman_rho", "value"] == pytest.approx(scipy_stats.spearmanr(y, mean)[0], abs=1e-6)
        assert ensemble.loc["mse", "value"] == pytest.approx(((y - mean) ** 2).mean(), rel=1e-5)
        assert (ensemble["n_members"] == 3).all()
        assert (ensemble["n"] == len(rows)).all()
        single = mine[(mine["role"] == "member") & (mine["metric"] == "pearson_r")].sort_values("val_fold")
        expected = [scipy_stats.pearsonr(y, p["expression"])[0] for _, p in stored]
        assert single["value"].to_numpy() == pytest.approx(expected, abs=1e-6)
        assert single["val_fold"].tolist() == [fold + 1, fold + 2, fold + 3]


def test_scores_have_the_documented_columns_and_origin(ran):
    scores = ran[3]
    assert list(scores.columns) == SCORE_COLUMNS
    readme = (ROOT / "results/README.md").read_text()
    assert all(f"`{column}`" in readme for column in SCORE_COLUMNS)
    assert set(scores["origin"]) == {"simulated"}
    assert scores.loc[scores["role"] == "ensemble", "val_fold"].isna().all()


def test_the_floor_learns_and_stays_below_the_ceiling(ran):
    plan, _, _, scores = ran
    ceiling = {c["level"]: c["value"] for c in plan.sources[0].dataset.ceilings}
    r = scores[(scores["metric"] == "pearson_r") & (scores["role"] == "ensemble")].groupby("level")["value"].mean()
    assert r["row"] >= 0.2
    assert all(r[level] < ceiling[level] for level in ceiling)


@pytest.mark.slow
def test_shuffled_labels_teach_nothing(tmp_path):
    store, plan = Store(tmp_path), plan_for(shuffle=True, test_folds=list(range(10)))
    execute(plan, store)
    scores = score(plan, store, TASK)
    assert set(scores["dataset"]) == {"simulated_shuffled_labels"}
    r = scores.query("role == 'ensemble' and metric == 'pearson_r' and level == 'row'")["value"]
    assert len(r) == 10
    assert abs(r.mean()) < 0.1


def test_a_failing_job_is_recorded_and_retried_others_go_on(tmp_path, monkeypatch):
    store, plan = Store(tmp_path), plan_for(test_folds=[0, 1, 2])
    original = kmer_ridge.KmerRidge.predict
    monkeypatch.setattr(
        kmer_ridge.KmerRidge,
        "predict",
        lambda self, data: 1 / 0 if data.meta["fold"].iloc[0] == 1 else original(self, data),
    )
    assert execute(plan, store) == {"done": 2, "failed": 1, "skipped": 0}
    table = job_table(plan, store).set_index("test_fold")
    assert table["status"].to_dict() == {0: "done", 1: "failed", 2: "done"}
    assert table.loc[1, "reason"] == "ZeroDivisionError: division by zero"
    assert set(score(plan, store, TASK)["test_fold"]) == {0, 2}
    monkeypatch.undo()
    assert execute(plan, store) == {"done": 1, "failed": 0, "skipped": 2}
    assert set(job_table(plan, store)["status"]) == {"done"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n: {"expression": np.full(n, np.nan, np.float32)}, "not finite"),
        (lambda n: {"expression": np.zeros(n + 1, np.float32)}, "must give"),
        (lambda n: {"other": np.zeros(n, np.float32)}, "must give"),
    ],
)
def test_predictions_that_cannot_be_scored_fail_the_job(tmp_path, monkeypatch, answer, words):
    store, plan = Store(tmp_path), plan_for(test_folds=[0])
    monkeypatch.setattr(kmer_ridge.KmerRidge, "predict", lambda self, data: answer(len(data)))
    assert execute(plan, store)["failed"] == 1
    assert words in job_table(plan, store)["reason"].iloc[0]


def test_no_model_sees_what_it_is_scored_on(tmp_path, monkeypatch):
    seen = []
    original = kmer_ridge.KmerRidge.predict
    monkeypatch.setattr(
        kmer_ridge.KmerRidge, "predict", lambda self, data: seen.append(dict(data.targets)) or original(self, data)
    )
    execute(plan_for(test_folds=[0]), Store(tmp_path))
    assert seen == [{}]


def test_workers_give_what_the_same_process_gives(ran, tmp_path):
    plan, inline_store, _, _ = ran
    store = Store(tmp_path)
    events = []
    execute(plan, store, machine=Machine("cpu", 2, 1), on_event=lambda job, kind, _: events.append(kind))
    assert events.count("done") == 9
    for job in plan.jobs:
        (rows, here), (rows_there, there) = (s.training(job).predictions() for s in (inline_store, store))
        assert np.array_equal(rows, rows_there)
        np.testing.assert_allclose(here["expression"], there["expression"], atol=1e-5)


def test_a_file_with_its_own_split_is_scored_once(tmp_path):
    rng = np.random.default_rng(0)
    rows = ["".join(rng.choice(list("ACGT"), 230)) for _ in range(60)]
    split = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
    table = pd.DataFrame({"seq": rows, "mean_value": rng.normal(size=60), "split": split})
    table.to_csv(tmp_path / "own.tsv", sep="\t", index=False)
    found = data_sources.find(TASK, "paper", tmp_path / "own.tsv", seed=0)
    plan = make_plan(TASK, "paper", found, seed=0, models=["kmer_ridge"])
    store = Store(tmp_path / "results")
    assert execute(plan, store)["done"] == 1
    scores = score(plan, store, TASK).query("level == 'row'")
    assert set(scores["n"]) == {10}
    assert set(scores["origin"]) == {"measured"}


def test_history_is_json_lines_and_tabulated(ran):
    plan, store, _, _ = ran
    folder = store.training(plan.jobs[0]).folder
    lines = (folder / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, 10))
    table = history_table(plan, store)
    assert len(table) == 9 * 9
    assert table.groupby(["test_fold", "val_fold"])["is_best"].sum().eq(1).all()


@pytest.mark.parametrize(
    ("device", "asked", "jobs", "gpus", "cores", "expected"),
    [
        ("cpu", None, 25, 0, 2, (2, 1)),
        ("cpu", None, 1, 0, 8, (1, 8)),
        ("cpu", 3, 25, 0, 8, (3, 2)),
        ("auto", None, 25, 1, 16, (1, 16)),
        ("auto", None, 25, 2, 16, (2, 8)),
        ("cpu", None, 25, 2, 4, (4, 1)),
        ("cpu", 0, 25, 0, 4, (0, 4)),
    ],
)
def test_cores_are_neither_idle_nor_fought_over(monkeypatch, device, asked, jobs, gpus, cores, expected):
    monkeypatch.setattr(system, "n_gpus", lambda: gpus)
    monkeypatch.setattr(system, "n_cores", lambda: cores)
    monkeypatch.setattr(system, "memory_gib", lambda: 64)
    machine = Machine.choose(device, asked, [SimpleNamespace(framework="torch")] * jobs)
    assert (machine.n_workers, machine.threads) == expected
