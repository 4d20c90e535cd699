"""`python -m benchmarks ism …`: the effect of every base of a sequence on a model's prediction."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cli.options import RESULTS, SETTINGS, ColumnsOption, JsonOption, ResultsOption, command, print_json
from benchmarks.errors import BadInput
from benchmarks.io.json_files import records

NAME = None
app = typer.Typer(**SETTINGS)

ModelsOption = Annotated[
    list[Path], typer.Option("--run", "--weights", help="Folder of a training, or published weights (repeatable).")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
TaskOption = Annotated[
    list[str] | None, typer.Option("--task", help="Task whose latest run is taken (repeatable); default: all.")
]


@command(
    app,
    "ism --run results/runs/human_mpra/K562/dream_rnn-1a2b3c4d/test-00_val-01 --input seqs.fa --out ism/",
    "ism --weights model_best.pth --run results/runs/yeast/… --input promoters.tsv --out ism/ --logos 5",
)
def ism(
    run: ModelsOption,
    input_: Annotated[Path, typer.Option("--input", help="Sequences: FASTA, table or text, as `predict` takes them.")],
    out: Annotated[Path, typer.Option(help="Folder to write to; it is created.")],
    columns: ColumnsOption = None,
    output: Annotated[
        list[str] | None, typer.Option(help="Outputs (repeatable), profile_jsd among them; default: all numbers.")
    ] = None,
    mean_over: Annotated[int, typer.Option(help="Average over 3 other bases, or 4 with the base itself.")] = 3,
    whole: Annotated[bool, typer.Option("--whole", help="Mutate constant flanks and adapters too.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Write every substitution, not only every position.")] = False,
    logos: Annotated[int, typer.Option(min=0, help="Draw this many of the sequences as logos.")] = 3,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Predict all single substitutions of sequences, and score each position by their effects.

    Writes ism.csv (a row per position), ism.npz (all effects), logos, and, for several models, how far they agree.
    """
    from benchmarks.apps.ism import model_agreement
    from benchmarks.apps.ism.mutagenise import mutagenise, write
    from benchmarks.io.columns import parse

    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out} is a file; a folder is expected.")
    result = mutagenise(
        *(input_, run, device),
        outputs=output,
        mean_over=mean_over,
        whole=whole,
        substitutions=raw,
        given=parse(columns),
    )
    files = write(result, out, logos)
    overall = result.agreement[result.agreement["seq_id"] == model_agreement.ALL]
    if json:
        print_json({"out": str(out), "n_sequences": len(result.ids), "agreement": records(overall), "logos": files})
        return
    for row in overall.itertuples():
        typer.echo(
            f"{row.model} and {row.other}, {row.output}: r = {row.pearson_r:.3f} ({row.n_positions:,} positions)"
        )
    typer.echo(f"{len(result.ids):,} sequences, {len(result.positions):,} rows: {out / 'ism.csv'}")


@command(
    app,
    "ism-pairs --run results/runs/yeast/… --pairs pairs.tsv --out effects.csv",
    "ism-pairs --run results/runs/yeast/… --pairs test_pairs.tsv --input test_designed_maude.tsv --out effects.csv",
)
def ism_pairs(
    run: ModelsOption,
    pairs: Annotated[
        Path, typer.Option(help="Table of variants: seq_ref, seq_alt; or positions or row numbers of --input.")
    ],
    out: Annotated[Path, typer.Option(help="CSV file to write.")],
    input_: Annotated[Path | None, typer.Option("--input", help="Sequences that the variants refer to.")] = None,
    columns: ColumnsOption = None,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Predict the effects of variants, beside measured ones where the table has them."""
    from benchmarks.apps.ism import variants
    from benchmarks.io.atomic import write_text
    from benchmarks.io.columns import parse

    if not out.parent.is_dir():
        raise BadInput(f"The folder of --out, {out.parent}, does not exist.")
    effects = variants.predict_by_models(pairs, input_, run, device, parse(columns))
    write_text(out, effects.to_csv(index=False))
    r = variants.correlations(effects)
    if json:
        print_json({"out": str(out), "n": len(effects), "correlations": records(r)})
        return
    for row in r.itertuples():
        typer.echo(f"{row.model}, {row.output}, {row.group}: r = {row.pearson_r:.3f}, rho = {row.spearman_rho:.3f}")
    typer.echo(f"{len(effects):,} effects: {out}")


@command(app, "ism-recovery --task human_mpra", "ism-recovery --task human_mpra --task yeast --n 8 --out recovery.csv")
def ism_recovery(
    task: TaskOption = None,
    models: Annotated[str | None, typer.Option(help="Models, separated by commas; default: all of the run.")] = None,
    n: Annotated[int, typer.Option(min=1, help="Sequences per model.")] = 8,
    out: Annotated[Path | None, typer.Option(help="CSV file to write.")] = None,
    device: DeviceOption = "auto",
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Measure how well models of runs on SIMULATED data find planted motifs, against shuffled positions.

    Area under the precision-recall curve of planted bases ranked by the size of their score, pooled over test
    sequences of the first finished training of every model.
    """
    from benchmarks.apps.ism.motif_recovery import recover_in_runs
    from benchmarks.engine.store.store import Store
    from benchmarks.io.atomic import write_text

    if out and not out.parent.is_dir():
        raise BadInput(f"The folder of --out, {out.parent}, does not exist.")
    names = [name.strip() for name in models.split(",")] if models else None
    table, left_out = recover_in_runs(Store(results), task or (), names, n=n, device=device)
    for line in left_out:
        typer.echo(f"Left out: {line}", err=True)
    if out:
        write_text(out, table.to_csv(index=False))
    if json:
        print_json(records(table))
        return
    typer.echo("Planted motifs recovered (SIMULATED DATA): average precision, shuffled control, share of planted bases")
    for row in table.itertuples():
        typer.echo(
            f"  {row.task:<12}{row.model:<18}{row.output:<12}{row.average_precision:.3f}  "
            f"{row.shuffled:.3f} ± {row.shuffled_sd:.3f}  {row.base_rate:.3f}"
        )


@command(app, "ism-bench --run results/runs/human_mpra/simulated/dream_cnn-1a2b3c4d/test-00_val-01")
def ism_bench(
    run: ModelsOption,
    n: Annotated[int, typer.Option(min=1, help="Sequences.")] = 2,
    repeats: Annotated[int, typer.Option(min=1, help="Times that both ways are measured, in turns.")] = 3,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Measure mutants per second, against a loop that writes, encodes and predicts one mutant at a time."""
    from benchmarks.apps.ism import mutagenesis_speed

    rows = mutagenesis_speed.measure(run, device, n=n, repeats=repeats)
    if json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(
            f"{row['model']}: {row['mutants_per_s']:,.0f} mutants/s, {row['one_at_a_time_per_s']:,.0f} one at a time: "
            f"{row['ratio']:.1f} times"
        )
