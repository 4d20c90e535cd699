"""`python -m benchmarks bench …`: speeds as the paper measured them, and the engine against what it replaces."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import system
from benchmarks.cli.options import SETTINGS, JsonOption, command, model_names, print_json
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io.json_files import records

NAME = "bench"
app = typer.Typer(
    name=NAME,
    help="Measure how fast models are on this machine (`speed`), and the engine against what it replaces.",
    no_args_is_help=True,
    **SETTINGS,
)

TaskOption = Annotated[str, typer.Option(help="Task whose shapes are used.")]
PresetOption = Annotated[str, typer.Option(help="Preset whose recipe is used.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="recipe.key=value or model.key=value (repeatable).")]


@command(
    app,
    "bench speed",
    "bench speed --task atac --models chrombpnet --protocol paper --out speed/",
    "bench speed --task human_mpra --set recipe.precision=bfloat16 --json",
    "bench speed --memory-limit 16GB   # a V100's ceiling on a larger card",
)
def speed(
    task: Annotated[list[str] | None, typer.Option(help="Task (repeatable); default: human_mpra.")] = None,
    models: Annotated[str | None, typer.Option(help="Models, separated by commas; default: all of the task.")] = None,
    protocol: Annotated[
        str, typer.Option(help="paper: 5,000 batches, 50 repeats; short: 100, 10; quick: 5, 3.")
    ] = "short",
    preset: PresetOption = "paper",
    set_: SetOption = None,
    device: DeviceOption = "auto",
    memory_limit: Annotated[str | None, typer.Option(help="End of memory, such as 16GB.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for speed.csv, throughput.csv, repeats.csv, speed.json and plots.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure seconds per training batch and predictions per second, as the paper did; random weights, simulated rows.

    Batches of 32 sequences are trained on (64 windows of atac). Predictions are made in batches of 32, 64, 128 … until
    memory ends (1,024 on a CPU). A device's own peak is measured in the same run.
    """
    import pandas as pd

    from benchmarks import registry
    from benchmarks.apps.speed import measure as measuring
    from benchmarks.engine.evaluation import speed_repeats
    from benchmarks.engine.execution import machine, workers
    from benchmarks.engine.reporting.console import open_console
    from benchmarks.io.atomic import write_text
    from benchmarks.io.json_files import write_json

    if protocol not in measuring.PROTOCOLS:
        raise BadInput(did_you_mean("protocol", protocol, list(measuring.PROTOCOLS)))
    system.check_device(device)
    wanted = model_names(models)
    limit = _gibibytes(memory_limit)
    cases = [
        case
        for name in task or ["human_mpra"]
        for case in measuring.cases(
            name, wanted, preset=preset, changes=set_ or [], device=device, memory_limit_gib=limit
        )
    ]
    console = open_console(stderr=True)
    found: dict[str, dict] = {}
    failed: dict[str, str] = {}

    def on_event(call_id: str, kind: str, payload: Any) -> None:
        if kind == "done":
            found[call_id] = payload
        elif kind == "failed":
            failed[call_id] = payload["reason"]
        if kind in ("start", "done", "failed"):
            console.print(f"{kind}: {call_id}", markup=False, highlight=False)

    calls = [workers.Call(f"{case.task}, {case.model}", case.framework, (case, protocol)) for case in cases]
    with tempfile.TemporaryDirectory() as logs:
        workers.run_workers(
            "benchmarks.apps.speed.measure:measure",
            calls,
            on_event,
            n_workers=1,
            environments=machine.Machine(device, 1, system.n_cores()).environments(),
            log_folder=Path(logs),
        )
    speeds = pd.DataFrame([one["speed"] for one in found.values()], columns=measuring.SPEED_COLUMNS)
    throughput = pd.DataFrame(
        [row for one in found.values() for row in one["throughput"]], columns=measuring.THROUGHPUT_COLUMNS
    )
    repeats = pd.DataFrame([row for one in found.values() for row in one["repeats"]], columns=speed_repeats.COLUMNS)
    facts = {
        "hardware": system.hardware(), "versions": system.versions(), "speed": records(speeds),
        "throughput": records(throughput), "failed": failed,
    }  # fmt: skip
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "speed.csv", speeds.to_csv(index=False))
        write_text(out / "throughput.csv", throughput.to_csv(index=False))
        write_text(out / speed_repeats.FILE, repeats.to_csv(index=False))
        write_json(out / "speed.json", facts)
        if len(speeds) and system.can_draw():
            from benchmarks.engine.figures import speed as speed_figures
            from benchmarks.engine.figures import style

            titles = {name: registry.model_entry(name).title for name in speeds["model"].unique()}
            style.save(speed_figures.bars(speeds, titles), out / "speed")
            style.save(speed_figures.throughput(throughput, titles), out / "throughput")
    if json:
        print_json(facts)
    else:
        for row in speeds.itertuples():
            typer.echo(
                f"{row.task}, {row.model} ({row.device_name}, {row.precision}, protocol {row.protocol}): "
                f"{1000 * row.s_per_batch:,.1f} ms per batch of {row.batch_size}, "
                f"{row.predict_seq_per_s:,.0f} predictions/s at {row.predict_batch:,}, the largest batch "
                f"({row.fastest_seq_per_s:,.0f} at {row.fastest_batch:,}, the fastest), {_share(row.share_of_peak)}"
            )
        for name, reason in failed.items():
            typer.echo(f"{name}: not measured: {reason}", err=True)
    if failed:
        raise typer.Exit(1)


