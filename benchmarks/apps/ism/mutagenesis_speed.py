"""Measure mutants per second, against a reference loop that writes, encodes and predicts one mutant at a time."""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.api.sequences import decode
from benchmarks.engine.inference import load, mutagenesis
from benchmarks.engine.inference.load import Trained


def measure(models: Sequence[Path], device: str, *, n: int, repeats: int) -> list[dict[str, Any]]:
    """Return a row per model: mutants per second both ways, the median of several rounds in turns, and their ratio.

    Parameters
    ----------
    n
        Random sequences; the loop mutates about 25 positions of each.
    """
    rows = []
    for label, trained in load.open_each(models, device):
        codes = np.random.default_rng(0).integers(0, 4, (n, trained.spec.seq_len), dtype=np.uint8)
        data = mutagenesis.of_codes(codes, trained.spec)
        mutagenesis.effects(trained.model, data.take(np.arange(1)))  # compiling is not measured
        rates, loop_rates = [], []
        for _ in range(repeats):
            start = time.perf_counter()
            mutagenesis.effects(trained.model, data)
            rates.append(mutagenesis.n_mutants(codes) / (time.perf_counter() - start))
            start = time.perf_counter()
            n_tried = _one_at_a_time(trained, decode(codes))
            loop_rates.append(n_tried / (time.perf_counter() - start))
        rate, loop_rate = statistics.median(rates), statistics.median(loop_rates)
        rows.append(
            {"model": label, "mutants_per_s": rate, "one_at_a_time_per_s": loop_rate, "ratio": rate / loop_rate}
        )
    return rows


def _one_at_a_time(trained: Trained, texts: Sequence[str]) -> int:
    """Mutate positions of sequences at even steps, predict each mutant on its own, and return their number."""
    length = trained.spec.seq_len
    sites = [(text, at) for text in texts for at in range(0, length, max(1, length // 25))]
    for text, at in sites:
        mutant = text[:at] + "ACGT"["ACGT".index(text[at]) - 1] + text[at + 1 :]
        trained.model.predict(mutagenesis.of_codes(trained.task.encode([mutant]), trained.spec))
    return len(sites)
