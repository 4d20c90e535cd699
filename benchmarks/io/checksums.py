"""SHA-256 of a folder's files, in the format of `sha256sum`: written when it is made, verified when it is trusted."""

import hashlib
import re
from pathlib import Path

from benchmarks.io.system_files import contents

NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\\]+)")


def write(folder: Path) -> None:
    """Sum up the files that a folder holds now. Folders in it are left out."""
    files = [file for file in contents(folder) if file.is_file() and file.name != NAME]
    (folder / NAME).write_text("".join(f"{digest(file)}  {file.name}\n" for file in files))


def problem(folder: Path) -> str | None:
    """Say what keeps a folder from being trusted, or None: every file is summed up, and is what it was.

    A link is a problem: it could lead anywhere.
    """
    expected = _expected(folder)
    if isinstance(expected, str):
        return expected
    present = {path.name for path in contents(folder)} - {NAME}
    if missing := sorted(set(expected) - present):
        return f"{missing[0]} is missing"
    if extra := sorted(present - set(expected)):
        return f"{extra[0]} is not in its {NAME}"
    return next((wrong for name, value in expected.items() if (wrong := _differs(folder / name, value))), None)


def problem_of(folder: Path, name: str) -> str | None:
    """Say what keeps one file of a folder from being trusted, or None."""
    expected = _expected(folder)
    if isinstance(expected, str):
        return expected
    if not (folder / name).exists():
        return f"{name} is missing"
    return _differs(folder / name, expected[name]) if name in expected else f"{name} is not in its {NAME}"


def _expected(folder: Path) -> dict[str, str] | str:
    """Read name -> SHA-256, or say why that cannot be read."""
    try:
        lines = [line for line in (folder / NAME).read_text().splitlines() if line]
    except (OSError, UnicodeDecodeError):
        return f"it has no readable {NAME}"
    digests = {match[2]: match[1] for match in map(_LINE.fullmatch, lines) if match}
    return digests if digests and len(digests) == len(lines) else f"its {NAME} is damaged"


def _differs(file: Path, value: str) -> str | None:
    if file.is_symlink() or not file.is_file():
        return f"{file.name} is not a plain file"
    return None if digest(file) == value else f"{file.name} differs from its SHA-256"


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
