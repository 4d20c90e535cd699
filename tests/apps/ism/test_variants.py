"""In-silico mutagenesis against one mutant at a time, against arithmetic by hand, and against sklearn."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.api.data import TaskSpec
from benchmarks.api.sequences import decode, encode
from benchmarks.apps.ism import model_agreement, variants
from benchmarks.apps.ism.motif_recovery import recovery
from benchmarks.cli.main import app
from benchmarks.engine.execution import machine, schedule
from benchmarks.engine.inference import mutagenesis
from benchmarks.engine.planning import data_sources
from benchmarks.engine.planning.plan import make_plan
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput

pytestmark = pytest.mark.usefixtures("without_plots")

SPEC = TaskSpec(seq_len=12, outputs=("expression",), head="regression")
RNG = np.random.default_rng(3)
WEIGHTS = RNG.normal(size=(12, 5))
TASK = registry.get_task("human_mpra")


class Linear:
    """Adds up a weight per position and base: every effect is a difference of two weights."""

    def predict(self, data):
        return {"expression": WEIGHTS[np.arange(12), data.codes].sum(axis=1).astype(np.float32)}


def test_effects_of_a_linear_model_are_weight_differences():
    codes = RNG.integers(0, 4, (3, 12), dtype=np.uint8)
    of = mutagenesis.effects(Linear(), mutagenesis.of_codes(codes, SPEC))["expression"]
    for row in range(3):
        for at in range(12):
            for i, letter in enumerate("ACGT"):
                code = encode([letter], 1)[0, 0]
                expected = WEIGHTS[at, code] - WEIGHTS[at, codes[row, at]]
                assert of.deltas[row, at, i] == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(of.wild_type, Linear().predict(mutagenesis.of_codes(codes, SPEC))["expression"])


def test_it_equals_writing_every_mutant_as_text():
    codes = RNG.integers(0, 4, (2, 12), dtype=np.uint8)
    of = mutagenesis.effects(Linear(), mutagenesis.of_codes(codes, SPEC))["expression"]
    for row, text in enumerate(decode(codes)):
        for at in range(12):
            for i, letter in enumerate("ACGT"):
                mutant = encode([text[:at] + letter + text[at + 1 :]], 12)
                predicted = Linear().predict(mutagenesis.of_codes(mutant, SPEC))["expression"][0]
                assert of.deltas[row, at, i] == pytest.approx(predicted - of.wild_type[row], abs=1e-5)


def test_n_and_what_is_not_asked_for_stay_open():
    codes = encode(["ACGTNACGTACG"], 12)
    where = np.ones((1, 12), bool)
    where[0, 0] = False
    of = mutagenesis.effects(Linear(), mutagenesis.of_codes(codes, SPEC), where=where)["expression"]
    assert np.isnan(of.deltas[0, [0, 4]]).all()
    assert np.isfinite(np.delete(of.deltas[0], [0, 4], axis=0)).all()
    assert mutagenesis.n_mutants(codes, where) == 30


def test_the_mean_is_over_three_bases_or_four():
    deltas = np.array([[[0.0, 3.0, 6.0, -3.0]]], np.float32)
    assert mutagenesis.position_scores(deltas)[0, 0] == 2.0
    assert mutagenesis.position_scores(deltas, 4)[0, 0] == 1.5
    with pytest.raises(BadInput, match="got 5"):
        mutagenesis.position_scores(deltas, 5)


def test_an_unknown_output_is_named():
    with pytest.raises(BadInput, match="'expresion'"):
        mutagenesis.effects(Linear(), mutagenesis.of_codes(np.zeros((1, 12), np.uint8), SPEC), outputs=["expresion"])


def test_recovery_is_average_precision_and_its_control_base_rate():
    planted = RNG.random((40, 100)) < 0.1
    scores = planted * RNG.normal(size=planted.shape) + 0.3 * RNG.normal(size=planted.shape)
    found = recovery(scores, planted)
    assert found["average_precision"] == average_precision_score(planted.ravel(), np.abs(scores).ravel())
    assert found["base_rate"] == planted.mean()
    assert found["shuffled"] == pytest.approx(planted.mean(), abs=0.03)


def test_agreement_is_pearsons_r():
    one, two = RNG.normal(size=(2, 3, 12))
    table = model_agreement.agreement({"a": {"y": one}, "b": {"y": two}}, ["s", "t", "u"]).set_index("seq_id")
    assert table.loc["t", "pearson_r"] == pytest.approx(np.corrcoef(one[1], two[1])[0, 1])
    assert table.loc[model_agreement.ALL, "pearson_r"] == pytest.approx(np.corrcoef(one.ravel(), two.ravel())[0, 1])


@pytest.mark.parametrize("name", ["human_mpra", "drosophila", "yeast"])
def test_planted_bases_are_covered_by_words_and_are_few(name):
    task = registry.get_task(name)
    data = task.simulate(split=task.SPLITS[0], seed=0)
    planted = task.motif_mask(np.asarray(data.codes[:300]), task.SPEC.outputs[0])
    assert planted.shape == (300, task.SPEC.seq_len)
    assert 0.005 < planted.mean() < 0.4
    runs = np.diff(np.flatnonzero(np.diff(np.r_[0, planted[planted.any(axis=1)][0], 0])))[::2]
    assert (runs >= 4).all()  # no motif is shorter than a word


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A k-mer ridge trained on simulated data, and its folder."""
    store = Store(tmp_path_factory.mktemp("results"))
    found = data_sources.find(TASK, "quick", None, seed=0)
    plan = make_plan(TASK, "quick", found, seed=0, models=["kmer_ridge"], test_folds=[0])
    store.put_dataset(plan.sources[0].dataset)
    schedule.execute(plan, store, machine.Machine("cpu", 0, 1))
    Experiment.begin(plan, store, "command")
    return store, store.training(plan.jobs[0]).folder, plan.sources[0].dataset


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_positions_of_effects_are_those_of_the_given_sequence(trained, tmp_path):
    """Not those of the sequence as the model reads it."""
    _, folder, data = trained
    element = decode(data.codes[:1])[0][15:215]
    (tmp_path / "s.fa").write_text(f">mine\n{element}\n")
    done = call("ism", "--run", folder, "--input", tmp_path / "s.fa", "--out", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "out" / "ism.csv")
    assert table["position"].tolist() == list(range(1, 201))
    assert "".join(table["ref"]) == element
    assert set(table["trained_on"]) == {"simulated"}
    np.testing.assert_allclose(table["score"], table[list("ACGT")].sum(axis=1) / 3, atol=1e-6)
    assert (tmp_path / "out" / "logo-001.png").stat().st_size > 5000


