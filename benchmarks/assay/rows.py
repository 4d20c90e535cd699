"""From the files of an assay to rows: values, replicates, weights and sequences, one row per id."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api.genome import Genome
from benchmarks.api.sequences import COMPLEMENT, decode
from benchmarks.assay.config import AssayConfig
from benchmarks.errors import BadInput
from benchmarks.io import columns, sequence_files, tables
from benchmarks.io.account import Account

MAX_UNKNOWN = 0.1
"""Largest share of a sequence that may be N."""


@dataclass(frozen=True)
class Rows:
    """Rows of a table as they are used; the index of `table` is the line in the file.

    Parameters
    ----------
    table
        id, seq (upper case) and, where the table has them, barcodes, class, strand, group, chromosome, start and end
        (1-based, inclusive), fold.
    values, errors
        Output -> (n,) float64, NaN where one is missing.
    replicates
        Output -> (n, k) float64, NaN where one is missing.
    """

    table: pd.DataFrame
    values: Mapping[str, np.ndarray]
    replicates: Mapping[str, np.ndarray] = field(default_factory=dict)
    errors: Mapping[str, np.ndarray] = field(default_factory=dict)

    def take(self, keep: np.ndarray) -> "Rows":
        """Return the rows of a mask, (n,) bool."""
        arrays = (
            {name: values[keep] for name, values in part.items()}
            for part in (self.values, self.replicates, self.errors)
        )
        return Rows(self.table[keep], *arrays)


def read(config: AssayConfig, folder: Path, account: Account) -> Rows:
    """Read the files of an assay and leave out what cannot be used; the account says what and why.

    Raises
    ------
    BadInput
        For whatever is wrong in the files, naming line, column and value.
    """
    path = folder / config.table
    rows = _precise(path, config, _read(path, config, account), account)
    if config.output or config.replicate:
        rows = _one_row_per_id(path, config, rows, account)
    if config.sequences:
        rows = _with_sequences(path, rows, folder / config.sequences, account)
    if config.genome:
        rows = _of_genome(path, rows, folder / config.genome, account)
    return _usable(path, config, rows, account)


def _read(path: Path, config: AssayConfig, account: Account) -> Rows:
    table = _all_tables(path, config, account)
    used = config.columns()
    for part, column in used.items():
        if column not in table:
            raise BadInput(
                f"{config.place(column)}{path} has no column {column!r}, named as {part}; its columns are "
                f"{', '.join(list(table)[:12])}."
            )
    account.numbers["rows"] = len(table)
    for column, chosen in config.where.items():
        others = ~table[column].fillna("").str.strip().isin(chosen)
        first = f"line {table.index[others][0]}" if others.any() else ""
        account.leave_out("rows", others.sum(), f"{column} is not {' or '.join(chosen)}", first)
        if others.all():
            known = ", ".join(sorted(set(table[column].dropna().str.strip()))[:12])
            at = config.at(f"where.{column}")
            raise BadInput(f"{at}{path}: no row has {' or '.join(chosen)} in {column!r}; there are {known}.")
        table = table[~others]
    account.used = used
    account.not_used = [name for name in table if name not in used.values()]
    parsed = pd.DataFrame(index=table.index)
    parsed["id"] = tables.required_text(path, table, config.id) if config.id else [f"row{i}" for i in range(len(table))]
    if config.barcodes:
        parsed["barcodes"] = tables.numbers(path, table, config.barcodes, may_miss=True)
        _refuse(path, table, config.barcodes, parsed["barcodes"] < 0, "a number of barcodes is below 0")
    for part, column in (("class", config.element_class), ("chromosome", config.chromosome), ("fold", config.fold)):
        if column:
            cells = table[column].fillna("").str.strip()
            parsed[part] = cells.mask(cells.str.lower().isin(tables.MISSING_WORDS), "") if part != "class" else cells
    if config.strand:
        parsed["strand"] = _strands(path, table, config.strand, account)
    if config.group:
        parsed["group"] = tables.required_text(path, table, config.group)
    if config.start:
        start = tables.numbers(path, table, config.start, may_miss=True)
        says = "a whole number is expected, got {cell!r}"
        _refuse(path, table, config.start, ~np.isnan(start) & (start != np.floor(start)), says)
        if (without := np.isnan(start)).any():
            account.notes.append(f"{without.sum():,} rows have no place; they overlap with no other.")
            parsed.loc[without, "chromosome"] = ""
        parsed["start"] = np.where(without, 1, start + (config.coordinates == "bed")).astype(np.int64)
        first = 0 if config.coordinates == "bed" else 1
        says = f"a place from {first} is expected (coordinates: {config.coordinates}), got {{cell!r}}"
        _refuse(path, table, config.start, parsed["start"] < 1, says)
    if config.end:
        end = tables.numbers(path, table, config.end, may_miss=True)
        if (lacking := np.isnan(end) & (parsed["chromosome"] != "").to_numpy()).any():
            line = table.index[lacking][0]
            raise BadInput(f"{path}, line {line}, column {config.end!r}: a place is expected, as the row has a start.")
        parsed["end"] = np.where(np.isnan(end), parsed["start"], end).astype(np.int64)
    if config.sequence and not config.sequences and not config.genome:
        parsed["seq"] = table[config.sequence].fillna("").str.strip()
    if config.saturation:
        table, parsed = _of_saturation(path, config, table, parsed, account)
    for part, column in (("output", config.output), ("replicate", config.replicate)):
        if column:
            parsed[part] = tables.required_text(path, table, column)
    if config.dna:
        return _of_counts(path, config, table, parsed, account)
    several = {
        output: np.stack([tables.numbers(path, table, name, may_miss=True) for name in names], axis=1)
        for output, names in config.replicates.items()
    }
    values, errors = (
        {output: tables.numbers(path, table, column, may_miss=True) for output, column in part.items()}
        for part in (config.values, config.errors)
    )
    for output, of in errors.items():
        _refuse(path, table, config.errors[output], of < 0, "a standard error is below 0")
    if config.log2:
        values = {output: _logarithm(path, table, config.values[output], of) for output, of in values.items()}
        several = {
            output: np.stack(
                [_logarithm(path, table, name, of[:, k]) for k, name in enumerate(config.replicates[output])], axis=1
            )
            for output, of in several.items()
        }
    if not values:
        values = {output: _mean(of) for output, of in several.items()}
        account.notes.append("Values are the mean of the replicates, of those that a row has.")
    return Rows(parsed, values, several, errors)


def _mean(replicates: np.ndarray) -> np.ndarray:
    """Average what is there of every row, (n, k) -> (n,); NaN where nothing is."""
    n = (~np.isnan(replicates)).sum(axis=1)
    return np.where(n > 0, np.nansum(replicates, axis=1) / np.maximum(n, 1), np.nan)


def _strands(path: Path, table: pd.DataFrame, column: str, account: Account) -> pd.Series:
    """Read a column of strands; those without one (`.`, as BED files write it) are read forward, and counted."""
    without = table[column].fillna(".").str.strip().isin([".", "*"])
    if without.any():
        account.notes.append(f"{without.sum():,} rows without a strand in {column!r} are read as forward.")
    return columns.strands(path, table.assign(**{column: table[column].mask(without, "+")}), column)


def _precise(path: Path, config: AssayConfig, rows: Rows, account: Account) -> Rows:
    """Leave out rows of the table with few barcodes, and take values with large errors as missing.

    It comes first, so that of several replicates or cell types of an id, those that are measured well are left.
    """
    if config.min_barcodes:
        few = ~(rows.table["barcodes"] >= config.min_barcodes).to_numpy()
        rows = _without(rows, few, f"fewer than {config.min_barcodes} barcodes", account)
        if few.all():
            raise BadInput(
                f"{config.at('min_barcodes')}{path}: no row has {config.min_barcodes} barcodes; lower min_barcodes."
            )
    if not config.max_error:
        return rows
    values = dict(rows.values)
    for output, errors in rows.errors.items():
        noisy = ~(errors <= config.max_error) & ~np.isnan(values[output])
        values[output] = np.where(noisy, np.nan, values[output])
        if noisy.any():
            account.notes.append(
                f"{output}: {noisy.sum():,} values count as missing, with a standard error above "
                f"{config.max_error:g}, or none."
            )
        if noisy.all():
            raise BadInput(
                f"{config.at('max_error')}{path}: every value of {output} has a standard error above "
                f"{config.max_error:g}, or none; raise max_error."
            )
    return Rows(rows.table, values, rows.replicates, rows.errors)


def _without(rows: Rows, drop: np.ndarray, reason: str, account: Account) -> Rows:
    """Leave rows out, (n,) bool, and count them for a reason."""
    first = f"line {rows.table.index[drop][0]}" if drop.any() else ""
    account.leave_out("rows", int(drop.sum()), reason, first)
    return rows.take(~drop)


def _all_tables(path: Path, config: AssayConfig, account: Account) -> pd.DataFrame:
    """Read the table, and others below it; lines of those are numbered on from its last."""
    table = _named(path, config, account)
    for name in config.more_tables:
        other = path.with_name(name)
        more = _named(other, config, Account(name))
        if set(more) != set(table):
            raise BadInput(
                f"{other} has the columns {', '.join(list(more)[:12])}; those of {path.name} are expected, "
                f"{', '.join(list(table)[:12])}."
            )
        more.index += int(table.index[-1])
        account.notes.append(f"Lines from {more.index[0]:,} on are those of {name}, {len(more):,} rows.")
        table = pd.concat([table, more])
    return table


def _logarithm(path: Path, table: pd.DataFrame, column: str, values: np.ndarray) -> np.ndarray:
    _refuse(path, table, column, values <= 0, "log2 needs numbers above 0, got {cell!r}")
    return np.log2(values)


def _refuse(path: Path, table: pd.DataFrame, column: str, wrong: np.ndarray | pd.Series, says: str) -> None:
    """Raise for the first wrong row, (n,) bool, of a column; `says` may have its `{cell!r}`."""
    if np.any(wrong):
        line = table.index[np.flatnonzero(wrong)[0]]
        raise BadInput(f"{path}, line {line}, column {column!r}: {says.format(cell=table[column][line])}.")


def _of_saturation(
    path: Path, config: AssayConfig, table: pd.DataFrame, parsed: pd.DataFrame, account: Account
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write the mutated sequence of every row: the reference bases of its element, one of them replaced or deleted.

    All rows of an element are one group. Elements with a position that no row mutates are left out.
    """
    cells = {part: table[column].fillna("").str.strip() for part, column in config.saturation.items()}
    element, ref, alt = cells["element"], cells["ref"].str.upper(), cells["alt"].str.upper()
    position = pd.Series(tables.numbers(path, table, config.saturation["position"], whole=True), index=table.index)
    for part, bases, pattern in (("ref", ref, "[ACGT]"), ("alt", alt, "[ACGT-]")):
        if not (fits := bases.str.fullmatch(pattern)).all():
            line = table.index[~fits][0]
            raise BadInput(
                f"{path}, line {line}, column {config.saturation[part]!r}: one base is expected (alt may be -, a "
                f"deletion), got {bases[line]!r}."
            )
    texts = pd.Series("", index=table.index)
    for name, places in position.groupby(element):
        of_element = pd.DataFrame({"at": places, "ref": ref[places.index]}).drop_duplicates().sort_values("at")
        at = of_element["at"].to_numpy()
        if (again := of_element["at"].duplicated()).any():
            raise BadInput(f"{path}: {name} has two reference bases at position {of_element['at'][again].iloc[0]:,}.")
        if at[-1] - at[0] + 1 != len(at):
            first = f"line {places.index[0]}"
            account.leave_out("rows", len(places), f"{name} has positions that no row mutates", first)
            continue
        whole = "".join(of_element["ref"])
        for line, offset in (places - at[0]).items():
            texts[line] = whole[:offset] + alt[line].removesuffix("-") + whole[offset + 1 :]
    parsed = parsed.assign(seq=texts, group=element)
    if not config.id:
        parsed["id"] = element + ":" + position.astype(str) + ":" + ref + ":" + alt
    used = texts != ""
    if not used.any():
        raise BadInput(f"{path}: no element has all of its positions: {' '.join(map(str, account.left_out))}")
    return table[used], parsed[used]


