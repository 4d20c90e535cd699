"""What is held out of an assay: folds that never part related rows, or one split into train, val and test."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import overlap, splits
from benchmarks.assay.config import PARTS, AssayConfig
from benchmarks.errors import BadInput

MAX_FOLDS, N_PARTS = 20, 10
PART_OF_WORD = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def hold_out(
    path: Path,
    table: pd.DataFrame,
    groups: np.ndarray,
    forms: tuple[np.ndarray, np.ndarray],
    config: AssayConfig,
    *,
    split: str,
    seed: int,
    notes: list[str],
) -> dict[str, np.ndarray]:
    """Say what every row is held out for.

    Parameters
    ----------
    table
        As of `Rows`.
    groups
        (n,) int, rows that belong together.
    forms
        Integer-encoded sequences and their reverse forms, (n, seq_len) uint8 each.
    split
        One of the config's ways.

    Returns
    -------
    Columns of `meta`: `group`, what shares a fold; and `fold`, -1 for rows that always train, or `split` (train, val,
    test, or "" for rows that are not used).

    Raises
    ------
    BadInput
        If the rows do not allow it.
    """
    if split in ("groups", "blocks") and {"chromosome", "start"} <= set(table):
        groups = splits.joined_groups(groups, _overlapping(table))
    if split == "homology":
        clusters = overlap.clusters(*forms)
        groups = splits.joined_groups(groups, clusters)
        largest = int(np.bincount(groups).max())
        notes.append(
            f"{len(np.unique(groups)):,} clusters of overlapping sequences (80% of the bases agree, either strand); "
            f"the largest has {largest:,} of {len(groups):,} rows."
        )
    if config.test and split in ("chromosomes", "column"):
        column = "chromosome" if split == "chromosomes" else "fold"
        return {"group": groups, "split": _named_parts(path, table[column], groups, config, notes)}
    if split == "column" and not pd.to_numeric(table["fold"], errors="coerce").notna().all():
        return {"group": groups, "split": _parts_of_words(path, table["fold"], groups, forms, config, seed, notes)}
    if split == "column":
        fold = _given_folds(path, table, groups, config, notes)
    elif split == "chromosomes":
        fold = _chromosome_folds(path, table, groups, config, notes)
    elif split == "blocks":
        fold = _blocks(path, table, groups, config, notes)
    else:
        fold = _drawn(path, groups, forms, config, seed, notes)
    return {"group": groups, "fold": fold}


def _overlapping(table: pd.DataFrame) -> np.ndarray:
    """Number stretches of the genome that rows cover without a gap; rows without a chromosome have one each."""
    start = table["start"].to_numpy()
    end = table["end"].to_numpy() if "end" in table else start + table["seq"].str.len().to_numpy() - 1
    chromosome = table["chromosome"].to_numpy(dtype=str)
    stretches = splits.overlapping(chromosome, start, end)
    return np.where(chromosome == "", stretches.max() + 1 + np.arange(len(table)), stretches)


def _drawn(
    path: Path, groups: np.ndarray, forms: tuple[np.ndarray, np.ndarray], config: AssayConfig, seed: int, notes: list
) -> np.ndarray:
    if (n := len(np.unique(groups))) < config.n_folds:
        raise BadInput(
            f"{config.at('n_folds')}{path} has {n} groups of related rows (equal sequences, orientations, alleles, a "
            f"column `group`, overlap on the genome); {config.n_folds} folds need at least {config.n_folds}. Lower "
            "n_folds, or hold out whole chromosomes: split: chromosomes."
        )
    folds = splits.assign_folds(splits.numbered_by_content(groups, *forms), config.n_folds, seed=seed)
    sizes = np.bincount(folds)
    notes.append(
        f"{config.n_folds} folds of {sizes.min():,} to {sizes.max():,} rows were drawn by group (seed {seed}); the "
        "order of rows does not matter."
    )
    return folds


def _given_folds(
    path: Path, table: pd.DataFrame, groups: np.ndarray, config: AssayConfig, notes: list[str]
) -> np.ndarray:
    values = pd.to_numeric(table["fold"])
    folds, known = pd.factorize(values, sort=True)
    if not 3 <= len(known) <= MAX_FOLDS:
        raise BadInput(
            f"{config.at('fold')}{path}: column {config.fold!r} has {len(known)} distinct values; 3 to {MAX_FOLDS} "
            "folds, or train, val "
            "and test, are expected."
        )
    if parted := splits.n_parted(groups, folds):
        raise BadInput(
            f"{config.at('fold')}{path}: column {config.fold!r} parts {parted:,} groups (orientations, alleles or "
            "equal sequences), so "
            "training and test would share them. Draw folds by group: split: groups, or --refold."
        )
    notes.append(f"The table's {len(known)} folds were used.")
    return folds.astype(np.int8)


def _chromosome_folds(
    path: Path, table: pd.DataFrame, groups: np.ndarray, config: AssayConfig, notes: list[str]
) -> np.ndarray:
    """Deal whole chromosomes into folds of near-equal numbers of rows; groups across chromosomes go with the first."""
    names = table["chromosome"].to_numpy(dtype=object)
    of_group = pd.Series(np.where(names == "", None, names), dtype=object).groupby(groups).transform("min").fillna("")
    sizes = of_group[of_group != ""].value_counts(sort=False).sort_index()
    sizes = sizes.sort_values(ascending=False, kind="stable")
    n_folds = min(config.n_folds, len(sizes))
    if n_folds < 3:
        raise BadInput(
            f"{config.at('chromosome')}{path}: column {config.chromosome!r} has {len(sizes)} chromosomes; three folds "
            "need as many at least."
        )
    load, fold_of = [0] * n_folds, {}
    for chromosome, n in sizes.items():
        fold_of[chromosome] = lightest = load.index(min(load))
        load[lightest] += int(n)
    if moved := int(((of_group != names) & (names != "")).sum()):
        notes.append(f"{moved:,} rows share a group with a row on another chromosome, and its fold.")
    named = "; ".join(f"{k}: {', '.join(str(c) for c in fold_of if fold_of[c] == k)}" for k in range(n_folds))
    notes.append(f"Whole chromosomes were dealt into {n_folds} folds ({named}).")
    if nowhere := int((of_group == "").sum()):
        notes.append(f"{nowhere:,} rows without a chromosome always train.")
    return of_group.map({**fold_of, "": -1}).to_numpy(dtype=np.int8)


def _blocks(path: Path, table: pd.DataFrame, groups: np.ndarray, config: AssayConfig, notes: list[str]) -> np.ndarray:
    """Cut chromosomes, end to end in the order of their names, into blocks of near-equal numbers of rows."""
    chromosome = table["chromosome"].to_numpy(dtype=str)
    known = sorted(set(chromosome))
    if unknown := [name for name in config.blocks_of if name not in known]:
        raise BadInput(
            f"{config.at('blocks_of')}{path} has no row on {unknown[0]!r}, which blocks_of names; it has "
            f"{', '.join(known[:12])}."
        )
    is_cut = np.isin(chromosome, config.blocks_of or known) & (chromosome != "")
    number, start = np.searchsorted(known, chromosome), table["start"].to_numpy()
    place = number.astype(np.int64) * (int(start.max()) + 1) + start
    n_groups = len(np.unique(groups[is_cut]))
    if n_groups < config.n_folds:
        raise BadInput(
            f"{config.at('n_folds')}{path} has {n_groups} stretches that do not overlap; {config.n_folds} blocks need "
            "as many at least."
        )
    fold = splits.blocks(groups, place, config.n_folds, is_cut)
    if len(np.unique(fold[fold >= 0])) < 3:
        raise BadInput(f"{path}: overlapping rows leave fewer than three blocks.")
    what = ", ".join(config.blocks_of) if config.blocks_of else "All chromosomes, end to end,"
    notes.append(f"{what} cut into {config.n_folds} blocks; rows that overlap on the genome share a block.")
    if always := int((fold < 0).sum()):
        notes.append(f"{always:,} rows on other chromosomes always train.")
    return fold


def _parts_of_words(
    path: Path,
    words: pd.Series,
    groups: np.ndarray,
    forms: tuple[np.ndarray, np.ndarray],
    config: AssayConfig,
    seed: int,
    notes: list[str],
) -> np.ndarray:
    part = words.str.lower().map(PART_OF_WORD)
    if part.notna().all() and not (part == "val").any():
        part = part.mask(_tenth(groups, forms, part == "train", seed), "val")
        notes.append(f"No row is for validation: a tenth of the training groups were drawn for it (seed {seed}).")
    if part.isna().any():
        line = part.index[part.isna()][0]
        raise BadInput(
            f"{path}, line {line}: column {config.fold!r} is expected to hold numbers of folds, or train, val and "
            f"test, got {words[line]!r}. Other words: name them with test and validation."
        )
    return _one_split(path, part.to_numpy(dtype=object), groups, notes)


def _tenth(groups: np.ndarray, forms: tuple[np.ndarray, np.ndarray], is_train: pd.Series, seed: int) -> np.ndarray:
    """Draw a tenth of the groups that have training rows; (n,) bool, of these rows."""
    rows = np.flatnonzero(is_train)
    numbered = splits.numbered_by_content(groups, *forms)[rows]
    drawn = np.zeros(len(groups), dtype=bool)
    if len(np.unique(numbered)) >= N_PARTS:
        drawn[rows] = splits.assign_folds(numbered, N_PARTS, seed=seed) == 0
    return drawn


def _named_parts(
    path: Path, column: pd.Series, groups: np.ndarray, config: AssayConfig, notes: list[str]
) -> np.ndarray:
    written = set(column)
    test, validation = set(config.test), set(config.validation)
    if not written & (test | validation):  # chr7 here, 7 there
        column = column.str.removeprefix("chr")
        test, validation = ({value.removeprefix("chr") for value in values} for values in (test, validation))
    known = set(column)
    for key, values in (("test", test), ("validation", validation)):
        for value in sorted(values - known):
            raise BadInput(
                f"{config.at(key)}{path}: no row has {value!r} ({key}); there are {', '.join(sorted(written)[:12])}."
            )
    if both := test & validation:
        raise BadInput(
            f"{config.at('validation')}{sorted(both)[0]!r} is in test and in validation; it can be held out for one "
            "of them."
        )
    part = np.where(column.isin(test), "test", np.where(column.isin(validation), "val", "train"))
    return _one_split(path, part.astype(object), groups, notes)


def _one_split(path: Path, part: np.ndarray, groups: np.ndarray, notes: list[str]) -> np.ndarray:
    """Leave out of training, then of validation, what shares a group with a row that is held out."""
    for held_out, others in (("test", ("train", "val")), ("val", ("train",))):
        seen = np.isin(groups, groups[part == held_out]) & np.isin(part, others)
        if seen.any():
            notes.append(f"{seen.sum():,} rows that share a group with a {held_out} row are not used.")
            part = np.where(seen, "", part)
    counts = {name: int((part == name).sum()) for name in PARTS}
    if not all(counts.values()):
        lacking = next(name for name in PARTS if not counts[name])
        raise BadInput(f"{path}: no row is left for {lacking}; train, val and test need some each.")
    notes.append("One split, no folds: " + ", ".join(f"{n:,} {name}" for name, n in counts.items()) + " rows.")
    return part
