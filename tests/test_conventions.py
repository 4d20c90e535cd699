"""What holds for every test file: names that can be read at a glance, and no test file that another needs."""

import ast

from tests.helpers.paths import ROOT

SOURCES = {path: ast.parse(path.read_text()) for path in sorted((ROOT / "tests").rglob("*.py"))}
MAX_NAME = 60


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_names_of_tests_are_short():
    functions = [node for tree in SOURCES.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert len(functions) > 1000
    assert [f.name for f in functions if f.name.startswith("test_") and len(f.name) > MAX_NAME] == []


def test_no_test_file_is_imported():
    """What two of them share is in `tests/helpers` or in a conftest.py."""
    names = {name: path for path, tree in SOURCES.items() for name in imported(tree) if name.startswith("tests.")}
    assert "tests.helpers.paths.ROOT" in names
    assert [
        f"{path} imports {name}"
        for name, path in names.items()
        if any(word.startswith("test_") for word in name.split("."))
    ] == []
