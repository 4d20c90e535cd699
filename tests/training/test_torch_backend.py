"""The torch backend: input channels, the one-cycle trainer against formulas by hand, prediction, saved files."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.recipe import Recipe
from benchmarks.errors import BadInput
from benchmarks.training import torch_backend
from benchmarks.training.torch_backend import OneCycle, OneHot, TorchModel
from dream_models import dream_cnn, load_published

SEQ_LEN = 6
# Codes of the bases, one home for this file: A0 G1 C2 T3 N4 (fact sheet 1.1).
CODE = {"A": 0, "G": 1, "C": 2, "T": 3, "N": 4}


def codes_of(*texts):
    return np.array([[CODE[base] for base in text] for text in texts], dtype=np.uint8)


def dataset(n_rows=40, outputs=("activity",), seed=0):
    """Return random sequences whose targets count A and T, `is_reverse` alternating."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n_rows, SEQ_LEN), dtype=np.uint8)
    counts = [(codes == code).sum(axis=1).astype(np.float32) for code in (0, 3)]
    meta = pd.DataFrame({"is_reverse": np.arange(n_rows) % 2, "fold": 0})
    return Dataset("made", codes, dict(zip(outputs, counts, strict=False)), meta, "simulated")


def linear_net(n_outputs=1, n_channels=4):
    return nn.Sequential(nn.Flatten(), nn.Linear(n_channels * SEQ_LEN, n_outputs))


def model_of(net=None, recipe=None, **keywords):
    keywords.setdefault("loss", nn.MSELoss())
    return TorchModel(net or linear_net(), trainer=OneCycle(recipe or Recipe(batch_size=8, epochs=2)), **keywords)


