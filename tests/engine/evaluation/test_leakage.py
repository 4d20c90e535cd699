"""Train-test overlap of a run: planted copies are found, and what the models score without them."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.api.sequences import decode
from benchmarks.cli.main import app
from benchmarks.engine.evaluation import leakage
from benchmarks.engine.evaluation.scores import predicted, score
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.folds import find_split
from benchmarks.engine.planning.plan import Source, make_plan
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.human_mpra.prepare import INSERT, reverse_insert

pytestmark = pytest.mark.usefixtures("without_plots")

TASK = registry.get_task("human_mpra")
YEAST = registry.get_task("yeast")


def planted(seed=0):
    """Give the simulated experiment a fold leak: rows of fold 0 whose sequences now stand in fold 1 too."""
    dataset = TASK.simulate(seed=seed)
    fold, codes = dataset.meta["fold"].to_numpy(), dataset.codes.copy()
    group = dataset.meta["group"].to_numpy()
    first = np.flatnonzero(fold == 1)
    mine = [first[0], *(row for row in first if group[row] != group[first[0]])]
    of_groups = pd.Series(mine).groupby(group[mine]).first().to_numpy()  # one row of each element
    test = pd.Series(np.flatnonzero(fold == 0)).groupby(group[fold == 0]).first().to_numpy()
    rng = np.random.default_rng(seed)
    inside = np.arange(INSERT.start, INSERT.stop)
    changed = codes[of_groups[2]].copy()
    at = rng.choice(inside, 3, replace=False)
    changed[at] = (changed[at] + 1) % 4
    shifted = codes[of_groups[3]].copy()
    shifted[INSERT] = np.r_[shifted[inside[10:]], rng.integers(0, 4, 10)]
    copies = [codes[of_groups[0]], reverse_insert(codes[of_groups[1]][None])[0], changed, shifted]
    codes[test[:4]] = copies
    return dataclasses.replace(dataset, codes=codes), dict(
        zip(("exact", "reverse_complement", "n", "s"), test[:4], strict=True)
    )


def test_every_planted_kind_is_caught_in_its_fold():
    dataset, rows = planted()
    found = leakage.of_dataset(TASK, dataset, leakage.Rule(), wanted=[(0, 1), (0, 2)])
    # Both orientations of an element may be there, so that a copy is also the other orientation's reverse complement.
    table = found.table.set_index("kind")
    assert set(found.rows[0 if False else (dataset.name, 0)]) >= set(rows.values())
    assert table.loc["exact", "n_leaking"] >= 1
    assert table.loc["reverse_complement", "n_leaking"] >= 1
    assert table.loc["near", "n_leaking"] >= 2
    assert table.loc["any", "n_test"] == (dataset.meta["fold"] == 0).sum()
    assert table.loc["any", "n_seen"] == (dataset.meta["fold"] != 0).sum()


def test_the_simulated_experiment_has_no_leak():
    found = leakage.of_dataset(TASK, TASK.simulate(seed=0), leakage.Rule())
    assert (found.table["n_leaking"] == 0).all()
    assert found.worst == 0
    assert set(found.table["origin"]) == {"simulated"}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A run on the planted experiment, without a training: noise that is absent from the leaking rows."""
    store = Store(tmp_path_factory.mktemp("results"))
    dataset, _ = planted()
    source = Source(dataset.name, len(dataset), dataset, dataset.content_hash()[:12])
    plan = make_plan(TASK, "quick", [source], seed=0, models=["kmer_ridge", "mprann"], test_folds=[0, 2], n_members=2)
    store.put_dataset(dataset)
    leaking = leakage.of_plan(plan, store, TASK, score(plan, store, TASK)).rows[dataset.name, 0]
    for job in plan.jobs:
        split = find_split(TASK, dataset, job.test_fold, job.val_fold)
        rng = np.random.default_rng([job.val_fold, len(job.model)])
        truth = dataset.targets["expression"][split.test].astype(np.float32)
        noise = np.where(np.isin(split.test, leaking), 0, rng.normal(size=len(truth)) * 2)
        record = job.to_dict() | {"status": "done"}
        predicted = {"expression": (truth + noise).astype(np.float32)}
        store.training(job).put(record, [], split.test, predicted, None)
    return Experiment.begin(plan, store, "command"), store, dataset, leaking


