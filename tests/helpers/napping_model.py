"""A linear model on base counts, trained in steps that nap: seconds of training that cost no processor.

Stands for real trainings in drills with hundreds of them: it keeps checkpoints and goes on from them as networks do.
"""

import json
import os
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.training import loop
from benchmarks.training.loop import Schedule, target_columns

NAME = "napping"
FRAMEWORK = "numpy"
COMPLETED = "NAPPING_COMPLETED"
"""Environment variable: file that gets a line for every training that came to its end."""
NAP = "NAPPING_S"
"""Environment variable: seconds that a batch takes."""


@dataclass(frozen=True)
class NapRecipe:
    epochs: int = 4
    batch_size: int = 64
    max_lr: float = 0.05


RECIPE = NapRecipe()


def unsupported(spec):
    return None if spec.head != "profile_counts" else "predicts numbers, not profiles"


def build(spec, recipe, prerequisite_dirs):
    return Napping(spec, recipe)


class Napping:
    precision = "float64"
    n_copies, train_view_differs = 1, False

    def __init__(self, spec, recipe):
        self.outputs, self.recipe = spec.outputs, recipe
        self.weights = np.zeros((5, len(spec.outputs)))
        self.n_params = self.weights.size

    def fit(self, train, val, *, seed, on_epoch=None, checkpoints=None):
        self.rng = np.random.default_rng(seed)
        self.weights = self.rng.normal(size=self.weights.shape) * 0.1
        schedule = Schedule(self.recipe.epochs, self.recipe.batch_size, "pearson_r", drop_last=True)
        history = loop.fit(self, schedule, train, val, seed=seed, on_epoch=on_epoch, checkpoints=checkpoints)
        if file := os.environ.get(COMPLETED):
            with open(file, "a") as log:
                log.write(f"{seed}\n")
        return history

    def rows_per_epoch(self, train):
        return len(train)

    def prepare(self, train, n_steps):
        self._x, self._y = _features(train), target_columns(train).astype(np.float64)

    def begin_epoch(self, epoch):
        pass

    def train_batches(self, batches):
        return np.array([self.train_batch(rows) for rows in batches])

    def train_batch(self, rows):
        time.sleep(float(os.environ.get(NAP, 0)))
        x, residual = self._x[rows], self._x[rows] @ self.weights - self._y[rows]
        noise = self.rng.normal(size=self.weights.shape) * 0.01  # a generator whose state a checkpoint must keep
        self.weights -= self.recipe.max_lr * (x.T @ residual / len(rows) + noise)
        return float((residual**2).mean())

    def validate(self, val):
        return loop.validate_numbers(self, val)

    def learning_rate(self):
        return self.recipe.max_lr

    def predict(self, data):
        found = _features(data) @ self.weights
        return {name: found[:, i].astype(np.float32) for i, name in enumerate(self.outputs)}

    predict_train_view = predict

    def snapshot(self):
        return self.weights.copy()

    def restore(self, snapshot):
        self.weights = snapshot.copy()

    def stamp(self):
        return {"backend": "numpy"}

    def save_state(self, folder, best):
        np.savez(folder / "state.npz", weights=self.weights, best=np.zeros(0) if best is None else best)
        (folder / "rng.json").write_text(json.dumps(self.rng.bit_generator.state))

    def load_state(self, folder):
        with np.load(folder / "state.npz", allow_pickle=False) as state:
            self.weights, best = state["weights"], state["best"]
        self.rng.bit_generator.state = json.loads((folder / "rng.json").read_text())
        return best if best.size else None

    def save(self, folder):
        np.savez(folder / "model.npz", weights=self.weights)

    def load(self, folder):
        with np.load(folder / "model.npz", allow_pickle=False) as state:
            self.weights = state["weights"]


def _features(data):
    """Return the shares of the four bases, and a one."""
    shares = [(data.codes == base).mean(axis=1) for base in range(4)]
    return np.stack([*shares, np.ones(len(data))], axis=1)
