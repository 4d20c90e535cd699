"""`python -m benchmarks design …`: from trained models to sequences worth measuring."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.cli import design_sets
from benchmarks.cli.design_options import (
    DeviceOption,
    InputOption,
    OutOption,
    OutputOption,
    RunsOption,
    SeedOption,
    SomeRunsOption,
    TaskOption,
    check_out,
    check_population,
    construct_of,
    print_set,
    say_fewer,
)
from benchmarks.cli.options import RESULTS, SETTINGS, JsonOption, ResultsOption, command
from benchmarks.errors import BadInput

if TYPE_CHECKING:
    from benchmarks.apps.design.resumable_search import Resumable
    from benchmarks.apps.design.searches import OnRow, OpenWork

NAME = "design"
HELP = """Design sequences with trained models: an oligo table per set, and a library that can be ordered and scored.

**From a model to a test set.** `high`, `low` and `challenging` evolve sequences (DEAP), `snv` walks by single
mutations, `perturb` and `tile` ask what motifs do, `native` cuts promoters of a genome, `random` is for comparison.
`library` puts sets together: `oligos.tsv` to order, and the subset files of the challenge, for `challenge score`."""

app = typer.Typer(name=NAME, help=HELP, no_args_is_help=True, **SETTINGS)

MutateOption = Annotated[
    str, typer.Option(help="uniform: one of the three other bases; published: the scripts' G/T-biased draw.")
]
NOption = Annotated[int, typer.Option("--n", min=1, help="Distinct sequences to design.")]
SHARE = {"min": 0.0, "max": 1.0}


def _evolves(subset: str, sign: float) -> None:
    """Add the command that evolves high or low expression: one, but for its name and sign."""

    def extreme(
        run: RunsOption,
        out: OutOption,
        n: NOption = 1000,
        population: Annotated[int, typer.Option(min=4, help="Candidates.")] = 100_000,
        generations: Annotated[int, typer.Option(min=1, help="Generations.")] = 10,
        crossover: Annotated[float, typer.Option(**SHARE, help="Probability that a pair is crossed over.")] = 0.1,
        mutation: Annotated[float, typer.Option(**SHARE, help="Probability that a candidate is mutated.")] = 0.1,
        per_base: Annotated[float, typer.Option(**SHARE, help="Probability of a base, in those mutated.")] = 0.025,
        mutate: MutateOption = "uniform",
        task: TaskOption = "yeast",
        results: ResultsOption = RESULTS,
        output: OutputOption = None,
        seed: SeedOption = 0,
        device: DeviceOption = "auto",
        json: JsonOption = False,
    ) -> None:
        settings = {"population": population, "generations": generations, "crossover": crossover, "mutation": mutation}
        settings |= {"per_base": per_base, "mutate": mutate}
        _extreme(subset, sign, _located(run, task, results), out, n, settings, output, seed, device, json)

    extreme.__name__ = subset
    extreme.__doc__ = f"Evolve sequences of {subset} predicted expression; models are averaged. Defaults: the paper's."
    command(
        app,
        f"design {subset} --run dream_cnn --out {subset}.tsv",
        f"design {subset} --run results/runs/yeast/simulated/dream_cnn-1a2b3c4d --generations 60 --out {subset}.tsv",
    )(extreme)


_evolves("high", 1.0)
_evolves("low", -1.0)


def _extreme(
    subset: str, sign: float, models: list[Path], out: Path, n: int, settings: dict, output: str | None, seed: int,
    device: str, json: bool,
) -> None:  # fmt: skip
    import dataclasses

    from benchmarks.apps.design import evolve, searches
    from benchmarks.apps.design.predictor import open_predictor

    search = dataclasses.replace(evolve.EXPRESSION, **settings)
    check_population(n, search.population)
    check_out(out)
    predict = open_predictor(models, output, device)
    work, table, history = searches.extreme(
        predict, _resumable(out, models), search, subset=subset, sign=sign, n=n, seed=seed, output=output,
        on_row=_progress(search.generations),
    )  # fmt: skip
    say_fewer(len(table), n)
    print_set(table, out, json, searches.write_search(work, table, history, predict))


@command(
    app,
    "design challenging --run dream_cnn --run vaishnav --out challenging.tsv",
    "design challenging --run A --run B --weight -1 --weight 1 --batches 20 --n 50 --out c.tsv",
    "design challenging --run A --run B --run C --weight 1 --weight -0.5 --weight -0.5 --weighted-sum --out c.tsv",
)
def challenging(
    run: RunsOption,
    out: OutOption,
    weight: Annotated[
        list[float] | None,
        typer.Option("--weight", help="Of every --run, signed: what is maximised. Default for two: 1 and -1."),
    ] = None,
    weighted_sum: Annotated[
        bool, typer.Option("--weighted-sum", help="Maximise the weighted sum by tournaments, not the Pareto front.")
    ] = False,
    batches: Annotated[int, typer.Option(min=1, help="Searches from different random starts.")] = 10,
    n: Annotated[int, typer.Option("--n", min=1, help="Distinct sequences to keep of each batch.")] = 100,
    population: Annotated[int, typer.Option(min=4, help="Candidates.")] = 100,
    generations: Annotated[int, typer.Option(min=1, help="Generations.")] = 100,
    crossover: Annotated[float, typer.Option(**SHARE, help="Probability that a pair is crossed over.")] = 0.5,
    per_base: Annotated[float, typer.Option(**SHARE, help="Probability of every base to be mutated.")] = 0.02,
    mutate: MutateOption = "uniform",
    task: TaskOption = "yeast",
    results: ResultsOption = RESULTS,
    output: OutputOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Evolve sequences on which two or more models disagree: NSGA-II over their predictions, in batches."""
    import dataclasses
    import math

    from benchmarks.apps.design import evolve, searches
    from benchmarks.apps.design.predictor import open_predictor

    if len(run) < 2:
        raise BadInput(f"Two --run or more are expected, models that may disagree; got {len(run)}.")
    weight = weight or ([1.0, -1.0] if len(run) == 2 else [])
    if len(weight) != len(run) or not all(math.isfinite(w) and w for w in weight):
        raise BadInput(f"One --weight per --run is expected, none of them 0; got {weight or 'none'} for {len(run)}.")
    search = dataclasses.replace(
        evolve.CHALLENGING, population=population, generations=generations, crossover=crossover, per_base=per_base,
        mutate=mutate, selection="tournament" if weighted_sum else "nsga2",
    )  # fmt: skip
    check_population(n, population)
    check_out(out)
    models = _located(run, task, results)
    predict = open_predictor(models, output, device)
    work, table, history = searches.challenging(
        predict, _resumable(out, models), search, weights=weight, n_batches=batches, n=n, seed=seed, output=output,
        on_row=lambda work, batch, row: _say_batch(work, batch, batches, row, search.generations),
    )  # fmt: skip
    say_fewer(len(table), batches * n)
    print_set(table, out, json, searches.write_search(work, table, history, predict))


