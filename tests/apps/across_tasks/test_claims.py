"""The paper's claims on tables made by hand, and what counts as the published protocol."""

import dataclasses

import pandas as pd
import pytest

from benchmarks import registry
from benchmarks.apps.across_tasks import challenge_claims, paper_claims, table
from benchmarks.apps.across_tasks.checks import Challenge, Evidence
from benchmarks.engine.evaluation.combination_grid import Grid
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import make_plan
from benchmarks.engine.planning.protocol_deviations import protocol_deviations

TASK = registry.get_task("drosophila")


def evidence(gains, *, departures="", origin="measured", **more):
    """Drosophila with three DREAM models; `gains` is (model, rival) -> mean difference."""
    models = ("dream_cnn", "dream_rnn", "dream_attn", "deepstarr")
    place = {"task": "drosophila", "dataset": "S2", "output": "dev", "origin": origin}
    across = pd.DataFrame(
        [place | {"model": model, "departures": departures, "preset": "paper"} for model in models]
    ).reindex(columns=table.COLUMNS)
    tests = pd.DataFrame(
        [
            place
            | {"model": model, "baseline": rival, "mean_difference": gain, "better": "higher", "n_folds": 5}
            | {"p_value": 0.01, "p_corrected": 0.1}
            for (model, rival), gain in gains.items()
        ]
    )
    return Evidence(across, tests, **more)


BEATEN = {("dream_cnn", "deepstarr"): 0.02, ("dream_rnn", "deepstarr"): 0.04, ("dream_attn", "deepstarr"): 0.01}


def verdict(number, found):
    return paper_claims.evaluate_claims(found).set_index("number").loc[number]


def test_a_claim_holds_falls_or_stays_open_by_its_checks():
    holds = verdict(2, evidence(BEATEN))
    assert holds["verdict"] == "holds"
    assert "All 3 checks agree. Of 3 differences, 3 have P < 0.05" in holds["reason"]
    assert "0 by the corrected one" in holds["reason"]
    fails = verdict(2, evidence(BEATEN | {("dream_attn", "deepstarr"): -0.01}))
    assert fails["verdict"] == "does not hold"
    assert "1 of 3 checks contradict it: drosophila S2 dev: dream_attn − deepstarr -0.0100" in fails["reason"]
    missing = {pair: gain for pair, gain in BEATEN.items() if pair[0] != "dream_attn"}
    assert verdict(2, evidence(missing))["verdict"] == "not testable"
    # A test of the rival against the model says the same with the other sign.
    turned = {(rival, model): -gain for (model, rival), gain in BEATEN.items()}
    assert verdict(2, evidence(turned))["verdict"] == "holds"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"origin": "simulated"}, "simulated data"),
        ({"departures": "epochs 1 instead of 80"}, "epochs 1 instead of 80"),
        ({"departures": "preset quick"}, "preset quick"),
    ],
)
def test_only_published_protocol_on_measured_data_is_evidence(more, told):
    found = verdict(2, evidence(BEATEN, **more))
    assert found["verdict"] == "not testable"
    assert told in found["reason"]


def test_what_departs_from_the_published_protocol_is_named():
    simulated = data_sources.find(TASK, "quick", None, seed=0)[0]
    source = dataclasses.replace(simulated, name="S2", dataset=dataclasses.replace(simulated.dataset, notes=()))

    def said(model="dream_cnn", preset="paper", at=source, splits=None, changes=()):
        planned = make_plan(TASK, preset, [source], seed=0, models=[model], changes=changes)
        return protocol_deviations(TASK, planned, model, at, TASK.protocol() if splits is None else splits)

    assert said() == []
    assert said("deepstarr") == []
    assert said(preset="quick") == ["preset quick"]
    assert said(changes=["recipe.epochs=1", "dream_cnn.width_scale=0.5"]) == [
        "epochs 1 instead of 80",
        "width_scale 0.5 instead of 1.0",
    ]
    assert said(splits=TASK.protocol()[:10]) == ["40 of 50 trainings are missing"]
    assert said(at=dataclasses.replace(source, name="flies")) == ["table flies"]
    strict = TASK.simulate(split="strict", seed=0)
    assert said(at=dataclasses.replace(source, dataset=strict))[0].startswith("--split strict")


def grid(statuses, **more):
    rows = [{"processor": "a", "first": "b", "core": "c", "final": "d", "value": 0.5, "status": s} for s in statuses]
    about = {"task": "yeast", "origin": "measured", "protocol_deviations": ""} | more
    return Grid(table=pd.DataFrame(rows), **about)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (grid(["scored"] * 41 + ["not converged"] * 4), "holds"),
        (grid(["scored"] * 45), "does not hold"),
        (grid(["scored"] * 41), "not testable"),
        (grid(["scored"] * 41 + ["failed"] * 4, origin="simulated"), "not testable"),
        (grid(["scored"] * 41 + ["failed"] * 4, protocol_deviations="preset quick"), "not testable"),
        (None, "not testable"),
    ],
)
def test_combinations_that_converge_are_counted(found, expected):
    assert verdict(8, evidence(BEATEN, grid=found))["verdict"] == expected


def test_parameters_are_compared_with_the_originals():
    sizes = {"dream_cnn": 10, "dream_rnn": 20, "dream_attn": 30}
    originals = {"originals.autosome": 10, "originals.bhi": 25, "originals.unlockdna": 300}
    assert verdict(6, evidence(BEATEN, n_params=sizes | originals))["verdict"] == "holds"
    larger = sizes | originals | {"dream_cnn": 20}
    assert verdict(6, evidence(BEATEN, n_params=larger))["verdict"] == "does not hold"


def test_gaps_of_the_challenge_are_of_squared_correlations():
    subsets = {"high": 0.5, "low": 0.5, **{name: (100 - gap) / 100 for name, gap in challenge_claims.GAPS.items()}}
    subsets |= {"high": 0.52, "low": 0.52}
    scores = [
        {"submission": name, "subset": subset, "metric": "pearson_r", "value": 0.9 * (share**0.5 if last else 1)}
        for name, last in (("best", False), ("reference", True))
        for subset, share in subsets.items()
    ]
    ranking = [{"submission": f"team {i}", "place": i + 1} for i in range(19)] + [
        {"submission": "reference", "place": 20}
    ]
    found = Challenge("measured", pd.DataFrame(ranking), pd.DataFrame(scores))
    assert challenge_claims.gaps_to(found.scores, "reference")["native"] == pytest.approx(17.6)
    assert verdict(7, evidence(BEATEN, challenge=found))["verdict"] == "holds"
    fewer = dataclasses.replace(found, ranking=found.ranking.iloc[1:])
    assert verdict(7, evidence(BEATEN, challenge=fewer))["verdict"] == "does not hold"
