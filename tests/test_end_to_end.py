"""The command as a user types it, in its own processes: every model, resume after a kill, and honest learning."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from tests.helpers.paths import ROOT

TINY = ["--set", "recipe.epochs=1", "--set", "recipe.width_scale=0.05", "--set", "recipe.batch_size=128"]


def start(results, *words, cwd):
    command = [sys.executable, "-m", "benchmarks", "run", "--task", "human_mpra", "--results", str(results), *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process):
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    return out, err


@pytest.mark.slow
def test_every_model_trains_in_a_worker_and_ends_in_a_report(tmp_path):
    out, err = finish(start("results", "--folds", "0,1", "--device", "cpu", "--json", *TINY, cwd=tmp_path))
    answer = json.loads(out)
    assert (answer["done"], answer["failed"], answer["skipped"]) == (10, 0, 0)
    assert "Traceback" not in err
    assert err.count("left\n") + err.count("all done\n") == 10  # a plain line per training, with an ETA
    report = tmp_path / answer["report"]
    scores = pd.read_csv(report / "scores.csv")
    assert set(scores["model"]) == {"dream_cnn", "dream_rnn", "dream_attn", "mprann", "kmer_ridge"}
    assert scores["value"].notna().all()
    tests = pd.read_csv(report / "tests.csv")
    assert set(tests["baseline"]) == {"mprann"}
    assert (tests["n_folds"] == 2).all()
    page = (report / "report.html").read_text()
    assert all(name in page for name in ("DREAM-CNN", "DREAM-RNN", "DREAM-Attn", "MPRAnn", "k-mer ridge", "SIMULATED"))
    for job in (tmp_path / "results/runs").glob("*/*/*/test-*/job.json"):
        record = json.loads(job.read_text())
        weights = {"torch": "model.pth", "keras": "model.npz", "numpy": "model.npz"}[record["framework"].split()[0]]
        assert (job.parent / weights).stat().st_size > 1000
        assert record["threads"] >= 1


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(tmp_path):
    words = ["--models", "kmer_ridge", "--folds", "0-9", "--members", "3", "--device", "cpu", "--workers", "1"]
    first = start("results", *words, cwd=tmp_path)
    runs = tmp_path / "results/runs"
    deadline = time.monotonic() + 60
    while not list(runs.glob("*/*/*/test-*/job.json")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    time.sleep(2)  # the worker ends its job and notices that nobody listens
    kept = len(list(runs.glob("*/*/*/test-*/job.json")))
    assert 1 <= kept < 30
    out, _ = finish(start("results", *words, "--json", cwd=tmp_path))
    answer = json.loads(out)
    assert (answer["skipped"], answer["done"], answer["failed"]) == (kept, 30 - kept, 0)
    assert len(list(runs.glob("*/*/*/test-*/job.json"))) == 30
    assert not list(runs.glob("*/*/*/.*"))


@pytest.mark.slow
def test_simulated_data_is_learnable_and_honest(tmp_path):
    words = ["--models", "dream_cnn,kmer_ridge", "--device", "cpu", "--json"]
    out, _ = finish(start("results", *words, cwd=tmp_path))
    table = pd.DataFrame(json.loads(out)["scores"])
    row = table.query("role == 'ensemble' and metric == 'pearson_r' and level == 'row'")
    r = row.groupby("model")["value"].mean()
    dataset = next((tmp_path / "results/datasets").glob("*/dataset.json"))
    ceiling = {c["level"]: c["value"] for c in json.loads(dataset.read_text())["ceilings"]}
    assert r["kmer_ridge"] >= 0.2
    assert r["dream_cnn"] - r["kmer_ridge"] >= 0.05
    every = table.query("metric == 'pearson_r'")
    assert all(value < ceiling[level] for level, value in zip(every["level"], every["value"], strict=True))
    out, _ = finish(start("results", *words, "--shuffle-labels", cwd=tmp_path))
    shuffled = pd.DataFrame(json.loads(out)["scores"]).query(
        "role == 'ensemble' and metric == 'pearson_r' and level == 'row'"
    )
    assert (shuffled.groupby("model")["value"].mean().abs() < 0.1).all()
