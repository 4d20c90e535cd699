"""The contract of a model, `benchmarks.api.model.Model`, as checks that any model file can be put through.

`python -m benchmarks validate FILE` runs them on a third party's file, the tests on the models of this project.
Networks are made narrow where their recipe allows it and train for two short epochs: nothing here asks whether a model
is any good.
"""

import dataclasses
import inspect
import json
import math
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmarks import registry, system
from benchmarks.api import profiles
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.model import prerequisites_of
from benchmarks.engine.execution import workers
from benchmarks.engine.store.checkpoints import EpochCheckpoints
from benchmarks.errors import BadInput

N_TRAIN, N_VAL, N_TEST = 48, 30, 70
CLOCK = {"seconds", "train_seconds"}
"""Columns of a history that differ between two equal trainings."""
SMALL = {
    "width_scale": 0.05,
    "epochs": 2,
    "batch_size": 16,
    "batches_per_epoch": None,
    "k": 3,
    "n_alphas": 2,
    "jitter": 5,
}
"""Recipe fields that make a training small, for the models that have them."""
HISTORY = {"epoch", "train_loss", "val_loss", "val_pearson_r", "lr", "seconds", "train_seconds", "is_best"}

STRANGE = {
    "two outputs": TaskSpec(60, ("a", "b")),
    "bins": TaskSpec(60, ("a",), "soft_classification"),
    "bins of two outputs": TaskSpec(60, ("a", "b"), "soft_classification"),
    "profiles": TaskSpec(60, profiles.OUTPUTS, "profile_counts", profile_len=20, max_jitter=5),
    "very short": TaskSpec(12, ("a",)),
}
"""Tasks that do not exist. A model learns them or declines them with a reason; it never fails at them."""


class CheckFailed(Exception):
    """A check failed. `method` is where to look: a method of the model or a function of the module."""

    def __init__(self, method: str, what: str) -> None:
        super().__init__(what)
        self.method = method


class NotTested(Exception):
    """A check cannot be run here; the text says why."""


class _Interrupted(Exception):
    """Stands for a kill in the middle of a training."""


@dataclass(frozen=True)
class Check:
    """One line of the contract. `run` takes a Case and raises CheckFailed or NotTested."""

    name: str
    requirement: str
    run: Callable[["Case"], None]


CHECKS: list[Check] = []


def _check(requirement: str) -> Callable:
    """Add a function to CHECKS, under its own name."""

    def register(run: Callable[["Case"], None]) -> Callable:
        CHECKS.append(Check(run.__name__.replace("_", " "), requirement, run))
        return run

    return register


@dataclass
class Case:
    """A model on a task's simulated data, cut down. The first training is made once; most checks look at it."""

    model: str
    task: str
    small: dict[str, Any] = field(default_factory=lambda: dict(SMALL))
    spec: TaskSpec | None = None
    """None: the task's. A profile task may be cut to shorter windows."""
    _folders: list[tempfile.TemporaryDirectory] = field(default_factory=list)

    @cached_property
    def module(self) -> Any:
        return registry.get_model(self.model)

    @cached_property
    def framework(self) -> str:
        return registry.model_entry(self.model).framework

    @cached_property
    def backend(self) -> Any:
        return registry.get_backend(self.framework)

    def __post_init__(self):
        self.spec = self.spec or registry.get_task(self.task).SPEC

    @cached_property
    def rows(self) -> SimpleNamespace:
        """Training, validation and test rows in read-only arrays: codes may be memory-mapped."""
        task = registry.get_task(self.task)
        data = task.simulate(split=task.SPLITS[0], seed=0)
        if self.spec.head == "profile_counts":
            data = profiles.narrowed(data, self.spec)
        order = np.random.default_rng(0).permutation(len(data))
        parts = np.split(order, np.cumsum([N_TRAIN, N_VAL, N_TEST]))
        return SimpleNamespace(
            **{name: _read_only(data.take(rows)) for name, rows in zip(("train", "val", "test"), parts, strict=False)}
        )

    def build(self, spec: TaskSpec | None = None, *, seed: int, device: str = "cpu") -> Any:
        """Build the model as a training does: the framework is seeded, then the module builds."""
        if self.backend:
            # Narrow networks gain nothing from a second thread; tensorflow's number is fixed once it has computed.
            self.backend.configure(device, threads=1 if self.framework == "torch" else None)
            self.backend.seed_everything(seed)
        fields = {f.name for f in dataclasses.fields(self.module.RECIPE)}
        recipe = dataclasses.replace(
            self.module.RECIPE, **{key: value for key, value in self.small.items() if key in fields}
        )
        model = self.module.build(spec or self.spec, recipe, self.prerequisite_dirs if spec is None else {})
        if self.backend:
            self.backend.place(model, device)
        return model

    @cached_property
    def prerequisite_dirs(self) -> dict[str, Path]:
        """Fit the prerequisites of the model on the same rows, and give the folders that they are saved in."""
        folders = {}
        for name in prerequisites_of(self.module):
            self._folders.append(tempfile.TemporaryDirectory())
            folders[name] = Path(self._folders[-1].name)
            Case(name, self.task, self.small, self.spec).first.fitted.save(folders[name])
        return folders

    def train(self, seed: int, **keywords: Any) -> SimpleNamespace:
        """Return a trained model with its history, what it reported on the way, and its predictions."""
        reported: list[dict] = []
        fitted = self.build(seed=seed, device=keywords.pop("device", "cpu"))
        keywords.setdefault("on_epoch", lambda row: reported.append(dict(row)))
        history = fitted.fit(self.rows.train, self.rows.val, seed=seed, **keywords)
        predicted = fitted.predict(self.rows.test.without_targets())
        return SimpleNamespace(fitted=fitted, history=history, reported=reported, predicted=predicted)

    @cached_property
    def first(self) -> SimpleNamespace:
        return self.train(seed=1)