def _named(path: Path, config: AssayConfig, account: Account) -> pd.DataFrame:
    """Read the table, with the names of its columns from its first line or from `header`."""
    if not config.header:
        return tables.read_headed(path, account=account)
    cells = tables.read_cells(path, account)
    if cells.shape[1] != len(config.header):
        raise BadInput(f"{path} has {cells.shape[1]} columns; header in assay.yaml names {len(config.header)}.")
    account.format += " without a header"
    return cells.set_axis(config.header, axis=1)


def _of_counts(path: Path, config: AssayConfig, table: pd.DataFrame, parsed: pd.DataFrame, account: Account) -> Rows:
    """Add the counts of an id over its rows, and return log2 RNA/DNA of every replicate and of all.

    Counts are per million of their column, one being added to each sum. A missing count was not observed: a barcode
    counts for a replicate where both its DNA and its RNA were. Source: kircherlab/MPRAsnakeflow, which takes the same
    ratio of normalised sums.
    """
    names = parsed["id"]
    _refuse_differences(path, parsed, names, [name for name in parsed if name not in ("id", "barcodes")])
    first = ~names.duplicated()
    order = pd.Index(names[first])
    ratios, total, n_barcodes = [], {"dna": 0.0, "rna": 0.0}, 0.0
    for dna, rna in zip(config.dna, config.rna, strict=True):
        counts = {what: tables.numbers(path, table, name, may_miss=True) for what, name in (("dna", dna), ("rna", rna))}
        if any((values < 0).any() for values in counts.values()):
            raise BadInput(f"{path}: {dna!r} or {rna!r} has counts below 0.")
        both = ~np.isnan(counts["dna"]) & ~np.isnan(counts["rna"])
        rates = {}
        for what, values in counts.items():
            sums = pd.Series(np.where(both, values, 0)).groupby(names.to_numpy()).sum().reindex(order).to_numpy() + 1
            total[what] = total[what] + sums
            rates[what] = sums / sums.sum()
        seen = pd.Series(both.astype(float)).groupby(names.to_numpy()).sum().reindex(order).to_numpy()
        n_barcodes = n_barcodes + seen
        ratios.append(np.where(seen > 0, np.log2(rates["rna"] / rates["dna"]), np.nan))
    rates = {what: sums / sums.sum() for what, sums in total.items()}
    value = np.where(n_barcodes > 0, np.log2(rates["rna"] / rates["dna"]), np.nan)
    result = parsed[first].copy()
    given = parsed.groupby("id")["barcodes"].sum(min_count=1).reindex(order) if config.barcodes else None
    result["barcodes"] = n_barcodes / len(config.dna) if given is None else given.to_numpy()
    account.notes.append(
        f"Values are log2 RNA/DNA of the counts per million of {first.sum():,} ids, added over {len(table):,} rows and "
        f"{len(config.dna)} replicates; a barcode counts where both were observed."
    )
    (output,) = config.outputs
    return Rows(result, {output: value}, {output: np.stack(ratios, axis=1)})


