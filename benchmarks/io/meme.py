"""Read motifs from files in the MEME text format.

Source: the format's description in the MEME Suite documentation (minimal motif format).
"""

import re
from pathlib import Path

import numpy as np

from benchmarks.errors import BadInput
from benchmarks.io import text_files

_LETTERS = "ACGT"


def is_meme(path: Path) -> bool:
    """Tell whether a text file is in the MEME format, by its first line with text."""
    first = next((line for line in text_files.read_lines(path) if line.strip()), "")
    return first.startswith("MEME version")


def read_meme(path: Path) -> dict[str, np.ndarray]:
    """Return the letter probabilities of every motif: name -> (width, 4), columns A, C, G, T; rows add up to 1.

    A motif with an alternate name (`MOTIF MA0001.1 AGL3`) is called by it.

    Raises
    ------
    BadInput
        If the alphabet is not that of DNA, or a matrix is missing or malformed, with the line.
    """
    motifs: dict[str, np.ndarray] = {}
    name, rows, width = "", [], 0
    for number, line in enumerate(text_files.read_lines(path), start=1):
        text = line.strip()
        if text.startswith("ALPHABET=") and text.removeprefix("ALPHABET=").strip() != _LETTERS:
            raise BadInput(f"{path}, line {number}: expected ALPHABET= {_LETTERS}, got {text!r}.")
        if width:
            rows.append(_row(path, number, text))
            if len(rows) == width:
                motifs[name] = np.array(rows)
                name, rows, width = "", [], 0
        elif text.startswith("MOTIF"):
            if name:
                raise BadInput(
                    f"{path}, line {number}: motif {name!r} has no letter-probability matrix before the next."
                )
            words = text.split()[1:]
            if not words:
                raise BadInput(f"{path}, line {number}: expected a name after MOTIF.")
            name = words[-1]
            if name in motifs:
                raise BadInput(f"{path}, line {number}: motif {name!r} appears twice.")
        elif text.startswith("letter-probability matrix"):
            found = re.search(r"\bw=\s*(\d+)", text)
            if not name or not found or int(found[1]) == 0:
                raise BadInput(f"{path}, line {number}: expected a matrix with its width (w= 8) below a MOTIF line.")
            width = int(found[1])
    if width:
        raise BadInput(f"{path}: motif {name!r} ends after {len(rows)} of {width} rows.")
    if not motifs:
        raise BadInput(f"{path}: expected at least one motif in MEME format, found none.")
    return motifs


def _row(path: Path, number: int, text: str) -> list[float]:
    try:
        values = [float(cell) for cell in text.split()]
    except ValueError:
        values = []
    if len(values) != len(_LETTERS) or min(values) < 0 or abs(sum(values) - 1) > 0.02:
        raise BadInput(
            f"{path}, line {number}: expected four probabilities that add up to 1 (A, C, G, T), got {text!r}."
        )
    return [value / sum(values) for value in values]
