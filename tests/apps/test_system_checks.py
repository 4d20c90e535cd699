"""Preflight: each thing that can be wrong is found, and comes with one line on what to do."""

import errno
import json
import os
import sys

import pytest
from typer.testing import CliRunner

from benchmarks.apps import system_checks
from benchmarks.cli.main import app
from benchmarks.engine.datasets.catalogue import File


def program(folder, name, text):
    """Put a shell script in front of the path's programs."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.fixture
def path(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return folder


def test_a_gpu_is_named_hidden_or_broken(path, monkeypatch):
    program(path, "nvidia-smi", "echo 'NVIDIA H100, 550.54, 81559 MiB'")
    finding, gpus = system_checks.driver()
    assert (finding.status, len(gpus)) == ("ok", 1)
    assert "H100" in finding.says
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    finding, gpus = system_checks.driver()
    assert (finding.status, gpus) == ("warning", [])
    assert "CUDA_VISIBLE_DEVICES" in finding.fix
    program(path, "nvidia-smi", "exit 9")
    assert system_checks.driver()[0].status == "problem"
    (path / "nvidia-smi").unlink()
    assert system_checks.driver()[0].status == "note"


def says(**found):
    return f"print('FOUND' + {json.dumps(json.dumps(found))})"


@pytest.mark.parametrize(
    ("asked", "gpus", "status", "told"),
    [
        (says(version="2.13", cuda=None, gpus=0, sum=None), [], "ok", "CPU build"),
        (says(version="2.13", cuda=None, gpus=0, sum=None), ["H100"], "problem", "stay unused"),
        (says(version="2.13", cuda="13.0", gpus=0, sum=None), ["H100"], "problem", "sees no GPU"),
        (says(version="2.13", cuda="13.0", gpus=1, sum=1.0), ["H100"], "problem", "gives 1.0"),
        (says(version="2.13", cuda="13.0", gpus=1, sum=256.0**3), ["H100"], "ok", "1 GPU(s) used"),
        ("import no_such_module_at_all", [], "problem", "not installed"),
        ("raise ImportError('libcudart.so.13: cannot open')", [], "problem", "libcudart"),
        ("import os; os._exit(3)", [], "problem", "exit code 3"),
    ],
)
def test_a_framework_is_asked_in_a_process_of_its_own(monkeypatch, asked, gpus, status, told):
    monkeypatch.setattr(system_checks, "_ASK_TORCH", asked)
    found = system_checks.framework("torch", gpus)
    assert found.status == status
    assert told in found.says
    assert bool(found.fix) == (status == "problem")


def test_this_machines_torch_computes():
    assert system_checks.framework("torch", []).status == "ok"


def test_a_folder_is_writable_slow_full_or_no_folder(tmp_path, monkeypatch):
    writable, speed = system_checks.folder(tmp_path / "results" / "new")
    assert {writable.status, speed.status} <= {"ok", "warning"}
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    assert system_checks.folder(tmp_path / "file" / "results")[0].status == "problem"
    monkeypatch.setattr(system_checks, "_speed", lambda _: {"mb_per_s": 1.0, "files_per_s": 5.0})
    assert system_checks.folder(tmp_path)[1].status == "warning"

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(system_checks, "_speed", full)
    found = system_checks.folder(tmp_path)[0]
    assert (found.status, found.fix) == ("problem", "Free some space.")

    def read_only(_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(system_checks, "_speed", read_only)
    assert "--results" in system_checks.folder(tmp_path)[0].fix


def test_slurm_answers_or_does_not(path):
    with pytest.MonkeyPatch.context() as without:
        without.setenv("PATH", str(path))  # whatever is installed here
        assert system_checks.slurm().status == "note"
    program(path, "sinfo", "echo 'gpu* up 4'; echo 'cpu up 9'")
    assert system_checks.slurm().says == "partitions: gpu*, cpu"
    program(path, "sinfo", "echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1")
    found = system_checks.slurm()
    assert found.status == "problem"
    assert "Unable to contact" in found.says


def test_threads_memory_and_files_are_compared_with_the_machine(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert system_checks.threads(2).status == "warning"
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert system_checks.threads(2).status == "ok"
    monkeypatch.setattr(system_checks, "ENOUGH_MEMORY_GIB", 1e6)
    assert system_checks.memory().status == ("warning" if sys.platform == "linux" else "note")
    monkeypatch.setattr(system_checks, "ENOUGH_FILES", 10**9)
    assert "ulimit -n" in system_checks.open_files().fix


def test_data_are_there_absent_or_cut(tmp_path):
    file = File("yeast", "a.txt", "read", "", "", "https://a.org/a.txt", "")
    assert system_checks.data("yeast", tmp_path, [file], {}, False).fix == "python -m benchmarks fetch --task yeast"
    (tmp_path / "a.txt").write_text("abc")
    assert system_checks.data("yeast", tmp_path, [file], {"a.txt": {"bytes": 3}}, True).status == "ok"
    assert system_checks.data("yeast", tmp_path, [file], {"a.txt": {"bytes": 4}}, True).status == "problem"


def test_a_damaged_prepared_folder_is_a_problem(tmp_path):
    finding = system_checks.data("atac", tmp_path, [], {}, True, "data/atac/K562/windows/codes.npy has 3 bytes")
    assert finding.status == "problem"
    assert "codes.npy" in finding.says


def test_the_command_prints_every_finding_and_fails_on_a_problem(tmp_path, monkeypatch):
    for name in ("_ASK_TORCH", "_ASK_TENSORFLOW"):  # asked for real above; importing both takes half a minute
        monkeypatch.setattr(system_checks, name, says(version="2", cuda=None, gpus=0, sum=None))
    done = CliRunner().invoke(app, ["doctor", "--results", str(tmp_path / "r"), "--data", str(tmp_path), "--json"])
    found = {one["about"]: one for one in json.loads(done.stdout)}
    assert done.exit_code == int(any(one["status"] == "problem" for one in found.values()))
    assert {"python", "gpu", "torch", "tensorflow", "memory", "threads", "open files", "slurm"} <= set(found)
    assert {f"data of {task}" for task in ("yeast", "atac", "drosophila", "human_mpra")} <= set(found)
    (tmp_path / "yeast").mkdir()
    (tmp_path / "yeast" / "FETCHED.json").write_text("{")
    bad = CliRunner().invoke(app, ["doctor", "--results", str(tmp_path / "r"), "--data", str(tmp_path)])
    assert bad.exit_code == 1
    assert "PROBLEM  data of yeast" in bad.stdout