def _read_only(data: Dataset) -> Dataset:
    for array in (data.codes, *data.targets.values()):
        array.flags.writeable = False
    return data


def made_up(spec: TaskSpec, n_rows: int = 32) -> Dataset:
    """Return random rows for a task that does not exist."""
    rng = np.random.default_rng(0)
    columns = dict.fromkeys(spec.side_channels, np.zeros(n_rows))
    if spec.head == "profile_counts":
        targets = {"profile": rng.poisson(1.0, (n_rows, spec.profile_len + 2 * spec.max_jitter)).astype(np.uint16)}
        columns |= {"is_peak": np.arange(n_rows) % 2, "fits_jitter": np.ones(n_rows)}
    else:
        targets = {name: rng.normal(8, 2, n_rows).astype(np.float32) for name in spec.outputs}
    codes = rng.integers(0, 5, (n_rows, spec.seq_len + 2 * spec.max_jitter), dtype=np.uint8)
    return Dataset("made up", codes, targets, pd.DataFrame(columns, index=range(n_rows)), "simulated")


def tolerance(values: np.ndarray) -> float:
    """Return what rounding may change: a thousandth of the spread between sequences, or a few units in the last place.

    Two epochs leave some networks with nearly equal predictions, so the spread itself is checked against rounding.
    """
    rounding = 4 * float(np.finfo(np.float32).eps * max(np.abs(values).max(), 0.5))  # sums near 0 round as their terms
    spread = float(values.std())
    if spread <= 10 * rounding:
        raise CheckFailed("predict", "predicts the same value for every sequence")
    return 1e-3 * spread + rounding


def timeless(history: list[dict]) -> list[dict]:
    return [{key: value for key, value in row.items() if key not in CLOCK} for row in history]


def _require(holds: bool, method: str, what: str) -> None:
    if not holds:
        raise CheckFailed(method, what)


def _check_outputs(predicted: Any, spec: TaskSpec, n_rows: int) -> None:
    _require(isinstance(predicted, dict), "predict", f"gives a {type(predicted).__name__}, not a dict by output name")
    expected = list(spec.outputs)
    _require(list(predicted) == expected, "predict", f"gives outputs {list(predicted)}, the task has {expected}")
    for name, values in predicted.items():
        shape, dtype = np.shape(values), values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        right = shape == (n_rows,) or (spec.head == "profile_counts" and shape[:1] == (n_rows,))
        _require(right, "predict", f"gives {shape} for output {name!r}, expected ({n_rows},)")
        _require(dtype == np.float32, "predict", f"gives {dtype} for output {name!r}, expected a float32 array")
        _require(bool(np.isfinite(values).all()), "predict", f"gives values that are not finite for output {name!r}")


def _check_equal(found: Any, expected: dict[str, np.ndarray], method: str, what: str, *, exact: bool) -> None:
    for name, values in expected.items():
        atol = 0.0 if exact else tolerance(values)
        difference = float(np.abs(found[name].astype(np.float64) - values).max())
        _require(difference <= atol, method, f"{what}: output {name!r} differs by up to {difference:.3g}")


