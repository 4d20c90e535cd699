"""What is damaged and by which command it is read: a kind of input gives the ways to damage it, and what tries one."""

import contextlib
import functools
import gzip
import io
import json
import random
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from benchmarks.io import checksums
from tests.helpers.fuzzing import (
    NASTY,
    Box,
    Trap,
    damaged_array,
    damaged_arrays,
    damaged_bytes,
    damaged_json,
    damaged_table,
    damaged_value,
    often,
    places,
    texts,
    zipped,
)

Use = Callable[[Any], int]


@dataclass(frozen=True)
class Kind:
    """`make` fills a box with what is valid and returns what to try, how, and an input that must be taken.

    `n` is how many of 10,000 inputs are of this kind; `quick` ones are tried by default too, a few of each.
    What `heals` is made again or passed over where it is damaged.
    """

    name: str
    n: int
    quick: bool
    heals: bool
    make: Callable[[Box], tuple[st.SearchStrategy, Use, Any]]


KINDS: dict[str, Kind] = {}


def kind(name: str, n: int, *, quick: bool = True, heals: bool = False) -> Callable:
    def known(make: Callable) -> Callable:
        KINDS[name] = Kind(name, n, quick, heals, make)
        return make

    return known


def dna(n: int, seed: Any) -> str:
    return "".join(random.Random(str(seed)).choices("ACGT", k=n))


HERE = ("--device", "cpu", "--workers", "0")
RIDGE = ("--models", "kmer_ridge", "--set", "kmer_ridge.k=2")

# data of the tasks

HUMAN = "seq_id\tseq\tmean_value\tfold\n" + "".join(
    f"e{i // 2}_{'FR'[i % 2]}\t{dna(230, i)}\t{i / 7:.3f}\t{i // 2 % 10}\n" for i in range(40)
)


def _dry(box: Box, task: str, *words: Any, models: str = "kmer_ridge", **files: bytes) -> int:
    with box.damaged(**files):
        return box.call(
            "run", "--task", task, "--models", models, *HERE, "--dry-run", "--results", box.root / "results", *words
        )


@kind("human_mpra table, DREAM layout", 700)
def human_table(box: Box) -> tuple:
    file = box.root / "data" / "t.tsv"

    def use(found: tuple) -> int:
        content, refold = found
        return _dry(box, "human_mpra", "--data", file, *refold, **{"data/t.tsv": content})

    return st.tuples(damaged_table(HUMAN), st.sampled_from([(), ("--refold",)])), use, (HUMAN.encode(), ())


@kind("human_mpra table, other layouts", 500)
def human_others(box: Box) -> tuple:
    rows = [line.split("\t") for line in HUMAN.splitlines()[1:]]
    parts = ["train", "val", "test"]
    layouts = [
        "".join(f"{','.join(r)},0\n" for r in rows),
        "seq,mean_value,split\n" + "".join(f"{r[1]},{r[2]},{parts[int(r[3]) % 3]}\n" for r in rows),
        "seq_id\tseq\texpression\tfold\trep1\trep2\n" + "".join("\t".join([*r, r[2], r[3]]) + "\n" for r in rows),
        "seq,mean_value,rev\n" + "".join(f"{r[1][15:215]},{r[2]},{i % 2}\n" for i, r in enumerate(rows)),
    ]
    inputs = st.one_of(*(damaged_table(text, "\t," if "\t" in text else ",\t") for text in layouts))

    def use(content: bytes) -> int:
        return _dry(box, "human_mpra", "--data", box.root / "data", **{"data/other.csv": content})

    return inputs, use, layouts[0].encode()


@kind("human_mpra table, parquet", 150)
def human_parquet(box: Box) -> tuple:
    whole = pd.read_csv(io.StringIO(HUMAN), sep="\t")
    file = io.BytesIO()
    whole.to_parquet(file)
    columns = {
        "lists": [[1.0, "a"][i % 2 : i % 2 + 1] for i in range(40)],
        "dicts": [{"a": i} for i in range(40)],
        "bytes": [b"\xff\x00"] * 40,
        "dates": pd.date_range("2000-01-01", periods=40),
        "none": [None] * 40,
        "flags": [True] * 40,
        "huge": [2.0**80] * 40,
        "nan": [float("nan")] * 40,
        "categories": pd.Categorical(["a", "b"] * 20),
    }

    @st.composite
    def tables(draw: Any) -> bytes:
        if draw(st.booleans()):
            return draw(damaged_bytes(file.getvalue()))
        table = whole.copy()
        name = draw(st.sampled_from(list(table)))
        values = columns[draw(st.sampled_from(list(columns)))]
        table[name] = pd.Series([list(v) if isinstance(v, str) else v for v in values] if name == "" else values)
        if draw(st.booleans()):
            table = table.rename(columns={draw(st.sampled_from(list(table))): draw(texts)})
        if draw(st.booleans()):
            table = table.set_index(draw(st.sampled_from(list(table))))
        out = io.BytesIO()
        try:
            table.to_parquet(out)
        except Exception:  # what pyarrow cannot write is no input
            return file.getvalue()[: draw(places) % len(file.getvalue())]
        return out.getvalue()

    def use(content: bytes) -> int:
        return _dry(box, "human_mpra", "--data", box.root / "data/t.parquet", **{"data/t.parquet": content})

    return tables(), use, file.getvalue()


CHROMS = ("chr2L", "chr2R", "chr3L", "chr3R", "chrX")
FLY_ROWS = [(c, 1 + 5000 * i, 249 + 5000 * i, s, dna(249, (c, i, s))) for c in CHROMS for i in range(6) for s in "+-"]


@kind("drosophila table", 500)
def fly_table(box: Box) -> tuple:
    text = "seqnames\tstart\tend\tID\tSequence\tDev_log2_enrichment\tHk_log2_enrichment\tset\n" + "".join(
        f"{c}\t{a}\t{b}\t{c}_{a}_{b}_{s}_pos\t{seq}\t{i / 9:.3f}\t{-i / 5:.3f}\t{('Train', 'Val', 'Test')[i % 3]}\n"
        for i, (c, a, b, s, seq) in enumerate(FLY_ROWS)
    )

    def use(found: tuple) -> int:
        content, split = found
        return _dry(box, "drosophila", "--data", box.root / "data/t.tsv", "--split", split, **{"data/t.tsv": content})

    splits = st.sampled_from(["chromosome", "strict", "deepstarr", "position"])
    return st.tuples(damaged_table(text), splits), use, (text.encode(), "strict")