def _one_row_per_id(path: Path, config: AssayConfig, rows: Rows, account: Account) -> Rows:
    """Make one row per id of a table that has one for every output, every replicate or both.

    The value is the mean over the replicates, which give the ceiling. What else a table says must be the same in all
    rows of an id; without ids, rows of one sequence belong together.
    """
    table = rows.table
    key = table["id"] if config.id else table["seq"]
    parts = [part for part in ("output", "replicate") if part in table]
    _refuse_other_rows(path, table, key, parts)
    order = pd.Index(key.drop_duplicates())
    number = order.get_indexer(key)

    def spread(values: np.ndarray, of: np.ndarray) -> np.ndarray:
        """Give values of rows, (n,), a column per replicate, (ids, replicates); NaN where an id has none."""
        labels = table["replicate"] if "replicate" in table else pd.Series("", index=table.index)
        column, names = pd.factorize(labels[of], sort=True)
        wide = np.full((len(order), len(names)), np.nan)
        wide[number[of], column] = values[of]
        return wide

    if "output" in table:
        (source,) = rows.values
        by_name: dict[str, str] = {}
        for name in sorted(set(table["output"])):
            plain = re.sub(r"[^\w.+-]+", "_", name)
            if by_name.setdefault(plain, name) != name:
                raise BadInput(
                    f"{config.at('output')}{path}: {by_name[plain]!r} and {name!r} would be one output, {plain}; "
                    "spell them alike, or further apart."
                )
        of_output = {
            re.sub(r"[^\w.+-]+", "_", name): (source, (table["output"] == name).to_numpy())
            for name in sorted(set(table["output"]))
        }
    else:
        of_output = {name: (name, np.ones(len(table), dtype=bool)) for name in rows.values}
    values, errors, replicates = {}, {}, {}
    for output, (source, of) in of_output.items():
        wide = spread(rows.values[source], of)
        values[output] = _mean(wide)
        if source in rows.errors:
            errors[output] = _mean(spread(rows.errors[source], of))
        if "replicate" in table:
            replicates[output] = wide
        elif source in rows.replicates:
            several = rows.replicates[source]
            replicates[output] = np.concatenate([spread(column, of) for column in several.T], axis=1)
    result = table[~key.duplicated()].copy()
    if "barcodes" in table:
        result["barcodes"] = table.groupby(key)["barcodes"].mean().reindex(order).to_numpy()
    what = " and ".join(f"{table[part].nunique()} {part}s" for part in parts)
    account.leave_out("rows", len(table) - len(order), f"further rows of an id, joined with its first ({what})")
    return Rows(result, values, replicates, errors)


