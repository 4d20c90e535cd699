"""The mixed model against an analysis of variance by hand: balanced designs, singular fits, and what has no fit."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from benchmarks.engine.evaluation import mixed_model

CELL = {
    "task": "human_mpra", "task_version": 1, "dataset": "K562", "origin": "simulated", "output": "activity",
    "subset": "all", "level": "row", "metric": "pearson_r",
}  # fmt: skip


def table(values):
    """Lay out scores (models, folds, seeds) as members of models m0, m1, …; NaN stays as a score."""
    return pd.DataFrame(
        [
            CELL | {"role": "member", "model": f"m{m}", "run": "r", "test_fold": f, "val_fold": s, "value": value}
            for (m, f, s), value in np.ndenumerate(values)
        ]
    )


def drawn(sd_fold, sd_seed, sd_rest, *, n_models=3, n_folds=6, n_seeds=4, seed=0):
    rng = np.random.default_rng(seed)
    return (
        0.6
        + 0.01 * np.arange(n_models)[:, None, None]
        + rng.normal(0, sd_fold, (1, n_folds, 1))
        + rng.normal(0, sd_seed, (1, n_folds, n_seeds))
        + rng.normal(0, sd_rest, (n_models, n_folds, n_seeds))
    )


def mean_squares(y):
    """Return the mean squares of folds, of seeds within folds, and of what models and trainings leave."""
    n_models, n_folds, n_seeds = y.shape
    of_training, of_fold, of_model = y.mean(axis=0), y.mean(axis=(0, 2)), y.mean(axis=(1, 2))
    folds = n_models * n_seeds * ((of_fold - y.mean()) ** 2).sum() / max(n_folds - 1, 1)
    seeds = n_models * ((of_training - of_fold[:, None]) ** 2).sum() / max(n_folds * (n_seeds - 1), 1)
    left = y - of_training[None] - of_model[:, None, None] + y.mean()
    return folds, seeds, (left**2).sum() / ((n_models - 1) * (n_folds * n_seeds - 1))


def test_a_balanced_design_gives_what_an_anova_gives():
    y = drawn(0.03, 0.02, 0.01)
    found = mixed_model.compare(table(y), "m0").set_index("model")
    folds, seeds, rest = mean_squares(y)
    means = y.mean(axis=(1, 2))
    for m in (1, 2):
        row = found.loc[f"m{m}"]
        assert row["difference"] == pytest.approx(means[m] - means[0])
        se = np.sqrt(2 * rest / (6 * 4))
        assert row["se"] == pytest.approx(se, rel=1e-3)
        assert row["ci_high"] == pytest.approx(row["difference"] + 1.959964 * se, rel=1e-3)
        assert row["p_value"] == pytest.approx(2 * scipy_stats.norm.sf(abs(means[m] - means[0]) / se), rel=0.05)
        assert row["sd_residual"] == pytest.approx(np.sqrt(rest), rel=1e-3)
        assert row["sd_seed"] == pytest.approx(np.sqrt((seeds - rest) / 3), rel=1e-3)
        assert row["sd_fold"] == pytest.approx(np.sqrt((folds - seeds) / (3 * 4)), rel=1e-2)
        assert (row["n_folds"], row["n_members"], row["n_scores"]) == (6, 4, 72)
        assert row["converged"]
        assert not row["singular"]
        assert row["note"] == ""
    p = sorted(found["p_value"])
    assert sorted(found["p_holm"]) == pytest.approx([min(1, 2 * p[0]), max(2 * p[0], p[1])])
    assert list(mixed_model.compare(table(y), "m0").columns) == mixed_model.COLUMNS


def test_one_training_per_fold_leaves_the_fold_alone():
    y = drawn(0.03, 0.0, 0.01, n_seeds=1)
    row = mixed_model.compare(table(y), "m0").set_index("model").loc["m1"]
    folds, _, rest = mean_squares(y)
    assert row["difference"] == pytest.approx((y[1] - y[0]).mean())
    assert row["se"] == pytest.approx(np.sqrt(2 * rest / 6), rel=1e-3)
    assert row["sd_fold"] == pytest.approx(np.sqrt((folds - rest) / 3), rel=1e-2)
    assert np.isnan(row["sd_seed"])


def test_scores_of_any_size_give_the_same_fit():
    y = drawn(0.03, 0.02, 0.01)
    small, large = (mixed_model.compare(table(scale * y), "m0") for scale in (1e-4, 1e4))
    np.testing.assert_allclose(small["z"], large["z"], rtol=1e-4)
    np.testing.assert_allclose(small["sd_fold"] * 1e8, large["sd_fold"], rtol=1e-3)


def test_a_fit_on_the_boundary_is_told():
    y = drawn(0.0, 0.02, 0.01, n_folds=4)
    y -= y.mean(axis=(0, 2), keepdims=True) - y.mean()  # folds differ by less than their trainings would make them
    row = mixed_model.compare(table(y), "m0").iloc[0]
    assert row["converged"]
    assert row["singular"]
    assert row["note"].startswith("singular fit: the variance between folds was estimated as none")
    assert row["difference"] == pytest.approx((y[1] - y[0]).mean())
    # Without folds, the trainings of all folds are one sample.
    one_fold = y.reshape(3, 1, -1)
    _, seeds, rest = mean_squares(one_fold)
    assert row["sd_seed"] == pytest.approx(np.sqrt((seeds - rest) / 3), rel=1e-3)
    assert row["sd_fold"] < 1e-3 * row["sd_residual"]
    assert row["sd_residual"] == pytest.approx(np.sqrt(rest), rel=1e-3)


def test_a_fit_without_convergence_has_no_numbers(monkeypatch):
    from statsmodels.regression.mixed_linear_model import MixedLM

    y = drawn(0.03, 0.02, 0.01)
    usual = MixedLM.fit

    def stopped(self, **how):
        result = usual(self, **how)
        result.converged = False
        return result

    monkeypatch.setattr(MixedLM, "fit", stopped)
    found = mixed_model.compare(table(y), "m0")
    assert found["note"].eq("no mixed model: the fit did not converge").all()
    assert not found["converged"].any()
    assert found[["difference", "p_value", "p_holm", "sd_fold"]].isna().all(axis=None)

    def broken(self, **how):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(MixedLM, "fit", broken)
    found = mixed_model.compare(table(y), "m0")
    assert found["note"].iloc[0] == "no mixed model: the fit did not converge (Singular matrix)"


def test_trainings_that_one_model_lacks_still_count():
    y = drawn(0.05, 0.03, 0.001, n_models=2)
    y[1] += 0.02
    whole = mixed_model.compare(table(y), "m0").iloc[0]
    lacking = y.copy()
    lacking[1, 0] = np.nan
    row = mixed_model.compare(table(lacking), "m0").iloc[0]
    assert "4 scores that are not a number left out" in row["note"]
    assert row["n_scores"] == whole["n_scores"] - 4
    # The difference of plain means is off by what fold 0 is off; within trainings it is not.
    plain = np.nanmean(lacking[1]) - np.nanmean(lacking[0])
    assert abs(row["difference"] - 0.03) < 0.002 < abs(plain - 0.03)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda y: y[:, :1], "it needs 2 folds, 1 is usable"),
        (lambda y: np.where(np.arange(3)[:, None, None] == 1, np.nan, y), "m1 has no score that is a number"),
        (lambda y: np.repeat(y[:1], 3, axis=0), "the models do not differ from one training to the next"),
    ],
)
def test_what_has_no_fit_says_why(change, told):
    found = mixed_model.compare(table(change(drawn(0.03, 0.02, 0.01))), "m0")
    assert found["note"].str.contains(f"no mixed model: {told}").all()
    assert found["difference"].isna().all()


def test_models_without_a_baseline_are_not_compared():
    y = drawn(0.03, 0.02, 0.01)
    assert mixed_model.compare(table(y), "other").empty
    ensembles = table(y).assign(role="ensemble")
    assert list(mixed_model.compare(ensembles, "m0").columns) == mixed_model.COLUMNS
