"""The command line: thin, and free of frameworks. `python -m benchmarks --help`."""

import functools
import importlib
import pkgutil
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import __version__, cli, registry
from benchmarks.cli import options
from benchmarks.cli.options import (
    RESULTS,
    ClusterOption,
    JsonOption,
    ResultsOption,
    fold_numbers,
    model_names,
    print_json,
    records,
)
from benchmarks.errors import BadInput

app = typer.Typer(
    name="dream-bench",
    help="Train, score and compare sequence-to-function models with one command.",
    no_args_is_help=True,
    **options.SETTINGS,
)

TaskOption = Annotated[str | None, typer.Option("--task", help="Task name; see `list`.")]
PluginOption = Annotated[
    list[Path] | None, typer.Option("--plugin", help="File with a model of your own; its name is the file's.")
]
ReportOption = Annotated[Path | None, typer.Option("--report", help="Report folder; default: that of the latest run.")]


def main() -> None:
    app()


command = functools.partial(options.command, app)


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


@command(
    "run --task human_mpra",
    "run --task human_mpra --preset paper --data data/human_mpra --dry-run",
    "run --task human_mpra --data my_table.tsv.gz --models dream_rnn,mprann --folds 0-2",
    "run --task human_mpra --set recipe.epochs=20 --set dream_attn.max_lr=0.002",
    "run --task human_mpra --plugin my_model.py",
    "run --task human_mpra --preset paper --cluster cluster.yaml",
)
def run(
    task: Annotated[str, typer.Option("--task", help="Task name; see `list`.")],
    preset: Annotated[str, typer.Option(help="How much of the protocol to run: quick or paper.")] = "quick",
    data: Annotated[
        Path | None,
        typer.Option(help="Table, or folder of tables, to use instead of the preset's data."),
    ] = None,
    models: Annotated[str | None, typer.Option(help="Model names, separated by commas; default: the task's.")] = None,
    plugin: PluginOption = None,
    folds: Annotated[str | None, typer.Option(help="Test folds to run: 0,3 or 0-4; default: the preset's.")] = None,
    members: Annotated[int | None, typer.Option(min=1, help="Models per test fold, one per validation fold.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="recipe.key=value for all models, model.key=value for one.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="What is held out, where a task offers several ways; see `info TASK`.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of simulation, drawn folds, weights and shuffling.")] = 0,
    refold: Annotated[bool, typer.Option(help="Draw folds anew even where the data brings its own.")] = False,
    shuffle_labels: Annotated[bool, typer.Option(help="Negative control: permute the targets first.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Worker processes; 0: none, run in this one. Default: chosen.")
    ] = None,
    pack: Annotated[
        str, typer.Option(help="Trainings that share a GPU: a number, or auto for a short probe. Same numbers, sooner.")
    ] = "1",
    cluster: ClusterOption = None,
    save_models: Annotated[bool, typer.Option(help="Keep the trained weights beside the predictions.")] = True,
    results: ResultsOption = RESULTS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run, and end.")] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="With --dry-run: train every network for seconds, to estimate the hours.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Fetch published data that is missing, without asking.")] = False,
    json: JsonOption = False,
) -> None:
    """Train what is missing, score it, test it against the baseline and write a report.

    Without --data, preset quick simulates its data and preset paper reads data/TASK. Run the same command again after
    an interruption: finished trainings are kept.
    """
    from benchmarks.engine import pipeline
    from benchmarks.engine.planning import data_sources, plan
    from benchmarks.engine.reporting import console as screen

    how = pipeline.How(
        device=device,
        workers=workers,
        pack=pack,
        cluster=cluster,
        save_models=save_models,
        results=results,
        dry_run=dry_run,
        probe=probe,
        json=json,
    )
    console = screen.open_console(stderr=json)
    module = registry.get_task(task)
    plan.get_preset(module, preset)
    wanted = model_names(models)
    for file in plugin or ():
        added = registry.add_plugin(file).key
        if wanted is None or added not in wanted:
            wanted = [*(wanted or plan.default_models(module, preset)), added]
    if data is None and not dry_run:
        with screen.bytes_shown() as on_progress:
            data_sources.fetch_missing(
                module, preset, agreed=lambda text: yes or _confirmed(text), on_progress=on_progress
            )
    planned = pipeline.plan(
        module,
        preset,
        data,
        how,
        seed=seed,
        split=split,
        refold=refold,
        shuffle=shuffle_labels,
        models=wanted,
        test_folds=fold_numbers(folds),
        n_members=members,
        changes=set_ or (),
    )
    done = pipeline.carry_out(planned, how, console)
    if done and done.n_failed:
        raise typer.Exit(1)


def _confirmed(question: str) -> bool:
    """Ask on a terminal; where there is none, nobody agrees."""
    return sys.stdin.isatty() and typer.confirm(question, err=True)


