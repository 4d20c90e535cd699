"""`python -m benchmarks run`: trains what is missing, scores it, tests it and writes a report."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import registry
from benchmarks.cli.options import (
    RESULTS,
    SETTINGS,
    ClusterOption,
    JsonOption,
    PluginOption,
    ResultsOption,
    command,
    fold_numbers,
    model_names,
)

NAME = None
app = typer.Typer(**SETTINGS)


@command(
    app,
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
    from benchmarks.engine.reporting.console import bytes_shown, open_console

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
    console = open_console(stderr=json)
    module = registry.get_task(task)
    plan.get_preset(module, preset)
    wanted = model_names(models)
    for file in plugin or ():
        added = registry.add_plugin(file).key
        if wanted is None or added not in wanted:
            wanted = [*(wanted or plan.default_models(module, preset)), added]
    if data is None and not dry_run:
        with bytes_shown() as on_progress:
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
