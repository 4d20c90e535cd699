"""Tables that figures and reports are drawn from."""

import json
from pathlib import Path

from hypothesis import strategies as st

from tests.helpers.fuzz.box import Box
from tests.helpers.fuzz.damage import damaged_json, damaged_table
from tests.helpers.fuzz.kinds import kind
from tests.helpers.fuzz.yeast import DESIGNED


@kind("tables behind figures and reports", 350)
def figure_tables(box: Box) -> tuple:
    from benchmarks import registry
    from benchmarks.apps.across_tasks import published_values
    from benchmarks.apps.paper import ism_sites, load_figure_data, motifs
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
        "motifs.tsv": lambda: motifs.read_motifs(data / "motifs.tsv"),
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
