"""Every model that the registry finds, on every task's simulated data cut down: what the Model protocol promises.

Models and tasks are found by folder scan, so a new file is tested as soon as it is there. Networks are narrow and train
for two short epochs; nothing here asks whether a model is any good.
"""

import dataclasses
import json
import math
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks import registry
from benchmarks.api.data import Dataset, Preset, TaskSpec

N_TRAIN, N_VAL, N_TEST = 48, 30, 70
DETERMINISTIC = {"kmer_ridge"}
"""Models in which nothing is random. A network belongs here only by mistake."""
CLOCK = {"seconds", "train_seconds"}
"""Columns of a history that differ between two equal trainings."""
SMALL = {"width_scale": 0.05, "epochs": 2, "batch_size": 16, "k": 3, "n_alphas": 2}
"""Recipe fields that make a training small, for the models that have them."""

PAIRS = [(model, task) for model in registry.models() for task in registry.tasks()]
each_pair = pytest.mark.parametrize(("model", "task"), PAIRS, ids=[f"{m}-{t}" for m, t in PAIRS])
each_model = pytest.mark.parametrize("model", list(registry.models()))


@cache
def rows_of(task):
    """Return training, validation and test rows of a task's simulated data, in read-only arrays."""
    data = registry.get_task(task).simulate(seed=0)
    rows = np.random.default_rng(0).permutation(len(data))
    train, val, test, _ = np.split(rows, np.cumsum([N_TRAIN, N_VAL, N_TEST]))
    return SimpleNamespace(
        train=read_only(data.take(train)), val=read_only(data.take(val)), test=read_only(data.take(test))
    )


def read_only(data):
    """Codes may be memory-mapped, so no model may write into them."""
    for array in (data.codes, *data.targets.values()):
        array.flags.writeable = False
    return data


def small_recipe(module):
    fields = {field.name for field in dataclasses.fields(module.RECIPE)}
    return dataclasses.replace(module.RECIPE, **{key: value for key, value in SMALL.items() if key in fields})


def built(model, spec, seed):
    """Build a model as the runner does: the framework is seeded, then the module builds."""
    framework = registry.model_entry(model).framework
    backend = registry.get_backend(framework)
    if backend:
        # Narrow networks gain nothing from a second thread; tensorflow's number is fixed once it has computed.
        backend.configure("cpu", threads=1 if framework == "torch" else None)
        backend.seed_everything(seed)
    module = registry.get_model(model)
    return module.build(spec, small_recipe(module), {})


def trained(model, task, seed):
    """Return a trained model with its history and the rows it reported on the way."""
    rows, reported = rows_of(task), []
    fitted = built(model, registry.get_task(task).SPEC, seed)
    history = fitted.fit(rows.train, rows.val, seed=seed, on_epoch=lambda row: reported.append(dict(row)))
    return SimpleNamespace(
        fitted=fitted, history=history, reported=reported, predicted=fitted.predict(rows.test.without_targets())
    )


@cache
def first_training(model, task):
    return trained(model, task, seed=1)


@pytest.fixture
def run(model, task):
    """Give a pair's training, made once; skip the pair if the model says that it cannot learn the task."""
    reason = registry.get_model(model).unsupported(registry.get_task(task).SPEC)
    if reason:
        pytest.skip(f"{model}: {reason}")
    return first_training(model, task)


def tolerance(values):
    """Return what rounding may change: a thousandth of the spread between sequences, or a few units in the last place.

    Two epochs leave some networks with nearly equal predictions, so the spread itself is checked against rounding.
    """
    rounding = 4 * float(np.finfo(np.float32).eps * np.abs(values).max())
    spread = float(values.std())
    assert spread > 10 * rounding, "predictions this much alike would agree whatever a model did"
    return 1e-3 * spread + rounding


def assert_close(actual, expected):
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, rtol=0, atol=tolerance(values))


def assert_shape(values, spec, n_rows):
    """One number per sequence, or something for every sequence where the task has profiles."""
    assert values.shape[0] == n_rows
    assert values.ndim == 1 or spec.head == "profile_counts"