def test_leak_free_scores_leave_out_leaking_elements_whole(experiment):
    found, store, dataset, leaking = experiment
    scores = score(found.plan, store, TASK)
    leaks = leakage.of_plan(found.plan, store, TASK, scores)
    free = leaks.scores[leaks.scores["test_fold"] == 0]
    one = free[(free["role"] == "ensemble") & (free["model"] == "mprann") & (free["metric"] == "pearson_r")]
    stored = next(p for p in predicted(found.plan, store) if (p.model, p.test_fold) == ("mprann", 0))
    group = dataset.meta["group"].to_numpy()
    keep = ~np.isin(group[stored.rows], group[leaking])
    truth, mean = dataset.targets["expression"][stored.rows], np.mean([m["expression"] for m in stored.members], axis=0)
    row = one[one["level"] == "row"].iloc[0]
    assert row["n_leak_free"] == keep.sum() < row["n"] == len(stored.rows)
    assert row["value_leak_free"] == pytest.approx(pearsonr(truth[keep], mean[keep])[0], abs=1e-6)
    assert row["value"] == pytest.approx(pearsonr(truth, mean)[0], abs=1e-6)
    assert row["difference"] == pytest.approx(row["value_leak_free"] - row["value"])
    assert len(leaks.scores) == len(scores)


def test_a_fold_without_leaks_keeps_its_scores(experiment):
    found, store, _, _ = experiment
    scores = score(found.plan, store, TASK)
    free = leakage.of_plan(found.plan, store, TASK, scores).scores
    clean = free[free["test_fold"] == 2]
    assert len(clean)
    assert (clean["difference"] == 0).all()
    assert (clean["n"] == clean["n_leak_free"]).all()


def test_above_the_limit_the_command_is_named_instead(experiment, monkeypatch, tmp_path):
    """Nothing is searched; the command that does it is named."""
    found, store, _, _ = experiment
    monkeypatch.setattr(leakage, "QUICK_BASES", 1000)
    scores = score(found.plan, store, TASK)
    leaks = leakage.search_if_quick(found.plan, store, TASK, scores, tmp_path)
    assert f"leaks --results {store.root} --report {tmp_path}" in leaks.skipped
    assert leaks.table.empty
    leakage.write(leaks, tmp_path)
    assert not list(tmp_path.iterdir())
    leakage.write(leakage.of_plan(found.plan, store, TASK, scores), tmp_path)
    again = leakage.search_if_quick(found.plan, store, TASK, scores, tmp_path)
    assert again.table["n_leaking"].sum() > 0
    assert "earlier" in again.skipped


def test_bases_are_counted_over_folds(experiment):
    found, store, dataset, _ = experiment
    assert leakage.n_bases(found.plan, store, TASK) == 2 * len(dataset) * 230


