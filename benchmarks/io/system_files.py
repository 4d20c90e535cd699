"""Files that operating systems leave in folders and archives: they are nobody's data, and are ignored everywhere."""

from collections.abc import Iterator
from pathlib import Path

_NAMES = {".DS_Store", "Thumbs.db", "desktop.ini", "Desktop.ini", "__MACOSX", ".directory"}
_STARTS = ("._", ".Spotlight-", ".fseventsd", ".Trash", ".nfs", ".AppleDouble")


def is_system_file(name: str) -> bool:
    """Tell by its name whether a file or folder is one of an operating system.

    >>> [is_system_file(name) for name in ("._K562.tsv", "K562.tsv")]
    [True, False]
    """
    return name in _NAMES or name.startswith(_STARTS)


def contents(folder: Path) -> Iterator[Path]:
    """Give what is in a folder, sorted, without what an operating system left there."""
    return (path for path in sorted(folder.iterdir()) if not is_system_file(path.name))
