"""Claims 9 to 16 on tables made by hand: gaps, leaders, sizes, trainers, agreement and cost."""

import dataclasses

import pandas as pd
import pytest

from benchmarks.apps.across_tasks import paper_claims, table
from benchmarks.apps.across_tasks.checks import Agreement, Challenge, Evidence
from benchmarks.apps.across_tasks.read_runs import read_agreement, read_challenge
from benchmarks.engine.evaluation import fold_tests
from benchmarks.engine.evaluation.combination_grid import Grid
from benchmarks.errors import BadInput

R2 = {"high": 47, "low": 49, "native": 17.6, "random": 5, "challenging": 17, "SNVs": 14.6}
R2 |= {"motif_perturbation": 6.5, "motif_tiling": 17.7}
RHO = {"high": 30, "low": 30, "native": 9.6, "random": 2.7, "challenging": 9, "SNVs": 9.6}
RHO |= {"motif_perturbation": 4, "motif_tiling": 7}


def evidence(**more):
    across = more.pop("across", pd.DataFrame(columns=table.COLUMNS))
    return Evidence(across, pd.DataFrame(columns=fold_tests.TEST_COLUMNS), **more)


def result(number, **more):
    return paper_claims.evaluate_claims(evidence(**more)).set_index("number").loc[number]


def challenge(r2=R2, rho=RHO, n_others=8, **more):
    """Make a ranking: first, second, others and the reference; gaps are percent of the first one's scores."""
    names = ["first", "second", *[f"other {i}" for i in range(n_others)], "reference"]
    rows = []
    for subset in R2:
        worst = {"pearson_r": (1 - r2[subset] / 100) ** 0.5, "spearman_rho": 1 - rho[subset] / 100}
        for metric, low in worst.items():
            shares = {"first": 1, "reference": low, "second": (3 + low) / 4}
            rows += [
                {"submission": name, "subset": subset, "metric": metric, "value": 0.9 * shares.get(name, (1 + low) / 2)}
                for name in names
            ]
    ranking = pd.DataFrame({"submission": names, "place": range(1, len(names) + 1)})
    return Challenge("measured", ranking, pd.DataFrame(rows), **more)


def test_the_same_two_lead_every_subset():
    made = challenge()
    assert result(9, challenge=made)["verdict"] == "holds"
    assert "All 16 checks agree" in result(9, challenge=made)["reason"], "eight subsets, two correlations"
    scores = made.scores.copy()
    third = (scores["submission"] == "other 3") & (scores["subset"] == "SNVs") & (scores["metric"] == "spearman_rho")
    scores.loc[third, "value"] = 0.95
    other = result(9, challenge=dataclasses.replace(made, scores=scores))
    assert other["verdict"] == "does not hold"
    assert "1 of 16 checks contradict it: SNVs spearman_rho: other 3 and first lead" in other["reason"]
    missing = dataclasses.replace(made, scores=scores[scores["subset"] != "low"])
    assert result(9, challenge=missing)["verdict"] == "does not hold", "what contradicts, contradicts"
    missing = dataclasses.replace(made, scores=made.scores[made.scores["subset"] != "low"])
    assert result(9, challenge=missing)["verdict"] == "not testable"


def test_the_winner_is_the_smallest_of_ten():
    sizes = {"first": 1_850_000, "second": 6_900_000} | {f"other {i}": 2_000_000 + i for i in range(8)}
    assert result(10, challenge=challenge(n_params=sizes))["verdict"] == "holds"
    smaller = challenge(n_params=sizes | {"other 4": 1_000_000, "reference": 10})
    found = result(10, challenge=smaller)
    assert found["verdict"] == "does not hold"
    assert "first has 1,850,000 parameters, the smallest of the others, other 4, 1,000,000" in found["reason"]
    outside = challenge(n_params=sizes | {"reference": 10})  # place 11
    assert result(10, challenge=outside)["verdict"] == "holds"
    del sizes["other 2"]
    unknown = result(10, challenge=challenge(n_params=sizes))
    assert unknown["verdict"] == "not testable"
    assert "the parameters of other 2 are unknown; give them in parameters.csv" in unknown["reason"]
    assert "the claim is of the first 10" in result(10, challenge=challenge(n_others=3))["reason"]


