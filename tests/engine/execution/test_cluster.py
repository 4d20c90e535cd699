"""The cluster file: what it may say, what reaches the queue, and trainings on pilot jobs of this machine."""

import contextlib
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks.cli.main import app
from benchmarks.engine.execution import cluster, workers
from benchmarks.engine.execution.workers import Call
from benchmarks.errors import BadInput
from tests.helpers.paths import ROOT
from tests.helpers.worker_calls import WORK

pytestmark = pytest.mark.usefixtures("without_plots")

pytest.importorskip("parsl", reason="pilot jobs need Parsl: pip install -e '.[cluster]'")


def written(tmp_path, text):
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    return file


# The file


@pytest.mark.parametrize("file", sorted((ROOT / "docs" / "clusters").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_examples_are_read(file):
    found = cluster.read(file)
    assert found.capacity == {"slurm": 48, "workstation": 6, "slurm_cpu": 64}[file.stem]
    assert found.device == {"slurm": "cuda", "workstation": "cuda", "slurm_cpu": "cpu"}[file.stem]


@pytest.mark.parametrize(
    ("walltime", "seconds"), [("12:00:00", 43_200 - 300), ("2-01:02:03", 176_520 - 300), ("00:10:00", 300)]
)
def test_trainings_end_before_the_time_limit(tmp_path, walltime, seconds):
    found = cluster.read(written(tmp_path, f'provider: slurm\nwalltime: "{walltime}"\n'))
    assert found.training_s == seconds
    assert f"DREAM_BENCH_STOP_AT=$(( $(date +%s) + {seconds} ))" in cluster._setup(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("provider: slrum", "provider expects local or slurm, got 'slrum'"),
        ("worker: 2", "Did you mean 'workers'?"),
        ("workers: 0", "workers expects a whole number from 1, got 0"),
        ("workers: true", "got True"),
        ("workers: 1.5", "got '1.5'"),
        ("provider: slurm", "needs a `walltime`"),
        ('provider: slurm\nwalltime: "00:04:00"', "leaves nothing of the walltime"),
        ("gpus: 4", "leave some of its 4 gpus idle"),
        ("- a list", "expected keys and values"),
        ("", "expected keys and values"),
        ("a: [1", "line 1: not YAML"),
        ("sbatch: {partition: 'gpu; rm -rf ~'}", "one word for partition"),
        ('sbatch: {partition: "gpu\\n#SBATCH --wrap=x"}', "one word for partition"),
        ("sbatch: {--partition: gpu}", "options of sbatch without dashes"),
        ("sbatch: {time: 5}", "follows from the other keys"),
        ("sbatch: {partition: '-x'}", "one word"),
        ("modules: ['cuda; true']", "a list of module names"),
        ("modules: cuda", "a list of module names"),
        ("environment: {'A; B': 1}", "names of environment variables"),
        ('environment: {A: "x\\ny"}', "a text or a number"),
        ("address: $(hostname)", "an address or host name"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_what_a_file_may_not_say_is_one_sentence(tmp_path, text, words):
    with pytest.raises(BadInput) as caught:
        cluster.read(written(tmp_path, text))
    assert words in str(caught.value)
    assert "cluster.yaml" in str(caught.value)
    done = CliRunner().invoke(
        app, ["run", "--task", "human_mpra", "--dry-run", "--cluster", str(tmp_path / "cluster.yaml")]
    )
    assert done.exit_code == 2
    assert "Traceback" not in done.stderr


def test_what_the_file_decides_is_not_said_twice(tmp_path):
    file = written(tmp_path, "workers: 2")
    for words in (["--device", "cpu"], ["--workers", "2"], ["--pack", "2"], ["--probe", "--dry-run"]):
        done = CliRunner().invoke(app, ["run", "--task", "human_mpra", "--cluster", str(file), *words])
        assert done.exit_code == 2
        assert "--cluster says itself" in done.stderr


@given(st.text(min_size=1))
def test_values_of_environment_variables_are_text_to_the_shell(text):
    """Whatever they are, the shell gives back what the file says."""
    said = cluster.Cluster(environment={"SAID": text.replace("\0", "").replace("\n", "")})
    line = next(line for line in cluster._setup(said).split("\n") if line.startswith("export SAID="))
    assert shlex.split(line) == ["export", f"SAID={said.environment['SAID']}"]


# What reaches the queue


def test_the_script_of_a_slurm_job_asks_for_what_the_file_says(tmp_path, monkeypatch):
    tools, seen = tmp_path / "bin", tmp_path / "script"
    tools.mkdir()
    for name, body in {
        "sbatch": f'cp "$1" {seen}; echo Submitted batch job 7',
        "squeue": "",
        "sacct": "exit 1",
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    said = cluster.read(ROOT / "docs" / "clusters" / "slurm.yaml")
    (pool,) = cluster._config(said, tmp_path).executors
    pool.provider.script_dir = str(tmp_path)
    assert pool.provider.submit("true", 1) == "7"
    lines = seen.read_text().splitlines()
    for option in ("partition=gpu", "account=my_lab", "gres=gpu:4", "mem=128G", "cpus-per-task=32", "time=720"):
        assert f"#SBATCH --{option}" in lines
    assert "#SBATCH --exclusive" not in lines
    assert "module load cuda/12.8" in lines
    checked = subprocess.run(["bash", "-n", seen], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("visible", "expected"),
    [(None, ["0", "1", "0", "1", "0"]), ("3,5", ["3", "5", "3", "5", "3"]), ("GPU-a", ["GPU-a"] * 5)],
)
def test_the_workers_of_a_node_are_spread_over_its_gpus(tmp_path, monkeypatch, visible, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    pinned = []
    monkeypatch.setattr(workers, "answer", lambda function, call, environment, logs: pinned.append(environment))
    for rank in range(5):
        monkeypatch.setenv("PARSL_WORKER_RANK", str(rank))
        cluster._answer("f", cluster.Cluster(workers=5, gpus=2, threads=3), str(tmp_path), Call("a", "g", 1))
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in pinned] == expected
    assert {environment["OMP_NUM_THREADS"] for environment in pinned} == {"3"}


# On pilot jobs of this machine


@pytest.mark.slow
def test_trainings_on_pilot_jobs_give_what_others_give(tmp_path):
    file = written(tmp_path, "provider: local\nworkers: 2\n")
    words = ["run", "--task", "human_mpra", "--models", "kmer_ridge", "--folds", "0-2", "--json"]
    found = {}
    for name, more in {"pilots": ["--cluster", str(file)], "here": ["--workers", "0", "--device", "cpu"]}.items():
        done = CliRunner().invoke(app, [*words, "--results", str(tmp_path / name), *more])
        assert done.exit_code == 0, done.stderr
        found[name] = json.loads(done.stdout)
    assert found["pilots"]["done"] == 3
    scores = [[row["value"] for row in found[name]["scores"]] for name in found]
    np.testing.assert_allclose(*scores, atol=1e-6)


@pytest.mark.slow
def test_a_pilot_job_that_cannot_start_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_setup", lambda said: "exit 3")
    pilots = cluster.pilots(cluster.Cluster(), WORK, tmp_path / "logs")
    with pytest.raises(BadInput, match=r"pilot jobs fail one after the other: .*EXIT CODE: 3"), pilots as run:
        run([Call("a", "g", {"do": "ok", "x": 1})], lambda *event: None)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="writes to /dev/full")
def test_logs_on_a_full_disk_print_no_traceback(tmp_path, capfd):
    with open("/dev/full", "w") as full:
        handler = logging.StreamHandler(full)
        try:
            with cluster.pilots(cluster.Cluster(), WORK, tmp_path / "logs"):
                logging.getLogger("parsl").addHandler(handler)
                logging.getLogger("parsl").error("no room for this")
        finally:
            logging.getLogger("parsl").removeHandler(handler)
            with contextlib.suppress(OSError):
                full.close()
    assert "Logging error" not in capfd.readouterr().err


def statuses(*states):
    from parsl.jobs.states import JobState, JobStatus

    return {str(i): JobStatus(JobState[name], message=f"job {i}") for i, name in enumerate(states)}


@pytest.mark.parametrize(
    ("states", "gives_up"),
    [
        (["MISSING"], False),  # one refusal may be a queue that is busy
        (["FAILED"], False),  # its node was lost: the training goes on elsewhere
        (["TIMEOUT", "CANCELLED", "FAILED"], False),  # all three have worked
        (["MISSING", "MISSING", "MISSING"], True),
        (["COMPLETED", "MISSING", "MISSING", "MISSING"], True),
        (["MISSING", "MISSING", "MISSING", "PENDING"], True),
        (["MISSING", "MISSING", "MISSING", "RUNNING"], False),
        (["MISSING", "MISSING", "SCALED_IN", "MISSING"], False),
        (["SCALED_IN"] * 9 + ["MISSING"] * 2, False),  # in the order of numbers, not of texts
    ],
)
def test_pilot_jobs_are_given_up_once_three_in_a_row_never_came(states, gives_up):
    given_up, numbers = [], {str(i): str(70 + i) for i in range(len(states))}
    pool = SimpleNamespace(set_bad_state_and_fail_all=given_up.append, blocks_to_job_id=numbers)
    cluster._give_up(pool, statuses(*states))
    assert bool(given_up) == gives_up


def test_pilot_jobs_that_the_queue_refuses_never_came():
    """They have no number, and Parsl calls them failed until it looks at the queue again, a minute later."""
    given_up = []
    pool = SimpleNamespace(set_bad_state_and_fail_all=given_up.append, blocks_to_job_id={})
    cluster._give_up(pool, statuses("FAILED", "FAILED"))
    assert not given_up
    cluster._give_up(pool, statuses("FAILED", "FAILED", "FAILED"))
    assert str(given_up[0]) == "job 2"


@pytest.mark.parametrize(
    ("states", "label", "words"),
    [
        (["PENDING", "PENDING"], "slurm", "`squeue --jobs 70,71`"),
        (["RUNNING", "PENDING"], "slurm", None),
        (["COMPLETED", "PENDING"], "slurm", "`squeue --jobs 71`"),
        ([], "slurm", None),
        (["PENDING"], "local", None),
    ],
)
def test_what_the_command_waits_for_is_said(states, label, words):
    numbers = {str(i): str(70 + i) for i in range(len(states))}
    pool = SimpleNamespace(
        provider=SimpleNamespace(label=label), status_facade=statuses(*states), blocks_to_job_id=numbers
    )
    said = cluster._in_the_queue(pool)
    assert (words in said) if words else said is None


def processes(text):
    """List the processes whose words or environment have a text."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for(find, seconds=90):
    end = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(("hit", "code"), [("control-c", 130), ("interchange", 75)])
@pytest.mark.slow
def test_a_command_ends_with_its_pilot_jobs(tmp_path, hit, code):
    """By Control-C, which reaches all processes of a terminal, or as the one that speaks with pilots was killed."""
    mark = f"MARK={tmp_path}"
    plugin = ROOT / "tests/helpers/napping_model.py"
    file = written(tmp_path, f"environment: {{NAPPING_S: '0.05', MARK: '{tmp_path}'}}\n")
    words = ["run", "--task", "human_mpra", "--plugin", str(plugin), "--models", "napping_model", "--folds", "0-1"]
    words += ["--results", str(tmp_path / "results"), "--cluster", str(file)]
    with open(tmp_path / "log", "w") as log:
        command = subprocess.Popen(
            [sys.executable, "-m", "benchmarks", *words],
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=ROOT,
            # A shell makes what it runs in the background deaf to Control-C; the tests may be such.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        wait_for(lambda: list((tmp_path / "results").glob("runs/*/*/*/*.claim")))
        if hit == "control-c":
            os.killpg(command.pid, signal.SIGINT)
        else:
            children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
            (one,) = [p for p in children if b"interchange" in Path(f"/proc/{p}/cmdline").read_bytes()]
            os.kill(int(one), signal.SIGKILL)
        assert command.wait(timeout=60) == code, (tmp_path / "log").read_text()
    finally:
        command.kill()
    said = (tmp_path / "log").read_text()
    assert "Traceback" not in said
    assert "the same command goes on from there" in said
    wait_for(lambda: not processes(mark), seconds=20)
    assert list((tmp_path / "results").glob("runs/*/*/*/*.partial/epoch-*")), "its state was not kept"
