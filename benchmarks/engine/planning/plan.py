"""What a run consists of: a pure function from task, data and options to a list of jobs. Trains and writes nothing."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import registry
from benchmarks.api.data import Dataset, Preset, Split, recipe_with
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
    """One training, as plain values. Everything that decides its outcome is in `run`, `seed` and the split.

    `plugin` is the file of a model that is a plug-in, `code` the SHA-256 of the file of any model that is not ours.
    `prerequisites` are the models that must be fitted on this split before, with their runs.
    """

    task: Name
    dataset: Name
    digest: Name | None
    model: Name
    framework: Name
    recipe: dict[str, Any]
    run: Name
    test_fold: Count
    val_fold: Count
    seed: int
    n_train: Count
    plugin: str | None = None
    code: str | None = None
    prerequisites: Mapping[Name, Name] = field(default_factory=dict)

    @property
    def split_name(self) -> str:
        return f"test-{self.test_fold:02d}_val-{self.val_fold:02d}"

    @property
    def id(self) -> str:
        return f"{self.dataset}/{self.model}-{self.run}/{self.split_name}"


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
            "jobs": [dict(vars(job)) for job in self.jobs],
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Plan":
        """Rebuild a stored plan.

        Raises
        ------
        ValueError
            If the values are those of no plan: of other types, names that are none, jobs that contradict the rest.
        """
        found = validated.shaped(values, Plan)
        if problem := found._contradiction():
            raise ValueError(problem)
        return found

    def _contradiction(self) -> str | None:
        """Say what in a plan does not belong together."""
        sources = {(source.name, source.digest) for source in self.sources}
        models, runs = set(self.models), {}
        if len(sources) != len({name for name, _ in sources}):
            return "two sources have one name"
        for job in self.jobs:
            if job.task != self.task or job.model not in models or (job.dataset, job.digest) not in sources:
                return f"the training {job.id} is of another task, model or dataset than the plan"
            if runs.setdefault((job.dataset, job.model), job.run) != job.run:
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
    task: ModuleType,
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
    skipped = {name: reason for name, m in modules.items() if (reason := m.unsupported(task.SPEC))}
    for name, module in modules.items():
        if lost := next((needed for needed in _prerequisites(module) if needed in skipped), None):
            skipped.setdefault(name, f"needs {lost}, which {skipped[lost]}")
    if len(skipped) == len(modules):
        reasons = "; ".join(f"{name} {reason}" for name, reason in skipped.items())
        raise BadInput(f"None of the models can learn task {task.NAME!r}: {reasons}.")
    usable = {name: module for name, module in modules.items() if name not in skipped}
    recipes = _recipes(task, preset, usable, changes)
    jobs = []
    for source in sources:
        runs: dict[str, str] = {}
        for name, module in usable.items():  # prerequisites stand before what needs them
            before = {needed: runs[needed] for needed in _prerequisites(module)}
            runs[name] = _run(task, source, name, recipes[name], seed, before)
        jobs += [
            _job(task, source, split, n_train, name, recipes[name], seed, runs)
            for split, n_train in _chosen_splits(task, preset, source, test_folds, n_members)
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
    )


def with_prerequisites(plan: Plan, chosen: Collection[str]) -> set[str]:
    """Add to the ids of jobs those of the jobs whose models they need.

    Raises
    ------
    BadInput
        If the plan does not have one of them.
    """
    by_place = {(job.dataset, job.split_name, job.model, job.run): job.id for job in plan.jobs}
    found = set(chosen)
    for job in reversed(plan.jobs):  # what others need comes before them
        for model, run in job.prerequisites.items() if job.id in found else ():
            if (place := (job.dataset, job.split_name, model, run)) not in by_place:
                raise BadInput(f"The plan has no training of {model}, which {job.id} needs; give `run` again.")
            found.add(by_place[place])
    return found


def with_plugins(planned: Plan, files: Sequence[Path], only: Collection[str]) -> Plan:
    """Let plug-ins of a stored plan be the files that are named now.

    A plan may come from elsewhere, so a path that stands in it is never run: its reader names the file, and the file
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


