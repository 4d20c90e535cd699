"""How far the two backends of a Keras model are apart: one forward pass and ten training steps from the same weights.

Each backend computes in a process of its own, because keras takes its backend once. Dropout is switched off: the two
draw their random numbers differently.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import registry
from benchmarks.api.recipe import recipe_with
from benchmarks.engine.execution import workers
from benchmarks.engine.planning.plan import Source, make_plan
from benchmarks.errors import BadInput

BACKENDS = ("tensorflow", "torch")
N_STEPS, N_FORWARD = 10, 64
WIDER = 20.0
"""Kernels are drawn this many times wider for the forward pass: an untrained network hardly tells one sequence from
another, so two wrong ones would agree."""


def compare(task: str, model: str, *, preset: str = "quick") -> dict[str, Any]:
    """Compare the backends on a task's simulated data, on the CPU.

    Returns
    -------
    forward_difference
        Largest absolute difference of a prediction, over 64 sequences, of the untrained network with wider kernels.
    forward_spread
        Standard deviation of those predictions between sequences.
    loss_differences
        Relative difference of the loss of each of ten steps.
    losses, backends
        The losses themselves, and the versions that computed them, by backend.

    Raises
    ------
    BadInput
        For a model that is not a Keras model, or where a backend is not installed or fails.
    """
    if registry.model_entry(model).framework != "keras":
        raise BadInput(
            f"bench backends takes Keras models; {model} is a {registry.model_entry(model).framework} model."
        )
    found, failed = {}, {}

    def on_event(call_id: str, kind: str, payload: Any) -> None:
        if kind == "done":
            found[call_id] = payload
        elif kind == "failed":
            failed[call_id] = payload["reason"]

    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "weights")
        for backend in BACKENDS:  # one after the other: the second takes the weights that the first has drawn
            call = workers.Call(backend, backend, (backend, task, model, preset, weights))
            workers.run_workers(
                "benchmarks.apps.speed.keras_backends:measure",
                [call],
                on_event,
                n_workers=1,
                environments=[{"KERAS_BACKEND": backend}],
                log_folder=Path(folder),
            )
            if failed:
                raise BadInput(f"The {backend} backend cannot be compared here: {failed[backend]}")
    one, other = (found[backend] for backend in BACKENDS)
    return {
        "model": model,
        "task": task,
        "preset": preset,
        "backends": {backend: found[backend]["version"] for backend in BACKENDS},
        "forward_difference": float(np.abs(one["forward"] - other["forward"]).max()),
        "forward_spread": float(one["forward"].std()),
        "loss_differences": [abs(a - b) / a for a, b in zip(one["losses"], other["losses"], strict=True)],
        "losses": {backend: found[backend]["losses"] for backend in BACKENDS},
    }


def measure(argument: tuple[str, str, str, str, str], progress: Any) -> dict[str, Any]:
    """Compute one backend's side; runs in a process of its own. The first to come draws and keeps the weights."""
    backend_name, task_name, model, preset, weights = argument
    backend = registry.get_backend("keras")
    if backend.keras.backend.backend() != backend_name:
        raise RuntimeError(f"KERAS_BACKEND={os.environ.get('KERAS_BACKEND')} did not take effect")
    where = backend.configure("cpu", threads=1)
    task, module = registry.get_task(task_name), registry.get_model(model)
    data = task.simulate(split=task.SPLITS[0], seed=0)
    plan = make_plan(task, preset, [Source(data.name, len(data), data)], seed=0, models=[model])
    recipe = recipe_with(module.RECIPE, plan.recipes[model], source=f"preset {preset}")
    backend.seed_everything(0)
    fitted = module.build(task.SPEC, recipe, {})
    for layer in fitted.network.layers:
        if isinstance(layer, backend.keras.layers.Dropout):
            layer.rate = 0.0
    folder = Path(weights)
    if folder.exists():
        fitted.load(folder)
    else:
        folder.mkdir()
        fitted.outputs = task.SPEC.outputs
        fitted.save(folder)
    drawn = fitted.snapshot()
    fitted.restore([WIDER * w if w.ndim > 1 else w for w in drawn])
    forward = fitted.predict(data.take(np.arange(N_FORWARD)).without_targets())
    fitted.restore(drawn)
    fitted.prepare(data, N_STEPS)
    rows = np.random.default_rng(0).permutation(len(data))[: N_STEPS * recipe.batch_size]
    losses = [fitted.train_batch(part) for part in np.array_split(rows, N_STEPS)]
    return {"version": where["backend"], "forward": np.stack(list(forward.values())), "losses": losses}
