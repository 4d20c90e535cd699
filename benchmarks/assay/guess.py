"""What a table of an assay holds, told by its header and its content: the guesses of `assay init`.

Source: the column names of IGVF's reporter formats (kircherlab/MPRAlib), MPRAsnakeflow, limma and mpralm tables, and of
the public data sets of Gosai et al. 2024, Agarwal et al. 2025 and de Almeida et al. 2022.
"""

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.api import noise_ceiling
from benchmarks.assay.config import AssayConfig
from benchmarks.assay.held_out import PART_OF_WORD
from benchmarks.errors import BadInput
from benchmarks.io import columns, sequence_files, tables
from benchmarks.io.account import Account
from benchmarks.io.columns import Role

ID = Role("id", (*columns.ID.names, "ids", "oligo_name", "oligo", "element", "eid", "variant_id"), "ids")
SEQUENCE = Role(
    "sequence",
    (*columns.SEQUENCE.names, "oligo", "insert", "nt_sequence", "enhancer_sequence", "seq200", "eseq", "promoter"),
    "sequences",
)
VALUE = (
    *("mean_value", "expression", "value", "activity", "log2FoldChange", "log2FC", "logFC", "log2", "log2_ratio"),
    *("log2(RNA/DNA)", "mean_log2", "ratio", "score", "mean", "measured", "target", "alpha", "maude_expression"),
    "statistic",
)
VALUE_OF = re.compile(
    r"(?P<cell>.+?)(?:_log2FC|_log2FoldChange|_logFC|[ _]\[?log2\(?rna/dna\)?\]?|_log2_enrichment|_mean_value|"
    r"_activity)",
    re.IGNORECASE,
)
ERROR_OF = re.compile(r"(?:(?P<cell>.+)[ _.])?(?:lfcSE|log2FC_SE|se|stderr|std_?err(?:or)?|sem)", re.IGNORECASE)
OTHER = {
    "barcodes": ("n_bc", "n_obs_bc", "barcodes", "n_barcodes", "mean_n_obs_bc", "tags"),
    "element_class": ("class", "category", "element_class", "type", "label"),
    "group": ("group", "element_group", "locus", "family", "cluster"),
    "output": ("cell_type", "cell", "cell_line", "celltype", "tissue", "condition", "medium", "treatment"),
    "chromosome": ("chr", "chrom", "chromosome", "seqnames"),
    "start": ("start", "chromStart", "chrom_start"),
    "end": ("end", "stop", "chromEnd", "chrom_end"),
    "fold": ("fold", "fold_num", "cv_fold", "split", "set", "partition"),
    "replicate": ("replicate",),
    "strand": columns.STRAND.names,
}
_NO_VALUES = re.compile(
    r"(?:.*[_ ])?(?:dna|rna|plasmid)[_ ]?counts?.*|.*counts?|(?:dna|rna)_normalized|(?:input|output)count|p[._ ]?val.*|"
    r"(?:.*[_ ])?(?:lfcse|se|sd|stderr|mad|mad[._]score)|q[._ ]?val.*|adj.*|padj|b|t|aveexpr|pos|position|"
    r"length|shade|gc(?:[_ ]content)?|tm|year|plate|dna|rna|plasmid|.*reads|umis?|.*p[._ ]?value|.*distance|"
    r"minuslog10.*|averaged_expression|index|rev|bin|(?:.*[_ .])?(?:padj|fdr|[pq]val(?:ue)?)(?:[_ .].*)?|"
    r"(?!.*(?:ratio|log))(?:.*[_ .])?[pc]?(?:dna|rna)\d*(?:[_ .].*)?",
    re.IGNORECASE,
)
_COUNTS = re.compile(
    r"(?P<what>dna|rna)_counts?_(?P<replicate>(?:rep(?:licate)?|bio|br)?[_.-]?\d+|[a-d])", re.IGNORECASE
)
_OF_ALLELES = ("variant", "variant_id", "rsid", "rs_id", "snp", "snp_id", "spdi")
"""Columns of what has several alleles, where there is a column `allele`."""
_BARCODE = re.compile(r"(?:.*[_ ])?(?:barcodes?|bc|tags?|umis?)(?:[_ ]?(?:seq|sequence))?", re.IGNORECASE)
"""Columns of barcodes, whose bases are not the sequence that is tested."""
MIN_BARCODES = 10
MOST_OUTPUTS = 20
_CONTROL = re.compile(r"neg|control|scram|shuffl|random|positive", re.IGNORECASE)
_GENOMIC_ELEMENT = (
    *("chrom", "chromStart", "chromEnd", "name", "shade", "strand", "log2FoldChange", "inputCount", "outputCount"),
    *("minusLog10PValue", "minusLog10QValue"),
)
"""Columns of IGVF's `reporter_genomic_element`, and of ENCODE's element quantifications: BED with five more.

`shade` is its score."""
PIPELINES = (
    ("IGVF reporter_genomic_element, or ENCODE's element quantifications (BED)", {"shade", "minusLog10QValue"}),
    ("IGVF reporter_experiment, as MPRAsnakeflow writes it", {"replicate", "oligo_name", "dna_counts", "rna_counts"}),
    ("IGVF reporter_experiment_barcode, as MPRAsnakeflow writes it", {"barcode", "oligo_name", "dna_count_1"}),
    ("IGVF reporter_element", {"oligo_name", "log2FoldChange", "inputCount", "outputCount"}),
    ("merged counts of MPRAsnakeflow or MPRAflow", {"name", "dna_counts", "rna_counts", "log2"}),
    ("averages of MPRAflow", {"name", "mean_ratio", "mean_log2"}),
    ("a limma table, as mpralm and BCalm give it", {"logFC", "AveExpr", "adj.P.Val"}),
    ("transcription rates of MPRAnalyze", {"alpha"}),
    ("the layout of Gosai et al. 2024", {"K562_log2FC", "K562_lfcSE"}),
    ("the layout of DeepSTARR", {"Dev_log2_enrichment", "Hk_log2_enrichment"}),
    ("the layout of MPRA-MNIST", {"seq_id", "averaged_expression"}),
)
"""What writes tables -> columns that tell it."""
MIN_ADAPTER = 6
FREQUENT = 0.9
MOST_CLASSES = 30


