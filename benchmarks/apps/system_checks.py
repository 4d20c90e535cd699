"""What is looked at before a run, one function each: this machine, its devices, its disks, its scheduler.

A finding says what is there and, where that is not as it should be, what to do, in one line. Frameworks are asked in a
process of their own: one that crashes on import is a finding, not the end.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ENOUGH_MEMORY_GIB, ENOUGH_DISK_GIB = 4.0, 5.0
ENOUGH_FILES = 1024
SLOW_MB_PER_S, SLOW_FILES_PER_S = 20.0, 50.0
"""Below these a results folder holds a run up: predictions are megabytes, and every training writes a dozen files."""
_PATIENCE_S = 120

Status = Literal["ok", "note", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """What was found of one thing; `fix` is what to do about a warning or a problem."""

    about: str
    status: Status
    says: str
    fix: str = ""


_ASK_TORCH = """
import json, torch
found = {"version": torch.__version__, "cuda": torch.version.cuda, "gpus": torch.cuda.device_count(), "sum": None}
if torch.cuda.is_available():
    x = torch.ones(256, 256, device="cuda")
    found["sum"] = float((x @ x).sum())
print("FOUND" + json.dumps(found))
"""
_ASK_TENSORFLOW = """
import json, os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
found = {"version": tf.__version__, "cuda": tf.sysconfig.get_build_info().get("cuda_version"), "sum": None}
found["gpus"] = len(tf.config.list_physical_devices("GPU"))
if found["gpus"]:
    with tf.device("GPU:0"):
        x = tf.ones((256, 256))
        found["sum"] = float(tf.reduce_sum(x @ x))
print("FOUND" + json.dumps(found))
"""
_SUM = 256.0**3


def python() -> Finding:
    """Name Python and system."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok", f"Python {version} on {sys.platform}, {sys.prefix}")


def driver() -> tuple[Finding, list[str]]:
    """Ask the driver which GPUs there are; returns their names too."""
    if not shutil.which("nvidia-smi"):
        return Finding("gpu", "note", "no NVIDIA driver is installed: everything runs on the CPU"), []
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        return Finding("gpu", "problem", f"nvidia-smi fails: {error}", "Restart the driver, or ask who keeps it."), []
    gpus = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if gpus and hidden is not None and hidden.strip() in ("", "-1"):
        fix = "Unset CUDA_VISIBLE_DEVICES to use them."
        return Finding("gpu", "warning", f"{len(gpus)} GPUs are there, and CUDA_VISIBLE_DEVICES hides them", fix), []
    return Finding("gpu", "ok" if gpus else "note", "; ".join(gpus) or "the driver sees no GPU"), gpus


