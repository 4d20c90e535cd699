"""`python -m benchmarks predict`: sequences in, predictions out, from published weights or a model of a run."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cli.options import JsonOption, command, print_json

NAME = None
app = typer.Typer()


@command(
    app,
    "predict --weights prix_fixe_model_weights/0_1_1_0 --input promoters.fa --out predictions.tsv",
    "predict --weights model_best.pth --input sequences.tsv.gz --out predictions.tsv.gz",
    "predict --weights results/runs/yeast/DREAM2022/dream_cnn-1a2b3c4d/test-00_val-00 --input s.txt --out p.tsv",
)
def predict(
    weights: Annotated[
        Path, typer.Option(help="Published state dict, folder of the published archive, or folder of a training here.")
    ],
    input_: Annotated[
        Path, typer.Option("--input", help="FASTA, table with a column seq, or a sequence per line; plain or gzip.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Table to write: seq_id and prediction; .gz compresses it. Profiles are written beside it, as .npy."
        ),
    ],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    plugin: Annotated[list[Path] | None, typer.Option(help="File of the model, where it was a plug-in.")] = None,
    json: JsonOption = False,
) -> None:
    """Predict sequences with trained weights, in full batches; yeast promoters averaged over both strands.

    Weights are loaded strictly and as plain tensors: no code in the file is run. Yeast promoters are given as in the
    challenge, with both adapters; human elements with 200 or 230 bp, fly windows with 249, ATAC windows with 2,114. A
    table's column `is_reverse` (0 or 1) says which rows are a reverse orientation, for tasks that measured both.
    """
    import time

    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from benchmarks import registry
    from benchmarks.engine.inference import load, predict_file

    for file in plugin or ():
        registry.add_plugin(file)
    trained = load.open_model(weights, device)
    started = time.perf_counter()
    columns = (TextColumn("{task.completed:,.0f} sequences"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("predicted", total=None)
        n = predict_file.predict_file(
            trained.model,
            trained.spec,
            trained.task.encode,
            input_,
            out,
            on_piece=lambda done: progress.update(bar, completed=done),
        )
    seconds = time.perf_counter() - started
    if json:
        print_json({"model": trained.title, "task": trained.task.NAME, "n": n, "seconds": seconds, "out": str(out)})
    else:
        typer.echo(f"{trained.title}: {n:,} sequences in {seconds:.1f} s ({n / seconds:,.0f} a second). {out}")
