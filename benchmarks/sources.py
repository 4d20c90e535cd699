"""Which data a run uses: the user's, the published, or simulated."""

from pathlib import Path
from types import ModuleType

from benchmarks.api.data import Dataset
from benchmarks.api.errors import BadInput
from benchmarks.api.tables import is_table
from benchmarks.plan import Source, get_preset

DATA = Path("data")
"""Folder of published data, one subfolder per task; git ignores it."""


def find(
    task: ModuleType,
    preset: str,
    path: Path | None,
    *,
    seed: int,
    refold: bool = False,
    shuffle: bool = False,
    may_miss: bool = False,
) -> list[Source]:
    """Load the datasets of a run.

    Parameters
    ----------
    path
        A table, or a folder of tables, one dataset each; None: what the preset says.
    shuffle
        Permute the targets, as a negative control.
    may_miss
        Where published data is missing, plan with its approximate size instead of failing.

    Raises
    ------
    BadInput
        For anything wrong with the data, and where it is missing, saying how to get it.
    """
    if path is None and get_preset(task, preset).data == "simulated":
        datasets = [task.simulate(seed=seed)]
    else:
        try:
            files = _files(task, path)
        except BadInput as missing:
            if path is None and may_miss:
                return [Source(name, task.APPROX_ROWS[name], missing=str(missing)) for name in task.DATASETS]
            raise
        datasets = [task.load(file, refold=refold, seed=seed) for file in files]
    names = [dataset.name for dataset in datasets]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"{path} holds two tables named {twice[0]!r} (folders and endings aside); rename one of them.")
    return [_source(d.with_shuffled_targets(seed) if shuffle else d) for d in datasets]


def _files(task: ModuleType, path: Path | None) -> list[Path]:
    if path is None:
        return list(task.published(DATA / task.NAME).values())
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if is_table(file))
    if not files:
        raise BadInput(f"The folder {path} has no table (.tsv, .csv, .txt, plain or .gz, or .parquet).")
    return files


def _source(dataset: Dataset) -> Source:
    return Source(dataset.name, len(dataset), dataset, dataset.content_hash()[:12])
