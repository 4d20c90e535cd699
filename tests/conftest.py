"""Shared fixtures: where the published data lie; what the tests of one file leave behind in their process."""

import copy
import functools
import gc
import importlib
from pathlib import Path

import pytest

from benchmarks import registry
from tests.helpers.paths import PUBLISHED_DATA


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


@pytest.fixture(scope="session", autouse=True)
def _simulated_once():
    """Simulate an experiment once per process, and give whoever asks again a copy.

    A test that asks whether simulating is repeatable calls `task.simulate.__wrapped__`.
    """
    patch = pytest.MonkeyPatch()
    for name in ("human_mpra", "drosophila", "yeast"):
        task = registry.get_task(name)
        constants = functools.partial(_constants, task, importlib.import_module(f"benchmarks.{name}.simulate"))
        patch.setattr(task, "simulate", _cached(task.simulate, constants))
    yield
    patch.undo()


def _constants(*modules):
    """What a test may have changed: it settles the experiment as the seed does."""
    return repr([{key: value for key, value in vars(module).items() if key.isupper()} for module in modules])


def _cached(simulate, constants):
    made = {}

    @functools.wraps(simulate)
    def simulated(**options):
        key = (constants(), *sorted(options.items()))
        if key not in made:
            made[key] = simulate(**options)
        return copy.deepcopy(made[key])

    return simulated


@pytest.fixture(scope="module")
def without_plots():
    """Leave the plots out of reports, seconds each, where tests look at everything else."""
    patch = pytest.MonkeyPatch()
    patch.setattr("benchmarks.engine.reporting.write_results._plots", lambda *args: {})
    yield
    patch.undo()


@pytest.fixture(scope="session")
def real_data():
    """Give the path of a published data file, or skip the test where it is absent.

    The folder is named by DREAM_BENCH_DATA, else it is `shared/data` beside the repository.
    """
    folder = PUBLISHED_DATA

    def find(name: str) -> Path:
        path = folder / name
        if not path.is_file():
            pytest.skip(f"{name} is not in {folder}; set DREAM_BENCH_DATA to the folder that has it")
        return path

    return find
