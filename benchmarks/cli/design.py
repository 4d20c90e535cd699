"""`python -m benchmarks design …`: from trained models to sequences worth measuring."""

from pathlib import Path
from typing import Annotated, Any

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
    begin,
    check_kept,
    check_out,
    construct_of,
    draw_inserts,
    finish,
    open_predictor,
    read_inserts,
    say_fewer,
)
from benchmarks.cli.options import RESULTS, SETTINGS, JsonOption, ResultsOption, command
from benchmarks.errors import BadInput

NAME = "design"
HELP = """Design sequences with trained models: an oligo table per set, and a library that can be ordered and scored.

**From a model to a test set.** `high`, `low` and `challenging` evolve sequences (DEAP), `snv` walks by single
mutations, `perturb` and `tile` ask what motifs do, `native` cuts promoters of a genome, `random` is for comparison.
`library` puts sets together: `oligos.tsv` to order, and the subset files of the challenge, for `challenge score`."""

app = typer.Typer(name=NAME, help=HELP, no_args_is_help=True, **SETTINGS)

MutateOption = Annotated[
    str, typer.Option(help="uniform: one of the three other bases; published: the scripts' G/T-biased draw.")
]
NOption = Annotated[int, typer.Option("--n", min=1, help="Distinct sequences to keep.")]
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

    import numpy as np
    import pandas as pd

    from benchmarks.apps.design import evolve, oligo_library
    from benchmarks.engine.reporting.console import bar

    search = dataclasses.replace(evolve.EXPRESSION, **settings)
    check_kept(n, search.population)
    check_out(out)
    predict = open_predictor(models, output, device)
    weights = np.full(len(predict.names), sign / len(predict.names))
    work = begin(out, models, {"set": subset, "seed": seed, "output": output, **dataclasses.asdict(search)})
    with bar(f"{subset} expression", search.expected_candidates()) as predict.on_done, work:
        found = evolve.evolve(
            predict, predict.construct.length, search, weights, seed=(seed, int(sign < 0)),
            checkpoints=work.checkpoints("search"), on_generation=_on_generation(work, search.generations),
        )  # fmt: skip
    best = found.best(n, weights)
    by = ".".join(predict.names).replace(" ", "_")
    tags = pd.DataFrame({"tag": [f"GA.{by}.{subset}_{i}" for i in range(len(best.codes))]})
    table = oligo_library.table(
        predict.construct, best.codes, tags, subset=subset, names=predict.names, values=best.values,
        trained_on=predict.trained_on,
    )  # fmt: skip
    say_fewer(len(best.codes), n)
    finish(work, table, pd.DataFrame(found.history), predict, json)


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

    import numpy as np

    from benchmarks.apps.design import disagreement, evolve, oligo_library
    from benchmarks.engine.reporting.console import bar

    if len(run) < 2:
        raise BadInput(f"Two --run or more are expected, models that may disagree; got {len(run)}.")
    weight = weight or ([1.0, -1.0] if len(run) == 2 else [])
    if len(weight) != len(run) or not np.isfinite(weight).all() or not np.all(weight):
        raise BadInput(f"One --weight per --run is expected, none of them 0; got {weight or 'none'} for {len(run)}.")
    search = dataclasses.replace(
        evolve.CHALLENGING, population=population, generations=generations, crossover=crossover, per_base=per_base,
        mutate=mutate, selection="tournament" if weighted_sum else "nsga2",
    )  # fmt: skip
    check_kept(n, population)
    check_out(out)
    models = _located(run, task, results)
    predict = open_predictor(models, output, device)
    weights = np.array(weight)
    about = {"set": "challenging", "seed": seed, "output": output, "weights": weight, "batches": batches}
    work = begin(out, models, about | dataclasses.asdict(search))
    total = batches * search.expected_candidates()
    with bar("challenging", total) as predict.on_done, work:
        codes, values, of, history = disagreement.batches(
            predict, predict.construct.length, search, weights, n_batches=batches, n_kept=n, seed=seed,
            checkpoints=lambda batch: work.checkpoints(f"batch-{batch:04d}"),
            on_generation=lambda batch, row: _say_batch(work, batch, batches, row, search.generations),
        )  # fmt: skip
    kind = "sum" if weighted_sum else "pareto"
    versus = ".vs.".join(name.replace(" ", "_") for name in predict.names)
    number = of.groupby("batch").cumcount()
    of = of.assign(tag=[f"GA.{versus}.{kind}_{b}_{i}" for b, i in zip(of["batch"], number, strict=True)])
    table = oligo_library.table(
        predict.construct, codes, of, subset="challenging", names=predict.names, values=values,
        trained_on=predict.trained_on,
    )  # fmt: skip
    say_fewer(len(codes), batches * n)
    finish(work, table, history, predict, json)


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
    choose: Annotated[
        str, typer.Option(help="random; increase or decrease: what the model takes for strongest.")
    ] = "random",
    task: TaskOption = "yeast",
    results: ResultsOption = RESULTS,
    output: OutputOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Walk through sequence space by single mutations: pairs one substitution apart."""
    import hashlib

    import numpy as np

    from benchmarks.apps.design import mutation_walks as walking
    from benchmarks.apps.design import oligo_library
    from benchmarks.engine.reporting.console import bar

    check_out(out)
    if walks > 1 and choose != "random":
        raise BadInput(f"--walks {walks} from one start are the same under --choose {choose}; use --choose random.")
    walking.check_choice(choose, bool(run))
    models = _located(run, task, results)
    predict = open_predictor(models, output, device) if models else None
    construct = predict.construct if predict else construct_of(task)
    names, starts = read_inserts(input_, construct) or draw_inserts(construct, n, seed, "SNVs")
    starts, rows = np.repeat(starts, walks, axis=0), np.repeat(np.arange(len(starts)), walks)
    about = {
        "set": "snv",
        "seed": seed,
        "output": output,
        "steps": steps,
        "choose": choose,
        "starts": hashlib.sha256(starts.tobytes()).hexdigest(),
    }
    work = begin(out, models, about)
    on_done = bar("mutants", walking.n_predictions(*starts.shape, steps, choose))
    with on_done as shown, work:
        if predict:
            predict.on_done = shown
        path = walking.walk(
            starts, steps=steps, choose=choose, seed=seed, score=predict, checkpoints=work.checkpoints("walk"),
            on_step=lambda step: work.say(f"step {step} of {steps}"),
        )  # fmt: skip
    labels = [f"{names[row]}{f'.{walk % walks}' * (walks > 1)}" for walk, row in enumerate(rows)]
    pairs, codes = walking.pairs(labels, path, choose)
    values = predict(codes) if predict else None
    found = oligo_library.table(
        construct, codes, pairs, subset="SNVs", names=predict.names if predict else (), values=values,
        trained_on=predict.trained_on if predict else "",
    )  # fmt: skip
    finish(work, found, None, predict, json)


def _located(run: list[str] | None, task: str, results: Path) -> list[Path]:
    from benchmarks.engine.inference import load

    return [load.located(text, task, results) for text in run or ()]


def _on_generation(work: Any, generations: int) -> Any:
    """Say how a search goes, and when it will be done at the pace of the last generation."""
    import time

    from benchmarks.engine.reporting.text import duration

    last = [time.monotonic()]

    def say(row: dict[str, Any]) -> None:
        now, n_left = time.monotonic(), generations - row["generation"]
        left = f"; about {duration(n_left * (now - last[0]))} left" if row["generation"] and n_left else ""
        last[0] = now
        work.say(
            f"generation {row['generation']} of {generations}: best {row['best']:.3f}, mean {row['mean']:.3f}, "
            f"{row['n_scored']:,} predicted{left}"
        )

    return say


def _say_batch(work: Any, batch: int, batches: int, row: dict[str, Any], generations: int) -> None:
    from benchmarks.engine.reporting.text import duration

    if row["generation"] == generations:
        left = duration((batches - batch - 1) * row["seconds"])
        more = f"; about {left} left" if batch + 1 < batches else ""
        work.say(f"batch {batch + 1} of {batches}: largest weighted sum {row['best']:.3f}{more}")


app.add_typer(design_sets.app)
