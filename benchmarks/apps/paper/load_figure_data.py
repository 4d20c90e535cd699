"""Open what panels are drawn from: stored runs, a grid, tables of a challenge, architectures, trained networks."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import registry
from benchmarks.api import yeast_plasmid
from benchmarks.api.sequences import BASES, SequenceError
from benchmarks.apps.paper.figure_data import Found, Grid, Layer, Run, Site
from benchmarks.engine.evaluation.compare import tables_of
from benchmarks.engine.evaluation.scores import score
from benchmarks.engine.inference import load, mutagenesis
from benchmarks.engine.reporting import write_results
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store, folder_of
from benchmarks.engine.store.training_table import job_table
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io import tables

TASKS = ("yeast", "drosophila", "human_mpra", "atac")
NETWORKS = ("dream_cnn", "dream_rnn", "dream_attn", "dream_cnn_keras", "dream_rnn_keras")
"""What Extended Data 9 shows."""
N_SITES = 5
_CHALLENGE = ("ranking", "disparities", "rank_distributions", "score_distributions", "leaderboard", "scores")


def everything(
    store: Store,
    uses: Collection[str],
    *,
    tasks: Sequence[str],
    reports: Sequence[Path],
    grid: Path | None,
    challenge: Sequence[Path],
    weights: Sequence[Path],
    sites: Path | None,
    motifs: Path | None,
    device: str,
) -> Found:
    """Open what the chosen panels use, and no more.

    Raises
    ------
    BadInput
        If something that was named is not there or cannot be read. What was not named may be absent: `why` says so.
    """
    for task in tasks:
        if task not in TASKS:
            raise BadInput(did_you_mean("task", task, list(TASKS)))
    wanted = [task for task in (tasks or TASKS) if task in uses or (task == "yeast" and "sites" in uses)]
    experiments = _studies(store, wanted, reports)
    runs = {
        experiment.plan.task: open_run(experiment, store) for experiment in experiments if experiment.plan.task in uses
    }
    why: dict[str, str] = {}
    opened = open_grid(store, grid) if "grid" in uses else None
    tables = read_challenge(challenge) if "challenge" in uses else {}
    shown = architectures(why) if "architectures" in uses else {}
    found_sites: list[Site] = []
    words: dict[str, str] = {}
    simulated = False
    if "sites" in uses:
        experiment = next((experiment for experiment in experiments if experiment.plan.task == "yeast"), None)
        found_sites, simulated = ism_sites(store, experiment, weights, sites, device, why)
        words = read_motifs(motifs) if motifs else (_planted() if simulated else {})
    return Found(runs, opened, tables, shown, found_sites, simulated, words, why)


def sources(found: Found) -> list[str]:
    """Say what was drawn from, a sentence each."""
    lines = [f"{run.task}: {run.folder}, preset {run.preset}." for run in found.runs.values()]
    return lines + ([f"Grid: {found.grid.run.folder}."] if found.grid else [])


def _studies(store: Store, tasks: Sequence[str], reports: Sequence[Path]) -> list[Experiment]:
    """Open the named report folders, else of every task the latest that is no grid of combinations."""
    folders = list(reports)
    if not reports:
        for task in tasks:
            stored = store.report_folders(task)
            plain = [folder for folder in stored if not (folder / "grid.csv").is_file()]
            folders += (plain or stored)[-1:]
    found = Experiment.open_many(store, folders=folders) if folders else []
    seen: dict[str, Path] = {}
    for experiment in found:
        first = seen.setdefault(experiment.plan.task, experiment.folder)
        if first != experiment.folder:
            raise BadInput(
                f"{first} and {experiment.folder} are both of {experiment.plan.task}; a figure shows one: name one."
            )
    return [experiment for experiment in found if experiment.plan.task in tasks]


def open_run(experiment: Experiment, store: Store) -> Run:
    """Score a stored run and compare its models, as its report does, without the bootstrap over test items."""
    plan, task = experiment.plan, registry.get_task(experiment.plan.task)
    scores = score(plan, store, task)
    compared = tables_of(plan, store, task, scores, n_draws=0)
    datasets = {source.name: store.get_dataset(source.name, source.digest) for source in plan.sources}
    is_profile = task.SPEC.head == "profile_counts"
    gaps = pd.DataFrame()
    if hasattr(task, "disparities") and len(scores):
        mine = scores[(scores["level"] == "private") & (scores["role"] == "member")]
        mean = mine.groupby(["model", "subset", "metric"], sort=False)["value"].mean().reset_index()
        gaps = task.disparities(mean.rename(columns={"model": "submission"}))
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
        profile_len=task.SPEC.profile_len,
        disparities=gaps,
        weights=getattr(task, "WEIGHTS", {}),
        examples=write_results.first_folds(plan, store, datasets) if is_profile else (),
    )


def open_grid(store: Store, folder: Path | None) -> Grid | None:
    """Open the report folder of a grid, by default the latest there is; None without any."""
    if folder is None:
        stored = [f for f in store.report_folders() if (f / "grid.csv").is_file()]
        if not stored:
            return None
        folder = stored[-1]
    experiment = Experiment.open(store, None, folder)
    recovery_hint = "name the report folder of a `prixfixe grid`"
    needed = ("code", "status", "value")
    table, originals = (
        tables.read_ours(folder / f"{name}.csv", needed, recovery_hint=recovery_hint, dtype={"code": str})
        for name in ("grid", "grid_originals")
    )
    scores = score(experiment.plan, store, registry.get_task(experiment.plan.task))
    origins = frozenset(scores["origin"]) if len(scores) else frozenset()
    labels = {name: experiment.plan.title(name) for name in experiment.plan.models}
    about = (experiment.plan.task, experiment.plan.preset, folder.name, scores)
    empty = pd.DataFrame()
    return Grid(table, originals, Run(*about, {}, empty, empty, labels, list(experiment.plan.models), {}, origins))


def read_challenge(folders: Sequence[Path]) -> dict[str, pd.DataFrame]:
    """Read the tables that `challenge rank --out` and `challenge leaderboard --out` wrote; scores are the ranking's."""
    found: dict[str, pd.DataFrame] = {}
    origins = set()
    for folder in folders:
        mine = {name: folder / f"{name}.csv" for name in _CHALLENGE if (folder / f"{name}.csv").is_file()}
        if not mine.keys() & {"ranking", "leaderboard"}:
            raise BadInput(
                f"--challenge: {folder} holds neither ranking.csv nor leaderboard.csv of `challenge … --out`."
            )
        if "ranking" not in mine:
            mine.pop("scores", None)
        for name, file in mine.items():
            table = tables.read_ours(file, ("origin",), recovery_hint="write it again with --out")
            if name in found:
                raise BadInput(f"--challenge: two folders hold {name}.csv; name one of them.")
            found[name] = table
            origins |= set(table["origin"])
    if len(origins) > 1:
        raise BadInput("--challenge: measured and simulated results are never mixed; name folders of one kind.")
    return found


