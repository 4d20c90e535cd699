"""Figures: what is drawn, that labels do not meet, and that embedded SVGs do not clash."""

import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")

from benchmarks.engine.figures import scores as figures
from benchmarks.engine.figures import style

LABELS = {
    "ridge": "k-mer ridge",
    "mprann": "MPRAnn",
    "cnn": "DREAM-CNN",
    "rnn": "DREAM-RNN",
    "long": "x_" * 20,
}
ORDER = [*LABELS, "attn"]


def scores_of(models, *, datasets=("K562",), outputs=("activity",), n_folds=10, origin="simulated"):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {"dataset": dataset, "output": output, "subset": "all", "origin": origin, "level": "row",
             "metric": "pearson_r", "role": "ensemble", "model": model, "test_fold": fold, "n_members": 9,
             "value": 0.5 + 0.03 * i + rng.normal(0, 0.01)}
            for dataset in datasets
            for output in outputs
            for i, model in enumerate(models)
            for fold in range(n_folds)
        ]
    )  # fmt: skip


def paired(scores, baseline, p_value=0.0031):
    about = ["dataset", "output", "subset", "origin", "level", "metric", "model"]
    rows = scores.loc[scores["model"] != baseline, about].drop_duplicates()
    return rows.assign(baseline=baseline, p_value=p_value)


def draw(scores, tests, **more):
    return figures.fold_scores(scores, tests, labels=LABELS, order=ORDER, **more)


def texts(thing):
    return [text for text in thing.findobj(figures.mpl.text.Text) if text.get_text().strip() and text.get_visible()]


def points(ax):
    """Return the points of an axes: their values, and the colour of each model's."""
    drawn = [dots for dots in ax.collections if len(dots.get_offsets())]
    values = np.concatenate([np.asarray(dots.get_offsets())[:, 1] for dots in drawn])
    return values, [figures.mpl.colors.to_hex(dots.get_facecolor()[0]).upper() for dots in drawn]


def words(thing):
    return " | ".join(text.get_text() for text in texts(thing))


