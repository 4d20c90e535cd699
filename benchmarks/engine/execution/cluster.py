"""Trainings on the nodes of a cluster, by way of Parsl: pilot jobs that bring worker processes, which take trainings.

The store alone knows what is done and what is not. Parsl knows of calls that wait and calls that run; when it
or this process dies, nothing is lost but the processes.
"""

import contextlib
import dataclasses
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from benchmarks import shutdown, system
from benchmarks.engine.execution import workers
from benchmarks.engine.execution.events import Event, OnCallEvent
from benchmarks.engine.execution.workers import Call, Executor
from benchmarks.errors import BadInput, did_you_mean

HEARTBEAT_S = 15
LOST_AFTER_S = 60
"""Seconds of silence after which a node counts as lost, and a node gives up on a command that is gone."""
ANSWER_S = 20
"""Seconds that Parsl's interchange has to answer."""
NEVER_CAME_LIMIT = 3
"""Pilot jobs in a row that end before a worker of theirs has come, after which more would fare no better."""
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,:/@%+=*&|\[\]-]*")
_OPTION = re.compile(r"[a-z][a-z-]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WALLTIME = re.compile(r"(?:([0-9]{1,3})-)?([0-9]{1,3}):([0-5][0-9]):([0-5][0-9])")
_SET_BY_KEYS = ("nodes", "ntasks-per-node", "time", "job-name", "output", "error")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Where pilot jobs go and what each brings; the keys of the file that `--cluster` names.

    Parameters
    ----------
    provider
        `slurm`, or `local` for pilot jobs that are processes of this machine.
    pilots
        Pilot jobs at a time, at most; as many as there is work for are started.
    nodes
        Nodes of a pilot job.
    workers
        Trainings at a time on a node.
    gpus
        GPUs of a node; its workers are spread over them, each pinned to one. 0: they compute on the CPU.
    threads
        CPU threads of a training.
    walltime
        Time limit of a pilot job, `12:00:00` or `2-00:00:00`; a local one may have none.
    stop_before_s
        Seconds before the time limit at which trainings keep their state and end.
    sbatch
        Further options of `sbatch`, without dashes: `{partition: gpu, account: lab, gres: "gpu:4"}`.
    modules
        Environment modules loaded on the node.
    environment
        Environment variables set on the node.
    address
        Address of this machine that nodes can reach; None: each of its addresses is tried.
    """

    provider: Literal["local", "slurm"] = "local"
    pilots: int = 1
    nodes: int = 1
    workers: int = 1
    gpus: int = 0
    threads: int = 1
    walltime: str | None = None
    stop_before_s: int = 300
    sbatch: dict[str, str] = dataclasses.field(default_factory=dict)
    modules: tuple[str, ...] = ()
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    address: str | None = None

    @property
    def capacity(self) -> int:
        """Trainings at a time, at most."""
        return self.pilots * self.nodes * self.workers

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"

    @property
    def limit_s(self) -> int | None:
        """Seconds of a pilot job, whole minutes as Parsl asks for them; None without a time limit."""
        if self.walltime is None:
            return None
        if (match := _WALLTIME.fullmatch(self.walltime)) is None:
            raise ValueError(f"walltime must be hours:minutes:seconds, got {self.walltime!r}")
        days, hours, minutes = (int(part or 0) for part in match.groups()[:3])
        return ((24 * days + hours) * 60 + minutes) * 60

    @property
    def training_s(self) -> int | None:
        """Seconds of a pilot job before trainings keep their state and end; None without a time limit."""
        return None if self.limit_s is None else self.limit_s - self.stop_before_s


def read(path: Path) -> Cluster:
    """Read a cluster file.

    Values become words of `#SBATCH` lines and of `export` and `module load` commands, never shell: what could be more
    than one word is refused.

    Raises
    ------
    BadInput
        Where packages are missing or the file is not what it should be, naming file, key and value.
    """
    if not system.has_packages("parsl", "yaml"):
        raise BadInput("--cluster needs Parsl: pip install -e '.[cluster]'.")
    import yaml

    try:
        content = _as_written(yaml)(path.read_text(encoding="utf-8-sig")).get_single_data()
    except FileNotFoundError:
        raise BadInput(f"There is no cluster file {path}; docs/cluster.md has examples.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise BadInput(f"{path}{where}: not YAML; docs/cluster.md has examples.") from None
    except RecursionError:
        raise BadInput(f"{path}: nested too deeply; a cluster file has keys and values.") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise BadInput(f"{path}: expected keys and values such as `provider: slurm`, got {_short(content)}.")
    known = [field.name for field in dataclasses.fields(Cluster)]
    for key in content:
        if key not in known:
            raise BadInput(f"{path}: {did_you_mean('key', key, known)}")
    checked = {key: _checked(path, key, value) for key, value in content.items() if value is not None}
    cluster = Cluster(**checked)
    if cluster.provider == "slurm" and cluster.walltime is None:
        raise BadInput(f"{path}: a SLURM job needs a `walltime`, such as 12:00:00.")
    if cluster.training_s is not None and cluster.training_s <= 0:
        raise BadInput(
            f"{path}: stop_before_s ({cluster.stop_before_s}) leaves nothing of the walltime {cluster.walltime}."
        )
    if cluster.gpus and cluster.workers < cluster.gpus:
        raise BadInput(
            f"{path}: {cluster.workers} worker(s) on a node leave some of its {cluster.gpus} gpus idle; give it at "
            f"least as many."
        )
    return cluster


def _as_written(yaml: Any) -> type:
    """Return a loader that leaves words as they are written, but for whole numbers, true, false and null.

    YAML reads 01234 as an octal number, 1:00:00 as 3,600 and 1e3 as a float, which no account or time limit means.
    """

    class AsWritten(yaml.SafeLoader):
        yaml_implicit_resolvers: ClassVar[dict] = {}

    for tag, pattern, first in (
        ("int", r"^(?:0|-?[1-9][0-9]*)$", "-0123456789"),
        ("bool", r"^(?:true|True|false|False)$", "tTfF"),
        ("null", r"^(?:~|null|Null|)$", ["~", "n", "N", ""]),
    ):
        AsWritten.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))
    return AsWritten


def _checked(path: Path, key: str, value: Any) -> Any:
    def expect(holds: bool, what: str) -> None:
        if not holds:
            raise BadInput(f"{path}: {key} expects {what}, got {_short(value)}.")

    if key in ("pilots", "nodes", "workers", "threads", "gpus", "stop_before_s"):
        least = 0 if key in ("gpus", "stop_before_s") else 1
        expect(type(value) is int and least <= value <= 100_000, f"a whole number from {least}")
    elif key == "provider":
        expect(value in ("local", "slurm"), "local or slurm")
    elif key == "walltime":
        expect(isinstance(value, str) and bool(_WALLTIME.fullmatch(value)), 'hours:minutes:seconds, as in "12:00:00"')
    elif key == "address":
        expect(_is_word(value), "an address or host name")
    elif key == "modules":
        expect(isinstance(value, list) and all(map(_is_word, value)), "a list of module names")
        return tuple(value)
    elif key == "sbatch":
        expect(isinstance(value, dict) and all(_is_option(name) for name in value), "options of sbatch without dashes")
        for name, word in value.items():
            expect(name not in _SET_BY_KEYS, f"other options than {name}, which follows from the other keys")
            expect(word is True or _is_word(word), f"one word for {name}")
        return {name: "" if word is True else str(word) for name, word in value.items()}
    elif key == "environment":
        names = isinstance(value, dict) and all(isinstance(name, str) and _NAME.fullmatch(name) for name in value)
        expect(names, "names of environment variables and their values")
        texts = all(isinstance(text, str | int | float) and "\n" not in str(text) for text in value.values())
        expect(texts, "a text or a number for each variable")
        return {name: str(text) for name, text in value.items()}
    return value


def _is_word(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and bool(_WORD.fullmatch(str(value)))


def _is_option(name: Any) -> bool:
    return isinstance(name, str) and bool(_OPTION.fullmatch(name))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:77]}…"


@contextlib.contextmanager
def pilots(cluster: Cluster, function: str, log_folder: Path) -> Iterator[Executor]:
    """Open an executor whose workers are brought by pilot jobs; they end with it.

    Raises
    ------
    BadInput
        While calls are made, if pilot jobs fail one after the other.
    """
    import parsl

    log_folder = log_folder.resolve()
    log_folder.mkdir(parents=True, exist_ok=True)
    config = _config(cluster, log_folder)
    (pool,) = config.executors
    with _logs_that_may_fail(), parsl.load(config) as kernel:
        # Without a limit, Parsl waits for the answer of an interchange that is dead, and this process never ends.
        pool.command_client.run = partial(pool.command_client.run, timeout_s=ANSWER_S)
        app = parsl.python_app(_answer, data_flow_kernel=kernel)
        try:
            yield partial(_execute_calls, partial(app, function, cluster, str(log_folder)), pool, cluster.capacity)
        finally:
            if pool.bad_state_is_set:  # Parsl leaves the pilot jobs of such an executor where they are
                _cancel(pool)


@contextlib.contextmanager
def _logs_that_may_fail() -> Iterator[None]:
    """Let no line of a log that finds no room on a full disk print a traceback."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before


def _cancel(pool: Any) -> None:
    """Cancel the pilot jobs that have not ended."""
    status = pool.status_facade
    left = [job for block, job in pool.blocks_to_job_id.items() if block not in status or not status[block].terminal]
    if left:
        pool.provider.cancel(left)


def _answer(function: str, cluster: Cluster, log_folder: str, call: Call) -> tuple[Event, Any]:
    """Make a call on a node; runs in a worker of Parsl, which numbers the workers of a node."""
    environments = workers.environments(cluster.threads, cluster.gpus)
    environment = environments[int(os.environ["PARSL_WORKER_RANK"]) % len(environments)]
    return workers.answer(function, call, environment, Path(log_folder))


def _config(cluster: Cluster, log_folder: Path) -> Any:
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.launchers import SingleNodeLauncher, SrunLauncher
    from parsl.providers import LocalProvider, SlurmProvider

    common: dict[str, Any] = {
        "nodes_per_block": cluster.nodes,
        "init_blocks": 0,
        "min_blocks": 0,
        "max_blocks": cluster.pilots,
        "worker_init": _setup(cluster),
        "launcher": SrunLauncher() if cluster.nodes > 1 else SingleNodeLauncher(),
    }
    if cluster.provider == "slurm":
        options = {"cpus-per-task": str(cluster.workers * cluster.threads)} | cluster.sbatch
        lines = [f"#SBATCH --{name}={word}" if word else f"#SBATCH --{name}" for name, word in options.items()]
        provider: Any = SlurmProvider(
            **common,
            walltime=f"0:{(cluster.limit_s or 0) // 60}:0",
            scheduler_options="\n".join(lines),
            exclusive=False,
            cmd_timeout=60,
        )
    else:
        provider = LocalProvider(**common)
    pool = HighThroughputExecutor(
        label="trainings",
        provider=provider,
        address=cluster.address,
        max_workers_per_node=cluster.workers,
        cores_per_worker=1e-6,  # as many workers as asked for, however many cores Parsl counts
        # No training is begun in the last seconds before all are asked to stop.
        drain_period=cluster.training_s and max(1, cluster.training_s - 10),
        heartbeat_period=HEARTBEAT_S,
        heartbeat_threshold=LOST_AFTER_S,
        interchange_launch_cmd=[sys.executable, "-m", "benchmarks.engine.execution.parsl_interchange"],
        block_error_handler=_give_up,
    )
    return Config(
        executors=[pool],
        run_dir=str(log_folder / "parsl"),
        strategy="simple",
        max_idletime=60.0,
        retries=0,  # what is tried again, and how often, is for the scheduler to say
        usage_tracking=0,
    )


def _setup(cluster: Cluster) -> str:
    """Write the lines that a pilot job runs before its workers start."""
    root, python = Path(__file__).resolve().parents[3], Path(sys.executable).parent
    lines = [f"module load {module}" for module in cluster.modules]
    lines += [f"export {name}={shlex.quote(text)}" for name, text in cluster.environment.items()]
    lines += [
        f'export PATH={shlex.quote(str(python))}:"$PATH"',
        f'export PYTHONPATH={shlex.quote(str(root))}:"$PYTHONPATH"',
    ]
    if cluster.training_s is not None:
        lines.append(f"export {shutdown.STOP_AT}=$(( $(date +%s) + {cluster.training_s} ))")
    return "\n".join(lines)


def _give_up(pool: Any, status: dict[str, Any]) -> None:
    """Fail what waits for pilot jobs, if none is running and the last of them ended before a worker of theirs came.

    Parsl's own rule gives up when the first one fails, be it that its node was lost, and never once another did not.
    """
    from parsl.jobs.states import JobState

    def never_came(block: str) -> bool:
        return status[block].state == JobState.MISSING or block not in pool.blocks_to_job_id  # the queue refused it

    last = [block for block in sorted(status, key=int) if status[block].terminal][-NEVER_CAME_LIMIT:]
    running = any(job.state == JobState.RUNNING for job in status.values())
    if len(last) == NEVER_CAME_LIMIT and all(map(never_came, last)) and not running:
        job = status[last[-1]]
        code = None if job.exit_code is None else f"EXIT CODE: {job.exit_code}"
        messages = [job.message, code, job.stderr_summary]
        pool.set_bad_state_and_fail_all(RuntimeError("\n".join(text for text in messages if text)))


def _in_the_queue(pool: Any) -> str | None:
    """Name the pilot jobs that wait, if none is running."""
    from parsl.jobs.states import JobState

    if pool.provider.label != "slurm":
        return None
    states = {pool.blocks_to_job_id.get(block): job.state for block, job in dict(pool.status_facade).items()}
    waiting = [str(job) for job, state in states.items() if job and state == JobState.PENDING]
    if not waiting or JobState.RUNNING in states.values():
        return None
    return f"Waiting for the queue to start a pilot job; `squeue --jobs {','.join(waiting)}` says why it does not yet."


def _last_words(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[-3:])[-500:] or type(error).__name__


def _execute_calls(
    submit: Callable[[Call], Future], pool: Any, capacity: int, calls: list[Call], on_event: OnCallEvent
) -> None:
    """Keep every worker busy, and one call waiting for each; what has not begun when asked to stop never will."""
    from parsl.executors.errors import BadStateException
    from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

    pending = list(reversed(calls))
    running: dict[Future, Call] = {}
    reported = None
    while pending or running:
        if pool.interchange_proc.poll() is not None and not pool.bad_state_is_set:
            pool.set_bad_state_and_fail_all(RuntimeError("Parsl's interchange has ended"))
            shutdown.request_shutdown("the process that spoke with its pilot jobs has ended")
        if shutdown.shutdown_reason():
            return  # the pilot jobs are cancelled next, and their trainings keep their state
        while pending and len(running) < 2 * capacity:
            call = pending.pop()
            running[submit(call)] = call
        over, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
        if (queue := _in_the_queue(pool)) != reported:
            reported = queue
            if queue:
                on_event(calls[0].id, Event.QUEUED, queue)
        for future in over:
            call = running.pop(future)
            try:
                event, payload = future.result()
            except (ManagerLost, WorkerLost) as error:
                event, payload = Event.FAILED, workers.lost(f"Its node or worker was lost: {error}")
            except BadStateException as error:
                raise BadInput(f"The pilot jobs fail one after the other: {_last_words(error)}") from None
            except Exception as error:
                event, payload = Event.FAILED, {"reason": workers.describe(error), "traceback": ""}
            on_event(call.id, event, payload)
