"""A mark that simulated data carry in their folder, so that whatever is made of them says so."""

from pathlib import Path

from benchmarks.api.data import Origin

MARK = "SIMULATED.txt"


def mark(folder: Path, words: str) -> None:
    """Mark a folder as holding simulated data, and say in words what they are."""
    (folder / MARK).write_text(f"SIMULATED DATA. {words} No value here was measured.\n", encoding="utf-8")


def of(*folders: Path) -> Origin:
    """Tell whether any of the folders is marked; what is made of simulated and measured data together is simulated."""
    return "simulated" if any((folder / MARK).is_file() for folder in folders) else "measured"