def framework(name: Literal["torch", "tensorflow"], gpus: list[str]) -> Finding:
    """Import a framework, and compute on the GPU where there is one."""
    asked = {"torch": _ASK_TORCH, "tensorflow": _ASK_TENSORFLOW}[name]
    try:
        done = subprocess.run(
            [sys.executable, "-c", asked], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding(name, "problem", f"its import takes more than {_PATIENCE_S} s", "Install it on a local disk.")
    line = next((line for line in done.stdout.splitlines() if line.startswith("FOUND")), None)
    if line is None:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        if "No module named" in last:
            what = {"torch": "torch", "tensorflow": "'.[tensorflow]'"}[name]
            status: Status = "problem" if name == "torch" else "note"
            return Finding(name, status, "it is not installed", f"pip install {what}")
        return Finding(
            name, "problem", f"it does not start: {last}", "Install it anew, by the versions of constraints.txt."
        )
    found = json.loads(line.removeprefix("FOUND"))
    says = f"{found['version']}, " + (f"CUDA {found['cuda']}" if found["cuda"] else "CPU build")
    if not gpus:
        return Finding(name, "ok", says)
    if not found["cuda"]:
        fix = "Install the CUDA build: make clean, and make run without TORCH_INDEX."
        return Finding(name, "problem", f"{says}, though there is a GPU: it would stay unused", fix)
    if not found["gpus"]:
        fix = f"Update the driver to one that knows CUDA {found['cuda']}, or install a build for the driver's CUDA."
        return Finding(name, "problem", f"{says}: it sees no GPU, though the driver does", fix)
    if found["sum"] != _SUM:
        return Finding(
            name, "problem", f"{says}: the GPU gives {found['sum']}, not {_SUM:.0f}", "The GPU may be broken."
        )
    return Finding(name, "ok", f"{says}; {found['gpus']} GPU(s) used")


def memory() -> Finding:
    """Say how much memory is free."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        total, free = (int(lines[name].split()[0]) / 2**20 for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):
        return Finding("memory", "note", "this system does not say how much is free")
    says = f"{free:.1f} of {total:.1f} GiB free"
    if free < ENOUGH_MEMORY_GIB:
        return Finding("memory", "warning", says, "Use fewer workers (--workers 1), or end other programs.")
    return Finding("memory", "ok", says)


def open_files() -> Finding:
    """Say how many files a process may have open."""
    try:
        import resource
    except ModuleNotFoundError:  # not on Windows
        return Finding("open files", "note", "this system has no such limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < ENOUGH_FILES:
        return Finding(
            "open files", "warning", f"at most {soft:,}", f"ulimit -n {min(hard, 4096) if hard > 0 else 4096}"
        )
    return Finding("open files", "ok", f"at most {soft:,}")


def threads(n_cores: int) -> Finding:
    """Compare thread settings with the cores that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS")
    says = f"{n_cores} core(s)" + (f", OMP_NUM_THREADS={asked}" if asked else "")
    if asked and (not asked.isdecimal() or int(asked) > n_cores):
        return Finding(
            "threads", "warning", f"{says}: more threads than cores slow each other down", "unset OMP_NUM_THREADS"
        )
    return Finding("threads", "ok", says)


def folder(path: Path) -> list[Finding]:
    """Try a results folder, or the nearest that exists above it: room, writing, speed."""
    about = f"folder {path}"
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return [Finding(about, "problem", f"{place} is a file", "Name another folder with --results.")]
    try:
        free = shutil.disk_usage(place).free / 2**30
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as scratch:
            rates = _speed(Path(scratch))
    except OSError as error:
        fix = (
            "Free some space."
            if error.errno == 28
            else "Change its permissions, or name another folder with --results."
        )
        return [Finding(about, "problem", f"it cannot be written: {error.strerror or error}", fix)]
    found = [Finding(about, "ok", f"writable, {free:,.1f} GiB free")]
    if free < ENOUGH_DISK_GIB:
        found = [
            Finding(about, "warning", f"only {free:,.1f} GiB free", "Free some space, or name another with --results.")
        ]
    says = f"{rates['mb_per_s']:,.0f} MB/s, {rates['files_per_s']:,.0f} small files/s"
    slow = rates["mb_per_s"] < SLOW_MB_PER_S or rates["files_per_s"] < SLOW_FILES_PER_S
    fix = "Keep results on a faster disk (--results), and copy them afterwards with import-runs."
    return [*found, Finding(f"{about}: speed", "warning" if slow else "ok", says, fix if slow else "")]


def _speed(scratch: Path) -> dict[str, float]:
    size, n = 8 * 2**20, 40
    start = time.perf_counter()
    with (scratch / "large").open("wb") as file:
        file.write(os.urandom(size))
        file.flush()
        os.fsync(file.fileno())
    written = time.perf_counter()
    for i in range(n):
        (scratch / f"{i}.new").write_text("x")
        (scratch / f"{i}.new").replace(scratch / f"{i}.txt")
    return {"mb_per_s": size / 1e6 / (written - start), "files_per_s": n / (time.perf_counter() - written)}


def slurm() -> Finding:
    """Ask whether a SLURM controller answers."""
    if not shutil.which("sinfo"):
        return Finding("slurm", "note", "it is not installed here")
    try:
        done = subprocess.run(
            ["sinfo", "-h", "-o", "%P %a %D"], capture_output=True, text=True, timeout=20, check=False
        )
    except (subprocess.SubprocessError, OSError) as error:
        return Finding("slurm", "problem", f"sinfo fails: {error}", "Ask who keeps the cluster.")
    if done.returncode:
        says = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Finding(
            "slurm", "problem", f"the controller does not answer: {says}", "Log in to a node of the cluster."
        )
    partitions = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    return Finding("slurm", "ok", f"partitions: {', '.join(partitions) or 'none'}")


def data(
    task: str,
    folder: Path,
    files: list[Any],
    record: dict[str, dict],
    is_whole: bool,
    damage: str | None = None,
) -> Finding:
    """Say whether the published data of a task are there, and of the size that they had when they were fetched.

    Parameters
    ----------
    damage
        What is wrong with a folder that was prepared from data, if anything.
    """
    about, fix = f"data of {task}", f"python -m benchmarks fetch --task {task}"
    cut = [
        file.name
        for file in files
        if (folder / file.name).is_file()
        and file.name in record
        and (folder / file.name).stat().st_size != record[file.name].get("bytes")
    ]
    if cut:
        return Finding(about, "problem", f"{cut[0]} is not as it was fetched", f"Remove it, then: {fix}")
    if damage is not None:
        return Finding(about, "problem", damage, "Give the command that prepared it again.")
    if is_whole:
        return Finding(about, "ok", f"in {folder}")
    return Finding(about, "note", f"none that --preset paper could read in {folder}", fix)
