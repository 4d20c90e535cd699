"""Hundreds of trainings on pilot jobs that are killed, lost and out of time, against the same trainings undisturbed.

`python -m tests.helpers.drill --models 12 --driver-kills 3 --worker-kills 20` kills what it started and counts what
was lost.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from tests.helpers.napping_model import COMPLETED, NAP
from tests.helpers.paths import ROOT


def drill(
    folder: Path,
    *,
    provider: str,
    n_models: int,
    folds: str,
    members: int,
    workers: int,
    pilots: int,
    nap_s: float,
    driver_kills: int,
    worker_kills: int,
    walltime: str | None,
    stop_before_s: int,
    seed: int = 0,
) -> dict:
    """Run the trainings twice, in peace and under fire, and compare the stores. Returns counts and seconds."""
    rng = random.Random(seed)
    words = _words(folder, n_models, folds, members)
    started = time.monotonic()
    peace = _start(folder / "peace", [*words, "--workers", "2"], {})
    assert peace.wait(timeout=3600) == 0, (folder / "peace.log").read_text()[-2000:]
    peace_s = time.monotonic() - started
    cluster = {"provider": provider, "workers": workers, "pilots": pilots, "stop_before_s": stop_before_s}
    cluster |= {"environment": {NAP: str(nap_s), COMPLETED: str(folder / "completed.txt")}}
    if walltime:
        cluster["walltime"] = walltime
    if provider == "slurm":
        cluster["sbatch"] = {"mem": "8G", "cpus-per-task": 2}  # naps need no processor
    file = folder / "cluster.yaml"
    file.write_text(json.dumps(cluster))  # JSON is YAML
    words += ["--cluster", str(file)]

    started = time.monotonic()
    driver, killed = _start(folder / "fire", words, {}), Counter()
    while driver.poll() is None or driver.returncode != 0:
        if driver.poll() is not None:
            assert driver.returncode in (-signal.SIGKILL, 75), (folder / "fire.log").read_text()[-3000:]
            driver = _start(folder / "fire", words, {})
        time.sleep(rng.uniform(1, 4))
        n_done = len(list((folder / "fire").glob("runs/*/*/*/test-*/job.json")))
        if n_done == 0:
            continue  # nothing is at stake yet
        trainers = _trainers(folder / "fire")
        if killed["worker"] < worker_kills and trainers:
            _kill(rng.choice(trainers))
            killed["worker"] += 1
        elif killed["driver"] < driver_kills and rng.random() < 0.5:
            driver.kill()
            driver.wait()
            killed["driver"] += 1
    fire_s = time.monotonic() - started
    ours, theirs = _contents(folder / "fire"), _contents(folder / "peace")
    records = [json.loads(f.read_text()) for f in (folder / "fire").glob("runs/*/*/*/test-*/job.json")]
    completed = (folder / "completed.txt").read_text().split()
    naps = sum(row["train_seconds"] for f in (folder / "fire").glob("runs/*/*/*/test-*/history.jsonl")
               for row in map(json.loads, f.read_text().splitlines()))  # fmt: skip
    return {
        "provider": provider,
        "trainings": len(theirs),
        "done": len(ours),
        "differ": sorted(name for name in theirs if ours.get(name) != theirs[name]),
        "left_over": _left_over(folder / "fire"),
        "scores_equal": _scores(folder / "fire") == _scores(folder / "peace"),
        "kills": dict(killed),
        "resumed": sum(bool(record["resumed_after_epochs"]) for record in records),
        "completed_more_than_once": sum(n > n_models for n in Counter(completed).values()),
        "completions": len(completed),
        "pilot_jobs": len(list((folder / "fire").glob("runs/*/logs/parsl/*/trainings/block-*"))),
        "time_limits": _time_limits(folder / "fire"),
        "seconds_in_peace": round(peace_s, 1),
        "seconds_under_fire": round(fire_s, 1),
        "seconds_of_naps": round(naps, 1),
        "overhead_per_training_s": round((fire_s * workers * pilots - naps) / len(theirs), 3),
    }


def _words(folder: Path, n_models: int, folds: str, members: int) -> list[str]:
    """Write copies of the napping model, each a model of its own, and the words of the run."""
    names = [f"napping_{i:02d}" for i in range(n_models)]
    for name in names:
        shutil.copyfile(ROOT / "tests/helpers/napping_model.py", folder / f"{name}.py")
    plugins = [word for name in names for word in ("--plugin", str(folder / f"{name}.py"))]
    words = ["--task", "human_mpra", "--folds", folds, "--members", str(members), *plugins]
    return [*words, "--models", ",".join(names)]


def _start(results: Path, words: list[str], environment: dict[str, str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "benchmarks", "run", "--results", str(results), *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment
    with open(results.with_suffix(".log"), "a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def _trainers(results: Path) -> list[int]:
    """List the processes that hold a claim in a store."""
    found = []
    for claim in results.glob("runs/*/*/*/*.claim"):
        try:
            found.append(json.loads(claim.read_text())["pid"])
        except (OSError, ValueError):
            continue
    return found


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _contents(results: Path) -> dict[str, str]:
    """Sum up what each training predicts and how it went, clocks aside."""
    found = {}
    for file in results.glob("runs/*/*/*/test-*/job.json"):
        digest = hashlib.sha256()
        with np.load(file.parent / "predictions.npz") as arrays:
            for name in sorted(arrays.files):
                digest.update(arrays[name].tobytes())
        for line in (file.parent / "history.jsonl").read_text().splitlines():
            row = {k: v for k, v in json.loads(line).items() if k not in ("seconds", "train_seconds")}
            digest.update(json.dumps(row, sort_keys=True).encode())
        found[str(file.parent.relative_to(results))] = digest.hexdigest()
    return found


def _left_over(results: Path) -> list[str]:
    found = [path for path in results.glob("runs/*/*/*/*") if path.parent.parent.name != "logs"]
    return [path.name for path in found if "logs" not in path.parts and not (path / "job.json").is_file()]


def _scores(results: Path) -> str:
    (file,) = results.glob("reports/*/scores.csv")
    return file.read_text()


def _time_limits(results: Path) -> int:
    """Count the trainings that ended because their pilot job's time was up."""
    return (results.with_suffix(".log")).read_text().count("its time limit is near")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--provider", choices=("local", "slurm"), default="local")
    parser.add_argument("--models", type=int, default=12, help="Models of 90 trainings each.")
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--pilots", type=int, default=1)
    parser.add_argument("--nap", type=float, default=0.005, help="Seconds of a batch; a training has 560.")
    parser.add_argument("--driver-kills", type=int, default=3)
    parser.add_argument("--worker-kills", type=int, default=20)
    parser.add_argument("--walltime", default="00:02:00")
    parser.add_argument("--stop-before", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = drill(
            Path(folder), provider=said.provider, n_models=said.models, folds="0-9", members=9, workers=said.workers,
            pilots=said.pilots, nap_s=said.nap, driver_kills=said.driver_kills, worker_kills=said.worker_kills,
            walltime=said.walltime, stop_before_s=said.stop_before, seed=said.seed,
        )  # fmt: skip
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