@kind("drosophila FASTA and activities", 300)
def fly_pair(box: Box) -> tuple:
    fasta = "".join(f">{c}_{a}_{b}_{s}_positive_peak\n{seq}\n" for c, a, b, s, seq in FLY_ROWS)
    header = "Dev_log2_enrichment\tHk_log2_enrichment\n"
    values = header + "".join(f"{i / 9:.3f}\t{-i / 5:.3f}\n" for i in range(len(FLY_ROWS)))
    fastas = st.one_of(damaged_bytes(fasta.encode()), damaged_table(fasta, "_ >"))
    inputs = st.one_of(
        st.tuples(fastas, st.just(values.encode())), st.tuples(st.just(fasta.encode()), damaged_table(values))
    )

    def use(found: tuple) -> int:
        names = ("data/Sequences_Train.fa", "data/Sequences_activity_Train.txt")
        return _dry(box, "drosophila", "--data", box.root / "data", **dict(zip(names, found, strict=True)))

    return inputs, use, (fasta.encode(), values.encode())


YEAST_LEFT, YEAST_RIGHT = "TGCATTTTTTTCACATC", "GGTTACGGCTGTT"
YEAST = "".join(f"{YEAST_LEFT}{dna(80, i)}{YEAST_RIGHT}\t{i % 18}.{i % 3}\n" for i in range(60))
DESIGNED = [f"{YEAST_LEFT}{dna(80, -i - 1)}{YEAST_RIGHT}" for i in range(60)]


def _prepared_tables() -> dict[str, str]:
    names = ("high", "low", "native", "random", "challenging")
    pairs = ("snv", "motif_perturbation", "motif_tiling", "snv_inferred")
    return {
        "test_designed_maude.tsv": "sequence\tmaude_expression\tpublic_leaderboard\n"
        + "".join(f"{s}\t{(i * 37 % 60) / 9 - 2:.3f}\t{i % 2}\n" for i, s in enumerate(DESIGNED)),
        "test_subsets.tsv": "subset\tpos\n" + "".join(
            f"{n}\t{(i * 7 + j) % 60}\n" for i, n in enumerate(names) for j in range(20)
        ),
        "test_pairs.tsv": "subset\talt_pos\tref_pos\tpublic\n"
        + "".join(
            f"{n}\t{(i * 9 + j) % 60}\t{(j * 3 + 1) % 60}\t{j % 2}\n" for i, n in enumerate(pairs) for j in range(20)
        ),
    }  # fmt: skip


@kind("yeast training table", 400)
def yeast_table(box: Box) -> tuple:
    for name, text in _prepared_tables().items():
        (box.root / "data" / name).write_text(text)
    box.keep()

    def use(content: bytes) -> int:
        file = box.root / "data/train.txt"
        with box.damaged(**{"data/train.txt": content}):
            return box.call(
                "run", "--task", "yeast", "--models", "kmer_ridge", *HERE, "--dry-run", "--data", file,
                "--results", box.root / "results", may_write=["data/train.txt.prepared"],
            )  # fmt: skip

    return damaged_table("sequence\texpression\n" + YEAST) | damaged_table(YEAST), use, YEAST.encode()


@kind("yeast store of codes beside the training table", 60, heals=True)
def yeast_store(box: Box) -> tuple:
    from benchmarks.yeast import prepare

    for name, text in _prepared_tables().items():
        (box.root / "data" / name).write_text(text)
    file = box.root / "data/train.txt"
    file.write_text(YEAST)
    prepare.read_training(file)
    box.keep()
    store = file.with_name("train.txt.prepared")
    valid = {path.name: path.read_bytes() for path in store.iterdir()}
    about = json.loads(valid["prepared.json"])

    @st.composite
    def inputs(draw: Any) -> tuple:
        name = draw(st.sampled_from(sorted(valid)))
        content = draw(damaged_json(about) if name == "prepared.json" else damaged_bytes(valid[name]))
        return name, content, draw(st.booleans())

    def use(found: tuple) -> int:
        name, content, summed = found
        with box.damaged(**{f"data/train.txt.prepared/{name}": content}):
            if summed and name != checksums.NAME:
                checksums.write(store)
            return box.call(
                "run", "--task", "yeast", "--models", "kmer_ridge", *HERE, "--dry-run", "--data", file,
                "--results", box.root / "results", may_write=["data/train.txt.prepared"],
            )  # fmt: skip

    return inputs(), use, ("codes.u8", valid["codes.u8"], True)


@kind("yeast test set, prepared tables", 400)
def yeast_test_set(box: Box) -> tuple:
    valid = _prepared_tables()
    for name, text in valid.items():
        (box.root / "data" / name).write_text(text)
    (box.root / "mine.txt").write_text("".join(f"{s}\t{i * 31 % 60 / 7:.2f}\n" for i, s in enumerate(DESIGNED)))
    box.keep()
    inputs = st.one_of(*(st.tuples(st.just(name), damaged_table(text)) for name, text in valid.items()))

    def use(found: tuple) -> int:
        with box.damaged(**{f"data/{found[0]}": found[1]}):
            return box.call(
                "challenge",
                "score",
                "--data",
                box.root / "data",
                "--submission",
                box.root / "mine.txt",
                "--part",
                "all",
            )

    return inputs, use, ("test_pairs.tsv", valid["test_pairs.tsv"].encode())


def _published_layout(folder: Path) -> dict[str, Any]:
    """Write the test set as the challenge published its own; returns what is in its files."""
    ids, public = folder / "test_subset_ids", folder / "public_leaderboard_ids"
    for one in (folder, ids, public):
        one.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "filtered_test_data_with_MAUDE_expression.txt": "".join(
            f"{s}\t{(i * 37 % 60) / 9 - 2:.3f}\n" for i, s in enumerate(DESIGNED)
        )
    }
    for i, (stem, name) in enumerate(
        [("high_exp", "high"), ("low_exp", "low"), ("yeast", "yeast"), ("all_random", "random"), ("challenging",) * 2]
    ):
        rows = [(i * 7 + j) % 60 for j in range(20)]
        found[f"test_subset_ids/{stem}_seqs.csv"] = ",tag,sequence,pos,exp\n" + "".join(
            f"{j},t,{DESIGNED[p]},{p},\n" for j, p in enumerate(rows)
        )
        found[f"public_leaderboard_ids/{name}_exp_indices.json"] = {str(p): 1.5 for p in rows[:6]}
    for i, (stem, name) in enumerate(
        [("all_SNVs_seqs", "SNVs"), ("motif_perturbation", "motif_perturbation"), ("motif_tiling_seqs", "motif_tiling")]
    ):
        rows = [((i * 9 + j) % 60, (j * 3 + 1) % 60) for j in range(20)]
        found[f"test_subset_ids/{stem}.csv"] = ",alt_pos,ref_pos\n" + "".join(
            f"{j},{a},{b}\n" for j, (a, b) in enumerate(rows)
        )
        found[f"public_leaderboard_ids/{name}_exp_indices.json"] = {f"{a},{b}": [1.0, 2.0] for a, b in rows[:6]}
    for name, content in found.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return found


