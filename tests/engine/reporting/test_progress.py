"""What a run says: a plain line per training with an ETA, failures with their reason, durations in words."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from benchmarks.engine.reporting import progress, text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (200, "3 min 20 s"),
        (60, "1 min"),
        (1000, "16 min"),
        (7260, "2 h 1 min"),
        (1e6, "12 days"),
    ],
)
def test_durations_in_words(seconds, words):
    assert text.duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (41.23, "41.2 s"),
        (723, "12 min 3 s"),
        (720, "12 min"),
        (11_100, "3 h 5 min"),
        (3599.8, "1 h"),
        (1e6, "277 h 46 min"),
        (None, "–"),
    ],
)
def test_measured_durations_are_exact(seconds, words):
    assert text.duration(seconds, exact=True) == words


def job(name):
    return SimpleNamespace(
        id=name, model=name, dataset="d", test_fold=0, val_fold=1, recipe={"epochs": 2}
    )  # fmt: skip


@pytest.fixture
def spoken(monkeypatch):
    """A reporter with three jobs expected to take 100 s each on one worker, a clock, and what it said."""
    clock, out = SimpleNamespace(now=0.0), io.StringIO()
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    jobs = [job("a"), job("b"), job("c")]
    reporter = progress.Reporter(Console(file=out, width=200))
    reporter.begin(jobs, lambda _: 100.0, n_workers=1)
    return reporter, jobs, clock, out


def test_the_eta_follows_how_long_jobs_really_take(spoken):
    reporter, jobs, clock, out = spoken
    clock.now = 50.0  # twice as fast as expected: the other two should take 100 s together
    reporter.on_event(jobs[0], "done", {"epochs_run": 2, "duration_s": 50.0, "diverged": []})
    assert out.getvalue() == (
        "[1/3] a on d, test fold 0, validation fold 1: 2 epochs in 50 s; about 1 min 40 s left\n"
    )  # fmt: skip


def test_a_failure_has_its_reason_and_the_last_job_ends_the_eta(spoken):
    reporter, jobs, _, out = spoken
    for one in jobs[:2]:
        reporter.on_event(one, "done", {"epochs_run": 2, "duration_s": 1.0, "diverged": []})
    reporter.on_event(jobs[2], "failed", {"reason": "no [luck]"})
    lines = out.getvalue().splitlines()
    assert lines[2] == "[3/3] FAILED c on d, test fold 0, validation fold 1: no [luck]; all done"
    assert (reporter.finished, reporter.total) == (3, 3)


def test_a_long_training_says_where_it_stands_once_a_minute(spoken):
    """Within an epoch and after one: losses, the best epoch, and the time that its own pace leaves."""
    reporter, jobs, clock, out = spoken
    reporter.on_event(jobs[0], "start", None)
    within = {"epoch": 1, "batch": 30, "n_batches": 120, "train_loss": 0.5}
    clock.now = 1000.0
    reporter.on_event(jobs[0], "progress", within)
    assert out.getvalue() == "", "it has only just begun to speak"
    clock.now = 1060.0
    reporter.on_event(jobs[0], "progress", within)
    assert out.getvalue().strip().endswith("epoch 1 of 2, 25% of its batches, training loss 0.5")
    clock.now = 1100.0
    reporter.on_event(jobs[0], "progress", {"epoch": 1, "train_loss": 0.4, "val_pearson_r": 0.61, "seconds": 240.0})
    assert len(out.getvalue().splitlines()) == 1, "a line a minute at most"
    clock.now = 1200.0
    reporter.on_event(jobs[0], "progress", {"epoch": 2, "batch": 1, "n_batches": 4, "train_loss": 0.3})
    last = out.getvalue().splitlines()[-1]
    assert "epoch 2 of 2, 25% of its batches, training loss 0.3, 4 min an epoch, at most 4 min left" in last
    clock.now = 1300.0
    reporter.on_event(jobs[0], "progress", {"epoch": 2, "train_loss": 0.2, "val_pearson_r": 0.59, "seconds": 260.0})
    assert "validation r 0.590 (best 0.610 in epoch 1)" in out.getvalue().splitlines()[-1]
