"""Encoding by the engine against reference implementations, timed in turns: every figure is a ratio in one run."""

import itertools
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import registry
from benchmarks.api import profiles, sequences, yeast_plasmid
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.apps.speed import notebook_encoding
from benchmarks.apps.speed.timers import consume, own_memory_mb, seconds_of
from benchmarks.errors import BadInput
from benchmarks.training.profile_sampling import EpochWindows, choose_accessible


def prepare_promoter_by_row(row: str, expression: float) -> tuple[np.ndarray, np.ndarray]:
    """Make input (6, 150) and bin probabilities (18,) of one promoter of the challenge, as `prixfixe/autosome` does.

    The reference implementation of `bench encoding --task yeast`: a dictionary look-up per base, a scipy normal per
    row.
    """
    promoter = (yeast_plasmid.PLASMID_LEFT + row[len(yeast_plasmid.LEFT_ADAPTER) :])[-yeast_plasmid.SEQ_LEN :]
    return notebook_encoding.one_hot(promoter, (0.0, float(expression).is_integer())), notebook_encoding.bin_probs(
        expression
    )


def bench_promoters(n_rows: int = 100_000, repeats: int = 7) -> dict[str, float]:
    """Compare preparing the yeast training table (text to codes and 18 bin probabilities) with doing it row by row.

    Medians of interleaved trials, one thread; `ratio_preparing` is that of rows per second within a trial.
    """
    backend = registry.get_backend("torch")
    backend.configure("cpu", threads=1)
    rng = np.random.default_rng(0)
    regions = sequences.decode(rng.integers(0, 4, (n_rows, 80)))
    rows = [yeast_plasmid.LEFT_ADAPTER + region + yeast_plasmid.RIGHT_ADAPTER for region in regions]
    expression = np.where(rng.random(n_rows) < 0.58, rng.integers(0, 18, n_rows), rng.uniform(0, 17, n_rows))
    few = list(zip(rows[: n_rows // 100], expression.tolist(), strict=False))

    def prepare() -> None:
        yeast_plasmid.construct(rows)
        backend.bin_probs(backend.torch.from_numpy(expression))

    def prepare_by_row() -> None:
        consume(itertools.starmap(prepare_promoter_by_row, few))

    trials = [(len(few) / seconds_of(prepare_by_row), n_rows / seconds_of(prepare)) for _ in range(repeats)]
    return {
        "by_row_rows_per_s": statistics.median(slow for slow, _ in trials),
        "preparing_rows_per_s": statistics.median(fast for _, fast in trials),
        "ratio_preparing": statistics.median(fast / slow for slow, fast in trials),
    }


def read_window_by_row(
    fasta: Any, bigwig: Any, chrom: str, centre: int, is_reversed: bool, spec: TaskSpec
) -> tuple[np.ndarray, np.ndarray]:
    """Read one window of a profile task from its files: one-hot (seq_len, 4) float32, Tn5 insertions (profile_len,).

    The reference implementation of `bench encoding --task atac`. Source: `kundajelab/chrombpnet`,
    chrombpnet/training/utils/data_utils.py, which goes through peaks this way: a slice of the genome, a slice of the
    signal, then one-hot.
    """
    start, first = centre - spec.seq_len // 2, centre - spec.profile_len // 2
    letters = fasta.fetch(chrom, start, start + spec.seq_len).upper()
    one_hot = _ONE_HOT_OF_LETTER[np.frombuffer(letters.encode(), dtype=np.uint8)]
    profile = np.nan_to_num(bigwig.values(chrom, first, first + spec.profile_len))
    return (one_hot[::-1, ::-1], profile[::-1]) if is_reversed else (one_hot, profile)


_ONE_HOT_OF_LETTER = np.zeros((256, 4), dtype=np.float32)
_ONE_HOT_OF_LETTER[[ord(base) for base in "ACGT"], range(4)] = 1


def bench_windows(n_peaks: int = 2_000, repeats: int = 5) -> dict[str, float]:
    """Compare how windows of a profile task reach a network, an epoch from the store, with reading them one by one.

    The store holds `n_peaks` peaks and twice as many background windows on disk; an epoch shifts all peaks, draws a
    tenth as many background windows and reverses half. Networks take codes; `one_hot` adds what they do first, on the
    CPU here. Medians of interleaved trials, one thread; `memory_mb` is what choosing windows and going through epochs
    added to the memory of the process, pages of the mapped files aside.
    """
    task = registry.get_task("atac")
    spec, recipe = task.SPEC, profiles.ProfileRecipe()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        data = _windows_on_disk(Path(folder), n_peaks, spec)
        before = own_memory_mb()
        half = data.take(np.arange(0, len(data), 2)), data.take(np.arange(1, len(data), 2))
        chosen = choose_accessible(*half, spec, negative_ratio=recipe.negative_ratio, seed=0)
        train = half[0].take(chosen.train)
        windows = EpochWindows(train, spec, jitter=recipe.jitter, negative_ratio=recipe.negative_ratio)

        def epoch(*, one_hot: bool) -> None:
            windows.draw(rng)
            for positions in np.split(rng.permutation(len(windows)), range(64, len(windows), 64)):
                codes, _ = windows.batch(positions)
                if one_hot:
                    sequences.one_hot(codes, "ACGT")

        fasta, bigwig, size = _genome_on_disk(Path(folder))
        places = rng.integers(5000, size - 5000, 200) + rng.integers(-recipe.jitter, recipe.jitter + 1, 200)
        is_reversed = rng.random(len(places)) < recipe.reverse_share

        def by_row() -> None:
            for centre, reverse in zip(places.tolist(), is_reversed, strict=True):
                read_window_by_row(fasta, bigwig, "chr1", centre, reverse, spec)

        trials = [
            (
                len(places) / seconds_of(by_row),
                len(windows) / seconds_of(lambda: epoch(one_hot=False)),
                len(windows) / seconds_of(lambda: epoch(one_hot=True)),
            )
            for _ in range(repeats)
        ]
        grown = own_memory_mb() - before
    return {
        "n_windows": len(data),
        "epoch_windows": len(windows),
        "by_row_windows_per_s": statistics.median(row for row, _, _ in trials),
        "epoch_windows_per_s": statistics.median(codes for _, codes, _ in trials),
        "one_hot_windows_per_s": statistics.median(one_hot for _, _, one_hot in trials),
        "ratio_epoch": statistics.median(codes / row for row, codes, _ in trials),
        "ratio_epoch_and_one_hot": statistics.median(one_hot / row for row, _, one_hot in trials),
        "memory_mb": grown,
    }


def _windows_on_disk(folder: Path, n_peaks: int, spec: TaskSpec) -> Dataset:
    """Write random windows to memory-mapped files, piece by piece: a third peaks, with ten times the Tn5 insertions."""
    rng, n = np.random.default_rng(0), 3 * n_peaks
    shapes = {"codes": spec.seq_len + 2 * spec.max_jitter, "profile": spec.profile_len + 2 * spec.max_jitter}
    types = {"codes": np.uint8, "profile": np.uint16}
    files = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", types[name], (n, width))
        for name, width in shapes.items()
    }
    for start in range(0, n, 1000):
        rows = slice(start, min(start + 1000, n))
        size = rows.stop - rows.start
        rate = np.where(np.arange(start, rows.stop) % 3 == 0, rng.gamma(2, 0.15, size), 0.03)
        files["codes"][rows] = rng.integers(0, 4, (size, shapes["codes"]), dtype=np.uint8)
        files["profile"][rows] = rng.poisson(rate[:, None], (size, shapes["profile"]))
    meta = pd.DataFrame({"is_peak": np.uint8(np.arange(n) % 3 == 0), "fits_jitter": np.ones(n, np.uint8)})
    return Dataset("windows", files["codes"], {"profile": files["profile"]}, meta, "simulated")


def _genome_on_disk(folder: Path, size: int = 1_000_000) -> tuple[Any, Any, int]:
    """Write a random chromosome and its signal, a Tn5 insertion at every third base, and open both."""
    try:
        import pybigtools
        import pysam
    except ModuleNotFoundError as error:
        raise BadInput(f"This benchmark needs {error.name!r}: `pip install -e '.[atac]'`.") from None
    rng = np.random.default_rng(0)
    letters = sequences.decode(rng.integers(0, 4, (1, size)))[0]
    lines = "\n".join(letters[start : start + 60] for start in range(0, size, 60))
    (folder / "genome.fa").write_text(f">chr1\n{lines}\n")
    values = (("chr1", at, at + 1, float(n)) for at, n in enumerate(rng.poisson(0.3, size)) if n)
    pybigtools.open(str(folder / "signal.bw"), "w").write({"chr1": size}, values)
    return pysam.FastaFile(str(folder / "genome.fa")), pybigtools.open(str(folder / "signal.bw")), size


def bench_encoding(n_rows: int = 20_000, seq_len: int = 230, repeats: int = 7) -> dict[str, float]:
    """Compare the engine's way from text to network input with the per-row dictionary encoder; medians, interleaved.

    The engine does it in two steps: text to uint8 codes once per dataset, and codes to (B, 5, seq_len) float32 on the
    device for every batch. `ratio_encoding` sets the first against the dictionary encoder; `ratio_encoding_and_input`
    sets both together against it, as if the engine, too, encoded anew every epoch.
    """
    backend = registry.get_backend("torch")
    backend.configure("cpu", threads=1)
    rng = np.random.default_rng(0)
    text = sequences.decode(rng.integers(0, 4, (n_rows, seq_len)))
    few = text[: max(1, n_rows // 20)]
    to_input = backend.OneHot(("is_reverse",))
    codes = backend.torch.from_numpy(np.array(sequences.encode(text, seq_len)))
    side = backend.torch.zeros(n_rows, 1)
    batches = list(zip(codes.split(1024), side.split(1024), strict=True))
    rates: dict[str, list[float]] = {"dictionary": [], "encoding": [], "input": []}
    for _ in range(repeats):
        rates["dictionary"].append(
            len(few) / seconds_of(lambda: consume(notebook_encoding.one_hot(text, (0.0,)) for text in few))
        )
        rates["encoding"].append(n_rows / seconds_of(lambda: sequences.encode(text, seq_len)))
        rates["input"].append(n_rows / seconds_of(lambda: consume(itertools.starmap(to_input, batches))))
    trials = list(zip(*rates.values(), strict=True))
    return {
        **{f"{name}_rows_per_s": statistics.median(values) for name, values in rates.items()},
        "ratio_encoding": statistics.median(e / d for d, e, _ in trials),
        "ratio_encoding_and_input": statistics.median(1 / (d / e + d / i) for d, e, i in trials),
    }
