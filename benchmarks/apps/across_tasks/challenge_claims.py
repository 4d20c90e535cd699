"""Claims 7 and 9 to 13 of the paper: what the scores of the challenge's submissions say.

Source: Rafi et al. 2024, Results, Fig. 1d-g and Table 2. The gap of a subset is (best - reference) / best, the
reference transformer being the worst of the entries that Fig. 1f and 1g show.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmarks.apps.across_tasks.checks import Challenge, Check

GAPS = {"native": 17.6, "random": 5.0, "motif_tiling": 17.7, "SNVs": 14.6, "motif_perturbation": 6.5}
HIGH_LOW_GAP, OTHERS_GAP, GAP_TOLERANCE = 48.0, 16.0, 1.0
"""Percent; the tolerance, in percentage points, is our choice."""
RHO_GAPS = {"motif_perturbation": 4.0, "motif_tiling": 7.0, "SNVs": 9.6}
NATIVE_RANDOM_RHO_GAPS = {"native": 9.6, "random": 2.7}
EXTREMES = ("high", "low")
OTHERS = ("native", "random", "challenging", "SNVs", "motif_perturbation", "motif_tiling")
"""With the extremes the eight subsets that the paper describes; the score has a ninth term, all sequences."""
N_ABOVE_REFERENCE, N_TOP = 19, 10


def _problem(challenge: Challenge | None) -> str:
    if challenge is None:
        return "no ranking was given (challenge rank --out FOLDER, then --challenge FOLDER)"
    return "" if challenge.origin == "measured" else "the challenge's test set is simulated"


def _gaps(challenge: Challenge | None, metric: str) -> "dict[str, float] | Check":
    """Return the gaps to the reference transformer, or a check that cannot be made where none can be computed."""
    if challenge is None or _problem(challenge):
        return Check(None, _problem(challenge))
    names = [name for name in challenge.ranking["submission"] if "reference" in str(name).lower()]
    if len(names) != 1:
        return Check(None, f"{len(names)} submissions have 'reference' in their name; one must")
    return gaps_to(challenge.scores, names[0], metric)


def gaps_to(scores: pd.DataFrame, reference: str, metric: str = "pearson_r") -> dict[str, float]:
    """Return (best - reference) / best in percent, by subset of the test set; of Pearson r, its square.

    A subset that the reference has no score of has no gap.

    The published gaps are those between the best entry and the reference transformer, the worst of the entries that
    Fig. 1f shows: scores of the final submissions give them back to a tenth of a point.
    """
    chosen = scores[(scores["metric"] == metric) & (scores["subset"] != "challenge")]
    values = chosen["value"] ** 2 if metric == "pearson_r" else chosen["value"]
    by_subset = chosen.assign(value=values).pivot_table(index="submission", columns="subset", values="value")
    if reference not in by_subset.index:
        return {}
    best = by_subset.max()
    return (100 * (best - by_subset.loc[reference]) / best).dropna().to_dict()


def _near(gaps: Mapping[str, float], published: Mapping[str, float], metric: str) -> list[Check]:
    """Check gaps against the published ones, a check per subset."""
    checks = []
    for subset, expected in published.items():
        if subset not in gaps:
            checks.append(Check(None, f"no scores of {subset}"))
            continue
        near = bool(abs(gaps[subset] - expected) <= GAP_TOLERANCE)
        checks.append(Check(near, f"{subset}: gap in {metric} {gaps[subset]:.1f} %, {expected:g} % in the paper"))
    return checks


def above_reference(challenge: Challenge | None) -> list[Check]:
    """Claim 7: entries above the reference, and the gaps in Pearson r squared."""
    gaps = _gaps(challenge, "pearson_r")
    if challenge is None or isinstance(gaps, Check):
        return [gaps] if isinstance(gaps, Check) else []
    place = challenge.ranking.set_index("submission")["place"]
    reference = next(name for name in place.index if "reference" in str(name).lower())
    n = int((place < place[reference]).sum())
    above = Check(n == N_ABOVE_REFERENCE, f"{n} entries are placed above {reference}, {N_ABOVE_REFERENCE} in the paper")
    checks = [above, *_near(gaps, GAPS, "r squared")]
    if not set(EXTREMES) <= set(gaps):
        return [*checks, Check(None, "no scores of high and low")]
    middle = np.mean([gaps[name] for name in EXTREMES])
    largest = min(gaps[name] for name in EXTREMES) > max(gaps[name] for name in gaps if name not in EXTREMES)
    text = f"high {gaps['high']:.1f} % and low {gaps['low']:.1f} %, {HIGH_LOW_GAP:g} % in the paper, the largest gaps"
    return [*checks, Check(bool(largest and abs(middle - HIGH_LOW_GAP) <= GAP_TOLERANCE), text)]


def same_two_lead(challenge: Challenge | None) -> list[Check]:
    """Claim 9: the entries of places 1 and 2 have the two best scores of every subset, by both correlations."""
    if challenge is None or _problem(challenge):
        return [Check(None, _problem(challenge))]
    place = challenge.ranking.set_index("submission")["place"].sort_values(kind="stable")
    if len(place) < 3:
        return [Check(None, f"{len(place)} submissions were ranked; a third is needed to be below the first two")]
    leaders = set(place.index[:2])
    checks = []
    for subset in (*EXTREMES, *OTHERS):
        for metric in ("pearson_r", "spearman_rho"):
            scores = challenge.scores
            values = scores[(scores["subset"] == subset) & (scores["metric"] == metric)].set_index("submission")[
                "value"
            ]
            if not set(place.index) <= set(values.dropna().index):
                checks.append(Check(None, f"{subset} {metric}: not every submission has a score"))
                continue
            best = values.nlargest(2)
            checks.append(Check(set(best.index) == leaders, f"{subset} {metric}: {' and '.join(best.index)} lead"))
    return checks


def winner_is_smallest(challenge: Challenge | None) -> list[Check]:
    """Claim 10: of the ten best entries the first has fewest parameters."""
    if challenge is None or _problem(challenge):
        return [Check(None, _problem(challenge))]
    top = challenge.ranking.sort_values("place", kind="stable")["submission"].tolist()[:N_TOP]
    if len(top) < N_TOP:
        return [Check(None, f"{len(top)} submissions were ranked; the claim is of the first {N_TOP}")]
    if missing := [name for name in top if name not in challenge.n_params]:
        told = "parameters.csv (columns submission, n_params) in the folder of the ranking"
        return [Check(None, f"the parameters of {', '.join(missing)} are unknown; give them in {told}")]
    winner, *others = [(challenge.n_params[name], name) for name in top]
    smallest = min(others)
    text = f"{winner[1]} has {winner[0]:,} parameters, the smallest of the others, {smallest[1]}, {smallest[0]:,}"
    return [Check(winner[0] < smallest[0], text)]


def native_differs_more(challenge: Challenge | None) -> list[Check]:
    """Claim 11: the gap of native sequences is above that of random ones, by both correlations, and as published."""
    checks = []
    published = {"pearson_r": {name: GAPS[name] for name in ("native", "random")}}
    published["spearman_rho"] = NATIVE_RANDOM_RHO_GAPS
    for metric, expected in published.items():
        gaps = _gaps(challenge, metric)
        if isinstance(gaps, Check):
            return [gaps]
        checks += _near(gaps, expected, metric)
        if {"native", "random"} <= set(gaps):
            text = f"{metric}: native {gaps['native']:.1f} %, random {gaps['random']:.1f} %"
            checks.append(Check(bool(gaps["native"] > gaps["random"]), text))
    return checks


def rho_gaps(challenge: Challenge | None) -> list[Check]:
    """Claim 12: gaps in Spearman rho of the subsets that are pairs of sequences."""
    gaps = _gaps(challenge, "spearman_rho")
    return [gaps] if isinstance(gaps, Check) else _near(gaps, RHO_GAPS, "rho")


def median_gaps(challenge: Challenge | None) -> list[Check]:
    """Claim 13: the median gap in r squared, of high and low expression and of the other six subsets."""
    gaps = _gaps(challenge, "pearson_r")
    if isinstance(gaps, Check):
        return [gaps]
    checks = []
    for subsets, name, expected in ((EXTREMES, "high and low", HIGH_LOW_GAP), (OTHERS, "the others", OTHERS_GAP)):
        if missing := [subset for subset in subsets if subset not in gaps]:
            checks.append(Check(None, f"no scores of {', '.join(missing)}"))
            continue
        median = float(np.median([gaps[subset] for subset in subsets]))
        text = f"{name}: median gap {median:.1f} %, {expected:g} % in the paper"
        checks.append(Check(abs(median - expected) <= GAP_TOLERANCE, text))
    return checks
