"""Write panels to files: PNG, SVG, PDF and the numbers as CSV of each; panels.csv, and a page that shows all."""

import contextlib
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from benchmarks.apps.paper.figure_data import RenderedPanel
from benchmarks.apps.paper.panels import Outcome
from benchmarks.engine.figures import style
from benchmarks.engine.reporting import html

COLUMNS = ["panel", "title", "drawn", "source", "origin", "reason", "command", "files"]
_ENDINGS = (".png", ".svg", ".pdf", ".csv", ".html")


def write(outcomes: Sequence[Outcome], out: Path, write_text: Callable[[Path, str], None]) -> pd.DataFrame:
    """Write the files of every panel, panels.csv and index.html; return the table of panels.

    A panel whose files cannot be written counts as failed. Files that an earlier call wrote of a panel that is not
    drawn now are removed.
    """
    entries = []
    for outcome in outcomes:
        key, rendered = outcome.panel.key, outcome.rendered
        for ending in _ENDINGS:
            (out / f"{key}{ending}").unlink(missing_ok=True)
        entry: dict[str, Any] = {
            "key": key, "title": outcome.panel.title, "drawn": rendered is not None, "failed": outcome.failed,
            "source": outcome.source, "origin": outcome.origin, "reason": outcome.reason, "command": outcome.command,
            "files": [],
        }  # fmt: skip
        if rendered is not None:
            try:
                entry |= _files(key, rendered, out, write_text)
                entry |= {"caption": rendered.caption, "simulated": rendered.simulated}
                if rendered.figure is None:
                    page = _page([entry], f"{key}. {outcome.panel.title}")
                    write_text(out / f"{key}.html", page)
                    entry["files"].append(f"{key}.html")
            except (ValueError, RuntimeError, KeyError, TypeError) as error:  # what drawing a laid-out figure raises
                for ending in _ENDINGS:
                    (out / f"{key}{ending}").unlink(missing_ok=True)
                reason = f"drawing failed, {type(error).__name__}: {error}"
                entry |= {"drawn": False, "failed": True, "reason": reason, "files": []}
        entries.append(entry)
    table = pd.DataFrame([_row(entry) for entry in entries], columns=COLUMNS)
    write_text(out / "panels.csv", table.to_csv(index=False))
    write_text(out / "index.html", _page(entries, "Figures and tables after Rafi et al. 2024"))
    return table.assign(failed=[entry["failed"] for entry in entries])


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    drawn = entry["drawn"]
    return {
        "panel": entry["key"], "title": entry["title"], "drawn": "yes" if drawn else "no",
        "source": entry["source"] if drawn else "", "origin": entry["origin"] if drawn else "",
        "reason": entry["reason"], "command": entry["command"], "files": " ".join(entry["files"]),
    }  # fmt: skip


def _files(key: str, rendered: RenderedPanel, out: Path, write_text: Callable[[Path, str], None]) -> dict[str, Any]:
    numbers = rendered.numbers
    if rendered.simulated and "origin" not in numbers:
        numbers = numbers.assign(origin="simulated")
    write_text(out / f"{key}.csv", numbers.to_csv(index=False))
    if rendered.figure is None:
        rows = [[_cell(cell) for cell in row] for row in rendered.numbers.itertuples(index=False)]
        return {"files": [f"{key}.csv"], "columns": list(rendered.numbers.columns), "rows": rows}
    with mpl.rc_context(style.STYLE):
        written = style.save(rendered.figure, out / key)
        metadata = dict.fromkeys(["CreationDate", "Creator", "Producer"])
        rendered.figure.savefig(out / f"{key}.pdf", bbox_inches="tight", pad_inches=0.08, metadata=metadata)
    files = [path.name for path in written] + [f"{key}.pdf", f"{key}.csv"]
    return {"files": files, "svg": Markup(style.to_svg(rendered.figure))}


def contact_sheet(table: pd.DataFrame, out: Path) -> Path:
    """Draw every panel small into one image, with the reason where one is missing; return its path.

    `table` is that of panels, whose PNG files lie in `out`.
    """
    n_columns = 6
    n_rows = -(-len(table) // n_columns)
    with mpl.rc_context(style.STYLE):
        fig = Figure((3.2 * n_columns, 2.7 * n_rows), layout="constrained")
        axes = list(fig.subplots(n_rows, n_columns, squeeze=False).flat)
        for ax in axes:
            ax.axis("off")
        for ax, row in zip(axes, table.to_dict("records"), strict=False):
            mark = " (simulated)" if row["origin"] == "simulated" else ""
            ax.set_title(
                textwrap.shorten(f"{row['panel']}  {row['title']}", 46 - len(mark)) + mark, loc="left", fontsize=8
            )
            image = out / f"{row['panel']}.png"
            if row["drawn"] == "yes" and image.is_file():
                ax.imshow(mpl.image.imread(image), aspect="equal", interpolation="antialiased")
            else:
                text = "a table: see the page" if row["drawn"] == "yes" else f"not drawn: {row['reason']}"
                ax.text(0.02, 0.95, textwrap.fill(text, 44), va="top", size=7.5, color=style.INK)
        path = out / "contact_sheet.png"
        fig.savefig(path, dpi=150)
    return path


def _cell(value: Any) -> str:
    with contextlib.suppress(TypeError, ValueError):
        if pd.isna(value):
            return ""
    return f"{value:.3g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _page(entries: Sequence[dict[str, Any]], title: str) -> str:
    return html.template("figures.html.j2").render(
        title=title,
        panels=entries,
        n_drawn=sum(entry["drawn"] for entry in entries),
        simulated=any(entry["drawn"] and entry["simulated"] for entry in entries),
    )