class Quiet(nn.Module):
    """Dropout and batch norm on flat input: what must be still at prediction."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop, self.linear = nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4 * SEQ_LEN, 1)

    def forward(self, x):
        return self.linear(self.drop(self.norm(x)).flatten(1))[:, 0]


# Training rows


def both_ways(monkeypatch, **keywords):
    """Return two models with the same rows: one that keeps them encoded, one that encodes every batch anew."""
    kept = model_of(linear_net(n_channels=5), processor=OneHot(("is_reverse",)), **keywords)
    kept.prepare(dataset(600), 10)
    monkeypatch.setattr(torch_backend, "MOST_ENCODED_BYTES", 600 * 5 * SEQ_LEN - 1)
    anew = model_of(linear_net(n_channels=5), processor=OneHot(("is_reverse",)), **keywords)
    anew.prepare(dataset(600), 10)
    return kept, anew


def test_rows_are_the_same_whether_kept_encoded_or_not(monkeypatch):
    """They are kept encoded where they fit into memory."""
    kept, anew = both_ways(monkeypatch)
    assert kept._encoded[0].shape == (600, 5, SEQ_LEN)
    assert anew._encoded is None
    rows = torch.randperm(600)[:50]
    for model in (kept, anew):
        batch = model.batch(rows)
        x = np.eye(5)[dataset(600).codes[rows]][:, :, :4].transpose(0, 2, 1)
        np.testing.assert_array_equal(batch["x"][:, :4].numpy(), x)
        assert batch["x"].dtype == torch.float32
        assert batch["x"][:, 4].unique(dim=1)[:, 0].tolist() == (rows % 2).tolist()
        np.testing.assert_array_equal(batch["y"][:, 0].numpy(), dataset(600).targets["activity"][rows])


def test_batches_made_several_at_a_time_are_those_made_alone(monkeypatch):
    rng = np.random.default_rng(0)
    sizes = [300, 8, 8, 7, 600, 1]
    wanted = [rng.integers(0, 600, size) for size in sizes]
    for model in both_ways(monkeypatch):
        made = list(model.batches(wanted))
        assert [len(batch["x"]) for batch in made] == sizes
        for rows, batch in zip(wanted, made, strict=True):
            alone = model.batch(torch.from_numpy(rows))
            assert all(torch.equal(batch[name], alone[name]) for name in ("x", "y"))


def test_what_a_byte_does_not_hold_is_encoded_anew():
    class Halves(OneHot):
        def forward(self, codes, side):
            return super().forward(codes, side) / 2

    class Letters(OneHot):
        def forward(self, codes, side):
            return codes.long()

    model = model_of(processor=Halves())
    model.prepare(dataset(), 10)
    assert model._encoded is None
    assert model.batch(torch.arange(3))["x"].max() == 0.5
    model = model_of(processor=Letters())
    model.prepare(dataset(), 10)
    assert model._encoded[0].dtype == torch.uint8
    x = model.batch(torch.arange(3))["x"]
    assert x.dtype == torch.int64
    np.testing.assert_array_equal(x.numpy(), dataset().codes[:3])


def test_what_is_drawn_by_chance_is_drawn_for_every_batch():
    class Holes(OneHot):
        def forward(self, codes, side):
            return super().forward(torch.where(torch.rand(codes.shape) < 0.5, CODE["N"], codes), side)

    model = model_of(processor=Holes())
    model.prepare(dataset(), 10)
    first, second = (model.batch(torch.arange(20))["x"] for _ in range(2))
    assert not torch.equal(first, second)


# Input channels


def test_one_hot_channels_are_a_g_c_t_and_n_is_zero():
    x = OneHot()(torch.from_numpy(codes_of("AGCTN", "TTACN")), torch.zeros(2, 0))
    assert x.shape == (2, 4, 5)
    assert x.dtype == torch.float32
    assert x[0].T.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert x[1].T.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_one_hot_channels_follow_another_order():
    x = OneHot(order="ACGT")(torch.from_numpy(codes_of("AGCT")), torch.zeros(1, 0))
    assert x[0].T.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]


def test_side_channels_come_last_and_are_constant_along_it():
    x = OneHot(("is_reverse", "is_singleton"))(
        torch.from_numpy(codes_of("AAA", "AAA")), torch.tensor([[1.0, 0], [0, 1]])
    )
    assert x[:, 4:].tolist() == [[[1, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 1]]]
    assert (x[:, 0] == 1).all()


def test_side_channels_are_read_by_name_from_meta():
    seen = []
    net = linear_net(n_channels=6)
    net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    data = dataset(4)
    data.meta["is_singleton"] = [1, 1, 0, 0]
    model_of(net, processor=OneHot(("is_reverse", "is_singleton"))).predict(data)
    assert seen[0][:, 4, 0].tolist() == [0, 1, 0, 1]
    assert seen[0][:, 5, 0].tolist() == [1, 1, 0, 0]


# The one-cycle trainer


def one_cycle(n_steps, start, peak, end):
    """Rise from start to peak over the first 30 % of the steps and fall to end at the last one, both along a cosine.

    As in the schedule's definition, the peak lies at step 0.3 n - 1 and the end at step n - 1, counted from 0.
    """
    top, values = 0.3 * n_steps - 1, []
    for step in range(n_steps):
        if step <= top:
            a, b, share = start, peak, step / top
        else:
            a, b, share = peak, end, (step - top) / (n_steps - 1 - top)
        values.append(b + (a - b) * (1 + math.cos(math.pi * share)) / 2)
    return values


def trace(model, data, n_steps):
    """Take `n_steps` training steps; return learning rates, beta1 and beta2 that each was taken with."""
    model.prepare(data, n_steps)
    seen = []
    for _ in range(n_steps):
        group = model.optimiser.param_groups[0]
        seen.append((group["lr"], *group["betas"]))
        model.train_batch(np.arange(8))
    return np.array(seen).T


@pytest.mark.parametrize("max_lr", [0.005, 0.001])
@pytest.mark.parametrize("n_steps", [10, 37, 200])
def test_learning_rate_and_beta1_follow_the_published_cycle(max_lr, n_steps):
    lr, beta1, beta2 = trace(model_of(recipe=Recipe(max_lr=max_lr)), dataset(), n_steps)
    np.testing.assert_allclose(lr, one_cycle(n_steps, max_lr / 25, max_lr, max_lr / 250_000), rtol=1e-9)
    np.testing.assert_allclose(beta1, one_cycle(n_steps, 0.95, 0.85, 0.95), rtol=1e-9)
    assert set(beta2) == {0.999}


def test_a_cycle_of_ten_steps_has_its_published_corners():
    lr, beta1, _ = trace(model_of(recipe=Recipe(max_lr=0.005)), dataset(), 10)
    assert lr[[0, 2, 9]] == pytest.approx([0.0002, 0.005, 0.00000002], rel=1e-9)
    assert beta1[[0, 2, 9]] == pytest.approx([0.95, 0.85, 0.95], rel=1e-9)


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_a_training_of_a_few_steps_runs(n_steps):
    lr, *_ = trace(model_of(), dataset(), n_steps)
    assert np.isfinite(lr).all()


def test_a_whole_fit_is_one_cycle():
    """One step a batch, the last short batch dropped: 3 epochs of 5 batches of 8 from 45 rows."""

    class Logged(OneCycle):
        def optimiser(self, net, n_steps):
            optimiser, cycle = super().optimiser(net, n_steps)
            optimiser.register_step_pre_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))
            return optimiser, cycle

    rates = []
    model = TorchModel(linear_net(), trainer=Logged(Recipe(batch_size=8, epochs=3)), loss=nn.MSELoss())
    model.fit(dataset(45), dataset(20), seed=0)
    np.testing.assert_allclose(rates, one_cycle(15, 1e-3 / 25, 1e-3, 1e-3 / 250_000), rtol=1e-9)


def test_the_trainer_selects_by_correlation_and_drops_last_batch():
    schedule = OneCycle(Recipe(batch_size=32, epochs=80, patience=7)).schedule
    assert (schedule.epochs, schedule.batch_size, schedule.patience) == (80, 32, 7)
    assert (schedule.select, schedule.drop_last) == ("pearson_r", True)


def test_a_few_steps_equal_adamw_with_cycling_momentum():
    """Mean-squared-error regression on one-hot input, updates as in Loshchilov & Hutter 2019, algorithm 2."""
    torch.manual_seed(0)
    data, n_steps, decay = dataset(), 12, 0.3
    net = linear_net()
    model = model_of(net, Recipe(max_lr=0.05, weight_decay=decay))
    x = np.eye(5)[data.codes][:, :, :4].transpose(0, 2, 1).reshape(len(data), -1)
    x, y = np.hstack([x, np.ones((len(data), 1))]), data.targets["activity"].astype(np.float64)
    theta = np.append(net[1].weight.detach().numpy()[0], net[1].bias.item()).astype(np.float64)
    batches = [np.random.default_rng(step).permutation(len(data))[:8] for step in range(n_steps)]

    first, second, expected_losses = np.zeros_like(theta), np.zeros_like(theta), []
    rates, betas = one_cycle(n_steps, 0.05 / 25, 0.05, 0.05 / 250_000), one_cycle(n_steps, 0.95, 0.85, 0.95)
    for step, (rows, lr, beta1) in enumerate(zip(batches, rates, betas, strict=True), start=1):
        residual = x[rows] @ theta - y[rows]
        expected_losses.append(np.mean(residual**2))
        gradient = 2 * x[rows].T @ residual / len(rows)
        theta = theta * (1 - lr * decay)
        first = beta1 * first + (1 - beta1) * gradient
        second = 0.999 * second + 0.001 * gradient**2
        theta -= lr * (first / (1 - beta1**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)

    model.prepare(data, n_steps)
    losses = [model.train_batch(rows).item() for rows in batches]
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)
    np.testing.assert_allclose(net[1].weight.detach().numpy()[0], theta[:-1], rtol=1e-3, atol=1e-5)
    assert net[1].bias.item() == pytest.approx(theta[-1], rel=1e-3)


# Training steps


def test_every_batch_has_its_own_loss():
    """With a learning rate of 0 the weights stay, so every batch can be checked afterwards."""
    data, net = dataset(), linear_net()
    model = model_of(net, Recipe(max_lr=0.0))
    model.prepare(data, 10)
    batches = [np.arange(0, 8), np.arange(8, 16), np.arange(16, 20), np.arange(20, 24)]  # a pass may end within
    losses = model.train_batches(batches)
    residual = model.predict(data)["activity"] - data.targets["activity"]
    assert losses == pytest.approx([np.mean(residual[rows] ** 2) for rows in batches], rel=1e-5)


class OwnLoss(nn.Module):
    """A network with its own train step, whose loss pulls its bias to 100 and ignores the targets."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.bias.expand(len(x))

    def train_step(self, batch):
        return self(batch["x"]), (self.bias - 100.0).abs().sum()


