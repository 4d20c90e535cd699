"""Run bowtie2 on sequences in memory, and yield its alignments as they come."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.errors import BadInput

INSTALL = "install it (Debian and Ubuntu: apt-get install bowtie2; conda: bioconda::bowtie2)"


class Hit(NamedTuple):
    """An alignment: numbers of query and target (-1: none), the score, and the next best one (None: no other)."""

    query: int
    target: int
    score: int | None
    next_score: int | None


def require() -> None:
    """Make sure that bowtie2 can be run.

    Raises
    ------
    BadInput
        If it is not installed, saying how to.
    """
    for name in ("bowtie2", "bowtie2-build"):
        if shutil.which(name) is None:
            raise BadInput(f"{name} is needed to compare sequences and is not on the PATH; {INSTALL}.")


def version() -> str:
    """Return the version of the installed bowtie2."""
    done = subprocess.run(["bowtie2", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split("version", 1)[-1].split()[0]


def align(
    queries: Iterable[tuple[int, str]], targets: Iterable[tuple[int, str]], options: Sequence[str], *, threads: int = 1
) -> Iterator[Hit]:
    """Align numbered sequences to numbered targets; yield the alignments in the order of the queries.

    Raises
    ------
    BadInput
        If bowtie2 is not installed, or ends with an error.
    """
    require()
    with tempfile.TemporaryDirectory(prefix="bowtie2-") as name:
        folder = Path(name)
        _write(folder / "targets.fa", targets)
        _write(folder / "queries.fa", queries)
        index = str(folder / "index")
        _run(["bowtie2-build", "--quiet", "--threads", str(threads), str(folder / "targets.fa"), index])
        command = ["bowtie2", *options, "-f", "--no-sq", "--no-head", "--reorder", "-p", str(threads), "-x", index]
        with (folder / "log").open("w+") as log:
            with subprocess.Popen(
                [*command, "-U", str(folder / "queries.fa")], stdout=subprocess.PIPE, stderr=log, text=True
            ) as process:
                for line in process.stdout:
                    cells = line.rstrip("\n").split("\t")
                    tags = {tag[:2]: tag[5:] for tag in cells[11:]}
                    score, next_score = (int(tags[tag]) if tag in tags else None for tag in ("AS", "XS"))
                    yield Hit(int(cells[0]), -1 if cells[2] == "*" else int(cells[2]), score, next_score)
            if process.returncode:
                log.seek(0)
                raise BadInput(f"bowtie2 failed: {_last_line(log.read())}")


def _write(file: Path, numbered: Iterable[tuple[int, str]]) -> None:
    with file.open("w") as stream:
        stream.writelines(f">{number}\n{sequence}\n" for number, sequence in numbered)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadInput(f"{command[0]} failed: {_last_line(done.stderr)}")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it printed no error"