def _prerequisites(module: ModuleType) -> tuple[str, ...]:
    return getattr(module, "PREREQUISITES", ())


def _with_prerequisites(modules: Mapping[str, ModuleType]) -> dict[str, ModuleType]:
    """Put the models that others need fitted first before them, whether they were asked for or not."""
    ordered: dict[str, ModuleType] = {}
    for name, module in modules.items():
        needed = {before: registry.get_model(before) for before in _prerequisites(module)}
        ordered |= {**_with_prerequisites(needed), **({name: module} if name not in ordered else {})}
    return ordered


def default_models(task: ModuleType, preset_name: str) -> tuple[str, ...]:
    """Return the models of a run that names none: the task's and the preset's extra ones."""
    return (*task.MODELS, *get_preset(task, preset_name).extra_models)


def get_preset(task: ModuleType, name: str) -> Preset:
    if name not in task.PRESETS:
        raise BadInput(did_you_mean("preset", name, list(task.PRESETS)))
    return task.PRESETS[name]


def _recipes(
    task: ModuleType, preset: Preset, modules: Mapping[str, ModuleType], changes: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Settle every model's recipe: its own, then the task's, then the preset's, then the user's."""
    recipes = {}
    user = [_parse_change(change, modules) for change in changes]
    user.sort(key=lambda parsed: ("recipe", *map(_family, modules), *modules).index(parsed[1]))  # the nearest goes last
    for name, module in modules.items():
        recipe = module.RECIPE
        keys = {f.name for f in dataclasses.fields(recipe)}

        def merged(said: Mapping[str, Mapping[str, Any]], *targets: str, name: str = name, keys: set = keys) -> dict:
            shared = {key: value for target in targets for key, value in said.get(target, {}).items() if key in keys}
            return shared | said.get(name, {})

        recipe = recipe_with(recipe, merged(task.RECIPES, _family(name)), source=f"task {task.NAME}")
        recipe = recipe_with(recipe, merged(preset.recipes, "*", _family(name)), source="preset")
        for change, target, key, value in user:
            is_shared = target in ("recipe", _family(name)) and (key in keys or not _anyone_has(key, modules))
            if target == name or is_shared:
                recipe = recipe_with(recipe, {key: value}, source=f"--set {change}")
        recipes[name] = dataclasses.asdict(recipe)
    return recipes


def _family(model: str) -> str:
    """Return the file that a variant comes from (`prix_fixe.…`), or the model itself."""
    return model.partition(".")[0]


def _parse_change(change: str, modules: Mapping[str, ModuleType]) -> tuple[str, str, str, str]:
    left, equals, value = change.partition("=")
    target, dot, key = left.rpartition(".")
    if not (equals and dot and key):
        raise BadInput(f"--set expects recipe.key=value or model.key=value, got {change!r}.")
    known = ["recipe", *dict.fromkeys(map(_family, modules)), *(name for name in modules if "." in name)]
    if target not in known:
        raise BadInput(f"--set {change}: {did_you_mean('model of this run', target, known)}")
    return change, target, key, value


def _anyone_has(key: str, modules: Mapping[str, ModuleType]) -> bool:
    return any(key == f.name for m in modules.values() for f in dataclasses.fields(m.RECIPE))


def _chosen_splits(
    task: ModuleType,
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


def _run(
    task: ModuleType, source: Source, model: str, recipe: dict, seed: int, prerequisites: Mapping[str, str]
) -> str:
    """Name a run by all that its outcome depends on but the split."""
    code = registry.model_entry(model).code
    foreign = [code] if code else []
    before = [dict(prerequisites)] if prerequisites else []
    return _digest(model, recipe, task.NAME, task.VERSION, source.digest, seed, *foreign, *before)[:8]


def _job(
    task: ModuleType,
    source: Source,
    split: tuple[int, int],
    n_train: int,
    model: str,
    recipe: dict,
    seed: int,
    runs: Mapping[str, str],
) -> Job:
    entry = registry.model_entry(model)
    return Job(
        task=task.NAME,
        dataset=source.name,
        digest=source.digest,
        model=model,
        framework=entry.framework,
        recipe=recipe,
        run=runs[model],
        test_fold=split[0],
        val_fold=split[1],
        seed=int(_digest(seed, *split)[:8], 16),
        n_train=n_train,
        plugin=str(entry.path) if entry.is_plugin else None,
        code=entry.code,
        prerequisites={name: runs[name] for name in _prerequisites(registry.get_model(model))},
    )


def seed_of_attempt(job: Job, attempt: int) -> int:
    """Return the seed of a training's first attempt (0), its own, or of one after `attempt` that diverged."""
    return job.seed if attempt == 0 else int(_digest(job.seed, "attempt", attempt)[:8], 16)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def find_split(task: ModuleType, dataset: Dataset, test_fold: int, val_fold: int) -> Split:
    """Return one split of a dataset by its folds."""
    return next(s for s in task.splits(dataset.meta) if (s.test_fold, s.val_fold) == (test_fold, val_fold))


@dataclass(frozen=True)
class FoldRows:
    """The rows of a dataset that a test fold scores, and those that its trainings learn from or choose an epoch by."""

    test_fold: int
    test: np.ndarray
    train: np.ndarray
    val: np.ndarray


def fold_rows(
    task: ModuleType, dataset: Dataset, wanted: Collection[tuple[int, int]] | None = None
) -> Iterator[FoldRows]:
    """Put the splits of every test fold together, of `wanted` (test, validation) folds or all; masks of (n,) bool."""
    found: dict[int, FoldRows] = {}
    for split in task.splits(dataset.meta):
        if wanted is None or (split.test_fold, split.val_fold) in wanted:
            nothing = (np.zeros(len(dataset), bool) for _ in range(3))
            rows = found.setdefault(split.test_fold, FoldRows(split.test_fold, *nothing))
            rows.test[split.test] = rows.train[split.train] = rows.val[split.val] = True
    yield from found.values()


def departures(
    task: ModuleType, planned: Plan, model: str, source: Source, splits: Collection[tuple[int, int]]
) -> list[str]:
    """Say in what the trainings of a model are not the published protocol; nothing where they are.

    Parameters
    ----------
    source
        What they were trained on, with its dataset.
    splits
        (test, validation) folds that were trained.
    """
    if model not in registry.models() and "." not in model:
        return ["made elsewhere"]
    if planned.preset != "paper":
        return [f"preset {planned.preset}"]
    published = _recipes(task, task.PRESETS["paper"], {model: registry.get_model(model)}, ())[model]
    published = json.loads(json.dumps(published))
    found = [
        f"{key} {value!r} instead of {published[key]!r}"
        for key, value in json.loads(json.dumps(dict(planned.recipes[model]))).items()
        if key in published and published[key] != value
    ]
    if missing := set(task.protocol()) - set(splits):
        found.append(f"{len(missing)} of {len(task.protocol())} trainings are missing")
    if source.name not in task.DATASETS:
        found.append(f"table {source.name}")
    if source.dataset is not None:
        found += [note for note in source.dataset.notes if note.startswith("--split")]
    return found


def estimate_seconds(plan: Plan, speed: Callable[[Job], float | None], n_workers: int) -> tuple[float, int]:
    """Estimate the wall time of a plan's jobs, and count the jobs whose speed is unknown.

    `speed` gives training sequences per second of one worker, or None.
    """
    seconds, unknown = 0.0, 0
    for job in plan.jobs:
        rate = speed(job)
        if rate:
            seconds += job.n_train * job.recipe.get("epochs", 1) / rate
        else:
            unknown += 1
    return seconds / max(1, n_workers), unknown
