"""Promoters and variants for Extended Data 8: chosen from a yeast run or named, and their predicted mutagenesis."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks import registry
from benchmarks.api import yeast_plasmid
from benchmarks.api.sequences import BASES, SequenceError
from benchmarks.api.task import HasPlantedMotifs, supports
from benchmarks.apps.paper.figure_data import Site
from benchmarks.engine.inference import load, mutagenesis
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput
from benchmarks.io import tables

N_SITES = 5


class SitePair(NamedTuple):
    """A promoter and its variant: codes (2, L) uint8, wild type first, and the measured expression of both or NaN."""

    name: str
    codes: np.ndarray
    measured: tuple[float, float]


def load_sites(
    store: Store, experiment: Experiment | None, weights: Sequence[Path], table: Path | None, device: str
) -> tuple[list[Site], bool, dict[str, str]]:
    """Predict every substitution of some promoters and their variants.

    Parameters
    ----------
    experiment
        A yeast run: its first saved model is used without `weights`, its test set without `table`.
    weights
        Folders of trainings on yeast.
    table
        Table of sites; see `read_sites`.

    Returns
    -------
    The sites; whether any of it is simulated; notes for the caption (`site_choice`) or on what is missing (`sites`).

    Raises
    ------
    BadInput
        If a folder or table that was named cannot be used.
    """
    folders = list(weights) or _saved_model(store, experiment)
    if not folders:
        missing = "no training on yeast with its weights is stored: run --task yeast --save-models, or --weights"
        return [], False, {"sites": missing}
    if table is not None:
        pairs, simulated = read_sites(table), False
        notes = {"site_choice": "Sites were chosen by hand."}
    elif experiment is None:
        return [], False, {"sites": "no yeast run is stored to take SNV pairs from; name sequences with --sites"}
    else:
        pairs, simulated = strongest_pairs(store, experiment)
        notes = {"site_choice": f"Sites: the {len(pairs)} SNV pairs with the largest measured difference."}
        if not pairs:
            return [], False, notes | {"sites": "the test set of the yeast run has no SNV pairs"}
    sites = []
    for folder in folders:
        trained = load.open_model(folder, device)
        if trained.task.NAME != "yeast":
            raise BadInput(f"--weights: {folder} was trained on {trained.task.NAME}; ED8 is of yeast promoters.")
        simulated |= trained.trained_on == "simulated"
        sites += [_predicted_site(trained, folder.parent.name, pair) for pair in pairs]
    sites.sort(key=lambda site: [pair.name for pair in pairs].index(site.name))
    return sites, simulated, notes


def _saved_model(store: Store, experiment: Experiment | None) -> list[Path]:
    """Return the folder of one training of a run that kept its weights, DREAM-RNN's first; empty without any."""
    if experiment is None:
        return []
    done = [job for job in experiment.plan.jobs if store.training(job).is_done]
    for model in dict.fromkeys(("dream_rnn", *experiment.plan.models)):
        folders = (store.training(job).folder for job in done if job.model == model)
        if saved := next((folder for folder in folders if (folder / "model.json").is_file()), None):
            return [saved]
    return []


def _predicted_site(trained: load.Trained, model: str, pair: SitePair) -> Site:
    """Predict all substitutions in the variable region of a promoter and its variant."""
    output = trained.spec.outputs[0]
    where, window = np.zeros(pair.codes.shape, bool), variable_region(pair.codes[0])
    where[:, window] = True
    data = mutagenesis.of_codes(pair.codes, trained.spec)
    effects = mutagenesis.effects(trained.model, data, where=where, outputs=[output])[output]
    return Site(
        name=pair.name,
        model=model,
        label=trained.title.partition(" (")[0],
        codes=pair.codes[:, window],
        changes=effects.deltas[:, window],
        measured=pair.measured,
        predicted=(float(effects.wild_type[0]), float(effects.wild_type[1])),
    )


def variable_region(codes: np.ndarray) -> slice:
    """Find the bases between the two adapters of a promoter (150,) as networks see it."""
    inside = np.flatnonzero(yeast_plasmid.variable_region_mask(codes[None])[0])
    return slice(int(inside[0]), int(inside[-1]) + 1)


def strongest_pairs(store: Store, experiment: Experiment) -> tuple[list[SitePair], bool]:
    """Return the `N_SITES` SNV pairs whose measured expression differs most, and whether they are simulated."""
    source = experiment.plan.sources[0]
    dataset = store.get_dataset(source.name, source.digest)
    done = [job for job in experiment.plan.jobs if store.training(job).is_done]
    rows, _ = store.training(done[0]).predictions()
    test = dataset.take(rows)
    pairs = test.tables["pairs"]
    pairs = pairs[pairs["subset"] == "SNVs"]
    (y_true,) = test.targets.values()
    y_true = np.asarray(y_true, dtype=float)
    alt, ref = pairs["alt_pos"].to_numpy(), pairs["ref_pos"].to_numpy()
    codes = np.asarray(test.codes)
    order = np.argsort(-np.abs(y_true[alt] - y_true[ref]), kind="stable")
    strongest = []
    for i in order[:N_SITES]:
        both = codes[[ref[i], alt[i]]]
        at = np.flatnonzero(both[0] != both[1])
        start = variable_region(both[0]).start
        changes = ", ".join(f"{BASES[both[0, p]]}{p - start + 1}{BASES[both[1, p]]}" for p in at)
        name = f"test sequence {ref[i]}, {changes}"
        strongest.append(SitePair(name, both, (float(y_true[ref[i]]), float(y_true[alt[i]]))))
    return strongest, dataset.origin == "simulated"


def read_sites(file: Path) -> list[SitePair]:
    """Read sites from a table with columns name, wild_type, variant: whole promoters, with adapters.

    Raises
    ------
    BadInput
        If a column is missing, or a sequence is not one that the yeast task can encode.
    """
    table, task, pairs = _table(file, ["name", "wild_type", "variant"]), registry.get_task("yeast"), []
    for row in table.itertuples():
        try:
            codes = task.encode([str(row.wild_type), str(row.variant)])
        except SequenceError as error:
            raise BadInput(f"{file}, {row.name}: {error.reason}.") from None
        if len(row.wild_type) != len(row.variant) or (codes[0] == codes[1]).all():
            raise BadInput(f"{file}, {row.name}: wild type and variant must be of one length and differ in a base.")
        pairs.append(SitePair(str(row.name), codes, (float("nan"), float("nan"))))
    return pairs


def read_motifs(file: Path) -> dict[str, str]:
    """Read motifs, name -> sequence, from a table with columns name, word (A, C, G, T).

    Raises
    ------
    BadInput
        If a column is missing or a sequence has other letters.
    """
    table = _table(file, ["name", "word"])
    motifs = {str(row.name): str(row.word).upper() for row in table.itertuples()}
    for name, sequence in motifs.items():
        if not sequence or set(sequence) - set("ACGT"):
            raise BadInput(f"{file}, {name}: expected a motif of A, C, G and T in column 'word', got {sequence!r}.")
    return motifs


def simulated_motifs() -> dict[str, str]:
    """Return the motifs that the simulated yeast data are made of, name -> sequence."""
    task = registry.get_task("yeast")
    return {motif.name: motif.consensus for motif in task.PLANTED_MOTIFS} if supports(task, HasPlantedMotifs) else {}


def _table(file: Path, columns: list[str]) -> pd.DataFrame:
    table = tables.read_headed(file, columns, expected=f"A table with columns {', '.join(columns)} is expected.")
    return pd.DataFrame({column: tables.required_text(file, table, column) for column in columns})
