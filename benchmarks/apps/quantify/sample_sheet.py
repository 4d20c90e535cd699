"""The sample sheet: which files hold the reads of which sorting bin, and the cells and quantiles of the bins."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import simulated_marker
from benchmarks.api.data import Origin
from benchmarks.api.yeast_plasmid import N_BINS
from benchmarks.apps.quantify import fastq, maude
from benchmarks.errors import BadInput
from benchmarks.io import tables

UNSORTED = "unsorted"
_ALIASES = {"Bin": "bin", "binStartQ": "start_q", "binEndQ": "end_q"}
_NUMBERS = ("cells", "start_q", "end_q", "fraction")


@dataclass(frozen=True)
class Columns:
    """What is known of the columns of a count table, the sorted bins of all replicates; (bins,) each.

    Parameters
    ----------
    numbers
        Place of each bin in its replicate, from 0, or its number where bins are numbered.
    replicate
        Text.
    cells, start_q, end_q
        Cells sorted into it, and the quantiles of all cells between which they are; NaN where not known.
    """

    numbers: np.ndarray
    replicate: np.ndarray
    cells: np.ndarray
    start_q: np.ndarray
    end_q: np.ndarray

    def take(self, chosen: np.ndarray) -> "Columns":
        """Return some of the bins, by index or mask."""
        return Columns(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True)
class SampleSheet:
    """A sample sheet.

    Parameters
    ----------
    files
        Columns bin, replicate (both text), read1, read2 (paths): a row per pair of files; lanes of a bin are rows.
    bins
        A row per replicate and sorted bin: replicate, bin, and, NaN where not known, `cells` (sorted into it),
        `start_q`, `end_q` (quantiles of the sorted cells), `fraction` (share of the cells that its gate takes).
    """

    files: pd.DataFrame
    bins: pd.DataFrame
    origin: Origin

    def column(self, replicate: str, name: str) -> str:
        """Return what a sorted bin is called in count tables: its name, after its replicate where there are several."""
        return f"{replicate}/{name}" if len(set(self.bins["replicate"])) > 1 else name

    @property
    def names(self) -> list[str]:
        """Names of the sorted bins of all replicates, as the columns of count tables have them."""
        return [self.column(row.replicate, row.bin) for row in self.bins.itertuples()]

    @property
    def columns(self) -> Columns:
        """Return what is known of the sorted bins; where only fractions are, quantiles are made of them."""
        bins = self.bins
        place = bins.groupby("replicate").cumcount()
        numbers = bins["bin"].astype(int) if bins["bin"].str.isdecimal().all() else place
        start_q, end_q = (bins[name].to_numpy(np.float64).copy() for name in ("start_q", "end_q"))
        if np.isnan(start_q).all() and bins["fraction"].notna().all():
            for rows in bins.groupby("replicate").indices.values():
                model = maude.stacked(bins["fraction"].to_numpy()[rows])
                start_q[rows], end_q[rows] = model.start_q, model.end_q
        return Columns(numbers.to_numpy(), bins["replicate"].to_numpy(), bins["cells"].to_numpy(), start_q, end_q)


def read(path: Path, *, numbered: bool) -> SampleSheet:
    """Read a sample sheet: columns `bin, read1, read2`, and, where known, `replicate, cells, start_q, end_q, fraction`.

    Paths are relative to the sheet. Bins of name `unsorted` hold the library before sorting.

    Parameters
    ----------
    numbered
        Bins must be whole numbers from 0 to 17, as a weighted average of them needs.

    Raises
    ------
    BadInput
        For anything missing or unknown, with line and value.
    """
    cells = tables.read_cells(path)
    header = [_ALIASES.get(name, name) for name in cells.iloc[0].fillna("").str.strip()]
    table = cells.iloc[1:].copy()
    table.columns = header
    for name in ("bin", "read1", "read2"):
        if name not in header:
            raise BadInput(f"{path}: column {name!r} is missing; its columns are {', '.join(header[:12])}.")
    if table.empty:
        raise BadInput(f"{path} lists no files; a row per pair of files is expected.")
    files = pd.DataFrame({name: tables.required_text(path, table, name) for name in ("bin", "read1", "read2")})
    files["replicate"] = table["replicate"].fillna("1").str.strip() if "replicate" in header else "1"
    for name in _NUMBERS:
        given = name in header and table[name].notna()
        files[name] = np.nan
        if np.any(given):
            files.loc[given, name] = tables.numbers(path, table[given], name)
    _check_bins(path, files, numbered=numbered)
    for name in ("read1", "read2"):
        files[name] = [path.parent / cell for cell in files[name]]
    for line, row in zip(files.index, files.itertuples(), strict=True):
        for name in ("read1", "read2"):
            if not getattr(row, name).is_file():
                raise BadInput(f"{path}, line {line}, column {name!r}: no file at {getattr(row, name)}.")
        if row.read1 == row.read2:
            raise BadInput(f"{path}, line {line}: read1 and read2 are the same file, {row.read1}.")
    twice = files["read1"].duplicated()
    if twice.any():
        raise BadInput(f"{path}, line {files.index[twice][0]}: {files['read1'][twice].iloc[0]} is listed twice.")
    sorted_ = files[files["bin"] != UNSORTED]
    bins = sorted_.groupby(["replicate", "bin"], sort=False)[list(_NUMBERS)].first().reset_index()
    key = bins["bin"].astype(int) if bins["bin"].str.isdecimal().all() else bins["start_q"]
    bins = bins.assign(_key=key).sort_values(["replicate", "_key"], kind="stable").drop(columns="_key")
    folders = {path.parent, *(file.parent for file in files["read1"])}
    marked = any(fastq.is_simulated(file) for name in ("read1", "read2") for file in files[name])
    origin = "simulated" if marked else simulated_marker.of(*folders)
    return SampleSheet(files.reset_index(drop=True), bins.reset_index(drop=True), origin)


def _check_bins(path: Path, files: pd.DataFrame, *, numbered: bool) -> None:
    for line, row in zip(files.index, files.itertuples(), strict=True):
        known = row.bin == UNSORTED or not numbered or (row.bin.isdecimal() and int(row.bin) < N_BINS)
        if not known:
            raise BadInput(
                f"{path}, line {line}, column 'bin': unknown bin {row.bin!r}; a whole number from 0 to {N_BINS - 1}, "
                f"or {UNSORTED}, is expected."
            )
        if row.cells <= 0:
            raise BadInput(f"{path}, line {line}, column 'cells': more than 0 is expected, got {row.cells:g}.")
        if not np.isnan(row.fraction) and not 0 < row.fraction < 1:
            raise BadInput(f"{path}, line {line}, column 'fraction': between 0 and 1 expected, got {row.fraction:g}.")
        if np.isnan(row.start_q) != np.isnan(row.end_q):
            raise BadInput(f"{path}, line {line}: start_q and end_q are given together or not at all.")
        if not np.isnan(row.start_q) and not 0 <= row.start_q < row.end_q <= 1:
            raise BadInput(
                f"{path}, line {line}: 0 <= start_q < end_q <= 1 is expected, got {row.start_q:g} and {row.end_q:g}."
            )
    sorted_ = files[files["bin"] != UNSORTED]
    if sorted_.empty:
        raise BadInput(f"{path} lists no sorted bin.")
    for replicate, n_bins in sorted_.groupby("replicate", sort=False)["bin"].nunique().items():
        if n_bins < 2:
            raise BadInput(
                f"{path}: replicate {replicate} has a single sorted bin, which cannot tell expression apart; two or "
                "more are expected."
            )
    if not numbered and sorted_["start_q"].isna().any() and sorted_["fraction"].isna().any():
        raise BadInput(
            f"{path}: start_q and end_q of every sorted bin are needed, the quantiles of all cells between which it "
            "lies; or fraction, the share of all cells that it takes."
        )
    for (replicate, name), part in sorted_.groupby(["replicate", "bin"], sort=False):
        for column in _NUMBERS:
            if len(set(part[column].dropna())) > 1:
                raise BadInput(f"{path}: bin {name} of replicate {replicate} has two values of {column!r}.")
    for column in _NUMBERS:
        given = sorted_[column].notna()
        if given.any() and not given.all():
            line = files.index[files.index.isin(sorted_.index[~given])][0]
            raise BadInput(f"{path}, line {line}: {column!r} is missing; it is given for all sorted bins or for none.")
