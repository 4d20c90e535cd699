"""Train-test overlap of a run: how much of every test fold occurs in its training data, and the scores without it.

The training data of a test fold are all rows that are used for training or validation in any of its splits. Equal
sequences within a test fold are not overlap.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import overlap
from benchmarks.api.data import Dataset
from benchmarks.api.task import Task, spec_of
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.planning.folds import fold_rows
from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.store.store import Store
from benchmarks.io.atomic import write_text

KINDS = ("exact", "reverse_complement", "near", "coordinates", "any")
"""`coordinates`: the genomic window shares a base with one of the training data; `any`: at least one kind."""
COLUMNS = [
    "task",
    "dataset",
    "origin",
    "test_fold",
    "kind",
    "n_test",
    "n_seen",
    "n_leaking",
    "share",
    "examples",
    "rule",
]
_KEYS = ["task", "dataset", "model", "run", "test_fold", "val_fold", "role", "output", "subset", "level", "metric"]
WITHOUT_COLUMNS = [*_KEYS, "value", "value_leak_free", "difference", "n", "n_leak_free", "origin"]
N_EXAMPLES = 3
QUICK_BASES = 60_000_000
"""A report searches up to so many bases, over all test folds, by itself: it takes a few seconds and about 300 MB."""


@dataclass(frozen=True)
class Rule:
    """The definition of a near-duplicate; see `benchmarks.api.overlap`."""

    k: int = overlap.K
    threshold: float = overlap.THRESHOLD

    def __str__(self) -> str:
        return f"near: {self.threshold:.0%} of the bases agree at the best shift, either strand; seeds of {self.k}"


@dataclass(frozen=True)
class Leakage:
    """The train-test overlap of a dataset or of a stored run.

    Parameters
    ----------
    table
        One row per dataset, test fold and kind; columns COLUMNS.
    rows
        (dataset, test fold) -> numbers of the dataset's rows that overlap with the training data.
    skipped
        Why there was no search, and the command for one; "" after a search.
    scores
        Every score with and without the overlapping rows; columns WITHOUT_COLUMNS.
    """

    table: pd.DataFrame
    rows: Mapping[tuple[str, int], np.ndarray]
    skipped: str = ""
    scores: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=WITHOUT_COLUMNS))

    @property
    def worst(self) -> float:
        """The largest share of a test fold that overlaps with its training data in any way."""
        shares = self.table.loc[self.table["kind"] == "any", "share"]
        return float(shares.max()) if len(shares) else 0.0


def of_dataset(
    task: Task,
    dataset: Dataset,
    rule: Rule,
    *,
    wanted: Collection[tuple[int, int]] | None = None,
    on_fold: Callable[[str, int], None] = lambda dataset, test_fold: None,
) -> Leakage:
    """Search every test fold of a dataset for sequences of its training data.

    Parameters
    ----------
    wanted
        (test fold, validation fold) pairs of the splits to search; None: all of the task.
    on_fold
        Called with dataset and test fold before each search.
    """
    rows, overlapping = [], {}
    for fold in fold_rows(task, dataset, wanted):
        test_fold, test, seen = fold.test_fold, np.flatnonzero(fold.test), np.flatnonzero(fold.train | fold.val)
        on_fold(dataset.name, test_fold)
        found = overlap.find(dataset.take(test).codes, dataset.take(seen).codes, k=rule.k, threshold=rule.threshold)
        kinds = {"exact": found.exact, "reverse_complement": found.reverse_complement, "near": found.near}
        if (places := _places(dataset, spec_of(task, dataset).seq_len)) is not None:
            kinds["coordinates"] = _share_a_base(places.iloc[test], places.iloc[seen])
        kinds["any"] = np.any(list(kinds.values()), axis=0)
        overlapping[dataset.name, test_fold] = test[kinds["any"]]
        identity = {"task": task.NAME, "dataset": dataset.name, "origin": dataset.origin, "test_fold": test_fold}
        for kind, flagged in kinds.items():
            shown = np.flatnonzero(flagged)[:N_EXAMPLES]
            examples = [
                _pair(dataset, test[i], seen[found.partner[i]] if found.partner[i] >= 0 else None) for i in shown
            ]
            share = float(flagged.mean()) if len(test) else 0.0
            counts = {"n_test": len(test), "n_seen": len(seen), "n_leaking": int(flagged.sum())}
            texts = {"examples": "; ".join(examples), "rule": str(rule)}
            rows.append(identity | {"kind": kind} | counts | {"share": share} | texts)
    return Leakage(pd.DataFrame(rows, columns=COLUMNS), overlapping)


def _pair(dataset: Dataset, row: int, partner: int | None) -> str:
    """Name a row and the training row it overlaps with."""
    names = [
        str(dataset.meta["seq_id"].iloc[number]) if "seq_id" in dataset.meta else f"row {number}"
        for number in (row, partner)
        if number is not None
    ]
    return " = ".join(names)


def _places(dataset: Dataset, seq_len: int) -> pd.DataFrame | None:
    """Return chrom, start and end of every window, half open and from 0, or None if the data has no coordinates."""
    meta = dataset.meta
    if {"chrom", "start", "end"} <= set(meta):  # counted from 1, end included
        return meta[["chrom", "start", "end"]].assign(start=meta["start"] - 1)
    if {"chrom", "centre"} <= set(meta):
        start = meta["centre"] - seq_len // 2
        return pd.DataFrame({"chrom": meta["chrom"], "start": start, "end": start + seq_len})
    return None


def _share_a_base(test: pd.DataFrame, seen: pd.DataFrame) -> np.ndarray:
    """Tell which test windows share a base with a window of the training data; (n,) bool."""
    shares = np.zeros(len(test), dtype=bool)
    chroms = test["chrom"].to_numpy(dtype=str)
    for chrom, others in seen.groupby(seen["chrom"].astype(str), sort=False):
        on_chrom = np.flatnonzero(chroms == chrom)
        start, end = np.sort(others["start"].to_numpy()), np.sort(others["end"].to_numpy())
        # Windows that begin before a test window ends, minus those that end before it begins, overlap with it.
        begun = np.searchsorted(start, test["end"].to_numpy()[on_chrom], "left")
        over = np.searchsorted(end, test["start"].to_numpy()[on_chrom], "right")
        shares[on_chrom] = begun > over
    return shares


def n_bases(plan: Plan, store: Store, task: Task) -> int:
    """Count the bases that a search of all test folds of a plan has to read."""
    total = 0
    for source in plan.sources:
        dataset = store.get_dataset(source.name, source.digest)
        for fold in fold_rows(task, dataset, _wanted(plan, source.name)):
            total += dataset.codes.shape[1] * int(fold.test.sum() + (fold.train | fold.val).sum())
    return total


def _wanted(plan: Plan, dataset: str) -> set[tuple[int, int]]:
    return {(job.test_fold, job.val_fold) for job in plan.jobs if job.dataset == dataset}


def of_plan(
    plan: Plan,
    store: Store,
    task: Task,
    scores: pd.DataFrame,
    rule: Rule | None = None,
    *,
    on_fold: Callable[[str, int], None] = lambda dataset, test_fold: None,
) -> Leakage:
    """Search all test folds of a stored plan, and score its models again without the overlapping rows.

    Parameters
    ----------
    scores
        The score table of the plan, for comparison.
    """
    tables: list[pd.DataFrame] = []
    rows: dict[tuple[str, int], np.ndarray] = {}
    for source in plan.sources:
        dataset = store.get_dataset(source.name, source.digest)
        leakage = of_dataset(task, dataset, rule or Rule(), wanted=_wanted(plan, source.name), on_fold=on_fold)
        tables.append(leakage.table)
        rows |= leakage.rows
    with_and_without = _scores_without(plan, store, task, scores, rows)
    return Leakage(pd.concat(tables, ignore_index=True), rows, scores=with_and_without)


def _scores_without(
    plan: Plan, store: Store, task: Task, scores: pd.DataFrame, rows: Mapping[tuple[str, int], np.ndarray]
) -> pd.DataFrame:
    """Add the scores without the overlapping rows to those of all rows; equal for folds without overlap."""
    affected = {place: overlapping for place, overlapping in rows.items() if len(overlapping)}
    table = scores.copy()
    places = zip(table["dataset"], table["test_fold"], strict=True)
    is_clean = np.array([place not in affected for place in places], bool)
    again = score(plan, store, task, without=affected) if affected else scores.iloc[:0]
    again = again[[*_KEYS, "value", "n"]].rename(columns={"value": "value_leak_free", "n": "n_leak_free"})
    table = table.merge(again, on=_KEYS, how="left", validate="one_to_one")
    table["value_leak_free"] = table["value_leak_free"].astype(float).mask(is_clean, table["value"])
    table["n_leak_free"] = table["n_leak_free"].mask(is_clean, table["n"]).fillna(0).astype(int)
    table["difference"] = table["value_leak_free"] - table["value"]
    return table[WITHOUT_COLUMNS]


def search_if_quick(plan: Plan, store: Store, task: Task, scores: pd.DataFrame, folder: Path) -> Leakage:
    """Search a stored plan as `of_plan` if that is quick; otherwise read the tables of an earlier search, if any."""
    if n_bases(plan, store, task) <= QUICK_BASES:
        return of_plan(plan, store, task, scores)
    command = f"python -m benchmarks leaks --results {store.root} --report {folder}"
    if (folder / "leaks.csv").is_file() and (folder / "leak_free.csv").is_file():
        table = pd.read_csv(folder / "leaks.csv", keep_default_na=False)
        earlier = pd.read_csv(folder / "leak_free.csv").astype({"val_fold": "Int64"})
        return Leakage(table, {}, f"From an earlier search; to repeat it with all trainings: {command}", earlier)
    return Leakage(pd.DataFrame(columns=COLUMNS), {}, f"Not searched, as it would take long. To search: {command}")


def write(leakage: Leakage, folder: Path) -> None:
    """Write leaks.csv and leak_free.csv; nothing if there was no search."""
    if len(leakage.rows):
        write_text(folder / "leaks.csv", leakage.table.to_csv(index=False))
        write_text(folder / "leak_free.csv", leakage.scores.to_csv(index=False))
