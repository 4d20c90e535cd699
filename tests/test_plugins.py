"""A third party's model joins without a fork: as a file, or as an installed package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.cli.main import app
from benchmarks.errors import BadInput
from tests.helpers.paths import GOOD_PLUGIN, ROOT

pytestmark = pytest.mark.usefixtures("without_plots")

GOOD = GOOD_PLUGIN.read_text()

RUN = ["run", "--task", "human_mpra", "--folds", "0-1"]


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_plugins", {})
    file = tmp_path / "base_counts.py"
    file.write_text(GOOD)
    return file


def invoke(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, (done.stdout, done.stderr)
    return done


def test_a_plug_in_runs_beside_ours_and_shows_in_the_report(plugin, tmp_path, monkeypatch):
    results = tmp_path / "results"
    words = [*RUN, "--models", "kmer_ridge", "--plugin", plugin, "--results", results, "--workers", "1", "--json"]
    found = json.loads(invoke(*words).stdout)
    assert (found["done"], found["failed"]) == (4, 0)
    assert {row["model"] for row in found["scores"]} == {"kmer_ridge", "base_counts"}
    report = Path(found["report"])
    assert "base counts" in (report / "report.html").read_text()
    plan = json.loads((report / "plan.json").read_text())["plan"]
    codes = {job["model"]: (job["plugin"], job["code"]) for job in plan["jobs"]}
    assert codes["kmer_ridge"] == (None, None)
    assert codes["base_counts"] == (str(plugin), registry.add_plugin(plugin).code)

    plugin.unlink()  # a stored run is scored and drawn without the file
    monkeypatch.setattr(registry, "_plugins", {})
    (report / "report.html").unlink()
    invoke("report", "--results", results)
    assert "base counts" in (report / "report.html").read_text()


@pytest.mark.slow
def test_another_text_is_another_run(plugin, tmp_path):
    words = [
        *RUN,
        "--models",
        "base_counts",
        "--plugin",
        plugin,
        "--results",
        tmp_path / "r",
        "--workers",
        "0",
        "--json",
    ]
    assert json.loads(invoke(*words).stdout)["done"] == 2
    again = json.loads(invoke(*words).stdout)
    assert (again["done"], again["failed"], again["skipped"]) == (0, 0, 2)
    plugin.write_text(GOOD.replace("penalty: float = 1.0", "penalty: float = 2.0"))
    assert json.loads(invoke(*words).stdout)["done"] == 2
    plugin.write_text(GOOD.replace("np.eye(5)", "2 * np.eye(5)"))  # the recipe is the same, the code is not
    assert json.loads(invoke(*words).stdout)["done"] == 2


def test_without_models_a_plug_in_joins_the_default_ones(plugin, tmp_path):
    done = invoke(*RUN, "--plugin", plugin, "--results", tmp_path / "r", "--dry-run", "--json")
    names = {job.split("/")[1].rpartition("-")[0] for job in json.loads(done.stdout)["jobs"]}
    assert names == {"dream_cnn", "dream_rnn", "dream_attn", "mprann", "kmer_ridge", "base_counts"}


def test_a_file_edited_while_a_run_is_on_is_refused(plugin):
    code = registry.add_plugin(plugin).code
    plugin.write_text(GOOD + "\n")
    with pytest.raises(BadInput, match="was changed since the run was planned"):
        registry.add_plugin(plugin, code=code)


@pytest.mark.parametrize("name", ["missing.py", "two words.py", "model.txt"])
def test_a_plug_in_that_cannot_be_gets_one_sentence(name, tmp_path):
    if name != "missing.py":
        (tmp_path / name).write_text(GOOD)
    done = CliRunner().invoke(app, [*RUN, "--plugin", str(tmp_path / name), "--results", str(tmp_path / "r")])
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_list_and_info_show_it(plugin):
    assert "base_counts" in invoke("list", "--plugin", plugin).stdout
    assert "base counts" in invoke("info", "base_counts", "--plugin", plugin).stdout


@pytest.fixture
def package(tmp_path):
    """An installed package that announces a model by entry point."""
    (tmp_path / "their_package").mkdir()
    (tmp_path / "their_package" / "__init__.py").write_text("")
    (tmp_path / "their_package" / "net.py").write_text(GOOD)
    about = tmp_path / "their_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[dream_bench.models]\ntheir_net = their_package.net\n")
    return tmp_path


def in_package(package, *words):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{package}"}
    command = [sys.executable, "-m", "benchmarks", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
def test_a_package_announces_its_model(package):
    listed = json.loads(in_package(package, "list", "--json").stdout)["models"]
    assert {"name": "their_net", "title": "base counts", "framework": "numpy"}.items() <= next(
        entry for entry in listed if entry["name"] == "their_net"
    ).items()
    words = [*RUN, "--models", "kmer_ridge,their_net", "--results", package / "r", "--workers", "1", "--json"]
    done = in_package(package, *words)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["done"] == 4
    assert {"kmer_ridge", "their_net"} == set(pd.DataFrame(result["scores"])["model"])


@pytest.mark.parametrize(("line", "says"), [("kmer_ridge = their_package.net", "a name that is taken by"),
                                            ("their_net = their_package.gone", "cannot be found")])  # fmt: skip
def test_a_package_that_announces_nonsense_is_named(package, line, says):
    (package / "their_package-1.0.dist-info" / "entry_points.txt").write_text(f"[dream_bench.models]\n{line}\n")
    done = in_package(package, "list")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert says in done.stderr


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nan", "line {n}: it cannot be imported: NameError: name 'nan' is not defined"),
        ("raise SystemExit(3)", "line {n}: it cannot be imported: SystemExit: 3"),
        ("RECIPE = None", "RECIPE is a NoneType, a dataclass with its values is expected"),
        ("del RECIPE", "has no attribute 'RECIPE'"),
        ("unsupported = 3", "unsupported is not a function"),
        ("x = " + "(" * 300 + ")" * 300, "this is not Python that can be read"),
        ("import no_such_module", "needs the package 'no_such_module'"),
    ],
)
def test_a_plug_in_that_fails_when_it_is_imported_says_where(line, says, plugin, tmp_path):
    plugin.write_text(f"{GOOD}\n{line}\n")
    n = plugin.read_text().rstrip("\n").count("\n") + 1
    words = [*RUN, "--models", "base_counts", "--plugin", str(plugin), "--dry-run", "--results", str(tmp_path / "r")]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.exception
    assert says.format(n=n) in done.stderr
