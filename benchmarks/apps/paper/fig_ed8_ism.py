"""Extended Data 8: promoters beside their variants, by what every substitution changes, as sequence logos.

Source: Rafi et al. 2024, Extended Data Fig. 8 and Methods: the score of a position is the mean, over its three
substitutions, of prediction(mutant) - prediction(sequence). Letters are drawn at minus that score, so that a base that
the expression rests on points up.
"""

from collections.abc import Sequence
from string import ascii_uppercase

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmarks.api.sequences import decode
from benchmarks.apps.paper.figure_data import FigureData, MissingData, RenderedPanel, Site
from benchmarks.apps.paper.motifs import Motif, MotifSite, altered_sites, sites
from benchmarks.engine.figures import ism, style
from benchmarks.engine.inference.mutagenesis import position_scores

_COMMAND = "python -m benchmarks run --task yeast --save-models, or figures --weights FOLDER of a training on yeast"
_SIDES = ("wild type", "variant")
_ROW_IN, _HEAD_IN = 0.85, 1.15


def figure(data: FigureData) -> RenderedPanel:
    """Draw every promoter as a block: wild type left, variant right, a row per model; altered sites are boxed."""
    if not data.sites:
        raise MissingData(data.notes.get("sites", "no trained model is available"), _COMMAND)
    rows = []
    for site in data.sites:
        scores = position_scores(site.changes)
        mutated = site.codes[0] != site.codes[1]
        for which, codes, score in zip(_SIDES, site.codes, scores, strict=True):
            rows.append(
                pd.DataFrame(
                    {"site": site.name, "model": site.label, "sequence": which,
                     "position": np.arange(1, len(codes) + 1),
                     "base": list(decode(codes[None])[0]), "score": score, "mutated": mutated}
                )
            )  # fmt: skip
    models = list(dict.fromkeys(site.label for site in data.sites))
    text = (
        "In-silico mutagenesis of promoters, wild type left and variant right. Letters: minus the mean change of "
        f"predicted expression over the three substitutions of a base, by {', '.join(models)}, one training each; "
        "grey: the mutated base. Boxes: sites of known motifs that the variant makes, destroys or changes (dashed "
        "where the sequence has none), with the motif as a logo. "
        f"{data.notes.get('site_choice', '')}"
    )
    figure = _draw(data.sites, data.motifs, data.sites_simulated)
    return RenderedPanel(figure, pd.concat(rows, ignore_index=True), text.strip(), data.sites_simulated)


@mpl.rc_context(style.STYLE)
def _draw(all_sites: Sequence[Site], motifs: Sequence[Motif], simulated: bool) -> Figure:
    blocks: dict[str, list[Site]] = {}
    for site in all_sites:
        blocks.setdefault(site.name, []).append(site)
    heights = [_HEAD_IN + _ROW_IN * len(block) for block in blocks.values()]
    fig = Figure((12.0, 0.5 + sum(heights)))
    parts = np.atleast_1d(fig.subfigures(len(blocks) + 1, 1, height_ratios=[0.5, *heights]))[1:]
    for letter, part, height, (name, block) in zip(ascii_uppercase, parts, heights, blocks.items(), strict=False):
        room = {"top": 1 - 0.8 / height, "bottom": 0.35 / height, "left": 0.085, "right": 0.99}
        axes = part.subplots(
            len(block), 2, squeeze=False, sharex=True, gridspec_kw=room | {"hspace": 0.25, "wspace": 0.06}
        )
        part.text(0.01, 1 - 0.1 / height, f"{letter}  {name}", size=10, weight="bold", va="top")
        boxed = altered_sites(block[0].codes, motifs)
        for row, site in zip(axes, block, strict=True):
            _row(row, site, boxed)
        for ax, side, measured in zip(axes[0], _SIDES, block[0].measured, strict=True):
            value = f" · measured {measured:.2f}" if np.isfinite(measured) else ""
            ax.set_title(side + value, loc="left", fontsize=8.5)
            _logos(ax, boxed)
        for ax in axes[-1]:
            ax.set_xlabel("base of the variable region", size=7.5, labelpad=1)
    style.head(fig, "Wild type beside variant", simulated)
    return fig


def _row(axes: Sequence[Axes], site: Site, boxed: Sequence[MotifSite]) -> None:
    """Draw wild type and variant by one model, on one scale."""
    heights = -position_scores(site.changes)
    mutated = np.flatnonzero(site.codes[0] != site.codes[1])
    low, high = min(heights.min(), 0), max(heights.max(), 0)
    span = (high - low) or 1.0
    for i, ax in enumerate(axes):
        ism.track(ax, site.codes[i], heights[i], grey=mutated + 1)
        ax.set_ylim(low - 0.08 * span, high + 0.3 * span)  # room for the prediction
        ax.tick_params(labelsize=7, labelleft=i == 0)
        present = {(hit.motif.name, hit.start) for hit in sites(site.codes[i], [hit.motif for hit in boxed])}
        for hit in boxed:
            there = (hit.motif.name, hit.start) in present
            corner, size = (hit.start + 0.5, low - 0.05 * span), (hit.end - hit.start, 1.1 * span)
            line = "-" if there else (0, (2, 2))
            ax.add_patch(Rectangle(corner, *size, fill=False, ec=style.INK, lw=0.9, ls=line, clip_on=False))
        ax.text(
            0.995, 0.98, f"predicted {site.predicted[i]:.2f}", transform=ax.transAxes, ha="right", va="top", size=6.5,
            color=style.INK,
        )  # fmt: skip
    axes[0].set_ylabel(site.label, size=8)


def _logos(ax: Axes, boxed: Sequence[MotifSite]) -> None:
    """Draw the motif of every boxed site above it, as high as the information of its bases; boxes never overlap."""
    taken = -np.inf
    for hit in boxed:
        if hit.start < taken:
            continue
        taken = hit.end
        to_axes = ax.transData + ax.transAxes.inverted()
        left, right = (to_axes.transform((at, 0))[0] for at in (hit.start + 0.5, hit.end + 0.5))
        inset = ax.inset_axes((left, 1.04, right - left, 0.42))
        ism.motif_logo(inset, hit.probabilities)
        ax.text((left + right) / 2, 1.49, hit.motif.name, transform=ax.transAxes, ha="center", va="bottom", size=7)
