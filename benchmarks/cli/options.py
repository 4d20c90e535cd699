"""What every command shares: examples in its help, one sentence for bad input, JSON on stdout. Nothing heavy."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import shutdown
from benchmarks.errors import BadInput

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout; messages go to stderr.")]
ResultsOption = Annotated[Path, typer.Option("--results", help="Folder that runs and reports are kept in.")]
PackOption = Annotated[
    str, typer.Option(help="Trainings that share a GPU: a number, or auto for a short probe. Same numbers, sooner.")
]
ProbeOption = Annotated[
    bool, typer.Option("--probe", help="With --dry-run: train every network for seconds, to estimate the hours.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Fetch published data that is missing, without asking.")]
ClusterOption = Annotated[
    Path | None, typer.Option("--cluster", help="YAML file: train on the nodes of a cluster; see docs/cluster.md.")
]
TaskOption = Annotated[str | None, typer.Option("--task", help="Task name; see `list`.")]
PluginOption = Annotated[
    list[Path] | None, typer.Option("--plugin", help="File with a model of your own; its name is the file's.")
]
ColumnsOption = Annotated[
    list[str] | None,
    typer.Option("--columns", help="What the columns of a table are: sequence=oligo,value=log2FC,id=name …"),
]
ReportOption = Annotated[Path | None, typer.Option("--report", help="Report folder; default: that of the latest run.")]
RESULTS = Path("results")
MODEL_HELP = "A training, a folder of trainings (averaged), weights, or a model's name in the task's latest run."
SETTINGS = {
    "rich_markup_mode": "markdown",
    "context_settings": {"help_option_names": ["-h", "--help"]},
    "pretty_exceptions_enable": False,
}
"""What every Typer application of the command line is made with."""


def command(app: typer.Typer, *examples: str) -> Callable:
    """Register a command with examples; bad input becomes one sentence on stderr and exit code 2."""

    def register(function: Callable) -> Callable:
        @functools.wraps(function)
        def guarded(*args: Any, **keywords: Any) -> Any:
            try:
                return function(*args, **keywords)
            except BadInput as error:
                typer.echo(f"Error: {in_one_line(error)}", err=True)
                raise typer.Exit(2) from None
            except OSError as error:
                where = f"{error.filename}: " if error.filename else ""
                typer.echo(f"Error: {in_one_line(f'{where}{error.strerror or error}')}.", err=True)
                raise typer.Exit(2) from None
            except shutdown.Stopped as stopped:
                typer.echo(f"Stopped, as {stopped}. Nothing is lost; the same command goes on from there.", err=True)
                raise typer.Exit(shutdown.EXIT_CODE) from None
            except KeyboardInterrupt:
                typer.echo("Stopped. What was finished is kept; the same command goes on from there.", err=True)
                raise typer.Exit(130) from None

        name = function.__name__.rstrip("_").replace("_", "-")
        return app.command(name=name, epilog=_examples(*examples))(guarded)

    return register


def in_one_line(text: Any) -> str:
    """Write out what would break the line or steer the terminal: messages quote the words of files."""
    return "".join(c if c.isprintable() else " " if c in "\t\n\r" else ascii(c)[1:-1] for c in str(text))


def _examples(*lines: str) -> str:
    """Format an epilog of examples, one a line."""
    return "**Examples**\n\n" + "\n\n".join(f"`python -m benchmarks {line}`" for line in lines)


def model_names(text: str | None) -> list[str] | None:
    """Read names separated by commas; None where the option was not given."""
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    if text is not None and not names:
        raise BadInput("--models expects names separated by commas, got none; see `python -m benchmarks list`.")
    return names or None


def fold_numbers(text: str | None) -> list[int] | None:
    """Read `0,3` or `0-4`; None where the option was not given."""
    if text is None:
        return None
    chosen = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,3})(?:-([0-9]{1,3}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise BadInput(f"--folds expects numbers as in 0,3 or 0-4, got {text!r}.")
        chosen += range(first, last + 1)
    return chosen


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout; NaN and infinities as null."""
    from benchmarks.io.json_files import to_json

    typer.echo(to_json(value, indent=1))


def known_task(name: str | None) -> str | None:
    """Return the name of a task as it was given.

    Raises
    ------
    BadInput
        If there is no such task, with the nearest name.
    """
    from benchmarks import registry
    from benchmarks.errors import did_you_mean

    if name is not None and name not in registry.tasks():
        raise BadInput(did_you_mean("task", name, list(registry.tasks())))
    return name
