"""Cut the promoters of a genome into inserts: the sequence upstream of genes, up to the next gene.

Source: Rafi et al. 2024, Methods ("native": yeast promoters cut into 80-bp pieces).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api.genome import Genome, needed
from benchmarks.api.sequences import N_CODE, reverse_complement
from benchmarks.errors import BadInput


def genes(annotation: Path, feature: str = "transcript") -> pd.DataFrame:
    """Read genes of a GTF or GFF file, plain or gzip: chrom, start, end (0-based, half-open), strand, name.

    A gene of several transcripts spans them all.

    Raises
    ------
    BadInput
        If the file is missing, not GTF, or has no such feature.
    """
    bioframe = needed("bioframe")
    if not annotation.is_file():
        raise BadInput(f"--annotation: no GTF file at {annotation}.")
    try:
        table = bioframe.read_table(str(annotation), schema="gtf", comment="#")
        table["start"], table["end"] = table["start"].astype(np.int64) - 1, table["end"].astype(np.int64)
    except (ValueError, OSError, EOFError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"--annotation: {annotation} is not a GTF file that can be read ({reason}).") from None
    if table.empty:
        raise BadInput(f"--annotation: {annotation} is empty; a GTF file is expected.")
    chosen = table[(table["feature"] == feature) & table["strand"].isin(["+", "-"])]
    if chosen.empty:
        known = ", ".join(map(str, table["feature"].dropna().unique()[:8]))
        raise BadInput(f"--annotation: {annotation} has no feature {feature!r} with a strand; it has {known}.")
    name = chosen["attributes"].astype(str).str.extract(r"(?:gene_id \"|ID=|Parent=)([^\";]+)")[0]
    if name.isna().any():
        line = int(name.index[name.isna()][0]) + 1
        raise BadInput(f"--annotation: {annotation}: record {line} names no gene_id; a GTF with gene_id is expected.")
    spans = chosen.assign(name=name).groupby(["chrom", "name", "strand"], sort=False)
    table = spans.agg(start=("start", "min"), end=("end", "max")).reset_index()
    return table[["chrom", "start", "end", "strand", "name"]]


def promoters(genes: pd.DataFrame, sizes: dict[str, int], upstream: int) -> pd.DataFrame:
    """Return the region upstream of every gene: at most `upstream` bp, and not into another gene or off the chromosome.

    Columns chrom, start, end (0-based, half-open), strand and name of the gene.
    """
    regions = []
    for chrom, of_chrom in genes.groupby("chrom", sort=False):
        if chrom not in sizes:
            continue
        starts, ends = np.sort(of_chrom["start"].to_numpy()), np.sort(of_chrom["end"].to_numpy())
        for gene in of_chrom.itertuples():
            if gene.strand == "+":
                before = ends[: np.searchsorted(ends, gene.start, side="right")]
                low, high = max(gene.start - upstream, before[-1] if len(before) else 0), gene.start
                inside = ((of_chrom["start"] < gene.start) & (of_chrom["end"] > gene.start)).any()
            else:
                after = starts[np.searchsorted(starts, gene.end, side="left") :]
                low, high = gene.end, min(gene.end + upstream, after[0] if len(after) else sizes[chrom])
                inside = ((of_chrom["start"] < gene.end) & (of_chrom["end"] > gene.end)).any()
            if not inside and low < high:  # a gene that begins within another has no promoter of its own
                regions.append((chrom, int(low), int(high), gene.strand, gene.name))
    return pd.DataFrame(regions, columns=["chrom", "start", "end", "strand", "name"])


def tiles(genome: Genome, regions: pd.DataFrame, length: int, step: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Cut promoters into pieces as the gene reads them, counted from its start: piece 0 lies next to it.

    Returns
    -------
    Table of tag (`YDR534C.0`), chrom, start, end, strand; and (n, length) uint8 codes. Pieces with N, and repeated
    ones, are left out.
    """
    rows, codes, seen = [], [], set()
    chromosomes = dict(iter(regions.groupby("chrom", sort=False)))
    for chrom in genome.known(chromosomes, "--annotation"):
        whole = genome.codes(chrom)
        for region in chromosomes[chrom].itertuples():
            for number in range(max(0, (region.end - region.start - length) // step + 1)):
                start = region.end - length - number * step if region.strand == "+" else region.start + number * step
                piece = whole[start : start + length]
                piece = piece if region.strand == "+" else reverse_complement(piece)
                key = piece.tobytes()
                if (piece == N_CODE).any() or key in seen:
                    continue
                seen.add(key)
                rows.append((f"{region.name}.{number}", chrom, start, start + length, region.strand))
                codes.append(piece)
    if not rows:
        raise BadInput(f"No promoter of the annotation holds a piece of {length} bp; raise --upstream.")
    return pd.DataFrame(rows, columns=["tag", "chrom", "start", "end", "strand"]), np.stack(codes)


def native_set(
    genome: Path, annotation: Path, length: int, *, upstream: int, step: int, feature: str, leave_out: Sequence[str],
    n: int | None, seed: int,
) -> tuple[pd.DataFrame, np.ndarray]:  # fmt: skip
    """Cut the promoters of a genome into pieces of `length` bp, `step` bp apart; n of them, or all. As `tiles`.

    Raises
    ------
    BadInput
        For a bad file, and if there are fewer than n pieces.
    """
    known = genes(annotation, feature)
    known = known[~known["chrom"].isin(leave_out)]
    with tempfile.TemporaryDirectory() as work:
        sequence = Genome(genome, Path(work))
        metadata, codes = tiles(sequence, promoters(known, sequence.sizes, upstream), length, step)
    if n is None:
        return metadata, codes
    if n > len(codes):
        raise BadInput(f"--n {n:,}: the annotation gives {len(codes):,} pieces; raise --upstream or lower --step.")
    rows = np.sort(np.random.default_rng(seed).choice(len(codes), n, replace=False))
    return metadata.iloc[rows].reset_index(drop=True), codes[rows]
