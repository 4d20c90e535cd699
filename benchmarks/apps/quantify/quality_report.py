"""Write the quality report of a quantified library: facts as JSON, samples as CSV, and plots."""

from collections import Counter
from typing import Any

from benchmarks import system
from benchmarks.apps.quantify.count import Counts
from benchmarks.apps.quantify.library_files import SequencedLibrary
from benchmarks.apps.quantify.pipeline import Labels
from benchmarks.io.atomic import write_text
from benchmarks.io.json_files import write_json


def write_report(library: SequencedLibrary, kind: str, counts: Counts, labels: Labels) -> dict[str, Any]:
    """Write the report beside the labels and return its facts; plots only where matplotlib is installed.

    Parameters
    ----------
    kind
        "reads" or "designed": part of the names of the files.
    """
    samples, origin = counts.samples, library.sheet.origin
    overlaps: Counter[int] = Counter()
    for of_sample in samples["overlaps"]:
        overlaps.update({int(overlap): n for overlap, n in of_sample.items()})
    totals = {"n_pairs": int(samples["n_pairs"].sum()), "n_merged": int(samples["n_merged"].sum())}
    facts = {"origin": origin} | totals | labels.facts | {"overlaps": dict(sorted(overlaps.items()))}
    flat = samples.drop(columns="overlaps").assign(origin=origin)
    write_text(library.out / f"samples_{kind}.csv", flat.to_csv(index=False))
    if system.can_draw():
        from benchmarks.engine.figures import quantify, style

        simulated = origin == "simulated"
        quality = quantify.quality(flat, facts["overlaps"], labels.table, simulated=simulated)
        style.save(quality, library.out / f"quality_{kind}")
        if len(labels.agreement):
            replicates = quantify.agreement(labels.per_replicate, labels.agreement, simulated=simulated)
            style.save(replicates, library.out / f"replicates_{kind}")
    write_json(library.out / f"quality_{kind}.json", facts)
    return facts
