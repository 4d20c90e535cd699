"""Extended Data 9: the DREAM networks (A-C) and the blocks that they are made of (D-F); ours: their Keras twins.

Source: Rafi et al. 2024, Extended Data Fig. 9. All sizes are read off the networks, so that they cannot drift from the
code; how the blocks are connected is drawn here.
"""

from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from benchmarks import registry
from benchmarks.api.prix_fixe import TEAM_TITLES
from benchmarks.apps.paper import fig_ed9_blocks, fig_ed9_networks
from benchmarks.apps.paper.fig_ed9_networks import WIDTH
from benchmarks.apps.paper.figure_data import FigureData, Layer, MissingData, RenderedPanel
from benchmarks.apps.paper.network_parts import n_params, read_parts
from benchmarks.engine.figures import diagram, style

MODELS = ("dream_cnn", "dream_rnn", "dream_attn")
TWINS = {"dream_cnn_keras": "dream_cnn", "dream_rnn_keras": "dream_rnn"}
"""Network in Keras -> the one in torch that it repeats."""


def figure(data: FigureData) -> RenderedPanel:
    """Draw the three DREAM networks and the blocks that they are made of."""
    networks = _networks(data, {key: key for key in MODELS})
    parts = [read_parts(layers) for layers in networks.values()]
    text = (
        "The DREAM networks of the yeast task at their published sizes (A-C), and the blocks that they are made of, "
        "drawn once (D-F). A box says kernel and channels in → out; beside arrows: channels × positions."
    )
    with mpl.rc_context(style.STYLE):
        below = 12.5 + max(map(fig_ed9_networks.height_of, parts))
        fig, ax = diagram.canvas(diagram.WIDTH_MM, below + 3.0 + fig_ed9_blocks.HEIGHT, "Architectures")
        _draw_row(ax, networks, {key: key for key in MODELS})
        fig_ed9_blocks.draw(ax, below + 3.0, *parts)
    return RenderedPanel(fig, _numbers(networks), text, False)


def keras_twins(data: FigureData) -> RenderedPanel:
    """Draw the Keras twins of DREAM-CNN and DREAM-RNN, for profiles of accessibility (ours)."""
    networks = _networks(data, TWINS)
    height = 12.5 + max(fig_ed9_networks.height_of(read_parts(layers)) for layers in networks.values())
    text = (
        "The Keras twins of DREAM-CNN and DREAM-RNN at their published sizes for chromatin accessibility, without the "
        "bias model. Blocks as in Extended Data 9; beside arrows: channels × positions."
    )
    with mpl.rc_context(style.STYLE):
        fig, ax = diagram.canvas(2 * WIDTH + 5.5, height + 1.0, "Keras twins")
        _draw_row(ax, networks, TWINS)
    return RenderedPanel(fig, _numbers(networks), text, False)


def _networks(data: FigureData, models: dict[str, str]) -> dict[str, Sequence[Layer]]:
    """Return the layers of networks by the name of the model.

    Raises
    ------
    MissingData
        If one could not be built.
    """
    titles = {key: registry.get_model(key).NAME for key in models}
    missing = [title for title in titles.values() if title not in data.architectures]
    if missing:
        framework = registry.models()[next(iter(models))].framework
        reason = data.notes.get("architectures", f"{', '.join(missing)} could not be built")
        raise MissingData(reason, f"pip install {framework}")
    return {key: data.architectures[title] for key, title in titles.items()}


def _numbers(networks: dict[str, Sequence[Layer]]) -> pd.DataFrame:
    """Return a row per layer; whole numbers stay whole where other layers have none."""
    rows = [
        {"model": registry.get_model(key).NAME, "at": i, "path": x.path, "layer": x.kind, **x.numbers,
         "shape": " × ".join(map(str, x.shape)), "n_params": x.n_params}
        for key, layers in networks.items()
        for i, x in enumerate(layers)
    ]  # fmt: skip
    return pd.DataFrame(rows).convert_dtypes()


def _draw_row(ax: Axes, networks: dict[str, Sequence[Layer]], models: dict[str, str]) -> None:
    for i, (key, layers) in enumerate(networks.items()):
        x = 1.0 + i * (WIDTH + 2.75)
        teams = registry.get_model(models[key]).COMBINATION
        diagram.words(ax, x, 12.5, "ABC"[i], size=8, weight="bold")
        diagram.words(ax, x + 4.0, 12.5, registry.get_model(key).NAME, size=7, weight="bold")
        diagram.words(ax, x + WIDTH, 12.5, f"{n_params(layers):,} parameters", ha="right", color=style.INK)
        fig_ed9_networks.draw(
            ax, x, 15.5, read_parts(layers), {p: TEAM_TITLES[getattr(teams, p)] for p in ("first", "core", "final")}
        )
