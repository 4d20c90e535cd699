"""Write the report over all tasks as tables, figures and one HTML page that opens offline."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from benchmarks import system
from benchmarks.apps.across_tasks.report import Report
from benchmarks.engine.reporting import html
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.io.atomic import write_text
from benchmarks.io.json_files import records

ORIGINS = {"measured": "Measured data", "simulated": "Simulated data"}


def render(report: Report, figures: Mapping[str, list[tuple[str, str]]]) -> str:
    """Render the page.

    Parameters
    ----------
    figures
        Origin -> pairs (caption, SVG element).
    """
    across, overall = report.tables["across"], report.tables["overall"]
    blocks = [
        {
            "origin": origin,
            "title": title,
            "simulated": origin == "simulated",
            "overall": records(overall[overall["origin"] == origin]),
            "tasks": {
                task: records(rows) for task, rows in across[across["origin"] == origin].groupby("task", sort=False)
            },
            "costs": _costs(across[across["origin"] == origin]),
            "figures": [(caption, Markup(svg)) for caption, svg in figures.get(origin, [])],
        }
        for origin, title in ORIGINS.items()
        if (across["origin"] == origin).any()
    ]
    return html.template("across.html.j2").render(
        simulated=bool((across["origin"] == "simulated").any()),
        measured=bool((across["origin"] == "measured").any()),
        runs=[run.metadata for run in report.runs],
        blocks=blocks,
        published=records(report.tables["published"]),
        context=records(report.context),
        claims=records(report.tables["claims"]),
    )


def _costs(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Keep one row per task, dataset and model: size, cost and speed do not depend on the score."""
    return records(table.drop_duplicates(["task", "dataset", "model"]))


def output_folder(store: Store, out: Path | None, experiments: Sequence[Experiment]) -> Path:
    """Make the folder to write to: `out`, else one in the store whose name is a hash of the runs that were read."""
    if out is None:
        names = ",".join(sorted(experiment.folder.name for experiment in experiments))
        return store.report_folder(f"across_{hashlib.sha256(names.encode()).hexdigest()[:8]}")
    out.mkdir(parents=True, exist_ok=True)
    return out


def write_page(folder: Path, report: Report) -> Path | None:
    """Write the tables, and the figures and the page where matplotlib and jinja2 are installed; return the page."""
    for name, table in report.tables.items():
        write_text(folder / f"{name}.csv", table.to_csv(index=False))
    if not (system.can_draw() and system.has_packages("jinja2")):
        return None
    figures = _draw(folder, report.tables["across"], report.tables["overall"])
    write_text(folder / "across.html", render(report, figures))
    return folder / "across.html"


def _draw(folder: Path, across: pd.DataFrame, overall: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Draw scores and ranks per origin into a folder, and return them as (caption, SVG element)."""
    from benchmarks.engine.figures import across_tasks, style

    drawn = {}
    for origin, rows in across.groupby("origin", sort=False):
        scores, ranks = across_tasks.scores(rows), across_tasks.ranks(rows, overall[overall["origin"] == origin])
        style.save(scores, folder / f"scores_{origin}")
        style.save(ranks, folder / f"ranks_{origin}")
        drawn[origin] = [
            (f"Scores of all models, {origin} data", style.to_svg(scores)),
            (f"Ranks of all models, {origin} data", style.to_svg(ranks)),
        ]
    return drawn
