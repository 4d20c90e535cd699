"""The TensorBoard log: what is written of the epochs of a training is what its history holds."""

from types import SimpleNamespace

import pytest

from benchmarks import system
from benchmarks.engine.execution.events import Event
from benchmarks.engine.reporting.tensorboard import TensorBoardLog
from benchmarks.errors import BadInput

JOB = SimpleNamespace(id="K562/dream_cnn-1a2b3c4d/test-00_val-01")


def test_every_number_of_an_epoch_is_written(tmp_path, monkeypatch):
    """Positions within an epoch and texts are left out."""
    tensorboard = pytest.importorskip("tensorboardX")
    written = []
    monkeypatch.setattr(tensorboard.SummaryWriter, "add_scalar", lambda _, *what: written.append(what))
    with TensorBoardLog(tmp_path) as log:
        log.on_event(JOB, Event.START, None)
        log.on_event(JOB, Event.PROGRESS, {"epoch": 1, "batch": 3, "n_batches": 9, "train_loss": 1.0})
        log.on_event(JOB, Event.PROGRESS, {"epoch": 1, "train_loss": 0.5, "val_pearson_r": 0.25, "note": "x"})
    assert written == [("train_loss", 0.5, 1), ("val_pearson_r", 0.25, 1)]
    (file,) = (tmp_path / JOB.id).iterdir()
    assert file.name.startswith("events.out.tfevents")


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(system, "has_packages", lambda *_: False)
    with pytest.raises(BadInput, match="needs tensorboardX: pip install"):
        TensorBoardLog(tmp_path)
