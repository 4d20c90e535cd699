"""The command line: thin, and free of frameworks. `python -m benchmarks --help`."""

import functools
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import __version__
from benchmarks.api.errors import BadInput

app = typer.Typer(
    name="dream-bench",
    help="Train, score and compare sequence-to-function models with one command.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

TaskOption = Annotated[str | None, typer.Option("--task", help="Task name; see `list`.")]
ResultsOption = Annotated[Path, typer.Option("--results", help="Folder that runs and reports are kept in.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout; messages go to stderr.")]
ReportOption = Annotated[Path | None, typer.Option("--report", help="Report folder; default: that of the latest run.")]
RESULTS = Path("results")


def main() -> None:
    app()


def _examples(*lines: str) -> str:
    """Format an epilog of examples, one a line."""
    return "**Examples**\n\n" + "\n\n".join(f"`python -m benchmarks {line}`" for line in lines)


def command(*examples: str) -> Callable:
    """Register a command with examples; bad input becomes one sentence on stderr and exit code 2."""

    def register(function: Callable) -> Callable:
        @functools.wraps(function)
        def guarded(*args: Any, **keywords: Any) -> Any:
            try:
                return function(*args, **keywords)
            except BadInput as error:
                typer.echo(f"Error: {error}", err=True)
                raise typer.Exit(2) from None
            except KeyboardInterrupt:
                typer.echo("Stopped. What was finished is kept; the same command goes on from there.", err=True)
                raise typer.Exit(130) from None

        return app.command(name=function.__name__.rstrip("_"), epilog=_examples(*examples))(guarded)

    return register


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
)
def run(
    task: Annotated[str, typer.Option("--task", help="Task name; see `list`.")],
    preset: Annotated[str, typer.Option(help="How much of the protocol to run: quick or paper.")] = "quick",
    data: Annotated[
        Path | None,
        typer.Option(help="Table, or folder of tables, to use instead of the preset's data."),
    ] = None,
    models: Annotated[str | None, typer.Option(help="Model names, separated by commas; default: the task's.")] = None,
    folds: Annotated[str | None, typer.Option(help="Test folds to run: 0,3 or 0-4; default: the preset's.")] = None,
    members: Annotated[int | None, typer.Option(min=1, help="Models per test fold, one per validation fold.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="recipe.key=value for all models, model.key=value for one.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of simulation, drawn folds, weights and shuffling.")] = 0,
    refold: Annotated[bool, typer.Option(help="Draw folds anew even where the data brings its own.")] = False,
    shuffle_labels: Annotated[bool, typer.Option(help="Negative control: permute the targets first.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=0, help="Worker processes; 0: none, run in this one. Default: chosen.")
    ] = None,
    save_models: Annotated[bool, typer.Option(help="Keep the trained weights beside the predictions.")] = True,
    results: ResultsOption = RESULTS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run, and end.")] = False,
    json: JsonOption = False,
) -> None:
    """Train what is missing, score it, test it against the baseline and write a report.

    Without --data, preset quick simulates its data and preset paper reads data/TASK. Run the same command again after
    an interruption: finished trainings are kept.
    """
    from benchmarks import executors, outputs, plan, registry, runner, sources
    from benchmarks.store import Store

    if device not in ("auto", "cpu", "cuda"):
        raise BadInput(f"--device expects auto, cpu or cuda, got {device!r}.")
    if device == "cuda" and not executors.n_gpus():
        raise BadInput("--device cuda was asked for, but no NVIDIA GPU is visible here; use --device cpu or auto.")
    console = _console(stderr=json)
    module, store = registry.get_task(task), Store(results)
    plan.get_preset(module, preset)
    if not dry_run:
        store.check_writable()
    found = sources.find(module, preset, data, seed=seed, refold=refold, shuffle=shuffle_labels, may_miss=dry_run)
    planned = plan.make_plan(
        module,
        preset,
        found,
        seed=seed,
        models=_names(models),
        test_folds=_fold_numbers(folds),
        n_members=members,
        changes=set_ or (),
    )
    waiting = [job for job in planned.jobs if not store.is_done(runner.folder_of(store, job))]
    machine = runner.Machine.choose(device, workers, len(waiting))
    speeds = _Speeds(store, planned.task, device)
    _print_plan(console, planned, waiting, machine, speeds)
    if dry_run:
        if json:
            _print_json(_plan_json(planned, waiting))
        return
    for source in planned.sources:
        store.put_dataset(source.dataset)
    study = outputs.Study.begin(planned, store, f"python -m benchmarks {shlex.join(sys.argv[1:])}")
    counts = _execute(console, planned, waiting, store, machine, speeds, save_models)
    if device == "auto" and executors.n_gpus():
        jobs = runner.job_table(planned, store)
        unused = jobs[(jobs["device"] == "cpu") & (jobs["framework"] != "numpy")]["model"].unique()
        if len(unused):
            console.print(
                f"A GPU is here, but {', '.join(unused)} ran on the CPU: see README, GPU or CPU.", style="yellow"
            )
    scores, tests = outputs.write_scores(study, store)
    page = outputs.write_report(study, store, scores, tests)
    _print_scores(console, planned, scores, store)
    _print_tests(console, tests)
    console.print(f"Scores: {study.folder / 'scores.csv'}", markup=False, highlight=False)
    if page:
        console.print(f"Report: {page}", markup=False, highlight=False)
    else:
        console.print(
            "No report: `pip install 'dream-bench[figures]'`, then `python -m benchmarks report`.", markup=False
        )
    if json:
        _print_json(counts | {"report": str(study.folder), "scores": _records(scores), "tests": _records(tests)})
    if counts["failed"]:
        console.print(
            f"{counts['failed']} of {len(planned.jobs)} trainings failed; the reasons are in the report.", style="red"
        )
        raise typer.Exit(1)


def _execute(
    console: Console, planned: Any, waiting: list, store: Any, machine: Any, speeds: Callable, save_models: bool
) -> dict[str, int]:
    from benchmarks import runner
    from benchmarks.progress import Reporter

    def cost(job: Any) -> float:
        return job.n_train * job.recipe.get("epochs", 1) / (speeds(job) or 100.0)

    with Reporter(console, waiting, cost, machine.n_workers) as reporter:
        return runner.execute(planned, store, machine, save_models=save_models, on_event=reporter.on_event)


class _Speeds:
    """Expected training speed of a job; reads the stored jobs once."""

    def __init__(self, store: Any, task: str, device: str):
        from benchmarks import executors

        self.finished = list(store.finished_jobs(task))
        self.device = "cuda" if device != "cpu" and executors.n_gpus() else "cpu"

    def __call__(self, job: Any) -> float | None:
        from benchmarks.timing import expected_speed

        return expected_speed(job, self.finished, self.device)


def _console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, or wide enough for a table in a file."""
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = 140
    return console


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def _fold_numbers(text: str | None) -> list[int] | None:
    """Read `0,3` or `0-4`."""
    if text is None:
        return None
    chosen = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise BadInput(f"--folds expects numbers as in 0,3 or 0-4, got {text!r}.")
        chosen += range(int(first), int(last if dash else first) + 1)
    return chosen


def _print_plan(console: Console, planned: Any, waiting: list, machine: Any, speeds: Any) -> None:
    import dataclasses

    from benchmarks.plan import estimate_seconds
    from benchmarks.progress import duration

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    say(f"{planned.task}, preset {planned.preset}: {planned.matrix()}, {len(planned.jobs) - len(waiting):,} done")
    for source in planned.sources:
        origin = source.dataset.origin if source.dataset else "not here yet, size approximate"
        say(f"  {source.name}: {source.n_rows:,} sequences ({origin})")
        for note in source.dataset.notes if source.dataset else ():
            say(f"    {note}")
        for row in source.dataset.ceilings if source.dataset else ():
            say(f"    attainable {row['metric']}, {row['level']} level: {row['value']:.3f}")
    for name, reason in planned.skipped.items():
        say(f"  {name} is left out: it {reason}")
    if not waiting:
        return
    left = dataclasses.replace(planned, jobs=tuple(waiting))
    seconds, unknown = estimate_seconds(left, speeds, machine.n_workers)
    where = (
        f"{machine.n_workers} worker{'s' * (machine.n_workers != 1)}, {machine.threads} thread(s) each, {speeds.device}"
    )
    if unknown == len(waiting):
        say(f"  No estimate of time yet: nothing like it has been trained on this device ({where}).")
    else:
        rest = f", without {unknown:,} trainings of unknown speed" if unknown else ""
        say(f"  Rough estimate: {duration(seconds)} ({where}){rest}")


def _plan_json(planned: Any, waiting: list) -> dict[str, Any]:
    plain = planned.to_dict()
    return {
        "task": planned.task,
        "preset": planned.preset,
        "n_trainings": len(planned.jobs),
        "n_done": len(planned.jobs) - len(waiting),
        "sources": plain["sources"],
        "recipes": plain["recipes"],
        "skipped": plain["skipped"],
        "jobs": [job.id for job in planned.jobs],
    }


def _print_scores(console: Console, planned: Any, scores: Any, store: Any) -> None:
    """Print mean and spread over folds of the ensembles, and what is attainable where that is known."""
    from benchmarks import stats

    if scores.empty:
        return
    summary = stats.summarise(scores)
    summary = summary[summary["role"] == "ensemble"].sort_values("level", kind="stable")
    ceilings = {
        (s.name, row["output"], row["level"], row["metric"]): row["value"]
        for s in planned.sources
        for row in store.get_dataset(s.name, s.digest).ceilings
    }
    rows = []
    for key, part in summary.groupby(["dataset", "output", "subset", "level", "model"], sort=False):
        row = dict(zip(("dataset", "output", "subset", "level", "model"), key, strict=True))
        for one in part.itertuples():
            row[one.metric] = f"{one.mean:.3f} ± {one.sd:.3f}" if one.n_folds > 1 else f"{one.mean:.3f}"
        ceiling = ceilings.get((row["dataset"], row["output"], row["level"], "pearson_r"))
        attainable = {"attainable r": f"{ceiling:.3f}"} if ceiling else {}
        rows.append(row | {"folds": str(part["n_folds"].max())} | attainable)
    simulated = "simulated" in set(scores["origin"])
    _print_table(console, "Ensembles, mean ± sd over test folds" + " (SIMULATED DATA)" * simulated, rows)


def _print_tests(console: Console, tests: Any) -> None:
    """Print the tests of Pearson r; the other metrics are in tests.csv."""
    chosen = tests[tests["metric"] == "pearson_r"]
    if chosen.empty:
        return
    rows = []
    for row in chosen.itertuples():
        tested = row.p_value == row.p_value
        rows.append(
            {name: getattr(row, name) for name in ("dataset", "output", "subset", "level", "model")}
            | {
                "difference": f"{row.mean_difference:+.3f}",
                "95 % interval": f"{row.ci_low:+.3f} to {row.ci_high:+.3f}" if tested else "",
                "d_z": f"{row.cohens_dz:.2f}" if tested else "",
                "folds": str(row.n_folds),
                "P": f"{row.p_value:.2g}" if tested else "",
                "note": row.note or "",
            }
        )
    simulated = "simulated" in set(chosen["origin"])
    title = f"Pearson r against {chosen['baseline'].iloc[0]}, paired two-sided t-test over test folds"
    _print_table(console, title + " (SIMULATED DATA)" * simulated, rows)


def _print_table(console: Console, title: str, rows: list[dict[str, str]]) -> None:
    """Print rows as a table, leaving out of it what is the same, or empty, in all of them."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    shown = [c for c in columns if any(row.get(c) for row in rows)]
    same = [c for c in ("dataset", "output", "subset") if len({row[c] for row in rows}) == 1]
    table = Table(title=f"{title}; {', '.join(rows[0][c] for c in same)}" if same else title, title_justify="left")
    for column in shown:
        if column not in same:
            table.add_column(
                {"pearson_r": "Pearson r", "spearman_rho": "Spearman rho", "mse": "MSE"}.get(column, column)
            )
    for row in rows:
        table.add_row(
            *(row.get(column, "").replace("_averaged", " averaged") for column in shown if column not in same)
        )
    console.print(table)


def _records(frame: Any) -> list[dict[str, Any]]:
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _print_json(value: Any) -> None:
    from benchmarks.store import to_json

    typer.echo(to_json(value, indent=1))


@command("list", "list --json")
def list_(json: JsonOption = False) -> None:
    """List tasks and models. Imports no framework."""
    from benchmarks import registry

    if json:
        kinds = {"tasks": registry.tasks(), "models": registry.models()}
        _print_json(
            {
                kind: [
                    {"name": e.key, "title": e.title, "summary": e.summary}
                    | ({"framework": e.framework} if kind == "models" else {})
                    for e in entries.values()
                ]
                for kind, entries in kinds.items()
            }
        )
        return
    typer.echo("Tasks")
    for entry in registry.tasks().values():
        typer.echo(f"  {entry.key:<14}{entry.summary}")
    typer.echo("\nModels")
    for entry in registry.models().values():
        typer.echo(f"  {entry.key:<14}{entry.framework:<7}{entry.summary}")


@command("info human_mpra", "info dream_rnn --json")
def info(
    name: Annotated[str, typer.Argument(help="Task or model name; see `list`.")],
    json: JsonOption = False,
) -> None:
    """Say what a task holds and how it is scored, or what a model is and how it is trained."""
    import dataclasses
    import inspect

    from benchmarks import registry
    from benchmarks.api.errors import did_you_mean

    if name in registry.tasks():
        task = registry.get_task(name)
        facts = {
            "task": name,
            "version": task.VERSION,
            "spec": dataclasses.asdict(task.SPEC),
            "datasets": list(task.DATASETS),
            "models": list(task.MODELS),
            "baseline": task.BASELINE,
            "presets": {key: preset.description for key, preset in task.PRESETS.items()},
        }
        module = task
    elif name in registry.models():
        entry, module = registry.model_entry(name), registry.get_model(name)
        facts = {
            "model": name,
            "title": entry.title,
            "framework": entry.framework,
            "file": f"{entry.module.replace('.', '/')}.py",
            "recipe": dataclasses.asdict(module.RECIPE),
        }
    else:
        raise BadInput(did_you_mean("task or model", name, [*registry.tasks(), *registry.models()]))
    if json:
        _print_json(facts)
        return
    typer.echo(inspect.getdoc(module))
    for key, value in facts.items():
        if isinstance(value, dict):
            typer.echo(f"\n{key}")
            for inner, content in value.items():
                typer.echo(f"  {inner}: {content}")
        else:
            typer.echo(f"\n{key}: {', '.join(value) if isinstance(value, list) else value}")


@command("score", "score --task human_mpra --json", "score --report results/reports/human_mpra_quick_1a2b3c4d")
def score(
    task: TaskOption = None, report: ReportOption = None, results: ResultsOption = RESULTS, json: JsonOption = False
) -> None:
    """Score stored predictions again, without training. Rewrites scores.csv and tests.csv of the run."""
    from benchmarks import outputs
    from benchmarks.store import Store

    store = Store(results)
    study = outputs.Study.open(store, _known_task(task), report)
    scores, _ = outputs.write_scores(study, store)
    if scores.empty:
        raise BadInput(f"No training of {study.folder} is finished yet, so there is nothing to score.")
    if json:
        _print_json(_records(scores))
        return
    _print_scores(_console(), study.plan, scores, store)
    typer.echo(f"Scores: {study.folder / 'scores.csv'}")


@command("compare", "compare --task human_mpra --baseline kmer_ridge", "compare --json")
def compare(
    task: TaskOption = None,
    baseline: Annotated[str | None, typer.Option(help="Model to compare with; default: the task's baseline.")] = None,
    report: ReportOption = None,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Test every model of a run against a baseline: paired two-sided t-tests over test folds."""
    from benchmarks import outputs, registry, runner, stats
    from benchmarks.api.errors import did_you_mean
    from benchmarks.store import Store

    store = Store(results)
    study = outputs.Study.open(store, _known_task(task), report)
    scores = runner.score(study.plan, store, registry.get_task(study.plan.task))
    baseline = baseline or study.plan.baseline
    if baseline not in set(scores["model"]):
        known = sorted(set(scores["model"]))
        raise BadInput(f"In {study.folder}: {did_you_mean('baseline with scores', baseline, known)}")
    tests = stats.compare(scores, baseline)
    if json:
        _print_json(_records(tests))
        return
    _print_tests(_console(), tests)


@command("report", "report --task human_mpra", "report --report results/reports/human_mpra_quick_1a2b3c4d")
def report(
    task: TaskOption = None, report: ReportOption = None, results: ResultsOption = RESULTS, json: JsonOption = False
) -> None:
    """Draw the plots and write report.html of a stored run again."""
    from benchmarks import outputs
    from benchmarks.store import Store

    store = Store(results)
    study = outputs.Study.open(store, _known_task(task), report)
    scores, tests = outputs.write_scores(study, store)
    page = outputs.write_report(study, store, scores, tests)
    if page is None:
        raise BadInput("The report needs the plotting packages: `pip install 'dream-bench[figures]'`.")
    if json:
        _print_json({"report": str(page)})
    else:
        typer.echo(f"Report: {page}")


def _known_task(name: str | None) -> str | None:
    from benchmarks import registry
    from benchmarks.api.errors import did_you_mean

    if name is not None and name not in registry.tasks():
        raise BadInput(did_you_mean("task", name, list(registry.tasks())))
    return name


@command("bench encoding", "bench step --model dream_rnn", "bench step --model dream_cnn --preset quick --json")
def bench(
    what: Annotated[str, typer.Argument(help="encoding or step.")],
    task: Annotated[str, typer.Option(help="Task whose shapes are used.")] = "human_mpra",
    model: Annotated[str, typer.Option(help="Model to take a step with.")] = "dream_cnn",
    preset: Annotated[str, typer.Option(help="Preset whose recipe is used.")] = "paper",
    json: JsonOption = False,
) -> None:
    """Measure the engine: `encoding` against a per-row dictionary encoder, `step` for the time a step wastes."""
    from benchmarks import timing

    if what == "encoding":
        result = timing.bench_encoding()
    elif what == "step":
        result = timing.bench_step(task, model, preset=preset)
    else:
        raise BadInput(f"bench measures encoding or step, not {what!r}.")
    if json:
        _print_json(result)
        return
    for key, value in result.items():
        typer.echo(f"{key}: {value:,.4g}" if isinstance(value, float) else f"{key}: {value}")
