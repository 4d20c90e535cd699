"""Panels of the paper from stored runs: drawn where there is data, listed with the reason where there is none."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.cli.main import app
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.execution import machine, schedule
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import make_plan
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store

PANELS = "1b,1c,1d,1e,1f,1g,2b,2d,2e,3a,3b,3c,3e,ED1,T1,T2,X7"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A ridge on human_mpra, and what `figures` makes of it."""
    folder = tmp_path_factory.mktemp("figures")
    store, task = Store(folder / "results"), registry.get_task("human_mpra")
    plan = make_plan(
        task,
        "quick",
        data_sources.find(task, "quick", None, seed=0),
        seed=0,
        models=["kmer_ridge"],
        test_folds=[0, 1, 2],
    )
    store.put_dataset(plan.sources[0].dataset)
    schedule.execute(plan, store, machine.Machine("cpu", 0, 1))
    Experiment.begin(plan, store, "command")
    words = [
        "figures",
        "--results",
        str(store.root),
        "--out",
        str(folder / "out"),
        "--panels",
        PANELS,
        "--contact-sheet",
        "--json",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    json.loads(done.stdout)
    return folder / "out", score(plan, store, task)


def test_every_panel_is_drawn_or_listed_with_its_reason(drawn):
    out, _ = drawn
    table = pd.read_csv(out / "panels.csv", keep_default_na=False).set_index("panel")
    assert set(table.index) >= set(PANELS.split(","))
    is_drawn = table["drawn"].astype(str).str.lower().isin(["yes", "true"])
    assert {"3b", "T2"} <= set(table.index[is_drawn])
    assert {"1c", "2b", "2e", "T1", "3a", "3c", "ED1"} <= set(table.index[~is_drawn])
    assert (table.loc[~is_drawn, "reason"] != "").all()
    assert table.loc["3a", "command"] == "python -m benchmarks run --task drosophila"
    assert table.loc["3b", "source"].startswith("run human_mpra_quick")
    assert table.loc[["3b", "2d", "T2"], "origin"].tolist() == ["simulated", "", ""]
    assert (out / "contact_sheet.png").stat().st_size > 20_000
    for panel in table.index[~is_drawn]:
        assert not list(out.glob(f"{panel}.*"))


def test_the_numbers_behind_a_panel_are_those_of_the_run(drawn):
    out, scores = drawn
    expected = scores[(scores["role"] == "ensemble") & (scores["metric"] == "pearson_r") & (scores["level"] == "row")]
    found = pd.read_csv(out / "3b.csv")
    assert sorted(found["value"]) == pytest.approx(sorted(expected["value"]))
    for ending in ("png", "svg"):
        assert (out / f"3b.{ending}").stat().st_size > 5_000


def test_the_page_says_that_data_is_simulated(drawn):
    page = (drawn[0] / "index.html").read_text()
    assert "SIMULATED" in page
    assert "3b" in page


def test_unknown_panels_are_one_sentence(tmp_path):
    done = CliRunner().invoke(app, ["figures", "--out", str(tmp_path / "o"), "--panels", "9z"])
    assert done.exit_code == 2
    assert "9z" in done.output
    assert not (tmp_path / "o").exists()
