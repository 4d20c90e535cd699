"""Measure how well position scores find the motifs that a simulation planted: area under the precision-recall curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import registry
from benchmarks.api.data import Dataset
from benchmarks.api.task import HasPlantedMotifs, supports
from benchmarks.engine.inference import load, mutagenesis
from benchmarks.engine.planning.plan import Job
from benchmarks.engine.reporting.console import bar
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput, did_you_mean

N_SHUFFLES = 20


def recovery(
    scores: np.ndarray, planted: np.ndarray, *, seed: int = 0, n_shuffles: int = N_SHUFFLES
) -> dict[str, float]:
    """Rank positions by |score| and compare with planted motifs, pooled over sequences.

    The size of a score counts and not its sign, since simulations plant repressors too. The control shuffles the scores
    of every sequence among its positions, so that it keeps which sequences have large scores.

    Parameters
    ----------
    scores
        (n, L) position scores; NaN positions are left out.
    planted
        (n, L) bool, the motif mask of the task.

    Returns
    -------
    `average_precision`, `shuffled` (mean over `n_shuffles`), `shuffled_sd`, `base_rate`, `n_positions`, `n_sequences`.

    Raises
    ------
    BadInput
        If no scored position, or every one, is planted.
    """
    from sklearn.metrics import average_precision_score

    is_scored = np.isfinite(scores)
    truth = planted[is_scored]
    if not truth.any() or truth.all():
        raise BadInput(f"Both planted and other positions are needed; {truth.sum()} of {truth.size} are planted.")
    size, rng = np.abs(scores), np.random.default_rng(seed)
    shuffled = []
    for _ in range(n_shuffles):
        permuted = [rng.permutation(row[known]) for row, known in zip(size, is_scored, strict=True)]
        shuffled.append(average_precision_score(truth, np.concatenate(permuted)))
    return {
        "average_precision": float(average_precision_score(truth, size[is_scored])),
        "shuffled": float(np.mean(shuffled)),
        "shuffled_sd": float(np.std(shuffled, ddof=1)) if n_shuffles > 1 else float("nan"),
        "base_rate": float(truth.mean()),
        "n_positions": int(truth.size),
        "n_sequences": int(is_scored.any(axis=1).sum()),
    }


def recover_in_runs(
    store: Store, tasks: Sequence[str], models: Sequence[str] | None, *, n: int, device: str
) -> tuple[pd.DataFrame, list[str]]:
    """Measure the recovery of planted motifs by the models of stored runs on simulated data.

    Parameters
    ----------
    tasks, models
        Tasks whose latest runs are taken, empty: all; models of these runs, None: all.
    n
        Test sequences with planted motifs, of the first finished training of every model.

    Returns
    -------
    A row per task, model and output: task, model, output, origin, and what `recovery` returns; and a sentence for each
    model that was left out.

    Raises
    ------
    BadInput
        If a run has no model of such a name, or no training can be used.
    """
    rows, left_out = [], []
    for experiment in Experiment.open_many(store, tasks):
        plan = experiment.plan
        for name in models or ():
            if name not in plan.models:
                raise BadInput(did_you_mean("model of this run", name, list(plan.models)))
        for model in models or plan.models:
            job = next((j for j in plan.jobs if j.model == model and store.training(j).is_done), None)
            if job is None:
                continue
            task, dataset = registry.get_task(plan.task), store.get_dataset(job.dataset, job.digest)
            if dataset.origin != "simulated" or not supports(task, HasPlantedMotifs):
                left_out.append(f"{plan.task}, {model}: {job.dataset} is measured: where its motifs lie is not known")
            elif not load.has_model(store.training(job).folder):
                reason = "it has no weights: external predictions, or a training with --no-save-models"
                left_out.append(f"{plan.task}, {model}: {reason}")
            else:
                rows += _recover(task, store, job, dataset, n, device)
    if not rows:
        raise BadInput(f"There is nothing to search: {'; '.join(left_out) or 'no training is finished'}.")
    return pd.DataFrame(rows), left_out


def _recover(
    task: HasPlantedMotifs, store: Store, job: Job, dataset: Dataset, n: int, device: str
) -> list[dict[str, Any]]:
    """Mutate the first n test sequences with planted motifs; a row per output."""
    trained = load.open_model(store.training(job).folder, device)
    rows = store.training(job).predictions()[0]
    has_motif = task.motif_mask(np.asarray(dataset.codes[rows]), trained.spec.outputs[0]).any(axis=1)
    test = dataset.take(rows[has_motif][:n])
    where = task.candidate_mask(test.codes)
    with bar(f"{job.task}, {job.model}", mutagenesis.n_mutants(test.codes, where)) as on_done:
        effects = mutagenesis.effects(trained.model, test.without_targets(), where=where, on_done=on_done)
    place = {"task": job.task, "model": job.model}
    return [
        place
        | {"output": output, "origin": dataset.origin}
        | recovery(mutagenesis.position_scores(effect.deltas), task.motif_mask(test.codes, output))
        for output, effect in effects.items()
    ]
