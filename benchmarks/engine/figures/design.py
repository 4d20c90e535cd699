"""Draw the progress of a sequence design, and how far two models disagree on the designed sequences."""

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks.engine.figures.style import GREY, INK, PALETTE, STYLE, head


@mpl.rc_context(STYLE)
def search(history: pd.DataFrame, *, simulated: bool) -> Figure:
    """Draw best and mean of the population by generation, a thin line per batch.

    Parameters
    ----------
    history
        Columns generation, best, mean (weighted sums of predictions) and, optionally, batch.
    """
    fig = Figure((5.0, 3.2), layout="constrained")
    ax = fig.subplots()
    batches = [part for _, part in history.groupby("batch")] if "batch" in history else [history]
    width, alpha = (1.8, 1.0) if len(batches) == 1 else (0.8, 0.6)
    for colour, column in ((PALETTE[0], "best"), (GREY, "mean")):
        for number, part in enumerate(batches):
            label = column if number == 0 else None
            ax.plot(part["generation"], part[column], color=colour, lw=width, alpha=alpha, label=label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("generation")
    ax.set_ylabel("weighted sum of predictions")
    ax.legend(frameon=False)
    several = f", {len(batches)} batches" if len(batches) > 1 else ""
    head(fig, f"Predicted, by generation{several}", simulated)
    return fig


@mpl.rc_context(STYLE)
def disagreement(table: pd.DataFrame, names: tuple[str, str], *, simulated: bool) -> Figure:
    """Draw every designed sequence by the predictions of two models; the first Pareto fronts are coloured.

    Parameters
    ----------
    table
        Columns `predicted NAME` of both models and, optionally, front (1: the first).
    """
    fig = Figure((5.0, 4.6), layout="constrained")
    ax = fig.subplots()
    columns = [f"predicted {name}" for name in names]
    first = table["front"] == 1 if "front" in table else pd.Series(True, index=table.index)
    for chosen, colour, label in ((~first, GREY, "other fronts"), (first, PALETTE[0], "first front of its batch")):
        if chosen.any():
            x, y = (table.loc[chosen, column] for column in columns)
            ax.scatter(x, y, s=9, color=colour, alpha=0.7, label=label)
    low, high = table[columns].min().min(), table[columns].max().max()
    ax.plot([low, high], [low, high], color=INK, lw=0.8, ls="--", zorder=0)
    ax.set_xlabel(f"predicted by {names[0]}")
    ax.set_ylabel(f"predicted by {names[1]}")
    ax.legend(frameon=False)
    head(fig, "Where two models disagree", simulated)
    return fig