def timeless(history):
    return [{key: value for key, value in row.items() if key not in CLOCK} for row in history]


# What comes out


@each_pair
def test_every_task_output_has_finite_numbers_per_sequence(run, task):
    spec = registry.get_task(task).SPEC
    assert list(run.predicted) == list(spec.outputs)
    for values in run.predicted.values():
        assert_shape(values, spec, N_TEST)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()


@each_pair
def test_the_size_is_a_positive_number(run):
    assert isinstance(run.fitted.n_params, int)
    assert run.fitted.n_params > 0
    assert isinstance(run.fitted.precision, str)


@each_pair
def test_history_has_the_promised_columns(run):
    promised = {"epoch", "train_loss", "val_loss", "val_pearson_r", "lr", "seconds", "train_seconds", "is_best"}
    assert [row["epoch"] for row in run.history] == list(range(1, len(run.history) + 1))
    assert [sorted(promised - row.keys()) for row in run.history] == [[]] * len(run.history)


@each_pair
def test_history_is_plain_finite_and_names_one_best_epoch(run):
    assert json.loads(json.dumps(run.history)) == run.history
    assert all(math.isfinite(row["train_loss"]) and math.isfinite(row["val_loss"]) for row in run.history)
    assert sum(row["is_best"] for row in run.history) == 1


@each_pair
def test_every_epoch_is_reported_as_it_ends(run):
    without_best = [{key: value for key, value in row.items() if key != "is_best"} for row in run.history]
    assert run.reported == without_best


@each_pair
def test_the_best_epoch_s_weights_are_left_in_place(run, task):
    """The validation scores of what is left, computed here, are those of the best epoch's row."""
    val = rows_of(task).val
    predicted = run.fitted.predict(val)
    best = next(row for row in run.history if row["is_best"])
    loss = sum(np.mean((predicted[name] - val.targets[name]) ** 2) for name in val.targets)
    r = np.mean([np.corrcoef(predicted[name], val.targets[name])[0, 1] for name in val.targets])
    assert best["val_loss"] == pytest.approx(loss, rel=1e-4)
    assert best["val_pearson_r"] == pytest.approx(r, abs=1e-3)


# Prediction


@each_pair
@pytest.mark.parametrize("batch", [1, 64])
def test_predictions_do_not_depend_on_the_batch(run, model, task, batch, monkeypatch):
    """Batches of 64 leave a short one at the end; the models without a backend have no batches to change."""
    backend = registry.get_backend(registry.model_entry(model).framework)
    if backend is None:
        pytest.skip("predicts without a backend")
    monkeypatch.setattr(backend, "PREDICT_BATCH", batch)
    assert_close(run.fitted.predict(rows_of(task).test), run.predicted)


@each_pair
def test_a_sequence_is_predicted_alike_alone_and_among_others(run, task):
    test = rows_of(task).test
    for row in (0, N_TEST - 1):
        alone = run.fitted.predict(test.take(np.array([row])))
        for name, values in run.predicted.items():
            assert alone[name].shape == (1,)
            assert float(alone[name][0]) == pytest.approx(float(values[row]), abs=tolerance(values))


@each_pair
def test_predictions_do_not_depend_on_the_targets(run, task):
    test = rows_of(task).test
    other = {name: np.full_like(values, 1e6) for name, values in test.targets.items()}
    again = run.fitted.predict(dataclasses.replace(test, targets=other))
    for name, values in run.predicted.items():
        np.testing.assert_array_equal(again[name], values)


@each_pair
def test_predictions_need_no_meta_but_the_side_channels(run, task):
    """Folds and groups, from which a target could be looked up, stay unread."""
    test, spec = rows_of(task).test, registry.get_task(task).SPEC
    bare = dataclasses.replace(test, meta=test.meta[list(spec.side_channels)]).without_targets()
    for name, values in run.fitted.predict(bare).items():
        np.testing.assert_array_equal(values, run.predicted[name])


# Files and seeds


