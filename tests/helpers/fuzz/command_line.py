"""Values of options, cluster files and plug-ins."""

from typing import Any

from hypothesis import strategies as st

from tests.helpers.fuzz.box import Box
from tests.helpers.fuzz.damage import NASTY, damaged_bytes, damaged_table, damaged_value, places, texts
from tests.helpers.fuzz.kinds import HERE, RIDGE, kind, needed
from tests.helpers.fuzz.tables import HUMAN
from tests.helpers.paths import GOOD_PLUGIN


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

    needed("parsl")
    yaml = needed("yaml")
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


@kind("plug-in files", 250)
def plugins(box: Box) -> tuple:
    from benchmarks import registry

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
        lines = GOOD_PLUGIN.read_text().splitlines()
        at = draw(places) % len(lines)
        how = draw(st.sampled_from(["out", "other", "bytes", "name"]))
        if how == "bytes":
            return "base_counts.py", draw(damaged_bytes(GOOD_PLUGIN.read_text().encode()))
        if how == "name":
            names = ["my model.py", "kmer_ridge.py", "a.txt", "x.y.py", "é.py", "base_counts.py"]
            return draw(st.sampled_from(names)), GOOD_PLUGIN.read_text().encode()
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

    return inputs(), use, ("base_counts.py", GOOD_PLUGIN.read_text().encode())
