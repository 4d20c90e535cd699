"""Build the report over all tasks from stored runs: the tables that `across` writes, prints and shows on its page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.apps.across_tasks import paper_claims, published_values, table
from benchmarks.apps.across_tasks.checks import Evidence
from benchmarks.apps.across_tasks.read_runs import (
    ScoredRun,
    parameter_counts,
    read_agreement,
    read_challenge,
    read_run,
)
from benchmarks.engine.evaluation import speed_repeats
from benchmarks.engine.evaluation.combination_grid import has_grid, read_grid
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput


@dataclass(frozen=True)
class Report:
    """The report over all tasks.

    Parameters
    ----------
    tables
        Name of a file without its ending -> table: `across`, `overall`, `claims`, `published`.
    context
        Published figures that do not compare with ours.
    """

    runs: Sequence[ScoredRun]
    tables: dict[str, pd.DataFrame]
    context: pd.DataFrame

    @property
    def experiments(self) -> list[Experiment]:
        """The stored runs that the report is of."""
        return [run.experiment for run in self.runs]


def build_report(
    store: Store,
    experiments: Sequence[Experiment],
    *,
    grid: Path | None,
    challenge: Path | None,
    published: Path | None,
    ism: Path | None = None,
    speed: Path | None = None,
) -> Report:
    """Score stored runs, rank their models, check the paper's claims, and set published figures beside measured ones.

    Parameters
    ----------
    grid
        Report folder of a `prixfixe grid`; None: that of the first of the experiments that has one.
    challenge
        Folder that `challenge rank --out` filled, for the claims on it.
    ism, speed
        Folders that `ism --out` and `bench speed --out` filled, for claims 15 and 16.
    published
        Table of published figures; None: the one that comes with the package.

    Raises
    ------
    BadInput
        If no training is finished, or a file that was named cannot be read.
    """
    runs = [run for experiment in experiments if (run := read_run(experiment, store))]
    if not runs:
        raise BadInput("No training of these runs is finished yet, so there is nothing to report.")
    across = table.combine([run.tables for run in runs])
    with_grid = [run.experiment for run in runs if has_grid(run.experiment.folder)]
    grid_experiment = Experiment.open(store, None, grid) if grid else next(iter(with_grid), None)
    evidence = Evidence(
        across,
        pd.concat([run.tests for run in runs], ignore_index=True),
        grid=read_grid(grid_experiment, store) if grid_experiment else None,
        challenge=read_challenge(challenge) if challenge else None,
        n_params=parameter_counts(),
        agreement=read_agreement(ism) if ism else None,
        speed=speed_repeats.read(speed) if speed else None,
    )
    tables = {"across": across, "overall": table.overall(across), "claims": paper_claims.evaluate_claims(evidence)}
    figures = published_values.read(published or published_values.default_file())
    tables["published"] = published_values.beside(
        figures,
        pd.concat([run.summary for run in runs], ignore_index=True),
        pd.concat([run.scores for run in runs], ignore_index=True),
        across,
        model_titles=dict(zip(across["model"], across["label"], strict=True)),
    )
    return Report(runs, tables, published_values.context(figures))
