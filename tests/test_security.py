"""What files from elsewhere must not do: run code, leave their folder, or steer a page or a terminal."""

import ast
import html.parser
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.cli.main import app
from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.store import locks
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training import Training
from benchmarks.errors import BadInput
from benchmarks.io import checksums, validated
from benchmarks.io.json_files import read_json, write_json
from tests.helpers.fuzz.damage import Trap
from tests.helpers.paths import GOOD_PLUGIN, ROOT

GOOD = GOOD_PLUGIN.read_text()

SOURCES = sorted(p for package in ("benchmarks", "baselines", "dream_models") for p in (ROOT / package).rglob("*.py"))
HERE = ("--device", "cpu", "--workers", "0")


def call(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert done.exit_code == code, (done.stdout, done.stderr, done.exception)
    return done


# no code out of data: what the source may call, and how


def calls(tree):
    """Give every call of a tree with its dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_evaluated_or_given_to_a_shell(path):
    tree = ast.parse(path.read_text())
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }
    assert not imported & {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    for name, keywords in calls(tree):
        assert name not in ("eval", "exec", "os.system", "os.popen", "pd.read_pickle", "pd.eval", "yaml.load"), name
        assert not name.endswith((".load_model", "subprocess.getoutput", "subprocess.getstatusoutput")) or (
            name == "published.load_model"  # ours: builds a network and reads tensors
        ), name
        assert keywords.get("shell", "False") == "False", name
        if name in ("np.load", "numpy.load"):
            assert keywords.get("allow_pickle") == "False", f"{path}: {name}"
        if name == "torch.load":
            assert keywords.get("weights_only") == "True", f"{path}: {name}"


@pytest.mark.parametrize("read", [validated.read_arrays, validated.map_array])
def test_an_array_of_objects_is_refused_and_not_unpickled(read, tmp_path):
    mark, file = tmp_path / "was-run", tmp_path / "x.npy"
    objects = np.array([Trap(str(mark))], dtype=object)
    np.savez(tmp_path / "x.npz", a=objects) if read is validated.read_arrays else np.save(file, objects)
    with pytest.raises(BadInput, match="that can be read"):
        read(file.with_suffix(".npz") if read is validated.read_arrays else file, recovery_hint="make it again")
    assert not mark.exists()


# names become paths only where they are names

LEADING_OUT = ["../x", "/etc/x", "..", ".", ".hidden", "a/b", "a\\b", "a\x00b", "a\n", "", "x" * 300, "~", "C:x"]


@pytest.mark.parametrize("name", LEADING_OUT)
def test_what_leads_out_of_a_folder_is_no_name(name):
    assert not validated.is_name(name)
    with pytest.raises(ValueError, match="No name that a run gives"):
        validated.parse_as(name, validated.Name)


@pytest.mark.parametrize("name", ["K562", "prix_fixe.autosome-bhi-autosome-bhi", "_x", "1a2b3c4d", "t.v2"])
def test_names_that_runs_give_are_names(name):
    assert validated.parse_as(name, validated.Name) == name


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of two ridges, one of which is done."""
    results = tmp_path_factory.mktemp("made") / "results"
    call("run", "--task", "human_mpra", "--models", "kmer_ridge", "--folds", "0-1", *HERE, "--results", results)
    return results


@pytest.fixture
def results(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "results"))


def plan_file(results):
    (file,) = results.glob("reports/*/plan.json")
    return file


def change_jobs(results, **changes):
    kept = read_json(plan_file(results))
    for job in kept["plan"]["jobs"]:
        job |= changes
    write_json(plan_file(results), kept)


@pytest.mark.parametrize(
    ("field", "command"),
    [
        ("dataset", "status"),
        ("digest", "score"),
        ("model", "report"),
        ("run", "gc"),
        ("task", "retry"),
        ("run", "leaks"),
    ],
)
def test_a_stored_plan_whose_names_lead_out_is_refused(field, command, results):
    change_jobs(results, **{field: "../../../outside"})
    done = call(command, "--results", results, *(HERE if command == "retry" else ()), code=2)
    assert "No name that a run gives" in done.stderr
    assert field in done.stderr


def test_prerequisites_are_names_too(results):
    change_jobs(results, prerequisites={"kmer_ridge": "../../x"})
    assert "No name that a run gives" in call("status", "--results", results, code=2).stderr


