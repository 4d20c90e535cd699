"""Test a reference against scores trained anew, or rewrite it: the steps behind `regress`."""

import contextlib
import datetime
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from benchmarks import system
from benchmarks.apps.regression import reference, train_matrix
from benchmarks.apps.regression.reference import Entry, Reference
from benchmarks.apps.regression.tolerance import parameters_moved, reference_of, within_tolerance
from benchmarks.apps.regression.train_matrix import MatrixScores
from benchmarks.engine.execution.events import Event, OnEvent
from benchmarks.engine.planning.plan import Job, Plan
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput
from benchmarks.io.atomic import write_text
from benchmarks.io.json_files import write_json


@dataclass(frozen=True)
class RegressionResult:
    """The result of a regression test.

    Parameters
    ----------
    table
        A row per score, as `within_tolerance` returns it.
    problems
        Failed trainings, and models with another number of parameters, a sentence each.
    notes
        The problems, and what may explain or qualify the scores.
    """

    table: pd.DataFrame
    problems: list[str]
    notes: list[str]

    @property
    def n_failed(self) -> int:
        """Scores out of tolerance."""
        return int((self.table["verdict"] == "fails").sum())

    @property
    def heading(self) -> str:
        """How many scores are out of tolerance, in a few words."""
        return f"Scores: {self.n_failed or 'none'} of {len(self.table)} out of tolerance"


def run_regression_test(
    folder: Path, console: Console, *, seed: int, changes: Sequence[str], shuffle: bool, results: Path | None
) -> RegressionResult:
    """Train the matrix of a reference anew and compare its scores.

    Parameters
    ----------
    changes, shuffle
        Changes of recipes, and permuted targets: to try what is caught.
    results
        Folder to keep the trainings in; None: a temporary one.

    Raises
    ------
    BadInput
        For a damaged reference, one of another task version, or an unknown change.
    """
    entries, known = reference.read_matrix(folder), reference.read(folder)
    plans = train_matrix.plans(entries, seed=seed, changes=changes, shuffle=shuffle)
    _check_task_versions(folder, known, plans)
    with _open_store(results) as store:
        measured = train_matrix.measure(plans, store, _print_events(console))
    problems = [f"training failed: {failure}" for failure in measured.failures]
    problems += parameters_moved(measured.n_params, known.metadata["n_params"])
    notes = problems + _notes(measured, known, shuffle, changes)
    return RegressionResult(within_tolerance(measured.scores, known.scores), problems, notes)


def rewrite_reference(folder: Path, console: Console, *, reason: str, n_seeds: int, results: Path | None) -> None:
    """Train the matrix of a reference with several seeds, and write its scores, metadata and log anew.

    Raises
    ------
    BadInput
        If a training fails or a score is missing; then nothing is rewritten.
    """
    entries = reference.read_matrix(folder)
    tables = []
    for seed in range(n_seeds):
        console.print(f"seed {seed + 1} of {n_seeds}", style="bold")
        measured = _measure_seed(entries, seed, console, results)
        tables.append(measured.scores.assign(seed=seed))
    try:
        scores = reference_of(pd.concat(tables, ignore_index=True))
    except ValueError as error:
        raise BadInput(f"Nothing was rewritten: {error}.") from None
    log = folder / "LOG.md"
    before = log.read_text(encoding="utf-8") if log.is_file() else "# Why this reference was rewritten\n\n"
    today = datetime.date.today().isoformat()
    write_text(folder / "scores.csv", scores.to_csv(index=False, float_format="%.6f"))
    metadata = {
        "n_params": measured.n_params,
        "digests": measured.digests,
        "train_seq_per_s": measured.train_seq_per_s,
        "hardware": system.hardware(),
        "versions": system.versions(),
    }
    write_json(folder / "about.json", metadata)
    write_text(log, f"{before}* {today}, {n_seeds} seeds: {reason}\n")
    n_loose = int((~scores["judged"]).sum())
    console.print(f"{len(scores)} scores over {n_seeds} seeds; {n_loose} vary too much to be tested.", style="bold")


def _measure_seed(entries: Sequence[Entry], seed: int, console: Console, results: Path | None) -> MatrixScores:
    with _open_store(results) as store:
        measured = train_matrix.measure(train_matrix.plans(entries, seed=seed), store, _print_events(console))
    if measured.failures:
        raise BadInput(f"A training failed, so nothing was rewritten: {measured.failures[0]}")
    return measured


@contextlib.contextmanager
def _open_store(results: Path | None) -> Iterator[Store]:
    with contextlib.ExitStack() as stack:
        store = Store(results or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="regress-"))))
        store.check_writable()
        yield store


def _print_events(console: Console) -> OnEvent:
    def on_event(job: Job, event: Event, payload: Any) -> None:
        if event in (Event.DONE, Event.FAILED):
            console.print(f"{event}: {job.task}, {job.model}, {job.split_name}", markup=False, highlight=False)

    return on_event


def _check_task_versions(folder: Path, known: Reference, plans: Sequence[Plan]) -> None:
    versions = dict(zip(known.scores["task"], known.scores["task_version"], strict=True))
    for plan in plans:
        if plan.task in versions and versions[plan.task] != plan.task_version:
            raise BadInput(
                f"{folder} holds scores of {plan.task} version {versions[plan.task]}, this is version "
                f"{plan.task_version}: they do not compare. Rewrite it: --update --reason 'why'."
            )


def _notes(measured: MatrixScores, known: Reference, shuffled: bool, changes: Sequence[str]) -> list[str]:
    notes = ["targets were permuted: scores must fail"] if shuffled else []
    notes += [f"changed on purpose: {change}" for change in changes]
    if not shuffled:
        notes += [
            f"{name}: the simulated data differ from the reference's (another numpy?); scores decide"
            for name, digest in known.metadata["digests"].items()
            if measured.digests.get(name, digest) != digest
        ]
    for name, speed in measured.train_seq_per_s.items():
        if before := known.metadata["train_seq_per_s"].get(name):
            notes.append(f"speed, not tested: {name} {speed:,.0f} sequences/s, reference {before:,.0f}")
    return notes
