"""`python -m benchmarks list | info | validate`: tasks, models, and the checks of a model's contract."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks import registry
from benchmarks.cli.options import SETTINGS, JsonOption, PluginOption, TaskOption, command, known_task, print_json
from benchmarks.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from benchmarks.apps.model_checks import Outcome

NAME = None
app = typer.Typer(**SETTINGS)


@command(app, "list", "list --json", "list --plugin my_model.py")
def list_(plugin: PluginOption = None, json: JsonOption = False) -> None:
    """List tasks and models. Imports no framework."""

    for file in plugin or ():
        registry.add_plugin(file)
    if json:
        kinds = {"tasks": registry.tasks(), "models": registry.models(), "families": registry.families()}
        print_json(
            {
                kind: [
                    {"name": e.key, "title": e.title, "summary": e.summary}
                    | ({"framework": e.framework} if kind != "tasks" else {})
                    for e in entries.values()
                ]
                for kind, entries in kinds.items()
            }
        )
        return
    tasks = [(entry.key, entry.summary) for entry in registry.tasks().values()]
    models = [(entry.key, entry) for entry in registry.models().values()]
    models += [(f"{entry.key}.…", entry) for entry in registry.families().values()]
    width = 2 + max(len(name) for name, _ in [*tasks, *models])
    typer.echo("Tasks")
    for name, summary in tasks:
        typer.echo(f"  {name:<{width}}{summary}")
    typer.echo("\nModels")
    for name, entry in models:
        typer.echo(f"  {name:<{width}}{entry.framework:<7}{entry.summary}")


@command(app, "info human_mpra", "info dream_rnn --json", "info my_model --plugin my_model.py")
def info(
    name: Annotated[str, typer.Argument(help="Task or model name; see `list`.")],
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Say what a task holds and how it is scored, or what a model is and how it is trained."""
    import dataclasses
    import inspect

    from benchmarks.api.model import read_fields
    from benchmarks.errors import did_you_mean

    for file in plugin or ():
        registry.add_plugin(file)
    if name in registry.tasks():
        task = registry.get_task(name)
        facts = {
            "task": name,
            "version": task.VERSION,
            "spec": dataclasses.asdict(task.SPEC),
            "datasets": list(task.DATASETS),
            "splits": list(task.SPLITS),
            "models": list(task.MODELS),
            "baseline": task.BASELINE,
            "presets": {key: preset.description for key, preset in task.PRESETS.items()},
        }
        module = task
    elif name in registry.families():
        entry, module = registry.families()[name], registry.get_family(name)
        facts = {
            "family": name,
            "title": entry.title,
            "framework": entry.framework,
            "file": f"{entry.module.replace('.', '/')}.py",
            "models": [f"{name}.{variant}" for variant in module.VARIANTS],
        }
    elif name in registry.models() or name.partition(".")[0] in registry.families():
        entry, module = registry.model_entry(name), registry.get_model(name)
        facts = {
            "model": name,
            "title": entry.title,
            "framework": entry.framework,
            "file": str(entry.path) if entry.code else f"{entry.module.replace('.', '/')}.py",
            "recipe": {field: getattr(module.RECIPE, field) for field in read_fields(module)},
        }
    else:
        raise BadInput(did_you_mean("task or model", name, [*registry.tasks(), *registry.models()]))
    if json:
        print_json(facts)
        return
    typer.echo(inspect.getdoc(module))
    for key, value in facts.items():
        if isinstance(value, dict):
            typer.echo(f"\n{key}")
            for inner, content in value.items():
                typer.echo(f"  {inner}: {content}")
        else:
            typer.echo(f"\n{key}: {', '.join(value) if isinstance(value, list) else value}")


@command(app, "validate my_model.py", "validate my_model.py --task human_mpra", "validate dream_rnn --json")
def validate(
    model: Annotated[str, typer.Argument(help="Model file, or the name of a model; see `list`.")],
    task: TaskOption = None,
    json: JsonOption = False,
) -> None:
    """Check a model against every line of the contract, on a small part of a task's simulated data.

    Without --task, on every task. Exit code 1 if a check fails.
    """
    from benchmarks.apps import model_checks
    from benchmarks.engine.reporting.console import open_console

    name = registry.add_plugin(Path(model)).key if model.endswith(".py") else registry.model_entry(model).key
    tasks = [known_task(task)] if task else list(registry.tasks())
    console, outcomes = open_console(stderr=json), []
    for on in tasks:
        console.print(f"{name} on {on}", style="bold", markup=False, highlight=False)
        for outcome in model_checks.validate(name, on):
            print_outcome(console, outcome)
            outcomes.append((on, outcome))
    counts = Counter(outcome.status for _, outcome in outcomes)
    console.print(", ".join(f"{counts[status]} {status}" for status in _JSON_STATUS), highlight=False)
    if json:
        totals = {written: counts[status] for status, written in _JSON_STATUS.items()}
        print_json({"model": name, "promises": [_as_json(on, outcome) for on, outcome in outcomes]} | totals)
    if counts["failed"]:
        raise typer.Exit(1)


_JSON_STATUS = {"passed": "kept", "failed": "broken", "not tested": "not tested"}
"""Status of a check -> what --json calls it."""


def _as_json(task: str, outcome: "Outcome") -> dict[str, str]:
    return {
        "task": task,
        "promise": outcome.check,
        "says": outcome.requirement,
        "status": _JSON_STATUS[outcome.status],
        "detail": outcome.detail,
        "where": outcome.where,
    }


def print_outcome(console: "Console", outcome: "Outcome") -> None:
    """Print the result of one check, and where to look if it failed."""
    from rich.text import Text

    style = {"passed": "green", "failed": "bold red"}.get(outcome.status, "yellow")
    where = f" ({outcome.where})" if outcome.where else ""
    detail = f": {outcome.detail}" if outcome.detail else ""
    status = Text(f"  {outcome.status:<11}", style=style)
    console.print(status + Text(f"{outcome.check}{where}: {outcome.requirement}{detail}", style=""), soft_wrap=True)
