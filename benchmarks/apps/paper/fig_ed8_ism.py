"""Extended Data 8: a promoter beside its variant, by what every substitution changes, as sequence logos.

Source: Rafi et al. 2024, Extended Data Fig. 8 and Methods: the score of a position is the mean, over its three
substitutions, of prediction(mutant) - prediction(sequence). Letters are drawn at minus that score, so that a base that
the expression rests on points up.
"""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmarks.api.sequences import decode, find_sites
from benchmarks.apps.paper.figure_data import FigureData, MissingData, RenderedPanel, Site
from benchmarks.engine.figures import ism, style
from benchmarks.engine.inference.mutagenesis import position_scores


def hits(codes: np.ndarray, motifs: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """Find exact occurrences of motifs in a sequence (L,), on either strand: name, start, end, sorted by start."""
    occurrences = [
        (name, int(start), int(start) + len(motif))
        for name, motif in motifs.items()
        if len(motif) <= len(codes)
        for start in np.flatnonzero(find_sites(codes[None], motif)[0])
    ]
    return sorted(occurrences, key=lambda hit: hit[1:])


def figure(data: FigureData) -> RenderedPanel:
    """Draw wild type and variant of every site under each other, motifs boxed with their consensus above."""
    if not data.sites:
        raise MissingData(
            data.notes.get("sites", "no trained model is available: give --weights FOLDER of a training on yeast")
        )
    rows = []
    for site in data.sites:
        scores = position_scores(site.changes)
        mutated = site.codes[0] != site.codes[1]
        for which, codes, score in zip(("wild type", "variant"), site.codes, scores, strict=True):
            rows.append(
                pd.DataFrame(
                    {"site": site.name, "model": site.label, "sequence": which,
                     "position": np.arange(1, len(codes) + 1),
                     "base": list(decode(codes[None])[0]), "score": score, "mutated": mutated}
                )
            )  # fmt: skip
    models = list(dict.fromkeys(site.label for site in data.sites))
    text = (
        "In-silico mutagenesis of promoters (wild type above, variant below). Letters: minus the mean change of "
        f"predicted expression over the three substitutions of a base, by {', '.join(models)}, one training each; "
        "grey: the mutated base. Boxes: exact occurrences of known motifs on either strand, with their consensus. "
        "Measured expression is on the test set's own scale, predicted expression in bins: what lies between wild "
        f"type and variant compares in sign and order only. {data.notes.get('site_choice', '')}"
    )
    return RenderedPanel(
        _draw(data.sites, data.motifs, data.sites_simulated),
        pd.concat(rows, ignore_index=True),
        text.strip(),
        data.sites_simulated,
    )


@mpl.rc_context(style.STYLE)
def _draw(sites: Sequence[Site], motifs: Mapping[str, str], simulated: bool) -> Figure:
    fig = Figure((10, 0.75 + 2.75 * len(sites)))
    subfigs = np.atleast_1d(fig.subfigures(len(sites) + 1, 1, height_ratios=[0.75] + [2.75] * len(sites)))[1:]
    for sub, site in zip(subfigs, sites, strict=True):
        room = {"hspace": 0.2, "top": 0.9, "bottom": 0.13, "left": 0.08, "right": 0.99}
        axes = sub.subplots(2, 1, sharex=True, sharey=True, gridspec_kw=room)
        sub.text(0.08, 0.935, f"{site.name} · {site.label}", size=9, weight="bold")
        heights = -position_scores(site.changes)
        mutated = np.flatnonzero(site.codes[0] != site.codes[1])
        low, high = min(heights.min(), 0), max(heights.max(), 0)
        span = (high - low) or 1.0
        for i, (ax, which) in enumerate(zip(axes, ("wild type", "variant"), strict=True)):
            ism.track(ax, site.codes[i], heights[i], grey=mutated + 1)
            ax.set_ylim(low - 0.05 * span, high + 0.75 * span)
            _boxes(ax, site.codes[i], hits(site.codes[i], motifs), low - 0.03 * span, high + 0.04 * span, span)
            value = f"predicted {site.predicted[i]:.2f} bins"
            if np.isfinite(site.measured[i]):
                value = f"measured {site.measured[i]:.2f} on the test set's scale, {value}"
            ax.text(1, 1.0, f"{which}: {value}", transform=ax.transAxes, ha="right", va="bottom", size=7.5)
            ax.set_ylabel("− mean change\n(bins)", size=7.5)
            ax.tick_params(labelsize=7)
        axes[0].tick_params(bottom=False, labelbottom=False)
        axes[1].set_xlabel("base of the variable region", size=8)
    style.head(fig, "Wild type beside variant", simulated)
    return fig


def _boxes(
    ax: Axes, codes: np.ndarray, motif_hits: list[tuple[str, int, int]], low: float, high: float, span: float
) -> None:
    """Box every site of a motif; above it the consensus as it lies on this strand, where there is room."""
    taken = -np.inf
    for name, start, end in motif_hits:
        ax.add_patch(Rectangle((start + 0.5, low), end - start, high - low, fill=False, ec=style.INK, lw=0.8))
        if start < taken:
            continue
        taken = end
        ax.text((start + end) / 2 + 0.5, high + 0.62 * span, name, ha="center", va="center", size=7)
        inset = ax.inset_axes((start + 0.5, high + 0.08 * span, end - start, 0.4 * span), transform=ax.transData)
        ism.track(inset, codes[start:end], np.full(end - start, 2.0))  # sites match their motif exactly
        inset.set_axis_off()