@command(
    app,
    "design snv --n 200 --steps 1 --out snv.tsv",
    "design snv --run R --input natives.tsv --choose increase --steps 10 --out snv.tsv",
)
def snv(
    out: OutOption,
    run: SomeRunsOption = None,
    input_: InputOption = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Random starts, where no --input is given.")] = 100,
    steps: Annotated[int, typer.Option(min=1, help="Mutations in a row; each is a pair with the step before.")] = 10,
    walks: Annotated[int, typer.Option(min=1, help="Walks from every start; several need --choose random.")] = 1,
    choose: Annotated[str, typer.Option(help="random; increase or decrease: the strongest by the model.")] = "random",
    task: TaskOption = "yeast",
    results: ResultsOption = RESULTS,
    output: OutputOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Walk through sequence space by single mutations: pairs one substitution apart."""
    from benchmarks.apps.design import mutation_walks, searches
    from benchmarks.apps.design.inserts import read_or_draw
    from benchmarks.apps.design.predictor import open_predictor

    check_out(out)
    if walks > 1 and choose != "random":
        raise BadInput(f"--walks {walks} from one start are the same under --choose {choose}; use --choose random.")
    mutation_walks.check_choice(choose, bool(run))
    models = _located(run, task, results)
    predict = open_predictor(models, output, device) if models else None
    construct = predict.construct if predict else construct_of(task)
    names, starts = read_or_draw(input_, construct, n, seed, "SNVs")
    work, table = searches.mutation_walk(
        predict, construct, _resumable(out, models), names, starts, steps=steps, walks=walks, choose=choose, seed=seed,
        output=output,
    )  # fmt: skip
    print_set(table, out, json, searches.write_search(work, table, None, predict))


def _located(run: list[str] | None, task: str, results: Path) -> list[Path]:
    from benchmarks.engine.inference import load

    return [load.located(text, task, results) for text in run or ()]


def _resumable(out: Path, models: list[Path]) -> "OpenWork":
    """Open the work on an output by its settings; its state belongs to them and to the models."""
    from benchmarks.apps.design.resumable_search import Resumable

    return lambda settings: Resumable(out, settings, models)


def _progress(generations: int) -> "OnRow":
    """Print every generation, and when the search will be done at the pace of the last one."""
    import time

    from benchmarks.engine.reporting.text import duration

    last = [time.monotonic()]

    def say(work: "Resumable", row: dict[str, Any]) -> None:
        now, n_left = time.monotonic(), generations - row["generation"]
        left = f"; about {duration(n_left * (now - last[0]))} left" if row["generation"] and n_left else ""
        last[0] = now
        work.say(
            f"generation {row['generation']} of {generations}: best {row['best']:.3f}, mean {row['mean']:.3f}, "
            f"{row['n_scored']:,} predicted{left}"
        )

    return say


def _say_batch(work: "Resumable", batch: int, batches: int, row: dict[str, Any], generations: int) -> None:
    from benchmarks.engine.reporting.text import duration

    if row["generation"] == generations:
        left = duration((batches - batch - 1) * row["seconds"])
        more = f"; about {left} left" if batch + 1 < batches else ""
        work.say(f"batch {batch + 1} of {batches}: largest weighted sum {row['best']:.3f}{more}")


app.add_typer(design_sets.app)
