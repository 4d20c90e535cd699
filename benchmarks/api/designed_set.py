"""A designed test set as a task hands it out: sequences, measurements, subsets, pairs, and the names of sequences."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.api.data import Origin


@dataclass(frozen=True)
class DesignedSet:
    """Designed sequences in their official order; positions are row numbers from 0.

    Parameters
    ----------
    sequences
        (n,) object, sequences as they are measured, constant flanks included.
    y_true
        (n,) float64, measured values.
    subsets
        Columns subset, pos: single sequences.
    pairs
        Columns subset, alt_pos, ref_pos: what is scored is the difference between the two.
    tags
        Columns pos, tag: names that the makers gave a sequence; one may have several or none.
    notes
        What is missing of the set, a sentence each.
    """

    sequences: np.ndarray
    y_true: np.ndarray
    subsets: pd.DataFrame
    pairs: pd.DataFrame
    tags: pd.DataFrame
    origin: Origin = "measured"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.y_true)
