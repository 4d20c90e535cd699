"""What a table of an assay holds, told by its header and its content: the guesses of `assay init`.

Source: the column names of IGVF's reporter formats (kircherlab/MPRAlib), MPRAsnakeflow, limma and mpralm tables, and of
the public data sets of Gosai et al. 2024, Agarwal et al. 2025 and de Almeida et al. 2022.
"""

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.api import noise_ceiling
from benchmarks.assay.config import AssayConfig
from benchmarks.errors import BadInput
from benchmarks.io import columns, sequence_files, tables
from benchmarks.io.account import Account
from benchmarks.io.columns import Role

ID = Role("id", (*columns.ID.names, "oligo_name", "oligo", "element", "eid", "variant_id"), "ids")
SEQUENCE = Role(
    "sequence",
    (*columns.SEQUENCE.names, "oligo", "insert", "nt_sequence", "enhancer_sequence", "seq200", "eseq", "promoter"),
    "sequences",
)
VALUE = (
    *("mean_value", "expression", "value", "activity", "log2FoldChange", "log2FC", "logFC", "ratio", "log2", "score"),
    *(
        "log2_ratio",
        "log2(RNA/DNA)",
        "mean_log2",
        "mean",
        "measured",
        "target",
        "alpha",
        "maude_expression",
        "statistic",
    ),
)
VALUE_OF = re.compile(
    r"(?P<cell>.+?)(?:_log2FC|_log2FoldChange|_logFC|[ _]\[?log2\(?rna/dna\)?\]?|_log2_enrichment|_mean_value|"
    r"_activity)",
    re.IGNORECASE,
)
OTHER = {
    "barcodes": ("n_bc", "n_obs_bc", "barcodes", "n_barcodes", "mean_n_obs_bc", "tags"),
    "element_class": ("class", "category", "element_class", "type", "label"),
    "group": ("group", "element_group", "locus", "family", "cluster"),
    "chromosome": ("chr", "chrom", "chromosome", "seqnames"),
    "fold": ("fold", "fold_num", "cv_fold"),
    "replicate": ("replicate",),
    "strand": columns.STRAND.names,
}
_NO_VALUES = re.compile(
    r"(?:.*[_ ])?(?:dna|rna|plasmid)[_ ]?counts?.*|.*counts?|(?:dna|rna)_normalized|(?:input|output)count|p[._ ]?val.*|"
    r"(?:.*[_ ])?(?:lfcse|se|sd|stderr)|q[._ ]?val.*|adj.*|padj|b|t|aveexpr|start|end|pos|position|length|gc|"
    r"minuslog10.*|averaged_expression|split|set|index|rev|bin",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"neg|control|scram|shuffl|random|positive", re.IGNORECASE)
MIN_ADAPTER = 6


@dataclass(frozen=True)
class Guess:
    """A config, and what it was told by, in sentences."""

    config: AssayConfig
    found: list[str]


def guess(path: Path, sequences: Path | None = None, given: Mapping[str, str] | None = None) -> Guess:
    """Tell what a table holds.

    Parameters
    ----------
    sequences
        FASTA or table of the sequences, where the table has none.
    given
        What the user says: part -> column; `value` may name several, separated by `;`.

    Raises
    ------
    BadInput
        If no column holds sequences, or none holds values; the message lists the columns and the option to type.
    """
    account, given = Account(path.name), dict(given or {})
    table = tables.read_headed(path, account=account)
    header = list(table)
    parts = {"id": ID.names, **OTHER}
    for part, column in given.items():
        if part not in (*parts, "sequence", "value"):
            raise BadInput(
                f"--columns: {part!r} is not a part of an assay; {', '.join([*parts, 'sequence', 'value'])} are."
            )
        if missing := [name for name in column.split(";") if name not in header]:
            raise BadInput(
                f"{path} has no column {missing[0]!r}, which --columns gives for {part}; its columns are "
                f"{', '.join(header[:12])}."
            )
    sequence = given.get("sequence") or _sequence_column(table)
    if sequence is None and sequences is None:
        raise BadInput(
            f"{path}: no column holds sequences; its columns are {', '.join(header[:12])}. Give the file that has "
            "them, FASTA or a table, joined by id: --sequences design.fa."
        )
    found = {part: given.get(part) or _first(header, names, taken=[sequence]) for part, names in parts.items()}
    values = _values(path, table, [sequence, *found.values()], given.get("value"))
    replicates = _replicates(table, values)
    classes = table[found["element_class"]].dropna().unique().tolist() if found["element_class"] else []
    if len(classes) > 30:  # names, not classes
        found["element_class"], classes = None, []
    texts = table[sequence].dropna() if sequences is None else pd.Series(_sequences_of(sequences))
    config = AssayConfig(
        table=path.name,
        values=values,
        sequences=os.path.relpath(sequences, path.parent) if sequences else "",
        sequence=sequence or "",
        replicates=replicates,
        min_barcodes=10 if found["barcodes"] else 0,
        controls=[name for name in classes if _CONTROL.search(str(name))],
        adapters=list(adapters(texts.str.upper().tolist())),
        split="column" if found["fold"] else "groups",
        **{part: column or "" for part, column in found.items()},
    )
    return Guess(config, [*account.sentences(), *_sentences(config, texts, header)])


