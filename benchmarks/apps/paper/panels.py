"""The panels of the paper: key, title, and the function that draws each or says which data are missing."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.apps.paper import fig1, fig2, fig3, fig_ed8_ism, fig_ed9_architectures, tables
from benchmarks.apps.paper.figure_data import FigureData, MissingData, RenderedPanel
from benchmarks.errors import BadInput, did_you_mean


@dataclass(frozen=True)
class Panel:
    """A figure panel or table of the paper.

    Parameters
    ----------
    uses
        What it may be drawn from: names of tasks, `grid`, `challenge`, `architectures`, `sites`.
    our_choice
        What we chose where the content of the paper's panel is not known.
    """

    key: str
    title: str
    uses: tuple[str, ...]
    draw: Callable[[FigureData], RenderedPanel]
    our_choice: str = ""


@dataclass(frozen=True)
class Outcome:
    """The result of drawing a panel: the panel, or why it is missing; `failed` if drawing ended in an error."""

    panel: Panel
    rendered: RenderedPanel | None
    reason: str = ""
    failed: bool = False


_OURS = "What the paper's panel shows is not known here; this is our choice."
_ROW_PEARSON = {"metric": "pearson_r", "level": "row", "subset": "all"}
_COUNTS = {"output": "log_counts", "subset": "peaks", "metric": "pearson_r", "level": "region"}
_PROFILE = {"output": "profile", "subset": "peaks", "metric": "one_minus_median_jsd", "level": "region"}

PANELS = (
    Panel("1b", "Ranks by Pearson score", ("yeast", "challenge"), partial(fig1.ranks, metric="pearson_score")),
    Panel("1c", "Ranks by Spearman score", ("yeast", "challenge"), partial(fig1.ranks, metric="spearman_score")),
    Panel(
        "1d", "Pearson r² by subset of the test set", ("yeast", "challenge"), partial(fig1.subsets, metric="pearson_r")
    ),
    Panel(
        "1e",
        "Spearman rho by subset of the test set",
        ("yeast", "challenge"),
        partial(fig1.subsets, metric="spearman_rho"),
    ),
    Panel(
        "1f", "Gap between best and worst, Pearson r²", ("yeast", "challenge"), partial(fig1.gaps, metric="pearson_r")
    ),
    Panel(
        "1g",
        "Gap between best and worst, Spearman rho",
        ("yeast", "challenge"),
        partial(fig1.gaps, metric="spearman_rho"),
    ),
    Panel("2b", "Every combination of the winners' parts", ("grid",), fig2.every_combination),
    Panel("2c", "Combinations by processor and trainer", ("grid",), fig2.by_processor),
    Panel("2d", "Parameters of originals and optimised", ("grid",), fig2.sizes),
    Panel("2e", "Scores of originals and optimised", ("grid",), fig2.scores),
    Panel("3a", "Drosophila STARR-seq", ("drosophila",), partial(fig3.folds, task="drosophila", **_ROW_PEARSON)),
    Panel("3b", "Human MPRA", ("human_mpra",), partial(fig3.folds, task="human_mpra", **_ROW_PEARSON)),
    Panel("3c", "Chromatin accessibility, counts", ("atac",), partial(fig3.folds, task="atac", **_COUNTS)),
    Panel("3d", "Chromatin accessibility, profiles", ("atac",), partial(fig3.folds, task="atac", **_PROFILE)),
    Panel("3e", "Chromatin accessibility, examples", ("atac",), fig3.profiles),
    Panel("ED1", "Progress of the leaderboard", ("challenge",), fig1.progression),
    Panel("ED2", "Scores in samples of the test set", ("challenge",), fig1.distributions),
    Panel("ED4", "Every combination, Spearman", ("grid",), fig2.other_score, _OURS),
    Panel("ED5", "Combinations by subset, Pearson r²", ("grid",), partial(fig2.by_subset, metric="pearson_r"), _OURS),
    Panel(
        "ED6", "Combinations by subset, Spearman rho", ("grid",), partial(fig2.by_subset, metric="spearman_rho"), _OURS
    ),
    Panel("ED7", "Models by subset of the test set", ("yeast",), fig1.optimised, _OURS),
    Panel(
        "ED8", "Wild type beside variant", ("sites",), fig_ed8_ism.figure, "Sites are chosen by rule, or with --sites."
    ),
    Panel("ED9", "Architectures", ("architectures",), fig_ed9_architectures.figure),
    Panel("ED10", "Training time and throughput", ("yeast", "drosophila", "human_mpra", "atac"), fig3.speed),
    Panel("T1", "Table 1: test subsets", ("yeast",), tables.subsets, _OURS),
    Panel("T2", "Table 2: leading submissions", (), tables.submissions),
)


def chosen(text: str | None) -> list[Panel]:
    """Return the panels that a comma-separated list names, in the order of the paper; None: all.

    Raises
    ------
    BadInput
        If one is unknown.
    """
    if text is None:
        return list(PANELS)
    known = {panel.key.lower(): panel for panel in PANELS}
    wanted = [key.strip() for key in text.split(",") if key.strip()]
    for key in wanted:
        if key.lower() not in known:
            raise BadInput(did_you_mean("panel", key, [panel.key for panel in PANELS]))
    if not wanted:
        raise BadInput(f"--panels expects keys as in 3a,ED9; got {text!r}.")
    return [panel for panel in PANELS if panel.key.lower() in {key.lower() for key in wanted}]


def draw(panel: Panel, data: FigureData) -> Outcome:
    """Draw a panel; an error becomes the reason why it is missing, so that the others are drawn nevertheless."""
    try:
        return Outcome(panel, panel.draw(data))
    except MissingData as missing:
        return Outcome(panel, None, str(missing))
    except Exception as error:  # whatever a panel's data make matplotlib or pandas say
        return Outcome(panel, None, f"drawing failed, {type(error).__name__}: {error}", failed=True)
