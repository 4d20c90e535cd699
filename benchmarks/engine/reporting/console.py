"""What the commands print: plans, scores and tests, from plans and tables."""

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping

import pandas as pd
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from benchmarks import registry
from benchmarks.api.metrics import METRICS, label_of
from benchmarks.engine.evaluation import fold_tests
from benchmarks.engine.evaluation.compare import headlines_of
from benchmarks.engine.execution.machine import Machine
from benchmarks.engine.planning.plan import Job, Plan
from benchmarks.engine.planning.protocol_deviations import protocol_deviations
from benchmarks.engine.planning.time_estimate import Throughput, estimate_seconds
from benchmarks.engine.reporting.text import duration
from benchmarks.engine.store.store import Store

N_SHOWN = 20
_LABELLED = ("output", "subset", "level", "metric")
"""Columns whose values are written by their labels."""


def open_console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal, or wide enough for tables if the output is a file or a pipe."""
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = 140
    return console


@contextlib.contextmanager
def bar(label: str, total: float) -> Iterator[Callable[[float], None]]:
    """Show a progress bar with the time left on a terminal; yields the function to report the amount done to."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextlib.contextmanager
def bytes_shown() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show a progress bar per downloaded file on a terminal; yields the function that `fetch` reports to."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    progress = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
    bars: dict[str, TaskID] = {}

    def on_progress(name: str, done: int, total: int | None) -> None:
        progress.start()  # at the first bytes, so that nothing is drawn without a download
        if name not in bars:
            bars[name] = progress.add_task(name, total=total)
        progress.update(bars[name], completed=done, total=total)

    try:
        yield on_progress
    finally:
        if bars:
            progress.stop()


