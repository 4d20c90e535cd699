"""Speeds to plan with."""

from types import SimpleNamespace

import pytest

from benchmarks.engine.planning import time_estimate


def job(run="r", width=0.1, model="dream_cnn"):
    return SimpleNamespace(model=model, config_hash=run, recipe={"width_scale": width, "epochs": 2})


def record(speed, run="r", width=0.1, device="cpu", model="dream_cnn"):
    return {"model": model, "run": run, "recipe": {"width_scale": width}, "device": device, "train_seq_per_s": speed,
            "n_train": 50, "sequences_per_epoch": 50}  # fmt: skip


def test_measured_speeds_come_before_those_of_the_table():
    """Those of the same run first, then those of the same width, then the table's."""
    finished = [record(10), record(30), record(20), record(99, run="other"), record(7, width=0.5, run="x")]
    assert time_estimate.Throughput(finished, "cpu")(job()) == 20
    assert time_estimate.Throughput(finished, "cpu")(job(run="new", width=0.5)) == 7
    typical = time_estimate.TYPICAL_CPU_SEQ_PER_S["dream_cnn"][1.0]
    assert time_estimate.Throughput(finished, "cpu")(job(run="new", width=1.0)) == pytest.approx(typical)
    assert time_estimate.Throughput([record(5, device="cuda")], "cpu")(job(model="unknown")) is None


def test_between_two_widths_the_typical_speed_is_between_theirs():
    table = time_estimate.TYPICAL_CPU_SEQ_PER_S["dream_rnn"]
    assert table[1.0] < time_estimate.typical_cpu_speed("dream_rnn", 0.3) < table[0.1]
    assert time_estimate.typical_cpu_speed("dream_rnn", 10**-0.5) == pytest.approx((table[0.1] * table[1.0]) ** 0.5)
