"""`predict`: files of sequences in any shape, from published weights and from trainings, in pieces that join up."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.api import yeast_plasmid
from benchmarks.api.sequences import decode
from benchmarks.cli.main import app
from benchmarks.engine.execution import machine, schedule
from benchmarks.engine.inference import predict_file
from benchmarks.engine.inference.mutagenesis import of_codes
from benchmarks.engine.planning import data_sources, plan
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training import Training
from benchmarks.errors import BadInput
from benchmarks.io import sequence_files
from benchmarks.yeast import simulate
from dream_models import published
from dream_models.prixfixe import combine
from dream_models.prixfixe.combinations import read_combination

RNG = np.random.default_rng(0)
PROMOTERS = [
    yeast_plasmid.LEFT_ADAPTER + "".join(RNG.choice(list("ACGT"), width)) + yeast_plasmid.RIGHT_ADAPTER
    for width in (80, 79, 80, 81, 80)
]


def call(*words):
    result = CliRunner().invoke(app, ["predict", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights as the archive has them: <code>/model_best.pth."""
    folder = tmp_path_factory.mktemp("weights")
    for code in ("0_1_1_0", "0_0_0_1", "1_1_0_1", "2_2_2_2", "0_2_0_0"):
        torch.manual_seed(0)
        combination = read_combination(code)
        recipe = combination.recipe()
        net = combine.network(combination, published.SPECS["yeast"], recipe)
        (folder / code).mkdir()
        torch.save(net.state_dict(), folder / code / "model_best.pth")
    return folder


def expected(net, sequences):
    """Both orientations one-hot in A, G, C, T by hand, through the network one by one; their means."""
    found = []
    for sequence in sequences:
        text = (yeast_plasmid.PLASMID_LEFT + sequence[17:])[-150:]
        strands = [text, text[::-1].translate(str.maketrans("ACGT", "TGCA"))]
        x = np.zeros((2, 6, 150), dtype=np.float32)
        for i, strand in enumerate(strands):
            x[i, ["AGCT".index(base) for base in strand], range(150)] = 1
            x[i, 4] = i
        with torch.no_grad():
            found.append(float(np.mean([net(torch.from_numpy(x[i : i + 1])).item() for i in range(2)])))
    return found


def test_published_weights_predict_the_mean_of_both_strands(weights, tmp_path):
    (tmp_path / "s.txt").write_text("\n".join(PROMOTERS) + "\n")
    code, out, _ = call("--weights", weights / "0_1_1_0", "--input", tmp_path / "s.txt", "--out", tmp_path / "p.tsv")
    assert code == 0
    assert "DREAM-RNN (yeast): 5 sequences" in out
    table = pd.read_csv(tmp_path / "p.tsv", sep="\t")
    assert table["seq_id"].tolist() == [0, 1, 2, 3, 4]
    net = published.load_published(weights / "0_1_1_0" / "model_best.pth")
    np.testing.assert_allclose(table["prediction"], expected(net, PROMOTERS), atol=1e-4)


@pytest.mark.parametrize("code", ["0_0_0_1", "1_1_0_1", "2_2_2_2", "0_2_0_0"])
def test_any_combination_of_the_archive_is_told_and_predicts(weights, code):
    found = published.read(weights / code)
    assert (found.combination.code, found.variant) == (code, "yeast")
    fitted = published.load_model(found)
    data = of_codes(yeast_plasmid.construct(PROMOTERS), published.SPECS["yeast"])
    assert np.isfinite(fitted.predict(data)["expression"]).all()


def test_weights_of_another_combination_are_refused(weights, tmp_path):
    (tmp_path / "0_1_0_0").mkdir()
    target = tmp_path / "0_1_0_0" / "model_best.pth"
    target.write_bytes((weights / "0_1_1_0" / "model_best.pth").read_bytes())
    with pytest.raises(ValueError, match=r"folder named 0_1_0_0, but its state dict is that of 0_1_1_0"):
        published.load_published(target)


def test_the_archive_itself_names_a_folder_to_choose(weights):
    with pytest.raises(FileNotFoundError, match=r"5 folders that may, e\.g\. .*0_0_0_1"):
        published.load_published(weights)


@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        ("s.fa", "".join(f">p{i} about\n{s[:60]}\n{s[60:]}\n" for i, s in enumerate(PROMOTERS)), "p0 p1 p2 p3 p4"),
        ("s.tsv", "seq_id\tseq\n" + "".join(f"p{i}\t{s}\n" for i, s in enumerate(PROMOTERS)), "p0 p1 p2 p3 p4"),
        ("s.csv", "sequence,x\n" + "".join(f"{s},1\n" for s in PROMOTERS), "0 1 2 3 4"),
        ("s.txt", "".join(f"{s}\t11.0\r\n" for s in PROMOTERS) + "\n", "0 1 2 3 4"),
        ("s.txt", "\n\nseq\n" + "\n".join(PROMOTERS), "0 1 2 3 4"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_every_shape_of_file_gives_the_same_sequences(tmp_path, name, text, ids, zipped):
    file = tmp_path / (f"{name}.gz" if zipped else name)
    file.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    pieces = list(sequence_files.read_pieces(file, n=2))
    assert [len(piece.ids) for piece in pieces] == [2, 2, 1]
    assert [name for piece in pieces for name in piece.ids] == ids.split()
    assert [sequence for piece in pieces for sequence in piece.sequences] == PROMOTERS


def test_the_strand_of_a_row_is_read_from_its_column(tmp_path):
    (tmp_path / "s.tsv").write_text(f"seq\tis_reverse\n{PROMOTERS[0]}\t1\n{PROMOTERS[1]}\t0\n")
    (piece,) = sequence_files.read_pieces(tmp_path / "s.tsv")
    assert piece.is_reverse == [1, 0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no sequence"),
        (b"seq\tis_reverse\nACGT\n", "line 2: 2 columns expected as in the first line, got 1"),
        (b"\n\nseq\tis_reverse\nACGT\n", "line 4: 2 columns expected as in the first line, got 1"),
        (bytes(range(256)), "binary file"),
        (gzip.compress(PROMOTERS[0].encode() * 9, mtime=0)[:-12], "truncated gzip"),
    ],
    ids=["empty", "short row", "short row below blank lines", "binary", "cut gzip"],
)
def test_files_without_sequences_are_refused(tmp_path, content, says):
    (tmp_path / "s.tsv").write_bytes(content)
    with pytest.raises(BadInput, match=says):
        list(sequence_files.read_pieces(tmp_path / "s.tsv"))


