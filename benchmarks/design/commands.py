"""`python -m benchmarks design …`: from trained models to sequences worth measuring."""

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.api.errors import BadInput
from benchmarks.commandline import SETTINGS, JsonOption, command, print_json

NAME = "design"
HELP = """Design sequences with trained models: an oligo table per set, and a library that can be ordered and scored.

**From a model to a test set.** `high`, `low` and `challenging` evolve sequences (DEAP), `snv` walks by single
mutations, `perturb` and `tile` ask what motifs do, `native` cuts promoters of a genome, `random` is for comparison.
`library` puts sets together: `oligos.tsv` to order, and the subset files of the challenge, for `challenge score`."""

app = typer.Typer(name=NAME, help=HELP, no_args_is_help=True, **SETTINGS)

RunsOption = Annotated[
    list[Path],
    typer.Option("--run", "--weights", help="A training, a folder of trainings (averaged), or weights (repeatable)."),
]
SomeRunsOption = Annotated[
    list[Path] | None,
    typer.Option("--run", "--weights", help="A training, a folder of trainings (averaged), or weights (repeatable)."),
]
OutOption = Annotated[Path, typer.Option(help="Oligo table to write, TSV; searches keep their state beside it.")]
TaskOption = Annotated[str, typer.Option("--task", help="Task whose constructs are designed; see `list`.")]
InputOption = Annotated[
    Path | None, typer.Option("--input", help="Sequences: FASTA, table or text; inserts, bare or with flanks.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed designs the same sequences.")]
