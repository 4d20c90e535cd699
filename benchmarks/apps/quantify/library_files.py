"""Open a sequenced library, count its reads, and write its labels: `quantify reads` and `quantify designed`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import system
from benchmarks.api import simulated_marker, yeast_plasmid
from benchmarks.apps.quantify import count, designed_oligos, estimators, label_files, pipeline, sample_sheet
from benchmarks.apps.quantify.count import Counts, Flanks
from benchmarks.apps.quantify.merge_reads import Rule
from benchmarks.apps.quantify.pipeline import Labels
from benchmarks.apps.quantify.sample_sheet import SampleSheet
from benchmarks.engine.reporting.console import bar
from benchmarks.errors import BadInput


@dataclass(frozen=True)
class SequencedLibrary:
    """A sorted library: its sample sheet, how its reads are merged and trimmed, and the folder of its labels."""

    sheet: SampleSheet
    rule: Rule
    flanks: Flanks
    out: Path
    workers: int

    @property
    def settings(self) -> dict[str, Any]:
        """What the counts depend on, for the quality report."""
        return {"merging": asdict(self.rule), "flanks": asdict(self.flanks)}

    def count(self) -> Counts:
        """Merge and count all reads, with a progress bar; counts of an earlier call are read from OUT/work."""
        files = self.sheet.files
        n_bytes = sum(path.stat().st_size for name in ("read1", "read2") for path in files[name])
        with bar("merging reads", n_bytes) as on_done:
            return count.count(
                self.sheet, self.rule, self.flanks, self.out / "work", workers=self.workers, on_file=on_done
            )

    def mark_if_simulated(self) -> None:
        """Mark the folder before the first label is written, not sooner: input that is refused leaves no mark."""
        if self.sheet.origin == "simulated":
            simulated_marker.mark(self.out, "Labels made of the reads of a simulated sorting experiment.")


def open_library(
    sheet_file: Path,
    out: Path,
    rule: Rule,
    *,
    left: str | None,
    right: str | None,
    workers: int | None,
    numbered: bool,
    weights: str | None = None,
) -> SequencedLibrary:
    """Read a sample sheet and make the output folder.

    Parameters
    ----------
    left, right
        Constant bases at the ends of every insert; None: the adapters of the yeast library.
    workers
        Processes; None: all cores.
    numbered, weights
        Bins must be whole numbers; weights of a weighted average (see `sample_sheet.read`, `estimators.weighted`).

    Raises
    ------
    BadInput
        For a bad sample sheet or flank, and if the folder holds labels of the other origin: simulated and measured
        labels are never mixed.
    """
    sheet = sample_sheet.read(sheet_file, numbered=numbered)
    estimators.check_quantiles(weights, sheet.columns)  # before hours of counting
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out} is a file; a folder is expected.")
    has_labels = any((out / name).exists() for name in label_files.LABELS)
    origin = simulated_marker.of(out)
    if (has_labels or origin == "simulated") and origin != sheet.origin:
        raise BadInput(
            f"{out} holds {origin} labels, the reads of {sheet_file} are {sheet.origin}: name another folder, so that "
            "they are never mixed."
        )
    flanks = Flanks(
        yeast_plasmid.LEFT_ADAPTER if left is None else left, yeast_plasmid.RIGHT_ADAPTER if right is None else right
    )
    for option, flank in (("--left", flanks.left), ("--right", flanks.right)):
        if set(flank) - set("ACGT"):
            raise BadInput(f"{option} expects bases of ACGT, got {flank!r}.")
    (out / "work").mkdir(parents=True, exist_ok=True)
    return SequencedLibrary(sheet, rule, flanks, out, workers or system.n_cores())


def quantify_promoters(
    library: SequencedLibrary, weights: str, *, collapse: str, min_reads: int
) -> tuple[Counts, Labels]:
    """Count a library of random promoters, collapse misread copies, average the bins, and write the label files.

    Parameters
    ----------
    collapse
        One of `pipeline.COLLAPSES`.
    """
    counts = library.count()
    with bar("collapsing", 3) as on_done:
        labels = pipeline.promoters(
            library.sheet, counts, library.flanks, estimators.weighted(weights), kind=collapse, min_reads=min_reads,
            threads=library.workers, on_pass=on_done,
        )  # fmt: skip
    rows = labels.table[label_files.trainable(labels.table["sequence"])]
    settings = library.settings | {"weights": weights, "min_reads": min_reads}
    left_out = {"n_rows_left_out_by_length": len(labels.table) - len(rows)}
    labels = labels.with_facts({"settings": settings} | labels.facts | left_out)
    library.mark_if_simulated()
    label_files.write_table(library.out / label_files.PROMOTERS, labels.table)
    label_files.write_table(library.out / "collapse_map.txt.gz", labels.merged, header=False)
    training_rows = rows[["sequence", "expression"]]
    label_files.write_table(library.out / label_files.TRAIN, training_rows, header=False, digits=10)
    return counts, labels


def quantify_designed(
    library: SequencedLibrary,
    oligos: designed_oligos.DesignedOligos,
    *,
    is_control: np.ndarray | None,
    subsets: Path | None,
    pseudocount: float,
    min_reads: int,
) -> tuple[Counts, Labels]:
    """Count a designed library, estimate expression with MAUDE, and write the label files.

    Parameters
    ----------
    is_control
        (n,) bool, which oligos are negative controls; None: none are known.
    subsets
        Folder of subset files to copy, with positions as they are among the oligos that have a label.
    """
    counts = library.count()
    labels = pipeline.designed(
        library.sheet, counts, oligos.ids, oligos.sequences, is_control=is_control, pseudocount=pseudocount,
        min_reads=min_reads, threads=library.workers,
    )  # fmt: skip
    has_label = labels.table["expression"].notna().to_numpy()
    facts = {"settings": library.settings | {"min_reads": min_reads}} | labels.facts
    facts["n_subset_rows_left_out"] = label_files.write_subsets(subsets, library.out, has_label) if subsets else None
    library.mark_if_simulated()
    table = labels.table.assign(pos=np.where(has_label, np.cumsum(has_label) - 1, -1))
    label_files.write_table(library.out / label_files.DESIGNED, table)
    test_rows = labels.table.loc[has_label, ["sequence", "expression"]]
    label_files.write_table(library.out / label_files.TEST, test_rows, header=False)
    return counts, labels.with_facts(facts)
