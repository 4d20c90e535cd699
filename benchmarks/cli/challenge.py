"""`python -m benchmarks challenge …`: score, check, rank and list submissions to the DREAM Challenge."""

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import system
from benchmarks.cli.options import MODEL_HELP, RESULTS, SETTINGS, JsonOption, ResultsOption, command, print_json
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io.json_files import records

NAME = "challenge"
RULES = """The Random Promoter DREAM Challenge 2022: score, check, rank and list submissions.

**The rules of the competition.** Models were trained on the given 6.7 million random promoters alone: no external data
and no pseudo-labels of the test sequences. No ensembles: one model per submission, though a model may average its own
predictions over a sequence's two strands. The score: Pearson r² and Spearman rho over the whole test set and eight
subsets, weighted; SNV pairs weigh most."""

app = typer.Typer(name=NAME, help=RULES, no_args_is_help=True, **SETTINGS)

DataOption = Annotated[
    Path, typer.Option("--data", help="Folder of the test set: the published layout, or the prepared tables.")
]
PartOption = Annotated[str, typer.Option("--part", help="public (leaderboard), private (final) or all.")]
InferredOption = Annotated[
    bool, typer.Option("--inferred-snvs", help="Use inferred SNV pairs where the official ones are absent.")
]
PartialOption = Annotated[
    bool, typer.Option("--partial", help="Weight the parts at hand instead of refusing; not comparable with others.")
]


@command(
    app,
    "challenge score --data data/yeast --submission mine.txt",
    "challenge score --data data/yeast --submission mine.json --part public --json",
)
def score(
    data: DataOption,
    submission: Annotated[Path, typer.Option(help="Leaderboard JSON or final text file, plain or gzip.")],
    part: PartOption = "private",
    inferred_snvs: InferredOption = False,
    json: JsonOption = False,
) -> None:
    """Score a submission: every subset and both challenge scores."""
    from benchmarks.yeast import challenge_score, submissions

    test = _test_set(data, inferred_snvs)
    part = _part(part)
    y_pred, public_only = submissions.read(submission, test)
    if public_only and part != "public":
        raise BadInput(f"{submission} has the public rows alone; score it with --part public.")
    table = challenge_score.score(test, y_pred, part)
    if json:
        print_json({"part": part, "origin": test.origin, "notes": test.notes, "scores": records(table)})
        return
    _say_notes(test)
    wide = table.pivot_table(index="subset", columns="metric", values="value", sort=False, dropna=False)
    n = table.groupby("subset", sort=False)["n"].first()
    for subset, row in wide.iterrows():
        if subset != "challenge":
            weight = challenge_score.WEIGHTS[subset]
            r, rho = row["pearson_r"], row["spearman_rho"]
            typer.echo(f"{subset:<20} n {n[subset]:>7,}  weight {weight:<5} Pearson r {r:.6f}  Spearman rho {rho:.6f}")
    for metric, value in challenge_score.challenge_scores(table).items():
        missing = [name for name in challenge_score.WEIGHTS if name not in set(table["subset"])]
        why = f" (not defined: {', '.join(missing)} not at hand)" if missing else ""
        typer.echo(f"{metric.replace('_', ' ').capitalize():<20} {value:.6f}{why}")


