"""What was read from an input: the format it was taken for and why, what was used, and what was left out."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LeftOut:
    """Rows (reads, peaks …) of an input that were not used, for one reason.

    Parameters
    ----------
    reason
        Completes the sentence "N rows were left out: …".
    first
        The first of them, as the file has it: its line and what is there.
    """

    what: str
    n: int
    reason: str
    first: str = ""

    def __str__(self) -> str:
        first = f" (first: {self.first})" if self.first else ""
        what = self.what.removesuffix("s") if self.n == 1 else self.what
        return f"{self.n:,} {what} left out: {self.reason}{first}."


@dataclass
class Account:
    """An account of one input, filled while it is read; printed, kept in the report, and part of `--json`.

    Parameters
    ----------
    file
        Name of the file or folder, without the folders above it.
    format
        What the input was taken for.
    evidence
        Why it was taken for that; empty where the user said so.
    used, not_used
        What is read of it -> the column that has it; and the columns that nothing was read from.
    numbers
        Counts and measures by name, as `rows` or `insertions`.
    """

    file: str
    format: str = ""
    evidence: str = ""
    used: dict[str, str] = field(default_factory=dict)
    not_used: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def leave_out(self, what: str, n: int, reason: str, first: str = "") -> None:
        """Count what was not used; nothing is noted of none."""
        if n:
            self.left_out.append(LeftOut(what, int(n), reason, first))

    def sentences(self) -> list[str]:
        """Return the account as sentences to print: format, columns, what was left out, notes."""
        lines = []
        if self.format:
            because = f" ({self.evidence})" if self.evidence else ""
            lines.append(f"{self.file} was read as {self.format}{because}.")
        if self.used:
            columns = ", ".join(what if what == column else f"{what} = {column}" for what, column in self.used.items())
            unused = f" Not used: {', '.join(self.not_used)}." if self.not_used else ""
            lines.append(f"Columns used: {columns}.{unused}")
        return [*lines, *map(str, self.left_out), *self.notes]

    def to_dict(self) -> dict[str, Any]:
        """Return the account as plain values for JSON; what is empty is not there."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value not in ("", {}, [])}