def test_without_a_loss_the_network_s_own_train_step_decides():
    model = model_of(OwnLoss(), loss=None)
    model.prepare(dataset(), 10)
    assert model.train_batch(np.arange(8)).item() == 100.0
    assert model.train_batch(np.arange(8)).item() < 100.0


def test_a_network_of_two_heads_learns_each_output():
    """Each head learns from its own target."""

    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.dev, self.hk = linear_net(), linear_net()

        def forward(self, x):
            return self.dev(x), self.hk(x)

    data = dataset(200, outputs=("dev", "hk"))
    model = model_of(TwoHeads(), Recipe(batch_size=20, epochs=30, max_lr=0.05))
    model.fit(data, data, seed=0)
    predicted = model.predict(data)
    assert list(predicted) == ["dev", "hk"]
    for name in ("dev", "hk"):
        assert np.corrcoef(predicted[name], data.targets[name])[0, 1] > 0.99


def test_fit_keeps_the_best_epoch_by_correlation():
    """Random targets: the best validation epoch is some epoch, and its weights are the ones left behind."""
    train, val = dataset(64, seed=1), dataset(64, seed=2)
    noise = np.random.default_rng(3).normal(size=(2, 64)).astype(np.float32)
    train.targets["activity"][:], val.targets["activity"][:] = noise
    model = model_of(recipe=Recipe(batch_size=8, epochs=15, max_lr=0.1))
    history = model.fit(train, val, seed=0)
    rs = [row["val_pearson_r"] for row in history]
    assert [row["is_best"] for row in history] == [r == max(rs) for r in rs]
    assert max(rs) != rs[-1], "the test needs a training whose last epoch is not its best"
    assert np.corrcoef(model.predict(val)["activity"], noise[1])[0, 1] == pytest.approx(max(rs), abs=1e-5)


