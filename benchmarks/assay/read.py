"""From a table and its config to a Dataset: values, sequences of one length, orientations, groups and folds."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import noise_ceiling, orientations, sequences, splits
from benchmarks.api.data import Dataset, Layout
from benchmarks.assay import held_out, lengths, rows
from benchmarks.assay.config import AssayConfig
from benchmarks.assay.rows import Rows
from benchmarks.errors import BadInput
from benchmarks.io.account import Account

_ALLELE = re.compile(
    r"(?:[_:.| -](?:ref|alt|reference|alternative|alternate|wt|wildtype|mut|mutant|mutated|fwd|rev|forward|reverse|rc)|"
    r":[AR](?::w[CLR])?|_[AFR]|_Reversed(?::.*)?)+$",
    re.IGNORECASE,
)
"""Marks of alleles and orientations at the end of an id: `:ref`, `.alt_fwd`, `_A`, and `:A:wC` of Gosai et al. 2024."""
_BASES = re.compile(r"[_:.| >/-][ACGT]{1,20}$")
"""An allele as its bases, as in `rs1_A` and `rs1_G`; it counts where the sequences confirm it."""
_OTHER_MARKS = re.compile(
    r"^(?:ref|alt|wt|mut|[AR])[_:.|-]|[_:.| -]?(?:ref|alt|wt|mut|allele)\d*(?:[_:.-]\d+)?$|[_:.-][ACGT]\d+[ACGT]$",
    re.IGNORECASE,
)
"""Further ways to write alleles: `ref_rs1`, `A:X_chr10`, `rs1_allele1`, `el1_mut5`, `el1_A30G`; to be confirmed too."""
MAX_ALLELE_DIFFERENCE = 0.1
"""Share of the bases that two alleles may differ in, position by position."""
ALLELE_KMER, MIN_SHARED_KMERS = 8, 0.6
"""Alleles with an insertion or a deletion: of the k-mers of one, the share that the other has at least."""


ALL_ROWS, OTHER_NAME = "all", "class all"
"""The subset of all rows, and what a class of that name is called."""


def read(config: AssayConfig, folder: Path, name: str, *, refold: bool = False, seed: int = 0) -> Dataset:
    """Read an assay.

    `meta` has `seq_id`, `is_reverse`, `group` (what shares a fold), `element`, `orientation`, `element_class`,
    `is_control`, `fold` or `split` (see `held_out.hold_out`), and `weight` where rows count differently. The table
    `layout` is that of `layout_of`.

    Parameters
    ----------
    folder
        That paths of the config are relative to.
    refold
        Draw folds by group even where the table has folds.

    Raises
    ------
    BadInput
        For whatever is wrong in the files, naming line, column and value.
    """
    path = folder / config.table
    account = Account(path.name)
    used = rows.read(config, folder, account)
    notes: list[str] = []
    one_length = len(set(used.table["seq"].str.len())) == 1
    layout = Layout(_pair(config.adapters), config.pad, _pair(config.pad_with), config.longer, has_marks=one_length)
    codes, turned = _encoded(path, used.table, config, layout, notes)
    meta, groups = _meta(path, used.table, codes, turned, layout, notes)
    is_control = used.table["class"].isin(config.controls).to_numpy() if "class" in used.table else np.zeros(len(codes))
    if unknown := [name for name in config.controls if name not in set(used.table.get("class", ()))]:
        known = ", ".join(sorted(set(used.table.get("class", ())))[:12])
        raise BadInput(f"{config.at('controls')}{path}: no row has the class {unknown[0]!r}; there are {known}.")
    if is_control.all():
        raise BadInput(
            f"{config.at('controls')}{path}: every row is a control ({', '.join(config.controls)}), which do not train."
        )
    has_classes = "class" in used.table and len(set(used.table["class"])) > 1
    classes = used.table["class"] if has_classes else pd.Series("", index=used.table.index)
    if (classes == ALL_ROWS).any():
        notes.append(f"The class {ALL_ROWS!r} is scored as {OTHER_NAME!r}: {ALL_ROWS!r} is every row but the controls.")
    meta["element_class"] = classes.replace(ALL_ROWS, OTHER_NAME).to_numpy(dtype=object)
    meta["is_control"] = is_control.astype(np.uint8)
    split = "groups" if refold and config.split == "column" else config.split
    parts = held_out.hold_out(path, used.table, groups, (codes, turned), config, split=split, seed=seed, notes=notes)
    meta = meta.assign(**parts)
    if (weights := weights_of(config, used)) is not None:
        meta["weight"] = weights
        notes.append(f"Rows count {weights.min():.2g} to {weights.max():.2g} in training, by their {config.weights}.")
    for output, values in used.values.items():
        measured = values[~np.isnan(values)]
        column = config.values.get(output, output)
        if not len(measured):
            raise BadInput(f"{config.place(column)}{path}: {column!r} has no value in the rows that are used.")
        if np.ptp(measured) == 0:
            raise BadInput(
                f"{config.place(column)}{path}: {column!r} holds one value in every row; there is nothing to learn."
            )
        if len(measured) < len(values):
            notes.append(
                f"{output}: {len(values) - len(measured):,} values are missing; they are neither learnt nor scored."
            )
    account.numbers |= {
        "rows_used": len(codes),
        "elements": int(meta["group"].nunique()),
        "reverse_rows": int(meta["is_reverse"].sum()),
        "controls": int(meta["is_control"].sum()),
    }
    numbers = account.numbers
    account.notes += [
        f"{numbers['rows_used']:,} of {numbers['rows']:,} rows are used: {numbers['elements']:,} groups, "
        f"{numbers['reverse_rows']:,} reverse orientations, {numbers['controls']:,} controls.",
        *notes,
    ]
    ceilings = [row for output, values in used.replicates.items() for row in noise_ceiling.rows_of(output, values)]
    return Dataset(
        name,
        codes,
        {output: values.astype(np.float32) for output, values in used.values.items()},
        meta,
        "measured",
        ceilings=tuple(ceilings),
        notes=tuple(account.sentences()),
        tables={"layout": _layout_table(layout)},
        accounts=(account.to_dict(),),
    )


def _pair(ends: list[str]) -> tuple[str, str]:
    left, right = (end.upper() for end in ends)
    return left, right


def _layout_table(layout: Layout) -> pd.DataFrame:
    (left, right), (pad_left, pad_right) = layout.adapters, layout.pad_with
    cells = {"left": left, "right": right, "pad": layout.pad, "pad_left": pad_left, "pad_right": pad_right}
    return pd.DataFrame([cells | {"longer": layout.longer, "has_marks": "yes" if layout.has_marks else "no"}])


def layout_of(dataset: Dataset) -> Layout:
    """Return how the sequences of an assay lie in its rows."""
    cells = {str(name): str(value) for name, value in dataset.tables["layout"].iloc[0].items()}
    layout = Layout((cells["left"], cells["right"]), pad_with=(cells["pad_left"], cells["pad_right"]))
    has_marks = cells.get("has_marks", "yes") == "yes"
    return dataclasses.replace(layout, pad=cells["pad"], longer=cells["longer"], has_marks=has_marks)


def weights_of(config: AssayConfig, used: Rows) -> np.ndarray | None:
    """Return what rows count by in training, (n,) float32, mean 1; None where all count alike.

    The inverse of a row's variance: that of its measurement, plus that of a typical row, which stands for what no model
    predicts; so no single row dominates. Of `errors`, the variance is the squared standard error, its mean over
    outputs; of `barcodes`, it is 1 / their number. A row without one counts as the noisiest does.
    """
    if config.weights == "none":
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        if config.weights == "barcodes":
            variance = 1 / used.table["barcodes"].to_numpy(np.float64)
        else:
            squares = np.square(np.stack(list(used.errors.values()), axis=1))
            variance = np.nansum(squares, axis=1) / (~np.isnan(squares)).sum(axis=1)
    known = variance[np.isfinite(variance)]
    if not len(known):
        raise BadInput(f"{config.at('weights')}{config.weights} have no number in any row.")
    variance = np.where(np.isfinite(variance), variance, known.max())
    weights = 1 / (variance + max(float(np.median(known)), 1e-12))
    return (weights / weights.mean()).astype(np.float32)


def _encoded(
    path: Path, table: pd.DataFrame, config: AssayConfig, layout: Layout, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Encode sequences, and their other orientations, as rows of one length; (n, seq_len) uint8 each."""
    texts = table["seq"].tolist()
    n_bases = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    seq_len = config.length or int(n_bases.max())
    left, right = layout.adapters
    lacking = [not (text.startswith(left) and text.endswith(right)) for text in texts]
    if any(lacking):
        line = table.index[lacking.index(True)]
        raise BadInput(
            f"{config.at('adapters')}{path}, line {line}: the adapters {left or '-'} and {right or '-'} are expected "
            "at the ends of every "
            f"sequence ({sum(lacking):,} rows lack them). Correct `adapters`, or leave it out."
        )
    if long := int((n_bases > seq_len).sum()):
        line = table.index[int(np.flatnonzero(n_bases > seq_len)[0])]
        if layout.longer == "refuse":
            raise BadInput(
                f"{config.at('length')}{path}, line {line}: at most {seq_len} bp expected (length), got "
                f"{n_bases[n_bases > seq_len][0]} "
                f"({long:,} such rows). Raise `length`, or say what is kept of longer ones: longer: middle."
            )
        if seq_len <= len(left) + len(right):
            raise BadInput(
                f"{config.at('length')}{path}: length {seq_len} leaves nothing between adapters of "
                f"{len(left) + len(right)} bp."
            )
        notes.append(f"{long:,} longer sequences are cropped to {seq_len} bp: of what lies between the adapters, the "
                     f"{layout.longer} is kept.")  # fmt: skip
    if short := int((n_bases < seq_len).sum()):
        where = {"both": "half on either side", "left": "on the left", "right": "on the right"}[layout.pad]
        what = "the given flanks and N beyond them" if any(layout.pad_with) else "N"
        notes.append(
            f"{short:,} sequences of {n_bases.min()} bp or more are padded with {what} to {seq_len} bp, {where}."
        )
    if note := sequences.ambiguity_note(texts, table.index):
        notes.append(note)
    try:
        forms = tuple(lengths.as_rows(part, seq_len, layout) for part in (texts, lengths.reversed_all(texts, layout)))
    except sequences.SequenceError as error:
        column = f", column {config.sequence!r}" if config.sequence else ""
        raise BadInput(f"{path}, line {table.index[error.row]}{column}: {error.reason}.") from None
    return forms


