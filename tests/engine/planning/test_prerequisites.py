"""A model that others need is fitted first on every split, once; what needs a lost one is not trained, and says why."""

import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.cli.main import app
from benchmarks.engine.execution import machine, schedule
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import Plan, make_plan, with_prerequisites
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training_table import job_table
from benchmarks.errors import BadInput

pytestmark = pytest.mark.usefixtures("without_plots")

TASK = registry.get_task("human_mpra")
INLINE = machine.Machine("cpu", 0, 1)

BASE = '''"""Predicts the mean of its training rows; fails where the file `fail` lies."""
import json
from pathlib import Path
import numpy as np
from benchmarks.api.data import Recipe
NAME = "base"
RECIPE = Recipe(epochs=1)
FAIL = Path({fail!r})
LOG = Path({log!r})

def unsupported(spec):
    return None

class Fitted:
    n_params, precision, outputs = 1, "float64", ()
    def __init__(self, spec):
        self.spec = spec
    def fit(self, train, val, *, seed, on_epoch=None, checkpoints=None):
        if FAIL.exists():
            raise ValueError("the file says so")
        LOG.open("a").write("base\\n")
        self.mean = float(np.mean(next(iter(train.targets.values()))))
        return [{{"epoch": 1, "train_loss": 1.0, "val_loss": 1.0, "val_pearson_r": 0.0, "lr": None, "seconds": 0.1,
                 "train_seconds": 0.1, "is_best": True}}]
    def predict(self, data):
        return {{name: np.full(len(data), self.mean, np.float32) for name in self.spec.outputs}}
    def save(self, folder):
        (folder / "mean.json").write_text(json.dumps(self.mean))
    def load(self, folder):
        self.mean = json.loads((folder / "mean.json").read_text())

def build(spec, recipe, assets):
    return Fitted(spec)
'''

USER = '''"""Predicts what `base` does, plus one."""
import json
import numpy as np
from benchmarks.api.data import Recipe
NAME = "user"
RECIPE = Recipe(epochs=1)
PREREQUISITES = ("base",)

def unsupported(spec):
    return None

class Fitted:
    n_params, precision = 1, "float64"
    def __init__(self, spec, folder):
        self.spec, self.mean = spec, json.loads((folder / "mean.json").read_text())
    def fit(self, train, val, *, seed, on_epoch=None, checkpoints=None):
        return [{{"epoch": 1, "train_loss": 1.0, "val_loss": 1.0, "val_pearson_r": 0.0, "lr": None, "seconds": 0.1,
                 "train_seconds": 0.1, "is_best": True}}]
    def predict(self, data):
        return {{name: np.full(len(data), self.mean + 1, np.float32) for name in self.spec.outputs}}
    def save(self, folder):
        pass

def build(spec, recipe, assets):
    return Fitted(spec, assets["base"])
'''


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_plugins", {})
    texts = {"base": BASE.format(fail=str(tmp_path / "fail"), log=str(tmp_path / "log")), "user": USER.format()}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
        registry.add_plugin(tmp_path / f"{name}.py")
    found = data_sources.find(TASK, "quick", None, seed=0)
    store = Store(tmp_path / "results")
    for source in found:
        store.put_dataset(source.dataset)
    return tmp_path, store, found


def plan_of(found, models=("user",), **options):
    return make_plan(TASK, "quick", found, seed=0, models=list(models), test_folds=[0, 1], n_members=1, **options)


def test_a_prerequisite_joins_the_plan_before_what_needs_it(world):
    _, _, found = world
    plan = plan_of(found)
    assert plan.models == ("base", "user")
    assert [job.model for job in plan.jobs] == ["base", "user", "base", "user"]
    base, user = plan.jobs[:2]
    assert user.prerequisites == {"base": base.config_hash}
    assert base.prerequisites == {}
    assert plan_of(found, ("user", "base")).models == ("base", "user")
    again = Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again.jobs == plan.jobs


def test_another_prerequisite_is_another_run(world):
    _, _, found = world
    usual, other = plan_of(found), plan_of(found, changes=["base.max_lr=0.5"])
    assert usual.jobs[0].config_hash != other.jobs[0].config_hash
    assert usual.jobs[1].config_hash != other.jobs[1].config_hash, "the user's own recipe did not change, its base did"