def test_fit_is_repeatable_and_follows_its_seed():
    def fitted(seed):
        torch_backend.seed_everything(seed)
        model = model_of(Quiet())
        model.fit(dataset(), dataset(seed=1), seed=seed)
        return model.predict(dataset())["activity"]

    np.testing.assert_array_equal(fitted(1), fitted(1))
    assert not np.array_equal(fitted(1), fitted(2))


# Prediction


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_predictions_do_not_depend_on_the_batch(batch):
    model = model_of(Quiet())
    model.fit(dataset(), dataset(seed=1), seed=0)
    whole = model.predict(dataset(30))["activity"]
    model.predict_batch_size = batch
    parts = model.predict(dataset(30))["activity"]
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    assert whole.std() > 1e-3


def test_prediction_changes_nothing_and_draws_nothing():
    model = model_of(Quiet())
    model.prepare(dataset(), 10)
    state, rng = model.snapshot(), torch.get_rng_state()
    np.testing.assert_array_equal(model.predict(dataset())["activity"], model.predict(dataset())["activity"])
    assert all(torch.equal(value, state[key]) for key, value in model.snapshot().items())
    assert torch.equal(torch.get_rng_state(), rng)


def test_training_goes_on_in_training_mode_after_a_prediction():
    model = model_of(Quiet())
    model.prepare(dataset(), 10)
    model.predict(dataset())
    model.train_batches([np.arange(8)])
    assert model.net.training


