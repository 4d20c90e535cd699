"""What a results folder holds."""

import functools
import json
import tempfile
from pathlib import Path

from hypothesis import strategies as st

from benchmarks.io import checksums
from tests.helpers.fuzz.box import Box
from tests.helpers.fuzz.damage import (
    damaged_array,
    damaged_arrays,
    damaged_bytes,
    damaged_json,
    damaged_table,
    damaged_value,
    texts,
)
from tests.helpers.fuzz.kinds import HERE, RIDGE, dna, kind
from tests.helpers.fuzz.tables import HUMAN


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


def put_run(box: Box, *words: str) -> Path:
    """Put the store of a small study into a box; returns it."""
    for name, content in _results_of(*words).items():
        path = box.root / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (box.root / "data/t.tsv").write_text(HUMAN)
    (box.root / "data/s.fa").write_text("".join(f">s{i}\n{dna(230, i)}\n" for i in range(3)))
    box.keep()
    return box.root / "results"


def put_store(box: Box) -> Path:
    return put_run(box, *RIDGE, "--folds", "0-2")


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
    results = put_store(box)
    (file,) = results.glob("reports/*/plan.json")
    place, value = str(file.relative_to(box.root)), json.loads(file.read_text())
    commands = st.sampled_from([*READING, ("retry", *HERE)])

    def use(found: tuple) -> int:
        content, words = found
        with box.damaged(**{place: content}):
            return box.call(*words, "--results", results, may_write=["results"])

    return st.tuples(damaged_json(value), commands), use, (file.read_bytes(), ("retry", *HERE))


@kind("job.json, history and predictions of a training", 700, heals=True)
def job_files(box: Box) -> tuple:
    results = put_store(box)
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
    results = put_store(box)
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
    results = put_store(box)
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
    results = put_store(box)
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
    results = put_store(box)
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
