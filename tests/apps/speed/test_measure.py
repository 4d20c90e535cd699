"""Speeds: operations counted by hand, the notebook loop against the engine, precision, concurrent trainings."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.api.recipe import Recipe, recipe_with
from benchmarks.apps.regression import train_matrix
from benchmarks.apps.speed import measure, notebook_loop
from benchmarks.apps.speed.measure import speed_tools
from benchmarks.cli.main import app
from benchmarks.engine.evaluation import speed_repeats
from benchmarks.engine.execution import packing
from benchmarks.errors import BadInput

TASK = registry.get_task("human_mpra")
NARROW = {"batch_size": 16, "width_scale": 0.05, "epochs": 1}


def built(model="dream_rnn", **changes):
    module = registry.get_model(model)
    registry.get_backend("torch").configure("cpu")
    return module.build(TASK.SPEC, recipe_with(module.RECIPE, NARROW | changes, source="test"), {})


@pytest.fixture(scope="module")
def data():
    return TASK.simulate(seed=0)


def test_operations_of_a_torch_network_add_up_to_a_count_by_hand(data):
    from torch import nn

    from benchmarks.apps.speed import torch_tools
    from benchmarks.training.torch_backend import OneCycle, TorchModel

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(4, 8, 5, padding="same")
            self.lstm = nn.LSTM(8, 6, batch_first=True, bidirectional=True)
            self.last = nn.Linear(12, 1)

        def forward(self, x):
            return self.last(self.lstm(self.conv(x).transpose(1, 2))[0].mean(dim=1))

    model = TorchModel(Net(), trainer=OneCycle(Recipe()), loss=nn.MSELoss())
    conv = 2 * 230 * 5 * 4 * 8
    lstm = 230 * 2 * 2 * (8 + 6) * 4 * 6  # two directions, four gates, two operations a weight
    assert torch_tools.flops_per_sequence(model, data) == conv + lstm + 2 * 12
    assert torch_tools.training_flops_per_sequence(model, data) == 3 * (conv + lstm + 2 * 12)


def test_a_second_strand_counts_where_it_is_computed():
    yeast, module = registry.get_task("yeast"), registry.get_model("dream_rnn")
    rows, tools = yeast.simulate(seed=0), speed_tools("torch")
    counts = {}
    for name, changes in {"one": {"average_strands": False}, "averaged": {}, "conjoined": {"conjoined": True}}.items():
        model = module.build(yeast.SPEC, recipe_with(module.RECIPE, NARROW | changes, source="test"), {})
        counts[name] = tools.flops_per_sequence(model, rows), tools.training_flops_per_sequence(model, rows)
    once = counts["one"][0]
    assert counts == {"one": (once, 3 * once), "averaged": (2 * once, 3 * once), "conjoined": (2 * once, 6 * once)}


def test_operations_of_a_keras_network_add_up_to_a_count_by_hand():
    keras = pytest.importorskip("keras")
    from benchmarks.apps.speed import keras_tools

    inside = keras.Sequential([keras.Input((20, 8)), keras.layers.Conv1D(8, 3, padding="same", dilation_rate=2)])
    x = codes = keras.Input((20, 4))
    x = keras.layers.Conv1D(8, 5, padding="valid")(keras.layers.ZeroPadding1D(2)(x))
    x = keras.layers.Bidirectional(keras.layers.LSTM(6, return_sequences=True))(inside(x))
    x = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    network = keras.Model(codes, x)
    expected = 2 * 20 * 5 * 4 * 8 + 2 * 20 * 3 * 8 * 8 + 20 * 2 * 2 * (8 + 6) * 4 * 6 + 2 * 20 * 12 * 3
    assert keras_tools.flops_of_layers(network) == expected


def test_the_plain_loop_computes_what_the_engine_does(data):
    torch_speed = speed_tools("torch")
    rows = data.take(np.arange(24))
    backend = registry.get_backend("torch")
    for model in ("dream_rnn", "dream_cnn"):
        backend.seed_everything(1)
        plain = built(model)
        backend.seed_everything(1)
        fast = built(model)
        (expected,) = fast.predict(rows).values()
        np.testing.assert_allclose(
            torch_speed.notebook_predictions(plain, torch_speed.NotebookRows(plain, rows), 7)[:, 0], expected, atol=1e-5
        )
        fast.prepare(rows, 3)
        for part in (plain, fast):  # masks of dropout would differ with the order of rows
            for module in part.net.modules():
                if type(module).__name__.startswith("Dropout"):
                    module.p = 0.0
        mine = [float(fast.train_batch(np.arange(24))) for _ in range(3)]
        # From the second step on, AdamW turns gradients near zero, and their rounding, into steps of full length.
        np.testing.assert_allclose(torch_speed.notebook_training(plain, rows, 24, 3)(3), mine, rtol=1e-2)
        backend.seed_everything(1)
        untrained = built(model).net.parameters()
        assert any((a != b).any() for a, b in zip(plain.net.parameters(), untrained, strict=True)), "it trains"


@pytest.mark.slow
def test_the_plain_loop_of_keras_computes_what_the_engine_does(data):
    pytest.importorskip("keras")
    backend, tools = registry.get_backend("keras"), speed_tools("keras")
    task, module = registry.get_task("drosophila"), registry.get_model("deepstarr")
    rows = task.simulate(seed=0).take(np.arange(32))
    recipe = recipe_with(module.RECIPE, {"batch_size": 32, "width_scale": 0.1}, source="test")
    found = []
    for _ in range(2):
        backend.seed_everything(1)
        found.append(module.build(task.SPEC, recipe, {}))
    plain, fast = found
    expected = np.stack(list(fast.predict(rows).values()), axis=1)
    np.testing.assert_allclose(
        tools.notebook_predictions(plain, tools.NotebookRows(plain, rows), 7), expected, atol=1e-5
    )
    for layer in (layer for model in found for layer in model.network.layers if "rate" in layer.get_config()):
        layer.rate = 0.0
    fast.prepare(rows, 1)
    (mine,) = fast.train_batches([np.arange(32)])
    assert tools.notebook_training(plain, rows, 32, 1)(1) == pytest.approx([mine], rel=1e-4)
    pairs = zip(plain.network.get_weights(), fast.network.get_weights(), strict=True)
    apart = np.concatenate([np.abs(a - b).ravel() for a, b in pairs])
    assert np.mean(apart > 1e-5) < 0.05, "Adam turns the rounding of a gradient near zero into a step of full length"


def test_notebook_rows_are_those_of_the_engine_with_bins():
    """Bins where a network learns bins."""
    backend, tools = registry.get_backend("torch"), speed_tools("torch")
    yeast = registry.get_task("yeast")
    rows = yeast.simulate(seed=0).take(np.arange(20))
    module = registry.get_model("dream_rnn")
    model = module.build(yeast.SPEC, recipe_with(module.RECIPE, NARROW, source="test"), {})
    model.prepare(rows, 1)
    engine = model._with_targets(model.batch(backend.torch.arange(20)))
    x, y, y_probs = next(iter(tools.notebook_batches(tools.NotebookRows(model, rows), 20)))
    assert backend.torch.equal(x, engine["x"])
    assert backend.torch.equal(y, engine["y"])
    np.testing.assert_allclose(y_probs.numpy(), engine["y_probs"].numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("task", "model", "parts"),
    [
        ("human_mpra", "dream_rnn", ["training step", "prediction", "prediction, one at a time", "data path"]),
        ("human_mpra", "mprann", ["training step", "prediction"]),
    ],
)
@pytest.mark.slow
def test_the_loop_is_measured_part_by_part(task, model, parts, monkeypatch):
    if model == "mprann":
        pytest.importorskip("keras")
    monkeypatch.setattr(notebook_loop, "TRIAL_S", 0.01)
    monkeypatch.setattr(notebook_loop, "_MOST_ROWS", 640)
    chosen = dataclasses.replace(case(model), recipe=case(model).recipe | {"width_scale": 0.05})
    rows = notebook_loop.compare(chosen, repeats=1)
    assert [row["part"] for row in rows] == parts
    for row in rows:
        assert row["ratio_float32"] == pytest.approx(row["float32"] / row["plain"])
        assert ("ratio_bfloat16" in row) == (model == "dream_rnn" and row["part"] != "data path")
        assert ("at_most" in row) == (row["part"] != "data path")
        assert row.get("at_most", 2) > 1, "nothing is faster than its own products"


@pytest.mark.slow
def test_both_ways_take_turns_in_every_part(monkeypatch):
    backend, tools = registry.get_backend("torch"), speed_tools("torch")
    calls = []

    def noted(name, function):
        return lambda *args, **keywords: calls.append(name) or function(*args, **keywords)

    for owner, name in (
        (tools, "notebook_predictions"), (tools, "notebook_batches"), (tools, "_notebook_steps"),
        (backend.TorchModel, "train_batches"), (backend.TorchModel, "predict"), (backend.TorchModel, "batches"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, noted(name, getattr(owner, name)))
    monkeypatch.setattr(tools, "has_notebook_loop", lambda _: True)  # it looks at what is replaced here
    monkeypatch.setattr(notebook_loop, "TRIAL_S", 0.01)
    monkeypatch.setattr(notebook_loop, "_MOST_ROWS", 640)
    rows = notebook_loop.compare(case(), repeats=1)
    assert [row["device"] for row in rows] == ["cpu"] * 4
    turns = [name for name in calls if name in ("notebook_predictions", "predict")]
    assert turns.count("predict") == 2 * 2 * 2, "two precisions, two parts, one trial after another to warm up"
    assert turns[-6:] == ["notebook_predictions", "predict", "predict"] * 2
    assert "_notebook_steps" in calls
    assert calls.count("train_batches") == 2 * 2
    # The data path comes last: the batches of the plain loop, then the engine's, and again.
    assert calls[-4:] == ["notebook_batches", "batches"] * 2


@pytest.mark.slow
def test_the_loop_command_says_where_it_measured(monkeypatch):
    monkeypatch.setattr(notebook_loop, "TRIAL_S", 0.01)
    monkeypatch.setattr(notebook_loop, "_MOST_ROWS", 640)
    words = ["bench", "loop", "--model", "dream_rnn", "--preset", "quick", "--set", "recipe.width_scale=0.05"]
    done = CliRunner().invoke(app, [*words, "--repeats", "1", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    *rows, where = done.stdout.splitlines()
    assert len(rows) == 4
    assert where.startswith("On cpu, ")
    assert "torch " in where


def test_bfloat16_is_near_float32_and_keeps_float32_weights(data):
    backend = registry.get_backend("torch")
    torch = backend.torch
    found = {}
    for precision in ("float32", "bfloat16"):
        backend.seed_everything(3)
        model = built("dream_cnn", precision=precision)
        model.prepare(data, 5)
        losses = [float(model.train_batch(np.arange(16))) for _ in range(5)]
        predicted = model.predict(data.take(np.arange(50)))["expression"]
        found[precision] = (np.array(losses), predicted)
        assert model.precision == model.stamp()["precision"] == precision
        assert {p.dtype for p in model.net.parameters()} == {torch.float32}
        assert predicted.dtype == np.float32
    (exact, a), (near, b) = found["float32"], found["bfloat16"]
    assert not np.array_equal(exact, near)
    np.testing.assert_allclose(exact, near, rtol=0.2)
    assert np.abs(a - b).max() < 0.2 * max(1.0, np.abs(a).max())


def test_precision_is_part_of_a_recipe_and_only_two_are_known():
    module = registry.get_model("dream_cnn")
    assert module.RECIPE.precision == "float32"
    with pytest.raises(BadInput, match="float32 or bfloat16"):
        recipe_with(module.RECIPE, {"precision": "float16"}, source="--set")


def case(model="dream_rnn", **more):
    changes = [f"recipe.{name}={value}" for name, value in NARROW.items() if name != "batch_size"]
    settings = {"preset": "quick", "changes": changes, "device": "cpu", "memory_limit_gib": None}
    return measure.cases("human_mpra", [model], **settings | more)[0]


@pytest.fixture(scope="module")
def measured():
    """What is measured of a narrow network, up to batches of 64."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "LAST_ON_CPU", 64)
        return measure.measure((case(), "quick"), lambda _: None)