@kind("yeast test set, published layout", 300)
def published_test_set(box: Box) -> tuple:
    valid = _published_layout(box.root / "data")
    (box.root / "mine.txt").write_text("".join(f"{s}\t{i * 31 % 60 / 7:.2f}\n" for i, s in enumerate(DESIGNED)))
    box.keep()
    inputs = st.one_of(
        *(
            st.tuples(st.just(name), damaged_table(content, "\t," if name.endswith("txt") else ",\t"))
            if isinstance(content, str)
            else st.tuples(st.just(name), damaged_json(content))
            for name, content in valid.items()
        )
    )

    def use(found: tuple) -> int:
        with box.damaged(**{f"data/{found[0]}": found[1]}):
            return box.call(
                "challenge", "score", "--data", box.root / "data", "--submission", box.root / "mine.txt", "--json"
            )

    snvs = "public_leaderboard_ids/SNVs_exp_indices.json"
    return inputs, use, (snvs, json.dumps(valid[snvs]).encode())


@kind("submissions to the challenge", 900)
def submission(box: Box) -> tuple:
    from benchmarks.yeast import test_set

    _published_layout(box.root / "data")
    test = test_set.read(box.root / "data")
    text = "".join(f"{s}\t{i * 31 % 60 / 7:.2f}\n" for i, s in enumerate(DESIGNED))
    given = {str(i): float(i) for i in np.flatnonzero(test.is_public)}
    (box.root / "finals").mkdir()
    for name in ("a_2022-07-01.txt", "b.txt"):
        (box.root / "finals" / name).write_text(text)
    box.keep()
    ways = ["validate", "score", "rank", "leaderboard"]
    inputs = st.tuples(
        st.one_of(
            st.tuples(st.just("mine.txt"), damaged_table(text)), st.tuples(st.just("mine.json"), damaged_json(given))
        ),
        st.sampled_from(ways),
        st.sampled_from(["public", "private", "all"]),
    )

    def use(found: tuple) -> int:
        (name, content), way, part = found
        with box.damaged(**{f"finals/{name}": content}):
            data, file = ("--data", box.root / "data"), box.root / "finals" / name
            if way == "validate":
                return box.call("challenge", way, *data, "--submission", file, may_list=True)
            if way == "score":
                return box.call("challenge", way, *data, "--submission", file, "--part", part)
            more = ("--draws", "2", "--share", "1.0", "--partial") if way == "rank" else ()
            return box.call("challenge", way, *data, "--submissions", box.root / "finals", "--part", part, *more)

    return inputs, use, (("mine.txt", text.encode()), "rank", "private")


# ATAC


def _genome_box(box: Box) -> dict[str, Any]:
    """Write a genome of a few chromosomes with its reads, peaks, blacklist and splits."""
    names = ("chr1", "chr2", "chr3", "chr4")
    sizes = dict.fromkeys(names, 24_000)
    rng = random.Random(5)
    fragments = sorted(
        (c, a := rng.randrange(100, 23_000), a + rng.randrange(40, 300)) for c in names for _ in range(60)
    )
    strands = [(c, a, a + 30, "N", 1000, "+") for c, a, _ in fragments] + [
        (c, b - 30, b, "N", 1000, "-") for c, _, b in fragments
    ]
    text = {
        "genome.fa": "".join(f">{c}\n" + "".join(dna(60, (c, i)) + "\n" for i in range(400)) for c in names),
        "fragments.tsv": "".join(f"{c}\t{a}\t{b}\tcell\t1\n" for c, a, b in fragments),
        "reads.tagAlign": "".join("\t".join(map(str, row)) + "\n" for row in strands),
        "reads.bedpe": "".join(f"{c}\t{a}\t{a + 30}\t{c}\t{b - 30}\t{b}\tr\t9\t+\t-\n" for c, a, b in fragments),
        "peaks.narrowPeak": "".join(
            f"{c}\t{a}\t{a + 300}\tp{a}\t0\t.\t1\t-1\t-1\t{120 + a % 7}\n"
            for c in names
            for a in range(4000, 20_000, 4000)
        ),
        "blacklist.bed": "chr1\t9000\t9400\tHigh\nchr3\t100\t900\n",
    }  # fmt: skip
    folds = [
        {"train": ["chr1", "chr2"], "valid": ["chr3"], "test": ["chr4"]},
        {"train": ["chr3", "chr4"], "valid": ["chr2"], "test": ["chr1"]},
    ]
    for name, content in text.items():
        (box.root / "data" / name).write_text(content)
    (box.root / "data/folds.json").write_text(json.dumps(folds))
    return {"text": text, "folds": folds, "sizes": sizes, "fragments": fragments}


def _prepare(box: Box, *words: Any, **files: bytes) -> int:
    data = box.root / "data"
    given = {"--genome": data / "genome.fa", "--peaks": data / "peaks.narrowPeak", "--shift": "0,0", "--n-folds": "4"}
    given |= dict(zip(words[::2], words[1::2], strict=True))
    flat = [word for pair in given.items() for word in pair]
    with box.damaged(**files):
        code = box.call("prepare", "--task", "atac", *flat, "--out", box.root / "out", may_write=["out"], is_work=True)
        assert code == 0 or not (box.root / "out/prepared.json").exists()
        return code


@kind("peaks, blacklist and splits", 450)
def regions(box: Box) -> tuple:
    made = _genome_box(box)
    box.keep()
    inputs = st.one_of(
        st.tuples(st.just("peaks.narrowPeak"), damaged_table(made["text"]["peaks.narrowPeak"])),
        st.tuples(st.just("blacklist.bed"), damaged_table(made["text"]["blacklist.bed"])),
        st.tuples(st.just("folds.json"), damaged_json(made["folds"])),
    )
    data = box.root / "data"

    def use(found: tuple) -> int:
        return _prepare(
            box, "--reads", data / "fragments.tsv", "--blacklist", data / "blacklist.bed",
            "--folds", data / "folds.json",
            **{f"data/{found[0]}": found[1]},
        )  # fmt: skip

    return inputs, use, ("folds.json", json.dumps(made["folds"]).encode())


@kind("reads as fragments, tagAlign and BEDPE", 450)
def reads(box: Box) -> tuple:
    made = _genome_box(box)
    box.keep()
    names = ("fragments.tsv", "reads.tagAlign", "reads.bedpe")
    inputs = st.tuples(
        st.one_of(*(st.tuples(st.just(name), damaged_table(made["text"][name])) for name in names)),
        st.sampled_from([(), ("--format", "fragments"), ("--format", "bedpe"), ("--format", "tagalign")]),
    )

    def use(found: tuple) -> int:
        (name, content), form = found
        return _prepare(box, "--reads", box.root / "data" / name, *form, **{f"data/{name}": content})

    return inputs, use, (("reads.bedpe", made["text"]["reads.bedpe"].encode()), ())