def _first(header: Sequence[str], names: Sequence[str], taken: Sequence[str | None]) -> str | None:
    return next((name for name in columns.called(header, names) if name not in taken), None)


def _sequence_column(table: pd.DataFrame) -> str | None:
    """Find the column of sequences, by name and content, or by content where only one fits."""
    holding = [name for name in table if columns.holds_dna(table[name])]
    named = [name for name in columns.called(list(table), SEQUENCE.names) if name in holding]
    return named[0] if named else holding[0] if len(holding) == 1 else None


def _values(path: Path, table: pd.DataFrame, taken: Sequence[str | None], given: str | None) -> dict[str, str]:
    """Find the columns of values: those named so, one a cell type, or else every other column of numbers."""
    if given:
        return {_plain(column): column for column in given.split(";")}
    free = [name for name in table if name not in taken and columns.holds_numbers(table[name])]
    free = [name for name in free if not _NO_VALUES.fullmatch(name) and not noise_ceiling.replicate_columns([name])]
    of_cells = {_plain(match["cell"]): name for name in free if (match := VALUE_OF.fullmatch(name))}
    if of_cells:
        return of_cells
    if named := columns.called(free, VALUE):
        return {"expression" if len(named) == 1 else _plain(named[0]): named[0]}
    free = [name for name in free if not re.search(r"rep(?:licate)?[ _.-]?\d+$", name, re.IGNORECASE)]
    if not free:
        raise BadInput(
            f"{path}: no column holds values that could be activities; its columns are {', '.join(list(table)[:12])}. "
            "Say which one does: --columns value=COLUMN."
        )
    return {_plain(name): name for name in free}


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "value"


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


def _common_start(texts: Sequence[str]) -> str:
    """Return what all texts begin with: what the first and the last in order have in common."""
    pairs = zip(min(texts), max(texts), strict=False)
    return "".join(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _sentences(config: AssayConfig, texts: pd.Series, header: Sequence[str]) -> list[str]:
    lengths = texts.str.len()
    span = (
        f"{lengths.min()} bp"
        if lengths.min() == lengths.max()
        else f"{lengths.min()} to {lengths.max()} bp, padded with N"
    )
    used = config.columns()
    left_over = [name for name in header if name not in used.values()]
    lines = [
        f"{len(texts):,} sequences of {span}.",
        f"Columns: {', '.join(f'{part} = {column}' for part, column in used.items())}.",
    ]
    if left_over:
        lines.append(f"Not used: {', '.join(left_over)}.")
    if any(config.adapters):
        lines.append(
            f"In common, all sequences begin with {config.adapters[0] or 'nothing'} and end with "
            f"{config.adapters[1] or 'nothing'}."
        )
    if config.controls:
        lines.append(f"Controls, by the names of their classes: {', '.join(config.controls)}.")
    if config.min_barcodes:
        lines.append(f"Rows with fewer than {config.min_barcodes} barcodes are left out, as is the custom.")
    return lines
