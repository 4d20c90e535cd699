"""Reads stored runs, grids and challenge tables for the report over all tasks."""

from pathlib import Path
from typing import Any


def read_run(experiment: Any, store: Any) -> dict[str, Any] | None:
    """Read what the report needs of one stored run; None if nothing of it is finished."""
    import dataclasses

    import pandas as pd

    from benchmarks import registry
    from benchmarks.apps.across_tasks import table
    from benchmarks.engine.evaluation import compare, fold_tests
    from benchmarks.engine.evaluation.scores import score
    from benchmarks.engine.planning.protocol_deviations import protocol_deviations
    from benchmarks.engine.reporting import write_results
    from benchmarks.engine.store.training_table import job_table

    plan, task = experiment.plan, registry.get_task(experiment.plan.task)
    scores = score(plan, store, task)
    if scores.empty:
        return None
    jobs, summary, headlines = (
        job_table(plan, store),
        fold_tests.summarise(scores),
        write_results.headlines_of(task),
    )
    role = "member" if hasattr(task, "compare") else "ensemble"
    datasets = {source.name: store.get_dataset(source.name, source.digest) for source in plan.sources}
    tests = pd.DataFrame(columns=fold_tests.TEST_COLUMNS)
    chosen = fold_tests.featured(scores, headlines)
    if not hasattr(task, "compare"):
        sizes = compare.sizes(plan, store, task)
        rivals = {plan.baseline, "dream_rnn", "dream_rnn_keras"} & set(
            chosen.loc[chosen["role"] == "ensemble", "model"]
        )
        several = [fold_tests.compare(chosen, rival, sizes=sizes) for rival in sorted(rivals)]
        tests = pd.concat(several, ignore_index=True) if several else tests
    done = jobs[jobs["status"] == "done"]
    departures = {}
    for source in plan.sources:
        here = dataclasses.replace(source, dataset=datasets[source.name])
        for model, mine in done[done["dataset"] == source.name].groupby("model"):
            splits = set(zip(mine["test_fold"], mine["val_fold"], strict=True))
            departures[source.name, model] = "; ".join(protocol_deviations(task, plan, model, here, splits))
    ran = table.Ran(
        preset=plan.preset,
        summary=fold_tests.featured(summary[summary["role"] == role], headlines),
        jobs=jobs,
        ceilings=write_results.ceiling_table(datasets),
        labels={name: plan.title(name) for name in plan.models},
        prerequisites={name for job in plan.jobs for name in job.prerequisites},
        width_scale={name: recipe.get("width_scale", 1.0) for name, recipe in plan.recipes.items()},
        outside=set(jobs.loc[jobs["framework"] == "outside", "model"]),
        departures=departures,
    )
    finished = f"{(jobs['status'] == 'done').sum():,} of {len(jobs):,} done"
    about = {
        "task": f"{plan.task} (version {plan.task_version})",
        "preset": plan.preset,
        "data": "; ".join(f"{name}: {len(one):,} sequences, {one.origin}" for name, one in datasets.items()),
        "trainings": finished,
        "folder": experiment.folder.name,
        "command": experiment.command,
    }
    return {"experiment": experiment, "ran": ran, "tests": tests, "summary": summary, "scores": scores, "about": about}


def read_grid(experiment: Any, store: Any) -> Any:
    from benchmarks import registry
    from benchmarks.apps.across_tasks.verdicts import Grid
    from benchmarks.engine.planning.protocol_deviations import protocol_deviations
    from benchmarks.io import tables

    needed = ("processor", "first", "core", "final", "status", "value")
    recovery_hint = "name the report folder of a `prixfixe grid`"
    table = tables.read_ours(experiment.folder / "grid.csv", needed, recovery_hint=recovery_hint, dtype={"code": str})
    source = experiment.plan.sources[0]
    origin = store.get_dataset(source.name, source.digest).origin
    task, splits = registry.get_task(experiment.plan.task), registry.get_task(experiment.plan.task).protocol()
    found = (protocol_deviations(task, experiment.plan, model, source, splits) for model in experiment.plan.models)
    return Grid(experiment.plan.task, origin, "; ".join(next(filter(None, found), [])), table)


def read_challenge(folder: Path) -> Any:
    from benchmarks.apps.across_tasks.verdicts import Challenge
    from benchmarks.io import tables

    found = {}
    recovery_hint = f"fill the folder by `challenge rank --out {folder}`"
    for name, needed in (("ranking", ("submission", "place")), ("scores", ("submission", "subset", "metric", "value"))):
        found[name] = tables.read_ours(folder / f"{name}.csv", (*needed, "origin"), recovery_hint=recovery_hint)
    measured = all(set(one["origin"]) == {"measured"} for one in found.values())
    return Challenge("measured" if measured else "simulated", **found)


def parameter_counts() -> dict[str, int]:
    """Count the parameters of the full-size networks that claim 6 compares, on yeast."""
    from benchmarks import registry
    from benchmarks.apps.across_tasks.claims import PAIRS

    spec = registry.get_task("yeast").SPEC
    models = {name: registry.get_model(name) for name in (*PAIRS, *PAIRS.values())}
    return {name: int(model.build(spec, model.RECIPE, {}).n_params) for name, model in models.items()}