@kind("genome as FASTA", 300)
def genome(box: Box) -> tuple:
    pysam = _needed("pysam")
    made = _genome_box(box)
    plain = box.root / "data/genome.fa"
    pysam.tabix_compress(str(plain), str(box.root / "data/b.fa.gz"), force=True)
    blocks = (box.root / "data/b.fa.gz").read_bytes()
    box.keep()
    text = made["text"]["genome.fa"]
    inputs = st.one_of(
        st.tuples(st.just("g.fa"), damaged_bytes(text.encode())),
        st.tuples(st.just("g.fa"), damaged_table(text, ">\t ")),
        st.tuples(st.just("g.fa.gz"), damaged_bytes(gzip.compress(text.encode(), 1))),
        st.tuples(st.just("g.fa.gz"), damaged_bytes(blocks)),
    )

    def use(found: tuple) -> int:
        name, content = found
        data = box.root / "data"
        return _prepare(box, "--genome", data / name, "--reads", data / "fragments.tsv", **{f"data/{name}": content})

    return inputs, use, ("g.fa.gz", blocks)


def _needed(name: str) -> Any:
    import pytest

    return pytest.importorskip(name)


@kind("reads as BAM", 250)
def bam(box: Box) -> tuple:
    pysam = _needed("pysam")
    made = _genome_box(box)
    header = {"HD": {"VN": "1.6"}, "SQ": [{"SN": name, "LN": size} for name, size in made["sizes"].items()]}
    file = box.root / "data/reads.bam"
    with pysam.AlignmentFile(str(file), "wb", header=header) as out:
        for i, (chrom, start, end) in enumerate(made["fragments"]):
            read = pysam.AlignedSegment(out.header)
            read.query_name, read.reference_id = f"r{i}", list(made["sizes"]).index(chrom)
            read.reference_start, read.cigartuples, read.flag = start, [(0, end - start)], 16 * (i % 2)
            read.query_sequence = dna(end - start, i)
            out.write(read)
    whole = file.read_bytes()
    inside = gzip.decompress(whole)
    box.keep()

    @st.composite
    def inputs(draw: Any) -> bytes:
        if draw(st.booleans()):
            return draw(damaged_bytes(whole))
        content = draw(damaged_bytes(inside))  # a whole archive around damaged records
        (box.root / "temporary/r").write_bytes(content)
        pysam.tabix_compress(str(box.root / "temporary/r"), str(box.root / "temporary/r.gz"), force=True)
        packed = (box.root / "temporary/r.gz").read_bytes()
        box.restore()
        return packed

    def use(content: bytes) -> int:
        return _prepare(box, "--reads", file, **{"data/reads.bam": content})

    return inputs(), use, whole


@kind("signal as bigWig", 250)
def bigwig(box: Box) -> tuple:
    bigtools = _needed("pybigtools")
    made = _genome_box(box)
    file = box.root / "data/signal.bw"
    cuts = sorted({(chrom, start) for chrom, start, _ in made["fragments"]})
    bigtools.open(str(file), "w").write(made["sizes"], ((c, a, a + 1, 2.0) for c, a in cuts))
    whole = file.read_bytes()
    box.keep()

    def use(content: bytes) -> int:
        return _prepare(box, "--signal", file, **{"data/signal.bw": content})

    @st.composite
    def inputs(draw: Any) -> bytes:
        if draw(st.booleans()):
            return draw(damaged_bytes(whole))
        found = bytearray(whole)  # the header and the lists of chromosomes and blocks, field by field
        for _ in range(draw(st.integers(1, 3))):
            at = draw(places) % min(len(found) - 8, 600)
            found[at : at + 4] = draw(st.integers(0, 2**32 - 1)).to_bytes(4, "little")
        return bytes(found)

    return inputs(), use, whole


@kind("prepared ATAC folder", 450)
def prepared(box: Box) -> tuple:
    from benchmarks.atac import task
    from benchmarks.engine.store.store import Store

    _genome_box(box)
    data = box.root / "data"
    box.fill(
        "prepare", "--genome", data / "genome.fa", "--peaks", data / "peaks.narrowPeak", "--shift", "0,0",
        "--reads", data / "fragments.tsv", "--folds", data / "folds.json", "--out", box.root / "out",
    )  # fmt: skip
    box.keep()
    about = json.loads((box.root / "out/prepared.json").read_text())
    files = {
        name: (box.root / "out/windows" / name).read_bytes() for name in ("codes.npy", "profile.npy", "regions.tsv")
    }

    def use(found: tuple) -> int:
        name, content = found

        def read() -> None:
            for path in task.published(box.root / "out").values():
                dataset = task.load(path)
                assert list(task.splits(dataset.meta))
                Store(box.root / "results").put_dataset(dataset)

        with box.damaged(**{f"out/{name}": content}):
            return box.direct(read, may_write=["results"])

    inputs = st.one_of(
        st.tuples(st.just("prepared.json"), damaged_json(about)),
        st.tuples(st.just("windows/regions.tsv"), damaged_table(files["regions.tsv"].decode())),
        st.tuples(st.just("windows/codes.npy"), damaged_array(files["codes.npy"])),
        st.tuples(st.just("windows/profile.npy"), damaged_array(files["profile.npy"])),
    )
    return inputs, use, ("windows/codes.npy", files["codes.npy"])


# words of the command line


@kind("values of options", 700)
def options(box: Box) -> tuple:
    (box.root / "data/t.tsv").write_text(HUMAN)
    box.keep()
    keys = st.one_of(
        texts, st.sampled_from(["recipe.epochs", "recipe.batch_size", "kmer_ridge.k", "kmer_ridge.min_alpha"])
    )  # fmt: skip
    numbers = st.one_of(st.integers(-(10**20), 10**20).map(str), st.floats().map(str), texts)
    changes = st.tuples(keys, numbers).map("=".join) | texts
    given = st.one_of(
        st.tuples(st.just("--set"), changes),
        st.tuples(st.just("--folds"), st.one_of(texts, st.text("0123456789,- ", max_size=8))),
        st.tuples(st.sampled_from(["--models", "--split", "--preset", "--device", "--pack", "--task"]), texts),
        st.tuples(st.sampled_from(["--seed", "--members", "--workers"]), numbers),
        st.tuples(st.sampled_from(["--data", "--plugin"]), texts),
    )

    def use(found: list) -> int:
        words = [word.replace("\x00", "") for pair in found for word in pair]
        with box.damaged():
            return box.call(
                "run", "--task", "human_mpra", "--data", box.root / "data/t.tsv", *RIDGE, "--dry-run", *HERE, *words,
                "--results", box.root / "results",
            )  # fmt: skip

    return st.lists(given, min_size=1, max_size=2), use, [("--set", "kmer_ridge.k=3"), ("--folds", "0,2-3")]