def test_a_measured_model_fills_both_tables(measured):
    found, row = measured, measured["speed"]
    assert set(row) == set(measure.SPEED_COLUMNS)
    assert (row["batch_size"], row["device"], row["precision"], row["protocol"]) == (32, "cpu", "float32", "quick")
    assert row["s_per_batch_low"] <= row["s_per_batch"] <= row["s_per_batch_high"]
    assert row["train_seq_per_s"] == pytest.approx(32 / row["s_per_batch"])
    assert 0 < row["share_of_peak"] <= 1
    assert [set(line) for line in found["throughput"]] == [set(measure.THROUGHPUT_COLUMNS)] * 2
    assert [line["batch_size"] for line in found["throughput"]] == [32, 64]
    rates = {line["batch_size"]: line["seq_per_s"] for line in found["throughput"]}
    assert (row["predict_batch"], row["predict_seq_per_s"]) == (64, rates[64])
    assert row["fastest_seq_per_s"] == rates[row["fastest_batch"]] == max(rates.values())
    assert row["ended_by"] == "largest batch on a CPU"


def test_raw_repeats_are_kept_and_give_the_medians(measured, tmp_path):
    """Three repeats of everything, one row of parameters; what was written is read back, and damage is told."""
    found = measured
    repeats = pd.DataFrame(found["repeats"], columns=speed_repeats.COLUMNS)
    counts = repeats.groupby(["quantity", "batch_size"]).size().to_dict()
    assert counts == {
        ("seconds_per_training_batch", 32): 3, ("predictions_per_second", 32): 3, ("predictions_per_second", 64): 3,
        ("parameters", 0): 1,
    }  # fmt: skip
    training = repeats[repeats["quantity"] == "seconds_per_training_batch"]["value"]
    assert np.median(training) == pytest.approx(found["speed"]["s_per_batch"])
    published = repeats[(repeats["quantity"] == "predictions_per_second") & repeats["is_published"]]
    assert set(published["batch_size"]) == {64}
    assert np.median(published["value"]) == pytest.approx(found["speed"]["predict_seq_per_s"])
    repeats.to_csv(tmp_path / "repeats.csv", index=False)
    pd.testing.assert_series_equal(speed_repeats.read(tmp_path)["value"], repeats["value"])
    repeats.assign(value=[*repeats["value"][:-1], -1.0]).to_csv(tmp_path / "repeats.csv", index=False)
    with pytest.raises(BadInput, match="line 11: expected a positive number"):
        speed_repeats.read(tmp_path)