@pytest.mark.parametrize(
    ("number", "r2", "rho", "expected"),
    [
        (11, {}, {}, "holds"),
        (11, {"random": 6.1}, {}, "does not hold"),  # 1.1 points off
        (11, {}, {"native": 2.0}, "does not hold"),
        (12, {}, {"motif_tiling": 7.9}, "holds"),
        (12, {}, {"motif_tiling": 8.1}, "does not hold"),
        (12, {"motif_tiling": 60}, {}, "holds"),  # r squared has no part in it
        (13, {}, {}, "holds"),  # medians 48 and (14.6 + 17) / 2 = 15.8
        (13, {"challenging": 30}, {}, "holds"),  # (14.6 + 17.6) / 2 = 16.1
        (13, {"challenging": 30, "SNVs": 20}, {}, "does not hold"),  # (17.6 + 17.7) / 2 = 17.65
        (13, {"high": 44}, {}, "does not hold"),  # (44 + 49) / 2 = 46.5
    ],
)
def test_gaps_are_set_beside_the_published(number, r2, rho, expected):
    assert result(number, challenge=challenge(R2 | r2, RHO | rho))["verdict"] == expected


def test_claims_on_the_challenge_need_its_real_test_set():
    for number in range(9, 14):
        assert "--challenge FOLDER" in result(number)["reason"]
        simulated = dataclasses.replace(challenge(), origin="simulated")
        assert result(number, challenge=simulated)["reason"] == "the challenge's test set is simulated."
    nameless = challenge()
    ranking = nameless.ranking.replace({"reference": "baseline"})
    for number in (11, 12, 13):
        reason = result(number, challenge=dataclasses.replace(nameless, ranking=ranking))["reason"]
        assert reason.startswith("0 submissions have 'reference'")


def grid(scores, **more):
    """Make a grid of one network, block b first and c in the core; `scores` is (trainer, final block) -> value."""
    rows = [
        {"processor": p, "first": "b", "core": "c", "final": f, "value": value, "status": "scored"}
        for (p, f), value in scores.items()
    ]
    about = {"task": "yeast", "origin": "measured", "protocol_deviations": ""} | more
    return Grid(table=pd.DataFrame(rows), **about)


SCORES = {("autosome", "autosome"): 0.5, ("autosome", "bhi"): 0.8, ("bhi", "bhi"): 0.7, ("unlockdna", "unlockdna"): 0.6}


@pytest.mark.parametrize(
    ("changes", "expected", "told"),
    [
        ({}, "holds", "All 2 checks agree"),
        ({("bhi", "bhi"): 0.9}, "does not hold", "core of c: 0.8000 under Autosome.org's trainer, 0.9000 under bhi's"),
        ({("unlockdna", "unlockdna"): None}, "not testable", "trainers of both autosome and unlockdna"),
    ],
)  # fmt: skip
def test_soft_classes_help_a_network_under_each_trainer(changes, expected, told):
    scores = {key: value for key, value in (SCORES | changes).items() if value is not None}
    found = result(14, grid=grid(scores))
    assert found["verdict"] == expected
    assert told in found["reason"]
    assert result(14, grid=grid(scores, origin="simulated"))["reason"] == "the grid is of simulated data."


def agreement(correlations=(0.9, 0.8, 0.7), origins=None):
    pairs = [("dream_cnn", "dream_rnn"), ("dream_attn", "dream_cnn"), ("dream_rnn", "dream_attn")]
    rows = [
        {"output": "expression", "model": a, "other": b, "seq_id": seq_id, "n_positions": 10, "pearson_r": r}
        for (a, b), r in zip(pairs, correlations, strict=True)
        for seq_id in ("all sequences", "YOL101C")
    ]
    models = dict.fromkeys(("dream_cnn", "dream_rnn", "dream_attn"), "measured")
    return Agreement(models if origins is None else models | origins, pd.DataFrame(rows))


def test_dream_models_agree_from_a_correlation_on():
    assert "All 3 checks agree" in result(15, agreement=agreement())["reason"], "one row a pair, not one a sequence"
    fails = result(15, agreement=agreement((0.9, 0.69, 0.7)))
    assert fails["verdict"] == "does not hold"
    assert "dream_cnn and dream_attn, expression: r 0.690" in fails["reason"]
    assert "trained on simulated data" in result(15, agreement=agreement(origins={"dream_cnn": "simulated"}))["reason"]
    without = dataclasses.replace(agreement(), origins={"dream_cnn": "measured"})
    assert "not of dream_rnn, dream_attn" in result(15, agreement=without)["reason"]
    assert "--ism FOLDER" in result(15)["reason"]


