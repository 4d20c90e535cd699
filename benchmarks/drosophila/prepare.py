"""From tables or FASTA files of UMI-STARR-seq activities to a Dataset: layouts, strands, loci, what is held out.

Source: the data rules of the challenge repository (`benchmarks/drosophila`), DeepSTARR's files and notebook; Rafi et
al. 2024, Methods, "Drosophila UMI-STARR-seq models".
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import sequences, splits
from benchmarks.api.data import Dataset, Origin
from benchmarks.drosophila import read_tables
from benchmarks.drosophila.read_tables import OUTPUTS, SEQ_LEN
from benchmarks.errors import BadInput
from benchmarks.io.account import Account

CHROMOSOMES = ("chr2L", "chr2R", "chr3L", "chr3R", "chrX")
"""Held out in turn; test fold 0 is the first."""
N_VAL_FOLDS, N_BLOCKS = 10, 10
SPLITS = ("chromosome", "strict", "deepstarr", "position")

DM3_CHR2R_BP = 21_146_708
"""Length of chr2R in dm3. DeepSTARR validates on its first half and tests on its second."""


def read(
    path: Path, name: str, *, split: str = SPLITS[0], seed: int = 0, given: Mapping[str, str] | None = None
) -> Dataset:
    """Read a table in the DREAM layout, a FASTA file with its activities, or a folder of either.

    `meta` has `seq_id`, `chrom`, `start`, `end` (1-based, inclusive), `is_reverse` and `group` (what must not be
    parted), and says what is held out: see `hold_out`.

    Parameters
    ----------
    split
        One of SPLITS.
    seed
        Of the drawn validation folds.
    given
        What the user says of the columns: one of `COLUMNS` -> name of the column.

    Raises
    ------
    BadInput
        For anything wrong in the files, naming line, column and value; where the split cannot be made of the data.
    """
    accounts: list[Account] = []
    parts = [read_tables.read_pair(*pair, accounts) for pair in read_tables.pairs(path)] or [
        read_tables.read_table(file, given or {}, accounts) for file in read_tables.table_files(path)
    ]
    table = pd.concat(parts, ignore_index=True)
    notes = [sentence for account in accounts for sentence in account.sentences()]
    notes.append(f"Read {len(table):,} rows in the {table['layout'].iloc[0]} layout from {len(parts)} file(s).")
    table = read_tables.without_copies(table, notes)
    codes = np.concatenate(table.pop("codes").to_list()).reshape(-1, SEQ_LEN)
    read_tables.check_strands(table, codes)
    targets = {output: table[output].to_numpy(dtype=np.float32) for output in OUTPUTS}
    for output, values in targets.items():
        if np.ptp(values) == 0:
            raise BadInput(f"{path}: {OUTPUTS[output]} holds one value in every row; there is nothing to learn.")
    made = dataset(name, table, codes, targets, "measured", split=split, seed=seed, notes=notes, path=path)
    return dataclasses.replace(made, accounts=tuple(account.to_dict() for account in accounts))


def dataset(
    name: str,
    table: pd.DataFrame,
    codes: np.ndarray,
    targets: dict[str, np.ndarray],
    origin: Origin,
    *,
    split: str,
    seed: int,
    notes: list[str],
    path: Path | None = None,
    ceilings: tuple = (),
) -> Dataset:
    """Put windows into a Dataset, with what is held out; `table` has seq_id, chrom, start, end, strand, set."""
    same_sequence, _ = sequences.canonical_groups(codes, sequences.reverse_complement(codes))
    meta = table[["seq_id", "chrom", "start", "end"]].reset_index(drop=True)
    meta["is_reverse"] = (table["strand"] == "-").to_numpy(dtype=np.uint8)
    meta["locus"] = pd.factorize(pd.MultiIndex.from_frame(meta[["chrom", "start", "end"]]))[0].astype(np.int64)
    held_out = hold_out(meta, same_sequence, table["set"].to_numpy(), split=split, seed=seed, path=path)
    notes += held_out.pop("notes")
    return Dataset(name, codes, targets, meta.assign(**held_out), origin, ceilings=ceilings, notes=tuple(notes))


# What is held out


def hold_out(
    meta: pd.DataFrame, same_sequence: np.ndarray, sets: np.ndarray, *, split: str, seed: int, path: Path | None = None
) -> dict:
    """Say for every row what it is held out for; a pure function of windows and sequences.

    Returns
    -------
    `group` (what is never parted), `notes`, and for split

    chromosome, strict
        `test_fold`: number of the chromosome in CHROMOSOMES, -1 elsewhere (always training); `fold`: one of ten, which
        validates when its chromosome is not the one held out. strict also keeps overlapping windows in one fold, and
        its `twin` gives equal sequences on several chromosomes one number, so that they do not train where they test.
    deepstarr
        `split`: train, val or test.
    position
        `fold`: block of the chromosome with most rows; -1: always training.
    """
    groups = splits.joined_groups(meta["locus"].to_numpy(), same_sequence)
    if split in ("strict", "position"):
        groups = splits.joined_groups(groups, _overlapping(meta))
    if split == "deepstarr":
        return _deepstarr(meta, groups, sets, path)
    if split == "position":
        return _position(meta, groups, path)
    return _chromosomes(meta, groups, same_sequence, split, seed, path)


def _overlapping(meta: pd.DataFrame) -> np.ndarray:
    return splits.overlapping(meta["chrom"].to_numpy(dtype=str), meta["start"].to_numpy(), meta["end"].to_numpy())


def _chromosomes(
    meta: pd.DataFrame, groups: np.ndarray, same_sequence: np.ndarray, split: str, seed: int, path: Path | None
) -> dict:
    numbers = {name: number for number, name in enumerate(CHROMOSOMES)}
    test_fold = meta["chrom"].map(numbers).fillna(-1).to_numpy(dtype=np.int8)
    present = [name for name in CHROMOSOMES if (meta["chrom"] == name).any()]
    if not present or meta["chrom"].nunique() < 2:
        there = ", ".join(sorted(meta["chrom"].unique())[:6])
        raise BadInput(
            f"{path}: one of {', '.join(CHROMOSOMES)} must be held out, and other chromosomes train; the rows are on "
            f"{there}. Cut one chromosome into blocks with --split position."
        )
    for name in present:
        n_test = int((test_fold == numbers[name]).sum())
        if n_test > len(meta) - n_test:
            raise BadInput(
                f"{path}: {n_test:,} of {len(meta):,} rows are on {name}; without it {len(meta) - n_test:,} would be "
                "left to train on. Cut that chromosome into blocks with --split position."
            )
    fewest = min(len(np.unique(groups[test_fold != numbers[name]])) for name in present)
    if fewest < N_VAL_FOLDS:
        raise BadInput(
            f"{path}: {fewest} loci are left beside a held-out chromosome; {N_VAL_FOLDS} folds need as many at least."
        )
    fold = splits.assign_folds(groups, N_VAL_FOLDS, seed=seed)
    named = ", ".join(f"{numbers[name]} = {name}" for name in present)
    notes = [f"Test folds are chromosomes: {named}; the rest is dealt into {N_VAL_FOLDS} folds by locus (seed {seed})."]
    if absent := [name for name in CHROMOSOMES if name not in present]:
        notes.append(f"No row is on {', '.join(absent)}.")
    chromosomes = pd.DataFrame({"group": same_sequence, "chrom": meta["chrom"].to_numpy()}).drop_duplicates()
    is_twin = pd.Series(same_sequence).isin(chromosomes["group"][chromosomes.duplicated("group")]).to_numpy()
    held_out = {"group": groups, "test_fold": test_fold, "fold": fold}
    if split == "strict":
        held_out["twin"] = np.where(is_twin, same_sequence, -1)
        notes.append("--split strict: overlapping windows share a fold.")
        if is_twin.any():
            notes.append(f"{is_twin.sum():,} rows whose sequence is on several chromosomes never train where it tests.")
    elif is_twin.any():
        notes.append(
            f"{is_twin.sum():,} rows have a sequence that is also on another chromosome, so training saw it; "
            "--split strict leaves them out."
        )
    return held_out | {"notes": notes}


def _deepstarr(meta: pd.DataFrame, groups: np.ndarray, sets: np.ndarray, path: Path | None) -> dict:
    """Follow DeepSTARR's own split: its labels where the file has all three, else the middle of dm3's chr2R."""
    part = np.array(sets, dtype=object)
    notes = ["--split deepstarr: train, val and test as the file's own labels say (halves of chr2R)."]
    if set(part) != {"train", "val", "test"}:
        middle = DM3_CHR2R_BP // 2
        on_2r = (meta["chrom"] == "chr2R").to_numpy()
        part = np.where(on_2r, np.where(meta["end"] <= middle, "val", "test"), "train").astype(object)
        across = on_2r & (meta["start"] <= middle).to_numpy() & (meta["end"] > middle).to_numpy()
        part[across] = ""
        notes = [
            f"--split deepstarr: chr2R up to {middle:,} validates, beyond it tests, the rest trains. The original cut "
            f"is not published; this is the middle of dm3's chr2R. {across.sum():,} windows across it are left out."
        ]
    missing = [name for name in ("train", "val", "test") if not (part == name).any()]
    if missing:
        raise BadInput(
            f"{path}: --split deepstarr leaves no row for {missing[0]}; it needs chr2R and other chromosomes."
        )
    if parted := splits.n_parted(groups[part != ""], part[part != ""].astype(str)):
        notes.append(f"{parted:,} sequences are on both sides of the split, as in the original.")
    return {"group": groups, "split": part, "notes": notes}


def _position(meta: pd.DataFrame, groups: np.ndarray, path: Path | None) -> dict:
    """Cut the chromosome with most rows into blocks of near-equal rows, never through a group."""
    chrom = meta["chrom"].value_counts().index[0]
    on_it = (meta["chrom"] == chrom).to_numpy()
    if (n := len(np.unique(groups[on_it]))) < N_BLOCKS:
        raise BadInput(
            f"{path}: {chrom} has {n} stretches that do not overlap; {N_BLOCKS} blocks need as many at least."
        )
    fold = splits.blocks(groups, meta["start"].to_numpy(), N_BLOCKS, on_it)
    notes = [
        f"--split position: {chrom} was cut into {N_BLOCKS} blocks from end to end; overlapping windows and equal "
        "sequences share a block."
    ]
    if (fold < 0).any():
        notes.append(f"{(fold < 0).sum():,} rows on other chromosomes always train.")
    if len(np.unique(fold[fold >= 0])) < 3:
        raise BadInput(f"{path}: overlapping windows leave fewer than three blocks of {chrom}.")
    return {"group": groups, "fold": fold, "notes": notes}