def test_no_share_is_given_where_the_peak_was_outrun(monkeypatch):
    """A device that was busy while its matrix product was timed has no share above 100 %."""
    monkeypatch.setattr(measure, "LAST_ON_CPU", 32)
    slow = {"flops_per_s": 1.0, "bytes_per_s": 1.0}
    monkeypatch.setattr(speed_tools("torch"), "peak_rates", lambda *_, **__: slow)
    assert np.isnan(measure.measure((case(), "quick"), lambda _: None)["speed"]["share_of_peak"])


@pytest.mark.slow
def test_doubling_ends_with_memory(monkeypatch):
    usual = measure.UntrainedModel.prepare_prediction

    def prepare_prediction(self, size):
        if size > 64:
            raise self.backend.OUT_OF_MEMORY[0]("no more")
        return usual(self, size)

    monkeypatch.setattr(measure.UntrainedModel, "prepare_prediction", prepare_prediction)
    found = measure.measure((case(), "quick"), lambda _: None)
    assert [line["batch_size"] for line in found["throughput"]] == [32, 64]
    assert found["speed"]["ended_by"] == "memory"


@pytest.mark.slow
def test_a_memory_limit_ends_doubling_on_a_cpu():
    found = measure.measure((case(memory_limit_gib=0.01), "quick"), lambda _: None)
    assert [line["batch_size"] for line in found["throughput"]] == [32]
    assert found["speed"]["ended_by"] == "memory limit"


