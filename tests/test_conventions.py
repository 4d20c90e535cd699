"""What holds for every test file: names that can be read at a glance, and no test file that another needs."""

import ast

import pytest

from tests.helpers.paths import ROOT

FILES = sorted((ROOT / "tests").rglob("*.py"))
MAX_NAME = 60


def ids(path):
    return str(path.relative_to(ROOT / "tests"))


@pytest.mark.parametrize("path", [path for path in FILES if path.name.startswith("test_")], ids=ids)
def test_names_of_tests_are_short(path):
    names = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    assert [name for name in names if name.startswith("test_") and len(name) > MAX_NAME] == []


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_no_test_file_is_imported(path):
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    imported = [name for name in modules if name.startswith("tests.")]
    assert [name for name in imported if any(word.startswith("test_") for word in name.split("."))] == []