def costs(seconds, rates, *, width=1.0, scores=(0.5, 0.6, 0.7, 0.8)):
    """Make evidence of four models on three tasks, all with the same scores and speeds."""
    models = ("deepstarr", "dream_cnn", "dream_attn", "dream_rnn")
    cells = {"drosophila": ("S2", "dev"), "human_mpra": ("K562", "expression"), "atac": ("GM12878", "log_counts")}
    across = pd.DataFrame(
        [
            {"task": task, "dataset": dataset, "output": output, "origin": "measured", "departures": ""}
            | {"kind": "model", "model": model, "mean": score, "better": "higher"}
            for task, (dataset, output) in cells.items()
            for model, score in zip(models, scores, strict=True)
        ]
    ).reindex(columns=table.COLUMNS)
    values = {"seconds_per_training_batch": seconds, "predictions_per_second": rates}
    speed = [
        {
            "task": task,
            "model": model,
            "quantity": quantity,
            "is_published": choice == "published",
            "value": value * factor,
        }
        | {"width_scale": width, "device_name": "V100"}
        for task in cells
        for quantity, of_models in values.items()
        for model, value in zip(models, of_models, strict=True)
        for choice, factor in (("published", 1), ("fastest", -1))
        if (quantity, choice) != ("seconds_per_training_batch", "fastest")
    ]
    return {"across": across, "speed": pd.DataFrame(speed)}


def test_better_models_cost_more_by_the_order_of_both():
    # Of the six pairs of models five have the same order by score and by time: tau = (5 - 1) / 6.
    found = result(16, **costs([1, 3, 2, 4], [9, 8, 7, 6]))
    assert found["verdict"] == "holds"
    assert "drosophila seconds_per_training_batch: tau +0.67 over 4 models (V100)" in found["numbers"]
    assert "atac predictions_per_second: tau -1.00" in found["numbers"]
    fails = result(16, **costs([1, 2, 3, 4], [1, 2, 3, 4]))
    assert fails["verdict"] == "does not hold"
    assert "3 of 6 checks contradict it" in fails["reason"]
    narrow = result(16, **costs([1, 2, 3, 4], [4, 3, 2, 1], width=0.1))
    assert "no speeds of full-size networks" in narrow["reason"]
    assert "--speed FOLDER" in result(16)["reason"]
    few = costs([1, 2, 3, 4], [4, 3, 2, 1])
    few["speed"] = few["speed"][few["speed"]["model"].isin(["dream_cnn", "dream_rnn"])]
    assert "2 models have both a score and seconds_per_training_batch; it takes 3" in result(16, **few)["reason"]


def test_an_order_of_losses_runs_the_other_way():
    made = costs([1, 2, 3, 4], [4, 3, 2, 1], scores=(0.8, 0.7, 0.6, 0.5))
    assert result(16, **made)["verdict"] == "does not hold"
    made["across"]["better"] = "lower"
    assert result(16, **made)["verdict"] == "holds"


def test_every_claim_has_a_rule_and_an_outcome():
    claims = paper_claims.evaluate_claims(evidence())
    assert claims["number"].tolist() == list(range(1, 17))
    assert claims["rule"].str.len().min() > 10
    assert set(claims["verdict"].drop(index=5)) == {"not testable"}


def test_folders_of_other_commands_are_read(tmp_path):
    made = challenge()
    for name in ("ranking", "scores"):
        getattr(made, name).assign(origin="measured").to_csv(tmp_path / f"{name}.csv", index=False)
    assert read_challenge(tmp_path).n_params == {}
    (tmp_path / "parameters.csv").write_text("submission,n_params\nfirst,1852846\nsecond,6875137\n")
    assert read_challenge(tmp_path).n_params == {"first": 1_852_846, "second": 6_875_137}
    (tmp_path / "parameters.csv").write_text("submission,n_params\nfirst,1.8M\n")
    with pytest.raises(BadInput, match=r"line 2, column 'n_params': a whole number expected, got '1\.8M'"):
        read_challenge(tmp_path)
    with pytest.raises(BadInput, match=r"agreement\.csv is missing; fill the folder by `ism --run"):
        read_agreement(tmp_path)
    agreement().table.to_csv(tmp_path / "agreement.csv", index=False)
    positions = {"model": ["dream_cnn", "dream_cnn", "dream_rnn"], "trained_on": ["measured"] * 2 + ["simulated"]}
    pd.DataFrame(positions).to_csv(tmp_path / "ism.csv", index=False)
    assert read_agreement(tmp_path).origins == {"dream_cnn": "measured", "dream_rnn": "simulated"}
