"""Check the claims of the paper: each holds, does not hold or is not testable, with reason and numbers.

Source: Rafi et al. 2024 (doi 10.1038/s41587-024-02414-w), Results. A claim is a list of checks: one that fails refutes
it, one that cannot be made leaves it open. Only measured data, the published protocol and full-size networks are
evidence on biology; parameters are counted on the networks themselves.
"""

from collections.abc import Mapping

import pandas as pd

from benchmarks.api.prix_fixe import PARTS, TEAM_TITLES
from benchmarks.apps.across_tasks import challenge_claims, model_claims
from benchmarks.apps.across_tasks.checks import Check, Evidence, combine_checks
from benchmarks.engine.evaluation.combination_grid import Grid

COLUMNS = ["number", "claim", "rule", "verdict", "reason", "numbers"]
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
    9: "The same two entries are first and second in every subset of the test set.",
    10: "The winner of the challenge has the fewest parameters of the top ten.",
    11: "Models differ more on native sequences than on random ones: gaps of 17.6 and 5.0 % in Pearson r squared, 9.6 "
    "and 2.7 % in Spearman rho.",
    12: "The gaps in Spearman rho are 4 % for motif perturbation, 7 % for motif tiling and 9.6 % for SNVs.",
    13: "The median gap in Pearson r squared is about 48 % for high and low expression and 16 % for the other subsets.",
    14: "Learning expression as soft classes helps: every network does better under Autosome.org's data processor and "
    "trainer than under another.",
    15: "The three DREAM models agree on which bases of yeast promoters matter.",
    16: "Better models cost more: they take longer per training batch and make fewer predictions per second.",
}
RULES = {
    1: "mean difference over test folds above 0, every task and output, against each other DREAM model",
    2: "mean difference over test folds above 0, each DREAM model and programme",
    3: "mean difference over test folds above 0, the exception aside, and mean gaps that rise with the training rows",
    4: "sign of the mean difference over test folds; level: P of the paired t-test not below 0.05",
    5: "both networks score higher under Autosome.org's trainer, and no block is the best in all settings",
    6: "at most 1.1 times the parameters of the original",
    7: "exact count; each gap within one percentage point; gaps of high and low above all others",
    8: "exact counts",
    9: "in each of the eight subsets, by Pearson r and by Spearman rho, the best two scores are of places 1 and 2",
    10: "parameters of place 1 below those of places 2 to 10",
    11: "gap of native above gap of random by both correlations; each gap within one percentage point",
    12: "each gap within one percentage point",
    13: "each median over subsets within one percentage point",
    14: "for each first and core block, its best score over final blocks under Autosome.org's trainer above "
    "that under each other trainer",
    15: "Pearson r of the position scores of all sequences at least 0.7 for each two of the models, trained on "
    "measured yeast data",
    16: "per task, Kendall's tau over the models is above 0 between mean score and median seconds per batch, and below "
    "0 between mean score and median predictions per second at the largest batch that fits",
}
SIMILAR = 1.1
"""Parameters of an optimised model over those of the original that still count as about as many."""
N_CONVERGED, N_FITTING = 41, 45
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
        7: challenge_claims.above_reference(evidence.challenge),
        8: _converged(evidence.grid),
        9: challenge_claims.same_two_lead(evidence.challenge),
        10: challenge_claims.winner_is_smallest(evidence.challenge),
        11: challenge_claims.native_differs_more(evidence.challenge),
        12: challenge_claims.rho_gaps(evidence.challenge),
        13: challenge_claims.median_gaps(evidence.challenge),
        14: _soft_classes(evidence.grid),
        15: model_claims.dream_models_agree(evidence.agreement),
        16: model_claims.better_costs_more(evidence),
    }
    rows = [
        {"number": n, "claim": CLAIMS[n], "rule": RULES[n]} | combine_checks(of_claim) for n, of_claim in checks.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


# claims 5, 8 and 14: combinations


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


def _soft_classes(grid: Grid | None) -> list[Check]:
    if reason := _why_no_grid(grid):
        return [Check(None, reason)]
    scored = grid.table[grid.table["status"] == "scored"]
    # A final block belongs to a way of learning, so that a network is its first and core block.
    best = scored.groupby(["first", "core", "processor"])["value"].max()
    checks = []
    for first, core in dict.fromkeys((first, core) for first, core, _ in best.index):
        for trainer in [name for name in TEAM_TITLES if name != "autosome"]:
            network = f"first block of {first}, core of {core}"
            if not {(first, core, "autosome"), (first, core, trainer)} <= set(best.index):
                checks.append(Check(None, f"{network}: no score under the trainers of both autosome and {trainer}"))
                continue
            soft, own = best[first, core, "autosome"], best[first, core, trainer]
            text = f"{network}: {soft:.4f} under Autosome.org's trainer, {own:.4f} under {trainer}'s"
            checks.append(Check(bool(soft > own), text))
    return checks or [Check(None, "no combination has a score")]


# claim 6: sizes


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