@_check(
    "the file has NAME, a frozen RECIPE of plain values, unsupported(spec) and build(spec, recipe, prerequisite_dirs)"
)
def module(case: Case) -> None:
    for name in ("RECIPE", "unsupported", "build"):
        _require(hasattr(case.module, name), name, f"the file defines no {name}")
    recipe = case.module.RECIPE
    _require(dataclasses.is_dataclass(recipe), "RECIPE", f"RECIPE is a {type(recipe).__name__}, not a dataclass")
    _require(type(recipe).__dataclass_params__.frozen, "RECIPE", "the class of RECIPE is not frozen")
    plain = dataclasses.asdict(recipe)
    try:
        _require(json.loads(json.dumps(plain)) == plain, "RECIPE", "RECIPE does not survive being written as JSON")
    except TypeError as error:
        raise CheckFailed("RECIPE", f"RECIPE holds what JSON cannot write: {error}") from None


@_check("a task it cannot learn is declined by unsupported(spec) with a reason; any other trains and predicts")
def refusal(case: Case) -> None:
    for what, spec in STRANGE.items():
        reason = case.module.unsupported(spec)
        if reason is not None:
            plain = isinstance(reason, str) and reason.strip()
            _require(bool(plain), "unsupported", f"declines a task with {what} by {reason!r}, not by a sentence")
            continue
        data = made_up(spec)
        try:
            fitted = case.build(spec, seed=0)
            fitted.fit(data, data, seed=0)
            predicted = fitted.predict(data.without_targets())
        except Exception as error:
            raise CheckFailed(
                "unsupported", f"lets a task with {what} pass, which fails: {workers.describe(error)}"
            ) from error
        _check_outputs(predicted, spec, len(data))


@_check("predict gives one finite float32 per sequence for every output of the task")
def shapes(case: Case) -> None:
    _check_outputs(case.first.predicted, case.spec, N_TEST)


@_check("n_params is a positive whole number and precision a word")
def size(case: Case) -> None:
    n_params, precision = case.first.fitted.n_params, case.first.fitted.precision
    whole = isinstance(n_params, int) and n_params > 0
    _require(whole, "n_params", f"n_params is {n_params!r}, expected a positive int")
    _require(
        isinstance(precision, str) and bool(precision), "precision", f"precision is {precision!r}, expected a word"
    )


@_check("fit returns, and reports as it ends, one row per epoch with the required plain, finite columns")
def history(case: Case) -> None:
    rows = case.first.history
    _require(isinstance(rows, list) and len(rows) > 0, "fit", f"returns {rows!r}, expected one row per epoch")
    for number, row in enumerate(rows, start=1):
        missing = sorted(HISTORY - row.keys())
        _require(not missing, "fit", f"row {number} of the history lacks {', '.join(missing)}")
        _require(row["epoch"] == number, "fit", f"row {number} of the history says epoch {row['epoch']!r}")
        losses = (row["train_loss"], row["val_loss"])
        _require(all(map(math.isfinite, losses)), "fit", f"epoch {number} has losses that are not finite: {losses}")
    try:
        same = json.loads(json.dumps(rows)) == rows
    except TypeError as error:
        raise CheckFailed("fit", f"the history holds what JSON cannot write: {error}") from None
    _require(same, "fit", "the history does not survive being written as JSON")
    n_best = sum(row["is_best"] for row in rows)
    _require(n_best == 1, "fit", f"{n_best} rows of the history are marked is_best, expected 1")
    reported = [{key: value for key, value in row.items() if key != "is_best"} for row in rows]
    _require(case.first.reported == reported, "fit", "on_epoch was not called with every row of the history, in order")


@_check("the weights of the best epoch are left in place")
def best_epoch(case: Case) -> None:
    if case.spec.head == "profile_counts":
        raise NotTested("a model of profiles chooses for itself which windows it validates on")
    val = case.rows.val
    predicted = case.first.fitted.predict(val.without_targets())
    best = next(row for row in case.first.history if row["is_best"])
    r = np.mean([np.corrcoef(predicted[name], val.targets[name])[0, 1] for name in val.targets])
    column = "val_pearson_r_clean" if "val_pearson_r_clean" in best else "val_pearson_r"
    close = math.isclose(best[column], r, abs_tol=1e-3)
    _require(close, "fit", f"says {column} {best[column]:.4f} for the best epoch; what it left has {r:.4f}")
    if column == "val_pearson_r":  # else the loss is of rows as training shows them, which predict does not do
        loss = sum(np.mean((predicted[name].astype(np.float64) - val.targets[name]) ** 2) for name in val.targets)
        close = math.isclose(best["val_loss"], loss, rel_tol=1e-4)
        _require(close, "fit", f"says val_loss {best['val_loss']:.6g}; what it left has {loss:.6g}")


