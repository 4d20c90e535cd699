"""Load trained models: from a training's folder of this benchmark, or from published weights."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import registry, system
from benchmarks.api.data import Origin, TaskSpec
from benchmarks.api.model import Model
from benchmarks.api.recipe import recipe_with
from benchmarks.api.task import Task
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.records import JobRecord
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io import checksums
from benchmarks.io.json_files import read_json
from benchmarks.io.validated import one_line, parse_as

_TASK_OF_VARIANT = {"yeast": "yeast", "human": "human_mpra", "drosophila": "drosophila"}


@dataclass(frozen=True)
class Trained:
    """A trained model, its task, the spec it was built for, and the origin of its training data.

    `key` is its name in the registry, or the name of its file for published weights; `title` is its display name.
    """

    model: Model
    task: Task
    spec: TaskSpec
    key: str
    title: str
    trained_on: Origin


def open_model(path: Path, device: str = "auto") -> Trained:
    """Load the model of a training's folder, a published state dict, or a folder of the published archive.

    Raises
    ------
    BadInput
        If the device is unknown or absent; if there is no model, it is damaged, or it does not fit its task.
    """
    system.check_device(device)
    return _of_run(path, device) if (path / "job.json").is_file() else _published(path, device)


def located(run: str, task: str, results: Path) -> Path:
    """Return the path that --run names; a model's name means its finished trainings in the latest run of the task.

    Raises
    ------
    BadInput
        If it is neither a path nor a model, or that run has no such training, or trainings on several data sets.
    """
    return path if (path := Path(run)).exists() else _of_latest(run, task, results)


def _of_latest(model: str, task: str, results: Path) -> Path:
    if "/" in model or model.partition(".")[0] not in {*registry.models(), *registry.families()}:
        known = did_you_mean("model", model, list(registry.models()))
        raise BadInput(f"--run {model}: there is no such folder or file, and no such model. {known}")
    store = Store(results)
    jobs = [job for job in Experiment.open(store, task, None).plan.jobs if job.model == model]
    folders = {training.folder.parent for job in jobs if (training := store.training(job)).is_done}
    if not folders:
        earlier = {
            training.folder.parent
            for training in store.finished_trainings(task)
            if training.record().get("model") == model
        }
        hint = f" An earlier run has; name its folder: {', '.join(sorted(map(str, earlier)))}." if earlier else ""
        raise BadInput(f"--run {model}: the latest run of {task} under {results} has no finished training of it.{hint}")
    if len(folders) > 1:
        names = ", ".join(sorted(map(str, folders)))
        raise BadInput(f"--run {model}: the latest run of {task} has several data sets; name one of {names}.")
    return folders.pop()


def trainings(path: Path) -> list[Path]:
    """List the trainings in a folder of trainings; a training itself, or another path, is the only one."""
    inside = [] if (path / "job.json").is_file() else sorted(file.parent for file in path.glob("*/job.json"))
    return inside or [path]


def open_all(path: Path, device: str = "auto") -> list[Trained]:
    """Load the model of a path, or of every training in a folder of trainings, whose predictions are to be averaged.

    Raises
    ------
    BadInput
        As `open_model`.
    """
    return [open_model(folder, device) for folder in trainings(path)]


def open_each(paths: Iterable[Path], device: str = "auto") -> Iterator[tuple[str, Trained]]:
    """Load models one after another; yields a distinct name and the model."""
    seen: dict[str, int] = {}
    for path in paths:
        trained = open_model(path, device)
        yield distinct_name(trained.key, seen), trained


def distinct_name(key: str, seen: dict[str, int]) -> str:
    """Append a number to the second and later occurrences of a name; `seen` counts them."""
    seen[key] = seen.get(key, 0) + 1
    return key + (f" {seen[key]}" if seen[key] > 1 else "")


def has_model(folder: Path) -> bool:
    """Tell whether the folder of a training contains its weights."""
    return (folder / "model.json").is_file()


def _of_run(folder: Path, device: str) -> Trained:
    if problem := checksums.problem(folder):
        raise BadInput(f"{folder} cannot be trusted: {problem}.")
    job = read_json(folder / "job.json", JobRecord)
    if missing := [key for key in ("task", "dataset", "model", "framework", "recipe", "origin") if key not in job]:
        raise BadInput(f"{folder / 'job.json'} is not the record of a training: it lacks {missing[0]!r}.")
    if not has_model(folder):
        raise BadInput(f"{folder} contains no model: that run was made with --no-save-models.")
    module, task = registry.get_model(job["model"]), registry.get_task(job["task"])
    place = _placer(job["framework"].partition(" ")[0], device)
    spec = parse_as(job["spec"], TaskSpec) if "spec" in job else task.SPEC
    recipe = recipe_with(module.RECIPE, job["recipe"], source=f"{folder}/job.json")
    try:
        model = module.build(spec, recipe, {})
    except BadInput:
        raise
    except Exception as error:  # a model may raise anything for a recipe that it cannot be built with
        raise BadInput(f"{folder}/job.json: no {job['model']} is built by its recipe ({one_line(error)}).") from None
    place(model)
    model.load(folder)
    title = f"{module.NAME} ({job['dataset']}, {folder.name})"
    return Trained(model, task, spec, job["model"], title, job["origin"])


def _published(weights: Path, device: str) -> Trained:
    place = _placer("torch", device)
    published = registry.get_published()
    try:
        checkpoint = published.read(weights)
        model = published.load_model(checkpoint)
    except (ValueError, FileNotFoundError) as error:
        raise BadInput(str(error)) from None
    place(model)
    task = registry.get_task(_TASK_OF_VARIANT[checkpoint.variant])
    if task.SPEC.seq_len != (seq_len := checkpoint.spec.seq_len):
        raise BadInput(f"{weights} is for sequences of {seq_len} bp; {task.NAME} has {task.SPEC.seq_len}.")
    return Trained(model, task, task.SPEC, weights.stem, checkpoint.title, "measured")


def _placer(framework: str, device: str) -> Callable[[Model], None]:
    """Choose the device of this process; return what puts a model there."""
    backend = registry.get_backend(framework)
    if backend is None:
        return lambda model: None
    return partial(backend.place, device=backend.configure(device)["device"])
