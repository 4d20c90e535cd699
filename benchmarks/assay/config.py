"""`assay.yaml`: what the columns of a table are, how lengths are made equal, and what is held out."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io import text_files, validated
from benchmarks.io.validated import one_line


@dataclass(frozen=True)
class AssayConfig:
    """What `assay.yaml` says. Paths are relative to it.

    Parameters
    ----------
    table, sequences
        The table of values; a FASTA file, or a table, of the sequences, joined by id, where the table has none.
    values
        Output -> column of its values; several are learnt by one model with an output each.
    sequence, id
        Columns of sequences and ids.
    replicate
        Column that numbers the replicates of a table with a row per replicate (IGVF `reporter_experiment`).
    replicates
        Output -> columns of its replicates, for the noise ceiling.
    barcodes, min_barcodes
        Column of numbers of barcodes, and the fewest that a row must have.
    element_class, controls
        Column of classes, which are scored apart, and those of them that are controls: they neither train nor validate.
    strand
        Column of orientations; without it, marks in ids count where the sequences confirm them.
    group
        Column of what must share a fold, beside equal sequences, orientations and alleles of one element.
    chromosome, fold
        Columns for what is held out.
    adapters
        Constant ends of all sequences: what lies between them is what orientations turn.
    length
        Bases that networks read; 0: the longest sequence. Shorter ones are padded with N, half on either side.
    split
        `groups`: folds drawn by group; `chromosomes`: whole chromosomes; `column`: the folds of the table.
    """

    table: str
    values: Mapping[str, str]
    sequences: str = ""
    sequence: str = ""
    id: str = ""
    replicate: str = ""
    replicates: Mapping[str, list[str]] = field(default_factory=dict)
    barcodes: str = ""
    min_barcodes: int = 0
    element_class: str = ""
    controls: list[str] = field(default_factory=list)
    strand: str = ""
    group: str = ""
    chromosome: str = ""
    fold: str = ""
    adapters: list[str] = field(default_factory=lambda: ["", ""])
    length: int = 0
    split: Literal["groups", "chromosomes", "column"] = "groups"
    n_folds: int = 10
    name: str = ""

    def columns(self) -> dict[str, str]:
        """Return what is read from the table: part -> column; of replicates and values one part each."""
        single = ("sequence", "id", "replicate", "barcodes", "element_class", "strand", "group", "chromosome", "fold")
        named = {name: getattr(self, name) for name in single if getattr(self, name)}
        if self.sequences:
            named.pop("sequence", None)
        named |= {f"value of {output}": column for output, column in self.values.items()}
        for output, replicates in self.replicates.items():
            named |= {f"replicate {i} of {output}": column for i, column in enumerate(replicates, start=1)}
        return named


_WHAT = {
    "table": "the table, beside this file",
    "sequences": "FASTA or table with the sequences, joined by id, where the table has none",
    "values": "output: column of its values; several outputs are learnt by one model",
    "sequence": "column of sequences",
    "id": "column of ids",
    "replicate": "column that numbers replicates, where the table has a row for each",
    "replicates": "output: columns of its replicates; they give the noise ceiling",
    "barcodes": "column of numbers of barcodes",
    "min_barcodes": "rows with fewer barcodes are left out",
    "element_class": "column of classes; each is scored apart",
    "controls": "classes that neither train nor validate",
    "strand": "column of orientations; else marks in ids count where the sequences confirm them",
    "group": "column of what must share a fold",
    "chromosome": "column of chromosomes, for split: chromosomes",
    "fold": "column of folds, for split: column",
    "adapters": "constant ends of all sequences",
    "length": "bases that networks read, 0 for the longest sequence; shorter ones are padded with N on both sides",
    "split": "groups, chromosomes or column",
    "n_folds": "folds that are drawn",
    "name": "name of the data set in results",
}


def is_config(path: Path) -> bool:
    """Tell by its name whether a file is an assay.yaml rather than a table."""
    return path.suffix in (".yaml", ".yml")


def read(path: Path) -> AssayConfig:
    """Read assay.yaml.

    Raises
    ------
    BadInput
        Naming line and key of what is unknown, missing or of another type.
    """
    import yaml

    text = text_files.decoded(path, text_files.content(path))
    try:
        content, lines = yaml.safe_load(text), _lines(yaml.compose(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise BadInput(f"{path}{where}: YAML is expected ({one_line(getattr(error, 'problem', error))}).") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}: keys and values such as `table: my_table.tsv` are expected; see `assay init`.")
    known = [part.name for part in dataclasses.fields(AssayConfig)]
    for key, value in content.items():
        if key not in known:
            raise BadInput(f"{path}, line {lines.get(str(key), 1)}: {did_you_mean('key', str(key), known)}")
        if value is None:
            raise BadInput(
                f"{path}, line {lines[key]}: {key} ({_WHAT[key]}) is empty; give a value or remove the line."
            )
    for key in ("table", "values"):
        if not content.get(key):
            raise BadInput(f"{path}: {key} is missing: {_WHAT[key]}.")
    for key, value in content.items():
        _check_type(path, lines.get(key, 1), key, value)
    return AssayConfig(**content)


def _lines(node: Any) -> dict[str, int]:
    return (
        {key.value: key.start_mark.line + 1 for key, _ in node.value}
        if node is not None and node.id == "mapping"
        else {}
    )


def _check_type(path: Path, line: int, key: str, value: Any) -> None:
    kind = next(part.type for part in dataclasses.fields(AssayConfig) if part.name == key)
    try:
        parsed = validated.parse_as(value, kind)
        fits = not isinstance(parsed, int) or 0 <= parsed <= 100_000
    except ValueError:
        fits = False
    if key == "adapters":
        fits = fits and len(value) == 2 and not set("".join(value).upper()) - set("ACGT")
    if key == "n_folds":
        fits = fits and 3 <= value <= 20
    if not fits:
        raise BadInput(
            f"{path}, line {line}: {key} is expected to be {_EXPECTED.get(key, 'text')}, got {str(value)[:60]!r}."
        )


_EXPECTED = {
    "values": "`output: column` pairs",
    "replicates": "`output: [columns]` pairs",
    "controls": "a list of classes",
    "adapters": "two texts of A, C, G and T, such as [AGGACC, CATTGC]",
    "min_barcodes": "a whole number from 0",
    "length": "a whole number from 0",
    "n_folds": "a whole number from 3 to 20",
    "split": "groups, chromosomes or column",
}


def to_yaml(config: AssayConfig, found: list[str]) -> str:
    """Write a config with a comment on every line; `found` goes on top."""
    import yaml

    lines = [*(f"# {line}" for line in found), ""]
    for part in dataclasses.fields(AssayConfig):
        value = getattr(config, part.name)
        default = part.default if part.default is not dataclasses.MISSING else ()
        is_set = value not in ("", [], {}, ["", ""]) and (value != default or part.name in ("split", "n_folds"))
        plain = dict(value) if isinstance(value, Mapping) else value
        flow = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**6)
        text = f"{part.name}: {flow.removesuffix('...' + chr(10)).strip()}"
        lines += [f"# {_WHAT[part.name]}", text if is_set else f"# {text}"]
    return "\n".join(lines) + "\n"