@dataclass(frozen=True)
class Guess:
    """A config, and what it was told by, in sentences."""

    config: AssayConfig
    found: list[str]


def guess(
    path: Path, sequences: Path | None = None, given: Mapping[str, str] | None = None, genome: Path | None = None
) -> Guess:
    """Tell what a table holds.

    Parameters
    ----------
    sequences
        FASTA or table of the sequences, where the table has none.
    given
        What the user says: part -> column; `value` may name several, separated by `;`.
    genome
        FASTA of the genome that the sequences are read from, by the table's coordinates.

    Raises
    ------
    BadInput
        If no column holds sequences, or none holds values; the message lists the columns and the option to type.
    """
    account, given = Account(path.name), dict(given or {})
    table, names = _named(path, account)
    header = list(table)
    _check_given(path, header, given)
    sequence = given.get("sequence") or _sequence_column(table)
    if sequence is None and sequences is None and genome is None:
        raise BadInput(_without_sequences(path, header))
    sequence = None if sequences or genome else sequence
    found = _parts(table, given, sequence, from_genome=genome is not None, has_header=not names)
    counts = {} if given.get("value") else _counts(header)
    values = {} if counts else _values(path, table, [sequence, *found.values()], given.get("value"))
    replicates = {} if counts else _replicates(table, values) if values else _replicates_alone(table)
    if "output" in found and not _has_row_per_output(table, found, sequence, values):
        del found["output"]
    if "element_class" not in found and (column := _is_control(table)):
        found["element_class"] = column
    classes = table[found["element_class"]].dropna().unique().tolist() if found.get("element_class") else []
    if len(classes) > MOST_CLASSES:  # names, not classes
        del found["element_class"]
        classes = []
    controls = [name for name in classes if _CONTROL.search(str(name))]
    if found.get("element_class") == _is_control(table):
        controls = [name for name in classes if str(name).lower() in ("true", "1", "yes")]
    if genome:
        texts = pd.Series(dtype=str)
    else:
        texts = table[sequence].dropna() if sequence else pd.Series(_sequences_of(Path(str(sequences))))
    parts: dict[str, Any] = {
        **found,
        **counts,
        "coordinates": _coordinates(table, found, sequence),
        "replicates": replicates,
        "errors": _errors(table, values),
        "min_barcodes": _min_barcodes(table, found, counts),
        "controls": controls,
        "adapters": list(adapters(texts.str.upper().tolist())),
        "split": "column" if "fold" in found else "groups",
    }
    if sequences or genome:
        parts |= {"sequences" if sequences else "genome": os.path.relpath(sequences or genome, path.parent)}
    else:
        parts["sequence"] = sequence
    config = AssayConfig(table=path.name, values=values, header=names, **parts)
    return Guess(config, [*account.sentences(), *_sentences(config, texts, header)])


