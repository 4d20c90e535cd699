"""One report over all tasks: the published figures as they stand in the file, and what is made of stored runs."""

import json
import shutil

import pandas as pd
import pytest
from scipy import stats as scipy_stats
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.apps.across_tasks import published_values
from benchmarks.cli.main import app
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.execution import machine, schedule
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import make_plan
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.usefixtures("without_plots")

FILE = ROOT / "benchmarks/apps/across_tasks/published.csv"


@pytest.fixture(scope="module")
def table():
    return published_values.read(FILE)


@pytest.mark.parametrize(
    ("model", "metric", "dataset", "value"),
    [
        ("DREAM-RNN (independent reproduction, 9-model ensemble)", "pearson_r", "lentiMPRA K562", 0.8249),
        ("DREAM-RNN single model", "pearson_r", "lentiMPRA K562", 0.7938),
        ("DeepSTARR retrained, no augmentation (5 trials)", "pearson_r[dev]", "DeepSTARR UMI-STARR-seq", 0.6653),
        ("DeepSTARR retrained, no augmentation (5 trials)", "pearson_r[hk]", "DeepSTARR UMI-STARR-seq", 0.7457),
        ("autosome.org (1st)", "pearson_score", "DREAM2022 test", 0.8184),
        ("DREAM-CNN", "n_params", "6x150 in, 18-bin head", 1_933_970),
        ("DREAM-RNN", "n_params", "5x230 in, 1 head", 4_203_393),
        ("DREAM-Attn", "n_params", "5x249 in, 2 heads", 4_690_434),
    ],
)
def test_figures_are_those_of_their_sources(table, model, metric, dataset, value):
    here = (table["model"] == model) & (table["metric"] == metric) & (table["dataset"] == dataset)
    assert value in table.loc[here, "value"].tolist()
    assert (table.loc[here, "source"] != "").all()


def test_what_may_be_compared_names_places_that_exist(table):
    comparable = table[table["our_task"] != ""]
    assert len(comparable) > 20
    known = set(registry.models()) | set(registry.families())
    for row in comparable.itertuples():
        task = registry.get_task(row.our_task)
        assert row.our_dataset in ("", *task.DATASETS)
        if row.our_model:
            assert row.our_model.partition(".")[0] in known
    suspect = table[table["caveat"].str.startswith("suspect")]
    assert len(suspect) >= 3
    assert (suspect["our_task"] == "").all()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Ridges on three tasks, trained on simulated data."""
    store = Store(tmp_path_factory.mktemp("results"))
    for name in ("human_mpra", "drosophila"):
        task = registry.get_task(name)
        found = data_sources.find(task, "quick", None, seed=0)
        plan = make_plan(task, "quick", found, seed=0, models=["kmer_ridge"], test_folds=[0, 1, 2])
        store.put_dataset(plan.sources[0].dataset)
        schedule.execute(plan, store, machine.Machine("cpu", 0, 1))
        Experiment.begin(plan, store, "command")
    return store


def call(store, *words):
    return CliRunner().invoke(app, ["across", "--results", str(store.root), *map(str, words)])


def test_means_intervals_and_ranks_stand_in_one_table(store, tmp_path):
    done = call(store, "--out", tmp_path / "all")
    assert done.exit_code == 0, done.output
    found = pd.read_csv(tmp_path / "all" / "across.csv")
    assert set(found["task"]) == {"human_mpra", "drosophila"}
    assert set(found["origin"]) == {"simulated"}
    task = registry.get_task("human_mpra")
    scores = score(Experiment.open(store, "human_mpra", None).plan, store, task)
    values = scores[(scores["role"] == "ensemble") & (scores["level"] == "row") & (scores["metric"] == "pearson_r")]
    interval = scipy_stats.ttest_1samp(values["value"], 0).confidence_interval()
    row = found[(found["task"] == "human_mpra") & (found["level"] == "row")].iloc[0]
    assert row["mean"] == pytest.approx(values["value"].mean())
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high))
    assert row["rank"] == 1
    page = (tmp_path / "all" / "across.html").read_text()
    assert "SIMULATED" in page
    assert "<script" not in page


def test_no_claim_about_biology_is_judged_on_simulated_data(store, tmp_path):
    call(store, "--out", tmp_path / "all")
    claims = pd.read_csv(tmp_path / "all" / "claims.csv")
    assert len(claims) == 16
    assert (claims.set_index("number").loc[[1, 2, 3, 4, *range(9, 17)], "verdict"] == "not testable").all()


@pytest.mark.slow
def test_nothing_published_stands_beside_simulated_scores(store, tmp_path):
    done = call(store, "--out", tmp_path / "all", "--json")
    assert done.exit_code == 0, done.output
    json.loads(done.stdout)
    beside = tmp_path / "all" / "published.csv"
    assert not beside.is_file() or pd.read_csv(beside)["measured"].isna().all()


def test_a_store_without_runs_is_one_sentence(tmp_path):
    done = call(Store(tmp_path))
    assert done.exit_code == 2
    assert "No run is stored" in done.output


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\xff", b"foo,bar\n1,2\n"])
def test_damaged_challenge_or_grid_tables_are_refused(store, tmp_path, content):
    (tmp_path / "ranking.csv").write_bytes(content)
    done = call(store, "--challenge", tmp_path)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "ranking.csv" in done.stderr
    folder = tmp_path / "grid"
    folder.mkdir()
    shutil.copy(store.report_folders("human_mpra")[0] / "plan.json", folder)
    (folder / "grid.csv").write_bytes(content)
    done = call(store, "--grid", folder)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "grid.csv" in done.stderr
