"""What a run consists of: a pure function from task, data and options to a list of jobs. Trains and writes nothing."""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.api.data import Dataset, TaskSpec, split_name
from benchmarks.api.model import ModelModule, prerequisites_of
from benchmarks.api.recipe import Preset
from benchmarks.api.task import Task, spec_of
from benchmarks.engine.planning.recipe_overrides import settle_recipes
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io import validated
from benchmarks.io.validated import Count, Name


@dataclass(frozen=True)
class Source:
    """A dataset of a plan. `dataset` and `digest` are None while published data is `missing`, which says what to do."""

    name: Name
    n_rows: Count
    dataset: Dataset | None = None
    digest: Name | None = None
    missing: str | None = None


@dataclass(frozen=True)
class Job:
    """One training, as plain values. Everything that decides its outcome is in `config_hash`, `seed` and the split.

    `plugin` is the file of a model that is a plug-in, `code` the SHA-256 of the file of any model that is not built in.
    `prerequisites` are the models that must be fitted on this split before, with their hashes. Stored plans and
    records call `config_hash` `run`.
    """

    task: Name
    dataset: Name
    digest: Name | None
    model: Name
    framework: Name
    recipe: dict[str, Any]
    config_hash: Name
    test_fold: Count
    val_fold: Count
    seed: int
    n_train: Count
    plugin: str | None = None
    code: str | None = None
    prerequisites: Mapping[Name, Name] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, by the names that stored files have for them."""
        return {("run" if name == "config_hash" else name): value for name, value in vars(self).items()}

    @staticmethod
    def field_names(stored: Any) -> Any:
        """Give a stored job the field names of this class; what is not one is left for `parse_as` to refuse."""
        if not isinstance(stored, dict):
            return stored
        return {("config_hash" if name == "run" else name): value for name, value in stored.items()}

    @property
    def split_name(self) -> str:
        """Name of the split; the folder of the training is called so."""
        return split_name(self.test_fold, self.val_fold)

    @property
    def id(self) -> str:
        return f"{self.dataset}/{self.model}-{self.config_hash}/{self.split_name}"


@dataclass(frozen=True)
class Plan:
    """Jobs in the order they are to run, and what a reader must know of them."""

    task: Name
    task_version: int
    preset: Name
    seed: int
    baseline: str
    sources: tuple[Source, ...]
    models: tuple[Name, ...]
    jobs: tuple[Job, ...]
    recipes: Mapping[str, dict[str, Any]]
    titles: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def title(self, model: str) -> str:
        """Return what tables and plots call a model."""
        return self.titles.get(model, model)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values to store; the data itself stays out."""
        return dict(vars(self)) | {
            "sources": [{"name": s.name, "n_rows": s.n_rows, "digest": s.digest} for s in self.sources],
            "jobs": [job.to_dict() for job in self.jobs],
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Plan":
        """Rebuild a stored plan.

        Raises
        ------
        ValueError
            If the values are not those of a plan: of other types, invalid names, jobs that contradict the rest.
        """
        jobs = values["jobs"]
        if isinstance(jobs, list):
            values = dict(values) | {"jobs": list(map(Job.field_names, jobs))}
        try:
            plan = validated.parse_as(values, Plan)
        except ValueError as error:
            raise ValueError(str(error).replace("config_hash", "run")) from None  # as the file calls it
        if problem := plan._contradiction():
            raise ValueError(problem)
        return plan

    def _contradiction(self) -> str | None:
        """Say what in a plan does not belong together."""
        sources = {(source.name, source.digest) for source in self.sources}
        models = set(self.models)
        hashes: dict[tuple[str, str], str] = {}
        if len(sources) != len({name for name, _ in sources}):
            return "two sources have one name"
        for job in self.jobs:
            if job.task != self.task or job.model not in models or (job.dataset, job.digest) not in sources:
                return f"the training {job.id} is of another task, model or dataset than the plan"
            if hashes.setdefault((job.dataset, job.model), job.config_hash) != job.config_hash:
                return f"{job.model} has two runs on {job.dataset}"
            for key in ("epochs", "batch_size", "n_averaged"):
                if type(number := job.recipe.get(key, 1)) is not int or number < 1:
                    return f"{key} is {number!r}"
        if without := [model for model in self.models if model not in self.recipes]:
            return f"{without[0]} has no recipe"
        return None

    @property
    def id(self) -> str:
        """Eight digits that name this set of jobs."""
        text = json.dumps([self.task, self.task_version, self.preset, self.seed, [job.id for job in self.jobs]])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def matrix(self) -> str:
        """Say the size of the plan in one line."""
        folds = sorted({(job.test_fold, job.val_fold) for job in self.jobs})
        n_test = len({test for test, _ in folds})
        per_fold = f"{len(folds) / n_test:g}" if n_test else "0"
        even = len({sum(test == t for t, _ in folds) for test, _ in folds}) <= 1
        members = f"{per_fold} validation fold{'' if per_fold == '1' else 's'}" if even else "their validation folds"
        return (
            f"{_count(len(self.sources), 'dataset')} × {_count(n_test, 'test fold')} × {members} × "
            f"{_count(len(self.models), 'model')} = {len(self.jobs):,} trainings"
        )


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def make_plan(
    task: Task,
    preset_name: str,
    sources: Sequence[Source],
    *,
    seed: int,
    models: Sequence[str] | None = None,
    test_folds: Sequence[int] | None = None,
    n_members: int | None = None,
    changes: Sequence[str] = (),
) -> Plan:
    """List the jobs of a run: datasets × splits × models.

    Parameters
    ----------
    models
        Model names; None: the task's models and the preset's extra ones.
    test_folds, n_members
        Which test folds, and how many validation folds for each; None: what the preset says.
    changes
        `recipe.key=value` for every model, `model.key=value` for one.

    Raises
    ------
    BadInput
        For an unknown model, fold or recipe key, or where no model of the list can learn the task.
    """
    preset = get_preset(task, preset_name)
    wanted = list(dict.fromkeys(models or default_models(task, preset_name)))
    modules = _with_prerequisites({name: registry.get_model(name) for name in wanted})
    specs = list(dict.fromkeys(spec_of(task, source.dataset) for source in sources))
    skipped = _skipped(task, specs, modules)
    usable = {name: module for name, module in modules.items() if name not in skipped}
    n_rows = min(source.n_rows for source in sources)
    recipes, notes = settle_recipes(task, preset, usable, changes, n_rows, specs)
    jobs = []
    for source in sources:
        hashes: dict[str, str] = {}
        for name, module in usable.items():  # prerequisites come before what needs them
            before = {needed: hashes[needed] for needed in prerequisites_of(module)}
            hashes[name] = _config_hash(task, source, name, recipes[name], seed, before)
        jobs += [
            _job(task, source, split, n_train, name, recipes[name], seed, hashes)
            for split, n_train in chosen_splits(task, preset, source, test_folds, n_members)
            for name in usable
        ]
    return Plan(
        task=task.NAME,
        task_version=task.VERSION,
        preset=preset_name,
        seed=seed,
        baseline=task.BASELINE,
        sources=tuple(sources),
        models=tuple(usable),
        jobs=tuple(jobs),
        recipes=recipes,
        titles={name: registry.model_entry(name).title for name in (*usable, task.BASELINE)},
        skipped=skipped,
        notes=tuple(notes),
    )


def _skipped(task: Task, specs: Sequence[TaskSpec], modules: Mapping[str, ModelModule]) -> dict[str, str]:
    """Say why models cannot learn the task, or lack one that can: name -> reason.

    Raises
    ------
    BadInput
        If that is so of all of them.
    """
    skipped: dict[str, str] = {}
    for name, module in modules.items():
        if reason := next((reason for spec in specs if (reason := module.unsupported(spec))), None):
            skipped[name] = reason
    for name, module in modules.items():
        if lost := next((needed for needed in prerequisites_of(module) if needed in skipped), None):
            skipped.setdefault(name, f"needs {lost}, which {skipped[lost]}")
    if len(skipped) == len(modules):
        reasons = "; ".join(f"{name} {reason}" for name, reason in skipped.items())
        raise BadInput(f"None of the models can learn task {task.NAME!r}: {reasons}.")
    return skipped


def with_prerequisites(plan: Plan, chosen: Collection[str]) -> set[str]:
    """Add to the ids of jobs those of the jobs whose models they need.

    Raises
    ------
    BadInput
        If the plan does not have one of them.
    """
    by_place = {(job.dataset, job.split_name, job.model, job.config_hash): job.id for job in plan.jobs}
    wanted = set(chosen)
    for job in reversed(plan.jobs):  # what others need comes before them
        for model, config_hash in job.prerequisites.items() if job.id in wanted else ():
            if (place := (job.dataset, job.split_name, model, config_hash)) not in by_place:
                raise BadInput(f"The plan has no training of {model}, which {job.id} needs; give `run` again.")
            wanted.add(by_place[place])
    return wanted


def with_plugins(planned: Plan, files: Sequence[Path], only: Collection[str]) -> Plan:
    """Let plug-ins of a stored plan be the files that are named now.

    A plan may come from elsewhere, so a path in it is never run: its reader names the file, and the file
    must be the one that was planned.

    Parameters
    ----------
    only
        Ids of the trainings that are to be made.

    Raises
    ------
    BadInput
        If a model of one of them is a plug-in that is not named, or is not the code that was planned.
    """
    named = {entry.key: entry for entry in map(registry.add_plugin, files)}
    jobs = []
    for job in planned.jobs:
        if job.id in only and job.plugin is not None:
            if (entry := named.get(job.model)) is None:
                raise BadInput(
                    f"{job.model} is a plug-in, planned from {job.plugin}. A stored plan runs no file by itself: "
                    "name it with --plugin FILE, if you trust it."
                )
            job = dataclasses.replace(job, plugin=str(entry.path))
        if job.id in only and job.model in registry.models() and registry.models()[job.model].code != job.code:
            raise BadInput(
                f"{registry.models()[job.model].path} is not what {job.model} was planned with (its SHA-256 differs); "
                "name the file as it was, or give `run` again."
            )
        jobs.append(job)
    return dataclasses.replace(planned, jobs=tuple(jobs))


def _with_prerequisites(modules: Mapping[str, ModelModule]) -> dict[str, ModelModule]:
    """Put the models that others need fitted first before them, whether they were asked for or not."""
    ordered: dict[str, ModelModule] = {}
    for name, module in modules.items():
        needed = {before: registry.get_model(before) for before in prerequisites_of(module)}
        ordered |= {**_with_prerequisites(needed), **({name: module} if name not in ordered else {})}
    return ordered


def default_models(task: Task, preset_name: str) -> tuple[str, ...]:
    """Return the models of a run that names none: the task's and the preset's extra ones."""
    return (*task.MODELS, *get_preset(task, preset_name).extra_models)


def get_preset(task: Task, name: str) -> Preset:
    if name not in task.PRESETS:
        raise BadInput(did_you_mean("preset", name, list(task.PRESETS)))
    return task.PRESETS[name]


def chosen_splits(
    task: Task,
    preset: Preset,
    source: Source,
    test_folds: Sequence[int] | None,
    n_members: int | None,
) -> list[tuple[tuple[int, int], int]]:
    """Choose (test, validation) folds of a dataset, with the number of training rows of each.

    Where fewer members than the protocol's are asked for, test fold t gets the validation folds that follow it
    (t + 1, t + 2 …, around the end).
    """
    if source.dataset is None:
        protocol = task.protocol()
        # Where the test set is apart, the folds are those of the rest.
        n_tests, n_vals = (len({pair[i] for pair in protocol}) for i in range(2))
        kept = (n_tests - 2) / n_tests if n_tests > 1 else (n_vals - 1) / n_vals
        pairs = dict.fromkeys(protocol, int(source.n_rows * kept))
    else:
        pairs = {(s.test_fold, s.val_fold): len(s.train) for s in task.splits(source.dataset.meta)}
    tests = sorted({test for test, _ in pairs})
    if test_folds is None:
        chosen = tests[: preset.n_test_folds]
    else:
        unknown = [fold for fold in test_folds if fold not in tests]
        if unknown:
            known = ", ".join(map(str, tests))
            raise BadInput(f"--folds: {source.name} has no test fold {unknown[0]}; its test folds are {known}.")
        chosen = [fold for fold in tests if fold in test_folds]
    most = n_members or preset.n_members
    result = []
    for test in chosen:
        after = sorted((val for t, val in pairs if t == test), key=lambda val: (val < test, val))
        result += [((test, val), pairs[test, val]) for val in sorted(after[:most])]
    return result


def _config_hash(
    task: Task, source: Source, model: str, recipe: dict, seed: int, prerequisites: Mapping[str, str]
) -> str:
    """Name a run by all that its outcome depends on but the split."""
    code = registry.model_entry(model).code
    foreign = [code] if code else []
    before = [dict(prerequisites)] if prerequisites else []
    return _digest(model, recipe, task.NAME, task.VERSION, source.digest, seed, *foreign, *before)[:8]


def _job(
    task: Task,
    source: Source,
    split: tuple[int, int],
    n_train: int,
    model: str,
    recipe: dict,
    seed: int,
    hashes: Mapping[str, str],
) -> Job:
    entry = registry.model_entry(model)
    return Job(
        task=task.NAME,
        dataset=source.name,
        digest=source.digest,
        model=model,
        framework=entry.framework,
        recipe=recipe,
        config_hash=hashes[model],
        test_fold=split[0],
        val_fold=split[1],
        seed=int(_digest(seed, *split)[:8], 16),
        n_train=n_train,
        plugin=str(entry.path) if entry.is_plugin else None,
        code=entry.code,
        prerequisites={name: hashes[name] for name in prerequisites_of(registry.get_model(model))},
    )


def seed_of_attempt(job: Job, attempt: int) -> int:
    """Return the seed of a training's first attempt (0), its own, or of one after `attempt` that diverged."""
    return job.seed if attempt == 0 else int(_digest(job.seed, "attempt", attempt)[:8], 16)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
