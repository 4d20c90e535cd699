"""Who works on what, when several commands share one folder. Knows nothing of what the work is.

A lock is a small file. It is made by `link`, which either makes it or finds it there, also on NFS; its owner touches
it every few seconds. It is stale once its owner is known to be dead, or has not touched it for a while.
"""

import contextlib
import errno
import json
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

HEARTBEAT_S = 15.0
"""Seconds between two touches of a lock."""
STALE_S = 120.0
"""Seconds without a touch after which another machine may take a lock over."""


class TrainingLocks:
    """The locks this process owns; a thread keeps them fresh. Use as a context manager."""

    def __init__(self, heartbeat_s: float = HEARTBEAT_S, stale_s: float = STALE_S):
        self.heartbeat_s, self.stale_s = heartbeat_s, stale_s
        self._owned: dict[Path, str] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, daemon=True)

    def __enter__(self) -> "TrainingLocks":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        for file in list(self._owned):
            self.release(file)

    def take(self, file: Path) -> bool:
        """Lock a file; False if somebody else owns the lock. A stale lock is taken over."""
        file.parent.mkdir(parents=True, exist_ok=True)
        lock_id = uuid.uuid4().hex
        with _written(
            file, {"id": lock_id, "machine": machine(), "pid": os.getpid(), "born": _born(os.getpid())}
        ) as new:
            taken = _linked(new, file) or self._taken_over(new, file)
        if taken:
            with self._lock:
                self._owned[file] = lock_id
        return taken

    def release(self, file: Path) -> None:
        """Release a lock, unless it was never owned, or was taken over meanwhile."""
        with self._lock:
            lock_id = self._owned.pop(file, None)
        if lock_id is not None and _owner(file).get("id") == lock_id:
            file.unlink(missing_ok=True)

    def _taken_over(self, new: Path, file: Path) -> bool:
        """Replace a stale lock by `new`.

        Several may find the same lock stale, and one of them may already have replaced it. So the right to replace the
        lock with a certain id is itself something that only one can link; who has it checks the id once more.
        """
        owner = _owner(file)
        if not owner or not _is_stale(file, owner, self.stale_s):
            return False
        right = file.with_name(f"{file.name}.{owner['id']}")
        if not _linked(new, right):
            if _age(right, new) > self.stale_s:  # its owner died in the few instructions below
                right.unlink(missing_ok=True)
            return False
        try:
            if _owner(file).get("id") != owner["id"]:
                return False
            os.replace(new, file)
            return True
        finally:
            right.unlink(missing_ok=True)

    def _keep_fresh(self) -> None:
        while not self._over.wait(self.heartbeat_s):
            with self._lock:
                for file in self._owned:
                    with contextlib.suppress(OSError):
                        os.utime(file)


def lock_owner(file: Path) -> str | None:
    """Name the host whose process owns a lock; None if nobody does, or nobody does any more."""
    owner = _owner(file)
    if not owner or _is_stale(file, owner, STALE_S):
        return None
    return str(owner["machine"]).split(" ")[0]


def _is_stale(file: Path, owner: dict[str, Any], stale_s: float) -> bool:
    if owner["machine"] == machine():
        return _born(owner["pid"]) != owner["born"]
    with _written(file, {}) as now, contextlib.suppress(FileNotFoundError):
        return _age(file, now) > stale_s
    return False


@cache
def machine() -> str:
    """Name what process numbers are unique in: host, its last start, and process namespace where the system tells."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _born(pid: int) -> str | None:
    """Return when a process of this machine started, or None if it is gone; numbers are used again, starts are not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else fields[19]
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
    try:  # no /proc here: that it lives must do
        os.kill(pid, 0)
    except OSError:
        return None
    return "alive"


@contextlib.contextmanager
def _written(file: Path, content: dict[str, Any]) -> Iterator[Path]:
    """Write a file beside `file` for as long as it is needed."""
    new = file.with_name(f".{file.name}-{uuid.uuid4().hex}")
    try:
        new.write_text(json.dumps(content))
        yield new
    finally:
        new.unlink(missing_ok=True)


def _linked(new: Path, file: Path) -> bool:
    """Give a written file a second name; False if that name is taken.

    NFS may lose the answer of a call that worked and report an error: the number of names tells.
    """
    try:
        os.link(new, file)
    except FileExistsError:
        return new.stat().st_nlink > 1
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        return _created(new, file)
    return True


def _created(new: Path, file: Path) -> bool:
    """Do what `_linked` does on a file system without links (memory sticks, some shares)."""
    try:
        with open(file, "x") as stream:
            stream.write(new.read_text())
    except FileExistsError:
        return False
    return True


def _owner(file: Path) -> dict[str, Any]:
    """Return what a lock file says of its owner; empty where there is no lock."""
    unreadable = {"id": "unreadable", "machine": None}  # a disk that filled up, a machine that lost power
    try:
        owner = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        return unreadable
    kinds = {"id": str, "machine": str, "pid": int, "born": str | None}
    if not isinstance(owner, dict) or not all(isinstance(owner.get(name), kind) for name, kind in kinds.items()):
        return unreadable
    return owner if owner["id"].isalnum() else unreadable  # it becomes part of a file's name


def _age(file: Path, now: Path) -> float:
    """Return the seconds between the last touch of two files, both by the clock of whoever stores them."""
    try:
        return now.stat().st_mtime - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
