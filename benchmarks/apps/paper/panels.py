"""The panels of the paper: key, title, and the function that draws each or says which data are missing."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.apps.paper import fig1, fig2, fig3, fig_ed8_ism, fig_ed9_architectures, fig_test_set, schematics, tables
from benchmarks.apps.paper.figure_data import FigureData, MissingData, RenderedPanel
from benchmarks.errors import BadInput, did_you_mean


@dataclass(frozen=True)
class Panel:
    """A figure panel or table of the paper, or one of our own (keys with X).

    Parameters
    ----------
    uses
        What it may be drawn from: names of tasks, `grid`, `challenge`, `parameters`, `architectures`, `speed`,
        `test_set`, `quantified`, `sites`.
    """

    key: str
    title: str
    uses: tuple[str, ...]
    draw: Callable[[FigureData], RenderedPanel]


@dataclass(frozen=True)
class Outcome:
    """The result of drawing a panel: the panel, or why it is missing; `failed` if drawing ended in an error.

    Parameters
    ----------
    source, origin
        What it was drawn from, and whether that is "measured" or "simulated"; "" for what rests on no data.
    reason, command
        Why it is missing, and the command that brings what is needed; "" where it is drawn.
    """

    panel: Panel
    rendered: RenderedPanel | None
    source: str = ""
    origin: str = ""
    reason: str = ""
    command: str = ""
    failed: bool = False


_WITHOUT_DATA = {"parameters", "architectures"}
_RANKED = ("challenge", "yeast")
_COUNTS = {"output": "log_counts", "metric": "pearson_r"}
_PROFILE = {"output": "profile", "metric": "one_minus_median_jsd"}

PANELS = (
    Panel("1a", "The challenge", (), schematics.challenge),
    Panel("1b", "Ranks by Pearson score", _RANKED, partial(fig1.ranks, metric="pearson_score")),
    Panel("1c", "Ranks by Spearman score", _RANKED, partial(fig1.ranks, metric="spearman_score")),
    Panel("1d", "Pearson r² by subset of the test set", _RANKED, partial(fig1.subsets, metric="pearson_r")),
    Panel("1e", "Spearman rho by subset of the test set", _RANKED, partial(fig1.subsets, metric="spearman_rho")),
    Panel("1f", "Gap between best and worst, Pearson r²", _RANKED, partial(fig1.gaps, metric="pearson_r")),
    Panel("1g", "Gap between best and worst, Spearman rho", _RANKED, partial(fig1.gaps, metric="spearman_rho")),
    Panel("2a", "Prix Fixe", (), schematics.prix_fixe),
    Panel("2b", "Every combination of the winners' parts", ("grid",), fig2.every_combination),
    Panel("2c", "Combinations by processor and trainer", ("grid",), fig2.by_processor),
    Panel("2d", "Parameters of submissions and counterparts", ("parameters",), fig2.sizes),
    Panel("2e", "Scores of submissions and counterparts", ("grid", "challenge"), fig2.scores),
    Panel("3a", "Drosophila STARR-seq", ("drosophila",), partial(fig3.groups, task="drosophila")),
    Panel("3b", "Human MPRA", ("human_mpra",), partial(fig3.groups, task="human_mpra")),
    Panel("3c", "Chromatin accessibility, counts", ("atac",), partial(fig3.folds, **_COUNTS)),
    Panel("3d", "Chromatin accessibility, profiles", ("atac",), partial(fig3.folds, **_PROFILE)),
    Panel("3e", "Chromatin accessibility, parameters", ("parameters",), fig3.sizes),
    Panel("ED1", "Leaderboard by week", ("challenge",), fig1.progression),
    Panel("ED2", "Frequency of ranks", _RANKED, fig1.rank_frequencies),
    Panel("ED3", "Reads per designed sequence", ("quantified",), fig_test_set.reads),
    Panel("ED4", "All submissions by subset of the test set", ("challenge",), fig1.everyone),
    Panel("ED5", "Expression changes by kind of pair", ("test_set",), fig_test_set.pair_changes),
    Panel("ED6", "Every combination, Spearman score", ("grid",), fig2.other_score),
    Panel("ED7", "Submissions and counterparts by subset", ("grid", "challenge"), fig2.by_core_and_subset),
    Panel("ED8", "Wild type beside variant", ("sites",), fig_ed8_ism.figure),
    Panel("ED9", "Architectures", ("architectures",), fig_ed9_architectures.figure),
    Panel("ED10", "Training time, throughput and parameters", ("speed",), fig3.bench),
    Panel("S1", "Modules against each other, all else equal", ("grid",), fig2.modules),
    Panel("T1", "Table 1: test subsets", ("test_set",), fig_test_set.subsets),
    Panel("T2", "Table 2: leading submissions", (), tables.submissions),
    Panel("X1", "Chromatin accessibility, example profiles", ("atac",), fig3.profiles),
    Panel("X2", "Scores in samples of the test set", ("challenge",), fig1.distributions),
    Panel("X3", "Combinations by subset, Pearson r²", ("grid",), partial(fig2.by_subset, metric="pearson_r")),
    Panel("X4", "Combinations by subset, Spearman rho", ("grid",), partial(fig2.by_subset, metric="spearman_rho")),
    Panel("X5", "Models by subset of the test set", ("yeast",), fig1.models),
    Panel("X6", "Parameters of the combinations in the grid", ("grid",), fig2.original_sizes),
    Panel("X7", "Speed of stored trainings", ("yeast", "drosophila", "human_mpra", "atac"), fig3.trainings),
    Panel("X8", "Keras twins", ("architectures",), fig_ed9_architectures.keras_twins),
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
        rendered = panel.draw(data)
    except MissingData as missing:
        return Outcome(panel, None, reason=str(missing), command=missing.command)
    except Exception as error:  # whatever a panel's data make matplotlib or pandas say
        return Outcome(panel, None, reason=f"drawing failed, {type(error).__name__}: {error}", failed=True)
    used = rendered.uses or [name for name in panel.uses if name in data.sources]
    source = "; ".join(data.sources[name] for name in used if name in data.sources)
    origin = "" if set(panel.uses) <= _WITHOUT_DATA else "simulated" if rendered.simulated else "measured"
    return Outcome(panel, rendered, source or "the paper and the code", origin)
