"""Shared fixtures: where the published data lie."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data():
    """Give the path of a published data file, or skip the test where it is absent.

    The folder is named by DREAM_BENCH_DATA, else it is `shared/data` beside the repository.
    """
    repository = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("DREAM_BENCH_DATA") or repository.parent / "shared" / "data")

    def find(name: str) -> Path:
        path = folder / name
        if not path.is_file():
            pytest.skip(f"{name} is not in {folder}; set DREAM_BENCH_DATA to the folder that has it")
        return path

    return find
