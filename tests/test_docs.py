"""The documents: links lead somewhere, places in the code exist, commands parse, the README's model builds."""

import re
import runpy
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.cli.main import app
from tests.helpers.paths import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("benchmarks/*/README.md")),
]
PLACE = re.compile(r"`((?:benchmarks|baselines|dream_models|tests|results|docs)/[\w./]*)(?:::(\w+))?`")
COMMANDS = typer.main.get_command(app)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", without_code(page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands_in(text: str) -> list[list[str]]:
    """List the commands of a page: lines of code blocks, and code within a line; words after `python -m benchmarks`.

    Code within a line may leave out `python -m benchmarks` where its first word is a command and an option follows.
    """
    blocks = "\n".join(re.findall(r"^```.*?^```", text, re.M | re.S)).replace("\\\n", " ")
    found = re.findall(r"python -m benchmarks (.*)", blocks)
    for code in re.findall(r"`([^`\n]+)`", without_code(text)):
        if code.startswith("python -m benchmarks "):
            found.append(code.removeprefix("python -m benchmarks "))
        elif code.split()[0] in COMMANDS.commands and " --" in code:
            found.append(code)
    return [shlex.split(line, comments=True) for line in found if not line.startswith("<")]


def check_command(words: list[str]) -> None:
    command, rest = COMMANDS, list(words)
    while hasattr(command, "commands"):
        if not rest:
            return  # a group, named as such
        assert rest[0] in command.commands, f"{words}: {rest[0]!r} is not a command"
        command = command.commands[rest.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    for word in rest:
        assert not word.startswith("--") or word.partition("=")[0] in known, f"{words}: no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name_of(page)} links to {target}"
        assert not anchor or anchor in anchors(file), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_places_in_the_code_exist(page):
    for path, name in PLACE.findall(page.read_text()):
        if path.startswith("results/") and path != "results/README.md" and "reference" not in path:
            continue  # what runs leave behind
        file = ROOT / path
        assert file.exists(), f"{name_of(page)} names {path}"
        if name:
            defined = rf"^(def|class) {name}\b|^{name}\b.*="
            assert re.search(defined, file.read_text(), re.M), f"{name_of(page)}: {path} does not define {name}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_have_the_options_they_are_shown_with(page):
    for words in commands_in(page.read_text()):
        check_command(words)


def test_a_wrong_command_would_be_noticed():
    for line in ("python -m benchmarks ruin --task yeast", "python -m benchmarks run --tusk yeast"):
        (words,) = commands_in(f"```\n{line}\n```")
        with pytest.raises(AssertionError):
            check_command(words)
    assert commands_in("`run --task yeast` and `run`") == [["run", "--task", "yeast"]]


def test_every_command_has_a_line():
    page = (ROOT / "docs/commands.md").read_text()
    for name, command in COMMANDS.commands.items():
        for words in [f"{name} {sub}" for sub in getattr(command, "commands", ())] or [name]:
            assert re.search(rf"^\| `{words}[ `]", page, re.M), words


def test_the_index_lists_every_page():
    index = (ROOT / "docs/README.md").read_text()
    assert all(f"({page.name})" in index for page in ROOT.glob("docs/*.md") if page.name != "README.md")


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_model_of_the_readme_trains_and_predicts(tmp_path):
    (text,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (tmp_path / "my_model.py").write_text(text)
    module = runpy.run_path(str(tmp_path / "my_model.py"))
    spec = TaskSpec(seq_len=60, outputs=("a", "b"))
    assert module["unsupported"](spec) is None
    codes = np.random.default_rng(0).integers(0, 4, (5, 60)).astype(np.uint8)
    targets = {name: np.arange(5, dtype=np.float32) for name in spec.outputs}
    data = Dataset("x", codes, targets, pd.DataFrame(index=range(5)), "simulated")
    model = module["build"](spec, replace(module["RECIPE"], epochs=1), {})
    assert [row["epoch"] for row in model.fit(data, data, seed=0)] == [1]
    predicted = model.predict(data.without_targets())
    assert {name: values.shape for name, values in predicted.items()} == {"a": (5,), "b": (5,)}
