"""Shared fixtures: where the published data lie; what the tests of one file leave behind in their process."""

import gc
import os
from pathlib import Path

import pytest

from benchmarks import registry
from tests.helpers.paths import ROOT


@pytest.fixture(scope="module", autouse=True)
def _plugins_of_one_file():
    """Forget the plug-ins that the tests of a file have named: those of the next run in the same process."""
    before = dict(registry._plugins)
    yield
    registry._plugins.clear()
    registry._plugins.update(before)


@pytest.fixture(scope="module", autouse=True)
def _objects_of_one_file():
    """Look no more at what a file has left for good, graphs of frameworks above all, when garbage is collected.

    statsmodels collects for every family of tests: with all of tensorflow's objects, that is a third of a second each.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def real_data():
    """Give the path of a published data file, or skip the test where it is absent.

    The folder is named by DREAM_BENCH_DATA, else it is `shared/data` beside the repository.
    """
    folder = Path(os.environ.get("DREAM_BENCH_DATA") or ROOT.parent / "shared" / "data")

    def find(name: str) -> Path:
        path = folder / name
        if not path.is_file():
            pytest.skip(f"{name} is not in {folder}; set DREAM_BENCH_DATA to the folder that has it")
        return path

    return find
