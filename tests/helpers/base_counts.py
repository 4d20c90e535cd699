"""A linear model on base counts, as a third party might write it with numpy alone."""

import dataclasses
import json

import numpy as np

NAME = "base counts"


@dataclasses.dataclass(frozen=True)
class Recipe:
    epochs: int = 3
    penalty: float = 1.0


RECIPE = Recipe()


def unsupported(spec):
    return "predicts numbers, not profiles" if spec.head == "profile_counts" else None


def build(spec, recipe, assets):
    return Model(spec, recipe)


class Model:
    precision = "float64"
    n_params = 5

    def __init__(self, spec, recipe):
        self.outputs, self.recipe = spec.outputs, recipe

    def features(self, data):
        return np.stack([(data.codes == base).mean(axis=1) for base in range(4)] + [np.ones(len(data))], axis=1)

    def fit(self, train, val, *, seed, on_epoch=None, checkpoints=None):
        self.prepare(train, 1)
        rows = []
        for epoch in range(1, self.recipe.epochs + 1):
            self.solve(slice(None))
            losses = [self.loss(data) for data in (train, val)]
            r = np.mean([np.corrcoef(v, val.targets[k])[0, 1] for k, v in self.predict(val).items()])
            row = {"epoch": epoch, "train_loss": losses[0], "val_loss": losses[1], "val_pearson_r": float(r)}
            rows.append(row | {"lr": None, "train_seconds": 0.1, "seconds": 0.1})
            if on_epoch:
                on_epoch(rows[-1])
        return [row | {"is_best": row["epoch"] == 1} for row in rows]

    def loss(self, data):
        found = self.predict(data)
        return float(sum(np.mean((found[k].astype(float) - data.targets[k]) ** 2) for k in found))

    def solve(self, rows):
        x, ridge = self.x[rows], self.recipe.penalty * np.eye(5)
        self.weights = np.linalg.solve(x.T @ x + ridge, x.T @ self.y[rows])

    def prepare(self, train, n_steps):
        self.x, self.y = self.features(train), np.stack(list(train.targets.values()), axis=1)

    def train_batch(self, rows):
        self.solve(rows)
        return float(np.mean((self.x[rows] @ self.weights - self.y[rows]) ** 2)) + 1e-9

    def predict(self, data):
        y = self.features(data) @ self.weights
        return {name: y[:, i].astype(np.float32) for i, name in enumerate(self.outputs)}

    def save(self, folder):
        (folder / "weights.json").write_text(json.dumps(self.weights.tolist()))

    def load(self, folder):
        self.weights = np.array(json.loads((folder / "weights.json").read_text()))