def print_plan(
    console: Console, planned: Plan, waiting: Collection[Job], machine: Machine, throughput: Throughput
) -> None:
    """Print what is going to run, on what data, and roughly how long it takes."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    say(f"{planned.task}, preset {planned.preset}: {planned.matrix()}, {len(planned.jobs) - len(waiting):,} done")
    say(f"  {registry.get_task(planned.task).PRESETS[planned.preset].description}")
    for line in _deviations(planned) if planned.preset == "paper" else ():
        say(f"  not the published protocol: {line}")
    for source in planned.sources:
        origin = source.dataset.origin if source.dataset else "not here yet, size approximate"
        say(f"  {source.name}: {source.n_rows:,} sequences ({origin})")
        for note in source.dataset.notes if source.dataset else ():
            say(f"    {note}")
        ceilings = source.dataset.ceilings if source.dataset else ()
        several = len({row["output"] for row in ceilings}) > 1
        for row in ceilings:
            of = f" of {row['output']}" if several else ""
            say(f"    noise ceiling, {row['metric']}{of}, {row['level']} level: {row['value']:.3f}")
    for missing in dict.fromkeys(source.missing for source in planned.sources if source.missing):
        say(f"  {missing}")
    for name, reason in planned.skipped.items():
        say(f"  {name} is left out: it {reason}")
    for note in planned.notes:
        say(f"  {note}")
    if not waiting:
        return
    left = dataclasses.replace(planned, jobs=tuple(waiting))
    seconds, unknown = estimate_seconds(left, throughput, machine.n_workers)
    workers = f"{machine.n_workers} worker{'s' * (machine.n_workers != 1)}"
    where = f"{workers}, {machine.threads} thread(s) each, {throughput.device}"
    if unknown == len(waiting):
        say(f"  No estimate of time yet: nothing like it has been trained on this device ({where}).")
    else:
        rest = f", without {unknown:,} trainings of unknown speed" if unknown else ""
        say(f"  Rough estimate: {duration(seconds)} ({where}){rest}")


def _deviations(planned: Plan) -> list[str]:
    """Say in what a plan deviates from the published protocol: a line per reason, with its models."""
    splits: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for job in planned.jobs:
        splits.setdefault((job.dataset, job.model), set()).add((job.test_fold, job.val_fold))
    task, sources = registry.get_task(planned.task), {source.name: source for source in planned.sources}
    models: dict[str, dict[str, None]] = {}
    for (dataset, model), trained in splits.items():
        for reason in protocol_deviations(task, planned, model, sources[dataset], trained):
            models.setdefault(reason, {})[model] = None
    everyone = set(planned.models)
    return [reason if set(who) == everyone else f"{', '.join(who)}: {reason}" for reason, who in models.items()]


def print_scores(console: Console, planned: Plan, scores: pd.DataFrame, store: Store) -> None:
    """Print mean and sd over test folds of the ensembles, with the noise ceiling where it is known.

    For tasks without ensembles, print mean and sd over single models.
    """
    if scores.empty:
        return
    summary = fold_tests.summarise(scores)
    role = "ensemble" if "ensemble" in set(summary["role"]) else "member"
    summary = summary[summary["role"] == role].sort_values("level", kind="stable")
    summary = fold_tests.headlined(summary, headlines_of(registry.get_task(planned.task)))
    if "challenge" in set(summary["subset"]):  # ten subsets would fill a screen: only the totals are printed
        summary = summary[summary["subset"].isin(("all", "challenge"))]
    ceilings = {
        (source.name, row["output"], row["level"], row["metric"]): row["value"]
        for source in planned.sources
        for row in store.get_dataset(source.name, source.digest).ceilings
    }
    rows = []
    for key, part in summary.groupby(["dataset", "output", "subset", "level", "model"], sort=False):
        row = dict(zip(("dataset", "output", "subset", "level", "model"), key, strict=True))
        for score in part.itertuples():
            row[score.metric] = f"{score.mean:.3f}" + (f" ± {score.sd:.3f}" if pd.notna(score.sd) else "")
        ceiling = ceilings.get((row["dataset"], row["output"], row["level"], "pearson_r"))
        attained = {}
        if ceiling and row["subset"] == "all":
            share = part.loc[part["metric"] == "pearson_r", "mean"].iloc[0] / ceiling
            attained = {"noise ceiling, r": f"{ceiling:.3f}", "of it": f"{share:.0%}"}
        count = {"folds": part["n_folds"]} if role == "ensemble" else {"models": part["n_members_max"]}
        rows.append(row | {name: str(n.max()) for name, n in count.items()} | attained)
    simulated = "simulated" in set(scores["origin"])
    what = "Ensembles, mean ± sd over test folds" if role == "ensemble" else "Single models, mean ± sd over them"
    print_table(console, what + " (SIMULATED DATA)" * simulated, rows)


def print_comparison(console: Console, planned: Plan, tables: Mapping[str, pd.DataFrame]) -> None:
    """Print how models compare: by tests over folds, or by the task's own rules."""
    if "tests" in tables:
        print_tests(console, tables["tests"], headlines_of(registry.get_task(planned.task)))
        _print_mixed_model(console, tables["mixed_model"])
    elif tables:
        _print_ranking(console, tables["ranking"], tables["differences"])


def _print_ranking(console: Console, ranking: pd.DataFrame, differences: pd.DataFrame) -> None:
    """Print ranks of models, and their differences to the baseline."""
    simulated = " (SIMULATED DATA)" * ("simulated" in set(ranking["origin"]))
    left_out = next(iter(ranking["left_out"]), "")
    note = f"; without {left_out}" if left_out else ""
    rows = [
        {"dataset": row.dataset, "place": str(row.place), "model": row.model, "mean rank": f"{row.mean_rank:.2f}"}
        | {"by Pearson score": f"{row.mean_rank_pearson_score:.2f}"}
        | {"by Spearman score": f"{row.mean_rank_spearman_score:.2f}"}
        for row in ranking.itertuples()
    ]
    what = f"Ranks in {ranking['n_draws'].iloc[0]:,} samples of a tenth of the {ranking['part'].iloc[0]} test data"
    print_table(console, what + note + simulated, rows)
    if differences.empty:
        return
    rows = [
        {"dataset": row.dataset, "model": row.model, "metric": row.metric}
        | {"difference": f"{row.difference:+.4f}", "95 % interval": f"{row.ci_low:+.4f} to {row.ci_high:+.4f}"}
        | {"P": f"{row.p_value:.2g}", "P Holm": f"{row.p_holm:.2g}"}
        for row in differences.itertuples()
    ]
    what = (
        f"Against {differences['baseline'].iloc[0]}: paired bootstrap over test items, mean of each model's trainings"
    )
    print_table(console, what + note + simulated, rows)


