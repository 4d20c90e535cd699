"""Predict files of sequences of any size: read, predicted and written in pieces, with bounded memory."""

import contextlib
import csv
import dataclasses
import gzip
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.model import Model
from benchmarks.api.sequences import SequenceError, ambiguity_note
from benchmarks.api.task import AddsFlanks, HasReverseForm, MarksStrands, Task, encode_for, supports
from benchmarks.engine.inference.mutagenesis import of_codes
from benchmarks.errors import BadInput
from benchmarks.io import sequence_files
from benchmarks.io.account import Account
from benchmarks.io.atomic import whole_file


class SequenceFile:
    """The sequences of a file as a task reads them: encoded, with the strands that its column or its ids tell.

    Parameters
    ----------
    given
        What the user says of the columns, see `sequence_files.ROLES`.

    Attributes
    ----------
    account
        What was read; complete once all pieces are.

    Raises
    ------
    BadInput
        For anything wrong in the file, naming the line.
    """

    def __init__(self, path: Path, task: Task, spec: TaskSpec, *, given: Mapping[str, str] | None = None):
        self.path, self.task, self.spec, self._given = path, task, spec, given
        self.account = Account(path.name)

    def read(self) -> Iterator[tuple[sequence_files.Piece, Dataset]]:
        """Give the sequences in pieces, as text and as data to predict."""
        pieces = sequence_files.read_pieces(self.path, given=self._given, account=self.account)
        if "is_reverse" in self.spec.side_channels and self._has_marks():
            # Whether a mark counts is seen from the other orientation, wherever in the file that is.
            pieces = iter([_joined(list(pieces))])
        for piece in pieces:
            yield piece, self._as_data(piece)

    def _has_marks(self) -> bool:
        task = self.task
        return supports(task, MarksStrands) and any(
            piece.is_reverse is None and task.strand_marks(piece.ids).any()
            for piece in sequence_files.read_pieces(self.path, given=self._given)
        )

    def _as_data(self, piece: sequence_files.Piece) -> Dataset:
        try:
            codes = encode_for(self.task, self.spec, piece.sequences)
        except SequenceError as error:
            name = piece.ids[error.row][:60]
            raise BadInput(f"{self.path}, line {piece.lines[error.row]} ({name!r}): {error.reason}.") from None
        if note := ambiguity_note(piece.sequences, piece.lines):
            self.account.notes.append(note)
        if supports(self.task, AddsFlanks) and (note := self.task.flank_note(piece.sequences)):
            self.account.notes.append(note)
        data = of_codes(codes, self.spec)
        if "is_reverse" in self.spec.side_channels:
            data.meta["is_reverse"] = self._strands(piece, codes).astype(np.float32)
        return data

    def _strands(self, piece: sequence_files.Piece, codes: np.ndarray) -> np.ndarray:
        if piece.is_reverse is not None:
            return np.array(piece.is_reverse)
        if not supports(self.task, MarksStrands):
            return np.zeros(len(codes))
        is_reverse, notes = self.task.strands(self.path, pd.Series(piece.ids, index=piece.lines), codes, self.spec)
        self.account.notes += [note for note in notes if note not in self.account.notes]
        self.account.numbers["reverse_rows"] = self.account.numbers.get("reverse_rows", 0) + int(is_reverse.sum())
        return is_reverse


def _joined(pieces: list[sequence_files.Piece]) -> sequence_files.Piece:
    columns = ("ids", "sequences", "lines")
    return sequence_files.Piece(*([item for piece in pieces for item in getattr(piece, name)] for name in columns))


def predict_file(
    models: Sequence[Model],
    source: SequenceFile,
    out: Path,
    *,
    both_strands: bool = False,
    on_piece: Callable[[int], None] = lambda n: None,
) -> int:
    """Predict every sequence of a file into a table of `seq_id` and one column per output; return their number.

    `out` appears when it is complete, and is compressed if its name ends in .gz. Outputs with many numbers per sequence
    (profiles) are written to a .npy array beside the table (`array_beside`), in the same order of rows.

    Parameters
    ----------
    models
        Their predictions are averaged.
    both_strands
        Average the predictions of each sequence and of its reverse form too, see `HasReverseForm`.
    on_piece
        Called with the number of sequences predicted so far.

    Raises
    ------
    BadInput
        If the folder of `out` does not exist, or a sequence cannot be encoded; the message names its line.
    """
    if not out.parent.is_dir():
        raise BadInput(f"--out: there is no folder {out.parent}.")
    if both_strands and not supports(source.task, HasReverseForm):
        raise BadInput(
            f"--both-strands: models of {source.task.NAME} average both strands of a sequence by themselves."
        )
    wide: dict[str, _Rows] = {}
    n = 0
    with contextlib.ExitStack() as stack:
        unfinished = stack.enter_context(whole_file(out))
        with gzip.open(unfinished, "wt") if out.suffix == ".gz" else unfinished.open("w") as target:
            writer = csv.writer(target, delimiter="\t", lineterminator="\n")
            for piece, data in source.read():
                predicted = _predicted(models, data, source, both_strands=both_strands)
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


def _predicted(
    models: Sequence[Model], data: Dataset, source: SequenceFile, *, both_strands: bool
) -> dict[str, np.ndarray]:
    """Average the predictions of models, and of both strands if asked; output -> (n,) or (n, profile_len)."""
    predictions = [model.predict(data) for model in models]
    task = source.task
    if both_strands and supports(task, HasReverseForm):
        turned = dataclasses.replace(data, codes=task.reverse_form(data.codes, source.spec))
        if "is_reverse" in data.meta:
            turned = dataclasses.replace(turned, meta=data.meta.assign(is_reverse=1 - data.meta["is_reverse"]))
        for model in models:
            of_turned = model.predict(turned)
            predictions.append({name: v[:, ::-1] if v.ndim == 2 else v for name, v in of_turned.items()})
    if len(predictions) == 1:
        return predictions[0]
    return {
        name: np.asarray(np.mean([one[name] for one in predictions], axis=0, dtype=np.float64), dtype=np.float32)
        for name in predictions[0]
    }


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
