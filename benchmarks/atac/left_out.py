"""Rows that cannot be used: why, and how many of them are too many to be left out."""

FEW, FEW_ROWS = 0.01, 10
"""Rows that cannot be used are left out if they are at most this share of all, or so few; more are not by chance."""
MANY_INVERTED = 0.1

OFF_END = "beyond the end of their chromosome"
INVERTED = "their end is not beyond their start"

HINTS = {
    OFF_END: "Is it the same assembly?",
    INVERTED: "Columns 2 and 3 must be start and end, 0-based.",
}


def too_many(n: int, of: int, share: float = FEW) -> bool:
    """Tell whether so many rows fall out that it is not by chance.

    >>> too_many(3, 200), too_many(1, 1), too_many(30, 1000)
    (False, True, True)
    """
    return n > max(share * of, min(FEW_ROWS, 0.5 * of))


def some(names: list[str]) -> str:
    """Name up to four, and count the rest."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
