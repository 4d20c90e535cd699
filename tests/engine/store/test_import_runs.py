"""Runs of another machine come home verified; what is damaged, forged or different stays out, and is named."""

import json
import os
import shutil
import tarfile

import numpy as np
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
from benchmarks.io import checksums

pytestmark = pytest.mark.usefixtures("without_plots")

TASK = registry.get_task("human_mpra")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with three trainings and a plan, as another machine made it."""
    store = Store(tmp_path_factory.mktemp("theirs") / "results")
    found = data_sources.find(TASK, "quick", None, seed=0)
    plan = make_plan(TASK, "quick", found, seed=0, models=["kmer_ridge"], test_folds=[0, 1, 2])
    for source in plan.sources:
        store.put_dataset(source.dataset)
    schedule.execute(plan, store, machine.Machine("cpu", 0, 1))
    Experiment.begin(plan, store, "python -m benchmarks run …")
    return store, plan


@pytest.fixture
def theirs(made, tmp_path):
    shutil.copytree(made[0].root, tmp_path / "theirs")
    return tmp_path / "theirs"


@pytest.fixture
def ours(tmp_path):
    return tmp_path / "ours"


def bring(path, ours, code=0):
    done = CliRunner().invoke(app, ["import-runs", str(path), "--results", str(ours), "--json"])
    assert done.exit_code == code, (done.stdout, done.stderr)
    return [(item["kind"], item["status"], item["detail"]) for item in json.loads(done.stdout)["items"]]


def statuses(found):
    return [(kind, status) for kind, status, _ in found]


def a_job(root):
    return sorted(file.parent for file in root.glob("runs/*/*/*/test-*/job.json"))[1]


def files(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in (root / "runs").rglob("*") if p.is_file()}


def test_everything_comes_home_and_is_scored_and_drawn_here(theirs, ours, made):
    found = bring(theirs, ours)
    assert statuses(found) == [("dataset", "imported"), *[("training", "imported")] * 3, ("plan", "imported")]
    assert files(ours) == files(theirs)
    done = CliRunner().invoke(app, ["report", "--results", str(ours)])
    assert done.exit_code == 0, done.stderr
    expected = score(made[1], made[0], TASK)
    again = CliRunner().invoke(app, ["score", "--results", str(ours), "--json"])
    assert [row["value"] for row in json.loads(again.stdout)] == pytest.approx(expected["value"].tolist(), abs=1e-15)
    assert statuses(bring(theirs, ours)) == [
        ("dataset", "already here"), *[("training", "already here")] * 3, ("plan", "already here"),
    ]  # fmt: skip


@pytest.mark.parametrize("inside", ["results", "."])
def test_a_tar_file_serves_too(theirs, ours, tmp_path, inside):
    with tarfile.open(tmp_path / "home.tar.gz", "w:gz") as archive:
        archive.add(theirs, arcname=inside)
    assert statuses(bring(tmp_path / "home.tar.gz", ours)).count(("training", "imported")) == 3
    assert not list(ours.glob(".import-*"))


def test_a_tar_file_with_a_way_out_is_refused(theirs, ours, tmp_path):
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        archive.add(theirs, arcname="results")
        archive.add(theirs / "runs", arcname="../../outside", recursive=False)
    done = CliRunner().invoke(app, ["import-runs", str(tmp_path / "bad.tar"), "--results", str(ours)])
    assert done.exit_code == 2
    assert "not an archive that can be unpacked safely" in done.stderr
    assert not (tmp_path / "outside").exists()
    assert not list(ours.glob("runs/*"))


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGE = {
    "a flipped bit": (lambda job: flip(job / "predictions.npz"), "predictions.npz differs from its SHA-256"),
    "a missing file": (lambda job: (job / "history.jsonl").unlink(), "history.jsonl is missing"),
    "a file too many": (lambda job: (job / "evil.pkl").write_text("x"), "evil.pkl is not in its SHA256SUMS"),
    "no sums": (lambda job: (job / checksums.NAME).unlink(), "it has no readable SHA256SUMS"),
    "no line in the sums": (lambda job: (job / checksums.NAME).write_text("nonsense\n"), "its SHA256SUMS is damaged"),
}


@pytest.mark.parametrize("what", list(DAMAGE))
def test_a_damaged_training_stays_out_and_the_others_come(what, theirs, ours):
    damage, says = DAMAGE[what]
    damage(a_job(theirs))
    found = bring(theirs, ours, code=1)
    assert [item for item in found if item[1] == "refused"] == [("training", "refused", says)]
    assert statuses(found).count(("training", "imported")) == 2
    assert not (ours / a_job(theirs).relative_to(theirs)).exists()


def forge(job, **changes):
    """Rewrite the record and sum it up again, as somebody would who wants it in."""
    record = json.loads((job / "job.json").read_text()) | changes
    (job / "job.json").write_text(json.dumps(record))
    checksums.write(job)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"test_fold": 7}, "it says that it is"),
        ({"model": "../../../../outside"}, "No name that a run gives - at `$.model`"),
        ({"dataset": "../../x"}, "No name that a run gives - at `$.dataset`"),
        ({"digest": "0123456789ab"}, "is neither here nor there"),
        ({"status": "failed"}, "it is not finished"),
    ],
)
def test_a_forged_record_stays_out(changes, says, theirs, ours):
    forge(a_job(theirs), **changes)
    refused = [item for item in bring(theirs, ours, code=1) if item[1] == "refused"]
    assert len(refused) == 1
    assert says in refused[0][2]


def test_a_plan_that_leads_elsewhere_stays_out(theirs, ours):
    (file,) = theirs.glob("reports/*/plan.json")
    stored = json.loads(file.read_text())
    stored["plan"]["jobs"][0]["run"] = "../../../../outside"
    file.write_text(json.dumps(stored))
    says = "it cannot be read (No name that a run gives - at `$.jobs[0].run`)"
    assert ("plan", "refused", says) in bring(theirs, ours, code=1)


@pytest.mark.parametrize("wrong", ["rows", "nan"])
def test_predictions_that_do_not_fit_the_data_stay_out(wrong, theirs, ours):
    job = a_job(theirs)
    with np.load(job / "predictions.npz") as arrays:
        stored = dict(arrays)
    if wrong == "rows":
        stored["rows"] = stored["rows"] + 10**6
    else:
        stored["output_expression"][0] = np.nan
    np.savez_compressed(job / "predictions.npz", **stored)
    checksums.write(job)
    assert statuses(bring(theirs, ours, code=1)).count(("training", "refused")) == 1


def test_a_link_in_a_training_stays_out(theirs, ours, tmp_path):
    job = a_job(theirs)
    (tmp_path / "secret").write_text("secret")
    (job / "history.jsonl").unlink()
    os.symlink(tmp_path / "secret", job / "history.jsonl")
    refused = [item for item in bring(theirs, ours, code=1) if item[1] == "refused"]
    assert refused == [("training", "refused", "history.jsonl is not a plain file")]


def test_a_dataset_with_other_content_stays_out_with_its_runs(theirs, ours):
    folder = next((theirs / "datasets").iterdir())
    codes = np.load(folder / "codes.npy")
    codes[0, 0] = (codes[0, 0] + 1) % 5
    np.save(folder / "codes.npy", codes)
    found = bring(theirs, ours, code=1)
    assert statuses(found) == [("dataset", "refused"), *[("training", "refused")] * 3, ("plan", "imported")]
    assert "its content has the hash" in found[0][2]


def test_a_training_that_both_have_stays_as_it_is_here(theirs, ours):
    bring(theirs, ours)
    job = a_job(theirs)
    with np.load(job / "predictions.npz") as arrays:
        stored = dict(arrays)
    stored["output_expression"] = stored["output_expression"] + np.float32(0.5)
    np.savez_compressed(job / "predictions.npz", **stored)
    checksums.write(job)
    before = files(ours)
    found = bring(theirs, ours)
    assert ("training", "kept ours", "predictions differ") in found
    assert files(ours) == before


@pytest.mark.parametrize("make", ["nothing", "empty", "text"])
def test_what_is_no_store_gets_one_sentence(make, tmp_path, ours):
    path = tmp_path / "x"
    if make == "empty":
        path.mkdir()
    elif make == "text":
        path.write_text("hello")
    done = CliRunner().invoke(app, ["import-runs", str(path), "--results", str(ours)])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1


def test_a_tar_file_that_ends_with_arrays_is_not_a_zip_file(theirs, ours, tmp_path):
    """An .npz file is a zip file, whose mark is looked for at the end."""
    with tarfile.open(tmp_path / "home.tar", "w") as archive:
        archive.add(theirs, arcname="results")
        archive.add(a_job(theirs) / "predictions.npz", arcname="results/last.npz")
    assert statuses(bring(tmp_path / "home.tar", ours)).count(("training", "imported")) == 3


def test_a_link_to_nothing_in_a_tar_file_is_one_sentence(ours, tmp_path):
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        link = tarfile.TarInfo("results/x")
        link.type, link.linkname = tarfile.LNKTYPE, "nowhere"
        archive.addfile(link)
    done = CliRunner().invoke(app, ["import-runs", str(tmp_path / "bad.tar"), "--results", str(ours)])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "not an archive that can be unpacked safely" in done.stderr


def test_rows_beyond_the_dataset_are_passed_over_and_named(theirs):
    job = a_job(theirs)
    with np.load(job / "predictions.npz") as arrays:
        stored = dict(arrays)
    np.savez_compressed(job / "predictions.npz", **stored | {"rows": stored["rows"] + 10**6})
    checksums.write(job)
    done = CliRunner().invoke(app, ["score", "--results", str(theirs)])
    assert done.exit_code == 0, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert job.name in line
    assert "was not scored: it has predictions of other rows than its dataset" in line
