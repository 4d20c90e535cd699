"""Check the claims of the paper: each holds, does not hold or is not testable, with reason and numbers.

Source: Rafi et al. 2024 (doi 10.1038/s41587-024-02414-w), Results. A claim is a list of checks: one that fails refutes
it, one that cannot be made leaves it open. Only measured data, the published protocol and full-size networks are
evidence on biology; parameters are counted on the networks themselves.
"""

from collections.abc import Mapping

import pandas as pd

from benchmarks.api.prix_fixe import PARTS, TEAM_TITLES
from benchmarks.apps.across_tasks import model_claims
from benchmarks.apps.across_tasks.checks import Challenge, Check, Evidence, combine_checks
from benchmarks.engine.evaluation.combination_grid import Grid

COLUMNS = ["number", "claim", "verdict", "reason", "numbers"]
CLAIMS = {
    1: "DREAM-RNN is the best of the DREAM models on drosophila, human_mpra and atac.",
    2: "All three DREAM models beat DeepSTARR on both programmes.",
    3: "All three DREAM models beat MPRAnn, but for DREAM-Attn on WTC11, the smallest set; with more training data the "
    "gap is wider.",
    4: "On atac, DREAM-RNN beats ChromBPNet on counts and profiles; DREAM-CNN is level on counts, worse on profiles.",
    5: "Autosome.org's data processor and trainer lifts the networks of BHI and UnlockDNA; no other module dominates.",
    6: "The optimised models have about as many parameters as their teams' originals, or fewer.",
    7: "Nineteen challenge entries beat the reference transformer; the gap from best to worst (Pearson r squared) is "
    "largest for high and low expression, about 48 %; native 17.6, random 5.0, motif tiling 17.7, SNVs 14.6, motif "
    "perturbation 6.5 %.",
    8: "Of 45 combinations that fit together, 41 converged.",
}
SIMILAR = 1.1
"""Parameters of an optimised model over those of the original that still count as about as many."""
GAPS = {"native": 17.6, "random": 5.0, "motif_tiling": 17.7, "SNVs": 14.6, "motif_perturbation": 6.5}
HIGH_LOW_GAP, GAP_TOLERANCE = 48.0, 1.0
"""Percent; the tolerance, in percentage points, is our choice."""
N_ABOVE_REFERENCE, N_CONVERGED, N_FITTING = 19, 41, 45
ORIGINALS = {"dream_cnn": "originals.autosome", "dream_rnn": "originals.bhi", "dream_attn": "originals.unlockdna"}
"""Optimised model -> the submission whose core it keeps."""