@kind("cluster files", 200)
def clusters(box: Box) -> tuple:
    from benchmarks.engine.execution import cluster

    _needed("parsl")
    yaml = _needed("yaml")
    value = {
        "provider": "slurm", "pilots": 2, "nodes": 1, "workers": 4, "gpus": 2, "threads": 2, "walltime": "12:00:00",
        "stop_before_s": 60, "sbatch": {"partition": "gpu", "exclusive": True}, "modules": ["cuda/12"],
        "environment": {"A": "b"}, "address": "10.0.0.1",
    }  # fmt: skip
    text = yaml.safe_dump(value)
    inputs = st.one_of(
        damaged_value(value).map(lambda found: yaml.dump(found, allow_unicode=True).encode("utf-8", "replace")),
        damaged_table(text, ": "),
        st.sampled_from(
            [b"!!python/object/apply:os.system ['touch pwned']", b"&a [*a, *a]", b"a: &a [*a]", b"- " * 5000]
        ),
    )

    def use(content: bytes) -> int:
        with box.damaged(**{"data/c.yaml": content}):
            return box.direct(lambda: cluster.read(box.root / "data/c.yaml"))

    return inputs, use, text.encode()


# the store


@functools.cache
def _results_of(*words: str) -> dict[str, bytes]:
    """Run a small study and return the files of its store: path -> content."""
    with tempfile.TemporaryDirectory() as folder:
        box = Box(Path(folder))
        (box.root / "data/t.tsv").write_text(HUMAN)
        box.fill(
            "run", "--task", "human_mpra", "--data", box.root / "data/t.tsv", *words, *HERE, "--results", box.root / "r"
        )
        files = [path for path in (box.root / "r").rglob("*") if path.is_file()]
        return {str(path.relative_to(box.root / "r")): path.read_bytes() for path in files}


def _run(box: Box, *words: str) -> Path:
    """Put the store of a small study into a box; returns it."""
    for name, content in _results_of(*words).items():
        path = box.root / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (box.root / "data/t.tsv").write_text(HUMAN)
    (box.root / "data/s.fa").write_text("".join(f">s{i}\n{dna(230, i)}\n" for i in range(3)))
    box.keep()
    return box.root / "results"


def _stored(box: Box) -> Path:
    return _run(box, *RIDGE, "--folds", "0-2")


READING = [
    ("status",),
    ("status", "--json"),
    ("score",),
    ("gc", "--json"),
    ("compare", "--baseline", "kmer_ridge"),
    ("leaks",),
]


@kind("plan.json", 700)
def plan_json(box: Box) -> tuple:
    results = _stored(box)
    (file,) = results.glob("reports/*/plan.json")
    place, value = str(file.relative_to(box.root)), json.loads(file.read_text())
    commands = st.sampled_from([*READING, ("retry", *HERE)])

    def use(found: tuple) -> int:
        content, words = found
        with box.damaged(**{place: content}):
            return box.call(*words, "--results", results, may_write=["results"])

    return st.tuples(damaged_json(value), commands), use, (file.read_bytes(), ("retry", *HERE))


@kind("job.json, history and predictions of a training", 700)
def job_files(box: Box) -> tuple:
    results = _stored(box)
    folder = sorted(results.glob("runs/*/*/*/test-*"))[0]
    place = str(folder.relative_to(box.root))
    record = json.loads((folder / "job.json").read_text())
    history = (folder / "history.jsonl").read_bytes()
    predictions = (folder / "predictions.npz").read_bytes()
    first = json.loads(history.splitlines()[0])
    inputs = st.tuples(
        st.one_of(
            st.tuples(st.just("job.json"), damaged_json(record)),
            st.tuples(st.just("history.jsonl"), st.one_of(damaged_bytes(history), damaged_json(first))),
            st.tuples(st.just("predictions.npz"), damaged_arrays(predictions)),
            st.tuples(st.just(checksums.NAME), damaged_bytes((folder / checksums.NAME).read_bytes())),
        ),
        st.booleans(),
        st.sampled_from(READING),
    )

    def use(found: tuple) -> int:
        (name, content), summed, words = found
        with box.damaged(**{f"{place}/{name}": content}):
            if summed and name != checksums.NAME:  # as somebody would who wants it to be trusted
                checksums.write(folder)
            return box.call(*words, "--results", results, may_write=["results"])

    return inputs, use, (("predictions.npz", predictions), True, ("score",))


@kind("a store with its report", 60, quick=False)
def whole_report(box: Box) -> tuple:
    results = _stored(box)
    folder = sorted(results.glob("runs/*/*/*/test-*"))[0]
    (plan,) = results.glob("reports/*/plan.json")
    valid = {str(f.relative_to(box.root)): json.loads(f.read_text()) for f in (plan, folder / "job.json")}
    history = (folder / "history.jsonl").read_bytes().splitlines()
    inputs = st.one_of(
        *(
            st.tuples(st.just(name), damaged_value(value).map(lambda v: json.dumps(v).encode()))
            for name, value in valid.items()
        ),
        st.tuples(
            st.just(f"{folder.relative_to(box.root)}/history.jsonl"),
            damaged_value(json.loads(history[0])).map(lambda v: json.dumps(v).encode() + b"\n"),
        ),
    )  # fmt: skip

    def use(found: tuple) -> int:
        with box.damaged(**{found[0]: found[1]}):
            checksums.write(folder)
            return box.call("report", "--results", results, may_write=["results"])

    return inputs, use, (str(plan.relative_to(box.root)), plan.read_bytes())


@kind("a dataset of the store", 400)
def stored_dataset(box: Box) -> tuple:
    results = _stored(box)
    (folder,) = results.glob("datasets/*")
    place = str(folder.relative_to(box.root))
    about = json.loads((folder / "dataset.json").read_text())
    valid = {name: (folder / name).read_bytes() for name in ("codes.npy", "targets.npz", "meta.npz")}
    inputs = st.tuples(
        st.one_of(
            st.tuples(st.just("dataset.json"), damaged_json(about)),
            st.tuples(st.just("codes.npy"), damaged_array(valid["codes.npy"])),
            st.tuples(st.just("targets.npz"), damaged_arrays(valid["targets.npz"])),
            st.tuples(st.just("meta.npz"), damaged_arrays(valid["meta.npz"])),
        ),
        st.sampled_from([("score",), ("leaks",), ("compare", "--baseline", "kmer_ridge"), ("retry", *HERE)]),
    )

    def use(found: tuple) -> int:
        (name, content), words = found
        with box.damaged(**{f"{place}/{name}": content}):
            return box.call(*words, "--results", results, may_write=["results"])

    return inputs, use, (("meta.npz", valid["meta.npz"]), ("score",))


