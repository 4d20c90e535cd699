"""Experiments in which two models are equally good by construction, to see how often a test says otherwise."""

import numpy as np


def differences(
    n_experiments: int, *, n_rows: int, n_features: int, n_folds: int, n_test: int, disjoint: bool, seed: int
) -> np.ndarray:
    """Return Pearson r of one least-squares model minus that of another on every fold, (n_experiments, n_folds).

    Each model sees its own half of the features, all of which matter equally, so neither is better. Folds share
    training rows; `disjoint` folds share no test rows, others are drawn anew each time.
    """
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(2, n_experiments, n_rows, n_features))
    y = features.sum(axis=(0, 3)) / np.sqrt(n_features) + rng.normal(size=(n_experiments, n_rows))
    found = np.empty((n_experiments, n_folds))
    for fold in range(n_folds):
        order = np.argsort(rng.random((n_experiments, n_rows)), axis=1)
        if disjoint:
            order = np.broadcast_to(np.roll(np.arange(n_rows), fold * n_test), (n_experiments, n_rows))
        test, train = order[:, :n_test], order[:, n_test:]
        found[:, fold] = np.subtract(*(_held_out_r(x, y, train, test) for x in features))
    return found


def _held_out_r(x: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    seen, target = np.take_along_axis(x, train[..., None], 1), np.take_along_axis(y, train, 1)
    gram, moment = np.einsum("eij,eik->ejk", seen, seen), np.einsum("eij,ei->ej", seen, target)
    weights = np.linalg.solve(gram, moment[..., None])[..., 0]
    a = np.einsum("eij,ej->ei", np.take_along_axis(x, test[..., None], 1), weights)
    b = np.take_along_axis(y, test, 1)
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
