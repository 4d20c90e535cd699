"""A model file written against the names of earlier versions still loads, and a warning names the new ones."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks import registry, renamed
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.model import prerequisites_of
from benchmarks.cli.main import app

OLD_STYLE = '''"""Two convolutions, as earlier versions documented a plug-in."""
from benchmarks.api.data import Recipe
from benchmarks.api.errors import BadInput
from benchmarks.api.sequences import N_CODE
from benchmarks.api.torch_backend import OneCycle, TorchModel

NAME = "old style"
RECIPE = Recipe(batch_size=4, epochs=1)

def unsupported(spec):
    return None if spec.head == "regression" else f"predicts one number per output, not {spec.head}"

def build(spec, recipe, assets):
    from torch import nn
    if assets:
        raise BadInput("no prerequisites are expected")
    net = nn.Sequential(
        nn.Conv1d(N_CODE, 2, 3, padding="same"), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(2, len(spec.outputs))
    )
    return TorchModel(net, loss=nn.MSELoss(), trainer=OneCycle(recipe))
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_plugins", {})
    for old in renamed.MODULES:
        monkeypatch.delitem(sys.modules, old, raising=False)
    file = tmp_path / "old_style.py"
    file.write_text(OLD_STYLE)
    return file


def test_an_old_style_plug_in_loads_with_warnings_and_trains(plugin):
    entry = registry.add_plugin(plugin)
    assert (entry.title, entry.framework) == ("old style", "torch")
    with pytest.warns(FutureWarning) as caught:
        module = registry.get_model("old_style")
    told = " ".join(str(warning.message) for warning in caught)
    for new in ("benchmarks.api.recipe.Recipe", "benchmarks.errors", "benchmarks.training.torch_backend"):
        assert f"is {new} now" in told
    assert {warning.filename for warning in caught} == {str(plugin)}, "the warning names the line to change"
    assert prerequisites_of(module) == ()

    spec = TaskSpec(12, ("activity",))
    rng = np.random.default_rng(0)
    codes, y = rng.integers(0, 4, (8, 12), dtype=np.uint8), rng.normal(size=8).astype(np.float32)
    data = Dataset("rows", codes, {"activity": y}, pd.DataFrame(index=range(8)), "simulated")
    model = module.build(spec, module.RECIPE, {})
    assert len(model.fit(data, data, seed=0)) == 1
    assert model.predict(data.without_targets())["activity"].shape == (8,)


def test_it_is_listed_as_a_torch_model(plugin):
    done = CliRunner().invoke(app, ["list", "--plugin", str(plugin), "--json"])
    assert done.exit_code == 0, done.output
    models = {entry["name"]: entry for entry in json.loads(done.stdout)["models"]}
    assert models["old_style"]["framework"] == "torch"


@pytest.mark.parametrize("old", sorted(renamed.MODULES))
def test_the_new_home_of_every_old_module_exists(old):
    for home in renamed.MODULES[old]:
        assert registry.importlib.util.find_spec(home) is not None