def test_profile_models_are_measured_with_their_bias_model():
    """In batches of 64."""
    settings = {"preset": "quick", "changes": [], "device": "cpu", "memory_limit_gib": None}
    chosen = measure.cases("atac", ["chrombpnet"], **settings)[0]
    assert chosen.recipe["batch_size"] == 64
    assert set(registry.get_model("chrombpnet").PREREQUISITES) == {"bpnet_bias"}
    assert "dream_attn" not in [one.model for one in measure.cases("atac", None, **settings)], (
        "it cannot serve the task"
    )


@pytest.mark.slow
def test_trainings_that_start_together_are_all_counted():
    found = packing.train_concurrently(case(), 2, seconds=0.5)
    assert len(found) == 2
    assert all(one["train_seq_per_s"] > 0 and one["device"] == "cpu" for one in found)
    assert {(one["n_train"], one["sequences_per_epoch"]) for one in found} == {(len(TASK.simulate(seed=0)),) * 2}


def test_as_many_are_packed_as_pay(monkeypatch):
    rates = {1: 100, 2: 180, 4: 300, 8: 310}
    monkeypatch.setattr(
        packing, "train_concurrently", lambda _, n, seconds: [{"train_seq_per_s": rates[n] / n} for _ in range(n)]
    )
    assert packing.best_concurrency(case()) == 4
    del rates[4]

    def fails_at_four(_, n, seconds):
        if n not in rates:
            raise BadInput("no memory")
        return [{"train_seq_per_s": rates[n] / n}] * n

    monkeypatch.setattr(packing, "train_concurrently", fails_at_four)
    assert packing.best_concurrency(case()) == 2


