"""Draw observed and predicted profiles of Tn5 insertions. Dataset and predictions in, Figure out."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.api.data import Dataset
from benchmarks.engine.figures.style import GREY, INK, STYLE, head, model_colour

_SMOOTH_BP = 3
"""Half width of the running mean that profiles are drawn with; scores are of profiles that are not smoothed."""


@mpl.rc_context(STYLE)
def counts(
    test: Dataset,
    predictions: Mapping[str, Mapping[str, np.ndarray]],
    profile_len: int,
    *,
    labels: Mapping[str, str],
    order: Sequence[str],
) -> Figure:
    """Draw predicted against observed Tn5 insertions of every peak, a panel per model; arguments as of `examples`."""
    models = [name for name in order if name in predictions]
    peaks = np.flatnonzero(test.meta["is_peak"].to_numpy(dtype=bool))
    observed = np.log1p(_middle(test, peaks, profile_len).sum(axis=1))
    predicted = {model: predictions[model]["log_counts"][peaks].astype(float) for model in models}
    low, high = (f([f(observed), *(f(values) for values in predicted.values())]) for f in (np.min, np.max))
    edge = 0.05 * (high - low) or 1.0
    fig = Figure((2.5 * len(models) + 0.4, 3.4), layout="constrained")
    axes = fig.subplots(1, len(models), squeeze=False, sharex=True, sharey=True)[0]
    for ax, model in zip(axes, models, strict=True):
        ax.plot([low, high], [low, high], color=GREY, lw=0.8, zorder=0)
        size = 3.0 if len(peaks) < 2000 else 1.0
        colour = model_colour(model)
        ax.plot(observed, predicted[model], "o", ms=size, mew=0, alpha=0.5, color=colour, rasterized=True)
        varies = np.ptp(observed) > 0 and np.ptp(predicted[model]) > 0
        r = f"r = {np.corrcoef(observed, predicted[model])[0, 1]:.3f}" if varies else "r undefined"
        ax.set_title(f"{labels.get(model, model)}\n{r}", loc="left")
        ax.set(xlim=(low - edge, high + edge), ylim=(low - edge, high + edge), aspect="equal")
        ax.set_xlabel("observed ln(1 + insertions)")
    axes[0].set_ylabel("predicted ln(1 + insertions)")
    head(
        fig, f"Tn5 insertions in the middle {profile_len:,} bp of {len(peaks):,} test peaks", test.origin == "simulated"
    )
    return fig


def _smoothed(values: np.ndarray) -> np.ndarray:
    return np.convolve(values, np.ones(2 * _SMOOTH_BP + 1) / (2 * _SMOOTH_BP + 1), mode="same")


def _middle(test: Dataset, rows: np.ndarray, profile_len: int) -> np.ndarray:
    """Return the observed profiles of some rows, the middle of their wider windows; (n, profile_len) float64."""
    jitter = (test.targets["profile"].shape[1] - profile_len) // 2
    return np.asarray(test.targets["profile"][rows])[:, jitter : jitter + profile_len].astype(float)


def picked(test: Dataset, profile_len: int, n_examples: int = 4) -> np.ndarray:
    """Return the rows of `test` that `examples` draws: peaks at even steps from the most insertions to the median."""
    peaks = np.flatnonzero(test.meta["is_peak"].to_numpy(dtype=bool))
    by_count = np.argsort(-_middle(test, peaks, profile_len).sum(axis=1), kind="stable")
    steps = np.unique(np.linspace(0, (len(peaks) - 1) // 2, n_examples).round().astype(int))
    return peaks[by_count[steps]]


def expected_share(logits: np.ndarray) -> np.ndarray:
    """Turn the profile logits of one window into shares of its insertions, (profile_len,) float64."""
    share = np.exp(logits.astype(float) - float(logits.max()))
    return share / share.sum()


def example_numbers(
    test: Dataset, predictions: Mapping[str, Mapping[str, np.ndarray]], profile_len: int, n_examples: int = 4
) -> pd.DataFrame:
    """Return the numbers behind `examples`, not smoothed.

    Columns chrom, centre, bp (from the centre), model (`observed`, or a name), cuts (Tn5 insertions per base) and
    expected_cuts (insertions that the model predicts for the whole window; of `observed`, those counted).
    """
    rows, x = picked(test, profile_len, n_examples), np.arange(profile_len) - profile_len // 2
    tables = []
    for row, observed in zip(rows, _middle(test, rows, profile_len), strict=True):
        place = {"chrom": test.meta["chrom"].iloc[row], "centre": test.meta["centre"].iloc[row], "bp": x}
        curves = {"observed": (observed, observed.sum())} | {
            model: (
                expected_share(outputs["profile_logits"][row]) * observed.sum(),
                np.expm1(float(outputs["log_counts"][row])),
            )
            for model, outputs in predictions.items()
        }
        tables += [pd.DataFrame(place | {"model": m, "cuts": c, "expected_cuts": n}) for m, (c, n) in curves.items()]
    return pd.concat(tables, ignore_index=True)


@mpl.rc_context(STYLE)
def examples(
    test: Dataset,
    predictions: Mapping[str, Mapping[str, np.ndarray]],
    profile_len: int,
    *,
    labels: Mapping[str, str],
    order: Sequence[str],
    n_examples: int = 4,
) -> Figure:
    """Draw observed Tn5 insertions of some peaks, and below them each model's profile, scaled to as many insertions.

    The peaks are those at even steps from the most insertions to the median; none is hand-picked.

    Parameters
    ----------
    test
        Dataset of test windows with the target `profile`, and `chrom`, `centre` and `is_peak` in its meta.
    predictions
        Model -> `profile_logits` (n, profile_len) and `log_counts` (n,).
    labels, order
        Display name of each model; models from top to bottom.
    """
    models = [name for name in order if name in predictions]
    chosen = picked(test, profile_len, n_examples)
    observed = _middle(test, chosen, profile_len)
    fig = Figure((3.6 * len(chosen) + 0.8, 0.9 + 1.15 * (1 + len(models))), layout="constrained")
    axes = fig.subplots(1 + len(models), len(chosen), squeeze=False, sharex=True, sharey="col")
    x = np.arange(profile_len) - profile_len // 2
    for column, row in enumerate(chosen):
        place = f"{test.meta['chrom'].iloc[row]}:{test.meta['centre'].iloc[row]:,}"
        axes[0, column].fill_between(x, _smoothed(observed[column]), color=INK, lw=0)
        axes[0, column].set_title(f"{place}\n{observed[column].sum():,.0f} insertions", loc="left")
        for ax, model in zip(axes[1:, column], models, strict=True):
            share = expected_share(predictions[model]["profile_logits"][row])
            count = np.expm1(float(predictions[model]["log_counts"][row]))
            expected = _smoothed(share * observed[column].sum())
            ax.fill_between(x, expected, color=model_colour(model), lw=0)
            ax.set_title(f"{count:,.0f} insertions expected", loc="right", fontsize=7.5)
        axes[-1, column].set_xlabel("bp from the summit")
    for ax, name in zip(axes[:, 0], ["observed", *(labels.get(model, model) for model in models)], strict=True):
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    head(fig, "Tn5 insertions per base", test.origin == "simulated")
    text = (
        "Peaks at even steps from the most insertions to the median. Running means of "
        f"{2 * _SMOOTH_BP + 1} bp; models' profiles are scaled to the observed number of insertions."
    )
    fig.supxlabel(text, x=0.01, ha="left", fontsize=7.5, color=INK)
    return fig