def test_a_snapshot_does_not_follow_the_weights():
    model = model_of()
    model.prepare(dataset(), 10)
    snapshot, before = model.snapshot(), model.predict(dataset())["activity"]
    model.train_batches([np.arange(8)] * 5)
    assert not np.array_equal(model.predict(dataset())["activity"], before)
    model.restore(snapshot)
    np.testing.assert_array_equal(model.predict(dataset())["activity"], before)


def test_outputs_of_any_shape_become_columns():
    column = torch.tensor([[1.0], [2.0]])
    assert torch_backend.as_columns(column[:, 0]).tolist() == [[1], [2]]
    assert torch_backend.as_columns(torch.cat([column, 3 * column], dim=1)).tolist() == [[1, 3], [2, 6]]
    assert torch_backend.as_columns((column, 3 * column)).tolist() == [[1, 3], [2, 6]]


def test_only_trainable_parameters_are_counted():
    net = linear_net(2)
    net[1].bias.requires_grad_(False)
    assert model_of(net).n_params == 2 * 4 * SEQ_LEN


# Saved models


def test_a_saved_model_predicts_the_same_under_the_same_names(tmp_path):
    model = model_of(Quiet())
    model.fit(dataset(outputs=("dev",)), dataset(outputs=("dev",), seed=1), seed=0)
    model.save(tmp_path)
    fresh = model_of(Quiet())
    fresh.load(tmp_path)
    expected, loaded = model.predict(dataset()), fresh.predict(dataset())
    assert list(loaded) == ["dev"]
    np.testing.assert_array_equal(loaded["dev"], expected["dev"])


def test_saved_files_are_a_plain_state_dict_and_json(tmp_path):
    model = model_of()
    model.prepare(dataset(), 10)
    model.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.pth"]
    state = torch.load(tmp_path / "model.pth", weights_only=True)
    assert all(torch.equal(value, model.net.state_dict()[key]) for key, value in state.items())
    facts = {"outputs": ["activity"], "targets": {"shift": [0.0], "scale": [1.0]}}
    assert json.loads((tmp_path / "model.json").read_text()) == facts


def test_a_saved_full_width_network_is_a_published_checkpoint(tmp_path):
    """What the harness trains can be given to anybody who loads the published weights."""
    spec = TaskSpec(230, ("expression",), side_channels=("is_reverse",))
    model = dream_cnn.build(spec, dream_cnn.RECIPE, {})
    model.save(tmp_path)
    loaded = load_published(tmp_path / "model.pth").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in model.snapshot().items())


# The device


@pytest.fixture
def restored_process():
    """Put the process's thread count back as it was."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("restored_process")
def test_configuring_the_cpu_sets_threads_and_framework_name():
    where = torch_backend.configure("cpu", threads=1)
    assert torch.get_num_threads() == 1
    assert where["device"] == "cpu"
    assert where["framework"] == f"torch {torch.__version__}"
    assert model_of().device.type == "cpu"


@pytest.mark.usefixtures("restored_process")
def test_cuda_that_is_not_there_is_refused_with_advice(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match="--device cpu"):
        torch_backend.configure("cuda")


@pytest.mark.usefixtures("restored_process")
def test_auto_falls_back_to_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert torch_backend.configure("auto")["device"] == "cpu"


def test_a_model_is_moved_with_its_processor():
    model = model_of()
    torch_backend.place(model, "meta")
    assert model.device.type == "meta"
    assert {value.device.type for part in (model.net, model.processor) for value in part.buffers()} == {"meta"}
    assert {value.device.type for value in model.net.parameters()} == {"meta"}
