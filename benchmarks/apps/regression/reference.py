"""Read a reference folder: matrix.json (what is trained), scores.csv, about.json and LOG.md (why it was rewritten)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd

from benchmarks.apps.regression.tolerance import KEY
from benchmarks.errors import BadInput
from benchmarks.io import tables, validated

_ENTRY = {"task": str, "models": list, "test_folds": list, "n_members": int, "changes": list}
_COLUMNS = [*KEY, "mean", "sd", "n_seeds", "tolerance", "judged"]


@dataclass(frozen=True)
class Entry:
    """One task of a matrix: which models are trained on which folds, with which changes to the quick preset."""

    task: str
    models: list[str]
    test_folds: list[int]
    n_members: int
    changes: list[str]


@dataclass(frozen=True)
class Reference:
    """Scores with their tolerances (`reference_of`), and what about.json says of the trainings."""

    scores: pd.DataFrame
    metadata: "Metadata"


class Metadata(TypedDict):
    """Parameters and speed by `task/model`, digests of the data by `task/dataset`; about.json has more for readers."""

    n_params: dict[str, int]
    digests: dict[str, str]
    train_seq_per_s: dict[str, float]


def read_matrix(folder: Path) -> list[Entry]:
    """Read matrix.json.

    Raises
    ------
    BadInput
        If it is missing, not JSON, or an entry lacks a field or has one of another kind.
    """
    file = folder / "matrix.json"
    entries = _json(file)
    if not isinstance(entries, list) or not entries:
        raise BadInput(f"{file}: a list of entries is expected, each with {', '.join(_ENTRY)}.")
    for number, entry in enumerate(entries):
        wrong = set(_ENTRY) ^ set(entry) if isinstance(entry, dict) else set(_ENTRY)
        wrong |= {name for name, kind in _ENTRY.items() if not wrong and not isinstance(entry[name], kind)}
        if wrong:
            raise BadInput(
                f"{file}, entry {number}: {', '.join(sorted(wrong))}: expected {', '.join(_ENTRY)}, no more."
            )
    try:
        return validated.parse_as(entries, list[Entry])
    except ValueError as error:
        raise BadInput(f"{file}: {error}.") from None


def read(folder: Path) -> Reference:
    """Read scores.csv and about.json.

    Raises
    ------
    BadInput
        If they are missing or damaged.
    """
    file = folder / "scores.csv"
    recovery_hint = f"restore it, or make it with: python -m benchmarks regress --against {folder} --update"
    scores = tables.read_ours(file, _COLUMNS, recovery_hint=recovery_hint, keep_default_na=False, na_values=[""])
    for name in ("mean", "sd", "tolerance"):
        if not pd.api.types.is_numeric_dtype(scores[name]) or scores[name].isna().any():
            raise BadInput(f"{file}: column {name!r} must hold numbers; restore it or rewrite it with --update.")
    return Reference(scores, validated.read_json(folder / "about.json", Metadata, recovery_hint=recovery_hint))


def _json(file: Path) -> Any:
    if not file.is_file():
        raise BadInput(f"{file} is missing; a reference folder has matrix.json, scores.csv and about.json.")
    return validated.read_json(file, recovery_hint="it must be JSON")


def as_markdown(table: pd.DataFrame, heading: str, notes: list[str]) -> str:
    """Format the result of a regression test as Markdown, for the page of a CI run: failed scores first."""
    lines = [f"## {heading}", "", *(f"- {note}" for note in notes), "" if notes else None]
    lines += ["| verdict | task | model | output | subset | metric | reference | tolerance | measured | difference |"]
    lines += ["| --- | --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: |"]
    ranked = table.assign(rank=table["verdict"].map({"fails": 0, "new": 1, "passes": 2, "not judged": 3}))
    for row in ranked.sort_values("rank", kind="stable").itertuples():
        cells = [f"**{row.verdict}**" if row.verdict == "fails" else row.verdict]
        cells += [row.task, row.model, row.output, row.subset, row.metric]
        cells += [f"{value:.4f}" if value == value else "–" for value in (row.reference, row.tolerance, row.measured)]
        cells.append(f"{row.difference:+.4f}" if row.difference == row.difference else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(line for line in lines if line is not None) + "\n"