def evaluate_claims(evidence: Evidence) -> pd.DataFrame:
    """Check all claims of the paper; a row per claim, columns COLUMNS."""
    checks = {
        1: model_claims.rnn_is_best(evidence),
        2: model_claims.beat_deepstarr(evidence),
        3: model_claims.beat_mprann(evidence),
        4: model_claims.against_chrombpnet(evidence),
        5: _modules(evidence.grid),
        6: _sizes(evidence.n_params),
        7: _challenge(evidence.challenge),
        8: _converged(evidence.grid),
    }
    rows = [{"number": n, "claim": CLAIMS[n]} | combine_checks(of_claim) for n, of_claim in checks.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


# claims 5 and 8: combinations


def _why_no_grid(grid: Grid | None) -> str:
    if grid is None:
        return "no grid of combinations was given (prixfixe grid, then --grid FOLDER)"
    if grid.task != "yeast":
        return f"the grid is of {grid.task}, the paper's of yeast"
    if grid.origin != "measured":
        return "the grid is of simulated data"
    return f"the grid is not of the published protocol ({grid.protocol_deviations})" if grid.protocol_deviations else ""


def _modules(grid: Grid | None) -> list[Check]:
    if reason := _why_no_grid(grid):
        return [Check(None, reason)]
    scored = grid.table[grid.table["status"] == "scored"]
    value = dict(zip(map(tuple, scored[list(PARTS)].to_numpy()), scored["value"], strict=True))
    checks = []
    for team in ("bhi", "unlockdna"):
        # UnlockDNA's head fits its own trainer alone, so under Autosome.org's trainer its network has another head.
        heads = ("bhi",) if team == "bhi" else ("autosome", "bhi")
        own = value.get((team,) * 4)
        lifted = [value[key] for head in heads if (key := ("autosome", team, team, head)) in value]
        if own is None or not lifted:
            checks.append(Check(None, f"the combinations of {team}'s network have no score under both trainers"))
        else:
            text = f"{team}'s network: {max(lifted):.4f} under Autosome.org's trainer, {own:.4f} under its own"
            checks.append(Check(bool(max(lifted) > own), text))
    return checks + [_dominance(value, part) for part in PARTS[1:]]


def _dominance(value: Mapping[tuple, float], part: str) -> Check:
    """Check that no team's module of a part is the best in all settings of the other parts."""
    at = PARTS.index(part)
    settings: dict[tuple, dict[str, float]] = {}
    for key, score in value.items():
        settings.setdefault(key[:at] + key[at + 1 :], {})[key[at]] = score
    best = [max(by_team, key=by_team.__getitem__) for by_team in settings.values() if len(by_team) > 1]
    if len(best) < 2:
        return Check(None, f"{part}: too few combinations differ in it alone")
    team = max(TEAM_TITLES, key=best.count)
    text = f"{part}: {team}'s is the best in {best.count(team)} of {len(best)} settings of the other parts"
    return Check(best.count(team) < len(best), text)


def _converged(grid: Grid | None) -> list[Check]:
    if reason := _why_no_grid(grid):
        return [Check(None, reason)]
    counts = grid.table["status"].value_counts()
    tried = sum(int(counts.get(name, 0)) for name in ("scored", "not converged", "failed"))
    if tried < N_FITTING:
        return [Check(None, f"{tried} of {N_FITTING} combinations were trained")]
    n = int(counts.get("scored", 0))
    return [Check(n == N_CONVERGED and tried == N_FITTING, f"{n} of {tried} converged, {N_CONVERGED} in the paper")]


# claims 6 and 7: sizes, and the challenge


def _sizes(n_params: Mapping[str, int]) -> list[Check]:
    checks = []
    for model, original in ORIGINALS.items():
        if model not in n_params or original not in n_params:
            checks.append(Check(None, f"the parameters of {model} and {original} were not counted"))
            continue
        share = n_params[model] / n_params[original]
        text = f"{model} {n_params[model]:,}, {original} {n_params[original]:,} parameters ({share:.2f} times)"
        checks.append(Check(share <= SIMILAR, text))
    return checks


def _challenge(challenge: Challenge | None) -> list[Check]:
    if challenge is None:
        return [Check(None, "no ranking was given (challenge rank --out FOLDER, then --challenge FOLDER)")]
    if challenge.origin != "measured":
        return [Check(None, "the challenge's test set is simulated")]
    place = challenge.ranking.set_index("submission")["place"]
    references = [name for name in place.index if "reference" in str(name).lower()]
    if len(references) != 1:
        return [Check(None, f"{len(references)} submissions have 'reference' in their name; one must")]
    reference = references[0]
    n = int((place < place[reference]).sum())
    checks = [
        Check(n == N_ABOVE_REFERENCE, f"{n} entries are placed above {reference}, {N_ABOVE_REFERENCE} in the paper")
    ]
    gaps = gaps_to(challenge.scores, reference)
    for subset, published in GAPS.items():
        if subset not in gaps:
            checks.append(Check(None, f"no scores of {subset}"))
            continue
        near = bool(abs(gaps[subset] - published) <= GAP_TOLERANCE)
        checks.append(Check(near, f"{subset}: gap {gaps[subset]:.1f} %, {published:g} % in the paper"))
    if not {"high", "low"} <= set(gaps):
        return [*checks, Check(None, "no scores of high and low")]
    middle = (gaps["high"] + gaps["low"]) / 2
    largest = min(gaps["high"], gaps["low"]) > max(gaps[name] for name in gaps if name not in ("high", "low"))
    text = f"high {gaps['high']:.1f} % and low {gaps['low']:.1f} %, {HIGH_LOW_GAP:g} % in the paper, the largest gaps"
    return [*checks, Check(bool(largest and abs(middle - HIGH_LOW_GAP) <= GAP_TOLERANCE), text)]


def gaps_to(scores: pd.DataFrame, reference: str) -> dict[str, float]:
    """Return (best - reference) / best of Pearson r squared in percent, by subset of the test set.

    The published gaps are those between the best entry and the reference transformer, the worst of the entries that
    Fig. 1f shows: scores of the final submissions give them back to a tenth of a point.
    """
    chosen = scores[(scores["metric"] == "pearson_r") & (scores["subset"] != "challenge")]
    squared = chosen.assign(value=chosen["value"] ** 2).pivot_table(
        index="submission", columns="subset", values="value"
    )
    best = squared.max()
    return (100 * (best - squared.loc[reference]) / best).dropna().to_dict()