@pytest.mark.slow
def test_a_dry_run_with_a_probe_estimates_every_network(tmp_path):
    words = ["run", "--task", "human_mpra", "--models", "dream_rnn,kmer_ridge", "--folds", "0", "--dry-run", "--probe"]
    done = CliRunner().invoke(app, [*words, "--workers", "1", "--results", str(tmp_path)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "Rough estimate" in done.output
    assert "unknown speed" not in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--task", "yeast", "--probe"], "--dry-run"),
        (["run", "--task", "yeast", "--pack", "none"], "--pack expects auto or a number"),
        (["run", "--task", "yeast", "--pack", "4", "--device", "cpu"], "is for a GPU"),
        (["bench", "speed", "--models", "kmer_ridge"], "does not train in batches"),
        (["bench", "speed", "--memory-limit", "16"], "16GB"),
        (["bench", "speed", "--task", "atac", "--models", "dream_attn"], "out of reach at 2,114 bp"),
        (["bench", "speed", "--protocol", "papers"], "paper"),
        (["bench", "packing", "--members", "1,x"], "1,2,4,9"),
        (["bench", "precision", "--models", "mprann"], "mprann is not one"),
        (["bench", "loop", "--model", "kmer_ridge"], "does not train in batches"),
        (["bench", "loop", "--task", "atac", "--model", "bpnet", "--preset", "quick"], "bench encoding --task atac"),
        (["bench", "loop", "--task", "yeast", "--model", "originals.unlockdna", "--preset", "quick"], "one-hot rows"),
        (["bench", "loop", "--task", "yeast", "--model", "originals.bhi", "--preset", "quick"], "one-hot rows"),
        (["bench", "loop", "--set", "recipe.batch_size=64"], "leave out recipe.batch_size"),
        (["bench", "loop", "--set", "dream_cnn.batch_size=64"], "leave out recipe.batch_size"),
    ],
)
def test_bad_words_are_one_sentence(words, told):
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_differences_of_precision_are_paired_by_seed():
    def scored(precision, seed, value, rate):
        row = {"task": "t", "model": "m", "output": "o", "subset": "all", "level": "row", "metric": "pearson_r"}
        return pd.DataFrame([row | {"precision": precision, "seed": seed, "value": value, "train_seq_per_s": rate}])

    exact, near = [0.5, 0.6, 0.7], [0.51, 0.60, 0.68]
    tables = [scored("float32", i, value, 10.0) for i, value in enumerate(exact)]
    tables += [scored("bfloat16", i, value, 20.0 + i) for i, value in enumerate(near)]
    row = train_matrix.precision_differences(tables).iloc[0]
    differences = np.subtract(near, exact)
    assert row["mean_difference"] == pytest.approx(differences.mean())
    assert row["sd_difference"] == pytest.approx(differences.std(ddof=1))
    assert (row["sd_float32"], row["ratio_speed"]) == (pytest.approx(0.1), pytest.approx(2.1))


@pytest.mark.slow
def test_the_speed_command_writes_tables_and_plots(tmp_path):
    words = ["bench", "speed", "--models", "dream_rnn", "--preset", "quick", "--protocol", "quick", "--device", "cpu"]
    words += ["--set", "recipe.width_scale=0.05", "--memory-limit", "0.01GB", "--out", str(tmp_path), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert [row["model"] for row in printed["speed"]] == ["dream_rnn"]
    assert printed["speed"][0]["device"] == "cpu"
    assert list(pd.read_csv(tmp_path / "speed.csv").columns) == measure.SPEED_COLUMNS
    assert list(pd.read_csv(tmp_path / "throughput.csv").columns) == measure.THROUGHPUT_COLUMNS
    assert len(speed_repeats.read(tmp_path)) > 6
    pytest.importorskip("matplotlib")
    assert {"speed.png", "throughput.png"} <= {path.name for path in tmp_path.iterdir()}
