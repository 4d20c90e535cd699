"""Saved models and published weights, and sequences and variants that models predict."""

import io
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from benchmarks.io import checksums
from tests.helpers.fuzz.box import Box
from tests.helpers.fuzz.damage import Trap, damaged_arrays, damaged_bytes, damaged_json, damaged_table, often, texts
from tests.helpers.fuzz.kinds import dna, kind, needed
from tests.helpers.fuzz.stores import put_run


def put_trained(box: Box, model: str, *changes: str) -> Path:
    """Put a trained model into a box and return the folder of it."""
    settings = [word for change in changes for word in ("--set", change)]
    (folder,) = put_run(box, "--models", model, "--folds", "0", *settings).glob("runs/*/*/*/test-*")
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
    return _saved_model(box, put_trained(box, "kmer_ridge", "kmer_ridge.k=2"))


@kind("saved model of torch", 250, quick=False)
def saved_torch(box: Box) -> tuple:
    return _saved_model(box, put_trained(box, "dream_cnn", "recipe.epochs=1", "recipe.width_scale=0.05"))


@kind("saved model of keras", 150, quick=False)
def saved_keras(box: Box) -> tuple:
    needed("keras")
    return _saved_model(box, put_trained(box, "mprann", "recipe.epochs=1", "recipe.width_scale=0.05"))


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


@kind("sequences to predict", 400)
def sequences(box: Box) -> tuple:
    folder = put_trained(box, "kmer_ridge", "kmer_ridge.k=2")
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
    folder = put_trained(box, "kmer_ridge", "kmer_ridge.k=2")
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