def _share(share: float) -> str:
    if share == share:
        return f"{share:.0%} of the device's matrix product"
    return "faster than the device's matrix product as timed beside it, so no share is given"


@command(
    app,
    "bench loop --model dream_rnn",
    "bench loop --task yeast --model dream_cnn --preset quick --json",
    "bench loop --task drosophila --model deepstarr",
)
def loop(
    task: TaskOption = "human_mpra",
    model: Annotated[str, typer.Option(help="A network.")] = "dream_cnn",
    preset: PresetOption = "paper",
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Trials, interleaved.")] = 5,
    set_: SetOption = None,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Compare the engine with the training loop of the published notebooks: training, predicting, making batches.

    `at most`, on a CPU, is how many times as fast the notebook loop would be if its products ran as fast as the
    machine's own matrix product.
    """
    from benchmarks.apps.speed import notebook_loop

    rows = notebook_loop.compare(_one_case(task, model, preset, set_, device), repeats=repeats)
    if json:
        print_json(rows)
        return
    for row in rows:
        rates = ", ".join(f"{name} {row[name]:,.0f}" for name in ("plain", "float32", "bfloat16") if name in row)
        ratios = ", ".join(f"{row[f'ratio_{name}']:.2f}" for name in ("float32", "bfloat16") if name in row)
        bound = f" (at most {row['at_most']:.1f})" if "at_most" in row else ""
        typer.echo(
            f"{row['model']}, {row['part']}, batch {row['batch_size']}: {rates} sequences/s; {ratios} times{bound}"
        )
    where = rows[0]
    typer.echo(f"On {where['device_name']}, {where['threads']} threads; {where['framework']}, {where['backend']}.")


@command(
    app,
    "bench packing --model mprann",
    "bench packing --model dream_cnn --members 1,2,4,9 --seconds 20 --device cuda --json",
)
def packing(
    task: TaskOption = "human_mpra",
    model: Annotated[str, typer.Option(help="A network.")] = "dream_cnn",
    preset: PresetOption = "paper",
    members: Annotated[str, typer.Option(help="Trainings at a time, separated by commas.")] = "1,2,4,9",
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each number is measured.")] = 10.0,
    set_: SetOption = None,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Measure the throughput of concurrent trainings on one device, against one."""
    from benchmarks.engine.execution import packing as measuring

    case = _one_case(task, model, preset, set_, device)
    counts = [int(part) for part in members.split(",") if part.strip().isdecimal() and int(part)]
    if not counts or len(counts) != len(members.split(",")):
        raise BadInput(f"--members expects numbers such as 1,2,4,9, got {members!r}.")
    rows: list[dict[str, Any]] = []
    for n in counts:
        results = measuring.train_concurrently(case, n, seconds=seconds)
        rate = sum(result["train_seq_per_s"] for result in results)
        about = {name: results[0][name] for name in ("device", "device_name", "precision")}
        rows.append({"model": model, "members": n, "train_seq_per_s": rate} | about)
    for row in rows:
        row["ratio"] = row["train_seq_per_s"] / rows[0]["train_seq_per_s"]
    if json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(
            f"{row['model']}, {row['members']} at a time on {row['device_name']}: {row['train_seq_per_s']:,.0f} "
            f"sequences/s together, {row['ratio']:.2f} times {rows[0]['members']}"
        )


@command(
    app,
    "bench precision --models dream_cnn,dream_rnn",
    "bench precision --data data/human_mpra --models dream_rnn --seeds 5 --out precision.csv",
)
def precision(
    task: TaskOption = "human_mpra",
    models: Annotated[str | None, typer.Option(help="Torch models, separated by commas; default: all.")] = None,
    preset: Annotated[str, typer.Option(help="Preset that is run.")] = "quick",
    data: Annotated[Path | None, typer.Option(help="Table, or folder of tables, instead of the preset's data.")] = None,
    folds: Annotated[str, typer.Option(help="Test folds: 0,3 or 0-4.")] = "0",
    members: Annotated[int, typer.Option(min=1, help="Models per test fold.")] = 1,
    seeds: Annotated[int, typer.Option(min=3, help="Seeds of weights and shuffling.")] = 3,
    set_: SetOption = None,
    device: DeviceOption = "auto",
    results: Annotated[Path | None, typer.Option("--results", help="Folder to keep the trainings in.")] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file to write.")] = None,
    json: JsonOption = False,
) -> None:
    """Train in float32 and in bfloat16 from the same seeds, and say what that does to the scores.

    The difference is set beside the spread between seeds: a score may be taken for unchanged where it is smaller.
    """
    from benchmarks import registry
    from benchmarks.apps.regression import train_matrix
    from benchmarks.cli.options import fold_numbers
    from benchmarks.engine.planning import data_sources
    from benchmarks.engine.planning.plan import make_plan
    from benchmarks.engine.reporting.console import open_console
    from benchmarks.engine.store.store import Store
    from benchmarks.io.atomic import write_text

    system.check_device(device)
    module = registry.get_task(task)
    wanted = model_names(models) or [name for name in module.MODELS if registry.model_entry(name).framework == "torch"]
    if other := next((name for name in wanted if registry.model_entry(name).framework != "torch"), None):
        raise BadInput(f"bench precision takes torch models; {other} is not one.")
    source = data_sources.find(module, preset, data, seed=0)
    console = open_console(stderr=True)

    def on_event(job: Any, kind: str, payload: Any) -> None:
        if kind in ("done", "failed"):
            console.print(f"{kind}: {job.model}, {job.recipe['precision']}, seed {seed}", highlight=False)

    tables = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(results or Path(folder))
        for seed in range(seeds):
            for one in ("float32", "bfloat16"):
                changes = [*(set_ or []), f"recipe.precision={one}"]
                planned = make_plan(
                    module, preset, source, seed=seed, models=wanted, test_folds=fold_numbers(folds),
                    n_members=members, changes=changes,
                )  # fmt: skip
                found = train_matrix.measure([planned], store, on_event, device=device)
                if found.failures:
                    raise BadInput(f"A training failed: {found.failures[0]}")
                rates = {name.partition("/")[2]: rate for name, rate in found.train_seq_per_s.items()}
                tables.append(
                    found.scores.assign(precision=one, seed=seed, train_seq_per_s=found.scores["model"].map(rates))
                )
    table = train_matrix.precision_differences(tables).assign(origin=source[0].dataset.origin)
    if out:
        write_text(out, table.to_csv(index=False))
    if json:
        print_json(records(table))
        return
    for row in table.itertuples():
        typer.echo(
            f"{row.model}, {row.output}, {row.metric} ({row.origin}): bfloat16 {row.mean_difference:+.4f} "
            f"± {row.sd_difference:.4f} over {row.n_seeds} seeds; float32 {row.mean_float32:.4f} "
            f"± {row.sd_float32:.4f}; "
            f"training {row.ratio_speed:.2f} times as fast"
        )


@command(
    app,
    "bench encoding",
    "bench encoding --task yeast",
    "bench encoding --task atac --n-peaks 200000",
)
def encoding(
    task: TaskOption = "human_mpra",
    n_peaks: Annotated[int, typer.Option(min=100, help="Peaks of the store that `--task atac` reads.")] = 2000,
    json: JsonOption = False,
) -> None:
    """Compare encoding with a per-row dictionary encoder.

    On yeast with the 18 bins of every row; on atac, an epoch of windows against reading each from genome and signal.
    """
    from benchmarks.apps.speed import encoding as references

    of_task = {"yeast": references.bench_promoters, "atac": lambda: references.bench_windows(n_peaks)}
    _say(of_task.get(task, references.bench_encoding)(), json)


@command(app, "bench step --model dream_rnn", "bench step --model dream_cnn --preset quick --json")
def step(
    task: TaskOption = "human_mpra",
    model: Annotated[str, typer.Option(help="A torch model.")] = "dream_cnn",
    preset: PresetOption = "paper",
    json: JsonOption = False,
) -> None:
    """Measure the share of a torch step that is not computing."""
    from benchmarks.apps.speed.training_step import bench_step

    _say(bench_step(task, model, preset=preset), json)


@command(app, "bench backends --model mprann --preset paper")
def backends(
    task: TaskOption = "human_mpra",
    model: Annotated[str, typer.Option(help="A Keras model.")] = "mprann",
    preset: PresetOption = "paper",
    json: JsonOption = False,
) -> None:
    """Say how far a Keras model on tensorflow and on torch are apart, in one forward pass and ten steps."""
    from benchmarks.apps.speed import keras_backends as comparing

    _say(comparing.compare(task, model, preset=preset), json)


def _one_case(task: str, model: str, preset: str, changes: list[str] | None, device: str) -> Any:
    from benchmarks.apps.speed import measure

    system.check_device(device)
    return measure.cases(task, [model], preset=preset, changes=changes or [], device=device, memory_limit_gib=None)[0]


def _say(result: dict[str, Any], json: bool) -> None:
    if json:
        print_json(result)
        return
    for key, value in result.items():
        typer.echo(f"{key}: {value:,.4g}" if isinstance(value, float) else f"{key}: {value}")


def _gibibytes(text: str | None) -> float | None:
    """Read `16GB`, decimal as memory is sold, or `16GiB`; None where the option was not given."""
    import re

    if text is None:
        return None
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(GB|GiB)\s*", text)
    if not found or float(found[1]) <= 0:
        raise BadInput(f"--memory-limit expects a size such as 16GB or 15GiB, got {text!r}.")
    return float(found[1]) * (1e9 / 2**30 if found[2] == "GB" else 1.0)
