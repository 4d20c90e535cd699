"""Submissions to the challenge: the leaderboard's JSON and the final text file, read and checked.

Source: the challenge repository, `data/sample_submission.{json,txt}`. A leaderboard submission is an object from row
number (as text) to value for the public rows; a final one has sequence and prediction, tab-separated, without a header,
a line per test sequence in official order.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.errors import BadInput
from benchmarks.io import text_files
from benchmarks.io.system_files import contents
from benchmarks.io.validated import one_line
from benchmarks.yeast.challenge_score import Part
from benchmarks.yeast.test_set import TestSet

MAX_PROBLEMS = 20
"""Problems of one kind that are spelled out; the rest is counted."""


def read(file: Path, test: TestSet) -> tuple[np.ndarray, bool]:
    """Read a submission: predictions of every test sequence, NaN where none is needed; and whether it is public only.

    Raises
    ------
    BadInput
        For the first thing wrong with it; `problems` lists them all.
    """
    y_pred, is_public_only, found = _parsed(file, test)
    first = next(iter(found), None)
    if first is not None:
        raise BadInput(f"{first} `challenge validate` lists everything that is wrong.")
    return y_pred, is_public_only


def read_folder(folder: Path, test: TestSet, part: Part) -> dict[str, np.ndarray]:
    """Read every submission of a folder (.json, .txt or .tsv, plain or .gz): name of the file -> (n,) predictions.

    Raises
    ------
    BadInput
        If there is none, two have one name, one cannot be read, or has the public rows alone where others are scored.
    """
    if not folder.is_dir():
        raise BadInput(f"--submissions: no folder at {folder}.")
    files = [f for f in contents(folder) if f.name.removesuffix(".gz").endswith((".json", ".txt", ".tsv"))]
    predictions: dict[str, np.ndarray] = {}
    for file in files:
        name = file.name.removesuffix(".gz").rpartition(".")[0]
        if name in predictions:
            raise BadInput(f"{folder} holds two submissions named {name!r}; rename one of them.")
        y_pred, public_only = read(file, test)
        if public_only and part != "public":
            raise BadInput(f"{file} has only the public rows; use --part public, or take it out of {folder}.")
        predictions[name] = y_pred
    if not predictions:
        raise BadInput(f"{folder} holds no submission (.json, .txt or .tsv, plain or .gz).")
    return predictions


def problems(file: Path, test: TestSet) -> list[str]:
    """List everything that is wrong with a submission, one sentence each; empty if it is valid.

    Raises
    ------
    BadInput
        If there is no such file, or it cannot be read at all.
    """
    y_pred, is_public_only, found = _parsed(file, test)
    if found:
        return found
    needed = y_pred[test.is_public] if is_public_only else y_pred
    if np.ptp(needed) == 0:
        return [f"{file}: every prediction is {needed[0]:g}; a constant has no correlation with anything."]
    return []


def _parsed(file: Path, test: TestSet) -> tuple[np.ndarray, bool, list[str]]:
    lines = text_files.read_lines(file)
    text = next((line for line in lines if line.strip()), "")
    if not text:
        raise BadInput(f"{file} is empty.")
    y_pred = np.full(len(test), np.nan)
    if text.lstrip().startswith("{"):
        return y_pred, True, list(_parse_json(file, lines, test, y_pred))
    return y_pred, False, list(_parse_text(file, lines, test, y_pred))


def _parse_json(file: Path, lines: list[str], test: TestSet, y_pred: np.ndarray) -> Iterator[str]:
    twice: list[str] = []

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        seen: dict[str, object] = {}
        for key, value in pairs:
            if key in seen:
                twice.append(key)
            seen[key] = value
        return seen

    try:
        given = json.loads("\n".join(lines), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise BadInput(f"{file}, line {error.lineno}: this is not JSON ({error.msg}).") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{file}: this is not JSON that can be read ({one_line(error)}).") from None
    expected = set(map(str, np.flatnonzero(test.is_public)))
    yield from _few(f"{file}: row {key!r} appears twice." for key in twice)
    yield from _few(
        f"{file}: row {key!r} is not one of the {len(expected):,} public rows." for key in given.keys() - expected
    )
    missing = sorted(expected - given.keys(), key=int)
    if missing:
        yield f"{file}: {len(missing):,} of {len(expected):,} public rows are missing, first {missing[0]!r}."
    wrong = []
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            wrong.append(f"{file}: row {key!r}: a finite number expected, got {value!r}.")
        elif key in expected:
            y_pred[int(key)] = value
    yield from _few(wrong)


def _parse_text(file: Path, lines: list[str], test: TestSet, y_pred: np.ndarray) -> Iterator[str]:
    rows = [(number, line.split("\t")) for number, line in enumerate(lines, start=1) if line.strip()]
    shape, value, order = [], [], []
    for position, (number, cells) in enumerate(rows):
        if len(cells) != 2:
            shape.append(f"{file}, line {number}: two tab-separated columns expected, got {len(cells)}.")
            continue
        number_given = _number(cells[1])
        if number_given is None:
            value.append(f"{file}, line {number}: a finite number expected as prediction, got {cells[1].strip()!r}.")
        elif position < len(y_pred):
            y_pred[position] = number_given
        if position < len(test) and test.sequences is not None:
            expected = str(test.sequences[position])
            if cells[0].strip().upper() != expected.upper():
                order.append(
                    f"{file}, line {number}: sequence {expected} expected there, got {cells[0].strip()[:120]}."
                )
    if len(rows) != len(test):
        yield f"{file}: {len(test):,} lines expected, one per test sequence, got {len(rows):,}."
    yield from _few(shape)
    yield from _few(value)
    if order:
        yield f"{file}: {len(order):,} sequences are not those of the test file in its order; the first: {order[0]}"


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _few(sentences: Iterator[str] | list[str]) -> Iterator[str]:
    sentences = sorted(sentences) if not isinstance(sentences, list) else sentences
    yield from sentences[:MAX_PROBLEMS]
    if len(sentences) > MAX_PROBLEMS:
        yield f"… and {len(sentences) - MAX_PROBLEMS:,} more like the last one."
