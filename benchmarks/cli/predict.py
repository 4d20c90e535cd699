"""`python -m benchmarks predict`: sequences in, predictions out, from published weights or a model of a run."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cli.options import (
    MODEL_HELP,
    RESULTS,
    ColumnsOption,
    JsonOption,
    ResultsOption,
    command,
    print_json,
)

NAME = None
app = typer.Typer()


@command(
    app,
    "predict --weights prix_fixe_model_weights/0_1_1_0 --input promoters.fa --out predictions.tsv",
    "predict --weights model_best.pth --input sequences.tsv.gz --out predictions.tsv.gz",
    "predict --weights results/runs/yeast/DREAM2022/dream_cnn-1a2b3c4d/test-00_val-00 --input s.txt --out p.tsv",
    "predict --weights dream_rnn --task human_mpra --input elements.csv --columns sequence=oligo,id=name --out p.tsv",
)
def predict(
    weights: Annotated[str, typer.Option(help=MODEL_HELP)],
    input_: Annotated[
        Path, typer.Option("--input", help="FASTA, table with a column seq, or a sequence per line; plain or gzip.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Table to write: seq_id and prediction; .gz compresses it. Profiles are written beside it, as .npy."
        ),
    ],
    columns: ColumnsOption = None,
    both_strands: Annotated[
        bool, typer.Option("--both-strands", help="Average the predictions of each sequence and its reverse form.")
    ] = False,
    task: Annotated[str, typer.Option(help="Task of a model that is named, not given as a path.")] = "human_mpra",
    results: ResultsOption = RESULTS,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    plugin: Annotated[list[Path] | None, typer.Option(help="File of the model, where it was a plug-in.")] = None,
    json: JsonOption = False,
) -> None:
    """Predict sequences with trained weights, in full batches; yeast promoters averaged over both strands.

    --weights is a training, a folder of trainings (their predictions are averaged), published weights, or the name of a
    model in the latest run of --task. Weights are loaded strictly and as plain tensors: no code in the file is run.
    Yeast promoters are given as in the challenge, with both adapters, or as their 80 bases; human elements with 200 or
    230 bp, fly windows with 249, ATAC windows with 2,114. Which rows are a reverse orientation, a column `is_reverse`
    (0 or 1) says, or else the ids, as in training.
    """
    import time

    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from benchmarks import registry
    from benchmarks.engine.inference import load, predict_file
    from benchmarks.io.columns import parse

    for file in plugin or ():
        registry.add_plugin(file)
    members = load.open_all(load.located(weights, task, results), device)
    trained = members[0]
    source = predict_file.SequenceFile(input_, trained.task, trained.spec, given=parse(columns))
    started = time.perf_counter()
    bars = (TextColumn("{task.completed:,.0f} sequences"), TimeElapsedColumn())
    with Progress(*bars, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("predicted", total=None)
        n = predict_file.predict_file(
            [member.model for member in members],
            source,
            out,
            both_strands=both_strands,
            on_piece=lambda done: progress.update(bar, completed=done),
        )
    seconds = time.perf_counter() - started
    if json:
        facts = {"model": trained.title, "task": trained.task.NAME, "n": n, "seconds": seconds, "out": str(out)}
        print_json(facts | {"n_models": len(members), "both_strands": both_strands, "input": source.account.to_dict()})
        return
    for line in source.account.sentences():
        typer.echo(line)
    title = trained.title if len(members) == 1 else f"Mean of {len(members)} trainings of {trained.key} in {weights}"
    strands = ", averaged over both strands" if both_strands else ""
    typer.echo(f"{title}{strands}: {n:,} sequences in {seconds:.1f} s ({n / seconds:,.0f} a second). {out}")