def print_tests(console: Console, tests: pd.DataFrame, headlines: Collection[fold_tests.Headline] = ()) -> None:
    """Print the tests of the headlines, or of Pearson r; the others are in tests.csv."""
    chosen = fold_tests.headlined(tests, headlines) if headlines else tests[tests["metric"] == "pearson_r"]
    if chosen.empty:
        return
    rows = []
    for row in chosen.itertuples():
        p_values = {
            "P": row.p_value,
            "P Holm": row.p_holm,
            "P corrected": row.p_corrected,
            "P corrected, Holm": row.p_corrected_holm,
            "P bootstrap": row.p_bootstrap,
        }
        rows.append(
            {name: getattr(row, name) for name in ("dataset", "output", "subset", "level", "metric", "model")}
            | {
                "difference": f"{row.mean_difference:+.3f}",
                "95 % interval": f"{row.ci_low:+.3f} to {row.ci_high:+.3f}" if row.p_value == row.p_value else "",
                "d_z": f"{row.cohens_dz:.2f}" if row.cohens_dz == row.cohens_dz else "",
                "folds": str(row.n_folds),
            }
            | {name: f"{value:.2g}" if value == value else "" for name, value in p_values.items()}
            | {"note": row.note or ""}
        )
    simulated = "simulated" in set(chosen["origin"])
    title = f"{chosen['task'].iloc[0]}, against {chosen['baseline'].iloc[0]}, over test folds"
    print_table(console, title + " (SIMULATED DATA)" * simulated, rows)


def _print_mixed_model(console: Console, table: pd.DataFrame) -> None:
    """Print the differences that the mixed model estimates, or why it has none."""
    if table.empty:
        return
    rows = []
    for row in table.itertuples():
        numbers = {}
        if row.converged:
            numbers = {
                "difference": f"{row.difference:+.3f}",
                "95 % interval": f"{row.ci_low:+.3f} to {row.ci_high:+.3f}",
            }
            numbers |= {"P": f"{row.p_value:.2g}", "P Holm": f"{row.p_holm:.2g}"}
            spreads = {"folds": row.sd_fold, "seeds": row.sd_seed, "rest": row.sd_residual}
            numbers |= {f"sd, {name}": f"{sd:.3f}" for name, sd in spreads.items() if sd == sd}
        place = {name: getattr(row, name) for name in ("dataset", "output", "subset", "level", "metric", "model")}
        rows.append(place | numbers | {"trainings": str(row.n_scores), "note": row.note or ""})
    simulated = "simulated" in set(table["origin"])
    title = f"{table['task'].iloc[0]}, against {table['baseline'].iloc[0]}, linear mixed model over trainings"
    print_table(console, title + " (SIMULATED DATA)" * simulated, rows)


def print_assumptions(console: Console, assumptions: Mapping[str, str]) -> None:
    """Print the assumptions of each test."""
    console.print("What the tests assume", style="bold")
    for test, text in assumptions.items():
        console.print(f"  {test}: {text}.", markup=False, highlight=False)


def print_table(console: Console, title: str, rows: list[dict[str, str]]) -> None:
    """Print rows as a table, without columns that are empty, or whose one value is in the title."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    filled = [name for name in columns if any(row.get(name) for row in rows)]
    constant = [
        name
        for name in ("dataset", "output", "subset", "metric")
        if name in filled and len({row[name] for row in rows}) == 1
    ]
    shown = [name for name in filled if name not in constant]
    common = ", ".join(_cell(rows[0], name) for name in constant)
    table = Table(title=f"{title}; {common}" if constant else title, title_justify="left")
    for name in shown:
        table.add_column(label_of(name) if name in METRICS else name)
    for row in rows:
        table.add_row(*(_cell(row, name) for name in shown))
    console.print(table)


def _cell(row: Mapping[str, str], column: str) -> str:
    value = row.get(column, "")
    return label_of(value) if column in _LABELLED else value
