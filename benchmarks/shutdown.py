"""Requests to stop: by a signal, or by a time limit that is near. Trainings check for them between batches.

A queue sends SIGTERM, or the signal its user chose, before it kills; a pilot job knows when it will end. Either way a
training has time to save its state, and the next process resumes from there.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

STOP_AT = "DREAM_BENCH_STOP_AT"
"""Environment variable: the Unix time at which trainings of this process and its children save their state and end."""
_SLURM_END = "SLURM_JOB_END_TIME"  # set by SLURM 23.02 and newer
MARGIN_S = 120.0
"""Seconds before the end of a SLURM job at which to stop."""
EXIT_CODE = 75
"""Exit code of a command that was asked to stop: try again (EX_TEMPFAIL of sysexits.h)."""
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))

_requested: str | None = None


class Stopped(Exception):
    """The command was asked to stop, and stopped before all trainings were done."""


def request_shutdown(reason: str) -> None:
    """Ask this process to stop."""
    global _requested
    _requested = _requested or reason


def shutdown_requested() -> bool:
    """Tell whether this process itself was asked to stop; a time limit, which the next process has too, is left out."""
    return _requested is not None


def shutdown_reason() -> str | None:
    """Return why this process should stop; None as long as it should not."""
    if _requested:
        return _requested
    if (end := _end()) and time.time() >= end:
        return "its time limit is near"
    return None


def _end() -> float | None:
    for name, margin in ((STOP_AT, 0.0), (_SLURM_END, MARGIN_S)):
        with contextlib.suppress(ValueError):
            if text := os.environ.get(name):
                return float(text) - margin
    return None


@contextlib.contextmanager
def on_signals() -> Iterator[None]:
    """Treat SIGTERM and SIGUSR1 as requests to stop within the block; does nothing outside the main thread."""
    global _requested
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, _handle) for number in _SIGNALS if main}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _requested = None


def _handle(number: int, frame: object) -> None:
    request_shutdown(f"it got {signal.Signals(number).name}")
