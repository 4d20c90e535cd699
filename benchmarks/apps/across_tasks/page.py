"""Write the report over all tasks as one HTML page that opens offline: DataFrames in, text out."""

from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from benchmarks import system
from benchmarks.engine.reporting import html
from benchmarks.io.json_files import records

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
    return html.template("across.html.j2").render(
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


def output_folder(store: Any, out: Path | None, experiments: list[Any]) -> Path:
    """Make the folder to write to; in the store, its name is a hash of the runs that were read."""
    import hashlib

    if out is None:
        names = ",".join(sorted(experiment.folder.name for experiment in experiments))
        return store.report_folder(f"across_{hashlib.sha256(names.encode()).hexdigest()[:8]}")
    out.mkdir(parents=True, exist_ok=True)
    return out


def write_page(folder: Path, tables: dict[str, Any], context: Any, runs: list[dict]) -> Path | None:
    """Write tables, figures and page; the last two only where the packages are installed."""
    from benchmarks.io.atomic import write_text

    for name, one in tables.items():
        write_text(folder / f"{name}.csv", one.to_csv(index=False))
    if not system.has_packages("matplotlib", "jinja2"):
        return None
    from benchmarks.apps.across_tasks import page as across_page
    from benchmarks.engine.figures import across_tasks, style

    across, overall, drawn = tables["across"], tables["overall"], {}
    for origin, rows in across.groupby("origin", sort=False):
        here = {"scores": across_tasks.scores(rows)}
        here["ranks"] = across_tasks.ranks(rows, overall[overall["origin"] == origin])
        for name, figure in here.items():
            style.save(figure, folder / f"{name}_{origin}")
        drawn[origin] = [
            (f"Scores of all models, {origin} data", style.to_svg(here["scores"])),
            (f"Ranks of all models, {origin} data", style.to_svg(here["ranks"])),
        ]
    page = across_page.render(
        runs=runs,
        across=across,
        overall=overall,
        published=tables.get("published"),
        context=context,
        claims=tables["claims"],
        figures=drawn,
    )
    write_text(folder / "across.html", page)
    return folder / "across.html"
