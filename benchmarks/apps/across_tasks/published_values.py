"""Set published figures beside measured ones, joined by the place that the file of published figures names for each.

`published.csv` beside this module names, for every figure that may be compared, our task, dataset, output, subset,
level, metric, role and model (`our_…`), and where it holds for one test fold or one test set only, that fold or the
rows in it. A row with a caveat and without our task is context: shown, and set beside nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.apps.across_tasks.table import interval
from benchmarks.errors import BadInput

KEYS = ["task", "dataset", "output", "subset", "level", "metric", "role"]
OURS = [f"our_{name}" for name in (*KEYS, "test_fold", "n", "model", "transform")]
FILE_COLUMNS = [
    "task", "dataset", "model", "metric", "value", "spread", "n", "split", "source", "location_in_source", "verified",
    *OURS, "caveat",
]  # fmt: skip
COLUMNS = [
    "task", "dataset", "output", "subset", "level", "metric", "role", "model", "published_model", "published",
    "published_spread", "measured", "ci_low", "ci_high", "n_folds", "n_members", "difference", "split", "source",
    "location_in_source", "verified", "note", "label",
]  # fmt: skip
PARAMETERS = "n_params"


def default_file() -> Path:
    """Return the file of published figures that comes with the package."""
    return Path(__file__).with_name("published.csv")


def read(path: Path) -> pd.DataFrame:
    """Read the file of published figures: columns FILE_COLUMNS, `value` a number, empty cells "".

    Raises
    ------
    BadInput
        If it is not such a table, or a value is not a number.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError):
        raise BadInput(f"--published {path}: expected a CSV table of published figures, got another file.") from None
    if missing := [name for name in FILE_COLUMNS if name not in table]:
        raise BadInput(
            f"--published {path} lacks the columns {', '.join(missing)}; docs/comparing.md says what they hold."
        )
    value = pd.to_numeric(table["value"], errors="coerce")
    if (wrong := ~np.isfinite(value)).any():
        line = int(np.flatnonzero(wrong)[0])
        raise BadInput(f"--published {path}, line {line + 2}: expected a number, got {table['value'][line]!r}.")
    return table.assign(value=value)


def context(published: pd.DataFrame) -> pd.DataFrame:
    """Return figures that must not be compared with measured ones: with a caveat, of no task in this benchmark."""
    return published[(published["our_task"] == "") & (published["caveat"] != "")]


def beside(
    published: pd.DataFrame,
    summary: pd.DataFrame,
    scores: pd.DataFrame,
    across: pd.DataFrame,
    *,
    model_titles: Mapping[str, str],
) -> pd.DataFrame:
    """Set published figures beside those measured in the same place.

    Parameters
    ----------
    summary, scores
        Means over test folds, and scores of single folds, of all runs; simulated data is left out.
    across
        The table over tasks, for parameter counts, and for what ran on which preset.
    model_titles
        Model -> what tables call it.

    Returns
    -------
    Columns COLUMNS; one row per published figure whose place was measured by the model that the file names. Squared
    correlations are compared by their root (`our_transform`: sqrt). `note` says where networks or protocol differ.
    """
    rows = []
    for row in published[(published["our_task"] != "") & (published["our_model"] != "")].to_dict("records"):
        if row["our_metric"] == PARAMETERS:
            rows += _sizes(row, across)
            continue
        place = {name: row[f"our_{name}"] for name in KEYS}
        value = np.sqrt(row["value"]) if row["our_transform"] == "sqrt" else row["value"]
        of_one_fold = row["our_test_fold"] or row["our_n"]
        for measured in _scored(row, place, scores) if of_one_fold else _mean(row, place, summary):
            rows.append(_published(row, value) | place | measured | {"difference": measured["measured"] - value})
    table = pd.DataFrame(rows, columns=COLUMNS)
    notes = [_note(row, across) for row in table.to_dict("records")]
    names = [model_titles.get(model, model) for model in table["model"]]
    return table.assign(note=notes, label=names)


def _published(row: dict[str, Any], value: float) -> dict[str, Any]:
    source = {name: row[name] for name in ("split", "source", "location_in_source", "verified")}
    figure = {"published_model": row["model"], "published": value, "published_spread": row["spread"]}
    return source | figure | {"model": row["our_model"], "note": row["caveat"]}


def _at(table: pd.DataFrame, place: dict[str, Any], model: str) -> pd.DataFrame:
    here = (table["origin"] == "measured") & (table["model"] == model)
    for name, wanted in place.items():
        here &= table[name] == wanted
    return table[here]


def _mean(row: dict[str, Any], place: dict[str, Any], summary: pd.DataFrame) -> list[dict[str, Any]]:
    means = []
    for cell in _at(summary, place, row["our_model"]).to_dict("records"):
        over_members = cell["n_folds"] == 1 and cell["role"] == "member"
        low, high = interval(cell["mean"], cell["sd"], cell["n_members_max"] if over_members else cell["n_folds"])
        means.append(
            {"measured": cell["mean"], "ci_low": low, "ci_high": high, "n_folds": cell["n_folds"]}
            | {"n_members": cell["n_members_min"]}
        )
    return means


def _scored(row: dict[str, Any], place: dict[str, Any], scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Average the scores of the one test fold that a figure is of, if it is that fold, or has as many rows."""
    same_place = _at(scores, place, row["our_model"])
    if row["our_test_fold"]:
        same_place = same_place[same_place["test_fold"] == int(row["our_test_fold"])]
    if row["our_n"]:
        same_place = same_place[same_place["n"] == int(row["our_n"])]
    if len(set(same_place["test_fold"])) != 1:
        return []
    members = len(same_place) if place["role"] == "member" else int(same_place["n_members"].iloc[0])
    return [{"measured": same_place["value"].mean(), "n_folds": 1, "n_members": members}]


def _sizes(row: dict[str, Any], across: pd.DataFrame) -> list[dict[str, Any]]:
    here = across[(across["origin"] == "measured") & (across["task"] == row["our_task"])]
    counts = here.loc[here["model"] == row["our_model"], "n_params"].dropna().unique()
    place = {"task": row["our_task"], "metric": PARAMETERS}
    return [
        _published(row, row["value"]) | place | {"measured": int(count), "difference": int(count) - row["value"]}
        for count in counts
    ]


def _note(row: dict[str, Any], across: pd.DataFrame) -> str:
    """Join the caveat of a figure with what differs on our side."""
    here = across[(across["task"] == row["task"]) & (across["model"] == row["model"])]
    if isinstance(row["dataset"], str):
        here = here[here["dataset"] == row["dataset"]]
    notes = [row["note"]] if row["note"] else []
    if (here["width_scale"] < 1).any():
        notes.append(f"ours is a narrow network (width {here['width_scale'].min():g} of the published)")
    if (other := here.loc[here["departures"] != "", "departures"]).size:
        notes.append(f"ours is not the published protocol: {other.iloc[0]}")
    return "; ".join(notes)
