"""Files and folders that appear whole or not at all: written under another name beside the target, then renamed.

A rename replaces a file in one step: no reader sees half of it, and a killed process leaves the old one in place.
"""

import contextlib
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, in the folder of `path` and with its endings; it becomes `path` when the block ends.

    If the block raises, what was written is removed and `path` stays as it was.
    """
    unfinished = path.with_name(f".{uuid.uuid4().hex[:12]}-{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all."""
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def whole_folder(folder: Path, *, replace: bool = False, sole_writer: bool = False) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes `folder` when the block ends; it is removed if the block raises.

    What processes left behind that were killed while they wrote is removed first.

    Parameters
    ----------
    replace
        A folder that is there already is replaced. False: it stays, as the result of another process that did the same
        work and was first.
    sole_writer
        The caller holds a lock on the work, so that what is left behind is removed at once instead of after an hour.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for leftover in folder.parent.glob(f".{folder.name}-*"):
        with contextlib.suppress(FileNotFoundError):
            if sole_writer or time.time() - leftover.stat().st_mtime > 3600:
                shutil.rmtree(leftover, ignore_errors=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        unfinished.chmod(0o755)
        yield unfinished
        if replace:
            shutil.rmtree(folder, ignore_errors=True)
        elif folder.exists():
            return
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process put the same there in the meantime
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