def test_pairs_are_differences_of_predictions(trained, tmp_path):
    _, folder, data = trained
    ref, alt = decode(data.codes[:2])
    pd.DataFrame({"seq_ref": [ref], "seq_alt": [alt], "measured": [0.5]}).to_csv(tmp_path / "p.csv", index=False)
    done = call("ism-pairs", "--run", folder, "--pairs", tmp_path / "p.csv", "--out", tmp_path / "e.csv")
    assert done.exit_code == 0, done.output
    row = pd.read_csv(tmp_path / "e.csv").iloc[0]
    call("predict", "--weights", folder, "--input", _fasta(tmp_path, ref, alt), "--out", tmp_path / "y.tsv")
    y = pd.read_csv(tmp_path / "y.tsv", sep="\t")["prediction"]
    assert row["difference"] == pytest.approx(y[1] - y[0], abs=1e-5)
    assert row["measured"] == 0.5


def _fasta(folder, *texts):
    (folder / "two.fa").write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(texts)))
    return folder / "two.fa"


def test_a_ridge_recovers_the_motifs_it_was_trained_on(trained):
    store, _, _ = trained
    done = call("ism-recovery", "--task", "human_mpra", "--n", 4, "--results", store.root, "--json")
    (row,) = json.loads(done.stdout)
    assert row["average_precision"] > 0.6 > 0.3 > row["shuffled"]
    assert row["origin"] == "simulated"


@pytest.mark.parametrize(
    ("text", "told"), [("", "no sequence"), (">a\nACGT\n", "4 bp"), (">a\n" + "ACGX" * 50 + "\n", "X")]
)
def test_bad_sequences_are_one_sentence(trained, tmp_path, text, told):
    (tmp_path / "bad.fa").write_text(text)
    done = call("ism", "--run", trained[1], "--input", tmp_path / "bad.fa", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert told in done.output
    assert not (tmp_path / "out").exists()


def test_a_table_of_no_known_layout_is_refused(tmp_path):
    (tmp_path / "p.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(BadInput, match="unknown layout of variants"):
        variants.read(tmp_path / "p.tsv")


def test_measured_values_may_be_missing_in_part(trained, tmp_path):
    ref, alt = decode(trained[2].codes[:2])
    table = pd.DataFrame({"seq_ref": [ref, alt], "seq_alt": [alt, ref], "measured": ["", "0.5"]})
    table.to_csv(tmp_path / "p.csv", index=False)
    assert variants.read(tmp_path / "p.csv")["measured"].isna().tolist() == [True, False]


def test_duplicate_names_and_a_file_as_output_are_refused(trained, tmp_path):
    """Before anything is predicted."""
    element = decode(trained[2].codes[:1])[0]
    (tmp_path / "s.fa").write_text(f">one\n{element}\n>one\n{element}\n")
    done = call("ism", "--run", trained[1], "--input", tmp_path / "s.fa", "--out", tmp_path / "out")
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "several sequences named 'one'" in done.output
    done = call("ism", "--run", trained[1], "--input", _fasta(tmp_path, element), "--out", tmp_path / "s.fa")
    assert (done.exit_code, "is a file" in done.output) == (2, True)
    words = ("ism-recovery", "--results", trained[0].root, "--out", tmp_path / "no" / "r.csv")
    assert "does not exist" in call(*words).output


def test_recovery_leaves_out_what_has_no_weights(trained, tmp_path):
    store, _, data = trained
    shutil.copytree(store.root, tmp_path / "results")
    table = pd.DataFrame({"seq_id": data.meta["seq_id"], "prediction": data.targets["expression"]})
    table.to_csv(tmp_path / "mine.csv", index=False)
    words = ("--predictions", tmp_path / "mine.csv", "--name", "theirs", "--results", tmp_path / "results")
    assert call("score", *words).exit_code == 0
    done = call("ism-recovery", "--n", 1, "--results", tmp_path / "results", "--json")
    assert done.exit_code == 0, done.output
    assert [row["model"] for row in json.loads(done.stdout)] == ["kmer_ridge"]
    assert "human_mpra, theirs: it has no weights" in done.stderr
    only = call("ism-recovery", "--models", "theirs", "--results", tmp_path / "results")
    assert (only.exit_code, "nothing to search" in only.output) == (2, True)
