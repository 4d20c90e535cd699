"""`python -m benchmarks doctor`: is this machine ready for a run?"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cli.options import RESULTS, SETTINGS, JsonOption, ResultsOption, command, print_json
from benchmarks.errors import BadInput

NAME = None
app = typer.Typer(**SETTINGS)
_MARKS = {"ok": "ok     ", "note": "note   ", "warning": "WARNING", "problem": "PROBLEM"}


@command(app, "doctor", "doctor --results /scratch/results --json")
def doctor(
    results: ResultsOption = RESULTS,
    data: Annotated[Path, typer.Option("--data", help="Folder with a folder per task.")] = Path("data"),
    json: JsonOption = False,
) -> None:
    """Look at GPU, frameworks, memory, disks, limits, data and SLURM, and say what to do about what is wrong.

    Exit code 1 if there is a problem; warnings and notes do not count.
    """
    import dataclasses

    from benchmarks import registry, system
    from benchmarks.apps import system_checks
    from benchmarks.atac import prepared
    from benchmarks.engine.datasets import catalogue, download

    driver, gpus = system_checks.driver()
    found = [
        system_checks.python(),
        driver,
        system_checks.framework("torch", gpus),
        system_checks.framework("tensorflow", gpus),
    ]
    found += [
        system_checks.memory(),
        system_checks.threads(system.n_cores()),
        system_checks.open_files(),
        *system_checks.folder(results),
    ]
    files = catalogue.read()
    for task in registry.tasks():
        place = data / task
        try:
            registry.get_task(task).published(place)
            is_whole = True
        except BadInput:
            is_whole = False
        damage = prepared.damaged(place) if task == "atac" else None
        mine = [file for file in files if file.task == task]
        try:
            found.append(system_checks.data(task, place, mine, download.record_of(place), is_whole, damage))
        except BadInput as error:
            found.append(system_checks.Finding(f"data of {task}", "problem", str(error), "Remove that file."))
    found.append(system_checks.slurm())
    if json:
        print_json([dataclasses.asdict(one) for one in found])
    else:
        for one in found:
            typer.echo(
                f"{_MARKS[one.status]}  {one.about}: {one.says}" + (f"\n         → {one.fix}" if one.fix else "")
            )
    if any(one.status == "problem" for one in found):
        raise typer.Exit(1)