@_check("a prediction depends on its own sequence alone: not on the batch, its size or its neighbours")
def batch_independence(case: Case) -> None:
    test, predicted = case.rows.test.without_targets(), case.first.predicted
    for row in (0, N_TEST - 1):
        alone = case.first.fitted.predict(test.take(np.array([row])))
        for name, values in predicted.items():
            shape = np.shape(alone[name])
            expected = (1, *values.shape[1:])
            _require(shape == expected, "predict", f"gives {shape} for one sequence, expected {expected}")
            difference = float(np.abs(alone[name][0].astype(np.float64) - values[row]).max())
            what = f"output {name!r} of a sequence alone differs by {difference:.3g} from it among others"
            _require(difference <= tolerance(values), "predict", what)
    if case.backend is None:
        return
    for size in (1, 64):  # 64 leaves a short batch at the end
        case.first.fitted.predict_batch_size = size
        found = case.first.fitted.predict(test)
        _check_equal(found, predicted, "predict", f"batches of {size}", exact=False)
    case.first.fitted.predict_batch_size = None


@_check("predictions read nothing but sequences and side channels: no target, no fold, no group")
def blindness(case: Case) -> None:
    test, fitted, predicted = case.rows.test, case.first.fitted, case.first.predicted
    other = {name: np.full_like(values, 1e4) for name, values in test.targets.items()}
    found = fitted.predict(dataclasses.replace(test, targets=other))
    _check_equal(found, predicted, "predict", "with other targets in the data", exact=True)
    bare = dataclasses.replace(test, meta=test.meta[list(case.spec.side_channels)]).without_targets()
    try:
        found = fitted.predict(bare)
    except KeyError as error:
        raise CheckFailed("predict", f"needs column {error} of meta, which is not a side channel") from error
    _check_equal(found, predicted, "predict", "without the other columns of meta", exact=True)


