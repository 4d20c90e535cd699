"""The tutorial from reads to the scores of a designed set, command by command."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from benchmarks.yeast import simulate, test_set
from benchmarks.yeast.task import CONSTRUCT
from tests.helpers import documented


@pytest.mark.skipif(not shutil.which("bowtie2"), reason="reads are aligned by bowtie2, which is not installed")
@pytest.mark.slow
def test_the_whole_circle_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = documented.run("tutorial.md")
    assert len(printed) == 15
    *_, text, last = printed.values()
    scored = json.loads(last)
    assert text.startswith("SIMULATED DATA")
    assert scored["origin"] == "simulated"

    # labels of the first round are near what the simulation says, and the ridge has learnt something of them
    labels = pd.read_csv("data/mylab/train.txt", sep="\t", header=None, names=["sequence", "expression"])
    truth = pd.read_csv("sim/random/truth.tsv.gz", sep="\t", comment="#").set_index("sequence")["true_expression"]
    both = labels.join(truth, on="sequence", how="inner")
    assert len(both) > 0.99 * len(labels)  # a few are misread, and nobody can know
    assert np.corrcoef(both["expression"], both["true_expression"])[0, 1] > 0.9

    # the second round measured what was designed
    test = test_set.read(tmp_path / "data" / "round2")
    ordered = pd.read_csv("to_order/oligos.tsv", sep="\t").set_index("sequence")
    true = simulate.expression(CONSTRUCT.inserts(ordered.loc[list(test.sequences), "insert"].tolist()))
    assert np.corrcoef(test.y_true, true)[0, 1] > 0.9
    assert {"challenging", "random"} <= set(test.singles)
    ours = pd.read_csv("kmer_ridge.txt", sep="\t", header=None)
    rows = test.singles["challenging"]
    r = np.corrcoef(test.y_true[rows], ours[1].to_numpy()[rows])[0, 1]
    found = next(row for row in scored["scores"] if (row["subset"], row["metric"]) == ("challenging", "pearson_r"))
    assert found["value"] == pytest.approx(r)
