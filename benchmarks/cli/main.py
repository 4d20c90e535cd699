"""The command line: thin, and free of frameworks. `python -m benchmarks --help`."""

import importlib
import pkgutil
from typing import Annotated

import typer

from benchmarks import __version__, cli
from benchmarks.cli import options

app = typer.Typer(
    name="dream-bench",
    help="Train, score and compare sequence-to-function models with one command.",
    no_args_is_help=True,
    **options.SETTINGS,
)


def main() -> None:
    app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dream-bench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Train, score and compare sequence-to-function models with one command."""


def _mount_other_files() -> None:
    """Add the commands of every other file of this folder: those that define `NAME`, of a group or None, and `app`."""
    for found in pkgutil.iter_modules(cli.__path__):
        module = importlib.import_module(f"{cli.__name__}.{found.name}")
        if hasattr(module, "NAME"):
            app.add_typer(module.app, name=module.NAME)


_mount_other_files()