@command(
    app,
    "challenge submit --data data/yeast --run dream_cnn --out mine.txt",
    "challenge submit --data designed/ --run results/runs/yeast/simulated/dream_cnn-1a2b3c4d --out mine.txt",
)
def submit(
    data: DataOption,
    run: Annotated[str, typer.Option("--run", "--weights", help=MODEL_HELP)],
    out: Annotated[Path, typer.Option(help="Text file to write: sequence and prediction, as the final submissions.")],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Predict a test set with a trained model, as a submission that `challenge score` takes."""
    import numpy as np

    from benchmarks.api.sequences import SequenceError
    from benchmarks.engine.inference import load, mutagenesis
    from benchmarks.engine.reporting import console
    from benchmarks.io.atomic import write_text

    if not out.parent.is_dir():
        raise BadInput(f"The folder of --out, {out.parent}, does not exist.")
    if out.is_dir():
        raise BadInput(f"--out {out} is a folder; a text file, e.g. {out / 'mine.txt'}, is expected.")
    test, several = _test_set(data, False), []
    models = load.open_all(load.located(run, "yeast", results), device)
    with console.bar("sequences", len(models) * len(test)) as on_done:
        for number, one in enumerate(models):
            if one.task.NAME != "yeast":
                raise BadInput(f"{run} was trained for {one.task.NAME}; a model of yeast is expected.")
            try:
                codes = one.task.encode([str(text) for text in test.sequences])
            except SequenceError as error:
                raise BadInput(f"{data}, test sequence {error.row}: {error.reason}.") from None
            parts = []
            for start in range(0, len(codes), mutagenesis.PIECE):
                rows = mutagenesis.of_codes(codes[start : start + mutagenesis.PIECE], one.spec)
                parts.append(next(iter(one.model.predict(rows).values())))
                on_done(number * len(test) + start + len(rows))
            several.append(np.concatenate(parts))
    y_pred = np.mean(several, axis=0, dtype=np.float64)
    lines = [f"{text}\t{value:.7g}\n" for text, value in zip(test.sequences, y_pred, strict=True)]
    write_text(out, "".join(lines))
    if json:
        about = {"n": len(test), "models": [one.title for one in models], "trained_on": models[0].trained_on}
        print_json({"out": str(out), **about})
        return
    label = " (trained on SIMULATED data)" * (models[0].trained_on == "simulated")
    typer.echo(f"{len(test):,} predictions, the mean of {len(models)} trainings{label}: {out}")


@command(app, "challenge validate --data data/yeast --submission mine.txt")
def validate(
    data: DataOption,
    submission: Annotated[Path, typer.Option(help="Leaderboard JSON or final text file, plain or gzip.")],
    json: JsonOption = False,
) -> None:
    """Say precisely what is wrong with a submission; exit code 2 if anything is."""
    from benchmarks.yeast import submissions

    found = submissions.problems(submission, _test_set(data, False))
    if json:
        print_json({"valid": not found, "problems": found})
    for problem in () if json else found:
        typer.echo(problem, err=True)
    if found:
        raise typer.Exit(2)
    if not json:
        typer.echo(f"{submission} is a valid submission.")


@command(
    app,
    "challenge rank --data data/yeast --submissions finals/ --out ranking/",
    "challenge rank --data data/yeast --submissions finals/ --draws 1000 --json",
)
def rank(
    data: DataOption,
    submissions: Annotated[Path, typer.Option(help="Folder of submissions, one file each; its name is the team's.")],
    part: PartOption = "private",
    draws: Annotated[int, typer.Option(min=1, help="Samples of the test set.")] = 10_000,
    share: Annotated[float, typer.Option(min=0.001, max=1.0, help="Share of the test set in a sample.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Of the samples.")] = 0,
    inferred_snvs: InferredOption = False,
    partial: PartialOption = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the plots and the tables behind them.")] = None,
    json: JsonOption = False,
) -> None:
    """Rank submissions by the bootstrap of the paper: both scores and all ranks in 10,000 samples of 10 %."""
    from rich.console import Console
    from rich.progress import Progress

    from benchmarks import system
    from benchmarks.yeast import challenge_score
    from benchmarks.yeast import rank_bootstrap as ranking

    test, part = _test_set(data, inferred_snvs), _part(part)
    predictions = _submissions(submissions, test, part)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("samples", total=draws)
        found = ranking.bootstrap(
            test, predictions, part=part, share=share, n_draws=draws, seed=seed, partial=partial,
            n_threads=system.n_cores(), on_draw=lambda done: progress.update(bar, completed=done),
        )  # fmt: skip
    table = found.table()
    scores = _scored(test, predictions, part)
    far = ranking.disparities(scores)
    left_out = [name for name in challenge_score.WEIGHTS if name not in found.parts]
    if out:
        _write_ranking(out, found, scores, far, simulated=test.origin == "simulated")
    if json:
        print_json(
            {"part": part, "draws": draws, "share": share, "seed": seed, "left_out": left_out, "origin": test.origin}
            | {"notes": test.notes, "ranking": records(table), "disparities": records(far)}
        )
        return
    _say_notes(test)
    if left_out:
        typer.echo(f"PARTIAL: {', '.join(left_out)} not at hand and left out; these scores compare with no others.")
    for row in table.itertuples():
        typer.echo(
            f"{row.place:>3}  {row.submission:<28} mean rank {row.mean_rank:6.2f}  "
            f"Pearson {row.mean_rank_pearson_score:6.2f}  Spearman {row.mean_rank_spearman_score:6.2f}"
        )


@command(
    app,
    "challenge leaderboard --data data/yeast --submissions all/ --part public --json",
    "challenge leaderboard --data data/yeast --submissions all/ --out progress/",
)
def leaderboard(
    data: DataOption,
    submissions: Annotated[Path, typer.Option(help="Folder of submissions, one file each.")],
    part: PartOption = "public",
    inferred_snvs: InferredOption = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables, and the progress over time.")] = None,
    json: JsonOption = False,
) -> None:
    """List a folder of submissions by score, with the date where a file's name ends in one (team_2022-07-31.json)."""
    from benchmarks.yeast import challenge_score

    test, part = _test_set(data, inferred_snvs), _part(part)
    table = _scored(test, _submissions(submissions, test, part), part)
    totals = table[table["subset"] == "challenge"]
    wide = totals.pivot_table(index="submission", columns="metric", values="value", sort=False, dropna=False)
    wide = wide.reset_index().sort_values("pearson_score", ascending=False, kind="stable", na_position="last")
    parts = wide["submission"].str.extract(r"^(?P<team>.*?)[_-]?(?P<date>\d{4}-\d{2}-\d{2})?$")
    wide = wide.assign(team=parts["team"], date=parts["date"]).reset_index(drop=True)
    missing = [name for name in challenge_score.WEIGHTS if name not in set(table["subset"])]
    if out:
        _write_tables(out, {"leaderboard": wide, "scores": table}, test.origin)
        if wide["date"].notna().any() and not missing and _can_draw(out):
            from benchmarks.engine.figures import challenge, style

            drawn = challenge.progression(wide, simulated=test.origin == "simulated")
            style.save(drawn, out / "progression")
    if json:
        print_json(
            {
                "part": part,
                "missing": missing,
                "notes": test.notes,
                "leaderboard": records(wide),
                "scores": records(table),
            }
        )
        return
    _say_notes(test)
    if missing:
        typer.echo(f"The scores are not defined: {', '.join(missing)} not at hand.")
    for place, row in enumerate(wide.itertuples(), start=1):
        date = f"  {row.date}" if isinstance(row.date, str) else ""
        pearson, spearman = f"{row.pearson_score:.6f}", f"{row.spearman_score:.6f}"
        typer.echo(f"{place:>3}  {row.team:<28}{date}  Pearson score {pearson}  Spearman score {spearman}")


def _test_set(folder: Path, inferred_snvs: bool) -> Any:
    from benchmarks.yeast import test_set

    return test_set.read(folder, inferred_snvs=inferred_snvs)


def _part(name: str) -> Any:
    if name not in ("public", "private", "all"):
        raise BadInput(f"--part: {did_you_mean('part', name, ['public', 'private', 'all'])}")
    return name


def _submissions(folder: Path, test: Any, part: str) -> dict[str, Any]:
    """Read every submission of a folder; those with the public rows alone serve for the public part only."""
    from benchmarks.yeast import submissions

    if not folder.is_dir():
        raise BadInput(f"--submissions: no folder at {folder}.")
    files = sorted(f for f in folder.iterdir() if f.name.removesuffix(".gz").endswith((".json", ".txt", ".tsv")))
    found = {}
    for file in files:
        name = file.name.removesuffix(".gz").rpartition(".")[0]
        if name in found:
            raise BadInput(f"{folder} holds two submissions named {name!r}; rename one of them.")
        y_pred, public_only = submissions.read(file, test)
        if public_only and part != "public":
            raise BadInput(f"{file} has the public rows alone; use --part public, or take it out of {folder}.")
        found[name] = y_pred
    if not found:
        raise BadInput(f"{folder} holds no submission (.json, .txt or .tsv, plain or .gz).")
    return found


def _scored(test: Any, predictions: dict[str, Any], part: Any) -> Any:
    import pandas as pd

    from benchmarks.yeast import challenge_score

    parts = [challenge_score.score(test, y_pred, part).assign(submission=name) for name, y_pred in predictions.items()]
    return pd.concat(parts, ignore_index=True)


def _write_ranking(out: Path, found: Any, scores: Any, far: Any, *, simulated: bool) -> None:
    """Write the tables of a ranking and the plots of Fig. 1b-g and Extended Data Fig. 2."""
    table, counts, quantiles = found.table(), found.rank_counts(), found.score_quantiles()
    tables = {"ranking": table, "scores": scores, "disparities": far, "rank_distributions": counts}
    _write_tables(out, tables | {"score_distributions": quantiles}, "simulated" if simulated else "measured")
    if not _can_draw(out):
        return
    from benchmarks.engine.figures import challenge, style

    best_first = {"order": table["submission"].tolist(), "labels": {}, "simulated": simulated}
    drawn = {
        "ranks": challenge.ranks(counts, **best_first),
        "score_distributions": challenge.score_distributions(quantiles, **best_first),
        "heat_map": challenge.heat_map(scores, **best_first),
        "disparities": challenge.disparities(far, simulated=simulated),
    }
    for name, figure in drawn.items():
        style.save(figure, out / name)


def _write_tables(out: Path, tables: dict[str, Any], origin: str) -> None:
    from benchmarks.io.atomic import write_text

    out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_text(out / f"{name}.csv", table.assign(origin=origin).to_csv(index=False))


def _can_draw(out: Path) -> bool:
    if system.has_packages("matplotlib"):
        return True
    typer.echo(f"Tables are in {out}; for plots beside them: `pip install -e '.[figures]'`.", err=True)
    return False


def _say_notes(test: Any) -> None:
    if test.origin == "simulated":
        typer.echo("SIMULATED DATA: no expression of this test set was measured.")
    for note in test.notes:
        typer.echo(note)
