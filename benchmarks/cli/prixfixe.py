"""`python -m benchmarks prixfixe grid`: every combination that fits, as an ordinary run, and the plots of Fig. 2b-e."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks import system
from benchmarks.cli.options import (
    RESULTS,
    SETTINGS,
    ClusterOption,
    JsonOption,
    PackOption,
    ProbeOption,
    ResultsOption,
    YesOption,
    command,
    fold_numbers,
)
from benchmarks.io.json_files import records

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from benchmarks.engine.pipeline import RunResult
    from benchmarks.engine.store.store import Store

NAME = "prixfixe"
app = typer.Typer(
    name=NAME,
    help="The three winning solutions, taken apart and recombined; one combination: `run --models prix_fixe.…`.",
    no_args_is_help=True,
    **SETTINGS,
)


@app.callback()
def _group() -> None:
    """The three winning solutions, taken apart and recombined; one combination: `run --models prix_fixe.…`."""


@command(
    app,
    "prixfixe grid --task human_mpra --dry-run",
    "prixfixe grid --task human_mpra --folds 0 --set recipe.epochs=2",
    "prixfixe grid --task human_mpra --preset paper --data data/human_mpra/K562_clean.tsv --folds 0 --members 1",
    "prixfixe grid --task yeast --preset paper --cluster cluster.yaml",
)
def grid(
    task: Annotated[str, typer.Option("--task", help="Task name; see `list`.")],
    preset: Annotated[str, typer.Option(help="How much of the protocol to run: quick or paper.")] = "quick",
    data: Annotated[Path | None, typer.Option(help="Table to use instead of the preset's data.")] = None,
    folds: Annotated[str | None, typer.Option(help="Test folds to run: 0,3 or 0-4; default: the preset's.")] = None,
    members: Annotated[int | None, typer.Option(min=1, help="Models per test fold, one per validation fold.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="recipe.key=value for all, prix_fixe.<combination>.key=value for one."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="What is held out, where a task offers several ways.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of simulation, weights and shuffling.")] = 0,
    metric: Annotated[
        str | None, typer.Option(help="Score to draw; default: the challenge's pearson_score, else pearson_r.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes; 0: none. Default: chosen.")] = None,
    pack: PackOption = "1",
    cluster: ClusterOption = None,
    save_models: Annotated[bool, typer.Option(help="Keep the trained weights beside the predictions.")] = False,
    results: ResultsOption = RESULTS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run, and end.")] = False,
    probe: ProbeOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Train every combination that fits together and the task, and draw the plots of the paper's Fig. 2b-e.

    An ordinary run: what is finished is kept, and the same command goes on with the rest, or draws again. What fits is
    derived from what the parts declare. Team-specific steps at test time are off.
    """
    from benchmarks import registry
    from benchmarks.cli.run import check_probe, fetch_missing, run_and_print
    from benchmarks.engine import pipeline
    from benchmarks.engine.planning import plan
    from benchmarks.engine.reporting.console import open_console
    from benchmarks.engine.store.store import Store
    from dream_models.prixfixe.combinations import combinations
    from dream_models.prixfixe.grid import model_name

    check_probe(probe, dry_run)
    options = pipeline.RunOptions(
        results=results, device=device, workers=workers, pack=pack, cluster=cluster, save_models=save_models,
        pilot=probe,
    )  # fmt: skip
    module = registry.get_task(task)
    plan.get_preset(module, preset)
    console = open_console(stderr=json)
    fitting = [c for c in combinations() if not c.refusal()]
    refusals = Counter(filter(None, (c.refusal() for c in combinations())))
    console.print(f"{len(fitting)} of {len(fitting) + refusals.total()} combinations fit together.", highlight=False)
    for reason, n in refusals.items():
        console.print(f"  {n} do not: {reason}", markup=False, highlight=False, soft_wrap=True)
    if data is None and not dry_run:
        fetch_missing(module, preset, yes)
    planned = pipeline.plan_experiment(
        module,
        preset,
        data,
        seed=seed,
        may_miss=dry_run,
        split=split,
        models=[model_name(c) for c in fitting],
        test_folds=fold_numbers(folds),
        n_members=members,
        changes=set_ or (),
    )
    refused = {model_name(c): c.refusal() for c in combinations() if c.refusal()}
    result = run_and_print(planned, options, console, dry_run=dry_run, json=json, extra_json={"refused": refused})
    if result is None:
        return
    _write_grid(result, Store(results), metric, console)
    if result.counts["failed"]:
        raise typer.Exit(1)


def _write_grid(result: "RunResult", store: "Store", metric: str | None, console: "Console") -> None:
    from benchmarks.engine.store.training_table import history_table, job_table
    from benchmarks.io.atomic import write_text
    from dream_models.prixfixe import grid

    folder, planned, scores = result.experiment.folder, result.experiment.plan, result.results.scores
    metric = metric or grid.default_metric(scores)
    jobs, history = job_table(planned, store), history_table(planned, store)
    table = grid.summarise(scores, jobs, history, planned.skipped, metric)
    pairs = grid.originals_and_best(table)
    write_text(folder / "grid.csv", table.to_csv(index=False))
    write_text(folder / "grid_originals.csv", pairs.to_csv(index=False))
    counts = table["status"].value_counts()
    console.print(", ".join(f"{n} {status}" for status, n in counts.items()), highlight=False)
    if (counts.get("not converged", 0) + counts.get("failed", 0)) > 0:
        console.print(grid.RULE, highlight=False, soft_wrap=True)
    for row in records(table[table["status"] == "scored"].nlargest(5, "value")):
        console.print(f"  {row['code']}  {metric} {row['value']:.3f}  {row['n_params']:,} parameters", highlight=False)
    if system.can_draw():
        _draw(result, table, pairs, metric)
    console.print(f"Grid: {folder / 'grid.csv'}, with plots beside it", markup=False, highlight=False)


def _draw(result: "RunResult", table: "pd.DataFrame", originals: "pd.DataFrame", metric: str) -> None:
    from benchmarks.api.metrics import label_of
    from benchmarks.api.prix_fixe import TEAM_TITLES
    from benchmarks.engine.figures import prixfixe_grid, style

    what, teams = label_of(metric), TEAM_TITLES
    simulated = "simulated" in set(result.results.scores["origin"])
    names = originals["core"].map(teams) + ", retrained"
    named = originals.assign(name=names.where(originals["kind"] == prixfixe_grid.ORIGINAL, originals["code"]))
    look = {"teams": teams, "simulated": simulated}
    figures = {
        "grid_2b": prixfixe_grid.every_combination(table, what=what, **look),
        "grid_2c": prixfixe_grid.by_processor(table, what=what, **look),
        "grid_2d": prixfixe_grid.pairs_by_core(
            named, value="n_params", what="parameters", title="Parameters of originals and best", **look
        ),
        "grid_2e": prixfixe_grid.pairs_by_core(
            named, value="value", what=what, title="Score of originals and best", **look
        ),
    }
    for name, figure in figures.items():
        style.save(figure, result.experiment.folder / name)
