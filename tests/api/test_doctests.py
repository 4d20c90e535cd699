"""The examples in the docstrings of what tasks and models are written against give what they show."""

import doctest
import importlib
import pkgutil

import pytest

from benchmarks import api

MODULES = [f"benchmarks.api.{found.name}" for found in pkgutil.iter_modules(api.__path__)]


@pytest.mark.parametrize("name", [*MODULES, "benchmarks.errors"])
def test_examples_give_what_they_show(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", ["sequences", "splits", "metrics", "noise_ceiling", "construct", "task"])
def test_these_modules_have_examples(name):
    assert doctest.testmod(importlib.import_module(f"benchmarks.api.{name}")).attempted > 0
