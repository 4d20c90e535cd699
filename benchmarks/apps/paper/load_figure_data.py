"""Load the data that panels are drawn from: stored runs, the grid, challenge tables, architectures, ISM sites."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import registry
from benchmarks.api.designed_set import DesignedSet
from benchmarks.api.sequences import decode
from benchmarks.api.task import spec_of
from benchmarks.apps.paper.figure_data import FigureData, Layer, Run
from benchmarks.apps.paper.ism_sites import load_sites
from benchmarks.apps.paper.motifs import read_motifs, simulated_motifs
from benchmarks.engine.evaluation import speed_repeats
from benchmarks.engine.evaluation.combination_grid import Grid, has_grid, read_grid
from benchmarks.engine.evaluation.compare import compare_models
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.reporting import plots, write_results
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.engine.store.training_table import job_table
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io import tables

TASKS = ("yeast", "drosophila", "human_mpra", "atac")
NETWORKS = ("dream_cnn", "dream_rnn", "dream_attn", "dream_cnn_keras", "dream_rnn_keras")
"""What Extended Data 9 shows."""
SIZED = {
    "yeast": ("dream_cnn", "dream_rnn", "dream_attn"),
    "atac": ("dream_cnn_keras", "dream_rnn_keras", "chrombpnet"),
}
"""Task -> networks whose parameters are drawn: Fig. 2d, Fig. 3e."""
REFERENCES = ("reference", "vaishnav")
"""What the reference model's submission is called, unless it is named."""
_CHALLENGE = ("ranking", "rank_distributions", "score_distributions", "leaderboard", "scores")


@dataclasses.dataclass(frozen=True)
class Sources:
    """What the user named to draw from; empty or None: the latest that is stored.

    Parameters
    ----------
    tasks
        Tasks whose runs are drawn; empty: all.
    reports, grid
        Report folders of runs, and that of a `prixfixe grid`.
    challenge
        Folders that `challenge … --out` wrote.
    top, reference
        How many of the best submissions Fig. 1 shows, and the name of the reference model's submission; None: one that
        is called so.
    speed, quantified
        Folders that `bench speed --out` and `quantify designed --out` wrote.
    test_set
        Folder of the designed test set; None: that of the yeast run.
    weights, sites, motifs
        For Extended Data 8: trainings on yeast, a table of sequences, a table of motifs.
    device
        auto, cpu or cuda, for the predictions of Extended Data 8.
    """

    tasks: Sequence[str] = ()
    reports: Sequence[Path] = ()
    grid: Path | None = None
    challenge: Sequence[Path] = ()
    top: int = 10
    reference: str | None = None
    speed: Path | None = None
    quantified: Path | None = None
    test_set: Path | None = None
    weights: Sequence[Path] = ()
    sites: Path | None = None
    motifs: Path | None = None
    device: str = "cpu"


def load_figure_data(store: Store, uses: Collection[str], sources: Sources) -> FigureData:
    """Load what the chosen panels use, and no more.

    Parameters
    ----------
    uses
        Names of tasks, `grid`, `challenge`, `parameters`, `architectures`, `sites`; see `Panel.uses`.

    Raises
    ------
    BadInput
        If something that was named is missing or cannot be read. What was not named may be missing: `notes` says so.
    """
    for task in sources.tasks:
        if task not in TASKS:
            raise BadInput(did_you_mean("task", task, list(TASKS)))
    tasks = [
        task
        for task in (sources.tasks or TASKS)
        if task in uses or (task == "yeast" and {"sites", "test_set"} & set(uses))
    ]
    by_task = {experiment.plan.task: experiment for experiment in _experiments(store, tasks, sources.reports)}
    runs = {task: open_run(experiment, store) for task, experiment in by_task.items() if task in uses}
    grid = open_grid(store, sources.grid) if "grid" in uses else None
    challenge = read_challenge(sources.challenge) if "challenge" in uses else {}
    data = FigureData(runs, grid, challenge, sources.top, find_reference(runs, challenge, sources.reference))
    known = describe_sources(data)
    if challenge:
        known["challenge"] = f"challenge {', '.join(str(folder) for folder in sources.challenge)}"
    if "speed" in uses and sources.speed is not None:
        data = dataclasses.replace(data, speed=speed_repeats.read(sources.speed))
        known["speed"] = f"bench speed {sources.speed}"
    if "quantified" in uses and sources.quantified is not None:
        data = dataclasses.replace(data, reads=read_reads(sources.quantified))
        known["quantified"] = f"quantified library {sources.quantified}"
    if {"test_set", "sites"} & set(uses):
        if sources.test_set is not None:
            data = dataclasses.replace(data, test_set=registry.get_task("yeast").read_designed(sources.test_set))
            known["test_set"] = f"test set {sources.test_set}"
        elif "yeast" in by_task and (found := test_set_of(by_task["yeast"], store)) is not None:
            data = dataclasses.replace(data, test_set=found)
            known["test_set"] = f"test set of run {by_task['yeast'].folder.name}"
    if "parameters" in uses:
        data = dataclasses.replace(data, n_params={task: parameter_counts(task) for task in SIZED})
    if "architectures" in uses:
        networks, missing = architectures()
        data = dataclasses.replace(data, architectures=networks, notes={"architectures": missing} if missing else {})
    if "sites" in uses:
        sites, simulated, notes = load_sites(
            store, by_task.get("yeast"), sources.weights, sources.sites, data.test_set, sources.device
        )
        motifs = read_motifs(sources.motifs) if sources.motifs else simulated_motifs() if simulated else []
        data = dataclasses.replace(
            data, sites=sites, sites_simulated=simulated, motifs=motifs, notes={**data.notes, **notes}
        )
        known["sites"] = ", ".join(str(folder) for folder in sources.weights) or known.get("yeast", "")
    return dataclasses.replace(data, sources=known)


