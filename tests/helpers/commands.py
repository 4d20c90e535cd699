"""`run` as a process of its own, and what it has left in a results folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.helpers.paths import ROOT


def start(results, *words, **keywords):
    command = [sys.executable, "-m", "benchmarks", "run", "--task", "human_mpra", "--results", str(results), "--json"]
    return subprocess.Popen(
        [*command, "--device", "cpu", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        **keywords,
    )


def job_files(results):
    return {file.parent.relative_to(results): file.parent for file in results.glob("runs/*/*/*/test-*/job.json")}


def assert_same_trainings(found, expected):
    """Predictions and histories bit-equal, clocks aside."""
    found, expected = job_files(found), job_files(expected)
    assert found.keys() == expected.keys()
    for name, folder in found.items():
        with np.load(folder / "predictions.npz") as ours, np.load(expected[name] / "predictions.npz") as theirs:
            assert ours.files == theirs.files
            for array in ours.files:
                np.testing.assert_array_equal(ours[array], theirs[array])
        histories = [
            [json.loads(line) for line in (place / "history.jsonl").read_text().splitlines()]
            for place in (folder, expected[name])
        ]
        for rows in histories:
            for row in rows:
                del row["seconds"], row["train_seconds"]
        assert histories[0] == histories[1]


def left_over(results):
    """Everything under runs/ that is neither a finished job nor a log."""
    found = [path for path in results.glob("runs/*/*/*/*") if path.parent.parent.name != "logs"]
    return [path.name for path in found if not (path / "job.json").is_file()]


def children(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


def ensure_ended(process):
    if process.poll() is None:
        process.kill()
    process.communicate()


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
