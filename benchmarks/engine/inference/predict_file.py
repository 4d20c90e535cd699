"""Predict files of sequences of any size: read, predicted and written in pieces, with bounded memory."""

import contextlib
import csv
import gzip
import itertools
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.model import Model
from benchmarks.api.sequences import SequenceError
from benchmarks.errors import BadInput
from benchmarks.io import tables
from benchmarks.io.atomic import whole_file

N_SEQUENCES = 65_536
"""Sequences that are held as text at a time."""


@dataclass(frozen=True)
class Piece:
    """Sequences of a file with their ids, lines, and strand (0 where the file does not say)."""

    ids: list[str]
    sequences: list[str]
    lines: list[int]
    is_reverse: list[float]


def read_pieces(file: Path, n: int = N_SEQUENCES) -> Iterator[Piece]:
    """Read FASTA, a table with a header (`seq` or `sequence`, `seq_id`, `is_reverse`), or a sequence per line.

    Without a header, the first column is the sequence. Plain or gzip.

    Raises
    ------
    BadInput
        If the file is missing, binary or empty, or a line has no sequence.
    """
    if not file.is_file():
        raise BadInput(f"No file at {file}.")
    rows = _rows(file)
    is_empty = True
    while piece := list(itertools.islice(rows, n)):
        is_empty = False
        yield Piece(*(list(column) for column in zip(*piece, strict=True)))
    if is_empty:
        raise BadInput(f"{file} has no sequence.")


def _rows(file: Path) -> Iterator[tuple[str, str, int, float]]:
    """Yield id, sequence, line number and strand of every sequence."""
    try:
        with tables.open_text(file) as text:
            head = []  # leading blank lines and the first other line
            for line in text:
                head.append(line)
                if line.strip():
                    break
            lines = itertools.chain(head, text)
            if head and head[-1].startswith(">"):
                yield from ((name, sequence, at, 0.0) for at, name, sequence in tables.fasta_records(lines))
            else:
                yield from _table(file, enumerate(lines, start=1), head)
    except UnicodeDecodeError:
        raise BadInput(f"{file} is a binary file; FASTA, a table or a sequence per line is expected.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"{file} is a damaged gzip file ({error}); copy it again.") from None


def _table(file: Path, numbered: Iterator[tuple[int, str]], head: list[str]) -> Iterator[tuple[str, str, int, float]]:
    """Yield the rows of a table, or of a file with a sequence per line; `head` ends with its first line."""
    first = head[-1] if head else ""
    separator = "\t" if "\t" in first else ","
    header = [cell.strip() for cell in first.rstrip("\r\n").split(separator)]
    at_sequence = next((header.index(name) for name in tables.SEQUENCE_COLUMNS if name in header), None)
    at_id = at_strand = None
    if at_sequence is None:
        at_sequence = 0
    else:
        numbered = itertools.islice(numbered, len(head), None)
        at_id = next((header.index(name) for name in tables.ID_COLUMNS if name in header), None)
        at_strand = header.index("is_reverse") if "is_reverse" in header else None
    n_rows = 0
    for number, line in numbered:
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.rstrip("\r\n").split(separator)]
        try:
            strand = float(cells[at_strand]) if at_strand is not None else 0.0
            yield cells[at_id] if at_id is not None else str(n_rows), cells[at_sequence], number, strand
        except (IndexError, ValueError):
            raise BadInput(
                f"{file}, line {number}: a row like its header ({', '.join(header[:8])}) is expected."
            ) from None
        n_rows += 1


def predict_file(
    model: Model,
    spec: TaskSpec,
    encode: Callable[[list[str]], np.ndarray],
    source: Path,
    out: Path,
    *,
    on_piece: Callable[[int], None] = lambda n: None,
) -> int:
    """Predict every sequence of a file into a table of `seq_id` and one column per output; return their number.

    `out` appears when it is complete, and is compressed if its name ends in .gz. Outputs with many numbers per sequence
    (profiles) are written to a .npy array beside the table (`array_beside`), in the same order of rows.

    Parameters
    ----------
    encode
        Integer-encodes sequences, as the task's `encode`.
    on_piece
        Called with the number of sequences predicted so far.

    Raises
    ------
    BadInput
        If the folder of `out` does not exist, or a sequence cannot be encoded; the message names its line.
    """
    if not out.parent.is_dir():
        raise BadInput(f"--out: there is no folder {out.parent}.")
    wide: dict[str, _Rows] = {}
    n = 0
    with contextlib.ExitStack() as stack:
        unfinished = stack.enter_context(whole_file(out))
        with gzip.open(unfinished, "wt") if out.suffix == ".gz" else unfinished.open("w") as target:
            writer = csv.writer(target, delimiter="\t", lineterminator="\n")
            for piece in read_pieces(source):
                predicted = model.predict(as_data(source, piece, spec, encode))
                single = {name: values for name, values in predicted.items() if values.ndim == 1}
                if n == 0:
                    writer.writerow(["seq_id", *(["prediction"] if len(predicted) == 1 else single)])
                    wide = {
                        name: stack.enter_context(_Rows(array_beside(out, name))) for name in predicted.keys() - single
                    }
                columns = [[f"{value:.7g}" for value in values.tolist()] for values in single.values()]
                writer.writerows(zip(piece.ids, *columns, strict=True))
                for name, rows in wide.items():
                    rows.add(predicted[name])
                n += len(piece.ids)
                on_piece(n)
        for rows in wide.values():
            rows.finish()
    return n


def array_beside(out: Path, output: str) -> Path:
    """Return the path of the array of an output with many numbers per sequence: p.tsv.gz -> p.profile_logits.npy."""
    return out.with_name(f"{out.name.removesuffix('.gz').rpartition('.')[0] or out.name}.{output}.npy")


class _Rows:
    """Writes an .npy array row by row, before the number of rows is known."""

    def __init__(self, path: Path):
        self._path = path
        self._rows = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - closed on leaving the context
        self._shape: tuple[int, ...] = (0,)
        self._type = np.dtype(np.float32)

    def __enter__(self) -> "_Rows":
        return self

    def __exit__(self, *error: object) -> None:
        self._rows.close()

    def add(self, rows: np.ndarray) -> None:
        """Append rows, (n, …)."""
        rows.tofile(self._rows)
        self._shape, self._type = (self._shape[0] + len(rows), *rows.shape[1:]), rows.dtype

    def finish(self) -> None:
        """Write the header and put the array in place."""
        self._rows.seek(0)
        with whole_file(self._path) as unfinished, unfinished.open("wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(self._type), "fortran_order": False, "shape": self._shape}
            np.lib.format.write_array_header_1_0(file, header)
            shutil.copyfileobj(self._rows, file, 2**22)


def as_data(source: Path, piece: Piece, spec: TaskSpec, encode: Callable[[list[str]], np.ndarray]) -> Dataset:
    """Encode a piece of a file as a Dataset to predict.

    Raises
    ------
    BadInput
        If a sequence cannot be encoded; the message names its line.
    """
    try:
        codes = encode(piece.sequences)
    except SequenceError as error:
        name = piece.ids[error.row][:60]
        raise BadInput(f"{source}, line {piece.lines[error.row]} ({name!r}): {error.reason}.") from None
    zeros = np.zeros(len(codes), dtype=np.float32)
    meta = pd.DataFrame(dict.fromkeys(spec.side_channels, zeros), index=range(len(codes)))
    if "is_reverse" in spec.side_channels:
        meta["is_reverse"] = np.array(piece.is_reverse, dtype=np.float32)
    return Dataset("input", codes, {}, meta, "measured")
