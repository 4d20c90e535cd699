"""How much of every test fold its trainings have seen, and what the models score on the rest.

What a training of a test fold sees is every row that trains or selects in any split of that fold. A pair of equal
sequences within the test fold is no leak.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.api.data import Dataset
from benchmarks.api.task import Task, spec_of
from benchmarks.engine.evaluation import overlap
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.planning.folds import fold_rows
from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.store.store import Store
from benchmarks.io.atomic import write_text

KINDS = ("exact", "reverse_complement", "near", "coordinates", "any")
"""`coordinates`: the window shares a base of the genome with one that was seen; `any`: of one kind at least."""
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
FREE_COLUMNS = [*_KEYS, "value", "value_leak_free", "difference", "n", "n_leak_free", "origin"]
N_EXAMPLES = 3
QUICK_BASES = 60_000_000
"""Bases, over all test folds, that a report searches unasked: a few seconds and some 300 MB."""


@dataclass(frozen=True)
class Rule:
    """What counts as a near-duplicate; see `benchmarks.engine.evaluation.overlap`."""

    k: int = overlap.K
    threshold: float = overlap.THRESHOLD

    def __str__(self) -> str:
        return f"near: {self.threshold:.0%} of the bases agree at the best shift, either strand; seeds of {self.k}"


@dataclass(frozen=True)
class Leaks:
    """`table`: one row per dataset, test fold and kind. `rows`: (dataset, test fold) -> dataset rows that leak.

    `skipped` says why nothing was searched, and what to type.
    """

    table: pd.DataFrame
    rows: Mapping[tuple[str, int], np.ndarray]
    skipped: str = ""
    scores: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=FREE_COLUMNS))

    @property
    def worst(self) -> float:
        """The largest share of a test fold that leaks in any way."""
        shares = self.table.loc[self.table["kind"] == "any", "share"]
        return float(shares.max()) if len(shares) else 0.0


def of_dataset(
    task: Task,
    dataset: Dataset,
    rule: Rule,
    *,
    wanted: Collection[tuple[int, int]] | None = None,
    on_fold: Callable[[str, int], Any] = lambda dataset, test_fold: None,
) -> Leaks:
    """Search every test fold of a dataset for what its trainings see."""
    rows, leaking = [], {}
    for fold in fold_rows(task, dataset, wanted):
        test_fold, test, seen = fold.test_fold, np.flatnonzero(fold.test), np.flatnonzero(fold.train | fold.val)
        on_fold(dataset.name, test_fold)
        found = overlap.find(dataset.take(test).codes, dataset.take(seen).codes, k=rule.k, threshold=rule.threshold)
        kinds = {"exact": found.exact, "reverse_complement": found.reverse_complement, "near": found.near}
        if (places := _places(dataset, spec_of(task, dataset).seq_len)) is not None:
            kinds["coordinates"] = _share_a_base(places.iloc[test], places.iloc[seen])
        kinds["any"] = np.any(list(kinds.values()), axis=0)
        leaking[dataset.name, test_fold] = test[kinds["any"]]
        about = {"task": task.NAME, "dataset": dataset.name, "origin": dataset.origin, "test_fold": test_fold}
        for kind, flagged in kinds.items():
            shown = np.flatnonzero(flagged)[:N_EXAMPLES]
            examples = [
                _pair(dataset, test[i], seen[found.partner[i]] if found.partner[i] >= 0 else None) for i in shown
            ]
            counts = {"n_test": len(test), "n_seen": len(seen), "n_leaking": int(flagged.sum())}
            counts |= {"share": float(flagged.mean()) if len(test) else 0.0, "examples": "; ".join(examples)}
            rows.append(about | {"kind": kind} | counts | {"rule": str(rule)})
    return Leaks(pd.DataFrame(rows, columns=COLUMNS), leaking)


def _pair(dataset: Dataset, row: int, partner: int | None) -> str:
    names = [
        str(dataset.meta["seq_id"].iloc[number]) if "seq_id" in dataset.meta else f"row {number}"
        for number in (row, partner)
        if number is not None
    ]
    return " = ".join(names)


def _places(dataset: Dataset, seq_len: int) -> pd.DataFrame | None:
    """Return chrom, start and end of every window, half open, or None where the data has no coordinates."""
    meta = dataset.meta
    if {"chrom", "start", "end"} <= set(meta):  # counted from 1, end included
        return meta[["chrom", "start", "end"]].assign(start=meta["start"] - 1)
    if {"chrom", "centre"} <= set(meta):
        start = meta["centre"] - seq_len // 2
        return pd.DataFrame({"chrom": meta["chrom"], "start": start, "end": start + seq_len})
    return None


def _share_a_base(test: pd.DataFrame, seen: pd.DataFrame) -> np.ndarray:
    """Tell which windows share a base with any of the others; (n,) bool."""
    shares = np.zeros(len(test), dtype=bool)
    chroms = test["chrom"].to_numpy(dtype=str)
    for chrom, others in seen.groupby(seen["chrom"].astype(str), sort=False):
        mine = np.flatnonzero(chroms == chrom)
        start, end = np.sort(others["start"].to_numpy()), np.sort(others["end"].to_numpy())
        # Others that begin before the window ends, less those that end before it begins: those that overlap.
        begun = np.searchsorted(start, test["end"].to_numpy()[mine], "left")
        over = np.searchsorted(end, test["start"].to_numpy()[mine], "right")
        shares[mine] = begun > over
    return shares


def n_bases(plan: Plan, store: Store, task: Task) -> int:
    """Count the bases that a search of all test folds of a plan goes through."""
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
    on_fold: Callable[[str, int], Any] = lambda dataset, test_fold: None,
) -> Leaks:
    """Search all test folds of a stored plan, and score its models again without what leaks.

    Parameters
    ----------
    scores
        The score table of the plan, which the leak-free one is set beside.
    """
    tables, rows = [], {}
    for source in plan.sources:
        dataset = store.get_dataset(source.name, source.digest)
        found = of_dataset(task, dataset, rule or Rule(), wanted=_wanted(plan, source.name), on_fold=on_fold)
        tables.append(found.table)
        rows |= found.rows
    return Leaks(pd.concat(tables, ignore_index=True), rows, scores=_leak_free(plan, store, task, scores, rows))


def _leak_free(
    plan: Plan, store: Store, task: Task, scores: pd.DataFrame, rows: Mapping[tuple[str, int], np.ndarray]
) -> pd.DataFrame:
    """Set the scores without leaking rows beside those with all; where a fold has no leak, they are the same."""
    dirty = {place: leaking for place, leaking in rows.items() if len(leaking)}
    table = scores.copy()
    is_clean = np.array([place not in dirty for place in zip(table["dataset"], table["test_fold"], strict=True)], bool)
    again = score(plan, store, task, without=dirty) if dirty else scores.iloc[:0]
    again = again[[*_KEYS, "value", "n"]].rename(columns={"value": "value_leak_free", "n": "n_leak_free"})
    table = table.merge(again, on=_KEYS, how="left", validate="one_to_one")
    table["value_leak_free"] = table["value_leak_free"].astype(float).mask(is_clean, table["value"])
    table["n_leak_free"] = table["n_leak_free"].mask(is_clean, table["n"]).fillna(0).astype(int)
    table["difference"] = table["value_leak_free"] - table["value"]
    return table[FREE_COLUMNS]


def beside_scores(plan: Plan, store: Store, task: Task, scores: pd.DataFrame, folder: Path) -> Leaks:
    """Search unless that takes long; then the tables of an earlier search stand, or words say what to type."""
    if n_bases(plan, store, task) <= QUICK_BASES:
        return of_plan(plan, store, task, scores)
    words = f"python -m benchmarks leaks --results {store.root} --report {folder}"
    if (folder / "leaks.csv").is_file() and (folder / "leak_free.csv").is_file():
        table = pd.read_csv(folder / "leaks.csv", keep_default_na=False)
        kept = pd.read_csv(folder / "leak_free.csv").astype({"val_fold": "Int64"})
        return Leaks(table, {}, f"An earlier search is shown; again, with all trainings: {words}", scores=kept)
    return Leaks(pd.DataFrame(columns=COLUMNS), {}, f"Not searched, as it would take long. To search: {words}")


def write(leaks: Leaks, folder: Path) -> None:
    """Write leaks.csv and leak_free.csv; nothing where nothing was searched."""
    if len(leaks.rows):
        write_text(folder / "leaks.csv", leaks.table.to_csv(index=False))
        write_text(folder / "leak_free.csv", leaks.scores.to_csv(index=False))
