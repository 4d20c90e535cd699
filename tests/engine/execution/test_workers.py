"""Workers: groups kept apart, failures and deaths reported and survived."""

import os
import time

import pytest

from benchmarks import system
from benchmarks.engine.execution import workers
from benchmarks.engine.execution.workers import Call, run_inline, run_workers
from tests.helpers.worker_calls import SLOW_WORK, WORK


def calls(*what, group="g"):
    return [Call(f"{group}{i}", group, {"x": i, "do": do}) for i, do in enumerate(what)]


class Recorder:
    def __init__(self):
        self.events = []

    def __call__(self, call_id, kind, payload):
        self.events.append((call_id, kind, payload))

    def of(self, kind):
        return {call_id: payload for call_id, k, payload in self.events if k == kind}


def run(todo, tmp_path, n_workers=2, environments=({"SOME_THREADS": "3"},)):
    seen = Recorder()
    run_workers(
        WORK,
        todo,
        seen,
        n_workers=n_workers,
        environments=list(environments),
        log_folder=tmp_path,
    )
    return seen


def test_every_call_is_made_once_with_progress_and_environment(tmp_path):
    seen = run(calls(*["ok"] * 5), tmp_path)
    assert sorted(p["x"] for p in seen.of("done").values()) == [0, 1, 2, 3, 4]
    assert {p["half"] for p in seen.of("progress").values()} == {0, 1, 2, 3, 4}
    assert {p["threads"] for p in seen.of("done").values()} == {"3"}
    assert [k for c, k, _ in seen.events if c == "g0"] == ["start", "progress", "done"]


def test_groups_never_share_a_process_and_workers_are_reused(tmp_path):
    seen = run(calls(*["ok"] * 4, group="a") + calls(*["ok"] * 4, group="b"), tmp_path)
    pids = {group: {p["pid"] for c, p in seen.of("done").items() if c.startswith(group)} for group in "ab"}
    assert not pids["a"] & pids["b"]
    assert len(pids["a"]) <= 2
    assert os.getpid() not in pids["a"] | pids["b"]


def test_an_exception_is_one_line_and_the_others_go_on(tmp_path):
    seen = run(calls("ok", "raise", "refuse", "ok"), tmp_path, n_workers=1)
    assert set(seen.of("done")) == {"g0", "g3"}
    reasons = {c: p["reason"] for c, p in seen.of("failed").items()}
    assert reasons == {"g1": "RuntimeError: no luck", "g2": "bad value"}
    assert "Traceback" in seen.of("failed")["g1"]["traceback"]


def test_a_killed_worker_fails_its_call_alone(tmp_path):
    seen = run(calls("ok", "die", "ok", "ok"), tmp_path, n_workers=1)
    assert set(seen.of("done")) == {"g0", "g2", "g3"}
    assert "killed by signal 9" in seen.of("failed")["g1"]["reason"]


def test_what_a_worker_prints_goes_to_its_log(tmp_path):
    run(calls("print"), tmp_path, n_workers=1)
    assert (tmp_path / "worker-0-g.log").read_text() == "printed\n"


@pytest.mark.slow
def test_each_worker_gets_its_own_environment_in_turn(tmp_path):
    seen = run(calls(*["ok"] * 6), tmp_path, environments=({"SOME_THREADS": "a"}, {"SOME_THREADS": "b"}))
    by_pid = {p["pid"]: p["threads"] for p in seen.of("done").values()}
    assert sorted(by_pid.values()) in (["a"], ["a", "b"], ["b"])
    assert len(by_pid) == len(set(by_pid.values()))


def test_inline_runs_here_and_survives_failures():
    seen = Recorder()
    run_inline(WORK, calls("ok", "raise", "ok"), seen)
    assert {p["pid"] for p in seen.of("done").values()} == {os.getpid()}
    assert seen.of("failed")["g1"]["reason"] == "RuntimeError: no luck"


def test_no_worker_is_left_when_an_event_handler_fails(tmp_path):
    def handler(call_id, kind, payload):
        if kind == "done":
            pids.append(payload["pid"])
            raise KeyboardInterrupt

    pids = []
    with pytest.raises(KeyboardInterrupt):
        run_workers(WORK, calls("ok", "ok"), handler, n_workers=1, environments=[{}], log_folder=tmp_path)
    time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


@pytest.mark.parametrize(("visible", "n"), [("", 0), ("-1", 0), ("0", 1), ("0,2", 2)])
def test_visible_devices_are_counted_from_the_environment(monkeypatch, visible, n):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(system.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert system.n_gpus() == n
    monkeypatch.setattr(system.shutil, "which", lambda name: None)  # no driver: what is visible is nothing
    assert system.n_gpus() == 0


@pytest.mark.slow
def test_a_worker_that_somebody_asked_to_stop_is_replaced(tmp_path):
    seen = Recorder()
    run_workers(
        SLOW_WORK,
        [Call(str(i), "g", i) for i in range(4)],
        seen,
        n_workers=1,
        environments=[{}],
        log_folder=tmp_path,
    )
    done = seen.of("done")
    assert [done[str(i)]["stopped"] for i in range(4)] == ["it got SIGTERM", None, None, None]
    assert len({done[str(i)]["pid"] for i in range(4)}) == 2


@pytest.mark.slow
def test_calls_from_other_workers_keep_processes_apart_by_group(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_kept", None)

    def answer(call):
        return workers.answer(WORK, call, {"SOME_THREADS": "2"}, tmp_path)

    try:
        found = [answer(call) for call in [*calls("ok", "ok"), *calls("ok", group="h"), *calls("die", "ok", group="h")]]
    finally:
        workers._kept.stop()
    pids = [payload.get("pid") for _, payload in found]
    assert [kind for kind, _ in found] == ["done", "done", "done", "failed", "done"]
    assert found[3][1]["lost"]
    assert pids[0] == pids[1]
    assert len({pids[0], pids[2], pids[4], os.getpid()}) == 4
    assert found[0][1]["threads"] == "2"


def test_an_idle_worker_ends_when_it_is_asked_to_stop(tmp_path):
    """Its other end may stay open: whoever holds it may be waiting for the worker to end."""
    worker = workers._Worker(WORK, {}, tmp_path, "idle")
    call = calls("ok")[0]
    running = worker.begin(call)
    while not worker.receive(running, call, lambda *event: None):
        pass
    worker.call = None
    running.process.terminate()
    running.process.join(timeout=20)
    assert running.process.exitcode == 0
