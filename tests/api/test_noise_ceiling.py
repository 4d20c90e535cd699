"""Attainable correlations from replicates, against a simulation whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.api import noise_ceiling
from benchmarks.errors import BadInput
from benchmarks.human_mpra import prepare

RNG = np.random.default_rng(11)


@pytest.mark.parametrize(("k", "noise"), [(2, 0.7), (3, 1.5)])
def test_the_ceiling_is_what_the_truth_itself_reaches(k, noise):
    truth = RNG.normal(size=50_000)
    replicates = truth[:, None] + noise * RNG.normal(size=(50_000, k))
    value, basis = noise_ceiling.from_replicates(replicates)
    assert value == pytest.approx(np.corrcoef(truth, replicates.mean(axis=1))[0, 1], abs=0.01)
    assert value == pytest.approx(np.sqrt(1 / (1 + noise**2 / k)), abs=0.01)
    assert f"between {k} replicates (50,000 sequences)" in basis


def test_rows_with_a_missing_replicate_do_not_count():
    values = RNG.normal(size=(20, 1)) + 0.3 * RNG.normal(size=(20, 2))
    r = np.corrcoef(values.T)[0, 1]
    with_gap = np.vstack([values, [[5.0, np.nan]]])
    value, basis = noise_ceiling.from_replicates(with_gap)
    assert value == pytest.approx(np.sqrt(2 * r / (1 + r)))
    assert "20 sequences" in basis


def test_no_ceiling_without_replicates_or_agreement():
    x = RNG.normal(size=(30, 1))
    assert noise_ceiling.from_replicates(x) is None
    assert noise_ceiling.from_replicates(np.hstack([x, -x])) is None
    assert noise_ceiling.from_replicates(np.hstack([x, x])[:2]) is None


def test_replicates_are_told_by_their_names():
    names = ["rep1", "rep_2", "Replicate 3", "report", "rep", "mean_value", "dev_rep1"]
    assert noise_ceiling.replicate_columns(names) == ["rep1", "rep_2", "Replicate 3"]
    assert noise_ceiling.replicate_columns(names, "dev_") == ["dev_rep1"]


def table_file(folder, cell="0.5"):
    elements = ["".join(row) for row in RNG.choice(list("ACGT"), size=(40, 200))]
    truth = RNG.normal(size=40)
    first, second = truth + 0.2 * RNG.normal(size=(2, 40))
    frame = pd.DataFrame({"seq": elements, "mean_value": (first + second) / 2, "rep1": first, "rep2": second})
    frame = frame.astype({"rep2": object})
    frame.loc[3, "rep2"] = cell
    frame.to_csv(folder / "mine.tsv", sep="\t", index=False)
    return folder / "mine.tsv", first, second


def test_a_table_with_replicates_brings_its_ceiling(tmp_path):
    path, first, second = table_file(tmp_path, cell="")
    (row,) = prepare.read(path, "mine").ceilings
    keep = np.arange(40) != 3
    r = np.corrcoef(first[keep], second[keep])[0, 1]
    assert (row["output"], row["level"], row["metric"]) == ("expression", "row", "pearson_r")
    assert row["value"] == pytest.approx(np.sqrt(2 * r / (1 + r)), abs=1e-6)


def test_a_replicate_that_is_no_number_is_named(tmp_path):
    path, _, _ = table_file(tmp_path, cell="high")
    with pytest.raises(BadInput, match="line 5, column 'rep2': a finite number expected, got 'high'"):
        prepare.read(path, "mine")
