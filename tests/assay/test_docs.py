"""Every command of docs/own-assay.md runs, on small tables of the names that it uses."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from benchmarks.cli.main import app
from tests.helpers.public_assays import place

PAGE = Path(__file__).parents[2] / "docs" / "own-assay.md"
N = 60


def test_every_command_of_the_page_runs(tmp_path, monkeypatch, without_plots):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    seqs = ["".join(rng.choice(list("ACGT"), 60)) for _ in range(N)]
    y = rng.normal(size=N).round(3)
    pd.DataFrame({"sequence": seqs, "expression": y}).to_csv("my_table.tsv", sep="\t", index=False)
    pd.DataFrame({"oligo": range(N), "seq": seqs, "K562": y, "HepG2": -y}).to_csv("cells.csv", index=False)
    counts = {"oligo_name": range(N), "dna_count_1": 10, "rna_count_1": 20 + rng.integers(0, 9, N)}
    pd.DataFrame(counts).to_csv("counts.tsv", sep="\t", index=False)
    Path("design.fa").write_text("".join(f">{i}\n{text}\n" for i, text in enumerate(seqs)))
    Path("genome.fa").write_text(f">chr1\n{''.join(seqs)}\n")
    bed = [("chr1", 60 * i, 60 * i + 60, i, 0, "+", y[i], 1, 1, 1, 1) for i in range(N)]
    pd.DataFrame(bed).to_csv("elements.bed", sep="\t", index=False, header=False)
    place("deboer2020_glucose", tmp_path / "data" / "assay" / "deboer2020_glucose")
    commands = re.findall(r"^python -m benchmarks ([^#\n]+)", PAGE.read_text(), re.MULTILINE)
    assert len(commands) == 9
    for command in commands:
        words = shlex.split(command)
        if words[0] == "run" and "--dry-run" not in words:
            words += ["--models", "kmer_ridge", "--folds", "0", "--workers", "0"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{command}\n{done.output}"
    assert sorted(path.name for path in Path().glob("*.yaml")) == [
        "assay.yaml",
        "cells.yaml",
        "counts.yaml",
        "elements.yaml",
        "own.HepG2.yaml",
        "own.K562.yaml",
    ]
