"""The stored grid of all Prix Fixe combinations: which report folders hold one, and how it is read back.

`prixfixe grid` writes `grid.csv` (every combination) and `grid_originals.csv` (each team's own combination beside the
best one with its core) into the report folder of its run; `results/README.md` lists their columns.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from benchmarks import registry
from benchmarks.api.prix_fixe import PARTS
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.planning.protocol_deviations import protocol_deviations
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.io import tables

_TABLE, _ORIGINALS = "grid.csv", "grid_originals.csv"
_ORIGINAL_COLUMNS = ("core", "kind", "code", "n_params", "value")


@dataclass(frozen=True)
class Grid:
    """All combinations of the winners' parts.

    Parameters
    ----------
    task, origin, folder
        Task and data origin ("measured" or "simulated") of the run, and the name of its report folder.
    protocol_deviations
        In what the trainings are not the published protocol; "" where they follow it.
    table, originals
        Contents of `grid.csv` and `grid_originals.csv`.
    scores
        Long table of the scores of the run; empty unless it was asked for.
    """

    task: str
    origin: str
    protocol_deviations: str
    table: pd.DataFrame
    originals: pd.DataFrame = field(default_factory=pd.DataFrame)
    scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    folder: str = ""

    @property
    def simulated(self) -> bool:
        """Whether the combinations were trained on simulated data."""
        return self.origin == "simulated"


def has_grid(folder: Path) -> bool:
    """Tell whether a report folder is that of a grid of combinations."""
    return (folder / _TABLE).is_file()


def read_grid(experiment: Experiment, store: Store, *, with_scores: bool = False) -> Grid:
    """Read the grid in the report folder of an experiment.

    Parameters
    ----------
    with_scores
        Read `originals` and compute `scores` too, which figures need.

    Raises
    ------
    BadInput
        If a table is missing, damaged, or lacks a column.
    """
    plan, task = experiment.plan, registry.get_task(experiment.plan.task)
    table = _read(experiment.folder / _TABLE, ("code", *PARTS, "status", "value"))
    originals = _read(experiment.folder / _ORIGINALS, _ORIGINAL_COLUMNS) if with_scores else pd.DataFrame()
    source, splits = plan.sources[0], task.protocol()
    by_model = (protocol_deviations(task, plan, model, source, splits) for model in plan.models)
    return Grid(
        plan.task,
        store.get_dataset(source.name, source.digest).origin,
        "; ".join(next(filter(None, by_model), [])),
        table,
        originals,
        score(plan, store, task) if with_scores else pd.DataFrame(),
        experiment.folder.name,
    )


def _read(file: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    recovery_hint = "name the report folder of a `prixfixe grid`"
    return tables.read_ours(file, columns, recovery_hint=recovery_hint, dtype={"code": str})
