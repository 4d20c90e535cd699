"""`python -m benchmarks doctor`: is this machine ready for a run?"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.api.errors import BadInput
from benchmarks.commandline import RESULTS, SETTINGS, JsonOption, ResultsOption, command, print_json

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

    from benchmarks import executors, registry
    from benchmarks.doctor import checks
    from benchmarks.fetch import catalogue, download

    driver, gpus = checks.driver()
    found = [checks.python(), driver, checks.framework("torch", gpus), checks.framework("tensorflow", gpus)]
    found += [checks.memory(), checks.threads(executors.n_cores()), checks.open_files(), *checks.folder(results)]
    files = catalogue.read()
    for task in registry.tasks():
        place = data / task
        try:
            registry.get_task(task).published(place)
            is_whole = True
        except BadInput:
            is_whole = False
        mine = [file for file in files if file.task == task]
        try:
            found.append(checks.data(task, place, mine, download.record_of(place), is_whole))
        except BadInput as error:
            found.append(checks.Finding(f"data of {task}", "problem", str(error), "Remove that file."))
    found.append(checks.slurm())
    if json:
        print_json([dataclasses.asdict(one) for one in found])
    else:
        for one in found:
            typer.echo(
                f"{_MARKS[one.status]}  {one.about}: {one.says}" + (f"\n         → {one.fix}" if one.fix else "")
            )
    if any(one.status == "problem" for one in found):
        raise typer.Exit(1)