def test_the_fitted_model_arrives_and_is_shared(world):
    tmp_path, store, found = world
    plan = plan_of(found)
    events = []
    counts = schedule.execute(
        plan, store, INLINE, save_models=False, on_event=lambda j, k, p: events.append((j.model, k))
    )
    assert counts == {"done": 4, "failed": 0, "skipped": 0}
    assert (tmp_path / "log").read_text() == "base\n" * 2, "once per split"
    finished = [model for model, kind in events if kind == "done"]
    assert finished == ["base", "base", "user", "user"]
    for base, user in (plan.jobs[:2], plan.jobs[2:]):
        (_, ours), (_, theirs) = (store.training(job).predictions() for job in (user, base))
        name = next(iter(ours))
        np.testing.assert_allclose(ours[name], theirs[name] + 1, rtol=1e-6)
    assert schedule.execute(plan, store, INLINE) == {"done": 0, "failed": 0, "skipped": 4}


def test_a_failed_prerequisite_blocks_what_needs_it_until_rerun(world):
    tmp_path, store, found = world
    (tmp_path / "fail").touch()
    plan = plan_of(found, ("user", "kmer_ridge"))
    counts = schedule.execute(plan, store, INLINE)
    assert counts == {"done": 2, "failed": 4, "skipped": 0}
    table = job_table(plan, store).set_index("model")
    assert set(table.loc["kmer_ridge", "status"]) == {"done"}
    assert set(table.loc["user", "status"]) == {"failed"}
    reason = table.loc["user", "reason"].iloc[0]
    assert reason == "Not trained: it needs base, which failed on this split: the file says so"

    (tmp_path / "fail").unlink()
    assert schedule.execute(plan, store, INLINE) == {"done": 4, "failed": 0, "skipped": 2}
    assert job_table(plan, store)["status"].eq("done").all()


def test_what_is_trained_again_brings_what_it_needs(world):
    """A prerequisite that neither is done nor has failed, as after a kill, would be waited for without end."""
    _, _, found = world
    plan = plan_of(found, ("user", "kmer_ridge"))
    base, user = plan.jobs[0], next(job for job in plan.jobs if job.model == "user")
    assert with_prerequisites(plan, [user.id]) == {base.id, user.id}
    ridge = next(job.id for job in plan.jobs if job.model == "kmer_ridge")
    assert with_prerequisites(plan, [ridge]) == {ridge}
    without = dataclasses.replace(plan, jobs=tuple(job for job in plan.jobs if job.model != "base"))
    with pytest.raises(BadInput, match="no training of base"):
        with_prerequisites(without, [user.id])


def test_retrying_a_training_makes_the_one_it_needs_first(world):
    tmp_path, store, found = world
    plan = plan_of(found)
    Experiment.begin(plan, store, "run")
    user = next(job for job in plan.jobs if job.model == "user")
    store.training(user).put_failure(user.to_dict() | {"status": "failed", "reason": "lost"})
    words = ["retry", "--failed", "--results", str(store.root), "--workers", "0", "--device", "cpu"]
    words += ["--plugin", str(tmp_path / "base.py"), "--plugin", str(tmp_path / "user.py")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert store.training(user).is_done
    assert (tmp_path / "log").read_text() == "base\n"


def test_a_resumed_run_finds_the_prerequisite_that_is_there(world):
    tmp_path, store, found = world
    schedule.execute(plan_of(found, ("base",)), store, INLINE)
    plan = plan_of(found)
    assert schedule.execute(plan, store, INLINE) == {"done": 2, "failed": 0, "skipped": 2}
    assert (tmp_path / "log").read_text() == "base\n" * 2


def test_a_model_whose_prerequisite_declines_is_left_out(world, monkeypatch):
    _, _, found = world
    monkeypatch.setattr(registry.get_model("base"), "unsupported", lambda spec: "cannot count")
    with pytest.raises(BadInput, match="user needs base, which cannot count"):
        plan_of(found)
