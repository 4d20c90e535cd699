"""A simulated reporter assay in three cell types, written as a pipeline would write it: a design FASTA and a table."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api.simulated_motifs import Motif

OUTPUTS = ("liver", "blood", "brain")
MIN_LEN, MAX_LEN = 150, 170
MOTIFS = (
    Motif("HNF4A", "CAAAGTCCA"),
    Motif("GATA1", "AGATAAG"),
    Motif("NEUROD1", "CAGATGG"),
    Motif("GABPA", "CCGGAAGTG"),
)
EFFECTS = np.array([[2.0, 0.1, 0.0], [0.1, 1.8, 0.0], [0.0, 0.2, 1.8], [1.2, 1.2, 1.2]])
"""log2 activity that a site of each motif adds in each cell type; invented."""
N_ELEMENTS, N_CONTROLS, N_REPLICATES, REPLICATE_SD = 280, 60, 3, 0.5


def write(folder: Path, *, seed: int) -> tuple[Path, Path]:
    """Write the table of an assay and the FASTA of its design; return both paths.

    Elements of 150 to 170 bp, every fifth with a second allele, and controls without sites; three replicates per cell
    type.
    """
    rng = np.random.default_rng(seed)
    rows, texts = [], {}
    for i in range(N_ELEMENTS + N_CONTROLS):
        is_control = i >= N_ELEMENTS
        text, counts = _element(rng, with_sites=not is_control)
        alleles = {"": text}
        if not is_control and i % 5 == 0:
            at = int(rng.integers(10, len(text) - 10))
            other = "ACGT"["ACGT".index(text[at]) - 1]
            alleles = {":ref": text, ":alt": text[:at] + other + text[at + 1 :]}
        for allele, sequence in alleles.items():
            name = f"{'scrambled' if is_control else 'element'}_{i}{allele}"
            texts[name] = sequence
            rows.append(_row(rng, name, counts if sequence == text else _sites(sequence), is_control))
    table, design = folder / "reporter_assay.tsv", folder / "design.fa"
    pd.DataFrame(rows).to_csv(table, sep="\t", index=False, na_rep="NA")
    design.write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    return table, design


def _element(rng: np.random.Generator, *, with_sites: bool) -> tuple[str, np.ndarray]:
    letters = rng.choice(list("ACGT"), int(rng.integers(MIN_LEN, MAX_LEN + 1)))
    for motif in MOTIFS if with_sites else ():
        for _ in range(rng.poisson(0.8)):
            start = int(rng.integers(0, len(letters) - len(motif.consensus)))
            letters[start : start + len(motif.consensus)] = list(motif.consensus)
    text = "".join(letters)
    return text, _sites(text)


def _sites(text: str) -> np.ndarray:
    return np.array([text.count(motif.consensus) for motif in MOTIFS], dtype=np.float64)


def _row(rng: np.random.Generator, name: str, counts: np.ndarray, is_control: bool) -> dict[str, object]:
    activity = -1.0 + np.minimum(counts, 2) @ EFFECTS
    barcodes = int(rng.poisson(40)) + 1
    row: dict[str, object] = {"name": name, "class": "scrambled" if is_control else "test", "n_bc": barcodes}
    for output, value in zip(OUTPUTS, activity, strict=True):
        replicates = value + rng.normal(0, REPLICATE_SD, N_REPLICATES)
        row[f"{output}_log2FC"] = round(float(replicates.mean()), 4)
        row |= {f"{output}_rep{k + 1}": round(float(r), 4) for k, r in enumerate(replicates)}
    return row
