"""Simulate a whole sorting experiment into a folder: FASTQ files, their sample sheet, and the truth behind them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import registry
from benchmarks.api import simulated_marker
from benchmarks.api.sequences import SequenceError
from benchmarks.apps.quantify import designed_oligos, label_files, simulate
from benchmarks.apps.quantify.simulate import Design
from benchmarks.engine.reporting.console import bar
from benchmarks.errors import BadInput


def write_experiment(
    out: Path, design: Design, *, library: Path | None, n_promoters: int, n_replicates: int, seed: int
) -> dict[str, Any]:
    """Sort a library in silico, sequence the bins, and write what was read and what is true.

    Parameters
    ----------
    library
        File of the sequences to sort, flanks included; None: `n_promoters` are drawn.

    Returns
    -------
    sheet, origin, n_promoters, n_cells, n_pairs (of reads) and n_empty_bins.

    Raises
    ------
    BadInput
        For a bad library, a folder that holds an experiment already, and a design that leaves fewer than two bins
        with reads.
    """
    task = registry.get_task("yeast")
    if library:
        oligos = designed_oligos.read(library)
        sequences, lines = oligos.sequences, oligos.lines
    else:
        sequences, lines = task.simulated_library(n_promoters, seed=seed), []
    try:
        expression = task.simulated_expression(sequences)
    except SequenceError as error:
        raise BadInput(f"{library}, line {lines[error.row]}: {error.reason}.") from None
    if (out / "sheet.tsv").exists():
        raise BadInput(f"{out} holds a sample sheet already; name another folder.")
    rng = np.random.default_rng([seed, 1])
    drawn = simulate.library(rng, expression, design)
    sorts = [simulate.sort(rng, drawn, design) for _ in range(n_replicates)]
    if min(int((sort.reads.sum(axis=0) > 0).sum()) for sort in sorts) < 2:
        raise BadInput("Fewer than two bins would have a read; raise --promoters, --cells or --reads.")
    out.mkdir(parents=True, exist_ok=True)
    simulated_marker.mark(out, f"A sorting experiment of {len(sequences):,} promoters (seed {seed}).")
    label_files.write_table(out / "truth.tsv.gz", _truth(sequences, drawn, sorts, design))
    with bar("reads of bins", design.n_bins * n_replicates) as on_done:
        sheet = simulate.write(out, sequences, drawn, sorts, design, rng, on_done)
    return {
        "sheet": str(sheet),
        "origin": "simulated",
        "n_promoters": len(sequences),
        "n_cells": int(sum(sort.cells.sum() for sort in sorts)),
        "n_pairs": int(sum(sort.reads.sum() for sort in sorts)),
        "n_empty_bins": int(sum((sort.reads.sum(axis=0) == 0).sum() for sort in sorts)),
    }


def _truth(
    sequences: list[str], library: simulate.Library, sorts: list[simulate.Sorted], design: Design
) -> pd.DataFrame:
    """Lay out what is true of every promoter: expression, mean reads before sorting and per bin, sorted cells."""
    truth = pd.DataFrame({"sequence": sequences, "true_expression": library.expression, "origin": "simulated"})
    truth["expected_unsorted"] = library.abundance * design.unsorted * len(sequences) * len(sorts)
    truth["n_cells"] = sum(sort.cells.sum(axis=1) for sort in sorts)
    expected = simulate.expected_reads(library, design)
    per_bin = pd.DataFrame(expected, columns=[f"expected_{number}" for number in range(design.n_bins)])
    return pd.concat([truth, per_bin], axis=1)