def _named(path: Path, account: Account) -> tuple[pd.DataFrame, list[str]]:
    """Read a table, and the names of its columns if its first line does not have them."""
    cells = tables.read_cells(path, account)
    is_bed = cells.shape[1] >= 6 and all(re.fullmatch(r"\d+", str(cell)) for cell in cells.iloc[0, 1:3])
    if not is_bed and columns.has_header(cells):
        return tables.below_header(path, cells), []
    names = [f"column{number}" for number in range(1, cells.shape[1] + 1)]
    if is_bed:
        known = _GENOMIC_ELEMENT if len(names) == len(_GENOMIC_ELEMENT) else _GENOMIC_ELEMENT[:6]
        names[: len(known)] = known
    account.format += " without a header"
    return cells.set_axis(names, axis=1), names


def _check_given(path: Path, header: Sequence[str], given: Mapping[str, str]) -> None:
    parts = ["id", *OTHER, "sequence", "value"]
    for part, column in given.items():
        if part not in parts:
            raise BadInput(f"--columns: {part!r} is not a part of an assay; {', '.join(parts)} are.")
        if missing := [name for name in column.split(";") if name not in header]:
            raise BadInput(
                f"{path} has no column {missing[0]!r}, which --columns gives for {part}; its columns are "
                f"{', '.join(header[:12])}."
            )


def _without_sequences(path: Path, header: Sequence[str]) -> str:
    lacking = f"{path}: no column holds sequences; its columns are {', '.join(header[:12])}."
    if {"refAllele", "altAllele"} <= set(header) or "postProbEffect" in header:
        return f"{lacking} It has effects of variants; an assay needs the activities of the alleles."
    if {"chrom", "chromStart", "chromEnd"} <= set(header):
        return f"{lacking} Its places are known: name the genome that they are on, --genome genome.fa."
    return (
        f"{lacking} Give the file that has them, FASTA or a table, joined by id: --sequences design.fa; or say which "
        "column it is: --columns sequence=COLUMN."
    )


def _parts(
    table: pd.DataFrame, given: Mapping[str, str], sequence: str | None, *, from_genome: bool, has_header: bool
) -> dict[str, str]:
    """Find what columns hold beside sequences and values: part -> column."""
    header = list(table)
    named = {"id": ID.names, **OTHER}
    if from_genome:  # then the strand is that of the sequence, and no gene's
        named["strand"] = (*columns.STRAND.names, "strand")
    found: dict[str, str] = {}
    for part, names in named.items():
        candidates = [name for name in columns.called(header, names) if name != sequence]
        column = given.get(part) or next(iter(candidates), None)
        if column and (part in given or _may_hold(part, table[column])):
            found[part] = column
    if columns.called(header, ("allele",)) and (of_alleles := columns.called(header, _OF_ALLELES)):
        found.setdefault("group", of_alleles[0])
        if "id" in found and "id" not in given and sequence and not table[found["id"]].is_unique:
            del found["id"]  # it is that of the variant
    if not has_header and "id" not in found and (names := _unique_texts(table, sequence)):
        found["id"] = names[0]
    if not {"chromosome", "start"} <= set(found):
        found = {part: column for part, column in found.items() if part not in ("start", "end")}
    return found