def _alleles(stems: pd.Series, texts: list[str], codes: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Number ids with one stem alike (`rs1_A` and `rs1_G`), if their sequences confirm that they are alleles.

    They do if they agree at nearly every position, in either orientation, or share most k-mers, as those of an
    insertion or a deletion.
    """
    number = pd.factorize(stems)[0]
    first = pd.Series(np.arange(len(codes))).groupby(number).transform("first").to_numpy()
    apart = np.minimum(*((form != codes[first]).sum(axis=1) for form in (codes, turned)))
    differ = apart > MAX_ALLELE_DIFFERENCE * (codes != sequences.N_CODE).sum(axis=1)
    for row in np.flatnonzero(differ):
        ours, theirs = _kmers(texts[row]), _kmers(texts[first[row]])
        differ[row] = len(ours & theirs) < MIN_SHARED_KMERS * max(1, min(len(ours), len(theirs)))
    return np.where(differ, number.max() + 1 + np.arange(len(codes)), number)


def _kmers(text: str) -> set[str]:
    return {text[i : i + ALLELE_KMER] for i in range(len(text) - ALLELE_KMER + 1)}


def _meta(
    path: Path, table: pd.DataFrame, codes: np.ndarray, turned: np.ndarray, layout: Layout, notes: list[str]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Tell orientations and elements of rows; return `meta` and what belongs together, (n,) int64."""
    by_sequence, is_larger = sequences.canonical_groups(codes, turned)
    found = orientations.Strands(np.zeros(len(codes), dtype=np.uint8), None)
    if "strand" in table:
        found = orientations.Strands(table["strand"].to_numpy(dtype=np.uint8), None)
    elif layout.has_marks:
        insert = slice(len(layout.adapters[0]), codes.shape[1] - len(layout.adapters[1]))
        found = orientations.of_ids(path, table["id"], codes, insert)
    notes += found.notes
    stems = table["id"].str.replace(_ALLELE, "", regex=True)
    groupings = [
        by_sequence,
        pd.factorize(stems)[0],
        *(
            _alleles(of.str.replace(marks, "", regex=True), table["seq"].tolist(), codes, turned)
            for of in (table["id"], stems)
            for marks in (_BASES, _OTHER_MARKS)
        ),
        *([found.element] if found.element is not None else []),
    ]
    if "group" in table:
        groupings.append(pd.factorize(table["group"])[0])
    orientation = found.is_reverse if found.element is not None else is_larger
    meta = pd.DataFrame(
        {
            "seq_id": table["id"].to_numpy(dtype=object),
            "is_reverse": found.is_reverse,
            "element": found.element if found.element is not None else by_sequence,
            "orientation": orientation.astype(np.uint8),
        }
    )
    return meta, splits.joined_groups(*groupings)