def describe_sources(data: FigureData) -> dict[str, str]:
    """Say what each source is, for people: name of a source -> where it lies."""
    known = {run.task: f"run {run.folder} (preset {run.preset})" for run in data.runs.values()}
    if data.grid is not None:
        known["grid"] = f"grid {data.grid.folder}"
    return known


def _experiments(store: Store, tasks: Sequence[str], reports: Sequence[Path]) -> list[Experiment]:
    """Open the named report folders, else the latest of every task that is not a grid of combinations."""
    folders = list(reports)
    if not reports:
        for task in tasks:
            stored = store.report_folders(task)
            without_grid = [folder for folder in stored if not has_grid(folder)]
            folders += (without_grid or stored)[-1:]
    experiments = Experiment.open_many(store, folders=folders) if folders else []
    folder_of_task: dict[str, Path] = {}
    for experiment in experiments:
        first = folder_of_task.setdefault(experiment.plan.task, experiment.folder)
        if first != experiment.folder:
            raise BadInput(
                f"{first} and {experiment.folder} are both of {experiment.plan.task}; a figure shows one: name one."
            )
    return [experiment for experiment in experiments if experiment.plan.task in tasks]


def open_run(experiment: Experiment, store: Store) -> Run:
    """Score a stored run and compare its models, as its report does, without the bootstrap over test items."""
    plan, task = experiment.plan, registry.get_task(experiment.plan.task)
    scores = score(plan, store, task)
    compared = compare_models(plan, store, task, scores, n_draws=0)
    datasets = {source.name: store.get_dataset(source.name, source.digest) for source in plan.sources}
    spec = spec_of(task, next(iter(datasets.values())))
    return Run(
        task=plan.task,
        preset=plan.preset,
        folder=experiment.folder.name,
        scores=scores,
        comparisons=compared,
        ceilings=write_results.ceiling_table(datasets),
        jobs=job_table(plan, store),
        labels={name: plan.title(name) for name in plan.models},
        order=list(plan.models),
        batch_sizes={name: recipe["batch_size"] for name, recipe in plan.recipes.items() if "batch_size" in recipe},
        origins=frozenset(d.origin for d in datasets.values()),
        profile_len=spec.profile_len,
        examples=plots.first_folds(plan, store, datasets) if spec.head == "profile_counts" else (),
    )


def test_set_of(experiment: Experiment, store: Store) -> DesignedSet | None:
    """Return the designed test set that a yeast run was scored on; None before a training of it is done."""
    done = [job for job in experiment.plan.jobs if store.training(job).is_done]
    if not done:
        return None
    source = experiment.plan.sources[0]
    rows, _ = store.training(done[0]).predictions()
    test = store.get_dataset(source.name, source.digest).take(rows)
    (y_true,) = test.targets.values()
    return DesignedSet(
        np.array(decode(np.asarray(test.codes)), dtype=object), np.asarray(y_true, dtype=float),
        test.tables["subsets"], test.tables["pairs"], pd.DataFrame({"pos": [], "tag": []}), test.origin,
    )  # fmt: skip


