"""What becomes of trainings while they are carried out: the events that are reported, and how one can end."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from benchmarks.engine.planning.plan import Job


class Event(StrEnum):
    """What is reported of a call or a training; the payload is given in brackets."""

    START = "start"
    """It was begun (None)."""
    PROGRESS = "progress"
    """It has ended an epoch (the epoch's row of the history)."""
    DONE = "done"
    """It has ended (its record)."""
    FAILED = "failed"
    """It has failed (`reason`, `traceback`, and `lost` where the process ended under it: it may be tried again)."""
    QUEUED = "queued"
    """All wait for the queue of a cluster (a sentence)."""
    LOST = "lost"
    """Its process ended under it; it goes on in another one (as of FAILED)."""
    INTERRUPTED = "interrupted"
    """It was asked to stop and has kept its state (`reason`)."""
    ELSEWHERE = "elsewhere"
    """Another command has finished it (None)."""
    WAITING = "waiting"
    """Trainings that other commands work on are waited for (how many)."""


class Outcome(StrEnum):
    """How the call of a worker ended that did not raise: the `status` of what it returns."""

    DONE = "done"
    """Trained and stored."""
    ELSEWHERE = "elsewhere"
    """Done by another process before."""
    LOCKED = "locked"
    """Another process works on it."""
    INTERRUPTED = "interrupted"
    """Asked to stop; the state is kept."""
    UNWRITABLE = "unwritable"
    """The disk is full or read-only."""


OnCallEvent = Callable[[str, Event, Any], None]
"""Takes the id of a call, what became of it, and the payload."""
OnEvent = Callable[[Job, Event, Any], None]
"""Takes a job, what became of its training, and the payload."""
