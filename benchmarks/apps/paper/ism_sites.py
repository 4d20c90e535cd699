"""Promoters and variants for Extended Data 8: those of the paper or others, and their predicted mutagenesis."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks import registry
from benchmarks.api import yeast_plasmid
from benchmarks.api.designed_set import DesignedSet
from benchmarks.api.sequences import BASES, SequenceError
from benchmarks.apps.paper.figure_data import Site
from benchmarks.engine.inference import load, mutagenesis
from benchmarks.engine.store.experiment import Experiment
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput
from benchmarks.io import tables

PROMOTERS = ("YOL101C", "YBL057C", "YGL075C", "YDR248C", "YCL051W")
"""The promoters of Extended Data Fig. 8, which the test set's tags name (`YOL101C.2`)."""
N_SITES = 5
MODELS = ("dream_cnn", "dream_rnn", "dream_attn")
"""The models that the figure sets beside each other."""


class SitePair(NamedTuple):
    """A promoter and its variant: codes (2, L) uint8, wild type first, and the measured expression of both or NaN."""

    name: str
    codes: np.ndarray
    measured: tuple[float, float]


def load_sites(
    store: Store,
    experiment: Experiment | None,
    weights: Sequence[Path],
    table: Path | None,
    test_set: DesignedSet | None,
    device: str,
) -> tuple[list[Site], bool, dict[str, str]]:
    """Predict every substitution of some promoters and their variants.

    Parameters
    ----------
    experiment
        A yeast run: without `weights`, one saved training of each of MODELS is used.
    weights
        Folders of trainings on yeast.
    table
        Table of sites; see `read_sites`. Without it, the promoters of the paper are looked for in the test set by their
        tags; where it has none of them, the SNV pairs with the largest measured difference are taken.

    Returns
    -------
    The sites; whether any of it is simulated; notes for the caption (`site_choice`) or on what is missing (`sites`).

    Raises
    ------
    BadInput
        If a folder or table that was named cannot be used.
    """
    folders = list(weights) or _saved_models(store, experiment)
    if not folders:
        return [], False, {"sites": "no training on yeast with its weights is stored"}
    simulated = False
    if table is not None:
        pairs, choice = read_sites(table), "Sites were chosen by hand."
    elif test_set is None:
        return [], False, {"sites": "no designed test set is at hand to take promoters from (--test-set, or --sites)"}
    else:
        pairs, choice = named_pairs(test_set)
        if not pairs:
            pairs = strongest_pairs(test_set)
            choice = f"Sites: the {len(pairs)} SNV pairs with the largest measured difference. {choice}"
        simulated = test_set.origin == "simulated"
        if not pairs:
            return [], False, {"sites": "the test set has no SNV pairs"}
    notes = {"site_choice": choice}
    sites = []
    for folder in folders:
        trained = load.open_model(folder, device)
        if trained.task.NAME != "yeast":
            raise BadInput(f"--weights: {folder} was trained on {trained.task.NAME}; ED8 is of yeast promoters.")
        simulated |= trained.trained_on == "simulated"
        sites += [_predicted_site(trained, folder.parent.name, pair) for pair in pairs]
    sites.sort(key=lambda site: [pair.name for pair in pairs].index(site.name))
    return sites, simulated, notes


def _saved_models(store: Store, experiment: Experiment | None) -> list[Path]:
    """Return the folder of one training of each of MODELS that kept its weights; of another model if none has."""
    if experiment is None:
        return []
    saved: dict[str, Path] = {}
    for job in experiment.plan.jobs:
        training = store.training(job)
        if training.is_done and (training.folder / "model.json").is_file():
            saved.setdefault(job.model, training.folder)
    return [saved[model] for model in MODELS if model in saved] or list(saved.values())[:1]


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


def named_pairs(test: DesignedSet) -> tuple[list[SitePair], str]:
    """Return the promoters of the paper, each with its SNV variant of the largest measured difference.

    Which variants the paper shows is not published. The second value says which promoters were found.
    """
    pairs, missing = [], []
    for gene in PROMOTERS:
        tagged = test.tags["tag"].astype(str).str.match(rf"{gene}(\.|_|$)")
        positions = test.tags.loc[tagged, "pos"].unique()
        of_gene = _snvs(test)
        of_gene = of_gene[of_gene["ref_pos"].isin(positions)]
        if of_gene.empty:
            missing.append(f"{gene} ({'no SNV pair' if len(positions) else 'no tag'})")
        else:
            pairs.append(_pair(test, of_gene.iloc[0], gene))
    found = f"Sites: {len(pairs)} of the paper's five promoters, each with its SNV of the largest measured difference"
    return pairs, found + (f"; not in this test set: {', '.join(missing)}." if missing else ".")


def strongest_pairs(test: DesignedSet) -> list[SitePair]:
    """Return the `N_SITES` SNV pairs whose measured expression differs most."""
    strongest = _snvs(test).head(N_SITES)
    return [_pair(test, row, f"test sequence {row['ref_pos']:.0f}") for _, row in strongest.iterrows()]


def _snvs(test: DesignedSet) -> pd.DataFrame:
    """Return the SNV pairs of a test set, those with the largest measured difference first."""
    pairs = test.pairs[test.pairs["subset"] == "SNVs"]
    change = np.abs(test.y_true[pairs["alt_pos"].to_numpy(int)] - test.y_true[pairs["ref_pos"].to_numpy(int)])
    return pairs.assign(change=change).sort_values("change", ascending=False, kind="stable")


def _pair(test: DesignedSet, row: pd.Series, name: str) -> SitePair:
    """Encode the two sequences of a pair; the name says which bases of the variable region differ."""
    ref, alt = int(row["ref_pos"]), int(row["alt_pos"])
    codes = registry.get_task("yeast").encode([str(test.sequences[ref]), str(test.sequences[alt])])
    start = variable_region(codes[0]).start
    at = np.flatnonzero(codes[0] != codes[1])
    changes = ", ".join(f"{BASES[codes[0, p]]}{p - start + 1}{BASES[codes[1, p]]}" for p in at)
    return SitePair(f"{name}, {changes}", codes, (float(test.y_true[ref]), float(test.y_true[alt])))


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


def _table(file: Path, columns: list[str]) -> pd.DataFrame:
    table = tables.read_headed(file, columns, expected=f"A table with columns {', '.join(columns)} is expected.")
    return pd.DataFrame({column: tables.required_text(file, table, column) for column in columns})
