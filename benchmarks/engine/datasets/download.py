"""Downloading one file: resumed, verified, and under its name only when it is whole.

pooch fetches and puts files in place; what it lacks is here: going on with a partial file, noticing a page in place of
a file, git's blob ids, remembering the hash of a file that has none published, and unpacking safely.
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine.datasets.catalogue import File
from benchmarks.errors import BadInput
from benchmarks.io import archives, checksums, validated

OnProgress = Callable[[str, int, int | None], Any]
"""(file name, bytes so far, bytes in all or None)"""

PARTIAL, RECORD = ".partial", "FETCHED.json"
TRIES, PAUSE_S, TIMEOUT_S = 3, 1.0, 30
_PIECE = 2**16  # bytes read at a time, and so the most that is lost when a connection breaks
_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml")


@dataclass(frozen=True)
class Fetched:
    """What became of a file: `fetched`, `recorded` (fetched for the first time, without a checksum to compare with), or
    `there` (it was, and is as expected).
    """

    file: File
    path: Path
    how: str
    sha256: str
    bytes: int


def fetch(file: File, folder: Path, *, offline: bool = False, on_progress: OnProgress = lambda *_: None) -> Fetched:
    """Bring a file into a folder, verified, and unpack it if it is an archive to unpack.

    Raises
    ------
    BadInput
        If it cannot be had or is not what it must be. Nothing is then under its name, unless it was before.
    """
    target, known = folder / file.name, record_of(folder).get(file.name, {}).get("sha256")
    if target.is_file():
        sha256 = verify(file, target, known)
        _unpack(file, target, folder)
        return _remember(Fetched(file, target, "there", sha256, target.stat().st_size), folder)
    if offline:
        raise BadInput(f"{target} is not there, and --offline forbids to fetch it from {file.url}.")
    partial = folder / PARTIAL
    partial.mkdir(parents=True, exist_ok=True)
    whole = _download(file, partial, on_progress)
    try:
        sha256 = verify(file, whole, known)
        _unpack(file, whole, folder)
    except BadInput:
        whole.unlink(missing_ok=True)  # what is wrong once is wrong again, if it is gone on with
        raise
    whole.replace(target)
    with contextlib.suppress(OSError):
        partial.rmdir()
    how = "fetched" if file.checksum or known else "recorded"
    return _remember(Fetched(file, target, how, sha256, target.stat().st_size), folder)


def verify(file: File, path: Path, known: str | None) -> str:
    """Compare a file with its published checksum, else with what it was the first time; returns its SHA-256.

    Raises
    ------
    BadInput
        Naming both checksums if they differ.
    """
    kind, _, expected = file.checksum.partition(":")
    found = {"sha256": checksums.digest(path)}
    if kind == "md5":
        found["md5"] = _digest(path, hashlib.md5(usedforsecurity=False))
    if kind == "git":
        blob = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        found["git"] = _digest(path, blob)
    if kind and found[kind] != expected:
        raise BadInput(
            f"{file.name}: its {kind} checksum is {found[kind]}, {expected} is published; it is not the file of "
            f"{file.url}. If it lies at {path}, remove it and fetch it again."
        )
    if not kind and known and found["sha256"] != known:
        raise BadInput(
            f"{file.name}: its SHA-256 is {found['sha256']}, {known} was recorded when it was first fetched. If "
            f"the change is meant, remove its entry from {RECORD}."
        )
    return found["sha256"]


def _digest(path: Path, hashed: Any) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashed).hexdigest()


def record_of(folder: Path) -> dict[str, dict]:
    """Read what was fetched into a folder: file name -> sha256, bytes, url.

    Raises
    ------
    BadInput
        If the record is damaged.
    """
    file = folder / RECORD
    if not file.is_file():
        return {}
    return validated.read_json(file, dict[str, dict[str, Any]], recovery_hint="remove it to record the files anew")


def _remember(fetched: Fetched, folder: Path) -> Fetched:
    entry = {"sha256": fetched.sha256, "bytes": fetched.bytes, "url": fetched.file.url}
    record = record_of(folder) | {fetched.file.name: entry}
    new = folder / f"{RECORD}.new"
    new.write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
    new.replace(folder / RECORD)
    return fetched


def _download(file: File, partial: Path, on_progress: OnProgress) -> Path:
    """Fetch the bytes of a file, going on with what an earlier call has; a new try after what may pass."""
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")
    resume = _Resuming(partial / f"{file.name}.part", on_progress)
    for attempt in range(1, TRIES + 1):
        try:
            # Checked by `verify`, which knows blob ids too; pooch fetches, and puts the file in place when it is whole.
            return Path(pooch.retrieve(file.url, None, f"{file.name}.whole", partial, downloader=resume))
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            _Passing,
        ) as error:
            if attempt == TRIES:
                kept = resume.part.stat().st_size if resume.part.is_file() else 0
                more = f" {kept:,} bytes are kept; the same command goes on from there." if kept else ""
                raise BadInput(f"{file.name} could not be fetched from {file.url}: {_in_words(error)}.{more}") from None
            time.sleep(PAUSE_S * attempt)
        except requests.RequestException as error:
            raise BadInput(f"{file.name} could not be fetched from {file.url}: {_in_words(error)}.") from None
    raise AssertionError("unreachable")


class _Passing(Exception):
    """What may be over at the next try: a server's own fault, a file cut short."""


