"""Facts of the machine and of what is installed, found out without importing a framework."""

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import __version__
from benchmarks.errors import BadInput


def has_packages(*names: str) -> bool:
    """Tell whether packages that are extras are installed, without importing them."""
    return all(importlib.util.find_spec(name) is not None for name in names)


def can_draw() -> bool:
    """Tell whether the packages that figures are drawn with are installed."""
    return has_packages("matplotlib", "seaborn", "statannotations")


def n_cores() -> int:
    """Count the CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def n_gpus() -> int:
    """Count the CUDA devices this process may use, without importing a framework."""
    if not shutil.which("nvidia-smi"):
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([gpu for gpu in visible.split(",") if gpu.strip() not in ("", "-1")])
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return listed.stdout.count("GPU ")


DEVICES = ("auto", "cpu", "cuda")


def check_device(device: str) -> None:
    """Refuse a device that is unknown, or `cuda` where there is no GPU.

    Raises
    ------
    BadInput
        Naming the devices to choose from.
    """
    if device not in DEVICES:
        raise BadInput(f"--device expects auto, cpu or cuda, got {device!r}.")
    if device == "cuda" and not n_gpus():
        raise BadInput("--device cuda was asked for, but no NVIDIA GPU is visible here; use --device cpu or auto.")


_PACKAGES = ("torch", "keras", "tensorflow", "tensorflow-cpu", "numpy", "pandas", "scipy", "scikit-learn")


@cache
def versions() -> dict[str, str]:
    """Return the versions of what computes, and of this package."""
    installed = {"dream-bench": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[package] = importlib.metadata.version(package)
    return installed


@cache
def commit() -> str | None:
    """Return the git commit of the code, with `+changes` where it was edited since; None outside a checkout."""
    here = Path(__file__).resolve().parents[1]

    def git(*words: str) -> str | None:
        with contextlib.suppress(OSError):
            done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=False)
            return done.stdout.strip() if done.returncode == 0 else None
        return None

    if not (here / ".git").exists() or not (head := git("rev-parse", "HEAD")):
        return None
    return head + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")


@cache
def hardware() -> dict[str, Any]:
    """Return processor, cores and memory of this machine; a job's `device_name` has the GPU."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return {"cpu": model, "cores": n_cores(), "memory_gib": memory_gib(), "system": platform.platform()}


def memory_gib() -> int:
    """Return the memory of this machine in GiB; 4 where the system does not tell."""
    try:
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (ValueError, OSError, AttributeError):
        return 4


def reset_peak_memory() -> None:
    """Forget the peaks of earlier jobs of this worker, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float | None:
    """Return the most memory this process has held since the job began (elsewhere than on Linux: since it started)."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / 2**10
    try:
        import resource
    except ModuleNotFoundError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
