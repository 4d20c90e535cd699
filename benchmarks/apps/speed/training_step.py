"""What one training step costs, part by part."""

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import registry
from benchmarks.api.recipe import recipe_with
from benchmarks.apps.speed.timers import seconds_of
from benchmarks.engine.planning.plan import Source, make_plan
from benchmarks.errors import BadInput


def bench_step(task_name: str, model: str, *, preset: str = "paper", n_steps: int = 20) -> dict[str, Any]:
    """Measure what part of a torch training step is neither forward, backward nor optimiser; medians over steps.

    Forward, backward and optimiser are timed inside the real `train_batch`, the step around it, after three steps to
    warm up. Meant for the CPU: on a GPU the parts return before their work is done.

    Raises
    ------
    BadInput
        For a model that is not a torch model.
    """
    if registry.model_entry(model).framework != "torch":
        raise BadInput(
            f"bench step takes torch models apart; {model} is a {registry.model_entry(model).framework} model."
        )
    task = registry.get_task(task_name)
    data = task.simulate(split=task.SPLITS[0], seed=0)
    plan = make_plan(task, preset, [Source("simulated", len(data), data)], seed=0, models=[model])
    module = registry.get_model(model)
    recipe = recipe_with(module.RECIPE, plan.recipes[model], source=f"preset {preset}")
    backend = registry.get_backend("torch")
    where = backend.configure("cpu")
    fitted = module.build(task.SPEC, recipe, {})
    fitted.prepare(data, n_steps + 3)
    inside = _Stopwatch()
    forward = inside.around(fitted.loss_of)

    def forward_then_timed_backward(batch: Any) -> Any:
        loss = forward(batch)
        loss.backward = inside.around(loss.backward)
        return loss

    fitted.loss_of = forward_then_timed_backward
    for owner, action in ((fitted.optimiser, "step"), (fitted.optimiser, "zero_grad"), (fitted.lr_schedule, "step")):
        setattr(owner, action, inside.around(getattr(owner, action)))
    rng, steps, shares = np.random.default_rng(0), [], []
    for step in range(n_steps + 3):
        rows = rng.permutation(len(data))[: recipe.batch_size]
        inside.seconds = 0.0
        total = seconds_of(lambda rows=rows: fitted.train_batch(rows))
        if step >= 3:
            steps.append(total)
            shares.append(1 - inside.seconds / total)
    return {
        "model": model,
        "preset": preset,
        "device": where["device_name"],
        "framework": where["framework"],
        "backend": where["backend"],
        "batch_size": recipe.batch_size,
        "step_ms": 1000 * statistics.median(steps),
        "share_outside": statistics.median(shares),
    }


class _Stopwatch:
    """Adds up the seconds spent in the functions it is put around."""

    def __init__(self):
        self.seconds = 0.0

    def around(self, action: Callable) -> Callable:
        @functools.wraps(action)
        def timed(*args: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            try:
                return action(*args, **keywords)
            finally:
                self.seconds += time.perf_counter() - start

        return timed
