"""Tables and FASTA files of UMI-STARR-seq activities, row by row: layouts, strands, copies.

Source: the data rules of the challenge repository (`benchmarks/drosophila`); DeepSTARR's files.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import sequences
from benchmarks.errors import BadInput
from benchmarks.io import columns, tables, text_files
from benchmarks.io.account import Account
from benchmarks.io.columns import Role
from benchmarks.io.system_files import contents

SEQ_LEN = 249
OUTPUTS = {"dev": "Dev_log2_enrichment", "hk": "Hk_log2_enrichment"}
"""Output -> column: developmental and housekeeping programme, log2 enrichment of RNA over input."""

COLUMNS = (
    Role("chrom", ("seqnames", "chrom", "chr", "chromosome"), "chromosomes", required=True),
    Role("start", ("start",), "starts", required=True),
    Role("end", ("end",), "ends", required=True),
    Role("id", ("ID", "seq_id", "name"), "ids", required=True),
    Role("sequence", ("Sequence", "seq"), "sequences", required=True),
    Role("dev", (OUTPUTS["dev"], "dev"), "developmental activities", required=True),
    Role("hk", (OUTPUTS["hk"], "hk"), "housekeeping activities", required=True),
    Role("set", ("set",), "training, validation and test sets"),
)
"""What a column of a table holds; see `columns`."""
_STRAND = re.compile(r"_([+-])_")
_ID = re.compile(r"(?P<chrom>[^\s_]+)_(?P<start>\d+)_(?P<end>\d+)_(?P<strand>[+-])_.*")
_SETS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
_PAIR = re.compile(r"Sequences_(activity_)?(\w+)\.(?:fa|txt)(?:\.gz)?")


def has_data(folder: Path) -> bool:
    """Tell whether a folder holds files that `read` may read."""
    return folder.is_dir() and (bool(pairs(folder)) or any(map(tables.is_table, contents(folder))))


def is_pair(path: Path) -> bool:
    """Tell by its name whether a file is one of a pair of FASTA and activities."""
    return bool(_PAIR.fullmatch(path.name))


def pairs(path: Path) -> list[tuple[Path, Path, str]]:
    """Find DeepSTARR's pairs of FASTA and activities, with their set (Train, Val, Test), at a folder or a file."""
    if path.is_dir():
        fastas = sorted(path.glob("Sequences_*.fa")) + sorted(path.glob("Sequences_*.fa.gz"))
    else:
        match = _PAIR.fullmatch(path.name)
        fastas = [path] if match and not match[1] else []
        if match and match[1]:
            fastas = [f for f in (path.with_name(f"Sequences_{match[2]}.fa{gz}") for gz in ("", ".gz")) if f.is_file()]
    pairs = []
    for fasta in fastas:
        kind = _PAIR.fullmatch(fasta.name)
        if not kind:
            raise BadInput(f"{fasta}: expected a name as Sequences_Train.fa, to find its Sequences_activity_Train.txt.")
        beside = [fasta.with_name(f"Sequences_activity_{kind[2]}.txt{gz}") for gz in ("", ".gz")]
        activities = next((file for file in beside if file.is_file()), None)
        if activities is None:
            raise BadInput(f"{beside[0]} is missing; it holds the activities of {fasta.name}, in the same order.")
        pairs.append((fasta, activities, kind[2]))
    return pairs


def table_files(path: Path) -> list[Path]:
    """List the tables at a path: itself, or those in it if it is a folder."""
    if not path.is_dir():
        return [path]
    files, _ = tables.tables_in(path)
    if not files:
        raise BadInput(f"The folder {path} has no table (.tsv, .csv, .txt, plain or .gz, or .parquet) and no FASTA.")
    return files


def read_table(path: Path, given: Mapping[str, str], accounts: list[Account]) -> pd.DataFrame:
    """Read a table in the layout of the paper, row by row, and add an account of it."""
    account = Account(path.name)
    accounts.append(account)
    table = tables.read_headed(path, account=account)
    found = columns.resolve(path, table, COLUMNS, given, account)
    account.numbers["rows"] = len(table)
    ids = tables.required_text(path, table, found["id"])
    strand = ids.str.extract(_STRAND, expand=False)
    if strand.isna().any():
        line = strand.index[strand.isna()][0]
        raise BadInput(f"{path}, line {line}, column {found['id']!r}: no strand (_+_ or _-_) in {ids[line]!r}.")
    text = tables.required_text(path, table, found["sequence"]).tolist()
    if note := sequences.ambiguity_note(text, table.index):
        account.notes.append(note)
    result = pd.DataFrame(
        {
            "file": str(path),
            "line": table.index,
            "layout": "DREAM",
            "seq_id": ids.to_numpy(dtype=object),
            "chrom": tables.required_text(path, table, found["chrom"]).to_numpy(dtype=object),
            "start": tables.numbers(path, table, found["start"], whole=True),
            "end": tables.numbers(path, table, found["end"], whole=True),
            "strand": strand.to_numpy(dtype=object),
            "set": _known_sets(table[found["set"]], account) if "set" in found else "",
            "codes": _encoded(path, table.index, text),
        }
    )
    for output in OUTPUTS:
        result[output] = tables.numbers(path, table, found[output])
    return result


def _known_sets(values: pd.Series, account: Account) -> np.ndarray:
    """Read labels of sets; others count as none, and the account names the first."""
    sets = values.str.strip().str.lower().map(_SETS)
    unknown = sets.isna() & values.notna()
    if unknown.any():
        line = values.index[unknown][0]
        account.notes.append(
            f"{unknown.sum():,} labels of sets are not train, val or test, and were not used (the first is "
            f"{values[line]!r}, line {line})."
        )
    return sets.fillna("").to_numpy(dtype=object)


