"""Full-width models take the first twenty steps of their published training, on the CPU.

Which schedule: that of a real run, of which these are the first steps, not a one-cycle squeezed into twenty. A squeezed
cycle reaches the peak rate at step 6, where a real run is after 24 of its 80 epochs, and overshoots there in some
networks: it would test a training that nobody runs. A real run's first steps are all taken at about a twenty-fifth of
the peak rate (0.0002, or 0.00004 for DREAM-Attn), so the loss falls little, by 7 to 20 % in the DREAM networks.

Why that is still a test: twenty random batches of 32 differ among themselves by more than that. So five batches are
taken in turn, four times: the first five losses and the last five are of the same rows, and their means differ by what
was learnt alone, apart from dropout.
"""

import numpy as np
import pytest

from benchmarks import registry
from benchmarks.api.recipe import recipe_with

pytestmark = pytest.mark.slow

TASK = "human_mpra"
N_TRAIN_REAL = 56_000 * 8 // 10
"""Training rows of the smallest published cell type, eight folds of ten: they give the schedule its length."""
N_STEPS = 20

# model, parameters, learning rate of the first steps
MODELS = [
    ("dream_cnn", 1_945_857, 0.005 / 25),
    ("dream_rnn", 4_203_393, 0.005 / 25),
    ("dream_attn", 4_619_521, 0.001 / 25),
    ("mprann", 3_959_451, 0.001),
]


@pytest.mark.parametrize(("model", "n_params", "first_rate"), MODELS)
def test_the_loss_falls_in_the_first_published_steps(model, n_params, first_rate):
    task, module = registry.get_task(TASK), registry.get_model(model)
    backend = registry.get_backend(registry.model_entry(model).framework)
    backend.configure("cpu")
    backend.seed_everything(0)
    recipe = recipe_with(module.RECIPE, task.RECIPES.get(model, {}), source="test")
    assert recipe.batch_size == 32
    fitted = module.build(task.SPEC, recipe, {})
    assert fitted.n_params == n_params

    data = task.simulate(seed=0)
    fitted.prepare(data, n_steps=recipe.epochs * (N_TRAIN_REAL // recipe.batch_size))
    batches = np.random.default_rng(0).permutation(len(data))[: 5 * recipe.batch_size].reshape(5, -1)
    losses = fitted.train_batches([batches[step % 5] for step in range(N_STEPS)])

    assert np.isfinite(losses).all()
    assert fitted.learning_rate() == pytest.approx(first_rate, rel=0.01)
    assert np.mean(losses[-5:]) < 0.97 * np.mean(losses[:5])


def test_every_published_model_of_the_task_is_here():
    assert {model for model, *_ in MODELS} == set(registry.get_task(TASK).MODELS)
