"""Recipe and Preset: the numbers of a training, and how much of a protocol a run covers."""

import dataclasses
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.errors import BadInput, did_you_mean

TRAIN_ON = ("train", "all")
"""Rows that a training takes: those of its split, or those that would validate it too."""


def option(default: Any) -> Any:
    """Declare a recipe field of an idea that can be switched on; see `stored_values`."""
    return field(default=default, metadata={"option": True})


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training. A model with more of them subclasses this.

    Parameters
    ----------
    batch_size, epochs
        Sequences per step; passes over the training rows.
    max_lr
        Peak learning rate of a schedule, or the constant rate.
    weight_decay
        As the optimiser understands it.
    patience
        Epochs without a better selection value before training stops; None never stops early.
    width_scale
        Share of the published channel widths. Anything but 1 is not the published network.
    train_on
        `train`; or `all`, the validation rows too, as the challenge's first and second did for their final models
        (Rafi et al. 2024): then validation scores are of rows that were trained on, and no epoch can be chosen by them.
    """

    batch_size: int = 32
    max_lr: float = 1e-3
    epochs: int = 80
    weight_decay: float = 0.0
    patience: int | None = None
    width_scale: float = 1.0
    train_on: str = option("train")


@dataclass(frozen=True)
class TorchRecipe(Recipe):
    """The numbers of a torch training.

    Parameters
    ----------
    precision
        `float32`, as published, or `bfloat16`: products of the forward and backward pass in bfloat16 by autocast, with
        weights, normalisation, loss and optimiser in float32. Faster where the processor has units for it.
    """

    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be {' or '.join(PRECISIONS)}, got {self.precision!r}")


PRECISIONS = ("float32", "bfloat16")


def stored_values(recipe: Any) -> dict[str, Any]:
    """Return a recipe as plain values, without options that are as by default.

    So a run keeps its name, which is a hash of these values, when models learn new options.
    """
    at_default = {f.name for f in dataclasses.fields(recipe) if f.metadata.get("option")}
    at_default = {name for name in at_default if getattr(recipe, name) == getattr(type(recipe), name)}
    return {name: value for name, value in dataclasses.asdict(recipe).items() if name not in at_default}


def recipe_with(recipe: Any, changes: Mapping[str, Any], *, source: str) -> Any:
    """Return `recipe` with changed fields; strings are read as JSON where the field is not text.

    Raises
    ------
    BadInput
        For a field the recipe lacks, or a value of another type, naming `source` (where the change came from).
    """
    known = [f.name for f in dataclasses.fields(recipe)]
    clean = {}
    for name, value in changes.items():
        if name not in known:
            raise BadInput(f"{source}: {did_you_mean('recipe key', name, known)}")
        clean[name] = _typed(name, value, recipe, source)
    try:
        return dataclasses.replace(recipe, **clean)
    except ValueError as error:  # a recipe's own __post_init__ knows what goes together
        raise BadInput(f"{source}: {error}.") from None


def _typed(name: str, value: Any, recipe: Any, source: str) -> Any:
    hint = typing.get_type_hints(type(recipe))[name]
    kinds = typing.get_args(hint) or (hint,)
    wanted = kinds[0]
    expected = " or ".join("none" if kind is type(None) else kind.__name__ for kind in kinds)
    refusal = BadInput(f"{source}: recipe key {name!r} expects {expected}, got {value!r}.")
    if isinstance(value, str) and wanted is not str:
        try:
            value = json.loads("null" if value.lower() == "none" else value.lower())
        except ValueError:
            raise refusal from None
    if value is None and type(None) in kinds:
        return None
    if wanted is float and type(value) is int and abs(value) < 2**1023:
        value = float(value)
    if type(value) is not wanted:
        raise refusal
    if wanted in (int, float) and not 0 <= value < float("inf"):
        raise BadInput(f"{source}: recipe key {name!r} must be a finite number >= 0, got {value!r}.")
    if name in ("batch_size", "epochs", "patience", "width_scale") and value == 0:
        raise BadInput(f"{source}: recipe key {name!r} must be greater than 0, got {value!r}.")
    return value


@dataclass(frozen=True)
class Preset:
    """How much of a task's protocol to run, and with which recipes.

    `n_test_folds`, `n_members` cut the protocol down (None: all of it). `extra_models` join the task's own. `recipes`
    maps a model, a family of variants (`prix_fixe`), or `*` for every model to recipe changes; what is said of several
    is skipped where a recipe lacks the field.
    """

    description: str
    data: Literal["published", "simulated"]
    n_test_folds: int | None = None
    n_members: int | None = None
    extra_models: tuple[str, ...] = ()
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