@command("list", "list --json", "list --plugin my_model.py")
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


@command("info human_mpra", "info dream_rnn --json", "info my_model --plugin my_model.py")
def info(
    name: Annotated[str, typer.Argument(help="Task or model name; see `list`.")],
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Say what a task holds and how it is scored, or what a model is and how it is trained."""
    import dataclasses
    import inspect

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
            "recipe": dataclasses.asdict(module.RECIPE),
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


@command("validate my_model.py", "validate my_model.py --task human_mpra", "validate dream_rnn --json")
def validate(
    model: Annotated[str, typer.Argument(help="Model file, or the name of a model; see `list`.")],
    task: TaskOption = None,
    json: JsonOption = False,
) -> None:
    """Put a model through every promise of the contract, on a task's simulated data cut down: one line each.

    Without --task, on every task. Exit code 1 if a promise is broken.
    """
    import dataclasses

    from benchmarks.apps import model_checks
    from benchmarks.engine.reporting import console as screen

    name = registry.add_plugin(Path(model)).key if model.endswith(".py") else registry.model_entry(model).key
    tasks = [_known_task(task)] if task else list(registry.tasks())
    console, found = screen.open_console(stderr=json), []
    for on in tasks:
        console.print(f"{name} on {on}", style="bold", markup=False, highlight=False)
        for outcome in model_checks.validate(name, on):
            screen.print_outcome(console, outcome)
            found.append({"task": on} | dataclasses.asdict(outcome))
    counts = {status: sum(row["status"] == status for row in found) for status in ("kept", "broken", "not tested")}
    console.print(", ".join(f"{n} {status}" for status, n in counts.items()), highlight=False)
    if json:
        print_json({"model": name, "promises": found} | counts)
    if counts["broken"]:
        raise typer.Exit(1)


@command(
    "score",
    "score --task human_mpra --json",
    "score --report results/reports/human_mpra_quick_1a2b3c4d",
    "score --predictions mine.tsv --name MyModel",
)
def score(
    task: TaskOption = None,
    report: ReportOption = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Table of predictions made elsewhere: seq_id (or seq) and prediction.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call the model of --predictions.")] = None,
    members: Annotated[int, typer.Option(min=1, help="Models whose predictions --predictions averages.")] = 1,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Score stored predictions again, without training. Rewrites scores.csv and tests.csv of the run.

    With --predictions, a model from elsewhere joins the models of the run, in a report folder of its own. It must have
    a prediction for every test row, made by a model that has not seen that row: this cannot be checked here.
    """
    from benchmarks.engine.evaluation import external_predictions
    from benchmarks.engine.reporting import console as screen
    from benchmarks.engine.reporting import write_results
    from benchmarks.engine.store.experiment import Study
    from benchmarks.engine.store.store import Store

    if (predictions is None) != (name is None):
        raise BadInput("--predictions FILE and --name NAME belong together; one of them is missing.")
    store = Store(results)
    study = Study.open(store, _known_task(task), report)
    if predictions:
        joined = external_predictions.add(study.plan, store, predictions, name, n_averaged=members)
        study = Study.begin(joined, store, f"{study.command}; python -m benchmarks {shlex.join(sys.argv[1:])}")
    results = write_results.write_scores(study, store)
    if results.scores.empty:
        raise BadInput(f"No training of {study.folder} is finished yet, so there is nothing to score.")
    page = write_results.write_report(study, store, results) if predictions else None
    if json:
        print_json(records(results.scores))
        return
    console = screen.open_console()
    screen.print_scores(console, study.plan, results.scores, store)
    if predictions:
        screen.print_comparison(console, study.plan, results.comparisons)
    typer.echo(f"Scores: {study.folder / 'scores.csv'}")
    if page:
        typer.echo(f"Report: {page}")


@command("import-runs /mnt/cluster/results", "import-runs results_from_gpu.tar.gz --json")
def import_runs(
    path: Annotated[Path, typer.Argument(help="Results folder of another machine, or a tar file of it.")],
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Merge runs made on another machine into this store, verifying every file; then draw their report here.

    What is here already stays as it is. Exit code 1 if something was refused; the rest is imported all the same.
    """
    import dataclasses
    from collections import Counter

    from benchmarks.engine.store import import_runs as transfer
    from benchmarks.engine.store.store import Store

    store = Store(results)
    store.check_writable()
    with transfer.opened(path, results) as other:
        items = list(transfer.merge(other, store))
    counts = Counter((item.kind, item.status) for item in items)
    if json:
        print_json({"items": [dataclasses.asdict(item) for item in items]})
    else:
        for item in items:
            if item.detail:
                typer.echo(f"{item.status}: {item.kind} {item.name}: {item.detail}", err=item.status == "refused")
        for (kind, status), n in counts.items():
            typer.echo(f"{n:,} {kind}{'s' * (n != 1)} {status}")
        for item in items:
            if item.kind == "plan" and item.status == "imported":
                words = shlex.join(["--results", str(results), "--report", str(store.report_folder(item.name))])
                typer.echo(f"Report: python -m benchmarks report {words}")
    if any(item.status == "refused" for item in items):
        raise typer.Exit(1)


@command(
    "compare",
    "compare --task human_mpra --baseline kmer_ridge",
    "compare --task human_mpra --task drosophila --models dream_rnn,dream_cnn --out tests.csv",
    "compare --json",
)
def compare(
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Task whose latest run is compared; several are allowed.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Model to compare with; default: each task's baseline.")] = None,
    models: Annotated[str | None, typer.Option(help="Models to compare, separated by commas; default: all.")] = None,
    report: Annotated[
        list[Path] | None, typer.Option("--report", help="Report folder; several are allowed. Default: the latest.")
    ] = None,
    role: Annotated[str, typer.Option(help="ensemble, or member: the mean over single models of a fold.")] = "ensemble",
    draws: Annotated[int, typer.Option(min=0, help="Draws of the bootstrap over test items; 0: none.")] = 1_000,
    out: Annotated[Path | None, typer.Option(help="CSV file to write all tests to, of every metric.")] = None,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Compare the models of stored runs with a baseline: by how much do they differ, and can chance explain it?

    Over test folds: the paper's paired t-test, the corrected resampled t-test, both corrected for their number, and a
    paired bootstrap over test items. A task that has one test set and no folds compares by its own rules: rank
    bootstrap and paired bootstrap. What each test assumes is printed below the table.
    """
    from benchmarks.engine.evaluation import compare as comparison
    from benchmarks.engine.reporting import console as screen
    from benchmarks.engine.store.experiment import Study
    from benchmarks.engine.store.store import Store

    if role not in ("ensemble", "member"):
        raise BadInput(f"--role expects ensemble or member, got {role!r}.")
    store = Store(results)
    names = [_known_task(name) for name in task or ()]
    studies = Study.open_many(store, names, report or ()) if names or report else [Study.open(store, None, None)]
    compared, left_out = comparison.of_studies(
        studies, store, baseline=baseline, models=model_names(models), role=role, n_draws=draws
    )
    for line in left_out:
        typer.echo(f"Left out: {line}", err=True)
    if out:
        comparison.write(compared, out)
    if json:
        print_json(
            {
                "comparisons": [
                    {"task": one.plan.task, "report": str(one.folder), "baseline": one.plan.baseline}
                    | {name: records(table) for name, table in one.tables.items()}
                    for one in compared
                ],
                "assumptions": comparison.assumptions(compared),
                "left_out": left_out,
            }
        )
        return
    console = screen.open_console()
    for one in compared:
        if one.tables[one.main].empty:
            others = "none of the chosen models" if models else "no other model"
            typer.echo(
                f"Nothing to compare in {one.folder}: besides {one.plan.baseline}, {others} has {role} scores there."
            )
        else:
            screen.print_comparison(console, one.plan, one.tables)
    screen.print_assumptions(console, comparison.assumptions(compared))
    if out:
        typer.echo(f"Tests: {out}")


@command("report", "report --task human_mpra", "report --report results/reports/human_mpra_quick_1a2b3c4d")
def report(
    task: TaskOption = None, report: ReportOption = None, results: ResultsOption = RESULTS, json: JsonOption = False
) -> None:
    """Draw the plots and write report.html of a stored run again."""
    from benchmarks.engine.execution import schedule
    from benchmarks.engine.reporting import write_results
    from benchmarks.engine.store.experiment import Study
    from benchmarks.engine.store.store import Store

    store = Store(results)
    study = Study.open(store, _known_task(task), report)
    (
        schedule.job_table(study.plan, store),
        schedule.history_table(study.plan, store),
    )  # refused before anything is written
    page = write_results.write_report(study, store, write_results.write_scores(study, store))
    if page is None:
        raise BadInput("The report needs the plotting packages: `pip install -e '.[figures]'`.")
    if json:
        print_json({"report": str(page)})
    else:
        typer.echo(f"Report: {page}")


def _known_task(name: str | None) -> str | None:
    from benchmarks.errors import did_you_mean

    if name is not None and name not in registry.tasks():
        raise BadInput(did_you_mean("task", name, list(registry.tasks())))
    return name


def _mount_other_files() -> None:
    """Add the commands of every other file of this folder: those that define `NAME`, of a group or None, and `app`."""
    for found in pkgutil.iter_modules(cli.__path__):
        module = importlib.import_module(f"{cli.__name__}.{found.name}")
        if hasattr(module, "NAME"):
            app.add_typer(module.app, name=module.NAME)


_mount_other_files()