def architectures(why: dict[str, str]) -> dict[str, list[Layer]]:
    """Build the DREAM networks at their published sizes and list their layers, where their framework is there."""
    shown: dict[str, list[Layer]] = {}
    for key in NETWORKS:
        entry = registry.models()[key]
        backend = registry.get_backend(entry.framework)
        if backend is None or not hasattr(backend, "layer_table"):
            why["architectures"] = f"{entry.framework} is not installed"
            continue
        module = registry.get_model(key)
        if entry.framework == "torch":
            net = module.network(registry.get_task("yeast").SPEC)
            rows = backend.layer_table(net, net.first.dummy)
        else:
            rows = backend.layer_table(module.network())
        shown[module.NAME] = [
            Layer(_block(row["path"], entry.framework), row["kind"], row["detail"], row["shape"], row["n_params"])
            for row in rows
        ]
    return shown


def _block(path: str, framework: str) -> str:
    """Name the box that a layer stands in: the first parts of its path; a Keras network is one box."""
    if framework != "torch":
        return "network.layers"
    return ".".join(path.split(".")[:3]) or "other"


def ism_sites(
    store: Store,
    experiment: Experiment | None,
    weights: Sequence[Path],
    table: Path | None,
    device: str,
    why: dict[str, str],
) -> tuple[list[Site], bool]:
    """Predict every substitution of some promoters and their variants, and say whether any of it is simulated."""
    folders = list(weights)
    if not folders and experiment is not None:
        done = [job for job in experiment.plan.jobs if store.is_done(folder_of(store, job))]
        for model in dict.fromkeys(("dream_rnn", *experiment.plan.models)):
            kept = [f for f in (folder_of(store, job) for job in done if job.model == model) if _has_weights(f)]
            folders = kept[:1]
            if folders:
                break
    if not folders:
        why["sites"] = "no training on yeast with its weights is at hand: run --task yeast --save-models, or --weights"
        return [], False
    if table is not None:
        pairs, simulated = read_sites(table), False
        why["site_choice"] = "Sites were chosen by hand."
    elif experiment is None:
        why["sites"] = "no yeast run is at hand to take SNV pairs from; name sequences with --sites"
        return [], False
    else:
        pairs, simulated = strongest_pairs(store, experiment)
        why["site_choice"] = f"Sites: the {len(pairs)} SNV pairs with the largest measured difference."
        if not pairs:
            why["sites"] = "the test set of the yeast run has no SNV pairs"
            return [], False
    found = []
    for folder in folders:
        one = load.open_model(folder, device)
        if one.task.NAME != "yeast":
            raise BadInput(f"--weights: {folder} was trained on {one.task.NAME}; ED8 is of yeast promoters.")
        simulated |= one.trained_on == "simulated"
        label, output = one.title.partition(" (")[0], one.task.SPEC.outputs[0]
        for name, codes, measured in pairs:
            where = np.zeros(codes.shape, bool)
            where[:, window := variable_region(codes[0])] = True
            data = mutagenesis.of_codes(codes, one.task.SPEC)
            of = mutagenesis.effects(one.model, data, where=where, outputs=[output])[output]
            shown, predicted = (codes[:, window], of.deltas[:, window]), tuple(map(float, of.wild_type))
            found.append(Site(name, folder.parent.name, label, *shown, measured, predicted))
    found.sort(key=lambda site: [name for name, *_ in pairs].index(site.name))
    return found, simulated