def _refuse_other_rows(path: Path, table: pd.DataFrame, key: pd.Series, parts: list[str]) -> None:
    """Refuse an id with two rows of one output and replicate, or with rows that differ in more than what they measure.

    Rows without ids have their sequence for a key.
    """
    again = table[parts].assign(key=key).duplicated()
    if again.any():
        line = table.index[again][0]
        raise BadInput(
            f"{path}, line {line}: {key[line]!r} has a second row of {' and '.join(parts)} "
            f"{' and '.join(repr(table[part][line]) for part in parts)}; one is expected. If a column tells conditions "
            "apart, use one of them (where: {COLUMN: VALUE}), or learn each as an output (output: COLUMN)."
        )
    _refuse_differences(path, table, key, [name for name in table if name not in (*parts, "id", "barcodes")])


def _refuse_differences(path: Path, table: pd.DataFrame, key: pd.Series, fixed: list[str]) -> None:
    """Refuse an id whose rows differ in columns that say what it is: its sequence, class, group, place or fold."""
    firsts = table[fixed].groupby(key.to_numpy()).transform("first")
    for name in fixed:
        differs = (table[name] != firsts[name]).to_numpy()
        if differs.any():
            line = table.index[differs][0]
            raise BadInput(
                f"{path}, line {line}: {key[line]!r} has another {'sequence' if name == 'seq' else name} than in its "
                f"first row; the same is expected in all of them."
            )


