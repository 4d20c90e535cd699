"""Timing and memory of a piece of work in this process."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def own_memory_mb() -> float:
    """Return the memory that this process holds itself, pages of mapped files aside; NaN where that cannot be told."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon:")), float("nan"))


def consume(results: Iterable) -> None:
    """Let results go as they come, as training does; keeping them would time the memory."""
    for _ in results:
        pass


def seconds_of(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
