"""`python -m benchmarks fetch`: published data, verified."""

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.cli.options import SETTINGS, JsonOption, command, print_json
from benchmarks.errors import BadInput

NAME = None
app = typer.Typer(**SETTINGS)


@command(
    app,
    "fetch --list",
    "fetch --task human_mpra",
    "fetch --task drosophila --file DeepSTARR.model.h5",
    "fetch --task human_mpra --offline   # verify what is there",
)
def fetch(
    task: Annotated[list[str] | None, typer.Option(help="Task (repeatable).")] = None,
    file: Annotated[
        list[str] | None, typer.Option(help="Files by name (repeatable); default: what --preset paper needs.")
    ] = None,
    data: Annotated[Path, typer.Option("--data", help="Folder with a folder per task.")] = Path("data"),
    list_: Annotated[bool, typer.Option("--list", help="Show the files there are, and end.")] = False,
    offline: Annotated[bool, typer.Option(help="Fetch nothing; verify what is there.")] = False,
    json: JsonOption = False,
) -> None:
    """Download published data: resumed if it was interrupted, verified, unpacked.

    A file without a published checksum is recorded in FETCHED.json when it is first fetched, and must be the same
    afterwards. Nothing stands under its name before it is whole and verified.
    """
    from benchmarks.engine.datasets import catalogue, download
    from benchmarks.engine.reporting.console import bytes_shown

    files = catalogue.read()
    if list_:
        _list([one for one in files if not task or one.task in task], data, json)
        return
    if not task:
        raise BadInput(f"--task is missing: one of {', '.join(dict.fromkeys(one.task for one in files))}; or --list.")
    if file and len(task) > 1:
        raise BadInput("--file names files of one task; give one --task with it.")
    wanted = [one for name in task for one in catalogue.chosen(files, name, file or [])]
    found, failed = [], []
    with bytes_shown() as on_progress:
        for one in wanted:
            try:
                found.append(download.fetch(one, data / one.task, offline=offline, on_progress=on_progress))
            except BadInput as error:  # the others are fetched all the same
                failed.append({"file": one.name, "reason": str(error)})
    if json:
        print_json({"files": [_row(one) for one in found], "failed": failed})
    else:
        words = {
            "there": "is there",
            "fetched": "fetched",
            "recorded": "fetched; no checksum is published, so recorded",
        }
        for one in found:
            typer.echo(f"{one.path}: {words[one.how]} ({one.bytes:,} bytes, SHA-256 {one.sha256[:12]}…)")
    for one in failed:
        typer.echo(f"Error: {one['reason']}", err=True)
    if failed:
        raise typer.Exit(2)


def _row(one: Any) -> dict[str, Any]:
    about = {"task": one.file.task, "file": one.file.name, "path": str(one.path), "how": one.how}
    return about | {"bytes": one.bytes, "sha256": one.sha256, "checksum": one.file.checksum or None}


def _list(files: list[Any], data: Path, json: bool) -> None:
    rows = [
        {"task": one.task, "file": one.name, "wanted": one.wanted, "there": (data / one.task / one.name).is_file()}
        | {"checksum": one.checksum or None, "url": one.url, "content": one.content}
        for one in files
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
