"""The catalogue of public assays: an `assay.yaml` each, with where its files are from."""

from functools import lru_cache
from pathlib import Path

from benchmarks.api.task import PublishedFile
from benchmarks.assay import config
from benchmarks.io.atomic import write_text

FOLDER = Path(__file__).with_name("catalogue")
CONFIG_NAME = "assay.yaml"


@lru_cache
def offered() -> dict[str, tuple[str, tuple[PublishedFile, ...]]]:
    """Return the public assays by name: what one is, and its files."""
    result = {}
    for file in sorted(FOLDER.glob("*.yaml")):
        source = config.read(file).source
        if source is None:
            raise ValueError(f"{file} has no source")
        what = f"{source.what}; doi {source.paper}; licence: {source.licence}"
        result[file.stem] = what, tuple(source.files)
    return result


def describe(name: str, folder: Path) -> Path:
    """Write the `assay.yaml` of a public assay beside its files."""
    target = folder / CONFIG_NAME
    write_text(target, (FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return target


def fetched(folder: Path) -> dict[str, Path]:
    """Find the public assays in a folder that has a folder for each."""
    paths = {file.stem: folder / file.stem / CONFIG_NAME for file in sorted(FOLDER.glob("*.yaml"))}
    return {name: path for name, path in paths.items() if path.is_file()}
