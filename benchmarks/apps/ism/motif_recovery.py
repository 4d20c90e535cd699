"""How well position scores find the motifs that a simulation planted: the area under the precision-recall curve."""

import numpy as np

from benchmarks.errors import BadInput

N_SHUFFLES = 20


def recovery(scores: np.ndarray, planted: np.ndarray, *, seed: int = 0, n_shuffles: int = N_SHUFFLES) -> dict:
    """Rank positions by |score| and compare with where motifs were planted, pooled over sequences.

    The size of a score counts and not its sign, since simulations plant repressors too. The control deals the scores of
    every sequence anew among its positions, so that it keeps which sequences have large scores.

    Parameters
    ----------
    scores
        (n, L) position scores; NaN is not judged.
    planted
        (n, L) bool.

    Returns
    -------
    `average_precision`, `shuffled` (mean over `n_shuffles`), `shuffled_sd`, `base_rate`, `n_positions`, `n_sequences`.

    Raises
    ------
    BadInput
        If no judged position, or every one, is planted.
    """
    from sklearn.metrics import average_precision_score

    judged = np.isfinite(scores)
    truth = planted[judged]
    if not truth.any() or truth.all():
        raise BadInput(f"Both planted and other positions are needed; {truth.sum()} of {truth.size} are planted.")
    size, rng = np.abs(scores), np.random.default_rng(seed)
    shuffled = []
    for _ in range(n_shuffles):
        dealt = [rng.permutation(row[known]) for row, known in zip(size, judged, strict=True)]
        shuffled.append(average_precision_score(truth, np.concatenate(dealt)))
    return {
        "average_precision": float(average_precision_score(truth, size[judged])),
        "shuffled": float(np.mean(shuffled)),
        "shuffled_sd": float(np.std(shuffled, ddof=1)) if n_shuffles > 1 else float("nan"),
        "base_rate": float(truth.mean()),
        "n_positions": int(truth.size),
        "n_sequences": int(judged.any(axis=1).sum()),
    }
