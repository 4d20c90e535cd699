"""Tables of the human and fruit fly tasks."""

import csv
import io
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from tests.helpers.fuzz.box import Box
from tests.helpers.fuzz.damage import damaged_bytes, damaged_table, places, texts
from tests.helpers.fuzz.kinds import HERE, dna, kind

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def side(i: int) -> str:
    """The i-th row's sequence: both orientations of an element in turn, between equal ends."""
    text = dna(230, i // 2)
    return text if i % 2 == 0 else text[:15] + text[15:215].translate(COMPLEMENT)[::-1] + text[215:]


HUMAN = "seq_id\tseq\tmean_value\tfold\n" + "".join(
    f"e{i // 2}_{'FR'[i % 2]}\t{side(i)}\t{i / 7:.3f}\t{i // 2 % 10}\n" for i in range(40)
)


def dry_run(box: Box, task: str, *words: Any, models: str = "kmer_ridge", **files: bytes) -> int:
    with box.damaged(**files):
        return box.call(
            "run", "--task", task, "--models", models, *HERE, "--dry-run", "--results", box.root / "results", *words
        )


@kind("human_mpra table, DREAM layout", 700)
def human_table(box: Box) -> tuple:
    file = box.root / "data" / "t.tsv"

    def use(found: tuple) -> int:
        content, refold = found
        return dry_run(box, "human_mpra", "--data", file, *refold, **{"data/t.tsv": content})

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
        return dry_run(box, "human_mpra", "--data", box.root / "data", **{"data/other.csv": content})

    return inputs, use, layouts[0].encode()


@kind("human_mpra table, as R and spreadsheets write it", 400)
def human_formats(box: Box) -> tuple:
    table = pd.read_csv(io.StringIO(HUMAN), sep="\t").rename(columns={"seq": "oligo", "mean_value": "y, log2"})
    written = {
        "R": table.to_csv(sep=" ", quoting=csv.QUOTE_NONNUMERIC, quotechar='"'),
        "semicolons": table.to_csv(sep=";", decimal=",", index=False),
        "bars": table.to_csv(sep="|", index=False, quoting=csv.QUOTE_ALL),
        "comments": "# made in spring\n" + table.to_csv(index=False),
        "tabs at the end": table.to_csv(sep="\t", index=False).replace("\n", "\t\t\n"),
    }
    encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
    inputs = st.one_of(*(st.tuples(damaged_table(text, ";|,\t"), encodings) for text in written.values()))
    words = st.sampled_from(["sequence=oligo,value=y, log2", "sequence=oligo", "value=seq_id", "=", "fold=fold,fold=x"])

    def use(found: tuple) -> int:
        (content, encoding), columns = found
        content = content.decode("utf-8", "replace").encode(encoding, "replace")
        file = box.root / "data/t.txt"
        return dry_run(box, "human_mpra", "--data", file, "--columns", columns, **{"data/t.txt": content})

    whole = (written["semicolons"].encode(), "utf-8"), "sequence=oligo,value=y, log2"
    return st.tuples(inputs, words), use, whole


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
        except Exception:  # what pyarrow cannot write cannot be an input
            return file.getvalue()[: draw(places) % len(file.getvalue())]
        return out.getvalue()

    def use(content: bytes) -> int:
        return dry_run(box, "human_mpra", "--data", box.root / "data/t.parquet", **{"data/t.parquet": content})

    return tables(), use, file.getvalue()


CHROMS = ("chr2L", "chr2R", "chr3L", "chr3R", "chrX")
FLY_ROWS = [
    (c, 1 + 5000 * i, 249 + 5000 * i, s, text)
    for c in CHROMS
    for i in range(6)
    for s, text in (("+", dna(249, (c, i))), ("-", dna(249, (c, i)).translate(COMPLEMENT)[::-1]))
]


@kind("drosophila table", 500)
def fly_table(box: Box) -> tuple:
    text = "seqnames\tstart\tend\tID\tSequence\tDev_log2_enrichment\tHk_log2_enrichment\tset\n" + "".join(
        f"{c}\t{a}\t{b}\t{c}_{a}_{b}_{s}_pos\t{seq}\t{i / 9:.3f}\t{-i / 5:.3f}\t{('Train', 'Val', 'Test')[i % 3]}\n"
        for i, (c, a, b, s, seq) in enumerate(FLY_ROWS)
    )

    def use(found: tuple) -> int:
        content, split = found
        return dry_run(
            box, "drosophila", "--data", box.root / "data/t.tsv", "--split", split, **{"data/t.tsv": content}
        )

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
        return dry_run(box, "drosophila", "--data", box.root / "data", **dict(zip(names, found, strict=True)))

    return inputs, use, (fasta.encode(), values.encode())
