"""The sets that need a search or a walk: from a predictor and settings to an oligo table, resumable on the way."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import system
from benchmarks.api.construct import Construct
from benchmarks.apps.design import disagreement, evolve, mutation_walks, oligo_library
from benchmarks.apps.design.evolve import Search
from benchmarks.apps.design.predictor import Predictor
from benchmarks.apps.design.resumable_search import Resumable
from benchmarks.engine.reporting.console import bar
from benchmarks.io.atomic import write_text

OpenWork = Callable[[dict[str, Any]], Resumable]
"""Settings that a result depends on -> the resumable work that leads to it."""
OnRow = Callable[[Resumable, dict[str, Any]], None]
"""Called with every row of a search's history, to say how it goes."""


def extreme(
    predict: Predictor, open_work: OpenWork, search: Search, *, subset: str, sign: float, n: int, seed: int,
    output: str | None, on_row: OnRow,
) -> tuple[Resumable, pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Evolve sequences of high (sign 1) or low (sign -1) predicted expression, averaged over models.

    Returns
    -------
    The work, the oligo table of the n best distinct sequences or fewer, and the history of the search.
    """
    weights = np.full(len(predict.names), sign / len(predict.names))
    work = open_work({"set": subset, "seed": seed, "output": output, **asdict(search)})
    with bar(f"{subset} expression", search.expected_candidates()) as predict.on_done, work:
        population = evolve.evolve(
            predict, predict.construct.length, search, weights, seed=(seed, int(sign < 0)),
            checkpoints=work.checkpoints("search"), on_generation=lambda row: on_row(work, row),
        )  # fmt: skip
    best = population.best(n, weights)
    models = ".".join(predict.names).replace(" ", "_")
    tags = pd.DataFrame({"tag": [f"GA.{models}.{subset}_{i}" for i in range(len(best.codes))]})
    return work, _table(predict, best.codes, best.values, tags, subset), pd.DataFrame(population.history)


def challenging(
    predict: Predictor, open_work: OpenWork, search: Search, *, weights: list[float], n_batches: int, n: int,
    seed: int, output: str | None, on_row: Callable[[Resumable, int, dict[str, Any]], None],
) -> tuple[Resumable, pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Evolve sequences on which models disagree, in batches; as `extreme`, with n sequences of each batch."""
    settings = {"set": "challenging", "seed": seed, "output": output, "weights": weights, "batches": n_batches}
    work = open_work(settings | asdict(search))
    with bar("challenging", n_batches * search.expected_candidates()) as predict.on_done, work:
        codes, values, fronts, history = disagreement.batches(
            predict, predict.construct.length, search, np.array(weights), n_batches=n_batches, n_kept=n, seed=seed,
            checkpoints=lambda batch: work.checkpoints(f"batch-{batch:04d}"),
            on_generation=lambda batch, row: on_row(work, batch, row),
        )  # fmt: skip
    kind = "sum" if search.selection == "tournament" else "pareto"
    models = ".vs.".join(name.replace(" ", "_") for name in predict.names)
    number = fronts.groupby("batch").cumcount()
    tags = [f"GA.{models}.{kind}_{b}_{i}" for b, i in zip(fronts["batch"], number, strict=True)]
    return work, _table(predict, codes, values, fronts.assign(tag=tags), "challenging"), history


def mutation_walk(
    predict: Predictor | None, construct: Construct, open_work: OpenWork, names: list[str], starts: np.ndarray, *,
    steps: int, walks: int, choose: str, seed: int, output: str | None,
) -> tuple[Resumable, pd.DataFrame]:  # fmt: skip
    """Walk from every start by single mutations; the oligo table has a pair per step.

    Parameters
    ----------
    names, starts
        n names, and (n, length) uint8 codes.
    walks
        Walks from every start.
    choose
        One of `mutation_walks.CHOICES`.
    """
    starts, rows = np.repeat(starts, walks, axis=0), np.repeat(np.arange(len(starts)), walks)
    settings = {"set": "snv", "seed": seed, "output": output, "steps": steps, "choose": choose}
    work = open_work(settings | {"starts": hashlib.sha256(starts.tobytes()).hexdigest()})
    with bar("mutants", mutation_walks.n_predictions(len(starts), construct.length, steps, choose)) as on_done, work:
        if predict:
            predict.on_done = on_done
        path = mutation_walks.walk(
            starts, steps=steps, choose=choose, seed=seed, score=predict, checkpoints=work.checkpoints("walk"),
            on_step=lambda step: work.say(f"step {step} of {steps}"),
        )  # fmt: skip
    labels = [f"{names[row]}{f'.{walk % walks}' * (walks > 1)}" for walk, row in enumerate(rows)]
    pairs, codes = mutation_walks.pairs(labels, path, choose)
    if predict is None:
        return work, oligo_library.table(construct, codes, pairs, subset="SNVs")
    return work, _table(predict, codes, predict(codes), pairs, "SNVs")


def _table(
    predict: Predictor, codes: np.ndarray, values: np.ndarray, metadata: pd.DataFrame, subset: str
) -> pd.DataFrame:
    return oligo_library.table(
        predict.construct, codes, metadata, subset=subset, names=predict.names, values=values,
        trained_on=predict.trained_on,
    )  # fmt: skip


def write_search(
    work: Resumable, table: pd.DataFrame, history: pd.DataFrame | None, predict: Predictor | None
) -> dict[str, Any]:
    """Write the oligo table and, beside it, the history of the search with its plots; then drop the search's state.

    Returns
    -------
    seconds, and where models predicted, models, n_predicted and candidates_per_s.
    """
    facts: dict[str, Any] = {"seconds": work.seconds}
    if predict:
        rate = predict.n_done / max(work.seconds, 1e-9)
        facts |= {"models": list(predict.names), "n_predicted": predict.n_done, "candidates_per_s": rate}
    if predict and history is not None:
        stem = work.out.name.removesuffix(".tsv")
        history = history.assign(trained_on=predict.trained_on)
        write_text(work.out.with_name(f"{stem}.history.csv"), history.to_csv(index=False))
        if system.can_draw():
            from benchmarks.engine.figures import design, style

            simulated = predict.trained_on == "simulated"
            style.save(design.search(history, simulated=simulated), work.out.with_name(f"{stem}.search"))
            if len(predict.names) > 1:
                scatter = design.disagreement(table, predict.names[:2], simulated=simulated)
                style.save(scatter, work.out.with_name(f"{stem}.models"))
    write_text(work.out, table.to_csv(sep="\t", index=False))
    work.remove()
    return facts