OutputOption = Annotated[str | None, typer.Option("--output", help="Which output, where a model has several.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
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
        output: OutputOption = None,
        seed: SeedOption = 0,
        device: DeviceOption = "auto",
        json: JsonOption = False,
    ) -> None:
        settings = {"population": population, "generations": generations, "crossover": crossover, "mutation": mutation}
        settings |= {"per_base": per_base, "mutate": mutate}
        _extreme(subset, sign, run, out, n, settings, output, seed, device, json)

    extreme.__name__ = subset
    extreme.__doc__ = f"Evolve sequences of {subset} predicted expression; models are averaged. Defaults: the paper's."
    command(
        app,
        f"design {subset} --run results/runs/yeast/simulated/dream_cnn-1a2b3c4d --out {subset}.tsv",
        f"design {subset} --run R --population 2000 --generations 60 --out {subset}.tsv --json",
    )(extreme)


_evolves("high", 1.0)
_evolves("low", -1.0)


def _extreme(
    subset: str, sign: float, run: list[Path], out: Path, n: int, settings: dict, output: str | None, seed: int,
    device: str, json: bool,
) -> None:  # fmt: skip
    import dataclasses

    import numpy as np
    import pandas as pd

    from benchmarks import screen
    from benchmarks.design import genetic, oligos

    search = dataclasses.replace(genetic.EXPRESSION, **settings)
    _check_out(out)
    predict = _predictor(run, output, device)
    weights = np.full(len(predict.names), sign / len(predict.names))
    work = _work(out, run, {"set": subset, "seed": seed, "output": output, **dataclasses.asdict(search)})
    with screen.bar(f"{subset} expression", search.expected_candidates()) as predict.on_done, work:
        found = genetic.evolve(
            predict, predict.construct.length, search, weights, seed=(seed, int(sign < 0)),
            checkpoints=work.checkpoints("search"), on_generation=_on_generation(work, search.generations),
        )  # fmt: skip
    best = found.best(n, weights)
    tags = pd.DataFrame(
        {"tag": [f"GA.{'.'.join(predict.names).replace(' ', '_')}.{subset}_{i}" for i in range(len(best.codes))]}
    )
    table = oligos.table(
        predict.construct, best.codes, tags, subset=subset, names=predict.names, values=best.values,
        trained_on=predict.trained_on,
    )  # fmt: skip
    _finish(work, table, pd.DataFrame(found.history), predict, json)


@command(
    app,
    "design challenging --run results/runs/yeast/…/dream_cnn-1a2b3c4d --run results/runs/yeast/…/vaishnav-9f8e7d6c "
    "--out c.tsv",
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
    output: OutputOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Evolve sequences on which two or more models disagree: NSGA-II over their predictions, in batches."""
    import dataclasses

    import numpy as np

    from benchmarks import screen
    from benchmarks.design import challenging as disagreement
    from benchmarks.design import genetic, oligos

    if len(run) < 2:
        raise BadInput(f"Two --run or more are expected, models that may disagree; got {len(run)}.")
    weight = weight or ([1.0, -1.0] if len(run) == 2 else [])
    if len(weight) != len(run) or not np.isfinite(weight).all() or not np.all(weight):
        raise BadInput(f"One --weight per --run is expected, none of them 0; got {weight or 'none'} for {len(run)}.")
    search = dataclasses.replace(
        genetic.CHALLENGING, population=population, generations=generations, crossover=crossover, per_base=per_base,
        mutate=mutate, selection="tournament" if weighted_sum else "nsga2",
    )  # fmt: skip
    _check_out(out)
    predict = _predictor(run, output, device)
    weights = np.array(weight)
    about = {"set": "challenging", "seed": seed, "output": output, "weights": weight, "batches": batches}
    work = _work(out, run, about | dataclasses.asdict(search))
    total = batches * search.expected_candidates()
    with screen.bar("challenging", total) as predict.on_done, work:
        codes, values, of, history = disagreement.batches(
            predict, predict.construct.length, search, weights, n_batches=batches, n_kept=n, seed=seed,
            checkpoints=lambda batch: work.checkpoints(f"batch-{batch:04d}"),
            on_generation=lambda batch, row: _say_batch(work, batch, batches, row, search.generations),
        )  # fmt: skip
    kind = "sum" if weighted_sum else "pareto"
    versus = ".vs.".join(name.replace(" ", "_") for name in predict.names)
    number = of.groupby("batch").cumcount()
    of = of.assign(tag=[f"GA.{versus}.{kind}_{b}_{i}" for b, i in zip(of["batch"], number, strict=True)])
    table = oligos.table(
        predict.construct, codes, of, subset="challenging", names=predict.names, values=values,
        trained_on=predict.trained_on,
    )  # fmt: skip
    _finish(work, table, history, predict, json)


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
    output: OutputOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Walk through sequence space by single mutations: pairs one substitution apart."""
    import numpy as np
    import pandas as pd

    from benchmarks import screen
    from benchmarks.design import oligos
    from benchmarks.design import walks as walking

    _check_out(out)
    if walks > 1 and choose != "random":
        raise BadInput(f"--walks {walks} from one start are the same under --choose {choose}; use --choose random.")
    predict = _predictor(run, output, device) if run else None
    construct = predict.construct if predict else _construct(task)
    names, starts = _given(input_, construct) or _random(construct, n, seed)
    starts, rows = np.repeat(starts, walks, axis=0), np.repeat(np.arange(len(starts)), walks)
    about = {"set": "snv", "seed": seed, "output": output, "steps": steps, "choose": choose, "starts": _digest(starts)}
    work = _work(out, run or [], about)
    on_done = screen.bar("mutants", walking.n_predictions(*starts.shape, steps, choose))
    with on_done as shown, work:
        if predict:
            predict.on_done = shown
        path = walking.walk(
            starts, steps=steps, choose=choose, seed=seed, score=predict, checkpoints=work.checkpoints("walk"),
            on_step=lambda step: work.say(f"step {step} of {steps}"),
        )  # fmt: skip
    labels = [f"{names[row]}{f'.{walk % walks}' * (walks > 1)}" for walk, row in enumerate(rows)]
    about, codes, before = [], [], labels
    seen = set()
    for label, start in zip(labels, starts, strict=True):
        about.append((label, ""))
        codes.append(start)
    for step in range(1, steps + 1):
        changed = walking.substitutions(path[:, step - 1], path[:, step])
        after = []
        for i, what in enumerate(changed):
            tag = f"{labels[i]}_{choose}{step}.{what}" if what else before[i]
            pair = (path[i, step].tobytes(), path[i, step - 1].tobytes())
            if what and pair not in seen:
                seen.add(pair)
                about.append((tag, before[i]))
                codes.append(path[i, step])
            elif what:  # another walk took this very step; its end has to be there for the next
                about.append((tag, ""))
                codes.append(path[i, step])
            after.append(tag)
        before = after
    codes, table = np.stack(codes), pd.DataFrame(about, columns=["tag", "ref_tag"])
    values = predict(codes) if predict else None
    found = oligos.table(
        construct, codes, table, subset="SNVs", names=predict.names if predict else (), values=values,
        trained_on=predict.trained_on if predict else "",
    )  # fmt: skip
    _finish(work, found, None, predict, json)


@command(
    app,
    "design perturb --out perturb.tsv",
    "design perturb --input backgrounds.fa --motif Rap1=ACACCCATACATT --at 20 --at 50 --out perturb.tsv",
)
def perturb(
    out: OutOption,
    motif: Annotated[
        list[str] | None, typer.Option(help="NAME=WORD, mutated base by base (repeatable); default: Reb1.")
    ] = None,
    copies: Annotated[
        list[str] | None, typer.Option(help="NAME=WORD, repeated side by side, N as is (repeatable); default: Hsf1.")
    ] = None,
    at: Annotated[list[int] | None, typer.Option(help="Where sites begin, from 0 (repeatable); default: 20.")] = None,
    multiple: Annotated[int, typer.Option(min=0, help="Double, and triple, mutations per site and background.")] = 50,
    input_: InputOption = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Random backgrounds, where no --input is given.")] = 10,
    task: TaskOption = "yeast",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Mutate motifs and repeat them in random backgrounds: pairs with the background."""
    from benchmarks.design import motifs, oligos

    _check_out(out)
    construct = _construct(task)
    sites = motifs.named_words(motif, {} if copies and not motif else motifs.SITES, construct.length)
    repeated = motifs.named_words(copies, {} if motif and not copies else motifs.COPIES, construct.length)
    names, backgrounds = _given(input_, construct) or _random(construct, n, seed)
    about, codes = motifs.perturbation(
        names, backgrounds, sites=sites, copies=repeated, at=tuple(at or (motifs.AT,)), n_multiple=multiple, seed=seed
    )
    _write(oligos.table(construct, codes, about, subset="motif_perturbation"), out, json)


@command(app, "design tile --out tile.tsv", "design tile --motif Gcn4=TGACTCA --n 5 --seed 1 --out tile.tsv")
def tile(
    out: OutOption,
    motif: Annotated[
        list[str] | None, typer.Option(help="NAME=WORD (repeatable); default: the six of the paper.")
    ] = None,
    input_: InputOption = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Random backgrounds, where no --input is given.")] = 3,
    task: TaskOption = "yeast",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Write motifs at every position and orientation into random backgrounds: pairs with the background."""
    from benchmarks.design import motifs, oligos

    _check_out(out)
    construct = _construct(task)
    words = motifs.named_words(motif, motifs.TILED, construct.length)
    names, backgrounds = _given(input_, construct) or _random(construct, n, seed)
    about, codes = motifs.tiling(names, backgrounds, words)
    _write(oligos.table(construct, codes, about, subset="motif_tiling"), out, json)


@command(
    app,
    "design native --genome sacCer3.fa.gz --annotation sacCer3.ensGene.gtf.gz --out native.tsv",
    "design native --genome G.fa --annotation G.gtf --upstream 240 --step 40 --n 1000 --out native.tsv",
)
def native(
    genome: Annotated[Path, typer.Option(help="Genome: FASTA, plain, gzip or bgzip.")],
    annotation: Annotated[Path, typer.Option(help="Genes: GTF, plain or gzip.")],
    out: OutOption,
    upstream: Annotated[int, typer.Option(min=1, help="bp before a gene at most; it ends at the gene before.")] = 500,
    step: Annotated[int | None, typer.Option(min=1, help="bp from piece to piece; default: an insert.")] = None,
    feature: Annotated[str, typer.Option(help="Feature of the annotation that genes are.")] = "transcript",
    leave_out: Annotated[
        list[str] | None, typer.Option(help="Chromosomes without promoters of interest (repeatable); default: chrM.")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Draw this many pieces; default: all.")] = None,
    task: TaskOption = "yeast",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Cut the promoters of a genome into inserts, as genes read them."""
    import tempfile

    import numpy as np

    from benchmarks.api.genome import Genome
    from benchmarks.design import native as promoters
    from benchmarks.design import oligos

    _check_out(out)
    construct = _construct(task)
    genes = promoters.genes(annotation, feature)
    genes = genes[~genes["chrom"].isin(leave_out or ["chrM"])]
    with tempfile.TemporaryDirectory() as work:
        sequence = Genome(genome, Path(work))
        known = promoters.promoters(genes, sequence.sizes, upstream)
        about, codes = promoters.tiles(sequence, known, construct.length, step or construct.length)
    if n is not None and n > len(codes):
        raise BadInput(f"--n {n:,}: the annotation gives {len(codes):,} pieces; raise --upstream or lower --step.")
    if n is not None:
        rows = np.sort(np.random.default_rng(seed).choice(len(codes), n, replace=False))
        about, codes = about.iloc[rows].reset_index(drop=True), codes[rows]
    _write(oligos.table(construct, codes, about, subset="native"), out, json)


@command(app, "design random --n 6000 --out random.tsv", "design random --n 500 --input earlier.tsv --out random.tsv")
def random_(
    out: OutOption,
    n: NOption = 6000,
    input_: InputOption = None,
    task: TaskOption = "yeast",
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Draw random sequences: of equally likely bases, or from an earlier experiment's."""
    import numpy as np
    import pandas as pd

    from benchmarks.design import oligos

    _check_out(out)
    construct = _construct(task)
    if found := _given(input_, construct):
        names, codes = found
        if n > len(names):
            raise BadInput(f"--n {n:,}: {input_} has {len(names):,} sequences; draw that many at most.")
        rows = np.sort(np.random.default_rng(seed).choice(len(names), n, replace=False))
        names, codes = [names[row] for row in rows], codes[rows]
    else:
        names, codes = _random(construct, n, seed)
    _write(oligos.table(construct, codes, pd.DataFrame({"tag": names}), subset="random"), out, json)


@command(
    app,
    "design library --part high.tsv --part challenging.tsv --part snv.tsv --out library/",
    "design library --part high.tsv --part low.tsv --truth labels.tsv --out designed/",
    "design library --part challenging.tsv --truth simulated --out designed/",
)
def library(
    part: Annotated[list[Path], typer.Option(help="Oligo table that `design` wrote (repeatable).")],
    out: Annotated[Path, typer.Option(help="Folder to write; it must not be there yet.")],
    truth: Annotated[
        str | None,
        typer.Option(help="Table of sequence and expression as measured; or `simulated`: the task's known answer."),
    ] = None,
    task: TaskOption = "yeast",
    json: JsonOption = False,
) -> None:
    """Put sets together: oligos to order, and, with their expression, a test set for `challenge score`.

    Writes oligos.tsv, oligos.fa and the files of the task's scoring. A sequence that several sets ask for is ordered
    once. Of a table of --truth, a column `origin` that says simulated is heeded.
    """
    from benchmarks import registry
    from benchmarks.api.folders import whole_folder
    from benchmarks.design import oligos
    from benchmarks.store import write_text

    module = registry.get_task(task)
    construct = _construct(task)
    if not hasattr(module, "write_designed"):
        raise BadInput(f"{task} has no scoring of designed libraries; yeast has.")
    if out.exists():
        raise BadInput(f"--out {out} is there already; name a folder that is not, or remove it.")
    merged = oligos.merge(part, construct)
    y_true, origin, notes = None, "measured", ["Designed by models; expression not measured yet."]
    if truth == "simulated":
        y_true, origin = module.noise_free(merged.inserts), "simulated"
        notes = ["SIMULATED expression: the known answer of the simulated task, without noise; nothing was measured."]
    elif truth is not None:
        y_true, origin = oligos.expression_of(Path(truth), merged)
        notes = [f"Expression from {Path(truth).name}{' (SIMULATED)' * (origin == 'simulated')}."]
    table = merged.oligos()
    with whole_folder(out) as new:
        write_text(new / "oligos.tsv", table.to_csv(sep="\t", index=False))
        write_text(new / "oligos.fa", "".join(f">{row.seq_id}\n{row.sequence}\n" for row in table.itertuples()))
        module.write_designed(new, table["sequence"].tolist(), merged.singles, merged.pairs, y_true, origin, notes)
    sizes = {name: len(rows) for name, rows in (*merged.singles.items(), *merged.pairs.items())}
    if json:
        about = {"oligos": len(table), "subsets": sizes, "origin": origin if truth else None}
        print_json({"out": str(out), **about, "trained_on": merged.trained_on or None})
        return
    typer.echo(f"{len(table):,} oligos of {construct.row_length} bp: {out}")
    for name, size in sizes.items():
        typer.echo(f"  {name:<20}{size:>7,} {'pairs' if name in merged.pairs else 'sequences'}")
    typer.echo(
        notes[0] if truth else "Measure them, then the same command with --truth TABLE (sequence, expression) to score."
    )


def _work(out: Path, runs: list[Path], settings: dict[str, Any]) -> Any:
    from benchmarks.resumable import Resumable

    return Resumable(out, settings | {"models": [_model_digest(path) for path in runs]})


def _on_generation(work: Any, generations: int) -> Any:
    """Say how a search goes, and when it will be done at the pace of the last generation."""
    import time

    from benchmarks.progress import duration

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
    from benchmarks.progress import duration

    if row["generation"] == generations:
        left = duration((batches - batch - 1) * row["seconds"])
        more = f"; about {left} left" if batch + 1 < batches else ""
        work.say(f"batch {batch + 1} of {batches}: largest weighted sum {row['best']:.3f}{more}")


def _finish(work: Any, table: Any, history: Any, predict: Any, json: bool) -> None:
    """Write the table, and its history beside it; then what was kept of the search goes."""
    from benchmarks.store import write_text

    about = {"seconds": work.seconds}
    if predict:
        rate = predict.n_done / max(work.seconds, 1e-9)
        about |= {"models": list(predict.names), "n_predicted": predict.n_done, "candidates_per_s": rate}
    if history is not None:
        stem = work.out.name.removesuffix(".gz").removesuffix(".tsv")
        history = history.assign(trained_on=predict.trained_on)
        write_text(work.out.with_name(f"{stem}.history.csv"), history.to_csv(index=False))
    _write(table, work.out, json, **about)
    work.remove()


def _write(table: Any, out: Path, json: bool, **about: Any) -> None:
    from benchmarks.progress import duration
    from benchmarks.store import write_text

    write_text(out, table.to_csv(sep="\t", index=False))
    origin = table["trained_on"].iloc[0]
    n_pairs = int((table["ref_tag"] != "").sum())
    if json:
        print_json({"out": str(out), "n": len(table), "n_pairs": n_pairs, "trained_on": origin or None, **about})
        return
    if "candidates_per_s" in about:
        rate = f"{about['n_predicted']:,} candidates predicted in {duration(about['seconds'])}"
        typer.echo(f"{rate}, {about['candidates_per_s']:,.0f} per second")
    label = " by models trained on SIMULATED data" * (origin == "simulated")
    typer.echo(f"{len(table):,} oligos{f', {n_pairs:,} pairs' * bool(n_pairs)}{label}: {out}")


def _check_out(out: Path) -> None:
    if not out.parent.is_dir():
        raise BadInput(f"The folder of --out, {out.parent}, does not exist.")
    if out.is_dir():
        raise BadInput(f"--out {out} is a folder; a table, e.g. {out / 'oligos.tsv'}, is expected.")


def _construct(task: str) -> Any:
    from benchmarks import registry
    from benchmarks.design.candidates import construct_of

    return construct_of(registry.get_task(task))


def _predictor(runs: list[Path], output: str | None, device: str) -> Any:
    from benchmarks import trained
    from benchmarks.design.candidates import Predictor

    models: dict[str, Any] = {}
    seen: dict[str, int] = {}
    for path in runs:
        several = trained.open_all(path, device)
        models[trained.distinct_name(several[0].key, seen)] = several
    return Predictor(models, output)


def _given(file: Path | None, construct: Any) -> tuple[list[str], Any] | None:
    """Read names and inserts of a file; None where none is given."""
    if file is None:
        return None
    import numpy as np

    from benchmarks import prediction
    from benchmarks.api.sequences import SequenceError

    names, codes = [], []
    for piece in prediction.read_pieces(file):
        try:
            codes.append(construct.inserts(piece.sequences))
        except SequenceError as error:
            raise BadInput(f"{file}, line {piece.lines[error.row]}: {error.reason}.") from None
        names += piece.ids
    if len(set(names)) < len(names):
        names = [f"{name}.{i}" for i, name in enumerate(names)]
    return names, np.concatenate(codes)


def _random(construct: Any, n: int, seed: int) -> tuple[list[str], Any]:
    import numpy as np

    from benchmarks.design.candidates import random_inserts

    return [f"rand{i}" for i in range(n)], random_inserts(np.random.default_rng(seed), n, construct.length)


def _model_digest(path: Path) -> str:
    """Tell one model from another: what its files sum up to."""
    import hashlib

    from benchmarks.api import checksums

    if path.is_file():
        return checksums.digest(path)
    sums = sorted(path.rglob(checksums.NAME)) or sorted(file for file in path.rglob("*") if file.is_file())
    return hashlib.sha256("".join(checksums.digest(file) for file in sums).encode()).hexdigest()


def _digest(codes: Any) -> str:
    import hashlib

    return hashlib.sha256(codes.tobytes()).hexdigest()
