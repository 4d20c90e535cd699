"""A prepared folder of ATAC data: what it holds, and reading it back.

signal.bw               Tn5 insertions per base, shifted, both strands together, not scaled
peaks.bed               peaks that are used (narrowPeak); negatives_fold_0.bed …: background of each split
fold_0.json …           training, validation and test chromosomes
windows/                codes.npy (n, 3114) uint8, profile.npy (n, 2000) and regions.tsv, one row per window
prepared.json README.md what was done, with inputs, checksums and numbers
"""

import re
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import pandas as pd

from benchmarks.api.data import Origin
from benchmarks.atac.regions import MAX_JITTER, PROFILE_LEN, SEQ_LEN
from benchmarks.errors import BadInput
from benchmarks.io import tables, validated

FORMAT = 1
"""Raised when what a prepared folder holds changes."""
WIDE_SEQ, WIDE_PROFILE = SEQ_LEN + 2 * MAX_JITTER, PROFILE_LEN + 2 * MAX_JITTER
"""bp of the stored windows and profiles: those of a network, with room for jitter on either side."""

PART_CODES = {"train": 1, "valid": 2, "test": 3}
"""Values of a column fold_k of regions.tsv; 0: the window is not used in that fold."""

ABOUT, REGIONS = "prepared.json", "windows/regions.tsv"
WINDOWS = ("windows/codes.npy", "windows/profile.npy", REGIONS)
_RECOVERY_HINT = "prepare the folder again"


class _Format(TypedDict):
    """prepared.json, as far as every version has it."""

    format: int


class _About(_Format):
    """prepared.json, as far as it is read back."""

    origin: Origin
    stamp: str
    sizes: dict[str, int]
    notes_signal: list[str]
    notes_regions: list[str]
    notes_windows: NotRequired[list[str]]
    accounts: NotRequired[list[dict[str, Any]]]


def read_about(folder: Path) -> dict[str, Any]:
    """Read prepared.json: inputs, options, numbers and notes.

    Raises
    ------
    BadInput
        If the folder has none because it was not prepared to the end, or was prepared by another version.
    """
    if not (folder / ABOUT).is_file():
        raise BadInput(
            f"{folder} is not a prepared folder: it has no {ABOUT}. Make one: python -m benchmarks prepare --task atac "
            "--genome FASTA --reads FILE --peaks NARROWPEAK --out FOLDER."
        )
    version = validated.read_json(folder / ABOUT, _Format, recovery_hint=_RECOVERY_HINT)["format"]
    if version != FORMAT:
        raise BadInput(f"{folder} was prepared in format {version}, this version reads {FORMAT}; prepare it again.")
    return dict(validated.read_json(folder / ABOUT, _About, recovery_hint=_RECOVERY_HINT))


def finished(out: Path) -> dict[str, Any] | None:
    """Return prepared.json of a folder that is complete; None otherwise, and where another version prepared it."""
    try:
        about = read_about(out)
        is_complete = all((out / name).stat().st_size == size for name, size in about["sizes"].items())
    except (BadInput, OSError, KeyError):
        return None
    return about if is_complete else None


def notes_of(about: dict[str, Any]) -> list[str]:
    """Return what a reader of the report must know, from prepared.json; folders of the first versions have less."""
    return [note for key in ("notes_signal", "notes_regions", "notes_windows") for note in about.get(key, [])]


def inside(folder: Path) -> list[Path]:
    """List prepared folders: the folder itself, or those in it."""
    return [folder] if (folder / ABOUT).is_file() else sorted(file.parent for file in folder.glob(f"*/{ABOUT}"))


def damage(folder: Path) -> str | None:
    """Say what is wrong with a prepared folder, naming the file; None if its windows are as they were written.

    Only names and sizes are looked at, and the beginnings of arrays.
    """
    try:
        about = read_about(folder)
        for name, size in about["sizes"].items():
            if not (folder / name).is_file():
                return f"{folder / name} is missing"
            if (found := (folder / name).stat().st_size) != size:
                return f"{folder / name} has {found:,} bytes, {size:,} were written"
        for name in WINDOWS[:2]:
            validated.map_array(folder / name, recovery_hint=_RECOVERY_HINT)
    except BadInput as error:
        return str(error).rstrip(".")
    return None


def damaged(folder: Path) -> str | None:
    """Say what is wrong with the prepared folders in a folder; None if nothing is."""
    found = [(path, what) for path in inside(folder) if (what := damage(path)) is not None]
    more = f"; {len(found) - 1} more prepared folders are damaged" if len(found) > 1 else ""
    return f"the prepared folder {found[0][0]} is damaged: {found[0][1]}{more}" if found else None


def read_peaks(path: Path) -> pd.DataFrame:
    """Read peaks.bed of a prepared folder: chrom, start, end."""
    return pd.read_csv(
        path, sep="\t", header=None, usecols=[0, 1, 2], names=["chrom", "start", "end"], dtype={"chrom": "str"},
        na_filter=False,
    )  # fmt: skip


def read_regions(path: Path) -> pd.DataFrame:
    """Read the table of windows: chrom, centre, is_peak, fits_jitter, gc and fold_0 …; see PART_CODES.

    Raises
    ------
    BadInput
        If it is damaged.
    """
    largest_value = {"centre": 2**40, "is_peak": 1, "fits_jitter": 1, "gc": 100, "fold_0": max(PART_CODES.values())}
    options = {"sep": "\t", "dtype": {"chrom": "str"}, "na_filter": False}  # a chromosome may be named NA
    table = tables.read_ours(path, ["chrom", *largest_value], recovery_hint=_RECOVERY_HINT, **options)
    largest_value |= {name: largest_value["fold_0"] for name in table if re.fullmatch(r"fold_\d+", name)}
    for name, largest in largest_value.items():
        values = table[name]
        if len(table) and not (pd.api.types.is_integer_dtype(values) and values.between(0, largest).all()):
            raise BadInput(f"{path}: column {name!r} must hold whole numbers from 0 to {largest:,}; {_RECOVERY_HINT}.")
    small = [name for name, largest in largest_value.items() if largest < 100]
    return table[["chrom", *largest_value]].astype(dict.fromkeys(small, np.uint8))


def readme(name: str, about: dict[str, Any]) -> str:
    """Return the README.md of a prepared folder."""
    lines = [
        f"# ATAC data, prepared: {name}",
        "",
        f"Origin: **{about['origin']}**. Train on it: `python -m benchmarks run --task atac --data FOLDER`.",
        "",
        "| file | content |",
        "| --- | --- |",
        "| `signal.bw` | Tn5 insertions per base, both strands, counted at the middle of Tn5's 9 bp; raw counts |",
        "| `peaks.bed` | peaks that are used, narrowPeak; windows lie around start + column 10 |",
        "| `negatives_fold_K.bed` | background windows of split K, matched to its peaks by GC content |",
        "| `fold_K.json` | training, validation and test chromosomes of split K |",
        f"| `windows/codes.npy` | (n, {WIDE_SEQ}) bases, A0 G1 C2 T3 N4 |",
        f"| `windows/profile.npy` | (n, {WIDE_PROFILE}) insertions per base around the same centres |",
        "| `windows/regions.tsv` | chromosome, centre (0-based), peak or not, GC %, part in each split (1 training, "
        "2 validation, 3 test) |",
        f"| `{ABOUT}` | inputs with SHA-256, options, numbers |",
        "",
        *(f"- {note}" for note in notes_of(about)),
        "",
    ]
    return "\n".join(lines)
