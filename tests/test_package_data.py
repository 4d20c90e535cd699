"""Data that the code needs lies in the packages, so that an installed wheel works from any folder."""

import ast
import fnmatch
import tomllib

from tests.helpers.paths import ROOT

PACKAGES = ("benchmarks", "baselines", "dream_models")


def packaged():
    """Return the patterns of data files that a wheel takes along, relative to `benchmarks`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return project["tool"]["setuptools"]["package-data"]["benchmarks"]


def test_every_data_file_in_the_packages_is_taken_along():
    files = [
        path.relative_to(ROOT / "benchmarks").as_posix()
        for path in (ROOT / "benchmarks").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".md")
    ]
    assert len(files) > 5
    assert [file for file in files if not any(fnmatch.fnmatch(file, pattern) for pattern in packaged())] == []
    for pattern in packaged():
        assert any(fnmatch.fnmatch(file, pattern) for file in files), f"no file is like {pattern}"


def test_no_module_reads_a_file_beside_the_packages():
    """`parents[n]` of a module's own path may reach the package's root for the environment of workers, and no data."""
    allowed = {"benchmarks/system.py", "benchmarks/engine/execution/cluster.py"}
    outside = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            depth = len(path.relative_to(ROOT).parts)
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Subscript)
                    and isinstance(node.value, ast.Attribute)
                    and node.value.attr == "parents"
                    and isinstance(node.slice, ast.Constant)
                    and node.slice.value >= depth - 1
                ):
                    outside.append(path.relative_to(ROOT).as_posix())
    assert set(outside) <= allowed