@pytest.mark.parametrize("n_folds", [1, 2, 10])
@pytest.mark.parametrize(
    ("models", "datasets", "outputs"),
    [
        (ORDER[:1], ["K562"], ["a"]),
        (ORDER, ["K562"], ["a"]),
        (ORDER, ["K562", "HepG2", "WTC11"], ["dev", "hk"]),
    ],
)
def test_no_label_of_a_score_plot_meets_another_or_the_edge(models, datasets, outputs, n_folds):
    scores = scores_of(models, datasets=datasets, outputs=outputs, n_folds=n_folds)
    ceilings = pd.DataFrame(
        [
            {
                "dataset": d,
                "output": o,
                "level": "row",
                "metric": "pearson_r",
                "value": 0.8,
                "basis": "replicate noise",
            }
            for d in datasets
            for o in outputs
        ]
    )
    fig = draw(scores, paired(scores, models[len(models) // 2]), ceilings=ceilings)
    fig.draw_without_rendering()
    assert len(fig.axes) == len(datasets) * len(outputs)
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(fig)]
    for (one, a), (other, b) in combinations(boxes, 2):
        assert not a.padded(-1).overlaps(b.padded(-1)), (one, other)
    page = fig.bbox.padded(1)
    for name, box in boxes:
        assert box.x0 >= page.x0 and box.x1 <= page.x1 and box.y0 >= page.y0 and box.y1 <= page.y1, name  # noqa: PT018


def test_every_fold_is_a_point_and_every_p_value_a_bracket():
    """Brackets stand above the data."""
    scores = scores_of(ORDER[:4], n_folds=5)
    ax = draw(scores, paired(scores, "mprann", 2.1e-5)).axes[0]
    values, _ = points(ax)
    assert sorted(values) == pytest.approx(sorted(scores["value"]))
    p_values = [text for text in texts(ax) if text.get_text().startswith("P = ")]
    assert [text.get_text() for text in p_values] == ["P = 2.1e-05"] * 3
    by_model = scores.groupby("model")["value"].max()
    for text, model in zip(p_values, ("k-mer ridge", "DREAM-CNN", "DREAM-RNN"), strict=True):
        higher = max(by_model["mprann"], by_model[{v: k for k, v in LABELS.items()}[model]])
        assert text.xy[1] > higher, "a bracket stands above both boxes"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [
        "k-mer ridge\nn = 5", "MPRAnn\n(baseline)\nn = 5", "DREAM-CNN\nn = 5", "DREAM-RNN\nn = 5"
    ]  # fmt: skip


def test_without_tests_there_are_no_brackets():
    scores = scores_of(ORDER[:3])
    for tests in (pd.DataFrame(), paired(scores, "mprann", np.nan)):
        assert "P = " not in words(draw(scores, tests))


def test_simulated_data_are_always_marked():
    simulated, measured = scores_of(ORDER[:2]), scores_of(ORDER[:2], datasets=("WTC11",), origin="measured")
    assert style.SIMULATED in words(draw(simulated, pd.DataFrame()))
    assert style.SIMULATED not in words(draw(measured, pd.DataFrame()))
    titles = [ax.get_title(loc="left") for ax in draw(pd.concat([simulated, measured]), pd.DataFrame()).axes]
    assert titles == [f"{style.SIMULATED} · K562", "WTC11"]
    assert style.SIMULATED in words(figures.speed(jobs_of(["cnn"]), LABELS, ORDER, origin="simulated"))
    assert style.SIMULATED in words(figures.learning_curves(history_of(["cnn"]), LABELS, ORDER, origin="simulated"))


def test_ceiling_is_drawn_where_known_and_explained():
    scores = scores_of(ORDER[:2], datasets=("K562", "WTC11"))
    known = {"dataset": "K562", "output": "activity", "level": "row", "metric": "pearson_r", "basis": "noise"}
    fig = draw(scores, pd.DataFrame(), ceilings=pd.DataFrame([known | {"value": 0.862}]))
    assert "noise\nceiling\n0.862" in words(fig.axes[0])
    assert "ceiling" not in words(fig.axes[1])
    assert "noise ceiling (noise)" in fig.get_supxlabel().replace("\n", " ")


def test_a_model_whose_scores_are_not_numbers_is_shown_as_empty():
    scores = scores_of(ORDER[:3], n_folds=3)
    scores.loc[scores["model"] == "mprann", "value"] = np.nan
    assert "MPRAnn\nn = 0" in words(draw(scores, pd.DataFrame()))


def test_a_level_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no ensemble scores with metric 'pearson_r' and level 'strand_averaged'"):
        draw(scores_of(["cnn"]), pd.DataFrame(), level="strand_averaged")


def history_of(models, *, datasets=("K562",), n_folds=2, n_epochs=4):
    return pd.DataFrame(
        [
            {"dataset": dataset, "model": model, "test_fold": fold, "val_fold": 9, "epoch": epoch,
             "train_loss": 1 / epoch, "val_loss": 1.1 / epoch, "val_pearson_r": 0.1 * epoch + 0.01 * fold,
             "is_best": epoch == n_epochs}
            for dataset in datasets
            for model in models
            for fold in range(n_folds)
            for epoch in range(1, n_epochs + 1)
        ]
    )  # fmt: skip


def test_learning_curves_have_lines_a_median_and_epochs_kept():
    """A line per training, their median, and a mark at the epoch that was kept."""
    fig = figures.learning_curves(history_of(["rnn", "cnn"]), LABELS, ORDER)
    top, bottom = fig.axes[0], fig.axes[2]
    assert [ax.get_title(loc="left") for ax in fig.axes[:2]] == ["DREAM-CNN", "DREAM-RNN"]
    thin = [line for line in top.lines if line.get_linewidth() < 1]
    (median,) = [line for line in top.lines if line.get_linewidth() == 2]
    (kept,) = [line for line in top.lines if line.get_marker() == "o"]
    assert len(thin) == 2
    assert median.get_ydata() == pytest.approx([0.105, 0.205, 0.305, 0.405])
    assert (list(kept.get_xdata()), list(kept.get_ydata())) == ([4, 4], pytest.approx([0.4, 0.41]))
    assert len([line for line in bottom.lines if line.get_linewidth() < 1]) == 4


def test_the_median_ends_where_most_trainings_have_stopped():
    history = history_of(["cnn"], n_folds=3).query("test_fold == 0 or epoch <= 2")
    (median,) = [line for line in figures.learning_curves(history, LABELS, ORDER).axes[0].lines if line.get_lw() == 2]
    assert list(median.get_xdata()) == [1, 2]


@pytest.mark.slow
def test_many_trainings_are_one_picture_and_six_models_fit():
    history = history_of(ORDER, datasets=("K562", "WTC11"), n_folds=6)
    fig = figures.learning_curves(history, LABELS, ORDER)
    assert len(fig.axes) == 12
    assert "<image" in style.to_svg(fig)
    assert "K562" in words(fig.legends[0])
    assert "<image" not in style.to_svg(figures.learning_curves(history_of(["cnn"]), LABELS, ORDER))


def jobs_of(models, devices=("cpu",)):
    return pd.DataFrame(
        [
            {
                "model": model,
                "device": device,
                "train_seq_per_s": 100.0 * (i + 1) + run,
                "predict_seq_per_s": 900.0,
            }
            for i, model in enumerate(models)
            for device in devices
            for run in range(3)
        ]
    )


def test_speed_shows_medians_and_names_the_device():
    jobs = jobs_of(["cnn", "rnn"])
    jobs.loc[jobs["model"] == "rnn", "predict_seq_per_s"] = np.nan
    fig = figures.speed(jobs, LABELS, ORDER)
    assert [bar.get_width() for bar in fig.axes[0].patches] == [101, 201]
    assert fig.axes[0].get_xlabel() == "sequences per second, training\non cpu"
    assert "not measured" in words(fig.axes[1])
    both = figures.speed(jobs_of(["cnn"], ("cpu", "NVIDIA H200")), LABELS, ORDER)
    assert [text.get_text() for text in both.axes[0].get_yticklabels()] == [
        "DREAM-CNN\non cpu", "DREAM-CNN\non NVIDIA H200"
    ]  # fmt: skip


def test_very_different_speeds_get_a_log_scale_that_says_so():
    jobs = jobs_of(["ridge", "rnn"])
    jobs.loc[jobs["model"] == "ridge", "train_seq_per_s"] = 50_000.0
    fig = figures.speed(jobs, LABELS, ORDER)
    assert (fig.axes[0].get_xscale(), fig.axes[1].get_xscale()) == ("log", "linear")
    assert "(log scale)" in fig.axes[0].get_xlabel()


def test_nothing_to_draw_says_so():
    assert "No model of this run trains in epochs." in words(figures.learning_curves(pd.DataFrame(), {}, []))
    assert "No training was timed." in words(figures.speed(pd.DataFrame(), {}, []))


def test_a_model_keeps_its_colour_and_unnamed_ones_come_last():
    """Whatever it is drawn with."""
    ax = draw(scores_of(["other", "rnn"], n_folds=3), pd.DataFrame()).axes[0]
    assert points(ax)[1] == [style.model_colour("rnn"), style.model_colour("other")]
    bar = figures.speed(jobs_of(["rnn"]), LABELS, ORDER).axes[0].patches[0]
    assert figures.mpl.colors.to_hex(bar.get_facecolor()).upper() == style.model_colour("rnn").upper()
    assert len(set(style.MODEL_COLOURS.values())) >= 6


def test_embedded_svgs_are_repeatable_and_share_no_id():
    scores = scores_of(ORDER[:3], n_folds=3)
    one, again = (style.to_svg(draw(scores, paired(scores, "mprann"))) for _ in range(2))
    other = style.to_svg(draw(scores_of(ORDER[:2]), pd.DataFrame()))
    assert one == again
    assert one.startswith("<svg ")
    ids = [set(re.findall(r'\sid="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0].isdisjoint(ids[1])
    for svg, known in zip((one, other), ids, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= known  # every reference stays inside
        assert not re.search(r"[>}]\s*\*\s*{", svg)  # no style rule for the whole page
        assert "<text" not in svg  # outlines: no font is needed to read it


def test_save_writes_both_files_and_keeps_dots_in_names(tmp_path):
    fig = figures.speed(jobs_of(["cnn"]), LABELS, ORDER)
    png, svg = style.save(fig, tmp_path / "speed.v1")
    assert (png.name, svg.name) == ("speed.v1.png", "speed.v1.svg")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_text().startswith("<?xml")