def test_the_command_searches_a_run_and_can_fail(experiment):
    found, store, _, leaking = experiment
    words = ["leaks", "--results", str(store.root), "--task", "human_mpra"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    row = next(r for r in answer["leaks"] if r["test_fold"] == 0 and r["kind"] == "any")
    assert row["n_leaking"] == len(leaking)
    assert (found.folder / "leaks.csv").is_file()
    assert CliRunner().invoke(app, [*words, "--fail-above", "0.0001"]).exit_code == 1
    assert CliRunner().invoke(app, [*words, "--fail-above", "0.9"]).exit_code == 0
    shown = CliRunner().invoke(app, words)
    assert "SIMULATED DATA" in shown.stdout


def test_the_command_searches_a_file(tmp_path):
    dataset, _ = planted()
    rows = np.flatnonzero(dataset.meta["fold"].isin([0, 1]))
    file = tmp_path / "mine.tsv"
    part = np.where(dataset.meta["fold"].to_numpy()[rows] == 0, "test", "train").astype(object)
    part[np.flatnonzero(part == "train")[-40:]] = "val"
    sequences = decode(dataset.codes[rows])
    table = pd.DataFrame({"seq": sequences, "mean_value": dataset.targets["expression"][rows], "split": part})
    table.to_csv(file, sep="\t", index=False)
    out = tmp_path / "leaks.csv"
    done = CliRunner().invoke(app, ["leaks", "--task", "human_mpra", "--data", str(file), "--out", str(out)])
    if done.exit_code == 2:  # equal sequences and orientations in two parts are refused before anything is searched
        assert "split" in done.output
        return
    assert done.exit_code == 0, done.output
    assert pd.read_csv(out).groupby("kind")["n_leaking"].sum()["near"] >= 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--k", "16"], "odd"),
        (["--threshold", "0.3"], "0.5"),
        (["--data", "x.tsv"], "one --task"),
        (["--split", "strict"], "--data"),
        (["--task", "human_mrpa"], "human_mpra"),
        (["--out", "/no/such/folder/x.csv"], "--out"),
    ],
)
def test_bad_words_give_one_sentence(words, message, tmp_path):
    done = CliRunner().invoke(app, ["leaks", "--results", str(tmp_path), *words])
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output


def test_without_leaves_out_yeast_pairs_with_a_leaking_member():
    dataset = YEAST.simulate(seed=0)
    split = next(iter(YEAST.splits(dataset.meta)))
    test = dataset.take(split.test)
    pairs = test.tables["pairs"]
    unwanted = np.zeros(len(test), dtype=bool)
    unwanted[[int(pairs["alt_pos"].iloc[0]), 5]] = True
    left, rows = YEAST.without(test, unwanted)
    assert rows.tolist() == [i for i in range(len(test)) if not unwanted[i]]
    expected = [
        (subset, alt, ref)
        for subset, alt, ref in zip(pairs["subset"], pairs["alt_pos"], pairs["ref_pos"], strict=True)
        if not unwanted[int(alt)] and not unwanted[int(ref)]
    ]
    kept = left.tables["pairs"]
    found = zip(kept["subset"], rows[kept["alt_pos"]], rows[kept["ref_pos"]], strict=True)
    assert list(found) == expected
    assert len(expected) < len(pairs)
    truth = np.random.default_rng(0).normal(size=len(test))
    table = YEAST.score(left, {"expression": truth[rows]})
    one = table[(table["subset"] == "all") & (table["level"] == "whole") & (table["metric"] == "pearson_r")].iloc[0]
    measured = next(iter(test.targets.values()))[rows].astype(float)
    assert one["value"] == pytest.approx(pearsonr(measured, truth[rows])[0])
    assert one["n"] == len(rows)


def test_windows_that_share_a_base_of_the_genome():
    test = pd.DataFrame({"chrom": ["a", "a", "a", "b"], "start": [0, 100, 299, 0], "end": [10, 200, 310, 10]})
    seen = pd.DataFrame({"chrom": ["a", "a", "c"], "start": [10, 199, 0], "end": [100, 300, 10]})
    assert leakage._share_a_base(test, seen).tolist() == [False, True, True, False]


def test_coordinates_of_drosophila_count_their_last_base():
    task = registry.get_task("drosophila")
    data = task.simulate(seed=0).take(np.array([0, 0, 0]))
    # One, counted from 1 with its end; a window that shares its last base; one that only touches it.
    meta = data.meta.assign(chrom="chr2R", start=[1000, 1248, 1249], end=[1248, 1496, 1497])
    places = leakage._places(dataclasses.replace(data, meta=meta), 249)
    assert leakage._share_a_base(places.iloc[1:], places.iloc[:1]).tolist() == [True, False]


def test_folds_of_the_wtc11_sample_share_no_sequences(real_data):
    source = data_sources.find(TASK, "quick", real_data("human_mpra/wtc11_dream_sample.tsv.gz"), seed=0)[0]
    totals = leakage.of_dataset(TASK, source.dataset, leakage.Rule()).table.groupby("kind")["n_leaking"].sum()
    assert (totals["exact"], totals["reverse_complement"]) == (0, 0)
    assert totals["near"] > 0
