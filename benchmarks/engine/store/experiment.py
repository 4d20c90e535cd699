"""An experiment is a plan with the report folder it is written to: begun by a run, opened again by later commands."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import registry
from benchmarks.engine.planning.plan import Plan
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput
from benchmarks.io.json_files import read_json, write_json
from benchmarks.io.validated import one_line


@dataclass(frozen=True)
class Experiment:
    """A plan with the folder its outputs go to, and the command that made it."""

    plan: Plan
    folder: Path
    command: str

    @staticmethod
    def begin(plan: Plan, store: Store, command: str) -> "Experiment":
        """Make the report folder of a plan and keep the plan there."""
        experiment = Experiment(plan, store.report_folder(f"{plan.task}_{plan.preset}_{plan.id}"), command)
        write_json(experiment.folder / "plan.json", {"command": command, "plan": plan.to_dict()})
        return experiment

    @staticmethod
    def all(store: Store) -> list["Experiment"]:
        """Open every report folder."""
        return [Experiment.open(store, None, folder) for folder in store.report_folders()]

    @staticmethod
    def open(store: Store, task: str | None, folder: Path | None) -> "Experiment":
        """Open a report folder, by default the latest one (of a task).

        Raises
        ------
        BadInput
            If there is none.
        """
        if folder is None:
            folders = store.report_folders(task)
            if not folders:
                of = f" of task {task!r}" if task else ""
                raise BadInput(f"No run{of} is stored under {store.root}. Make one: python -m benchmarks run --task …")
            folder = folders[-1]
        if not (folder / "plan.json").is_file():
            raise BadInput(f"{folder} is not a report folder: it has no plan.json.")
        stored = read_json(folder / "plan.json")
        try:
            return Experiment(Plan.from_dict(stored["plan"]), folder, str(stored["command"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            what = f"{folder / 'plan.json'} is not a plan of this benchmark ({one_line(error)})"
            raise BadInput(f"{what}; give the run's command again.") from None

    @staticmethod
    def open_many(store: Store, tasks: Sequence[str] = (), folders: Sequence[Path] = ()) -> list["Experiment"]:
        """Open the named report folders; without any, the latest of each named task, or of every task that has one.

        Raises
        ------
        BadInput
            If a named one, or every one, is missing, or two of them are of one task and dataset.
        """
        if folders:
            experiments = [Experiment.open(store, None, folder) for folder in dict.fromkeys(folders)]
        else:
            named: Sequence[str | None] = tasks or [task for task in registry.tasks() if store.report_folders(task)]
            experiments = [Experiment.open(store, task, None) for task in dict.fromkeys(named or [None])]
        seen: dict[tuple[str, str], Path] = {}
        for experiment in experiments:
            for source in experiment.plan.sources:
                first = seen.setdefault((experiment.plan.task, source.name), experiment.folder)
                if first != experiment.folder:
                    raise BadInput(
                        f"{first} and {experiment.folder} both hold {experiment.plan.task} {source.name}; "
                        "name one of them."
                    )
        return experiments
