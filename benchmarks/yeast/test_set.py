"""The designed test set of the Random Promoter DREAM Challenge: measurements, subsets, what was public.

Source: `prixfixe/evaluation.py` and `data/` of the challenge repository.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.api import simulated_marker
from benchmarks.api.data import Dataset, Origin
from benchmarks.api.designed_set import DesignedSet
from benchmarks.errors import BadInput, did_you_mean
from benchmarks.io import tables, text_files
from benchmarks.io.validated import one_line

TRUTH = "filtered_test_data_with_MAUDE_expression.txt"
SINGLES = {
    "high": "high_exp",
    "low": "low_exp",
    "native": "yeast",
    "random": "all_random",
    "challenging": "challenging",
}
"""Subset of single sequences -> stem of its published file; `native` is called `yeast` there."""
PAIRS = {"SNVs": "all_SNVs", "motif_perturbation": "motif_perturbation", "motif_tiling": "motif_tiling"}
_PUBLIC = {name: "yeast" if name == "native" else name for name in (*SINGLES, *PAIRS)}
_PREPARED = ("test_designed_maude.tsv", "test_subsets.tsv", "test_pairs.tsv")


@dataclass(frozen=True)
class TestSet:
    """The designed sequences in official order; positions are row numbers from 0.

    Parameters
    ----------
    y_true
        (n,) float64, MAUDE expression: another scale than that of the training data.
    is_public
        (n,) bool, part of the public leaderboard.
    singles
        Subset -> its distinct positions, sorted, int64.
    pairs
        Subset -> its distinct (alt, ref) pairs, (k, 2) int64. What is scored is the difference between the two.
    public_pairs
        Subset -> (k,) bool, that exact pair was public. A private pair may share a member with a public one.
    """

    __test__ = False  # not a class of tests, in spite of its name

    y_true: np.ndarray
    is_public: np.ndarray
    singles: Mapping[str, np.ndarray]
    pairs: Mapping[str, np.ndarray]
    public_pairs: Mapping[str, np.ndarray]
    sequences: np.ndarray | None = None
    origin: Origin = "measured"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.y_true)


def read(folder: Path, *, inferred_snvs: bool = False) -> TestSet:
    """Read a test set in the published layout, or from the prepared tables.

    The published layout has the measurements (`filtered_test_data_with_MAUDE_expression.txt`), `test_subset_ids/*.csv`
    and `public_leaderboard_ids/*.json`. The prepared one is three tables with headers, `test_designed_maude.tsv`,
    `test_subsets.tsv` and `test_pairs.tsv`, plain or gzip.

    Parameters
    ----------
    inferred_snvs
        Use the pairs that were inferred in place of the official SNV table, which is absent (prepared layout).

    Raises
    ------
    BadInput
        For a missing or malformed file, with line, column and value.
    """
    if (folder / TRUTH).is_file() or (folder / f"{TRUTH}.gz").is_file():
        return replace(_read_published(folder), origin=simulated_marker.of(folder))
    files = [next((p for p in (folder / n, folder / f"{n}.gz") if p.is_file()), None) for n in _PREPARED]
    if files[0] is None:
        raise BadInput(f"{folder} holds neither {TRUTH} (published layout) nor {_PREPARED[0]} (prepared tables).")
    if missing := [name for name, file in zip(_PREPARED, files, strict=True) if file is None]:
        raise BadInput(f"{folder / missing[0]} is missing; the prepared layout needs {', '.join(_PREPARED)}.")
    return replace(_read_prepared(*files, inferred_snvs=inferred_snvs), origin=simulated_marker.of(folder))


def read_designed(folder: Path) -> DesignedSet:
    """Read a test set in either layout, with the names that its makers gave the sequences.

    Raises
    ------
    BadInput
        For a missing or malformed file, with line, column and value.
    """
    test = read(folder)
    members = to_tables(test)
    known = pd.concat([_NO_TAGS, *(_tags(file, len(test)) for file in _tagged_files(folder))], ignore_index=True)
    known = known[known["tag"].str.strip() != ""].drop_duplicates(ignore_index=True)
    if test.sequences is None:
        raise BadInput(f"{folder}: the sequences of the test set are missing.")
    return DesignedSet(
        test.sequences, test.y_true, members["subsets"], members["pairs"], known, test.origin, test.notes
    )


_NO_TAGS = pd.DataFrame({"pos": np.array([], dtype=np.int64), "tag": np.array([], dtype=str)})


def _tags(file: Path, n: int) -> pd.DataFrame:
    """Return what a table of subsets or pairs calls its sequences: pos, tag."""
    table = tables.read_headed(file)
    columns = [("pos", "tag"), ("alt_pos", "alt_tag"), ("ref_pos", "ref_tag")]
    named = [
        pd.DataFrame({"pos": _in_range(file, table, pos, n), "tag": table[tag].astype(str).to_numpy()})
        for pos, tag in columns
        if {pos, tag} <= set(table)
    ]
    return pd.concat([_NO_TAGS, *named], ignore_index=True)


def _tagged_files(folder: Path) -> list[Path]:
    """List the tables of a test set that name sequences: subsets and pairs, in either layout."""
    ids = folder / "test_subset_ids"
    published = [_one_of(ids, f"{stem}_seqs.csv", f"{stem}.csv") for stem in (SINGLES | PAIRS).values()]
    prepared = [_one_of(folder, name) for name in _PREPARED[1:]]
    return [file for file in (published if any(published) else prepared) if file is not None]


def write_published(
    folder: Path,
    sequences: Sequence[str],
    singles: Mapping[str, pd.DataFrame],
    pairs: Mapping[str, pd.DataFrame],
    y_true: np.ndarray | None = None,
    *,
    simulated: str = "",
) -> None:
    """Write a designed set in the published layout; without public rows, all of it is private.

    Parameters
    ----------
    singles, pairs
        Subset -> table of pos, tag; and of alt_pos, ref_pos, alt_tag, ref_tag.
    y_true
        (n,) expression; None: not measured yet, so that there is nothing to score against.
    simulated
        A sentence that says what of the expression is simulated; empty if it was measured.

    Raises
    ------
    BadInput
        If a subset is not one of the challenge's.
    """
    for name in (*singles, *pairs):
        if name not in (SINGLES if name in singles else PAIRS):
            raise BadInput(f"{did_you_mean('subset of the challenge', name, [*SINGLES, *PAIRS])}")
    ids = folder / "test_subset_ids"
    ids.mkdir(parents=True, exist_ok=True)
    sequence = pd.Series(sequences, dtype=object)
    for name, part in singles.items():
        columns = {"tag": part["tag"], "sequence": sequence[part["pos"]].to_numpy(), "pos": part["pos"], "exp": ""}
        pd.DataFrame(columns).to_csv(ids / f"{SINGLES[name]}_seqs.csv")
    for name, part in pairs.items():
        texts = {f"{side}_sequence": sequence[part[f"{side}_pos"]].to_numpy() for side in ("alt", "ref")}
        columns = part[["alt_tag", "ref_tag"]].assign(**texts, alt_pos=part["alt_pos"], ref_pos=part["ref_pos"])
        columns.assign(alt_exp="", ref_exp="").to_csv(ids / f"{PAIRS[name]}_seqs.csv")
    if simulated:
        simulated_marker.mark(folder, simulated)
    if y_true is not None:
        lines = [f"{text}\t{value:.10g}\n" for text, value in zip(sequences, y_true, strict=True)]
        (folder / TRUTH).write_text("".join(lines))


def to_tables(test: TestSet) -> dict[str, pd.DataFrame]:
    """Return subsets and pairs as the two tables a Dataset carries; nothing measured is in them."""
    singles = [pd.DataFrame({"subset": name, "pos": positions}) for name, positions in test.singles.items()]
    pairs = [
        pd.DataFrame(
            {"subset": name, "alt_pos": both[:, 0], "ref_pos": both[:, 1], "is_public": test.public_pairs[name]}
        )
        for name, both in test.pairs.items()
    ]
    no_singles = pd.DataFrame({"subset": np.array([], dtype=str), "pos": np.array([], dtype=np.int64)})
    no_pairs = pd.DataFrame({"subset": np.array([], dtype=str), "alt_pos": [], "ref_pos": [], "is_public": []})
    return {
        "subsets": pd.concat(singles, ignore_index=True) if singles else no_singles,
        "pairs": pd.concat(pairs, ignore_index=True) if pairs else no_pairs,
    }


def of_dataset(test: Dataset) -> TestSet:
    """Return the test set that the test rows of a dataset, all of them in their order, are."""
    subsets, pairs = test.tables["subsets"], test.tables["pairs"]
    by_name = {str(name): part for name, part in pairs.groupby("subset", sort=False)}
    (y_true,) = test.targets.values()
    return TestSet(
        np.asarray(y_true, dtype=np.float64),
        test.meta["is_public"].to_numpy(dtype=bool),
        {str(name): part["pos"].to_numpy() for name, part in subsets.groupby("subset", sort=False)},
        {name: part[["alt_pos", "ref_pos"]].to_numpy() for name, part in by_name.items()},
        {name: part["is_public"].to_numpy(dtype=bool) for name, part in by_name.items()},
        origin=test.origin,
    )


def _read_published(folder: Path) -> TestSet:
    truth = next(path for path in (folder / TRUTH, folder / f"{TRUTH}.gz") if path.is_file())
    cells = tables.read_cells(truth)
    if cells.shape[1] != 2:
        raise BadInput(
            f"{truth}: two columns without a header expected, sequence and expression; got {cells.shape[1]}."
        )
    cells.columns = ["sequence", "expression"]
    y_true = tables.numbers(truth, cells, "expression")
    n = len(y_true)
    ids, public_ids = folder / "test_subset_ids", folder / "public_leaderboard_ids"
    singles, pairs, public_pairs, notes = {}, {}, {}, []
    is_public = np.zeros(n, dtype=bool)
    for name, stem in SINGLES.items():
        file = _one_of(ids, f"{stem}_seqs.csv", f"{stem}.csv")
        if file is None:
            notes.append(f"{ids / f'{stem}_seqs.csv'} is missing: subset {name} is not scored.")
            continue
        singles[name] = np.unique(_positions(file, "pos", n))
    for name, stem in PAIRS.items():
        file = _one_of(ids, f"{stem}_seqs.csv", f"{stem}.csv")
        public, members = _public_pairs(public_ids, name, n)
        is_public[members] = True
        if file is None:
            notes.append(f"{ids / f'{stem}_seqs.csv'} is missing: subset {name} is not scored.")
            continue
        alt, ref = (_positions(file, column, n) for column in ("alt_pos", "ref_pos"))
        pairs[name] = np.unique(np.stack([alt, ref], axis=1), axis=0)
        public_pairs[name] = np.array([tuple(pair) in public for pair in pairs[name].tolist()], dtype=bool)
    for name in SINGLES:
        is_public[_public_singles(public_ids, name, n)] = True
    if not is_public.any():
        notes.append(f"{public_ids} is missing: every row counts as private.")
    return TestSet(
        y_true, is_public, singles, pairs, public_pairs, cells["sequence"].to_numpy(dtype=object), notes=tuple(notes)
    )


def _one_of(folder: Path, *names: str) -> Path | None:
    return next((p for name in names for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)


def _positions(file: Path, column: str, n: int) -> np.ndarray:
    return _in_range(file, tables.read_headed(file, [column]), column, n)


def _in_range(file: Path, table: pd.DataFrame, column: str, n: int) -> np.ndarray:
    values = tables.numbers(file, table, column, whole=True)
    wrong = np.flatnonzero((values < 0) | (values >= n))
    if wrong.size:
        raise BadInput(
            f"{file}, line {table.index[wrong[0]]}, column {column!r}: a row number from 0 to {n - 1:,} expected, got "
            f"{values[wrong[0]]}."
        )
    return values


def _public_file(folder: Path, name: str) -> Path | None:
    return _one_of(folder, f"{_PUBLIC[name]}_exp_indices.json")


def _public_singles(folder: Path, name: str, n: int) -> np.ndarray:
    file = _public_file(folder, name)
    return np.array([_index(file, key, n) for key in read_object(file)], dtype=np.int64) if file else np.array([], int)


def _public_pairs(folder: Path, name: str, n: int) -> tuple[set[tuple[int, int]], list[int]]:
    """Return the public pairs of a subset, and all their members."""
    file = _public_file(folder, name)
    pairs = set()
    for key in read_object(file) if file else ():
        parts = key.strip("()[] ").split(",")
        if len(parts) != 2:
            raise BadInput(f"{file}: keys 'alt,ref' are expected, got {key!r}.")
        pairs.add(tuple(_index(file, part, n) for part in parts))
    return pairs, [index for pair in pairs for index in pair]


def _index(file: Path, text: str, n: int) -> int:
    text = text.strip()
    if not text.isdecimal() or int(text) >= n:
        raise BadInput(f"{file}: a row number from 0 to {n - 1:,} expected, got {text!r}.")
    return int(text)


def read_object(file: Path) -> dict:
    """Read a JSON object, plain or gzip, or say in one sentence why that is impossible."""
    try:
        value = json.loads("\n".join(text_files.read_lines(file)))
    except json.JSONDecodeError as error:
        raise BadInput(f"{file}, line {error.lineno}: this is not JSON ({error.msg}).") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{file}: this is no JSON that can be read ({one_line(error)}).") from None
    if not isinstance(value, dict):
        raise BadInput(f"{file}: a JSON object is expected, got a {type(value).__name__}.")
    return value


def _read_prepared(truth: Path, subsets: Path, pair_file: Path, *, inferred_snvs: bool) -> TestSet:
    frame = tables.read_headed(truth, ["sequence", "maude_expression", "public_leaderboard"])
    y_true = tables.numbers(truth, frame, "maude_expression")
    n, notes = len(y_true), []
    single = tables.read_headed(subsets, ["subset", "pos"])
    position = _in_range(subsets, single, "pos", n)
    singles = {name: np.unique(position[(single["subset"] == name).to_numpy()]) for name in SINGLES}
    pair = tables.read_headed(pair_file, ["subset", "alt_pos", "ref_pos", "public"])
    both = np.stack([_in_range(pair_file, pair, column, n) for column in ("alt_pos", "ref_pos")], axis=1)
    public = tables.numbers(pair_file, pair, "public", whole=True) == 1
    kinds = {name: [name] for name in PAIRS} | {"SNVs": ["snv", "snv_inferred"] if inferred_snvs else ["snv"]}
    pairs, public_pairs = {}, {}
    for name, labels in kinds.items():
        rows = pair["subset"].isin(labels).to_numpy()
        if rows.any():
            pairs[name], first = np.unique(both[rows], axis=0, return_index=True)
            public_pairs[name] = public[rows][first]
    if inferred_snvs:
        notes.append("SNVs: the official private pairs are not at hand; INFERRED ones stand in for them.")
    elif "SNVs" in pairs and public_pairs["SNVs"].all():
        notes.append("SNVs: only the public pairs are at hand, so private and full scores are not defined.")
    is_public = tables.numbers(truth, frame, "public_leaderboard", whole=True) == 1
    return TestSet(
        y_true, is_public, singles, pairs, public_pairs, frame["sequence"].to_numpy(dtype=object), notes=tuple(notes)
    )
