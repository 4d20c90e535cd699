"""`python -m benchmarks figures`: every figure and table of the paper that the data at hand allow."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks import system
from benchmarks.cli.options import RESULTS, SETTINGS, JsonOption, ResultsOption, command, print_json
from benchmarks.errors import BadInput
from benchmarks.io.json_files import records

NAME = None
app = typer.Typer(**SETTINGS)


@command(
    app,
    "figures --out figures/",
    "figures --out figures/ --panels 3a,3b,ED9",
    "figures --out figures/ --speed speed/ --contact-sheet",
    "figures --out figures/ --report results/reports/yeast_paper_1a2b3c4d --challenge ranking/ --challenge progress/",
    "figures --out figures/ --panels ED8 --weights results/runs/yeast/DREAM2022/dream_rnn-1a2b3c4d/test-00_val-00 "
    "--sites sites.tsv --motifs motifs.tsv",
)
def figures(
    out: Annotated[Path, typer.Option(help="Folder to write to; it is made.")],
    panels: Annotated[str | None, typer.Option(help="Which, as 3a,ED9,T2; default: all.")] = None,
    task: Annotated[list[str] | None, typer.Option(help="Tasks to draw from (repeatable); default: all.")] = None,
    report: Annotated[
        list[Path] | None, typer.Option(help="Report folders (repeatable); default: the latest of every task.")
    ] = None,
    grid: Annotated[
        Path | None, typer.Option(help="Report folder of a `prixfixe grid`; default: the latest there is.")
    ] = None,
    challenge: Annotated[
        list[Path] | None, typer.Option(help="Folder that `challenge rank --out` or `leaderboard --out` wrote.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many of the best submissions Fig. 1 and ED2 show.")] = 10,
    reference: Annotated[
        str | None,
        typer.Option(help="Submission that is the reference model; default: one called reference or vaishnav."),
    ] = None,
    speed: Annotated[Path | None, typer.Option(help="Folder that `bench speed --out` wrote, for ED10.")] = None,
    test_set: Annotated[
        Path | None, typer.Option(help="Folder of the designed test set, for ED5 and T1; default: the yeast run's.")
    ] = None,
    quantified: Annotated[
        Path | None, typer.Option(help="Folder that `quantify designed --out` wrote, for ED3.")
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a training on yeast for ED8 (repeatable); default: one of each DREAM model."),
    ] = None,
    sites: Annotated[
        Path | None, typer.Option(help="Table for ED8: name, wild_type, variant, with adapters as in the challenge.")
    ] = None,
    motifs: Annotated[
        Path | None, typer.Option(help="Motifs to box in ED8: a file in MEME format, or a table of name, word.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda, for ED8.")] = "cpu",
    contact_sheet: Annotated[
        bool, typer.Option("--contact-sheet", help="Draw all panels into one image, contact_sheet.png.")
    ] = False,
    results: ResultsOption = RESULTS,
    json: JsonOption = False,
) -> None:
    """Draw the figures and tables of the paper from stored runs; what lacks data is listed with the reason.

    Every panel comes as PNG, SVG and PDF with the numbers behind it as CSV; `index.html` shows all, `panels.csv` lists
    them. Exit code 1 if drawing one of them failed; the others are written all the same.
    """
    for package in ("matplotlib", "seaborn", "statannotations", "jinja2", "logomaker"):
        if not system.has_packages(package):
            raise BadInput(f"Figures need {package}: pip install -e '.[figures]'.")
    from benchmarks.apps.paper import page
    from benchmarks.apps.paper import panels as paper_panels
    from benchmarks.apps.paper.load_figure_data import Sources, load_figure_data
    from benchmarks.engine.reporting.console import open_console
    from benchmarks.engine.store.store import Store
    from benchmarks.io.atomic import write_text

    chosen = paper_panels.chosen(panels)
    console = open_console(stderr=json)
    sources = Sources(
        tasks=task or (), reports=report or (), grid=grid, challenge=challenge or (), top=top, reference=reference,
        speed=speed, quantified=quantified, test_set=test_set, weights=weights or (), sites=sites, motifs=motifs,
        device=device,
    )  # fmt: skip
    data = load_figure_data(Store(results), {name for panel in chosen for name in panel.uses}, sources)
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out: {out} is a file; name a folder.")
    out.mkdir(parents=True, exist_ok=True)
    outcomes = [paper_panels.draw(panel, data) for panel in chosen]
    table = page.write(outcomes, out, write_text)
    sheet = page.contact_sheet(table, out) if contact_sheet else None
    if json:
        print_json({"out": str(out), "contact_sheet": str(sheet) if sheet else None, "panels": records(table)})
    else:
        for row in records(table):
            console.print(
                f"{row['panel']:<5} " + ("drawn" if row["drawn"] == "yes" else _missing(row)),
                markup=False, highlight=False, soft_wrap=True,
            )  # fmt: skip
        n = int((table["drawn"] == "yes").sum())
        console.print(f"{n} of {len(table)} panels: {out / 'index.html'}", style="bold")
        if sheet:
            console.print(f"All in one image: {sheet}", markup=False, highlight=False, soft_wrap=True)
    if table["failed"].any():
        raise typer.Exit(1)


def _missing(row: dict[str, str]) -> str:
    return f"not drawn: {row['reason']}" + (f"; to get it: {row['command']}" if row["command"] else "")
