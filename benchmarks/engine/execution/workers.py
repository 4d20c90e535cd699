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
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
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
"""Makes calls of one function somewhere, and tells of each what became of it."""

GRACE_S = 60.0
"""Seconds that busy workers have to keep their state once they are asked to stop."""
_LOOK_S = 0.5
"""Seconds between two looks at whether this process was asked to stop."""


def environments(threads: int, n_gpus: int) -> list[dict[str, str]]:
    """Return the environment variables of workers, which take them in turn: their threads and, of several GPUs, one.

    `n_gpus` counts the GPUs that workers are to be pinned to, 0 for none; those that this process may use are taken.
    """
    said = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    if not n_gpus:
        return [said]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(n_gpus)))).split(",")
    return [said | {"CUDA_VISIBLE_DEVICES": gpu.strip()} for gpu in visible]


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


def _outcome(target: Callable, call: Call, on_event: OnCallEvent) -> tuple[str, Any]:
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
        patience: float | None = None
        while busy := {worker.connection: worker for worker in workers if worker.call}:
            if shutdown.shutdown_reason() and patience is None:
                patience = time.monotonic() + GRACE_S
                for worker in busy.values():
                    worker.process.terminate()
            if patience and time.monotonic() > patience:
                return
            for connection in wait(list(busy), timeout=_LOOK_S):
                worker = busy[connection]
                if worker.receive(on_event):
                    worker.take_next(pending, on_event)
    finally:
        for worker in workers:
            worker.stop()


def answer(function: str, call: Call, environment: dict[str, str], log_folder: Path) -> tuple[str, Any]:
    """Make one call in a process that is kept for the next one; return `done` or `failed`, and the payload.

    For workers that others bring: what a training does to its process stays away from theirs, and frameworks apart.
    """
    global _kept
    if _kept is None:
        log_folder.mkdir(parents=True, exist_ok=True)
        _kept = _Worker(function, environment, log_folder, f"{socket.gethostname()}-{os.getpid()}")
    ended: list[tuple[str, Any]] = []

    def listen(_: str, kind: str, payload: Any) -> None:
        if kind in (Event.DONE, Event.FAILED):
            ended.append((kind, payload))

    parent = os.getppid()
    _kept.begin(call)
    while not ended:
        if _kept.connection.poll(_LOOK_S):
            _kept.receive(listen)
        elif os.getppid() != parent:  # nobody is left to bring this worker calls, or to take its answer
            _kept.stop()
            return Event.FAILED, lost("What had brought this worker is gone.")
    _kept.call = None
    return ended[0]


@dataclass
class _Worker:
    """A place for one process at a time."""

    function: str
    environment: dict[str, str]
    log_folder: Path
    name: str
    group: str | None = None
    call: Call | None = None
    process: Any = None
    connection: Connection | None = field(default=None)

    def take_next(self, pending: dict[str, deque[Call]], on_event: OnCallEvent) -> None:
        """Start the next call, of the same group if there is one left, else of the fullest other group."""
        self.call = None
        left = [group for group, queue in pending.items() if queue]
        if not left or shutdown.shutdown_reason():
            self.stop()
            return
        group = self.group if self.group in left else max(left, key=lambda name: len(pending[name]))
        self.begin(pending[group].popleft())
        on_event(self.call.id, Event.START, None)

    def begin(self, call: Call) -> None:
        """Hand a call to the process; to a new one, if it is of another group or the old one has ended."""
        if call.group != self.group or self.process is None or not self.process.is_alive():
            self.call = None
            self.stop()
            self._spawn(call.group)
        self.call = call
        with contextlib.suppress(BrokenPipeError):  # a worker that died at birth is noticed when it is read from
            self.connection.send(self.call)

    def receive(self, on_event: OnCallEvent) -> bool:
        """Handle one message of the process; True when its call has ended."""
        try:
            kind, payload, last = self.connection.recv()
        except (EOFError, ConnectionResetError):
            kind, payload, last = Event.FAILED, self._death(), False
        on_event(self.call.id, kind, payload)
        if last:  # the process was asked to stop, maybe by somebody else
            self.call = None
            self.stop()
        return kind in (Event.DONE, Event.FAILED)

    def _spawn(self, group: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.log = self.log_folder / f"worker-{self.name}-{group}.log"
        self.process = context.Process(
            target=_serve, args=(theirs, self.function, self.environment, str(self.log)), daemon=True
        )
        self.process.start()
        theirs.close()
        self.group = group

    def _death(self) -> dict[str, Any]:
        self.process.join()
        code = self.process.exitcode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        hint = " (often: out of memory)" if code == -9 else ""
        self.connection.close()
        self.process = None
        tail = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
        return lost(f"The worker process {how}{hint}.", tail)

    def stop(self) -> None:
        """End the process: if it is busy, once it has kept its state or ten seconds are over."""
        if self.process is None:
            return
        if self.call:
            self.process.terminate()
        self.connection.close()
        self.process.join(timeout=10)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process, self.group = None, None


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

    def tell(_: str, kind: str, payload: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody listens any more; the call keeps its state first
            connection.send((kind, payload, False))

    with shutdown.on_signals(), contextlib.suppress(EOFError, BrokenPipeError):
        last = False
        while not last:
            while not connection.poll(_LOOK_S):
                if shutdown.shutdown_requested():
                    return
            call = connection.recv()
            kind, payload = _outcome(target, call, tell)
            last = shutdown.shutdown_requested()
            connection.send((kind, payload, last))


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
