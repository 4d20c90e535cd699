"""Comparisons of stored runs: what is counted as training data, which predictions are resampled, and the files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.cli.main import app
from benchmarks.engine.evaluation import compare, fold_tests
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.folds import find_split
from benchmarks.engine.planning.plan import make_plan
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput

pytestmark = pytest.mark.usefixtures("without_plots")

TASK = registry.get_task("human_mpra")


def put(store, plan, job, noise):
    """Store the truth plus noise as the predictions of a job."""
    source = next(s for s in plan.sources if s.name == job.dataset)
    dataset = store.get_dataset(source.name, source.digest)
    split = next(s for s in TASK.splits(dataset.meta) if (s.test_fold, s.val_fold) == (job.test_fold, job.val_fold))
    rng = np.random.default_rng([job.seed, len(job.model)])
    truth = dataset.targets["expression"][split.test]
    predicted = (truth + noise * rng.normal(size=len(truth))).astype(np.float32)
    record = job.to_dict() | {"status": "done"}
    store.training(job).put(record, [], split.test, {"expression": predicted}, None)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A run of three models on three test folds, two members each, without a training."""
    store = Store(tmp_path_factory.mktemp("results"))
    plan = make_plan(
        TASK, "quick", data_sources.find(TASK, "quick", None, seed=0), seed=0,
        models=["mprann", "dream_cnn", "kmer_ridge"], test_folds=[0, 1, 2], n_members=2,
    )  # fmt: skip
    for source in plan.sources:
        store.put_dataset(source.dataset)
    for job in plan.jobs:
        put(store, plan, job, {"mprann": 1.0, "dream_cnn": 0.5, "kmer_ridge": 2.0}[job.model])
    return Experiment.begin(plan, store, "command"), store


def test_members_of_an_ensemble_have_seen_all_but_the_test_fold(experiment):
    found, store = experiment
    sizes = compare.sizes(found.plan, store, TASK)
    dataset = store.get_dataset(found.plan.sources[0].name, found.plan.sources[0].digest)
    fold = dataset.meta["fold"].to_numpy()
    assert sizes["test_fold"].tolist() == [0, 1, 2]
    assert sizes["n_test"].tolist() == [(fold == i).sum() for i in range(3)]
    # Each of the two members leaves out another validation fold, so that together they leave out neither.
    assert sizes["n_train"].tolist() == [(fold != i).sum() for i in range(3)]


def test_a_single_member_has_not_seen_its_validation_fold(tmp_path):
    store = Store(tmp_path)
    plan = make_plan(
        TASK, "quick", data_sources.find(TASK, "quick", None, seed=0), seed=0, models=["kmer_ridge"], test_folds=[0]
    )
    store.put_dataset(plan.sources[0].dataset)
    fold = plan.sources[0].dataset.meta["fold"].to_numpy()
    row = compare.sizes(plan, store, TASK, "member").iloc[0]
    assert row["n_train"] == compare.sizes(plan, store, TASK).iloc[0]["n_train"]
    assert row["n_train"] == ((fold != 0) & (fold != plan.jobs[0].val_fold)).sum() == plan.jobs[0].n_train


def test_all_tests_stand_in_one_row(experiment):
    found, store = experiment
    table = compare.compare_experiment(found, store, n_draws=200).tables["tests"]
    assert list(table.columns) == compare.COLUMNS
    row = table[(table["model"] == "dream_cnn") & (table["metric"] == "pearson_r") & (table["level"] == "row")].iloc[0]
    assert row["ci_low"] <= row["mean_difference"] <= row["ci_high"]
    assert row["ci_low_corrected"] < row["ci_low"]
    assert 0 < row["ci_low_bootstrap"] < row["mean_difference"] < row["ci_high_bootstrap"]
    assert (row["family_size"], row["n_draws"], row["p_bootstrap"]) == (2, 200, 1 / 201)
    assert table["p_bootstrap"].notna().all()


def test_the_mixed_model_is_of_single_trainings(experiment):
    found, store = experiment
    scores = score(found.plan, store, TASK)
    tables = compare.compare_experiment(found, store, models=["dream_cnn"], n_draws=0).tables
    row = tables["mixed_model"].set_index("model").loc["dream_cnn"]
    chosen = (scores["role"] == "member") & (scores["metric"] == "pearson_r") & (scores["level"] == row["level"])
    members = scores[chosen & (scores["subset"] == "all")].groupby("model")["value"]
    assert row["n_scores"] == members.size()[["dream_cnn", "mprann"]].sum()
    assert row["difference"] == pytest.approx(members.mean()["dream_cnn"] - members.mean()["mprann"])


