"""Fig. 3a-e: groups and models on one axis, points, P values and bars, calculated by hand."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.apps.paper import panels
from tests.helpers.paper_data import figure_data, fold_value, run_data

PANELS = {panel.key: panel for panel in panels.PANELS}
MODELS = ["dream_cnn", "dream_rnn", "reference"]


def draw(key, run):
    outcome = panels.draw(PANELS[key], figure_data(runs={run.task: run}))
    assert outcome.rendered is not None, outcome.reason
    return outcome.rendered


def points(ax):
    return sorted(float(y) for dots in ax.collections for _, y in dots.get_offsets())


def p_values(ax):
    return [text.get_text() for text in ax.texts if text.get_text().startswith("P = ")]


@pytest.mark.parametrize(
    ("key", "task", "datasets", "outputs", "names"),
    [
        ("3a", "drosophila", ["DeepSTARR"], ["dev", "hk"], ["developmental", "housekeeping"]),
        ("3b", "human_mpra", ["WTC11", "HepG2", "K562"], ["activity"], ["HepG2", "K562", "WTC11"]),
    ],
)
def test_groups_share_one_axis(key, task, datasets, outputs, names):
    """Models side by side in each group, a point per fold, P values against the last model."""
    run = run_data(task, models=MODELS, datasets=datasets, outputs=outputs, n_folds=5)
    rendered = draw(key, run)
    (ax,) = rendered.figure.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == names
    assert ax.get_ylabel() == "Pearson r"
    expected = [fold_value(m, d + o, f) for d in datasets for o in outputs for m in MODELS for f in range(5)]
    assert points(ax) == pytest.approx(sorted(expected))
    assert p_values(ax) == ["P = 0.013"] * (2 * len(names))
    assert [text.get_text() for text in rendered.figure.legends[0].get_texts()] == [m.upper() for m in MODELS]
    assert len(rendered.numbers) == len(expected)


@pytest.mark.parametrize(
    ("key", "output", "metric"), [("3c", "log_counts", "pearson_r"), ("3d", "profile", "one_minus_median_jsd")]
)
def test_accessibility_has_models_on_the_axis(key, output, metric):
    """x is the model; other outputs and subsets of the run are not drawn."""
    about = {"subset": "peaks", "level": "region", "metric": metric}
    run = run_data("atac", models=MODELS, datasets=["K562"], outputs=[output, "other"], n_folds=5, **about)
    (ax,) = draw(key, run).figure.axes
    assert [label.get_text().split("\n")[0] for label in ax.get_xticklabels()] == [m.upper() for m in MODELS]
    assert points(ax) == pytest.approx(sorted(fold_value(m, "K562" + output, f) for m in MODELS for f in range(5)))
    assert p_values(ax) == ["P = 0.013"] * 2


def test_parameters_of_the_accessibility_networks_are_bars():
    rendered = panels.draw(PANELS["3e"], figure_data()).rendered
    assert rendered.figure.axes[0].get_xlabel() == "parameters"
    assert [bar.get_width() for bar in rendered.figure.axes[0].patches] == [44]
    assert not rendered.simulated


def test_parameters_are_counted_in_full_size_networks():
    """Of ChromBPNet, layer by layer after the published code: 512 filters, nine dilated layers, head of 75 wide."""
    pytest.importorskip("keras")
    from benchmarks.apps.paper.load_figure_data import parameter_counts

    counts = parameter_counts("atac")
    filters = 512
    body = (21 * 4 + 1) * filters + 8 * (3 * filters * filters + filters)
    heads = 75 * filters + 1 + filters + 1
    assert counts["chrombpnet"] == body + heads
    assert np.isfinite(list(counts.values())).all()


def test_repeats_of_the_bench_are_boxes_in_the_paper_s_order():
    """Extended Data 10: rows atac, drosophila, human_mpra; throughput at the largest batch alone."""
    about = {"protocol": "paper", "device_name": "V100", "precision": "float32", "backend": "torch"}
    about |= {"width_scale": 0.5}
    rows = [
        about
        | {"task": task, "model": model, "quantity": quantity, "is_published": batch == 64, "value": value + repeat}
        for task in ("human_mpra", "atac", "drosophila")
        for model in ("dream_cnn", "dream_rnn")
        for quantity, value in (("seconds_per_training_batch", 5), ("predictions_per_second", 70))
        for batch in (32, 64)
        for repeat in range(5)
    ]
    rows += [
        about | {"task": task, "model": model, "quantity": "parameters", "is_published": True, "value": 1000}
        for task in ("human_mpra", "atac", "drosophila")
        for model in ("dream_cnn", "dream_rnn")
    ]
    rendered = panels.draw(PANELS["ED10"], figure_data(speed=pd.DataFrame(rows))).rendered
    axes = rendered.figure.axes
    assert [ax.get_title(loc="left")[3:] for ax in axes[::3]] == ["atac", "drosophila", "human_mpra"]
    assert [ax.get_xlabel() for ax in axes[:3]] == [
        "seconds per training batch", "predictions per second", "parameters"
    ]  # fmt: skip
    medians = {line.get_xdata()[0] for line in axes[1].lines if len(set(line.get_xdata())) == 1}
    assert 72 in medians, "of 70 to 74"
    assert [bar.get_width() for bar in axes[2].patches] == [1000, 1000]
    assert "boxes of 5 repeats" in rendered.caption
    assert "V100 in float32" in rendered.caption
    assert "NARROWED networks (share of the published width: dream_cnn 0.5, dream_rnn 0.5)" in rendered.caption