def _may_hold(part: str, column: pd.Series) -> bool:
    """Tell whether the content of a column is what its name promises: places are numbers, folds few."""
    if part in ("start", "end"):
        cells = column.fillna("").str.strip()
        cells = cells[~cells.str.lower().isin(tables.MISSING_WORDS)]  # scrambled rows have no place
        return len(cells) > 0 and bool(cells.str.fullmatch(r"\d+").all())
    if part == "fold":
        values = set(column.fillna("").str.strip().str.lower())
        if values <= PART_OF_WORD.keys():
            return {"train", "test"} <= {PART_OF_WORD[value] for value in values}
        return 3 <= len(values) <= 20 and all(re.fullmatch(r"\d+(?:\.0)?", value) for value in values)
    return True


def _coordinates(table: pd.DataFrame, found: Mapping[str, str], sequence: str | None) -> str:
    """Tell 1-based, inclusive places by sequences, or a `width`, a base longer than end - start; else as in BED.

    R writes the ranges of GRanges so, with a column `seqnames`.
    """
    if "end" not in found:
        return "bed"
    if sequence is None:
        width = next((name for name in ("width", "length") if name in table), None)
        if width is None:
            return "one_based" if found.get("chromosome") == "seqnames" else "bed"
        first, last, wide = (
            pd.to_numeric(table[name], errors="coerce") for name in (found["start"], found["end"], width)
        )
        return "one_based" if (wide == last - first + 1).mean() > 0.5 else "bed"
    rows = table.iloc[: columns.N_SAMPLED]
    first, last = (pd.to_numeric(rows[found[part]], errors="coerce") for part in ("start", "end"))
    span = last - first
    return "one_based" if (rows[sequence].fillna("").str.len() == span + 1).mean() > 0.5 else "bed"


def _sequence_column(table: pd.DataFrame) -> str | None:
    """Find the column of sequences, by name and content, or by content where only one fits."""
    holding = [name for name in table if columns.holds_dna(table[name]) and not _BARCODE.fullmatch(name)]
    named = [name for name in columns.called(list(table), SEQUENCE.names) if name in holding]
    return named[0] if named else holding[0] if len(holding) == 1 else None


def _counts(header: Sequence[str]) -> dict[str, list[str]]:
    """Find counts per barcode and replicate, as IGVF's `reporter_experiment_barcode` has them: `dna_count_1` …"""
    of: dict[str, dict[str, str]] = {"dna": {}, "rna": {}}
    for name in header:
        if match := _COUNTS.fullmatch(name):
            of[match["what"].lower()][match["replicate"]] = name
    replicates = [replicate for replicate in of["dna"] if replicate in of["rna"]]
    alone = [name for what in of for replicate, name in of[what].items() if replicate not in replicates]
    if replicates and alone:
        raise BadInput(
            f"Columns {', '.join(alone)} count DNA or RNA of a replicate without the other; each needs both. "
            "Say which belong together in assay.yaml, dna: [COLUMN, …] and rna: [COLUMN, …]."
        )
    return {what: [of[what][replicate] for replicate in replicates] for what in of} if replicates else {}