def test_the_bootstrap_is_of_the_averaged_predictions(experiment):
    found, store = experiment
    scores = score(found.plan, store, TASK)
    table = compare.compare_experiment(found, store, n_draws=500).tables["tests"]
    ensembles = scores[(scores["role"] == "ensemble") & (scores["metric"] == "mse") & (scores["level"] == "row")]
    means = ensembles.groupby("model")["value"].mean()
    row = table[(table["model"] == "kmer_ridge") & (table["metric"] == "mse") & (table["level"] == "row")].iloc[0]
    assert row["mean_difference"] == pytest.approx(means["kmer_ridge"] - means["mprann"])
    # Noise is averaged over two members: 2²/2 − 1²/2; single members would differ by 3.
    assert row["ci_low_bootstrap"] < 1.5 < row["ci_high_bootstrap"]


def test_a_fold_left_out_of_the_t_test_is_not_resampled(tmp_path):
    store = Store(tmp_path)
    plan = make_plan(
        TASK, "quick", data_sources.find(TASK, "quick", None, seed=0), seed=0, models=["mprann", "kmer_ridge"],
        test_folds=[0, 1, 2], n_members=2,
    )  # fmt: skip
    store.put_dataset(plan.sources[0].dataset)
    lacking = next(job for job in plan.jobs if (job.model, job.test_fold) == ("kmer_ridge", 2))
    for job in plan.jobs:
        if job is not lacking:  # fold 2 is much worse than the others, and of one member only
            put(store, plan, job, 1.0 if job.model == "mprann" else 20.0 if job.test_fold == 2 else 2.0)
    table = compare.compare_experiment(Experiment.begin(plan, store, "command"), store, n_draws=200).tables["tests"]
    row = table[(table["metric"] == "mse") & (table["level"] == "row")].iloc[0]
    assert row["n_folds"] == 2
    assert "fold 2 left out" in row["note"]
    # Two members each: 2²/2 − 1²/2 on folds 0 and 1; fold 2 would add 20² / 3.
    assert row["ci_low_bootstrap"] < row["mean_difference"] < row["ci_high_bootstrap"] < 5
    assert "bootstrap" not in row["note"]


def test_why_there_is_no_bootstrap_is_said(tmp_path):
    store = Store(tmp_path)
    plan = make_plan(
        TASK, "quick", data_sources.find(TASK, "quick", None, seed=0), seed=0, models=["mprann", "kmer_ridge"],
        test_folds=[0], n_members=2,
    )  # fmt: skip
    store.put_dataset(plan.sources[0].dataset)
    for job in plan.jobs[:-1]:  # one member of the ridge is missing
        put(store, plan, job, 1.0)
    table = compare.compare_experiment(Experiment.begin(plan, store, "command"), store, n_draws=50).tables["tests"]
    assert table["note"].str.endswith("; no bootstrap: no fold has predictions of both by as many members").all()
    assert table["p_bootstrap"].isna().all()


def test_members_are_compared_without_a_bootstrap(experiment):
    found, store = experiment
    table = compare.compare_experiment(found, store, role="member").tables["tests"]
    row = table[(table["model"] == "kmer_ridge") & (table["metric"] == "mse") & (table["level"] == "row")].iloc[0]
    assert row["mean_difference"] == pytest.approx(3, abs=0.5)
    assert pd.isna(row["p_bootstrap"])
    # A member has seen all but the test fold and its own validation fold, the mean of two members counts.
    fold = store.get_dataset(found.plan.sources[0].name, found.plan.sources[0].digest).meta["fold"].to_numpy()
    seen = {}
    for job in found.plan.jobs:
        if job.model == "mprann":
            rows = ((fold != job.test_fold) & (fold != job.val_fold)).sum()
            seen.setdefault(job.test_fold, []).append(rows)
    assert [len(rows) for rows in seen.values()] == [2, 2, 2]
    ratios = [(fold == test).sum() / np.mean(rows) for test, rows in seen.items()]
    assert row["test_train_ratio"] == pytest.approx(np.mean(ratios))


