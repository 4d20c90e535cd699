"""Runs to import and downloaded files."""

import io
import json
import tarfile
from typing import Any

from hypothesis import strategies as st

from benchmarks.io import checksums
from tests.helpers.fuzz.box import Box
from tests.helpers.fuzz.damage import damaged_bytes, damaged_json, damaged_table, texts, zipped
from tests.helpers.fuzz.kinds import kind
from tests.helpers.fuzz.stores import put_store
from tests.helpers.fuzz.tables import HUMAN


@kind("archives and folders to import", 300)
def imports(box: Box) -> tuple:
    theirs = put_store(box)
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
