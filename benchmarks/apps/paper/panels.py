"""Which panels there are: key, title, and the function that draws it or says what is missing."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.apps.paper import fig1, fig2, fig3, fig_ed8_ism, fig_ed9_architectures, tables
from benchmarks.apps.paper.figure_data import Drawn, Found, Missing
from benchmarks.errors import BadInput, did_you_mean


@dataclass(frozen=True)
class Panel:
    """A figure panel or table of the paper.

    Parameters
    ----------
    uses
        What it may be drawn from: names of tasks, `grid`, `challenge`, `architectures`, `sites`.
    ours
        What we chose where the paper's content is not known.
    """

    key: str
    title: str
    uses: tuple[str, ...]
    draw: Callable[[Found], Drawn]
    ours: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a panel: drawn, or the reason why not; `failed` if drawing ended in an error."""

    panel: Panel
    drawn: Drawn | None
    reason: str = ""
    failed: bool = False


_OURS = "What the paper's panel shows is not known here; this is our choice."
_FLY = {"metric": "pearson_r", "level": "row", "subset": "all"}
_CUTS = {"output": "log_counts", "subset": "peaks", "metric": "pearson_r", "level": "region"}
_SHAPE = {"output": "profile", "subset": "peaks", "metric": "one_minus_median_jsd", "level": "region"}

PANELS = (
    Panel("1b", "Ranks by Pearson score", ("yeast", "challenge"), partial(fig1.ranks, metric="pearson_score")),
    Panel("1c", "Ranks by Spearman score", ("yeast", "challenge"), partial(fig1.ranks, metric="spearman_score")),
    Panel("1d", "Pearson r² by part of the test set", ("yeast", "challenge"), partial(fig1.parts, metric="pearson_r")),
    Panel(
        "1e", "Spearman rho by part of the test set", ("yeast", "challenge"), partial(fig1.parts, metric="spearman_rho")
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
    Panel("3a", "Drosophila STARR-seq", ("drosophila",), partial(fig3.folds, task="drosophila", **_FLY)),
    Panel("3b", "Human MPRA", ("human_mpra",), partial(fig3.folds, task="human_mpra", **_FLY)),
    Panel("3c", "Chromatin accessibility, counts", ("atac",), partial(fig3.folds, task="atac", **_CUTS)),
    Panel("3d", "Chromatin accessibility, profiles", ("atac",), partial(fig3.folds, task="atac", **_SHAPE)),
    Panel("3e", "Chromatin accessibility, examples", ("atac",), fig3.profiles),
    Panel("ED1", "Progress of the leaderboard", ("challenge",), fig1.progression),
    Panel("ED2", "Scores in samples of the test set", ("challenge",), fig1.distributions),
    Panel("ED4", "Every combination, Spearman", ("grid",), fig2.other_score, _OURS),
    Panel("ED5", "Combinations by part, Pearson r²", ("grid",), partial(fig2.by_subset, metric="pearson_r"), _OURS),
    Panel(
        "ED6", "Combinations by part, Spearman rho", ("grid",), partial(fig2.by_subset, metric="spearman_rho"), _OURS
    ),
    Panel("ED7", "Models by part of the test set", ("yeast",), fig1.optimised, _OURS),
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


def draw(panel: Panel, found: Found) -> Outcome:
    """Draw one panel; an error in one must not end the others, so it becomes the reason that the panel is not there."""
    try:
        return Outcome(panel, panel.draw(found))
    except Missing as missing:
        return Outcome(panel, None, str(missing))
    except Exception as error:  # whatever a panel's data make matplotlib or pandas say
        return Outcome(panel, None, f"drawing failed, {type(error).__name__}: {error}", failed=True)
