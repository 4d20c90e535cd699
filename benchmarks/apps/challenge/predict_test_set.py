"""Predict the test set of the challenge with trained models, as a submission."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.api.sequences import SequenceError
from benchmarks.engine.inference import mutagenesis
from benchmarks.engine.inference.load import Trained
from benchmarks.engine.reporting.console import bar
from benchmarks.errors import BadInput


def predict_test_set(models: Sequence[Trained], sequences: Sequence[str], source: Path) -> np.ndarray:
    """Average the predictions of models over the test sequences; (n,) float64, in bins of expression.

    Parameters
    ----------
    sequences
        n rows of the test set, with adapters.
    source
        Folder of the test set, for messages.

    Raises
    ------
    BadInput
        If a model is not of yeast, or a sequence cannot be encoded.
    """
    if other := next((trained.task.NAME for trained in models if trained.task.NAME != "yeast"), None):
        raise BadInput(f"--run: a model of yeast is expected; this one was trained for {other}.")
    by_model = []
    with bar("sequences", len(models) * len(sequences)) as on_done:
        for number, trained in enumerate(models):
            try:
                codes = trained.task.encode([str(text) for text in sequences])
            except SequenceError as error:
                raise BadInput(f"{source}, test sequence {error.row}: {error.reason}.") from None
            pieces = []
            for start in range(0, len(codes), mutagenesis.PIECE):
                data = mutagenesis.of_codes(codes[start : start + mutagenesis.PIECE], trained.spec)
                pieces.append(next(iter(trained.model.predict(data).values())))
                on_done(number * len(sequences) + start + len(data))
            by_model.append(np.concatenate(pieces))
    return np.mean(by_model, axis=0, dtype=np.float64)


def submission_text(sequences: Sequence[str], y_pred: np.ndarray) -> str:
    """Format predictions as the final submissions were: sequence and prediction, tab-separated, a line each."""
    return "".join(f"{text}\t{value:.7g}\n" for text, value in zip(sequences, y_pred, strict=True))
