"""The transformer of Vaishnav et al. 2022 at the setting of its training notebook: wider, deeper, more dropout.

Source: `1edv/evolution`, `manuscript_code/model/tpu_model/train_model.ipynb`; all else as in `vaishnav`.
"""

from dataclasses import replace

from baselines import vaishnav
from baselines.vaishnav import unread, unsupported
from benchmarks.api.data import TaskSpec

__all__ = ["FRAMEWORK", "NAME", "RECIPE", "build", "unread", "unsupported"]

NAME = "Vaishnav et al. transformer (notebook)"
FRAMEWORK = "torch"
RECIPE = replace(
    vaishnav.RECIPE, conv_hidden=128, n_hidden=128, n_aux_layers=2, dropout=0.2, attention_dropout=0.2, l2=1e-4
)


def build(spec: TaskSpec, recipe: vaishnav.VaishnavRecipe, prerequisite_dirs):
    return vaishnav.build(spec, recipe, prerequisite_dirs)