def test_chosen_models_are_the_family(experiment):
    found, store = experiment
    table = compare.compare_experiment(found, store, models=["dream_cnn"], n_draws=0).tables["tests"]
    assert set(table["model"]) == {"dream_cnn"}
    assert (table["family_size"] == 1).all()
    with pytest.raises(BadInput, match="dream_cn"):
        compare.compare_experiment(found, store, models=["dream_cn"])


def test_the_command_writes_every_test_with_its_assumptions(experiment, tmp_path):
    _, store = experiment
    words = ["compare", "--results", str(store.root), "--draws", "50", "--out", str(tmp_path / "tests.csv")]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "300"})
    assert shown.exit_code == 0, shown.output
    assert "SIMULATED DATA" in shown.output
    for test in (*fold_tests.ASSUMPTIONS, "linear mixed model"):
        assert test in shown.output
    table = pd.read_csv(tmp_path / "tests.csv")
    assert list(table.columns) == compare.COLUMNS
    printed = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert len(printed["comparisons"][0]["tests"]) == len(table)
    assert set(printed["assumptions"]) == {*fold_tests.ASSUMPTIONS, "linear mixed model"}
    assert {row["metric"] for row in printed["comparisons"][0]["mixed_model"]} == {"pearson_r"}


def test_an_output_folder_that_is_missing_is_one_sentence(experiment):
    _, store = experiment
    words = ["compare", "--results", str(store.root), "--draws", "0", "--out", str(Path("no") / "such" / "t.csv")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "does not exist" in result.output


def two_tasks(tmp_path, **models):
    """A store with a run of the named models on each task, a training of each but those that end on '?'."""
    store = Store(tmp_path / "results")
    for name, wanted in models.items():
        task = registry.get_task(name)
        planned = [model.rstrip("?") for model in wanted]
        found = data_sources.find(task, "quick", None, seed=0)
        plan = make_plan(task, "quick", found, seed=0, models=planned, test_folds=[0, 1])
        store.put_dataset(plan.sources[0].dataset)
        for job in plan.jobs:
            if f"{job.model}?" not in wanted:
                split = find_split(task, plan.sources[0].dataset, job.test_fold, job.val_fold)
                rng = np.random.default_rng(job.seed)
                predicted = {
                    output: (values[split.test] + rng.normal(0, 1, len(split.test))).astype(np.float32)
                    for output, values in plan.sources[0].dataset.targets.items()
                }
                record = job.to_dict() | {"status": "done", "task_version": task.VERSION, "origin": "simulated"}
                store.training(job).put(record, [], split.test, predicted, None)
        Experiment.begin(plan, store, "command")
    return store


def test_a_task_without_the_models_does_not_stop_the_others(tmp_path):
    store = two_tasks(
        tmp_path, human_mpra=["mprann", "dream_rnn"], drosophila=["deepstarr?", "kmer_ridge", "dream_rnn"]
    )
    words = ["compare", "--task", "human_mpra", "--task", "drosophila", "--task", "human_mpra", "--draws", "0"]
    words += ["--results", str(store.root), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [one["task"] for one in found["comparisons"]] == ["human_mpra"]
    (left_out,) = found["left_out"]
    assert "none of the trainings of deepstarr is finished" in left_out
    chosen = json.loads(
        CliRunner().invoke(app, [*words, "--models", "dream_rnn,kmer_ridge", "--baseline", "dream_rnn"]).stdout
    )
    assert [{row["model"] for row in one["tests"]} for one in chosen["comparisons"]] == [set(), {"kmer_ridge"}]
    assert any("kmer_ridge is not in" in line for line in chosen["left_out"])
    assert CliRunner().invoke(app, [*words, "--models", "nothing"]).exit_code == 2
    nothing = CliRunner().invoke(app, [*words, "--baseline", "dream_attn"])
    assert (nothing.exit_code, "Nothing can be compared." in nothing.output) == (2, True)


def test_a_damaged_plan_is_one_sentence(tmp_path):
    store = two_tasks(tmp_path, human_mpra=["mprann"])
    file = store.report_folders()[0] / "plan.json"
    for text in ('{"plan": 3}', "[]", "{"):
        file.write_text(text)
        done = CliRunner().invoke(app, ["compare", "--results", str(store.root)])
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
        assert "plan.json" in done.stderr
