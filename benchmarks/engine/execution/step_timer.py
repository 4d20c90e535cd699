"""Timing an untrained model: seconds of its training steps and of its predictions, on simulated rows of a task."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks import registry
from benchmarks.api.data import Dataset
from benchmarks.api.model import ModelModule, TimedModel, prerequisites_of
from benchmarks.api.recipe import recipe_with
from benchmarks.api.task import Task
from benchmarks.errors import BadInput


@dataclass(frozen=True)
class Case:
    """One model of one task to be timed; picklable, for a worker.

    `recipe` holds the values of the model's recipe, `memory_limit_gib` the GPU memory that the process may use (None:
    all of it).
    """

    task: str
    model: str
    framework: str
    recipe: Mapping[str, Any]
    device: str
    threads: int
    memory_limit_gib: float | None = None


class UntrainedModel:
    """A model built in this process, with simulated rows of its task.

    `backend` is the module of its framework, `where` what a job records of device and framework.
    """

    def __init__(self, case: Case):
        task, module = registry.get_task(case.task), registry.get_model(case.model)
        self.case = case
        backend = registry.get_backend(case.framework)
        if backend is None:
            raise BadInput(f"{case.model} does not train in batches on a device; measure networks.")
        self.backend = backend
        self.where: dict[str, str] = backend.configure(case.device, case.threads)
        if case.memory_limit_gib and self.where["device"] != "cpu":
            backend.limit_memory(case.memory_limit_gib)
        self.data: Dataset = task.simulate(split=task.SPLITS[0], seed=0)
        recipe = recipe_with(module.RECIPE, case.recipe, source=f"{case.task}, {case.model}")
        with contextlib.ExitStack() as stack:
            built = module.build(task.SPEC, recipe, _untrained_prerequisites(task, module, stack))
        backend.place(built, self.where["device"])
        self.fitted = cast(TimedModel, built)

    def prepare_training(self, n_steps: int) -> Callable[[int], float]:
        """Prepare a training of `n_steps` steps; return a function that takes the next n of them and gives seconds."""
        self.fitted.prepare(self.data, n_steps)
        rng = np.random.default_rng(0)
        n_rows, size = self.fitted.rows_per_epoch(self.data), self.case.recipe["batch_size"]

        def take_steps(n: int) -> float:
            batches = [rng.choice(n_rows, size, replace=n_rows < size) for _ in range(n)]
            self.backend.synchronise()
            start = time.perf_counter()
            self.fitted.train_batches(batches)
            self.backend.synchronise()
            return time.perf_counter() - start

        return take_steps

    def prepare_prediction(self, batch_size: int) -> Callable[[], float]:
        """Lay out one batch of sequences; return a function that predicts them and gives seconds."""
        self.fitted.predict_batch_size = batch_size
        rows = self.data.take(np.resize(np.arange(len(self.data)), batch_size)).without_targets()

        def predict_once() -> float:
            start = time.perf_counter()
            self.fitted.predict(rows)
            return time.perf_counter() - start

        return predict_once


def _untrained_prerequisites(task: Task, module: ModelModule, stack: contextlib.ExitStack) -> dict[str, Path]:
    """Save the models that a model is built on with their initial weights: speed does not depend on weights."""
    prerequisite_dirs = {}
    for name in prerequisites_of(module):
        prerequisite = registry.get_model(name)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        untrained = cast(TimedModel, prerequisite.build(task.SPEC, prerequisite.RECIPE, {}))
        untrained.outputs = task.SPEC.outputs
        untrained.save(folder)
        prerequisite_dirs[name] = folder
    return prerequisite_dirs
