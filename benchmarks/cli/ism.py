"""`python -m benchmarks ism …`: what every base of a sequence is worth to a model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import system
from benchmarks.cli.options import RESULTS, SETTINGS, JsonOption, ResultsOption, command, print_json
from benchmarks.errors import BadInput, did_you_mean
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
    out: Annotated[Path, typer.Option(help="Folder to write to; it is made.")],
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
    """Predict all single substitutions of sequences, and say what each position is worth.

    Writes ism.csv (a row per position), ism.npz (all effects), logos, and, for several models, how far they agree.
    """
    from collections import Counter

    import numpy as np
    import pandas as pd

    from benchmarks.api.task import HasConstantFlanks, supports
    from benchmarks.apps.ism import model_agreement, tables
    from benchmarks.engine.inference import load, mutagenesis, predict_file
    from benchmarks.engine.reporting.console import bar
    from benchmarks.io.atomic import write_text

    mutagenesis.position_scores(np.zeros((0, 1, 4), np.float32), mean_over)
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out} is a file; a folder is expected.")
    long, substitutions, arrays, scores, simulated = [], [], {}, {}, False
    pieces = list(predict_file.read_pieces(input_))
    ids = [name for piece in pieces for name in piece.ids]
    texts = [text for piece in pieces for text in piece.sequences]
    if twice := next((name for name, count in Counter(ids).items() if count > 1), None):
        raise BadInput(
            f"{input_} has several sequences named {twice!r}; rename them, so that tables can tell them apart."
        )
    for label, one in load.open_each(run, device):
        rows = _joined([predict_file.as_data(input_, piece, one.spec, one.task.encode) for piece in pieces])
        has_flanks = supports(one.task, HasConstantFlanks)
        where = one.task.variable_region_mask(rows.codes) if has_flanks and not whole else None
        offsets = one.task.offsets(texts) if has_flanks else np.zeros(len(ids), np.int64)
        with bar(label, mutagenesis.n_mutants(rows.codes, where)) as on_done:
            found = mutagenesis.effects(one.model, rows, where=where, outputs=output, on_done=on_done)
        arrays["codes"] = rows.codes
        for name, of in found.items():
            score = mutagenesis.position_scores(of.deltas, mean_over)
            scores.setdefault(label, {})[name] = score
            about = {"model": label, "output": name, "trained_on": one.trained_on}
            long.append(tables.per_position(rows.codes, ids, offsets, of, score, **about))
            if raw:
                substitutions.append(tables.per_substitution(rows.codes, ids, offsets, of, **about))
            arrays |= {f"{label}/{name}": of.deltas, f"{label}/{name}/wild_type": of.wild_type}
        simulated |= one.trained_on == "simulated"
    out.mkdir(parents=True, exist_ok=True)
    table = pd.concat(long, ignore_index=True)
    write_text(out / "ism.csv", table.to_csv(index=False))
    np.savez_compressed(out / "ism.npz", **arrays)
    if raw:
        write_text(out / "substitutions.csv", pd.concat(substitutions, ignore_index=True).to_csv(index=False))
    agreed = model_agreement.agreement(scores, ids)
    if len(scores) > 1:
        write_text(out / "agreement.csv", agreed.to_csv(index=False))
    drawn = _draw(out, arrays["codes"], ids, scores, where, logos, simulated)
    overall = agreed[agreed["seq_id"] == model_agreement.ALL]
    if json:
        print_json({"out": str(out), "n_sequences": len(ids), "agreement": records(overall), "logos": drawn})
        return
    for row in overall.itertuples():
        typer.echo(
            f"{row.model} and {row.other}, {row.output}: r = {row.pearson_r:.3f} ({row.n_positions:,} positions)"
        )
    typer.echo(f"{len(ids):,} sequences, {len(table):,} rows: {out / 'ism.csv'}")


@command(
    app,
    "ism-pairs --run results/runs/yeast/… --pairs pairs.tsv --out effects.csv",
    "ism-pairs --run results/runs/yeast/… --pairs test_pairs.tsv --input test_designed_maude.tsv --out effects.csv",
)
def ism_pairs(
    run: ModelsOption,
    pairs: Annotated[Path, typer.Option(help="Table: seq_ref, seq_alt; or positions or row numbers of --input.")],
    out: Annotated[Path, typer.Option(help="CSV file to write.")],
    input_: Annotated[Path | None, typer.Option("--input", help="Sequences that the pairs refer to.")] = None,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Predict the effects of variants, beside measured ones where the table has them."""
    import pandas as pd

    from benchmarks.api.task import HasElementLength, supports
    from benchmarks.apps.ism import variants as reading
    from benchmarks.engine.inference import load
    from benchmarks.engine.reporting.console import bar
    from benchmarks.io.atomic import write_text

    if not out.parent.is_dir():
        raise BadInput(f"The folder of --out, {out.parent}, does not exist.")
    tables = []
    for label, one in load.open_each(run, device):
        element_len = one.task.ELEMENT_LEN if supports(one.task, HasElementLength) else None
        table = reading.read(pairs, input_, element_len=element_len)
        with bar(label, 2 * len(table)) as on_done:
            found = reading.predict(one.model, one.spec, one.task.encode, table, pairs, on_done)
        tables.append(found.assign(model=label, trained_on=one.trained_on))
    effects = pd.concat(tables, ignore_index=True)
    write_text(out, effects.to_csv(index=False))
    r = reading.correlations(effects)
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
    """Say how well models of runs on SIMULATED data find the motifs that were planted, against shuffled positions.

    Area under the precision-recall curve of planted bases ranked by the size of their score, pooled over test
    sequences of the first finished training of every model.
    """
    import pandas as pd

    from benchmarks import registry
    from benchmarks.api.task import HasPlantedMotifs, supports
    from benchmarks.apps.ism.motif_recovery import recovery
    from benchmarks.engine.inference import load, mutagenesis
    from benchmarks.engine.reporting.console import bar
    from benchmarks.engine.store.experiment import Experiment
    from benchmarks.engine.store.store import Store
    from benchmarks.io.atomic import write_text

    if out and not out.parent.is_dir():
        raise BadInput(f"The folder of --out, {out.parent}, does not exist.")
    store, rows, left_out = Store(results), [], []
    for experiment in Experiment.open_many(store, task or ()):
        module, plan = registry.get_task(experiment.plan.task), experiment.plan
        wanted = [name.strip() for name in models.split(",")] if models else list(plan.models)
        for name in wanted if models else ():
            if name not in plan.models:
                raise BadInput(did_you_mean("model of this run", name, list(plan.models)))
        for model in wanted:
            job = next((j for j in plan.jobs if j.model == model and store.training(j).is_done), None)
            if job is None:
                continue
            folder = store.training(job).folder
            dataset = store.get_dataset(job.dataset, job.digest)
            if dataset.origin != "simulated" or not supports(module, HasPlantedMotifs):
                left_out.append(f"{plan.task}, {model}: {job.dataset} is measured: where its motifs lie is not known")
                continue
            if not load.has_model(folder):
                left_out.append(f"{plan.task}, {model}: it was made elsewhere or with --no-save-models: no weights")
                continue
            one = load.open_model(folder, device)
            test = dataset.take(_with_motifs(module, dataset, store.training(job).predictions()[0], n))
            where = module.candidate_mask(test.codes)
            with bar(f"{plan.task}, {model}", mutagenesis.n_mutants(test.codes, where)) as on_done:
                found = mutagenesis.effects(one.model, test.without_targets(), where=where, on_done=on_done)
            for output, of in found.items():
                score = mutagenesis.position_scores(of.deltas)
                about = {"task": plan.task, "model": model, "output": output, "origin": dataset.origin}
                rows.append(about | recovery(score, module.motif_mask(test.codes, output)))
    if not rows:
        raise BadInput(f"There is nothing to search: {'; '.join(left_out) or 'no training is finished'}.")
    for line in left_out:
        typer.echo(f"Left out: {line}", err=True)
    table = pd.DataFrame(rows)
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
    import statistics
    import time

    import numpy as np

    from benchmarks.api.sequences import decode
    from benchmarks.engine.inference import load, mutagenesis

    rows = []
    for label, one in load.open_each(run, device):
        length = one.spec.seq_len
        codes = np.random.default_rng(0).integers(0, 4, (n, length), dtype=np.uint8)
        data = mutagenesis.of_codes(codes, one.spec)
        texts, ours, naive = decode(codes), [], []
        tried = [(i, at) for i in range(n) for at in range(0, length, max(1, length // 25))]
        mutagenesis.effects(one.model, data.take(np.arange(1)))  # compiling is not what is measured
        for _ in range(repeats):
            start = time.perf_counter()
            mutagenesis.effects(one.model, data)
            ours.append(mutagenesis.n_mutants(codes) / (time.perf_counter() - start))
            start = time.perf_counter()
            for i, at in tried:
                letter = "ACGT"["ACGT".index(texts[i][at]) - 1]
                mutant = texts[i][:at] + letter + texts[i][at + 1 :]
                one.model.predict(mutagenesis.of_codes(one.task.encode([mutant]), one.spec))
            naive.append(len(tried) / (time.perf_counter() - start))
        a, b = statistics.median(ours), statistics.median(naive)
        rows.append({"model": label, "mutants_per_s": a, "one_at_a_time_per_s": b, "ratio": a / b})
    if json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(
            f"{row['model']}: {row['mutants_per_s']:,.0f} mutants/s, {row['one_at_a_time_per_s']:,.0f} one at a time: "
            f"{row['ratio']:.1f} times"
        )


def _joined(data: list) -> Any:
    """Put pieces of input into one."""
    import dataclasses

    import numpy as np
    import pandas as pd

    meta = pd.concat([piece.meta for piece in data], ignore_index=True)
    return dataclasses.replace(data[0], codes=np.concatenate([piece.codes for piece in data]), meta=meta)


def _with_motifs(task: Any, dataset: Any, rows: Any, n: int) -> Any:
    """Choose the first test rows with planted motifs."""
    import numpy as np

    output = task.SPEC.outputs[0]
    has = task.motif_mask(np.asarray(dataset.codes[rows]), output).any(axis=1)
    return rows[has][:n]


def _draw(out: Path, codes: Any, ids: list[str], scores: dict, where: Any, n: int, simulated: bool) -> list[str]:
    """Draw the first sequences as logos, all models below each other; what to draw with may be absent."""
    if not n or not system.has_packages("matplotlib", "logomaker"):
        return []
    import numpy as np

    from benchmarks.engine.figures import ism as ism_figures
    from benchmarks.engine.figures import style

    inside = slice(None)
    if where is not None:
        columns = np.flatnonzero(where.any(axis=0))
        inside = slice(int(columns[0]), int(columns[-1]) + 1)
    drawn = []
    for i in range(min(n, len(ids))):
        heights = {
            f"{label}, {output}": -values[i, inside]
            for label, several in scores.items()
            for output, values in several.items()
        }
        figure = ism_figures.tracks(codes[i, inside], heights, title=ids[i], simulated=simulated)
        drawn += [str(path) for path in style.save(figure, out / f"logo-{i + 1:03d}")]
    return drawn