@kind("claims, failures and notes of trainings", 300, heals=True)
def notes(box: Box) -> tuple:
    results = _stored(box)
    folder = sorted(results.glob("runs/*/*/*/test-*"))[0]
    about = json.loads((folder / "job.json").read_text())
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    place = str(folder.relative_to(box.root))
    claim = {"id": "x" * 32, "machine": "elsewhere 1 2", "pid": 3, "born": "1"}
    valid = {
        f"{place}.claim": claim,
        f"{place}.failed.json": about | {"status": "failed", "reason": "ValueError: no"},
        f"{place}.partial/resumed.json": [1, 2],
        f"{place}.partial/threads.json": 1,
        f"{place}.partial/diverged.json": [{"seed": 1, "reason": "diverged"}],
        f"{place}.partial/epoch-00003/training.json": {"stamp": {}},
    }
    for name, value in valid.items():
        (box.root / name).parent.mkdir(parents=True, exist_ok=True)
        (box.root / name).write_text(json.dumps(value))
    box.keep()
    inputs = st.tuples(
        st.one_of(*(st.tuples(st.just(name), damaged_json(value)) for name, value in valid.items())),
        st.sampled_from([("status",), ("status", "--json"), ("gc", "--json"), ("score",)]),
    )

    def use(found: tuple) -> int:
        (name, content), words = found
        with box.damaged(**{name: content}):
            return box.call(*words, "--results", results, may_write=["results"])

    return inputs, use, ((f"{place}.claim", json.dumps(claim).encode()), ("status",))


@kind("predictions made elsewhere", 500)
def outside(box: Box) -> tuple:
    results = _stored(box)
    text = "seq_id\tprediction\tdataset\n" + "".join(
        f"{line.split(chr(9))[0]}\t{i / 3:.2f}\tt\n" for i, line in enumerate(HUMAN.splitlines()[1:])
    )
    names = st.one_of(st.just("theirs"), texts.map(lambda name: name.replace("\x00", "")))

    def use(found: tuple) -> int:
        content, name = found
        with box.damaged(**{"data/p.tsv": content}):
            return box.call(
                "score", "--predictions", box.root / "data/p.tsv", "--name", name, "--results", results,
                "--members", "1", may_write=["results"],
            )  # fmt: skip

    return st.tuples(damaged_table(text), names), use, (text.encode(), "theirs")


# models


def _trained(box: Box, model: str, *changes: str) -> Path:
    """Put a trained model into a box and return the folder of it."""
    settings = [word for change in changes for word in ("--set", change)]
    (folder,) = _run(box, "--models", model, "--folds", "0", *settings).glob("runs/*/*/*/test-*")
    return folder


def _saved_model(box: Box, folder: Path) -> tuple:
    place = str(folder.relative_to(box.root))
    valid = {path.name: path.read_bytes() for path in folder.iterdir()}
    ways = []
    for name, content in valid.items():
        if name.endswith(".json"):
            ways.append(st.tuples(st.just(name), damaged_json(json.loads(content))))
        elif name.endswith(".npz") and name != "predictions.npz":
            ways.append(st.tuples(st.just(name), damaged_arrays(content)))
        elif name.endswith(".pth"):
            ways.append(st.tuples(st.just(name), _damaged_state(content)))
    inputs = st.tuples(st.one_of(*ways, st.tuples(st.just("more.pkl"), st.just(b"x"))), st.integers(0, 4))

    def use(found: tuple) -> int:
        (name, content), summed = found
        with box.damaged(**{f"{place}/{name}": content}):
            if summed:
                checksums.write(folder)
            return box.call(
                "predict", "--weights", folder, "--input", box.root / "data/s.fa", "--out", box.root / "out.tsv",
                "--device", "cpu", may_write=["out.tsv"],
            )  # fmt: skip

    return inputs, use, (("job.json", valid["job.json"]), 1)


@st.composite
def _damaged_state(draw: Any, content: bytes) -> bytes:
    """Damage a file of torch.save: its tensors, what else it holds, or its bytes."""
    import torch

    if not often(draw, 3):
        return draw(damaged_bytes(content))
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    name = draw(st.sampled_from(sorted(state)))
    how = draw(
        st.sampled_from(
            [
                "trap", "out", "renamed", "shape", "nan", "text", "number", "list", "empty", "scalar", "ints",
                "complex", "more", "sparse", "meta", "bare",
            ]
        )
    )  # fmt: skip
    value = state[name]
    other = {
        "trap": lambda: Trap("unpickled"),
        "shape": lambda: value.float()[..., None],
        "nan": lambda: value.float() * float("nan"),
        "text": lambda: draw(texts),
        "number": lambda: 1.5,
        "list": lambda: [1, 2],
        "empty": lambda: value[:0] if value.ndim else torch.zeros(0),
        "scalar": lambda: torch.tensor(1.0),
        "ints": lambda: torch.ones(value.shape, dtype=torch.int8),
        "complex": lambda: torch.ones(value.shape, dtype=torch.complex64),
        "sparse": lambda: torch.ones(value.shape).to_sparse(),
        "meta": lambda: torch.empty(value.shape, device="meta"),
    }
    if how in other:
        state[name] = other[how]()
    elif how == "out":
        del state[name]
    elif how == "renamed":
        state[draw(texts)] = state.pop(name)
    elif how == "more":
        state[draw(texts)] = torch.zeros(2)
    file = io.BytesIO()
    torch.save(value if how == "bare" else state, file)
    return file.getvalue()


@kind("saved model of kmer_ridge", 250)
def saved_ridge(box: Box) -> tuple:
    return _saved_model(box, _trained(box, "kmer_ridge", "kmer_ridge.k=2"))


@kind("saved model of torch", 250, quick=False)
def saved_torch(box: Box) -> tuple:
    return _saved_model(box, _trained(box, "dream_cnn", "recipe.epochs=1", "recipe.width_scale=0.05"))


@kind("saved model of keras", 150, quick=False)
def saved_keras(box: Box) -> tuple:
    _needed("keras")
    return _saved_model(box, _trained(box, "mprann", "recipe.epochs=1", "recipe.width_scale=0.05"))


@kind("published weights", 150, quick=False)
def published_weights(box: Box) -> tuple:
    import torch

    from dream_models.prixfixe import combine
    from dream_models.prixfixe.combinations import Combination
    from dream_models.published import SPECS

    combination = Combination("autosome", "autosome", "autosome", "autosome")
    net = combine.network(combination, SPECS["human"], combination.recipe())
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    (box.root / "data/s.fa").write_text(f">s\n{dna(230, 1)}\n")
    box.keep()

    def use(content: bytes) -> int:
        with box.damaged(**{"data/w.pth": content}):
            return box.call(
                "predict", "--weights", box.root / "data/w.pth", "--input", box.root / "data/s.fa", "--out",
                box.root / "out.tsv", "--device", "cpu", may_write=["out.tsv"],
            )  # fmt: skip

    return _damaged_state(file.getvalue()), use, file.getvalue()


