"""The training loop of `benchmarks.training.loop`, driven by a learner that follows a script: no framework needed."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.api.data import Dataset
from benchmarks.training import loop
from benchmarks.training.loop import Schedule, TrainingDiverged

NAN = float("nan")
SIGNAL = np.array([0.0, 1.0, 2.0, 3.0])


def dataset(n_rows=4, **targets):
    targets = targets or {"activity": np.arange(n_rows)}
    return Dataset(
        "made",
        np.zeros((n_rows, 6), dtype=np.uint8),
        {name: np.asarray(values, dtype=np.float32) for name, values in targets.items()},
        pd.DataFrame(index=range(n_rows)),
        "simulated",
    )


class Script:
    """A learner whose predictions are given per epoch; its weights are the number of the epoch."""

    def __init__(self, predictions, losses=None):
        self.predictions, self.losses = predictions, losses or [1.0] * len(predictions)
        self.epoch, self.batches, self.prepared, self.restored = 0, [], None, []

    def prepare(self, train, n_steps):
        self.prepared = (len(train), n_steps)

    def begin_epoch(self, epoch):
        self.batches.append([])
        self.epoch = epoch + 1

    def train_batches(self, batches):
        self.batches[-1] += batches
        return np.full(len(batches), self.losses[self.epoch - 1])

    def learning_rate(self):
        return 0.1 * self.epoch

    n_copies, train_view_differs = 1, False

    def rows_per_epoch(self, train):
        return len(train)

    def validate(self, val):
        return loop.validate_numbers(self, val)

    def predict_train_view(self, data):
        return self.predict(data)

    def predict(self, data):
        predicted = self.predictions[self.epoch - 1]
        return predicted if isinstance(predicted, dict) else {"activity": np.asarray(predicted, dtype=np.float32)}

    def snapshot(self):
        return {"weights of epoch": self.epoch}

    def restore(self, snapshot):
        self.restored.append(snapshot["weights of epoch"])


def with_r(r, offset=0.0):
    """Return four predictions whose Pearson r with 0, 1, 2, 3 is `r`: the signal mixed with something orthogonal."""
    centred, orthogonal = SIGNAL - 1.5, np.array([1.0, -1.0, -1.0, 1.0])
    unit = centred / np.linalg.norm(centred)
    return offset + r * unit + np.sqrt(1 - r**2) * orthogonal / 2


def with_loss(loss):
    """Return four predictions whose mean squared error against 0, 1, 2, 3 is `loss`, at any Pearson r."""
    return SIGNAL + np.sqrt(loss)


def schedule(epochs, *, select="pearson_r", patience=None, batch_size=2, drop_last=True):
    return Schedule(epochs, batch_size, select=select, drop_last=drop_last, patience=patience)


def fit(learner, plan, *, n_train=4, val=None, **keywords):
    return loop.fit(learner, plan, dataset(n_train), val or dataset(), seed=0, **keywords)


def best_epochs(history):
    return [row["epoch"] for row in history if row["is_best"]]


# Batches


@pytest.mark.parametrize(
    ("n_rows", "drop_last", "expected"),
    [(10, True, 3), (10, False, 4), (9, True, 3), (9, False, 3), (2, True, 1), (2, False, 1)],
)
def test_number_of_batches(n_rows, drop_last, expected):
    plan = schedule(1, batch_size=3, drop_last=drop_last)
    assert plan.n_batches(n_rows) == expected
    assert len(plan.batches(n_rows, np.random.default_rng(0))) == expected


def test_short_last_batch_is_kept_or_dropped():
    def sizes(n_rows, drop_last):
        batches = schedule(1, batch_size=3, drop_last=drop_last).batches(n_rows, np.random.default_rng(0))
        return [len(batch) for batch in batches]

    assert sizes(10, drop_last=False) == [3, 3, 3, 1]
    assert sizes(10, drop_last=True) == [3, 3, 3]
    assert sizes(2, drop_last=True) == [2], "fewer rows than a batch are still trained on"


def test_an_epoch_sees_every_row_once():
    batches = schedule(1, batch_size=3, drop_last=False).batches(10, np.random.default_rng(0))
    assert sorted(np.concatenate(batches)) == list(range(10))


def test_what_is_dropped_is_never_a_fixed_set_of_rows():
    learner = Script([with_r(0.5)] * 30)
    fit(learner, schedule(30, batch_size=3), n_train=10)
    seen = [set(np.concatenate(batches).tolist()) for batches in learner.batches]
    assert all(len(rows) == 9 for rows in seen)
    assert set.union(*seen) == set(range(10))


def test_rows_are_shuffled_anew_each_epoch_and_by_seed():
    def orders(seed):
        learner = Script([with_r(0.5)] * 2)
        loop.fit(learner, schedule(2), dataset(100), dataset(), seed=seed)
        return [np.concatenate(batches).tolist() for batches in learner.batches]

    first, again, other = orders(1), orders(1), orders(2)
    assert first == again
    assert first[0] != first[1]
    assert first != other
    assert sorted(first[0]) == list(range(100)) != first[0]


@pytest.mark.parametrize(("drop_last", "n_steps"), [(True, 5 * 3), (False, 5 * 4)])
def test_the_learner_gets_the_steps_of_the_whole_training(drop_last, n_steps):
    learner = Script([with_r(0.5)] * 5)
    fit(learner, schedule(5, batch_size=3, drop_last=drop_last), n_train=10)
    assert learner.prepared == (10, n_steps)
    assert sum(map(len, learner.batches)) == n_steps


# Selection


def test_pearson_selection_keeps_the_epoch_with_the_largest_r():
    learner = Script([with_r(0.2), with_r(0.9, offset=100.0), with_r(0.5)])
    assert best_epochs(fit(learner, schedule(3))) == [2]
    assert learner.restored == [2]


def test_loss_selection_keeps_the_epoch_with_the_smallest_loss():
    learner = Script([with_loss(3.0), with_loss(0.5), with_loss(2.0)])
    assert best_epochs(fit(learner, schedule(3, select="loss"))) == [2]
    assert learner.restored == [2]


@pytest.mark.parametrize(("select", "same"), [("pearson_r", with_r(0.4)), ("loss", with_loss(1.0))])
def test_a_tie_keeps_the_earlier_epoch(select, same):
    """Better means strictly better."""
    learner = Script([same, same, same])
    assert best_epochs(fit(learner, schedule(3, select=select))) == [1]
    assert learner.restored == [1]


def test_an_epoch_without_defined_correlation_is_not_selected():
    learner = Script([[2.0, 2.0, 2.0, 2.0], with_r(-0.3), [NAN, 1.0, 2.0, 3.0]])
    history = fit(learner, schedule(3))
    assert best_epochs(history) == [2]
    assert np.isnan([row["val_pearson_r"] for row in history]).tolist() == [True, False, True]


def test_weights_are_restored_once_after_the_last_epoch():
    learner = Script([with_r(0.1), with_r(0.2), with_r(0.3)])
    fit(learner, schedule(3))
    assert (learner.restored, learner.epoch) == ([3], 3)


# Early stopping


def test_patience_counts_epochs_since_the_best_one():
    rs = [0.1, 0.5, 0.4, 0.6, 0.55, 0.5, 0.59, 0.9, 0.9, 0.9]
    history = fit(Script([with_r(r) for r in rs]), schedule(10, patience=3))
    assert len(history) == 7, "two worse epochs after 0.5 do not stop it, three after 0.6 do"
    assert best_epochs(history) == [4]


def test_patience_works_on_the_loss_too():
    losses = [3.0, 2.0, 2.5, 2.0, 1.0, 1.0, 1.0, 0.5]
    history = fit(Script([with_loss(v) for v in losses]), schedule(8, select="loss", patience=2))
    assert len(history) == 4, "an equal loss is no better one"
    assert best_epochs(history) == [2]


def test_without_patience_every_epoch_is_trained():
    history = fit(Script([with_r(0.9)] + [with_r(0.1)] * 49), schedule(50))
    assert [row["epoch"] for row in history] == list(range(1, 51))
    assert best_epochs(history) == [1]


# A training that diverges


def test_a_loss_that_is_not_finite_keeps_the_best_epoch():
    """It ends the training."""
    learner = Script([with_r(0.3), with_r(0.2), [NAN] * 4, with_r(0.9)], losses=[1.0, 2.0, NAN, 1.0])
    history = fit(learner, schedule(4))
    assert len(history) == 3
    assert best_epochs(history) == [1]
    assert learner.restored == [1]


def test_a_training_without_a_usable_epoch_says_what_to_do():
    learner = Script([[NAN] * 4], losses=[float("inf")])
    with pytest.raises(TrainingDiverged, match=r"inf.*learning rate"):
        fit(learner, schedule(3))
    assert learner.restored == []


def test_a_training_whose_predictions_stay_constant_is_an_error():
    with pytest.raises(TrainingDiverged, match="pearson_r"):
        fit(Script([[1.0] * 4] * 3), schedule(3))


# History


def test_history_has_a_plain_row_per_epoch():
    history = fit(Script([with_r(0.5), with_r(0.7)], losses=[0.25, 0.125]), schedule(2))
    columns = {"epoch", "train_loss", "lr", "val_loss", "val_pearson_r", "sequences", "train_seconds"}
    columns |= {"seconds", "is_best"}
    assert [set(row) for row in history] == [columns, columns]
    assert [row["train_loss"] for row in history] == [0.25, 0.125]
    assert [row["lr"] for row in history] == pytest.approx([0.1, 0.2])
    assert [row["val_pearson_r"] for row in history] == pytest.approx([0.5, 0.7], abs=1e-6)
    assert all(0 <= row["train_seconds"] <= row["seconds"] for row in history)
    assert json.loads(json.dumps(history)) == history


def test_validation_loss_adds_outputs_correlation_averages_them():
    val = dataset(4, dev=[0, 1, 2, 3], hk=[0, 0, 1, 1])
    predicted = {"dev": np.array([0.0, 1.0, 2.0, 3.0]) + 2.0, "hk": np.array([1.0, 1.0, 0.0, 1.0])}
    [row] = fit(Script([predicted]), schedule(1), val=val)
    assert row["val_loss"] == pytest.approx(4.0 + 0.75)
    assert row["val_pearson_r"] == pytest.approx((1.0 - 1 / np.sqrt(3)) / 2)


def test_every_epoch_is_reported_when_it_ends():
    learner, reported = Script([with_r(0.5), with_r(0.7), with_r(0.1)]), []
    history = fit(learner, schedule(3), on_epoch=lambda row: reported.append((learner.epoch, row["epoch"], dict(row))))
    assert [epochs for *epochs, _ in reported] == [[1, 1], [2, 2], [3, 3]]
    assert [row | {"is_best": row["epoch"] == 2} for *_, row in reported] == history


def test_target_columns_stand_in_the_order_of_the_outputs():
    columns = loop.target_columns(dataset(2, hk=[1.0, 2.0], dev=[3.0, 4.0]))
    assert columns.dtype == np.float32
    assert columns.tolist() == [[1.0, 3.0], [2.0, 4.0]]