def test_outputs_and_tables_of_a_dataset_are_names(results):
    (file,) = results.glob("datasets/*/dataset.json")
    about = read_json(file)
    for change in ({"outputs": ["../../outside"]}, {"tables": {"../x": []}}):
        write_json(file, about | change)
        assert "No name that a run gives" in call("score", "--results", results, code=2).stderr


@pytest.mark.parametrize("name", ["../evil", "a/b", "/tmp/evil"])
def test_the_name_of_external_predictions_stays_in_the_store(name, results, tmp_path):
    plan = Plan.from_dict(read_json(plan_file(results))["plan"])
    store = Store(results)
    data = store.get_dataset(plan.sources[0].name, plan.sources[0].digest)
    (tmp_path / "p.tsv").write_text(
        "seq_id\tprediction\n" + "".join(f"{i}\t0.{n}\n" for n, i in enumerate(data.meta["seq_id"]))
    )
    before = {path for path in tmp_path.rglob("*") if results not in path.parents}
    call("score", "--predictions", tmp_path / "p.tsv", "--name", name, "--results", results)
    assert {path for path in tmp_path.rglob("*") if results not in path.parents} == before


# plug-ins run only when they are named


@pytest.fixture(scope="module")
def with_plugin(tmp_path_factory):
    """A run that was planned with a plug-in, which leaves a mark when it is imported, and has nothing trained."""
    folder = tmp_path_factory.mktemp("planted")
    file = folder / "base_counts.py"
    file.write_text(f"{GOOD}\nopen({str(folder / 'was-run')!r}, 'w')\n")
    words = ["run", "--task", "human_mpra", "--models", "base_counts", "--plugin", file, "--folds", "0", *HERE]
    call(*words, "--results", folder / "results")
    assert (folder / "was-run").exists()
    for trained in folder.glob("results/runs/*/*/*/test-*"):
        shutil.rmtree(trained)
    return folder, file.read_text()


@pytest.fixture
def planted(with_plugin, tmp_path, monkeypatch):
    """Give that run as a process finds it that has imported nothing: results, plug-in, and the mark it would leave."""
    folder, text = with_plugin
    monkeypatch.setattr(registry, "_plugins", {})
    for name in [name for name in sys.modules if name.startswith("dream_bench_plugin_")]:
        monkeypatch.delitem(sys.modules, name)
    (folder / "was-run").unlink(missing_ok=True)
    (folder / "base_counts.py").write_text(text)
    return (
        Path(shutil.copytree(folder / "results", tmp_path / "planted")),
        folder / "base_counts.py",
        folder / "was-run",
    )


@pytest.mark.parametrize(
    "words",
    [("status",), ("score",), ("report",), ("compare",), ("gc", "--json"), ("leaks",), ("across",), ("retry", *HERE)],
)
def test_a_stored_plan_runs_no_plug_in_by_itself(words, planted):
    results, _, mark = planted
    done = CliRunner().invoke(app, [*words, "--results", str(results)])
    assert not mark.exists()
    assert "Traceback" not in done.output
    if words == ("retry", *HERE):
        assert done.exit_code == 2
        assert "base_counts is a plug-in" in done.stderr
        assert "--plugin FILE" in done.stderr


def test_importing_a_plan_with_a_plug_in_runs_nothing(planted, tmp_path):
    results, _, mark = planted
    call("import-runs", results, "--results", tmp_path / "ours")
    call("retry", *HERE, "--results", tmp_path / "ours", code=2)
    assert not mark.exists()


def test_a_named_plug_in_is_used_if_it_is_the_planned_one(planted, tmp_path):
    results, file, mark = planted
    elsewhere = tmp_path / "elsewhere" / file.name
    elsewhere.parent.mkdir()
    shutil.move(file, elsewhere)
    call("retry", "--plugin", elsewhere, *HERE, "--results", results)
    assert mark.exists()
    assert len(list(results.glob("runs/*/*/base_counts-*/test-*/job.json"))) == 1


def test_another_file_under_a_plug_in_s_name_is_not_run(planted):
    results, file, mark = planted
    file.write_text(file.read_text() + "# changed\n")
    done = call("retry", "--plugin", file, *HERE, "--results", results, code=2)
    assert "is not what base_counts was planned with" in done.stderr
    assert not mark.exists()