def read_reads(folder: Path) -> pd.DataFrame:
    """Read the reads per sequence of a designed library by subset: subset, pos, n_reads, origin.

    A member of a pair counts in the subset of the pair.

    Raises
    ------
    BadInput
        If the folder lacks the table of `quantify designed --out`, or the subsets (`quantify designed --subsets`).
    """
    file = folder / "designed.tsv.gz"
    if not file.is_file():
        raise BadInput(f"--quantified: expected {file.name} of `quantify designed --out` in {folder}; it is not there.")
    table = tables.read_headed(file, ["pos", "n_reads", "origin"])
    by_pos = pd.Series(
        tables.numbers(file, table, "n_reads", whole=True), index=tables.numbers(file, table, "pos", whole=True)
    )
    test = registry.get_task("yeast").read_designed(folder)
    pairs = test.pairs.melt("subset", ["alt_pos", "ref_pos"], value_name="pos")[["subset", "pos"]]
    members = pd.concat([test.subsets, pairs]).drop_duplicates(ignore_index=True)
    if members.empty:
        raise BadInput(f"--quantified: {folder} names no subsets; give `quantify designed` --subsets FOLDER.")
    return members.assign(n_reads=members["pos"].map(by_pos).to_numpy(), origin=table["origin"].iloc[0])


def open_grid(store: Store, folder: Path | None) -> Grid | None:
    """Open the report folder of a grid, by default the latest there is; None without any."""
    if folder is None:
        stored = [f for f in store.report_folders() if has_grid(f)]
        if not stored:
            return None
        folder = stored[-1]
    return read_grid(Experiment.open(store, None, folder), store, with_scores=True)


def read_challenge(folders: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """Read the tables that `challenge rank --out` and `challenge leaderboard --out` wrote; scores are the ranking's.

    Raises
    ------
    BadInput
        If a folder holds neither ranking nor leaderboard, two hold the same table, or origins are mixed.
    """
    by_name: dict[str, pd.DataFrame] = {}
    for folder in folders:
        files = {name: folder / f"{name}.csv" for name in _CHALLENGE if (folder / f"{name}.csv").is_file()}
        if not files.keys() & {"ranking", "leaderboard"}:
            raise BadInput(
                f"--challenge: {folder} holds neither ranking.csv nor leaderboard.csv of `challenge … --out`."
            )
        if "ranking" not in files:
            files.pop("scores", None)
        for name, file in files.items():
            if name in by_name:
                raise BadInput(f"--challenge: two folders hold {name}.csv; name one of them.")
            by_name[name] = tables.read_ours(file, ("origin",), recovery_hint="write it again with --out")
    if len({origin for table in by_name.values() for origin in table["origin"]}) > 1:
        raise BadInput("--challenge: measured and simulated results are never mixed; name folders of one kind.")
    return by_name


def find_reference(runs: Mapping[str, Run], challenge: Mapping[str, pd.DataFrame], named: str | None) -> str:
    """Return which submission, or model of the yeast run, is the reference model; "" if none is.

    Raises
    ------
    BadInput
        If one was named that is not there.
    """
    if "ranking" in challenge:
        known = challenge["ranking"]["submission"].astype(str).tolist()
    else:
        known = list(runs["yeast"].order) if "yeast" in runs else []
    if named is None:
        return next((name for name in known if name.lower() in REFERENCES), "")
    if named not in known:
        raise BadInput(f"--reference: {did_you_mean('submission', named, known)}")
    return named


def parameter_counts(task: str) -> dict[str, int]:
    """Count the parameters of the networks of `SIZED` at full size, by name; without those that cannot be built."""
    counts = {}
    for name in SIZED[task]:
        try:
            registry.get_backend(registry.models()[name].framework)
        except BadInput:
            continue
        module = registry.get_model(name)
        counts[name] = int(module.build(registry.get_task(task).SPEC, module.RECIPE, {}).n_params)
    return counts


def architectures() -> tuple[dict[str, list[Layer]], str]:
    """Build the DREAM networks at their published sizes and list their layers, by title.

    Networks whose framework is not installed are left out; the second value says which framework that was, or "".
    """
    layers: dict[str, list[Layer]] = {}
    missing = ""
    for key in NETWORKS:
        entry = registry.models()[key]
        try:
            registry.get_backend(entry.framework)
        except BadInput:
            missing = f"{entry.framework} is not installed"
            continue
        module = registry.get_model(key)
        if entry.framework == "torch":
            from benchmarks.training import torch_layers

            net = module.network(registry.get_task("yeast").SPEC)
            rows = torch_layers.layer_table(net, net.first.dummy)
        else:
            from benchmarks.training import keras_layers

            rows = keras_layers.layer_table(module.network())
        layers[module.NAME] = [Layer(**row) for row in rows]
    return layers, missing
