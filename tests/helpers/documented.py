"""Commands of a page of the documentation, run as they stand."""

import re
import shlex

from typer.testing import CliRunner

from benchmarks.cli.main import app
from tests.helpers.paths import DOCS


def run(page: str) -> dict[str, str]:
    """Run every command of a page, one after the other, in the present folder; return what each printed."""
    printed = {}
    for block in re.findall(r"```\n(.*?)```", (DOCS / page).read_text(), re.S):
        for line in block.splitlines():
            words = shlex.split(line)
            assert words[:3] == ["python", "-m", "benchmarks"], line
            done = CliRunner().invoke(app, words[3:])
            assert done.exit_code == 0, f"{line}\n{done.output}"
            printed[line] = done.stdout
    return printed