def _values(path: Path, table: pd.DataFrame, taken: Sequence[str | None], given: str | None) -> dict[str, str]:
    """Find the columns of values: those named so, one a cell type, or else every other column of numbers."""
    if given:
        return _outputs((column, column) for column in given.split(";"))
    named_so = set(columns.called(list(table), VALUE)) | {name for name in table if VALUE_OF.fullmatch(name)}
    free = [
        name
        for name in table
        if name not in taken and _share_of_numbers(table[name]) > (0.5 if name in named_so else _NUMBERS)
    ]
    roles = columns.called(free, [name for names in (ID.names, *OTHER.values()) for name in names])
    free = [name for name in free if not _NO_VALUES.fullmatch(name) and not noise_ceiling.replicate_columns([name])]
    free = [name for name in free if name not in roles]
    of_cells = _outputs((match["cell"], name) for name in free if (match := VALUE_OF.fullmatch(name)))
    if of_cells:
        return of_cells
    if named := columns.called(free, VALUE):
        return {"expression" if len(named) == 1 else _plain(named[0]): named[0]}
    free = [name for name in free if not re.search(r"rep(?:licate)?[ _.-]?\d+$", name, re.IGNORECASE)]
    if not free and _replicates_alone(table):  # whose mean is the value
        return {}
    if not free:
        raise BadInput(
            f"{path}: no column holds values that could be activities; its columns are {', '.join(list(table)[:12])}. "
            "Say which one does: --columns value=COLUMN."
        )
    return _outputs((name, name) for name in free)


