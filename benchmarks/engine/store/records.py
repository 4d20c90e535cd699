"""What the store writes of a training, as types that are checked when it is read back."""

from typing import Any, Literal, Required, TypedDict

from benchmarks.api.data import TaskSpec
from benchmarks.io.validated import Count, Name

_Number = float | None


class JobRecord(TypedDict, total=False):
    """job.json: the job as it was planned, how it went, and where; see `train_job.run_job`."""

    task: Name
    dataset: Name
    digest: Name | None
    model: Name
    framework: str
    recipe: dict[str, Any]
    run: Name
    test_fold: Count
    val_fold: Count
    seed: int
    n_train: Count
    prerequisites: dict[Name, Name]
    status: str
    task_version: int
    origin: Literal["measured", "simulated"]
    n_params: Count | None
    precision: str | None
    epochs_run: Count | None
    best_epoch: Count | None
    n_val: Count
    n_test: Count
    duration_s: _Number
    resumed_after_epochs: list[Count]
    diverged: list[dict[str, Any]]
    train_seq_per_s: _Number
    sequences_per_epoch: _Number
    predict_seq_per_s: _Number
    peak_memory_mb: _Number
    peak_device_memory_mb: _Number
    threads: int
    device: str | None
    device_name: str | None
    backend: str | None
    versions: dict[str, str]
    commit: str | None
    hardware: dict[str, Any]
    spec: TaskSpec
    """Only of tasks whose spec depends on the data."""


class FailureRecord(TypedDict, total=False):
    """….failed.json beside a job: why it failed."""

    reason: Required[str]


class EpochRow(TypedDict, total=False):
    """A line of history.jsonl; models may add columns of their own."""

    epoch: Required[Count]
    train_loss: _Number
    val_loss: _Number
    val_pearson_r: _Number
    lr: _Number
    is_best: bool
    train_seconds: _Number
    seconds: _Number


class DatasetRecord(TypedDict, total=False):
    """dataset.json: what a kept dataset is, beside its arrays."""

    name: Required[str]
    origin: Required[Literal["measured", "simulated"]]
    columns: Required[list[str]]
    outputs: Required[list[Name]]
    ceilings: Required[list["Ceiling"]]
    notes: Required[list[str]]
    tables: dict[Name, list[str]]
    accounts: list[dict[str, Any]]


class Ceiling(TypedDict):
    """An attainable score."""

    output: str
    level: str
    metric: str
    value: _Number
    basis: str