class _Resuming:
    """A downloader for pooch: asks for the rest of a partial file, if the server still has the same one."""

    def __init__(self, part: Path, on_progress: OnProgress):
        self.part, self.tag = part, part.with_suffix(".tag")
        self.on_progress = on_progress

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        import requests

        have = self.part.stat().st_size if self.part.is_file() and self.tag.is_file() else 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": self.tag.read_text()}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            if answer.status_code == 416:  # it had been whole, or is another file now
                self._forget()
                raise _Passing("the partial file did not fit what the server has")
            if answer.status_code >= 500 or answer.status_code == 429:
                raise _Passing(f"the server answers {answer.status_code}")
            if answer.status_code >= 400:
                raise BadInput(f"The server answers {answer.status_code} to {url}: the address may have changed.")
            goes_on = have and answer.status_code == 206
            start = have if goes_on else 0
            length = answer.headers.get("Content-Length", "")
            total = start + int(length) if length.isdecimal() else None
            if tag := answer.headers.get("ETag") or answer.headers.get("Last-Modified"):
                self.tag.write_text(tag)
            else:
                self.tag.unlink(missing_ok=True)  # without one, nobody can tell whether a rest belongs to it
            done = start
            with self.part.open("ab" if goes_on else "wb") as stream:
                for chunk in answer.iter_content(_PIECE):
                    if done == 0 and chunk[:64].lstrip().lower().startswith(_PAGE):
                        stream.close()
                        self._forget()
                        raise BadInput(
                            f"{url} gives a web page instead of the file: it may need a log-in or have moved."
                        )
                    stream.write(chunk)
                    done += len(chunk)
                    self.on_progress(self.part.stem, done, total)
            if total is not None and done != total:
                raise _Passing(f"it was cut short at {done:,} of {total:,} bytes")
            if done == 0:
                self._forget()
                raise BadInput(f"{url} gives an empty file.")
        shutil.move(self.part, output_file)
        self.tag.unlink(missing_ok=True)

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)


def _in_words(error: BaseException) -> str:
    text = str(error)
    for sign, words in (
        ("Name or service not known", "its host is not known (no network?)"),
        ("NameResolution", "its host is not known (no network?)"),
        ("refused", "the connection is refused"),
        ("timed out", "no answer in time"),
        ("IncompleteRead", "the connection broke"),
        ("Connection broken", "the connection broke"),
        ("aborted", "the connection broke"),
    ):
        if sign in text:
            return words
    return text.splitlines()[0][:200] if text else type(error).__name__


def _unpack(file: File, archive: Path, folder: Path) -> None:
    """Unpack an archive beside itself: nothing outside the folder, no links out, no devices, all or nothing.

    A single folder at the top that is called as the task is left out. What is there already stays.

    Raises
    ------
    BadInput
        If it is no archive, or holds a name that leads out of it.
    """
    if not file.unpack:
        return
    target = folder / file.unpack
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder) as scratch:
        archives.unpack(archive, Path(scratch), named=file.name)
        top = Path(scratch)
        if [path.name for path in top.iterdir()] == [file.task]:
            top = top / file.task  # human_mpra/HepG2_clean.tsv belongs into the folder of the task, which has that name
        for path in sorted(top.rglob("*")):
            place = target / path.relative_to(top)
            if path.is_dir():
                place.mkdir(parents=True, exist_ok=True)
            elif not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