def _with_sequences(path: Path, rows: Rows, file: Path, account: Account) -> Rows:
    """Join sequences by id; ids without a sequence are left out, with three of each side in the message if all are.

    The id of a FASTA record is its first word, or its whole header where the ids of the table are that.
    """
    ours = set(rows.table["id"])
    of_id: dict[str, str] = {}
    for piece in sequence_files.read_pieces(file):
        names = piece.ids
        if piece.headers:
            names = [header if header in ours else name for header, name in zip(piece.headers, names, strict=True)]
        for name, text, line in zip(names, piece.sequences, piece.lines, strict=True):
            if of_id.setdefault(name, text) != text and name in ours:
                raise BadInput(f"{file}, line {line}: {name!r} is the id of two sequences; ids must be unique.")
    texts = rows.table["id"].map(of_id)
    absent = texts.isna().to_numpy()
    if absent.all():
        here, there = rows.table["id"].iloc[:3].tolist(), list(of_id)[:3]
        raise BadInput(f"{path}: none of its ids is in {file}; they are {here} here and {there} there.")
    if absent.any():
        first = rows.table["id"][absent].iloc[0]
        account.leave_out("rows", absent.sum(), f"without a sequence in {file.name}", repr(first))
    if further := _further_columns(file):
        account.notes.append(
            f"{file.name} also has {', '.join(further)}, which are not read; join them to {path.name} to use them."
        )
    if unused := [name for name in of_id if name not in ours]:
        account.notes.append(f"{len(unused):,} sequences of {file.name} have no row here (first: {unused[0]!r}).")
    table = rows.table.assign(seq=texts.fillna(""))
    return Rows(table, rows.values, rows.replicates, rows.errors).take(~absent)


