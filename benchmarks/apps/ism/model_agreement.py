"""How far models agree on where a sequence matters: Pearson r of their position scores."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmarks.api.metrics import pearson_r

COLUMNS = ["output", "model", "other", "seq_id", "n_positions", "pearson_r"]
ALL = "all sequences"
"""What stands as `seq_id` in the row over the positions of all sequences together."""


def agreement(scores: Mapping[str, Mapping[str, np.ndarray]], ids: Sequence[str]) -> pd.DataFrame:
    """Correlate the position scores of every two models, per sequence and over all positions; columns `COLUMNS`.

    Parameters
    ----------
    scores
        Model -> output -> (n, L) position scores, NaN where nothing was mutated. Pairs share an output by its name.
    ids
        n names of sequences.
    """
    rows = []
    for (model, mine), (other, theirs) in itertools.combinations(scores.items(), 2):
        for output in mine.keys() & theirs.keys():
            one, two = mine[output], theirs[output]
            for name, a, b in [(ALL, one, two), *zip(ids, one, two, strict=True)]:
                known = np.isfinite(a) & np.isfinite(b)
                r = pearson_r(a[known], b[known]) if known.sum() > 1 else np.nan
                rows.append((output, model, other, name, int(known.sum()), r))
    return pd.DataFrame(rows, columns=COLUMNS)