def strands(path: Path, ids: pd.Series, codes: np.ndarray) -> np.ndarray:
    """Read strands off ids, `_+_` or `_-_` as in the published tables; (n,) uint8, 1 on the reverse strand.

    Raises
    ------
    BadInput
        If two rows whose ids differ in nothing but the strand are not each other's reverse complement.
    """
    strand = ids.astype(str).str.extract(_STRAND, expand=False)
    place = ids.astype(str).str.partition("_-_")[0].where(strand == "-", ids.astype(str).str.partition("_+_")[0])
    rows = {"file": str(path), "line": ids.index, "seq_id": ids.to_numpy(), "place": place.to_numpy()}
    check_strands(pd.DataFrame(rows | {"strand": strand.fillna("+").to_numpy()}), codes, ["place"])
    return (strand == "-").to_numpy(dtype=np.uint8, na_value=0)


def are_marked(ids: Sequence[str]) -> np.ndarray:
    """Tell which ids say that a window is read from the reverse strand; (n,) bool."""
    return np.fromiter(((m := _STRAND.search(name)) is not None and m[1] == "-" for name in ids), bool, len(ids))


def check_strands(table: pd.DataFrame, codes: np.ndarray, place: Sequence[str] = ("chrom", "start", "end")) -> None:
    """Refuse windows whose two strands are not each other's reverse complement."""
    rows = table[[*place, "strand"]].assign(row=np.arange(len(table)))
    both = rows[rows["strand"] == "+"].merge(rows[rows["strand"] == "-"], on=list(place), suffixes=("", "_reverse"))
    forward, reverse = both["row"].to_numpy(), both["row_reverse"].to_numpy()
    wrong = (sequences.reverse_complement(codes[reverse]) != codes[forward]).any(axis=1)
    if wrong.any():
        first, other = (table.iloc[side[np.flatnonzero(wrong)[0]]] for side in (reverse, forward))
        raise BadInput(
            f"{first['file']}, line {first['line']}: the sequence of {first['seq_id']!r} is not the reverse complement "
            f"of the other strand of its window, line {other['line']} ({wrong.sum():,} of {len(both):,} such pairs)."
        )


def read_pair(fasta: Path, activities: Path, set_name: str, accounts: list[Account]) -> pd.DataFrame:
    """Read a FASTA file and the activities of its records, which are in the same order."""
    records = _records(fasta)
    accounts.append(Account(fasta.name, "FASTA", f"its activities are in {activities.name}, in the same order"))
    table = tables.read_headed(activities, OUTPUTS.values())
    accounts[-1].numbers["rows"] = len(records)
    if len(table) != len(records):
        raise BadInput(
            f"{fasta} has {len(records):,} records and {activities} {len(table):,} rows; they must be equal in number "
            "and order. Download both again."
        )
    matches = [_ID.fullmatch(name) for _, name, _ in records]
    if None in matches:
        line, name, _ = records[matches.index(None)]
        raise BadInput(f"{fasta}, line {line}: a header chrom_start_end_strand_class was expected, got {name[:60]!r}.")
    lines = pd.Series([line for line, _, _ in records])
    result = pd.DataFrame([match.groupdict() for match in matches if match]).astype(
        {"start": np.int64, "end": np.int64}
    )
    result["file"], result["line"], result["layout"] = str(fasta), lines, "DeepSTARR (FASTA and activities)"
    result["seq_id"] = np.array([name for _, name, _ in records], dtype=object)
    result["set"] = _SETS.get(set_name.lower(), "")
    result["codes"] = _encoded(fasta, pd.Index(lines), [sequence for *_, sequence in records])
    for output, column in OUTPUTS.items():
        result[output] = tables.numbers(activities, table, column)
    return result


def _records(fasta: Path) -> list[tuple[int, str, str]]:
    """Read a FASTA file: line of the header, name, sequence."""
    lines = text_files.read_lines(fasta)
    records = list(tables.fasta_records(lines))
    if not records:
        raise BadInput(f"{fasta} has no record.")
    if records[0][0] == 0:
        number, text = next((i, line.strip()) for i, line in enumerate(lines, start=1) if line.strip())
        raise BadInput(f"{fasta}, line {number}: a FASTA header (>) was expected, got {text[:40]!r}.")
    return records


def _encoded(path: Path, lines: pd.Index, text: list[str]) -> list[np.ndarray]:
    try:
        return list(sequences.encode([sequence.upper() for sequence in text], SEQ_LEN))
    except sequences.SequenceError as error:
        raise BadInput(f"{path}, line {lines[error.row]}, sequence: {error.reason}.") from None


def without_copies(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Keep the first of rows that agree in place, strand and values; refuse those that contradict each other."""
    place = ["chrom", "start", "end", "strand"]
    text = table["codes"].map(bytes)
    exact = table.assign(text=text).duplicated([*place, "text", *OUTPUTS])
    distinct = table[~exact]
    again = distinct.duplicated(place)
    if again.any():
        row = distinct[again].iloc[0]
        raise BadInput(
            f"{row['file']}, line {row['line']}: {row['seq_id']!r} appears again with another sequence or other "
            f"values ({again.sum():,} such rows). One row per window and strand is expected."
        )
    if exact.any():
        notes.append(f"{exact.sum():,} exact duplicate rows were collapsed.")
    return distinct.reset_index(drop=True)
