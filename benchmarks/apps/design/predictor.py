"""Predict candidates: inserts between the constant flanks of a task, in full batches on the device."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.api.construct import Construct
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.task import HasConstruct, Task, encode_for, supports
from benchmarks.engine.inference import load
from benchmarks.engine.inference.load import Trained
from benchmarks.engine.inference.mutagenesis import PIECE, of_codes
from benchmarks.errors import BadInput, did_you_mean

Score = Callable[[np.ndarray], np.ndarray]
"""Inserts (n, length) uint8 -> predictions (n, n_models) float64."""


class Predictor:
    """Models as one function of inserts; every model is the mean over its trainings.

    Parameters
    ----------
    models
        Name -> its trainings.
    output
        Which output; None: the only one.

    Raises
    ------
    BadInput
        If the models are for different constructs, their task has none, or an output is unknown or not chosen.
    """

    def __init__(self, models: Mapping[str, Sequence[Trained]], output: str | None = None):
        self.names, self._models = tuple(models), list(models.values())
        self.construct = _common_construct(models)
        self._outputs = [_output(trainings[0], output) for trainings in self._models]
        self._frames = [[_Frame(trained, self.construct) for trained in trainings] for trainings in self._models]
        origins = {trained.trained_on for trainings in self._models for trained in trainings}
        self.trained_on = "simulated" if "simulated" in origins else "measured"
        self.n_done = 0
        self.on_done: Callable[[float], None] = lambda n: None

    def __call__(self, inserts: np.ndarray) -> np.ndarray:
        """Predict inserts (n, length): (n, n_models) float64, in the units of the models' targets.

        Raises
        ------
        BadInput
            If a model predicts infinities or NaN, which no search can rank.
        """
        predictions = np.zeros((len(inserts), len(self._models)))
        for start in range(0, len(inserts), PIECE):
            piece = inserts[start : start + PIECE]
            for i, (trainings, output) in enumerate(zip(self._models, self._outputs, strict=True)):
                by_training = [
                    trained.model.predict(frame.data(piece))[output]
                    for trained, frame in zip(trainings, self._frames[i], strict=True)
                ]
                predictions[start : start + PIECE, i] = np.mean(by_training, axis=0, dtype=np.float64)
                if not np.isfinite(predictions[start : start + PIECE, i]).all():
                    raise BadInput(f"{self.names[i]} predicts no finite number of some candidates; train it again.")
            self.n_done += len(piece)
            self.on_done(self.n_done)
        return predictions


class _Frame:
    """The codes around an insert in the input of a model, the plasmid of the yeast task included."""

    def __init__(self, trained: Trained, construct: Construct):
        first, other = (
            encode_for(trained.task, trained.spec, [construct.left + letter * construct.length + construct.right])[0]
            for letter in "AC"
        )
        self._spec, self._codes, self._where = trained.spec, first, np.flatnonzero(first != other)

    def data(self, inserts: np.ndarray) -> Dataset:
        """Put inserts (n, length) into the frame."""
        codes = np.repeat(self._codes[None], len(inserts), axis=0)
        codes[:, self._where] = inserts
        return of_codes(codes, self._spec)


def open_predictor(folders: Sequence[Path], output: str | None, device: str) -> Predictor:
    """Open models as one function of inserts, each under a name of its own.

    Parameters
    ----------
    folders
        Each a training, a folder of trainings to average, or published weights.

    Raises
    ------
    BadInput
        If one is named twice, or the models do not fit together.
    """
    resolved = [folder.resolve() for folder in folders]
    if again := [folder for i, folder in enumerate(folders) if resolved[i] in resolved[:i]]:
        raise BadInput(f"{again[0]} is named by two --run; name every model once.")
    models: dict[str, list[Trained]] = {}
    seen: dict[str, int] = {}
    for folder in folders:
        trainings = load.open_all(folder, device)
        models[load.distinct_name(trainings[0].key, seen)] = trainings
    return Predictor(models, output)


def construct_of(task: Task, spec: TaskSpec | None = None) -> Construct:
    """Return the construct of a task, flanks around an insert that is designed.

    Parameters
    ----------
    spec
        Of a trained model, which decides it where the data does.

    Raises
    ------
    BadInput
        If the task has none, or it depends on the data and no model is given.
    """
    if not supports(task, HasConstruct):
        raise BadInput(f"Sequences for {task.NAME} cannot be designed: it has no construct with an insert.")
    return task.construct(spec or task.SPEC)


def _common_construct(models: Mapping[str, Sequence[Trained]]) -> Construct:
    (first, construct), *others = (
        (f"{name} ({trained.task.NAME})", construct_of(trained.task, trained.spec))
        for name, trainings in models.items()
        for trained in trainings
    )
    for name, other in others:
        if other != construct:
            raise BadInput(
                f"{first} reads inserts of {construct.length} bp in {construct.row_length}, {name} of {other.length} "
                f"in {other.row_length}: no candidate fits both. Take models of one task."
            )
    return construct


def _output(trained: Trained, wanted: str | None) -> str:
    known = list(trained.spec.outputs)
    if wanted is None and len(known) > 1:
        raise BadInput(f"{trained.task.NAME} has the outputs {', '.join(known)}; choose one with --output.")
    if wanted is not None and wanted not in known:
        raise BadInput(did_you_mean("output", wanted, known))
    return wanted or known[0]