def test_a_bad_sequence_is_named_by_line_and_nothing_is_left(weights, tmp_path):
    (tmp_path / "s.fa").write_text(f">a\n{PROMOTERS[0]}\n>b\nACGU\n")
    words = ["--weights", weights / "0_1_1_0", "--input", tmp_path / "s.fa", "--out", tmp_path / "p.tsv"]
    code, _, err = call(*words)
    assert code == 2
    assert "line 3 ('b'): length 30 to 150 expected, got 4" in err
    assert [path.name for path in tmp_path.iterdir()] == ["s.fa"]
    code, _, err = call(*words[:-1], tmp_path / "absent" / "p.tsv")
    assert code == 2
    assert "there is no folder" in err


def test_a_training_of_this_benchmark_predicts_what_it_stored(tmp_path, monkeypatch):
    task = registry.get_task("yeast")
    monkeypatch.setattr(task, "N_SIMULATED", 300)
    monkeypatch.setattr(simulate, "SIZES", dict.fromkeys(simulate.SIZES, 12))
    for name in ("N_SNVS", "N_PERTURBED", "N_TILED"):
        monkeypatch.setattr(simulate, name, 30)
    found = data_sources.find(task, "quick", None, seed=0)
    small = found[0]
    planned = plan.make_plan(
        task, "quick", [small], seed=0, models=["dream_cnn"], n_members=1,
        changes=["recipe.epochs=1", "recipe.width_scale=0.03", "recipe.batch_size=128"],
    )  # fmt: skip
    store = Store(tmp_path)
    store.put_dataset(small.dataset)
    schedule.execute(planned, store, machine.Machine("cpu", 0, 1))
    folder = store.training(planned.jobs[0]).folder
    rows, stored = Training(folder).predictions()
    text = [sequence[40:] for sequence in decode(small.dataset.codes[rows])]
    (tmp_path / "s.txt").write_text("\n".join(text))
    code, out, err = call("--weights", folder, "--input", tmp_path / "s.txt", "--out", tmp_path / "p.tsv.gz", "--json")
    assert code == 0, err
    assert json.loads(out)["n"] == len(rows)
    predicted = pd.read_csv(tmp_path / "p.tsv.gz", sep="\t")["prediction"]
    np.testing.assert_allclose(predicted, stored["expression"], atol=1e-5)
    (folder / "model.pth").write_bytes(b"changed")
    code, _, err = call("--weights", folder, "--input", tmp_path / "s.txt", "--out", tmp_path / "p.tsv")
    assert code == 2
    assert "cannot be trusted" in err


class Profiler:
    """Predicts from the bases themselves: ten numbers per sequence, and one."""

    def predict(self, data):
        return {
            "profile_logits": data.codes[:, :10].astype(np.float32),
            "log_counts": data.codes.sum(axis=1).astype(np.float32),
        }


@pytest.mark.parametrize("name", ["p.tsv", "p.tsv.gz", "p"])
def test_profiles_go_into_an_array_beside_the_table(tmp_path, monkeypatch, name):
    codes = RNG.integers(0, 4, (7, 2114), dtype=np.uint8)
    (tmp_path / "s.txt").write_text("\n".join(decode(codes)) + "\n")
    task = registry.get_task("atac")
    out = tmp_path / name
    monkeypatch.setattr(sequence_files, "N_SEQUENCES", 3)
    source = predict_file.SequenceFile(tmp_path / "s.txt", task, task.SPEC)
    done = []
    assert predict_file.predict_file([Profiler()], source, out, on_piece=done.append) == 7
    assert done == [3, 6, 7]
    table = pd.read_csv(out, sep="\t", compression="gzip" if name.endswith(".gz") else None)
    assert table.columns.tolist() == ["seq_id", "log_counts"]
    assert table["log_counts"].tolist() == codes.sum(axis=1).tolist()
    np.testing.assert_array_equal(np.load(tmp_path / "p.profile_logits.npy"), codes[:, :10])
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([name, "p.profile_logits.npy", "s.txt"])


def test_a_sequence_of_another_length_leaves_nothing_behind(tmp_path):
    (tmp_path / "s.txt").write_text("A" * 2114 + "\n" + "ACGT\n")
    task = registry.get_task("atac")
    source = predict_file.SequenceFile(tmp_path / "s.txt", task, task.SPEC)
    with pytest.raises(BadInput, match="line 2"):
        predict_file.predict_file([Profiler()], source, tmp_path / "p.tsv")
    assert [file.name for file in tmp_path.iterdir()] == ["s.txt"]
