"""Running calls in long-lived worker processes, one group of calls per process. Knows nothing of what the calls do.

An executor takes calls and a listener, and returns when every call has ended or the process was asked to stop.
"""

import contextlib
import importlib
import multiprocessing
import os
import signal
import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks import shutdown
from benchmarks.engine.execution.events import Event, OnCallEvent


@dataclass(frozen=True)
class Call:
    """One call of the function. Calls of one `group` share processes; calls of two groups never do."""

    id: str
    group: str
    argument: Any


Executor = Callable[[list[Call], OnCallEvent], None]
"""Makes calls of one function somewhere, and reports what became of each."""

GRACE_S = 60.0
"""Seconds that busy workers have to keep their state once they are asked to stop."""
_LOOK_S = 0.5
"""Seconds between two looks at whether this process was asked to stop."""


def environments(threads: int, n_gpus: int) -> list[dict[str, str]]:
    """Return the environment variables of workers, which take them in turn: their threads and, of several GPUs, one.

    `n_gpus` counts the GPUs that workers are to be pinned to, 0 for none; those that this process may use are taken.
    """
    n_threads = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    if not n_gpus:
        return [n_threads]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(n_gpus)))).split(",")
    return [n_threads | {"CUDA_VISIBLE_DEVICES": gpu.strip()} for gpu in visible]


def lost(reason: str, traceback: str = "") -> dict[str, Any]:
    """Return the payload of `failed` for a call whose process ended under it."""
    return {"reason": reason, "traceback": traceback, "lost": True}


def run_inline(function: str, calls: list[Call], on_event: OnCallEvent) -> None:
    """Make the calls one after the other in this process."""
    target = _load(function)
    for call in calls:
        if shutdown.shutdown_reason():
            return
        on_event(call.id, Event.START, None)
        on_event(call.id, *_outcome(target, call, on_event))


def _outcome(target: Callable, call: Call, on_event: OnCallEvent) -> tuple[Event, Any]:
    try:
        return Event.DONE, target(call.argument, lambda payload: on_event(call.id, Event.PROGRESS, payload))
    except Exception as error:
        return Event.FAILED, {"reason": describe(error), "traceback": traceback.format_exc()}


