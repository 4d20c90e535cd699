"""Genomes, regions, reads and signal, and the folder that `prepare` makes of them."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.helpers.fuzz.box import Box
from tests.helpers.fuzz.damage import damaged_array, damaged_bytes, damaged_json, damaged_table, places
from tests.helpers.fuzz.kinds import dna, kind, needed


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
        "insertions.bed": "".join(f"{c}\t{a}\t{a + 1}\n" for c, a, _ in fragments),
        "barcodes.txt": "cell\nother-1\n",
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
    options = st.sampled_from([(), ("--summits", "middle"), ("--exclude", "chr9"), ("--exclude", "chr2")])
    data = box.root / "data"

    def use(found: tuple) -> int:
        (name, content), words = found
        return _prepare(
            box, "--reads", data / "fragments.tsv", "--blacklist", data / "blacklist.bed",
            "--folds", data / "folds.json", *words, **{f"data/{name}": content},
        )  # fmt: skip

    return st.tuples(inputs, options), use, (("folds.json", json.dumps(made["folds"]).encode()), ())


@kind("reads as fragments, tagAlign and BEDPE", 450)
def reads(box: Box) -> tuple:
    made = _genome_box(box)
    box.keep()
    names = ("fragments.tsv", "reads.tagAlign", "reads.bedpe", "insertions.bed", "barcodes.txt")
    formats = ("fragments", "bedpe", "tagalign", "insertions", "bam")
    cells = ("--barcodes", box.root / "data/barcodes.txt")
    inputs = st.tuples(
        st.one_of(*(st.tuples(st.just(name), damaged_table(made["text"][name])) for name in names)),
        st.sampled_from([(), *(("--format", form) for form in formats), ("--assay", "dnase"), cells]),
    )

    def use(found: tuple) -> int:
        (name, content), words = found
        read = "fragments.tsv" if name == "barcodes.txt" else name
        words = cells if name == "barcodes.txt" else words
        return _prepare(box, "--reads", box.root / "data" / read, *words, **{f"data/{name}": content})

    return inputs, use, (("reads.bedpe", made["text"]["reads.bedpe"].encode()), ())


@kind("genome as FASTA", 300)
def genome(box: Box) -> tuple:
    pysam = needed("pysam")
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


@kind("reads as BAM, CRAM and SAM", 250)
def bam(box: Box) -> tuple:
    pysam = needed("pysam")
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
    genome, cram, sam = (str(box.root / name) for name in ("data/genome.fa", "temporary/r.cram", "temporary/r.sam"))
    pysam.view("-C", "-T", genome, "-o", cram, str(file), catch_stdout=False)
    pysam.view("-h", "-o", sam, str(file), catch_stdout=False)
    others = [Path(name).read_bytes() for name in (cram, sam)]
    for name in (cram, sam, f"{genome}.fai"):  # samtools writes an index beside the genome, the product does not
        Path(name).unlink(missing_ok=True)
    box.keep()

    @st.composite
    def inputs(draw: Any) -> bytes:
        source = draw(st.sampled_from([whole, *others, None]))
        if source is not None:
            return draw(damaged_bytes(source))
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
    bigtools = needed("pybigtools")
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
