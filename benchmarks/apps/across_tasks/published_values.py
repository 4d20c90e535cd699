"""Published figures beside measured ones: joined by what the file says of each, never by a guess.

`results/reference/published.csv` names, for every figure that may be compared, our task, dataset, output, subset,
level, metric, role and model (`our_…`), and where it holds for one test fold or one test set only, that fold or the
rows in it. A row with a caveat and without our task is context: shown, and set beside nothing.
"""

from pathlib import Path

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
    """Say where the file lies in a checkout; an installed package has none."""
    return Path(__file__).resolve().parents[3] / "results" / "reference" / "published.csv"


def read(path: Path) -> pd.DataFrame:
    """Read the file of published figures: columns FILE_COLUMNS, `value` a number, empty cells "".

    Raises
    ------
    BadInput
        If it is no such table, or a value is no number.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError):
        raise BadInput(f"--published {path}: expected a CSV table of published figures, got another file.") from None
    if missing := [name for name in FILE_COLUMNS if name not in table]:
        raise BadInput(f"--published {path} lacks the columns {', '.join(missing)}; results/README.md lists them.")
    value = pd.to_numeric(table["value"], errors="coerce")
    if (wrong := ~np.isfinite(value)).any():
        line = int(np.flatnonzero(wrong)[0])
        raise BadInput(f"--published {path}, line {line + 2}: expected a number, got {table['value'][line]!r}.")
    return table.assign(value=value)


def context(published: pd.DataFrame) -> pd.DataFrame:
    """Return the figures that must not be compared with ours: those with a caveat and without a place of ours."""
    return published[(published["our_task"] == "") & (published["caveat"] != "")]


def beside(
    published: pd.DataFrame, summary: pd.DataFrame, scores: pd.DataFrame, across: pd.DataFrame, *, model_titles: dict
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
        found = _scored(row, place, scores) if row["our_test_fold"] or row["our_n"] else _mean(row, place, summary)
        for measured in found:
            rows.append(_about(row, value) | place | measured | {"difference": measured["measured"] - value})
    table = pd.DataFrame(rows, columns=COLUMNS)
    notes = [_note(row, across) for row in table.to_dict("records")]
    names = [model_titles.get(model, model) for model in table["model"]]
    return table.assign(note=notes, label=names)


def _about(row: dict, value: float) -> dict:
    kept = {name: row[name] for name in ("split", "source", "location_in_source", "verified")}
    about = {"model": row["our_model"], "published_model": row["model"], "published": value, "note": row["caveat"]}
    return kept | about | {"published_spread": row["spread"]}


def _at(table: pd.DataFrame, place: dict, model: str) -> pd.DataFrame:
    here = (table["origin"] == "measured") & (table["model"] == model)
    for name, wanted in place.items():
        here &= table[name] == wanted
    return table[here]


def _mean(row: dict, place: dict, summary: pd.DataFrame) -> list[dict]:
    found = []
    for one in _at(summary, place, row["our_model"]).to_dict("records"):
        single = one["n_folds"] == 1 and one["role"] == "member"
        low, high = interval(one["mean"], one["sd"], one["n_members_max"] if single else one["n_folds"])
        found.append(
            {"measured": one["mean"], "ci_low": low, "ci_high": high, "n_folds": one["n_folds"]}
            | {"n_members": one["n_members_min"]}
        )
    return found


def _scored(row: dict, place: dict, scores: pd.DataFrame) -> list[dict]:
    """Average the scores of the one test fold that a figure is of, if it is that fold, or has as many rows."""
    mine = _at(scores, place, row["our_model"])
    if row["our_test_fold"]:
        mine = mine[mine["test_fold"] == int(row["our_test_fold"])]
    if row["our_n"]:
        mine = mine[mine["n"] == int(row["our_n"])]
    if len(set(mine["test_fold"])) != 1:
        return []
    members = len(mine) if place["role"] == "member" else int(mine["n_members"].iloc[0])
    return [{"measured": mine["value"].mean(), "n_folds": 1, "n_members": members}]


def _sizes(row: dict, across: pd.DataFrame) -> list[dict]:
    here = across[(across["origin"] == "measured") & (across["task"] == row["our_task"])]
    counts = here.loc[here["model"] == row["our_model"], "n_params"].dropna().unique()
    place = {"task": row["our_task"], "metric": PARAMETERS}
    return [
        _about(row, row["value"]) | place | {"measured": int(count), "difference": int(count) - row["value"]}
        for count in counts
    ]


def _note(row: dict, across: pd.DataFrame) -> str:
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
