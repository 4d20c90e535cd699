"""`python -m benchmarks fetch`: published data, verified."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.cli.options import SETTINGS, JsonOption, command, print_json
from benchmarks.errors import BadInput

if TYPE_CHECKING:
    from benchmarks.engine.datasets.catalogue import File
    from benchmarks.engine.datasets.download import Fetched

NAME = None
app = typer.Typer(**SETTINGS)


@command(
    app,
    "fetch --list",
    "fetch --task human_mpra",
    "fetch --task drosophila --file DeepSTARR.model.h5",
    "fetch --task human_mpra --offline   # verify what is there",
    "fetch --task assay --name gosai2024",
)
def fetch(
    task: Annotated[list[str] | None, typer.Option(help="Task (repeatable).")] = None,
    file: Annotated[
        list[str] | None, typer.Option(help="Files by name (repeatable); default: what --preset paper needs.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Public data sets of the task's catalogue, by name (repeatable).")
    ] = None,
    data: Annotated[Path, typer.Option("--data", help="Folder with a folder per task.")] = Path("data"),
    list_: Annotated[bool, typer.Option("--list", help="Show the files there are, and end.")] = False,
    offline: Annotated[bool, typer.Option(help="Fetch nothing; verify what is there.")] = False,
    json: JsonOption = False,
) -> None:
    """Download published data: resumed if it was interrupted, verified, unpacked.

    A file without a published checksum is recorded in FETCHED.json when it is first fetched, and must be the same
    afterwards. No file has its final name before it is complete and verified.
    """
    from benchmarks import registry
    from benchmarks.api.task import OffersDatasets, supports
    from benchmarks.engine.datasets import catalogue, download
    from benchmarks.engine.reporting.console import bytes_shown

    files = catalogue.read()
    with_own = {one.NAME: one for one in map(registry.get_task, registry.tasks()) if supports(one, OffersDatasets)}
    if list_:
        own = [entry for one in with_own.values() for name in one.offered() for entry in catalogue.offered(one, name)]
        _list([entry for entry in [*files, *own] if not task or entry.task in task], data, json)
        return
    if not task:
        known = dict.fromkeys([*(entry.task for entry in files), *with_own])
        raise BadInput(f"--task is missing: one of {', '.join(known)}; or --list.")
    if (file or name) and len(task) > 1:
        raise BadInput("--file and --name are of one task; give one --task with them.")
    if task[0] in with_own and not name:
        names = ", ".join(with_own[task[0]].offered())
        raise BadInput(f"--name is missing: {task[0]} has the public data sets {names}.")
    if name:
        wanted = [
            (entry, data / task[0] / one)
            for one in name
            for entry in catalogue.offered(registry.get_task(task[0]), one)
        ]
    else:
        wanted = [(entry, data / entry.task) for one in task for entry in catalogue.chosen(files, one, file or [])]
    fetched, failed = [], []
    with bytes_shown() as on_progress:
        for entry, folder in wanted:
            try:
                fetched.append(download.fetch(entry, folder, offline=offline, on_progress=on_progress))
            except BadInput as error:  # the others are fetched all the same
                failed.append({"file": entry.name, "reason": str(error)})
    described = [] if failed else [with_own[task[0]].describe(one, data / task[0] / one) for one in name or ()]
    if json:
        print_json({"files": [_row(result) for result in fetched], "failed": failed})
    else:
        words = {
            "there": "is there",
            "fetched": "fetched",
            "recorded": "fetched; no checksum is published, so recorded",
        }
        for result in fetched:
            size = f"{result.bytes:,} bytes, SHA-256 {result.sha256[:12]}…"
            typer.echo(f"{result.path}: {words[result.how]} ({size})")
        for path in described:
            typer.echo(f"{path}: says how it is read. Next: python -m benchmarks run --task {task[0]} --data {path}")
    for problem in failed:
        typer.echo(f"Error: {problem['reason']}", err=True)
    if failed:
        raise typer.Exit(2)


def _row(result: "Fetched") -> dict[str, Any]:
    row = {"task": result.file.task, "file": result.file.name, "path": str(result.path), "how": result.how}
    return row | {"bytes": result.bytes, "sha256": result.sha256, "checksum": result.file.checksum or None}


def _list(files: list["File"], data: Path, json: bool) -> None:
    rows = [
        {"task": entry.task, "file": entry.name, "wanted": entry.wanted}
        | {"there": (data / entry.task / entry.name).is_file(), "checksum": entry.checksum or None}
        | {"url": entry.url, "content": entry.content}
        for entry in files
    ]
    if json:
        print_json(rows)
        return
    for row in rows:
        marks = ("*" if row["wanted"] != "no" else " ") + ("+" if row["there"] else " ")
        check = (row["checksum"] or "not published").partition(":")[0]
        typer.echo(f"{marks} {row['task']:<11} {row['file']:<55} {check:<14} {row['content']}")
    typer.echo(
        "* needed by --preset paper   + is there   Without a published checksum, the first download is recorded."
    )
