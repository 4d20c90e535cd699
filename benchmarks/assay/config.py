"""`assay.yaml`: what the columns of a table are, how lengths are made equal, and what is held out."""

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.api.task import PublishedFile
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io import text_files, validated
from benchmarks.io.validated import one_line

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Source:
    """Where a public data set is from: what it is, the paper's DOI, the licence as stated, its files."""

    what: str
    paper: str
    licence: str
    files: list[PublishedFile]


@dataclass(frozen=True)
class AssayConfig:
    """What `assay.yaml` says. Paths are relative to it.

    Parameters
    ----------
    table, more_tables, header
        The table of values; others with the same columns, read below it; the names of the columns, where the first
        lines do not have them.
    sequences, genome
        A FASTA file, or a table, of the sequences, joined by id; or a genome that they are read from by coordinates.
        Without either, they are in the table.
    where
        Column -> the values that rows are used of, such as one condition of a table of several.
    values, log2
        Output -> column of its values; several are learnt by one model with an output each. `log2`: their logarithm.
    dna, rna
        Columns of counts, one of each per replicate; the value is log2 RNA/DNA of the summed counts of an id.
    sequence, id
        Columns of sequences and ids.
    saturation
        Columns of element, position, ref and alt of a saturation mutagenesis, whose reference bases are the sequence.
    output
        Column that says which output a row measures, where the table has a row for each cell type or condition.
    replicate
        Column that numbers the replicates of a table with a row per replicate (IGVF `reporter_experiment`).
    replicates
        Output -> columns of its replicates, for the noise ceiling; without `values`, their mean is learnt.
    barcodes, min_barcodes
        Column of numbers of barcodes, and the fewest that a row of the table must have.
    errors, max_error
        Output -> column of its standard errors; values with a larger one, or none, count as missing; 0: none do.
    weights
        What rows count by in training; see `weights_of` in `read`.
    element_class, controls
        Column of classes, which are scored apart, and those of them that are controls: they neither train nor validate.
    strand
        Column of orientations; without it, marks in ids count where the sequences confirm them.
    group
        Column of what must share a fold, beside equal sequences, orientations and alleles of one element.
    chromosome, start, end, coordinates
        Columns of places on a genome, 0-based and half-open (`bed`), or 1-based and inclusive (`one_based`).
    adapters
        Constant ends of all sequences: what lies between them is what orientations turn.
    length, pad, pad_with, longer
        Bases that networks read, 0 for the longest sequence; where shorter sequences are padded, and with what (N
        beyond it); what becomes of longer ones: refused, or the part between the adapters that is kept.
    split
        `groups`: folds drawn by group; `homology`: by clusters of sequences that overlap; `chromosomes`: whole
        chromosomes; `blocks`: stretches of `blocks_of`, or of all chromosomes end to end; `column`: those of `fold`.
    test, validation
        With `chromosomes` and `column`: what is held out, once, instead of fold after fold.
    places
        No key of the file: key -> the place that has it, for messages.
    """

    table: str
    values: Mapping[str, str] = field(default_factory=dict)
    more_tables: list[str] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    where: Mapping[str, list[str]] = field(default_factory=dict)
    sequences: str = ""
    genome: str = ""
    log2: bool = False
    sequence: str = ""
    id: str = ""
    saturation: Mapping[Literal["element", "position", "ref", "alt"], str] = field(default_factory=dict)
    dna: list[str] = field(default_factory=list)
    rna: list[str] = field(default_factory=list)
    output: str = ""
    replicate: str = ""
    replicates: Mapping[str, list[str]] = field(default_factory=dict)
    barcodes: str = ""
    min_barcodes: int = 0
    errors: Mapping[str, str] = field(default_factory=dict)
    max_error: float = 0.0
    weights: Literal["none", "barcodes", "errors"] = "none"
    element_class: str = ""
    controls: list[str] = field(default_factory=list)
    strand: str = ""
    group: str = ""
    chromosome: str = ""
    start: str = ""
    end: str = ""
    coordinates: Literal["bed", "one_based"] = "bed"
    fold: str = ""
    adapters: list[str] = field(default_factory=lambda: ["", ""])
    length: int = 0
    pad: Literal["both", "left", "right"] = "both"
    pad_with: list[str] = field(default_factory=lambda: ["", ""])
    longer: Literal["refuse", "middle", "start", "end"] = "refuse"
    split: Literal["groups", "homology", "chromosomes", "blocks", "column"] = "groups"
    n_folds: int = 10
    blocks_of: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    validation: list[str] = field(default_factory=list)
    name: str = ""
    source: Source | None = None
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs; of counts, there is one, and with `output`, the table names them."""
        return list(self.values) or list(self.replicates) or ["expression"]

    def columns(self) -> dict[str, str]:
        """Return what is read from the table: part -> column; of replicates and values one part each."""
        return {part: column for _, part, column in self._named()}

    def place(self, column: str) -> str:
        """Return where the config names a column, as `assay.yaml, line 7: `; empty where no file names it."""
        return next((self.at(key) for key, _, name in self._named() if name == column), "")

    def at(self, key: str) -> str:
        """Return where the config has a key, or a key and one below it (`values.K562`), as `assay.yaml, line 7: `."""
        place = self.places.get(key) or self.places.get(key.partition(".")[0])
        return f"{place}: " if place else ""

    def _named(self) -> list[tuple[str, str, str]]:
        """List what is read from the table: key of the config, part, column."""
        named = [(name, name, getattr(self, name)) for name in _SINGLE if getattr(self, name)]
        if self.sequences or self.genome:
            named = [one for one in named if one[0] != "sequence"]
        named += [(f"where.{column}", f"where {column}", column) for column in self.where]
        named += [(f"saturation.{part}", part, column) for part, column in self.saturation.items()]
        named += [(f"values.{output}", f"value of {output}", column) for output, column in self.values.items()]
        named += [(f"errors.{output}", f"standard error of {output}", column) for output, column in self.errors.items()]
        for output, replicates in self.replicates.items():
            named += [
                (f"replicates.{output}", f"replicate {i} of {output}", column)
                for i, column in enumerate(replicates, start=1)
            ]
        for what in ("dna", "rna"):
            named += [
                (what, f"{what} of replicate {i}", column) for i, column in enumerate(getattr(self, what), start=1)
            ]
        return named


_SINGLE = (
    *(
        "sequence",
        "id",
        "output",
        "replicate",
        "barcodes",
        "element_class",
        "strand",
        "group",
        "chromosome",
        "start",
        "end",
    ),
    "fold",
)
_WHAT = {
    "table": "the table, beside this file",
    "values": "output: column of its values; several outputs are learnt by one model",
    "more_tables": "tables with the same columns, read below the first",
    "header": "names of the columns, where the first line of the table does not have them",
    "where": "column: values of the rows that are used, such as {medium: [complex]}",
    "sequences": "FASTA or table with the sequences, joined by id, where the table has none",
    "genome": "FASTA file of the genome that sequences are read from, by chromosome, start and end",
    "log2": "true: the values are ratios, whose logarithm is learnt",
    "sequence": "column of sequences",
    "id": "column of ids",
    "saturation": "columns of element, position, ref and alt, where every base of elements was mutated",
    "dna": "columns of DNA counts, one per replicate, in place of values",
    "rna": "columns of RNA counts, one per replicate; the value is log2 RNA/DNA of the summed counts of an id",
    "output": "column that says which output a row measures, where the table has a row for each cell type",
    "replicate": "column that numbers replicates, where the table has a row for each",
    "replicates": "output: columns of its replicates; they give the noise ceiling, and without values the mean",
    "barcodes": "column of numbers of barcodes",
    "min_barcodes": "rows with fewer barcodes are left out",
    "errors": "output: column of its standard errors",
    "max_error": "values with a larger standard error count as missing; 0: none do",
    "weights": "none, barcodes or errors: what rows count by in training",
    "element_class": "column of classes; each is scored apart",
    "controls": "classes that neither train nor validate",
    "strand": "column of orientations; else marks in ids count where the sequences confirm them",
    "group": "column of what must share a fold",
    "chromosome": "column of chromosomes",
    "start": "column of first bases on the chromosome",
    "end": "column of last bases",
    "coordinates": "bed: 0-based, half-open; one_based: 1-based, the last base included",
    "fold": "column of folds, or of train, val and test",
    "adapters": "constant ends of all sequences",
    "length": "bases that networks read, 0 for the longest sequence",
    "pad": "both, left or right: where shorter sequences are padded",
    "pad_with": "bases beside the sequences to pad with, left and right; N beyond them",
    "longer": "refuse, middle, start or end: what is kept of longer sequences, between the adapters",
    "split": "groups, homology, chromosomes, blocks or column",
    "n_folds": "folds that are drawn, dealt or cut",
    "blocks_of": "chromosomes that are cut into blocks; rows on others always train",
    "test": "chromosomes, or values of the fold column, that are held out once, for test",
    "validation": "and those for validation; the others train",
    "name": "name of the data set in results",
    "source": "where a public data set is from",
}
_EXPECTED = {
    "values": "`output: column` pairs",
    "errors": "`output: column` pairs",
    "replicates": "`output: [columns]` pairs",
    "where": "`column: [values]` pairs, with a value at least",
    "saturation": "the keys element, position, ref and alt, each with a column",
    "source": "what, paper, licence and files, each file with a name, a url and perhaps a checksum",
    "log2": "true or false",
    "name": "of letters, digits and . _ -, and to begin with a letter or digit",
    "max_error": "a number from 0",
    "adapters": "two texts of A, C, G and T, such as [AGGACC, CATTGC]",
    "pad_with": "two texts of A, C, G and T, such as [AGGACC, CATTGC]",
    "min_barcodes": "a whole number from 0",
    "length": "a whole number from 0",
    "n_folds": "a whole number from 3 to 20",
    **dict.fromkeys(
        ("header", "more_tables", "dna", "rna", "controls", "blocks_of", "test", "validation"), "a list of names"
    ),
    **{key: _WHAT[key].partition(":")[0] for key in ("weights", "split", "pad", "longer")},
    "coordinates": "bed or one_based",
}
_TYPES: dict[str, Any] = {part.name: part.type for part in dataclasses.fields(AssayConfig) if part.name != "places"}
_ONE_SPLIT = "the values of the others train"


def is_config(path: Path) -> bool:
    """Tell by its name whether a file is an assay.yaml rather than a table."""
    return path.suffix in (".yaml", ".yml")


def read(path: Path) -> AssayConfig:
    """Read assay.yaml.

    Raises
    ------
    BadInput
        Naming line and key of what is unknown, missing, of another type, or in want of another key.
    """
    import yaml

    text = text_files.decoded(path, text_files.content(path))
    try:
        content, root = yaml.safe_load(text), yaml.compose(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise BadInput(f"{path}{where}: YAML is expected ({one_line(getattr(error, 'problem', error))}).") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}: keys and values such as `table: my_table.tsv` are expected; see `assay init`.")
    return _checked(content, {key: f"{path}, line {line}" for key, line in _lines(path, root).items()}, str(path))


def changed(config: AssayConfig, words: list[str]) -> AssayConfig:
    """Change keys of a config by `key=value`, values as YAML has them.

    Raises
    ------
    BadInput
        As `read`, naming the word.
    """
    import yaml

    content, where = _said(config), dict(config.places)
    for word in words:
        key, equals, text = word.partition("=")
        try:
            value = yaml.safe_load(text) if equals else None
        except yaml.YAMLError:
            value = None
        if value is None:
            raise BadInput(f"--set expects key=value with a value as in assay.yaml, got {word!r}.")
        content[key], where[key] = value, f"--set {word}"
    return _checked(content, where, "assay.yaml")


def with_split(config: AssayConfig, split: str) -> AssayConfig:
    """Hold out in another way; a config's own `test` and `validation` are of its own way.

    Raises
    ------
    BadInput
        If that way needs a key that the config lacks.
    """
    changed = dataclasses.replace(config, split=split, test=[], validation=[]) if split != config.split else config
    for _, needed in _needs(changed):
        raise BadInput(f"--split {split} needs {needed} in assay.yaml.")
    return changed


def moved(config: AssayConfig, here: Path, there: Path) -> AssayConfig:
    """Return a config whose paths, relative to the folder `here`, are relative to `there`."""

    def path(name: str) -> str:
        return os.path.relpath(here / name, there) if name else ""

    return dataclasses.replace(
        config, table=path(config.table), sequences=path(config.sequences), genome=path(config.genome)
    )


def as_dict(config: AssayConfig) -> dict[str, Any]:
    """Return the keys of a config and their values, as plain ones."""
    return {name: value for name, value in dataclasses.asdict(config).items() if name in _TYPES}


def _said(config: AssayConfig) -> dict[str, Any]:
    """Return the keys of a config that are not as they are by default."""
    empty = AssayConfig(table="")
    values = {name: getattr(config, name) for name in _TYPES}
    return {name: value for name, value in values.items() if value != getattr(empty, name)}


def _checked(content: dict[Any, Any], where: Mapping[str, str], whole: str) -> AssayConfig:
    """Make a config of keys and values.

    Parameters
    ----------
    where
        Key -> the place that has it, for messages; `whole` is the place of what is missing.
    """
    content = {str(key): value for key, value in content.items()}
    for key, value in content.items():
        place = where.get(key, whole)
        if key not in _TYPES:
            raise BadInput(f"{place}: {did_you_mean('key', key, list(_TYPES))}")
        if value is None:
            raise BadInput(f"{place}: {key} ({_WHAT[key]}) is empty; give a value or remove the line.")
        if key in ("test", "validation", "blocks_of", "header", "controls") and isinstance(value, list):
            value = _texts(value)
        if key == "where" and isinstance(value, dict):
            value = {name: _texts(chosen) for name, chosen in value.items()}
        content[key] = _parsed(place, key, value)
    if not content.get("table"):
        raise BadInput(f"{whole}: table is missing: {_WHAT['table']}.")
    if not any(map(content.get, ("values", "dna", "replicates"))):
        raise BadInput(f"{whole}: values is missing: {_WHAT['values']}.")
    config = AssayConfig(**content, places=where)
    for key, needed in _needs(config):
        raise BadInput(f"{where.get(key, whole)}: {key} needs {needed}.")
    return config


def _texts(value: Any) -> Any:
    """Return one value, or a list of them, as a list of texts: YAML makes numbers of chromosomes."""
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _needs(config: AssayConfig) -> list[tuple[str, str]]:
    """List the keys that want another one, with what they want."""
    has_sequences = bool(config.sequence or config.sequences or config.genome or config.saturation)
    pairs = [
        ("split", config.split == "chromosomes" and not config.chromosome, "`chromosome: COLUMN`"),
        ("split", config.split == "blocks" and not (config.chromosome and config.start), "`chromosome` and `start`"),
        ("split", config.split == "column" and not config.fold, "`fold: COLUMN`"),
        ("test", bool(config.test) and config.split not in ("chromosomes", "column"), "`split: chromosomes` or column"),
        ("test", bool(config.test) and not config.validation, f"`validation: [VALUES]`; {_ONE_SPLIT}"),
        ("validation", bool(config.validation) and not config.test, f"`test: [VALUES]`; {_ONE_SPLIT}"),
        ("weights", config.weights == "barcodes" and not (config.barcodes or config.dna), "`barcodes: COLUMN`"),
        ("weights", config.weights == "errors" and not config.errors, "`errors: {output: COLUMN}`"),
        ("max_error", config.max_error > 0 and not config.errors, "`errors: {output: COLUMN}`"),
        ("errors", not set(config.errors) <= set(config.outputs), "outputs that `values` has"),
        ("replicates", not set(config.replicates) <= set(config.outputs), "outputs that `values` has"),
        ("output", bool(config.output) and len(config.outputs) > 1, "`values` of one column"),
        ("output", bool(config.output and config.dna), "no counts: `values` of one column"),
        ("min_barcodes", bool(config.min_barcodes) and not (config.barcodes or config.dna), "`barcodes: COLUMN`"),
        ("controls", bool(config.controls) and not config.element_class, "`element_class: COLUMN`"),
        ("genome", bool(config.genome) and not (config.chromosome and config.start and config.end), "coordinates"),
        ("genome", bool(config.genome and config.sequences), "no `sequences`, which would be joined by id"),
        ("sequences", bool(config.sequences) and not config.id, "`id: COLUMN`"),
        ("saturation", 0 < len(config.saturation) < 4, "all of element, position, ref and alt"),
        ("saturation", bool(config.saturation and (config.sequences or config.genome)), "neither sequences nor genome"),
        ("dna", len(config.dna) != len(config.rna), "as many columns as `rna`"),
        ("dna", bool(config.dna and config.values), "no `values`, which are made of the counts"),
        ("dna", bool(config.dna) and not config.id, "`id: COLUMN`"),
        ("table", not has_sequences, "`sequence: COLUMN`, or sequences or genome to read sequences from"),
    ]
    return [(key, needed) for key, lacks, needed in pairs if lacks]


def _lines(path: Path, root: Any) -> dict[str, int]:
    """Return the line of every key, and of those below it (`values.K562`).

    One that appears twice is refused, of which YAML would take the last.
    """
    lines: dict[str, int] = {}

    def add(pairs: Any, above: str) -> None:
        for key, value in pairs:
            name, line = f"{above}{key.value}", key.start_mark.line + 1
            if name in lines:
                raise BadInput(f"{path}, line {line}: {key.value!r} appears a second time; give it once.")
            lines[name] = line
            if value.id == "mapping" and not above:
                add(value.value, f"{name}.")

    add(root.value, "")
    return lines


def _parsed(place: str, key: str, value: Any) -> Any:
    """Return a value as the type of its key, or say what is expected."""
    try:
        parsed = validated.parse_as(value, _TYPES[key])
        fits = not isinstance(parsed, int | float) or 0 <= parsed <= 100_000
    except ValueError:
        parsed, fits = None, False
    if key in ("adapters", "pad_with"):
        fits = fits and len(value) == 2 and re.fullmatch("[ACGTacgt]*", "".join(value)) is not None
    if key == "where":
        fits = fits and all(value.values())
    if key == "n_folds":
        fits = fits and 3 <= value <= 20
    if key == "name":
        fits = fits and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value) is not None
    if key == "values" and fits and (bad := [name for name in value if not re.fullmatch(r"[\w.+-]{1,60}", name)]):
        raise BadInput(f"{place}: names of outputs are of letters, digits and _ . + -, got {bad[0]!r}.")
    if not fits:
        raise BadInput(f"{place}: {key} is expected to be {_EXPECTED.get(key, 'text')}, got {str(value)[:60]!r}.")
    return parsed


def to_yaml(config: AssayConfig, found: list[str]) -> str:
    """Write a config with a comment on every line; `found` goes on top."""
    import yaml

    said = _said(config)
    lines = [*(f"# {line}" for line in found), ""]
    for name in _TYPES:
        value = getattr(config, name)
        plain = dataclasses.asdict(value) if isinstance(value, Source) else value
        plain = dict(plain) if isinstance(plain, Mapping) else plain
        flow = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**6)
        text = f"{name}: {flow.removesuffix('...' + chr(10)).strip()}"
        is_set = name in said or name in ("split", "n_folds")
        lines += [f"# {_WHAT[name]}", text if is_set else f"# {text}"]
    return "\n".join(lines) + "\n"
