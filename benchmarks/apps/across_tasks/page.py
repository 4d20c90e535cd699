"""Write the report over all tasks as one HTML page that opens offline: DataFrames in, text out."""

import pandas as pd
from markupsafe import Markup

from benchmarks.cli.options import records
from benchmarks.engine.reporting import run_page

ORIGINS = {"measured": "Measured data", "simulated": "Simulated data"}


def render(
    *,
    runs: list[dict],
    across: pd.DataFrame,
    overall: pd.DataFrame,
    published: pd.DataFrame | None,
    context: pd.DataFrame | None,
    claims: pd.DataFrame,
    figures: dict[str, list[tuple[str, str]]],
) -> str:
    """Render the page.

    Parameters
    ----------
    runs
        What was read: dicts of task, preset, data, trainings, command, folder.
    across, overall, claims
        The tables of `across.csv`, `overall.csv` and `claims.csv`.
    published, context
        Published figures beside measured ones, and those that do not compare; None without the file of them.
    figures
        Origin -> pairs (caption, SVG element).
    """
    blocks = [
        {
            "origin": origin,
            "title": title,
            "simulated": origin == "simulated",
            "overall": records(overall[overall["origin"] == origin]),
            "tasks": {
                task: records(part) for task, part in across[across["origin"] == origin].groupby("task", sort=False)
            },
            "costs": _costs(across[across["origin"] == origin]),
            "figures": [(caption, Markup(svg)) for caption, svg in figures.get(origin, [])],
        }
        for origin, title in ORIGINS.items()
        if (across["origin"] == origin).any()
    ]
    return run_page.template("across.html.j2").render(
        simulated=bool((across["origin"] == "simulated").any()),
        measured=bool((across["origin"] == "measured").any()),
        runs=runs,
        blocks=blocks,
        published=None if published is None else records(published),
        context=[] if context is None else records(context),
        claims=records(claims),
    )


def _costs(table: pd.DataFrame) -> list[dict]:
    """Keep one row per task, dataset and model: size, cost and speed do not depend on the score."""
    return records(table.drop_duplicates(["task", "dataset", "model"]))
