"""Download a file: resumed after interruptions, verified, and given its final name only when complete.

pooch fetches files and puts them in place. Added here: resuming partial files, detecting a web page in place of a file,
git blob ids as checksums, recording the hash of files without a published checksum, and safe unpacking.
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
from benchmarks.io.atomic import write_text
from benchmarks.io.system_files import contents

OnProgress = Callable[[str, int, int | None], object]
"""(file name, bytes so far, total bytes or None if unknown)"""

PARTIAL, RECORD = ".partial", "FETCHED.json"
TRIES, PAUSE_S, TIMEOUT_S = 3, 1.0, 30
_PIECE = 2**16  # bytes read at a time, and so the most that is lost when a connection breaks
_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml")


@dataclass(frozen=True)
class Fetched:
    """A file in place. `how`: `fetched`; `recorded`, fetched for the first time without a published checksum; or
    `there`, present before and verified.
    """

    file: File
    path: Path
    how: str
    sha256: str
    bytes: int


def fetch(file: File, folder: Path, *, offline: bool = False, on_progress: OnProgress = lambda *_: None) -> Fetched:
    """Download a file into a folder, verify it, and unpack it if the catalogue says so.

    Raises
    ------
    BadInput
        If it cannot be downloaded or its checksum differs. No new file then has its name.
    """
    target, known = folder / file.name, record_of(folder).get(file.name, {}).get("sha256")
    if target.is_file():
        sha256 = verify(file, target, known)
        _unpack(file, target, folder)
        return _remember(Fetched(file, target, "there", sha256, target.stat().st_size), folder)
    if offline:
        raise BadInput(f"{target} is missing, and --offline forbids fetching it from {file.url}.")
    partial = folder / PARTIAL
    partial.mkdir(parents=True, exist_ok=True)
    whole = _download(file, partial, on_progress)
    try:
        sha256 = verify(file, whole, known)
        _unpack(file, whole, folder)
    except BadInput:
        whole.unlink(missing_ok=True)  # resuming a wrong file would give a wrong file again
        raise
    whole.replace(target)
    with contextlib.suppress(OSError):
        partial.rmdir()
    how = "fetched" if file.checksum or known else "recorded"
    return _remember(Fetched(file, target, how, sha256, target.stat().st_size), folder)


def verify(file: File, path: Path, known: str | None) -> str:
    """Compare a file with its published checksum, or else with the recorded one; return its SHA-256.

    Raises
    ------
    BadInput
        Naming both checksums if they differ.
    """
    kind, _, expected = file.checksum.partition(":")
    digests = {"sha256": checksums.digest(path)}
    if kind == "md5":
        digests["md5"] = _digest(path, hashlib.md5(usedforsecurity=False))
    if kind == "git":
        blob = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        digests["git"] = _digest(path, blob)
    if kind and digests[kind] != expected:
        raise BadInput(
            f"{file.name}: expected the published {kind} checksum {expected}, got {digests[kind]}; it is not the file "
            f"of {file.url}. If it is at {path}, remove it and fetch it again."
        )
    if not kind and known and digests["sha256"] != known:
        raise BadInput(
            f"{file.name}: expected the SHA-256 {known} that was recorded when it was first fetched, got "
            f"{digests['sha256']}. If the change is intended, remove its entry from {RECORD}."
        )
    return digests["sha256"]


def _digest(path: Path, hasher: "hashlib._Hash") -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hasher).hexdigest()


def record_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the record of the files fetched into a folder: file name -> sha256, bytes, url.

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
    write_text(folder / RECORD, json.dumps(record, indent=1, sort_keys=True))
    return fetched


def _download(file: File, partial: Path, on_progress: OnProgress) -> Path:
    """Download a file, resuming what an earlier call left, and retrying after errors that may be temporary."""
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")
    resume = _Resuming(partial / f"{file.name}.part", on_progress)
    for attempt in range(1, TRIES + 1):
        try:
            # Without a hash: `verify` compares checksums, as it also knows blob ids.
            return Path(pooch.retrieve(file.url, None, f"{file.name}.whole", partial, downloader=resume))
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            _TemporaryError,
        ) as error:
            if attempt == TRIES:
                kept = resume.part.stat().st_size if resume.part.is_file() else 0
                more = f" {kept:,} bytes are kept; the same command resumes from there." if kept else ""
                raise BadInput(f"{file.name} could not be fetched from {file.url}: {_reason(error)}.{more}") from None
            time.sleep(PAUSE_S * attempt)
        except requests.RequestException as error:
            raise BadInput(f"{file.name} could not be fetched from {file.url}: {_reason(error)}.") from None
    raise AssertionError("unreachable")


class _TemporaryError(Exception):
    """An error that may be gone at the next try: one of the server, or a truncated file."""


class _Resuming:
    """A downloader for pooch that requests the rest of a partial file, if the server still has the same file."""

    def __init__(self, part: Path, on_progress: OnProgress):
        self.part, self.tag = part, part.with_suffix(".tag")
        self.on_progress = on_progress

    def __call__(self, url: str, output_file: str, _: object) -> None:
        import requests

        have = self.part.stat().st_size if self.part.is_file() and self.tag.is_file() else 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": self.tag.read_text()}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            if answer.status_code == 416:  # it was complete, or the file on the server has changed
                self._forget()
                raise _TemporaryError("the partial file does not match the file on the server")
            if answer.status_code >= 500 or answer.status_code == 429:
                raise _TemporaryError(f"the server answers {answer.status_code}")
            if answer.status_code >= 400:
                raise BadInput(f"The server answers {answer.status_code} to {url}: the address may have changed.")
            goes_on = have and answer.status_code == 206
            start = have if goes_on else 0
            length = answer.headers.get("Content-Length", "")
            total = start + int(length) if length.isdecimal() else None
            if tag := answer.headers.get("ETag") or answer.headers.get("Last-Modified"):
                self.tag.write_text(tag)
            else:
                self.tag.unlink(missing_ok=True)  # without one, a rest cannot be matched to its file
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
                raise _TemporaryError(f"it ended at {done:,} of {total:,} bytes")
            if done == 0:
                self._forget()
                raise BadInput(f"{url} gives an empty file.")
        shutil.move(self.part, output_file)
        self.tag.unlink(missing_ok=True)

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)


def _reason(error: BaseException) -> str:
    text = str(error)
    for sign, reason in (
        ("Name or service not known", "its host is not known (no network?)"),
        ("NameResolution", "its host is not known (no network?)"),
        ("refused", "the connection is refused"),
        ("timed out", "no answer in time"),
        ("IncompleteRead", "the connection broke"),
        ("Connection broken", "the connection broke"),
        ("aborted", "the connection broke"),
    ):
        if sign in text:
            return reason
    return text.splitlines()[0][:200] if text else type(error).__name__


def _unpack(file: File, archive: Path, folder: Path) -> None:
    """Unpack an archive beside itself: nothing outside the folder, no links out, no devices, all or nothing.

    A single top folder with the name of the task is left out. Existing files are kept.

    Raises
    ------
    BadInput
        If it is not an archive, or contains a path that leads out of the folder.
    """
    if not file.unpack:
        return
    target = folder / file.unpack
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder) as scratch:
        archives.unpack(archive, Path(scratch), named=file.name)
        top = Path(scratch)
        if [path.name for path in contents(top)] == [file.task]:
            top = top / file.task  # human_mpra/HepG2_clean.tsv belongs directly in the folder of the task
        for path in sorted(top.rglob("*")):
            place = target / path.relative_to(top)
            if path.is_dir():
                place.mkdir(parents=True, exist_ok=True)
            elif not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
