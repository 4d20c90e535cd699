"""Training table, test set and submissions of the yeast task."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from benchmarks.io import checksums
from tests.helpers.fuzz.box import Box
from tests.helpers.fuzz.damage import damaged_bytes, damaged_json, damaged_table
from tests.helpers.fuzz.kinds import HERE, dna, kind

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
