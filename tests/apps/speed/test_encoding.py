"""The ways that the engine replaces, and the commands that measure it against them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.api import sequences, yeast_plasmid
from benchmarks.apps.speed import encoding, notebook_encoding
from benchmarks.apps.speed.training_step import bench_step
from benchmarks.cli.main import app


def test_the_reference_encodes_as_the_engine_does():
    text = "ACGTNacgtn"
    expected = sequences.one_hot(sequences.encode([text], 10))[0].T
    assert np.array_equal(notebook_encoding.one_hot(text, (1.0,)), np.vstack([expected, np.ones(10)]))


def test_encoding_once_beats_encoding_row_by_row():
    result = encoding.bench_encoding(n_rows=4000, repeats=3)
    assert result["ratio_encoding"] > 10  # about 100 on an idle machine; the command prints the figure
    assert result["ratio_encoding_and_input"] > 1


def test_the_step_benchmark_gives_a_share():
    result = bench_step("human_mpra", "dream_rnn", preset="quick", n_steps=3)
    assert 0 <= result["share_outside"] < 0.5
    assert result["batch_size"] == 16


def test_the_step_benchmark_takes_torch_models_only():
    done = CliRunner().invoke(app, ["bench", "step", "--model", "kmer_ridge"])
    assert done.exit_code == 2
    assert "kmer_ridge is a numpy model" in done.stderr
    assert CliRunner().invoke(app, ["bench", "nothing"]).exit_code == 2


def test_the_bench_command_prints_json():
    done = CliRunner().invoke(app, ["bench", "step", "--model", "dream_rnn", "--preset", "quick", "--json"])
    assert json.loads(done.stdout)["model"] == "dream_rnn"


def test_preparing_promoters_equals_the_reference_row_by_row():
    backend = registry.get_backend("torch")
    rows = [
        yeast_plasmid.LEFT_ADAPTER + region + yeast_plasmid.RIGHT_ADAPTER for region in ("ACGTN" * 16, "GATTACA" * 11)
    ]
    expression = np.array([11.0, 3.7])
    codes = backend.torch.from_numpy(np.array(yeast_plasmid.construct(rows)))
    side = backend.torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    inputs = backend.OneHot(("is_reverse", "is_singleton"))(codes, side)
    probs = backend.bin_probs(backend.torch.from_numpy(expression))
    for i, (row, value) in enumerate(zip(rows, expression, strict=True)):
        x, bins = encoding.prepare_promoter_by_row(row, value)
        np.testing.assert_array_equal(inputs[i].numpy(), x)
        np.testing.assert_allclose(probs[i].numpy(), bins, atol=1e-7)


def test_speed_of_preparing_promoters_is_a_ratio_within_a_run():
    found = encoding.bench_promoters(n_rows=2_000, repeats=1)
    assert found["ratio_preparing"] == pytest.approx(found["preparing_rows_per_s"] / found["by_row_rows_per_s"])
    assert found["ratio_preparing"] > 10


def test_windows_from_the_store_beat_reading_each():
    pytest.importorskip("pysam")
    pytest.importorskip("pybigtools")
    result = encoding.bench_windows(n_peaks=300, repeats=3)
    assert result["ratio_epoch"] > 3  # about 20 on an idle machine; the command prints the figure
    assert result["epoch_windows"] == pytest.approx(150 + 15, abs=3)


def test_the_window_reference_reads_what_was_written(tmp_path):
    pytest.importorskip("pysam")
    pytest.importorskip("pybigtools")
    fasta, bigwig, size = encoding._genome_on_disk(tmp_path, 20_000)
    rng = np.random.default_rng(0)
    codes, cuts = rng.integers(0, 4, (1, size)), np.random.default_rng(0)
    cuts.integers(0, 4, (1, size))
    cuts = cuts.poisson(0.3, size)
    spec = registry.get_task("atac").SPEC
    for is_reversed in (False, True):
        one_hot, profile = encoding.read_window_by_row(fasta, bigwig, "chr1", 7000, is_reversed, spec)
        expected = sequences.one_hot(codes[0, 7000 - 1057 : 7000 + 1057], "ACGT")
        turned = slice(None, None, -1 if is_reversed else 1)
        np.testing.assert_array_equal(one_hot, expected[turned, turned])
        np.testing.assert_array_equal(profile, cuts[6500:7500][turned])