def _checkpoints(box: Box, model: str) -> tuple:
    """Damage the checkpoint of a training that was stopped; going on from it must end well, or in a refusal."""
    from benchmarks.apps.model_checks import SMALL, Case
    from benchmarks.engine.store import checkpoints as kept

    case = Case(model, "human_mpra", SMALL | {"epochs": 2})
    store = kept.EpochCheckpoints(box.root / "results/job.partial")
    kept_worth, kept.WORTH = kept.WORTH, 0
    try:
        with contextlib.suppress(_Killed):
            case.train(seed=3, on_epoch=_kill, checkpoints=store)
    finally:
        kept.WORTH = kept_worth
    store.begin(1)
    (folder,) = store.folder.glob("epoch-*")
    box.keep()
    place = str(folder.relative_to(box.root))
    valid = {path.name: path.read_bytes() for path in folder.iterdir()}
    ways = [st.tuples(st.just(checksums.NAME), damaged_bytes(valid[checksums.NAME]))]
    ways.append(st.tuples(st.just("training.json"), damaged_json(json.loads(valid["training.json"]))))
    ways += [st.tuples(st.just(name), _damaged_checkpoint(valid[name])) for name in valid if name.endswith(".pth")]
    ways += [st.tuples(st.just(name), damaged_arrays(valid[name])) for name in valid if name.endswith(".npz")]

    def use(found: tuple) -> int:
        (name, content), summed = found
        with box.damaged(**{f"{place}/{name}": content}):
            if summed and name != checksums.NAME:
                checksums.write(folder)
            return box.direct(lambda: case.train(seed=3, checkpoints=store), may_write=["results/job.partial"])

    return st.tuples(st.one_of(*ways), st.booleans()), use, (("training.json", valid["training.json"]), True)


class _Killed(Exception):
    pass


def _kill(row: dict) -> None:
    raise _Killed


@st.composite
def _damaged_checkpoint(draw: Any, content: bytes) -> bytes:
    import torch

    if not often(draw, 3):
        return draw(damaged_bytes(content))
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    name = draw(st.sampled_from(sorted(state)))
    how = draw(st.sampled_from(["trap", "out", "none", "text", "list", "empty", "tensor"]))
    if how == "out":
        del state[name]
    else:
        state[name] = {
            "trap": Trap("unpickled"), "none": None, "text": "x", "list": [1], "empty": {}, "tensor": torch.zeros(3),
        }[how]  # fmt: skip
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


@kind("checkpoints of torch", 100, quick=False)
def torch_checkpoints(box: Box) -> tuple:
    return _checkpoints(box, "dream_cnn")


@kind("checkpoints of keras", 20, quick=False)
def keras_checkpoints(box: Box) -> tuple:
    _needed("keras")
    return _checkpoints(box, "mprann")


@kind("sequences to predict", 400)
def sequences(box: Box) -> tuple:
    folder = _trained(box, "kmer_ridge", "kmer_ridge.k=2")
    fasta = (box.root / "data/s.fa").read_text()
    table = "seq_id\tseq\tis_reverse\n" + "".join(f"s{i}\t{dna(230, i)}\t{i % 2}\n" for i in range(5))
    ways = st.sampled_from(["predict", "ism"])

    def use(found: tuple) -> int:
        content, way, name = found
        with box.damaged(**{f"data/{name}": content}):
            given = ("--input", box.root / "data" / name, "--out", box.root / "out")
            if way == "predict":
                return box.call("predict", "--weights", folder, *given, may_write=["out"])
            return box.call("ism", "--run", folder, *given, "--logos", "0", may_write=["out"])

    inputs = st.one_of(damaged_table(table), damaged_bytes(fasta.encode()), damaged_table(fasta, ">\t,"))
    names = st.sampled_from(["in.tsv", "in.fa", "in.txt.gz"])
    return st.tuples(inputs, ways, names), use, (table.encode(), "ism", "in.tsv")


@kind("tables of variants", 350)
def variants(box: Box) -> tuple:
    folder = _trained(box, "kmer_ridge", "kmer_ridge.k=2")
    sequence = [dna(230, i) for i in range(5)]
    given = "seq_id\tseq\texpression\n" + "".join(f"s{i}\t{s}\t{i / 2}\n" for i, s in enumerate(sequence))
    (box.root / "data/given.tsv").write_text(given)
    box.keep()
    element = dna(260, "element")
    layouts = [
        "seq_ref\tseq_alt\tmeasured\tgroup\n" + "".join(f"{s}\t{s[:-1]}A\t{i}\tg\n" for i, s in enumerate(sequence)),
        "seq_id\tposition\talt\tref\tmeasured\n"
        + "".join(f"s{i}\t{i + 9}\tA\t{s[i + 8]}\t0.5\n" for i, s in enumerate(sequence)),
        "alt_pos\tref_pos\tsubset\n" + "".join(f"{i}\t{(i + 1) % 5}\tsnv\n" for i in range(5)),
        "Chromosome\tPosition\tRef\tAlt\tValue\tElement\n"
        + "".join(f"1\t{100 + i}\t{b}\tA\t0.1\tE\n" for i, b in enumerate(element)),
    ]  # fmt: skip
    inputs = st.one_of(
        *(st.tuples(st.just("pairs.tsv"), damaged_table(text)) for text in layouts),
        st.tuples(st.just("given.tsv"), damaged_table(given)),
    )
    (box.root / "data/pairs.tsv").write_text(layouts[1])
    box.keep()

    def use(found: tuple) -> int:
        with box.damaged(**{f"data/{found[0]}": found[1]}):
            data = box.root / "data"
            return box.call(
                "ism-pairs", "--run", folder, "--pairs", data / "pairs.tsv", "--input", data / "given.tsv",
                "--out", box.root / "out.csv", may_write=["out.csv"],
            )  # fmt: skip

    return inputs, use, ("pairs.tsv", layouts[0].encode())


@kind("plug-in files", 250)
def plugins(box: Box) -> tuple:
    from benchmarks import registry
    from tests.apps.test_model_checks import GOOD

    (box.root / "data/t.tsv").write_text(HUMAN)
    box.keep()

    def use(found: tuple) -> int:
        name, content = found
        try:
            with box.damaged(**{f"data/{name}": content}):
                return box.call(
                    "run", "--task", "human_mpra", "--data", box.root / "data/t.tsv", "--models", "base_counts",
                    "--plugin", box.root / "data" / name, *HERE, "--dry-run", "--results", box.root / "results",
                )  # fmt: skip
        finally:
            registry._plugins.clear()

    @st.composite
    def inputs(draw: Any) -> tuple:
        lines = GOOD.splitlines()
        at = draw(places) % len(lines)
        how = draw(st.sampled_from(["out", "other", "bytes", "name"]))
        if how == "bytes":
            return "base_counts.py", draw(damaged_bytes(GOOD.encode()))
        if how == "name":
            names = ["my model.py", "kmer_ridge.py", "a.txt", "x.y.py", "é.py", "base_counts.py"]
            return draw(st.sampled_from(names)), GOOD.encode()
        more = [
            "1/0",
            "raise SystemExit(3)",
            "import no_such_module",
            "NAME = 7",
            "RECIPE = None",
            "build = 3",
            "del RECIPE",
        ]
        more += ["raise KeyboardInterrupt", "unsupported = None", "(" * 300, "x = " + "-" * 5000 + "1", *NASTY]
        lines[at : at + 1] = [] if how == "out" else [lines[at], draw(st.sampled_from(more))]
        return "base_counts.py", ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")

    return inputs(), use, ("base_counts.py", GOOD.encode())


