"""Draw a box over one point per test fold, and brackets with P values above. DataFrames in, marks on an axes out.

Source: Rafi et al. 2024, Fig. 3a-d. Differences: whiskers extend to the outermost folds, so that every point
lies within them, and there is no box over fewer than three folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmarks.engine.figures.style import seaborn

_MIN_BOX = 3
"""Quartiles of two folds say nothing."""


@dataclass(frozen=True)
class BoxLayout:
    """Where the boxes of a table stand: by model alone, or models side by side within groups.

    Parameters
    ----------
    models, colours
        Models from left to right, and the colour of each.
    groups, group
        Groups from left to right and the column that holds them; None: one box per model.
    """

    models: Sequence[str]
    colours: Mapping[str, str]
    groups: Sequence[str] = ()
    group: str | None = None

    def places(self) -> dict[str, object]:
        """Return the arguments that tell seaborn where boxes and points of a table stand."""
        by_model = {"hue": "model", "hue_order": list(self.models), "palette": dict(self.colours), "legend": False}
        if self.group is None:
            return {"x": "model", "y": "value", "order": list(self.models), **by_model}
        return {"x": self.group, "y": "value", "order": list(self.groups), **by_model}

    def box(self, row: Mapping[str, str], model: str) -> object:
        """Return the name that statannotations gives the box of a model, in the group of a test's row."""
        return model if self.group is None else (row[self.group], model)


def draw_boxes(ax: Axes, table: pd.DataFrame, layout: BoxLayout) -> None:
    """Draw a point for every value, and a box from three values of a model on.

    `table` has columns model, value and, with groups, the column of the groups; values that are NaN are not drawn.
    """
    sns, known = seaborn(), table.dropna(subset="value")
    by = ["model"] if layout.group is None else [layout.group, "model"]
    enough = known[known.groupby(by)["value"].transform("size") >= _MIN_BOX]
    width = 0.55 if layout.group is None else 0.8
    look = {"boxprops": {"alpha": 0.4}, "medianprops": {"color": "black", "lw": 1.4}, "linewidth": 0.8, "saturation": 1}
    if len(enough):
        sns.boxplot(enough, **layout.places(), ax=ax, whis=(0, 100), showfliers=False, width=width, **look)
    if len(known):
        dodge = layout.group is not None
        points = {"size": 4, "edgecolor": "black", "linewidth": 0.5, "jitter": False}
        sns.stripplot(known, **layout.places(), ax=ax, dodge=dodge, zorder=3, **points)
    ax.set_xlabel("")
    ax.set_xlim(-0.6, len(layout.groups or layout.models) - 0.4)


def draw_brackets(ax: Axes, table: pd.DataFrame, tests: pd.DataFrame, layout: BoxLayout) -> None:
    """Draw a bracket with its P value from the box of a test's baseline to that of its model.

    The y axis ends where the data end, and a noise ceiling that was drawn before. Tests of models without a value are
    left out.

    Parameters
    ----------
    table
        What `draw_boxes` drew.
    tests
        Columns model, baseline, p_value and, with groups, the column of the groups; no NaN.
    """
    known = table.dropna(subset="value")
    if known.empty:
        return
    low, high = ax.dataLim.intervaly  # of the values, and of a noise ceiling
    pad = 0.06 * (high - low) or 0.02
    low, high = low - pad, high + pad
    ax.set_ylim(low, high)
    boxes = [layout.box(row, row["model"]) for row in known.to_dict("records")]
    drawn = [
        ((layout.box(row, row["baseline"]), layout.box(row, row["model"])), f"P = {row['p_value']:#.2g}")
        for row in tests.to_dict("records")
        if layout.box(row, row["baseline"]) in boxes and layout.box(row, row["model"]) in boxes
    ]
    if drawn:
        _annotate(ax, known, layout, *zip(*drawn, strict=True))
    ax.spines["left"].set_bounds(low, high)
    ax.set_yticks([tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high])


def _annotate(ax: Axes, known: pd.DataFrame, layout: BoxLayout, pairs: Sequence, texts: Sequence[str]) -> None:
    from matplotlib import pyplot
    from statannotations.Annotator import Annotator

    opened = set(pyplot.get_fignums())
    places = layout.places()
    annotator = Annotator(ax, list(pairs), data=known, **places, verbose=False)
    annotator.configure(test=None, line_width=0.8, fontsize=7.5, verbose=0)
    annotator.set_custom_annotations(list(texts))
    annotator.annotate()
    for number in set(pyplot.get_fignums()) - opened:  # it asks pyplot for a figure that it does not use
        pyplot.close(number)
