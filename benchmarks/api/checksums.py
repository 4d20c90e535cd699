"""SHA-256 of a folder's files, in the format of `sha256sum`: written when it is made, verified when it is trusted."""

import hashlib
import re
from pathlib import Path

NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\\]+)")


def write(folder: Path) -> None:
    """Sum up the files that a folder holds now. Folders in it are left out."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name != NAME)
    (folder / NAME).write_text("".join(f"{digest(file)}  {file.name}\n" for file in files))


def problem(folder: Path) -> str | None:
    """Say what keeps a folder from being trusted, or None: every file is summed up, and is what it was.

    A link is a problem: it could lead anywhere.
    """
    try:
        lines = [line for line in (folder / NAME).read_text().splitlines() if line]
    except (OSError, UnicodeDecodeError):
        return f"it has no readable {NAME}"
    found = [_LINE.fullmatch(line) for line in lines]
    if not found or not all(found):
        return f"its {NAME} is damaged"
    expected = {match[2]: match[1] for match in found}
    present = {path.name for path in folder.iterdir()} - {NAME}
    if missing := sorted(set(expected) - present):
        return f"{missing[0]} is missing"
    if extra := sorted(present - set(expected)):
        return f"{extra[0]} is not in its {NAME}"
    for name, value in expected.items():
        file = folder / name
        if file.is_symlink() or not file.is_file():
            return f"{name} is not a plain file"
        if digest(file) != value:
            return f"{name} differs from its SHA-256"
    return None


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
