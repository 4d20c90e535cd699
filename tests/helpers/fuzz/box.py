"""Damaging valid files and words in every way that files get damaged, and holding commands to what they promise then.

The promise: exit code 0, 1 or 2; for bad input one sentence, `Error: …`, and code 2; no traceback, no hang, nothing
written but where results go, nothing half-written under a final name.
"""

import contextlib
import os
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from benchmarks.cli.main import app
from benchmarks.errors import BadInput

LIMIT_S = 60.0
"""Seconds after which an input counts as a hang; each takes a fraction of one, on a busy machine a few."""


class Hang(BaseException):
    """Raised in a command that takes too long. No Exception, so that nothing on the way takes it for one."""


class Broken(AssertionError):
    """A promise that was not kept."""


class Box:
    """A folder tree that a command runs in, restored after every input, and looked through for what was written.

    Parameters
    ----------
    root
        Holds the inputs, `results` and, beside them, files that nothing may touch.
    """

    def __init__(self, root: Path):
        self.root = root
        for name in ("work", "temporary", "data"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "outside.txt").write_text("nothing may change this")
        self.keep()

    def keep(self) -> None:
        """Take the tree as it is now for what it is restored to."""
        self._kept = {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}
        self._restored = self._looks()

    def _looks(self) -> dict[str, tuple]:
        found = {}
        for folder, folders, files in os.walk(self.root):
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                about = os.lstat(path)
                is_folder = os.path.isdir(path) and not os.path.islink(path)
                found[path] = ("folder",) if is_folder else (about.st_size, about.st_mtime_ns, about.st_ino)
        return found

    def restore(self) -> None:
        """Bring the tree back to what was kept."""
        now = self._looks()
        if now == self._restored:
            return
        for path in sorted(now.keys() - self._restored.keys(), reverse=True):
            os.rmdir(path) if now[path] == ("folder",) else os.unlink(path)
        for path, content in self._kept.items():
            if now.get(str(path)) != self._restored[str(path)]:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                path.write_bytes(content)
        for path, look in self._restored.items():
            if look == ("folder",):
                os.makedirs(path, exist_ok=True)
        self._restored = self._looks()

    @contextlib.contextmanager
    def damaged(self, **files: bytes) -> Iterator[None]:
        """Write files (path below the root -> content) for as long as an input is tried."""
        try:
            for name, content in files.items():
                path = self.root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                path.write_bytes(content)
            yield
        finally:
            self.restore()

    def call(self, *words: Any, may_write: Sequence[str] = (), may_list: bool = False, is_work: bool = False) -> int:
        """Give a command, hold it to the promise, and return its exit code.

        Parameters
        ----------
        may_write
            Folders below the root that it may write to when it does not refuse its input.
        may_list
            A refusal may be several lines, as that of `challenge validate`.
        is_work
            What a command that refuses leaves there is work in progress, which the same command goes on with.
        """
        before = self._looks()
        with self._inside(), _limited(), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        said = done.stdout + done.stderr
        if done.exit_code not in (0, 1, 2) or "Traceback" in said:
            raise Broken(f"exit code {done.exit_code}: {said}")
        if done.exit_code == 2 and not may_list and "Usage:" not in done.stderr:
            last = done.stderr.rstrip("\n").rsplit("\n", 1)[-1]
            if not last.startswith("Error: ") or done.stderr.count("Error: ") < 1:
                raise Broken(f"a refusal is one sentence, got {done.stderr!r}")
        self._look_round(before, may_write, refused=done.exit_code == 2 and not is_work)
        _no_warning(warned)
        return done.exit_code

    def fill(self, *words: Any) -> None:
        """Give a command that makes what is damaged later."""
        with self._inside():
            done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output

    def direct(self, read: Callable[[], Any], *, may_write: Sequence[str] = ()) -> int:
        """Hold a reader to the same promise where no command is cheap: a value, or one sentence."""
        before, refused = self._looks(), False
        with self._inside(), _limited(), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                read()
            except (BadInput, OSError):  # what the command line turns into a sentence
                refused = True
        self._look_round(before, may_write, refused=refused)
        _no_warning(warned)
        return 2 if refused else 0

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        """Work in a folder of the tree, with a folder for temporary files that must be empty afterwards."""
        here, temporary = os.getcwd(), tempfile.tempdir
        tempfile.tempdir = str(self.root / "temporary")
        os.chdir(self.root / "work")
        try:
            yield
        finally:
            os.chdir(here)
            tempfile.tempdir = temporary

    def _look_round(self, before: dict[str, tuple], may_write: Sequence[str], *, refused: bool) -> None:
        after = self._looks()
        touched = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        places = [str(self.root / name) for name in may_write]
        for path in sorted(touched):
            inside = any(path == place or path.startswith(place + os.sep) for place in places)
            if not inside:
                raise Broken(f"{path} was {'changed' if path in after else 'removed'}")
            if path in after and os.path.basename(path).startswith("."):
                raise Broken(f"{path} was left behind")
            if refused and path in after and after[path] != ("folder",):
                raise Broken(f"{path} was written by a command that refused its input")


def _no_warning(warned: list) -> None:
    for one in warned:
        if not issubclass(one.category, (DeprecationWarning, PendingDeprecationWarning, ResourceWarning)):
            raise Broken(f"a warning reached the user: {one.filename}:{one.lineno}: {one.message}")


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise Hang(f"an input took more than {LIMIT_S:g} s")

    kept = signal.signal(signal.SIGALRM, stop)
    timer = signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, kept)
