"""Measure how fast pairs are merged and counted, against a reference loop in plain Python on the same files."""

import gzip
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.apps.quantify import count, merge_reads, simulate
from benchmarks.apps.quantify.count import Flanks
from benchmarks.apps.quantify.merge_reads import Rule


def measure(n_pairs: int, repeats: int, *, seed: int = 0) -> dict[str, float]:
    """Return pairs per second of both ways, the median of several rounds each, and their ratio.

    Raises
    ------
    AssertionError
        If the two do not count the same sequences.
    """
    rng, rule = np.random.default_rng(seed), Rule()
    sequences = ["".join(row) for row in rng.choice(list("ACGT"), (max(1, n_pairs // 20), 110))]
    reads = np.full(len(sequences), -(-n_pairs // len(sequences)))
    vectorised_s, loop_s = [], []
    with tempfile.TemporaryDirectory() as name:
        files = simulate.write_reads(rng, sequences, reads, "bench", Path(name), simulate.Design())
        for _ in range(repeats):
            start = time.perf_counter()
            counted, _ = count.count_pairs(*files, rule, Flanks("", ""))
            vectorised_s.append(time.perf_counter() - start)
            start = time.perf_counter()
            by_loop = _loop(*files, rule)
            loop_s.append(time.perf_counter() - start)
            if {key.decode(): n for key, n in counted.items()} != by_loop:
                raise AssertionError("both ways must count the same sequences")
    n = int(reads.sum())
    rate, loop_rate = n / statistics.median(vectorised_s), n / statistics.median(loop_s)
    rates = {"pairs_per_s": rate, "loop_pairs_per_s": loop_rate, "ratio": rate / loop_rate}
    return {"n_pairs": n} | rates | {"repeats": repeats}


def _loop(file1: Path, file2: Path, rule: Rule) -> Counter:
    counts: Counter[str] = Counter()
    with gzip.open(file1, "rt") as stream1, gzip.open(file2, "rt") as stream2:
        while stream1.readline():
            stream2.readline()
            bases1, _, quals1 = (stream1.readline().rstrip("\n") for _ in range(3))
            bases2, _, quals2 = (stream2.readline().rstrip("\n") for _ in range(3))
            merged = merge_reads.merge_one(bases1, quals1, bases2, quals2, rule)
            if merged:
                counts[merged[0]] += 1
    return counts