def _has_weights(folder: Path) -> bool:
    return (folder / "model.json").is_file()


def variable_region(codes: np.ndarray) -> slice:
    """Find the bases between the two adapters of a promoter (150,) as networks see it."""
    inside = np.flatnonzero(yeast_plasmid.variable_region_mask(codes[None])[0])
    return slice(int(inside[0]), int(inside[-1]) + 1)


def strongest_pairs(
    store: Store, experiment: Experiment
) -> tuple[list[tuple[str, np.ndarray, tuple[float, float]]], bool]:
    """Return the SNV pairs whose measured expression differs most: name, codes (2, L) wild type first, measured."""
    source = experiment.plan.sources[0]
    dataset = store.get_dataset(source.name, source.digest)
    done = [job for job in experiment.plan.jobs if store.is_done(folder_of(store, job))]
    rows, _ = store.get_predictions(folder_of(store, done[0]))
    test = dataset.take(rows)
    pairs = test.tables["pairs"]
    pairs = pairs[pairs["subset"] == "SNVs"]
    (y_true,) = test.targets.values()
    y_true = np.asarray(y_true, dtype=float)
    alt, ref = pairs["alt_pos"].to_numpy(), pairs["ref_pos"].to_numpy()
    codes = np.asarray(test.codes)
    order = np.argsort(-np.abs(y_true[alt] - y_true[ref]), kind="stable")
    found = []
    for i in order[:N_SITES]:
        both = codes[[ref[i], alt[i]]]
        at = np.flatnonzero(both[0] != both[1])
        start = variable_region(both[0]).start
        changes = ", ".join(f"{BASES[both[0, p]]}{p - start + 1}{BASES[both[1, p]]}" for p in at)
        name = f"test sequence {ref[i]}, {changes}"
        found.append((name, both, (float(y_true[ref[i]]), float(y_true[alt[i]]))))
    return found, dataset.origin == "simulated"


def read_sites(file: Path) -> list[tuple[str, np.ndarray, tuple[float, float]]]:
    """Read sites from a table with columns name, wild_type, variant: whole promoters, with adapters."""
    table, task, found = _table(file, ["name", "wild_type", "variant"]), registry.get_task("yeast"), []
    for row in table.itertuples():
        try:
            codes = task.encode([str(row.wild_type), str(row.variant)])
        except SequenceError as error:
            raise BadInput(f"{file}, {row.name}: {error.reason}.") from None
        if len(row.wild_type) != len(row.variant) or (codes[0] == codes[1]).all():
            raise BadInput(f"{file}, {row.name}: wild type and variant must be of one length and differ in a base.")
        found.append((str(row.name), codes, (float("nan"), float("nan"))))
    return found


def read_motifs(file: Path) -> dict[str, str]:
    """Read motifs from a table with columns name, word (A, C, G, T)."""
    table = _table(file, ["name", "word"])
    words = {str(row.name): str(row.word).upper() for row in table.itertuples()}
    for name, word in words.items():
        if not word or set(word) - set("ACGT"):
            raise BadInput(f"{file}, {name}: a word of A, C, G and T is expected, got {word!r}.")
    return words


def _table(file: Path, columns: list[str]) -> pd.DataFrame:
    table = tables.read_headed(file, columns, expected=f"A table with columns {', '.join(columns)} is expected.")
    return pd.DataFrame({column: tables.required_text(file, table, column) for column in columns})


def _planted() -> dict[str, str]:
    """Return the motifs that the simulated yeast data are made of."""
    return {motif.name: motif.word for motif in registry.get_task("yeast").simulation.MOTIFS}
