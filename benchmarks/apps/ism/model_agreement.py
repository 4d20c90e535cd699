"""Measure how far models agree on which positions matter: Pearson r of their position scores."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmarks.api.metrics import pearson_r

COLUMNS = ["output", "model", "other", "seq_id", "n_positions", "pearson_r"]
ALL = "all sequences"
"""`seq_id` of the row over the positions of all sequences together."""


def agreement(scores: Mapping[str, Mapping[str, np.ndarray]], ids: Sequence[str]) -> pd.DataFrame:
    """Correlate the position scores of every two models, per sequence and over all positions; columns `COLUMNS`.

    Parameters
    ----------
    scores
        Model -> output -> (n, L) position scores, NaN where nothing was mutated. Models are compared on outputs of
        the same name.
    ids
        n names of sequences.
    """
    rows = []
    for (model, model_scores), (other, other_scores) in itertools.combinations(scores.items(), 2):
        for output in model_scores.keys() & other_scores.keys():
            x, y = model_scores[output], other_scores[output]
            for name, a, b in [(ALL, x, y), *zip(ids, x, y, strict=True)]:
                known = np.isfinite(a) & np.isfinite(b)
                r = pearson_r(a[known], b[known]) if known.sum() > 1 else np.nan
                rows.append((output, model, other, name, int(known.sum()), r))
    return pd.DataFrame(rows, columns=COLUMNS)
