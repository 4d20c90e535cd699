"""`python -m benchmarks challenge …`: score, check, rank and list submissions to the DREAM Challenge."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks import system
from benchmarks.cli.options import MODEL_HELP, RESULTS, SETTINGS, JsonOption, ResultsOption, command, print_json
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io.json_files import records

if TYPE_CHECKING:
    from benchmarks.yeast.challenge_score import Part
    from benchmarks.yeast.test_set import TestSet

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
    bool, typer.Option("--partial", help="Weight the subsets at hand instead of refusing; not comparable with others.")
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
        raise BadInput(f"{submission} has only the public rows; score it with --part public.")
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
        missing = challenge_score.missing_subsets(table)
        why = f" (not defined: {', '.join(missing)} missing)" if missing else ""
        typer.echo(f"{metric.replace('_', ' ').capitalize():<20} {value:.6f}{why}")


@command(
    app,
    "challenge submit --data data/yeast --run dream_cnn --out mine.txt --ensemble",
    "challenge submit --data designed/ --run results/runs/yeast/simulated/dream_cnn-1a2b3c4d --out mine.txt",
)
def submit(
    data: DataOption,
    run: Annotated[str, typer.Option("--run", "--weights", help=MODEL_HELP)],
    out: Annotated[Path, typer.Option(help="Text file to write: sequence and prediction, as the final submissions.")],
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Submit the mean of all trainings of the model, not one of them.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Predict a test set with a trained model, as a submission that `challenge score` takes.

    The submission is of one training, as the challenge's were; where the model has several, name one's folder, or
    submit their mean by --ensemble. OUT.about, a JSON file, says what was submitted.
    """
    from benchmarks.apps.challenge.predict_test_set import predict_test_set, submission_text
    from benchmarks.engine.inference import load
    from benchmarks.io.atomic import write_text
    from benchmarks.io.json_files import write_json

    if not out.parent.is_dir():
        raise BadInput(f"The folder of --out, {out.parent}, does not exist.")
    if out.is_dir():
        raise BadInput(f"--out {out} is a folder; a text file, e.g. {out / 'mine.txt'}, is expected.")
    test = _test_set(data, False)
    trainings = load.trainings(load.located(run, "yeast", results))
    if len(trainings) > 1 and not ensemble:
        raise BadInput(
            f"--run {run} has {len(trainings)} trainings, and a submission is of one: name its folder, such as "
            f"{trainings[0]}, or submit their mean with --ensemble."
        )
    models = [load.open_model(folder, device) for folder in trainings]
    y_pred = predict_test_set(models, test.sequences, data)
    facts = {
        "n": len(test), "ensemble": len(models) > 1, "models": [trained.title for trained in models],
        "trainings": [str(folder) for folder in trainings], "trained_on": models[0].trained_on,
    }  # fmt: skip
    write_text(out, submission_text(test.sequences, y_pred))
    write_json(out.with_name(f"{out.name}.about"), facts)
    if json:
        print_json({"out": str(out)} | facts)
        return
    label = " (trained on SIMULATED data)" * (models[0].trained_on == "simulated")
    of = f"an ENSEMBLE, the mean of {len(models)} trainings" if len(models) > 1 else "one training"
    typer.echo(f"{len(test):,} predictions of {of}{label}: {out}")


@command(app, "challenge validate --data data/yeast --submission mine.txt")
def validate(
    data: DataOption,
    submission: Annotated[Path, typer.Option(help="Leaderboard JSON or final text file, plain or gzip.")],
    json: JsonOption = False,
) -> None:
    """List everything that is wrong with a submission; exit code 2 if anything is."""
    from benchmarks.yeast import submissions

    problems = submissions.problems(submission, _test_set(data, False))
    if json:
        print_json({"valid": not problems, "problems": problems})
    for problem in () if json else problems:
        typer.echo(problem, err=True)
    if problems:
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
    from benchmarks.apps.challenge.ranking_files import draw_ranking, write_tables
    from benchmarks.engine.reporting.console import bar
    from benchmarks.yeast import challenge_score, rank_bootstrap
    from benchmarks.yeast import submissions as reading

    test, part = _test_set(data, inferred_snvs), _part(part)
    predictions = reading.read_folder(submissions, test, part)
    with bar("samples", draws) as on_draw:
        result = rank_bootstrap.bootstrap(
            test, predictions, part=part, share=share, n_draws=draws, seed=seed, partial=partial,
            n_threads=system.n_cores(), on_draw=on_draw,
        )  # fmt: skip
    scores = challenge_score.score_all(test, predictions, part)
    table, gaps = result.table(), rank_bootstrap.disparities(scores)
    left_out = [name for name in challenge_score.WEIGHTS if name not in result.parts]
    if out:
        tables = {"ranking": table, "scores": scores, "disparities": gaps, "rank_distributions": result.rank_counts()}
        tables["score_distributions"] = result.score_quantiles()
        write_tables(out, tables, test.origin)
        if _can_draw(out):
            draw_ranking(out, tables, simulated=test.origin == "simulated")
    if json:
        print_json(
            {"part": part, "draws": draws, "share": share, "seed": seed, "left_out": left_out, "origin": test.origin}
            | {"notes": test.notes, "ranking": records(table), "disparities": records(gaps)}
        )
        return
    _say_notes(test)
    if left_out:
        typer.echo(f"PARTIAL: {', '.join(left_out)} missing and left out; these scores compare with no others.")
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
    from benchmarks.apps.challenge.ranking_files import draw_progression, write_tables
    from benchmarks.yeast import challenge_score
    from benchmarks.yeast import submissions as reading

    test, part = _test_set(data, inferred_snvs), _part(part)
    table = challenge_score.score_all(test, reading.read_folder(submissions, test, part), part)
    board, missing = challenge_score.leaderboard(table), challenge_score.missing_subsets(table)
    if out:
        write_tables(out, {"leaderboard": board, "scores": table}, test.origin)
        if board["date"].notna().any() and not missing and _can_draw(out):
            draw_progression(out, board, simulated=test.origin == "simulated")
    if json:
        print_json(
            {
                "part": part,
                "missing": missing,
                "notes": test.notes,
                "leaderboard": records(board),
                "scores": records(table),
            }
        )
        return
    _say_notes(test)
    if missing:
        typer.echo(f"The scores are not defined: {', '.join(missing)} missing.")
    for place, row in enumerate(board.itertuples(), start=1):
        date = f"  {row.date}" if isinstance(row.date, str) else ""
        pearson, spearman = f"{row.pearson_score:.6f}", f"{row.spearman_score:.6f}"
        typer.echo(f"{place:>3}  {row.team:<28}{date}  Pearson score {pearson}  Spearman score {spearman}")


def _test_set(folder: Path, inferred_snvs: bool) -> "TestSet":
    from benchmarks.yeast import test_set

    return test_set.read(folder, inferred_snvs=inferred_snvs)


def _part(name: str) -> "Part":
    if name not in ("public", "private", "all"):
        raise BadInput(f"--part: {did_you_mean('part', name, ['public', 'private', 'all'])}")
    return name


def _can_draw(out: Path) -> bool:
    if system.can_draw():
        return True
    typer.echo(f"Tables are in {out}; for plots beside them: `pip install -e '.[figures]'`.", err=True)
    return False


def _say_notes(test: "TestSet") -> None:
    if test.origin == "simulated":
        typer.echo("SIMULATED DATA: no expression of this test set was measured.")
    for note in test.notes:
        typer.echo(note)
