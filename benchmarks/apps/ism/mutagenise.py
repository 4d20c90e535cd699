"""Mutate every base of given sequences in several models, and write the effects, their agreement, and logos."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import system
from benchmarks.api.data import Dataset
from benchmarks.api.task import HasConstantFlanks, supports
from benchmarks.apps.ism import model_agreement, tables
from benchmarks.engine.inference import load, mutagenesis, predict_file
from benchmarks.engine.reporting.console import bar
from benchmarks.errors import BadInput
from benchmarks.io import sequence_files
from benchmarks.io.atomic import write_text


@dataclass(frozen=True)
class MutagenesisResult:
    """Effects of all single substitutions in several models.

    Parameters
    ----------
    ids
        Names of the n sequences.
    codes
        (n, L) uint8, as the last model reads them.
    where
        (n, L) bool, mutated positions; None: all.
    positions, substitutions
        Long tables, a row per position and per substitution; the second is empty unless it was asked for.
    arrays
        Name -> array, as ism.npz holds them.
    scores
        Model -> output -> (n, L) position scores.
    """

    ids: list[str]
    codes: np.ndarray
    where: np.ndarray | None
    positions: pd.DataFrame
    substitutions: pd.DataFrame
    arrays: dict[str, np.ndarray]
    scores: dict[str, dict[str, np.ndarray]]
    simulated: bool

    @property
    def agreement(self) -> pd.DataFrame:
        """How far every two models agree, per sequence and over all; columns `model_agreement.COLUMNS`."""
        return model_agreement.agreement(self.scores, self.ids)


def mutagenise(
    file: Path,
    models: Sequence[Path],
    device: str,
    *,
    outputs: Sequence[str] | None,
    mean_over: int,
    whole: bool,
    substitutions: bool,
    given: Mapping[str, str] | None = None,
) -> MutagenesisResult:
    """Predict every single substitution of the sequences in a file by every model.

    Parameters
    ----------
    models
        Folders of trainings, or published weights.
    mean_over
        Average over the 3 other bases, or 4 with the base itself.
    whole
        Mutate constant flanks too.
    substitutions
        List every substitution, not only every position.
    given
        What the user says of the columns, see `sequence_files.ROLES`.

    Raises
    ------
    BadInput
        For a bad file, two sequences of one name, or a model that cannot be loaded.
    """
    mutagenesis.position_scores(np.zeros((0, 1, 4), np.float32), mean_over)  # refuses a bad value before any work
    pieces = _read_pieces(file, given)
    ids = [name for piece in pieces for name in piece.ids]
    texts = [text for piece in pieces for text in piece.sequences]
    by_position, by_substitution, arrays, simulated = [], [], {}, False
    scores: dict[str, dict[str, np.ndarray]] = {}
    for label, trained in load.open_each(models, device):
        task = trained.task
        read = list(predict_file.SequenceFile(file, task, trained.spec, given=given).read())
        data = _concatenate([data for _, data in read])
        where, offsets = None, np.zeros(len(ids), np.int64)
        if supports(task, HasConstantFlanks):
            where = None if whole else task.variable_region_mask(data.codes, trained.spec)
            offsets = task.offsets(texts, trained.spec)
        with bar(label, mutagenesis.n_mutants(data.codes, where)) as on_done:
            effects = mutagenesis.effects(trained.model, data, where=where, outputs=outputs, on_done=on_done)
        arrays["codes"] = data.codes
        for output, effect in effects.items():
            score = mutagenesis.position_scores(effect.deltas, mean_over)
            scores.setdefault(label, {})[output] = score
            constant = {"model": label, "output": output, "trained_on": trained.trained_on}
            by_position.append(tables.per_position(data.codes, ids, offsets, effect, score, **constant))
            if substitutions:
                by_substitution.append(tables.per_substitution(data.codes, ids, offsets, effect, **constant))
            arrays |= {f"{label}/{output}": effect.deltas, f"{label}/{output}/wild_type": effect.wild_type}
        simulated |= trained.trained_on == "simulated"
    return MutagenesisResult(
        ids,
        data.codes,
        where,
        pd.concat(by_position, ignore_index=True),
        pd.concat(by_substitution, ignore_index=True) if by_substitution else pd.DataFrame(),
        arrays,
        scores,
        simulated,
    )


def _read_pieces(file: Path, given: Mapping[str, str] | None) -> list[sequence_files.Piece]:
    """Read the sequences of a file, whose names must be distinct."""
    pieces = list(sequence_files.read_pieces(file, given=given))
    counts = Counter(name for piece in pieces for name in piece.ids)
    if twice := next((name for name, count in counts.items() if count > 1), None):
        raise BadInput(
            f"{file} has several sequences named {twice!r}; rename them, so that tables can tell them apart."
        )
    return pieces


def _concatenate(data: list[Dataset]) -> Dataset:
    meta = pd.concat([piece.meta for piece in data], ignore_index=True)
    return replace(data[0], codes=np.concatenate([piece.codes for piece in data]), meta=meta)


def write(result: MutagenesisResult, out: Path, n_logos: int) -> list[str]:
    """Write ism.csv, ism.npz, substitutions.csv and agreement.csv where there are some, and logos; return the logos."""
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "ism.csv", result.positions.to_csv(index=False))
    np.savez_compressed(out / "ism.npz", **result.arrays)
    if len(result.substitutions):
        write_text(out / "substitutions.csv", result.substitutions.to_csv(index=False))
    if len(result.scores) > 1:
        write_text(out / "agreement.csv", result.agreement.to_csv(index=False))
    return _draw_logos(result, out, n_logos)


def _draw_logos(result: MutagenesisResult, out: Path, n: int) -> list[str]:
    """Draw the first sequences as logos, all models below each other, where the packages are installed."""
    if not n or not (system.can_draw() and system.has_packages("logomaker")):
        return []
    from benchmarks.engine.figures import ism as ism_figures
    from benchmarks.engine.figures import style

    window = slice(None)
    if result.where is not None:
        columns = np.flatnonzero(result.where.any(axis=0))
        window = slice(int(columns[0]), int(columns[-1]) + 1)
    files = []
    for i, name in enumerate(result.ids[:n]):
        heights = {
            f"{label}, {output}": -score[i, window]
            for label, by_output in result.scores.items()
            for output, score in by_output.items()
        }
        figure = ism_figures.tracks(result.codes[i, window], heights, title=name, simulated=result.simulated)
        files += [str(path) for path in style.save(figure, out / f"logo-{i + 1:03d}")]
    return files
