"""The construct of an assay: an insert that can be designed, between constant flanks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.api.sequences import SequenceError, decode, encode


@dataclass(frozen=True)
class Construct:
    """Flanks, and the length of the insert in bp; flanks are empty where an assay has none.

    >>> construct = Construct("AA", 3, "TT")
    >>> construct.rows(construct.inserts(["ccc", "AAGGGTT"]))
    ['AACCCTT', 'AAGGGTT']
    """

    left: str
    length: int
    right: str

    @property
    def row_length(self) -> int:
        """bp of an insert with its flanks."""
        return len(self.left) + self.length + len(self.right)

    def rows(self, inserts: np.ndarray) -> list[str]:
        """Write inserts, (n, length) uint8, as sequences with their flanks."""
        return [self.left + insert + self.right for insert in decode(inserts)]

    def inserts(self, sequences: Sequence[str]) -> np.ndarray:
        """Take inserts out of sequences that are bare inserts or have these flanks; (n, length) uint8.

        Raises
        ------
        SequenceError
            For the first sequence of another length, with other flanks, or with a letter outside ACGT.
        """
        bare = []
        for row, sequence in enumerate(sequences):
            text = sequence.upper()
            if len(text) == self.row_length:
                if not (text.startswith(self.left) and text.endswith(self.right)):
                    raise SequenceError(row, f"flanks {self.left}…{self.right} expected in {self.row_length} bp")
                text = text[len(self.left) : len(text) - len(self.right)]
            if len(text) != self.length:
                with_flanks = f" or {self.row_length} with flanks" if self.left or self.right else ""
                raise SequenceError(row, f"an insert of {self.length} bp{with_flanks} expected, got {len(sequence)} bp")
            if "N" in text:
                raise SequenceError(row, f"letter 'N' at position {text.index('N') + 1} is not one of ACGT")
            bare.append(text)
        return encode(bare, self.length)
