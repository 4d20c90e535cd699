"""The catalogue of published files, with their addresses and checksums, read from `catalogue.csv`.

Source: addresses and checksums are those published by Zenodo, ENCODE and the projects that redistribute the data. The
checksum of a file without a published one is recorded when it is first fetched, and compared afterwards.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.api.task import OffersDatasets, Task, supports
from benchmarks.errors import BadInput, did_you_mean

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CHECKSUM = re.compile(r"|md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}|git:[0-9a-f]{40}")
_COLUMNS = ["task", "name", "wanted", "checksum", "unpack", "url", "content"]


@dataclass(frozen=True)
class File:
    """A published file.

    Parameters
    ----------
    wanted
        `read` by `--preset paper`, needed to `prepare` what that reads, or `no`: fetched by name.
    checksum
        `md5:…`, `sha256:…`, or `git:…`, the blob id of a git repository; "" where none is published.
    unpack
        Subfolder of the task's folder that an archive is unpacked to; "" for files that are not unpacked.
    """

    task: str
    name: str
    wanted: str
    checksum: str
    unpack: str
    url: str
    content: str


def read(path: Path | None = None) -> list[File]:
    """Read a catalogue, by default the project's.

    Raises
    ------
    BadInput
        If a column is missing, a name is not a plain file name, an address is not http, or a checksum is of an unknown
        kind.
    """
    path = path or Path(__file__).with_name("catalogue.csv")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            rows, columns = list(table), table.fieldnames
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} is not a catalogue: {error}.") from None
    if columns != _COLUMNS:
        raise BadInput(f"{path}: expected the columns {', '.join(_COLUMNS)}, got {columns}.")
    files = []
    for line, row in enumerate(rows, start=2):
        where = f"{path}, line {line}"
        if None in row or None in row.values():  # how csv marks surplus and missing cells
            raise BadInput(f"{where}: expected {len(_COLUMNS)} cells, got another number.")
        for column, pattern in (
            ("name", _NAME),
            ("unpack", re.compile(rf"|\.|{_NAME.pattern}")),
            ("checksum", _CHECKSUM),
            ("wanted", re.compile("read|prepare|no")),
        ):
            if not pattern.fullmatch(row[column] or ""):
                raise BadInput(f"{where}, column {column!r}: {row[column]!r} is invalid.")
        if not re.match(r"https?://[^/]+/", row["url"] or ""):
            raise BadInput(f"{where}, column 'url': expected an address that begins with http, got {row['url']!r}.")
        files.append(File(**row))
    return files


def offered(task: Task, name: str) -> list[File]:
    """List the files of a public data set of a task's own catalogue; they belong into a folder of its name.

    Raises
    ------
    BadInput
        If the task has no catalogue, or it lacks this data set.
    """
    known = task.offered() if supports(task, OffersDatasets) else {}
    if name not in known:
        raise BadInput(did_you_mean(f"public data set of {task.NAME}", name, list(known)))
    what, files = known[name]
    return [File(task.NAME, file.name, "no", file.checksum, "", file.url, what) for file in files]


def chosen(files: list[File], task: str, names: list[str]) -> list[File]:
    """Choose the files of a task: those that `--preset paper` needs, or the named ones.

    Raises
    ------
    BadInput
        If the catalogue lacks the task or a file.
    """
    of_task = [file for file in files if file.task == task]
    if not of_task:
        raise BadInput(did_you_mean("task", task, list(dict.fromkeys(file.task for file in files))))
    if not names:
        return [file for file in of_task if file.wanted != "no"]
    by_name = {file.name: file for file in of_task}
    for name in names:
        if name not in by_name:
            raise BadInput(did_you_mean(f"file of {task}", name, list(by_name)))
    return [by_name[name] for name in dict.fromkeys(names)]