def describe(error: BaseException) -> str:
    """Put an exception into one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"


def run_workers(
    function: str,
    calls: list[Call],
    on_event: OnCallEvent,
    *,
    n_workers: int,
    environments: list[dict[str, str]],
    log_folder: Path,
) -> None:
    """Make the calls in `n_workers` processes; return when all are done or failed.

    A process serves one group and is replaced when its group has nothing left. A process that dies fails the call it
    was busy with and no other. Once this process is asked to stop, no call is begun; the workers are asked too, and
    have a while to end what they are at.

    Parameters
    ----------
    function
        `module:name` of a function (argument, progress) -> result, imported in the worker alone.
    environments
        Environment variables of each worker, in turn (threads, pinned devices).
    log_folder
        Where the workers' stdout and stderr go, one file per process.
    """
    pending: dict[str, deque[Call]] = {}
    for call in calls:
        pending.setdefault(call.group, deque()).append(call)
    log_folder.mkdir(parents=True, exist_ok=True)
    workers = [
        _Worker(function, environments[i % len(environments)], log_folder, str(i))
        for i in range(min(n_workers, len(calls)))
    ]
    try:
        for worker in workers:
            worker.take_next(pending, on_event)
        deadline: float | None = None
        while busy := [(w, w.running, w.call) for w in workers if w.running and w.call]:
            if shutdown.shutdown_reason() and deadline is None:
                deadline = time.monotonic() + GRACE_S
                for _, running, _ in busy:
                    running.process.terminate()
            if deadline and time.monotonic() > deadline:
                return
            ready = wait([running.connection for _, running, _ in busy], timeout=_LOOK_S)
            for worker, running, call in busy:
                if running.connection in ready and worker.receive(running, call, on_event):
                    worker.take_next(pending, on_event)
    finally:
        for worker in workers:
            worker.stop()


def answer(function: str, call: Call, environment: dict[str, str], log_folder: Path) -> tuple[Event, Any]:
    """Make one call in a process that is kept for the next one; return `done` or `failed`, and the payload.

    For workers that others bring: what a training does to its process stays away from theirs, and frameworks apart.
    """
    global _kept
    if _kept is None:
        log_folder.mkdir(parents=True, exist_ok=True)
        _kept = _Worker(function, environment, log_folder, f"{socket.gethostname()}-{os.getpid()}")
    ended: list[tuple[Event, Any]] = []

    def listen(_: str, event: Event, payload: Any) -> None:
        if event in (Event.DONE, Event.FAILED):
            ended.append((event, payload))

    parent = os.getppid()
    running = _kept.begin(call)
    while not ended:
        if running.connection.poll(_LOOK_S):
            _kept.receive(running, call, listen)
        elif os.getppid() != parent:  # nobody is left to bring this worker calls, or to take its answer
            _kept.stop()
            return Event.FAILED, lost("What had brought this worker is gone.")
    _kept.call = None
    return ended[0]


@dataclass
class _Process:
    """A running worker process, this end of its pipe, and what it serves."""

    group: str
    log: Path
    process: BaseProcess
    connection: Connection

    @staticmethod
    def spawn(function: str, environment: dict[str, str], group: str, log: Path) -> "_Process":
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, function, environment, str(log)), daemon=True)
        process.start()
        theirs.close()
        return _Process(group, log, process, ours)

    def why_it_died(self) -> dict[str, Any]:
        """Wait for the end of a process whose pipe has closed, and return what became of its call."""
        self.process.join()
        code = self.process.exitcode or 0
        ending = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        hint = " (often: out of memory)" if code == -9 else ""
        self.connection.close()
        tail = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
        return lost(f"The worker process {ending}{hint}.", tail)

    def stop(self, *, is_busy: bool) -> None:
        """End the process: if it is busy, once it has kept its state or ten seconds are over."""
        if is_busy:
            self.process.terminate()
        self.connection.close()
        self.process.join(timeout=10)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


@dataclass
class _Worker:
    """A place for one process at a time."""

    function: str
    environment: dict[str, str]
    log_folder: Path
    name: str
    call: Call | None = None
    running: _Process | None = None

    def take_next(self, pending: dict[str, deque[Call]], on_event: OnCallEvent) -> None:
        """Start the next call, of the same group if there is one left, else of the fullest other group."""
        self.call = None
        groups = [group for group, queue in pending.items() if queue]
        if not groups or shutdown.shutdown_reason():
            self.stop()
            return
        own = self.running.group if self.running else None
        group = own if own in groups else max(groups, key=lambda name: len(pending[name]))
        call = pending[group].popleft()
        self.begin(call)
        on_event(call.id, Event.START, None)

    def begin(self, call: Call) -> "_Process":
        """Hand a call to the process; to a new one, if it is of another group or the old one has ended."""
        if self.running is None or call.group != self.running.group or not self.running.process.is_alive():
            self.call = None
            self.stop()
            log = self.log_folder / f"worker-{self.name}-{call.group}.log"
            self.running = _Process.spawn(self.function, self.environment, call.group, log)
        self.call = call
        with contextlib.suppress(BrokenPipeError):  # a worker that died at birth is noticed when it is read from
            self.running.connection.send(call)
        return self.running

    def receive(self, running: _Process, call: Call, on_event: OnCallEvent) -> bool:
        """Handle one message of the process that works on a call; True when the call has ended."""
        try:
            event, payload, is_last = running.connection.recv()
        except (EOFError, ConnectionResetError):
            event, payload, is_last = Event.FAILED, running.why_it_died(), False
        on_event(call.id, event, payload)
        if is_last:  # the process was asked to stop, maybe by somebody else
            self.call = None
            self.stop()
        return event in (Event.DONE, Event.FAILED)

    def stop(self) -> None:
        """End the process, if there is one."""
        if self.running is not None:
            self.running.stop(is_busy=self.call is not None)
            self.running = None


_kept: _Worker | None = None
"""The place of `answer` in this process."""


def _serve(connection: Connection, function: str, environment: dict[str, str], log: str) -> None:
    """Answer calls until the other end of the pipe closes, or the process was asked to stop.

    Control-C reaches every process of a terminal: what it means is for the one at the other end to say.
    """
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    with open(log, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    target = _load(function)

    def tell(_: str, event: Event, payload: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody listens any more; the call keeps its state first
            connection.send((event, payload, False))

    with shutdown.on_signals(), contextlib.suppress(EOFError, BrokenPipeError):
        is_last = False
        while not is_last:
            while not connection.poll(_LOOK_S):
                if shutdown.shutdown_requested():
                    return
            call = connection.recv()
            event, payload = _outcome(target, call, tell)
            is_last = shutdown.shutdown_requested()
            connection.send((event, payload, is_last))


def _end_with_parent(parent: int) -> None:
    """End this process after its parent was killed, once it has kept its state: nobody is left to take its result."""
    while os.getppid() == parent:
        time.sleep(0.2)
    shutdown.request_shutdown("the process that had started it is gone")
    time.sleep(GRACE_S)
    os._exit(1)


def _load(function: str) -> Callable:
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)