# what comes from elsewhere


@kind("archives and folders to import", 300)
def imports(box: Box) -> tuple:
    theirs = _stored(box)
    theirs.rename(box.root / "theirs")
    theirs = box.root / "theirs"
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.add(theirs, arcname="results")
    whole = file.getvalue()
    (plan,) = theirs.glob("reports/*/plan.json")
    job = sorted(theirs.glob("runs/*/*/*/test-*"))[0]
    (dataset,) = theirs.glob("datasets/*")
    box.keep()

    @st.composite
    def inputs(draw: Any) -> tuple:
        how = draw(st.sampled_from(["bytes", "entry", "plan", "job", "dataset"]))
        if how == "bytes":
            return "tar", draw(damaged_bytes(whole))
        if how == "entry":
            return "tar", draw(_odd_tar(whole))
        path = {"plan": plan, "job": job / "job.json", "dataset": dataset / "dataset.json"}[how]
        return str(path.relative_to(box.root)), draw(damaged_json(json.loads(path.read_text())))

    def use(found: tuple) -> int:
        name, content = found
        place = "data/home.tar.gz" if name == "tar" else name
        with box.damaged(**{place: content}):
            if name.endswith("job.json"):
                checksums.write(job)
            path = box.root / place if name == "tar" else theirs
            return box.call("import-runs", path, "--results", box.root / "ours", may_write=["ours"])

    return inputs(), use, ("tar", whole)


@st.composite
def _odd_tar(draw: Any, whole: bytes) -> bytes:
    """Add an entry that leads out, a link, a device, a file of an odd name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(whole)) as given, tarfile.open(fileobj=out, mode="w") as archive:
        for member in given:
            archive.addfile(member, given.extractfile(member) if member.isfile() else None)
        names = ["../outside.txt", "/outside.txt", "results/../../outside.txt", "results/runs/x", "results", "a" * 300]
        entry = tarfile.TarInfo(draw(st.one_of(st.sampled_from(names), texts.map(lambda t: t.replace("\x00", "")))))
        kinds = [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
        entry.type = draw(st.sampled_from(kinds))
        entry.linkname = draw(st.sampled_from(["../../outside.txt", "/etc/passwd", "results/runs", "x", ".", ""]))
        content = b"changed" if entry.type == tarfile.REGTYPE else b""
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


@kind("fetched files: record, archives, catalogue", 350)
def fetched(box: Box) -> tuple:
    from benchmarks.engine.datasets import catalogue, download

    content = zipped({"human_mpra/HepG2_clean.tsv": HUMAN.encode(), "human_mpra/more/K562.tsv": b"x"})
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        entry = tarfile.TarInfo("human_mpra/x.tsv")
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"abc"))
    record = {"a.zip": {"sha256": "0" * 64, "bytes": 3, "url": "https://example.org/a.zip"}}
    rows = "task,name,wanted,checksum,unpack,url,content\nyeast,a.zip,read,,.,https://example.org/a.zip,words\n"
    file = catalogue.File("human_mpra", "a.zip", "read", "", ".", "https://example.org/a.zip", "")
    names = st.one_of(
        st.sampled_from(["../x", "/x", "a/../../x", "..", "human_mpra/../../x", "a\\..\\x", "a" * 300]), texts
    )
    odd = st.dictionaries(names.map(lambda name: name.replace("\x00", "_") or "_"), st.binary(max_size=5), max_size=3)
    inputs = st.one_of(
        st.tuples(st.just("FETCHED.json"), damaged_json(record)),
        st.tuples(st.just("a.zip"), st.one_of(damaged_bytes(content), damaged_bytes(tar.getvalue()), odd.map(zipped))),
        st.tuples(st.just("a.zip"), _odd_tar(tar.getvalue())),
        st.tuples(st.just("catalogue.csv"), damaged_table(rows, ",\t")),
    )

    def use(found: tuple) -> int:
        name, damaged = found
        with box.damaged(**{f"data/human_mpra/{name}": damaged}):
            if name == "catalogue.csv":
                return box.direct(lambda: catalogue.read(box.root / "data/human_mpra/catalogue.csv"))
            if name == "FETCHED.json":
                words = ("--task", "human_mpra", "--offline", "--data", box.root / "data")
                return box.call("fetch", *words, may_write=["data/human_mpra"], may_list=True)
            fetch = lambda: download.fetch(file, box.root / "data/human_mpra", offline=True)  # noqa: E731
            return box.direct(fetch, may_write=["data/human_mpra"])

    return inputs, use, ("a.zip", content)


@kind("tables behind figures and reports", 350)
def figure_tables(box: Box) -> tuple:
    from benchmarks import registry
    from benchmarks.apps.across_tasks import published_values
    from benchmarks.apps.paper import ism_sites, load_figure_data
    from benchmarks.apps.regression import reference

    root = Path(registry.__file__).resolve().parents[1] / "results/reference"
    cut = "".join(published_values.default_file().read_text().splitlines(keepends=True)[:12])
    valid = {
        "sites.tsv": f"name\twild_type\tvariant\na\t{DESIGNED[0]}\t{DESIGNED[0][:40]}A{DESIGNED[0][41:]}\n",
        "motifs.tsv": "name\tword\nRAP1\tACACCCA\nREB1\tTTACCCG\n",
        "published.csv": cut,
        "c/ranking.csv": "place,submission,part,mean_rank,origin\n1,a,private,1.5,measured\n2,b,private,1.6,measured\n",
    }
    folder = next(path.parent for path in root.rglob("matrix.json"))
    valid |= {f"ref/{name}": (folder / name).read_text() for name in ("matrix.json", "about.json", "scores.csv")}
    for name, text in valid.items():
        path = box.root / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    box.keep()
    data = box.root / "data"
    readers = {
        "sites.tsv": lambda: ism_sites.read_sites(data / "sites.tsv"),
        "motifs.tsv": lambda: ism_sites.read_motifs(data / "motifs.tsv"),
        "published.csv": lambda: published_values.context(published_values.read(data / "published.csv")),
        "c/ranking.csv": lambda: load_figure_data.read_challenge([data / "c"]),
        "ref/matrix.json": lambda: reference.read_matrix(data / "ref"),
        "ref/about.json": lambda: reference.read(data / "ref"),
        "ref/scores.csv": lambda: reference.read(data / "ref"),
    }
    inputs = st.one_of(
        *(
            st.tuples(
                st.just(name),
                damaged_json(json.loads(text))
                if name.endswith("json")
                else damaged_table(text, "\t," if name.endswith("tsv") else ",\t"),
            )
            for name, text in valid.items()
        )
    )

    def use(found: tuple) -> int:
        with box.damaged(**{f"data/{found[0]}": found[1]}):
            return box.direct(readers[found[0]])

    return inputs, use, ("published.csv", cut.encode())