def test_the_record_of_a_training_names_no_code_to_run(made, tmp_path):
    """`predict` builds the model that a job.json names; a name that is not a model of this project imports nothing."""
    (source, *_) = sorted(made.glob("runs/*/*/*/test-*"))
    for model in ("os", "benchmarks.cli.main", "../evil", "prix_fixe.../x", "json.tool"):
        folder = shutil.copytree(source, tmp_path / "training", dirs_exist_ok=True)
        write_json(folder / "job.json", read_json(source / "job.json") | {"model": model})
        checksums.write(folder)
        (tmp_path / "s.txt").write_text("A" * 230 + "\n")
        call("predict", "--weights", folder, "--input", tmp_path / "s.txt", "--out", tmp_path / "o.tsv", code=2)
    assert not (tmp_path / "o.tsv").exists()


# pages and terminals


class Tags(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes = set(), set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


BAD = "--></svg><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


def harmless(page):
    found = Tags(page.read_text())
    assert not found.tags & {"script", "img", "iframe", "object", "embed", "link"}
    assert not {name for name in found.attributes if name.startswith("on")}
    assert "&lt;script&gt;" in page.read_text()


def test_pages_escape_titles_reasons_notes_datasets_and_commands(results, tmp_path):
    kept = read_json(plan_file(results))
    plan = kept["plan"]
    plan["titles"]["kmer_ridge"] = BAD
    plan["skipped"] = {BAD: BAD}
    plan["notes"] = [BAD]
    plan["recipes"]["kmer_ridge"][BAD] = BAD
    write_json(plan_file(results), {"command": BAD, "plan": plan})
    (about,) = results.glob("datasets/*/dataset.json")
    record = read_json(about)
    record["notes"] = [BAD]
    for ceiling in record["ceilings"]:
        ceiling["basis"] = BAD
    write_json(about, record)
    first, second = sorted(results.glob("runs/*/*/*/test-*"))
    job = read_json(first / "job.json")
    hostile = {
        "device": BAD,
        "backend": BAD,
        "precision": BAD,
        "versions": {BAD: BAD},
        "hardware": {BAD: BAD},
        "commit": BAD,
    }
    write_json(first / "job.json", job | hostile)
    checksums.write(first)
    shutil.rmtree(second)
    Training(second).put_failure({"reason": BAD})
    call("report", "--results", results)
    harmless(plan_file(results).with_name("report.html"))
    call("across", "--results", results, "--out", tmp_path / "across")
    harmless(next((tmp_path / "across").glob("*.html")))
    call("figures", "--results", results, "--out", tmp_path / "figures", "--panels", "T1,T2,3a")
    found = Tags((tmp_path / "figures/index.html").read_text())
    assert "script" not in found.tags


def test_a_refusal_keeps_control_characters_off_the_terminal(tmp_path):
    (tmp_path / "t.tsv").write_text("seq_id\tseq\t\x1b[31mred\u202e\n1\t2\t3\n")
    done = call("run", "--task", "human_mpra", "--data", tmp_path / "t.tsv", "--models", "kmer_ridge", code=2)
    assert "\x1b" not in done.stderr
    assert "\u202e" not in done.stderr
    assert "\\x1b[31mred" in done.stderr
    assert done.stderr.count("\n") == 1


def test_words_of_the_command_line_reach_no_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word in ("$(touch pwned)", "`touch pwned`", "; touch pwned", "| touch pwned"):
        for option in ("--set", "--models", "--device", "--folds", "--split", "--data"):
            done = CliRunner().invoke(app, ["run", "--task", "human_mpra", option, word, "--dry-run"])
            assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_json_of_the_store_is_plain(made):
    """What is read back is what JSON can say, so that no reader needs more."""
    for file in made.rglob("*.json"):
        assert json.loads(file.read_text()) is not None


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[]", "null", '{"id": "../../../x", "machine": "m", "pid": 1, "born": "1"}', '{"id": "x"}',
     '{"id": "x", "machine": "m", "pid": "../1", "born": "1"}'],
)  # fmt: skip
def test_a_claim_that_is_none_leads_nowhere(text, tmp_path):
    file = tmp_path / "job.claim"
    file.write_text(text)
    os.utime(file, (0, 0))
    before = set(tmp_path.parent.rglob("*"))
    assert locks.lock_owner(file) is None
    with locks.TrainingLocks() as held:
        assert held.take(file), "it is stale, and taken over"
    assert set(tmp_path.parent.rglob("*")) <= before