@_check("a saved and loaded model predicts exactly the same")
def save_and_load(case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        case.first.fitted.save(Path(folder))
        _require(any(Path(folder).iterdir()), "save", "writes no file")
        fresh = case.build(seed=99)
        fresh.load(Path(folder))
    found = fresh.predict(case.rows.test.without_targets())
    _require(list(found) == list(case.first.predicted), "load", f"predicts outputs {list(found)} after loading")
    _check_equal(found, case.first.predicted, "load", "after loading", exact=True)


@_check("the same seed gives the same training, another seed another one")
def seed(case: Case) -> None:
    again = case.train(seed=1)
    _check_equal(again.predicted, case.first.predicted, "fit", "the same seed again", exact=True)
    same = timeless(again.history) == timeless(case.first.history)
    _require(same, "fit", "the same seed gives another history")
    if case.framework == "numpy":  # nothing need be random in such a model
        return
    stepped = []
    for number in (1, 2):  # after one step on the same rows, so that a last layer that begins at zero has moved
        fitted = case.build(seed=number)
        fitted.prepare(case.rows.train, n_steps=4)
        fitted.train_batch(np.arange(16))
        stepped.append(fitted.predict(case.rows.test.without_targets()))
    differs = any(not np.array_equal(stepped[0][name], stepped[1][name]) for name in stepped[0])
    _require(differs, "build", "draws the same initial weights whatever the seed; is a seed fixed inside?")
    other = case.train(seed=2).predicted
    for name, values in case.first.predicted.items():
        differs = float(np.abs(other[name] - values).max()) > tolerance(values)
        _require(differs, "fit", f"seed 2 gives the predictions of seed 1 (output {name!r}); is a seed fixed inside?")


@_check("a training killed after an epoch goes on from its checkpoint and ends bit-equal to one nobody interrupted")
def resume(case: Case) -> None:
    def interrupt(row: dict) -> None:
        raise _Interrupted

    with tempfile.TemporaryDirectory() as folder:
        checkpoints = EpochCheckpoints(Path(folder) / "partial")
        try:
            case.train(seed=1, on_epoch=interrupt, checkpoints=checkpoints)
        except _Interrupted:
            pass
        else:
            raise CheckFailed("fit", "never called on_epoch")
        if case.framework != "numpy" and len(case.first.history) > 1:
            _require(
                any(checkpoints.whole()),
                "fit",
                "writes no checkpoint after the first epoch, so a kill would lose everything",
            )
        resumed = case.train(seed=1, checkpoints=checkpoints)
    _check_equal(resumed.predicted, case.first.predicted, "fit", "interrupted after epoch 1 and resumed", exact=True)
    same = timeless(resumed.history) == timeless(case.first.history)
    _require(same, "fit", "interrupted after epoch 1 and resumed, the history differs")


@_check("prepare and train_batch take single steps and return a finite, positive loss, for timing")
def single_steps(case: Case) -> None:
    fitted = case.build(seed=1)
    fitted.prepare(case.rows.train, n_steps=4)
    losses = [float(fitted.train_batch(np.arange(start, start + 16))) for start in (0, 16)]
    fine = all(math.isfinite(loss) and loss > 0 for loss in losses)
    _require(fine, "train_batch", f"returns losses {losses}, expected finite numbers above 0")


@_check("it trains on a GPU where there is one, to predictions like those of the CPU")
def device(case: Case) -> None:
    if case.backend is None:
        raise NotTested("computes with numpy, on the CPU only")
    if not system.n_gpus():
        raise NotTested("no GPU here")
    fitted = case.build(seed=1, device="cuda")
    with tempfile.TemporaryDirectory() as folder:
        case.first.fitted.save(Path(folder))
        fitted.load(Path(folder))
    found = fitted.predict(case.rows.test.without_targets())
    for name, values in case.first.predicted.items():
        difference = float(np.abs(found[name] - values).max())
        allowed = 1e-2 * float(values.std()) + tolerance(values)
        what = f"output {name!r} on the GPU differs by up to {difference:.3g} from the CPU's"
        _require(difference <= allowed, "predict", what)
    case.train(seed=1, device="cuda")


@dataclass(frozen=True)
class Outcome:
    """The result of a check. `where` is the line of the model's file to look at, if it failed."""

    check: str
    requirement: str
    status: Literal["passed", "failed", "not tested"]
    detail: str = ""
    where: str = ""


def validate(model: str, task: str) -> Iterator[Outcome]:
    """Put a model through every check on a task; yields the outcomes.

    A model that declines the task is tested on what does not need one.
    """
    case = Case(model, task)
    declined = None
    for check in CHECKS:
        if declined and check.name not in ("module", "refusal"):
            yield Outcome(check.name, check.requirement, "not tested", declined)
            continue
        try:
            check.run(case)
            yield Outcome(check.name, check.requirement, "passed")
        except NotTested as reason:
            yield Outcome(check.name, check.requirement, "not tested", str(reason))
        except CheckFailed as failure:
            where = _line_of(case, failure.method)
            yield Outcome(check.name, check.requirement, "failed", f"{failure.method}: {failure}", where)
        except BadInput:
            raise
        except Exception as error:
            where = _line_in(case, error)
            yield Outcome(check.name, check.requirement, "failed", workers.describe(error), where)
        if check.name == "module":
            reason = _declines(case)
            declined = f"declines task {task}: {reason}" if reason else None


def _declines(case: Case) -> str | None:
    try:
        return case.module.unsupported(case.spec)
    except Exception:
        return None  # the check `refusal` reports it


def _line_of(case: Case, method: str) -> str:
    """Find the line of a method of the fitted model, or of the module, if it is in the model's file."""
    owners = [case.module]
    if "first" in vars(case):
        owners.insert(0, type(case.first.fitted))
    for name in (method, "build"):
        for owner in owners:
            try:
                if Path(inspect.getsourcefile(getattr(owner, name))) == _file(case):
                    return f"{_file(case).name}:{inspect.getsourcelines(getattr(owner, name))[1]}"
            except (AttributeError, TypeError, OSError):
                continue
    return _file(case).name


def _line_in(case: Case, error: BaseException) -> str:
    """Find the last line of the model's file that an exception came through."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == _file(case)]
    return f"{_file(case).name}:{lines[-1]}" if lines else _file(case).name


def _file(case: Case) -> Path:
    return registry.model_entry(case.model).path
