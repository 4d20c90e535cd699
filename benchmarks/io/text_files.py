"""Text files as they come: plain or gzip, UTF-8 with or without a byte order mark, or UTF-16.

Whatever else a file is (a spreadsheet, another compression) is named, so that people know what to do about it.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from benchmarks.errors import BadInput
from benchmarks.io.file_kinds import kind_of_bytes

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def content(path: Path) -> bytes:
    """Return the bytes of a file, unpacked if they are a gzip.

    Raises
    ------
    BadInput
        If the file is missing, cannot be read, or is a truncated or damaged gzip.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"No file at {path}.") from None
    except IsADirectoryError:
        raise BadInput(f"{path} is a folder; a file is expected.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    if raw[:2] != _GZIP:
        return raw
    with damage_named(path):
        return gzip.decompress(raw)


def encoding_of(path: Path, start: bytes) -> str:
    """Tell the encoding of a text file from its first bytes (unpacked).

    Raises
    ------
    BadInput
        If they are not those of a text file, naming what they look like.
    """
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            return encoding
    kind = kind_of_bytes(start)
    if not kind.is_text and kind.name not in ("binary", "empty"):
        raise BadInput(f"{path} is {kind}; plain text, or its gzip, is expected.")
    zeros = [start[side:2000:2].count(0) / max(len(start[side:2000:2]), 1) for side in (0, 1)]
    if max(zeros) > 0.4 and min(zeros) < 0.05:  # Latin letters in UTF-16 have a zero in every other byte
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    return "utf-8"


def encoding_name(encoding: str) -> str:
    """Return what people call an encoding.

    >>> encoding_name("utf-8-sig")
    'UTF-8 with a byte order mark'
    """
    return "UTF-8 with a byte order mark" if encoding == "utf-8-sig" else encoding[:6].upper()


@contextmanager
def open_text(path: Path, *, newline: str | None = None) -> Iterator[io.TextIOWrapper]:
    """Open a text file, plain or gzip, to be read line by line however long it is.

    Errors of reading become sentences, wherever in the file they occur.

    Raises
    ------
    BadInput
        If the file is missing, no text, or a truncated or damaged gzip.
    """
    try:
        raw = path.open("rb")
    except FileNotFoundError:
        raise BadInput(f"No file at {path}.") from None
    except IsADirectoryError:
        raise BadInput(f"{path} is a folder; a file is expected.") from None
    with damage_named(path), raw, _unpacking(raw) as stream:
        encoding = encoding_of(path, stream.read(4096))
        stream.seek(0)
        yield io.TextIOWrapper(stream, encoding=encoding, newline=newline)


def _unpacking(raw: IO[bytes]) -> IO[bytes]:
    start = raw.read(2)
    raw.seek(0)
    return cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if start == _GZIP else raw


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what a damaged file makes the standard library raise into a sentence about the file."""
    try:
        yield
    except EOFError:
        raise BadInput(f"{path} is a truncated gzip file; copy or download it again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"{path} is a damaged gzip file ({error}); copy or download it again.") from None
    except UnicodeDecodeError:
        raise BadInput(_not_text(path)) from None


def decoded(path: Path, raw: bytes) -> str:
    """Decode the (unpacked) bytes of a text file.

    Raises
    ------
    BadInput
        If they are no text.
    """
    try:
        text = raw.decode(encoding_of(path, raw[:4096]))
    except UnicodeDecodeError:
        raise BadInput(_not_text(path)) from None
    if "\0" in text:
        raise BadInput(f"{path} is a binary file; plain text or its gzip is expected.")
    return text


def _not_text(path: Path) -> str:
    """Say on which line a file is not UTF-8, or that it is no text at all."""
    with path.open("rb") as raw, _unpacking(raw) as lines:
        start = lines.read(8192)
        is_binary = any(b < 9 or 13 < b < 32 for b in start) or sum(b > 127 for b in start) > 0.3 * len(start)
        lines.seek(0)
        for number, line in enumerate(lines, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                if is_binary:
                    break
                byte = line[error.start]
                return (
                    f"{path}, line {number}: the byte 0x{byte:02x} is not UTF-8 (is the text in Latin-1?); save it as "
                    "UTF-8."
                )
    return f"{path} is a binary file; plain text or its gzip is expected."


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file, plain or gzip, without their ends.

    Raises
    ------
    BadInput
        If the file is missing, no text, or a truncated or damaged gzip.
    """
    return decoded(path, content(path)).splitlines()
