"""The catalogue of public assays: every file in it is read as it says, and is fetched and found by its name."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.assay import config, public
from benchmarks.cli.main import app
from benchmarks.engine.datasets import catalogue
from benchmarks.errors import BadInput
from tests.helpers.public_assays import N, place

TASK = registry.get_task("assay")


@pytest.mark.parametrize("name", public.offered())
def test_every_public_assay_is_read_as_it_says(tmp_path, name):
    found = place(name, tmp_path / name)
    data = TASK.load(tmp_path / name / "assay.yaml")
    assert list(data.targets) == found.outputs
    assert data.name == name
    assert len(list(TASK.splits(data.meta))) in (1, 90)
    if not found.saturation:
        assert len(data) == N
    if name == "wang2020":
        table = pd.read_csv(tmp_path / name / found.table, sep="\t")
        np.testing.assert_allclose(data.targets["expression"], np.log2(table["target"]), rtol=1e-6)


def test_chromosomes_of_the_published_split_are_held_out(tmp_path):
    place("gosai2024", tmp_path / "g")
    data = TASK.load(tmp_path / "g" / "assay.yaml")
    table = pd.read_csv(tmp_path / "g" / "Malinois_Table_S2.tsv", sep="\t", dtype={"chromosome": str})
    part = table["chromosome"].map({"7": "test", "13": "test", "19": "val", "21": "val", "X": "val"}).fillna("train")
    assert data.meta["split"].tolist() == part.tolist()


def test_variants_are_written_into_their_element(tmp_path):
    table = pd.DataFrame(
        [
            ("E1", 11, "C", "T", 0.5),
            ("E1", 10, "A", "-", 0.1),
            ("E1", 12, "G", "A", 0.2),
            ("E2", 5, "T", "A", 0.3),
            ("E3", 7, "T", "A", 0.3),
            ("E3", 9, "T", "A", 0.3),
        ],
        columns=["Element", "Position", "Ref", "Alt", "Value"],
    )
    table.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    (tmp_path / "assay.yaml").write_text(
        "table: t.tsv\nvalues: {y: Value}\nsaturation: {element: Element, position: Position, ref: Ref, alt: Alt}\n"
        "split: column\nfold: Element\ntest: [E1]\nvalidation: [E2]\n"
    )
    from benchmarks.assay import rows
    from benchmarks.io.account import Account

    account = Account("t.tsv")
    used = rows.read(config.read(tmp_path / "assay.yaml"), tmp_path, account)
    assert used.table["seq"].tolist() == ["ATG", "CG", "ACA", "A"]
    assert used.table["group"].tolist() == ["E1", "E1", "E1", "E2"]
    assert account.left_out[0].n == 2


def test_a_public_assay_is_fetched_and_run_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = ["run", "--task", "assay", "--data", "deboer2020_glucose", "--dry-run"]
    done = CliRunner().invoke(app, run)
    assert done.exit_code == 2
    assert "fetch --task assay --name deboer2020_glucose" in done.stderr.replace("\n", " ")
    place("deboer2020_glucose", tmp_path / "data" / "assay" / "deboer2020_glucose")
    (tmp_path / "data" / "assay" / "deboer2020_glucose" / "assay.yaml").unlink()
    done = CliRunner().invoke(app, ["fetch", "--task", "assay", "--name", "deboer2020_glucose", "--offline"])
    assert done.exit_code == 0, done.stderr
    assert CliRunner().invoke(app, run).exit_code == 0


def test_the_catalogue_is_listed_and_unknown_names_are_refused():
    done = CliRunner().invoke(app, ["fetch", "--list", "--task", "assay"])
    assert "Malinois_Table_S2.tsv" in done.stdout
    with pytest.raises(BadInput, match="Did you mean 'gosai2024'"):
        catalogue.offered(TASK, "gosai204")
    with pytest.raises(BadInput, match="yeast"):
        catalogue.offered(registry.get_task("yeast"), "gosai2024")
    done = CliRunner().invoke(app, ["fetch", "--task", "assay"])
    assert done.exit_code == 2
    assert "--name is missing" in done.stderr


def test_addresses_and_checksums_are_whole():
    for name, (what, files) in public.offered().items():
        assert files, name
        assert "doi 10." in what
        for file in files:
            assert file.url.startswith("https://")
            assert file.url.endswith(file.name)
            assert not file.checksum or len(file.checksum) == len("md5:") + 32
