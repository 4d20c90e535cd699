"""The collected cases of ATAC files as users bring them, on real yeast data: each is right, or refused as it must."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.atac import prepared, task
from benchmarks.cli.main import app
from benchmarks.errors import BadInput
from tests.helpers.paths import PUBLISHED_DATA

pybigtools = pytest.importorskip("pybigtools")
pytest.importorskip("pysam")

CASES = PUBLISHED_DATA.parent / "cases" / "make_atac.py"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CASES.is_file(), reason=f"the collected cases ({CASES}) are not here"),
]

REFUSED = {
    "strand_dot": "first: line 2,",
    "gapped_peaks": "column 10 is a number of blocks",
    "misspelt_fold": "'chriii'",
    "signal_per_million": "counts that were scaled, to a million in all",
    "signal_pile_up": "looks like coverage",
}
"""Case -> what the refusal says."""
PREPARED = (
    "fragments",
    "bed6",
    "insertions",
    "tagalign",
    "hash_names",
    "hash_names_late",
    "pansn",
    "first_unpaired",
    "one_fragment_off_end",
    "corrected_short",
    "bam_without_ending",
    "sam",
    "bam_no_cigar",
    "bam_flags",
    "one_peak_off_end",
    "signal_cuts",
)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, CASES, folder, PUBLISHED_DATA / "atac"], check=True)
    return folder, json.loads((folder / "expected.json").read_text())


def prepare(folder, command, out):
    words = [str(folder / word) if (folder / word).is_file() else word for word in shlex.split(command)]
    return CliRunner().invoke(app, [str(out) if word == "NEW" else word for word in words])


@pytest.mark.parametrize("name", PREPARED)
def test_a_case_is_read_right(cases, tmp_path, name):
    folder, expected = cases
    done = prepare(folder, expected[name]["command"], tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    if "signal" in expected[name]:
        path = tmp_path / "out" / "signal.bw"
        file = pybigtools.open(str(path if path.exists() else folder / "cuts.bw"))
        tracks = {chrom: file.values(chrom, 0, size, fillna=0) for chrom, size in file.chroms().items()}
        found = {c: [int(t.sum()), int((t * np.arange(len(t))).sum())] for c, t in tracks.items() if t.any()}
        assert found == expected[name]["signal"]
    if "centres" in expected[name]:
        table = pd.read_csv(tmp_path / "out" / prepared.REGIONS, sep="\t")
        of_peaks = table[table["is_peak"] == 1].groupby("chrom")["centre"]
        assert {chrom: sorted(centres) for chrom, centres in of_peaks} == {
            chrom: sorted(centres) for chrom, centres in expected[name]["centres"].items()
        }


@pytest.mark.parametrize("name", REFUSED)
def test_a_case_is_refused_for_its_reason(cases, tmp_path, name):
    folder, expected = cases
    done = prepare(folder, expected[name]["command"], tmp_path / "out")
    assert done.exit_code == 2
    assert REFUSED[name] in done.stderr
    assert "Traceback" not in done.stderr


def run(folder, reads, *words):
    made = f"prepare --task atac --n-folds 3 --genome genome.fa --peaks peaks.narrowPeak --reads {reads} --out NEW"
    assert prepare(folder, made, folder / "made" / reads).exit_code == 0
    results = folder / "results" / reads
    given = ["run", "--task", "atac", "--data", folder / "made" / reads, "--folds", "0", "--results", results, *words]
    return CliRunner().invoke(app, list(map(str, given))), results


def test_a_run_of_one_model_has_scores_and_a_report(cases):
    done, results = run(cases[0], "fragments.bed", "--models", "bpnet", "--set", "recipe.epochs=1")
    assert done.exit_code == 0, done.output
    assert len(list(results.glob("reports/*/scores.csv"))) == 1
    assert len(list(results.glob("reports/*/report.html"))) == 1


def test_background_without_reads_is_the_reason_given(cases):
    done, results = run(cases[0], "in_peaks.bed", "--models", "bpnet_bias")
    assert isinstance(done.exception, SystemExit)
    assert "The background has (nearly) no reads" in done.output
    assert "Raising threshold_factor cannot help" in done.output
    assert len(list(results.glob("reports/*/report.html"))) == 1


def test_a_truncated_prepared_folder_is_not_ok(cases, tmp_path):
    folder, expected = cases
    assert prepare(folder, expected["fragments"]["command"], tmp_path / "atac" / "cut").exit_code == 0
    file = tmp_path / "atac" / "cut" / "windows" / "codes.npy"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert str(file) in prepared.damaged(tmp_path / "atac")
    with pytest.raises(BadInput, match=r"codes\.npy"):
        task.load(tmp_path / "atac" / "cut")


@pytest.mark.parametrize("name", ["h5_4_layers", "h5_6_layers", "h5_nan"])
def test_published_weights_are_used_whole(cases, name):
    from baselines import bpnet_bias

    folder, expected = cases
    file = folder / {"h5_4_layers": "bias_4.h5", "h5_6_layers": "bias_6.h5", "h5_nan": "bias_nan.h5"}[name]
    if name == "h5_nan":
        with pytest.raises(BadInput, match=r"'bpnet_2conv' has 1 of 49,152 weights that are not finite"):
            bpnet_bias.load_published(file)
        return
    logits, log_counts = bpnet_bias.load_published(file)(np.load(folder / "window_one_hot.npy")[None])
    assert float(np.ravel(log_counts)[0]) == pytest.approx(expected[name]["log_counts"], abs=1e-4)
    np.testing.assert_allclose(np.ravel(logits)[:5], expected[name]["first_logits"], atol=1e-4)
