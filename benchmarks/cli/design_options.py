"""What the commands of `design` share: options, opening models, reading inserts, and how they begin and end."""

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import system
from benchmarks.cli.options import MODEL_HELP, print_json
from benchmarks.errors import BadInput

RunsOption = Annotated[list[str], typer.Option("--run", "--weights", help=f"{MODEL_HELP} Repeatable.")]
SomeRunsOption = Annotated[list[str] | None, typer.Option("--run", "--weights", help=f"{MODEL_HELP} Repeatable.")]
OutOption = Annotated[Path, typer.Option(help="Oligo table to write, TSV; searches keep their state beside it.")]
TaskOption = Annotated[str, typer.Option("--task", help="Task whose constructs are designed; see `list`.")]
InputOption = Annotated[
    Path | None, typer.Option("--input", help="Sequences: FASTA, table or text; inserts, bare or with flanks.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed designs the same sequences.")]
OutputOption = Annotated[str | None, typer.Option("--output", help="Which output, where a model has several.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def begin(out: Path, models: list[Path], settings: dict[str, Any]) -> Any:
    """Begin what can be stopped and taken up again; its state belongs to these models and settings."""
    from benchmarks.apps.design.resumable_search import Resumable

    return Resumable(out, settings | {"models": [_model_digest(path) for path in models]})


def finish(work: Any, table: Any, history: Any, predict: Any, json: bool) -> None:
    """Write the table and, beside it, how the search went, drawn too; then drop what was kept of the search."""
    from benchmarks.io.atomic import write_text

    about = {"seconds": work.seconds}
    if predict:
        rate = predict.n_done / max(work.seconds, 1e-9)
        about |= {"models": list(predict.names), "n_predicted": predict.n_done, "candidates_per_s": rate}
    if history is not None:
        stem = work.out.name.removesuffix(".tsv")
        history = history.assign(trained_on=predict.trained_on)
        write_text(work.out.with_name(f"{stem}.history.csv"), history.to_csv(index=False))
        if system.has_packages("matplotlib"):
            from benchmarks.engine.figures import design, style

            simulated = predict.trained_on == "simulated"
            style.save(design.search(history, simulated=simulated), work.out.with_name(f"{stem}.search"))
            if len(predict.names) > 1:
                drawn = design.disagreement(table, predict.names[:2], simulated=simulated)
                style.save(drawn, work.out.with_name(f"{stem}.models"))
    write(table, work.out, json, **about)
    work.remove()


def write(table: Any, out: Path, json: bool, **about: Any) -> None:
    from benchmarks.engine.reporting.text import duration
    from benchmarks.io.atomic import write_text

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


def check_out(out: Path) -> None:
    if not out.parent.is_dir():
        raise BadInput(f"The folder of --out, {out.parent}, does not exist.")
    if out.is_dir():
        raise BadInput(f"--out {out} is a folder; a table, e.g. {out / 'oligos.tsv'}, is expected.")
    if out.suffix == ".gz":
        raise BadInput(f"--out {out}: a plain table is written; leave out the .gz.")


def check_kept(n: int, population: int) -> None:
    if n > population:
        raise BadInput(f"--n {n:,}: a population of {population:,} holds no more; raise --population or lower --n.")


def say_fewer(n_found: int, n_wanted: int) -> None:
    """Say that a search ended with fewer distinct sequences than were asked for: selection multiplies the best."""
    if n_found < n_wanted:
        typer.echo(
            f"{n_found:,} of {n_wanted:,} sequences: no more of the last population differ; raise --population for "
            "more.", err=True
        )  # fmt: skip


def construct_of(task: str) -> Any:
    from benchmarks import registry
    from benchmarks.apps.design.predictor import construct_of

    return construct_of(registry.get_task(task))


def open_predictor(models: list[Path], output: str | None, device: str) -> Any:
    """Open models as one function of inserts, each under a name of its own."""
    from benchmarks.apps.design.predictor import Predictor
    from benchmarks.engine.inference import load

    if again := [path for i, path in enumerate(models) if path.resolve() in {m.resolve() for m in models[:i]}]:
        raise BadInput(f"{again[0]} is named by two --run; name every model once.")
    found: dict[str, Any] = {}
    seen: dict[str, int] = {}
    for path in models:
        several = load.open_all(path, device)
        found[load.distinct_name(several[0].key, seen)] = several
    return Predictor(found, output)


def read_inserts(file: Path | None, construct: Any) -> tuple[list[str], Any] | None:
    """Read names and inserts of a file; None where none is given."""
    if file is None:
        return None
    import numpy as np

    from benchmarks.api.sequences import SequenceError
    from benchmarks.engine.inference import predict_file

    names, codes = [], []
    for piece in predict_file.read_pieces(file):
        try:
            codes.append(construct.inserts(piece.sequences))
        except SequenceError as error:
            raise BadInput(f"{file}, line {piece.lines[error.row]}: {error.reason}.") from None
        names += piece.ids
    if len(set(names)) < len(names):
        names = [f"{name}.{i}" for i, name in enumerate(names)]
    return names, np.concatenate(codes)


def draw_inserts(construct: Any, n: int, seed: int, of: str) -> tuple[list[str], Any]:
    """Draw random inserts; sets of one seed share none."""
    import numpy as np

    from benchmarks.apps.design.predictor import random_inserts

    rng = np.random.default_rng([seed, *of.encode()])
    return [f"rand{i}" for i in range(n)], random_inserts(rng, n, construct.length)


def _model_digest(path: Path) -> str:
    """Tell one model from another: what its files sum up to."""
    import hashlib

    from benchmarks.io import checksums

    if path.is_file():
        return checksums.digest(path)
    sums = sorted(path.rglob(checksums.NAME)) or sorted(file for file in path.rglob("*") if file.is_file())
    return hashlib.sha256("".join(checksums.digest(file) for file in sums).encode()).hexdigest()
