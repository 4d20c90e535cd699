"""Paired FASTQ files as arrays, a batch at a time: streamed, plain or gzip, and checked as they come."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from benchmarks.errors import BadInput

try:  # inflates three times as fast
    from isal import igzip, isal_zlib
except ModuleNotFoundError:
    igzip, isal_zlib = gzip, zlib

SIMULATED_NAME = b"@SIMULATED:"
"""How the names of simulated reads begin."""

_BLOCK = 1 << 21  # bytes of text that are read at a time
_PLUS, _AT, _NEWLINE, _RETURN = b"+@\n\r"
COMPLEMENT = np.zeros(256, dtype=np.uint8)
"""Character -> its complement; 0 for whatever is not one of ACGTN."""
for _base, _other in zip(b"ACGTN", b"TGCAN", strict=True):
    COMPLEMENT[_base] = _other
_COMPLEMENT_OF_TEXT = str.maketrans("ACGTN", "TGCAN")
_IS_WRONG = COMPLEMENT == 0
_IS_WRONG[0] = False  # beyond the end of a read
_UPPER = np.arange(256, dtype=np.uint8)
_UPPER[ord("a") : ord("z") + 1] -= ord("a") - ord("A")


@dataclass(frozen=True)
class Reads:
    """Reads of one file.

    Parameters
    ----------
    bases, quals
        (n, longest) uint8 characters, left-aligned, zero beyond a read's end; bases are upper case.
    lengths
        (n,) int64.
    """

    bases: np.ndarray
    quals: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def reverse_complement(self) -> "Reads":
        """Return the reverse complements, with their qualities reversed."""
        return Reads(self._reversed(COMPLEMENT[self.bases]), self._reversed(self.quals), self.lengths)

    def _reversed(self, rows: np.ndarray) -> np.ndarray:
        width = rows.shape[1]
        if (self.lengths == width).all():
            return rows[:, ::-1]
        places = self.lengths[:, None] - 1 - np.arange(width)
        return np.where(places >= 0, np.take_along_axis(rows, np.maximum(places, 0), axis=1), 0).astype(np.uint8)


def reverse_complement(text: str) -> str:
    """Return the reverse complement of a sequence of ACGTN."""
    return text.translate(_COMPLEMENT_OF_TEXT)[::-1]


def pairs(file1: Path, file2: Path) -> Iterator[tuple[Reads, Reads]]:
    """Yield batches of read pairs.

    Raises
    ------
    BadInput
        For files of different length, mates in another order or swapped, anything that is not FASTQ, a damaged gzip.
    """
    with _Source(file1) as source1, _Source(file2) as source2:
        while True:
            n = min(source1.fill(), source2.fill())
            if n == 0:
                break
            first = source1.n_taken
            headers1, reads1 = source1.take(n)
            headers2, reads2 = source2.take(n)
            _check_names(file1, file2, headers1, headers2, first)
            yield reads1, reads2
        if source1.fill() or source2.fill():
            longer, shorter = (source1, source2) if source1.fill() else (source2, source1)
            raise BadInput(
                f"{longer.path} has more reads than {shorter.path}, which ends after {shorter.n_taken:,}: the two "
                "files of a pair must have the same length; copy both again, or filter both mates of a pair together."
            )


def is_simulated(file: Path) -> bool:
    """Tell by the name of its first read whether a file was written by the simulator.

    Raises
    ------
    BadInput
        If the file is missing or a damaged gzip.
    """
    with _Source(file) as source:
        return source.read(len(SIMULATED_NAME)) == SIMULATED_NAME


class _Source:
    """One FASTQ file, with the text that was read but not yet taken and the ends of its lines."""

    def __init__(self, path: Path):
        self.path, self.n_taken = path, 0
        if not path.is_file():
            raise BadInput(f"No file of reads at {path}.")
        self.raw: BinaryIO = path.open("rb")
        zipped = self.raw.read(2) == b"\x1f\x8b"
        self.raw.seek(0)
        self.stream = igzip.GzipFile(fileobj=self.raw) if zipped else self.raw
        self.text, self.line_ends, self.is_over = np.zeros(0, np.uint8), np.zeros(0, np.int64), False

    def __enter__(self) -> "_Source":
        return self

    def __exit__(self, *error: object) -> None:
        self.raw.close()

    def read(self, n: int) -> bytes:
        """Read up to n bytes of text.

        Raises
        ------
        BadInput
            For a damaged gzip file.
        """
        try:
            return self.stream.read(n)
        except EOFError:
            raise BadInput(f"{self.path} is a truncated gzip file; copy or download it again.") from None
        except (gzip.BadGzipFile, zlib.error, isal_zlib.error) as error:
            raise BadInput(f"{self.path} is a damaged gzip file ({error}); copy or download it again.") from None

    def fill(self) -> int:
        """Read on until at least one whole read is buffered, or the file ends; return how many are."""
        while len(self.line_ends) < 4 and not self.is_over:
            block = self.read(_BLOCK)
            self.is_over = not block
            if self.is_over and self.text.size and self.text[-1] != _NEWLINE:
                block = b"\n"
            new = np.frombuffer(block, dtype=np.uint8)
            self.line_ends = np.r_[self.line_ends, np.flatnonzero(new == _NEWLINE) + len(self.text)]
            self.text = np.concatenate([self.text, new])
        if self.is_over and len(self.line_ends) % 4 and len(self.line_ends) < 4:
            if not (self.text[self.text != _RETURN] == _NEWLINE).all():  # more than blank lines at the end
                raise BadInput(
                    f"{self.path} ends within a read, at line {4 * self.n_taken + len(self.line_ends):,}: four lines "
                    "per read are expected; copy or download it again."
                )
            return 0
        return len(self.line_ends) // 4

    def take(self, n: int) -> tuple[np.ndarray, Reads]:
        """Take n reads; return their header lines, (n, longest) uint8 padded with zero, and the reads."""
        ends = self.line_ends[: 4 * n]
        starts = np.r_[0, ends[:-1] + 1]
        ends_of_text = ends - (self.text[ends - 1] == _RETURN)
        lengths = (ends_of_text - starts).reshape(n, 4)
        starts = starts.reshape(n, 4)
        self._check(starts, lengths)
        headers = _gathered(self.text, starts[:, 0], lengths[:, 0])
        bases = _gathered(self.text, starts[:, 1], lengths[:, 1])
        if (wrong := _IS_WRONG[bases]).any():  # lower case, at the least
            bases = _UPPER[bases]
            wrong = _IS_WRONG[bases]
        if wrong.any():
            row, at = (int(i[0]) for i in np.nonzero(wrong))
            raise BadInput(
                f"{self.path}, line {4 * (self.n_taken + row) + 2:,}: letter {chr(bases[row, at])!r} at position "
                f"{at + 1} is not one of ACGTN."
            )
        reads = Reads(bases, _gathered(self.text, starts[:, 3], lengths[:, 3]), lengths[:, 1])
        used = int(ends[-1]) + 1
        self.text, self.line_ends, self.n_taken = self.text[used:], self.line_ends[4 * n :] - used, self.n_taken + n
        return headers, reads

    def _check(self, starts: np.ndarray, lengths: np.ndarray) -> None:
        first = self.text[np.minimum(starts, len(self.text) - 1)]
        wrong = (first[:, 0] != _AT) | (first[:, 2] != _PLUS) | (lengths[:, 1] != lengths[:, 3]) | (lengths[:, 1] == 0)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            line = 4 * (self.n_taken + row) + 1
            if first[row, 0] != _AT or first[row, 2] != _PLUS:
                raise BadInput(
                    f"{self.path}, line {line:,}: a read of four lines (@name, bases, +, qualities) expected."
                )
            raise BadInput(
                f"{self.path}, line {line + 1:,}: as many qualities as bases are expected, and at least one; got "
                f"{lengths[row, 1]} bases and {lengths[row, 3]} qualities."
            )


def _gathered(text: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Cut lines out of a text; (n, longest) uint8, zero beyond a line's end."""
    width = int(lengths.max())
    if (lengths == width).all():
        return np.lib.stride_tricks.sliding_window_view(text, width)[starts]
    places = np.arange(width)
    rows = text[np.minimum(starts[:, None] + places, len(text) - 1)]
    rows[places >= lengths[:, None]] = 0
    return rows


