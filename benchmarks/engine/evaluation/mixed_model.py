"""Compare models by a linear mixed model of the scores of single trainings: score ~ model, folds and seeds random.

Source: Pinheiro and Bates 2000 (Mixed-Effects Models in S and S-PLUS), fitted by statsmodels' `MixedLM` with restricted
maximum likelihood. Where a t-test over folds needs both models in every fold, this uses every training that there is.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from benchmarks.api import metrics
from benchmarks.engine.evaluation.fold_tests import CELL, holm

COLUMNS = [
    *CELL, "model", "baseline", "n_folds", "n_members", "n_scores", "difference", "se", "ci_low", "ci_high", "z",
    "p_value", "p_holm", "sd_fold", "sd_seed", "sd_residual", "converged", "singular", "better", "note",
]  # fmt: skip
ASSUMPTIONS = {
    "linear mixed model": "a score is the mean of its model, plus what its test fold adds, plus what the seed and the "
    "validation rows of its training within that fold add (the same for every model), plus noise; all three are "
    "normally distributed and independent, and the noise is as large for every model. A model is taken to be ahead by "
    "as much in every fold: where it is not, the trainings of a fold are no independent evidence, and P values are too "
    "small. They are also too small with few folds, as they are of a normal distribution, and folds share training data"
}
_NONE = dict.fromkeys(["difference", "se", "ci_low", "ci_high", "z", "p_value"], np.nan)
_NO_SD = dict.fromkeys(["sd_fold", "sd_seed", "sd_residual"], np.nan)
_SINGULAR = 1e-2
"""A standard deviation below this share of the residual one is one that was estimated as none."""


def compare(scores: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Fit a mixed model to the members of every cell, and compare each model with the baseline by it.

    Parameters
    ----------
    scores
        Long score table; rows of role "member" are used, one per training: `test_fold` is the fold, and `val_fold` the
        seed, which goes with the validation rows, within it.
    baseline
        Name of the model the others are compared with.

    Returns
    -------
    One row per CELL and other model, columns COLUMNS. `difference` is model minus baseline, with its standard error,
    95 % interval and P by the normal distribution. `sd_fold`, `sd_seed` and `sd_residual` are those of the whole fit,
    `sd_seed` NaN where each fold has one training of a model. `converged`: the optimiser came to an end; without it
    there are no numbers. `singular`: a random effect was estimated as none. `note` says both, what was left out, and
    why there is no fit.
    """
    members = scores[scores["role"] == "member"]
    rows = []
    for cell, part in members.groupby(CELL, sort=False, dropna=False):
        identity = dict(zip(CELL, cell, strict=True))
        others = [name for name in part["model"].unique() if name != baseline]
        if not others or len(others) == part["model"].nunique():
            continue
        fit = _fit(part, baseline, others)
        adjusted = holm([fit["by_model"][name]["p_value"] for name in others])
        about = identity | {"baseline": baseline, "better": metrics.better(identity["metric"])} | fit["whole"]
        rows += [
            about | {"model": name, "p_holm": p} | fit["by_model"][name]
            for name, p in zip(others, adjusted, strict=True)
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _fit(part: pd.DataFrame, baseline: str, others: list[str]) -> dict[str, Any]:
    """Fit one cell: what holds for all its models (`whole`), and the statistics of each (`by_model`)."""
    used = part[np.isfinite(part["value"])]
    notes = [f"{len(part) - len(used)} scores that are not a number left out"] if len(used) < len(part) else []
    per_fold = used.groupby(["test_fold", "model"]).size()
    repeated = bool(len(per_fold)) and per_fold.max() > 1
    whole = _NO_SD | {
        "n_folds": used["test_fold"].nunique(),
        "n_members": int(per_fold.max()) if len(per_fold) else 0,
        "n_scores": len(used),
        "converged": False,
        "singular": False,
    }
    by_model: dict[str, dict[str, float]] = {name: dict(_NONE) for name in others}
    if problem := _why_not(used, baseline, others):
        return {"whole": whole | {"note": "; ".join([*notes, f"no mixed model: {problem}"])}, "by_model": by_model}
    scale = float(used["value"].std())
    result, reason = _estimate(used, baseline, others, scale, repeated=repeated)
    if result is None or not result.converged:
        notes.append(f"no mixed model: the fit did not converge{reason}")
        return {"whole": whole | {"note": "; ".join(notes)}, "by_model": by_model}
    sd = {"sd_fold": scale * float(np.sqrt(max(result.cov_re[0, 0], 0)))}
    if repeated:
        sd["sd_seed"] = scale * float(np.sqrt(max(result.vcomp[0], 0)))
    residual = scale * float(np.sqrt(result.scale))
    none = [name.removeprefix("sd_") for name, value in sd.items() if value < _SINGULAR * residual]
    if none:
        notes.append(
            f"singular fit: the variance between {' and between '.join(f'{name}s' for name in none)} was estimated as "
            "none, so that the model says no more than one without it"
        )
    whole |= sd | {"sd_residual": residual, "converged": True, "singular": bool(none), "note": "; ".join(notes)}
    for name, difference, se in zip(others, result.fe_params[1:] * scale, result.bse_fe[1:] * scale, strict=True):
        half = scipy_stats.norm.ppf(0.975) * se
        by_model[name] = {
            "difference": difference,
            "se": se,
            "ci_low": difference - half,
            "ci_high": difference + half,
            "z": difference / se,
            "p_value": 2 * scipy_stats.norm.sf(abs(difference / se)),
        }
    return {"whole": whole, "by_model": by_model}


def _why_not(used: pd.DataFrame, baseline: str, others: list[str]) -> str:
    """Say why a cell cannot be fitted; "" where it can."""
    if lacking := [name for name in (baseline, *others) if name not in set(used["model"])]:
        return f"{', '.join(lacking)} has no score that is a number"
    if (n := used["test_fold"].nunique()) < 2:
        return f"it needs 2 folds, {n} is usable"
    # What is left of the scores when models and trainings explain them: nothing, if each cell has a score of its own.
    centred = used["value"] - used.groupby("model")["value"].transform("mean")
    by_training = centred.groupby([used["test_fold"], used["val_fold"]])
    rest = centred - by_training.transform("mean")
    if by_training.size().max() < 2 or np.abs(rest).max() <= 1e-9 * np.abs(used["value"]).max():
        return "the models do not differ from one training to the next"
    return ""


def _estimate(used: pd.DataFrame, baseline: str, others: list[str], scale: float, *, repeated: bool) -> tuple[Any, str]:
    """Fit by restricted maximum likelihood, scores in units of their own spread; return the result or why not."""
    from statsmodels.regression.mixed_linear_model import MixedLM
    from statsmodels.tools.sm_exceptions import ModelWarning

    endog = ((used["value"] - used["value"].mean()) / scale).to_numpy(float)
    exog = np.column_stack([np.ones(len(used)), *((used["model"] == name).to_numpy(float) for name in others)])
    groups = used["test_fold"].to_numpy()
    seeds = None
    if repeated:
        from statsmodels.regression.mixed_linear_model import VCSpec

        columns, matrices = [], []
        for fold in np.unique(groups):  # statsmodels takes groups in this order
            seed = pd.get_dummies(used.loc[groups == fold, "val_fold"].astype(int))
            columns.append([str(name) for name in seed])
            matrices.append(seed.to_numpy(float))
        seeds = VCSpec(["seed"], [columns], [matrices])
    with warnings.catch_warnings():  # what they say of boundary and convergence is told as singular and converged
        warnings.simplefilter("ignore", ModelWarning)
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            model = MixedLM(endog, exog, groups, exog_re=np.ones((len(used), 1)), exog_vc=seeds)
            result = model.fit(reml=True, method="bfgs")
            if not result.converged:  # as on the boundary, where a variance is none and gradients lead nowhere
                result = model.fit(reml=True, method="powell", ftol=1e-12)
            return result, ""
        except (np.linalg.LinAlgError, ValueError) as error:
            return None, f" ({str(error).splitlines()[0]})"