def _further_columns(file: Path) -> list[str]:
    """List what a table of sequences has beside ids and sequences; [] for FASTA."""
    cells = tables.read_cells(file) if not sequence_files.is_fasta(file) else pd.DataFrame()
    if cells.empty or not columns.has_header(cells):
        return []
    table = tables.below_header(file, cells.iloc[: columns.N_SAMPLED])
    known = columns.called(list(table), (*columns.ID.names, *columns.SEQUENCE.names))
    return [name for name in table if name not in known and not columns.holds_dna(table[name])][:12]


def _of_genome(path: Path, rows: Rows, file: Path, account: Account) -> Rows:
    """Read sequences off a genome, reverse-complemented on the minus strand."""
    table = rows.table
    is_minus = table["strand"].to_numpy(bool) if "strand" in table else np.zeros(len(table), bool)
    chromosome, starts, ends = (table[name].to_numpy() for name in ("chromosome", "start", "end"))
    texts = np.full(len(table), "", dtype=object)
    with tempfile.TemporaryDirectory() as work:
        genome = Genome(file, Path(work))
        for name in genome.known(chromosome, str(path)):
            codes = genome.codes(name)
            for row in np.flatnonzero(chromosome == name):
                if not 1 <= starts[row] <= ends[row] <= len(codes):
                    raise BadInput(
                        f"{path}, line {table.index[row]}: a place on {name}, of {len(codes):,} bp, is expected, got "
                        f"bases {starts[row]:,} to {ends[row]:,} (1-based)."
                    )
                piece = codes[starts[row] - 1 : ends[row]]
                (texts[row],) = decode((COMPLEMENT[piece[::-1]] if is_minus[row] else piece)[None])
    absent = texts == ""
    if absent.any():
        account.leave_out(
            "rows", absent.sum(), f"on chromosomes that {file.name} lacks", f"line {table.index[absent][0]}"
        )
    return Rows(table.assign(seq=texts), rows.values, rows.replicates, rows.errors).take(~absent)


def _usable(path: Path, config: AssayConfig, rows: Rows, account: Account) -> Rows:
    """Leave out rows without any value, those without a sequence, and exact copies."""
    missing = np.isnan(np.stack(list(rows.values.values()), axis=1)).all(axis=1)
    rows = _without(rows, missing, "without a value" + (" of any output" if len(rows.values) > 1 else ""), account)
    rows = _without(rows, (rows.table["seq"] == "").to_numpy(), "without a sequence", account)
    upper = rows.table["seq"].str.upper()
    n_known = sum(upper.str.count(letter) for letter in "ACGTU")
    unclear = (n_known < (1 - MAX_UNKNOWN) * upper.str.len()).to_numpy() & upper.str.fullmatch("[A-Z]*").to_numpy()
    rows = _without(rows, unclear, f"more than {MAX_UNKNOWN:.0%} of the sequence is N", account)
    upper = upper[~unclear]
    if not len(rows.table):
        raise BadInput(f"{path}: no row is left to train on: {' '.join(map(str, account.left_out))}")
    if (rna := upper.str.contains("U")).any():
        account.notes.append(f"{rna.sum():,} sequences are RNA; U was read as T.")
    table = rows.table.assign(seq=upper.str.replace("U", "T"))
    rows = Rows(table, rows.values, rows.replicates, rows.errors)
    key = table[["id", "seq"] if config.id else ["seq"]].assign(**rows.values)
    rows = _without(rows, key.duplicated().to_numpy(), "an earlier row is the same", account)
    if not config.id and (n := int(rows.table["seq"].duplicated(keep=False).sum())):
        account.notes.append(
            f"{n:,} rows have a sequence that other rows give other values. If a column tells conditions apart, learn "
            "each as an output (output: COLUMN), or use one of them (where: {COLUMN: VALUE})."
        )
    if config.id and (again := rows.table["id"].duplicated()).any():
        line, name = rows.table.index[again][0], rows.table["id"][again].iloc[0]
        raise BadInput(
            f"{path}, line {line}: id {name!r} appears again with another sequence or value ({again.sum():,} such rows)"
            ". Ids must be unique; a table with a row per replicate needs `replicate: COLUMN`, one with a row per cell "
            "type `output: COLUMN`."
        )
    return rows