def _outputs(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Name an output after each cell type or column, (name, column); names that would be one are numbered."""
    found: dict[str, str] = {}
    for name, column in named:
        plain = output = _plain(name)
        for number in itertools.count(2):
            if output not in found:
                break
            output = f"{plain}_{number}"
        found[output] = column
    return found


def _replicates_alone(table: pd.DataFrame) -> dict[str, list[str]]:
    """Find replicates of values that have no column of their own: `rep1` …, or `K562_rep1` … of several outputs."""
    found: dict[str, list[str]] = {}
    for name in table:
        match = re.fullmatch(r"(?P<cell>.*?)[ _.-]?rep(?:licate)?[ _.-]?\d+", name, re.IGNORECASE)
        if match and not _NO_VALUES.fullmatch(match["cell"]) and columns.holds_numbers(table[name]):
            found.setdefault(_plain(match["cell"]) if match["cell"] else "expression", []).append(name)
    return {output: names for output, names in found.items() if len(names) > 1}


def _has_row_per_output(
    table: pd.DataFrame, found: Mapping[str, str], sequence: str | None, values: Mapping[str, str]
) -> bool:
    """Tell whether a table has a row for each cell type or condition of a sequence, rather than one condition."""
    key = found.get("id") or sequence
    if key is None or len(values) != 1 or not 2 <= table[found["output"]].nunique() <= MOST_OUTPUTS:
        return False
    rows = table[[key, found["output"], *([found["replicate"]] if "replicate" in found else [])]]
    again = rows.drop(columns=found["output"]).duplicated()
    return bool(again.any()) and not rows.duplicated().any()


def _control_column(header: Sequence[str]) -> str | None:
    return next(iter(columns.called(header, ("control", "is_control", "controls"))), None)


def _is_control(table: pd.DataFrame) -> str | None:
    """Find a column that says yes or no to being a control, as tables of MPRAnalyze have one."""
    for name in columns.called(list(table), ("control", "is_control", "controls")):
        if set(table[name].dropna().str.lower()) <= {"true", "false", "1", "0", "yes", "no"}:
            return name
    return None


def _min_barcodes(table: pd.DataFrame, found: Mapping[str, str], counts: Mapping[str, object]) -> int:
    """Return the custom, ten barcodes, if at least half of the rows (of ids, where rows are barcodes) have as many."""
    if counts and "barcodes" not in found:
        n = table.groupby(found["id"]).size() if "id" in found else pd.Series(dtype=float)
    else:
        n = pd.to_numeric(table[found["barcodes"]], errors="coerce") if "barcodes" in found else pd.Series(dtype=float)
    return MIN_BARCODES if len(n) and (n >= MIN_BARCODES).mean() >= 0.5 else 0


def _unique_texts(table: pd.DataFrame, sequence: str | None) -> list[str]:
    """List the columns that could be ids: no two cells alike, and neither numbers nor sequences."""
    return [
        name
        for name in table
        if name != sequence and table[name].notna().all() and table[name].is_unique
        if not columns.holds_numbers(table[name]) and not columns.holds_dna(table[name])
    ]


_NUMBERS = 0.9
"""Share of the cells of a column that are numbers, so that it may hold values; the others are reported when read."""


def _share_of_numbers(column: pd.Series) -> float:
    """Return the share of numbers among the cells that are there; 0 where none is."""
    cells = column.dropna().str.strip()
    cells = cells[~cells.str.lower().isin(tables.MISSING_WORDS)].str.replace(",", ".")
    return float(pd.to_numeric(cells, errors="coerce").notna().mean()) if len(cells) else 0.0


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name).strip("_") or "value"


def _replicates(table: pd.DataFrame, values: Mapping[str, str]) -> dict[str, list[str]]:
    """Find the replicates of every output: `rep1` … where there is one output, `K562_rep1` … of several."""
    result = {}
    for output, column in values.items():
        stems = {output, column, *([""] if len(values) == 1 else [])}
        pattern = "|".join(re.escape(stem) for stem in stems if stem)
        match = re.compile(rf"(?:{pattern})[ _.-]?rep(?:licate)?[ _.-]?\d+", re.IGNORECASE)
        names = [name for name in table if match.fullmatch(name)]
        names = names or (noise_ceiling.replicate_columns(list(table)) if len(values) == 1 else [])
        if len(names) > 1:
            result[output] = names
    return result


def _errors(table: pd.DataFrame, values: Mapping[str, str]) -> dict[str, str]:
    """Find the standard errors of every output: `lfcSE` where there is one output, `K562_lfcSE` … of several."""
    of = {_plain(match["cell"] or ""): name for name in table if (match := ERROR_OF.fullmatch(name))}
    of = {cell: name for cell, name in of.items() if name not in values.values() and columns.holds_numbers(table[name])}
    if len(values) == 1 and len(of) == 1:
        return {next(iter(values)): next(iter(of.values()))}
    return {output: of[output] for output in values if output in of}


def _sequences_of(path: Path) -> list[str]:
    return [text for piece in sequence_files.read_pieces(path) for text in piece.sequences]


def adapters(texts: Sequence[str]) -> tuple[str, str]:
    """Find the adapters: what all sequences begin and end with. Ends shorter than 6 bases count as no adapter.

    >>> adapters(["AGGACCGGACGTAATTCCGG", "AGGACCGGTTTTAATTCCGG"])
    ('AGGACCGG', 'AATTCCGG')
    """
    if len(set(texts)) < 2:
        return "", ""
    left = _common_start(texts)
    right = _common_start([text[::-1] for text in texts])[::-1]
    shortest = min(map(len, texts))
    left, right = (end if MIN_ADAPTER <= len(end) < shortest / 2 and "N" not in end else "" for end in (left, right))
    return left, right


def frequent_ends(texts: Sequence[str]) -> tuple[str, str]:
    """Find what nearly all sequences, `FREQUENT` of them, begin and end with; as `adapters`, which are of all.

    >>> frequent_ends(["ACGTACC"] * 10 + ["TTTTTTT"])
    ('ACGTACC', 'ACGTACC')
    """

    def start(texts: Sequence[str]) -> str:
        rest, found = list(texts), ""
        while rest:
            counts = Counter(text[len(found)] for text in rest if len(text) > len(found))
            letter, n = max(counts.items(), key=lambda item: item[1], default=("", 0))
            if n < FREQUENT * len(texts):
                break
            found += letter
            rest = [text for text in rest if text.startswith(found)]
        return found

    left, right = start(texts), start([text[::-1] for text in texts])[::-1]
    return left if len(left) >= MIN_ADAPTER else "", right if len(right) >= MIN_ADAPTER else ""


def _common_start(texts: Sequence[str]) -> str:
    """Return what all texts begin with: what the first and the last in order have in common."""
    pairs = zip(min(texts), max(texts), strict=False)
    return "".join(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _sentences(config: AssayConfig, texts: pd.Series, header: Sequence[str]) -> list[str]:
    pipeline = next((name for name, columns_of in PIPELINES if columns_of <= set(header)), None)
    lines = [f"By its columns: {pipeline}."] if pipeline else []
    how = "1-based, inclusive" if config.coordinates == "one_based" else "as in BED, 0-based and half-open"
    lines += [_lengths(texts)] if len(texts) else [f"Sequences are read from {config.genome}; coordinates are {how}."]
    used = config.columns()
    left_over = [name for name in header if name not in used.values()]
    lines.append(f"Columns: {', '.join(f'{part} = {column}' for part, column in used.items())}.")
    if left_over:
        lines.append(f"Not used: {', '.join(left_over)}.")
    if len(config.outputs) > 1:
        lines.append(
            f"{len(config.outputs)} outputs of one model: {', '.join(config.outputs)}. For a data set, and a model, of "
            "each: assay init --one-per-output."
        )
    if any(config.adapters):
        lines.append(
            f"In common, all sequences begin with {config.adapters[0] or 'nothing'} and end with "
            f"{config.adapters[1] or 'nothing'}."
        )
    frequent = frequent_ends(texts.str.upper().tolist())
    if any(len(more) > len(end) for more, end in zip(frequent, config.adapters, strict=True)):
        lines.append(
            f"At least {FREQUENT:.0%} begin with {frequent[0] or 'nothing in common'} and end with "
            f"{frequent[1] or 'nothing in common'}: adapters that some rows lack? They are part of the sequence here."
        )
    if config.element_class and (other := _control_column(header)) and other != config.element_class:
        lines.append(
            f"ATTENTION: column {other!r} may say which rows are controls, but classes are read from "
            f"{config.element_class!r}. To use it: element_class: {other}, and controls: its word for yes."
        )
    if config.values and set(config.values.values()) & {"ratio", "mean_ratio"} and not config.log2:
        lines.append("ATTENTION: a ratio is learnt as it is; `log2: true` learns its logarithm, as is the custom.")
    if config.controls:
        lines.append(f"Controls, by the names of their classes: {', '.join(config.controls)}.")
    if config.output:
        lines.append(f"A row for every {config.output}: each is an output of one model.")
    if config.values and "alpha" in config.values.values():
        lines.append("Rates (alpha) are learnt as they are; `log2: true` learns their logarithms.")
    if config.min_barcodes:
        lines.append(f"Rows with fewer than {config.min_barcodes} barcodes are left out, as is the custom.")
    elif config.barcodes or config.dna:
        lines.append(
            f"ATTENTION: most rows have fewer than {MIN_BARCODES} barcodes, the custom; none is left out. To do so: "
            "min_barcodes."
        )
    unused = [name for name in columns.called(header, OTHER["fold"]) if name not in used.values()]
    if unused and config.split == "groups":
        lines.append(
            f"ATTENTION: column {unused[0]!r} may be a published split, but holds neither numbers of folds nor words "
            "such as train, val and test; folds were drawn. To use it, set fold, split: column, test and validation."
        )
    if config.errors:
        lines.append("Standard errors are not used unless `weights: errors` or `max_error` says so.")
    return lines


def _lengths(texts: pd.Series) -> str:
    lengths = texts.str.len()
    if lengths.min() == lengths.max():
        return f"{len(texts):,} sequences of {lengths.min()} bp."
    return f"{len(texts):,} sequences of {lengths.min()} to {lengths.max()} bp, padded with N."
