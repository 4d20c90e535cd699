"""Write the tables of a ranking or leaderboard of submissions, and draw Fig. 1b-g and Extended Data 1 and 2."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from benchmarks.io.atomic import write_text


def write_tables(out: Path, tables: Mapping[str, pd.DataFrame], origin: str) -> None:
    """Write every table to OUT/name.csv, with a column of the data's origin."""
    out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_text(out / f"{name}.csv", table.assign(origin=origin).to_csv(index=False))


def draw_ranking(out: Path, tables: Mapping[str, pd.DataFrame], *, simulated: bool) -> None:
    """Draw ranks, scores and their spread for submissions, best first; needs the figure packages.

    Parameters
    ----------
    tables
        `ranking`, `scores`, `disparities`, `rank_distributions` and `score_distributions`, as they are written.
    """
    from benchmarks.engine.figures import challenge, style

    order = tables["ranking"]["submission"].tolist()
    figures = {
        "ranks": challenge.ranks(tables["rank_distributions"], order, labels={}, simulated=simulated),
        "rank_frequencies": challenge.rank_frequencies(
            tables["rank_distributions"], order, labels={}, simulated=simulated
        ),
        "score_distributions": challenge.score_distributions(
            tables["score_distributions"], order, labels={}, simulated=simulated
        ),
        "heat_map": challenge.heat_map(tables["scores"], order, labels={}, simulated=simulated),
        "disparities": challenge.disparities(tables["disparities"], simulated=simulated),
    }
    for name, figure in figures.items():
        style.save(figure, out / name)


def draw_progression(out: Path, leaderboard: pd.DataFrame, *, simulated: bool) -> None:
    """Draw the scores of the teams in each week, where submissions are dated; needs the figure packages."""
    from benchmarks.engine.figures import challenge, style

    style.save(challenge.progression(challenge.weekly(leaderboard), simulated=simulated), out / "progression")