@each_pair
def test_a_saved_and_loaded_model_predicts_exactly_the_same(run, model, task, tmp_path):
    run.fitted.save(tmp_path)
    assert any(tmp_path.iterdir())
    fresh = built(model, registry.get_task(task).SPEC, seed=99)
    fresh.load(tmp_path)
    loaded = fresh.predict(rows_of(task).test.without_targets())
    assert list(loaded) == list(run.predicted)
    for name, values in run.predicted.items():
        np.testing.assert_array_equal(loaded[name], values)


@each_pair
def test_the_same_seed_gives_the_same_predictions_and_history(run, model, task):
    again = trained(model, task, seed=1)
    for name, values in run.predicted.items():
        np.testing.assert_array_equal(again.predicted[name], values)
    assert timeless(again.history) == timeless(run.history)


@each_pair
def test_another_seed_gives_other_predictions(run, model, task):
    if model in DETERMINISTIC:
        pytest.skip("nothing in this model is random")
    other = trained(model, task, seed=2)
    for name, values in run.predicted.items():
        assert not np.allclose(other.predicted[name], values, rtol=0, atol=tolerance(values))


# Single steps, for timing


@each_pair
@pytest.mark.usefixtures("run")
def test_single_steps_return_a_finite_loss(model, task):
    fitted = built(model, registry.get_task(task).SPEC, seed=1)
    fitted.prepare(rows_of(task).train, n_steps=4)
    losses = [float(fitted.train_batch(np.arange(start, start + 16))) for start in (0, 16)]
    assert np.isfinite(losses).all()
    assert min(losses) > 0


# Tasks that do not exist


STRANGE = {
    "two outputs": TaskSpec(60, ("a", "b")),
    "bins": TaskSpec(60, ("a",), "soft_classification"),
    "bins of two outputs": TaskSpec(60, ("a", "b"), "soft_classification"),
    "profiles": TaskSpec(60, ("a",), "profile_counts", profile_len=20),
    "very short": TaskSpec(12, ("a",)),
}


def made_up(spec, n_rows=32):
    rng = np.random.default_rng(0)
    shape = (n_rows,) if spec.profile_len is None else (n_rows, spec.profile_len)
    return Dataset(
        "made up",
        rng.integers(0, 5, (n_rows, spec.seq_len), dtype=np.uint8),
        {name: rng.normal(8, 2, shape).astype(np.float32) for name in spec.outputs},
        pd.DataFrame(index=range(n_rows)),
        "simulated",
    )


@each_model
@pytest.mark.parametrize("spec", list(STRANGE.values()), ids=list(STRANGE))
def test_a_task_is_refused_with_a_reason_or_learnt(model, spec):
    """`unsupported` is the only place where a model may decline: what it lets pass must train and predict."""
    reason = registry.get_model(model).unsupported(spec)
    if reason is not None:
        assert isinstance(reason, str)
        assert reason.strip()
        return
    data, fitted = made_up(spec), built(model, spec, seed=0)
    history = fitted.fit(data, data, seed=0)
    assert len(history) >= 1
    predicted = fitted.predict(data.without_targets())
    assert list(predicted) == list(spec.outputs)
    for values in predicted.values():
        assert_shape(values, spec, len(data))


# The modules


@each_model
def test_a_module_names_itself_and_its_recipe(model):
    module = registry.get_model(model)
    assert registry.model_entry(model).title == module.NAME
    assert dataclasses.is_dataclass(module.RECIPE)
    assert json.loads(json.dumps(dataclasses.asdict(module.RECIPE))) == dataclasses.asdict(module.RECIPE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(module.RECIPE, dataclasses.fields(module.RECIPE)[0].name, 0)


@pytest.mark.parametrize("task", list(registry.tasks()))
def test_a_task_s_own_recipes_name_known_models_and_fields(task):
    module = registry.get_task(task)
    assert {*module.MODELS, module.BASELINE} <= set(registry.models())
    named = [module.RECIPES, *(preset.recipes for preset in module.PRESETS.values() if isinstance(preset, Preset))]
    for recipes in named:
        for model, changes in recipes.items():
            if model != "*":
                fields = {field.name for field in dataclasses.fields(registry.get_model(model).RECIPE)}
                assert set(changes) <= fields
