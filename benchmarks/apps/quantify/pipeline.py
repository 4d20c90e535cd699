"""From counts to a table of labels: the steps of `quantify reads` and `quantify designed`, without their files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.apps.quantify import (
    assign_designed,
    bowtie2,
    collapse,
    estimators,
    label_files,
    maude,
    weighted_average,
)
from benchmarks.apps.quantify.count import Counts, Flanks
from benchmarks.apps.quantify.estimators import Estimates, Estimator
from benchmarks.apps.quantify.sample_sheet import SampleSheet
from benchmarks.errors import BadInput

COLLAPSES = ("chains", "published", "none")


@dataclass(frozen=True)
class Labels:
    """The labels of a library.

    Parameters
    ----------
    table
        A row per sequence: sequence, expression, se, ci_low, ci_high, n_cells, n_reads, origin, reads per bin, and what
        the kind of library adds.
    merged
        Sequence and its representative, of those that were collapsed into another.
    agreement, per_replicate
        Correlations of replicates, and the expression in each: replicate -> (n,) float64.
    facts
        For the quality report.
    """

    table: pd.DataFrame
    merged: pd.DataFrame
    agreement: pd.DataFrame
    per_replicate: dict[str, np.ndarray]
    facts: dict[str, Any]

    def with_facts(self, facts: dict[str, Any]) -> "Labels":
        """Return the same labels with other facts."""
        return replace(self, facts=facts)


def promoters(
    sheet: SampleSheet,
    counts: Counts,
    flanks: Flanks,
    estimator: Estimator,
    *,
    kind: str = "chains",
    min_reads: int = 1,
    threads: int = 1,
    on_pass: Callable[[int], None] | None = None,
) -> Labels:
    """Collapse misread copies and estimate the expression of random promoters, most reads first."""
    texts = np.array([sequence.decode() for sequence in counts.sequences.tolist()], dtype=object)
    representative = np.arange(len(counts))
    collapse_facts: dict[str, Any] = {"kind": kind}
    if kind != "none":
        collapsed = collapse.collapse(
            texts.tolist(), counts.total, trim=(len(flanks.left), len(flanks.right)), transitive=kind == "chains",
            threads=threads, on_pass=on_pass,
        )  # fmt: skip
        representative = collapsed.representative
        collapse_facts |= {
            "bowtie2": bowtie2.version(),
            "trimmed": [len(flanks.left), len(flanks.right)],
            "passes": collapsed.passes,
            "n_collisions": collapsed.n_collisions,
            "n_reads_lost": collapsed.n_lost,
        }
    is_own = representative == np.arange(len(counts))
    merged = pd.DataFrame({"sequence": texts[~is_own], "representative": texts[representative[~is_own]]})
    # The published single pass leaves chains behind, whose reads are lost with the sequence that they were added to.
    counted = is_own[representative]
    per_bin = np.zeros_like(counts.sorted_)
    np.add.at(per_bin, representative[counted], counts.sorted_[counted])
    order = np.flatnonzero(is_own)[np.argsort(-per_bin[is_own].sum(axis=1), kind="stable")]
    per_bin, columns = per_bin[order], sheet.columns
    estimates = estimator(per_bin, columns)
    n_bins = weighted_average.n_bins_seen(per_bin, columns.numbers)
    table = label_files.estimates_table(estimates)
    table.insert(0, "sequence", texts[order])
    table["is_singleton"] = (n_bins == 1).astype(int)
    table["n_bins"], table["n_reads"], table["origin"] = n_bins, per_bin.sum(axis=1), sheet.origin
    enough = (table["n_reads"] >= min_reads).to_numpy()
    if not enough.any():
        raise BadInput(f"No promoter has {min_reads:,} reads in the sorted bins; lower --min-reads.")
    facts = {
        "n_distinct": len(counts), "n_promoters": int(enough.sum()),
        "n_singletons": int(table.loc[enough, "is_singleton"].sum()),
        "n_whole_numbers_of_several_bins": int(((table["expression"] % 1 == 0) & (n_bins > 1) & enough).sum()),
        "collapse": collapse_facts,
    }  # fmt: skip
    labels = _labels(table, merged, per_bin, sheet, estimator, estimates, facts)
    return replace(labels, table=labels.table[enough].reset_index(drop=True))


def designed(
    sheet: SampleSheet,
    counts: Counts,
    ids: Sequence[str],
    oligos: Sequence[str],
    *,
    is_control: np.ndarray | None = None,
    pseudocount: float = maude.PSEUDOCOUNT,
    min_reads: int = 1,
    threads: int = 1,
) -> Labels:
    """Find the reads of every designed oligo and estimate its expression with MAUDE; rows are in their order.

    Oligos of fewer than `min_reads` reads stay in the table without an expression.
    """
    texts = [sequence.decode() for sequence in counts.sequences.tolist()]
    assigned = assign_designed.assign(texts, counts.total, oligos, threads=threads)
    hit = assigned.oligo >= 0
    per_bin = np.zeros((len(oligos), counts.sorted_.shape[1]), dtype=np.int64)
    np.add.at(per_bin, assigned.oligo[hit], counts.sorted_[hit])
    unsorted = np.bincount(assigned.oligo[hit], counts.unsorted[hit], len(oligos)) if counts.unsorted.any() else None
    if empty := [name for name, n in zip(sheet.names, per_bin.sum(axis=0), strict=True) if n == 0]:
        raise BadInput(
            f"Bin {empty[0]} has no read of a designed oligo; check its files and the oligos, which must be as they "
            "are read, flanks included; or take the bin out of the sample sheet."
        )
    columns, estimator = sheet.columns, estimators.by_maude(pseudocount, unsorted)
    estimates = estimator(per_bin, columns)
    few = per_bin.sum(axis=1) < max(1, min_reads)
    table = label_files.estimates_table(estimates)
    table["se_curvature"] = estimates.curvature
    if is_control is not None:
        observed = maude.observe(per_bin, unsorted, pseudocount)
        against = maude.against_controls(
            observed, maude.BinModel(columns.start_q, columns.end_q), estimates.value, is_control & ~few
        )
        table["z"], table["log_likelihood_ratio"] = against.z, against.log_likelihood_ratio
        table["is_control"] = is_control.astype(int)
    measured = [name for name in table if name not in ("n_cells", "is_control")]
    table.loc[few, measured] = np.nan
    table.insert(0, "sequence", list(oligos))
    table.insert(0, "seq_id", list(ids))
    table["n_reads"], table["origin"] = per_bin.sum(axis=1), sheet.origin
    facts = {
        "n_ordered": len(oligos), "n_estimated": int((~few).sum()), "n_reads_exact": assigned.n_exact,
        "n_reads_aligned": assigned.n_aligned, "n_reads_ambiguous": assigned.n_ambiguous,
        "n_reads_unaligned": assigned.n_unaligned, "pseudocount": pseudocount,
        "abundance": "mean over bins" if unsorted is None else "unsorted library",
    }  # fmt: skip
    nothing = pd.DataFrame(columns=["sequence", "representative"])
    return _labels(table, nothing, per_bin, sheet, estimator, estimates, facts)


def _labels(
    table: pd.DataFrame,
    merged: pd.DataFrame,
    per_bin: np.ndarray,
    sheet: SampleSheet,
    estimator: Estimator,
    estimates: Estimates,
    facts: dict[str, Any],
) -> Labels:
    columns = sheet.columns
    table = pd.concat([table, pd.DataFrame(per_bin, columns=[f"bin_{name}" for name in sheet.names])], axis=1)
    agreement, per_replicate = estimators.agreement(estimator, per_bin, columns)
    bins = sheet.bins[["replicate", "bin"]].assign(
        cells=columns.cells, start_q=columns.start_q, end_q=columns.end_q, number=columns.numbers,
        reads=per_bin.sum(axis=0), sequences=(per_bin > 0).sum(axis=0), dispersion=estimates.dispersion.values,
    )  # fmt: skip
    facts = facts | {
        "median_se": float(np.nanmedian(estimates.se)) if np.isfinite(estimates.se).any() else None,
        "errors_from": estimates.dispersion.basis,
        "bins": bins.to_dict("records"),
        "replicate_agreement": agreement.to_dict("records"),
    }
    return Labels(table, merged, agreement, per_replicate, facts)