def _check_names(file1: Path, file2: Path, headers1: np.ndarray, headers2: np.ndarray, first: int) -> None:
    """Compare the names of mates, which may differ only in the number of the mate."""
    if headers1.shape == headers2.shape:
        differs = headers1 != headers2
        n_differing = differs.sum(axis=1)
        suspect = n_differing > 1
        rows = np.flatnonzero(n_differing == 1)
        at = differs[rows].argmax(axis=1)
        suspect[rows] = (headers1[rows, at] != ord("1")) | (headers2[rows, at] != ord("2"))
    else:
        suspect = np.ones(len(headers1), dtype=bool)
    suspect[0] = True  # whether the mates are those of two files is looked at once
    for row in np.flatnonzero(suspect):
        (name1, mate1), (name2, mate2) = (_name_and_mate(headers[row]) for headers in (headers1, headers2))
        if name1 != name2:
            raise BadInput(
                f"Read {first + row + 1:,} is {name1!r} in {file1} and {name2!r} in {file2}: mates must be in the "
                "same order; pair the files again."
            )
        if (mate1, mate2) == ("2", "1"):
            raise BadInput(
                f"{file1} holds second mates and {file2} first ones, by the names of their reads: read1 and read2 are "
                "swapped; swap them in the sample sheet."
            )
        if mate1 == mate2 and mate1:
            raise BadInput(f"{file1} and {file2} both hold mate {mate1}, by the names of their reads.")


def _name_and_mate(header: np.ndarray) -> tuple[str, str]:
    """Split `@name/1` or `@name 1:N:0:…` into name and number of the mate; '' where it has none."""
    words = header[header != 0].tobytes().decode("latin-1")[1:].split()
    name = words[0] if words else ""
    if name[-2:] in ("/1", "/2"):
        return name[:-2], name[-1]
    mate = words[1][0] if len(words) > 1 and words[1][:2] in ("1:", "2:") else ""
    return name, mate
